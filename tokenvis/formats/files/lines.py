"""Lines: streams the objects of a JSON-lines file of any size; a growing file is read on from the last position."""

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import orjson

from tokenvis.formats.files.lenient_json import (
    MAX_RECORD_BYTES,
    UNREADABLE,
    ignore_repair,
    lenient_value,
    parse_damaged,
    parse_json,
)
from tokenvis.formats.files.reading import Reading
from tokenvis.formats.files.sources import Source
from tokenvis.formats.files.structure import plain_lines

BOM = b"\xef\xbb\xbf"
HEAD_LINES = 20
READ_BUFFER_BYTES = 1 << 18
TAIL_BYTES = 1_024  # bytes before a read position that are kept for comparison


def line_value_or_none(line: bytes) -> Any:
    """The value of a line, repaired if necessary; None if it is not JSON."""
    with suppress(ValueError, RecursionError):
        return lenient_value(line, ignore_repair)
    return None


@dataclass
class ReadPosition:
    """How far a file of lines has been read, and the data that identify the file.

    ``n_lines`` counts the lines before ``offset``, ``tail`` contains the last bytes before it; ``line_break_missing`` is set
    if the last line was read as complete without its line break.
    """

    offset: int = 0
    n_lines: int = 0
    inode: int = 0
    tail: bytes = b""
    line_break_missing: bool = False

    def advance(self, line: bytes) -> None:
        """Move the position past a line."""
        self.offset += len(line)
        self.tail = line[-TAIL_BYTES:]


class FilesChanged(Exception):
    """Earlier results from growing files are no longer valid: the files must be read again from the start."""


class FileReplaced(FilesChanged):
    """A file was replaced, truncated or overwritten."""


def json_lines(
    reading: Reading, source: Source | None = None, position: ReadPosition | None = None, *, growing: bool = False
) -> Iterator[tuple[int, dict[str, Any]]]:
    """The number and object of each line of a JSON-lines file; any other line becomes a problem, and reading continues.

    Reading starts at ``position``, which advances with it; `FilesChanged` if the content before it has changed. In a
    ``growing`` file, an incomplete last line is left for the next call.
    """
    source, position = source or reading.source, position or ReadPosition()
    with source.path.open("rb", buffering=READ_BUFFER_BYTES) as file:
        seek_position(position, file)
        for line, is_plain in checked_lines(file):
            ended = line.endswith(b"\n") or len(line) > MAX_RECORD_BYTES
            if position.line_break_missing and line.strip():
                raise FilesChanged
            if growing and not ended and not is_complete_object(line, source):
                break
            position.advance(line)
            if position.line_break_missing:
                position.line_break_missing = not ended
                continue
            position.n_lines += 1
            if len(line) > MAX_RECORD_BYTES:
                skip_line(file, position)
                position.line_break_missing = growing and not position.tail.endswith(b"\n")
                reading.add_problem(position.n_lines, f"is longer than {MAX_RECORD_BYTES:,} bytes; it was skipped", source)
                continue
            position.line_break_missing = growing and not ended
            if not position.n_lines % 256:
                source.report_position(position.offset)
            value = parse_line(line, position.n_lines, reading, source, is_plain=is_plain)
            line = b""
            if type(value) is dict:
                yield position.n_lines, value
            elif value is not UNREADABLE:
                reading.add_problem(position.n_lines, f"is of type {type(value).__name__}, not an object", source)
    source.report_position(position.offset)


def checked_lines(file: IO[bytes]) -> Iterator[tuple[bytes, bool]]:
    """The lines of a file, each with whether `orjson` can parse it safely; of a line that is too long, only the beginning."""
    while block := file.read(READ_BUFFER_BYTES):
        *lines, last = block.split(b"\n")
        lines = [line + b"\n" for line in lines]
        yield from zip(lines, plain_lines(lines), strict=True)
        if last:
            yield last + file.readline(MAX_RECORD_BYTES + 1 - len(last)), False


def seek_position(position: ReadPosition, file: IO[bytes]) -> None:
    """Seek to the position up to which a file was read; `FileReplaced` if the bytes before it have changed."""
    inode = os.fstat(file.fileno()).st_ino
    if position.offset:
        file.seek(position.offset - len(position.tail))
        if position.inode != inode or file.read(len(position.tail)) != position.tail:
            raise FileReplaced
    position.inode = inode


def is_complete_object(line: bytes, source: Source) -> bool:
    """Whether a last line without its line break is complete: a closed object, which only blanks can follow."""
    return line.rstrip().endswith(b"}") and type(parse_line(line, 0, Reading(source), source)) is dict


def parse_line(line: bytes, number: int, reading: Reading, source: Source, *, is_plain: bool = False) -> Any:
    """The value of a line; `UNREADABLE` if it has none, which is a problem unless the line is blank."""
    text = line.removeprefix(BOM) if number == 1 else line
    try:
        return orjson.loads(text) if is_plain else parse_json(text)
    except ValueError:
        text = text.strip()
        if not text:
            return UNREADABLE
        if text.startswith(b"{") or not reading.only_counts:
            return parse_damaged(text, number, reading, source)
        reading.add_problem(number, "not JSON", source)  # a file of another kind may have millions of such lines
        return UNREADABLE


def skip_line(file: IO[bytes], position: ReadPosition) -> None:
    """Skip the rest of a line, unless it ended already."""
    while not position.tail.endswith(b"\n") and (piece := file.readline(READ_BUFFER_BYTES)):
        position.advance(piece)


def first_objects(path: Path, count: int = HEAD_LINES) -> list[dict[str, Any]]:
    """The objects in the first lines of a JSON-lines file; other lines are ignored silently."""
    with path.open("rb") as file:
        lines = [file.readline(MAX_RECORD_BYTES) for _ in range(count)]
        return [value for line in lines if isinstance(value := line_value_or_none(line.strip()), dict)]
