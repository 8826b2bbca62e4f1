import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

from tokenvis.layout.run_rows import evenly, named_rows, ordered_runs, runs_with_rows, spread

RUNS = pd.DataFrame(
    {
        "name": ["run 10", "run 2", "run 1", "run 3"],
        "start": [4, 3, 2, 1],
        "wall_us": [5, 9, 5, 7],
        "cost": pd.array([0.5, pd.NA, 2.0, 0.5], dtype="Float64"),
        "tokens": pd.array([1, 2, pd.NA, 4], dtype="Int64"),
        "n_errors": [0, 0, 1, 0],
    }
)


@pytest.mark.parametrize(
    ("order", "names"),
    [
        ("time", "2 3 1 10"),
        ("cost", "1 3 10 2"),
        ("tokens", "3 2 10 1"),
        ("errors", "1 2 3 10"),
        ("start", "3 1 2 10"),
        ("name", "1 2 3 10"),
    ],
)
def test_the_highest_is_first_ties_are_by_name_and_what_is_not_known_is_last(order, names):
    found = RUNS["name"].iloc[ordered_runs(RUNS, order)]
    assert " ".join(name.removeprefix("run ") for name in found) == names


def test_of_too_many_runs_the_marked_ones_have_rows_and_others_at_even_distances():
    order, marked = np.arange(9)[::-1], np.isin(np.arange(9), [1, 2])
    assert runs_with_rows(order, marked, 9).tolist() == order.tolist()
    assert runs_with_rows(order, marked, 5).tolist() == [8, 5, 2, 1, 0]
    assert runs_with_rows(order, marked, 1).tolist() == [2]
    assert runs_with_rows(order, ~marked, 3).tolist() == [8, 5, 0]


def test_even_distances_include_both_ends():
    assert evenly(np.arange(10), 4).tolist() == [0, 3, 6, 9]
    assert evenly(np.arange(3), 4).tolist() == [0, 1, 2]
    assert evenly(np.arange(3), 0).tolist() == []


def test_high_rows_all_have_names_where_they_are():
    rows, places = named_rows(np.array([5.0, 15, 25]), np.array([False, True, False]), 10)
    assert (rows.tolist(), places.tolist()) == ([0, 1, 2], [5, 15, 25])


def test_low_rows_have_names_of_marked_ones_moved_apart_and_of_others_in_between():
    middle = np.arange(0.0, 50)
    rows, places = named_rows(middle, np.isin(middle, [20, 21, 22]), 10)
    assert rows.tolist() == [0, 20, 21, 22, 41]
    assert places.tolist() == [0, 11, 21, 31, 41]


def test_of_too_many_marked_rows_as_many_have_names_as_fit():
    rows, places = named_rows(np.arange(0.0, 50), np.ones(50, dtype=bool), 10)
    assert rows.tolist() == [0, 12, 24, 37, 49]
    assert places.tolist() == pytest.approx([0, 12, 24, 37, 49], abs=3)


def test_positions_with_room_stay_and_others_move_as_little_as_possible():
    assert spread(np.array([1.0, 20, 30]), 10, 0, 40).tolist() == [1, 20, 30]
    assert spread(np.array([20.0, 20, 20]), 10, 0, 40).tolist() == [10, 20, 30]
    assert spread(np.array([0.0, 0, 0]), 10, 0, 40).tolist() == [0, 10, 20]
    assert spread(np.array([40.0, 40]), 10, 0, 40).tolist() == [30, 40]
    assert spread(np.array([]), 10, 0, 40).tolist() == []


@pytest.mark.laws
@given(st.lists(st.integers(0, 60), min_size=1, max_size=6).map(sorted))
def test_the_sum_of_the_squared_distances_is_least(positions):
    wanted = np.array(positions, dtype=float)
    moved = spread(wanted, 10, 0, 60)
    assert (np.diff(moved) >= 10 - 1e-9).all()
    assert moved[0] >= 0
    assert moved[-1] <= 60 + 1e-9
    apart = [{"type": "ineq", "fun": lambda x, k=k: x[k + 1] - x[k] - 10} for k in range(len(wanted) - 1)]
    best = minimize(
        lambda x: ((x - wanted) ** 2).sum(), np.arange(len(wanted)) * 10.0, bounds=[(0, 60)] * len(wanted), constraints=apart
    )
    assert ((moved - wanted) ** 2).sum() <= best.fun + 1e-3
