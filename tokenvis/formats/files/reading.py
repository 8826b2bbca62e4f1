"""The result of reading a source apart from its spans, shared by the readers of all formats.

A reader yields spans one by one and reports the records that it cannot use: problems (a file, a record number, a reason) and
records skipped on purpose (counted by reason). It never truncates texts; a later step decides how much to store.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from tokenvis.conventions.source_times import SourceTimes
from tokenvis.conventions.span import SpanRead, problem_reason
from tokenvis.errors import escaped
from tokenvis.formats.files.sources import Source
from tokenvis.spans.integers import INT64_MIN
from tokenvis.spans.text import without_surrogates

MAX_PROBLEMS = 10_000  # per source; further problems are only counted
MAX_FILE_NAME_LENGTH = 200  # of a file in a message: in an archive, it may have 65,535 characters


class Problem(NamedTuple):
    """A problem in a file: the number of the line, item or row (None: the whole file), and the reason."""

    file: str
    line: int | None
    reason: str
    unit: str = "line"

    def __str__(self) -> str:
        file = escaped(self.file, MAX_FILE_NAME_LENGTH)
        position = file if self.line is None else f"{file}, {self.unit} {self.line}"
        return f"{position}: {escaped(self.reason)}."


class ResultPage(NamedTuple):
    """What an answer of an API says about pages: its number among all pages, or what names the next one (None: nothing).

    ``n_items`` counts the records of all pages, and ``limit`` is the most that one has. ``first_id`` is the id of the first
    record where cursors are such ids.
    """

    number: int | None = None
    n_pages: int | None = None
    n_items: int | None = None
    limit: int | None = None
    following: Any = None
    first_id: str | None = None


@dataclass(frozen=True)
class ReadOptions:
    """A caller's options for all readers: whether to omit free text from names; the columns and time unit of a plain table."""

    without_texts: bool = False
    columns: Mapping[str, str] = field(default_factory=dict)
    unit: str | None = None  # None if the caller gives none


class Continuation(NamedTuple):
    """A source that continues a session: its file, its trace, and the ids that copies of the session's spans have in it."""

    path: Path
    trace_id: str
    copies: frozenset[str]


@dataclass
class Reading:
    """The problems, skipped records and trace names found while reading one source.

    ``names`` maps the id of each trace to the start of the span that named it and the name: the earliest wins.
    ``folders`` has what a reader found out about the folder of its files, for all sources of one call. If the source
    begins with a copy of spans of another trace, which are skipped, ``copies`` maps the id that each has in the source's
    ``trace_id`` to its own id and trace.
    ``empty_traces`` are the ids of traces of which the source says that they have no spans. ``keeps_names`` is set if its
    traces keep their names, and are not called by the file's.
    ``pages`` has what the source says about pages, ``default_limits`` the numbers of records that clients of its tool return by
    default, and ``n_records`` how many there are.
    """

    source: Source
    options: ReadOptions = field(default_factory=ReadOptions)
    record_noun: str = "line"  # the records that the numbers of problems count
    files: list[Source] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)
    names: dict[str, tuple[int, str]] = field(default_factory=dict)
    folders: dict[Path, Any] = field(default_factory=dict)
    trace_id: str = ""
    copies: dict[str, tuple[str, str]] = field(default_factory=dict)
    continued_by: list[Continuation] = field(default_factory=list)
    times: SourceTimes = field(default_factory=SourceTimes)
    pages: list[ResultPage] = field(default_factory=list)
    default_limits: Mapping[int, str] = field(default_factory=dict)
    n_records: int = 0
    told: set[tuple[str, str]] = field(default_factory=set)
    empty_traces: list[str] = field(default_factory=list)
    keeps_names: bool = False

    @property
    def without_texts(self) -> bool:
        """Whether names contain no free texts."""
        return self.options.without_texts

    @property
    def only_counts(self) -> bool:
        """Whether there are so many problems that further ones are only counted."""
        return len(self.problems) >= MAX_PROBLEMS

    def add_problem(self, line: int | None, reason: str, source: Source | None = None) -> None:
        """Add a problem with a record, or (None) a whole file; by default the source. Beyond the limit it is only counted."""
        if self.only_counts:
            self.skipped[f"problems beyond the first {MAX_PROBLEMS:,}"] += 1
            return
        self.problems.append(Problem((source or self.source).name, line, reason, self.record_noun))

    def add_once(self, reason: str, source: Source | None = None) -> None:
        """Add a problem with a whole file, unless it has it already."""
        name = (source or self.source).name
        if (name, reason) not in self.told:
            self.told.add((name, reason))
            self.add_problem(None, reason, source)

    def report_times(self) -> None:
        """Add what the times of the source leave open as problems of the whole source."""
        for remark in self.times.remarks():
            self.add_problem(None, remark)

    def name_trace(self, trace_id: str, name: str, start: int | None = None) -> None:
        """Name a trace, without ``start`` by its own name, else by a span's; its own name wins, then the earliest span's."""
        candidate = (INT64_MIN if start is None else start, without_surrogates(name))
        if name and (trace_id not in self.names or candidate < self.names[trace_id]):
            self.names[trace_id] = candidate


def spans_of_records(
    records: Iterable[tuple[int, Any]], reading: Reading, to_spans: Callable[[Any], Iterable[SpanRead]]
) -> Iterator[SpanRead]:
    """The spans of each record; a record that cannot be used becomes a problem, and reading continues.

    What the times leave open is a problem of the whole file.
    """
    for line, record in records:
        reading.n_records += 1
        try:
            for span in to_spans(record):
                span.line = line
                yield span
        except (KeyError, TypeError, ValueError, ArithmeticError, RecursionError) as error:
            reading.add_problem(line, problem_reason(error))
    reading.report_times()
