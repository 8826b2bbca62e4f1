"""The rule that finds the spans that wait for a person: their tool asks a person, or their source marks the wait.

A span waits for whom ``waits_for`` in its data names: an agent, or a person, who is "user" unless the source names one. If the
source has not written that key, this rule sets it for exact names only: a wait that the rule does not find is shown as work,
but work is never shown as a wait. A caller can add to the rule, or override it, with an attribute or a function of the span.

Sources: the tool names in the sources of the tools and frameworks below; the telemetry of Claude Code, whose spans
``claude_code.tool.blocked_on_user`` last from a permission request to its answer, by a person or by a rule (``source``);
OpenTelemetry's conventions for MCP.
"""

from collections.abc import Mapping
from typing import Any

from tokenvis.tree.states import USER

ASKING_TOOLS = frozenset(
    [
        "AskUserQuestion",  # Claude Code
        "ExitPlanMode",  # Claude Code: asks to approve a plan
        "exit_plan_mode",  # Gemini CLI, Qwen Code
        "ask_user",  # Gemini CLI, GitHub Copilot CLI, Inspect
        "ask_user_question",  # Qwen Code
        "request_user_input",  # Codex
        "request_permissions",  # Codex
        "ask_followup_question",  # Cline, Roo Code
        "plan_mode_respond",  # Cline: presents a plan, and waits for the answer
        "vscode_askQuestions",  # GitHub Copilot in VS Code
        "human",  # LangChain: HumanInputRun
        "Human",  # LangChain, older versions
        "human_assistance",  # LangGraph: the tool of its tutorial, which interrupts the graph
        "user_input",  # smolagents: UserInputTool
        "get_user_input",  # Agno: UserControlFlowTools
        "ask_human",  # MetaGPT, OpenManus
        "ask_human_via_console",  # CAMEL: HumanToolkit
        "handoff_to_user",  # Strands Agents
        "get_user_choice",  # Google ADK
        "adk_request_confirmation",  # Google ADK
        "adk_request_input",  # Google ADK
    ]
)
TOOL_PREFIX = "tool:"
BLOCKED_ON_USER = "blocked_on_user"
DECIDED_BY_RULES = ("config", "hook")  # sources of a decision of Claude Code: no one was asked
ELICITATION = "elicitation/create"  # the method by which an MCP server asks the user


def default_wait(location: str, data: Mapping[str, Any]) -> str | None:
    """Whom a span at this location waits for: "user" if its tool asks a person, or its source marks it; else None.

    Examples
    --------
    >>> default_wait("tool:AskUserQuestion", {}), default_wait("tool:Bash", {})
    ('user', None)
    >>> default_wait("tool:Bash", {"label": "claude_code.tool.blocked_on_user"})
    'user'
    """
    attributes = data.get("attributes")
    known = attributes if type(attributes) is dict else {}
    if is_blocked_on_user(data.get("label")) or is_blocked_on_user(known.get("span.type")):
        source = known.get("source")
        return None if type(source) is str and source in DECIDED_BY_RULES else USER
    if location.startswith(TOOL_PREFIX):
        return USER if location[len(TOOL_PREFIX) :] in ASKING_TOOLS else None
    method = known.get("mcp.method.name")
    return USER if type(method) is str and method == ELICITATION else None


def is_blocked_on_user(name: Any) -> bool:
    """Whether the last part of a dotted name says so; never calls a method that a program could override."""
    return type(name) is str and name.endswith(BLOCKED_ON_USER) and name.rpartition(".")[2] == BLOCKED_ON_USER
