"""Homes: where each agent is at each moment, one place at a time.

An agent may have several spans at once. Its home is the one that began last; of those that began together, the last one in the
order of the frame. What is left of the others are branches.
"""

from dataclasses import dataclass
from heapq import heappop, heappush

import numpy as np

from tokenvis.spans.integers import Int64Array, opens_run, running_max
from tokenvis.spans.intervals import Intervals, subtract


@dataclass(frozen=True)
class Homes:
    """``stretches`` are those in which each span is its agent's home, ``branches`` those in which it is not.

    Both are (row, start, end): a row of the arrays that were given, and int64 µs; by row, then time.
    """

    stretches: Intervals
    branches: Intervals


def homes_of(agent: Int64Array, start: Int64Array, end: Int64Array, begun: Int64Array) -> Homes:
    """Tell homes from branches.

    Rows are pieces of spans, with a duration; ``begun`` ranks the spans by when they began, each one apart. Only agents that
    overlap themselves are swept one piece after the other.
    """
    order = np.lexsort((begun, start, agent))
    overlap = (agent[order][1:] == agent[order][:-1]) & (start[order][1:] < running_max(agent[order], end[order])[:-1])
    several = np.isin(agent, agent[order][1:][overlap])
    (single,) = np.nonzero(~several)
    swept = [single, start[single], end[single]]
    if several.any():
        rows = order[several[order]]
        cuts = np.flatnonzero(opens_run(agent[rows])).tolist()
        stretches = [stretch for part in np.split(rows, cuts[1:]) for stretch in sweep(part, start, end, begun)]
        swept = [np.concatenate(pair) for pair in zip(swept, np.array(stretches, dtype=np.int64).T, strict=True)]
    by_row = np.lexsort((swept[1], swept[0]))
    row, home_start, home_end = (column[by_row] for column in swept)
    return Homes((row, home_start, home_end), subtract((np.arange(len(agent)), start, end), (row, home_start, home_end)))


def sweep(rows: Int64Array, start: Int64Array, end: Int64Array, begun: Int64Array) -> list[tuple[int, int, int]]:
    """The home stretches of one agent, whose rows come by start: (row, start, end)."""
    stretches: list[tuple[int, int, int]] = []
    running: list[tuple[int, int, int]] = []  # the one that began last comes first: (-begun, end, row)
    now = 0

    def run_until(time: int | None) -> None:
        nonlocal now
        while running and (time is None or now < time):
            _, last, row = running[0]
            upto = last if time is None else min(last, time)
            if upto > now:
                goes_on = stretches and stretches[-1][0] == row and stretches[-1][2] == now
                stretches.append((row, stretches.pop()[1] if goes_on else now, upto))
                now = upto
            if last <= now:
                heappop(running)

    columns = (column[rows].tolist() for column in (start, end, begun))
    for row, first, last, rank in zip(rows.tolist(), *columns, strict=True):
        run_until(first)
        now = first
        heappush(running, (-rank, last, row))
    run_until(None)
    return stretches
