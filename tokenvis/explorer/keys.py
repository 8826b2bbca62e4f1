"""Keys: columns of the frame, or keys of ``data``, that can define the bands and colours of the explorer.

The values of a key are sent as codes and a list of names, each with the colour that it has in the pictures. For more than a
dozen numbers, the names are ranges of a colour scale.
"""

from collections import Counter
from dataclasses import dataclass

import numpy as np
import pandas as pd

from tokenvis.errors import BadOption, listed, quoted
from tokenvis.layout.name_order import busiest_names
from tokenvis.plot.artists.color_scales import Palette, color_scale
from tokenvis.plot.artists.colors import MAX_COLORED_NAMES
from tokenvis.plot.artists.style import LIGHT
from tokenvis.plot.artists.text import MISSING_NAME
from tokenvis.spans.columns import codes_of
from tokenvis.spans.fields import NOT_FIELDS, field_columns
from tokenvis.spans.integers import Int64Array
from tokenvis.spans.payload import parsed_payloads
from tokenvis.spans.text import without_surrogates

AGENT_LOCATION_KEYS = ("agent_id", "location_id")
LEADING_KEYS = (*AGENT_LOCATION_KEYS, "status", "kind")
# Keys of data that are unique to each span, or not a single value
EXCLUDED_DATA_KEYS = {"label", "parent_id", "links", "requested_by", "estimated", "attributes"}
KEY_SAMPLE_SPANS = 20_000  # spans that are searched for keys
MAX_LISTED_KEYS = 60
MAX_SAMPLED_TEXTS = 1_000  # distinct texts; a key with more in the sample is not offered
MAX_EXPLORER_BANDS = 100_000


@dataclass(frozen=True)
class KeyColumn:
    """``codes`` are indexes into ``names``; ``missing`` is whether the last name means that a span has no value."""

    codes: Int64Array
    names: list[str]
    colors: list[str]
    legend: list[tuple[str, str]]
    missing: bool


def key_column(spans: pd.DataFrame, key: str, palette: Palette = None) -> KeyColumn:
    """The values of a key of a trace, with their colours; `BadOption` if the key does not exist or has too many values."""
    values = spans[key] if key in AGENT_LOCATION_KEYS else field_columns(spans, [key])[key]
    if not values.notna().any() and len(spans):
        raise BadOption(f"{quoted(key)} is neither a column nor a key of data. Available: {listed(keys_in(spans))}.")
    if values.dtype == object:  # mixed types, or text that UTF-8 cannot encode
        values = values.map(lambda value: without_surrogates(str(value)), na_action="ignore")
    codes, labels = codes_of(values)
    if len(labels) > MAX_EXPLORER_BANDS and not pd.api.types.is_numeric_dtype(values.dtype):
        raise BadOption(f"{quoted(key)} has {len(labels):,} values; the explorer shows at most {MAX_EXPLORER_BANDS:,}.")
    scale = color_scale(values, palette, LIGHT, busiest=busiest_names(spans, values, MAX_COLORED_NAMES))
    if palette is None and pd.api.types.is_numeric_dtype(values.dtype) and len(labels) > MAX_COLORED_NAMES:
        names = [name for _, name in scale.legend]
        return KeyColumn(scale.code, names, scale.colors, scale.legend, names[-1] == MISSING_NAME)
    missing = bool((codes < 0).any())
    codes = np.where(codes < 0, len(labels), codes)
    first = np.zeros(len(labels) + missing, dtype=np.int64)
    first[codes[::-1]] = np.arange(len(codes))[::-1]
    names = [*map(str, labels), *([MISSING_NAME] if missing else [])]
    return KeyColumn(codes, names, scale.colors_of(first), scale.legend, missing)


def is_key_column(spans: pd.DataFrame, key: object) -> bool:
    """Whether a column of the frame can define bands: agents, locations and field columns."""
    return key in AGENT_LOCATION_KEYS or (
        key not in NOT_FIELDS and isinstance(key, str) and spans.columns.tolist().count(key) == 1
    )


def keys_in(spans: pd.DataFrame) -> list[str]:
    """The keys that can define bands: leading keys, other columns, and keys of data by their frequency in a sample of spans."""
    columns = [column for column in spans.columns if is_key_column(spans, column) and column not in LEADING_KEYS]
    value_counts: dict[str, Counter[object]] = {}
    if "data" in spans and len(spans):
        rows = np.unique(np.linspace(0, len(spans) - 1, min(len(spans), KEY_SAMPLE_SPANS)).astype(np.int64))
        for payload in parsed_payloads(spans[["id", "data"]].iloc[rows]):
            attributes = payload.get("attributes")
            for key, value in {**(attributes if isinstance(attributes, dict) else {}), **payload}.items():
                if isinstance(value, str | int | float) and key not in EXCLUDED_DATA_KEYS:
                    value_counts.setdefault(key, Counter())[value] += 1
    data_keys = [
        key
        for key, values in value_counts.items()
        if len(values) <= MAX_SAMPLED_TEXTS or not isinstance(next(iter(values)), str)
    ]
    data_keys.sort(key=lambda key: (-value_counts[key].total(), key))
    leading = [key for key in LEADING_KEYS if key in data_keys or is_key_column(spans, key)]
    return list(dict.fromkeys([*leading, *columns, *data_keys]))[:MAX_LISTED_KEYS]
