from itertools import groupby, pairwise, permutations, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenvis.layout.storylines import ordering
from tokenvis.layout.storylines.blocks import blocks_of, crossings
from tokenvis.layout.storylines.ordering import barycentres, families, flipped, in_parts, joined, upright
from tokenvis.layout.storylines.search import search


@st.composite
def stories(draw, *, most_agents=4, most_layers=4):
    """Agents at places, or at none, or absent, layer after layer."""
    n_agents = draw(st.integers(1, most_agents))
    row = st.lists(st.integers(-2, 2), min_size=n_agents, max_size=n_agents)
    place = np.array(draw(st.lists(row, min_size=1, max_size=most_layers)), dtype=np.int32)
    return blocks_of(place, place > -2)


def check_order(blocks, ranks):
    """Everybody who is there has a rank of its own, and members of a block stand together."""
    assert ((ranks >= 0) == (blocks >= 0)).all()
    for block, rank in zip(blocks.tolist(), ranks.tolist(), strict=True):
        order = sorted((place, name) for place, name in zip(rank, block, strict=True) if place >= 0)
        assert [place for place, _ in order] == list(range(len(order)))
        runs = [name for name, _ in groupby(name for _, name in order)]
        assert len(runs) == len(set(runs))


def orders_of(block):
    """Every order of a layer that parts no block, from the top."""
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


def test_two_that_part_and_meet_again_need_not_cross():
    blocks = np.array([[0, 0, 2], [0, 1, 1], [0, 0, 2]], dtype=np.int32)
    assert crossings(in_parts(blocks, search)) == 0


def test_each_with_each_takes_one_crossing():
    blocks = np.array([[0, 0, 2], [0, 1, 1], [0, 1, 0]], dtype=np.int32)
    assert crossings(in_parts(blocks, search)) == fewest_crossings(blocks) == 1


def test_those_who_never_stand_together_are_apart():
    blocks = np.array([[0, 1, 0, 3], [-1, 1, 2, 1]], dtype=np.int32)
    assert [family.tolist() for family in families(blocks)] == [[0, 2], [1, 3]]


def test_a_story_stands_the_way_in_which_those_that_appear_first_are_above():
    ranks = np.array([[1, 0, -1], [1, 0, 2]], dtype=np.int32)
    assert upright(ranks).tolist() == [[0, 1, -1], [1, 2, 0]]
    assert upright(upright(ranks)).tolist() == upright(ranks).tolist()


def test_a_piece_is_turned_over_where_the_one_that_goes_on_is_nearer_then():
    first = np.array([[0, 1, 2, -1]], dtype=np.int32)
    assert joined([first, np.array([[1, -1, -1, 0]], dtype=np.int32)]).tolist() == [[0, 1, 2, -1], [0, -1, -1, 1]]


@pytest.mark.laws
@given(stories(most_agents=9, most_layers=9))
def test_barycentres_are_an_order_and_so_is_it_from_below(blocks):
    ranks = barycentres(blocks)
    check_order(blocks, ranks)
    check_order(blocks, flipped(ranks))
    assert crossings(flipped(ranks)) == crossings(ranks) <= crossings(ordering.plain(blocks))
