"""Langfuse: what its page downloads, what its API gives, and its exports of observations.

A download is ``{"trace": {...}, "observations": [...]}``; a trace of the API holds its observations itself; a list of the API
is ``{"data": [...]}``; exports are arrays or lines of observations, or CSV. Names are in camelCase or in snake_case. Times are
ISO 8601, mostly to the millisecond. Metadata may be JSON in a text; OpenTelemetry's attributes stand in it.

Source: Langfuse's API reference, and its page on usage: every kind of usage whose name has "input" in it is input.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from tokenvis.conventions.opentelemetry import (
    CACHED,
    CREATED,
    INPUT,
    OUTPUT,
    REASONING,
    camel,
    opened_json,
    service_of,
    span_of,
    whole,
)
from tokenvis.conventions.span import SpanRead, given, needed
from tokenvis.conventions.timestamps import in_unit
from tokenvis.formats.files.documents import items
from tokenvis.formats.files.head import Head, head_of
from tokenvis.formats.files.reading import Reading, convert
from tokenvis.formats.files.rows import rows
from tokenvis.spans.tokens import COST

NAME = "Langfuse traces and observations"
TYPES = {"SPAN", "GENERATION", "EVENT", "AGENT", "TOOL", "CHAIN", "RETRIEVER", "EVALUATOR", "EMBEDDING", "GUARDRAIL"}
TAKEN = {
    "id", "traceId", "parentObservationId", "type", "name", "startTime", "endTime", "metadata", "level", "statusMessage",
    "model", "providedModelName", "usageDetails", "usage", "costDetails", "totalCost", "calculatedTotalCost",
}  # fmt: skip
DROPPED = {
    "projectId", "createdAt", "updatedAt", "internalModelId", "latency", "inputCost", "outputCost", "inputUsage", "outputUsage",
    "totalUsage", "promptTokens", "completionTokens", "totalTokens", "unit", "inputPrice", "outputPrice", "totalPrice",
}  # fmt: skip
WORDS = {CACHED: ("cache_read", "cached"), CREATED: ("cache_creation", "cache_write"), REASONING: ("reasoning",)}


def recognises(head: Head) -> bool:
    """Whether there are observations, or a trace that holds some."""
    return any(
        is_observation(item)
        or is_observation(first_in(item, "observations"))
        or is_observation(first_in(item, "data"))
        or ({"projectId", "timestamp"} <= mapping(item.get("trace")).keys())
        for item in head.objects
    )


def first_in(item: dict[str, Any], key: str) -> Any:
    """The first thing in a list that an object holds."""
    held = item.get(key)
    return held[0] if isinstance(held, list) and held else None


def mapping(value: Any) -> Mapping[str, Any]:
    """A mapping as it is, anything else as an empty one."""
    return value if isinstance(value, Mapping) else {}


def is_observation(item: Any) -> bool:
    """Whether an object is an observation."""
    item = mapping(item)
    return str(item.get("type")).upper() in TYPES and bool(
        {"traceId", "trace_id"} & item.keys() and {"startTime", "start_time"} & item.keys()
    )


def read(reading: Reading) -> Iterator[SpanRead]:
    """The spans of every observation."""
    names: dict[str, str] = {}
    yield from convert(observations(reading, names), reading, lambda record: [span_in(record, reading, names)])


def observations(reading: Reading, names: dict[str, str]) -> Iterator[tuple[int, Any]]:
    """Each observation, wherever it stands; ``names`` gets the name of the trace that holds them."""
    document = None if reading.source.frame is not None else next(iter(head_of(reading.source).values), None)
    if not isinstance(document, dict) or is_observation(document):
        yield from rows(reading)
    elif isinstance(document.get("data"), list):
        yield from items(reading, "data.item")
    else:
        trace = mapping(document.get("trace", document))
        if isinstance(trace.get("id"), str) and isinstance(trace.get("name"), str):
            names[trace["id"]] = trace["name"]
        yield from items(reading, "observations.item")


def span_in(record: Any, reading: Reading, names: dict[str, str]) -> SpanRead:
    """An observation as a span."""
    if not isinstance(record, dict):
        raise TypeError(f"an observation is {type(record).__name__}")
    if "trace_id" in record or "start_time" in record:
        record = {camel(key): value for key, value in record.items()}
    trace_id, span_id = needed(record, "traceId", str), needed(record, "id", str)
    start, end = in_unit(needed(record, "startTime", (str, int)), "ms"), record.get("endTime")
    kind, name = given(record, "type", str) or "", given(record, "name", str) or "observation"
    above = given(record, "parentObservationId", str)
    reading.name_trace(trace_id, names.get(trace_id) or given(record, "traceName", str) or "")
    metadata = mapping(opened_json(record.get("metadata")))
    attributes = attributes_of(record, metadata)
    service = service_of(mapping(metadata.get("resourceAttributes")))
    finished = start if not end and kind.upper() == "EVENT" else in_unit(end, "ms") if end else None
    level = str(record.get("level") or "")
    return span_of(
        reading,
        trace_id,
        span_id,
        above,
        name,
        start,
        finished,
        attributes,
        kind="" if kind.upper() == "SPAN" else kind,
        service=service,
        status="error" if level == "ERROR" else "ok" if level else None,
        status_message=record.get("statusMessage"),
        **{key: value for key, value in record.items() if key not in TAKEN | DROPPED and value not in (None, {}, [])},
    )


def attributes_of(record: dict[str, Any], metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes that OpenTelemetry brought, the rest of the metadata, the model, and what was used."""
    attributes = dict(mapping(opened_json(metadata.get("attributes"))))
    inner = ("attributes", "resourceAttributes", "scope")
    attributes |= {f"metadata.{key}": value for key, value in metadata.items() if key not in inner}
    model = record.get("model") or record.get("providedModelName")
    if isinstance(model, str):
        attributes.setdefault("gen_ai.request.model", model)
    usage = mapping(opened_json(record.get("usageDetails"))) or mapping(opened_json(record.get("usage")))
    attributes |= tokens_of({key: count for key, value in usage.items() if (count := whole(value)) is not None})
    cost = record.get("totalCost") or record.get("calculatedTotalCost") or mapping(record.get("costDetails")).get("total")
    if cost:
        attributes[COST] = cost
    return attributes


def tokens_of(usage: dict[str, int]) -> dict[str, int]:
    """Token counts: input is all that has "input" in its name, unless the total says that "input" is all of it."""
    tokens = {}
    total = usage.get("total")
    for name, side in ((INPUT, "input"), (OUTPUT, "output")):
        parts = {key: count for key, count in usage.items() if side in key}
        if side in parts and total == usage.get("input", 0) + usage.get("output", 0):
            tokens[name] = parts[side]
        elif parts:
            tokens[name] = sum(parts.values())
    for name, words in WORDS.items():
        counts = [count for key, count in usage.items() if any(word in key for word in words)]
        if counts:
            tokens[name] = sum(counts)
    return tokens
