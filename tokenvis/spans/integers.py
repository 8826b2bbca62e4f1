"""Integer arrays: sorting by several keys, and exact sums and differences.

Sorting one int64 array is several times faster than a lexical sort of two. So keys that belong together (a group and a
time) are packed into one key if both fit into 63 bits, and unpacked after the sort. Results that do not fit into int64 are
refused: a sum that wraps around would look like a valid result.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import pandas as pd

from tokenvis.errors import BadSpan

Int64Array: TypeAlias = np.ndarray[tuple[int], np.dtype[np.int64]]
AnyIntegers: TypeAlias = np.ndarray[tuple[int], np.dtype[Any]]
Float64Array: TypeAlias = np.ndarray[tuple[int], np.dtype[np.float64]]
Mask: TypeAlias = np.ndarray[tuple[int], np.dtype[np.bool_]]

INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1
LOW_32_BITS = 0xFFFF_FFFF
NO_ROWS: Int64Array = np.empty(0, dtype=np.int64)
HIGH_WORD_LIMIT = 2**31
MAD_SCALE = 1.4826  # of a median absolute deviation, to the standard deviation of a normal distribution
MIN_HASHED_VALUES = 2_048


@dataclass(frozen=True)
class Packing:
    """How several keys are packed into one: the lowest value of each, and how many bits its values take above that."""

    lowest: tuple[int, ...]
    bits: tuple[int, ...]

    def pack(self, *keys: Int64Array) -> Int64Array:
        """The packed key, a new array that sorts in the same order."""
        key: Int64Array = keys[0] - self.lowest[0]
        for further, lowest, bits in zip(keys[1:], self.lowest[1:], self.bits[1:], strict=True):
            key <<= bits
            key += further
            key -= lowest
        return key

    def unpack(self, key: Int64Array) -> list[Int64Array]:
        """The keys in a packed key."""
        keys = []
        for lowest, bits in zip(reversed(self.lowest), reversed(self.bits), strict=True):
            keys.append((key & ((1 << bits) - 1)) + lowest)
            key = key >> bits
        return keys[::-1]


def packing_of(*keys: Int64Array | tuple[Int64Array, ...], max_bits: int = 63) -> Packing | None:
    """The packing of these keys, or None if they need more than ``max_bits``; a key may consist of several arrays."""
    ranges = [extremes(*key) if isinstance(key, tuple) else extremes(key) for key in keys]
    bits = tuple((highest - lowest).bit_length() for lowest, highest in ranges)
    return Packing(tuple(lowest for lowest, _ in ranges), bits) if sum(bits) <= max_bits else None


def extremes(*parts: Int64Array) -> tuple[int, int]:
    """The lowest and the highest value; 0 and 0 if there are none."""
    non_empty = [part for part in parts if len(part)]
    return min((int(part.min()) for part in non_empty), default=0), max((int(part.max()) for part in non_empty), default=0)


def packed(*keys: Int64Array) -> Int64Array | None:
    """Several keys packed into one that sorts in the same order, or None if they do not fit into 63 bits."""
    packing = packing_of(*keys)
    return None if packing is None else packing.pack(*keys)


def sort_order(*keys: Int64Array) -> Int64Array:
    """Positions of the rows sorted by the keys, the first key first; the order of ties is undefined."""
    key = packed(*keys)
    order: Int64Array = np.lexsort(keys[::-1]) if key is None else np.argsort(key)
    return order


def order_by(keys: Sequence[Int64Array], ties: Callable[[Int64Array], Sequence[Int64Array]] | None = None) -> Int64Array:
    """Positions of the rows sorted by the keys; ``ties`` returns further keys for the rows that tie in all of them.

    As many keys as fit are packed into one and sorted; the others are read only for ties.
    """
    fitting = (count for count in range(len(keys), 1, -1) if packed(*keys[:count]) is not None)
    n_packed = next(fitting, 1)
    first_key = packed(*keys[:n_packed]) if n_packed > 1 else keys[0]
    assert first_key is not None, "a single key needs no packing"
    order: Int64Array = np.argsort(first_key)
    is_first = run_starts(first_key[order])
    for further_keys in (lambda rows: [key[rows] for key in keys[n_packed:]], ties or (lambda _: [])):
        tied = ~(is_first & np.append(is_first[1:], True)[: len(is_first)])
        rows, run = order[tied], np.cumsum(is_first)[tied]
        further = further_keys(rows) if len(rows) else []
        if further:
            within = np.lexsort((*further[::-1], run))
            order[tied] = rows[within]
            is_first[tied] = run_starts(run, *(key[within] for key in further))
    return order


def count_ranks(ranks: Int64Array) -> int:
    """The number of distinct ranks, which run from 0 without gaps; -1 is no rank."""
    return int(ranks.max(initial=-1)) + 1


def ranks_among(values: AnyIntegers) -> tuple[Int64Array, AnyIntegers]:
    """The rank of each value among the distinct ones, and these, sorted; few values are sorted, and many are hashed."""
    if len(values) < MIN_HASHED_VALUES:
        in_order = np.sort(values)
        distinct = in_order[run_starts(in_order)]
        return distinct.searchsorted(values), distinct
    found, distinct = pd.factorize(values)
    order = distinct.argsort()
    return inverse_permutation(order)[found], distinct[order]


def inverse_permutation(order: Int64Array) -> Int64Array:
    """The position of each row in an order."""
    position = np.empty_like(order)
    position[order] = np.arange(len(order))
    return position


def run_starts(*keys: AnyIntegers) -> Mask:
    """Mark each row that differs from the previous row in any key, and the first row."""
    is_first = np.ones(len(keys[0]), dtype=bool)
    if len(is_first):
        is_first[1:] = keys[0][1:] != keys[0][:-1]
        for key in keys[1:]:
            is_first[1:] |= key[1:] != key[:-1]
    return is_first


def run_ends(key: Int64Array) -> Mask:
    """Mark each row that differs from the next row, and the last row."""
    return np.append(run_starts(key)[1:], True)[: len(key)]


def rank_in(
    group: Int64Array, value: Int64Array, query_group: Int64Array, query_value: Int64Array, *, side: Literal["left", "right"]
) -> Int64Array:
    """`numpy.searchsorted` on pairs: the insertion points of (query_group, query_value) in the sorted (group, value)."""
    packing = packing_of((group, query_group), (value, query_value))
    if packing is None:
        ranks = np.unique(np.concatenate([value, query_value]), return_inverse=True)[1].reshape(-1)
        return rank_in(group, ranks[: len(group)], query_group, ranks[len(group) :], side=side)
    rank: Int64Array = np.searchsorted(packing.pack(group, value), packing.pack(query_group, query_value), side=side)
    return rank


def sums(group: Int64Array, values: Int64Array, n_groups: int) -> Int64Array:
    """Sum of the values of each group; `BadSpan` if one does not fit into int64."""
    high, low = np.zeros(n_groups, dtype=np.int64), np.zeros(n_groups, dtype=np.int64)
    np.add.at(high, group, values >> 32)
    np.add.at(low, group, values & LOW_32_BITS)
    return sum_of_words(high, low)


def slice_sums(values: Int64Array, first: Int64Array, after: Int64Array) -> Int64Array:
    """Sum of ``values[first:after]``, for each pair; `BadSpan` if one does not fit into int64."""
    high, low = (np.append(0, np.cumsum(words)) for words in (values >> 32, values & LOW_32_BITS))
    return sum_of_words(high[after] - high[first], low[after] - low[first])


def sum_of_words(high: Int64Array, low: Int64Array) -> Int64Array:
    """Sums of the high and of the low 32 bits of values as sums of the values; `BadSpan` if one does not fit into int64."""
    high = high + (low >> 32)
    if len(high) and (int(high.min()) < -HIGH_WORD_LIMIT or int(high.max()) >= HIGH_WORD_LIMIT):
        raise BadSpan(
            "A sum over the spans does not fit into a 64-bit integer. Check the unit of the times, and the token counts."
        )
    total: Int64Array = (high << 32) | (low & LOW_32_BITS)
    return total


def difference(later: Int64Array, earlier: Int64Array) -> Int64Array:
    """``later - earlier``, element by element; `BadSpan` if one does not fit into int64."""
    result: Int64Array = later - earlier
    overflow = ((later ^ earlier) & (later ^ result)) < 0
    if overflow.any():
        row = int(overflow.argmax())
        raise BadSpan(f"The time from {earlier[row]} to {later[row]} does not fit into a 64-bit integer.")
    return result


def running_max(group: Int64Array, values: Int64Array) -> Int64Array:
    """Running maximum within each group, for rows sorted by group."""
    packing = packing_of(group, values)
    if packing is None:
        distinct, ranks = np.unique(values, return_inverse=True)
        highest: Int64Array = distinct[running_max(group, ranks.reshape(-1))]
        return highest
    return packing.unpack(np.maximum.accumulate(packing.pack(group, values)))[1]


def counts(group: Int64Array, n_groups: int) -> Int64Array:
    """Number of rows of each group."""
    number: Int64Array = np.bincount(group, minlength=n_groups).astype(np.int64, copy=False)
    return number


def lowest_of(group: Int64Array, values: Int64Array, n_groups: int) -> Int64Array:
    """The lowest value of each group; the largest int64 for a group without rows."""
    lowest: Int64Array = np.full(n_groups, np.iinfo(np.int64).max)
    np.minimum.at(lowest, group, values)
    return lowest


def highest_of(group: Int64Array, values: Int64Array, n_groups: int) -> Int64Array:
    """The highest value of each group; the smallest int64 for a group without rows."""
    highest: Int64Array = np.full(n_groups, np.iinfo(np.int64).min)
    np.maximum.at(highest, group, values)
    return highest


def percentiles(group: Int64Array, values: Int64Array, n_groups: int, percents: tuple[int, ...]) -> list[Int64Array]:
    """Percentiles of the values of each group by nearest rank, so each is one of the values; no group may be empty."""
    size = counts(group, n_groups)
    first = np.cumsum(size) - size
    packing = packing_of(group, values)
    if packing is None:
        values = values[np.lexsort((values, group))]
    else:
        key = packing.pack(group, values)
        key.sort()
        values = packing.unpack(key)[1]
    return [values[first + (percent * size + 99) // 100 - 1] for percent in percents]
