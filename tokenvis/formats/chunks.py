"""Chunks: prepares spans for the writers of all formats.

Spans are written a few thousand at a time, fewer if their data is large, so that only some megabytes of a frame are Python
objects at once. ``data`` is the JSON text that the store would contain: unchanged, with the frame's ``parent_id`` added; or
redacted.
"""

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import orjson
import pandas as pd

from tokenvis.errors import BadSpan
from tokenvis.formats.files.structure import nesting_depth
from tokenvis.spans.bad_rows import span_at
from tokenvis.spans.buffers import text_sizes
from tokenvis.spans.encoding import encoded_and_checked
from tokenvis.spans.integers import Int64Array, Mask
from tokenvis.spans.payload import CHUNK_BYTES, PAYLOADS_PER_CHUNK, stored_texts
from tokenvis.spans.redaction import Redactor, redacted_data
from tokenvis.spans.text import without_surrogates

ROWS_PER_CHUNK = 8_192
MAX_EXPORTED_DEPTH = 900  # of brackets in data: SQLite stores 1,000, and Python's parser reads about as many
MAX_PORTABLE_DEPTH = 150  # of data within a document, in which it is a few levels deep


def export_chunks(
    spans: pd.DataFrame,
    redactor: Redactor | None = None,
    *,
    rows: Int64Array | None = None,
    rows_per_chunk: int = ROWS_PER_CHUNK,
) -> Iterator[pd.DataFrame]:
    """The spans in chunks, in the order of the frame or of ``rows``; ``data`` is JSON text or missing.

    A column ``is_portable`` marks data that any JSON parser reads as it is, also within a document.

    `BadSpan` if a payload is not a JSON object, or is nested so deep that no format could be read back.
    """
    if "data" not in spans.columns:
        spans = spans.assign(data=pd.Series(None, index=spans.index, dtype="str"))
    texts = stored_texts(spans["data"])
    sizes = np.zeros(len(spans), dtype=np.int64) if texts is None else text_sizes(texts)
    for first, last in chunk_bounds(sizes if rows is None else sizes[rows], min(rows_per_chunk, PAYLOADS_PER_CHUNK)):
        chunk = spans.iloc[first:last] if rows is None else spans.iloc[rows[first:last]]
        data, is_checked = encoded_and_checked(chunk)
        chunk = chunk.assign(data=data)
        deep = deep_rows(chunk)
        if redactor is not None:
            chunk, is_checked = chunk.assign(data=redacted_data(chunk, redactor)), False
        yield chunk.assign(is_portable=portable_rows(chunk["data"], deep, is_checked=is_checked))


def chunk_bounds(sizes: Int64Array, max_rows: int) -> Iterator[tuple[int, int]]:
    """The first row of each chunk, and the row after its last: chunks of limited numbers of rows and bytes."""
    for first in range(0, len(sizes), max_rows):
        of_rows = sizes[first : first + max_rows]
        before = np.cumsum(of_rows) - of_rows
        firsts = first + np.flatnonzero(np.append(True, np.diff(before // CHUNK_BYTES) > 0))
        yield from pairwise([*firsts.tolist(), first + len(of_rows)])


def deep_rows(chunk: pd.DataFrame) -> list[int]:
    """The rows with data that is nested too deep for a document; `BadSpan` if it is too deep for every reader."""
    rows = []
    for row, text in enumerate(chunk["data"].tolist()):
        depth = nesting_depth(text.encode(), MAX_PORTABLE_DEPTH) if isinstance(text, str) else 0
        if depth > MAX_PORTABLE_DEPTH:
            rows.append(row)
        if depth > MAX_EXPORTED_DEPTH:
            raise BadSpan(
                f"data of span {span_at(chunk, row)} is nested {depth:,} levels deep; a file may have at most "
                f"{MAX_EXPORTED_DEPTH:,}, in any format. Flatten it."
            )
    return rows


def portable_rows(data: pd.Series, deep: list[int], *, is_checked: bool) -> Mask:
    """Mark the rows whose data every JSON parser reads as it is, within a document; ``is_checked`` if orjson has read it."""
    is_portable = np.array([True] * len(data) if is_checked else [is_strict_json(text) for text in data.tolist()], dtype=bool)
    is_portable[deep] = False
    return is_portable


def is_strict_json(text: str | float | None) -> bool:
    """Whether orjson parses a JSON text: it refuses numbers beyond a double, and halves of surrogate pairs."""
    try:
        return not isinstance(text, str) or orjson.loads(text) is not None
    except orjson.JSONDecodeError:
        return False


def chunk_rows(chunk: pd.DataFrame, *columns: str) -> Iterator[tuple[Any, ...]]:
    """The rows of these columns as tuples of Python values; missing values are None."""
    values = [chunk[column].tolist() for column in columns]
    for index, column in enumerate(columns):
        if chunk[column].hasnans:
            values[index] = [value if isinstance(value, str) else None for value in values[index]]
    return zip(*values, strict=True)


def data_in_json(chunk: pd.DataFrame) -> Iterator[orjson.Fragment | str | None]:
    """The data of each row as a value in other JSON: an object on one line, or null.

    JSON that another parser would change or refuse stays a string: numbers beyond a double, halves of surrogate pairs, and
    objects nested too deep for a document.
    """
    for data, is_portable in chunk_rows(chunk, "data", "is_portable"):
        yield json_fragment(data) if is_portable else data


def json_fragment(data: str | None) -> orjson.Fragment | None:
    """JSON text as a fragment of other JSON, on one line: line breaks, which strings never contain, become blanks."""
    return None if data is None else orjson.Fragment(data.replace("\r", " ").replace("\n", " "))


def payload_text(payload: Mapping[str, Any], key: str) -> str | None:
    """The text under one of tokenvis' own keys, None if there is none; lone surrogates become U+FFFD."""
    value = payload.get(key)
    return without_surrogates(value) if isinstance(value, str) and value else None
