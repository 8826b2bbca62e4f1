"""The spans of Claude Code's own telemetry, under OpenTelemetry's names.

An interaction contains model calls (``claude_code.llm_request``) and tool calls (``claude_code.tool``); a tool call contains
the wait for a permission (``blocked_on_user``) and the ``execution``. The spans of a subagent are inside the tool call that
started it, and have an opaque ``agent_id``; its type is in ``query_source`` of its model calls ("agent:builtin:Explore"), and
in ``subagent_type`` of that tool call. Only the tool call names its tool, so the spans inside wait for it.

Source: Claude Code's documentation on monitoring; files that it has sent.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from tokenvis.conventions.rules import as_name, location_of
from tokenvis.conventions.span import SpanRead

PREFIX = "claude_code."
TOOL_SPAN = "claude_code.tool"
KINDS = {
    "claude_code.interaction": "interaction",
    "claude_code.llm_request": "model",
    TOOL_SPAN: "tool",
    "claude_code.tool.execution": "execution",
    "claude_code.tool.blocked_on_user": "permission",
    "claude_code.hook": "hook",
}
OWN_NAMES = {"tool_name": "gen_ai.tool.name", "agent_id": "gen_ai.agent.id", "model": "gen_ai.request.model"}
AGENT_SOURCE, OWN_AGENTS = "agent:", ("custom", "builtin")
CALL_PARTS = ("claude_code.tool.execution", "claude_code.tool.blocked_on_user")
TOOL_NAME = "gen_ai.tool.name"
MAX_PARTS = 20_000  # that wait for the tool call that they are in


def claude_code_kind(name: str, attributes: dict[str, Any]) -> str:
    """The kind of work of a span of Claude Code; its attributes get OpenTelemetry's names.

    Examples
    --------
    >>> attributes = {"tool_name": "Bash", "agent_id": "a1"}
    >>> claude_code_kind("claude_code.tool", attributes), attributes
    ('tool', {'gen_ai.tool.name': 'Bash', 'gen_ai.agent.id': 'a1'})
    """
    for own, key in OWN_NAMES.items():
        if own in attributes:
            value = attributes.pop(own)
            attributes.setdefault(key, value)
    if agent := agent_type(attributes.get("query_source")):
        attributes.setdefault("gen_ai.agent.name", agent)
    if name == "claude_code.llm_request":
        attributes.setdefault("span.type", "llm_request")
    return KINDS.get(name, "")


def agent_type(source: Any) -> str | None:
    """The type of the subagent that a request is from: "agent:builtin:Explore"; None if it is not told."""
    if type(source) is not str or not source.startswith(AGENT_SOURCE):
        return None
    name = source.removeprefix(AGENT_SOURCE)
    for group in OWN_AGENTS:
        name = name.removeprefix(group)
    return name.strip(":") or None


def with_parent_tools(spans: Iterable[SpanRead]) -> Iterator[SpanRead]:
    """The spans, with the tool of the tool call around them on Claude Code's executions and permissions.

    Such a span waits until its tool call is read; the oldest ones are passed on unchanged if too many wait.
    """
    tools: dict[str, str] = {}
    waiting: dict[str, list[SpanRead]] = {}
    n_waiting = 0
    for span in spans:
        if not span.name.startswith(TOOL_SPAN) or span.restored:
            yield span
            continue
        if span.name == TOOL_SPAN and (tool := as_name(span.data.get("attributes", {}).get(TOOL_NAME))):
            tools[span.id] = tool
            parts = waiting.pop(span.id, [])
            n_waiting -= len(parts)
            yield span
            yield from (with_tool(part, tool) for part in parts)
        elif span.name not in CALL_PARTS or span.parent is None or TOOL_NAME in span.data.get("attributes", {}):
            yield span
        elif span.parent in tools:
            yield with_tool(span, tools[span.parent])
        else:
            waiting.setdefault(span.parent, []).append(span)
            n_waiting += 1
            if n_waiting > MAX_PARTS:
                oldest = waiting.pop(next(iter(waiting)))
                n_waiting -= len(oldest)
                yield from oldest
    for parts in waiting.values():
        yield from parts


def with_tool(span: SpanRead, tool: str) -> SpanRead:
    """A span of a part of a tool call, at its tool."""
    span.data.setdefault("attributes", {})[TOOL_NAME] = tool
    span.location = location_of(tool=tool)
    return span
