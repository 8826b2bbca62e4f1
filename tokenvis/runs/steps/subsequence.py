"""Subsequence: the longest sequence of steps that two runs have in common, in order.

Steps are integers. What the runs have in common at both ends, and the steps that only one of them has, need no search. The
rest is given to rapidfuzz (MIT), which compares 64 steps at once and keeps a bit for each pair of steps. Where these bits would
take too much memory, the problem is cut into two (D. S. Hirschberg, "A linear space algorithm for computing maximal common
subsequences", 1975): one sequence in the middle, the other where both parts have most in common, by the lengths that a row of
bits tells (H. Hyyrö, "Bit-parallel LCS-length computation revisited", 2004).
"""

from collections.abc import Callable
from functools import lru_cache

import numpy as np

from tokenvis.spans.integers import Int64Array, Mask

MAX_PAIRS = 1_000_000_000  # 125 MB of bits
CACHED_BYTES = 1 << 26


def common_subsequence(first: Int64Array, second: Int64Array) -> tuple[Int64Array, Int64Array]:
    """The positions in both sequences of the steps of a longest common subsequence: of each step, the earliest in order.

    The common beginning is part of it. Steps are numbers from 0.
    """
    size = min(len(first), len(second))
    begin = common_length(first[:size] == second[:size])
    end = common_length((first[len(first) - size + begin :] == second[len(second) - size + begin :])[::-1])
    left, right = first[begin : len(first) - end], second[begin : len(second) - end]
    inner = searched(left[np.isin(left, right)], right[np.isin(right, left)])
    steps = np.concatenate([first[:begin], inner, first[len(first) - end :]])
    return earliest_positions(first, steps), earliest_positions(second, steps)


def common_length(same: Mask) -> int:
    """The number of values before the first that is not the same."""
    return len(same) if same.all() else int(same.argmin())


def earliest_positions(sequence: Int64Array, steps: Int64Array) -> Int64Array:
    """The first positions at which the steps occur in the sequence, in their order."""
    values, after = sequence.tolist(), 0
    positions = []
    for step in steps.tolist():
        positions.append(values.index(step, after))
        after = positions[-1] + 1
    return np.array(positions, dtype=np.int64)


def searched(first: Int64Array, second: Int64Array) -> Int64Array:
    """A longest common subsequence, searched in halves if the bits of all pairs of steps take too much memory."""
    if len(first) * len(second) <= MAX_PAIRS:
        return by_rapidfuzz(first, second)
    if len(first) < len(second):
        return searched(second, first)
    middle = len(first) // 2
    cut = best_cut(first, second, middle)
    return np.concatenate([searched(first[:middle], second[:cut]), searched(first[middle:], second[cut:])])


def by_rapidfuzz(first: Int64Array, second: Int64Array) -> Int64Array:
    """The common subsequence that rapidfuzz finds."""
    from rapidfuzz.distance import LCSseq

    blocks = LCSseq.opcodes(first.tolist(), second.tolist()).as_matching_blocks()
    return np.concatenate([first[block.a : block.a + block.size] for block in blocks])


def best_cut(first: Int64Array, second: Int64Array, middle: int) -> int:
    """Where to cut the second sequence, if the first is cut in the middle; of several places, the first."""
    before = lengths(first[:middle], second)
    after = lengths(first[middle:][::-1], second[::-1])[::-1]
    return int((before + after).argmax())


def lengths(first: Int64Array, second: Int64Array) -> Int64Array:
    """How many steps the first sequence has in common with each beginning of the second, from 0 to all of its steps.

    A row of bits, one for each step of the second, is updated for each step of the first; a bit that is 0 at the end is a step
    with which the beginning has one more in common.
    """
    size = len(second)
    row = every = (1 << size) - 1
    for bits in map(bits_of_steps(second), first.tolist()):
        shared = row & bits
        row = ((row + shared) | (row - shared)) & every
    last_row = np.frombuffer(row.to_bytes(size // 8 + 1, "little"), dtype=np.uint8)
    return np.append(0, np.cumsum(1 - np.unpackbits(last_row, bitorder="little", count=size).astype(np.int64)))


def bits_of_steps(steps: Int64Array) -> Callable[[int], int]:
    """A function from a step to an integer whose bits mark the positions of the step."""
    positions = np.argsort(steps, kind="stable")
    in_order = steps[positions]

    @lru_cache(max(CACHED_BYTES // (len(steps) // 8 + 1), 1))
    def bits_of(step: int) -> int:
        first, after = np.searchsorted(in_order, [step, step + 1])
        marked = np.zeros(len(steps), dtype=bool)
        marked[positions[first:after]] = True
        return int.from_bytes(np.packbits(marked, bitorder="little").tobytes(), "little")

    return bits_of
