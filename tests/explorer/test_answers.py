import json
from itertools import repeat

import numpy as np
import pandas as pd
import pytest
from conftest import spans_frames, spans_of, with_data
from hypothesis import given
from waiting import waiting_frames

from tokenvis import BadOption, MissingColumn, TraceNotFound, moves, self_spans, usage
from tokenvis.explorer.answers import Answers

NESTED = spans_of("ann 0 10 desk", "ann 2 5 lab", "bob 5 20 desk", parents={"b": "a"})


def columns(message):
    """Decode the columns of a message like a page."""
    buffers = iter(message.buffers)
    read = {}
    for spec in message.header["columns"]:
        values = np.frombuffer(next(buffers), dtype=f"<u{int(spec['type'][1:]) // 8}").astype(float)
        if spec["n_wide"]:
            rows = np.frombuffer(next(buffers), dtype="<u4")
            values[rows] = np.frombuffer(next(buffers), dtype="<f8")
        read[spec["name"]] = (np.cumsum(values) if spec["ascending"] else values).astype(np.int64).tolist()
    return read


def test_a_trace_is_sent_as_columns():
    message = Answers(NESTED).answer("trace", "t")
    assert columns(message) == {"start": [0, 2, 5], "duration": [10, 3, 15], "agent_id": [0, 0, 1], "location_id": [0, 1, 0]}
    assert (message.header["first"], message.header["clock"], message.header["trace"]) == (0.0, None, "t")
    assert message.header["keys"]["agent_id"]["names"] == ["ann", "bob"]


def test_timestamps_are_sent_relative_to_the_first_start():
    spans = NESTED.assign(start_time=NESTED["start_time"] + 10**15, end_time=NESTED["end_time"] + 10**15)
    header = Answers(spans).answer("trace", "t").header
    assert (header["first"], header["clock"]) == (0.0, 10**15)


def test_the_number_of_lost_spans_is_sent_with_the_trace():
    lost = spans_of("ann 0 10 desk", "tokenvis 2 8 tokenvis.lost").assign(data=[None, '{"n_lost": 1234}'])
    assert [Answers(spans).answer("trace", "t").header["lost"] for spans in (NESTED, lost)] == [0, 1234]


@pytest.mark.laws
@given(spans_frames(parents=True))
def test_each_trace_is_sent_completely_in_the_order_of_a_frame(spans):
    answers = Answers(spans)
    assert sorted(answers.rows) == sorted(spans["trace_id"].unique())
    for trace, rows in answers.rows.items():
        part = spans[spans["trace_id"] == trace].sort_values(["start_time", "end_time", "agent_id", "id"], kind="stable")
        assert spans["id"].iloc[rows].tolist() == part["id"].tolist()
        crossed = columns(answers.answer("trace", trace))
        header = answers.answer("trace", trace).header
        first = int(header["first"] + header["origin"])
        assert [first + start for start in crossed["start"]] == part["start_time"].tolist()
        assert crossed["duration"] == (part["end_time"] - part["start_time"]).tolist()


@pytest.mark.laws
@given(spans_frames(parents=True, data=True, n_traces=1))
def test_facts_add_up_to_the_answers_of_the_questions(spans):
    if not len(spans):
        return
    answers = Answers(spans)
    facts = columns(answers.answer("facts", "t"))
    used = usage(spans, by=None)
    for column, name in {"input": "input_tokens", "output": "output_tokens"}.items():
        expected = used[name].iloc[0] if len(used) else pd.NA
        assert (column in facts) == (not pd.isna(expected))
        assert sum(facts.get(column, [])) == (0 if pd.isna(expected) else expected)
    statuses = [json.loads(text or "{}").get("status") for text in answers.spans_of_trace("t")["data"].fillna("")]
    assert facts.get("status", [0] * len(spans)) == [
        ["ok", "error", "open"].index(name) + 1 if name else 0 for name in statuses
    ]


def test_pieces_are_sent_of_spans_that_are_cut_or_wait():
    spans = spans_of("ann 5 15 desk", "ann 7 10 lab", "bob 10 12 desk", "eve 11 20 desk", parents={"b": "a", "c": "a"})
    facts = columns(Answers(with_data(spans, d={"waits_for": "user"})).answer("facts", "t"))
    assert facts == {
        "cut": [0, 3],
        "piece_row": [0, 0, 3, 0],
        "piece_start": [0, 5, 6, 7],  # since the first start, 5
        "piece_duration": [2, 2, 9, 3],
        "piece_waits": [0, 1, 1, 0],
    }


def test_pieces_without_waits_and_completely_covered_spans():
    spans = spans_of("ann 0 10 desk", "ann 0 10 lab", "ann 2 4 lab", parents={"b": "a", "c": "b"})
    facts = columns(Answers(spans).answer("facts", "t"))
    assert facts == {"cut": [0, 1], "piece_row": [1, 1], "piece_start": [0, 4], "piece_duration": [2, 6]}


