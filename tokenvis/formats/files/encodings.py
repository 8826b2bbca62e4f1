"""Encodings: whether a text that is not UTF-8 is in Windows-1252, the old encoding of Western Europe with Latin-1 in it.

It is if no bytes of it are a character of UTF-8 beyond ASCII, and each is a character of Windows-1252 that texts contain. Else
it is UTF-8 that is damaged. Accented letters of Windows-1252 are hardly ever in an order that is also valid UTF-8.
"""

import codecs
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Literal, TypeAlias

ENCODING_BLOCK_BYTES = 1 << 20
INVALID_UTF8 = "invalid UTF-8 was replaced by U+FFFD"
READ_AS_LATIN = "is not UTF-8; it was read as Windows-1252, which contains Latin-1"
WIDE_CHARACTER = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")
CUT_CHARACTER = re.compile(rb"(?:[\xc2-\xf4]|[\xe0-\xf4][\x80-\xbf]|[\xf0-\xf4][\x80-\xbf]{2})\Z")
NOT_LATIN = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f\x81\x8d\x8f\x90\x9d\xfe\xff]")
MAX_CHARACTER_BYTES = 4
Encoding: TypeAlias = Literal["utf-8", "damaged utf-8", "cp1252"]


def file_encoding(path: Path) -> Encoding:
    """The encoding of a text file without a byte-order mark of UTF-16 or UTF-32."""
    with path.open("rb") as file:
        return encoding_of(iter(lambda: file.read(ENCODING_BLOCK_BYTES), b""))


def encoding_of(blocks: Iterable[bytes]) -> Encoding:
    """The encoding of a text that comes in blocks; a character that is cut at its end does not count."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    is_valid, is_latin = True, True
    end = b""
    for block in blocks:
        if block.isascii() and not decoder.getstate()[0]:
            end = b""
            continue
        text = end + block
        is_latin = is_latin and not WIDE_CHARACTER.search(text) and not NOT_LATIN.search(text)
        if is_valid:
            is_valid = all_valid(decoder, block)
        if not is_valid and not is_latin:
            return "damaged utf-8"
        end = text[1 - MAX_CHARACTER_BYTES :]
    if is_valid:
        return "damaged utf-8" if CUT_CHARACTER.search(end) else "utf-8"
    return "cp1252" if is_latin else "damaged utf-8"


def all_valid(decoder: codecs.IncrementalDecoder, block: bytes) -> bool:
    """Whether the next block is valid; the decoder must not be used again if it is not."""
    try:
        decoder.decode(block)
    except UnicodeDecodeError:
        decoder.reset()
        return False
    return True
