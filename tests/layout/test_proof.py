import numpy as np
import pytest
from hypothesis import given
from stories import FEWEST, needs_stories, story
from test_ordering import check_order, fewest_crossings, stories

from tokenvis.layout.storylines import proof
from tokenvis.layout.storylines.blocks import blocks_of, crossings
from tokenvis.layout.storylines.ordering import in_parts
from tokenvis.layout.storylines.proof import prove


def proven(blocks):
    return in_parts(blocks, lambda part: prove(part, seconds=60).ranks)


def test_each_with_each_takes_one_crossing():
    blocks = np.array([[0, 0, 2], [0, 1, 1], [0, 1, 0]], dtype=np.int32)
    found = prove(blocks, seconds=60)
    check_order(blocks, found.ranks)
    assert crossings(found.ranks) == found.at_least == 1


def test_where_the_question_is_too_large_nothing_is_proven(monkeypatch):
    monkeypatch.setattr(proof, "MOST_CLAUSES", 10)
    found = prove(np.array([[0, 0, 2], [0, 1, 1]], dtype=np.int32), seconds=60)
    assert (found.ranks, found.at_least) == (None, 0)


def test_where_the_time_does_not_suffice_a_bound_is_left():
    place = np.random.default_rng(1).integers(0, 6, (60, 16), dtype=np.int32)
    found = prove(blocks_of(place, place >= 0), seconds=1)
    assert found.ranks is None
    assert found.at_least > 0


@pytest.mark.laws
@given(stories())
def test_no_order_of_a_small_story_has_fewer(blocks):
    ranks = proven(blocks)
    check_order(blocks, ranks)
    assert crossings(ranks) == fewest_crossings(blocks)


@pytest.mark.real
@needs_stories
@pytest.mark.parametrize("name", FEWEST)
def test_known_stories_have_the_fewest(name):
    blocks = story(name)
    ranks = proven(blocks)
    check_order(blocks, ranks)
    assert crossings(ranks) == FEWEST[name]
