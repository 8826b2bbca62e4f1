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
import pyarrow as pa
import pyarrow.compute as pc

from tokenvis.errors import BadSpan, quoted
from tokenvis.spans.buffers import text_sizes
from tokenvis.spans.columns import arrow_texts
from tokenvis.spans.encoding import encoded
from tokenvis.spans.integers import Int64Array
from tokenvis.spans.payload import CHUNK_BYTES, MAX_LEVELS, PAYLOADS_PER_CHUNK, is_deeper, levels_of, stored_texts
from tokenvis.spans.redaction import Redactor, redacted_data
from tokenvis.spans.text import without_surrogates

ROWS_PER_CHUNK = 8_192
MAX_NESTED_LEVELS = 150  # of data within a document, in which it is a few levels deep
UNUSUAL_JSON = r"\\u[dD][89a-fA-F]|[0-9]{300}|[eE]\+?0*[0-9]{3}"  # may be half of a character, or beyond a double


def export_chunks(
    spans: pd.DataFrame,
    redactor: Redactor | None = None,
    *,
    rows: Int64Array | None = None,
    rows_per_chunk: int = ROWS_PER_CHUNK,
) -> Iterator[pd.DataFrame]:
    """The spans in chunks, in the order of the frame or of ``rows``; ``data`` is JSON text or missing.

    `BadSpan` if a payload is not a JSON object, or is nested so deep that no format could be read back.
    """
    if "data" not in spans.columns:
        spans = spans.assign(data=pd.Series(None, index=spans.index, dtype="str"))
    texts = stored_texts(spans["data"])
    sizes = np.zeros(len(spans), dtype=np.int64) if texts is None else text_sizes(texts)
    for first, last in chunk_bounds(sizes if rows is None else sizes[rows], min(rows_per_chunk, PAYLOADS_PER_CHUNK)):
        chunk = spans.iloc[first:last] if rows is None else spans.iloc[rows[first:last]]
        chunk = chunk.assign(data=encoded(chunk))
        check_levels(chunk)
        yield chunk if redactor is None else chunk.assign(data=redacted_data(chunk, redactor))


def chunk_bounds(sizes: Int64Array, max_rows: int) -> Iterator[tuple[int, int]]:
    """The first row of each chunk, and the row after its last: chunks of limited numbers of rows and bytes."""
    for first in range(0, len(sizes), max_rows):
        of_rows = sizes[first : first + max_rows]
        before = np.cumsum(of_rows) - of_rows
        firsts = first + np.flatnonzero(np.append(True, np.diff(before // CHUNK_BYTES) > 0))
        yield from pairwise([*firsts.tolist(), first + len(of_rows)])


def check_levels(chunk: pd.DataFrame) -> None:
    """Raise `BadSpan` for data that is nested deeper than any reader accepts."""
    for row in rows_with_brackets(arrow_texts(chunk["data"].array), MAX_LEVELS):
        levels = levels_of(chunk["data"].iloc[row])
        if levels > MAX_LEVELS:
            raise BadSpan(
                f"data of span {quoted(chunk['id'].iloc[row])} is nested {levels:,} levels deep; a file may have at most "
                f"{MAX_LEVELS:,}, in any format. Flatten it."
            )


def rows_with_brackets(texts: pa.Array, count: int) -> list[int]:
    """The rows whose JSON text opens more than so many brackets, so may be nested deeper."""
    brackets = pc.add(pc.count_substring(texts, "{"), pc.count_substring(texts, "["))
    rows: list[int] = pc.indices_nonzero(pc.greater(brackets, count).fill_null(False)).to_pylist()
    return rows


def chunk_rows(chunk: pd.DataFrame, *columns: str) -> Iterator[tuple[Any, ...]]:
    """The rows of these columns as tuples of Python values; missing values are None."""
    values = [chunk[column].tolist() for column in columns]
    for index, column in enumerate(columns):
        if chunk[column].hasnans:
            values[index] = [value if isinstance(value, str) else None for value in values[index]]
    return zip(*values, strict=True)


def data_in_json(chunk: pd.DataFrame) -> list[orjson.Fragment | str | None]:
    """The data of each row as a value in other JSON: an object on one line, or null.

    JSON that another parser would change or refuse stays a string: numbers beyond a double, halves of surrogate pairs, and
    objects nested too deep for a document.
    """
    values: list[Any] = [json_fragment(data) for (data,) in chunk_rows(chunk, "data")]
    texts = arrow_texts(chunk["data"].array)
    unusual = pc.indices_nonzero(pc.match_substring_regex(texts, UNUSUAL_JSON).fill_null(False)).to_pylist()
    for row in {*unusual, *rows_with_brackets(texts, MAX_NESTED_LEVELS)}:
        text = texts[row].as_py()
        if not is_portable(text):
            values[row] = text
    return values


def is_portable(text: str) -> bool:
    """Whether every JSON parser reads this text as it is, a few levels deep in a document."""
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return not is_deeper(text, MAX_NESTED_LEVELS)


def json_fragment(data: str | None) -> orjson.Fragment | None:
    """JSON text as a fragment of other JSON, on one line: line breaks, which strings never contain, become blanks."""
    return None if data is None else orjson.Fragment(data.replace("\r", " ").replace("\n", " "))


def payload_text(payload: Mapping[str, Any], key: str) -> str | None:
    """The text under one of tokenvis' own keys, None if there is none; lone surrogates become U+FFFD."""
    value = payload.get(key)
    return without_surrogates(value) if isinstance(value, str) and value else None
