import numpy as np
import pytest
from clocks import FakeClock
from hypothesis import given
from hypothesis import strategies as st
from stories import FEWEST_CROSSINGS, needs_stories, story
from test_ordering import check_order, fewest_crossings, stories

from tokenvis.layout.storylines import proof as proof_module
from tokenvis.layout.storylines.blocks import blocks_by_group, count_crossings
from tokenvis.layout.storylines.deadline import NO_DEADLINE, Deadline
from tokenvis.layout.storylines.ordering import initial_ranks, order_in_parts
from tokenvis.layout.storylines.proof import Proof

EACH_WITH_EACH = np.array([[0, 0, 2], [0, 1, 1], [0, 1, 0]], dtype=np.int32)


def proven(blocks):
    """The order of a complete proof."""

    def prove(part):
        with Proof(part, initial_ranks(part)) as proof:
            proof.improve(NO_DEADLINE)
            assert proof.is_complete
            return proof.ranks

    return order_in_parts(blocks, prove)


def hard_story():
    """A story that no solver finishes."""
    place = np.random.default_rng(1).integers(0, 6, (60, 16), dtype=np.int32)
    return blocks_by_group(place, place >= 0)


def test_each_with_each_takes_one_crossing():
    with Proof(EACH_WITH_EACH, initial_ranks(EACH_WITH_EACH)) as proof:
        proof.improve(NO_DEADLINE)
        check_order(EACH_WITH_EACH, proof.ranks)
        assert count_crossings(proof.ranks) == proof.crossings == proof.lower_bound == 1


@pytest.mark.parametrize(("name", "value"), [("MAX_CLAUSES", 1), ("CLAUSES_PER_SECOND", 0)])
def test_a_formula_that_is_too_large_is_not_built(monkeypatch, name, value):
    monkeypatch.setattr(proof_module, name, value)
    with Proof(EACH_WITH_EACH, initial_ranks(EACH_WITH_EACH)) as proof:
        proof.improve(Deadline.after(60))
        assert (proof.formula, proof.lower_bound) == (None, 0)


def test_a_formula_is_not_built_to_its_end_after_the_deadline():
    with FakeClock.patched() as clock, Proof(hard_story(), initial_ranks(hard_story())) as proof:
        proof.improve(Deadline.after(5))
        assert clock.seconds <= 8
        assert (proof.formula, proof.lower_bound) == (None, 0)


def test_a_proof_that_runs_out_keeps_both_bounds_and_goes_on():
    blocks = hard_story()
    with FakeClock.patched(), Proof(blocks, initial_ranks(blocks)) as proof:
        bounds = []
        for _ in range(2):
            proof.improve(Deadline.after(150))
            check_order(blocks, proof.ranks)
            assert count_crossings(proof.ranks) == proof.crossings
            bounds.append((proof.lower_bound, proof.crossings))
        (first, above), (second, below) = bounds
        assert 0 < first < second < below <= above


def test_a_better_order_from_elsewhere_ends_the_proof_of_its_bound():
    blocks = np.array([[0, 0, 2, 3], [0, 1, 1, 3], [0, 1, 0, 3], [0, 1, 2, 2]], dtype=np.int32)
    best = proven(blocks)
    with Proof(blocks, initial_ranks(blocks)) as proof:
        proof.offer(best)
        proof.offer(initial_ranks(blocks))
        proof.improve(NO_DEADLINE)
        assert proof.crossings == proof.lower_bound == fewest_crossings(blocks)


@pytest.mark.laws
@given(stories())
def test_no_order_of_a_small_story_has_fewer(blocks):
    ranks = proven(blocks)
    check_order(blocks, ranks)
    assert count_crossings(ranks) == fewest_crossings(blocks)


@pytest.mark.laws
@given(stories(), st.integers(0, 40))
def test_the_bounds_of_an_interrupted_proof_hold(blocks, seconds):
    with FakeClock.patched(), Proof(blocks, initial_ranks(blocks)) as proof:
        proof.improve(Deadline.after(seconds))
        check_order(blocks, proof.ranks)
        assert proof.lower_bound <= fewest_crossings(blocks) <= proof.crossings == count_crossings(proof.ranks)


@pytest.mark.real
@needs_stories
@pytest.mark.parametrize("name", FEWEST_CROSSINGS)
def test_known_stories_have_the_fewest(name):
    blocks = story(name)
    ranks = proven(blocks)
    check_order(blocks, ranks)
    assert count_crossings(ranks) == FEWEST_CROSSINGS[name]
