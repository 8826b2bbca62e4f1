"""The report: what was read, skipped and rejected, as text and as a table in a notebook."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from html import escape

import pandas as pd

from tokenvis.errors import escaped, plural, quoted
from tokenvis.formats.files.reading import Problem
from tokenvis.output import one_line
from tokenvis.store.ingested import Naming
from tokenvis.store.load import load_spans
from tokenvis.store.store import Store, Written

MAX_LINES = 12  # lines of each list; the rest is counted
AGENT_FROM = {  # how the agents of spans are found, and how the report says it
    "source": "named by the source",
    "attribute": "named by an attribute",
    "name": "by the name of the span",
    "id": "by the id of the agent",
    "task": "by the task",
    "rule": "by your rule",
    "ancestor": "by an ancestor",
    "service": "by the service",
    "trace": "by the name of the trace",
}
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
    renamed : dict
        Other traces of the store that got another name, because a file of this ingest has the same: from and to, by id.
    written : list of Written
        The numbers of spans added, updated and unchanged, by trace.
    n_spans, n_agents, n_locations : int
        Totals. Agents and locations are counted by name, over all traces.
    agents_from : Counter
        How the agents of spans were found, and for how many: named by the "source", by an "attribute", the "name" of the span,
        an "id", a "task" or your "rule"; else by the nearest "ancestor", the "service" or the "trace" (`agent_from` in data).
    n_estimated, n_open : int
        Spans with an estimated value (a time, or `parent_id`), and spans without an end.
    n_duplicates, n_snapshots : int
        Records that repeat another one exactly, and earlier snapshots of spans, which a later record replaced.
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
    renamed: dict[str, tuple[str, str]] = field(default_factory=dict)
    totals: dict[str, Written] = field(default_factory=dict, repr=False)
    agents: set[str] = field(default_factory=set, repr=False)
    locations: set[str] = field(default_factory=set, repr=False)
    n_spans: int = 0
    agents_from: Counter[str] = field(default_factory=Counter)
    n_estimated: int = 0
    n_open: int = 0
    n_duplicates: int = 0
    n_snapshots: int = 0
    problems: list[Problem] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)
    n_cut: int = 0

    @property
    def written(self) -> list[Written]:
        """The numbers of spans added, updated and unchanged, by trace."""
        return list(self.totals.values())

    @property
    def n_agents(self) -> int:
        """The number of agents, by name over all traces."""
        return len(self.agents)

    @property
    def n_locations(self) -> int:
        """The number of locations, by name over all traces."""
        return len(self.locations)

    def spans(self) -> pd.DataFrame:
        """The spans of these traces, as `tokenvis.load_spans` returns them."""
        return load_spans(list(self.totals), store=self.store)

    def add(self, spans: pd.DataFrame, written: list[Written]) -> None:
        """Add written spans to the totals."""
        self.n_spans += len(spans)
        self.agents.update(spans["agent_id"].unique())
        self.locations.update(spans["location_id"].unique())
        self.add_written(written)

    def add_written(self, written: list[Written]) -> None:
        """Add the counts of a write to the totals of its traces."""
        for counts in written:
            total = self.totals.get(counts.trace_id, Written(counts.database, counts.trace_id, 0))
            sums = (old + new for old, new in zip(total[2:], counts[2:], strict=True))
            self.totals[counts.trace_id] = Written(counts.database, counts.trace_id, *sums)

    def add_names(self, naming: Naming) -> None:
        """Add the names that traces got."""
        self.names |= naming.names
        for trace_id, (former, name) in naming.renamed.items():
            if trace_id in self.names:
                self.names[trace_id] = name
            else:
                self.renamed[trace_id] = self.renamed.get(trace_id, (former,))[0], name

    def add_kept(self, n_kept: Counter[str]) -> None:
        """Add spans, by trace, of which the store keeps what another file told."""
        self.n_spans += n_kept.total()
        self.add_written([Written(self.store.path, trace, 0, 0, count) for trace, count in n_kept.items()])

    def count(self, counts: Counter[str]) -> None:
        """Add the counts of an assembly."""
        self.agents_from.update({source: counts[source] for source in AGENT_FROM if counts[source]})
        self.n_estimated += counts["estimated"]
        self.n_open += counts["open"]
        self.n_duplicates += counts["identical"]
        self.n_snapshots += counts["snapshots"]

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
        changes = (f"{quoted(former)} is now {quoted(name)}" for former, name in self.renamed.values() if former != name)
        yield from shortlist("Renamed, because other runs have the same names:", sorted(changes))
        yield from shortlist("Problems:", [str(problem) for problem in self.problems])

    def remarks(self) -> Iterator[str]:
        """Lines about agents, estimated values and duplicates."""
        if self.agents_from.keys() - {"source"}:
            told = (f"{how} {self.agents_from[source]:,}" for source, how in AGENT_FROM.items() if self.agents_from[source])
            yield f"Agents of spans: {', '.join(told)}"
        if self.n_estimated:
            yield f"Estimated values: {self.n_estimated:,} (missing in the source; see `estimated` in data)"
        if self.n_open:
            yield f'Without an end: {self.n_open:,} (closed at the last time seen; `status` is "open")'
        if self.n_duplicates:
            yield f"Duplicates dropped: {self.n_duplicates:,} (identical records)"
        if self.n_snapshots:
            yield f"Earlier snapshots of spans: {self.n_snapshots:,} (a later record replaced them)"
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
