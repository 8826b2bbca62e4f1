"""`compare` for any number of runs."""

import numpy as np
import pandas as pd
import pytest
from conftest import spans_of, with_data
from hypothesis import given
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from tokenvis import BadOption, BadSpan, MissingColumn, compare, occupancy, summary, usage
from tokenvis.runs import measures
from tokenvis.runs.compare import change_name
from tokenvis.runs.measures import MEASURES
from tokenvis.runs.run_paths import run_paths

RUNS = spans_of(
    *("ann 0 10 desk a", "bob 10 14 lab a"),
    *("ann 20 30 desk b", "bob 30 50 lab b"),
    *("ann 60 75 desk c", "eve 60 62 moon c"),
)


def column(table: pd.DataFrame, name: str) -> list[object]:
    values = table[name].astype(object)
    return values.where(values.notna(), None).tolist()


def test_a_row_for_each_run_and_agent_with_the_change_from_the_first_run():
    table = compare(RUNS, by="agent_id")
    assert column(table, "trace_id") == [*"aaabbbccc"]
    assert column(table, "agent_id") == ["ann", "bob", "eve"] * 3
    assert column(table, "busy_us") == [10, 4, 0, 10, 20, 0, 15, 0, 2]
    assert column(table, "busy_change_us") == [0, 0, 0, 0, 16, 0, 5, -4, 2]
    assert column(table, "name_in_run") == ["ann", "bob", None, "ann", "bob", None, "ann", None, "eve"]
    assert column(table, "matched_by") == ["name", "name", None, "name", "name", None, "name", None, "name"]
    assert column(table, "n_visits_change") == [0, 0, 0, 0, 0, 0, 0, -1, 1]
    assert table.columns.tolist() == [
        *("trace_id", "agent_id", "name_in_run", "matched_by"),
        *(name for measure in MEASURES for name in (measure, change_name(measure))),
        *("n_silent", "n_unpriced"),
    ]


def test_the_baseline_is_the_first_the_median_or_a_named_run():
    def changes(**options) -> list[int]:
        return compare(RUNS, by="trace_id", **options)["wall_change_us"].tolist()

    assert compare(RUNS, by="trace_id")["wall_us"].tolist() == [14, 30, 15]
    assert changes() == [0, 16, 1]
    assert changes(baseline="median") == [-1, 15, 0]
    assert changes(baseline="b") == [-16, 0, -15]
    named = RUNS.assign(trace_name=["x", "x", "y", "y", "z", "z"])
    table = compare(named, by="trace_id", baseline="y")
    assert table["wall_change_us"].tolist() == [-16, 0, -15]
    assert table.columns[:2].tolist() == ["trace_id", "trace_name"]
    two = RUNS[RUNS["trace_id"] != "c"]
    assert compare(two, by="trace_id", baseline="median")["wall_change_us"].tolist() == [0, 16], "the lower one of two"


def test_several_frames_are_runs_and_the_first_frame_has_the_baseline():
    a, b, c = (RUNS[RUNS["trace_id"] == run] for run in "abc")
    assert_frame_equal(compare(a, b, c), compare(RUNS, by="agent_id"), check_categorical=False)
    assert compare(c, a, b, by="trace_id")["wall_change_us"].tolist() == [-1, 15, 0]
    assert compare(a, b, by="trace_id")["wall_change_us"].tolist() == [0, 16]
    assert compare(a, b).columns[0] == "agent_id", "two runs alone are compared before and after"
    with pytest.raises(BadSpan) as error:
        compare(a, b, a)
    assert str(error.value) == "Frames 1 and 3 both have a trace 'a'. Give one another id: frame.assign(trace_id=...)."


def test_a_renamed_agent_is_compared_by_its_role():
    renamed = pd.concat([RUNS[RUNS["trace_id"] != "c"], spans_of("ann 60 70 desk c", "rob 70 79 lab c")], ignore_index=True)
    table = compare(renamed, match="role", by="agent_id")
    assert column(table, "agent_id") == ["ann", "bob"] * 3
    assert column(table, "name_in_run")[-2:] == ["ann", "rob"]
    assert column(table, "matched_by")[-2:] == ["name", "role"]
    assert_frame_equal(
        table.drop(columns="matched_by"), compare(renamed, match={"rob": "bob"}, by="agent_id").drop(columns="matched_by")
    )
    assert column(compare(renamed, match=lambda name: "all"), "name_in_run") == ["ann, bob", "ann, bob", "ann, rob"]
    pair = compare(renamed[renamed["trace_id"] == "a"], renamed[renamed["trace_id"] == "c"], match="role")
    assert pair[["role", "location_id", "busy_change_us"]].to_numpy().tolist() == [["bob", "lab", 5], ["ann", "desk", 0]]
    pair = compare(renamed[renamed["trace_id"] == "a"], renamed[renamed["trace_id"] == "c"], match={"rob": "bob"})
    assert pair["busy_change_us"].tolist() == [5, 0]


