"""Promoted columns: values in ``data`` that a fleet file has as columns too, for engines that read no JSON.

``kind``, ``status`` and ``model`` are texts as in ``data``. Tokens and cost are what counts for the span itself
(`tokenvis.tree.tokens`): a parent that repeats the tokens of its calls has none. So a sum over rows of whole traces is that of
`tokenvis.usage`.
"""

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from tokenvis.spans.columns import arrow_texts
from tokenvis.spans.fields import several_field_values
from tokenvis.spans.integers import Int64Array
from tokenvis.spans.text import without_surrogates
from tokenvis.tree.prices import models_of
from tokenvis.tree.relations import relations_of
from tokenvis.tree.tokens import Figures, usage_of

PROMOTED_TEXTS = ("kind", "status")
PROMOTED_FIGURES = ("input_tokens", "cached_tokens", "output_tokens", "cost")


def promoted_columns(spans: pd.DataFrame) -> dict[str, pa.Array]:
    """The promoted columns of whole traces, by name; the frame has the column ``parent_id``, if any span has a parent."""
    figures = usage_of(spans, relations_of(spans, links=False).parents())
    fields = several_field_values(spans, *PROMOTED_TEXTS)
    columns: dict[str, Any] = {name: text_array(len(spans), *found) for name, found in fields.items()}
    columns["model"] = arrow_texts(models_of(spans).array)
    columns |= {name: counting_values(figures[name]) for name in PROMOTED_FIGURES}
    return columns


def text_array(n_rows: int, rows: Int64Array, values: list[Any]) -> pa.Array:
    """Those of the values that are texts, at their rows."""
    texts = np.full(n_rows, None, dtype=object)
    texts[rows] = [value if isinstance(value, str) else None for value in values]
    try:
        return pa.array(texts, pa.large_string())
    except UnicodeEncodeError:  # half of a surrogate pair
        return pa.array([None if text is None else without_surrogates(text) for text in texts], pa.large_string())


def counting_values(figures: Figures) -> pa.Array:
    """What counts of the figures; null for a span without a figure, and for one whose figure is a repetition."""
    counts = figures.present & ~(figures.nested & (figures.counted == 0))
    return pa.array(figures.counted, mask=~counts)
