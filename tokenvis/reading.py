"""Reading: what a reader of a format hands over, and what readers share.

A reader gives spans, one by one, and says what it could not use: problems (a file, a line, a reason) and things skipped on
purpose (counted by reason). It leaves every text whole: how much is kept is decided after it.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from tokenvis.sources import Source

FIRST = -(2**63)
MOST_PROBLEMS = 10_000  # of one source; more are counted


class Problem(NamedTuple):
    """A place in a file that could not be read, and why: a line, or an item of a document, or a row of a table."""

    file: str
    line: int | None
    reason: str
    unit: str = "line"

    def __str__(self) -> str:
        place = self.file if self.line is None else f"{self.file}, {self.unit} {self.line}"
        return f"{place}: {self.reason}."


@dataclass(slots=True)
class SpanRead:
    """A span as it was read.

    ``agent`` is None where the span itself names none: it is then the nearest ancestor's, else ``fallback``, else the trace's
    name. ``end`` is None where it never ended. ``name`` is what it is called where texts are not wanted.
    """

    trace_id: str
    id: str
    start: int
    end: int | None
    agent: str | None
    location: str
    name: str
    data: dict[str, Any]
    parent: str | None = None
    fallback: str | None = None
    line: int | None = None


def assign(
    span: SpanRead,
    agent: Callable[[dict[str, Any]], str | None] | None,
    location: Callable[[dict[str, Any]], str | None] | None,
) -> None:
    """Give a span its agent and location, where a caller's rules say so; an error of the caller's own function goes its way."""
    if agent or location:
        seen: dict[str, Any] = {"id": span.id, "trace_id": span.trace_id, "agent_id": span.agent}
        seen |= {"location_id": span.location, "start_time": span.start, "end_time": span.end, "data": span.data}
        if agent:
            span.agent = agent(seen)
        if location:
            span.location = location(seen) or span.location


class NamesTraces(Protocol):
    """Whatever takes the names of traces, beside their spans."""

    def name_trace(self, trace_id: str, name: str, start: int | None = None) -> None:
        """Take a name of a trace: its own, or that of a span, by its start; its own wins, then the earliest."""


@dataclass(frozen=True)
class Wishes:
    """What a caller wants of every reader: names without free text; and how a table of their own is to be understood."""

    without_texts: bool = False
    columns: Mapping[str, str] = field(default_factory=dict)
    unit: str = "us"


@dataclass
class Reading:
    """What was read from one source, beside its spans, and what was not.

    ``names`` holds the name of each trace, with the start of the span that gave it: the earliest counts.
    """

    source: Source
    wishes: Wishes = field(default_factory=Wishes)
    unit: str = "line"  # what the numbers of problems count
    files: list[Source] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)
    names: dict[str, tuple[int, str]] = field(default_factory=dict)

    def problem(self, line: int | None, reason: str, source: Source | None = None) -> None:
        """Note a place that could not be read; by default in the source itself."""
        if len(self.problems) >= MOST_PROBLEMS:
            self.skipped[f"problems beyond the first {MOST_PROBLEMS:,}"] += 1
            return
        self.problems.append(Problem((source or self.source).name, line, reason, self.unit))

    def name_trace(self, trace_id: str, name: str, start: int | None = None) -> None:
        """Give a trace a name: its own, or that of a span, by its start; its own wins, then the earliest."""
        named = (FIRST if start is None else start, name)
        if name and (trace_id not in self.names or named < self.names[trace_id]):
            self.names[trace_id] = named


def convert(
    records: Iterable[tuple[int, Any]], reading: Reading, make: Callable[[Any], Iterable[SpanRead]]
) -> Iterator[SpanRead]:
    """The spans of each record; one that cannot be used is a problem, and the rest goes on."""
    for line, record in records:
        try:
            for span in make(record):
                span.line = line
                yield span
        except (KeyError, TypeError, ValueError, ArithmeticError, RecursionError) as error:
            reading.problem(line, reason_of(error))


def reason_of(error: Exception) -> str:
    """Why a record could not be used."""
    if isinstance(error, KeyError):
        return f"no {error}"
    return f"not as it should be ({str(error) or type(error).__name__})"


def given(source: dict[str, Any], key: str, kind: type | tuple[type, ...]) -> Any:
    """A value that may be missing; `TypeError` where it is of another type."""
    value = source.get(key)
    if value is not None and not isinstance(value, kind):
        raise TypeError(f"{key!r} is {type(value).__name__}")
    return value


def needed(source: dict[str, Any], key: str, kind: type | tuple[type, ...]) -> Any:
    """A value that must be there; `KeyError` where it is missing or empty."""
    value = given(source, key, kind)
    if value is None or value == "":
        raise KeyError(key)
    return value


def objects(source: dict[str, Any], key: str) -> list[dict[str, Any]]:
    """A list of objects that may be missing; `TypeError` where it is something else."""
    every = given(source, key, list) or []
    for item in every:
        if not isinstance(item, dict):
            raise TypeError(f"{key!r} holds {type(item).__name__}")
    return every


def one_line(text: str, length: int = 80) -> str:
    r"""A text as one line, cut at a length.

    Examples
    --------
    >>> one_line("two\n  words", 6)
    'two w…'
    """
    line = " ".join(text.split())
    return line if len(line) <= length else line[: length - 1].rstrip() + "…"
