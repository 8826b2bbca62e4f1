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
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import orjson
import pandas as pd
import pyarrow as pa

from tokenvis.errors import BadSpan, quoted
from tokenvis.spans.integers import Int64Array

PAYLOADS_PER_CHUNK = 65_536  # parsed payloads in memory at once
EMPTY_PAYLOAD: Mapping[str, Any] = {}


def rows_containing(spans: pd.DataFrame, *words: str) -> Int64Array:
    """Rows whose payload contains one of these words, so may have it as a key; none if the frame has no ``data``."""
    if "data" not in spans.columns:
        return np.empty(0, dtype=np.int64)
    data = spans["data"]
    if data.dtype == object:  # payloads that are not text
        return np.flatnonzero(data.notna().to_numpy())
    if not isinstance(data.dtype, pd.StringDtype):
        data = data.astype("str")  # of a Categorical, or of a column of NaN
    mentioned, texts = np.zeros(len(data), dtype=bool), pa.array(data.array)
    for word in words:
        if buffers_contain(texts, word.encode(errors="surrogatepass")):  # several times faster than a search in each text
            mentioned |= data.str.contains(word, regex=False, na=False).to_numpy(dtype=bool)
    return np.flatnonzero(mentioned)


def buffers_contain(texts: pa.Array | pa.ChunkedArray, word: bytes) -> bool:
    """Whether the character buffers of an array contain a word, possibly outside the slice that the array covers."""
    buffers = [part.buffers()[2] for part in (texts.chunks if isinstance(texts, pa.ChunkedArray) else [texts])]
    return any(re.search(re.escape(word), buffer) for buffer in buffers if buffer is not None)


def values_in(spans: pd.DataFrame, key: str) -> tuple[Int64Array, list[Any]]:
    """The rows whose payload has a top-level key, and its values."""
    rows = rows_containing(spans, f'"{key}"')
    values = [payload.get(key) for payload in parsed_payloads(spans.iloc[rows])] if len(rows) else []
    present = [value is not None for value in values]
    return rows[present], [value for value in values if value is not None]


def parsed_payloads(spans: pd.DataFrame) -> Iterator[Mapping[str, Any]]:
    """The payload of each row, an empty mapping if there is none."""
    loads = orjson.loads
    for position, value in enumerate(spans["data"].tolist()):
        try:
            payload = loads(value) if type(value) is str else None
        except orjson.JSONDecodeError:
            payload = None
        if type(payload) is not dict:
            payload = parse_or_raise(value, spans["id"].iloc[position])
        yield payload


def parse_or_raise(value: Any, span: Any) -> Mapping[str, Any]:
    """One payload; `BadSpan` if it is not a JSON object."""
    try:
        return parse(value)
    except (ValueError, RecursionError) as error:
        raise BadSpan(f"data of span {quoted(span)} is not a JSON object: {quoted(value)} ({error}).") from None


def parse(value: Any) -> Mapping[str, Any]:
    """One payload; `ValueError` if it is not a JSON object."""
    if isinstance(value, str):
        try:
            value = orjson.loads(value)
        except orjson.JSONDecodeError:
            value = json.loads(value, parse_constant=refuse_constant)
    elif value is None or (pd.api.types.is_scalar(value) and pd.isna(value)):
        return EMPTY_PAYLOAD
    if not isinstance(value, Mapping):
        raise ValueError(f"it is of type {type(value).__name__}")
    return value


def refuse_constant(name: str) -> None:
    """Refuse NaN and Infinity, which Python's own parser accepts."""
    raise ValueError(f"{name} is not JSON")


def look_up(payload: Mapping[str, Any], key: str) -> Any:
    """A key's value at the top level, else under ``attributes``, else None."""
    if key in payload:
        return payload[key]
    attributes = payload.get("attributes")
    return attributes.get(key) if isinstance(attributes, Mapping) else None
