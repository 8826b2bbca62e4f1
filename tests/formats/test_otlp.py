import builtins
import json
from collections import Counter

import pytest
from files import problem_texts, reading_of, span_text, write_file

from tokenvis import IngestError, expand_data, handoffs, ingest, load_spans, load_traces
from tokenvis.formats.files.head import head_of
from tokenvis.formats.telemetry.otlp import reader as otlp
from tokenvis.formats.telemetry.otlp.reader import read, recognises

TRACE, OTHER = "5b8efff798038103d269b633813fc60c", "aa" * 16
S = 1_000_000_000


def kv(**attributes):
    """Attributes as OTLP writes them; double underscores are dots."""
    forms = {bool: "boolValue", int: "intValue", float: "doubleValue", str: "stringValue"}
    return [
        {"key": key.replace("__", "."), "value": {forms[type(value)]: str(value) if type(value) is int else value}}
        for key, value in attributes.items()
    ]


def sent(number, start, end, name="work", parent=None, trace=TRACE, *, attributes=(), **more):
    above = {"parentSpanId": f"{parent:016x}"} if parent is not None else {}
    times = {"startTimeUnixNano": str(start * S), "endTimeUnixNano": str(end * S)}
    body = {"traceId": trace, "spanId": f"{number:016x}", **above, "name": name, **times, "attributes": list(attributes)}
    return {**body, **more}


def request(*spans, service="shop"):
    resource = {"attributes": kv(service__name=service)}
    return {"resourceSpans": [{"resource": resource, "scopeSpans": [{"scope": {"name": "x"}, "spans": list(spans)}]}]}


AGENT = sent(1, 1, 9, "invoke_agent Ann", attributes=kv(gen_ai__operation__name="invoke_agent"))
CHAT = sent(2, 1, 3, "chat", 1, attributes=kv(gen_ai__operation__name="chat", gen_ai__request__model="opus"))
TOOL = sent(3, 3, 5, "execute_tool sh", 1, attributes=kv(gen_ai__tool__name="sh"), status={"code": 2, "message": "no"})
ID = f"{TRACE}/0000000000000001"
SPANS = ["Ann agent 1-9", "- model:opus 1-3 ^0000000000000001", "- tool:sh 3-5 error ^0000000000000001"]


def spans_of(*parts, path="x"):
    reading = reading_of(path, *parts)
    return [span_text(span) for span in read(reading)], problem_texts(reading)


def test_lines_a_document_and_an_array_of_documents_are_read_alike():
    assert spans_of(request(AGENT), request(CHAT, TOOL)) == (SPANS, [])
    assert spans_of(json.dumps(request(AGENT, CHAT, TOOL), indent=1)) == (SPANS, [])
    assert spans_of(json.dumps(request(AGENT, CHAT, TOOL))) == (SPANS, [])
    several = request(AGENT)["resourceSpans"] + request(CHAT, TOOL)["resourceSpans"]
    assert spans_of(json.dumps({"resourceSpans": several}, indent=1)) == (SPANS, [])
    assert spans_of(json.dumps([request(AGENT), request(CHAT, TOOL)])) == (SPANS, [])


def test_damage_in_a_document_costs_one_span():
    whole = request(AGENT, sent(9, 1, 2, "broken"), CHAT, TOOL)
    anonymous = {"resourceSpans": [{"scopeSpans": whole["resourceSpans"][0]["scopeSpans"]}]}
    for record in (whole, anonymous):
        text = json.dumps(record, indent=1)
        assert spans_of(text.replace('"broken"', "broken")) == (SPANS, ["x, item 2: not JSON from character 109 on."])
        assert spans_of(text[: text.index('"broken"')]) == (SPANS[:1], ["x: is truncated; the complete part was read."])


