"""Reading: what a reader of a format hands over, and what readers share.

A reader gives spans, one by one, and says what it could not use: problems (a file, a line, a reason) and things skipped on
purpose (counted by reason). It leaves every text whole: how much is kept is decided after it.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tokenvis.conventions.span import SpanRead, reason_of
from tokenvis.formats.files.sources import Source
from tokenvis.spans.integers import INT64_MIN

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
        named = (INT64_MIN if start is None else start, name)
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
