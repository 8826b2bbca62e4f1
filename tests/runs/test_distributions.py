import numpy as np
import pandas as pd
import pytest
from conftest import spans_frames, spans_of, with_data
from hypothesis import given
from hypothesis import strategies as st

import tokenvis as tv
from tokenvis.runs.distributions import distributions_of
from tokenvis.runs.measures import MEASURES
from tokenvis.runs.robust import lower_medians


def distributions(spans, by="agent_id", measure="busy_us", baseline=0):
    columns = [by] if isinstance(by, str) else by
    name = "median" if baseline is None else sorted(spans["trace_id"].unique())[baseline] if len(spans) else None
    table = tv.compare(spans, by=by, baseline=name)
    return distributions_of(table, [column for column in columns if column != "trace_id"], measure, spans, baseline)


def rows_of(found):
    """The rows as text: "name median change", and the amounts in the runs."""
    rows = found.rows[["name", "median", "change"]].itertuples(index=False)
    return {f"{name} {median:g} {change:+g}": found.measure[row].tolist() for row, (name, median, change) in enumerate(rows)}


def test_a_row_has_the_amounts_of_all_runs_and_the_largest_change_is_first():
    spans = spans_of("ann 0 5 desk t", "bob 0 9 lab t", "ann 0 6 desk u", "bob 0 3 lab u", "ann 0 7 desk v")
    assert rows_of(distributions(spans)) == {"bob 1.5 -7.5": [9, 3, 0], "ann 6.5 +1.5": [5, 6, 7]}
    assert distributions(spans).runs == ["t", "u", "v"]
    assert distributions(spans).occurs.tolist() == [[True, True, False], [True, True, True]]


def test_against_the_median_the_most_distant_runs_are_first():
    spans = spans_of("ann 0 5 desk t", "bob 0 9 lab t", "ann 0 6 desk u", "bob 0 3 lab u", "ann 0 60 desk v")
    assert rows_of(distributions(spans, baseline=None)) == {"ann 6 +0": [5, 6, 60], "bob 3 +0": [9, 3, 0]}


def test_of_one_run_the_largest_amounts_are_first():
    spans = spans_of("ann 0 5 desk", "bob 0 9 lab", "eve 0 7 hall")
    assert rows_of(distributions(spans)) == {"bob 9 +0": [9], "eve 7 +0": [7], "ann 5 +0": [5]}


def test_outlying_runs_are_far_above_or_below():
    rows = [f"ann 0 {length} desk {trace}" for length, trace in zip((50, 51, 52, 49, 90, 10), "abcdef", strict=True)]
    assert distributions(spans_of(*rows)).is_outlying.tolist() == [[False, False, False, False, True, True]]


def test_several_columns_and_none():
    spans = spans_of("ann 0 5 desk t", "ann 0 2 lab u")
    assert list(rows_of(distributions(spans, by=["agent_id", "location_id"]))) == ["ann · desk 0 -5", "ann · lab 2 +2"]
    whole = distributions(spans, by="trace_id", measure="wall_us")
    assert rows_of(whole) == {"whole run 2 -3": [5, 2]}


def test_what_is_not_known_is_no_amount():
    spans = spans_of("ann 0 5 desk t", "ann 0 2 desk u", "bob 0 2 desk u")
    spans = with_data(spans, b={"attributes": {"gen_ai.usage.cost": 2}})
    found = distributions(spans, measure="cost")
    assert np.array_equal(found.measure, [[np.nan, 2], [0, np.nan]], equal_nan=True)
    assert found.rows["name"].iloc[found.known_rows()].tolist() == ["ann"]  # bob's is known only where he is not
    assert np.array_equal(found.rows["median"], [2, np.nan], equal_nan=True)
    assert found.rows["change"].isna().all()


def test_the_median_of_two_is_the_lower():
    values = np.array([[3.0, 1, np.nan], [np.nan] * 3, [5, 4, 9]])
    assert np.array_equal(lower_medians(values.T), [1, np.nan, 5], equal_nan=True)


def test_no_runs():
    empty = distributions(spans_of("ann 0 1 desk").iloc[:0], baseline=None)
    assert (len(empty.rows), empty.runs, empty.measure.shape) == (0, [], (0, 0))
    assert empty.known_rows().tolist() == []


@pytest.mark.laws
@given(spans_frames(parents=True, data=True, n_traces=3), st.sampled_from(list(MEASURES)), st.sampled_from([0, None]))
def test_the_amounts_and_the_baseline_are_those_of_compare(spans, measure, baseline):
    if not len(spans):
        return
    found = distributions(spans, measure=measure, baseline=baseline)
    name = "median" if baseline is None else sorted(spans["trace_id"].unique())[0]
    table = tv.compare(spans, by="agent_id", baseline=name)
    change = f"{measure.removesuffix('_us')}_change_us" if measure.endswith("_us") else f"{measure}_change"
    for row, agent in enumerate(found.rows["name"]):
        own = table[table["agent_id"] == agent]
        amounts = own[measure].astype("Float64").to_numpy(dtype=float, na_value=np.nan)
        assert np.array_equal(found.measure[row], amounts, equal_nan=True)
        changes = own[change].astype("Float64").to_numpy(dtype=float, na_value=np.nan)
        expected = amounts - found.rows["baseline"].iloc[row]
        assert np.allclose(expected, changes, equal_nan=True)
    sizes = found.rows["change"].abs().fillna(0)
    assert baseline is None or pd.Index(sizes).is_monotonic_decreasing