def test_the_root_has_the_attributes_of_its_resource_that_describe_the_run():
    others = "service.name", "service.instance.id", "host.name", "host.arch", "process.pid", "telemetry.sdk.name", "os.type"
    attributes = [
        {"key": "run.seed", "value": {"intValue": "3"}},
        *kv(service__version="1.2", deployment__environment__name="test", label="x", agent__name="Bob"),
        {"key": "broken", "value": {"intValue": "x", "arrayValue": 5}},
        {"key": "gone"},
        {"value": {"stringValue": "nothing"}},
        *({"key": key, "value": {"stringValue": "y"}} for key in others),
    ]
    body = {"resourceSpans": [{"resource": {"attributes": attributes}, "scopeSpans": [{"spans": [AGENT, CHAT]}]}]}
    for text in (json.dumps(body), json.dumps(body, indent=1)):
        write_file("x.jsonl", text)
        root, chat = read(reading_of("x.jsonl"))
        run = {"run.seed": 3, "service.version": "1.2", "deployment.environment.name": "test", "label": "x"}
        assert root.data["attributes"] == {
            **run,
            "broken": "x",
            "gen_ai.operation.name": "invoke_agent",
            "host.name": "y",
        }
        assert (root.agent, root.fallback_agent) == ("Ann", "y")
        assert chat.data["attributes"].keys().isdisjoint(run)
    traces = load_traces(attributes=["run.seed", "service.version"], store=ingest("x.jsonl").store)
    assert traces[["run.seed", "service.version"]].to_numpy().tolist() == [[3, "1.2"]]


def test_a_name_that_is_a_key_of_older_files_is_not_taken_for_it():
    text = json.dumps(request(sent(1, 1, 9, "scope_spans"), sent(2, 1, 9, "resource_spans")), indent=1)
    assert spans_of(text) == (["- span 1-9", "- span 1-9"], [])


def test_a_count_without_a_number_does_not_cost_the_span():
    count = {"key": "gen_ai.usage.input_tokens", "value": {"intValue": None}}
    assert spans_of(request({**CHAT, "attributes": [*CHAT["attributes"], count]})) == (SPANS[1:2], [])


def run_of(number, agent_id, start, end):
    named = kv(gen_ai__operation__name="invoke_agent", gen_ai__agent__name="researcher", gen_ai__agent__id=agent_id)
    return sent(number, start, end, "invoke_agent researcher", 1, attributes=named)


def test_three_researchers_at_once_are_three_agents():
    calls = [sent(number, 2, 8, "chat", number - 10, attributes=kv(gen_ai__request__model="opus")) for number in (20, 21, 22)]
    researchers = [run_of(10, "r-0", 1, 9), run_of(11, "r-1", 1, 9), run_of(12, "r-2", 2, 9)]
    write_file("x.json", request(*calls, *reversed(researchers), AGENT))
    spans = ingest("x.json").spans()
    agents = dict(zip(spans["id"].str[-2:], spans["agent_id"], strict=True))
    researcher = ["researcher", "researcher 2", "researcher 3"]
    assert [agents[number] for number in ("0a", "0b", "0c")] == researcher
    assert [agents[number] for number in ("14", "15", "16")] == researcher
    assert handoffs(spans)["evidence"].tolist().count("delegate") == 3
    assert expand_data(spans, "gen_ai.agent.id")["gen_ai.agent.id"].dropna().tolist() == ["r-0", "r-1", "r-2"]
    assert set(ingest("x.json", agent="service.none", store="y.db").spans()["agent_id"]) == {"shop"}
    by_rule = ingest("x.json", agent=lambda span: span["agent_id"], store="z.db").spans()
    assert set(by_rule["agent_id"]) == {"Ann", "researcher"}


def test_a_file_that_grows_tells_agents_apart_again():
    write_file("x.json", request(AGENT, run_of(11, "r-1", 3, 9)))
    assert set(ingest("x.json").spans()["agent_id"]) == {"Ann", "researcher"}
    write_file("x.json", request(AGENT, run_of(11, "r-1", 3, 9)), request(run_of(10, "r-0", 1, 9)))
    report = ingest("x.json")
    assert [(written.added, written.updated) for written in report.written] == [(1, 1)]
    assert report.spans()["agent_id"].tolist() == ["Ann", "researcher", "researcher 2"]
    assert [(written.added, written.updated) for written in ingest("x.json").written] == [(0, 0)]


