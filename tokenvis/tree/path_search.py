"""Path search: the steps of critical paths, traced backwards from the latest end of each trace.

The rules are those of `tokenvis.analysis.critical_path`. What the search looks up at each step depends on the step's row alone,
as long as nothing on the path starts at the very time at which the step's row starts. So it is looked up for all rows at once
(`Shortcuts`), if the traces are not too long; the search itself is sequential.
"""

from bisect import bisect_right
from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np
import pandas as pd

from tokenvis.spans.columns import order_with_ids, ranks_of, times_of
from tokenvis.spans.groups import groups_of
from tokenvis.spans.integers import Int64Array, Mask, count_ranks, counts, rank_in
from tokenvis.tree.relations import NO_ROW, Relations

FOLLOWS = ("link", "request", "parent", "child", "agent", "location", "span")
LINK, REQUEST, PARENT, CHILD, SAME_AGENT, LOCATION, SPAN = range(len(FOLLOWS))
NOTHING, SEVERAL = -1, -2
MAX_SPANS_WITH_SHORTCUTS = 20_000  # of a trace, on average: of a longer one, the path has few spans


class Steps(NamedTuple):
    """Parts of spans on the path, and gaps (`NO_ROW`), in order; ``follows`` is why each goes on there, or `NOTHING`."""

    row: Int64Array
    start: Int64Array
    end: Int64Array
    follows: Int64Array  # position in `FOLLOWS`


class Ends:
    """The rows of each group, ordered by their ends (ties: the start, then agent_id, id)."""

    def __init__(self, spans: pd.DataFrame, group: Int64Array, rows: Int64Array, n_groups: int, agent: Int64Array) -> None:
        """Sort these rows by the ``group`` of each; ``agent`` are numbers of all rows of the frame."""
        start, end = times_of(spans)
        rows = rows[order_with_ids(spans, group, end[rows], start[rows], agent[rows], row=rows)]
        self.row, self.end = rows.data, end[rows].data
        self.first = np.append(0, np.cumsum(counts(group, n_groups))).data

    def last(self, group: int, time: int) -> tuple[int, int]:
        """The position of the group's last row to end at or before a time, and that of its first row, which may be later."""
        first = self.first[group]
        return bisect_right(self.end, time, first, self.first[group + 1]) - 1, first

    def last_rows(self, group: Int64Array, time: Int64Array) -> Int64Array:
        """The last row of each of these groups to end at or before a time; `NO_ROW` if there is none."""
        first = np.asarray(self.first)
        size = np.diff(first)
        position = rank_in(np.repeat(np.arange(len(size)), size), np.asarray(self.end), group, time, side="right") - 1
        return np.where(position >= first[group], np.append(self.row, NO_ROW)[position], NO_ROW)


class Sources:
    """The rows that each row names: pairs of rows, sorted by the row that names the other."""

    def __init__(self, named: Int64Array, naming: Int64Array, n_rows: int) -> None:
        self.named = named.data
        self.first = np.append(0, np.cumsum(counts(naming, n_rows))).data if len(naming) else None

    def of(self, row: int) -> Sequence[int]:
        """The rows that a row names."""
        return () if self.first is None else self.named[self.first[row] : self.first[row + 1]]

    def single(self, n_rows: int) -> tuple[Int64Array, Int64Array]:
        """How many rows each row names, and the first of them; `NO_ROW` if there is none."""
        if self.first is None:
            return np.zeros(n_rows, dtype=np.int64), np.full(n_rows, NO_ROW)
        first = np.asarray(self.first)
        count = np.diff(first)
        return count, np.where(count > 0, np.append(self.named, NO_ROW)[first[:-1]], NO_ROW)


class Shortcuts(NamedTuple):
    """What the search looks up for each row.

    ``source`` and ``follows`` are its predecessor and the evidence, where ``known``; ``child`` is the last child of that one up
    to the row's start, ``own_child`` that of the row itself.
    """

    known: memoryview
    source: memoryview
    follows: memoryview
    child: memoryview
    own_child: memoryview


