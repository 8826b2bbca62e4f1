"""Documents: streams the values of a JSON document of any size; a damaged document is read up to the damage."""

import codecs
import json
import re
from collections.abc import Callable, Iterator
from itertools import islice
from typing import IO, Any

import ijson

from tokenvis.formats.files.lenient_json import INVALID_UTF8
from tokenvis.formats.files.lines import BOM, MAX_LINE_BYTES, READ_BUFFER_BYTES
from tokenvis.formats.files.reading import Reading
from tokenvis.formats.files.sources import Source
from tokenvis.spans.text import REPLACEMENT

REST_OF_STRING = re.compile(r'[^"\\]*(?:\\.[^"\\]*)*', re.DOTALL)
STRING_OR_CONSTANT = re.compile(rf'"{REST_OF_STRING.pattern}(?P<closed>"?)|-?(?:NaN|Infinity)', re.DOTALL)
IJSON_OPTIONS: dict[str, Any] = {"multiple_values": True, "buf_size": READ_BUFFER_BYTES}
UNFINISHED_WORD = re.compile(r"-?[A-Za-z]*\Z")


class DocumentStream:
    """A file stream for the JSON parser: skips the byte-order mark, reports its position, repairs the text if requested."""

    def __init__(self, source: Source, file: IO[bytes], *, repair: bool) -> None:
        self.source, self.file, self.repair = source, file, repair
        self.position, self.pending, self.in_string = 0, "", False
        self.decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self.repairs: set[str] = set()

    def read(self, size: int) -> bytes:
        """The next bytes, empty at the end."""
        while size:
            piece = self.file.read(READ_BUFFER_BYTES)
            text = piece if self.position else piece.removeprefix(BOM)
            self.position += len(piece)
            self.source.report_position(self.position)
            text = self.repaired(text, last=not piece) if self.repair else text
            if text or not piece:
                return text
        return b""

    def repaired(self, piece: bytes, *, last: bool) -> bytes:
        """Bytes with invalid UTF-8 replaced and NaN as null; a token that may be cut at the end waits for the next piece."""
        decoded = self.decoder.decode(piece, final=last)
        if REPLACEMENT in decoded and REPLACEMENT.encode() not in piece:
            self.repairs.add(INVALID_UTF8)
        text = self.pending + decoded
        cut = len(text) if last else last_safe_cut(text)
        text, self.pending = text[:cut], text[cut:]
        string_end = 0
        if self.in_string:
            string_end = REST_OF_STRING.match(text).end() + 1  # type: ignore[union-attr]
            self.in_string = string_end > len(text)
        return (text[:string_end] + STRING_OR_CONSTANT.sub(self.replacement, text[string_end:])).encode()

    def replacement(self, match: re.Match[str]) -> str:
        """A string unchanged; NaN and Infinity as null."""
        if match[0][0] == '"':
            self.in_string = not match["closed"]
            return match[0]
        self.repairs.add(f"{match[0]} is not valid JSON, replaced by null")
        return "null"


def last_safe_cut(text: str) -> int:
    """The last position at which a text can be cut without splitting an escape, NaN or Infinity."""
    escape = len(text.rstrip("\\"))
    last = text[-len("-Infinity") :]
    return escape if escape < len(text) else len(text) - len(last) + UNFINISHED_WORD.search(last).start()  # type: ignore[union-attr]


def document_items(reading: Reading, prefix: str, source: Source | None = None) -> Iterator[tuple[int, Any]]:
    """The number and value of each item under an ijson prefix, in one JSON document or several in a row; floats are Decimals.

    A damaged document yields the items before the damage; the damage is a problem.
    """
    return parse_document(reading, source or reading.source, lambda stream: ijson.items(stream, prefix, **IJSON_OPTIONS))


def document_pairs(reading: Reading, prefix: str = "") -> Iterator[tuple[int, tuple[str, Any]]]:
    """Each key and value of the object under a prefix, numbered as in `document_items`."""
    return parse_document(reading, reading.source, lambda stream: ijson.kvitems(stream, prefix, **IJSON_OPTIONS))


def parse_document(
    reading: Reading, source: Source, parse: Callable[[DocumentStream], Iterator[Any]]
) -> Iterator[tuple[int, Any]]:
    """The numbered values that a parser finds in a document; after an error, the rest is parsed with the text repaired."""
    n_values, reading.record_noun = 0, "item"
    for repair in (False, True):
        damage = None
        with source.path.open("rb") as file:
            stream = DocumentStream(source, file, repair=repair)
            try:
                for value in islice(parse(stream), n_values, None):
                    n_values += 1
                    yield n_values, value
            except (ijson.JSONError, ArithmeticError, ValueError) as error:  # also raised for invalid numbers
                damage = str(error)
        for reason in sorted(stream.repairs):
            reading.add_problem(None, reason, source)
        if damage is None:
            return
        if "premature EOF" in damage:
            reading.add_problem(None, "is truncated; the complete part was read", source)
            return
        if repair:
            reading.add_problem(None, f"not JSON{syntax_error_detail(source)}; the part before was read", source)


def syntax_error_detail(source: Source) -> str:
    """Why or where a document is not valid JSON, for a message; empty if it is too large to search."""
    if source.size > MAX_LINE_BYTES:
        return ""
    try:
        json.loads(source.path.read_bytes().removeprefix(BOM).decode(errors="replace"))
    except json.JSONDecodeError as error:
        return f" from line {error.lineno}, character {error.colno} on"
    except RecursionError:
        return ", nested too deeply"
    except ValueError:
        return ", a number with too many digits"
    return ""
