"""Critical path: the chain of work that determined when a trace ended.

The path is traced backwards from the latest end. A span counts from its start, or from the latest end of a child that it
waited for, as in Z. Zhang et al., "CRISP: Critical path analysis of large-scale microservice architectures" (2022). The
predecessor of a start comes from the evidence: a link, the parent, or the agent's earlier work. The predecessor ends at or
before the start, and comes earlier in the order of end, start, agent_id, id, so that instants cannot form a cycle; a
predecessor that overlaps the start counts as ending there.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

from tokenvis.spans.columns import codes_of, order_with_ids, require, times_of, values_at
from tokenvis.spans.groups import groups_of
from tokenvis.spans.integers import Int64Array, difference, lowest_of, run_ends, sort_order
from tokenvis.spans.losses import recorded_spans
from tokenvis.spans.relations import NO_ROW, evidence_of, relations_of


class PathStep(NamedTuple):
    """A part of a span on the path, why it follows the previous step, and how long it waited after that step."""

    row: int
    start: int
    end: int
    follows: str | None
    wait: int


def critical_path(spans: pd.DataFrame, *, evidence: str | Iterable[str] = ("link", "parent")) -> pd.DataFrame:
    """The chain of consecutive spans that ends last in each trace.

    Parameters
    ----------
    spans
        A frame of spans.
    evidence
        What explains a start, besides the agent's earlier work: ``"link"``, ``"parent"``, ``"location"`` (the last span to end
        there), one or several. They are tried in this order: link, parent, the same agent, location.

    Returns
    -------
    DataFrame
        A row for each step, ordered by trace_id and time:

        ``trace_id`` (category); ``id, agent_id, location_id`` of the span; ``follows`` (str): why it follows the previous
        step: "link", "parent" (its parent started it), "child" (the span continues after its child), "agent" (the same agent's
        latest end), "location"; missing for the first; ``start, end`` (int64, µs) of the part of the span that is on the path,
        ``part_us`` (int64, µs: end - start), ``wait_us`` (int64, µs): from the end of the previous step to this start.

        If the first step starts later than its trace, an "unexplained" row precedes it, without a span, which waits from the
        trace's start. So all parts and waits of a trace add up to its wall time.

    Raises
    ------
    MissingColumn, BadSpan
        If ``spans`` is not a frame of spans, a parent or linked id is in two rows of a trace, or the duration of a trace does
        not fit into a 64-bit integer.
    BadOption
        If ``evidence`` is not one of the choices.

    Examples
    --------
    >>> import pandas as pd
    >>> spans = pd.DataFrame({
    ...     "id": ["plan", "search", "review"], "trace_id": "t", "agent_id": ["Ann", "Bob", "Eve"], "location_id": "desk",
    ...     "start_time": [0, 3, 12], "end_time": [10, 9, 20], "parent_id": [None, "plan", None],
    ...     "data": [None, None, '{"links": ["plan"]}'],
    ... })
    >>> critical_path(spans)[["id", "agent_id", "follows", "start", "end", "part_us", "wait_us"]]
           id agent_id follows  start  end  part_us  wait_us
    0    plan      Ann     NaN      0    3        3        0
    1  search      Bob  parent      3    9        6        0
    2    plan      Ann   child      9   10        1        0
    3  review      Eve    link     12   20        8        2
    """
    kinds = evidence_of(evidence)
    require(spans)
    spans = recorded_spans(spans)
    index = path_index(spans, kinds)
    chains = [list(index.chain(int(last), int(origin))) for last, origin in zip(index.last, index.origin, strict=True)]
    steps = [step for chain in chains for step in reversed(chain)]
    row, start, end, wait = (
        np.array([(step.row, step.start, step.end, step.wait) for step in steps], dtype=np.int64).reshape(-1, 4).T
    )
    names = {column: pd.Series(values_at(spans, column, np.maximum(row, 0))) for column in ("id", "agent_id", "location_id")}
    return pd.DataFrame(
        {
            "trace_id": values_at(spans, "trace_id", np.repeat(index.last, [len(chain) for chain in chains])),
            **{column: values.mask(row < 0) for column, values in names.items()},
            "follows": pd.array([step.follows for step in steps], dtype="str"),
            "start": start,
            "end": end,
            "part_us": end - start,
            "wait_us": wait,
        }
    )


@dataclass(frozen=True)
class EndOrder:
    """The rows of each group, ordered by their ends."""

    row: Int64Array
    end: Int64Array
    rank: Int64Array
    first: Int64Array  # position of the first row of each group, plus the total number of rows

    def last(self, group: int, time: int, rank: int) -> int:
        """The group's last row to end at or before a time, with a lower rank than the given one; else `NO_ROW`."""
        rows = slice(int(self.first[group]), int(self.first[group + 1]))
        found = int(min(np.searchsorted(self.end[rows], time, side="right"), np.searchsorted(self.rank[rows], rank)))
        return int(self.row[rows.start + found - 1]) if found else NO_ROW