def test_figures_have_one_name_and_those_that_are_no_numbers_or_estimates_are_told():
    figures = kv(gen_ai__usage__prompt_tokens=5, gen_ai__usage__cache_read_tokens=4, gen_ai__usage__output_tokens="many")
    flag = kv(gen_ai__usage__estimated=True)
    write_file("x.json", request(sent(1, 1, 2, attributes=figures), sent(2, 1, 2, attributes=figures + flag)))
    first, second = (json.loads(text) for text in ingest("x.json").spans()["data"])
    assert first["attributes"] == {
        "gen_ai.usage.input_tokens": 5,
        "gen_ai.usage.cache_read.input_tokens": 4,
        "gen_ai.usage.output_tokens": "many",
    }
    assert "estimated" not in first
    assert second["estimated"] == list(first["attributes"])


def test_names_in_snake_case_and_of_old_versions_are_read_too():
    snake = json.loads(
        json.dumps(request(AGENT, CHAT, TOOL)).replace("resourceSpans", "resource_spans").replace("scopeSpans", "scope_spans")
    )
    [group] = snake["resource_spans"]
    for span in group["scope_spans"][0]["spans"]:
        for old, new in (("traceId", "trace_id"), ("spanId", "span_id"), ("parentSpanId", "parent_span_id")):
            if old in span:
                span[new] = span.pop(old)
        for old, new in (("startTimeUnixNano", "start_time_unix_nano"), ("endTimeUnixNano", "end_time_unix_nano")):
            span[new] = span.pop(old)
    assert spans_of(json.dumps(snake, indent=1)) == (SPANS, [])
    assert spans_of(snake) == (SPANS, [])
    old = json.dumps(request(AGENT, CHAT, TOOL), indent=1).replace("scopeSpans", "instrumentationLibrarySpans")
    assert spans_of(old) == (SPANS, [])


def messages(*requests):
    """The bytes of requests as protobuf."""
    from google.protobuf.json_format import ParseDict
    from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

    def ids(value):
        if isinstance(value, dict):
            return {key: as_base64(inner) if key.endswith("Id") else ids(inner) for key, inner in value.items()}
        return [ids(inner) for inner in value] if isinstance(value, list) else value

    return [ParseDict(ids(one), TracesData()).SerializeToString() for one in requests]


def as_base64(text):
    import base64

    return base64.b64encode(bytes.fromhex(text)).decode()


def test_binary_messages_alone_and_after_their_lengths():
    [alone] = messages(request(AGENT, CHAT, TOOL))
    assert spans_of(alone) == (SPANS, [])
    several = b"".join(len(message).to_bytes(4, "big") + message for message in messages(request(AGENT), request(CHAT, TOOL)))
    assert spans_of(several) == (SPANS, [])
    assert spans_of(several + bytes(1_000)) == (SPANS, [])
    assert recognises(head_of(reading_of("x").source))
    assert spans_of(several[:-5])[1] == ["x: is truncated; the complete part was read."]
    assert spans_of(len(alone).to_bytes(4, "big") + b"\x0a\x02\xff\xff" + alone[4:])[1][0].startswith(
        "x, message 1: not OTLP ("
    )


def test_a_missing_extra_for_binary_files_is_named(monkeypatch):
    def refuse(name, *rest):
        if name.startswith("google"):
            raise ImportError(name)
        return whole(name, *rest)

    write_file("x.pb", *messages(request(AGENT)))
    whole = builtins.__import__
    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(IngestError) as caught:
        ingest("x.pb")
    assert str(caught.value) == "x.pb is binary OTLP, which needs the extra: pip install 'tokenvis[protobuf]'."


def test_all_data_of_a_span_are_kept():
    attributes = [
        *kv(text="a", whole=2**62, part=0.5, yes=True),
        {"key": "list", "value": {"arrayValue": {"values": [{"intValue": 1}, {"stringValue": "b"}]}}},
        {"key": "map", "value": {"kvlistValue": {"values": kv(inner="c")}}},
        {"key": "none", "value": {}},
    ]
    event = {"timeUnixNano": str(2 * S), "name": "exception", "attributes": kv(exception__message="m")}
    span = sent(1, 1, 3, attributes=attributes, events=[event], links=[{"traceId": OTHER, "spanId": "00" * 7 + "09"}], kind=3)
    [made] = read(reading_of("x", request({**span, "status": {"code": "STATUS_CODE_ERROR", "message": "no"}})))
    assert made.data == {
        "label": "work",
        "kind": "client",
        "status": "error",
        "status_message": "no",
        "events": [{"name": "exception", "time": 2_000_000, "attributes": {"exception.message": "m"}}],
        "links": [f"{OTHER}/0000000000000009"],
        "attributes": {
            "text": "a", "whole": 2**62, "part": 0.5, "yes": True, "list": [1, "b"], "map": {"inner": "c"}, "none": None,
        },
    }  # fmt: skip
    assert (made.fallback_agent, made.id) == ("shop", f"{TRACE}/0000000000000001")


