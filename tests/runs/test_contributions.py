import numpy as np
import pandas as pd
import pytest
from conftest import full_except, spans_of, with_data
from hypothesis import given
from hypothesis import strategies as st
from made_runs import failed, made_runs, renamed, slower

from tokenvis import BadOption, BadSpan, MissingColumn, critical_path
from tokenvis.runs import causes
from tokenvis.runs.contributions import CONTRIBUTION_COLUMNS, contributions
from tokenvis.runs.parts import CAUSES

SLOW = [3, 20, 33, 47, 60, 75, 90, 111, 130, 150, 177, 199]


def names_of_runs(numbers) -> set[str]:
    return {f"run-{number:03}" for number in numbers}


def rows_of(table: pd.DataFrame) -> list[list[object]]:
    """Cause, agent, location and the number of runs of each row."""
    columns = table[["cause", "agent_id", "location_id", "n_runs"]].astype(object)
    return columns.where(columns.notna(), None).to_numpy().tolist()


def test_the_cause_of_a_slow_run_is_the_part_that_is_not_usual():
    usual = ["ann 0 10 desk {0}", "ann 10 15 lab {0}"]
    spans = spans_of(*(row.format(run) for run in "ab" for row in usual), "ann 0 10 desk c", "ann 10 40 lab c")
    table = contributions(spans)
    assert rows_of(table) == [["work", "ann", "lab", 1], ["ordinary variation", None, None, 1]]
    assert table.iloc[0][["contribution", "usual", "unusual", "n_usual", "n_unusual"]].tolist() == [25, 5, 30, 1, 1]
    assert table["contribution"].tolist() == [25, 0]
    assert table["share_of_difference"].tolist() == [1, 0]
    assert table.iloc[0][["names", "trace_ids", "span_ids"]].tolist() == [["ann"], ["c"], ["f"]]


def test_planted_causes_come_first_in_200_runs():
    faults = [
        slower("researcher", "tool:search", 3, SLOW),
        failed("tester", "tool:tests", [42]),
        renamed("researcher", "finder", range(100)),
    ]
    runs = made_runs(200, faults=faults)
    first = contributions(runs).iloc[0]
    assert [first["cause"], first["location_id"], first["n_runs"]] == ["work", "tool:search", 12]
    assert first["names"] == ["finder", "researcher"]
    assert set(first["trace_ids"]) == names_of_runs(SLOW)
    assert {span.split("/")[0] for span in first["span_ids"]} == names_of_runs(SLOW)
    errors = contributions(runs, outcome="errors")
    assert rows_of(errors) == [
        ["retry", "tester", "tool:tests", 1],
        ["error", "tester", "tool:tests", 1],
        ["ordinary variation", None, None, 1],
    ]
    assert errors["trace_ids"].tolist()[:2] == [["run-042"], ["run-042"]]


@pytest.mark.parametrize("seed", full_except(range(5), 1))
@pytest.mark.parametrize("columns", ["with parents", "without parents"])
def test_a_planted_cause_comes_first_with_any_seed(seed, columns):
    runs = made_runs(60, seed=seed, faults=[slower("reviewer", "model:large", 2, [5, 17, 31, 44])])
    if columns == "without parents":  # a table of calls, from which nothing leads from one agent to the next
        runs = runs[runs["parent_id"].notna()].drop(columns="parent_id")
        runs["data"] = runs["data"].where(runs["data"].isna(), None)
    table = contributions(runs)
    assert rows_of(table)[0][:3] == ["work", "reviewer", "model:large"]
    assert set(table["trace_ids"][0]) == names_of_runs([5, 17, 31, 44])


def test_runs_that_are_alike_have_nothing_to_explain():
    runs = made_runs(30)
    assert len(contributions(made_runs(1))) == 0
    assert len(contributions(made_runs(2))) == 0
    same = [runs[runs["trace_id"] == "run-000"].assign(trace_id=name) for name in "abcd"]
    assert len(contributions(pd.concat(same, ignore_index=True))) == 0
    assert contributions(runs.iloc[:0]).columns.tolist() == list(CONTRIBUTION_COLUMNS)
    assert contributions(runs.iloc[:0]).dtypes.map(str).equals(contributions(runs).dtypes.map(str))


def test_a_wait_for_a_person_and_idle_time_are_causes():
    usual = ["ann 0 10 desk", "ann 10 12 ask", "bob 14 20 lab"]
    runs = [spans_of(*usual).assign(trace_id=name) for name in "abcd"]
    slow = spans_of("ann 0 10 desk", "ann 10 40 ask", "bob 62 68 lab").assign(trace_id="e")
    spans = with_data(pd.concat([*runs, slow], ignore_index=True), b={"waits_for": "user"}, c={"links": ["b"]})
    table = contributions(spans)
    assert rows_of(table)[:2] == [["wait for a person", "ann", "ask", 1], ["wait for an agent", None, None, 1]]
    assert table["contribution"].tolist()[:2] == [28, 20]
    assert table["span_ids"].tolist()[:2] == [["b"], ["c"]], "of time between spans, the span after it"


