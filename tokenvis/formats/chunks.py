"""Chunks: prepares spans for the writers of all formats.

Spans are written a few thousand at a time, so that a large frame is never fully copied into Python objects. ``data`` is the
JSON text that the store would contain: unchanged, with the frame's ``parent_id`` added.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import orjson
import pandas as pd

from tokenvis.spans.encoding import encoded
from tokenvis.spans.integers import Int64Array
from tokenvis.spans.payload import PAYLOADS_PER_CHUNK
from tokenvis.spans.text import without_surrogates


def export_chunks(spans: pd.DataFrame, rows: Int64Array | None = None) -> Iterator[pd.DataFrame]:
    """The spans in chunks of a few thousand, in the order of the frame or of ``rows``; ``data`` is JSON text or missing."""
    if "data" not in spans.columns:
        spans = spans.assign(data=pd.Series(None, index=spans.index, dtype="str"))
    for first in range(0, len(spans), PAYLOADS_PER_CHUNK):
        last = first + PAYLOADS_PER_CHUNK
        chunk = spans.iloc[first:last] if rows is None else spans.iloc[rows[first:last]]
        yield chunk.assign(data=encoded(chunk))


def chunk_rows(chunk: pd.DataFrame, *columns: str) -> Iterator[tuple[Any, ...]]:
    """The rows of these columns as tuples of Python values; missing values are None."""
    values = [chunk[column].tolist() for column in columns]
    for index, column in enumerate(columns):
        if chunk[column].hasnans:
            values[index] = [value if isinstance(value, str) else None for value in values[index]]
    return zip(*values, strict=True)


def json_fragment(data: str | None) -> orjson.Fragment | None:
    """JSON text as a fragment of other JSON, on one line: line breaks, which strings never contain, become blanks."""
    return None if data is None else orjson.Fragment(data.replace("\r", " ").replace("\n", " "))


def payload_text(payload: Mapping[str, Any], key: str) -> str | None:
    """The text under one of tokenvis' own keys, None if there is none; lone surrogates become U+FFFD."""
    value = payload.get(key)
    return without_surrogates(value) if isinstance(value, str) and value else None
