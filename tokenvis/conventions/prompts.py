"""Prompts: what the root span of a trace was asked, which tells traces of one name apart.

Instrumentations write a prompt as a text, as a list of messages, or as the arguments of a function. Of messages, the last one
of the user counts: the earlier ones belong to earlier traces of the conversation.

Sources: the semantic conventions of OpenTelemetry and OpenInference, OpenLLMetry, Vercel's AI SDK, Claude Code.
"""

from collections.abc import Mapping
from typing import Any

from tokenvis.conventions.values import decode_json_text

PROMPT_KEYS = (
    "user_prompt",
    "gen_ai.input.messages",
    "gen_ai.prompt",
    "input.value",
    "traceloop.entity.input",
    "ai.prompt",
    "gcp.vertex.agent.llm_request",
    "langfuse.observation.input",
    "input",
)
CONTENT_KEYS = (
    *("messages", "new_message", "user_message", "prompt", "question", "query", "task", "input", "inputs", "content", "parts"),
    "text",
)
REDACTED = ("<redacted>", "[redacted]")
MAX_PROMPT_DEPTH = 8
MAX_PROMPT_LENGTH = 60  # in a name


def prompt_of(attributes: Mapping[str, Any], data: Mapping[str, Any]) -> str | None:
    """What a span was asked, None if it does not tell; ``data`` is the rest of its payload.

    Examples
    --------
    >>> prompt_of({"input.value": '{"messages": [{"role": "user", "content": "Plan a trip"}]}'}, {})
    'Plan a trip'
    """
    for key in PROMPT_KEYS:
        value = attributes.get(key, data.get(key))
        if value is not None and (text := text_in(value)):
            return text
    return None


def text_in(value: Any, depth: int = 0) -> str | None:
    """The text of the user in a prompt of any shape."""
    value = decode_json_text(value)
    if isinstance(value, str):
        text = value.strip()
        return text if text and text.lower() not in REDACTED and text[0] not in "[{" else None
    if depth >= MAX_PROMPT_DEPTH:
        return None
    if isinstance(value, list):
        users = [
            item for item in value if isinstance(item, Mapping) and item.get("role", item.get("type")) in ("user", "human")
        ]
        has_roles = any(isinstance(item, Mapping) and "role" in item for item in value)
        items = reversed(users) if users else () if has_roles else value
        return next((found for item in items if (found := text_in(item, depth + 1))), None)
    if isinstance(value, Mapping):
        return next((found for key in CONTENT_KEYS if key in value and (found := text_in(value[key], depth + 1))), None)
    return None
