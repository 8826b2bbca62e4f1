"""Reading: what a reader of a format hands over, and what readers share.

A reader gives traces with their spans, and says what it could not use: problems (a file, a line, a reason), things skipped on
purpose (counted by reason), and how many texts were cut because the caller wanted less of them.
"""

import json
import math
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias

import orjson

from tokenvis.payload import SURROGATE

Content: TypeAlias = Literal["full", "short", "none"]
CONTENTS = ("full", "short", "none")
SHORT = 200  # characters of a text that content="short" keeps
DEEPEST = 200  # levels of brackets in a line; SQLite stores 1,000, and Python's stack is shared with its caller
STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
BRACKET = re.compile(rb"[\[\]{}]")
START = datetime(1970, 1, 1, tzinfo=UTC)


class Problem(NamedTuple):
    """A place in a file that could not be read, and why."""

    file: Path
    line: int | None
    reason: str

    def __str__(self) -> str:
        place = self.file.name if self.line is None else f"{self.file.name}, line {self.line}"
        return f"{place}: {self.reason}."


@dataclass
class TraceRead:
    """A trace as it was read: spans are mappings for `tokenvis.Store.add_spans`."""

    id: str
    name: str
    spans: list[dict[str, Any]]


@dataclass
class Reading:
    """What was read from a source, and what was not."""

    content: Content = "full"
    traces: list[TraceRead] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)
    n_cut: int = 0

    def kept(self, value: Any) -> Any:
        """As much of a text, or of the texts in a JSON value, as ``content`` allows; None where that is nothing."""
        if self.content == "full":
            return value
        if self.content == "none":
            self.n_cut += bool(value)
            return None
        return self.shortened(value)

    def shortened(self, value: Any) -> Any:
        """A JSON value whose long texts are cut."""
        if isinstance(value, str) and len(value) > SHORT:
            self.n_cut += 1
            return value[:SHORT] + "…"
        if isinstance(value, list):
            return [self.shortened(item) for item in value]
        if isinstance(value, dict):
            return {key: self.shortened(item) for key, item in value.items()}
        return value


def json_lines(path: Path, reading: Reading) -> Iterator[tuple[int, dict[str, Any]]]:
    """Number and object of each line of a JSON-lines file; a line that is no object is a problem, and the rest goes on."""
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            text = line.removeprefix(b"\xef\xbb\xbf").strip() if number == 1 else line.strip()
            if not text:
                continue
            try:
                value = parse_json(text)
            except ValueError as error:
                place = f" from character {error.pos + 1} on" if isinstance(error, json.JSONDecodeError) else f" ({error})"
                reading.problems.append(Problem(path, number, f"not JSON{place}"))
                continue
            if isinstance(value, dict):
                yield number, value
            else:
                reading.problems.append(Problem(path, number, f"not an object, but {type(value).__name__}"))


def parse_json(text: bytes) -> Any:
    """JSON as it is met in the wild: half a surrogate pair, which cannot be stored, becomes U+FFFD; else `ValueError`."""
    if text.count(b"[") + text.count(b"{") > DEEPEST:
        refuse_depth(text)
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        if b"\\u" not in text:
            raise
        return mended(json.loads(text))


def refuse_depth(text: bytes) -> None:
    """Raise `ValueError` where brackets, other than those in strings, are nested too deep to be stored."""
    depth = 0
    for bracket in BRACKET.findall(STRING.sub(b"", text)):
        depth += 1 if bracket in b"[{" else -1
        if depth > DEEPEST:
            raise ValueError(f"nested more than {DEEPEST} deep")


def mended(value: Any) -> Any:
    """A JSON value without halves of surrogate pairs; `ValueError` where a number is none of JSON's."""
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{value} is not a number of JSON")
    if isinstance(value, str):
        return SURROGATE.sub("\N{REPLACEMENT CHARACTER}", value)
    if isinstance(value, list):
        return [mended(item) for item in value]
    if isinstance(value, dict):
        return {mended(key): mended(item) for key, item in value.items()}
    return value


def microseconds(timestamp: str) -> int:
    """An ISO 8601 time as µs since 1970; without a zone it is UTC.

    Examples
    --------
    >>> microseconds("2026-06-21T10:00:00.250Z")
    1782036000250000
    """
    moment = datetime.fromisoformat(timestamp)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - START) // timedelta(microseconds=1)
