"""Tool calls: the ids of the calls that a model's answer asks for, and the id of the call that the span of a tool made.

Instrumentations write an answer in many ways: OpenTelemetry (``gen_ai.output.messages``, events named ``gen_ai.choice``),
OpenInference (``llm.output_messages.0.message.tool_calls.0.tool_call.id``), OpenLLMetry
(``gen_ai.completion.0.tool_calls.0.id``), Vercel's AI SDK (``ai.response.toolCalls``), Logfire (``events``), or as the provider
sent it (OpenAI, Anthropic, Bedrock, LangChain). Only what a model answered counts, never the messages that it was given: these
repeat the calls of earlier answers.

Sources: the semantic conventions of OpenTelemetry and of OpenInference, and the APIs of the providers.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from tokenvis.conventions.rules import as_name

CALL_ID = "gen_ai.tool.call.id"
ANSWER_KEYS = (  # of attributes, or of the rest of the payload
    *("gen_ai.output.messages", "llm.output_messages", "gen_ai.completion", "gen_ai.output", "response_data"),
    *("gcp.vertex.agent.llm_response", "output.value", "output", "traceloop.entity.output", "langfuse.observation.output"),
)
CALL_LIST_KEYS = ("ai.response.toolCalls", "ai.result.toolCalls", "gen_ai.response.tool_calls", "toolCalls")
INDEXED_CALL_ID = re.compile(r"llm\.output_messages\.\d+\..+\.tool_call\.id|gen_ai\.completion\.\d+\.tool_calls\.\d+\.id")
ANSWER_EVENTS = ("gen_ai.choice", "gen_ai.client.inference.operation.details")
INPUT_KEYS = {"gen_ai.input.messages", "gen_ai.system_instructions", "gen_ai.tool.definitions"}
ASKING_TYPES = {"tool_call", "tool-call", "toolCall", "tool_use", "function_call"}
ASKING_KEYS = {
    "tool_calls",
    "toolCalls",
    "message.tool_calls",
    "tool_call",
    "toolCall",
    "toolUse",
    "function_call",
    "functionCall",
}
CALL_ID_KEYS = ("call_id", "toolCallId", "toolUseId", "tool_call_id", "tool_call.id", "id")
SKIPPED_KEYS = {"arguments", "args", "input", "parameters", "attributes"}  # they may contain anything
RESULT_KEYS = ("output.value", "output", "traceloop.entity.output", "gen_ai.tool.call.result")
RESULT_ID_KEYS = ("tool_call_id", "tool_use_id", "toolCallId")
MARKERS = ("ool", "unction")  # one of them is in every text with a call
MAX_ANSWER_DEPTH = 16


def calls_asked_for(attributes: Mapping[str, Any], data: Mapping[str, Any]) -> tuple[str, ...]:
    """The ids of the calls that a model's answer asks for; ``data`` is the rest of the payload of the model's span.

    Examples
    --------
    >>> calls_asked_for({"gen_ai.output.messages": '[{"parts": [{"type": "tool_call", "id": "call_1"}]}]'}, {})
    ('call_1',)
    """
    indexed = [as_name(value) for key, value in attributes.items() if key.endswith(".id") and INDEXED_CALL_ID.fullmatch(key)]
    if indexed:
        return tuple(dict.fromkeys(call for call in indexed if call))
    for answer, is_call in answers_in(attributes, data):
        if found := tuple(dict.fromkeys(call_ids(answer, is_call=is_call))):
            return found
    return ()


def answers_in(attributes: Mapping[str, Any], data: Mapping[str, Any]) -> Iterator[tuple[Any, bool]]:
    """The values that may contain a model's answer, each with whether it is a list of calls; a later one repeats the first."""
    for values in (attributes, data):
        for key in CALL_LIST_KEYS:
            if key in values:
                yield values[key], True
        for key in ANSWER_KEYS:
            if key in values:
                yield values[key], False
        if "events" in values:
            yield from answers_in_events(values["events"])


def answers_in_events(events: Any) -> Iterator[tuple[Any, bool]]:
    """The same for the events of a span, or for Logfire's attribute of that name."""
    events = parsed_answer(events)
    for event in events if isinstance(events, list) else ():
        if isinstance(event, dict) and event.get("event.name", event.get("name")) in ANSWER_EVENTS:
            yield event, False
            attributes = event.get("attributes")
            for key, value in attributes.items() if isinstance(attributes, dict) else ():
                if key not in INPUT_KEYS:
                    yield value, key in ASKING_KEYS


def call_ids(answer: Any, depth: int = 0, *, is_call: bool = False) -> Iterator[str]:
    """The ids of the calls in an answer of any shape; ``is_call``: it is a call, or a list of calls."""
    if isinstance(answer, str) and (is_call or depth == 0):  # other texts are what the model said
        answer = parsed_answer(answer, is_call=is_call)
    if isinstance(answer, list) and depth < MAX_ANSWER_DEPTH:
        for item in answer:
            yield from call_ids(item, depth + 1, is_call=is_call)
    elif isinstance(answer, dict) and depth < MAX_ANSWER_DEPTH:
        kind = answer.get("type")
        if is_call or (isinstance(kind, str) and kind in ASKING_TYPES):
            call = next((name for key in CALL_ID_KEYS if (name := as_name(answer.get(key)))), None)
            if call is not None:
                yield call
                return
        for key, nested in answer.items():
            if key not in SKIPPED_KEYS:
                yield from call_ids(nested, depth + 1, is_call=key in ASKING_KEYS)


def parsed_answer(value: Any, *, is_call: bool = False) -> Any:
    """The value of a JSON text, None if it cannot contain a call; any other value unchanged."""
    if not isinstance(value, str):
        return value
    if value[:1] not in ("[", "{") or not (is_call or any(marker in value for marker in MARKERS)):
        return None
    try:
        return orjson.loads(value)
    except orjson.JSONDecodeError:
        return None


def call_made(attributes: Mapping[str, Any], data: Mapping[str, Any]) -> str | None:
    """The id of the call that the span of a tool made: an attribute, else in the message with its result; None if unknown."""
    call = as_name(attributes.get(CALL_ID))
    for key in RESULT_KEYS if call is None else ():
        result = parsed_answer(attributes.get(key, data.get(key)))
        for message in (result, result.get("output"), result.get("kwargs")) if isinstance(result, dict) else ():
            if isinstance(message, dict):
                call = call or next((name for key in RESULT_ID_KEYS if (name := as_name(message.get(key)))), None)
    return call