def test_failed_attempts_are_retries_and_other_failures_errors():
    usual = ["ann 0 10 desk", "bob 10 20 tool"]
    slow = spans_of("ann 0 10 desk", "bob 10 40 tool", "bob 40 60 tool", "bob 60 70 tool").assign(trace_id="e")
    spans = pd.concat([*(spans_of(*usual).assign(trace_id=name) for name in "abcd"), slow], ignore_index=True)
    data = ['{"label": "run"}'] * len(spans)
    data[-3] = data[-2] = '{"label": "run", "status": "error"}'
    table = contributions(spans.assign(data=pd.array(data, dtype="str")))
    assert rows_of(table)[0] == ["retry", "bob", "tool", 1]
    assert table.iloc[0][["contribution", "usual", "unusual", "n_unusual"]].tolist() == [50, 0, 50, 2]
    timeout = spans_of("ann 0 10 desk", "bob 10 70 tool").assign(trace_id="e")
    spans = pd.concat([*(spans_of(*usual).assign(trace_id=name) for name in "abcd"), timeout], ignore_index=True)
    data = [*[None] * 9, '{"status": "error"}']
    table = contributions(spans.assign(data=pd.array(data, dtype="str")))
    assert rows_of(table) == [["error", "bob", "tool", 1], ["ordinary variation", None, None, 1]]
    assert table["contribution"].tolist() == [50, 0], "60 µs, of which the call would have taken 10 anyway"


def test_a_failed_call_that_takes_its_usual_time_makes_no_run_slow():
    runs = made_runs(20, faults=[failed("tester", "tool:tests", [5, 6])])
    assert rows_of(contributions(runs)) == []
    errors = contributions(runs, outcome="errors")
    assert set(errors["trace_ids"][0]) == names_of_runs([5, 6])


def test_runs_with_errors_are_explained_though_most_have_some():
    runs = made_runs(20, faults=[failed("tester", "tool:tests", range(12))])
    table = contributions(runs, outcome="errors")
    assert set(table["trace_ids"][0]) == names_of_runs(range(12))
    assert table["contribution"].sum() == 4
    everywhere = contributions(made_runs(20, faults=[failed("tester", "tool:tests", range(20))]), outcome="errors")
    assert len(everywhere) == 0, "what fails in every run is usual"


def test_several_runs_are_a_baseline():
    runs = made_runs(10, faults=[slower("reviewer", "model:large", 3, range(5, 10))])
    old = sorted(names_of_runs(range(5)))
    table = contributions(runs, baseline=old)
    assert rows_of(table)[0] == ["work", "reviewer", "model:large", 5]
    assert set(table["trace_ids"][0]) == names_of_runs(range(5, 10))
    as_series = runs.drop_duplicates("trace_id").loc[lambda each: each["trace_id"].isin(old), "trace_id"]
    pd.testing.assert_frame_equal(contributions(runs, baseline=as_series), table)
    unknown = "baseline='x' is neither 'median', nor the id nor the name of a run. Runs: "
    nothing = "baseline= names no run. Pass 'median', or an id or name."
    for baseline, message in ((["run-000", "x"], unknown), ([], nothing)):
        with pytest.raises(BadOption) as error:
            contributions(runs, baseline=baseline)
        assert str(error.value).startswith(message)


def test_an_error_counts_where_it_began():
    usual = ["lead 0 20 desk", "bob 1 10 tool"]
    runs = pd.concat([spans_of(*usual, parents={"b": "a"}).assign(trace_id=name) for name in "abcd"], ignore_index=True)
    statuses = ['{"status": "error"}' if trace == "d" else None for trace in runs["trace_id"]]
    table = contributions(runs.assign(data=pd.array(statuses, dtype="str")), outcome="errors")
    assert rows_of(table)[0] == ["error", "bob", "tool", 1]
    assert table["contribution"].tolist() == [2, 0], "the lead failed because bob did"


def test_a_named_baseline_explains_all_runs_above_it():
    spans = spans_of("ann 0 10 desk a", "ann 0 12 desk b", "ann 0 30 desk c")
    table = contributions(spans, baseline="a")
    assert rows_of(table)[0] == ["work", "ann", "desk", 2]
    assert table.iloc[0][["contribution", "usual", "unusual"]].tolist() == [11, 10, 21]
    assert len(contributions(spans, baseline="c")) == 0
    two = spans[spans["trace_id"] != "b"]
    assert contributions(two, baseline="a")["contribution"].tolist() == [20, 0]


