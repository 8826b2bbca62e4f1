"""The calls in Inspect's events: models, tools, commands in a sandbox and subtasks, with their names and attributes.

Long texts are stored separately as attachments, and inserted here.
"""

from collections.abc import Mapping
from typing import Any, TypeAlias

from tokenvis.conventions.rules import as_name, location_of
from tokenvis.conventions.span import optional_value, shorten

ATTACHMENT_PREFIX = "attachment://"
INSPECT_TOKEN_KEYS = {
    "input_tokens_cache_read": "gen_ai.usage.cache_read.input_tokens",
    "input_tokens_cache_write": "gen_ai.usage.cache_creation.input_tokens",
    "reasoning_tokens": "gen_ai.usage.reasoning.output_tokens",
}
TASK_KEYS = ("input", "task", "prompt")  # of the arguments with which an agent is started

Attachments: TypeAlias = Mapping[str, Any]


def nested_value(value: Any, key: str) -> Any:
    """The value under a key of an object, None if it is not an object."""
    return value.get(key) if isinstance(value, dict) else None


def model_call_parts(attachments: Attachments, event: dict[str, Any]) -> tuple[str, str, dict[str, Any]]:
    """The name, location and attributes of a model call."""
    model, output = optional_value(event, "model", str), event.get("output")
    attributes: dict[str, Any] = {"gen_ai.operation.name": "chat", "gen_ai.request.model": model}
    attributes["gen_ai.response.model"] = nested_value(output, "model")
    choices = nested_value(output, "choices")
    texts = (
        [nested_value(nested_value(choice, "message"), "content") for choice in choices] if isinstance(choices, list) else []
    )
    attributes["gen_ai.output.messages"] = [with_attachments(attachments, text) for text in texts if text] or None
    return model or "model", location_of(model=model), attributes | inspect_tokens(nested_value(output, "usage"))


def tool_calls_in(event: dict[str, Any]) -> list[str]:
    """The ids of the tool calls for which a model's answer asks."""
    choices = nested_value(event.get("output"), "choices")
    calls = (
        nested_value(nested_value(choice, "message"), "tool_calls") for choice in (choices if isinstance(choices, list) else ())
    )
    ids = (as_name(nested_value(call, "id")) for message in calls if isinstance(message, list) for call in message)
    return [call_id for call_id in ids if call_id]


def task_in(arguments: Any) -> str | None:
    """The task in the arguments with which an agent or a subtask was started, None if they have none."""
    texts = [arguments] if isinstance(arguments, str) else [nested_value(arguments, key) for key in TASK_KEYS]
    return next((text for text in texts if isinstance(text, str) and text.strip()), None)


def inspect_tokens(usage: Any) -> dict[str, int]:
    """Token counts with cached tokens in the input; the total shows whether the source includes them."""
    counts = {key: count for key, count in usage.items() if type(count) is int} if isinstance(usage, dict) else {}
    tokens = {name: counts[key] for key, name in INSPECT_TOKEN_KEYS.items() if key in counts}
    n_input, n_output = counts.get("input_tokens"), counts.get("output_tokens")
    if n_input is not None:
        cached = counts.get("input_tokens_cache_read", 0) + counts.get("input_tokens_cache_write", 0)
        is_separate = counts.get("total_tokens") == n_input + (n_output or 0) + cached
        tokens["gen_ai.usage.input_tokens"] = n_input + cached if is_separate else n_input
    if n_output is not None:
        tokens["gen_ai.usage.output_tokens"] = n_output
    return tokens


def tool_call_parts(attachments: Attachments, event: dict[str, Any]) -> tuple[str, str, dict[str, Any]]:
    """The name, location and attributes of a tool call."""
    name = optional_value(event, "function", str) or "tool"
    attributes: dict[str, Any] = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": name}
    attributes["gen_ai.tool.call.id"] = as_name(event.get("id"))
    attributes["gen_ai.tool.call.arguments"] = with_attachments(attachments, event.get("arguments")) or None
    attributes["gen_ai.tool.call.result"] = with_attachments(attachments, event.get("result")) or None
    return name, location_of(tool=name), attributes


def other_call_parts(attachments: Attachments, event: dict[str, Any]) -> tuple[str, str, dict[str, Any]]:
    """The name, location and attributes of a sandbox command or a subtask."""
    if event["event"] == "subtask":
        name = optional_value(event, "name", str) or "subtask"
        return name, f"node:{name}", {"input": with_attachments(attachments, event.get("input"))}
    action = optional_value(event, "action", str) or "exec"
    keys = ("cmd", "file", "input", "output", "result")
    return action, f"sandbox:{action}", {key: with_attachments(attachments, event.get(key)) for key in keys}


def event_label(attachments: Attachments, event: dict[str, Any], name: str) -> str:
    """A short label for a call, from its command or arguments."""
    arguments = event.get("arguments")
    texts = [event.get("cmd"), *(arguments.values() if isinstance(arguments, dict) else ())]
    text = next((value for value in texts if isinstance(value, str) and value.strip()), None)
    return shorten(str(with_attachments(attachments, text))) if text else name


def with_attachments(attachments: Attachments, value: Any) -> Any:
    """A value with the attachments that it names inserted."""
    if isinstance(value, str):
        return attachments.get(value.removeprefix(ATTACHMENT_PREFIX), value) if value.startswith(ATTACHMENT_PREFIX) else value
    if isinstance(value, list):
        return [with_attachments(attachments, item) for item in value]
    if isinstance(value, dict):
        return {key: with_attachments(attachments, item) for key, item in value.items()}
    return value
