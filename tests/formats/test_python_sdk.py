import json

import pytest
from files import problem_texts, reading_of, span_text, write_file

from tokenvis import expand_data, ingest
from tokenvis.formats.files.head import head_of
from tokenvis.formats.telemetry.python_sdk import read, recognises

TRACE, ROOT, CHILD = 273475590164507581703505203264503192396, 17348474965005769013, 2932848494077650092
HEX = f"{ROOT:016x}"


def dumped(span_id, start, end, name, parent=None, *, trace=TRACE, **more):
    above = {"trace_id": trace, "span_id": parent} if parent else {"trace_id": None, "span_id": None}
    context = {"trace_id": trace, "span_id": span_id}
    times = {"start_time": start * 10**9, "end_time": end * 10**9}
    return {"name": name, "kind": "internal", "parent": above, "context": context, **times, "attributes": {}, **more}


AGENT = dumped(ROOT, 1, 9, "invoke_agent [any_agent]", attributes={"gen_ai.operation.name": "invoke_agent"})
CHAT = dumped(CHILD, 2, 3, "call_llm x", ROOT, attributes={"gen_ai.operation.name": "call_llm", "gen_ai.request.model": "x"})
SPANS = ["any_agent agent 1-9", f"- model:x 2-3 ^{HEX}"]


def spans_of(text):
    reading = reading_of("x", text)
    assert recognises(head_of(reading.source))
    return [span_text(span) for span in read(reading)], problem_texts(reading)


@pytest.mark.parametrize("indent", [None, 4])
def test_spans_in_every_shape(indent):
    each = [json.dumps(span, indent=indent) for span in (AGENT, CHAT)]
    for text in ("\n".join(each), f"[{each[0]},\n{each[1]}]", f'{{"spans": [{",".join(each)}], "final_output": "x"}}'):
        assert spans_of(text) == (SPANS, [])


def test_spans_as_the_console_exporter_writes_them():
    span = {
        "name": "chat x",
        "context": {"trace_id": f"0x{TRACE:032x}", "span_id": f"0x{CHILD:016x}", "trace_state": "[]"},
        "kind": "SpanKind.CLIENT",
        "parent_id": f"0x{ROOT:016x}",
        "start_time": "2026-06-21T10:00:00.250000Z",
        "end_time": "2026-06-21T10:00:01.000000Z",
        "status": {"status_code": "ERROR", "description": "no"},
        "attributes": {"gen_ai.usage.input_tokens": 5},
        "events": [{"name": "said", "timestamp": "2026-06-21T10:00:00.500000Z", "attributes": {"a": 1}}],
        "links": [{"context": {"trace_id": f"0x{TRACE:032x}", "span_id": "0x01"}, "attributes": {}}],
        "resource": {"attributes": {"service.name": "shop"}, "schema_url": ""},
    }
    reading = reading_of("x", json.dumps(span, indent=4))
    [made] = read(reading)
    assert (made.start, made.end, made.fallback_agent, made.parent) == (
        1_782_036_000_250_000, 1_782_036_001_000_000, "shop", f"{TRACE:032x}/{HEX}",
    )  # fmt: skip
    assert made.data == {
        "label": "chat x",
        "kind": "client",
        "status": "error",
        "status_message": "no",
        "events": [{"name": "said", "time": 1_782_036_000_500_000, "attributes": {"a": 1}}],
        "links": [f"{TRACE:032x}/0000000000000001"],
        "attributes": {"gen_ai.usage.input_tokens": 5},
    }


def test_an_unknown_service_is_none():
    [made] = read(reading_of("x", {**CHAT, "resource": {"attributes": {"service.name": "unknown_service"}}}))
    assert made.fallback_agent is None


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"context": {"trace_id": 5}}, "'span_id' is missing"),
        ({"context": None}, "'context' is missing"),
        ({"start_time": None}, "invalid value (a time is of type NoneType)"),
        ({"attributes": []}, "invalid value ('attributes' is of type list)"),
        ({"events": [5]}, "invalid value ('events' contains an item of type int)"),
    ],
)
def test_a_bad_span_is_a_problem_and_the_others_are_kept(change, reason):
    reading = reading_of("x", json.dumps([{**CHAT, **change}, AGENT]))
    assert [span_text(span) for span in read(reading)] == SPANS[:1]
    assert problem_texts(reading) == [f"x, item 1: {reason}."]


@pytest.mark.parametrize(
    ("kind", "kept"), [("SpanKind.PRODUCER", "producer"), ("consumer", "consumer"), ("SpanKind.SERVER", None), (None, None)]
)
def test_the_kinds_of_spans_that_exchange_messages_are_kept(kind, kept):
    [made] = read(reading_of("x", json.dumps({**AGENT, "kind": kind})))
    assert made.data.get("span_kind") == kept


def test_a_tool_call_is_requested_by_the_model_call_whose_answer_has_its_id():
    attributes = {**CHAT["attributes"], "gen_ai.completion.0.tool_calls.0.id": "c1"}
    tool = dumped(7, 3, 4, "execute_tool sh", ROOT, attributes={"gen_ai.tool.name": "sh", "gen_ai.tool.call.id": "c1"})
    write_file("x.json", json.dumps([tool, AGENT, {**CHAT, "attributes": attributes}]))
    spans = expand_data(ingest("x.json").spans(), ["requested_by"]).set_index("location_id")
    assert spans["requested_by"].dropna().to_dict() == {"tool:sh": f"{TRACE:032x}/{CHILD:016x}"}


def test_agents_of_one_name_are_told_apart_by_their_ids():
    attributes = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "Ann"}
    runs = [dumped(number, 1, 5, "run", attributes=attributes | {"gen_ai.agent.id": f"a-{number}"}) for number in (1, 2)]
    write_file("x.json", *runs)
    assert sorted(ingest("x.json").spans()["agent_id"]) == ["Ann", "Ann 2"]