class PathSearch:
    """The search for the paths of all traces: ``steps`` has the steps found so far, backwards."""

    def __init__(self, spans: pd.DataFrame, kinds: set[str], parent: Int64Array, detached: Mask, relations: Relations) -> None:
        """Prepare the lookup tables."""
        self.spans, self.kinds = spans, kinds
        start, end = times_of(spans)
        self.start, self.end = start.data, end.data
        asked_by, call = relations.requests()
        self.links = Sources(*relations.links(), len(spans))
        self.requests = Sources(asked_by, call, len(spans))
        self.requested = Ends(spans, asked_by, call, len(spans), self.agent) if len(call) else None
        if "parent" not in kinds:
            parent = np.full_like(parent, NO_ROW)
        self.parent = parent.data
        children = np.flatnonzero((parent != NO_ROW) & ~detached & (end > start))
        self.children = Ends(spans, parent[children], children, len(spans), self.agent) if len(children) else None
        self.steps: list[tuple[int, int, int, int]] = []
        self.starters: list[tuple[int, int]] = []  # the position of each gap in ``steps``, and a row that starts after it
        self.passed: set[int] = set()  # the rows that the path has left at ``passed_time``, their start
        self.passed_time = 0
        self.lowest: dict[tuple[int, int], int] = {}  # the position that each group has reached at ``passed_time``

    @cached_property
    def agent(self) -> Int64Array:
        """The code of each row's agent."""
        return ranks_of(self.spans["agent_id"])

    @cached_property
    def fallbacks(self) -> list[tuple[int, memoryview, Ends]]:
        """For the same agent, and for the location if requested: `FOLLOWS`, the group of each row, and the groups."""
        columns = {SAME_AGENT: "agent_id"} | ({LOCATION: "location_id"} if "location" in self.kinds else {})
        groupings = {follows: groups_of(self.spans, "trace_id", column) for follows, column in columns.items()}
        rows = np.arange(len(self.spans))
        return [
            (follows, grouping.group.data, Ends(self.spans, grouping.group, rows, len(grouping), self.agent))
            for follows, grouping in groupings.items()
        ]

    @cached_property
    def shortcuts(self) -> Shortcuts | None:
        """What is looked up for all rows at once, unless the traces are so long that most of it would be in vain."""
        n_traces = count_ranks(ranks_of(self.spans["trace_id"]))
        if len(self.start) > MAX_SPANS_WITH_SHORTCUTS * n_traces:
            return None
        start, source, follows = np.asarray(self.start), *self.sources_at_starts()
        found = np.flatnonzero(source != NO_ROW)
        known = (follows >= NOTHING) & ~((source == NO_ROW) & ("location" in self.kinds))
        known[found] &= start[source[found]] < start[found]  # else it may be passed already
        child = np.full(len(start), NO_ROW)
        child[found] = self.last_children(source[found], start[found])
        own_child = self.last_children(np.arange(len(start)), np.asarray(self.end))
        return Shortcuts(known.data, source.data, follows.data, child.data, own_child.data)

    def sources_at_starts(self) -> tuple[Int64Array, Int64Array]:
        """For each row, its predecessor if the path has passed none, and the evidence; `SEVERAL` if there may be several."""
        start, end, parent = (np.asarray(values) for values in (self.start, self.end, self.parent))
        (n_links, linked), (n_requests, _) = (named.single(len(start)) for named in (self.links, self.requests))
        source = np.where(n_links > 0, linked, parent)
        follows = np.where(n_links > 0, np.where(n_links == 1, LINK, SEVERAL), np.where(n_requests > 0, SEVERAL, NOTHING))
        children = np.flatnonzero((follows == NOTHING) & (parent != NO_ROW))
        sibling = self.last_children(parent[children], start[children])
        waited = (sibling != NO_ROW) & (end[sibling] == start[children]) & (self.agent[sibling] == self.agent[children])
        others = np.flatnonzero((follows == NOTHING) & (parent == NO_ROW))
        follows[children] = np.where(waited, SAME_AGENT, PARENT)
        if len(others):
            _, group, ends = self.fallbacks[0]
            source[others] = ends.last_rows(np.asarray(group)[others], start[others])
            follows[others] = np.where(source[others] == NO_ROW, NOTHING, SAME_AGENT)
        return source, follows

    def last_children(self, row: Int64Array, time: Int64Array) -> Int64Array:
        """`last_child` for many rows and times."""
        if self.children is None:
            return np.full(len(row), NO_ROW)
        child = self.children.last_rows(row, time)
        return np.where((child != NO_ROW) & (np.asarray(self.end)[child] > np.asarray(self.start)[row]), child, NO_ROW)

    def trace_back(self, row: int, origin: int) -> int:
        """Append the steps of a trace, from the end of its last row back to its first start; returns how many there are."""
        n_before, limit, follows, shortcuts = len(self.steps), self.end[row], NOTHING, self.shortcuts
        self.passed, self.lowest = set(), {}
        child = self.last_child(row, limit)
        while row != NO_ROW:
            end = self.end[row]
            child_end = end if child == NO_ROW else self.end[child]
            time = end if end > child_end else child_end
            if time < limit:
                self.add_gap(time, limit, follows)
            else:
                time = limit
            if child != NO_ROW:
                if child_end < time:
                    self.steps.append((row, child_end, time, CHILD))
                row, limit = child, child_end
                child = self.last_child(row, limit) if shortcuts is None else shortcuts.own_child[row]
                continue
            start = self.start[row]
            if start != self.passed_time:
                self.passed, self.passed_time, self.lowest = {row}, start, {}
            else:
                self.passed.add(row)
            if shortcuts is not None and shortcuts.known[row]:
                source, follows, child = shortcuts.source[row], shortcuts.follows[row], shortcuts.child[row]
            else:
                source, follows = self.predecessor(row, start)
                child = NO_ROW if source == NO_ROW else self.last_child(source, start)
            if start < time or end == start:  # an instant is a part, though it is empty
                self.steps.append((row, start, time, follows))
            row, limit = source, start
        self.add_gap(origin, limit, NOTHING)
        return len(self.steps) - n_before

    def add_gap(self, start: int, end: int, follows: int) -> None:
        """Append a gap, unless it is empty; ``follows`` is the evidence for the work after it."""
        if start < end:
            self.starters += [(len(self.steps), row) for row in self.passed]
            self.steps.append((NO_ROW, start, end, follows))

    def steps_in_order(self) -> Steps:
        """The steps of all traces, if these were traced back from the last to the first."""
        return Steps(*np.array(self.steps, dtype=np.int64).reshape(-1, 4)[::-1].T)

    def last_child(self, row: int, time: int) -> int:
        """The child, not detached, with the latest end up to a time, if that is after the span's start; else `NO_ROW`."""
        if self.children is None:
            return NO_ROW
        position, first = self.children.last(row, time)
        return self.children.row[position] if position >= first and self.children.end[position] > self.start[row] else NO_ROW

    def predecessor(self, row: int, time: int) -> tuple[int, int]:
        """The predecessor of a span that starts at a time, and its evidence."""
        links = [source for source in self.links.of(row) if self.precedes(source, time)]
        if links:
            return self.last_to_end(links, time), LINK
        parent, requests = self.parent[row], self.requesting(row, time)
        has_parent = parent != NO_ROW and self.precedes(parent, time)
        asked = self.last_to_end(requests, time) if requests else NO_ROW
        if asked != NO_ROW and (self.end[asked] >= time or not has_parent):
            return asked, REQUEST
        if has_parent:
            sibling = self.last_child(parent, time)
            waited = sibling != NO_ROW and self.end[sibling] == time and self.agent[sibling] == self.agent[row]
            return parent, SAME_AGENT if waited else PARENT
        for follows, group, ends in self.fallbacks:
            earlier = self.last_of_group(follows, group[row], ends, time)
            if earlier != NO_ROW:
                return earlier, follows
        return NO_ROW, NOTHING

    def requesting(self, row: int, time: int) -> list[int]:
        """The model calls that asked for a row before a time, and for each the last call that it asked for to end by then."""
        asked_by = [source for source in self.requests.of(row) if self.precedes(source, time)]
        if not asked_by or self.requested is None:
            return asked_by
        calls = [self.last_of_group(REQUEST, source, self.requested, time) for source in asked_by]
        return asked_by + [call for call in calls if call != NO_ROW]

    def precedes(self, row: int, time: int) -> bool:
        """Whether a span started before a time, or at that time if the path has not passed it."""
        return self.start[row] < time or (self.start[row] == time and row not in self.passed)

    def last_to_end(self, rows: list[int], time: int) -> int:
        """The row that ends last (ties: the start, then agent_id, id); rows that still run at a time count as ending then."""
        if len(rows) == 1:
            return rows[0]
        keys = [(min(self.end[row], time), self.start[row], int(self.agent[row])) for row in rows]
        latest = max(keys)
        tied = [row for row, key in zip(rows, keys, strict=True) if key == latest]
        return tied[0] if len(tied) == 1 else tied[int(ranks_of(self.spans["id"].iloc[tied]).argmax())]

    def last_of_group(self, kind: int, group: int, ends: Ends, time: int) -> int:
        """The group's last row to end at or before a time that the path has not passed at that time; else `NO_ROW`."""
        position, first = ends.last(group, time)
        position = min(position, self.lowest.get((kind, group), position))
        while position >= first and ends.row[position] in self.passed:
            position -= 1
        self.lowest[kind, group] = position
        return ends.row[position] if position >= first else NO_ROW