SENT_KINDS = [sent(number, 1, 2, kind=number) for number in range(6)]
TOLD_KINDS = [None, None, None, None, "producer", "consumer"]


@pytest.mark.parametrize("prefix", ["SPAN_KIND_", ""])
def test_the_kinds_of_spans_that_exchange_messages_are_kept(prefix):
    names = ["UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER"]
    named = [{**span, "kind": f"{prefix}{name}"} for span, name in zip(SENT_KINDS, names, strict=True)]
    for part in (request(*SENT_KINDS), request(*named)):
        assert [span.data.get("span_kind") for span in read(reading_of("x", part))] == TOLD_KINDS
    [message] = messages(request(*SENT_KINDS[1:]))
    assert [span.data.get("span_kind") for span in read(reading_of("x", message))] == TOLD_KINDS[1:]


def test_a_program_can_mark_its_spans_with_attributes():
    mine = kv(tokenvis__waits_for="eve", tokenvis__waits_for_kind="agent", tokenvis__detached=False, phase="x")
    [made] = read(reading_of("x", request(sent(1, 1, 2, attributes=mine))))
    assert made.data == {
        "label": "work", "kind": "span", "waits_for": "eve", "waits_for_kind": "agent", "detached": False,
        "attributes": {"phase": "x"},
    }  # fmt: skip


def test_telemetry_of_claude_code_waits_for_the_user():
    names = ["claude_code.tool", "claude_code.tool.blocked_on_user", "claude_code.tool.execution"]
    spans = [sent(number, 1, 7, name, 9) for number, name in enumerate(names)]
    write_file("x.json", request(*spans))
    stored = expand_data(ingest("x.json").spans(), ["label", "waits_for"])
    assert stored.set_index("label")["waits_for"].dropna().to_dict() == {"claude_code.tool.blocked_on_user": "user"}


def test_children_before_their_parents_and_in_other_files_inherit_their_agents():
    write_file("in/a.jsonl", request(TOOL), request(sent(4, 4, 5, "deep", 3)))
    write_file("in/b.jsonl", request(AGENT))
    report = ingest("in")
    assert load_spans(TRACE)["agent_id"].tolist() == ["Ann", "Ann", "Ann"]
    assert report.agents_from == Counter(name=1, ancestor=2)
    assert report.names == {TRACE: "in"}


@pytest.mark.parametrize("name", ["agent_run [Ann]", "invoke_agent Ann", "agent run: 'Ann'"])
def test_the_run_of_an_agent_without_a_kind_names_the_agent(name):
    write_file("x.json", request(sent(1, 1, 9, "invocation"), sent(2, 1, 9, name, 1), sent(3, 2, 3, "chat", 2)))
    spans = ingest("x.json").spans().sort_values("id")
    assert [*zip(spans["agent_id"], spans["location_id"], strict=True)][1:] == [("Ann", "agent"), ("Ann", "span")]


def test_a_span_that_never_ended_is_open():
    spans = request(sent(1, 0, 0, endTimeUnixNano="0"), sent(2, 1, 7))
    write_file("x.jsonl", spans)
    assert load_spans(store=ingest("x.jsonl").store)["end_time"].tolist() == [7_000_000, 7_000_000]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"traceId": "xyz"}, "invalid value ('xyz' is not an id of 32 hex digits)"),
        ({"spanId": None}, "invalid value ('None' is not an id of 16 hex digits)"),
        ({"startTimeUnixNano": "noon"}, "invalid value (invalid literal for int() with base 10: 'noon')"),
        ({"startTimeUnixNano": 1.5}, "invalid value (a time is of type float)"),
        ({"name": 5}, "invalid value ('name' is of type int)"),
        ({"attributes": 5}, "invalid value ('int' object is not iterable)"),
        ({"links": [{}]}, "'traceId' is missing"),
        (
            {"endTimeUnixNano": "1781293600000000000000"},
            "invalid value ('1781293600000000000000' in 'ns' would be in the year 58,416)",
        ),
        ({"startTimeUnixNano": "20000000000"}, f"span {ID!r} cannot be stored (it ends 11,000,000 µs before it starts)"),
    ],
)
def test_a_bad_span_is_a_problem_and_the_others_are_kept(change, reason):
    write_file("x.jsonl", request({**AGENT, **change}, CHAT))
    report = ingest("x.jsonl")
    assert report.n_spans == 1
    assert [str(problem) for problem in report.problems] == [f"x.jsonl, line 1: {reason}."]


