"""Buffers: columns of texts as Arrow stores them, searched and read without a Python text for each row.

Arrow keeps the UTF-8 bytes of all texts of a chunk in one buffer, and the positions at which they begin. RE2 searches the bytes
for several words at once; a slice of the buffer is a text that can be parsed without a copy.
"""

import re
from collections.abc import Iterable, Iterator
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tokenvis.spans.integers import Int64Array

SLICES_PER_BATCH = 65_536  # positions of slices in memory at once

Texts: TypeAlias = pa.Array | pa.ChunkedArray


def rows_with(texts: Texts, *words: str) -> Int64Array:
    """The rows whose text contains one of these words."""
    if not words or not contain_any(texts, *words):  # several times faster than a search in each text
        return np.empty(0, dtype=np.int64)
    found = pc.match_substring_regex(texts.cast(pa.large_binary()), pattern_of(words))
    rows: Int64Array = pc.indices_nonzero(found).to_numpy().astype(np.int64)
    return rows


def contain_any(texts: Texts, *words: str) -> bool:
    """Whether the bytes of all texts of an array contain one of these words, possibly across the end of a text."""
    pattern = pattern_of(words)
    return any(contains(bytes_of(chunk), pattern) for chunk in chunks_of(texts) if len(chunk) > chunk.null_count)


def bytes_of(texts: pa.Array) -> pa.Buffer:
    """The bytes of all texts of a contiguous array, which may be a slice of a larger one."""
    texts = texts.cast(pa.large_string())
    _, offsets, characters = texts.buffers()
    first, after = np.frombuffer(offsets, dtype=np.int64)[[texts.offset, texts.offset + len(texts)]].tolist()
    return characters.slice(first, after - first)


def pattern_of(words: Iterable[str]) -> bytes:
    """A regular expression for any of these words, for a search in bytes."""
    return b"|".join(re.escape(word.encode(errors="surrogatepass")) for word in words)


def contains(buffer: pa.Buffer, pattern: bytes) -> bool:
    """Whether a buffer contains a match of a regular expression."""
    ends = pa.py_buffer(np.array([0, buffer.size], dtype=np.int64))
    as_one_text = pa.Array.from_buffers(pa.large_binary(), 1, [None, ends, buffer])
    found: bool = pc.match_substring_regex(as_one_text, pattern)[0].as_py()
    return found


def chunks_of(texts: Texts) -> list[pa.Array]:
    """The contiguous parts of an array."""
    chunks: list[pa.Array] = texts.chunks if isinstance(texts, pa.ChunkedArray) else [texts]
    return chunks


def rows_by_chunk(texts: Texts, rows: Int64Array) -> Iterator[tuple[pa.Array, Int64Array]]:
    """The contiguous parts of an array that have any of these rows (sorted), and the positions of the rows in each."""
    first, last = (int(rows[0]), int(rows[-1])) if len(rows) else (0, -1)
    for chunk in chunks_of(texts.slice(first, last + 1 - first)):
        number = int(np.searchsorted(rows, first + len(chunk)))
        if number:
            yield chunk.cast(pa.large_string()), rows[:number] - first
        first, rows = first + len(chunk), rows[number:]


def texts_at(texts: Texts, rows: Int64Array) -> pa.Array:
    """The texts at these rows (sorted), as one contiguous array."""
    return pa.concat_arrays([chunk.take(pa.array(positions)) for chunk, positions in rows_by_chunk(texts, rows)])


def text_slices(texts: Texts, rows: Int64Array) -> Iterator[memoryview | None]:
    """The UTF-8 bytes of the texts at these rows (sorted), without a copy; None for a missing text."""
    for chunk, positions in rows_by_chunk(texts, rows):
        missing = chunk.is_null().to_numpy(zero_copy_only=False)
        offsets = np.frombuffer(chunk.buffers()[1], dtype=np.int64)[chunk.offset :]
        characters = memoryview(chunk.buffers()[2] or b"")
        for first in range(0, len(positions), SLICES_PER_BATCH):
            batch = positions[first : first + SLICES_PER_BATCH]
            bounds = offsets[batch].tolist(), offsets[batch + 1].tolist()
            for begin, end, is_missing in zip(*bounds, missing[batch].tolist(), strict=True):
                yield None if is_missing else characters[begin:end]


def text_sizes(texts: Texts) -> Int64Array:
    """The number of bytes of each text, 0 for a missing text."""
    sizes: Int64Array = pc.binary_length(texts).fill_null(0).to_numpy().astype(np.int64)
    return sizes
