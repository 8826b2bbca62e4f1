"""JSON columns: the values of some keys of many JSON texts, read by Arrow on all cores, without Python objects.

Arrow's reader takes the types of the wanted keys, and skips all other values. It accepts more than JSON, and cannot tell a null
from a missing key. So texts that `is_unusual` finds, and values of other types, are left to the parser of `payload`.
"""

import re
from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json

from tokenvis.spans.buffers import contains
from tokenvis.spans.integers import Int64Array

BLOCK_BYTES = 1 << 20  # read by one core at a time
MAX_TEXT_BYTES = 1 << 25
MAX_BRACKETS = 1_000  # a text with more may be nested too deeply for `payload`
LIMIT = 2.0**63  # of floats: a larger number may be an integer that does not fit into 64 bits
INT64, FLOAT64 = pa.int64(), pa.float64()


def numbers_in_texts(texts: pa.Array, types: dict[str, pa.DataType]) -> dict[str, pa.Array] | None:
    """The numbers under each key, at the top level or else under ``attributes``; null if a text has none.

    ``types`` are `INT64` or `FLOAT64`. The result is None if the texts have to be parsed one by one.
    """
    is_readable = "attributes" not in types and all(map(is_plain, types))
    table = table_of_texts(texts, {**types, "attributes": pa.struct(list(types.items()))}) if is_readable else None
    if table is None:
        return None
    below = table.column(len(types))
    columns = [pc.coalesce(table.column(n), pc.struct_field(below, [n])).combine_chunks() for n in range(len(types))]
    return None if any(map(is_ambiguous, columns)) else dict(zip(types, columns, strict=True))


def lists_in_texts(texts: pa.Array, key: str) -> pa.Array | None:
    """The list of texts under a key at the top level; null if there is none.

    The result is None if the texts have to be parsed one by one, or a value is not a list of texts.
    """
    table = table_of_texts(texts, {key: pa.list_(pa.large_string())}) if is_plain(key) else None
    lists = None if table is None else table.column(0).combine_chunks()
    return lists if lists is not None and not pc.list_flatten(lists).null_count else None


def values_in_texts(texts: pa.Array, keys: Iterable[str]) -> dict[str, list[str | None]] | None:
    """The text under each key at the top level, or None if there is none, for each of these JSON texts.

    The result is None if the JSON texts have to be parsed one by one, or a value is not a text.
    """
    keys = list(keys)
    table = table_of_texts(texts, dict.fromkeys(keys, pa.large_string())) if all(map(is_plain, keys)) else None
    if table is None:
        return None
    found = {}
    for key, column in zip(keys, table.columns, strict=True):
        encoded = column.combine_chunks().dictionary_encode()
        names = np.array([*encoded.dictionary.to_pylist(), None], dtype=object)
        found[key] = names[encoded.indices.fill_null(len(names) - 1).to_numpy()].tolist()
    return found


def table_of_texts(texts: pa.Array, types: dict[str, pa.DataType]) -> pa.Table | None:
    """The wanted keys of texts, each of them one object; None if Arrow cannot read them as `payload` does."""
    lines = pc.binary_join_element_wise(texts, *(pa.scalar(text, texts.type) for text in ("", "\n")))
    ends = np.frombuffer(lines.buffers()[1], dtype=np.int64)[: len(lines) + 1]
    characters = lines.buffers()[2].slice(0, int(ends[-1]))
    if is_unusual(characters, ends, types):
        return None
    try:
        table = pyarrow.json.read_json(
            pa.BufferReader(characters),
            pyarrow.json.ReadOptions(block_size=max(BLOCK_BYTES, 2 * int(np.diff(ends).max()))),
            pyarrow.json.ParseOptions(explicit_schema=pa.schema(list(types.items())), unexpected_field_behavior="ignore"),
        )
    except pa.ArrowInvalid:
        return None
    return table if len(table) == len(texts) else None


def is_plain(key: str) -> bool:
    """Whether a key is written in only one way, unless its characters are escaped as numbers."""
    return key.isascii() and key.isprintable() and not set(key) & set('"\\/')


def is_unusual(characters: pa.Buffer, ends: Int64Array, keys: Iterable[str]) -> bool:
    """Whether Arrow may read one of these lines otherwise than `payload` does.

    A "}" before a line's end and a "{" after it make sure that no object continues in the next line. A zero byte ends the text.
    A null at the top hides the value under ``attributes``; its key may be written with escaped characters.
    """
    codes, size = np.frombuffer(characters, dtype=np.uint8), np.diff(ends)
    if size.min() < len("{}\n") or size.max() > MAX_TEXT_BYTES:
        return True
    if (codes[ends[:-1]] != ord("{")).any() or (codes[ends[1:] - 2] != ord("}")).any() or contains(characters, rb"\x00"):
        return True
    if any(contains(characters, word) for word in (b"NaN", b"Inf")) and contains(characters, rb"[:,\[]\s*-?(?:NaN|Inf)"):
        return True
    hidden = rb'"(?:%s)"\s*:\s*null|\\u00[2-7]' % b"|".join(re.escape(key).encode() for key in keys)
    if contains(characters, rb":\s*null") and contains(characters, hidden):
        return True
    return bool(size.max() > 2 * MAX_BRACKETS) and most_brackets(codes, ends) > MAX_BRACKETS


def most_brackets(codes: "np.ndarray[tuple[int], np.dtype[np.uint8]]", ends: Int64Array) -> int:
    """The highest number of opening brackets in a line."""
    brackets = np.flatnonzero((codes | 0x20) == ord("{"))  # this bit makes "[" a "{"
    return int(np.diff(np.searchsorted(brackets, ends)).max())


def is_ambiguous(numbers: pa.Array) -> bool:
    """Whether floats may be integers that are no floats for `payload`: those beyond 64 bits, and -0."""
    if numbers.type == INT64:
        return False
    floats = numbers.fill_null(1).to_numpy()
    return bool((np.abs(floats) >= LIMIT).any() or (np.signbit(floats) & (floats == 0)).any())
