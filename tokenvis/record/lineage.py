"""The lineage: resolve the agents of spans whose children arrive before their parents.

A span belongs to the agent that it names, or else to the agent of its nearest ancestor that names one, or else to its service,
or else to the name of its trace. A running program reports a span when it ends, which is before its ancestors end. So the row
of a span is written at once with the likely agent, and stays pending until an ancestor arrives that names an agent or has no
parent. If the agent is different then, the row is written again.

Agents with one name that run at the same time are told apart by their ids, each when it is first seen; see
`tokenvis.conventions.namesakes`. A row also gets the model call
that asked for it (`requests`).

Memory is bounded: a pending row that is evicted keeps the agent that it has.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias, TypeVar

from tokenvis.conventions.marks import with_marks
from tokenvis.conventions.namesakes import LiveNamesakes
from tokenvis.record.requests import Asker, Requests
from tokenvis.store.append import SpanRow

AGENT_INDEX = 2  # in a row
MAX_PENDING_ROWS = 10_000
MAX_PENDING_CHARACTERS = 32 << 20  # of data, in all pending rows
MAX_RESOLUTIONS = 100_000  # spans
MAX_TRACE_NAMES = 10_000
MAX_RUNNING_ANCESTORS = 32  # ancestors looked up one after the other

Value = TypeVar("Value")


class RunningSpan(NamedTuple):
    """A span that is still running, as far as its descendants need it."""

    agent: str | None
    parent: str | None
    trace_name: str | None = None
    call: str | None = None  # that it makes
    agent_key: str | None = None  # the source's id of its agent
    start: int = 0


RunningLookup: TypeAlias = Callable[[str], RunningSpan | None]


class Arrival(NamedTuple):
    """A span that arrived: its row, whose agent is ignored, and the values that determine its agent and who asked for it."""

    row: SpanRow
    parent: str | None
    agent: str | None  # the agent that the span names
    service: str | None
    trace_name: tuple[int, str] | None = None  # the start of the span, and the name that it gives its trace: the earliest wins
    calls: tuple[str, ...] = ()  # that a model's answer asks for
    call: str | None = None  # that another span makes
    agent_key: str | None = None  # the source's id of the agent that the span names


class Resolution(NamedTuple):
    """What determines a span's agent: an agent, or else an ancestor that has not arrived; None and None for neither."""

    agent: str | None
    ancestor: str | None


@dataclass(slots=True)
class PendingGroup:
    """The pending rows of one ancestor, by id."""

    ancestor: str
    rows: dict[str, SpanRow] = field(default_factory=dict)


@dataclass(slots=True)
class PendingRow:
    """The group of a pending row, and the service that is its fallback."""

    group: PendingGroup
    service: str | None


