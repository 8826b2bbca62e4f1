"""Records: the lines of a file, the items of a JSON document, the rows of a table, one by one, each with its place.

Nothing here holds more than one record, whatever the size of the file.
"""

import codecs
import io
import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import IO, Any, Literal

import ijson
import pyarrow as pa
import pyarrow.parquet as pq

from tokenvis.mending import LOST, MISSING, NO_UTF8, mended_line, parse_json
from tokenvis.reading import Reading
from tokenvis.sources import ZIP, Source, members_of
from tokenvis.tables import csv_rows, frame_records, frame_rows, parquet_rows

BOM = b"\xef\xbb\xbf"
HEAD = 1 << 20  # bytes of a file that are looked at to tell its format
HEAD_LINES = 20
LONGEST_LINE = 256 << 20
PIECE = 1 << 18
REMEMBERED = 1_024  # bytes before the place to which a file was read
REST_OF_STRING = re.compile(r'[^"\\]*(?:\\.[^"\\]*)*', re.DOTALL)
OUTSIDE = re.compile(rf'"{REST_OF_STRING.pattern}(?P<closed>"?)|-?(?:NaN|Infinity)', re.DOTALL)
PARSING: dict[str, Any] = {"multiple_values": True, "buf_size": PIECE}
WORD = re.compile(r"-?[A-Za-z]*\Z")


@dataclass(frozen=True)
class Head:
    """The beginning of a source, by which its format is told: what it is, and its first values.

    ``values`` are the objects of the first lines, or the one value of a document as far as its first megabyte goes;
    ``names`` are the columns of a table, or the members of an archive; ``start`` are the first bytes.
    """

    kind: Literal["lines", "document", "table", "archive", "binary", "text", "empty"]
    values: list[Any] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    start: bytes = b""

    @property
    def objects(self) -> list[dict[str, Any]]:
        """The first objects: lines, or what a document or its array holds."""
        items = [item for value in self.values for item in (value if isinstance(value, list) else [value])]
        return [item for item in items if isinstance(item, dict)]

    def __str__(self) -> str:
        named = list(dict.fromkeys(key for item in self.objects for key in item)) or self.names
        keys = ", ".join(f"{name[:40]!r}" for name in named[:8])
        what = {
            "lines": "JSON lines with the keys",
            "document": "a JSON document with the keys",
            "table": "a table with the columns",
            "archive": "an archive of",
        }
        if self.kind in what:
            return f"{what[self.kind]} {keys}" if keys else what[self.kind].split(" with")[0]
        return {"binary": "binary", "text": "text", "empty": "empty"}[self.kind]


def head_of(source: Source) -> Head:
    """Look at the beginning of a source."""
    if source.frame is not None:
        return Head("table", frame_records(source.frame.head(HEAD_LINES)), list(map(str, source.frame.columns)))
    with source.path.open("rb") as file:
        start = file.read(HEAD)
    if start.startswith(ZIP):
        return Head("archive", names=members_of(source), start=start)
    if start.startswith(b"PAR1"):
        return parquet_head(source, start)
    text = start.removeprefix(BOM).lstrip()
    if not text:
        return Head("empty")
    if text[:1] == b"[":
        return Head("document", document_head(text), start=start)
    lines = [value for line in islice(text.splitlines(), HEAD_LINES) if isinstance(value := line_value(line), dict)]
    if text[:1] == b"{" and not isinstance(line_value(text.splitlines()[0]), dict):
        values = document_head(text)
        if values and (values[0] or not lines):
            return Head("document", values, start=start)
    if lines:
        return Head("lines", lines, start=start)
    if b"\0" in text.split(b"\n", 1)[0] or is_binary(start):
        return Head("binary", start=start)
    return csv_head(source, start)


def beginning(source: Source) -> bytes:
    """The first bytes of a text, without a byte-order mark and blanks."""
    with source.path.open("rb") as file:
        return file.read(HEAD).removeprefix(BOM).lstrip()


def line_value(line: bytes) -> Any:
    """The value of a line, None where it is no JSON."""
    try:
        return parse_json(line)
    except ValueError:
        return None


def document_head(text: bytes) -> list[Any]:
    """The value of a document as far as it can be read."""
    builder = ijson.common.ObjectBuilder()
    with suppress(ijson.JSONError, RecursionError, ArithmeticError, ValueError):
        for event, value in ijson.basic_parse(io.BytesIO(text)):
            builder.event(event, value)
    return [builder.value] if hasattr(builder, "value") else []


def is_binary(start: bytes) -> bool:
    """Whether bytes are no text."""
    try:
        start.decode()
    except UnicodeDecodeError as error:
        return error.end < len(start) - 4 or len(start) < HEAD
    return False


