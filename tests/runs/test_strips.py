import pandas as pd
import pytest
from conftest import spans_frames, spans_of, with_data
from hypothesis import given
from waiting import waiting_frames

from tokenvis import summary
from tokenvis.analysis.critical_path import PATH_STATES
from tokenvis.runs.run_paths import run_paths
from tokenvis.runs.strips import strips_of

LINKED = {"links": ["a"]}


def stretches(strips, values):
    """The stretches as text: "run state start end value"."""
    columns = (strips.run, strips.state, strips.start, strips.end, strips.span)
    return [
        f"{strips.runs['name'].iloc[run]} {PATH_STATES[state]} {start} {end} {values.iloc[span]}"
        for run, state, start, end, span in zip(*(column.tolist() for column in columns), strict=True)
    ]


def drawn(spans, column="agent_id"):
    return stretches(strips_of(spans, spans[column]), spans[column])


def test_a_strip_is_the_critical_path_and_a_stretch_lasts_as_long_as_its_value():
    spans = spans_of("ann 5 8 desk", "ann 8 12 lab", "bob 6 10 desk", "bob 15 20 desk")
    spans = with_data(spans, d={"links": ["b"]})
    assert drawn(spans) == ["t work 0 7 ann", "t agent 7 10 bob", "t work 10 15 bob"]
    assert drawn(spans, "location_id") == ["t work 0 3 desk", "t work 3 7 lab", "t agent 7 10 desk", "t work 10 15 desk"]


def test_each_run_begins_at_0_and_unexplained_time_is_a_gap():
    spans = spans_of("ann 100 105 desk t", "ann 110 112 desk t", "bob 7 9 desk u")
    assert drawn(spans) == ["t work 0 5 ann", "t unexplained 5 10 ann", "t work 10 12 ann", "u work 0 2 bob"]


def test_waits_are_stretches_of_their_own():
    spans = with_data(spans_of("ann 0 4 desk", "ann 4 9 ask", "ann 9 13 desk"), b={"waits_for": "user"})
    assert drawn(spans) == ["t work 0 4 ann", "t person 4 9 ann", "t work 9 13 ann"]


def test_an_instant_is_a_stretch_only_beside_no_span():
    assert drawn(spans_of("ann 3 3 desk t", "ann 0 5 desk u", "ann 5 5 desk u")) == ["t work 0 0 ann", "u work 0 5 ann"]
    spans = spans_of("ann 0 2 desk", "ann 4 4 desk", "ann 7 9 desk", "bob 12 12 desk")
    assert drawn(spans.iloc[:3]) == [
        "t work 0 2 ann",
        "t unexplained 2 4 ann",
        "t work 4 4 ann",
        "t unexplained 4 7 ann",
        "t work 7 9 ann",
    ]
    assert drawn(spans.iloc[2:]) == ["t work 0 2 ann", "t unexplained 2 5 bob", "t work 5 5 bob"]


def test_the_table_has_a_row_for_each_run():
    spans = spans_of("ann 0 5 desk t", "ann 10 19 desk u", "ann 20 80 desk v")
    tokens = {"attributes": {"gen_ai.usage.input_tokens": 7, "gen_ai.usage.cost": 0.5}}
    spans = with_data(spans, a=tokens, b={"status": "error"})
    table = strips_of(spans, spans["agent_id"], usage=True).runs
    kept = [column for column in table if column not in ("cost", "tokens", "n_silent", "n_unpriced")]
    assert strips_of(spans, spans["agent_id"]).runs.equals(table[kept])
    assert table["wall_us"].tolist() == [5, 9, 60]
    assert table["start"].tolist() == [0, 10, 20]
    assert (table["tokens"].tolist(), table["cost"].tolist()) == ([7, pd.NA, pd.NA], [0.5, pd.NA, pd.NA])
    assert (table["n_silent"].tolist(), table["n_unpriced"].tolist()) == ([0, 0, 0], [0, 0, 0])  # no call of a model
    assert table["is_failed"].tolist() == [False, True, False]
    assert table["is_slow"].tolist() == [False, False, True]


def test_failures_on_the_path_are_where_they_began():
    spans = spans_of("ann 0 9 desk t", "bob 2 7 lab t", "eve 3 5 lab t", parents={"b": "a"})
    bad = {"status": "error"}
    strips = strips_of(spans := with_data(spans, a=bad, b=bad, c=bad), spans["agent_id"])
    assert (strips.failed_run.tolist(), strips.failed_at.tolist()) == ([0], [7])  # not at 9, and not off the path at 5


def test_some_runs_in_another_order():
    spans = spans_of("ann 0 5 desk t", "bob 0 3 desk u", "eve 0 4 desk v")
    spans = with_data(spans, c={"status": "error"})
    strips = strips_of(spans, spans["agent_id"]).of_runs([2, 0])
    assert stretches(strips, spans["agent_id"]) == ["t work 0 5 ann", "v work 0 4 eve"]
    assert strips.runs["name"].tolist() == ["v", "t"]
    assert (strips.run.tolist(), strips.failed_run.tolist()) == ([1, 0], [0])


@pytest.mark.laws
@given(spans_frames(parents=True, data=True, n_traces=3) | waiting_frames())
def test_the_strips_of_a_run_cover_its_wall_time_and_have_the_states_of_its_path(spans):
    strips, path = strips_of(spans, spans["agent_id"]), run_paths(spans)
    assert strips.runs["trace_id"].tolist() == sorted(spans["trace_id"].unique())
    for measure in ("wall_us", "n_errors"):
        assert strips.runs[measure].tolist() == summary(spans)[measure].tolist()
    table = pd.DataFrame({"run": strips.run, "start": strips.start, "end": strips.end, "state": strips.state})
    for run, wall_us in enumerate(strips.runs["wall_us"]):
        own = table[table["run"] == run]
        assert own["start"].tolist() == [0, *own["end"].tolist()[:-1]]
        assert own["end"].iloc[-1] == wall_us
        by_state = (own["end"] - own["start"]).groupby(own["state"]).sum()
        expected = pd.Series(path.end - path.start)[path.run == run].groupby(path.state[path.run == run]).sum()
        assert by_state[by_state > 0].to_dict() == expected[expected > 0].to_dict()