@pytest.mark.parametrize("parents", [None, {"b": "c"}, {"c": "unknown"}])
def test_nothing_is_sent_of_spans_that_always_work(parents):
    spans = spans_of("ann 0 10 desk", "bob 2 2 desk", "bob 5 20 lab", parents=parents)
    assert Answers(spans).answer("facts", "t").header == {"columns": [], "trace": "t"}


@pytest.mark.laws
@given(waiting_frames())
def test_pieces_equal_those_of_the_analysis(spans):
    answers, pieces = Answers(spans), self_spans(spans)
    for trace in answers.rows:
        part = answers.spans_of_trace(trace)
        facts = columns(answers.answer("facts", trace))
        ids, first = part["id"].tolist(), part["start_time"].min()
        names = ("piece_row", "piece_start", "piece_duration")
        parts = zip(*(facts.get(name, []) for name in names), facts.get("piece_waits") or repeat(0), strict=False)
        sent = [(ids[row], first + start, first + start + duration, waits) for row, start, duration, waits in parts]
        sent += [
            (row.id, row.start_time, row.end_time, 0)
            for number, row in enumerate(part.itertuples())
            if number not in facts.get("cut", [])
        ]
        expected = pieces[pieces["trace_id"] == trace]
        waits = (expected["state"] != "work").astype(int)
        assert sorted(sent) == sorted(zip(expected["id"], expected["start_time"], expected["end_time"], waits, strict=True))
        assert facts.get("piece_start", []) == sorted(facts.get("piece_start", []))


@pytest.mark.laws
@given(spans_frames(parents=True, n_traces=1))
def test_moves_equal_those_of_the_analysis(spans):
    if not len(spans):
        return
    answers = Answers(spans)
    part = answers.spans_of_trace("t")
    found = columns(answers.answer("moves", "t"))
    zeros = [0] * len(found["to"])
    rows = zip(found["from"], found["to"], found.get("before", zeros), found.get("after", zeros), strict=True)
    sent = [
        (part["id"].iloc[a], part["id"].iloc[b], part["end_time"].iloc[a] - before, part["start_time"].iloc[b] + after)
        for a, b, before, after in rows
    ]
    expected = moves(spans)
    assert sorted(sent) == sorted(
        zip(expected["from_span"], expected["to_span"], expected["left"], expected["arrived"], strict=True)
    )


def test_labels_are_requested_by_row_and_truncated():
    answers = Answers(with_data(NESTED, a={"label": "x" * 300}, c={"label": "Plan"}))
    assert answers.answer("labels", "t", rows=[2, 1, 0]).header["labels"] == ["Plan", "", "x" * 200]
    with pytest.raises(BadOption, match=r"^rows=\[3\] are out of range\. Spans in the trace: 3\.$"):
        answers.answer("labels", "t", rows=[3])


def test_search_ignores_case():
    answers = Answers(with_data(NESTED, a={"label": "Plan"}, c={"label": "replan (a.b)"}))
    assert columns(answers.answer("search", "t", query="plan"))["rows"] == [0, 2]
    assert columns(answers.answer("search", "t", query="(A.B)"))["rows"] == [2]
    assert columns(Answers(NESTED.drop(columns="data")).answer("search", "t", query="plan"))["rows"] == []


def test_the_details_of_a_span():
    answers = Answers(with_data(NESTED, b={"label": "Find", "n": 2}))
    span = answers.answer("details", "t", row=1).header["details"]
    assert {**span, "data": json.loads(span["data"])} == {
        "id": "b",
        "label": "Find",
        "data": {"label": "Find", "n": 2, "parent_id": "a"},
        "parent": "a",
    }
    assert answers.answer("details", "t", row=0).header["details"] == {"id": "a", "label": "", "data": None, "parent": None}


def test_data_that_is_not_a_json_object_is_reported():
    answers = Answers(NESTED.assign(data=["[1]", None, None]))
    assert answers.answer("details", "t", row=0).header["details"]["data"] == (
        "data of span 'a' of trace 't' is not a JSON object: '[1]' (it is of type list)."
    )


def test_unknown_traces_and_questions_are_refused():
    with pytest.raises(TraceNotFound, match=r"^No trace 'u'\. These spans have: 't'\.$"):
        Answers(NESTED).answer("trace", "u")
    with pytest.raises(BadOption, match=r"^question='all' is not one of 'trace', 'column', 'keys'"):
        Answers(NESTED).answer("all", "t")
    with pytest.raises(MissingColumn):
        Answers(NESTED.drop(columns="agent_id"))


def test_an_empty_frame_has_no_traces():
    assert Answers(NESTED.iloc[:0]).rows == {}


def test_the_given_frame_is_not_changed():
    before = NESTED.copy(deep=True)
    answers = Answers(NESTED)
    for what in ("trace", "facts", "moves", "keys"):
        answers.answer(what, "t")
    pd.testing.assert_frame_equal(NESTED, before)
