import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenvis.layout.storylines.homes import homes_of


def homes(*pieces, start_rank=None):
    """Homes and branches of pieces (agent, start, end), which began in the order of their starts by default."""
    agent, start, end = np.array(pieces, dtype=np.int64).reshape(-1, 3).T
    start_rank = np.argsort(np.lexsort((np.arange(len(start)), start))) if start_rank is None else np.array(start_rank)
    found = homes_of(agent, start, end, start_rank)
    return [list(zip(*(column.tolist() for column in part), strict=True)) for part in (found.stretches, found.branches)]


def test_the_home_of_an_agent_is_the_span_that_started_last():
    assert homes((0, 0, 10), (0, 3, 6)) == [[(0, 0, 3), (0, 6, 10), (1, 3, 6)], [(0, 3, 6)]]


def test_agents_are_independent():
    assert homes((0, 0, 10), (1, 3, 6)) == [[(0, 0, 10), (1, 3, 6)], []]


def test_of_two_spans_that_start_together_the_last_one_counts():
    assert homes((0, 0, 4), (0, 0, 4)) == [[(1, 0, 4)], [(0, 0, 4)]]


def test_a_piece_of_an_older_span_does_not_split_the_home():
    assert homes((0, 0, 10), (0, 4, 6), start_rank=[1, 0]) == [[(0, 0, 10)], [(1, 4, 6)]]


def test_without_spans_there_are_no_homes():
    assert homes() == [[], []]


@pytest.mark.laws
@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 8), st.integers(1, 6)), max_size=8))
def test_homes_are_those_of_every_moment(rows):
    pieces = [(agent, start, start + length) for agent, start, length in rows]
    stretches, branches = homes(*pieces)
    for time in range(15):
        runs = [number for number, (_, start, end) in enumerate(pieces) if start <= time < end]
        at_home = {}
        for number in sorted(runs, key=lambda number: (pieces[number][1], number)):
            at_home[pieces[number][0]] = number
        assert sorted(row for row, start, end in stretches if start <= time < end) == sorted(at_home.values())
        assert sorted(row for row, start, end in branches if start <= time < end) == sorted(set(runs) - set(at_home.values()))
