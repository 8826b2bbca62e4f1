"""Spans in the JSON of OpenTelemetry's SDK for Python, from its console exporter and from tools that dump its spans.

Objects in a row, in an array, or under "spans": ``{"name", "context": {"trace_id", "span_id"}, "parent_id" (or
"parent": {"span_id"}), "kind", "start_time", "end_time", "status", "attributes", "events", "links", "resource"}``. Ids are hex
with the prefix 0x, or integers; times are ISO 8601 or nanoseconds.

Source: `ReadableSpan.to_json` of the SDK, and files written by tools.
"""

from collections.abc import Iterator
from functools import partial
from typing import Any

from tokenvis.conventions.known_agents import with_known_agents
from tokenvis.conventions.opentelemetry import (
    SPAN_ID_DIGITS,
    TRACE_ID_DIGITS,
    hex_id,
    host_attributes,
    run_attributes,
    service_of,
    span_of,
    status_of,
)
from tokenvis.conventions.span import SpanRead, optional_objects, optional_value, required_value
from tokenvis.conventions.timestamps import from_nanoseconds
from tokenvis.formats.files.documents import document_items
from tokenvis.formats.files.head import Head, head_of, text_start
from tokenvis.formats.files.pages import note_pages
from tokenvis.formats.files.reading import Reading, spans_of_records
from tokenvis.spans.columns import YEAR_2000

NAME = "OpenTelemetry Python SDK dumps"


def recognises(head: Head) -> bool:
    """Whether the head contains spans with a context of ids and the SDK's name for the start time."""
    return any(is_sdk_span(span) for item in head.objects for span in sdk_span_candidates(item))


def sdk_span_candidates(item: dict[str, Any]) -> list[Any]:
    """The first of the spans in an object, or the object itself."""
    spans = item.get("spans")
    return spans[:1] if isinstance(spans, list) else [item]


def is_sdk_span(item: Any) -> bool:
    """Whether a value looks like a span of the SDK: it has a context and not the keys of Phoenix."""
    if not isinstance(item, dict) or not isinstance(item.get("context"), dict):
        return False
    return {"trace_id", "span_id"} <= item["context"].keys() and "start_time" in item and "span_kind" not in item


def read(reading: Reading) -> Iterator[SpanRead]:
    """The spans of a file."""
    head = head_of(reading.source)
    has_spans = any("spans" in item for item in head.objects[:1])
    root = "[*]" if text_start(reading.source)[:1] == b"[" else ""
    if has_spans:
        note_pages(reading, "[*]." if root else "")
    records = document_items(reading, f"{root}.spans[*]" if has_spans else root)
    spans = spans_of_records(records, reading, lambda record: [sdk_span(record, reading)])
    yield from with_known_agents(spans, partial(reading.add_problem, None))


def sdk_span(record: Any, reading: Reading) -> SpanRead:
    """An SDK span as a span."""
    if not isinstance(record, dict):
        raise TypeError(f"a span is of type {type(record).__name__}")
    context = required_value(record, "context", dict)
    trace_id, span_id = hex_id(context["trace_id"], TRACE_ID_DIGITS), hex_id(context["span_id"], SPAN_ID_DIGITS)
    parent_id = record.get("parent_id") or (optional_value(record, "parent", dict) or {}).get("span_id")
    start = sdk_time(record["start_time"], reading)
    if start < YEAR_2000 and not isinstance(record["start_time"], str):
        reading.times.early_start(record["start_time"])
    end = record.get("end_time")
    name = optional_value(record, "name", str) or "span"
    resource = optional_value(record, "resource", dict) or {}
    status = record.get("status")
    status = status if isinstance(status, dict) else {}
    return span_of(
        reading,
        trace_id,
        span_id,
        hex_id(parent_id, SPAN_ID_DIGITS) if parent_id else None,
        name,
        start,
        sdk_time(end, reading) if end else None,
        host_attributes(resource.get("attributes")) | (optional_value(record, "attributes", dict) or {}),
        kind=str(record.get("kind") or "").rpartition(".")[2],
        service=service_of(optional_value(resource, "attributes", dict) or {}),
        run=None if parent_id else run_attributes(resource.get("attributes")),
        status=status_of(status.get("status_code")),
        status_message=status.get("description"),
        events=[sdk_event(event, reading) for event in optional_objects(record, "events")],
        links=[sdk_link(link) for link in optional_objects(record, "links")],
    )


def sdk_time(value: Any, reading: Reading) -> int:
    """A time in ISO 8601 or nanoseconds, in µs."""
    return reading.times.iso(value) if isinstance(value, str) and not value.isdigit() else from_nanoseconds(value)


def sdk_event(event: dict[str, Any], reading: Reading) -> dict[str, Any]:
    """An event of a span: name, time, attributes."""
    time = event.get("timestamp")
    fields = {
        "name": event.get("name"),
        "time": sdk_time(time, reading) if time else None,
        "attributes": event.get("attributes"),
    }
    return {key: value for key, value in fields.items() if value}


def sdk_link(link: dict[str, Any]) -> str:
    """The id of the span that a link names."""
    context = required_value(link, "context", dict)
    return f"{hex_id(context['trace_id'], TRACE_ID_DIGITS)}/{hex_id(context['span_id'], SPAN_ID_DIGITS)}"