def test_a_missing_key_is_named():
    write_file("x.jsonl", request({key: value for key, value in AGENT.items() if key != "startTimeUnixNano"}, CHAT))
    assert [str(problem) for problem in ingest("x.jsonl").problems] == ["x.jsonl, line 1: 'startTimeUnixNano' is missing."]


def test_a_span_that_tokenvis_exported_is_unchanged():
    mine = kv(
        tokenvis__id="t/1", tokenvis__trace_id="t", tokenvis__agent_id="Ann", tokenvis__location_id="desk",
        tokenvis__data='{"label": "x", "phase": 1}',
    )  # fmt: skip
    [made] = read(reading_of("x", request(sent(1, 1, 2, attributes=mine))))
    assert (made.id, made.trace_id, made.agent, made.location, made.data) == (
        "t/1",
        "t",
        "Ann",
        "desk",
        {"label": "x", "phase": 1},
    )


def test_other_signals_are_not_read():
    for text in ('{"resourceMetrics": []}', '{"resourceLogs": []}', "[]", "x"):
        assert not recognises(head_of(reading_of("x", text).source))


def test_a_message_that_is_too_long_is_not_read(monkeypatch):
    monkeypatch.setattr(otlp, "MAX_MESSAGE_BYTES", 50)
    [alone] = messages(request(AGENT, CHAT, TOOL))
    assert spans_of(alone)[1][-1] == "x: only the first 50 bytes, the limit of one message, were read."
    assert spans_of(len(alone).to_bytes(4, "big") + alone)[1] == ["x: is truncated; the complete part was read."]


def asked_for(*ids):
    parts = [{"type": "tool_call", "id": call, "name": "sh", "arguments": {}} for call in ids]
    return kv(gen_ai__output__messages=json.dumps([{"role": "assistant", "parts": parts, "finish_reason": "tool_call"}]))


def requests_in_file(*records, **options):
    """The numbers of the spans that have ``requested_by``, and those of the model calls."""
    spans = expand_data(ingest(write_file("asked.jsonl", *records), **options).spans(), ["requested_by"])
    spans = spans.dropna(subset="requested_by")
    pairs = zip(spans["id"], spans["requested_by"], strict=True)
    return {int(span[-16:], 16): int(asked_by[-16:], 16) for span, asked_by in pairs}


@pytest.mark.parametrize("content", ["full", "none"])
def test_a_tool_call_is_requested_by_the_model_call_whose_answer_has_its_id(content):
    chat = [sent(2, 1, 3, "chat", 1, attributes=[*CHAT["attributes"], *asked_for("c1", "c2")])]
    chat += [sent(5, 6, 8, "chat", 1, attributes=[*CHAT["attributes"], *asked_for("c9")])]
    made = kv(gen_ai__tool__name="sh", gen_ai__tool__call__id="c1"), kv(tool__name="ls", tool_call__id="c2")
    tools = [sent(number, 3, 5, "run", 1, attributes=attributes) for number, attributes in zip((3, 4), made, strict=True)]
    other = sent(6, 7, 9, "run", trace=OTHER, attributes=kv(gen_ai__tool__name="sh", gen_ai__tool__call__id="c1"))
    inner = sent(7, 4, 5, "mcp", 3, attributes=made[0])
    lines = [request(span) for span in (*tools, other, inner, AGENT, *chat)]
    assert requests_in_file(*lines, content=content) == {3: 2, 4: 2}
    assert requests_in_file(request(*tools, other, inner, AGENT, *chat), content=content, store="one.db") == {3: 2, 4: 2}


