"""Typed columns: keys of the payload as columns of their own, each of the narrowest type that holds all its values."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from tokenvis.errors import BadOption, BadSpan, listed, name_list, quoted
from tokenvis.spans.columns import REQUIRED, require
from tokenvis.spans.integers import Int64Array
from tokenvis.spans.payload import CHUNK, NOTHING, mentioning, parsed
from tokenvis.spans.text import text_column

INT64 = range(-(2**63), 2**63)


def expand_data(spans: pd.DataFrame, keys: str | Iterable[str]) -> pd.DataFrame:
    """Give keys of ``data`` columns of their own.

    A key is looked up at the top of ``data``, then under ``attributes``, literally.

    Parameters
    ----------
    spans
        A frame of spans with the column ``data``.
    keys
        One key, or several.

    Returns
    -------
    DataFrame
        The columns of ``spans``, and one for each key: Int64, Float64, boolean or str where all values agree, object where they
        do not (or where there are none); missing where a span lacks the key. A column of that name is replaced. Half of a
        surrogate pair, which a column of text cannot hold, is U+FFFD there.

    Raises
    ------
    MissingColumn, BadSpan
        Where ``spans`` is not a frame of spans, or ``data`` holds something else than JSON objects.
    BadOption
        Where a key has the name of a column that every frame of spans needs.

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
        raise BadOption(f"keys: {listed(reserved)} would replace a column that every frame of spans needs.")
    return spans.assign(**columns_in(spans, keys))


def columns_in(spans: pd.DataFrame, keys: Iterable[str], rows: Int64Array | None = None) -> dict[str, pd.Series]:
    """A column for each key, typed as in `expand_data`, of the rows given (by default all); some thousand rows at a time."""
    taken = spans[["id", "data"]] if rows is None else spans[["id", "data"]].iloc[rows]
    parts: dict[str, list[pd.Series]] = {key: [] for key in keys}
    for first in range(0, max(len(taken), 1), CHUNK):
        chunk = taken.iloc[first : first + CHUNK]
        for key, values in looked_up(chunk, list(parts)).items():
            parts[key].append(typed(values, chunk.index))
    return {key: joined(columns) for key, columns in parts.items()}


def looked_up(spans: pd.DataFrame, keys: list[str]) -> dict[str, list[Any]]:
    """What `look_up` finds under each key in the payload of each row, several times faster: ``attributes`` are sought once."""
    values: dict[str, list[Any]] = {key: [] for key in keys}
    wanted = [(key, column.append) for key, column in values.items()]
    for payload in parsed(spans):
        attributes = payload.get("attributes", NOTHING)
        deeper = attributes if type(attributes) is dict or isinstance(attributes, Mapping) else NOTHING
        for key, append in wanted:
            append(payload[key] if key in payload else deeper.get(key))
    return values


def joined(parts: list[pd.Series]) -> pd.Series:
    """Parts of a column as one, of the type that holds all their values."""
    told = [part for part in parts if part.notna().any()]
    if len({part.dtype for part in told}) <= 1:
        column: pd.Series = pd.concat([part.astype(told[0].dtype) for part in parts] if told else parts)
        return column
    values = [None if value is pd.NA or value is np.nan else value for part in parts for value in part.tolist()]
    return typed(values, pd.concat([part.index.to_series() for part in parts]).index)


def numbers_in(spans: pd.DataFrame, keys: Iterable[str]) -> dict[str, pd.Series]:
    """A column of numbers for each key, Int64 or Float64, missing where a span has none; `BadSpan` where it is no number."""
    keys = list(keys)
    rows = mentioning(spans, *keys)
    columns = columns_in(spans, keys, rows) if len(rows) else {}
    return {key: whole_column(numeric(key, columns.get(key), spans, rows), rows, len(spans)) for key in keys}


def numeric(key: str, values: pd.Series | None, spans: pd.DataFrame, rows: Int64Array) -> pd.Series:
    """The column of a key, which holds numbers, or nothing."""
    if values is None or not values.notna().any():
        return pd.Series(pd.NA, index=range(len(rows)), dtype="Int64")
    if str(values.dtype) not in ("Int64", "Float64"):
        row = next((row for row, value in enumerate(values.tolist()) if not is_number(value)), None)
        if row is None:  # whole numbers too large for exact floats, among floats
            return values.astype("Float64")
        span = quoted(spans["id"].iloc[int(rows[row])])
        raise BadSpan(f"{key} of span {span} is {quoted(values.tolist()[row])}, not a number of 64 bits.")
    return values


def is_number(value: object) -> bool:
    """Whether a value is missing, or a number that 64 bits hold."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value is None or value is pd.NA
    return isinstance(value, float) or value in INT64


def whole_column(values: pd.Series, rows: Int64Array, count: int) -> pd.Series:
    """A column for all rows, missing where none was read."""
    if len(rows) == count:
        return values.reset_index(drop=True)
    column = pd.Series(pd.NA, index=range(count), dtype=values.dtype)
    column.iloc[rows] = values.array
    return column


def typed(values: list[Any], index: pd.Index) -> pd.Series:
    """Values as the narrowest column that holds them all; None is missing."""
    kinds = set(map(type, values)) - {type(None)}
    try:
        if kinds == {str}:
            return text_column(values, index)
        if kinds == {int}:
            return pd.Series(masked(pa.array(values, pa.int64())), index=index)
        if kinds in ({float}, {int, float}):
            floats = [None if value is None else float(value) for value in values]
            if floats == values:  # no whole number loses a digit
                return pd.Series(masked(pa.array(floats, pa.float64())), index=index)
    except OverflowError:  # a whole number too large for any of them
        pass
    return pd.Series(values, index=index, dtype="boolean" if kinds == {bool} else "object")


def masked(numbers: pa.Array) -> Any:
    """Numbers of Arrow as pandas' own, Int64 or Float64, which may be missing."""
    missing = numbers.is_null().to_numpy(zero_copy_only=False)
    made = pd.arrays.IntegerArray if pa.types.is_integer(numbers.type) else pd.arrays.FloatingArray
    return made(np.array(numbers.fill_null(0)), missing)
