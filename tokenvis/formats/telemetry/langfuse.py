"""Langfuse: downloads from its web page, responses of its API, and exports of observations.

A download is ``{"trace": {...}, "observations": [...]}``; a trace from the API contains its observations; a list from the API
is ``{"data": [...]}``; exports are arrays or lines of observations, or CSV. Names are in camelCase or snake_case. Times are
ISO 8601, mostly in milliseconds. Metadata may be a JSON string; it contains OpenTelemetry's attributes.

Source: Langfuse's API reference, and its page on usage: every usage type with "input" in its name counts as input.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from tokenvis.conventions.opentelemetry import (
    CACHE_CREATION_TOKENS,
    CACHED_TOKENS,
    INPUT_TOKENS,
    OUTPUT_TOKENS,
    REASONING_TOKENS,
    camel_case,
    decode_json_text,
    int_or_none,
    service_of,
    span_of,
)
from tokenvis.conventions.span import SpanRead, optional_value, required_value
from tokenvis.conventions.timestamps import from_unit
from tokenvis.formats.files.documents import document_items
from tokenvis.formats.files.head import Head, head_of
from tokenvis.formats.files.reading import Reading, spans_of_records
from tokenvis.formats.files.rows import table_rows
from tokenvis.tree.tokens import COST

NAME = "Langfuse traces and observations"
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
    "model", "providedModelName", "usageDetails", "usage", "costDetails", "totalCost", "calculatedTotalCost",
}  # fmt: skip
IGNORED_KEYS = {
    "projectId", "createdAt", "updatedAt", "internalModelId", "latency", "inputCost", "outputCost", "inputUsage", "outputUsage",
    "totalUsage", "promptTokens", "completionTokens", "totalTokens", "unit", "inputPrice", "outputPrice", "totalPrice",
}  # fmt: skip
USAGE_WORDS = {
    CACHED_TOKENS: ("cache_read", "cached"),
    CACHE_CREATION_TOKENS: ("cache_creation", "cache_write"),
    REASONING_TOKENS: ("reasoning",),
}


def recognises(head: Head) -> bool:
    """Whether the head contains observations, or a trace with observations."""
    return any(
        is_observation(item)
        or is_observation(first_item(item, "observations"))
        or is_observation(first_item(item, "data"))
        or ({"projectId", "timestamp"} <= mapping_or_empty(item.get("trace")).keys())
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
    names: dict[str, str] = {}
    yield from spans_of_records(observations(reading, names), reading, lambda record: [langfuse_span(record, reading, names)])


def observations(reading: Reading, names: dict[str, str]) -> Iterator[tuple[int, Any]]:
    """The observations of a file of any shape; the name of an enclosing trace goes into ``names``."""
    document = None if reading.source.frame is not None else next(iter(head_of(reading.source).values), None)
    if not isinstance(document, dict) or is_observation(document):
        yield from table_rows(reading)
    elif isinstance(document.get("data"), list):
        yield from document_items(reading, "data.item")
    else:
        trace = mapping_or_empty(document.get("trace", document))
        if isinstance(trace.get("id"), str) and isinstance(trace.get("name"), str):
            names[trace["id"]] = trace["name"]
        yield from document_items(reading, "observations.item")


def langfuse_span(record: Any, reading: Reading, names: dict[str, str]) -> SpanRead:
    """An observation as a span."""
    if not isinstance(record, dict):
        raise TypeError(f"an observation is of type {type(record).__name__}")
    if "trace_id" in record or "start_time" in record:
        record = {camel_case(key): value for key, value in record.items()}
    trace_id, span_id = required_value(record, "traceId", str), required_value(record, "id", str)
    start, end = from_unit(required_value(record, "startTime", (str, int)), "ms"), record.get("endTime")
    kind, name = optional_value(record, "type", str) or "", optional_value(record, "name", str) or "observation"
    parent_id = optional_value(record, "parentObservationId", str)
    reading.name_trace(trace_id, names.get(trace_id) or optional_value(record, "traceName", str) or "")
    metadata = mapping_or_empty(decode_json_text(record.get("metadata")))
    attributes = langfuse_attributes(record, metadata)
    service = service_of(mapping_or_empty(metadata.get("resourceAttributes")))
    end_time = start if not end and kind.upper() == "EVENT" else from_unit(end, "ms") if end else None
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
    usage = mapping_or_empty(decode_json_text(record.get("usageDetails"))) or mapping_or_empty(
        decode_json_text(record.get("usage"))
    )
    attributes |= langfuse_tokens({key: count for key, value in usage.items() if (count := int_or_none(value)) is not None})
    cost = (
        record.get("totalCost") or record.get("calculatedTotalCost") or mapping_or_empty(record.get("costDetails")).get("total")
    )
    if cost:
        attributes[COST] = cost
    return attributes


def langfuse_tokens(usage: dict[str, int]) -> dict[str, int]:
    """Token counts: input is the sum of all counts with "input" in the name, unless the total shows that "input" is the sum."""
    tokens = {}
    total = usage.get("total")
    for name, side in ((INPUT_TOKENS, "input"), (OUTPUT_TOKENS, "output")):
        parts = {key: count for key, count in usage.items() if side in key}
        if side in parts and total == usage.get("input", 0) + usage.get("output", 0):
            tokens[name] = parts[side]
        elif parts:
            tokens[name] = sum(parts.values())
    for name, words in USAGE_WORDS.items():
        counts = [count for key, count in usage.items() if any(word in key for word in words)]
        if counts:
            tokens[name] = sum(counts)
    return tokens
