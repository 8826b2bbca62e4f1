"""Intervals: the sweep line, over intervals as integer arrays, several groups at once.

Intervals are half-open, [start, end), in int64; ``group`` says which ones belong together, as a rank from 0. An empty
interval (an instant) covers nothing. All starts and ends are sorted once, and the running sum of +1 and -1 tells how many
intervals cover each moment, O(n log n), as in J. L. Bentley, "Algorithms for Klee's rectangle problems" (1977); no Python
loop over intervals.
"""

from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from tokenvis.spans.integers import Int64Array, Mask, Packing, closes_run, opens_run, packing_of, rank_in

Intervals: TypeAlias = tuple[Int64Array, Int64Array, Int64Array]


@dataclass(frozen=True)
class Changes:
    """The times at which the number of intervals that run changes, by group, then time, and that number from then on.

    Group and time are packed into one key; ``times``, where it is there, holds the times that the key's ranks stand for.
    """

    packing: Packing
    key: Int64Array
    running: np.ndarray[tuple[int], np.dtype[np.int32]]
    times: Int64Array | None = None

    def at(self, rows: Mask | slice) -> tuple[Int64Array, Int64Array]:
        """Group and time of these changes."""
        group, time = self.packing.unpack(self.key[rows])
        return group, time if self.times is None else self.times[time]


def changes_of(group: Int64Array, start: Int64Array, end: Int64Array) -> Changes:
    """Sort all starts and ends of the intervals that are not empty, and count what runs."""
    solid = end > start
    if not solid.all():
        group, start, end = group[solid], start[solid], end[solid]
    packing = packing_of(group, (start, end), room=62)
    if packing is None:
        times, ranks = np.unique(np.concatenate([start, end]), return_inverse=True)
        return replace(changes_of(group, *np.split(ranks.reshape(-1), 2)), times=times)
    key = np.empty(2 * len(start), dtype=np.int64)
    key[: len(start)] = packing.pack(group, start)
    key[len(start) :] = packing.pack(group, end)
    key <<= 1
    key[len(start) :] += 1  # an end
    key.sort()
    step = (key & 1).astype(np.int8)
    step *= -2
    step += 1
    running = np.cumsum(step, dtype=np.int32)
    key >>= 1
    last = closes_run(key)
    key, running = key[last], running[last]
    new = opens_run(running)  # another group begins above 0, where the one before ends at 0
    return Changes(packing, key[new], running[new])


def steps(group: Int64Array, start: Int64Array, end: Int64Array) -> Intervals:
    """How many intervals of each group run: (group, time, running), a row for each time at which the number changes.

    By group, then time; the last row of a group is 0. A group without any interval longer than 0 has no row.
    """
    changes = changes_of(group, start, end)
    return *changes.at(slice(None)), changes.running.astype(np.int64)


def union(group: Int64Array, start: Int64Array, end: Int64Array) -> Intervals:
    """Unite the intervals of each group: (group, start, end) of the maximal stretches, by group, then time."""
    changes = changes_of(group, start, end)
    stops = changes.running == 0
    opens = np.append(True, stops[:-1])[: len(stops)]
    return *changes.at(opens), changes.at(stops)[1]


def subtract(owner: Intervals, holes: Intervals) -> Intervals:
    """What is left of each interval of ``owner`` once the holes of its group are cut out.

    ``holes`` is a `union`: disjoint, sorted. The result is (row of owner, start, end), by row, then time. An instant stays
    as it is; an interval that is wholly covered leaves nothing.
    """
    group, start, end = owner
    hole_group, hole_start, hole_end = holes
    first = rank_in(hole_group, hole_end, group, start, side="right")
    after = rank_in(hole_group, hole_start, group, end, side="left")
    count = np.where(end > start, np.maximum(after - first, 0), 0)
    row = np.repeat(np.arange(len(group)), count + 1)
    piece = number_in_run(count + 1)
    hole = first[row] + piece
    left, right = start[row], end[row]
    inner, outer = piece > 0, piece < count[row]
    left[inner] = hole_end[hole[inner] - 1]
    right[outer] = hole_start[hole[outer]]
    kept = (right > left) | (start[row] == end[row])
    return row[kept], left[kept], right[kept]


def overlaps(group: Int64Array, start: Int64Array, end: Int64Array) -> Int64Array:
    """How many of the next intervals each one overlaps, for intervals sorted by group and start, none of them empty.

    Interval i overlaps the rows i + 1 to i + n, and no later one; so each pair that overlaps is counted once.
    """
    return rank_in(group, start, group, end, side="left") - np.arange(1, len(group) + 1)


def number_in_run(count: Int64Array) -> Int64Array:
    """0, 1, 2, ... for each run, of runs of so many rows."""
    number: Int64Array = np.arange(int(count.sum())) - np.repeat(np.cumsum(count) - count, count)
    return number
