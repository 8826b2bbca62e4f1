"""Typed columns: keys of the payload as columns, each of the narrowest type that fits all its values."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from tokenvis.errors import BadOption, listed, name_list
from tokenvis.spans.columns import REQUIRED, require
from tokenvis.spans.integers import Int64Array
from tokenvis.spans.payload import EMPTY_PAYLOAD, PAYLOADS_PER_CHUNK, parsed_payloads
from tokenvis.spans.text import text_column

INT64_RANGE = range(-(2**63), 2**63)


def expand_data(spans: pd.DataFrame, keys: str | Iterable[str]) -> pd.DataFrame:
    """Expand keys of ``data`` into columns.

    A key is looked up literally at the top level of ``data``, then under ``attributes``.

    Parameters
    ----------
    spans
        A frame of spans with the column ``data``.
    keys
        One key, or several.

    Returns
    -------
    DataFrame
        The columns of ``spans``, and one for each key: Int64, Float64, boolean or str if all values agree, else object
        (also if there are none); missing where a span lacks the key. An existing column of that name is replaced. In a column
        of texts, lone surrogates become U+FFFD.

    Raises
    ------
    MissingColumn, BadSpan
        If ``spans`` is not a frame of spans, or ``data`` has a value that is not a JSON object.
    BadOption
        If a key has the name of a column that every frame of spans needs.

    Examples
    --------
    >>> import pandas as pd
    >>> spans = pd.DataFrame({
    ...     "id": ["a", "b"], "trace_id": "t", "agent_id": "Ann", "location_id": "desk",
    ...     "start_time": [0, 5], "end_time": [5, 9],
    ...     "data": ['{"label": "plan", "attributes": {"gen_ai.usage.output_tokens": 12}}', None],
    ... })
    >>> expand_data(spans, ["label", "gen_ai.usage.output_tokens"])[["id", "label", "gen_ai.usage.output_tokens"]]
      id label  gen_ai.usage.output_tokens
    0  a  plan                          12
    1  b   NaN                        <NA>
    """
    require(spans, "data")
    keys = name_list("keys", keys)
    reserved = [key for key in keys if key in REQUIRED]
    if reserved:
        raise BadOption(f"keys= contains {listed(reserved)}, a column that every frame of spans needs.")
    return spans.assign(**columns_in(spans, keys))


def columns_in(spans: pd.DataFrame, keys: Iterable[str], rows: Int64Array | None = None) -> dict[str, pd.Series]:
    """A column for each key, typed as in `expand_data`, for the given rows (sorted, by default all), one chunk at a time."""
    rows = np.arange(len(spans)) if rows is None else rows
    parts: dict[str, list[pd.Series]] = {key: [] for key in keys}
    for first in range(0, max(len(rows), 1), PAYLOADS_PER_CHUNK):
        chunk = rows[first : first + PAYLOADS_PER_CHUNK]
        index = spans.index[chunk]
        for key, values in values_by_key(spans, list(parts), chunk).items():
            parts[key].append(typed_column(values, index))
    return {key: concatenated(columns) for key, columns in parts.items()}


def values_by_key(spans: pd.DataFrame, keys: list[str], rows: Int64Array) -> dict[str, list[Any]]:
    """The result of `look_up` for each key and row, several times faster: it reads ``attributes`` once per payload."""
    values: list[Any] = []
    append_all, top_keys = values.extend, frozenset(keys)
    for payload in parsed_payloads(spans, rows):
        found = payload.get("attributes", EMPTY_PAYLOAD)
        attributes = found if type(found) is dict or isinstance(found, Mapping) else EMPTY_PAYLOAD
        if top_keys.isdisjoint(payload):
            append_all(map(attributes.get, keys))
        else:
            append_all([payload[key] if key in payload else attributes.get(key) for key in keys])
    return {key: values[number :: len(keys)] for number, key in enumerate(keys)}


def concatenated(parts: list[pd.Series]) -> pd.Series:
    """The parts of a column as one column, of the narrowest type that fits all their values."""
    non_empty = [part for part in parts if part.notna().any()]
    if len({part.dtype for part in non_empty}) <= 1:
        column: pd.Series = pd.concat([part.astype(non_empty[0].dtype) for part in parts] if non_empty else parts)
        return column
    values = [None if value is pd.NA or value is np.nan else value for part in parts for value in part.tolist()]
    return typed_column(values, pd.concat([part.index.to_series() for part in parts]).index)


def typed_column(values: list[Any], index: pd.Index) -> pd.Series:
    """Values as a column of the narrowest type that fits them all; None is missing."""
    kinds = set(map(type, values)) - {type(None)}
    try:
        if kinds == {str}:
            return text_column(values, index)
        if kinds == {int}:
            return pd.Series(nullable_array(pa.array(values, pa.int64())), index=index)
        if kinds == {float}:
            return pd.Series(nullable_array(pa.array(values, pa.float64())), index=index)
        if kinds == {int, float}:
            floats = [None if value is None else float(value) for value in values]
            if floats == values:  # no integer loses digits
                return pd.Series(nullable_array(pa.array(floats, pa.float64())), index=index)
    except OverflowError:  # an integer too large for int64 and float64
        pass
    return pd.Series(values, index=index, dtype="boolean" if kinds == {bool} else "object")


def nullable_array(numbers: pa.Array) -> Any:
    """Arrow numbers as a nullable pandas array, Int64 or Float64."""
    missing = numbers.is_null().to_numpy(zero_copy_only=False)
    array_type = pd.arrays.IntegerArray if pa.types.is_integer(numbers.type) else pd.arrays.FloatingArray
    return array_type(np.array(numbers.fill_null(0)), missing)


def is_number(value: object) -> bool:
    """Whether a value is a number that fits into 64 bits."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return isinstance(value, float) or value in INT64_RANGE
