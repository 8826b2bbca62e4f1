"""The path cutter: cuts the values under a path out of a JSON text that comes in blocks.

It follows the containers on the path, one after the other, by the quotes and brackets of the text. What is not on the path, and
what is inside a value, is skipped or kept as bytes, and never looked at.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import orjson

from tokenvis.formats.files.lenient_json import MAX_RECORD_BYTES
from tokenvis.formats.files.structure import (
    BLANKS_AND_COMMAS,
    CLOSING_BIT,
    CLOSING_OF,
    MAX_JSON_DEPTH,
    OPENING_ARRAY,
    OPENING_OBJECT,
    QUOTE,
    StructureScanner,
    long_numbers,
)

PATH_STEP = re.compile(r"\[\*\]|[^.\[]+")
ITEMS = "[*]"  # a step of a path: into each item of an array
MEMBERS = "*"  # the last step of a path: each member of an object
EXCEPT = "!"  # before the keys of a step of a path: each key but these
NOWHERE = -1


class Unbalanced(ValueError):
    """A text has something else where a document, or the bracket of a container on the path, must be."""

    def __init__(self, offset: int) -> None:
        super().__init__(offset)
        self.offset = offset


class Piece(NamedTuple):
    """The text of a value, in an array also of the scalars before it; None if it is too long.

    If ``is_plain``, it is not nested too deep and has no long numbers. ``key`` is the key of a member, with its quotes. A batch
    has the plain values of an array that end in one block.
    """

    text: bytes | None
    is_plain: bool
    key: bytes = b""
    is_batch: bool = False


class TextCapture:
    """Captures the text between two positions, even of different blocks; of a text that is too long, only its length."""

    def __init__(self) -> None:
        self.block, self.start, self.n_earlier = b"", NOWHERE, 0
        self.earlier: list[bytes] = []

    def begin(self, position: int) -> None:
        """Capture from a position of the block on, or nothing from now on."""
        self.start, self.n_earlier = position, 0
        if self.earlier:
            self.earlier = []

    def take(self, position: int) -> bytes | None:
        """The text up to a position of the block; empty if nothing is captured; None if it is too long."""
        start, self.start = self.start, NOWHERE
        if start == NOWHERE:
            return b""
        if not self.n_earlier:
            return self.block[start:position]
        is_too_long = self.n_earlier + position > MAX_RECORD_BYTES
        text = None if is_too_long else b"".join([*self.earlier, self.block[:position]])
        self.earlier = []
        return text

    def next_block(self, block: bytes) -> None:
        """Go on to the next block."""
        if self.start != NOWHERE:
            self.n_earlier += len(self.block) - self.start
            part = self.block[self.start :]
            self.earlier.append(part if self.earlier else part.lstrip(BLANKS_AND_COMMAS))  # a long text is not copied for it
            if self.n_earlier > MAX_RECORD_BYTES:
                self.earlier = []
            self.start = 0
        self.block = block


def name_of(key: bytes) -> str | None:
    """The name that a key is, with its quotes; None if it is damaged."""
    try:
        name = orjson.loads(key)
    except orjson.JSONDecodeError:
        return None
    return name if isinstance(name, str) else None


class PathCutter:
    """Cuts the values under a path out of the blocks of a text; ``exact`` if its numbers must not be rounded.

    ``n_entered`` counts the containers that were opened at each depth; the last could have such values.
    """

    def __init__(self, path: str, *, exact: bool) -> None:
        self.steps = PATH_STEP.findall(path)
        self.names = [set(step.removeprefix(EXCEPT).split("|")) for step in self.steps]
        self.kinds = [OPENING_ARRAY if step == ITEMS else OPENING_OBJECT for step in self.steps]
        self.exact = exact
        self.scanner, self.capture = StructureScanner(), TextCapture()
        self.offset, self.is_plain, self.n_entered = 0, True, [0] * (len(self.steps) + 1)
        self.key: bytes | None = None  # the key before the next value, if the innermost container is an object
        self.enter(0)

    def enter(self, depth: int) -> None:
        """Set how many containers of the path are open, and if each value in the innermost of them is cut out."""
        self.depth = depth
        self.in_values = depth == len(self.steps) and (not depth or self.kinds[-1] == OPENING_ARRAY)
        self.key, self.in_string = None, False

    @property
    def is_complete(self) -> bool:
        """Whether the text so far ends after a document."""
        return not self.scanner.depth and not self.scanner.in_string

    def pieces(self, block: bytes) -> Iterator[Piece]:
        """The values that are complete with the next block."""
        if not self.offset:
            self.capture.begin(0)
        self.capture.next_block(block)
        marks = self.scanner.marks(block, len(self.steps))
        is_deep, codes = marks.deepest > len(self.steps) + MAX_JSON_DEPTH, np.frombuffer(block, np.uint8)
        self.is_plain = not is_deep and not len(long_numbers(codes, exact=self.exact))
        batch_end = NOWHERE
        for position, code, level in zip(marks.positions.tolist(), marks.codes.tolist(), marks.levels.tolist(), strict=True):
            if level == self.depth and self.in_values:
                if code & CLOSING_BIT and self.is_plain and self.steps and not self.capture.n_earlier:
                    batch_end = position + 1
                elif code & CLOSING_BIT:
                    yield self.piece(position + 1)
                    self.capture.begin(position + 1)
                continue
            if level > self.depth:
                continue
            if batch_end != NOWHERE:
                yield self.batch(batch_end)
                batch_end = NOWHERE
            yield from self.close(position, code) if level < self.depth else self.follow(position, code)
        if batch_end != NOWHERE:
            yield self.batch(batch_end)
        self.offset += len(block)

    def batch(self, end: int) -> Piece:
        """The captured text as a batch; what follows is captured."""
        text = self.capture.take(end)
        self.capture.begin(end)
        return Piece(text, is_plain=True, is_batch=True)

    def follow(self, position: int, code: int) -> Iterator[Piece]:
        """Follow the innermost open container, whose values are not cut out in each place."""
        if self.depth and self.kinds[self.depth - 1] == OPENING_OBJECT:
            yield from self.in_object(position, code)
        elif code & CLOSING_BIT:
            self.capture.begin(NOWHERE if self.depth else position + 1)
        elif code != QUOTE:
            self.open(position, code)

    def rest(self) -> bytes | None:
        """What is captured at the end of the text."""
        return self.capture.take(len(self.capture.block))

    def piece(self, end: int, key: bytes = b"") -> Piece:
        """The captured text as a piece."""
        is_plain = self.is_plain and not self.capture.n_earlier
        return Piece(self.capture.take(end), is_plain, key)

    def open(self, position: int, code: int) -> None:
        """Go into a container, if it is on the path; `Unbalanced` if there is something else between two documents."""
        if not self.depth and (self.capture.take(position) or b"").strip(BLANKS_AND_COMMAS):
            raise Unbalanced(self.offset + position)
        if code == self.kinds[self.depth]:
            self.n_entered[self.depth + 1] += 1
            self.enter(self.depth + 1)
            self.capture.begin(position + 1)

    def close(self, position: int, code: int) -> Iterator[Piece]:
        """Leave the innermost container; `Unbalanced` if the bracket is of the other kind, or closes nothing."""
        if not self.depth or code != CLOSING_OF[self.kinds[self.depth - 1]]:
            raise Unbalanced(self.offset + position)
        if self.key is not None:
            yield from self.scalar(position)
        elif self.in_values:
            rest = self.piece(position)
            if rest.text is None or rest.text.strip(BLANKS_AND_COMMAS):
                yield rest
        self.enter(self.depth - 1)
        self.capture.begin(position + 1)

    def in_object(self, position: int, code: int) -> Iterator[Piece]:
        """Follow an object on the path: its keys, and its values."""
        if code == QUOTE:
            yield from self.quote(position)
        elif code & CLOSING_BIT:
            if self.is_wanted():
                yield self.piece(position + 1, self.key or b"")
            self.key = None
            self.capture.begin(position + 1)
        elif self.is_wanted():
            self.capture.begin(position)
        else:
            self.capture.begin(NOWHERE)
            if self.depth < len(self.steps) and self.has_key(self.depth - 1):
                self.open(position, code)

    def quote(self, position: int) -> Iterator[Piece]:
        """Begin or end a string in an object on the path: a key or a value."""
        self.in_string = not self.in_string
        if self.in_string:
            if self.key is not None:
                yield from self.scalar(position)
            is_skipped = self.key is not None and not self.is_wanted()
            self.capture.begin(NOWHERE if is_skipped else position)
        elif self.key is None:
            self.key = self.capture.take(position + 1)
            self.capture.begin(position + 1)
        else:
            if self.is_wanted():
                yield self.piece(position + 1, self.key)
            self.key = None
            self.capture.begin(position + 1)

    def scalar(self, position: int) -> Iterator[Piece]:
        """End what is captured after a key: a value that is neither a string nor a container, or only the colon before one."""
        piece = self.piece(position, self.key or b"")
        text = (piece.text or b"").strip(BLANKS_AND_COMMAS).removeprefix(b":").strip(BLANKS_AND_COMMAS)
        if text:
            if self.is_wanted():
                yield piece._replace(text=text)
            self.key = None

    def is_wanted(self) -> bool:
        """Whether the next value in an object is under the path."""
        return self.depth == len(self.steps) and self.key is not None and self.has_key(-1)

    def has_key(self, step: int) -> bool:
        """Whether the key before the next value is one of those of a step of the path."""
        if self.steps[step] == MEMBERS:
            return True
        is_named = name_of(self.key or b"") in self.names[step]
        return is_named is not bool(self.steps[step].startswith(EXCEPT))