def test_cost_and_tokens_and_runs_without_them():
    usage = '{"attributes": {"gen_ai.request.model": "m", "gen_ai.usage.input_tokens": %d}}'
    spans = spans_of(*(f"ann 0 10 model:m {name}" for name in "abcde"))
    tokens = spans.assign(data=pd.array([usage % count for count in (100, 100, 100, 101, 900)], dtype="str"))
    assert contributions(tokens, outcome="tokens")["contribution"].tolist() == [800, 0]
    table = contributions(tokens, outcome="cost", prices={"m": {"input": 1e6, "output": 1}})
    assert table["contribution"].tolist() == [800, 0]
    partly = tokens.assign(data=tokens["data"].where(tokens["trace_id"] != "a", '{"kind": "model"}'))
    table = contributions(partly, outcome="tokens")
    assert rows_of(table)[-1] == ["not known", None, None, 1]
    assert table["trace_ids"].tolist() == [["e"], [], ["a"]]
    with pytest.raises(BadOption) as error:
        contributions(tokens, outcome="cost")
    assert str(error.value) == "outcome='cost' is not known for any run. Pass prices=, or choose another outcome."
    with pytest.raises(BadOption) as error:
        contributions(spans, outcome="tokens")
    assert (
        str(error.value)
        == "outcome='tokens' is not known for any run. The source gives no token counts: choose another outcome."
    )
    with pytest.raises(BadOption) as error:
        contributions(partly, outcome="tokens", baseline="a")
    assert str(error.value) == "The outcome of a run in baseline= is not known: a call has no figure."


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"outcome": "money"}, "outcome='money' is not one of 'time', 'cost', 'tokens', 'errors'."),
        ({"baseline": "x"}, "baseline='x' is neither 'median', nor the id nor the name of a run. Runs: 'a', 'b'."),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(BadOption) as error:
        contributions(spans_of("ann 0 1 desk a", "ann 0 1 desk b"), **options)
    assert str(error.value) == message


def test_a_baseline_by_name_and_a_name_of_two_runs():
    spans = spans_of("ann 0 10 desk a", "ann 0 12 desk b", "ann 0 30 desk c").assign(trace_name=["x", "y", "y"])
    assert contributions(spans, baseline="x")["n_runs"].tolist() == [2, 2]
    with pytest.raises(BadOption) as error:
        contributions(spans, baseline="y")
    assert str(error.value) == "baseline='y' is the name of 2 runs. Pass an id: 'b', 'c'."
    with pytest.raises(MissingColumn):
        contributions(spans, match="team")


def test_too_many_causes_are_refused(monkeypatch):
    monkeypatch.setattr(causes, "MAX_CAUSE_CELLS", 5)
    with pytest.raises(BadSpan) as error:
        contributions(spans_of("ann 0 1 desk a", "ann 0 1 lab b", "bob 0 1 lab c"))
    assert str(error.value) == "3 runs with 2 causes are too many. Pass fewer runs, or match agents by role."


@pytest.mark.laws
@given(
    st.lists(
        st.lists(
            st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(0, 9), st.integers(0, 9), st.booleans()),
            min_size=1,
            max_size=5,
        ),
        max_size=8,
    ),
    st.sampled_from(["time", "errors"]),
    st.sampled_from(["median", "r0"]),
)
def test_contributions_add_up_to_the_difference(runs, outcome, baseline):
    rows = [
        (f"a{agent}", start, start + length, f"p{place}", f"r{run}", error)
        for run, of in enumerate(runs)
        for agent, place, start, length, error in of
    ]
    spans = spans_of(*(" ".join(map(str, row[:5])) for row in rows))
    failures = {index: error for index, (*_, error) in enumerate(rows)}
    if not rows:
        return
    data = ['{"status": "error"}' if failures[ord(span) - ord("a")] else None for span in spans["id"]]
    spans = spans.assign(data=pd.array(data, dtype="str"))
    table = contributions(spans, outcome=outcome, baseline=baseline)
    path = critical_path(spans).groupby("trace_id", observed=True)["part_us"].sum()
    errors = spans["data"].notna().groupby(spans["trace_id"].astype("str")).sum()
    totals = (path if outcome == "time" else errors).astype(float)
    usual = totals.median() if baseline == "median" else totals["r0"]
    if outcome == "errors" and baseline == "median" and (totals == 0).any():
        usual = 0  # runs with errors are explained against those without
    if len(table):
        explained = table["n_runs"].iloc[-1]
        above = totals[totals > usual].sort_values(ascending=False)
        assert 1 <= explained <= len(above)
        if baseline == "r0":
            assert explained == len(above)
            assert np.isclose(table["contribution"].sum(), above.mean() - usual)
    assert set(table["cause"]) <= {*CAUSES, "ordinary variation"}
    shuffled = spans.iloc[np.random.default_rng(1).permutation(len(spans))].reset_index(drop=True)
    pd.testing.assert_frame_equal(contributions(shuffled, outcome=outcome, baseline=baseline), table)
