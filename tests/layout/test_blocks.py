from itertools import combinations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tokenvis.layout.storylines.blocks import blocks_by_group, count_crossings, layer_changes


def table(*rows):
    return np.array(rows, dtype=np.int32)


def test_agents_of_one_group_are_a_block_with_the_lowest_number():
    group = table([7, 3, 7, -1], [-1, 3, 3, 3])
    present = np.array([[True, True, True, True], [False, True, True, True]])
    assert blocks_by_group(group, present).tolist() == [[0, 1, 0, 3], [-1, 1, 1, 1]]


def test_layers_with_the_same_groups_at_other_locations_have_equal_rows():
    group = table([5, 5, 2], [1, 1, 0], [1, 0, 0])
    blocks = blocks_by_group(group, group >= 0)
    assert layer_changes(blocks).tolist() == [True, False, True]


def test_an_empty_table_has_no_blocks():
    nothing = np.empty((0, 0), dtype=np.int32)
    assert blocks_by_group(nothing, nothing >= 0).shape == (0, 0)
    assert count_crossings(nothing) == 0


def test_a_pair_crosses_if_it_is_in_both_layers_and_changes_its_order():
    assert count_crossings(table([0, 1, 2], [2, 1, 0])) == 3
    assert count_crossings(table([0, 1, -1], [-1, 1, 0], [0, -1, 1])) == 0


@st.composite
def rank_tables(draw):
    n_agents = draw(st.integers(1, 5))
    rows = []
    for _ in range(draw(st.integers(1, 5))):
        order = draw(st.permutations(range(n_agents)))[: draw(st.integers(0, n_agents))]
        rows.append([order.index(agent) if agent in order else -1 for agent in range(n_agents)])
    return table(*rows)


@given(rank_tables())
def test_crossings_are_those_of_every_pair(ranks):
    found = 0
    for upper, lower in zip(ranks[:-1].tolist(), ranks[1:].tolist(), strict=True):
        for a, b in combinations(range(ranks.shape[1]), 2):
            stand = min(upper[a], upper[b], lower[a], lower[b]) >= 0
            found += stand and (upper[a] < upper[b]) != (lower[a] < lower[b])
    assert count_crossings(ranks) == found
