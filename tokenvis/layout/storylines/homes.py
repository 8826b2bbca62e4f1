"""Homes: the one span that determines an agent's location at each moment.

An agent may have several spans at once. Its home is the span that started last; among spans that started together, the last one
in the order of the frame. The remaining parts of the other spans are branches.
"""

from dataclasses import dataclass
from heapq import heappop, heappush

import numpy as np

from tokenvis.spans.integers import Int64Array, run_starts, running_max
from tokenvis.spans.intervals import Intervals, subtract


@dataclass(frozen=True)
class Homes:
    """``stretches`` are the parts in which each span is its agent's home, ``branches`` the parts in which it is not.

    Both are (row, start, end): a row of the input arrays, and int64 µs; by row, then time.
    """

    stretches: Intervals
    branches: Intervals


def homes_of(agent: Int64Array, start: Int64Array, end: Int64Array, start_rank: Int64Array) -> Homes:
    """Separate homes from branches.

    Rows are pieces of spans, with a duration; ``start_rank`` ranks the spans by start, without ties. Only agents with
    overlapping spans need the sequential sweep.
    """
    order = np.lexsort((start_rank, start, agent))
    overlaps = (agent[order][1:] == agent[order][:-1]) & (start[order][1:] < running_max(agent[order], end[order])[:-1])
    overlaps_itself = np.isin(agent, agent[order][1:][overlaps])
    (single_rows,) = np.nonzero(~overlaps_itself)
    columns = [single_rows, start[single_rows], end[single_rows]]
    if overlaps_itself.any():
        rows = order[overlaps_itself[order]]
        agent_starts = np.flatnonzero(run_starts(agent[rows])).tolist()
        stretches = [
            stretch for part in np.split(rows, agent_starts[1:]) for stretch in sweep_agent(part, start, end, start_rank)
        ]
        columns = [np.concatenate(pair) for pair in zip(columns, np.array(stretches, dtype=np.int64).T, strict=True)]
    by_row = np.lexsort((columns[1], columns[0]))
    row, home_start, home_end = (column[by_row] for column in columns)
    return Homes((row, home_start, home_end), subtract((np.arange(len(agent)), start, end), (row, home_start, home_end)))


def sweep_agent(rows: Int64Array, start: Int64Array, end: Int64Array, start_rank: Int64Array) -> list[tuple[int, int, int]]:
    """The home stretches of one agent, whose rows are ordered by start: (row, start, end)."""
    stretches: list[tuple[int, int, int]] = []
    running: list[tuple[int, int, int]] = []  # a heap, the latest start first: (-start_rank, end, row)
    now = 0

    def run_until(time: int | None) -> None:
        nonlocal now
        while running and (time is None or now < time):
            _, last, row = running[0]
            until = last if time is None else min(last, time)
            if until > now:
                extends_last = stretches and stretches[-1][0] == row and stretches[-1][2] == now
                stretches.append((row, stretches.pop()[1] if extends_last else now, until))
                now = until
            if last <= now:
                heappop(running)

    columns = (column[rows].tolist() for column in (start, end, start_rank))
    for row, first, last, rank in zip(rows.tolist(), *columns, strict=True):
        run_until(first)
        now = first
        heappush(running, (-rank, last, row))
    run_until(None)
    return stretches
