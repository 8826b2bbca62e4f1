import json
from pathlib import Path

import pandas as pd
import pytest
from files import reading_of
from hypothesis import given
from hypothesis import strategies as st

from tokenvis.conventions.span import SpanRead
from tokenvis.ingestion import assembly
from tokenvis.ingestion.assembly import Assembly


def model(span, start, *calls, trace="t", parent=None, agent=None):
    return SpanRead(trace, span, start, start + 1, agent, "model:m", "chat", {"kind": "model"}, parent, calls=calls)


def tool(span, start, call=None, trace="t", parent=None, agent=None, **data):
    return SpanRead(trace, span, start, start + 1, agent, "tool:f", "f", {"kind": "tool", **data}, parent, call=call)


def requested(*spans):
    """Who asked for each span that has ``requested_by``."""
    whole = Assembly(Path("spool"))
    whole.begin(reading_of("x.jsonl", ""))
    for span in spans:
        whole.add(span)
    rows = [row for frame in whole.frames({}) for row in zip(frame["id"], frame["data"], strict=True)]
    return {span: json.loads(data)["requested_by"] for span, data in rows if data and "requested_by" in json.loads(data)}


def test_a_call_is_requested_by_the_model_call_whose_answer_has_its_id():
    assert requested(tool("b", 5, "c1"), model("a", 0, "c1", "c2"), tool("c", 6, "c2"), tool("d", 7, "c3"), tool("e", 8)) == {
        "b": "a",
        "c": "a",
    }
    assert requested(model("a", 0, "c1"), tool("b", 5)) == requested(model("a", 0), tool("b", 5, "c1")) == requested() == {}


def test_of_several_model_calls_the_last_to_start_before_the_call_counts():
    answers = model("a", 0, "c"), model("b", 4, "c"), model("d", 9, "c")
    assert requested(*answers, tool("x", 5, "c"), tool("y", 4, "c"), tool("z", 3, "c")) == {"x": "b", "y": "b", "z": "a"}
    assert requested(model("a", 5, "c"), tool("x", 4, "c")) == {}


def test_two_agents_at_once_with_the_same_ids():
    agents = tool("p", 0, agent="Ann"), tool("q", 0, agent="Bob")
    chats = model("a", 1, "c", parent="p"), model("b", 2, "c", parent="q")
    assert requested(*agents, *chats, tool("x", 5, "c", parent="p"), tool("y", 5, "c", parent="q")) == {"x": "a", "y": "b"}
    assert requested(*agents, *chats, tool("x", 5, "c", parent="p", agent="Eve")) == {"x": "a"}  # called by Ann
    assert requested(*agents, *chats, tool("x", 5, "c", agent="Eve")) == {}  # it may be either of them
    assert requested(*agents, chats[0], tool("x", 5, "c", agent="Eve")) == {"x": "a"}


def test_two_spans_of_unnamed_agents_with_the_same_ids():
    runs = tool("r", 0), tool("p", 0, parent="r"), tool("q", 0, parent="r")
    chats = model("a", 1, "c", parent="p"), model("b", 2, "c", parent="q")
    calls = tool("x", 5, "c", parent="p"), tool("y", 5, "c", parent="q"), tool("z", 5, "c", parent="r")
    assert requested(*runs, *chats, *calls) == {"x": "a", "y": "b", "z": "b"}


def test_an_id_counts_within_its_trace():
    assert requested(model("a", 0, "c", trace="u"), tool("b", 5, "c"), tool("d", 5, "c", trace="u")) == {"d": "a"}


def test_a_span_inside_a_span_with_the_same_id_is_a_part_of_that_call():
    outer, step, other = tool("b", 5, "c"), tool("s", 5, parent="b"), tool("e", 6, "c2", parent="s")
    spans = model("a", 0, "c", "c2"), outer, step, tool("d", 6, "c", parent="s"), other, tool("f", 7, "c2", parent="e")
    assert requested(*spans) == {"b": "a", "e": "a"}


def test_a_request_of_the_source_is_kept():
    assert requested(model("a", 0, "c"), tool("b", 5, "c", requested_by="z")) == {"b": "z"}


def test_the_last_of_several_spans_with_one_id_is_requested():
    assert requested(tool("b", 5), model("a", 0), model("a", 0, "c"), tool("b", 5, "c")) == {"b": "a"}


def test_requests_of_any_batch(monkeypatch):
    monkeypatch.setattr(assembly, "SPANS_PER_BATCH", 2)
    spans = [model("m", 0, *(f"c{n}" for n in range(7))), *(tool(f"t{n}", 5, f"c{n}" if n % 2 else None) for n in range(7))]
    assert requested(*spans) == {"t1": "m", "t3": "m", "t5": "m"}


NAMES = st.sampled_from(["c1", "c2", "é\U0001f600", "$\\frac{ <b>\n"])
TIMES = st.integers(0, 6)
AGENTS = st.sampled_from([None, None, "Ann", "Bob"])
SPANS = st.lists(
    st.tuples(st.just("model"), TIMES, st.sampled_from("tu"), st.lists(NAMES, max_size=3), AGENTS)
    | st.tuples(st.just("tool"), TIMES, st.sampled_from("tu"), st.none() | NAMES, AGENTS),
    max_size=12,
)


@pytest.mark.laws
@given(SPANS, st.data())
def test_requests_equal_the_rules(drawn, data):
    spans = [
        (
            model(str(n), start, *calls, trace=trace, agent=agent)
            if kind == "model"
            else tool(str(n), start, calls, trace, agent=agent)
        )
        for n, (kind, start, trace, calls, agent) in enumerate(drawn)
    ]
    for number, span in enumerate(spans):
        above = data.draw(st.none() | st.sampled_from(range(number))) if number else None
        span.parent = None if above is None else str(above)
    expected = {span.id: asked_by for span in spans if (asked_by := allowed(span, spans))}
    found = requested(*(pd.Series(spans, dtype="object").sample(frac=1, random_state=7).tolist()))
    assert found.keys() == expected.keys()
    assert all(span in expected[call] for call, span in found.items())


def allowed(span, spans):
    """The ids of the model calls of which one asked for a call."""
    by_id = {(one.trace_id, one.id): one for one in spans}

    def path(one):
        return [] if one is None else [one, *path(by_id.get((one.trace_id, one.parent)))]

    def agent(one):
        return next((above.agent for above in path(one) if above.agent), one.trace_id)

    def distance(one):
        mine = [above.id for above in path(span)]
        return next((mine.index(above.id) for above in path(one) if above.id in mine), len(mine))

    asked_by = [m for m in spans if span.call in m.calls and m.trace_id == span.trace_id and m.start <= span.start]
    outer = next((above for above in path(span)[1:] if above.call is not None), None)
    if span.call is None or (outer is not None and outer.call == span.call):
        return []
    callers = (agent(above) for above in path(span))
    near = next((same for caller in callers if (same := [m for m in asked_by if agent(m) == caller])), asked_by)
    if near is asked_by and len(asked_by) > 1:
        return []
    best = min(((distance(m), -m.start) for m in near), default=None)
    return [m.id for m in near if (distance(m), -m.start) == best]


def test_a_span_above_itself_is_no_part_of_a_call_however_often_it_is_told():
    told = [model("m", 0, "c1"), tool("a", 5, "c1", parent="a")]
    assert requested(*told) == requested(*told, told[1]) == {"a": "m"}
