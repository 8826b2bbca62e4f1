import math

import pandas as pd
import pytest
from conftest import spans_of, with_data
from hypothesis import given
from waiting import states_of, waiting_frames, work_of

from tokenvis import BadSpan, summary

COUNTS = ["n_spans", "n_agents", "n_locations", "wall_us", "active_us", "busy_us", "peak", "n_errors"]


def test_wall_active_and_busy_time_differ():
    [row] = summary(spans_of("ann 0 10 desk", "bob 5 10 lab", "ann 15 20 desk")).to_dict("records")
    assert [row[name] for name in COUNTS] == [3, 2, 2, 20, 15, 20, 2, 0]
    assert (row["share_active"], row["share_parallel"]) == (15 / 20, 5 / 15)
    assert (row["p50_us"], row["p95_us"], row["longest_us"]) == (5, 10, 10)


def test_a_group_has_its_own_wall_time_and_missing_values_form_a_group():
    spans = spans_of("ann 0 10 desk", "bob 5 10 lab", "ann 15 20 desk").assign(
        phase=pd.Series(["late", None, "late"], dtype="str")
    )
    table = summary(spans, by="phase")
    assert table["phase"].fillna("none").tolist() == ["late", "none"]
    assert table["wall_us"].tolist() == [20, 5]
    assert summary(spans, by=["agent_id", "phase"])["n_spans"].tolist() == [2, 1]


def test_a_parent_and_its_child_are_busy_once_but_durations_are_uncut():
    [row] = summary(spans_of("ann 0 10 desk", "ann 2 6 lab", parents={"b": "a"})).to_dict("records")
    assert (row["busy_us"], row["peak"], row["longest_us"], row["p50_us"]) == (10, 1, 10, 4)


def test_only_instants_take_no_time_and_have_no_shares():
    [row] = summary(spans_of("ann 3 3 desk", "bob 3 3 desk")).to_dict("records")
    assert [row[name] for name in COUNTS] == [2, 2, 1, 0, 0, 0, 0, 0]
    assert pd.isna([row["share_active"], row["share_parallel"]]).all()
    assert summary(spans_of("ann 3 3 desk", "bob 5 5 desk"))["share_active"].tolist() == [0.0]


def test_a_percentile_is_the_duration_that_the_percentage_of_spans_does_not_exceed():
    [row] = summary(spans_of(*(f"ann 0 {1 + n * 37 % 100} desk" for n in range(100))).assign(id=range(100))).to_dict("records")
    assert (row["p50_us"], row["p95_us"], row["longest_us"]) == (50, 95, 100)


def test_errors_are_spans_with_status_error():
    spans = with_data(spans_of("ann 0 1 desk", "ann 1 2 desk", "ann 2 3 desk"), a={"status": "error"}, b={"status": "ok"})
    assert summary(spans)["n_errors"].tolist() == [1]
    assert summary(spans.drop(columns="data"))["n_errors"].tolist() == [0]


def test_lost_spans_are_counted_separately():
    spans = spans_of("ann 0 10 desk", "tokenvis 5 90 tokenvis.lost", "bob 0 1 desk u", "tokenvis 3 3 tokenvis.lost v")
    spans = with_data(spans, b={"status": "error", "n_lost": 1234}, d={"n_lost": 2})
    table = summary(spans)
    assert table.loc[0, [*COUNTS, "n_lost", "longest_us"]].tolist() == [1, 1, 1, 10, 10, 10, 1, 0, 1234, 10]
    assert table["n_lost"].tolist() == [1234, 0, 2]
    assert table.loc[2, [*COUNTS, "n_lost", "p50_us", "p95_us", "longest_us"]].tolist() == [0] * 8 + [2, 0, 0, 0]
    assert table.loc[2, ["share_active", "share_parallel"]].isna().all()
    agents = summary(spans[spans["trace_id"] == "t"], by="agent_id")
    assert agents[["agent_id", "n_spans", "n_lost"]].to_numpy().tolist() == [["ann", 1, 0], ["tokenvis", 0, 1234]]


