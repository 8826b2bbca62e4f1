"""The report: what was read, skipped and rejected, as text and as a table in a notebook."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from html import escape

import pandas as pd

from tokenvis.errors import escaped, plural, quoted
from tokenvis.formats.files.reading import Problem
from tokenvis.output import one_line
from tokenvis.store.load import load_spans
from tokenvis.store.store import Store, Written

MAX_LINES = 12  # lines of each list; the rest is counted
MAX_REASON_LENGTH = 200  # of what was skipped, which may contain names from a file


@dataclass
class Report:
    """What an ingest read, by file and trace, and what it skipped, and why.

    Attributes
    ----------
    store : Store
        The store that the spans were added to.
    formats : dict
        The name of the format of each file.
    names : dict
        The name of each trace, by its id.
    written : list of Written
        The numbers of spans added, updated and unchanged, by trace.
    n_spans, n_agents, n_locations : int
        Totals. Agents and locations are counted by name within each trace.
    n_own, n_inherited, n_fallback : int
        Spans that name their agent; that inherit it from their nearest ancestor; that take it from their service, task or
        trace.
    n_estimated, n_open : int
        Spans with an estimated value (a time, or `parent_id`), and spans without an end.
    n_duplicates : int
        Spans with the id of another span in the same input.
    problems : list of Problem
        Problems in the files: file, line, reason.
    skipped : Counter
        The number of items skipped on purpose, by reason.
    n_cut : int
        Texts that were shortened or removed because of ``content``.
    """

    store: Store
    formats: dict[str, str] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    totals: dict[str, Written] = field(default_factory=dict, repr=False)
    agents: set[tuple[str, str]] = field(default_factory=set, repr=False)
    locations: set[tuple[str, str]] = field(default_factory=set, repr=False)
    n_spans: int = 0
    n_own: int = 0
    n_inherited: int = 0
    n_fallback: int = 0
    n_estimated: int = 0
    n_open: int = 0
    n_duplicates: int = 0
    problems: list[Problem] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)
    n_cut: int = 0

    @property
    def written(self) -> list[Written]:
        """The numbers of spans added, updated and unchanged, by trace."""
        return list(self.totals.values())

    @property
    def n_agents(self) -> int:
        """The number of agents, counted within each trace."""
        return len(self.agents)

    @property
    def n_locations(self) -> int:
        """The number of locations, counted within each trace."""
        return len(self.locations)

    def spans(self) -> pd.DataFrame:
        """The spans of these traces, as `tokenvis.load_spans` returns them."""
        return load_spans(list(self.totals), store=self.store)

    def add(self, spans: pd.DataFrame, written: list[Written]) -> None:
        """Add written spans to the totals."""
        self.n_spans += len(spans)
        for column, pairs in (("agent_id", self.agents), ("location_id", self.locations)):
            distinct = spans[["trace_id", column]].drop_duplicates()
            pairs.update(zip(distinct["trace_id"], distinct[column], strict=True))
        for counts in written:
            total = self.totals.get(counts.trace_id, Written(counts.database, counts.trace_id, 0))
            sums = (old + new for old, new in zip(total[2:], counts[2:], strict=True))
            self.totals[counts.trace_id] = Written(counts.database, counts.trace_id, *sums)

    def count(self, counts: Counter[str]) -> None:
        """Add the counts of an assembly."""
        self.n_own += counts["own"]
        self.n_inherited += counts["inherited"]
        self.n_fallback += counts["fallback"]
        self.n_estimated += counts["estimated"]
        self.n_open += counts["open"]
        self.n_duplicates += counts["duplicates"]

    def __str__(self) -> str:
        return "\n".join(self.lines())

    __repr__ = __str__

    def lines(self) -> Iterator[str]:
        """The report as text."""
        yield f"Database: {escaped(self.store.path)}"
        for name, count in Counter(self.formats.values()).items():
            yield f"Read: {name}, {plural(count, 'file')}"
        written = self.written
        for row in written[:MAX_LINES]:
            yield f"Trace {quoted(row.trace_id)} ({one_line(self.names.get(row.trace_id, row.trace_id))}): {count_text(row)}"
        if len(written) > MAX_LINES:
            rest = [sum(column) for column in zip(*(counts[2:] for counts in written[MAX_LINES:]), strict=True)]
            yield f"and {plural(len(written) - MAX_LINES, 'more trace')}: {count_text(Written(self.store.path, '', *rest))}"
        yield f"{plural(self.n_spans, 'span')}, {plural(self.n_agents, 'agent')}, {plural(self.n_locations, 'location')}"
        yield from self.remarks()
        yield from shortlist(
            "Skipped:", [f"{escaped(reason, MAX_REASON_LENGTH)}: {count:,}" for reason, count in sorted(self.skipped.items())]
        )
        yield from shortlist("Problems:", [str(problem) for problem in self.problems])

    def remarks(self) -> Iterator[str]:
        """Lines about agents, estimated values and duplicates."""
        if self.n_inherited or self.n_fallback:
            yield (
                f"Agents: named by {plural(self.n_own, 'span')}, inherited from an ancestor by {self.n_inherited:,}, "
                f"taken from the service, task or trace by {self.n_fallback:,}"
            )
        if self.n_estimated:
            yield f"Estimated values: {self.n_estimated:,} (missing in the source; see `estimated` in data)"
        if self.n_open:
            yield f'Without an end: {self.n_open:,} (closed at the last time seen; `status` is "open")'
        if self.n_duplicates:
            yield f"Duplicates dropped: {self.n_duplicates:,}"
        if self.n_cut:
            yield f"Texts shortened or removed: {self.n_cut:,}"

    def _repr_html_(self) -> str:
        """The report in a notebook."""
        head = "".join(f"<th>{name}</th>" for name in ("trace", "name", "added", "updated", "unchanged"))
        rows = [(counts.trace_id, self.names.get(counts.trace_id, ""), *counts[2:5]) for counts in self.written[:MAX_LINES]]
        cells = ["".join(f"<td>{escape(str(cell)[:80])}</td>" for cell in row) for row in rows]
        body = "".join(f"<tr>{row}</tr>" for row in cells)
        table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        lines = [escape(line) for line in self.lines() if not line.startswith("Trace ")]
        return f"<div>{table}<pre>{chr(10).join(lines)}</pre></div>"


def count_text(written: Written) -> str:
    """The counts of a write as text."""
    return f"{plural(written.added, 'span')} added, {written.updated:,} updated, {written.unchanged:,} unchanged"


def shortlist(title: str, entries: list[str]) -> Iterator[str]:
    """A titled list of at most `MAX_LINES` lines."""
    if entries:
        yield title
        yield from (f"  {entry}" for entry in entries[:MAX_LINES])
        if len(entries) > MAX_LINES:
            yield f"  and {len(entries) - MAX_LINES:,} more"
