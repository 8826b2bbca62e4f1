import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenvis.conventions.opentelemetry import span_of
from tokenvis.conventions.tool_calls import MAX_ANSWER_DEPTH, call_made, calls_asked_for

OPENAI = {"role": "assistant", "content": None, "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "f"}}]}
CHOICES = {"id": "chatcmpl-1", "choices": [{"index": 0, "message": OPENAI, "finish_reason": "tool_calls"}]}
PART = {"type": "tool_call", "id": "c1", "name": "f", "arguments": {"id": "no", "tool_calls": [{"id": "no"}]}}
MESSAGES = [{"role": "assistant", "parts": [{"type": "text", "content": "so"}, PART], "finish_reason": "tool_call"}]
ASKED_BEFORE = {"event.name": "gen_ai.assistant.message", "tool_calls": [{"id": "earlier"}]}
LANGCHAIN = {
    "generations": [[{"text": "", "message": {"lc": 1, "kwargs": {"tool_calls": [{"name": "f", "args": {}, "id": "c1"}]}}}]]
}


@pytest.mark.parametrize(
    ("attributes", "data"),
    [
        ({"gen_ai.output.messages": json.dumps(MESSAGES), "gen_ai.input.messages": json.dumps([OPENAI])}, {}),
        ({"gen_ai.output.messages": MESSAGES}, {}),
        ({"llm.output_messages.0.message.tool_calls.0.tool_call.id": "c1"}, {}),
        ({"llm.output_messages": [{"message.role": "assistant", "message.tool_calls": [{"tool_call.id": "c1"}]}]}, {}),
        ({"llm.output_messages": [{"message": {"tool_calls": [{"tool_call": {"id": "c1", "function": {}}}]}}]}, {}),
        ({"gen_ai.completion.0.tool_calls.0.id": "c1", "gen_ai.prompt.1.tool_calls.0.id": "earlier"}, {}),
        ({"ai.response.toolCalls": json.dumps([{"toolCallType": "function", "toolCallId": "c1", "toolName": "f"}])}, {}),
        ({"gen_ai.response.tool_calls": [json.dumps({"id": "c1", "name": "f"})]}, {}),
        ({"events": json.dumps([ASKED_BEFORE, {"event.name": "gen_ai.choice", "index": 0, "message": OPENAI}])}, {}),
        ({"response_data": json.dumps({"message": OPENAI})}, {}),
        ({"output.value": json.dumps(CHOICES)}, {}),
        ({"output.value": CHOICES}, {}),
        ({"output.value": json.dumps({"output": [{"type": "function_call", "id": "fc_1", "call_id": "c1"}]})}, {}),
        ({"output.value": {"content": [{"type": "text", "text": "so"}, {"type": "tool_use", "id": "c1", "input": {}}]}}, {}),
        ({"output.value": {"output": {"message": {"content": [{"toolUse": {"toolUseId": "c1"}}]}}}}, {}),
        ({"gcp.vertex.agent.llm_response": {"content": {"parts": [{"function_call": {"id": "c1", "args": {}}}]}}}, {}),
        ({"traceloop.entity.output": json.dumps(LANGCHAIN)}, {}),
        ({}, {"output": OPENAI}),
        ({}, {"output": json.dumps(MESSAGES), "input": [OPENAI]}),
        ({}, {"toolCalls": [json.dumps({"id": "c1", "name": "f"})]}),
        (
            {},
            {"events": [{"name": "gen_ai.choice", "attributes": {"message": json.dumps([{"toolUse": {"toolUseId": "c1"}}])}}]},
        ),
        ({}, {"events": [{"name": "gen_ai.choice", "attributes": {"gen_ai.event.content": json.dumps({"message": OPENAI})}}]}),
        (
            {},
            {
                "events": [
                    {"name": "gen_ai.client.inference.operation.details", "attributes": {"gen_ai.output.messages": MESSAGES}}
                ]
            },
        ),
    ],
)
def test_the_calls_that_an_answer_asks_for(attributes, data):
    assert calls_asked_for(attributes, data) == ("c1",)


@pytest.mark.parametrize(
    ("attributes", "data"),
    [
        ({}, {}),
        (
            {"gen_ai.input.messages": MESSAGES, "llm.input_messages.2.message.tool_calls.0.tool_call.id": "c1"},
            {"input": OPENAI},
        ),
        ({"events": json.dumps([ASKED_BEFORE])}, {"events": [{"name": "gen_ai.assistant.message", "attributes": OPENAI}]}),
        ({"output.value": "I would call the tool: {"}, {"output": '{"tool_calls": ['}),
        ({"output.value": json.dumps({"content": json.dumps({"reply": json.dumps({"x": json.dumps(OPENAI)})})})}, {}),
        ({"gen_ai.completion.0.tool_calls.0.id": "", "gen_ai.completion.0.id": "x"}, {}),
        ({"gen_ai.output.messages": 7, "events": {"name": "gen_ai.choice"}}, {"events": [5], "output": True}),
        ({"gen_ai.output.messages": [{"type": "tool_call", "id": {"a": 1}}, {"tool_calls": [None, 1.5, [], {"id": []}]}]}, {}),
    ],
)
def test_an_answer_without_calls(attributes, data):
    assert calls_asked_for(attributes, data) == ()


def test_calls_are_distinct_and_in_order():
    calls = [{"type": "tool_call", "id": call} for call in ("b", "a", "b", 7)]
    assert calls_asked_for({"gen_ai.output.messages": [{"parts": calls}]}, {}) == ("b", "a", "7")


def test_an_answer_that_is_nested_too_deeply_is_cut():
    deep = OPENAI
    for _ in range(50_000):
        deep = [deep]
    assert MAX_ANSWER_DEPTH < 50
    assert calls_asked_for({"output.value": deep}, {}) == ()
    assert calls_asked_for({"output.value": "[" * 50_000 + '"tool"'}, {}) == ()


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3) | st.just(json.dumps(CHOICES)),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "id", "tool_calls", "message", "name", "attributes", "toolUse"]), inner, max_size=4
        )
    ),
)


