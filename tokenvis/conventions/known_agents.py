"""Known agents: spans that name their agent by an id only, whose name stands on another span of the trace.

CrewAI's span of a task has a ``task_id``; the roles of all tasks stand in ``crew_tasks`` on the span of the crew, which ends
last and is often written last. Other sources give the name beside ``gen_ai.agent.id`` on the agent's own span, and the id alone
on the spans inside; Claude Code gives the type of a subagent on the tool call around it. The names are known once all spans of
a source are read, so spans that need one wait until then.

Source: OpenInference's instrumentation of CrewAI.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from tokenvis.conventions.claude_code_spans import TOOL_SPAN, with_parent_tools
from tokenvis.conventions.coding_agent_spans import AGENT_CALL, GEMINI_CLI, agent_called
from tokenvis.conventions.rules import as_name, attributes_in_data
from tokenvis.conventions.span import SpanRead
from tokenvis.conventions.values import decode_json_text
from tokenvis.errors import plural

MAX_WAITING = 5_000  # spans of a source
TASK_ID, CREW_TASKS = "task_id", "crew_tasks"
SUBAGENT_TYPE = "subagent_type"  # of a tool call of Claude Code
NO_ROLE = "None"  # of a task that the manager of a crew assigns


def with_known_agents(spans: Iterable[SpanRead], tell: Callable[[str], None]) -> Iterator[SpanRead]:
    """The spans of a source, with the names of agents that other spans of the source know; ``tell`` gets a problem.

    Spans that need a name come last, in the same order. Of several names for one id, the first in the alphabet counts, so that
    the order of the spans does not matter.
    """
    names: dict[tuple[str, str], str] = {}
    waiting: list[tuple[tuple[str, str], SpanRead]] = []
    passed: dict[tuple[str, str], int] = {}
    for span in with_parent_tools(spans):
        if span.agent_key is not None or knows_agents(span):
            for key, name in agents_known_by(span):
                learned = (span.trace_id, key)
                names[learned] = min(name, names.get(learned, name))
        reference = None if span.agent_from == "attribute" else reference_of(span)
        if reference is None:
            yield span
        elif len(waiting) < MAX_WAITING:
            waiting.append(((span.trace_id, reference), span))
        else:
            passed[span.trace_id, reference] = passed.get((span.trace_id, reference), 0) + 1
            yield span
    for known, span in waiting:
        if found := names.get(known) or names.get((span.trace_id, span.parent or "")):
            set_agent(span, found, known[1])
        yield span
    if late := sum(count for known, count in passed.items() if known in names):
        count = f"{plural(late, 'span')} beyond the first {MAX_WAITING:,}"
        tell(f"{count} that name their agent by an id only did not get its name")


def reference_of(span: SpanRead) -> str | None:
    """The id by which a span refers to its agent; None if the span names its agent, or has no such id."""
    if span.agent_from == "id":
        return span.agent_key or span.agent
    if span.agent is None and span.data.get("kind") == "agent":
        attributes = attributes_in_data({"data": span.data})
        return as_name(attributes.get(TASK_ID)) or (span.parent if span.name == AGENT_CALL else None)
    return None


def knows_agents(span: SpanRead) -> bool:
    """Whether a span may know agents of other spans: a quick check, as few do."""
    attributes = attributes_in_data({"data": span.data})
    if not attributes:
        return False
    return CREW_TASKS in attributes or SUBAGENT_TYPE in attributes or attributes.get("gen_ai.agent.name") == GEMINI_CLI


def agents_known_by(span: SpanRead) -> Iterator[tuple[str, str]]:
    """The ids of agents and of tasks that a span knows, each with the name of the agent."""
    if span.agent_key and span.agent and span.agent_from != "id":
        yield span.agent_key, span.agent
    attributes = attributes_in_data({"data": span.data})
    if span.name == TOOL_SPAN and attributes and (agent := as_name(attributes.get(SUBAGENT_TYPE))):
        yield span.id, agent  # the agent of the spans inside
    elif attributes and attributes.get("gen_ai.agent.name") == GEMINI_CLI and (agent := agent_called(attributes)):
        yield span.id, agent
    if attributes and CREW_TASKS in attributes:
        tasks = decode_json_text(attributes[CREW_TASKS])
        for task in tasks if isinstance(tasks, list) else ():
            if isinstance(task, Mapping) and (key := as_name(task.get("id"))) and (role := role_of(task)):
                yield key, role


def role_of(task: Mapping[str, Any]) -> str | None:
    """The role of the agent of a task, None if it has none; CrewAI keeps line ends around it."""
    role = as_name(task.get("agent_role"))
    return None if role is None or role.strip() == NO_ROLE else role.strip()


def set_agent(span: SpanRead, name: str, reference: str) -> None:
    """Set the agent of a span that referred to it by an id."""
    if span.agent_from == "id":
        span.agent, span.agent_key = name, reference
    else:
        span.agent, span.agent_from = name, "task"
