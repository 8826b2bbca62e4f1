"""Pairing: which end belongs to which start, innermost first.

The events of one stack (an agent's, or those of one id) are in the order of time. An end with a place ends the innermost open
start at that place, an end without a place the innermost of its stack. Where the ends of a stack all have a place, or none has,
the events of a stack (or of a place of it) alternate at each depth of nesting, so one sort finds all pairs. The other stacks
are read event by event.
"""

import numpy as np

from tokenvis.spans.integers import Int64Array, Mask, run_starts, sort_order

NO_PARTNER = -1


def partners_of(stack: Int64Array, place: Int64Array, is_end: Mask) -> Int64Array:
    """The position of each event's partner, -1 without one; ``place`` is -1 for an end that names none."""
    n_stacks = int(stack.max(initial=-1)) + 1
    ends_by_place, ends_without = (
        np.bincount(stack[is_end & chosen], minlength=n_stacks) > 0 for chosen in (place >= 0, place < 0)
    )
    is_mixed = (ends_by_place & ends_without)[stack]
    partner = np.full(len(stack), NO_PARTNER, dtype=np.int64)
    plain = np.flatnonzero(~is_mixed)
    key = np.where(ends_without[stack], 0, place + 1)[plain]
    pair_by_depth(stack[plain], key, is_end[plain], plain, partner)
    mixed = np.flatnonzero(is_mixed)
    mixed = mixed[np.argsort(stack[mixed], kind="stable")]
    for rows in np.split(mixed, np.flatnonzero(run_starts(stack[mixed]))[1:]):
        pair_one_by_one(rows, place, is_end, partner)
    return partner


def pair_by_depth(stack: Int64Array, key: Int64Array, is_end: Mask, rows: Int64Array, partner: Int64Array) -> None:
    """Write the partners of the events, each at its row: at each depth of a stack and key, starts and ends alternate."""
    order = sort_order(stack, key, np.arange(len(stack)))
    is_first = run_starts(stack[order], key[order])
    run = np.cumsum(is_first) - 1
    change = np.where(is_end[order], -1, 1)
    total = np.cumsum(change)
    total -= (total - change)[is_first][run]  # the number of starts minus ends in the run so far
    offset = run * (len(order) + 1)  # the minimum of a run is below those of the runs before
    lowest = np.minimum.accumulate(np.minimum(total, 0) - offset) + offset
    unmatched_before = np.where(is_first, 0, np.append(0, lowest[:-1])[: len(order)])
    has_start = ~is_end[order] | (total >= unmatched_before)
    depth = total - lowest + is_end[order]
    order, run, depth = order[has_start], run[has_start], depth[has_start]
    by_depth = sort_order(run, depth, np.arange(len(order)))
    order, run, depth = order[by_depth], run[by_depth], depth[by_depth]
    is_pair = (run[1:] == run[:-1]) & (depth[1:] == depth[:-1]) & ~is_end[order[:-1]] & is_end[order[1:]]
    start, end = rows[order[:-1][is_pair]], rows[order[1:][is_pair]]
    partner[start], partner[end] = end, start


def pair_one_by_one(rows: Int64Array, place: Int64Array, is_end: Mask, partner: Int64Array) -> None:
    """Write the partners of the events of one stack; an end with a place may close a start below the innermost."""
    starts: list[int] = []  # the open starts, and closed ones below them
    by_place: dict[int, list[int]] = {}
    closed = set()
    for row, where, ends in zip(rows.tolist(), place[rows].tolist(), is_end[rows].tolist(), strict=True):
        if not ends:
            starts.append(row)
            by_place.setdefault(where, []).append(row)
            continue
        while starts and starts[-1] in closed:
            starts.pop()
        candidates = starts if where < 0 else by_place.get(where)
        if candidates:
            start = candidates[-1]
            closed.add(start)
            by_place[int(place[start])].pop()
            partner[start], partner[row] = row, start
