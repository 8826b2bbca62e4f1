"""The payload: the JSON object in a span's ``data``, or nothing.

The top level has the keys of tokenvis (``label``, ``kind``, ``parent_id``, ``links``, ``status``, ``estimated``), among them
``requested_by``, the id of the model call that asked for a call, or a list of ids; ``waits_for``, whom the span waits for;
``waits_for_kind``, whether that is an "agent" or a "person"; ``detached``, whether no agent waits for the span; ``span_kind``,
"producer" or "consumer"; and ``task``, what an agent was told to do, on its first span. A writer may add any keys.
``attributes`` has the values from the source, under OpenTelemetry's names. Keys are literal: the dots in
``gen_ai.request.model`` are part of the name.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import orjson
import pandas as pd
import pyarrow as pa

from tokenvis.errors import BadSpan, quoted
from tokenvis.spans.bad_rows import span_at
from tokenvis.spans.buffers import Texts, rows_with, text_sizes, text_slices, texts_at
from tokenvis.spans.integers import NO_ROWS, Int64Array
from tokenvis.spans.json_columns import values_in_texts

PAYLOADS_PER_CHUNK = 65_536  # parsed payloads in memory at once
FIRST_PAYLOADS = 2_048  # parsed one by one, which shows the types of the values
CHUNK_BYTES = 1 << 25
EMPTY_PAYLOAD: Mapping[str, Any] = {}
MAX_DIGITS = 4_300  # of an integer: Python reads no more by default
LONG_NUMBER = re.compile("[0-9]{19}")  # it may not fit into 64 bits: orjson would round it


def rows_containing(spans: pd.DataFrame, *words: str) -> Int64Array:
    """Rows whose payload contains one of these words, so may have it as a key; none if the frame has no ``data``."""
    if "data" not in spans.columns:
        return np.empty(0, dtype=np.int64)
    data = spans["data"]
    if data.dtype == object:  # payloads that are not text
        return np.flatnonzero(data.notna().to_numpy())
    if not isinstance(data.dtype, pd.StringDtype):
        data = data.astype("str")  # of a Categorical, or of a column of NaN
    return rows_with(pa.array(data.array), *words)


def chunks_of_rows(spans: pd.DataFrame, rows: Int64Array) -> list[Int64Array]:
    """The rows as chunks of a limited size: a small one, then others of limited numbers of rows and bytes."""
    if not len(rows):
        return []
    texts = stored_texts(spans["data"])
    sizes = np.zeros(len(rows), dtype=np.int64) if texts is None else text_sizes(texts)[rows]
    number = np.cumsum(sizes + CHUNK_BYTES // PAYLOADS_PER_CHUNK) // CHUNK_BYTES
    number[FIRST_PAYLOADS:] += 1
    return np.split(rows, np.flatnonzero(np.diff(number)) + 1)


def values_in(spans: pd.DataFrame, *keys: str, among: Int64Array | None = None) -> dict[str, tuple[Int64Array, list[Any]]]:
    """For each key, the rows whose payload has it at the top level, and its values; of all rows, or of those in ``among``.

    A payload is parsed once for all keys. If all values of a chunk are texts, Arrow reads the next one if it can.
    """
    rows = rows_containing(spans, *(f'"{key}"' for key in keys))
    if among is not None:
        rows = rows[np.isin(rows, among, assume_unique=True, kind="table")] if len(rows) else rows
    found: dict[str, tuple[list[Int64Array], list[Any]]] = {key: ([NO_ROWS], []) for key in keys}
    are_texts = False
    for chunk in chunks_of_rows(spans, rows):
        columns = text_values(spans, keys, chunk) if are_texts else None
        columns = parsed_values(spans, keys, chunk) if columns is None else columns
        are_texts = {type(value) for values in columns.values() for value in values} <= {str, type(None)}
        for key, values in columns.items():
            found[key][0].append(chunk[[value is not None for value in values]])
            found[key][1].extend(value for value in values if value is not None)
    return {key: (np.concatenate(rows_of_key), values) for key, (rows_of_key, values) in found.items()}


def text_values(spans: pd.DataFrame, keys: Iterable[str], rows: Int64Array) -> dict[str, list[Any]] | None:
    """The result of `parsed_values`, read by Arrow; None if that cannot be done."""
    texts = stored_texts(spans["data"])
    return None if texts is None else values_in_texts(texts_at(texts, rows), keys)


def parsed_values(spans: pd.DataFrame, keys: Iterable[str], rows: Int64Array) -> dict[str, list[Any]]:
    """The value of each key at the top level of the payloads in these rows, or None."""
    values: dict[str, list[Any]] = {key: [] for key in keys}
    appenders = [(key, of_key.append) for key, of_key in values.items()]
    for payload in parsed_payloads(spans, rows):
        for key, append in appenders:
            append(payload.get(key))
    return values


def parsed_payloads(spans: pd.DataFrame, rows: Int64Array | None = None) -> Iterator[Mapping[str, Any]]:
    """The payload of each row, or of each of ``rows`` (sorted), an empty mapping if there is none."""
    data, loads = spans["data"], orjson.loads
    rows = np.arange(len(spans)) if rows is None else rows
    texts = stored_texts(data)
    values = data.iloc[rows].tolist() if texts is None else text_slices(texts, rows)
    text_type = str if texts is None else memoryview
    for position, value in enumerate(values):
        try:
            payload = loads(value) if type(value) is text_type else value
        except orjson.JSONDecodeError:
            payload = None
        if type(payload) is not dict:
            row = int(rows[position])
            payload = EMPTY_PAYLOAD if value is None else parse_or_raise(spans, row)
        yield payload


def stored_texts(data: pd.Series) -> Texts | None:
    """A column of texts as Arrow stores it; None for columns of other types."""
    is_stored_by_arrow = isinstance(data.dtype, pd.StringDtype) and data.dtype.storage == "pyarrow"
    return pa.array(data.array) if is_stored_by_arrow else None


def parse_or_raise(spans: pd.DataFrame, row: int) -> Mapping[str, Any]:
    """The payload in a row; `BadSpan` if it is not a JSON object."""
    try:
        return parse(spans["data"].iloc[row])
    except (ValueError, RecursionError) as error:
        raise no_object(spans, row, error) from None


def no_object(spans: pd.DataFrame, row: int, reason: Exception) -> BadSpan:
    """The error for a row whose ``data`` is not a JSON object."""
    value = quoted(spans["data"].iloc[row])
    return BadSpan(f"data of span {span_at(spans, row)} is not a JSON object: {value} ({reason}).")


def parse(value: Any) -> Mapping[str, Any]:
    """One payload; `ValueError` if it is not a JSON object."""
    if isinstance(value, str):
        try:
            value = orjson.loads(value)
        except orjson.JSONDecodeError:
            value = json.loads(value, parse_int=exact_integer, parse_constant=refuse_constant)
    elif value is None or (pd.api.types.is_scalar(value) and pd.isna(value)):
        return EMPTY_PAYLOAD
    if not isinstance(value, Mapping):
        raise ValueError(f"it is of type {type(value).__name__}")
    return value


def parse_exactly(value: Any) -> Mapping[str, Any]:
    """One payload with all digits of its integers, of which `parse` makes floats if they need more than 64 bits."""
    payload = parse(value)
    return json.loads(value) if isinstance(value, str) and LONG_NUMBER.search(value) else payload


def exact_integer(digits: str) -> int:
    """An integer of JSON; `ValueError` if it has too many digits."""
    n_digits = len(digits.removeprefix("-"))
    if n_digits > MAX_DIGITS:
        raise ValueError(f"it has an integer of {n_digits:,} digits; at most {MAX_DIGITS:,} are read")
    return int(digits)


def refuse_constant(name: str) -> None:
    """Refuse NaN and Infinity, which Python's own parser accepts."""
    raise ValueError(f"{name} is not JSON")


def look_up(payload: Mapping[str, Any], key: str) -> Any:
    """A key's value at the top level, else under ``attributes``, else None."""
    if key in payload:
        return payload[key]
    attributes = payload.get("attributes")
    return attributes.get(key) if isinstance(attributes, Mapping) else None
