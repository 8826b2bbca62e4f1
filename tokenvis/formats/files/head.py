"""Heads: the beginning of a source, from which its format is recognised."""

import json
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Literal

import numpy as np

from tokenvis.formats.files.archives import ZIP_MAGIC
from tokenvis.formats.files.encodings import encoding_of
from tokenvis.formats.files.lenient_json import ignore_repair, lenient_value
from tokenvis.formats.files.lines import BOM, HEAD_LINES, line_value_or_none
from tokenvis.formats.files.parquet import PARQUET_MAGIC, parquet_metadata, parquet_start
from tokenvis.formats.files.reading import Reading
from tokenvis.formats.files.sources import Source
from tokenvis.formats.files.structure import (
    BLANKS_AND_COMMAS,
    CLOSING_BIT,
    CLOSING_OF,
    MAX_JSON_DEPTH,
    QUOTE,
    JsonMarks,
    StructureScanner,
)
from tokenvis.formats.files.tables import csv_records, csv_rows, frame_columns, frame_records
from tokenvis.formats.files.zip_members import member_names

MAX_CUTS = 30  # how often a head is cut shorter to parse it
HEAD_BYTES = 1 << 20  # bytes of a file that are read to recognise its format
BINARY_FILES = {  # by their first bytes: files that are not read, and what to give instead
    **dict.fromkeys([b"ARROW1", b"FEA1"], "an Arrow (Feather) file. Write it as Parquet"),
    b"SQLite format 3\0": "a SQLite database. Load a table of it with pandas, and ingest the DataFrame",
    b"BZh": "a bzip2 file. Unpack it",
    b"\xfd7zXZ\0": "an xz file. Unpack it",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive. Unpack it",
}


@dataclass(frozen=True)
class Head:
    """The beginning of a source, from which its format is recognised: its kind and its first values.

    ``values`` contains the objects of the first lines, or the one value of a document up to its first megabyte; ``names``
    contains the columns of a table or the members of an archive; ``start`` contains the first bytes; ``metadata`` is that of a
    Parquet file.
    """

    kind: Literal["lines", "document", "table", "archive", "binary", "text", "empty"]
    values: list[Any] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    start: bytes = b""
    metadata: dict[bytes, bytes] = field(default_factory=dict)

    @property
    def objects(self) -> list[dict[str, Any]]:
        """The first objects: lines, the document itself, or the items of its array."""
        items = [item for value in self.values for item in (value if isinstance(value, list) else [value])]
        return [item for item in items if isinstance(item, dict)]

    def __str__(self) -> str:
        names = list(dict.fromkeys(key for item in self.objects for key in item)) or self.names
        keys = ", ".join(f"{name[:40]!r}" for name in names[:8])
        descriptions = {
            "lines": "JSON lines with the keys",
            "document": "a JSON document with the keys",
            "table": "a table with the columns",
            "archive": "an archive of",
        }
        is_one_line = self.kind == "lines" and b"\n" not in self.start.strip()
        if description := descriptions.get("document" if is_one_line else self.kind):
            return f"{description} {keys}" if keys else description.split(" with")[0]
        known = (name for magic, name in BINARY_FILES.items() if self.start.startswith(magic))
        return next(known, "binary") if self.kind == "binary" else self.kind


def head_of(source: Source) -> Head:
    """The head of a source; `IngestError` if it is a Parquet file that cannot be read."""
    if source.frame is not None:
        return Head("table", frame_records(source.frame.head(HEAD_LINES)), list(frame_columns(source.frame)))
    with source.path.open("rb") as file:
        start = file.read(HEAD_BYTES)
    if start.startswith(ZIP_MAGIC):
        return Head("archive", names=member_names(source), start=start)
    if start.startswith(PARQUET_MAGIC):
        names, rows = parquet_start(source, HEAD_LINES)
        return Head("table", rows, names, start, parquet_metadata(source))
    text = start.removeprefix(BOM).lstrip()
    if not text:
        return Head("empty")
    if text[:1] == b"[":
        return Head("document", document_head(text), start=start)
    first_lines = text.splitlines()[:HEAD_LINES]
    lines = [value for line in first_lines if isinstance(value := line_value_or_none(line), dict)]
    if text[:1] == b"{" and not isinstance(line_value_or_none(first_lines[0]), dict):
        values = document_head(text)
        if values and (values[0] or not lines):
            return Head("document", values, start=start)
    if lines and (text[:1] == b"{" or 2 * len(lines) > len(first_lines)):
        return Head("lines", lines, start=start)
    if b"\0" in text.split(b"\n", 1)[0] or is_binary(start):
        return Head("binary", start=start)
    table = csv_head(source, start)
    return Head("lines", lines, start=start) if lines and table.kind == "text" else table


def text_start(source: Source) -> bytes:
    """The first bytes of a text source, without a byte-order mark and leading blanks."""
    with source.path.open("rb") as file:
        return file.read(HEAD_BYTES).removeprefix(BOM).lstrip()


def document_head(text: bytes) -> list[Any]:
    """The value of a document as far as it can be parsed, in a list; an empty list if nothing can."""
    marks = StructureScanner().marks(text, MAX_JSON_DEPTH)
    n_marks, cut = len(marks.positions), len(text)
    if marks.deepest > MAX_JSON_DEPTH:
        n_marks = int(np.argmax(marks.levels == MAX_JSON_DEPTH))
        cut = int(marks.positions[n_marks])
    for _ in range(MAX_CUTS):
        candidate = text[:cut].rstrip(BLANKS_AND_COMMAS) + closing_brackets(marks, n_marks)
        try:
            return [lenient_value(candidate, ignore_repair)]
        except json.JSONDecodeError as error:
            n_valid = len(error.doc[: error.pos].encode())
            n_marks = min(n_marks, int(np.searchsorted(marks.positions, n_valid, side="right"))) - 1
        if n_marks < 0:
            break
        cut = int(marks.positions[n_marks])
    return []


def closing_brackets(marks: JsonMarks, n_marks: int) -> bytes:
    """The brackets that close what is open after the first marks."""
    levels, codes = marks.levels[:n_marks], marks.codes[:n_marks]
    is_opening = (codes != QUOTE) & (codes & CLOSING_BIT == 0)
    depth = int(levels[-1]) + bool(is_opening[-1]) if n_marks else 0
    opened = [codes[is_opening & (levels == level)][-1] for level in reversed(range(depth))]
    return bytes(CLOSING_OF[code] for code in opened)


def is_binary(start: bytes) -> bool:
    """Whether bytes are not text, in UTF-8 or Windows-1252."""
    try:
        start.decode()
    except UnicodeDecodeError as error:
        return (error.end < len(start) - 4 or len(start) < HEAD_BYTES) and encoding_of([start]) != "cp1252"
    return False


def csv_head(source: Source, start: bytes) -> Head:
    """The head of a text source, as a table if it has more than one column."""
    reading, encoding = Reading(source), encoding_of([start])
    rows = [row for _, row in islice(csv_rows(source, reading, encoding), HEAD_LINES)]
    names = list(rows[0]) if rows else []
    if not rows and reading.problems:  # each row is cut
        names = next((cells for _, cells, _ in csv_records(source, Reading(source), encoding)), [])
    return Head("table" if len(names) > 1 else "text", rows, names, start)