def test_two_agents_at_once_with_the_same_ids_ask_for_their_own_calls():
    agents = [
        sent(number, 0, 9, "invoke_agent", attributes=kv(gen_ai__agent__name=name)) for number, name in ((1, "Ann"), (2, "Bob"))
    ]
    chats = [sent(n + 2, n, n + 1, "chat", n, attributes=[*CHAT["attributes"], *asked_for("call_0")]) for n in (1, 2)]
    made = kv(gen_ai__tool__name="sh", gen_ai__tool__call__id="call_0")
    tools = [sent(n + 4, 4, 5, "run", n, attributes=made) for n in (1, 2)]
    assert requests_in_file(request(*tools, *chats, *agents)) == {5: 3, 6: 4}


def test_vercels_spans_of_tools_are_requested_too():
    model = {"gen_ai__request__model": "opus", "gen_ai__usage__output_tokens": 5}
    calls = kv(ai__response__toolCalls=json.dumps([{"toolCallId": "c1", "toolName": "sh", "args": "{}"}]), **model)
    whole = kv(ai__response__toolCalls=json.dumps([{"toolCallId": "c1"}]), operation__name="ai.generateText")
    tool = kv(ai__toolCall__name="sh", ai__toolCall__id="c1")
    steps = sent(2, 2, 3, "ai.generateText.doGenerate", 1, attributes=calls), sent(3, 3, 5, "ai.toolCall", 1, attributes=tool)
    assert requests_in_file(request(sent(1, 1, 9, "ai.generateText", attributes=whole), *steps)) == {3: 2}
    assert set(load_spans(TRACE)["location_id"]) == {"span", "model:opus", "tool:sh"}


