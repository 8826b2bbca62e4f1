from itertools import groupby, pairwise, permutations, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenvis.layout.storylines import ordering
from tokenvis.layout.storylines.blocks import blocks_by_group, count_crossings
from tokenvis.layout.storylines.ordering import (
    barycenter_ranks,
    connected_agents,
    flip_ranks,
    join_pieces,
    order_in_parts,
    orient_ranks,
)
from tokenvis.layout.storylines.search import search_ranks


@st.composite
def stories(draw, *, most_agents=4, most_layers=4):
    """Agents with a group, without one, or absent, layer after layer."""
    n_agents = draw(st.integers(1, most_agents))
    row = st.lists(st.integers(-2, 2), min_size=n_agents, max_size=n_agents)
    place = np.array(draw(st.lists(row, min_size=1, max_size=most_layers)), dtype=np.int32)
    return blocks_by_group(place, place > -2)


def check_order(blocks, ranks):
    """Each present agent has its own rank, and the agents of a block are consecutive."""
    assert ((ranks >= 0) == (blocks >= 0)).all()
    for block, rank in zip(blocks.tolist(), ranks.tolist(), strict=True):
        order = sorted((place, name) for place, name in zip(rank, block, strict=True) if place >= 0)
        assert [place for place, _ in order] == list(range(len(order)))
        runs = [name for name, _ in groupby(name for _, name in order)]
        assert len(runs) == len(set(runs))


def orders_of(block):
    """Every order of a layer that splits no block, from the top."""
    groups = [[agent for agent, name in enumerate(block) if name == first] for first in sorted(set(block) - {-1})]
    for stacked in permutations(groups):
        for inner in product(*(permutations(group) for group in stacked)):
            yield [agent for group in inner for agent in group]


def fewest_crossings(blocks):
    """By trying every order of every layer after every order of the one before."""

    def between(upper, lower):
        places = [lower.index(agent) for agent in upper if agent in lower]
        return sum(b < a for number, a in enumerate(places) for b in places[number:])

    layers = [list(orders_of(block)) for block in blocks.tolist()]
    totals = [0] * len(layers[0])
    for uppers, lowers in pairwise(layers):
        totals = [min(total + between(upper, lower) for total, upper in zip(totals, uppers, strict=True)) for lower in lowers]
    return min(totals)


def test_lines_that_part_and_meet_again_need_not_cross():
    blocks = np.array([[0, 0, 2], [0, 1, 1], [0, 0, 2]], dtype=np.int32)
    assert count_crossings(order_in_parts(blocks, search_ranks)) == 0


def test_each_with_each_takes_one_crossing():
    blocks = np.array([[0, 0, 2], [0, 1, 1], [0, 1, 0]], dtype=np.int32)
    assert count_crossings(order_in_parts(blocks, search_ranks)) == fewest_crossings(blocks) == 1


def test_agents_without_shared_blocks_are_separate_components():
    blocks = np.array([[0, 1, 0, 3], [-1, 1, 2, 1]], dtype=np.int32)
    assert [component.tolist() for component in connected_agents(blocks)] == [[0, 2], [1, 3]]


def test_a_story_is_oriented_with_early_agents_above():
    ranks = np.array([[1, 0, -1], [1, 0, 2]], dtype=np.int32)
    assert orient_ranks(ranks).tolist() == [[0, 1, -1], [1, 2, 0]]
    assert orient_ranks(orient_ranks(ranks)).tolist() == orient_ranks(ranks).tolist()


def test_a_piece_is_flipped_if_that_shortens_the_move():
    first = np.array([[0, 1, 2, -1]], dtype=np.int32)
    assert join_pieces([first, np.array([[1, -1, -1, 0]], dtype=np.int32)]).tolist() == [[0, 1, 2, -1], [0, -1, -1, 1]]


def test_a_layer_that_can_have_the_order_of_a_neighbour_has_it():
    blocks = np.array([[0, 0, 2, 3], [0, 1, 2, 3], [0, 0, 2, -1], [0, 1, 1, -1]], dtype=np.int32)
    assert ordering.model_layers(blocks).tolist() == [0, 0, 0, 3]


def test_a_layer_without_an_agent_of_both_neighbours_has_its_own_order():
    blocks = np.array([[0, 0, 2], [0, 1, -1], [0, 1, 1]], dtype=np.int32)
    assert ordering.model_layers(blocks).tolist() == [0, 1, 2]


@pytest.mark.laws
@given(stories())
def test_leaving_layers_out_keeps_the_fewest_crossings(blocks):
    model = ordering.model_layers(blocks)
    kept = np.unique(model)
    assert (model[kept] == kept).all()
    assert fewest_crossings(blocks[kept]) == fewest_crossings(blocks)
    orders = ordering.copy_orders(blocks, ordering.initial_ranks(blocks[kept]), model)
    check_order(blocks, orders)
    assert count_crossings(orders) == count_crossings(orders[kept])


@pytest.mark.laws
@given(stories(most_agents=9, most_layers=9))
def test_barycentres_are_a_valid_order_and_so_is_the_flipped_one(blocks):
    ranks = barycenter_ranks(blocks)
    check_order(blocks, ranks)
    check_order(blocks, flip_ranks(ranks))
    assert count_crossings(flip_ranks(ranks)) == count_crossings(ranks) <= count_crossings(ordering.initial_ranks(blocks))
