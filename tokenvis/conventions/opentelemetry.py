"""The conventions of the OpenTelemetry family, read into one: attributes under OpenTelemetry's names for generative AI.

Instrumentations name the same thing in many ways: OpenTelemetry itself (``gen_ai.*``, and its older names), OpenInference
(``llm.*``, ``tool.*``), OpenLLMetry (``traceloop.*``), MLflow. Here they become one. Input tokens include the cached ones:
where a source counts fewer of them than were cached, it counts them apart, and they are added.

Sources: the semantic conventions of OpenTelemetry for generative AI, and those of OpenInference.
"""

import base64
import binascii
from collections.abc import Mapping
from typing import Any

import orjson

from tokenvis.conventions.rules import agent_named, as_name, place_of
from tokenvis.conventions.span import NamesTraces, SpanRead, shorten
from tokenvis.spans.tokens import COST, KEYS

INPUT, CACHED, OUTPUT, REASONING, CREATED = KEYS.values()
COUNTS = frozenset(KEYS.values())
RENAMED = {
    "gen_ai.system": "gen_ai.provider.name",
    "llm.provider": "gen_ai.provider.name",
    "llm.system": "gen_ai.provider.name",
    "llm.request.model_name": "gen_ai.request.model",
    "llm.response.model_name": "gen_ai.response.model",
    "llm.model_name": "gen_ai.request.model",
    "embedding.model_name": "gen_ai.request.model",
    "reranker.model_name": "gen_ai.request.model",
    "tool.name": "gen_ai.tool.name",
    "tool.id": "gen_ai.tool.call.id",
    "tool_call.id": "gen_ai.tool.call.id",
    "agent.name": "gen_ai.agent.name",
    "llm.token_count.prompt": INPUT,
    "llm.token_count.prompt_details.cache_read": CACHED,
    "llm.token_count.prompt_details.cache_write": CREATED,
    "llm.token_count.completion": OUTPUT,
    "llm.token_count.completion_details.reasoning": REASONING,
    "gen_ai.usage.prompt_tokens": INPUT,
    "llm.usage.prompt_tokens": INPUT,
    "gen_ai.usage.completion_tokens": OUTPUT,
    "llm.usage.completion_tokens": OUTPUT,
    "gen_ai.usage.cache_read_input_tokens": CACHED,
    "gen_ai.usage.details.cache_read_tokens": CACHED,
    "gen_ai.usage.cache_creation_input_tokens": CREATED,
    "gen_ai.usage.details.cache_write_tokens": CREATED,
    "gen_ai.usage.reasoning_tokens": REASONING,
    "gen_ai.usage.details.reasoning_tokens": REASONING,
    "llm.cost.total": COST,
    "operation.cost": COST,
}
TRACE, SPAN = 32, 16  # hex digits of an id
HEX = set("0123456789abcdefABCDEF")
KIND_KEYS = ("gen_ai.operation.name", "openinference.span.kind", "traceloop.span.kind", "mlflow.spanType", "logfire.span_type")
KINDS = {
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
}
PLAIN_KINDS = {"", "unspecified", "internal", "unknown", "span"}


def translated(attributes: dict[str, Any]) -> dict[str, Any]:
    """Attributes under OpenTelemetry's names, token counts as whole numbers; the mapping given is changed."""
    for old in [old for old in RENAMED if old in attributes]:  # in this order: the order of a set differs from run to run
        value = attributes.pop(old)
        attributes.setdefault(RENAMED[old], value)
    if "session.id" in attributes:
        attributes.setdefault("gen_ai.conversation.id", attributes["session.id"])
    if COUNTS.isdisjoint(attributes):
        return attributes
    for key in [key for key in attributes if key in COUNTS]:
        count = whole(attributes.pop(key))
        if count is not None:
            attributes[key] = count
    if INPUT in attributes:
        attributes[INPUT] = with_cached(attributes[INPUT], attributes.get(CACHED, 0) + attributes.get(CREATED, 0))
    if COST in attributes and (cost := number(attributes.pop(COST))) is not None:
        attributes[COST] = cost
    elif (cost := number(attributes.get("gen_ai.usage.input_cost"))) is not None:
        attributes[COST] = cost + (number(attributes.get("gen_ai.usage.output_cost")) or 0)
    return attributes


