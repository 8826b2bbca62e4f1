from itertools import pairwise

import numpy as np
import pytest
from clocks import FakeClock
from hypothesis import given
from hypothesis import strategies as st
from stories import FEWEST_CROSSINGS, blocks_in, needs_stories, random_visits, story
from test_ordering import check_order, fewest_crossings, stories
from test_proof import proven

from tokenvis.layout.storylines import search as search_module
from tokenvis.layout.storylines.blocks import blocks_by_group, count_crossings
from tokenvis.layout.storylines.deadline import Deadline
from tokenvis.layout.storylines.ordering import barycenter_ranks, initial_ranks, order_in_parts
from tokenvis.layout.storylines.search import OrderSearch, cheapest_paths, search_ranks


def test_the_cheapest_path_is_found_among_all():
    random = np.random.default_rng(3)
    costs, at = random.integers(0, 9, (2, 3, 3, 3)), random.integers(0, 9, (2, 4, 3))
    for ranks, ways, stays in zip(cheapest_paths(costs, at), costs, at, strict=True):
        every = np.array(np.meshgrid(*[range(3)] * 4)).reshape(4, -1).T.tolist()

        def cost(way, ways=ways, stays=stays):
            moves = sum(ways[layer][pair] for layer, pair in enumerate(pairwise(way)))
            return moves + sum(stays[layer][rank] for layer, rank in enumerate(way))

        assert cost(ranks.tolist()) == min(map(cost, every))


def test_a_search_is_as_long_as_its_effort():
    place = np.random.default_rng(1).integers(0, 4, (30, 12), dtype=np.int32)
    blocks = blocks_by_group(place, place >= 0)
    short, long = (count_crossings(search_ranks(blocks, effort=effort)) for effort in (1, 20_000_000))
    assert long < short <= count_crossings(barycenter_ranks(blocks))


def test_a_search_continues_from_a_start_and_ends_at_the_fewest():
    place = np.random.default_rng(1).integers(0, 4, (30, 12), dtype=np.int32)
    blocks = blocks_by_group(place, place >= 0)
    start = search_ranks(blocks, effort=1)
    assert search_ranks(blocks, start=start, fewest=count_crossings(start)) is start
    assert count_crossings(search_ranks(blocks, start=start, effort=20_000_000)) < count_crossings(start)


@pytest.mark.parametrize("seconds", [1, 10, 30])
def test_a_search_ends_at_its_deadline_with_the_best_order(seconds):
    place = np.random.default_rng(1).integers(0, 4, (30, 12), dtype=np.int32)
    blocks = blocks_by_group(place, place >= 0)
    with FakeClock.patched() as clock:
        ranks = search_ranks(blocks, deadline=Deadline.after(seconds))
        assert clock.seconds <= seconds + 50  # each of two rounds looks at the clock for each of 12 agents
    check_order(blocks, ranks)
    assert count_crossings(ranks) <= count_crossings(barycenter_ranks(blocks, Deadline.after(-1)))


@pytest.mark.full
@pytest.mark.parametrize("broken", [False, True])
def test_the_search_comes_near_the_proven_fewest_in_random_stories(broken):
    found, fewest = [], []
    for seed in range(3):
        blocks = blocks_in(random_visits(seed, n_scenes=20), broken=broken)
        found.append(count_crossings(order_in_parts(blocks, search_ranks)))
        fewest.append(count_crossings(proven(blocks)))
    assert all(few <= many <= 1.1 * few for few, many in zip(fewest, found, strict=True))
    assert sum(found) <= 1.05 * sum(fewest)


@pytest.mark.laws
@given(stories(most_agents=6, most_layers=9), st.data())
def test_reinserting_in_a_window_keeps_a_valid_order_and_its_count(blocks, data):
    if len(blocks) < 2:
        return
    state = OrderSearch.start(blocks, initial_ranks(blocks), 3)
    for _ in range(3):
        first = data.draw(st.integers(0, len(blocks) - 2))
        window = slice(first, data.draw(st.integers(first + 2, len(blocks) + 3)))
        part, before = state.window(window), state.ranks.copy()
        part.reinsert(data.draw(st.lists(st.integers(0, blocks.shape[1] - 1), unique=True)))
        state.recount()
        inner = slice(first + (first > 0), window.stop - (window.stop < len(blocks)))
        untouched = np.delete(np.arange(len(blocks)), inner)
        assert (state.ranks[:, untouched] == before[:, untouched]).all()
        for ranks, total in zip(state.ranks, state.crossing_totals, strict=True):
            check_order(blocks, ranks)
            assert total == count_crossings(ranks)


@pytest.mark.laws
@given(stories(most_agents=9, most_layers=9), st.sampled_from([1, 5_000]))
def test_a_story_too_large_for_a_search_has_an_order_too(blocks, most):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(search_module, "MAX_PASS_CELLS", most)
        ranks = order_in_parts(blocks, lambda part: search_ranks(part, effort=10_000))
    check_order(blocks, ranks)
    assert count_crossings(ranks) <= count_crossings(order_in_parts(blocks, barycenter_ranks))


@pytest.mark.laws
@given(stories())
def test_the_search_finds_the_fewest_in_small_stories(blocks):
    ranks = order_in_parts(blocks, lambda part: search_ranks(part, effort=300_000))
    check_order(blocks, ranks)
    assert count_crossings(ranks) == fewest_crossings(blocks)


@pytest.mark.laws
@given(stories(most_agents=9, most_layers=9))
def test_the_same_story_has_the_same_order(blocks):
    first, again = (order_in_parts(blocks, lambda part: search_ranks(part, effort=300_000)) for _ in range(2))
    check_order(blocks, first)
    assert (first == again).all()


@pytest.mark.real
@needs_stories
def test_the_search_comes_near_the_fewest_in_known_stories():
    found = {}
    for name in FEWEST_CROSSINGS:
        blocks = story(name)
        ranks = order_in_parts(blocks, search_ranks)
        check_order(blocks, ranks)
        found[name] = count_crossings(ranks)
    assert all(found[name] >= fewest for name, fewest in FEWEST_CROSSINGS.items())
    assert all(found[name] <= 1.1 * fewest for name, fewest in FEWEST_CROSSINGS.items())
    assert sum(found.values()) <= 1.05 * sum(FEWEST_CROSSINGS.values())
