"""The conventions of the OpenTelemetry family, mapped to OpenTelemetry's attribute names for generative AI.

Instrumentations name the same thing in many ways: OpenTelemetry itself (``gen_ai.*``, and its older names), OpenInference
(``llm.*``, ``tool.*``), OpenLLMetry (``traceloop.*``), MLflow. This module maps them to one name each; those of token counts
and costs are in `tokenvis.conventions.figures`.

Sources: the semantic conventions of OpenTelemetry for generative AI, and those of OpenInference.
"""

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Any

from tokenvis.conventions.agent_names import AGENT_RUN, NO_AGENT, agent_named
from tokenvis.conventions.claude_code_spans import PREFIX, claude_code_kind
from tokenvis.conventions.coding_agent_spans import GEMINI_KINDS, RUST_MARK, codex_kind, is_inside_gemini_cli
from tokenvis.conventions.figures import normalise_figures
from tokenvis.conventions.prompts import MAX_PROMPT_LENGTH, prompt_of
from tokenvis.conventions.rules import MODEL_KINDS, as_name, default_location
from tokenvis.conventions.snapshots import PENDING, SPAN_TYPE, snapshot_ids
from tokenvis.conventions.span import SpanRead, TraceNamer, shorten, stored_id
from tokenvis.conventions.tool_calls import CALL_ID, call_made, calls_asked_for
from tokenvis.conventions.usage_objects import OUTPUT_TOKENS

ATTRIBUTE_ALIASES = {
    "gen_ai.system": "gen_ai.provider.name",
    "llm.provider": "gen_ai.provider.name",
    "llm.system": "gen_ai.provider.name",
    "llm.request.model_name": "gen_ai.request.model",
    "llm.response.model_name": "gen_ai.response.model",
    "llm.model_name": "gen_ai.request.model",
    "embedding.model_name": "gen_ai.request.model",
    "reranker.model_name": "gen_ai.request.model",
    "tool.name": "gen_ai.tool.name",
    "tool.id": CALL_ID,
    "tool_call.id": CALL_ID,
    "tool_call_id": CALL_ID,
    "tool_use_id": CALL_ID,
    "ai.toolCall.id": CALL_ID,
    "ai.toolCall.name": "gen_ai.tool.name",
    "agent.name": "gen_ai.agent.name",
}
ALIAS_RANK = {alias: rank for rank, alias in enumerate(ATTRIBUTE_ALIASES)}
ALIASES = frozenset(ATTRIBUTE_ALIASES)
TRACE_ID_DIGITS, SPAN_ID_DIGITS = 32, 16  # hex digits of an id
HEX_DIGITS = set("0123456789abcdefABCDEF")
KIND_KEYS = ("gen_ai.operation.name", "openinference.span.kind", "traceloop.span.kind", "mlflow.spanType", "logfire.span_type")
KIND_ALIASES = {
    "chat": "model",
    "text_completion": "model",
    "generate_content": "model",
    "call_llm": "model",
    "llm": "model",
    "chat_model": "model",
    "generation": "model",
    "completion": "model",
    "embeddings": "embedding",
    "execute_tool": "tool",
    "invoke_agent": "agent",
    "create_agent": "agent",
    "invoke_workflow": "workflow",
    **GEMINI_KINDS,
}
MESSAGE_KINDS = {"producer", "consumer"}  # kinds of OpenTelemetry: the sender of a message does not wait for its receiver
OWN_ATTRIBUTES = {f"tokenvis.{key}": key for key in ("waits_for", "waits_for_kind", "detached")}  # attribute: key of data
RESOURCE_HOST_KEYS = ("host.name", "service.instance.id")  # the first that a resource has
NOT_OF_RUN = re.compile(  # but of a machine or a process, or what a span's own attributes mean
    r"service\.(name|instance\.id)|(telemetry|process|os|host|container|k8s|cloud|faas|device|thread)\..*"
    r"|(gen_ai\.(?!request\.)|llm\.|ai\.|agent|agno\.|lc_|crew|tool|tokenvis\.).*"
)
GENERIC_KINDS = {"", "unspecified", "internal", "unknown", "span"}


def normalise_attributes(attributes: dict[str, Any]) -> list[str]:
    """Rename attributes to OpenTelemetry's names, and figures to numbers; returns the names of estimated figures."""
    found = () if ALIASES.isdisjoint(attributes) else ALIASES & attributes.keys()
    for alias in sorted(found, key=ALIAS_RANK.__getitem__) if found else ():  # the first one wins
        value = attributes.pop(alias)
        attributes.setdefault(ATTRIBUTE_ALIASES[alias], value)
    if "session.id" in attributes:
        attributes.setdefault("gen_ai.conversation.id", attributes["session.id"])
    return normalise_figures(attributes)


def kind_of(attributes: Mapping[str, Any], source_kind: str = "") -> str | None:
    """The kind of work of a span: "model", "tool", "agent", ...; ``source_kind`` is the source's own name for it."""
    for key in KIND_KEYS:
        if key in attributes and (name := as_name(attributes[key])):
            kind = name.lower()
            if kind not in GENERIC_KINDS:
                return KIND_ALIASES.get(kind, kind)
    kind = source_kind.lower()
    if kind not in GENERIC_KINDS:
        return KIND_ALIASES.get(kind, kind)
    if "gen_ai.tool.name" in attributes:
        return "tool"
    return "model" if "gen_ai.request.model" in attributes and OUTPUT_TOKENS in attributes else None


