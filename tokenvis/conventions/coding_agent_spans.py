"""The spans of Codex' and Gemini CLI's own telemetry, under OpenTelemetry's names.

Codex exports the spans of its Rust functions: ``tool_name`` and ``call_id`` are on the span of a tool, ``model`` on those of a
request. Its turn repeats the tokens of its requests; `usage` counts these once.

Gemini CLI has "gemini-cli" as the agent of every span, also inside a subagent (``agent_call``). So only its root names it, and
the spans inside inherit their agent. The name of a subagent is on its own span, else it is the ``agent_name`` in the input of
the tool call around it.

Sources: the telemetry of Codex 0.160, as captured; the sources of Gemini CLI.
"""

from collections.abc import Mapping
from typing import Any

from tokenvis.conventions.rules import as_name
from tokenvis.conventions.values import decode_json_text

RUST_MARK = "busy_ns"  # on each span of a Rust program
CODEX_REQUESTS = {"run_sampling_request", "stream_request", "model_client.stream_responses_api"}
GEMINI_CLI = "gemini-cli"
GEMINI_KINDS = {"llm_call": "model", "tool_call": "tool", "agent_call": "agent"}
AGENT_CALL = "agent_call"
INPUT_KEYS_OF_GEMINI = ("gen_ai.input.messages", "input")


def codex_kind(name: str, attributes: dict[str, Any]) -> str:
    """The kind of work of a span of Codex, "" if it is another; its attributes get OpenTelemetry's names.

    Examples
    --------
    >>> attributes = {"tool_name": "exec_command", "call_id": "c1"}
    >>> codex_kind("exec_command", attributes), attributes
    ('tool', {'gen_ai.tool.name': 'exec_command', 'gen_ai.tool.call.id': 'c1'})
    """
    if "tool_name" in attributes and "call_id" in attributes:
        attributes["gen_ai.tool.name"] = attributes.pop("tool_name")
        attributes["gen_ai.tool.call.id"] = attributes.pop("call_id")
        return "tool"
    if name in CODEX_REQUESTS and "model" in attributes:
        attributes.setdefault("gen_ai.request.model", attributes.pop("model"))
        return "model"
    return ""


def is_inside_gemini_cli(attributes: Mapping[str, Any], parent: str | None) -> bool:
    """Whether a span has the name of Gemini CLI as its agent, and is not a root: a subagent may run it."""
    return parent is not None and attributes.get("gen_ai.agent.name") == GEMINI_CLI


def agent_called(attributes: Mapping[str, Any]) -> str | None:
    """The subagent that a tool call of Gemini CLI starts, by its input; None if it starts none.

    Examples
    --------
    >>> agent_called({"gen_ai.input.messages": '{"name": "invoke_agent", "args": {"agent_name": "reviewer"}}'})
    'reviewer'
    """
    for key in INPUT_KEYS_OF_GEMINI:
        request = decode_json_text(attributes.get(key))
        if isinstance(request, Mapping):
            arguments = decode_json_text(request.get("args"))
            for source in (request, arguments):
                if isinstance(source, Mapping) and (name := as_name(source.get("agent_name"))):
                    return name
    return None
