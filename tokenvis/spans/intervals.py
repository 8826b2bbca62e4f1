"""Intervals: a sweep line over intervals as integer arrays, for several groups at once.

Intervals are half-open, [start, end), in int64; ``group`` is the rank, from 0, of each interval's group. An empty interval
(an instant) covers nothing. All starts and ends are sorted once; the number of starts up to a moment minus that of ends is
the number of intervals that cover it. This takes O(n log n), as in J. L. Bentley, "Algorithms for Klee's rectangle problems"
(1977), and needs no Python loop over intervals.
"""

from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from tokenvis.spans.integers import (
    Int64Array,
    Mask,
    Packing,
    packing_of,
    rank_in,
    run_ends,
    run_starts,
    running_max,
    sort_order,
)

Intervals: TypeAlias = tuple[Int64Array, Int64Array, Int64Array]


@dataclass(frozen=True)
class CountChanges:
    """The times at which the number of running intervals changes, by group, then time, and the number from each time on.

    Group and time are packed into one key. If ``times`` is set, the key contains ranks into it instead of times.
    """

    packing: Packing
    key: Int64Array
    running: np.ndarray[tuple[int], np.dtype[np.int32]]
    times: Int64Array | None = None

    def at(self, rows: Mask | slice) -> tuple[Int64Array, Int64Array]:
        """Group and time of these changes."""
        group, time = self.packing.unpack(self.key[rows])
        return group, time if self.times is None else self.times[time]


def count_changes(group: Int64Array, start: Int64Array, end: Int64Array) -> CountChanges:
    """Sort the starts and ends of all non-empty intervals, and count the running intervals."""
    non_empty = end > start
    if not non_empty.all():
        group, start, end = group[non_empty], start[non_empty], end[non_empty]
    packing = packing_of(group, (start, end), max_bits=62)
    if packing is None:
        times, ranks = np.unique(np.concatenate([start, end]), return_inverse=True)
        return replace(count_changes(group, *np.split(ranks.reshape(-1), 2)), times=times)
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
    last = run_ends(key)
    key, running = key[last], running[last]
    changed = run_starts(running)  # the next group starts above 0, because each group ends at 0
    return CountChanges(packing, key[changed], running[changed])


def running_counts(group: Int64Array, start: Int64Array, end: Int64Array) -> Intervals:
    """Number of running intervals of each group: (group, time, running), a row for each time at which it changes.

    Sorted by group, then time; the last row of a group is 0. A group with only empty intervals has no row.
    """
    changes = count_changes(group, start, end)
    return *changes.at(slice(None)), changes.running.astype(np.int64)


def union(group: Int64Array, start: Int64Array, end: Int64Array) -> Intervals:
    """Union of the intervals of each group: (group, start, end) of the maximal intervals, by group, then time.

    Starts and ends are sorted separately. The start in position i begins a maximal interval if it is after the end in position
    i - 1, because then all i intervals that started earlier have ended.
    """
    non_empty = end > start
    if not non_empty.all():
        group, start, end = group[non_empty], start[non_empty], end[non_empty]
    packing = packing_of(group, (start, end))
    if packing is None:
        times, ranks = np.unique(np.concatenate([start, end]), return_inverse=True)
        group, start, end = union(group, *np.split(ranks.reshape(-1), 2))
        return group, times[start], times[end]
    starts, ends = packing.pack(group, start), packing.pack(group, end)
    starts.sort()
    ends.sort()
    begins = np.append(True, starts[1:] > ends[:-1])[: len(starts)]
    group, start = packing.unpack(starts[begins])
    return group, start, packing.unpack(ends[np.append(begins[1:], True)[: len(ends)]])[1]


def subtract(intervals: Intervals, holes: Intervals) -> Intervals:
    """The pieces of each interval that remain after the holes of its group are cut out.

    ``holes`` is a `union`: disjoint, sorted. The result is (row of the interval, start, end), by row, then time. An instant
    stays unchanged; an interval that is fully covered has no piece.
    """
    group, start, end = intervals
    _, hole_start, hole_end = holes
    if not len(hole_start):
        return np.arange(len(group)), start, end
    first, count = first_overlapping(intervals, holes)
    row = np.repeat(np.arange(len(group)), count + 1)
    piece = number_in_run(count + 1)
    hole = first[row] + piece
    left, right = start[row], end[row]
    inner, outer = piece > 0, piece < count[row]
    left[inner] = hole_end[hole[inner] - 1]
    right[outer] = hole_start[hole[outer]]
    kept = (right > left) | (start[row] == end[row])
    return row[kept], left[kept], right[kept]


def intersect(intervals: Intervals, others: Intervals) -> Intervals:
    """The parts of each interval that ``others``, a `union`, cover in its group: (row of the interval, start, end)."""
    row, other = overlapping(intervals, others)
    start, end = np.maximum(intervals[1][row], others[1][other]), np.minimum(intervals[2][row], others[2][other])
    return row, start, end


