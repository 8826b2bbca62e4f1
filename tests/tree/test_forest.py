from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tokenvis as tv
from tokenvis.tree.forest import forest_of


@st.composite
def parents(draw, max_nodes=10):
    """Parents of the nodes of a forest, in any order of numbers."""
    number = draw(st.permutations(range(draw(st.integers(0, max_nodes)))))
    return np.array(
        [-1 if not at else draw(st.sampled_from([-1, *number[:at]])) for at in np.argsort(number).tolist()], dtype=np.int64
    )


def depth_first(parent, root=-1, depth=0):
    """The nodes below a root, with their depths."""
    for node in np.flatnonzero(parent == root).tolist():
        yield node, depth
        yield from depth_first(parent, node, depth + 1)


def test_siblings_come_in_the_order_of_their_numbers():
    forest = forest_of(np.array([2, -1, -1, 2, 0, 1]))
    assert forest.node.tolist() == [1, 5, 2, 0, 4, 3]
    assert forest.size.tolist() == [2, 1, 4, 2, 1, 1]
    assert forest.depth.tolist() == [0, 1, 0, 1, 2, 1]
    assert forest.subtree_sums(np.array([1, 2, 3, 4, 5, 6])).tolist() == [3, 2, 18, 9, 5, 6]


def test_a_chain_of_a_hundred_thousand_nodes():
    forest = forest_of(np.arange(100_000) - 1)
    assert forest.depth.tolist() == forest.node.tolist() == list(range(100_000))
    assert forest.subtree_sums(np.ones(100_000, dtype=np.int64)).tolist() == list(range(100_000, 0, -1))


def test_a_forest_may_be_empty():
    forest = forest_of(np.empty(0, dtype=np.int64))
    assert forest.subtree_sums(forest.node).tolist() == forest.subtree_sums_of_floats(np.empty(0)).tolist() == []


@pytest.mark.laws
@given(parents(), st.data())
def test_forests_are_those_of_a_walk(parent, data):
    forest = forest_of(parent)
    assert list(zip(forest.node.tolist(), forest.depth.tolist(), strict=True)) == list(depth_first(parent))
    values, amounts = (
        data.draw(st.lists(numbers, min_size=len(parent), max_size=len(parent)))
        for numbers in (st.integers(-(2**63), 2**63 - 1), st.sampled_from([0.0, 1e-9, 0.1, 1 / 3, 2.5e6]))
    )
    below = [[node, *(other for other, _ in depth_first(parent, node))] for node in forest.node.tolist()]
    assert forest.size.tolist() == [len(nodes) for nodes in below]
    sums = [sum(values[node] for node in nodes) for nodes in below]
    in_order = np.array(values, dtype=np.int64)[forest.node]
    if all(-(2**63) <= total < 2**63 for total in sums):
        assert forest.subtree_sums(in_order).tolist() == sums
    else:
        with pytest.raises(tv.BadSpan, match=r"^A sum over the spans does not fit into a 64-bit integer\. "):
            forest.subtree_sums(in_order)
    exact = [float(sum(Fraction(amounts[node]) for node in nodes)) for nodes in below]
    sums_of_floats = forest.subtree_sums_of_floats(np.array(amounts)[forest.node]).tolist()
    rounded = len(parent) * max(amounts, default=0.0) * 2**-80
    assert sums_of_floats == pytest.approx(exact, rel=2**-52, abs=rounded)
