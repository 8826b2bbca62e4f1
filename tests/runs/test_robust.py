import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenvis.runs.robust import above_usual, medians, spreads


def test_a_value_far_above_the_median_is_not_usual():
    values = np.array([10.0, 11, 9, 10, 12, 30])
    assert above_usual(values).tolist() == [False, False, False, False, False, True]
    assert medians(values.reshape(-1, 1)).tolist() == [10.5]
    assert spreads(values.reshape(-1, 1)).tolist() == [1.4826 * 1]  # of 0.5, 0.5, 0.5, 1.5, 1.5, 19.5


def test_nearly_equal_values_are_usual():
    assert not above_usual(np.array([100.0, 100, 100, 104])).any()
    assert above_usual(np.array([100.0, 100, 100, 106])).tolist() == [False, False, False, True]
    assert above_usual(np.array([0.0, 0, 0, 1])).tolist() == [False, False, False, True]


def test_two_values_have_nothing_usual_and_unknown_values_do_not_count():
    assert not above_usual(np.array([1.0, 100])).any()
    assert not above_usual(np.array([1.0, 100, np.nan])).any()
    assert above_usual(np.array([1.0, 1, 100, np.nan])).tolist() == [False, False, True, False]
    assert above_usual(np.empty(0)).tolist() == []
    assert spreads(np.empty((0, 2))).tolist() == [0, 0]


@pytest.mark.laws
@given(st.lists(st.integers(0, 50), min_size=1, max_size=30))
def test_less_than_half_of_the_values_are_above_usual(values):
    assert above_usual(np.array(values, dtype=float)).sum() * 2 < max(len(values), 1)
