import numpy as np
import pytest
from conftest import spans_of
from hypothesis import given
from hypothesis import strategies as st

from tokenvis.layout.steps import column_edges, exact_edges, last_in_columns, level_at, levels_in_columns
from tokenvis.layout.time_map import time_map

steps = st.lists(st.tuples(st.integers(1, 6), st.integers(0, 4)), min_size=1, max_size=8)


def test_a_column_has_the_mean_and_the_extremes_of_its_steps():
    found = levels_in_columns(np.array([1.0, 3.0, 4.0]), np.array([2.0, 5.0, 0.0]), np.array([0.0, 2.0, 4.0, 6.0]))
    assert found.mean.tolist() == [1, 3.5, 0]
    assert found.lowest.tolist() == [0, 2, 0]
    assert found.highest.tolist() == [2, 5, 0]


@pytest.mark.laws
@given(steps, st.integers(0, 5), st.lists(st.integers(1, 5), min_size=1, max_size=6))
def test_levels_agree_with_each_moment(rows, shift, widths):
    x = np.cumsum([wait for wait, _ in rows]).astype(float)
    level = np.array([value for _, value in rows], dtype=float)
    level[-1] = 0
    edges = np.cumsum([shift, *widths]).astype(float)
    found = levels_in_columns(x, level, edges)
    fine = np.arange(edges[0], edges[-1])
    held = np.searchsorted(x, fine, side="right") - 1
    parts = np.split(np.where(held >= 0, level[held], 0.0), (edges[1:-1] - edges[0]).astype(int))
    assert np.allclose(found.mean, [part.mean() for part in parts])
    assert found.lowest.tolist() == [part.min() for part in parts]
    assert found.highest.tolist() == [part.max() for part in parts]
    assert level_at(x, level, fine).tolist() == np.concatenate(parts).tolist()


def test_an_empty_step_function_is_zero():
    empty = np.zeros(0)
    found = levels_in_columns(empty, empty, np.array([0.0, 1.0, 2.0]))
    assert found.mean.tolist() == found.lowest.tolist() == found.highest.tolist() == [0, 0]
    assert level_at(empty, empty, np.array([3.0])).tolist() == [0]


def test_steps_are_exact_unless_there_are_more_than_the_width_shows():
    mapping = time_map(spans_of("ann 0 100 desk"))
    times = [np.array([0, 40, 100]), np.array([40, 70])]
    assert exact_edges(times, mapping, 6).tolist() == [0, 40, 70, 100]
    assert exact_edges(times, mapping, 5.9) is None


def test_no_column_is_partly_in_a_break():
    mapping = time_map(spans_of("ann 0 100 desk", "ann 900 1000 desk"))
    edges = column_edges(mapping, 30)
    assert edges[0] == 0
    assert len(edges) == 13
    assert set(mapping.positions) <= set(edges)


def test_of_many_steps_of_a_sum_the_last_in_each_quarter_of_a_point_is_kept():
    x = np.array([0, 0.1, 0.3, 0.3, 1])
    assert [part.tolist() for part in last_in_columns(x, (0, 1), 1)] == [[0.1, 0.3, 1], [1, 3, 4]]
    assert last_in_columns(x[:0], (0, 0), 1)[1].tolist() == []
    assert last_in_columns(x[[0, 0]], (0, 0), 1)[1].tolist() == [1]