class Lineage:
    """Resolves the agents of spans in the order in which the spans end; `add` returns the rows to write."""

    def __init__(
        self,
        *,
        max_rows: int = MAX_PENDING_ROWS,
        max_characters: int = MAX_PENDING_CHARACTERS,
        max_resolutions: int = MAX_RESOLUTIONS,
    ) -> None:
        self.max_rows, self.max_characters, self.max_resolutions = max_rows, max_characters, max_resolutions
        self.resolutions: OrderedDict[str, Resolution] = OrderedDict()
        self.trace_names: OrderedDict[str, tuple[int, str]] = OrderedDict()
        self.namesakes = LiveNamesakes()
        self.groups: dict[str, dict[str, PendingGroup]] = {}  # by trace, then by the ancestor that has not arrived
        self.pending: OrderedDict[str, PendingRow] = OrderedDict()
        self.n_characters = 0
        self.requests = Requests()

    def add(self, arrival: Arrival, find_running: RunningLookup = lambda _: None) -> list[SpanRow]:
        """The row of a span with its agent, after the earlier rows whose agent has changed.

        ``find_running`` looks up an ancestor that is still running by its id, and returns None if there is none.
        """
        span, trace = arrival.row[:2]
        self.drop_pending(span)
        arrival = self.told_apart(arrival, find_running, is_running=False)
        rows = self.rename_trace(trace, arrival.trace_name)
        resolution = self.resolve(arrival)
        set_newest(self.resolutions, span, resolution, self.max_resolutions)
        rows += self.resolve_pending(trace, span, resolution)
        rows = list({row[0]: row for row in rows}.values())  # a row may change twice
        agent, source = self.agent_of(arrival, resolution, find_running)
        self.requests.add(trace, span, Asker(arrival.row[4], arrival.parent, agent), arrival.calls)
        row = self.with_request(with_agent(arrival.row, agent, source), arrival, find_running)
        if resolution.ancestor:
            self.add_pending(row, arrival.service, resolution.ancestor)
        return [*rows, row]

    def running_row(self, arrival: Arrival, find_running: RunningLookup) -> SpanRow:
        """The row of a span that is still running, with its likely agent; only the id of that agent is remembered."""
        arrival = self.told_apart(arrival, find_running, is_running=True)
        row = with_agent(arrival.row, *self.agent_of(arrival, self.resolve(arrival), find_running))
        return self.with_request(row, arrival, find_running)

    def with_request(self, row: SpanRow, arrival: Arrival, find_running: RunningLookup) -> SpanRow:
        """The row of a span, with the model call that asked for it, as far as it is known now."""
        if arrival.call is None:
            return row

        def call_and_parent(span: str) -> tuple[str | None, str | None] | None:
            running = find_running(span)
            return None if running is None else (running.call, running.parent)

        made = Asker(row[4], arrival.parent, row[2])
        asked_by = self.requests.requesting_span(row[1], arrival.call, made, call_and_parent)
        return row if asked_by is None else (*row[:-1], with_marks(row[-1], {"requested_by": asked_by}))

    def told_apart(self, arrival: Arrival, find_running: RunningLookup, *, is_running: bool) -> Arrival:
        """The arrival with the name that tells its agent apart from others of that name, by its id or its ancestors."""
        span, trace, _, _, start, end, _ = arrival.row
        agent, key = arrival.agent, arrival.agent_key
        if agent and key:
            return renamed(arrival, self.namesakes.name_of(trace, agent, key, span, start, None if is_running else end))
        if agent and self.namesakes.has_several(trace, agent):
            above = self.resolve_ancestor(arrival.parent)
            nearest = above.agent or self.agent_from_running(trace, above.ancestor, find_running, is_unnamed=False)
            if nearest and self.namesakes.is_namesake(trace, agent, nearest):
                return renamed(arrival, nearest)
        return arrival

    def agent_of(self, arrival: Arrival, resolution: Resolution, find_running: RunningLookup) -> tuple[str, str | None]:
        """The agent of a span, as far as it is known now, and where it is from, None if the span names it."""
        if arrival.agent:
            return arrival.agent, None
        trace = arrival.row[1]
        agent = resolution.agent or self.agent_from_running(
            trace, resolution.ancestor, find_running, is_unnamed=not (arrival.service or self.trace_name(trace))
        )
        return (agent, "ancestor") if agent else self.fallback_agent(trace, arrival.service, arrival.trace_name)

    def trace_name(self, trace: str) -> str | None:
        """The name of a trace, or None if no span has given it one."""
        return self.trace_names[trace][1] if trace in self.trace_names else None

    def fallback_agent(self, trace: str, service: str | None, name: tuple[int, str] | None = None) -> tuple[str, str]:
        """The agent of a span without an ancestor that names one, and where it is from; ``name`` is what the span calls it."""
        return (service, "service") if service else ((name and name[1]) or self.trace_name(trace) or trace, "trace")

    def resolve(self, arrival: Arrival) -> Resolution:
        """Resolve the agent of a span.

        A span that would be its own ancestor waits for an ancestor with the trace's id, which never arrives.
        """
        if arrival.agent:
            return Resolution(arrival.agent, None)
        resolution = self.resolve_ancestor(arrival.parent)
        return Resolution(None, arrival.row[1]) if resolution.ancestor == arrival.row[0] else resolution

    def resolve_ancestor(self, span: str | None) -> Resolution:
        """Resolve the agent of an ancestor; the path to it is compressed for the next lookup."""
        path = []
        resolution = Resolution(None, span)
        while resolution.ancestor is not None and resolution.ancestor in self.resolutions:
            path.append(resolution.ancestor)
            self.resolutions.move_to_end(resolution.ancestor)
            resolution = self.resolutions[resolution.ancestor]
        for step in path:
            self.resolutions[step] = resolution
        return resolution

    def agent_from_running(
        self, trace: str, ancestor: str | None, find_running: RunningLookup, *, is_unnamed: bool
    ) -> str | None:
        """The likely agent, from ancestors that are still running; in an unnamed trace, the name that its root will give it."""
        for _ in range(MAX_RUNNING_ANCESTORS):
            running = find_running(ancestor) if ancestor else None
            if running is None or ancestor is None:
                return None
            agent, key = running.agent, running.agent_key
            if agent and key:
                agent = self.namesakes.name_of(trace, agent, key, ancestor, running.start, None)
            resolution = Resolution(agent, None) if agent else self.resolve_ancestor(running.parent)
            if resolution.agent or resolution.ancestor is None:
                return resolution.agent or (running.trace_name if is_unnamed else None)
            ancestor = resolution.ancestor
        return None

    def rename_trace(self, trace: str, name: tuple[int, str] | None) -> list[SpanRow]:
        """Set the name of a trace; return the pending rows that had its id as their agent."""
        if name is None or (trace in self.trace_names and self.trace_names[trace] <= name):
            return []
        set_newest(self.trace_names, trace, name, MAX_TRACE_NAMES)
        changed = []
        for group in self.groups.get(trace, {}).values():
            for span, row in group.rows.items():
                if row[AGENT_INDEX] == trace and not self.pending[span].service:
                    group.rows[span] = with_agent(row, name[1], "trace")
                    changed.append(group.rows[span])
        return changed

    def resolve_pending(self, trace: str, span: str, resolution: Resolution) -> list[SpanRow]:
        """The rows that were pending on a span and have another agent now; none if they are now pending on its ancestor."""
        group = self.groups.get(trace, {}).pop(span, None)
        if group is None:
            return []
        if resolution.ancestor:
            self.regroup(trace, group, resolution.ancestor)
            return []
        changed = []
        for row in group.rows.values():
            found = (resolution.agent, "ancestor") if resolution.agent else None
            corrected = with_agent(row, *(found or self.fallback_agent(trace, self.pending[row[0]].service)))
            if corrected != row:
                changed.append(corrected)
            self.n_characters -= length_of(row)
            del self.pending[row[0]]
        if not self.groups[trace]:
            del self.groups[trace]
        return changed

    def regroup(self, trace: str, group: PendingGroup, ancestor: str) -> None:
        """Make a group pending on another ancestor; if that has a group, merge the smaller one into the larger one."""
        other = self.groups[trace].get(ancestor)
        if other is not None:
            other, group = sorted((other, group), key=lambda pending: len(pending.rows))
            for span in other.rows:
                self.pending[span].group = group
            group.rows |= other.rows
        group.ancestor = ancestor
        self.groups[trace][ancestor] = group

    def add_pending(self, row: SpanRow, service: str | None, ancestor: str) -> None:
        """Keep a row until the ancestor arrives; evict the oldest rows if there are too many."""
        group = self.groups.setdefault(row[1], {}).setdefault(ancestor, PendingGroup(ancestor))
        group.rows[row[0]] = row
        self.pending[row[0]] = PendingRow(group, service)
        self.n_characters += length_of(row)
        while len(self.pending) > self.max_rows or self.n_characters > self.max_characters:
            self.drop_pending(next(iter(self.pending)))

    def drop_pending(self, span: str) -> None:
        """Remove a row from the pending rows."""
        if pending := self.pending.pop(span, None):
            group = pending.group
            row = group.rows.pop(span)
            self.n_characters -= length_of(row)
            if not group.rows:
                del self.groups[row[1]][group.ancestor]
                if not self.groups[row[1]]:
                    del self.groups[row[1]]


def set_newest(cache: OrderedDict[str, Value], key: str, value: Value, limit: int) -> None:
    """Set a value as the newest one, and evict the oldest beyond the limit."""
    cache[key] = value
    cache.move_to_end(key)
    if len(cache) > limit:
        cache.popitem(last=False)


def with_agent(row: SpanRow, agent: str, source: str | None) -> SpanRow:
    """A copy of the row with another agent, and where that is from, None if the span names it."""
    return (row[0], row[1], agent, row[3], row[4], row[5], with_marks(row[6], {"agent_from": source} if source else {}))


def renamed(arrival: Arrival, agent: str) -> Arrival:
    """An arrival whose agent is told apart from others of its name by another one."""
    if agent == arrival.agent:
        return arrival
    data = with_marks(arrival.row[-1], {"agent_in_source": arrival.agent})
    return arrival._replace(agent=agent, row=(*arrival.row[:-1], data))


def length_of(row: SpanRow) -> int:
    """The number of characters in the row's data."""
    return len(row[-1] or "")
