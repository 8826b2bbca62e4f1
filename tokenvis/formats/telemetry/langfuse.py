"""Langfuse: downloads from its web page, responses of its API, and exports of observations.

A download is ``{"trace": {...}, "observations": [...]}``; a trace from the API contains its observations; a list from the API
is ``{"data": [...], "meta": {...}}``, a page of a query; exports are arrays or lines of observations, or CSV. Names are in
camelCase or snake_case. Times are ISO 8601, mostly in milliseconds. Metadata may be a JSON string; it contains OpenTelemetry's
attributes.

Source: Langfuse's API reference, and its page on usage: every usage type with "input" in its name counts as input.
"""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, TypeAlias

from tokenvis.conventions.known_agents import with_known_agents
from tokenvis.conventions.opentelemetry import (
    camel_case,
    host_attributes,
    run_attributes,
    service_of,
    span_of,
)
from tokenvis.conventions.rules import as_name
from tokenvis.conventions.span import SpanRead, optional_value, required_value
from tokenvis.conventions.usage_objects import cost_figures, langfuse_figures
from tokenvis.conventions.values import decode_json_text
from tokenvis.formats.files.documents import document_envelopes, document_items
from tokenvis.formats.files.head import Head, head_of
from tokenvis.formats.files.pages import note_pages
from tokenvis.formats.files.reading import Reading, spans_of_records
from tokenvis.formats.files.rows import table_rows
from tokenvis.tree.tokens import COST

NAME = "Langfuse traces and observations"
KnownTraces: TypeAlias = dict[str, tuple[str | None, str | None]]  # the name and the session of a trace, by its id
OBSERVATION_TYPES = {
    "SPAN",
    "GENERATION",
    "EVENT",
    "AGENT",
    "TOOL",
    "CHAIN",
    "RETRIEVER",
    "EVALUATOR",
    "EMBEDDING",
    "GUARDRAIL",
}
MAPPED_KEYS = {
    "id", "traceId", "parentObservationId", "type", "name", "startTime", "endTime", "metadata", "level", "statusMessage",
    "sessionId", "model", "providedModelName", "usageDetails", "usage", "costDetails", "totalCost", "calculatedTotalCost",
}  # fmt: skip
IGNORED_KEYS = {
    "projectId", "createdAt", "updatedAt", "internalModelId", "latency", "inputCost", "outputCost", "inputUsage", "outputUsage",
    "totalUsage", "promptTokens", "completionTokens", "totalTokens", "unit", "inputPrice", "outputPrice", "totalPrice",
}  # fmt: skip
OLD_USAGE_NAMES = {
    "inputUsage": "input",
    "promptTokens": "input",
    "outputUsage": "output",
    "completionTokens": "output",
    "totalUsage": "total",
    "totalTokens": "total",
}
COST_PARTS = (("inputCost", "outputCost"), ("calculatedInputCost", "calculatedOutputCost"))


def recognises(head: Head) -> bool:
    """Whether the head contains observations, or a trace with observations."""
    return any(
        is_observation(item)
        or is_observation(first_item(item, "observations"))
        or is_observation(first_item(item, "data"))
        or ({"projectId", "timestamp"} <= mapping_or_empty(item.get("trace")).keys())
        or (item.keys() == {"data", "meta"} and item["data"] == [] and isinstance(item["meta"], Mapping))  # an empty last page
        for item in head.objects
    )


def first_item(item: dict[str, Any], key: str) -> Any:
    """The first item of a list in an object, None if there is none."""
    items = item.get(key)
    return items[0] if isinstance(items, list) and items else None


def mapping_or_empty(value: Any) -> Mapping[str, Any]:
    """A mapping unchanged, anything else as an empty one."""
    return value if isinstance(value, Mapping) else {}


def is_observation(item: Any) -> bool:
    """Whether an object is an observation."""
    item = mapping_or_empty(item)
    return str(item.get("type")).upper() in OBSERVATION_TYPES and bool(
        {"traceId", "trace_id"} & item.keys() and {"startTime", "start_time"} & item.keys()
    )


def read(reading: Reading) -> Iterator[SpanRead]:
    """The spans of every observation."""
    known: KnownTraces = {}
    spans = spans_of_records(observations(reading, known), reading, lambda record: [langfuse_span(record, reading, known)])
    yield from with_known_agents(spans, partial(reading.add_problem, None))


