"""Arrays of whole numbers: sorted by several keys, added and subtracted, without a wrong digit.

Sorting an array of int64 is several times faster than finding the order of two. So keys that belong together (a group and a
time) are packed into one wherever 63 bits hold both, and taken apart again after the sort. What int64 cannot hold is
refused: a sum that wraps around would be an answer that looks right.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from tokenvis.errors import BadSpan

Int64Array: TypeAlias = np.ndarray[tuple[int], np.dtype[np.int64]]
Floats: TypeAlias = np.ndarray[tuple[int], np.dtype[np.float64]]
Mask: TypeAlias = np.ndarray[tuple[int], np.dtype[np.bool_]]

INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1
LOW = 0xFFFF_FFFF
HIGHEST = 2**31


@dataclass(frozen=True)
class Packing:
    """How several keys stand in one: of each its lowest value, and how many bits its values take above that."""

    lowest: tuple[int, ...]
    bits: tuple[int, ...]

    def pack(self, *keys: Int64Array) -> Int64Array:
        """The keys as one, a new array with the same order."""
        whole: Int64Array = keys[0] - self.lowest[0]
        for key, lowest, bits in zip(keys[1:], self.lowest[1:], self.bits[1:], strict=True):
            whole <<= bits
            whole += key
            whole -= lowest
        return whole

    def unpack(self, whole: Int64Array) -> list[Int64Array]:
        """The keys that stand in one."""
        keys = []
        for lowest, bits in zip(reversed(self.lowest), reversed(self.bits), strict=True):
            keys.append((whole & ((1 << bits) - 1)) + lowest)
            whole = whole >> bits
        return keys[::-1]


def packing_of(*keys: Int64Array | tuple[Int64Array, ...], room: int = 63) -> Packing | None:
    """How these keys can stand in one, or None where so many bits do not hold them; a key may come in several arrays."""
    ranges = [extremes(*key) if isinstance(key, tuple) else extremes(key) for key in keys]
    bits = tuple((highest - lowest).bit_length() for lowest, highest in ranges)
    return Packing(tuple(lowest for lowest, _ in ranges), bits) if sum(bits) <= room else None


def extremes(*parts: Int64Array) -> tuple[int, int]:
    """The lowest and the highest value; 0 and 0 of nothing."""
    full = [part for part in parts if len(part)]
    return min((int(part.min()) for part in full), default=0), max((int(part.max()) for part in full), default=0)


def packed(*keys: Int64Array) -> Int64Array | None:
    """Several keys as one with the same order, or None where 63 bits do not hold them."""
    packing = packing_of(*keys)
    return None if packing is None else packing.pack(*keys)


def sort_order(*keys: Int64Array) -> Int64Array:
    """Positions of the rows in the order of the keys, the first one first; rows that tie stand in any order."""
    whole = packed(*keys)
    order: Int64Array = np.lexsort(keys[::-1]) if whole is None else np.argsort(whole)
    return order


def order_by(keys: Sequence[Int64Array], ties: Callable[[Int64Array], Sequence[Int64Array]] | None = None) -> Int64Array:
    """Positions of the rows in the order of the keys; ``ties`` gives further keys of the rows that tie in all of these.

    As many keys as fit are sorted as one; the others are looked at only where those tie.
    """
    fitting = (number for number in range(len(keys), 1, -1) if packed(*keys[:number]) is not None)
    first = next(fitting, 1)
    whole = packed(*keys[:first]) if first > 1 else keys[0]
    assert whole is not None, "one key alone is its own order"
    order: Int64Array = np.argsort(whole)
    opens = opens_run(whole[order])
    for further in (lambda rows: [key[rows] for key in keys[first:]], ties or (lambda _: [])):
        tied = ~(opens & np.append(opens[1:], True)[: len(opens)])
        rows, run = order[tied], np.cumsum(opens)[tied]
        more = further(rows) if len(rows) else []
        if more:
            within = np.lexsort((*more[::-1], run))
            order[tied] = rows[within]
            opens[tied] = opens_run(run, *(key[within] for key in more))
    return order


def opens_run(*keys: "Int64Array | np.ndarray[tuple[int], np.dtype[np.int32]]") -> Mask:
    """Mark each row that differs from the row before it in one of the keys; the first row does."""
    opens = np.ones(len(keys[0]), dtype=bool)
    if len(opens):
        opens[1:] = keys[0][1:] != keys[0][:-1]
        for key in keys[1:]:
            opens[1:] |= key[1:] != key[:-1]
    return opens


def closes_run(key: Int64Array) -> Mask:
    """Mark each row that differs from the row after it; the last row does."""
    return np.append(opens_run(key)[1:], True)[: len(key)]


def rank_in(
    group: Int64Array, value: Int64Array, of_group: Int64Array, of_value: Int64Array, *, side: Literal["left", "right"]
) -> Int64Array:
    """`numpy.searchsorted` on pairs: where (of_group, of_value) would stand among the sorted (group, value)."""
    packing = packing_of((group, of_group), (value, of_value))
    if packing is None:
        ranks = np.unique(np.concatenate([value, of_value]), return_inverse=True)[1].reshape(-1)
        return rank_in(group, ranks[: len(group)], of_group, ranks[len(group) :], side=side)
    rank: Int64Array = np.searchsorted(packing.pack(group, value), packing.pack(of_group, of_value), side=side)
    return rank


def sums(group: Int64Array, values: Int64Array, n_groups: int) -> Int64Array:
    """Sum of the values of each group; `BadSpan` where one needs more than 63 bits."""
    high, low = np.zeros(n_groups, dtype=np.int64), np.zeros(n_groups, dtype=np.int64)
    np.add.at(high, group, values >> 32)
    np.add.at(low, group, values & LOW)
    high += low >> 32
    if len(high) and (int(high.min()) < -HIGHEST or int(high.max()) >= HIGHEST):
        raise BadSpan("A sum over the spans does not fit into 63 bits. Are their times in microseconds?")
    total: Int64Array = (high << 32) | (low & LOW)
    return total


def difference(later: Int64Array, earlier: Int64Array) -> Int64Array:
    """Each ``later - earlier``; `BadSpan` where one needs more than 63 bits."""
    result: Int64Array = later - earlier
    wrong = ((later ^ earlier) & (later ^ result)) < 0
    if wrong.any():
        row = int(wrong.argmax())
        raise BadSpan(f"The time from {earlier[row]} to {later[row]} does not fit into 63 bits of µs.")
    return result


def running_max(group: Int64Array, values: Int64Array) -> Int64Array:
    """Largest value so far within each group, for rows sorted by group."""
    packing = packing_of(group, values)
    if packing is None:
        distinct, ranks = np.unique(values, return_inverse=True)
        highest: Int64Array = distinct[running_max(group, ranks.reshape(-1))]
        return highest
    return packing.unpack(np.maximum.accumulate(packing.pack(group, values)))[1]


def counts(group: Int64Array, n_groups: int) -> Int64Array:
    """How many rows each group has."""
    number: Int64Array = np.bincount(group, minlength=n_groups).astype(np.int64, copy=False)
    return number


def lowest_of(group: Int64Array, values: Int64Array, n_groups: int) -> Int64Array:
    """The lowest value of each group; of one without rows, the highest there can be."""
    lowest: Int64Array = np.full(n_groups, np.iinfo(np.int64).max)
    np.minimum.at(lowest, group, values)
    return lowest


def highest_of(group: Int64Array, values: Int64Array, n_groups: int) -> Int64Array:
    """The highest value of each group; of one without rows, the lowest there can be."""
    highest: Int64Array = np.full(n_groups, np.iinfo(np.int64).min)
    np.maximum.at(highest, group, values)
    return highest


def percentiles(group: Int64Array, values: Int64Array, n_groups: int, percents: tuple[int, ...]) -> list[Int64Array]:
    """Percentiles of the values of each group, none of which is empty, by nearest rank: each is one of the values."""
    size = counts(group, n_groups)
    first = np.cumsum(size) - size
    packing = packing_of(group, values)
    if packing is None:
        values = values[np.lexsort((values, group))]
    else:
        whole = packing.pack(group, values)
        whole.sort()
        values = packing.unpack(whole)[1]
    return [values[first + (percent * size + 99) // 100 - 1] for percent in percents]
