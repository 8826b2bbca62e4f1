"""Structure: the quotes and brackets of a JSON text, found with NumPy one block at a time, without parsing a value.

Finding them takes linear time and a few times the memory of a block, whatever the text contains: a depth is only a number here.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from tokenvis.spans.integers import Int64Array, Mask

MAX_JSON_DEPTH = 200  # nested brackets; SQLite stores 1,000, and Python's stack is shared with the caller
JSON_BLOCK_BYTES = 1 << 18  # read and scanned at a time; it fits into a processor's cache
QUOTE, BACKSLASH, OPENING_ARRAY, OPENING_OBJECT = b'"\\[{'
LOWER_CASE = 0x20  # makes "{" of "[", and no other character
CLOSING_BIT = 0x04  # "]" and "}" have it, "[" and "{" do not
CLOSING_OF = {OPENING_ARRAY: ord("]"), OPENING_OBJECT: ord("}")}
BLANKS_AND_COMMAS = b" \t\r\n,"
QUOTES_AND_BRACKETS = bytes(code in b'"[]{}' for code in range(256))
QUOTES_AND_COMMAS = bytes(code in b'",' for code in range(256))
LONG_INTEGER_DIGITS = 19  # an integer of as many may not fit into 64 bits
LONG_NUMBER_CHARACTERS = 17  # a number with a fraction of as many may have more digits than a float
BEFORE_A_NUMBER = np.isin(np.arange(256), list(b" \t\r\n:,["))  # by character; or a minus after one of these

Codes: TypeAlias = "np.ndarray[Any, np.dtype[np.uint8]]"


class JsonMarks(NamedTuple):
    """Quotes and brackets outside of strings: position in the block, character, and level, the number of containers around it.

    A bracket's own container is not around it. ``deepest`` is how deep the brackets in the block are nested at most.
    """

    positions: Int64Array
    codes: Codes
    levels: Int64Array
    deepest: int


class StructureScanner:
    """Finds the marks of a text that comes in blocks."""

    def __init__(self) -> None:
        self.depth, self.in_string, self.is_escaped = 0, False, False

    def marks(self, block: bytes, max_level: int) -> JsonMarks:
        """The marks of the next block up to a level."""
        positions, codes, outside = self.candidates(block, QUOTES_AND_BRACKETS)
        is_quote = codes == QUOTE
        step = np.where(is_quote, 0, 1 - ((codes & CLOSING_BIT) >> 1).view(np.int8)) * outside
        rise = np.cumsum(step, dtype=np.int32)
        around = rise - (step > 0)
        kept = np.flatnonzero((around <= max_level - self.depth) & (outside | is_quote))
        levels, deepest = self.depth + around[kept].astype(np.int64), self.depth + int(rise.max(initial=0))
        self.depth += int(rise[-1]) if len(rise) else 0
        return JsonMarks(positions[kept], codes[kept], levels, deepest)

    def n_commas(self, block: bytes) -> int:
        """The number of commas outside of strings in the next block."""
        _, codes, outside = self.candidates(block, QUOTES_AND_COMMAS)
        return int(np.count_nonzero(outside & (codes != QUOTE)))

    def candidates(self, block: bytes, table: bytes) -> tuple[Int64Array, Codes, Mask]:
        """Characters of the next block, quotes among them: their positions and codes, and if no string is open after them."""
        all_codes = np.frombuffer(block, np.uint8)
        positions = np.flatnonzero(np.frombuffer(block.translate(table), np.bool_))
        if self.is_escaped or b"\\" in block:
            positions = self.without_escaped(all_codes, positions)
        codes = all_codes[positions]
        in_string = (np.cumsum(codes == QUOTE, dtype=np.uint8) & 1).view(np.bool_) ^ self.in_string
        if len(positions):
            self.in_string = bool(in_string[-1])
        return positions, codes, ~in_string

    def without_escaped(self, codes: Codes, positions: Int64Array) -> Int64Array:
        """The positions that no backslash escapes: an odd number of backslashes in a row escapes the character that follows."""
        slashes = np.flatnonzero(codes == BACKSLASH)
        first = slashes[np.diff(slashes, prepend=-2) != 1]
        after = slashes[np.diff(slashes, append=len(codes) + 1) != 1] + 1
        is_odd = (after - first) % 2 == 1
        if self.is_escaped:
            if len(first) and first[0] == 0:
                is_odd[0] = not is_odd[0]
            else:
                after, is_odd = np.append(0, after), np.append(True, is_odd)
        escaped = after[is_odd]
        self.is_escaped = bool(len(escaped)) and int(escaped[-1]) == len(codes)
        is_escaped = np.zeros(len(codes) + 1, dtype=np.bool_)
        is_escaped[escaped] = True
        kept: Int64Array = positions[~is_escaped[positions]]
        return kept


def blocks_of(text: bytes) -> Iterator[bytes]:
    """A text in blocks."""
    for first in range(0, len(text), JSON_BLOCK_BYTES):
        yield text[first : first + JSON_BLOCK_BYTES]


def nesting_depth(text: bytes, at_least: int = 0) -> int:
    """How deep brackets outside of strings are nested; 0 if that is certainly not deeper than ``at_least``."""
    if text.count(b"[") + text.count(b"{") <= at_least:
        return 0
    scanner = StructureScanner()
    return max((scanner.marks(block, 0).deepest for block in blocks_of(text)), default=0)


def n_values_about(text: bytes) -> int:
    """The number of values in a JSON text, without empty and only members of containers: its commas outside of strings."""
    scanner = StructureScanner()
    return sum(scanner.n_commas(block) for block in blocks_of(text))


def plain_lines(lines: Sequence[bytes]) -> list[bool]:
    """Which lines `orjson` can parse safely: those with few brackets and without a number of many digits."""
    ends = np.cumsum([len(line) for line in lines])
    codes = np.frombuffer(b"".join(lines), np.uint8)
    opening = np.flatnonzero((codes | LOWER_CASE) == OPENING_OBJECT)
    n_opening = np.diff(np.searchsorted(opening, ends), prepend=0)
    numbers = np.searchsorted(long_numbers(codes, exact=False), ends)
    is_plain: list[bool] = ((n_opening <= MAX_JSON_DEPTH) & (np.diff(numbers, prepend=0) == 0)).tolist()
    return is_plain


def long_numbers(codes: Codes, *, exact: bool) -> Int64Array:
    """Where integers begin that may not fit into 64 bits; if ``exact``, numbers that may not be exact as floats.

    Digits in a text count if they look like a number of JSON, so not those of an id.
    """
    length = LONG_NUMBER_CHARACTERS if exact else LONG_INTEGER_DIGITS
    step = length // 2  # as many digits in a row are at two of the positions that are multiples of it, at least
    sampled = is_digit(codes[::step], exact=exact)
    positions = np.flatnonzero(sampled[:-1] & sampled[1:]) * step
    before = positions[:, np.newaxis] - np.arange(1, step + 1)
    ends_before = ~is_digit(codes[np.maximum(before, 0)], exact=exact) | (before < 0)
    first = positions[ends_before.any(axis=1)] - np.argmax(ends_before[ends_before.any(axis=1)], axis=1)
    inside = np.minimum(first[:, np.newaxis] + np.arange(length), len(codes) - 1)
    is_long = is_digit(codes[inside], exact=exact).all(axis=1) & (first + length <= len(codes))
    first = first[is_long]
    begins: Mask = begins_number(codes, first) | ((codes[first - 1] == ord("-")) & begins_number(codes, first - 1))
    found: Int64Array = first[begins]
    return found


def begins_number(codes: Codes, positions: Int64Array) -> Mask:
    """Mark positions at which a number can begin."""
    begins: Mask = (positions <= 0) | BEFORE_A_NUMBER[codes[positions - 1]]
    return begins


def is_digit(codes: Codes, *, exact: bool) -> Mask:
    """Mark digits; if ``exact``, also the decimal point."""
    marked: Mask = (codes - ord("0")) < 10
    return marked | (codes == ord(".")) if exact else marked
