"""The lineage: whose spans are, where children come before their parents.

A span belongs to the agent that it names, else to the one that its nearest ancestor names, else to its service, else to its
trace's name. Of a program that runs, a span comes when it ends, and so before all that is around it. So it is given at once to
whom it seems to belong, and waits; when an ancestor comes that names an agent, or there is no further one, it is given again.

What is remembered is bounded: a span that is forgotten while it waits stays with the agent that it had.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias, TypeVar

from tokenvis.store.append import Row

AGENT = 2  # its place in a row
MOST_WAITING = 10_000  # spans,
MOST_TEXT = 32 << 20  # with as many characters of data in all
MOST_KNOWN = 100_000  # spans of which only the agent, or the nearest ancestor that has not come, is remembered
MOST_NAMES = 10_000  # names of traces
FURTHEST = 32  # ancestors that still run, of which one is asked after another

Value = TypeVar("Value")


class Seen(NamedTuple):
    """What is known of a span that still runs: its agent and parent, if any, and the name that it gives to its trace."""

    agent: str | None
    parent: str | None
    trace_name: str | None = None


Sight: TypeAlias = Callable[[str], Seen | None]


class Arrival(NamedTuple):
    """A span that came: its row, whose agent is not looked at, and what tells its agent."""

    row: Row
    parent: str | None
    agent: str | None  # that it names itself
    service: str | None
    trace_name: tuple[int, str] | None = None  # that it gives to its trace, with its start: the earliest counts


class Known(NamedTuple):
    """What is known of a span that came: its agent; else the ancestor that has to tell; else that there is none."""

    agent: str | None
    ancestor: str | None


@dataclass(slots=True)
class Group:
    """Rows that wait for one and the same ancestor, by id."""

    ancestor: str
    rows: dict[str, Row] = field(default_factory=dict)


@dataclass(slots=True)
class Waiting:
    """Where a row waits, and the service to which it falls."""

    group: Group
    service: str | None


class Lineage:
    """Spans in the order in which they ended; `arrive` tells which rows are to be written."""

    def __init__(self, *, most_waiting: int = MOST_WAITING, most_text: int = MOST_TEXT, most_known: int = MOST_KNOWN) -> None:
        self.most_waiting, self.most_text, self.most_known = most_waiting, most_text, most_known
        self.known: OrderedDict[str, Known] = OrderedDict()
        self.names: OrderedDict[str, tuple[int, str]] = OrderedDict()
        self.groups: dict[str, dict[str, Group]] = {}  # by trace, then by the ancestor that has not come
        self.waiting: OrderedDict[str, Waiting] = OrderedDict()
        self.n_characters = 0

    def arrive(self, arrival: Arrival, seen: Sight = lambda _: None) -> list[Row]:
        """The row of a span with its agent, after the rows of others whose agent is another one now.

        ``seen`` looks at an ancestor that still runs, by its id; it gives None where it sees none.
        """
        span, trace = arrival.row[:2]
        self.drop(span)
        rows = self.renamed(trace, arrival.trace_name)
        known = self.known_of(arrival)
        remember(self.known, span, known, self.most_known)
        rows += self.settled(trace, span, known)
        row = with_agent(arrival.row, self.whose(arrival, known, seen))
        if known.ancestor:
            self.wait(row, arrival.service, known.ancestor)
        return [*rows, row]

    def running(self, arrival: Arrival, seen: Sight) -> Row:
        """The row of a span that still runs, with the agent that it seems to have; nothing of it is remembered."""
        return with_agent(arrival.row, self.whose(arrival, self.known_of(arrival), seen))

    def whose(self, arrival: Arrival, known: Known, seen: Sight) -> str:
        """The agent of a span, as far as it can be told now."""
        trace = arrival.row[1]
        agent = known.agent or self.foreseen(known.ancestor, seen, nameless=not (arrival.service or self.name_of(trace)))
        return agent or self.fallback(trace, arrival.service or (arrival.trace_name and arrival.trace_name[1]))

    def name_of(self, trace: str) -> str | None:
        """The name of a trace, None where no span gave it one."""
        return self.names[trace][1] if trace in self.names else None

    def fallback(self, trace: str, service: str | None) -> str:
        """To whom a span belongs of which no ancestor names an agent."""
        return service or self.name_of(trace) or trace

    def known_of(self, arrival: Arrival) -> Known:
        """What can be said of a span now; one that would be its own ancestor waits for the name of its trace."""
        if arrival.agent:
            return Known(arrival.agent, None)
        known = self.above(arrival.parent)
        return Known(None, arrival.row[1]) if known.ancestor == arrival.row[0] else known

    def above(self, span: str | None) -> Known:
        """What is known of a span and those above it; the way there is made short for the next one."""
        way = []
        known = Known(None, span)
        while known.ancestor is not None and known.ancestor in self.known:
            way.append(known.ancestor)
            self.known.move_to_end(known.ancestor)
            known = self.known[known.ancestor]
        for step in way:
            self.known[step] = known
        return known

    def foreseen(self, ancestor: str | None, seen: Sight, *, nameless: bool) -> str | None:
        """The agent that an ancestor which still runs will name, as it seems; of those of a nameless trace, its name to be."""
        for _ in range(FURTHEST):
            sight = seen(ancestor) if ancestor else None
            if sight is None:
                return None
            known = Known(sight.agent, None) if sight.agent else self.above(sight.parent)
            if known.agent or known.ancestor is None:
                return known.agent or (sight.trace_name if nameless else None)
            ancestor = known.ancestor
        return None

    def renamed(self, trace: str, named: tuple[int, str] | None) -> list[Row]:
        """Take the name of a trace; the rows that had its id in place of a name."""
        if named is None or (trace in self.names and self.names[trace] <= named):
            return []
        remember(self.names, trace, named, MOST_NAMES)
        changed = []
        for group in self.groups.get(trace, {}).values():
            for span, row in group.rows.items():
                if row[AGENT] == trace and not self.waiting[span].service:
                    group.rows[span] = with_agent(row, named[1])
                    changed.append(group.rows[span])
        return changed

    def settled(self, trace: str, span: str, known: Known) -> list[Row]:
        """The rows that waited for a span, with their agents; or none, where they now wait for one further up."""
        group = self.groups.get(trace, {}).pop(span, None)
        if group is None:
            return []
        if known.ancestor:
            self.move(trace, group, known.ancestor)
            return []
        changed = []
        for row in group.rows.values():
            agent = known.agent or self.fallback(trace, self.waiting[row[0]].service)
            if agent != row[AGENT]:
                changed.append(with_agent(row, agent))
            self.n_characters -= length_of(row)
            del self.waiting[row[0]]
        if not self.groups[trace]:
            del self.groups[trace]
        return changed

    def move(self, trace: str, group: Group, ancestor: str) -> None:
        """Let a group wait for another ancestor; of two that now wait for the same, the smaller joins the larger."""
        there = self.groups[trace].get(ancestor)
        if there is not None:
            there, group = sorted((there, group), key=lambda one: len(one.rows))
            for span in there.rows:
                self.waiting[span].group = group
            group.rows |= there.rows
        group.ancestor = ancestor
        self.groups[trace][ancestor] = group

    def wait(self, row: Row, service: str | None, ancestor: str) -> None:
        """Remember a row until that ancestor comes; where too much waits, the oldest rows are forgotten."""
        group = self.groups.setdefault(row[1], {}).setdefault(ancestor, Group(ancestor))
        group.rows[row[0]] = row
        self.waiting[row[0]] = Waiting(group, service)
        self.n_characters += length_of(row)
        while len(self.waiting) > self.most_waiting or self.n_characters > self.most_text:
            self.drop(next(iter(self.waiting)))

    def drop(self, span: str) -> None:
        """Forget that a row waits."""
        if waiting := self.waiting.pop(span, None):
            group = waiting.group
            row = group.rows.pop(span)
            self.n_characters -= length_of(row)
            if not group.rows:
                del self.groups[row[1]][group.ancestor]
                if not self.groups[row[1]]:
                    del self.groups[row[1]]


def remember(memory: OrderedDict[str, Value], key: str, value: Value, most: int) -> None:
    """Keep a value as the latest of so many."""
    memory[key] = value
    memory.move_to_end(key)
    if len(memory) > most:
        memory.popitem(last=False)


def with_agent(row: Row, agent: str) -> Row:
    """A row as one of that agent."""
    return (row[0], row[1], agent, row[3], row[4], row[5], row[6])


def length_of(row: Row) -> int:
    """The characters of its data."""
    return len(row[-1] or "")
