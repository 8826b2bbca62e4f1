from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stories import FEWEST, blocks_in, needs_stories, play, story
from test_ordering import check_order, fewest_crossings, stories

from tokenvis.layout.storylines import search as weaving_search
from tokenvis.layout.storylines.blocks import blocks_of, crossings
from tokenvis.layout.storylines.ordering import barycentres, in_parts, plain
from tokenvis.layout.storylines.proof import prove
from tokenvis.layout.storylines.search import Weave, cheapest, search


def test_the_cheapest_way_is_found_among_all():
    random = np.random.default_rng(3)
    costs, at = random.integers(0, 9, (2, 3, 3, 3)), random.integers(0, 9, (2, 4, 3))
    for ranks, ways, stays in zip(cheapest(costs, at), costs, at, strict=True):
        every = np.array(np.meshgrid(*[range(3)] * 4)).reshape(4, -1).T.tolist()

        def cost(way, ways=ways, stays=stays):
            moves = sum(ways[layer][pair] for layer, pair in enumerate(pairwise(way)))
            return moves + sum(stays[layer][rank] for layer, rank in enumerate(way))

        assert cost(ranks.tolist()) == min(map(cost, every))


def test_a_search_is_as_long_as_its_effort():
    place = np.random.default_rng(1).integers(0, 4, (30, 12), dtype=np.int32)
    blocks = blocks_of(place, place >= 0)
    short, long = (crossings(search(blocks, effort=effort)) for effort in (1, 20_000_000))
    assert long < short <= crossings(barycentres(blocks))


@pytest.mark.parametrize("broken", [False, True])
def test_the_search_comes_near_the_proven_fewest_in_plays(broken):
    found, fewest = [], []
    for seed in range(3):
        blocks = blocks_in(play(seed, n_scenes=20), broken=broken)
        found.append(crossings(in_parts(blocks, search)))
        proven = in_parts(blocks, lambda part: prove(part, seconds=60).ranks)
        check_order(blocks, proven)
        fewest.append(crossings(proven))
    assert all(few <= many <= 1.1 * few for few, many in zip(fewest, found, strict=True))
    assert sum(found) <= 1.05 * sum(fewest)


@pytest.mark.laws
@given(stories(most_agents=6, most_layers=9), st.data())
def test_what_is_renewed_in_a_window_stays_an_order_and_is_counted(blocks, data):
    if len(blocks) < 2:
        return
    weave = Weave.of(blocks, plain(blocks), 3)
    for _ in range(3):
        first = data.draw(st.integers(0, len(blocks) - 2))
        window = slice(first, data.draw(st.integers(first + 2, len(blocks) + 3)))
        part, before = weave.within(window), weave.ranks.copy()
        part.renew(data.draw(st.lists(st.integers(0, blocks.shape[1] - 1), unique=True)))
        weave.count()
        inner = slice(first + (first > 0), window.stop - (window.stop < len(blocks)))
        untouched = np.delete(np.arange(len(blocks)), inner)
        assert (weave.ranks[:, untouched] == before[:, untouched]).all()
        for ranks, total in zip(weave.ranks, weave.totals, strict=True):
            check_order(blocks, ranks)
            assert total == crossings(ranks)


@pytest.mark.laws
@given(stories(most_agents=9, most_layers=9), st.sampled_from([1, 5_000]))
def test_what_is_too_large_for_a_search_has_an_order_too(blocks, most):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(weaving_search, "MOST_EFFORT", most)
        ranks = in_parts(blocks, lambda part: search(part, effort=10_000))
    check_order(blocks, ranks)
    assert crossings(ranks) <= crossings(in_parts(blocks, barycentres))


@pytest.mark.laws
@given(stories())
def test_the_search_finds_the_fewest_in_small_stories(blocks):
    ranks = in_parts(blocks, lambda part: search(part, effort=300_000))
    check_order(blocks, ranks)
    assert crossings(ranks) == fewest_crossings(blocks)


@pytest.mark.laws
@given(stories(most_agents=9, most_layers=9))
def test_the_same_story_has_the_same_order(blocks):
    first, again = (in_parts(blocks, lambda part: search(part, effort=300_000)) for _ in range(2))
    check_order(blocks, first)
    assert (first == again).all()


@pytest.mark.real
@needs_stories
def test_the_search_comes_near_the_fewest_in_known_stories():
    found = {}
    for name in FEWEST:
        blocks = story(name)
        ranks = in_parts(blocks, search)
        check_order(blocks, ranks)
        found[name] = crossings(ranks)
    assert all(found[name] >= fewest for name, fewest in FEWEST.items())
    assert all(found[name] <= 1.1 * fewest for name, fewest in FEWEST.items())
    assert sum(found.values()) <= 1.05 * sum(FEWEST.values())
