"""The rules that find the agent and the location of a span when the source does not name them explicitly.

Few sources name an agent on every span. The agent is the one that the span names (`tokenvis.conventions.agent_names`); else the
one that its nearest ancestor names; else the service or the trace. The location is the tool that ran; else the model that was
called; else the node of a graph; else the kind of work. `tokenvis.conventions.waits` finds whom a span waits for. A caller can
replace each of the three rules with an attribute, a function of the span or a preset.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, TypeAlias
from urllib.parse import urlsplit

from tokenvis.conventions.values import json_text_value
from tokenvis.errors import BadOption, listed, quoted
from tokenvis.spans.payload import look_up
from tokenvis.tree.arguments import ARGUMENT_KEYS
from tokenvis.tree.states import waited_for

Rule: TypeAlias = "str | Callable[[Mapping[str, Any]], str | None] | None"
RuleFunction: TypeAlias = "Callable[[dict[str, Any]], str | None] | None"

UNKNOWN_MODEL = "unknown"
NODE_KEYS = ("graph.node.id", "langgraph_node", "metadata.langgraph_node", "gen_ai.data_source.id", "gen_ai.workflow.name")
TOOL_CALL_NAME = re.compile(r"(?:execute_tool|running tool:|tool:) +(?:'([^']+)'|([^' ]+))")
MODEL_KINDS = {"model", "embedding"}
FILE_KEYS = ("file_path", "notebook_path", "path", "filename", "file", "code.file.path", "code.filepath")
HOST_KEYS = ("server.address", "net.peer.name", "http.host", "url.full", "http.url", "url")
LOCATION_PRESETS = ("tool", "file", "folder", "host", "kind")


def location_of(*, tool: str | None = None, model: str | None = None) -> str:
    """The location of a piece of work: "tool:Bash", else "model:claude-opus-4-8".

    Examples
    --------
    >>> location_of(tool="Bash"), location_of(model="claude-opus-4-8")
    ('tool:Bash', 'model:claude-opus-4-8')
    """
    return f"tool:{tool}" if tool else f"model:{model or UNKNOWN_MODEL}"


def default_location(attributes: Mapping[str, Any], kind: str | None, name: str) -> str:
    """The location of a span of the OpenTelemetry family: its tool, else its model, else its node, else its kind.

    The span of an agent is at "agent", also if it names the tool that started it.

    Examples
    --------
    >>> default_location({"gen_ai.tool.name": "search"}, "tool", "execute_tool search")
    'tool:search'
    >>> default_location({"gen_ai.request.model": "opus"}, "model", "chat opus"), default_location({}, "chain", "route")
    ('model:opus', 'chain')
    """
    if kind == "tool" or (kind != "agent" and "gen_ai.tool.name" in attributes):
        return f"tool:{as_name(attributes.get('gen_ai.tool.name')) or tool_of_name(name)}"
    model = as_name(attributes.get("gen_ai.request.model")) or as_name(attributes.get("gen_ai.response.model"))
    if kind in MODEL_KINDS or (model and kind != "agent"):
        return location_of(model=model)
    for key in NODE_KEYS if kind != "agent" else ():
        if key in attributes and (node := as_name(attributes[key])):
            return f"node:{node}"
    return kind or "span"


def tool_of_name(name: str) -> str:
    """The tool in the name of a span of a tool call: "search" of "execute_tool search" and of "tool: 'search'"."""
    match = TOOL_CALL_NAME.fullmatch(name)
    return match[1] or match[2] if match else name


def as_name(value: Any) -> str | None:
    """A non-blank string or an integer as a name, None for any other value."""
    if isinstance(value, str):
        return value if value and not value.isspace() else None
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else None


def rule_functions(agent: Rule, location: Rule, waits_for: Rule) -> tuple[RuleFunction, RuleFunction, RuleFunction]:
    """A caller's rules as functions of the span, each None if the default rule applies."""
    return rule_function("agent", agent), rule_function("location", location), rule_function("waits_for", waits_for)