def test_tokens_cost_and_errors():
    model = {"attributes": {"gen_ai.request.model": "m", "gen_ai.usage.input_tokens": 7}}
    spans = with_data(RUNS, b=model, d={"status": "error", **model}, f={"kind": "model"})
    table = compare(spans, by="location_id", prices={"m": {"input": 1e6, "output": 1}})
    assert column(table, "location_id") == ["desk", "lab", "moon"] * 3
    assert column(table, "tokens") == [None, 7, 0, None, 7, 0, None, 0, None]
    assert column(table, "tokens_change") == [None, 0, 0, None, 0, 0, None, -7, None]
    assert column(table, "cost") == [None, 7, 0, None, 7, 0, None, 0, None]
    assert column(table, "n_errors_change") == [0, 0, 0, 0, 1, 0, 0, 0, 0]
    assert column(table, "n_silent") == [0, 0, 0, 0, 0, 0, 0, 0, 1]
    assert column(table, "n_unpriced") == [0, 0, 0, 0, 0, 0, 0, 0, 1]


def test_one_run_no_run_and_missing_values():
    one = compare(RUNS[RUNS["trace_id"] == "a"], by="agent_id", baseline="median")
    assert one["busy_change_us"].tolist() == [0, 0]
    empty = compare(RUNS.iloc[:0], by="agent_id")
    assert len(empty) == 0
    assert empty.dtypes.map(str).equals(compare(RUNS, by="agent_id").dtypes.map(str))
    teams = compare(RUNS.assign(team=["x", None, "x", None, "y", None]), by="team")
    assert column(teams, "team") == ["x", "y", None] * 3
    both = compare(RUNS, by=["agent_id", "location_id"])
    assert len(both) == 9
    with pytest.raises(BadOption) as error:
        compare()
    assert str(error.value) == "compare() needs a frame of spans: two runs, one frame with all runs, or several."
    with pytest.raises(BadOption) as error:
        compare(RUNS, baseline="d")
    assert (
        str(error.value)
        == "baseline='d' is neither 'first', nor 'median', nor the id nor the name of a run. Runs: 'a', 'b', 'c'."
    )
    with pytest.raises(MissingColumn):
        compare(RUNS, by="team")
    with pytest.raises(BadOption):
        compare(RUNS.assign(n_errors="x"), by="n_errors")


def test_a_column_that_one_frame_lacks_is_missing_and_prices_alone_compare_as_many_runs():
    a, b = (RUNS[RUNS["trace_id"] == run] for run in "ab")
    for options in ({"by": "phase"}, {"match": "phase", "by": "agent_id"}):
        with pytest.raises(MissingColumn):
            compare(a.assign(phase="x"), b, **options)
    assert compare(a, b, prices={})["trace_id"].tolist() == ["a", "a", "b", "b"]
    with pytest.raises(BadOption):
        compare(a, b, prices="bogus")
    with pytest.raises(BadOption):
        compare(RUNS, baseline="")


def test_too_many_rows_are_refused(monkeypatch):
    monkeypatch.setattr(measures, "MAX_ROWS_OF_RUNS", 8)
    with pytest.raises(BadSpan) as error:
        compare(RUNS, by="agent_id")
    assert str(error.value) == "3 runs with 3 values of agent_id are too many to compare."


@pytest.mark.laws
@given(
    st.lists(st.tuples(*(st.integers(0, high) for high in (3, 2, 2, 9, 4))), max_size=12),
    st.sampled_from(["agent_id", "location_id"]),
    st.sampled_from(["first", "median", "r0"]),
)
def test_measures_are_those_of_the_single_questions(rows, by, baseline):
    spans = spans_of(*(f"a{agent} {start} {start + length} p{place} r{run}" for run, agent, place, start, length in rows))
    if baseline == "r0" and "r0" not in set(spans["trace_id"]):
        return
    table = compare(spans, by=by, baseline=baseline)
    n_values, n_runs = spans[by].nunique(), spans["trace_id"].nunique()
    assert len(table) == n_values * n_runs
    present = table[table["n_spans"] > 0]
    sizes = summary(spans, by=by)
    for name in ("n_spans", "wall_us", "busy_us", "waiting_us", "n_errors"):
        assert present[name].tolist() == sizes[name].tolist()
    places = occupancy(spans).groupby(["trace_id", by], observed=True)["n_visits"].sum()
    assert present["n_visits"].tolist() == places.reindex(pd.MultiIndex.from_frame(present[["trace_id", by]])).tolist()
    path = run_paths(spans)
    time = pd.Series(path.end - path.start)[path.row >= 0]
    expected = time.groupby(
        [spans[name].iloc[path.row[path.row >= 0]].astype("str").to_numpy() for name in ("trace_id", by)]
    ).sum()
    assert present["path_us"].sum() == time.sum()
    for row in present.itertuples():
        assert row.path_us == expected.get((row.trace_id, getattr(row, by)), 0)
    assert (table.loc[table["n_spans"] == 0, "busy_us"] == 0).all()
    for _, of_value in table.groupby(by, observed=True):
        busy = of_value["busy_us"].to_numpy()
        starts = spans.groupby("trace_id", observed=True)["start_time"].min()
        first = starts.index[np.lexsort((starts.index, starts))[0]]
        usual = np.sort(busy)[(len(busy) - 1) // 2] if baseline == "median" else None
        usual = (
            of_value.loc[of_value["trace_id"] == (first if baseline == "first" else "r0"), "busy_us"].sum()
            if usual is None
            else usual
        )
        assert of_value["busy_change_us"].tolist() == (busy - usual).tolist()
    tokens = usage(spans, by="trace_id")
    assert len(compare(spans, by="trace_id")) == len(tokens)