def with_cached(count: int, cached: int) -> int:
    """Input tokens with the cached ones among them: a source that counts fewer than those counts them apart."""
    return count + cached if count < cached else count


def whole(value: Any) -> int | None:
    """A count, None where it is none: some write numbers as texts, or as floats."""
    if type(value) is int:
        return value
    exact = number(value)
    return int(exact) if exact is not None and exact == int(exact) else None


def number(value: Any) -> float | None:
    """A number that is one, or the text of one."""
    if isinstance(value, bool) or value is None or isinstance(value, list | dict):
        return None
    try:
        exact = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return exact if abs(exact) < 2.0**63 else None


def kind_of(attributes: Mapping[str, Any], otherwise: str = "") -> str | None:
    """What sort of work a span is: "model", "tool", "agent", ...; ``otherwise`` is what the source itself calls it."""
    for key in KIND_KEYS:
        if key in attributes and (said := as_name(attributes[key])):
            kind = said.lower()
            if kind not in PLAIN_KINDS:
                return KINDS.get(kind, kind)
    kind = otherwise.lower()
    if kind not in PLAIN_KINDS:
        return KINDS.get(kind, kind)
    if "gen_ai.tool.name" in attributes:
        return "tool"
    return "model" if "gen_ai.request.model" in attributes and OUTPUT in attributes else None


def span_of(
    names: NamesTraces,
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
    **data: Any,
) -> SpanRead:
    """A span of the family, which names its trace where it has no parent; ``data`` are further keys of its payload."""
    attributes = translated(attributes)
    what = kind_of(attributes, kind)
    payload: dict[str, Any] = {"label": shorten(name) if len(name) > 80 or "\n" in name else name, "kind": what or "span"}
    payload |= {key: value for key, value in data.items() if value}
    if attributes:
        payload["attributes"] = attributes
    agent = agent_named(attributes, what, name)
    if not parent:
        names.name_trace(trace_id, agent or name, start)
    return SpanRead(
        trace_id,
        f"{trace_id}/{source_id}",
        start,
        end,
        agent,
        place_of(attributes, what, name),
        name,
        payload,
        f"{trace_id}/{parent}" if parent else None,
        service,
    )


def hex_id(value: Any, digits: int) -> str:
    """An id in lower-case hex: from hex of either case, base64, or a number."""
    if type(value) is str:
        if len(value) == digits and HEX.issuperset(value):
            return value.lower()
        try:
            raw = base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError):
            raw = b""
        if len(raw) * 2 == digits:
            return raw.hex()
        bare = value.removeprefix("0x")
        if 0 < len(bare) <= digits and HEX.issuperset(bare):
            return bare.lower().rjust(digits, "0")
    elif type(value) is int and 0 <= value < 16**digits:
        return f"{value:0{digits}x}"
    raise ValueError(f"{str(value)[:60]!r} is no id of {digits} hex digits")


def camel(name: str) -> str:
    """A name in snake_case as one in camelCase."""
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def service_of(attributes: Any) -> str | None:
    """The service that a resource names, None where it is the one that stands for none."""
    name = as_name(attributes.get("service.name")) if isinstance(attributes, Mapping) else None
    return None if name is None or name.startswith("unknown_service") else name


def status_of(said: Any) -> str | None:
    """A status in our words, whichever way it is written."""
    if said in (1, 2):
        return "ok" if said == 1 else "error"
    word = str(said).rpartition("_")[2].rpartition(".")[2].lower()
    return word if word in ("ok", "error") else None


def opened_json(value: Any) -> Any:
    """What a text holds that is JSON of an object or a list; any other value as it is."""
    if isinstance(value, str) and value[:1] in "{[" and value:
        try:
            return orjson.loads(value)
        except orjson.JSONDecodeError:
            return value
    return value