def test_work_and_waiting_are_told_apart():
    serial = spans_of("lead 0 22 desk", "w0 1 11 lab", "w1 11 21 lab", parents={"b": "a", "c": "a"})
    parallel = spans_of("lead 0 12 desk", "w0 1 11 lab", "w1 1 11 lab", parents={"b": "a", "c": "a"})
    waits = ["active_us", "waiting_us", "busy_us", "peak", "share_parallel"]
    assert summary(serial)[waits].to_numpy().tolist() == [[22, 0, 22, 1, 0]]
    assert summary(parallel)[waits].to_numpy().tolist() == [[12, 0, 22, 2, 10 / 12]]
    assert summary(serial, by="agent_id")[waits[:3]].to_numpy().tolist() == [[2, 20, 2], [10, 0, 10], [10, 0, 10]]


def test_wall_time_is_work_and_waits_for_a_person_and_idle_time():
    spans = with_data(
        spans_of("ann 0 2 desk", "ann 2 902 desk", "ann 902 905 desk", "ann 910 911 desk"), b={"waits_for": "user"}
    )
    [row] = summary(spans).to_dict("records")
    assert [row[name] for name in ("wall_us", "active_us", "person_us", "idle_us", "waiting_us")] == [911, 6, 900, 5, 900]


@pytest.mark.laws
@given(waiting_frames())
def test_the_parts_of_the_wall_time_are_those_of_the_states(spans):
    states = states_of(spans)
    for by in ("trace_id", "agent_id"):
        for row in summary(spans, by=by).to_dict("records"):
            mine = {
                (trace, span): span_by for trace, span, span_by in zip(spans["trace_id"], spans["id"], spans[by], strict=True)
            }
            at = {}
            for (trace, span, time), state in states.items():
                if trace == row["trace_id"] and mine[trace, span] == row[by]:
                    at.setdefault(time, set()).add(state)
            without_work = [found for found in at.values() if "work" not in found]
            assert row["active_us"] == len(at) - len(without_work)
            assert row["person_us"] == sum("person" in found for found in without_work)
            assert row["waiting_us"] == len(without_work)
            assert row["active_us"] + row["person_us"] + row["idle_us"] == row["wall_us"]


@pytest.mark.laws
@given(waiting_frames())
def test_it_equals_brute_force(spans):
    table = summary(spans, by="agent_id").set_index(["trace_id", "agent_id"])
    pieces = work_of(spans)
    groups = dict(iter(spans.groupby(["trace_id", "agent_id"], observed=True)))
    assert table.index.tolist() == sorted(groups)
    for key, rows in groups.items():
        mine = pieces[(pieces["trace_id"] == key[0]) & (pieces["agent_id"] == key[1])]
        at = [sum(mine["start_time"].le(t) & mine["end_time"].gt(t)) for t in range(14)]
        took = sorted((rows["end_time"] - rows["start_time"]).tolist())
        wall, active = rows["end_time"].max() - rows["start_time"].min(), sum(n > 0 for n in at)
        errors = sum('"status": "error"' in data for data in rows["data"].dropna())
        n_locations = rows["location_id"].nunique()
        assert table.loc[key, COUNTS].tolist() == [len(rows), 1, n_locations, wall, active, sum(at), max(at), errors]
        assert table.loc[key, ["p50_us", "p95_us", "longest_us"]].tolist() == [
            took[math.ceil(share * len(took) / 100) - 1] for share in (50, 95, 100)
        ]
        for share, part, whole in (("share_active", active, wall), ("share_parallel", sum(n > 1 for n in at), active)):
            value = table.loc[key, share]
            assert value is pd.NA if whole == 0 else value == part / whole


def test_times_that_do_not_fit_are_refused():
    far = spans_of("ann 0 1 desk", "bob 2 3 desk").assign(start_time=[-(2**62) - 1, 2**62], end_time=[-(2**62), 2**62 + 1])
    with pytest.raises(BadSpan, match=r"^The time from -\d+ to \d+ does not fit into a 64-bit integer\.$"):
        summary(far)
    long = spans_of("ann 0 1 desk", "bob 0 1 desk", "eve 0 1 desk").assign(end_time=2**62)
    with pytest.raises(BadSpan, match=r"^A sum over the spans does not fit into a 64-bit integer"):
        summary(long)
    assert summary(long.iloc[:1])["busy_us"].tolist() == [2**62]