@pytest.mark.laws
@given(ANY)
def test_no_answer_raises(value):
    for key in ("gen_ai.output.messages", "events", "ai.response.toolCalls"):
        for found in (calls_asked_for({key: value}, {}), calls_asked_for({}, {key: value, "output": value})):
            assert all(type(call) is str and call for call in found)
    made = call_made({"output.value": value}, {"output": value})
    assert made is None or made


@pytest.mark.parametrize(
    ("attributes", "data", "call"),
    [
        ({"gen_ai.tool.call.id": "c1"}, {}, "c1"),
        ({"gen_ai.tool.call.id": 7}, {}, "7"),
        ({"output.value": json.dumps({"content": "4", "type": "tool", "tool_call_id": "c1"})}, {}, "c1"),
        ({"traceloop.entity.output": {"output": {"kwargs": {}, "tool_call_id": "c1"}}}, {}, "c1"),
        ({}, {"output": {"lc": 1, "kwargs": {"tool_call_id": "c1"}}}, "c1"),
        ({"gen_ai.tool.call.id": " "}, {"output": "4"}, None),
        ({"output.value": [1]}, {"output": {"tool_call_id": None, "output": 5}}, None),
    ],
)
def test_the_call_that_a_tool_made(attributes, data, call):
    assert call_made(attributes, data) == call


class Names:
    without_texts = False

    def name_trace(self, trace_id, name, start=None):
        pass


@pytest.mark.parametrize(
    ("attributes", "calls", "call"),
    [
        ({"gen_ai.operation.name": "chat", "gen_ai.output.messages": MESSAGES, "tool_call.id": "x"}, ("c1",), None),
        ({"gen_ai.operation.name": "invoke_agent", "gen_ai.output.messages": MESSAGES, "tool_call.id": "x"}, (), None),
        ({"openinference.span.kind": "TOOL", "tool.id": "c1"}, (), "c1"),
        ({"openinference.span.kind": "TOOL", "tool_call.id": "c1"}, (), "c1"),
        ({"ai.toolCall.name": "f", "ai.toolCall.id": "c1"}, (), "c1"),
        ({"gen_ai.tool.name": "f", "tool_use_id": "c1"}, (), "c1"),
        ({"gen_ai.tool.name": "f", "tool_call_id": "c1"}, (), "c1"),
        ({"gen_ai.operation.name": "approve", "tool_call_id": "c1"}, (), None),
    ],
)
def test_a_model_asks_and_a_tool_makes_the_call(attributes, calls, call):
    span = span_of(Names(), "t", "a", None, "x", 0, 1, attributes)
    assert (span.calls, span.call) == (calls, call)
    assert (span.location == "tool:f") is (attributes.get("ai.toolCall.name", attributes.get("gen_ai.tool.name")) is not None)
