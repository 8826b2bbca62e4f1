"""Agent names: the agent that a span names in its attributes or, for the run of an agent, in its own name.

An attribute that names an agent comes first. The name of an agent's span is often no name of an agent: it is a method
(``Task._execute_core``), an event or a step (``agent.react.update-13``, ``step_3``), the node or the class of a framework
(``AgentExecutor``). Such a span inherits its agent. An id in a name is taken out, and tells agents of one name apart; an id
that is the only name is shortened: "agent 1a2b3c4d".

Sources: the instrumentations of OpenInference, OpenLLMetry, LangChain (``lc_agent_name``) and BeeAI.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from tokenvis.conventions.rules import as_name

NAME_KEYS = (
    "gen_ai.agent.name",
    "agent.name",
    "agent_name",
    "crewai.agent.role",
    "lc_agent_name",
    "metadata.lc_agent_name",
)
NODE_NAME_KEYS = ("graph.node.name", "graph.node.id")  # of the span of an agent
AGENT_ID_KEYS = ("gen_ai.agent.id", "agent.id", "agno.agent.id")
MAY_NAME = frozenset((*NAME_KEYS, AGENT_ID_KEYS[0]))  # attributes that name the agent of any span
OPERATION_NAME = re.compile(
    r"(?:invoke_agent|create_agent|agent_run)[ :]\s*\[?(.+?)\]?|agent run: *'?(.+?)'?(?: \(resumed\))?", re.S
)
RUN_NAME = re.compile(r"agent[ :]\s*\[?(.+?)\]?|(.+?)(?:[ .](?:run|agent_run)|\.agent)", re.S)
METHOD = re.compile(r"(.+)\.(_*[a-z]\w*)", re.S)
AGENT_RUN = re.compile(r"(?:invoke_agent|create_agent|agent_run) |agent run(?::|$)")  # a span without a kind, but of an agent
METHODS = {
    "run", "arun", "invoke", "ainvoke", "stream", "astream", "kickoff", "execute", "call", "step", "chat", "achat", "generate",
    "start", "handle", "process", "forward", "plan", "think", "reason", "act", "observe", "reflect", "respond", "reply",
}  # fmt: skip
METHOD_STARTS = {"run", "arun", "invoke", "ainvoke", "execute", "kickoff", "on"}
COUNTED = re.compile(r"(.*?)[\s_.:#\-]*#?\d+", re.S)
WORD = re.compile(r"[^\W\d_]+")
EVENTS = {
    "run", "step", "turn", "iteration", "iter", "update", "attempt", "loop", "cycle", "round", "task", "event", "call", "retry",
    "execution", "invocation", "success", "error", "finish", "start", "end",
}  # fmt: skip
GENERIC_NAMES = {
    "agent", "agents", "agent run", "invoke agent", "create agent", "run agent", "run", "invoke", "execute", "call", "task",
    "step", "turn", "iteration", "chat", "kickoff", "workflow", "graph", "chain", "pipeline", "loop", "node", "tool",
    "tools", "model", "llm", "call model", "call tool", "call tools", "call llm", "should continue", "langgraph", "pregel",
    "crew", "flow", "team", "runner", "agentexecutor", "agent executor", "agentrunner", "agent runner", "agentworkflow",
    "agent workflow", "compiledgraph", "compiledstategraph", "stategraph", "runnablesequence", "runnable", "baseagent",
    "baseworkflowagent", "start", "end", "span", "observation", "session", "trace", "invocation", "execution",
}  # fmt: skip
NUMBERED_NAMES = {
    "agent",
    "agents",
    "team",
    "crew",
    "node",
    "model",
    "llm",
    "tool",
    "tools",
    "flow",
    "graph",
    "chain",
    "runner",
}
UUID = r"[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}"
ID_IN_NAME = re.compile(rf"[\s_:/#.\-\[(]*({UUID})(?:[/:]{UUID})?[\])]*", re.I)
HEX_ID = re.compile(r"(?=[a-f]*\d)(?=\d*[a-f])[0-9a-f]{12,}", re.I)
MAX_RUN_NAME_LENGTH = 200  # of a span whose name may be an agent's: longer ones are texts
SHORT_ID_DIGITS = 8


class AgentName(NamedTuple):
    """The agent that a span names, where ("attribute", "name", "id"; None if it names none), and the agent's id."""

    name: str | None = None
    source: str | None = None
    key: str | None = None


NO_AGENT = AgentName()


def agent_named(attributes: Mapping[str, Any], kind: str | None, name: str) -> AgentName:
    """The agent that a span itself names: in its attributes or, for the run of an agent, in its own name.

    Examples
    --------
    >>> tuple(agent_named({"gen_ai.agent.name": "Planner", "gen_ai.agent.id": "p-1"}, "tool", "execute_tool search"))
    ('Planner', 'attribute', 'p-1')
    >>> agent_named({}, "agent", "invoke_agent Planner").name, agent_named({}, "agent", "Planner run").name
    ('Planner', 'Planner')
    >>> agent_named({}, "agent", "Task._execute_core").name, agent_named({}, "agent", "agent.react.update-13").name
    (None, None)
    >>> agent_named({"gen_ai.agent.id": "1a2b3c4d-0000-4000-8000-000000000000"}, "model", "chat").name
    'agent 1a2b3c4d'
    """
    found = NO_AGENT
    if kind != "agent" and MAY_NAME.isdisjoint(attributes):
        return found
    for key in NAME_KEYS:
        if key in attributes and (text := as_name(attributes[key])):
            found = without_id(text, "attribute")
            break
    is_agent = kind == "agent"
    if is_agent and not found.name:
        found = named_by_node(attributes, found)
        if not found.name and name:
            own = name_of_run(name)
            found = AgentName(own.name, own.source, own.key or found.key)
    return with_id(found, attributes)


