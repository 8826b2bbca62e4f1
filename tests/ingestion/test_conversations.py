import itertools
import json

import pytest
from files import problem_texts, reading_of, write_file
from hypothesis import given
from hypothesis import strategies as st

from tokenvis import BadOption, expand_data, ingest
from tokenvis.conventions.span import SpanRead
from tokenvis.ingestion.conversations import Conversations, moved_spans, session_of


@pytest.mark.parametrize(
    ("data", "session"),
    [
        ({"attributes": {"gen_ai.conversation.id": "c", "thread_id": "t"}}, "c"),
        ({"attributes": {"session.id": 7}}, "7"),
        ({"sessionId": "s"}, "s"),
        ({"session_id": "s", "attributes": {}}, "s"),
        ({"attributes": {"metadata.thread_id": "t-1"}}, "t-1"),
        ({"attributes": {"thread.id": "t-1"}}, "t-1"),
        ({"attributes": {"thread.id": 140213}}, None),
        ({"attributes": {"thread.id": "2"}}, None),
        ({"attributes": {"session.id": " "}}, None),
        ({"attributes": {"session.id": ["x"]}}, None),
        ({"attributes": "session.id"}, None),
        ({}, None),
    ],
)
def test_the_session_that_a_span_names(data, session):
    assert session_of(data) == session


def span(trace, id_, session=None, parent=None, start=0, end=1, **data):
    attributes = {"attributes": {"session.id": session}} if session else {}
    return SpanRead(trace, f"{trace}/{id_}", start, end, None, "desk", id_, {**attributes, **data}, parent)


def moved(*spans):
    conversations, reading = Conversations(), reading_of("x", "{}")
    for one in spans:
        conversations.add(one)
    return list(moved_spans(iter(spans), conversations, reading)), problem_texts(reading), conversations


def test_traces_of_a_session_are_one_trace():
    spans = [
        span("t1", "a", "s"),
        span("t1", "b", parent="t1/a"),
        span("t2", "a", "s", links=["t1/b", "t3/a", "t9/a"]),
        span("t3", "a"),
    ]
    found, problems, _ = moved(*spans)
    assert [(one.trace_id, one.id, one.parent) for one in found] == [
        ("s", "s/t1/a", None),
        ("s", "s/t1/b", "s/t1/a"),
        ("s", "s/t2/a", None),
        ("t3", "t3/a", None),
    ]
    assert found[2].data["links"] == ["s/t1/b", "t3/a", "t9/a"]
    assert problems == []


def test_a_trace_that_is_its_session_stays_as_it_is():
    found, *_ = moved(span("s", "a", "s"), span("t", "b", "s", links="s/a"))
    assert [(one.trace_id, one.id) for one in found] == [("s", "s/a"), ("s", "s/t/b")]
    assert found[1].data["links"] == "s/a"


def test_a_trace_with_several_sessions_is_told_and_follows_its_root():
    spans = [span("t", "a", "early", parent="t/r", start=0), span("t", "r", "root", start=5), span("t", "b", "c", parent="t/r")]
    for order in itertools.permutations(range(3)):
        found, problems, _ = moved(*[span(**vars_of(spans[number])) for number in order])
        assert {one.trace_id for one in found} == {"root"}
        assert problems == ["x: trace 't' names the sessions 'root' and 'early' and 1 more; all its spans are in the first."]


def vars_of(one):
    session = one.data["attributes"]["session.id"]
    return {"trace": "t", "id_": one.name, "session": session, "parent": one.parent, "start": one.start}


def test_an_open_span_ends_with_its_own_trace():
    found, *_ = moved(span("t1", "a", "s", end=None), span("t1", "b", end=7), span("t2", "c", "s", start=50, end=90))
    assert [(one.end, one.data.get("status")) for one in found] == [(7, "open"), (7, None), (90, None)]


def test_a_session_has_the_name_of_its_first_trace():
    _, _, conversations = moved(span("t1", "a", "s"), span("t2", "a", "s"), span("t3", "a"))
    names = {"t1": (5, "later"), "t2": (1, "first"), "t3": (0, "other")}
    assert conversations.names(names) == {"s": (1, "first"), "t3": (0, "other")}


