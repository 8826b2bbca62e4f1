"""The fleet: traces, one trace, and questions of all of them, from a source in memory."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import spans_of
from fleets import TableSource, alone, plain, table_of
from hypothesis import given
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal
from question_laws import FRAMES
from test_questions import QUESTIONS

import tokenvis as tv
from tokenvis.errors import quoted

SPANS = spans_of("ann 0 10 desk t", "bob 2 5 lab t", "ann 3 4 desk u", "eve 5 9 desk v")


def fleet_of(spans, n_spans=1):
    """A fleet of spans, in parts of about this size."""
    return tv.Fleet(TableSource(table_of(spans), n_spans))


@pytest.mark.laws
@given(spans=FRAMES, n_spans=st.integers(1, 9), name=st.sampled_from(list(QUESTIONS)))
def test_a_fleet_answers_as_each_trace_alone(spans, n_spans, name):
    answer = fleet_of(spans, n_spans).map(QUESTIONS[name], workers=1)
    assert_frame_equal(plain(answer), alone(QUESTIONS[name], spans), check_dtype="rollup" not in name)


def test_several_questions_are_answered_in_one_pass():
    summary, waits = fleet_of(SPANS).map([tv.summary, tv.waits], workers=1)
    assert_frame_equal(summary, tv.summary(SPANS))
    assert_frame_equal(waits, tv.waits(SPANS), check_categorical=False)
    named = fleet_of(SPANS).map({"size": tv.summary, "spent": tv.time_spent}, workers=1)
    assert list(named) == ["size", "spent"]
    assert_frame_equal(named["spent"], tv.time_spent(SPANS))


def test_an_answer_has_the_types_of_the_question():
    answer = fleet_of(SPANS).map(tv.time_spent, workers=1)
    assert_frame_equal(answer, tv.time_spent(SPANS))


def bad(spans, *traces):
    """The spans, where those of some traces end before they start."""
    return spans.assign(end_time=np.where(spans["trace_id"].isin(traces), -1, spans["end_time"]))


def test_bad_traces_are_returned_as_a_table():
    answer, failures = fleet_of(bad(SPANS, "u"), 9).map(tv.summary, errors="return", workers=1)
    assert answer["trace_id"].tolist() == ["t", "v"]
    assert failures.columns.tolist() == ["trace_id", "error", "message"]
    assert failures[["trace_id", "error"]].values.tolist() == [["u", "BadSpan"]]
    assert failures["message"].iloc[0].startswith("Span 'c'")
    answers, failures = fleet_of(SPANS).map(tv.summary, errors="return", workers=1)
    assert (len(answers), len(failures)) == (3, 0)


def test_a_part_that_cannot_be_read_stops_no_other():
    tv.export(SPANS[SPANS["trace_id"] != "v"], "spans", format="fleet")
    tv.export(SPANS[SPANS["trace_id"] == "v"], "spans", format="fleet")
    fleet = tv.Fleet("spans")
    fleet.traces()
    for path in Path("spans").iterdir():
        if tv.Fleet(path).traces()["id"].tolist() == ["v"]:
            path.unlink()
    answer, failures = fleet.map(tv.summary, errors="return", workers=1)
    assert answer["trace_id"].tolist() == ["t", "u"]
    assert failures[["trace_id", "error"]].values.tolist() == [["v", "FleetError"]]
    assert failures["message"].item().endswith(" was in spans when the folder was listed, and is gone. Open the fleet again.")


def test_bad_traces_are_an_error_at_the_end_that_has_the_answers():
    with pytest.raises(tv.FleetError) as error:
        fleet_of(bad(SPANS, "u", "v"), 1).map(tv.summary, workers=1)
    message = str(error.value)
    assert message.startswith("summary has no answer for 2 traces, such as 'u': BadSpan: Span 'c'")
    assert "; 'v': BadSpan: Span 'd'" in message
    assert error.value.answers["trace_id"].tolist() == ["t"]
    assert error.value.failures["trace_id"].tolist() == ["u", "v"]


def test_failures_of_several_questions_tell_the_question():
    def picky(spans):
        if "v" in set(spans["trace_id"]):
            raise ValueError("no v")
        return tv.summary(spans)

    answers, failures = fleet_of(bad(SPANS, "u"), 9).map({"all": tv.summary, "picky": picky}, errors="return", workers=1)
    assert [len(answers["all"]), len(answers["picky"])] == [2, 1]
    assert failures[["trace_id", "error", "question"]].values.tolist() == [
        ["u", "BadSpan", "all"],
        ["u", "BadSpan", "picky"],
        ["v", "ValueError", "picky"],
    ]


def test_a_function_that_fails_for_all_ends_early(monkeypatch):
    def failing(spans):
        if len(spans):
            raise RuntimeError("no")
        return tv.summary(spans)

    for module in ("failures", "fleet"):
        monkeypatch.setattr(f"tokenvis.fleet.{module}.MAX_FAILURES", 40)
    spans = spans_of(*(f"ann {number} {number + 1} desk t{number}" for number in range(200)))
    spans = spans.assign(id=[str(number) for number in range(200)])
    with pytest.raises(tv.FleetError, match=r"^failing has no answer for 40 traces, such as .* It stopped there\. ") as error:
        fleet_of(spans, 20).map(failing, workers=1)
    assert len(error.value.failures) == 40


def test_a_part_in_which_all_traces_fail_ends_early_too(monkeypatch):
    monkeypatch.setattr("tokenvis.fleet.answering.MAX_FAILURES", 10)
    calls = []

    def failing(spans):
        calls.append(len(spans))
        if len(spans):
            raise RuntimeError("no")
        return tv.summary(spans)

    spans = spans_of(*(f"ann {number} {number + 1} desk t{number}" for number in range(80)))
    fleet = fleet_of(spans.assign(id=[str(number) for number in range(80)]), 80)
    with pytest.raises(tv.FleetError, match=r"^failing has no answer for 10 traces, such as "):
        fleet.map(failing, workers=1)
    assert len(calls) < 40
    assert len(fleet.map(failing, errors="return", workers=1)[1]) == 80


def test_a_function_that_mixes_traces_is_noticed_in_the_first_part_with_several():
    def all_rows(spans):
        return spans[["trace_id"]].drop_duplicates().assign(n=len(spans))

    spans = spans_of("ann 0 10 desk", "bob 5 25 lab", "ann 30 40 desk u", "eve 7 8 lab v")
    with pytest.raises(tv.FleetError, match=r"^all_rows answers trace 'u' alone otherwise than among others\. "):
        fleet_of(spans, 2).map(all_rows, workers=1)


def test_a_trace_that_is_larger_than_a_part_is_told(monkeypatch):
    monkeypatch.setattr("tokenvis.fleet.fleet.PART_SPANS", 1)
    message = (
        r"^1 trace of this fleet has more than 1 spans, up to 2 \('t'\)\. "
        r"Each is answered whole, so a process needs memory for all of them\.$"
    )
    with pytest.warns(UserWarning, match=message) as warned:
        assert len(fleet_of(SPANS).map(tv.summary, workers=1)) == 3
    assert warned[0].filename == __file__


def test_an_empty_fleet_gives_an_empty_answer():
    answer = fleet_of(SPANS.iloc[:0]).map(tv.summary, workers=1)
    assert_frame_equal(answer, tv.summary(SPANS.iloc[:0]), check_categorical=False)


@pytest.mark.parametrize("questions", ["summary", 3, [], {}, [tv.summary, "waits"], None])
def test_other_things_than_questions_are_refused(questions):
    with pytest.raises(tv.BadOption) as error:
        fleet_of(SPANS).map(questions)
    message = str(error.value)
    assert message == f"questions={quoted(questions)} is no function of spans, nor a list or dict of them. Pass tv.summary."


def test_errors_is_a_choice():
    with pytest.raises(tv.BadOption, match=r"^errors='skip' is not one of 'raise', 'return'\.$"):
        fleet_of(SPANS).map(tv.summary, errors="skip")


def test_types_hold_for_every_part():
    rows = SPANS.assign(data=['{"temperature": 1}', None, '{"temperature": 0.5}', None])

    def temperatures(spans):
        return tv.expand_data(spans, "temperature")[["trace_id", "temperature"]]

    answer = fleet_of(rows).map(temperatures, types={"temperature": "Float64"}, workers=1)
    assert answer["temperature"].dtype == pd.Float64Dtype()
    assert answer["temperature"].dropna().tolist() == [1, 0.5]


@pytest.mark.parametrize("place", [42, None, ["spans"]])
def test_what_is_no_place_is_refused(place):
    with pytest.raises(tv.BadOption) as error:
        tv.Fleet(place)
    assert str(error.value) == (
        f"{place!r} is no place of traces. Pass a folder of fleet files, the path or URL of a database, a Store, a "
        "frame of spans, or a Fleet."
    )


def test_loaded_spans_have_the_names_of_their_traces(tmp_path):
    store = tv.Store(tmp_path / "sqlite.db")
    for trace in ("t", "u"):
        store.write_trace(trace, spans_of(f"ann 0 10 desk {trace}").assign(id=trace), name=f"Run {trace}")
    tv.export(store, tmp_path / "folder", format="fleet")
    frame = tv.load_spans(store=store)
    tv.export(frame, tmp_path / "of a frame", format="fleet")
    for source in (store, tmp_path / "folder", frame, tmp_path / "of a frame"):
        fleet = tv.Fleet(source)
        assert sorted(fleet.traces()["name"]) == ["Run t", "Run u"]
        assert fleet.load_spans("u")["trace_name"].tolist() == ["Run u"]
        assert fleet.load_spans(["u", "t"])["trace_name"].tolist() == ["Run t", "Run u"]
