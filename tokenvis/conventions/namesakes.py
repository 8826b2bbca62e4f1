"""Namesakes: agents with one name and several ids, told apart if they run at the same time.

A program that starts three researchers names them alike, and gives each an id. But many frameworks give a new id to each run
of one agent. So ids tell agents apart only if spans of different ids overlap: then the first agent keeps the name, and the
others are "researcher 2", "researcher 3", in the order of their first start. An id belongs to one agent, from its first start
to its last end; an id that starts later takes the lowest number that is free by then. Ids that never overlap are one agent.
"""

from collections import OrderedDict
from dataclasses import dataclass, field
from heapq import heappop, heappush

import numpy as np

from tokenvis.spans.integers import INT64_MAX, Int64Array, highest_of, lowest_of, sort_order
from tokenvis.spans.intervals import running_counts, union

MAX_AGENTS = 10_000  # names of agents whose ids are remembered while a program runs
MAX_IDS = 1_000  # of an agent


def namesake_numbers(agent: Int64Array, identity: Int64Array, start: Int64Array, end: Int64Array) -> Int64Array:
    """The number, from 0, of each identity among those of its agent; all are 0 if they never run at the same time.

    ``agent`` and ``identity`` are ranks, from 0, of each span's agent and of its id; identities that start at once are
    numbered in their order.

    Examples
    --------
    >>> both = np.array([0, 0])
    >>> namesake_numbers(both, np.array([0, 1]), np.array([0, 3]), np.array([5, 9]))
    array([0, 1])
    >>> namesake_numbers(both, np.array([0, 1]), np.array([0, 5]), np.array([5, 9]))
    array([0, 0])
    """
    n_identities = int(identity.max(initial=-1)) + 1
    numbers = np.zeros(n_identities, dtype=np.int64)
    agent_of = np.zeros(n_identities, dtype=np.int64)
    agent_of[identity] = agent
    who, since, until = union(identity, start, end)
    concurrent, _, running = running_counts(agent_of[who], since, until)
    several = np.isin(agent_of, concurrent[running > 1])
    if not several.any():
        return numbers
    first, last = lowest_of(identity, start, n_identities), highest_of(identity, end, n_identities)
    rows = np.flatnonzero(several)
    rows = rows[sort_order(agent_of[rows], first[rows], rows)]
    numbers[rows] = lowest_free_numbers(agent_of[rows], first[rows], last[rows])
    return numbers


def lowest_free_numbers(group: Int64Array, start: Int64Array, end: Int64Array) -> Int64Array:
    """The lowest number that no earlier interval of the group still has, for intervals sorted by group and start."""
    numbers = np.zeros(len(group), dtype=np.int64)
    current = -1
    taken: list[tuple[int, int]] = []  # the end of each number's last interval, and the number
    free: list[int] = []
    for row, (owner, since, until) in enumerate(zip(group.tolist(), start.tolist(), end.tolist(), strict=True)):
        if owner != current:
            current, taken, free = owner, [], []
        while taken and taken[0][0] <= since:
            heappush(free, heappop(taken)[1])
        numbers[row] = heappop(free) if free else len(taken)
        heappush(taken, (until, int(numbers[row])))
    return numbers


@dataclass(slots=True)
class IdLife:
    """An id of an agent while a program runs: its number, when it started, when it last ended, and its running spans."""

    number: int
    start: int
    last_end: int
    running: set[str] = field(default_factory=set)

    @property
    def end(self) -> int:
        """Until when the id runs, as far as it is known."""
        return INT64_MAX if self.running else self.last_end

    def add(self, span: str, start: int, end: int | None) -> None:
        """Add a span, or the end of one that was running."""
        self.start = min(self.start, start)
        if end is None:
            self.running.add(span)
        else:
            self.running.discard(span)
            self.last_end = max(self.last_end, end)


class LiveNamesakes:
    """Tells namesakes apart while a program runs, in the order in which their spans start or, if unknown, end.

    An id keeps its number, unless it runs again at the same time as another id that has taken the number meanwhile.
    """

    def __init__(self) -> None:
        self.lives: OrderedDict[tuple[str, str], dict[str, IdLife]] = OrderedDict()  # by trace and agent, then by id

    def name_of(self, trace: str, agent: str, agent_id: str, span: str, start: int, end: int | None) -> str:
        """The name of the agent of a span; ``end`` is None while it runs."""
        lives = self.lives.setdefault((trace, agent), {})
        self.lives.move_to_end((trace, agent))
        if len(self.lives) > MAX_AGENTS:
            self.lives.popitem(last=False)
        life = lives.get(agent_id)
        until = INT64_MAX if end is None else end
        if life is None or not life.start <= start <= until <= life.end:
            others = [other for name, other in lives.items() if name != agent_id]
            taken = {other.number for other in others if start < other.end and other.start < until}
            number = next(number for number in range(len(taken) + 1) if number not in taken)
            if life is None:
                life = lives[agent_id] = IdLife(number, start, start)
            elif life.number in taken:
                life.number = number
        life.add(span, start, end)
        if len(lives) > MAX_IDS:
            del lives[min((name for name in lives if name != agent_id), key=lambda name: lives[name].end)]
        return numbered(agent, life.number)

    def has_several(self, trace: str, agent: str) -> bool:
        """Whether an agent of a trace has been told apart."""
        return any(life.number for life in self.lives.get((trace, agent), {}).values())

    def is_namesake(self, trace: str, agent: str, name: str) -> bool:
        """Whether a name is one of those of an agent that has been told apart."""
        return any(name == numbered(agent, life.number) for life in self.lives.get((trace, agent), {}).values())


def numbered(agent: str, number: int) -> str:
    """The name of a namesake: the first one, with the number 0, has no number in its name."""
    return f"{agent} {number + 1}" if number else agent