def overlapping(intervals: Intervals, others: Intervals) -> tuple[Int64Array, Int64Array]:
    """The pairs (row of the interval, row of the other) that overlap within a group; ``others`` are disjoint and sorted.

    Ordered by the row of the interval, then time; an empty interval overlaps nothing.
    """
    first, count = first_overlapping(intervals, others)
    row = np.repeat(np.arange(len(first)), count)
    return row, first[row] + number_in_run(count)


def first_overlapping(intervals: Intervals, others: Intervals) -> tuple[Int64Array, Int64Array]:
    """For each interval, the row of the first of the disjoint, sorted ``others`` that overlaps it, and how many do."""
    group, start, end = intervals
    other_group, other_start, other_end = others
    first = rank_in(other_group, other_end, group, start, side="right")
    after = rank_in(other_group, other_start, group, end, side="left")
    return first, np.where(end > start, np.maximum(after - first, 0), 0)


def covered(intervals: Intervals, others: Intervals) -> Int64Array:
    """How much of each interval ``others``, a `union`, cover in its group."""
    group, start, end = intervals
    other_group, other_start, other_end = others
    total = np.append(0, np.cumsum(other_end - other_start))  # may wrap around, as may `rest`; their differences do not
    group, time = np.tile(group, 2), np.concatenate([start, end])
    position = rank_in(other_group, other_start, group, time, side="left")
    last_group, last_end = np.append(other_group, -1)[position - 1], np.append(other_end, 0)[position - 1]
    rest = np.where((last_group == group) & (last_end > time), last_end - time, 0)
    until: Int64Array = total[position] - rest
    result: Int64Array = until[len(until) // 2 :] - until[: len(until) // 2]
    return result


def overlaps(group: Int64Array, start: Int64Array, end: Int64Array) -> Int64Array:
    """Number of later intervals that each interval overlaps, for non-empty intervals sorted by group and start.

    Of the later rows, interval i overlaps exactly i + 1 to i + n, so each overlapping pair is counted once.
    """
    return rank_in(group, start, group, end, side="left") - np.arange(1, len(group) + 1)


def highest_covering(intervals: Intervals, value: Int64Array) -> tuple[Int64Array, Int64Array, Int64Array, Int64Array]:
    """At each moment of each group, the highest value of the intervals that cover it: (group, start, end, value).

    The result is disjoint and sorted by group, then time; moments that no interval covers are left out. Values are distinct,
    and not negative. The time between two edges is a cell. An interval of n cells is written as two blocks of the largest power
    of two that fits into it; then each level of blocks is divided into the next, so that 2 ** k cells take k steps.
    """
    non_empty = intervals[2] > intervals[1]
    group, start, end = (column[non_empty] for column in intervals)
    value = value[non_empty]
    edges = union_of_edges(group, start, end)
    first, after = (rank_in(*edges, group, edge, side="left") for edge in (start, end))
    level = np.frexp((after - first).astype(np.float64))[1] - 1
    highest = np.full(len(edges[0]), -1, dtype=np.int64)
    for exponent in range(int(level.max(initial=0)), -1, -1):
        rows, size = level == exponent, 1 << exponent
        np.maximum.at(highest, first[rows], value[rows])
        np.maximum.at(highest, after[rows] - size, value[rows])
        if exponent:
            half = size >> 1
            highest[half:] = np.maximum(highest[half:], highest[:-half])
    covered_cell = np.flatnonzero(highest >= 0)
    group, start, end = edges[0][covered_cell], edges[1][covered_cell], np.append(edges[1], 0)[covered_cell + 1]
    highest = highest[covered_cell]
    is_first = run_starts(group, highest)
    is_first[1:] |= start[1:] != end[:-1]
    last = np.append(is_first[1:], True)[: len(is_first)]
    return group[is_first], start[is_first], end[last], highest[is_first]


def union_of_edges(group: Int64Array, start: Int64Array, end: Int64Array) -> tuple[Int64Array, Int64Array]:
    """The distinct starts and ends of each group: (group, time), by group, then time."""
    groups, times = np.concatenate([group, group]), np.concatenate([start, end])
    order = sort_order(groups, times)
    groups, times = groups[order], times[order]
    is_first = run_starts(groups, times)
    return groups[is_first], times[is_first]


def selected_ends(group: Int64Array, start: Int64Array, end: Int64Array) -> Int64Array:
    """Until when each interval is selected: from its start on, it is the running interval of its group that ends last.

    The intervals are sorted by group, start, end. Of several with the same end, the first is selected; an interval that is
    never selected has its start as the result. So the selected intervals of a group are disjoint.
    """
    highest = running_max(group, end)
    selected = run_starts(group, highest)
    position = np.flatnonzero(selected)
    next_start = np.append(start[position[1:]], 0)
    last = run_ends(group[position])
    selected_end = start.copy()
    selected_end[position] = np.where(last, end[position], np.minimum(end[position], next_start))
    return selected_end


def number_in_run(count: Int64Array) -> Int64Array:
    """0, 1, 2, ... within each run, for runs with these row counts."""
    number: Int64Array = np.arange(int(count.sum())) - np.repeat(np.cumsum(count) - count, count)
    return number