def rule_function(option: str, rule: Rule) -> RuleFunction:
    """A caller's rule as a function of the span; None if the default rule applies."""
    if rule is None or (option == "location" and rule == "tool"):
        return None
    if callable(rule):
        return lambda span: apply_rule(option, rule, span)
    if not isinstance(rule, str) or not rule:
        presets = f", nor one of {listed(LOCATION_PRESETS)}" if option == "location" else ""
        raise BadOption(f"{option}={quoted(rule)} is neither the name of an attribute nor a function of the span{presets}.")
    if option == "location" and rule in LOCATION_PRESETS:
        return {"file": file_of, "folder": folder_of, "host": host_of, "kind": kind_in_data}[rule]
    return AttributeRule(option, rule)


@dataclass
class AttributeRule:
    """A caller's rule that takes a name from an attribute or column; counts the spans that have one there."""

    option: str
    key: str
    n_found: int = 0

    def __call__(self, span: dict[str, Any]) -> str | None:
        """The name that the span has there; None if it has none."""
        data = span["data"]
        name = wait_in_data(data, self.key) if self.option == "waits_for" else as_name(look_up(data, self.key))
        self.n_found += name is not None
        return name


def wait_in_data(data: Mapping[str, Any], key: str) -> str | None:
    """Whom an attribute or column says that a span waits for: "" if for no one, None if the span does not have it."""
    value = look_up(data, key)
    return None if value is None else waited_for(value) or ""


def apply_rule(option: str, rule: Callable[[Mapping[str, Any]], Any], span: dict[str, Any]) -> str | None:
    """The name that a caller's function returns for a span, None to keep the default; `BadOption` if it is not a string.

    For "waits_for", a blank name becomes "": the span does not wait.
    """
    name = rule(span)
    if name is not None and not isinstance(name, str):
        raise BadOption(f"{option}= returned {quoted(name)} for span {quoted(span['id'])}. It must return a string or None.")
    if option == "waits_for" and name is not None:
        return name if name.strip() else ""
    return name or None


def attributes_in_data(span: Mapping[str, Any]) -> Mapping[str, Any]:
    """The attributes that the source gave a span."""
    attributes = span["data"].get("attributes")
    return attributes if isinstance(attributes, Mapping) else {}


def tool_arguments(span: Mapping[str, Any]) -> Mapping[str, Any]:
    """The arguments of a tool call, merged over the attributes of the span."""
    attributes = attributes_in_data(span)
    for key in ARGUMENT_KEYS:
        value = look_up(span["data"], key)
        if isinstance(value, str) and value.lstrip()[:1] == "{":
            try:
                value = json_text_value(value)
            except ValueError:
                continue
        if isinstance(value, Mapping):
            return {**attributes, **value}
    return dict(attributes)


def first_text(source: Mapping[str, Any], keys: Iterable[str]) -> str | None:
    """The first value under these keys that is one line of text."""
    texts = (source.get(key) for key in keys)
    return next((text for text in texts if isinstance(text, str) and text.strip() and "\n" not in text), None)


def file_of(span: dict[str, Any]) -> str | None:
    """The file in the arguments of a tool call."""
    return first_text(tool_arguments(span), FILE_KEYS)


def folder_of(span: dict[str, Any]) -> str | None:
    """The folder of the file in the arguments of a tool call."""
    path = file_of(span)
    return None if path is None else str(PurePosixPath(path.replace("\\", "/")).parent)


def host_of(span: dict[str, Any]) -> str | None:
    """The host in the arguments of a tool call."""
    text = first_text(tool_arguments(span), HOST_KEYS)
    if text is None or "://" not in text:
        return text
    try:
        return urlsplit(text).hostname
    except ValueError:
        return None


def kind_in_data(span: dict[str, Any]) -> str | None:
    """The kind of work of a span."""
    return as_name(span["data"].get("kind"))


def distinct_names(names: Iterable[str]) -> list[str]:
    """The names in the same order, made unique by appended numbers.

    Examples
    --------
    >>> distinct_names(["Explore", "Plan", "Explore", "Explore 2"])
    ['Explore', 'Plan', 'Explore 2', 'Explore 2 2']
    """
    distinct: list[str] = []
    numbers: dict[str, int] = {}
    used: set[str] = set()
    for name in names:
        candidate, number = name, numbers.get(name, 1)
        while candidate in used:
            number += 1
            candidate = f"{name} {number}"
        numbers[name] = number
        used.add(candidate)
        distinct.append(candidate)
    return distinct
