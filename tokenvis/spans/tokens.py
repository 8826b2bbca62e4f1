"""Tokens: what each span used, counted once.

Many sources give an agent's span the sum of what the calls below it used. So, key by key, a span counts only where no
descendant of it carries that key. Names are those of OpenTelemetry's conventions for generative AI: input tokens include the
cached ones, output tokens include those of reasoning.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from tokenvis.errors import BadSpan, quoted
from tokenvis.spans.fields import field_numbers
from tokenvis.spans.integers import Int64Array, Mask
from tokenvis.spans.relations import have_descendant

KEYS = {
    "input_tokens": "gen_ai.usage.input_tokens",
    "cached_tokens": "gen_ai.usage.cache_read.input_tokens",
    "output_tokens": "gen_ai.usage.output_tokens",
    "reasoning_tokens": "gen_ai.usage.reasoning.output_tokens",
    "cache_creation_tokens": "gen_ai.usage.cache_creation.input_tokens",
}
TOKENS = ("input_tokens", "cached_tokens", "output_tokens", "reasoning_tokens")
COST = "gen_ai.usage.cost"


@dataclass(frozen=True)
class Tokens:
    """One key: ``values`` (0 where a span has none), where they are ``known``, and which of these are ``counted``."""

    values: Int64Array
    known: Mask
    counted: Mask


def tokens_of(spans: pd.DataFrame, parent: Int64Array, names: Iterable[str] = KEYS) -> dict[str, Tokens]:
    """Counts of each span, by names of `KEYS`; ``parent`` is the row of each span's parent, or -1."""
    keys = {name: KEYS[name] for name in names}
    columns = field_numbers(spans, keys.values())
    return {name: counted_once(whole(columns.pop(key), key, spans), parent) for name, key in keys.items()}


def counted_once(column: pd.Series, parent: Int64Array) -> Tokens:
    """Values and where they count."""
    known: Mask = column.notna().to_numpy()
    return Tokens(column.fillna(0).to_numpy(dtype=np.int64), known, known & ~have_descendant(parent, known))


def whole(column: pd.Series, key: str, spans: pd.DataFrame) -> pd.Series:
    """A column of counts as Int64; `BadSpan` where one is no whole number."""
    if column.dtype == "Int64":
        return column
    broken = ((column % 1 != 0) | (column.abs() >= 2.0**63)).fillna(False).to_numpy(dtype=bool)
    if broken.any():
        row = int(broken.argmax())
        raise BadSpan(f"{key} of span {quoted(spans['id'].iloc[row])} is {column.iloc[row]}, not a whole number.")
    return column.astype("Int64")
