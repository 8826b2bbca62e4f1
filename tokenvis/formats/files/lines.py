"""Lines: the objects of a JSON-lines file, one by one, whatever the size of the file; of a file that grows, from a place on."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, Any

from tokenvis.formats.files.lenient_json import MISSING, mended_line, parse_json
from tokenvis.formats.files.reading import Reading
from tokenvis.formats.files.sources import Source

BOM = b"\xef\xbb\xbf"
HEAD_LINES = 20
LONGEST_LINE = 256 << 20
PIECE = 1 << 18
REMEMBERED = 1_024  # bytes before the place to which a file was read


def line_value(line: bytes) -> Any:
    """The value of a line, None where it is no JSON."""
    try:
        return parse_json(line)
    except ValueError:
        return None


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
