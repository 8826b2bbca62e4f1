"""Path times: where the time of a critical path went, so that a picture can show shares.

The work on the path belongs to groups, for example the agents. The rest is waiting for an agent or a person, or unexplained.
Idle time, in which nothing works and no span waits for a person, is kept apart, by the state of its row of the path; all of it
is ``idle_us`` of `tokenvis.analysis.summary`. A run that stood still overnight would otherwise have shares of almost nothing.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from tokenvis.spans.integers import Int64Array, sums
from tokenvis.spans.intervals import covered, union
from tokenvis.tree.states import PERSON, STATES, WORK, States


@dataclass(frozen=True)
class PathTimes:
    """The time of a critical path, in µs: the groups that work in it, the one with the most work first, and the other states.

    ``waits_us`` and ``idle_us`` have the other states in a given order, without those that have no time.
    """

    group: Int64Array
    work_us: Int64Array
    waits_us: dict[str, int]
    idle_us: dict[str, int]

    @property
    def counted_us(self) -> int:
        """The whole of all shares: the time of the path, except idle time."""
        return int(self.work_us.sum()) + sum(self.waits_us.values())


def path_times(path: pd.DataFrame, group: Int64Array, states: States, order: tuple[str, ...]) -> PathTimes:
    """The times of the path of one trace.

    ``path`` is `tokenvis.analysis.critical_path`, ``group`` the number of each row's group, from 0, ``states`` are those of all
    spans of the trace, ``order`` is that of the states.
    """
    state, part = path["state"].to_numpy(), path["part_us"].to_numpy()
    idle = idle_times(path, states)
    works = state == STATES[WORK]
    work = sums(group[works], part[works], int(group.max(initial=-1)) + 1)
    largest = np.argsort(-work, kind="stable")
    largest = largest[work[largest] > 0]
    waits, idles = (
        {name: int(us[state == name].sum()) for name in order if name != STATES[WORK]} for us in (part - idle, idle)
    )
    waits, idles = ({name: us for name, us in found.items() if us} for found in (waits, idles))
    return PathTimes(largest, work[largest], waits, idles)


def idle_times(path: pd.DataFrame, states: States) -> Int64Array:
    """The time of each row of the path of one trace in which nothing works and no span waits for a person."""
    idle = np.zeros(len(path), dtype=np.int64)
    rows = np.flatnonzero((path["state"] != STATES[WORK]).to_numpy())
    if not len(rows):
        return idle
    _, work_start, work_end = states.work()
    _, wait_start, wait_end = states.pieces(PERSON)
    start, end = np.concatenate([work_start, wait_start]), np.concatenate([work_end, wait_end])
    active = union(np.zeros_like(start), start, end)
    row_start, row_end = (path[column].to_numpy()[rows] for column in ("start", "end"))
    idle[rows] = row_end - row_start - covered((np.zeros_like(rows), row_start, row_end), active)
    return idle


def whole_percentages(times: list[int]) -> list[int]:
    """Each time as a percentage of their sum, rounded so that all add up to 100; nothing if the sum is 0.

    Each share is rounded down, then those with the largest remainders get what is missing (the method of Hamilton).
    """
    whole = sum(times)
    if not whole:
        return [0] * len(times)
    percentages = [100 * time // whole for time in times]
    by_remainder = sorted(range(len(times)), key=lambda number: -(100 * times[number] % whole))
    for number in by_remainder[: 100 - sum(percentages)]:
        percentages[number] += 1
    return percentages
