import numpy as np
import pytest
from hypothesis import given
from stories import FEWEST_CROSSINGS, needs_stories, story
from test_ordering import check_order, fewest_crossings, stories

from tokenvis.layout.storylines import proof
from tokenvis.layout.storylines.blocks import blocks_by_group, count_crossings
from tokenvis.layout.storylines.ordering import order_in_parts
from tokenvis.layout.storylines.proof import prove_fewest_crossings


def proven(blocks):
    return order_in_parts(blocks, lambda part: prove_fewest_crossings(part, seconds=60).ranks)


def test_each_with_each_takes_one_crossing():
    blocks = np.array([[0, 0, 2], [0, 1, 1], [0, 1, 0]], dtype=np.int32)
    found = prove_fewest_crossings(blocks, seconds=60)
    check_order(blocks, found.ranks)
    assert count_crossings(found.ranks) == found.lower_bound == 1


def test_a_formula_that_is_too_large_is_not_solved(monkeypatch):
    monkeypatch.setattr(proof, "MAX_CLAUSES", 10)
    found = prove_fewest_crossings(np.array([[0, 0, 2], [0, 1, 1]], dtype=np.int32), seconds=60)
    assert (found.ranks, found.lower_bound) == (None, 0)


def test_a_timeout_leaves_a_lower_bound():
    place = np.random.default_rng(1).integers(0, 6, (60, 16), dtype=np.int32)
    found = prove_fewest_crossings(blocks_by_group(place, place >= 0), seconds=1)
    assert found.ranks is None
    assert found.lower_bound > 0


@pytest.mark.laws
@given(stories())
def test_no_order_of_a_small_story_has_fewer(blocks):
    ranks = proven(blocks)
    check_order(blocks, ranks)
    assert count_crossings(ranks) == fewest_crossings(blocks)


@pytest.mark.real
@needs_stories
@pytest.mark.parametrize("name", FEWEST_CROSSINGS)
def test_known_stories_have_the_fewest(name):
    blocks = story(name)
    ranks = proven(blocks)
    check_order(blocks, ranks)
    assert count_crossings(ranks) == FEWEST_CROSSINGS[name]