def csv_head(source: Source, start: bytes) -> Head:
    """Text, as the table that it may be."""
    rows = [row for _, row in islice(csv_rows(source, Reading(source)), HEAD_LINES)]
    names = list(rows[0]) if rows else []
    return Head("table" if len(names) > 1 else "text", rows, names, start)


def parquet_head(source: Source, start: bytes) -> Head:
    """The columns and first rows of a Parquet file."""
    try:
        with pq.ParquetFile(source.path) as file:
            rows = next(file.iter_batches(HEAD_LINES), None)
            return Head("table", rows.to_pylist() if rows is not None else [], file.schema_arrow.names, start)
    except (pa.ArrowException, OSError):
        return Head("binary", start=start)


# Lines.


@dataclass
class Place:
    """How far a file of lines was read, and what tells that it is still the same file.

    ``number`` counts the lines before ``offset``, ``last`` are the last bytes of them; the last one is ``unfinished`` where it
    was taken for a whole one without its line break.
    """

    offset: int = 0
    number: int = 0
    inode: int = 0
    last: bytes = b""
    unfinished: bool = False

    def passed(self, line: bytes) -> None:
        """Go on behind a line."""
        self.offset += len(line)
        self.last = line[-REMEMBERED:]


class Changed(Exception):
    """What was read of files that grow does not hold any more: they have to be read from their start."""


class Replaced(Changed):
    """A file is another one than it was, or was cut or written over."""


def json_lines(
    reading: Reading, source: Source | None = None, place: Place | None = None, *, growing: bool = False
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Number and object of each line of a JSON-lines file; a line that is no object is a problem, and the rest goes on.

    Reading begins at ``place``, which moves along; `Changed` where that is not there any more. Of a file that is ``growing``, a
    last line that is not whole yet is left for later.
    """
    source, place = source or reading.source, place or Place()
    with source.path.open("rb", buffering=PIECE) as file:
        return_to(place, file)
        for line in lines_of(file):
            ended = line.endswith(b"\n") or len(line) == LONGEST_LINE
            if place.unfinished and line.strip():
                raise Changed
            if growing and not ended and not is_closed(line, source):
                break
            place.passed(line)
            if place.unfinished:
                place.unfinished = not ended
                continue
            place.number += 1
            place.unfinished = growing and not ended
            if not place.number % 256:
                source.told(place.offset)
            value = value_of(line, place.number, reading, source)
            if type(value) is dict:
                yield place.number, value
            elif value is not MISSING:
                reading.problem(place.number, f"not an object, but {type(value).__name__}", source)
    source.told(place.offset)


def return_to(place: Place, file: IO[bytes]) -> None:
    """Go to the place in a file up to which it was read; `Replaced` where what stood before that is not there any more."""
    inode = os.fstat(file.fileno()).st_ino
    if place.offset:
        file.seek(place.offset - len(place.last))
        if place.inode != inode or file.read(len(place.last)) != place.last:
            raise Replaced
    place.inode = inode


def is_closed(line: bytes, source: Source) -> bool:
    """Whether a last line without its line break is all there: an object that is closed, after which only blanks can come."""
    return line.rstrip().endswith(b"}") and type(value_of(line, 0, Reading(source), source)) is dict


def value_of(line: bytes, number: int, reading: Reading, source: Source) -> Any:
    """The value of a line; `MISSING` where there is none, which is a problem unless the line is blank."""
    text = line.removeprefix(BOM) if number == 1 else line
    try:
        return parse_json(text)
    except ValueError:
        text = text.strip()
        return mended_line(text, number, reading, source) if text else MISSING


def lines_of(file: IO[bytes]) -> Iterator[bytes]:
    """The lines of a file; what is longer than the longest comes in pieces, which are then no JSON."""
    while line := file.readline(LONGEST_LINE):
        yield line


def first_objects(path: Path, count: int = HEAD_LINES) -> list[dict[str, Any]]:
    """The objects of the first lines of a JSON-lines file, without a word on the others."""
    with path.open("rb") as file:
        return [value for line in islice(lines_of(file), count) if isinstance(value := line_value(line.strip()), dict)]


# Documents.


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
        if LOST in decoded and LOST.encode() not in piece:
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


# Tables.


def rows(reading: Reading) -> Iterator[tuple[int, dict[str, Any]]]:
    """Number and values of each row of a table: a DataFrame, Parquet, CSV, JSON lines, or an array of objects."""
    source = reading.source
    if source.frame is not None:
        yield from frame_rows(reading, source.frame)
        return
    head = head_of(source)
    if head.kind == "lines":
        yield from json_lines(reading)
    elif head.kind == "document":
        yield from items(reading, "item" if beginning(source)[:1] == b"[" else "")
    elif head.start.startswith(b"PAR1"):
        yield from parquet_rows(reading)
    else:
        yield from csv_rows(source, reading)
