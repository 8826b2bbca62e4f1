"""Keys: what the explorer makes bands and colours of: a column of the frame, or a key of ``data``.

The values of a key cross as codes and a list of names, each with its colour: those of the pictures. Of more than a dozen
numbers, the names are stretches of a scale.
"""

from collections import Counter
from dataclasses import dataclass

import numpy as np
import pandas as pd

from tokenvis.errors import BadOption, listed, quoted
from tokenvis.plot.artists.color_scales import Palette, hues_of
from tokenvis.plot.artists.colors import MOST_NAMES
from tokenvis.plot.artists.style import LIGHT
from tokenvis.plot.artists.text import NOTHING
from tokenvis.spans.columns import codes_of
from tokenvis.spans.fields import NO_FIELDS, field_columns
from tokenvis.spans.integers import Int64Array
from tokenvis.spans.payload import parsed
from tokenvis.spans.text import without_surrogates

PLACES = ("agent_id", "location_id")
FIRST = (*PLACES, "status", "kind")
NO_KEYS = {"label", "parent_id", "links", "estimated", "attributes"}  # of data: of each span its own, or no single value
SAMPLE = 20_000  # spans in which keys are sought
MOST_KEYS = 60
MOST_VALUES = 1_000  # different texts of a key in the sample, beyond which it makes no bands
MOST_BANDS = 100_000


@dataclass(frozen=True)
class KeyColumn:
    """``codes`` are positions in ``names``; ``missing`` says whether the last of these stands for no value."""

    codes: Int64Array
    names: list[str]
    colors: list[str]
    legend: list[tuple[str, str]]
    missing: bool


def key_column(spans: pd.DataFrame, key: str, palette: Palette = None) -> KeyColumn:
    """The values of a key of a trace, with their colours; `BadOption` where there is no such key, or it has too many values."""
    values = spans[key] if key in PLACES else field_columns(spans, [key])[key]
    if not values.notna().any() and len(spans):
        raise BadOption(
            f"{quoted(key)} is neither a column that makes bands nor a key of data. There is: {listed(keys_in(spans))}."
        )
    if values.dtype == object:  # of several types, or with what cannot be written as UTF-8
        values = values.map(lambda value: without_surrogates(str(value)), na_action="ignore")
    codes, labels = codes_of(values)
    if len(labels) > MOST_BANDS and not pd.api.types.is_numeric_dtype(values.dtype):
        raise BadOption(f"{quoted(key)} has {len(labels):,} values, and the explorer shows {MOST_BANDS:,} at most.")
    hues = hues_of(values, palette, LIGHT)
    if palette is None and pd.api.types.is_numeric_dtype(values.dtype) and len(labels) > MOST_NAMES:
        names = [name for _, name in hues.legend]
        return KeyColumn(hues.code, names, hues.colors, hues.legend, names[-1] == NOTHING)
    missing = bool((codes < 0).any())
    codes = np.where(codes < 0, len(labels), codes)
    first = np.zeros(len(labels) + missing, dtype=np.int64)
    first[codes[::-1]] = np.arange(len(codes))[::-1]
    names = [*map(str, labels), *([NOTHING] if missing else [])]
    return KeyColumn(codes, names, hues.of(first), hues.legend, missing)


def is_column(spans: pd.DataFrame, key: object) -> bool:
    """Whether a column of the frame makes bands: agents, locations, and what is a field."""
    return key in PLACES or (key not in NO_FIELDS and isinstance(key, str) and spans.columns.tolist().count(key) == 1)


def keys_in(spans: pd.DataFrame) -> list[str]:
    """The keys that may make bands, those that most spans have first: of as many spans as `SAMPLE`, evenly spread."""
    columns = [column for column in spans.columns if is_column(spans, column) and column not in FIRST]
    found: dict[str, Counter[object]] = {}
    if "data" in spans and len(spans):
        rows = np.unique(np.linspace(0, len(spans) - 1, min(len(spans), SAMPLE)).astype(np.int64))
        for payload in parsed(spans[["id", "data"]].iloc[rows]):
            attributes = payload.get("attributes")
            for key, value in {**(attributes if isinstance(attributes, dict) else {}), **payload}.items():
                if isinstance(value, str | int | float) and key not in NO_KEYS:
                    found.setdefault(key, Counter())[value] += 1
    few = [key for key, values in found.items() if len(values) <= MOST_VALUES or not isinstance(next(iter(values)), str)]
    few.sort(key=lambda key: (-found[key].total(), key))
    first = [key for key in FIRST if key in few or is_column(spans, key)]
    return list(dict.fromkeys([*first, *columns, *few]))[:MOST_KEYS]
