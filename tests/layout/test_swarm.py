import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenvis.layout.swarm import swarm_offsets


def offsets(*x, height=100.0, row=None):
    return swarm_offsets(np.array(row or [0] * len(x)), np.array(x, dtype=float), 10.0, height).tolist()


def test_dots_with_room_stay_on_the_middle_of_their_row():
    assert offsets(0, 10, 20) == [0, 0, 0]
    assert offsets(0, 0, row=[0, 1]) == [0, 0]


def test_others_are_moved_to_one_side_then_to_the_other():
    assert offsets(0, 1, 2, 3) == [0, 10, -10, 20]
    assert offsets(3, 2, 1, 0) == [20, -10, 10, 0]


def test_too_many_for_a_row_are_closer_to_each_other_but_in_their_row():
    assert offsets(0, 0, 0, 0, 0, height=30) == [0, 5, -5, 10, -10]
    assert offsets(0, 0, height=5) == [0, 0]


def test_no_dots():
    assert swarm_offsets(np.array([], dtype=np.int64), np.array([]), 10.0, 50.0).tolist() == []


@pytest.mark.laws
@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 60)), max_size=20))
def test_dots_of_a_row_do_not_cover_each_other_and_do_not_depend_on_chance(dots):
    row, x = np.array(dots, dtype=np.int64).reshape(-1, 2).T
    y = swarm_offsets(row, x.astype(float), 7.0, 1_000.0)
    for one in range(len(row)):
        for other in range(one):
            assert row[one] != row[other] or abs(x[one] - x[other]) >= 7 or abs(y[one] - y[other]) >= 7
    assert (swarm_offsets(row, x.astype(float), 7.0, 1_000.0) == y).all()