def test_a_pending_span_of_logfire_and_its_real_span_are_one_span():
    marks = kv(logfire__span_type="pending_span", logfire__pending_parent_id=f"{1:016x}")
    pending, chat = sent(9, 1, 1, "chat (pending)", 2, attributes=marks), sent(2, 1, 3, "chat", 1)
    assert spans_of(request(AGENT, pending))[0] == ["Ann agent 1-9", "- span 1-? ^0000000000000001"]
    write_file("x.jsonl", request(pending), request(AGENT, chat))
    assert sorted(ingest("x.jsonl").spans()["end_time"] // 1_000_000) == [3, 9]


def test_the_telemetry_of_claude_code():
    called = kv(
        gen_ai__request__model="opus", input_tokens=100, output_tokens=50, cache_read_tokens=20, gen_ai__system="anthropic"
    )
    spans = [
        sent(1, 0, 20, "claude_code.interaction"),
        sent(2, 0, 4, "claude_code.llm_request", 1, attributes=called),
        sent(4, 4, 10, "claude_code.tool.blocked_on_user", 3, attributes=kv(decision="accept", source="user_temporary")),
        sent(5, 10, 15, "claude_code.tool.execution", 3, attributes=kv(success=True)),
        sent(3, 4, 15, "claude_code.tool", 1, attributes=kv(tool_name="Bash")),
    ]
    write_file("x.jsonl", request(*spans, service="claude-code"))
    keys = ["label", "waits_for", "gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"]
    found = expand_data(ingest("x.jsonl").spans(), keys).set_index("label")
    assert found["location_id"].to_dict() == {
        "claude_code.interaction": "interaction",
        "claude_code.llm_request": "model:opus",
        "claude_code.tool": "tool:Bash",
        "claude_code.tool.blocked_on_user": "tool:Bash",
        "claude_code.tool.execution": "tool:Bash",
    }
    assert found.index[found["waits_for"] == "user"].tolist() == ["claude_code.tool.blocked_on_user"]
    assert found[keys[2:]].sum().tolist() == [120, 50]
    assert set(found["agent_id"]) == {"claude-code"}


def test_traces_of_one_name_are_told_apart_by_what_they_were_asked():
    def asked(trace, text):
        attributes = kv(gen_ai__operation__name="invoke_agent", input__value=text)
        return sent(1, 1, 9, "invoke_agent", trace=trace, attributes=attributes)

    write_file("x.jsonl", request(asked(TRACE, "Plan a trip"), sent(2, 2, 3, "chat", 1), asked(OTHER, "Book " * 99)))
    report = ingest("x.jsonl", store="full.db")
    assert report.names == {TRACE: "invoke_agent: Plan a trip", OTHER: f"invoke_agent: {('Book ' * 12)[:59]}…"}
    assert set(report.spans()["agent_id"]) == {"shop"}
    assert set(ingest("x.jsonl", content="none", store="none.db").names.values()) == {"invoke_agent"}
    texts = "Plan a trip", "Book a flight"
    write_file("y.jsonl", request(*map(asked, (TRACE, OTHER), texts), service="unknown_service"))
    assert ingest("y.jsonl", store="y.db").names == {TRACE: "invoke_agent", OTHER: "invoke_agent"}


@pytest.mark.parametrize("indent", [None, 1])
def test_answers_of_tempo_are_read(indent):
    resources = request(AGENT, CHAT, TOOL)["resourceSpans"]
    old = json.loads(json.dumps(resources).replace("scopeSpans", "instrumentationLibrarySpans"))
    for span in old[0]["instrumentationLibrarySpans"][0]["spans"]:
        span |= {key: as_base64(span[key]) for key in ("traceId", "spanId", "parentSpanId") if key in span}
    whole = {"trace": {"resourceSpans": resources}, "metrics": {"inspectedBytes": "9"}}
    answers = [{"batches": old}, {"batches": resources}, {"trace": {"batches": old}}, {"result": whole["trace"]}]
    for answer in (*answers, whole, [whole]):
        assert recognises(head_of(reading_of("x", json.dumps(answer, indent=indent)).source))
        assert spans_of(json.dumps(answer, indent=indent)) == (SPANS, [])
    partial = "x: is incomplete: its status is PARTIAL{}. Request the trace again, with a higher limit of its size."
    for more, message in (({}, ""), ({"message": "trace exceeds max size"}, " (trace exceeds max size)")):
        answer = {**whole, "status": "PARTIAL", **more}
        assert spans_of(json.dumps(answer, indent=indent)) == (SPANS, [partial.format(message)])
        assert spans_of(answer, request(AGENT)) == ([*SPANS, SPANS[0]], [partial.format(message)])


@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [("scopeSpans", "scopeSpan", "scopeSpans"), ("spans", "Spans", "spans"), ("scopeSpans", "x" * 70, "scopeSpans")],
)
def test_lists_under_unknown_keys_are_told(indent, old, new, expected):
    wrong = json.loads(json.dumps(request(CHAT)).replace(f'"{old}"', f'"{new}"'))["resourceSpans"]
    shown = f"'{new}'" if len(new) < 60 else f"'{new[:60]}'… (70 characters)"
    reason = f"has {shown} where '{expected}' is expected; what it contains was not read."
    for resources, spans in ((wrong, []), ([*request(AGENT)["resourceSpans"], *wrong], SPANS[:1])):
        found, problems = spans_of(json.dumps({"resourceSpans": resources}, indent=indent))
        assert (found, [problem.split(": ", 1)[1] for problem in problems]) == (spans, [reason])
    found, problems = spans_of(request(AGENT), {"resourceSpans": wrong}, {"resourceSpan": wrong})
    assert found == SPANS[:1]
    other = reason.replace(shown, "'resourceSpan'").replace(f"'{expected}'", "'resourceSpans'")
    assert problems == [f"x, line 2: {reason}", f"x, line 3: {other}"]


def test_a_scope_beside_unknown_ones_is_read():
    whole = request(AGENT)
    whole["resourceSpans"][0] |= {"ilSpans": whole["resourceSpans"][0]["scopeSpans"], "schemaUrl": "u", "notes": [1]}
    reason = "has 'ilSpans' where 'scopeSpans' is expected; what it contains was not read."
    assert spans_of(json.dumps(whole, indent=1)) == (SPANS[:1], [f"x: {reason}"])
    assert spans_of(whole, {}) == (SPANS[:1], [f"x, line 1: {reason}"])


def test_records_of_other_signals_are_counted():
    reading = reading_of("x", request(AGENT), {"resourceLogs": [{}]}, {"resource_metrics": []}, {"resourceLogs": []}, {})
    assert len(list(read(reading))) == 1
    assert reading.problems == []
    assert reading.skipped == {
        "records of OpenTelemetry logs, which contain no spans": 2,
        "records of OpenTelemetry metrics, which contain no spans": 1,
    }
