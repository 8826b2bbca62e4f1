"""Encoding: payloads as the JSON text that a database or a file holds, with the frame's own ``parent_id`` in it."""

import json
from collections.abc import Mapping
from typing import Any

import orjson
import pandas as pd

from tokenvis.errors import BadSpan, quoted
from tokenvis.spans.parents import parents_of
from tokenvis.spans.payload import parse
from tokenvis.spans.text import encodable

COMPACT = (",", ":")


def encoded(spans: pd.DataFrame) -> pd.Series:
    """The payload of each row as JSON text, missing where there is none, with the frame's own ``parent_id`` put into it."""
    data = spans["data"]
    if data.dtype == "str" and are_objects(data) and parents_agree(spans):
        return data
    parents = spans["parent_id"].tolist() if "parent_id" in spans else [None] * len(spans)
    texts = []
    for span, value, parent in zip(spans["id"].tolist(), data.tolist(), parents, strict=True):
        try:
            payload = parse(value)
            if isinstance(value, str) and not encodable(value):
                raise ValueError("half of a surrogate pair cannot be written as UTF-8")
            if isinstance(parent, str) and payload.get("parent_id") != parent:
                exact = json.loads(value) if isinstance(value, str) else payload  # with every digit
                value = {**exact, "parent_id": parent}
            texts.append(value if isinstance(value, str) else encode(value) if isinstance(value, Mapping) else None)
        except (ValueError, TypeError, RecursionError) as error:
            raise BadSpan(f"data of span {quoted(span)} is not a JSON object: {quoted(value)} ({error}).") from None
    return pd.Series(texts, index=spans.index, dtype="str")


def are_objects(texts: pd.Series) -> bool:
    """Whether all texts that are there are JSON objects, as far as the fastest parser takes them; the others may be still."""
    try:
        return set(map(type, map(orjson.loads, texts.dropna().tolist()))) <= {dict}
    except orjson.JSONDecodeError:
        return False


def parents_agree(spans: pd.DataFrame) -> bool:
    """Whether the payloads name the parents that the frame's own column names, if it has one."""
    if "parent_id" not in spans or not spans["parent_id"].notna().any():
        return True
    named = parents_of(spans["data"])
    own = spans["parent_id"]
    return named is not None and bool((own.isna() | (own == named)).all())


def encode(payload: Mapping[str, Any]) -> str:
    """A payload as JSON text; NaN and what JSON has no form for are a `ValueError` or a `TypeError`."""
    text = json.dumps(dict(payload), ensure_ascii=False, allow_nan=False, separators=COMPACT)
    return text if encodable(text) else json.dumps(dict(payload), allow_nan=False, separators=COMPACT)
