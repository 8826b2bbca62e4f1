import numpy as np
import pytest
from clocks import FakeClock
from hypothesis import given
from hypothesis import strategies as st
from test_ordering import check_order, fewest_crossings, stories
from test_proof import hard_story

from tokenvis.layout.storylines import orders
from tokenvis.layout.storylines.blocks import count_crossings
from tokenvis.layout.storylines.deadline import NO_DEADLINE, Deadline
from tokenvis.layout.storylines.orders import order_lines


@pytest.mark.laws
@given(st.lists(stories(), max_size=3))
def test_the_order_of_each_story_is_proven_if_there_is_time(tables):
    for blocks, order in zip(tables, order_lines(tables, NO_DEADLINE), strict=True):
        check_order(blocks, order.ranks)
        assert count_crossings(order.ranks) == order.lower_bound == fewest_crossings(blocks)


@pytest.mark.laws
@given(st.lists(stories(), max_size=3), st.integers(0, 60))
def test_the_bounds_hold_whenever_time_is_over(tables, seconds):
    with FakeClock.patched():
        found = order_lines(tables, Deadline.after(seconds))
    for blocks, order in zip(tables, found, strict=True):
        check_order(blocks, order.ranks)
        assert order.lower_bound <= fewest_crossings(blocks) <= count_crossings(order.ranks)


@pytest.mark.parametrize(("seconds", "has_bounds"), [(0, False), (300, True)])
def test_several_stories_share_the_time(seconds, has_bounds):
    stories = [hard_story()[:20], hard_story()[20:36], hard_story()[36:54]]
    with FakeClock.patched() as clock:
        found = order_lines(stories, Deadline.after(seconds))
        assert clock.seconds <= seconds + 150  # a search looks at the clock twice for each agent before it returns
    assert [order.lower_bound > 0 for order in found] == [has_bounds] * 3
    for blocks, order in zip(stories, found, strict=True):
        check_order(blocks, order.ranks)


def test_a_proof_that_runs_out_hands_its_order_and_bound_to_the_search(monkeypatch):
    calls = []

    def search(blocks, *, start, fewest, deadline):
        calls.append((count_crossings(start), fewest))
        return start

    monkeypatch.setattr(orders, "search_ranks", search)
    with FakeClock.patched():
        [order] = order_lines([hard_story()], Deadline.after(600))
    [(crossings, fewest)] = calls
    assert 0 < fewest <= order.lower_bound < count_crossings(order.ranks) <= crossings


def test_without_a_deadline_there_is_no_proof(monkeypatch):
    monkeypatch.setattr(orders, "Proof", None)
    [first], [second] = (order_lines([hard_story()[:4]], None) for _ in range(2))
    assert first.lower_bound == second.lower_bound == 0
    assert np.array_equal(first.ranks, second.ranks)