@dataclass(frozen=True)
class PathIndex:
    """The lookup tables to trace a path backwards. ``last`` and ``origin`` have a value for each trace."""

    ids: pd.Series
    start: Int64Array
    end: Int64Array
    agent: Int64Array  # code of the name
    rank: Int64Array  # in the order of trace, end, start, agent_id, id
    last: Int64Array  # the row that ends last
    origin: Int64Array  # the first start
    sources: dict[int, list[int]]  # rows that each row links to
    parent: Int64Array
    children: EndOrder  # grouped by the parents' rows, without instants
    fallbacks: list[tuple[str, Int64Array, EndOrder]]  # "agent", and "location" if requested: group of each row, groups

    def chain(self, row: int, origin: int) -> Iterator[PathStep]:
        """The steps of a trace, from the last to the first."""
        time, max_rank = int(self.end[row]), len(self.rank)
        while row != NO_ROW:
            start, child = int(self.start[row]), self.last_child(row, time)
            if child != NO_ROW:
                child_end = int(self.end[child])
                if child_end < time:
                    yield PathStep(row, child_end, time, "child", 0)
                row, time = child, child_end
                continue
            if start == self.end[row]:
                max_rank = int(self.rank[row])
            source, follows = self.predecessor(row, start, max_rank)
            ended_at = min(int(self.end[source]), start) if follows else start
            yield PathStep(row, start, time, follows, start - ended_at)
            row, time = source, ended_at
        if start > origin:
            yield PathStep(NO_ROW, start, start, "unexplained", start - origin)

    def last_child(self, row: int, time: int) -> int:
        """The span's child with the latest end up to a time, if that is after the span's start; else `NO_ROW`."""
        child = self.children.last(row, time, len(self.rank))
        return child if child != NO_ROW and self.end[child] > self.start[row] else NO_ROW

    def predecessor(self, row: int, time: int, max_rank: int) -> tuple[int, str | None]:
        """The predecessor of a span that starts at a time, and its evidence; instants then need a rank below ``max_rank``."""
        links = [source for source in self.sources.get(row, ()) if self.precedes(source, time, max_rank)]
        if links:
            return max(links, key=lambda source: self.end_key(source, time)), "link"
        parent = int(self.parent[row])
        if parent != NO_ROW and (self.precedes(parent, time, max_rank) or self.start[parent] == time < self.end[parent]):
            sibling = self.last_child(parent, time)
            waited = sibling != NO_ROW and self.end[sibling] == time and self.agent[sibling] == self.agent[row]
            return parent, "agent" if waited else "parent"
        for follows, group, order in self.fallbacks:
            predecessor = order.last(int(group[row]), time, max_rank)
            if predecessor != NO_ROW:
                return predecessor, follows
        return NO_ROW, None

    def precedes(self, row: int, time: int, max_rank: int) -> bool:
        """Whether a span started before a time, or is an instant at that time with a rank below ``max_rank``."""
        return bool(self.start[row] < time or (self.end[row] == time == self.start[row] and self.rank[row] < max_rank))

    def end_key(self, row: int, time: int) -> tuple[int, int, int, str]:
        """The sort key of predecessors by their end, where spans that still run at a time count as ending then."""
        return min(int(self.end[row]), time), int(self.start[row]), int(self.agent[row]), str(self.ids.iloc[row])


def path_index(spans: pd.DataFrame, kinds: set[str]) -> PathIndex:
    """The lookup tables for the requested kinds of evidence."""
    start, end = times_of(spans)
    (trace, traces), agent = codes_of(spans["trace_id"]), codes_of(spans["agent_id"])[0]
    order = order_with_ids(spans, trace, end, start, agent)
    rank = np.empty(len(spans), dtype=np.int64)
    rank[order] = np.arange(len(spans))
    last = order[run_ends(trace[order])]
    origin = lowest_of(trace, start, len(traces))
    difference(end[last], origin)  # raises BadSpan if the wall time of a trace does not fit into int64

    def end_order(group: Int64Array, n_groups: int, rows: Int64Array) -> EndOrder:
        rows = rows[sort_order(group[rows], rank[rows])]
        return EndOrder(rows, end[rows], rank[rows], np.searchsorted(group[rows], np.arange(n_groups + 1)))

    relations = relations_of(spans, parents="parent" in kinds, links="link" in kinds)
    sources: dict[int, list[int]] = {}
    for source, target in zip(*(rows.tolist() for rows in relations.links()), strict=True):
        sources.setdefault(target, []).append(source)
    parent = relations.parents()
    columns = {"agent": ("trace_id", "agent_id")} | ({"location": ("trace_id", "location_id")} if "location" in kinds else {})
    groups = {follows: groups_of(spans, *names) for follows, names in columns.items()}
    return PathIndex(
        ids=spans["id"],
        start=start,
        end=end,
        agent=agent,
        rank=rank,
        last=last,
        origin=origin,
        sources=sources,
        parent=parent,
        children=end_order(parent, len(spans), np.flatnonzero((parent >= 0) & (end > start))),
        fallbacks=[
            (follows, grouping.group, end_order(grouping.group, len(grouping), order)) for follows, grouping in groups.items()
        ],
    )
