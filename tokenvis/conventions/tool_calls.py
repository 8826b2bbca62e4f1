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

from tokenvis.conventions.rules import as_name
from tokenvis.conventions.values import json_text_value

CALL_ID = "gen_ai.tool.call.id"
ANSWER_KEYS = {  # of attributes or of the rest of the payload, and whether they contain only calls
    **dict.fromkeys(("ai.response.toolCalls", "ai.result.toolCalls", "gen_ai.response.tool_calls", "toolCalls"), True),
    **dict.fromkeys(
        ("gen_ai.output.messages", "llm.output_messages", "gen_ai.completion", "gen_ai.output", "response_data"), False
    ),
    **dict.fromkeys(("gcp.vertex.agent.llm_response", "output.value", "output", "langfuse.observation.output"), False),
    **dict.fromkeys(("traceloop.entity.output", "events"), False),
}
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
MARKERS = ('"tool', '"function_call', '"functionCall')  # one of them is in every JSON text with a call
MAX_ANSWER_DEPTH = 16


def calls_asked_for(attributes: Mapping[str, Any], data: Mapping[str, Any]) -> tuple[str, ...]:
    """The ids of the calls that a model's answer asks for; ``data`` is the rest of the payload of the model's span.

    Examples
    --------
    >>> calls_asked_for({"gen_ai.output.messages": '[{"parts": [{"type": "tool_call", "id": "call_1"}]}]'}, {})
    ('call_1',)
    """
    found: dict[str, None] = {}
    for values in (attributes, data):
        for key in values:
            if key in ANSWER_KEYS and not found:  # the others contain the same answer
                add_answer(found, key, values[key])
    if not found and "tool_call" in "\n".join(attributes):  # most models have no such attribute
        indexed = (attributes[key] for key in attributes if INDEXED_CALL_ID.fullmatch(key))
        found |= dict.fromkeys(call for value in indexed if (call := as_name(value)))
    return tuple(found)


def add_answer(found: dict[str, None], key: str, value: Any) -> None:
    """Add the ids of the calls in an attribute, or in another value of the payload, that may contain an answer."""
    if key != "events":
        add_call_ids(found, value, is_call=ANSWER_KEYS[key])
        return
    for answer, is_call in answers_in_events(value):
        add_call_ids(found, answer, is_call=is_call)


def answers_in_events(events: Any) -> Iterator[tuple[Any, bool]]:
    """The answers in the events of a span, or in Logfire's attribute of that name, each with whether it is a list of calls."""
    events = parsed_answer(events)
    for event in events if isinstance(events, list) else ():
        if isinstance(event, dict) and event.get("event.name", event.get("name")) in ANSWER_EVENTS:
            yield event, False
            attributes = event.get("attributes")
            for key, value in attributes.items() if isinstance(attributes, dict) else ():
                if key not in INPUT_KEYS:
                    yield value, key in ASKING_KEYS


def add_call_ids(found: dict[str, None], answer: Any, depth: int = 0, *, is_call: bool = False) -> None:
    """Add the ids of the calls in an answer of any shape; ``is_call``: it is a call, or a list of calls."""
    if type(answer) is str:
        answer = parsed_answer(answer, is_call=is_call)
    if type(answer) is list and depth < MAX_ANSWER_DEPTH:
        for item in answer:
            if is_call or type(item) is not str:
                add_call_ids(found, item, depth + 1, is_call=is_call)
    elif type(answer) is dict and depth < MAX_ANSWER_DEPTH:
        kind = answer.get("type")
        if is_call or (type(kind) is str and kind in ASKING_TYPES):
            for key in CALL_ID_KEYS:
                if key in answer and (call := as_name(answer[key])):
                    found[call] = None
                    return
        for key, nested in answer.items():  # a text is what the model said, unless it is under the key of a call
            if key in ASKING_KEYS:
                add_call_ids(found, nested, depth + 1, is_call=True)
            elif (type(nested) is list or type(nested) is dict) and key not in SKIPPED_KEYS:
                add_call_ids(found, nested, depth + 1)


def parsed_answer(value: Any, *, is_call: bool = False) -> Any:
    """The value of a JSON text, None if it cannot contain a call; any other value unchanged."""
    if not isinstance(value, str):
        return value
    if value[:1] not in ("[", "{") or not (is_call or any(marker in value for marker in MARKERS)):
        return None
    try:
        return json_text_value(value)
    except ValueError:
        return None


def call_made(attributes: Mapping[str, Any], data: Mapping[str, Any]) -> str | None:
    """The id of the call that the span of a tool made: an attribute, else in the message with its result; None if unknown."""
    call = as_name(attributes.get(CALL_ID))
    if call is not None:
        return call
    for key in RESULT_KEYS:
        result = parsed_answer(attributes.get(key, data.get(key)))
        for message in (result, result.get("output"), result.get("kwargs")) if isinstance(result, dict) else ():
            if isinstance(message, dict):
                call = call or next((name for key in RESULT_ID_KEYS if (name := as_name(message.get(key)))), None)
    return call