def observations(reading: Reading, known: KnownTraces) -> Iterator[tuple[int, Any]]:
    """The observations of a file of any shape, also of several answers; what enclosing traces say goes into ``known``."""
    head = head_of(reading.source)
    first = next(iter(head.objects), {})
    prefix = "[*]." if head.values and isinstance(head.values[0], list) else ""
    if reading.source.frame is not None or head.kind == "table" or is_observation(first):
        reading.default_limits = {50: "Langfuse's API"}
        yield from table_rows(reading)
    elif isinstance(first.get("data"), list):
        note_pages(reading, prefix)
        yield from document_items(reading, f"{prefix}data[*]")
    else:
        for envelope in document_envelopes(reading, prefix, ("trace", "id", "name", "sessionId")):
            trace = mapping_or_empty(envelope.get("trace", envelope))
            if isinstance(trace.get("id"), str):
                known[trace["id"]] = as_name(trace.get("name")), as_name(trace.get("sessionId"))
        yield from document_items(reading, f"{prefix}observations[*]")


def langfuse_span(record: Any, reading: Reading, known: KnownTraces) -> SpanRead:
    """An observation as a span."""
    if not isinstance(record, dict):
        raise TypeError(f"an observation is of type {type(record).__name__}")
    if "trace_id" in record or "start_time" in record:
        record = {camel_case(key): value for key, value in record.items()}
    trace_id, span_id = required_value(record, "traceId", str), required_value(record, "id", str)
    start, end = reading.times.epoch_start(required_value(record, "startTime", (str, int)), "ms"), record.get("endTime")
    kind, name = optional_value(record, "type", str) or "", optional_value(record, "name", str) or "observation"
    parent_id = optional_value(record, "parentObservationId", str)
    trace_name, session = known.get(trace_id, (None, None))
    reading.name_trace(trace_id, trace_name or optional_value(record, "traceName", str) or "")
    metadata = mapping_or_empty(decode_json_text(record.get("metadata")))
    attributes = langfuse_attributes(record, metadata)
    resource = mapping_or_empty(metadata.get("resourceAttributes"))
    attributes, service = host_attributes(resource) | attributes, service_of(resource)
    end_time = start if not end and kind.upper() == "EVENT" else reading.times.time(end) if end else None
    if session := session or as_name(record.get("sessionId")):
        attributes.setdefault("session.id", session)
    level = str(record.get("level") or "")
    return span_of(
        reading,
        trace_id,
        span_id,
        parent_id,
        name,
        start,
        end_time,
        attributes,
        kind="" if kind.upper() == "SPAN" else kind,
        service=service,
        run=run_attributes(resource),
        status="error" if level == "ERROR" else "ok" if level else None,
        status_message=record.get("statusMessage"),
        **{
            key: value for key, value in record.items() if key not in MAPPED_KEYS | IGNORED_KEYS and value not in (None, {}, [])
        },
    )


def langfuse_attributes(record: dict[str, Any], metadata: Mapping[str, Any]) -> dict[str, Any]:
    """OpenTelemetry's attributes, the rest of the metadata, the model, the token counts and the cost."""
    attributes = dict(mapping_or_empty(decode_json_text(metadata.get("attributes"))))
    nested_keys = ("attributes", "resourceAttributes", "scope")
    attributes |= {f"metadata.{key}": value for key, value in metadata.items() if key not in nested_keys}
    model = record.get("model") or record.get("providedModelName")
    if isinstance(model, str):
        attributes.setdefault("gen_ai.request.model", model)
    return attributes | recorded_figures(record)


def recorded_figures(record: dict[str, Any]) -> dict[str, Any]:
    """The token counts and the cost of an observation; a cost of 0 is one that Langfuse does not know."""
    usage = mapping_or_empty(decode_json_text(record.get("usageDetails")))
    usage = usage or mapping_or_empty(decode_json_text(record.get("usage")))
    usage = usage or {name: record[old] for old, name in OLD_USAGE_NAMES.items() if record.get(old)}
    unit = record.get("unit") or usage.get("unit")
    is_tokens = not unit or unit == "TOKENS"
    figures = langfuse_figures(usage) if is_tokens else {f"langfuse.usage.{key}": value for key, value in usage.items()}
    costs = [
        {"total": record.get("totalCost")},
        {"total": record.get("calculatedTotalCost")},
        mapping_or_empty(decode_json_text(record.get("costDetails"))),
        *({key: record.get(key) for key in keys} for keys in COST_PARTS),
    ]
    cost = next((cost for details in costs if (cost := cost_figures(details).get(COST))), None)
    return figures | ({COST: cost} if cost else {})
