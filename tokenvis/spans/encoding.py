"""Encoding: payloads as the JSON text of a database or a file, including ``parent_id`` from the frame's column."""

import json
from collections.abc import Mapping
from typing import Any

import orjson
import pandas as pd

from tokenvis.spans.parents import parents_of
from tokenvis.spans.payload import no_object, parse, parse_exactly
from tokenvis.spans.text import encodable

COMPACT_SEPARATORS = (",", ":")


def encoded(spans: pd.DataFrame) -> pd.Series:
    """The payload of each row as JSON text, missing if there is none; ``parent_id`` is set from the frame's column."""
    return encoded_and_checked(spans)[0]


def encoded_and_checked(spans: pd.DataFrame) -> tuple[pd.Series, bool]:
    """The payloads as `encoded` returns them, and whether it is known that orjson, a strict parser, reads all of them."""
    data = spans["data"]
    if data.dtype == "str" and are_objects(data) and parents_agree(spans):
        return data, True
    parents = spans["parent_id"].tolist() if "parent_id" in spans else [None] * len(spans)
    texts = []
    for row, (value, parent) in enumerate(zip(data.tolist(), parents, strict=True)):
        try:
            payload = parse(value)
            if isinstance(value, str) and not encodable(value):
                raise ValueError("a lone surrogate cannot be encoded as UTF-8")
            if isinstance(parent, str) and payload.get("parent_id") != parent:
                value = {**parse_exactly(value), "parent_id": parent}
            texts.append(value if isinstance(value, str) else encode(value) if isinstance(value, Mapping) else None)
        except (ValueError, TypeError, RecursionError) as error:
            raise no_object(spans, row, error) from None
    return pd.Series(texts, index=spans.index, dtype="str"), False


def are_objects(texts: pd.Series) -> bool:
    """Whether orjson parses every non-missing text as an object; if not, Python's parser may still accept them all."""
    try:
        return set(map(type, map(orjson.loads, texts.dropna().tolist()))) <= {dict}
    except orjson.JSONDecodeError:
        return False


def parents_agree(spans: pd.DataFrame) -> bool:
    """Whether the payloads have the same parents as the frame's column ``parent_id``, if it has one."""
    if "parent_id" not in spans or not spans["parent_id"].notna().any():
        return True
    in_payload = parents_of(spans["data"])
    in_column = spans["parent_id"]
    return in_payload is not None and bool((in_column.isna() | (in_column == in_payload)).all())


def encode(payload: Mapping[str, Any]) -> str:
    """A payload as JSON text; `ValueError` or `TypeError` for NaN and for values that JSON cannot represent."""
    text = json.dumps(dict(payload), ensure_ascii=False, allow_nan=False, separators=COMPACT_SEPARATORS)
    return text if encodable(text) else json.dumps(dict(payload), allow_nan=False, separators=COMPACT_SEPARATORS)
