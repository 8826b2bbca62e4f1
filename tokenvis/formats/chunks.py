"""Chunks: what happens to spans on their way into a file, whatever its format.

They go out some thousand at a time, so that a frame of any size is never in memory a second time as Python's own objects, and
with their ``data`` as the JSON text that a database would hold: as it was, with the frame's ``parent_id`` put into it.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import orjson
import pandas as pd

from tokenvis.spans.encoding import encoded
from tokenvis.spans.integers import Int64Array
from tokenvis.spans.payload import CHUNK
from tokenvis.spans.text import without_surrogates


def chunks_of(spans: pd.DataFrame, rows: Int64Array | None = None) -> Iterator[pd.DataFrame]:
    """The spans some thousand at a time, in their own order, or in that of ``rows``; ``data`` is JSON text, or missing."""
    if "data" not in spans.columns:
        spans = spans.assign(data=pd.Series(None, index=spans.index, dtype="str"))
    for first in range(0, len(spans), CHUNK):
        last = first + CHUNK
        chunk = spans.iloc[first:last] if rows is None else spans.iloc[rows[first:last]]
        yield chunk.assign(data=encoded(chunk))


def rows_of(chunk: pd.DataFrame, *columns: str) -> Iterator[tuple[Any, ...]]:
    """The rows of these columns, as Python's own values; a missing one is None."""
    values = [chunk[column].tolist() for column in columns]
    for place, column in enumerate(columns):
        if chunk[column].hasnans:
            values[place] = [value if isinstance(value, str) else None for value in values[place]]
    return zip(*values, strict=True)


def fragment(data: str | None) -> orjson.Fragment | None:
    """JSON text as a part of other JSON, on one line: outside its strings, which hold no line break, one is a blank."""
    return None if data is None else orjson.Fragment(data.replace("\r", " ").replace("\n", " "))


def said(payload: Mapping[str, Any], key: str) -> str | None:
    """The text under one of our own keys, None where there is none; half of a surrogate pair is U+FFFD."""
    value = payload.get(key)
    return without_surrogates(value) if isinstance(value, str) and value else None
