"""Sessions of Claude Code as one JSON document: ``{"loglines": [...]}``, or an array of the lines."""

import os
from collections.abc import Iterator
from typing import Any

from tokenvis.formats.files.documents import document_items
from tokenvis.formats.files.head import Head, head_of
from tokenvis.formats.files.lines import FileReplaced, ReadPosition
from tokenvis.formats.files.reading import Reading
from tokenvis.formats.files.sources import Source

ENVELOPE_KEY = "loglines"


def path_in_document(head: Head) -> str | None:
    """The path of the lines in a document, None if a source is not a document of a session."""
    value = head.values[0] if head.values else None
    if head.kind in ("document", "lines") and isinstance(value, dict) and isinstance(value.get(ENVELOPE_KEY), list):
        return f"{ENVELOPE_KEY}[*]"
    return "[*]" if head.kind == "document" and isinstance(value, list) else None


def path_in_source(source: Source) -> str | None:
    """The path of the lines in a source that is a document, None if its lines are those of the file."""
    with source.path.open("rb") as file:
        start = file.read(1 << 10)
    may_be_document = start.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"[" or ENVELOPE_KEY.encode() in start
    return path_in_document(head_of(source)) if may_be_document else None


def lines_of_document(
    reading: Reading, source: Source, position: ReadPosition, path: str
) -> Iterator[tuple[int, dict[str, Any]]]:
    """The number and object of each line in a document; `FileReplaced` if another state of it was read before."""
    status = os.stat(source.path)  # noqa: PTH116  (as the state of a file of lines)
    if position.offset:
        if (position.offset, position.inode) != (status.st_size, status.st_ino):
            raise FileReplaced
        return
    position.offset, position.inode = status.st_size, status.st_ino
    for number, value in document_items(reading, path, source):
        if isinstance(value, dict):
            yield number, value
        else:
            reading.add_problem(number, f"is of type {type(value).__name__}, not an object", source)