def span_of(
    trace_namer: TraceNamer,
    trace_id: str,
    source_id: str,
    parent: str | None,
    name: str,
    start: int,
    end: int | None,
    attributes: dict[str, Any],
    *,
    kind: str = "",
    service: str | None = None,
    run: Mapping[str, Any] | None = None,
    **data: Any,
) -> SpanRead:
    """A span of the family; a root span also names its trace, and has the attributes of its ``run``.

    ``data`` contains more keys of its payload.
    """
    former = None
    if attributes.get(SPAN_TYPE) == PENDING and parent:
        former = f"{trace_id}/{source_id}"
        source_id, parent, name = snapshot_ids(attributes, parent, name)
        end = None
    if name.startswith(PREFIX) or RUST_MARK in attributes:
        kind = (claude_code_kind if name.startswith(PREFIX) else codex_kind)(name, attributes) or kind
    estimated = normalise_attributes(attributes)
    work_kind = kind_of(attributes, kind) or ("agent" if AGENT_RUN.match(name) else None)
    label = shorten(name) if len(name) > 80 or "\n" in name else name
    payload: dict[str, Any] = {"label": label, "kind": work_kind or "span"}
    if kind.lower() in MESSAGE_KINDS:
        payload["span_kind"] = kind.lower()
    payload |= {key: value for key, value in data.items() if value}
    if estimated:
        payload["estimated"] = estimated
    payload |= {key: attributes.pop(name) for name, key in OWN_ATTRIBUTES.items() if name in attributes}
    if attributes:
        payload["attributes"] = attributes
    agent = NO_AGENT if is_inside_gemini_cli(attributes, parent) else agent_named(attributes, work_kind, name)
    if not parent:
        asked = None if trace_namer.without_texts or not service else prompt_of(attributes, data)
        trace_namer.name_trace(trace_id, prompted_name(agent.name or name, asked), start)
    location, above = default_location(attributes, work_kind, name), stored_id(trace_id, parent) if parent else None
    span = SpanRead(trace_id, stored_id(trace_id, source_id), start, end, agent.name, location, name, payload, above, service)
    span.agent_key, span.agent_from, span.former_id = agent.key, agent.source, former
    if run and not parent:
        payload["attributes"] = {**run, **attributes}
    if work_kind in MODEL_KINDS:
        span.calls = calls_asked_for(attributes, data)
    elif work_kind == "tool" or "gen_ai.tool.name" in attributes:
        span.call = call_made(attributes, data)
    return span


def prompted_name(name: str, prompt: str | None) -> str:
    """The name of a trace with what it was asked: traces of one agent, or of one operation, are told apart by it.

    Only traces with a service have it, as spans of other traces may be named by their trace.
    """
    return f"{name}: {shorten(prompt, MAX_PROMPT_LENGTH)}" if prompt else name


def hex_id(value: Any, digits: int) -> str:
    """An id in lower-case hex, from hex in either case, base64 or a number."""
    if type(value) is str:
        try:
            hex_digits = binascii.unhexlify(value).hex()
        except ValueError:
            hex_digits = ""
        return hex_digits if len(hex_digits) == digits else unusual_id(value, digits)
    if type(value) is int and 0 <= value < 16**digits:
        return f"{value:0{digits}x}"
    raise ValueError(f"{str(value)[:60]!r} is not an id of {digits} hex digits")


def unusual_id(text: str, digits: int) -> str:
    """An id in hex from base64, from hex with the prefix 0x, or with fewer digits."""
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    if len(raw) * 2 == digits:
        return raw.hex()
    hex_digits = text.removeprefix("0x")
    if 0 < len(hex_digits) <= digits and HEX_DIGITS.issuperset(hex_digits):
        return hex_digits.lower().rjust(digits, "0")
    raise ValueError(f"{text[:60]!r} is not an id of {digits} hex digits")


def camel_case(name: str) -> str:
    """A snake_case name in camelCase."""
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def service_of(attributes: Any) -> str | None:
    """The service name of a resource, None if it has none or a placeholder."""
    name = as_name(attributes.get("service.name")) if isinstance(attributes, Mapping) else None
    return None if name is None or name.startswith("unknown_service") else name


def host_attributes(resource: Any) -> dict[str, str]:
    """The attribute of a resource that names its host, for its spans; empty if it has none."""
    names = ((key, as_name(resource.get(key))) for key in RESOURCE_HOST_KEYS) if isinstance(resource, Mapping) else ()
    return next(({key: name} for key, name in names if name), {})


def run_attributes(resource: Any) -> dict[str, Any]:
    """The attributes of a resource that describe a run, such as its version or a seed."""
    if not isinstance(resource, Mapping):
        return {}
    return {key: value for key, value in resource.items() if value is not None and not NOT_OF_RUN.fullmatch(str(key))}


def status_of(status: Any) -> str | None:
    """A status in any notation as "ok" or "error", None if unset or unknown."""
    if status in (1, 2):
        return "ok" if status == 1 else "error"
    word = str(status).rpartition("_")[2].rpartition(".")[2].lower()
    return word if word in ("ok", "error") else None
