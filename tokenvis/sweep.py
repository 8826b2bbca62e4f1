"""The sweep line: intervals as sorted integer arrays, several groups at once.

Intervals are half-open, [start, end), in int64; ``group`` says which ones belong together, as a rank from 0. An empty
interval (an instant) covers nothing. Everything here is a sort followed by running maxima and sums, O(n log n), as in
J. L. Bentley, "Algorithms for Klee's rectangle problems" (1977); no Python loop over intervals.
"""

from typing import TypeAlias

import numpy as np

Int64Array: TypeAlias = np.ndarray[tuple[int], np.dtype[np.int64]]
Intervals: TypeAlias = tuple[Int64Array, Int64Array, Int64Array]


def union(group: Int64Array, start: Int64Array, end: Int64Array) -> Intervals:
    """Unite the intervals of each group: (group, start, end) of the maximal stretches, by group, then time."""
    solid = end > start
    group, start, end = group[solid], start[solid], end[solid]
    order = np.lexsort((start, group))
    group, start, end = group[order], start[order], end[order]
    if not len(group):
        return group, start, end
    reach = running_max(group, end)
    opens = np.ones(len(group), dtype=bool)
    opens[1:] = (group[1:] != group[:-1]) | (start[1:] > reach[:-1])
    closes = np.append(opens[1:], True)
    return group[opens], start[opens], reach[closes]


def running_max(group: Int64Array, values: Int64Array) -> Int64Array:
    """Largest value so far within each group, for rows sorted by group."""
    ranks = np.unique(values, return_inverse=True)
    distinct, rank = ranks[0], ranks[1].reshape(-1)
    lifted = group * len(distinct) + rank
    highest: Int64Array = distinct[np.maximum.accumulate(lifted) % len(distinct)] if len(distinct) else values
    return highest


def subtract(owner: Intervals, holes: Intervals) -> tuple[Int64Array, Int64Array, Int64Array]:
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
    piece = np.arange(len(row)) - np.repeat(np.cumsum(count + 1) - (count + 1), count + 1)
    hole = first[row] + piece
    left, right = start[row], end[row]
    inner, outer = piece > 0, piece < count[row]
    left[inner] = hole_end[hole[inner] - 1]
    right[outer] = hole_start[hole[outer]]
    kept = (right > left) | (start[row] == end[row])
    return row[kept], left[kept], right[kept]


def rank_in(group: Int64Array, value: Int64Array, of_group: Int64Array, of_value: Int64Array, *, side: str) -> Int64Array:
    """`numpy.searchsorted` on pairs: where (of_group, of_value) would stand among the sorted (group, value)."""
    both_group, both_value = np.concatenate([group, of_group]), np.concatenate([value, of_value])
    asked = np.concatenate([np.zeros(len(group), dtype=bool), np.ones(len(of_group), dtype=bool)])
    order = np.lexsort((asked if side == "right" else ~asked, both_value, both_group))
    before = np.cumsum(~asked[order])
    rank: Int64Array = np.empty(len(order), dtype=np.int64)
    rank[order] = before
    return rank[len(group) :]
