"""Critical path: the chain of work that determined when a trace ended.

The path is traced backwards from the latest end. A span counts from its start, or from the latest end of a child that it
waited for, as in Z. Zhang et al., "CRISP: Critical path analysis of large-scale microservice architectures" (2022). The
predecessor of a start comes from the evidence: a link, a request (the model call that asked for it, or another call that the
same one asked for), the parent, or the agent's earlier work. A predecessor that still runs at the start counts as ending there.
The path passes a span at most once at one time, so links and instants cannot form a cycle. The parts of spans on the path are
then cut by state and by innermost span (`states`, `nesting`), all at once.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from tokenvis.spans.columns import ids_at, order_with_ids, ranks_of, require, times_of, values_at
from tokenvis.spans.fields import field_values
from tokenvis.spans.groups import groups_of
from tokenvis.spans.integers import (
    Int64Array,
    Mask,
    count_ranks,
    counts,
    difference,
    highest_of,
    lowest_of,
    run_ends,
    run_starts,
    sort_order,
)
from tokenvis.spans.intervals import overlapping
from tokenvis.spans.losses import recorded_spans
from tokenvis.tree.callees import detachment_of
from tokenvis.tree.nesting import NestedParts, nested_parts
from tokenvis.tree.relations import NO_ROW, Relations, evidence_of, relations_of
from tokenvis.tree.states import AGENT, PERSON, STATES, USER, States, states_of

FOLLOWS = ("link", "request", "parent", "child", "agent", "location", "span")
LINK, REQUEST, PARENT, CHILD, SAME_AGENT, LOCATION, SPAN = range(len(FOLLOWS))
NOTHING = -1
PATH_STATES = (*STATES, "unexplained")
UNEXPLAINED = len(STATES)


class Steps(NamedTuple):
    """Parts of spans on the path, and gaps (`NO_ROW`), in order; ``follows`` is why each goes on there, or `NOTHING`."""

    row: Int64Array
    start: Int64Array
    end: Int64Array
    follows: Int64Array  # position in `FOLLOWS`


def critical_path(spans: pd.DataFrame, *, evidence: str | Iterable[str] = ("link", "parent")) -> pd.DataFrame:
    """The chain of consecutive work and waiting that ends last in each trace.

    Parameters
    ----------
    spans
        A frame of spans.
    evidence
        What explains a start, besides the agent's earlier work: ``"link"`` (also the model call in ``requested_by``),
        ``"parent"``, ``"location"`` (the last span to end there), one or several. They are tried in this order: link, request,
        parent, the same agent, location.

    Returns
    -------
    DataFrame
        Rows ordered by trace_id and time; each begins where the one before it ends, from the trace's first start to its last
        end:

        ``trace_id`` (category); ``id, agent_id, location_id`` of the span, missing for a gap, in which no span of the path
        runs; ``state`` (str): "work"; "agent": the span waits for an agent, or a link, parent or location explains the work
        after the gap; "person": the span waits for a person, or a person started the work after the gap; "unexplained": a gap,
        and nothing leads from the work before it to the work after it;
        ``follows`` (str): why the work goes on with this row: "link", "request" (a model call asked for it), "parent" (its
        parent started it), "child" (the span goes on after its child), "agent" (the same agent's latest end), "location",
        "span" (the same span in another state); missing for a gap, and if there is no predecessor;
        ``start, end`` (int64, µs), ``part_us`` (int64, µs: end - start), 0 for an instant. All parts of a trace add up to its
        wall time.

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
    >>> critical_path(spans)[["id", "agent_id", "state", "follows", "start", "end", "part_us"]]
           id agent_id  state follows  start  end  part_us
    0    plan      Ann   work     NaN      0    3        3
    1  search      Bob   work  parent      3    9        6
    2    plan      Ann   work   child      9   10        1
    3     NaN      NaN  agent     NaN     10   12        2
    4  review      Eve   work    link     12   20        8
    """
    kinds = evidence_of(evidence)
    require(spans)
    spans = recorded_spans(spans)
    of_trace, pieces = path_pieces(spans, kinds)
    columns = {name: pd.Series(values_at(spans, name, np.maximum(pieces.row, 0))) for name in ("agent_id", "location_id")}
    return pd.DataFrame(
        {
            "trace_id": values_at(spans, "trace_id", of_trace),
            "id": ids_at(spans, pieces.row),
            **{name: values.mask(pieces.row == NO_ROW) for name, values in columns.items()},
            "state": names_of(PATH_STATES, pieces.state),
            "follows": names_of(FOLLOWS, pieces.follows),
            "start": pieces.start,
            "end": pieces.end,
            "part_us": pieces.end - pieces.start,
        }
    )


def path_pieces(spans: pd.DataFrame, kinds: set[str]) -> tuple[Int64Array, "PathPieces"]:
    """The rows of `critical_path` by the rows of their spans, and for each a row of its trace; ``spans`` are recorded ones."""
    relations = relations_of(spans, links="link" in kinds)
    parent, detachment = relations.parents(), detachment_of(spans, relations)
    search = PathSearch(spans, kinds, parent, detachment.detached, relations)
    last, origin = last_and_first(spans)
    n_steps = [search.trace_back(row, first) for row, first in zip(last[::-1].tolist(), origin[::-1].tolist(), strict=True)]
    steps = search.steps_in_order()
    parts = nested_parts(spans, parent, (steps.row, steps.start, steps.end))
    states = states_of(spans, relations, np.unique(parts.row[parts.row != NO_ROW]), detachment)
    pieces = pieces_on_path(steps, parts, states, gap_states(spans, search, steps))
    return np.repeat(last, n_steps[::-1])[pieces.step], pieces


def last_and_first(spans: pd.DataFrame) -> tuple[Int64Array, Int64Array]:
    """The row of each trace that ends last (ties: the latest start, then the last agent_id, id), and the first start."""
    start, end = times_of(spans)
    trace = ranks_of(spans["trace_id"])
    n_traces = count_ranks(trace)
    rows = np.flatnonzero(end == highest_of(trace, end, n_traces)[trace])
    rows = rows[order_with_ids(spans, trace[rows], start[rows], ranks_of(spans["agent_id"].iloc[rows]), row=rows)]
    last, origin = rows[run_ends(trace[rows])], lowest_of(trace, start, n_traces)
    difference(end[last], origin)  # raises BadSpan if the wall time of a trace does not fit into int64
    return last, origin


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


class Sources:
    """The rows that each row names: pairs of rows, sorted by the row that names the other."""

    def __init__(self, named: Int64Array, naming: Int64Array, n_rows: int) -> None:
        self.named = named.data
        self.first = np.append(0, np.cumsum(counts(naming, n_rows))).data if len(naming) else None

    def of(self, row: int) -> Sequence[int]:
        """The rows that a row names."""
        return () if self.first is None else self.named[self.first[row] : self.first[row + 1]]


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

    def trace_back(self, row: int, origin: int) -> int:
        """Append the steps of a trace, from the end of its last row back to its first start; returns how many there are."""
        n_before, limit, follows = len(self.steps), self.end[row], NOTHING
        self.passed, self.lowest = set(), {}
        while row != NO_ROW:
            child = self.last_child(row, limit)
            child_end = self.end[row] if child == NO_ROW else self.end[child]
            time = min(limit, max(self.end[row], child_end))
            self.add_gap(time, limit, follows)
            if child != NO_ROW:
                self.add_part(row, child_end, time, CHILD)
                row, limit = child, child_end
                continue
            start = self.start[row]
            self.leave(row, start)
            source, follows = self.predecessor(row, start)
            self.add_part(row, start, time, follows)
            row, limit = source, start
        self.add_gap(origin, limit, NOTHING)
        return len(self.steps) - n_before

    def add_part(self, row: int, start: int, end: int, follows: int) -> None:
        """Append a part of a span, unless it is empty though the span is not an instant."""
        if start < end or (self.end[row] == start and follows != CHILD):
            self.steps.append((row, start, end, follows))

    def add_gap(self, start: int, end: int, follows: int) -> None:
        """Append a gap, unless it is empty; ``follows`` is the evidence for the work after it."""
        if start < end:
            self.starters += [(len(self.steps), row) for row in self.passed]
            self.steps.append((NO_ROW, start, end, follows))

    def steps_in_order(self) -> Steps:
        """The steps of all traces, if these were traced back from the last to the first."""
        return Steps(*np.array(self.steps, dtype=np.int64).reshape(-1, 4)[::-1].T)

    def leave(self, row: int, time: int) -> None:
        """Note that the path has passed a row at its start."""
        if time != self.passed_time:
            self.passed, self.passed_time, self.lowest = set(), time, {}
        self.passed.add(row)

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


def gap_states(spans: pd.DataFrame, search: PathSearch, steps: Steps) -> Int64Array:
    """The state of each step if it is a gap."""
    state = np.where(np.isin(steps.follows, (LINK, PARENT, LOCATION)), AGENT, UNEXPLAINED)
    gap, row = np.array(search.starters, dtype=np.int64).reshape(-1, 2).T
    started, triggers = field_values(spans.iloc[row], "trigger")
    by_person = started[[trigger == USER for trigger in triggers]]
    state[len(state) - 1 - gap[by_person]] = PERSON
    return state


class PathPieces(NamedTuple):
    """The rows of the answer: the step and the span of each, its time, and its state and evidence as codes."""

    step: Int64Array
    row: Int64Array
    start: Int64Array
    end: Int64Array
    state: Int64Array
    follows: Int64Array


def pieces_on_path(steps: Steps, parts: NestedParts, states: States, gap_state: Int64Array) -> PathPieces:
    """The steps, cut where the innermost span or its state changes."""
    part, piece = overlapping((parts.row, parts.start, parts.end), (states.row, states.start, states.end))
    whole = np.flatnonzero((steps.row == NO_ROW) | (steps.start == steps.end))  # gaps and instants
    instant = whole[steps.row[whole] != NO_ROW]
    whole_state = gap_state.copy()
    whole_state[instant] = states.state[np.searchsorted(states.row, steps.row[instant])]
    columns = (
        (parts.part[part], whole),
        (part, whole),  # the parts of level 0 are the steps
        (np.maximum(parts.start[part], states.start[piece]), steps.start[whole]),
        (np.minimum(parts.end[part], states.end[piece]), steps.end[whole]),
        (states.state[piece], whole_state[whole]),
    )
    step, part, start, end, state = (np.concatenate(column) for column in columns)
    order = sort_order(step, start)
    step, part = step[order], part[order]
    row = parts.row[part]
    follows = np.where(run_starts(step), steps.follows[step], reasons(parts, part))
    return PathPieces(step, row, start[order], end[order], state[order], np.where(row == NO_ROW, NOTHING, follows))


def reasons(parts: NestedParts, part: Int64Array) -> Int64Array:
    """Why each piece follows the previous piece of the same step."""
    before = np.append(part[:1], part[:-1])[: len(part)]
    kinds = [part == before, parts.contains(before, part), parts.contains(part, before)]
    return np.select(kinds, [SPAN, PARENT, CHILD], SAME_AGENT)


def names_of(names: tuple[str, ...], codes: Int64Array) -> Any:
    """The names of codes, as ``str``; missing for -1."""
    return pd.array(np.array([*names, None], dtype=object)[codes], dtype="str")
