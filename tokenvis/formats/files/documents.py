"""Documents: the values of a JSON document one by one, whatever its size; a damaged one as far as it can be read."""

import codecs
import json
import re
from collections.abc import Callable, Iterator
from itertools import islice
from typing import IO, Any

import ijson

from tokenvis.formats.files.lenient_json import NO_UTF8
from tokenvis.formats.files.lines import BOM, LONGEST_LINE, PIECE
from tokenvis.formats.files.reading import Reading
from tokenvis.formats.files.sources import Source
from tokenvis.spans.text import REPLACEMENT

REST_OF_STRING = re.compile(r'[^"\\]*(?:\\.[^"\\]*)*', re.DOTALL)
OUTSIDE = re.compile(rf'"{REST_OF_STRING.pattern}(?P<closed>"?)|-?(?:NaN|Infinity)', re.DOTALL)
PARSING: dict[str, Any] = {"multiple_values": True, "buf_size": PIECE}
WORD = re.compile(r"-?[A-Za-z]*\Z")


class Bytes:
    """A file as the parser of documents reads it: without a byte-order mark, counted, and mended where that was asked for."""

    def __init__(self, source: Source, file: IO[bytes], *, mend: bool) -> None:
        self.source, self.file, self.mend = source, file, mend
        self.position, self.kept, self.in_string = 0, "", False
        self.decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self.mended: set[str] = set()

    def read(self, size: int) -> bytes:
        """The next bytes, none at the end."""
        while size:
            piece = self.file.read(PIECE)
            text = piece if self.position else piece.removeprefix(BOM)
            self.position += len(piece)
            self.source.told(self.position)
            text = self.without_damage(text, last=not piece) if self.mend else text
            if text or not piece:
                return text
        return b""

    def without_damage(self, piece: bytes, *, last: bool) -> bytes:
        """Bytes in which all is UTF-8 and NaN is null; what may be cut at the end waits for the next piece."""
        decoded = self.decoder.decode(piece, final=last)
        if REPLACEMENT in decoded and REPLACEMENT.encode() not in piece:
            self.mended.add(NO_UTF8)
        text = self.kept + decoded
        cut = len(text) if last else cut_of(text)
        text, self.kept = text[:cut], text[cut:]
        rest = 0
        if self.in_string:
            rest = REST_OF_STRING.match(text).end() + 1  # type: ignore[union-attr]
            self.in_string = rest > len(text)
        return (text[:rest] + OUTSIDE.sub(self.token, text[rest:])).encode()

    def token(self, found: re.Match[str]) -> str:
        """A string as it is; what is no number of JSON as null."""
        if found[0][0] == '"':
            self.in_string = not found["closed"]
            return found[0]
        self.mended.add(f"{found[0]} is no number of JSON, and became null")
        return "null"


def cut_of(text: str) -> int:
    """Where a text can be cut without cutting an escape, or a word that is no number."""
    escape = len(text.rstrip("\\"))
    last = text[-len("-Infinity") :]
    return escape if escape < len(text) else len(text) - len(last) + WORD.search(last).start()  # type: ignore[union-attr]


def items(reading: Reading, prefix: str, source: Source | None = None) -> Iterator[tuple[int, Any]]:
    """Each value under a prefix of ijson's in a JSON document, or in several one after another; floats are exact Decimals.

    A document that is damaged gives what stands before the damage; the rest is a problem.
    """
    return parsed(reading, source or reading.source, lambda stream: ijson.items(stream, prefix, **PARSING))


def pairs(reading: Reading, prefix: str = "") -> Iterator[tuple[int, tuple[str, Any]]]:
    """Each key and value of the object under a prefix, as `items` gives values."""
    return parsed(reading, reading.source, lambda stream: ijson.kvitems(stream, prefix, **PARSING))


def parsed(reading: Reading, source: Source, parse: Callable[[Bytes], Iterator[Any]]) -> Iterator[tuple[int, Any]]:
    """What a parser finds in a document, with its number; where it fails, once more in the document with its damage mended."""
    done, reading.unit = 0, "item"
    for mend in (False, True):
        damage = None
        with source.path.open("rb") as file:
            stream = Bytes(source, file, mend=mend)
            try:
                for value in islice(parse(stream), done, None):
                    done += 1
                    yield done, value
            except (ijson.JSONError, ArithmeticError, ValueError) as error:  # of a number that is none too
                damage = str(error)
        for reason in sorted(stream.mended):
            reading.problem(None, reason, source)
        if damage is None:
            return
        if "premature EOF" in damage:
            reading.problem(None, "ends in the middle; what stands before that was read", source)
            return
        if mend:
            reading.problem(None, f"not JSON{damaged_at(source)}; what stands before that was read", source)


def damaged_at(source: Source) -> str:
    """Where a document stops being JSON, as far as one of a moderate size can be searched."""
    if source.size > LONGEST_LINE:
        return ""
    try:
        json.loads(source.path.read_bytes().removeprefix(BOM).decode(errors="replace"))
    except json.JSONDecodeError as error:
        return f" from line {error.lineno}, character {error.colno} on"
    except RecursionError:
        return ", nested too deep"
    except ValueError:
        return ", a number of too many digits"
    return ""
