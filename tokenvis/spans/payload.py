"""The payload: what stands in a span's ``data``.

A JSON object, or nothing. At the top stand tokenvis' own keys (``label``, ``kind``, ``parent_id``, ``links``, ``status``,
``estimated``) and free keys of the writer's; under ``attributes`` stands what a source brought, under OpenTelemetry's names.
A key is taken literally: the dots in ``gen_ai.request.model`` are part of its name.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import orjson
import pandas as pd

from tokenvis.errors import BadSpan, quoted
from tokenvis.spans.integers import Int64Array

CHUNK = 65_536  # rows whose payloads are in memory at once
NOTHING: Mapping[str, Any] = {}


def mentioning(spans: pd.DataFrame, *words: str) -> Int64Array:
    """Rows whose payload has one of these words in it, so may have it as a key; none where the frame has no ``data``."""
    if "data" not in spans.columns:
        return np.empty(0, dtype=np.int64)
    data = spans["data"]
    if data.dtype == object:  # payloads that are no text yet
        return np.flatnonzero(data.notna().to_numpy())
    mention = np.zeros(len(data), dtype=bool)
    for word in words:
        mention |= data.str.contains(word, regex=False, na=False).to_numpy(dtype=bool)
    return np.flatnonzero(mention)


def values_in(spans: pd.DataFrame, key: str) -> tuple[Int64Array, list[Any]]:
    """The rows that have one of tokenvis' own keys, and what stands under it."""
    rows = mentioning(spans, f'"{key}"')
    values = [payload.get(key) for payload in parsed(spans.iloc[rows])] if len(rows) else []
    there = [value is not None for value in values]
    return rows[there], [value for value in values if value is not None]


def parsed(spans: pd.DataFrame) -> Iterator[Mapping[str, Any]]:
    """The payload of each row, an empty one where there is none."""
    loads = orjson.loads
    for position, value in enumerate(spans["data"].tolist()):
        try:
            payload = loads(value) if type(value) is str else None
        except orjson.JSONDecodeError:
            payload = None
        if type(payload) is not dict:
            payload = parsed_with_care(value, spans["id"].iloc[position])
        yield payload


def parsed_with_care(value: Any, span: Any) -> Mapping[str, Any]:
    """One payload; `BadSpan` where it is no JSON object."""
    try:
        return parse(value)
    except (ValueError, RecursionError) as error:
        raise BadSpan(f"data of span {quoted(span)} is not a JSON object: {quoted(value)} ({error}).") from None


def parse(value: Any) -> Mapping[str, Any]:
    """One payload; `ValueError` where it is no JSON object."""
    if isinstance(value, str):
        try:
            value = orjson.loads(value)
        except orjson.JSONDecodeError:
            value = json.loads(value, parse_constant=refuse_constant)
    elif value is None or (pd.api.types.is_scalar(value) and pd.isna(value)):
        return NOTHING
    if not isinstance(value, Mapping):
        raise ValueError(f"it is {type(value).__name__}")
    return value


def refuse_constant(name: str) -> None:
    """Refuse NaN and Infinity, which Python's own parser would take."""
    raise ValueError(f"{name} is not JSON")


def look_up(payload: Mapping[str, Any], key: str) -> Any:
    """A key's value at the top, else under ``attributes``, else None."""
    if key in payload:
        return payload[key]
    attributes = payload.get("attributes")
    return attributes.get(key) if isinstance(attributes, Mapping) else None