def with_id(found: AgentName, attributes: Mapping[str, Any]) -> AgentName:
    """A name with the id that the attributes give the agent; without a name, the id is the name."""
    for key in AGENT_ID_KEYS:
        if key in attributes and (agent_id := as_name(attributes[key])):
            if found.name:
                return AgentName(found.name, found.source, agent_id) if agent_id != found.name else found
            return named_by_id(agent_id) if key == AGENT_ID_KEYS[0] else found
    return named_by_id(found.key) if found.key and not found.name else found


def agent_key_in(data: Mapping[str, Any], agent: str | None) -> str | None:
    """The id of a named agent beside its attributes, as a table has it; ``agent_id`` if another column has the name."""
    keys = (key for key in (*AGENT_ID_KEYS, "agent_id") if key in data)
    return next((name for key in keys if (name := as_name(data[key])) and name != agent), None) if agent else None


def named_by_id(agent_id: str) -> AgentName:
    """The agent whose id is its only name."""
    name = short_id(agent_id)
    return AgentName(name, "id", agent_id if agent_id != name else None)


def named_by_node(attributes: Mapping[str, Any], found: AgentName) -> AgentName:
    """The agent that the node of a graph names, whose id may be its name; the id alone if that is opaque."""
    for key in NODE_NAME_KEYS:
        if key in attributes and (text := as_name(attributes[key])):
            node = without_id(text, "attribute")
            if node.name:
                return AgentName(node.name, node.source, found.key or node.key)
            found = AgentName(None, None, found.key or node.key)
    return found


def name_of_run(name: str) -> AgentName:
    """The agent in the name of a span of an agent; none if it is a method, a step, an event or a framework's word."""
    if len(name) > MAX_RUN_NAME_LENGTH:
        return NO_AGENT
    if match := OPERATION_NAME.fullmatch(name):
        return without_id(match[1] or match[2], "name")
    match = RUN_NAME.fullmatch(name)
    named = without_id((match[1] or match[2]) if match else name, "name")
    if named.name is None:
        return named
    text = without_method(named.name).strip()
    if text.isdecimal() and text != name:
        text = name  # "agent 3"
    if not is_generic(text):
        return AgentName(text, "name", named.key)
    return AgentName(None, None, named.key if text.lower() == "agent" else None)


def without_method(name: str) -> str:
    """The part of a name before a method: ``Researcher._execute_core`` becomes ``Researcher``.

    A word after "agent." is a method if it may be one, else the name: ``agent.researcher``.
    """
    match = METHOD.fullmatch(name)
    if match is None:
        return name
    owner, method = match.groups()
    words = method.split("_")
    is_known = method in METHODS or method[0] == "_" or words[0] in METHOD_STARTS
    if owner.lower() in ("agent", "agents"):
        return owner if is_known or method in EVENTS or len(words) > 1 else method
    may_have_methods = owner[0].isupper() or owner.lower().endswith("agent")
    is_method = is_known or (may_have_methods and len(words) > 1 and words[-1] != "agent")
    owner = "agent" if is_method and owner.lower().startswith("agent.") else owner  # an event: agent.requirement.start
    return owner if is_method or is_generic(owner) else name


def is_generic(name: str) -> bool:
    """Whether a name is a word of frameworks, also with a number, or counts steps or events; "Agent 3" is none."""
    words = " ".join(name.replace("_", " ").replace("-", " ").split()).lower()
    if words in GENERIC_NAMES:
        return True
    counted = COUNTED.fullmatch(words)
    if counted and counted[1] in GENERIC_NAMES - NUMBERED_NAMES:
        return True
    counted = COUNTED.fullmatch(name)
    parts = WORD.findall(counted[1] if counted else name)
    if not parts:
        return name.isascii()
    is_event = parts[-1].lower() in EVENTS
    return is_event and (bool(counted) or "." in name)


@lru_cache(maxsize=1024)
def without_id(text: str, source: str) -> AgentName:
    """A text that names an agent as its name and the id within it; no name if the text is only an id.

    CrewAI's roles often end with a line break.
    """
    text = text.strip()
    if not text:
        return NO_AGENT
    if HEX_ID.fullmatch(text):
        return AgentName(None, None, text)
    match = ID_IN_NAME.search(text) if len(text) <= MAX_RUN_NAME_LENGTH else None
    if match is None:
        return AgentName(text, source)
    rest = (text[: match.start()] + text[match.end() :]).strip()
    return AgentName(rest, source, match[1]) if WORD.search(rest) else AgentName(None, None, match[1])


def short_id(agent_id: str) -> str:
    """An id as a name: an opaque one is shortened, any other one is the name.

    Examples
    --------
    >>> short_id("1a2b3c4d-0000-4000-8000-000000000000"), short_id("planner-1")
    ('agent 1a2b3c4d', 'planner-1')
    """
    if HEX_ID.fullmatch(agent_id) or re.fullmatch(UUID, agent_id, re.I):
        return f"agent {agent_id[:SHORT_ID_DIGITS]}"
    return agent_id