@pytest.mark.laws
@given(st.data())
def test_ids_stay_unique_and_parents_are_found(data):
    traces = data.draw(st.lists(st.sampled_from(["", "s", "u"]), min_size=1, max_size=5))
    spans = []
    for number, session in enumerate(traces):
        n_spans = data.draw(st.integers(1, 3))
        named = data.draw(st.integers(0, n_spans - 1))
        for row in range(n_spans):
            parent = f"t{number}/{row - 1}" if row else None
            spans.append(span(f"t{number}", str(row), session if row == named else None, parent))
    order = data.draw(st.permutations(range(len(spans))))
    expected = {one.id: traces[int(one.trace_id[1:])] or one.trace_id for one in spans}
    found, problems, _ = moved(*[spans[row] for row in order])
    ids = {one.id: one.trace_id for one in found}
    assert len(ids) == len(spans)
    assert problems == []
    assert all(one.parent is None or ids[one.parent] == one.trace_id for one in found)
    assert {"/".join(one.id.split("/")[-2:]): one.trace_id for one in found} == expected


def otlp(trace, span_id, start, end, name, parent="", **attributes):
    pairs = [{"key": key, "value": {"stringValue": value}} for key, value in attributes.items()]
    times = {"startTimeUnixNano": str(start * 10**9), "endTimeUnixNano": str(end * 10**9)}
    record = {
        "traceId": trace * 32,
        "spanId": span_id * 16,
        "parentSpanId": parent * 16,
        "name": name,
        **times,
        "attributes": pairs,
    }
    return {"resourceSpans": [{"scopeSpans": [{"spans": [record]}]}]}


def test_files_in_any_order_give_the_same_traces():
    lines = [
        otlp("a", "1", 1, 3, "ask", **{"session.id": "chat"}),
        otlp("a", "2", 1, 2, "work", "1"),
        otlp("b", "1", 5, 9, "ask again", **{"gen_ai.conversation.id": "chat"}),
        otlp("c", "1", 5, 9, "other"),
    ]
    stores = []
    for number, order in enumerate([lines, lines[::-1]]):
        for position, line in enumerate(order):
            write_file(f"{number}/{position}.jsonl", line)
        report = ingest(str(number), trace="session", store=f"{number}.db")
        stores.append(expand_data(report.spans(), ["parent_id"])[["id", "trace_id", "agent_id", "parent_id"]].to_csv())
        assert report.names["chat"] == "ask"
        assert report.problems == []
    assert stores[0] == stores[1]
    assert f"chat/{'a' * 32}/{'2' * 16},chat,ask,chat/{'a' * 32}/{'1' * 16}" in stores[0]


def test_the_sessions_of_langfuse_and_mlflow():
    observation = {"id": "a", "traceId": "t1", "type": "SPAN", "name": "x", "startTime": "2026-01-01T00:00:00.000Z"}
    trace = {"id": "t1", "projectId": "p", "name": "talk", "timestamp": "2026-01-01T00:00:00.000Z", "sessionId": "chat"}
    write_file("l.json", json.dumps({"trace": trace, "observations": [observation]}))
    info = {"trace_id": "tr-1", "trace_location": {}, "trace_metadata": {"mlflow.trace.session": "chat"}}
    record = {"trace_id": "a" * 32, "span_id": "b" * 16, "name": "x", "start_time_unix_nano": 1, "end_time_unix_nano": 2}
    write_file("m.json", json.dumps({"info": info, "data": {"spans": [record]}}))
    for file, inside in (("l.json", "t1/a"), ("m.json", f"{'a' * 32}/{'b' * 16}")):
        assert ingest(file, trace="session").spans()["id"].tolist().count(f"chat/{inside}") == 1


def test_another_choice_is_an_error():
    with pytest.raises(BadOption) as caught:
        ingest("x.json", trace="thread")
    assert str(caught.value) == "trace='thread' is not one of 'trace', 'session'."
