"""Forest: the depth-first order of many trees, and sums over their subtrees.

A subtree is contiguous in depth-first order, so a sum over it is a difference of two cumulative sums. Positions, sizes and
depths are found by pointer doubling: each step reaches twice as far up, so a chain of a million nodes takes twenty steps.
"""

from dataclasses import dataclass

import numpy as np

from tokenvis.spans.integers import Float64Array, Int64Array, inverse_permutation, slice_sums
from tokenvis.tree.relations import NO_ROW, depths

WORD_BITS = 40  # of each of the two words in which a sum of floats is computed; they allow for 2 ** 22 nodes


@dataclass(frozen=True)
class Forest:
    """The nodes in depth-first order: their numbers, the sizes of their subtrees with themselves, and their depths."""

    node: Int64Array
    size: Int64Array
    depth: Int64Array

    def subtree_sums(self, values: Int64Array) -> Int64Array:
        """The sum of the values of each subtree, all in depth-first order; `BadSpan` if one does not fit into int64."""
        first = np.arange(len(values))
        return slice_sums(values, first, first + self.size)

    def subtree_sums_of_floats(self, values: Float64Array) -> Float64Array:
        """The sum of the values of each subtree, all in depth-first order.

        Values are rounded to 2 ** -80 of the largest, as integers of two words, so that their cumulative sums are exact: a
        small sum after large ones does not lose its digits, and does not depend on other trees.
        """
        exponent = int(np.frexp(np.abs(values).max(initial=0.0))[1])
        scaled = np.ldexp(values, WORD_BITS - exponent)
        high = np.rint(scaled)
        low = np.rint(np.ldexp(scaled - high, WORD_BITS))
        high, low = (self.subtree_sums(word.astype(np.int64)).astype(np.float64) for word in (high, low))
        result: Float64Array = np.ldexp(high + np.ldexp(low, -WORD_BITS), exponent - WORD_BITS)
        return result


def forest_of(parent: Int64Array) -> Forest:
    """The forest of nodes with these parents (-1 for a root), without cycles; siblings come in the order of their numbers."""
    size = subtree_sizes(parent)
    siblings = np.argsort(parent, kind="stable")
    before = np.cumsum(size[siblings]) - size[siblings]
    first_sibling = np.searchsorted(parent[siblings], parent[siblings])
    offset = np.empty_like(size)
    offset[siblings] = before - before[first_sibling]
    is_child = (parent != NO_ROW).astype(np.int64)
    node = inverse_permutation(sums_upwards(parent, offset + is_child))
    return Forest(node, size[node], depths(parent)[node])


def subtree_sizes(parent: Int64Array) -> Int64Array:
    """The number of nodes in the subtree of each node, itself included: after step k, of those less than 2 ** k below."""
    size, ancestor = np.append(np.ones(len(parent), dtype=np.int64), 0), np.append(parent, NO_ROW)
    while (ancestor != NO_ROW).any():
        below = np.zeros_like(size)
        np.add.at(below, ancestor, size)
        size[:-1] += below[:-1]
        ancestor = ancestor[ancestor]
    return size[:-1]


def sums_upwards(parent: Int64Array, values: Int64Array) -> Int64Array:
    """The sum of the values of each node and all its ancestors."""
    total, ancestor = np.append(values, 0), np.append(parent, NO_ROW)
    while (ancestor != NO_ROW).any():
        total = total + total[ancestor]
        ancestor = ancestor[ancestor]
    return total[:-1]
