"""Spans as OpenTelemetry's SDK for Python writes them itself: its console exporter, and tools that dump its spans as JSON.

Objects one after another, in an array, or under "spans": ``{"name", "context": {"trace_id", "span_id"}, "parent_id" (or
"parent": {"span_id"}), "kind", "start_time", "end_time", "status", "attributes", "events", "links", "resource"}``. Ids are hex
after 0x, or whole numbers; times are ISO 8601, or nanoseconds.

Source: `ReadableSpan.to_json` of the SDK, and files that tools wrote.
"""

from collections.abc import Iterator
from typing import Any

from tokenvis.conventions.opentelemetry import SPAN, TRACE, hex_id, service_of, span_of, status_of
from tokenvis.conventions.span import SpanRead, given, needed, objects
from tokenvis.conventions.timestamps import microseconds, of_nanoseconds
from tokenvis.formats.files.documents import items
from tokenvis.formats.files.head import Head, beginning, head_of
from tokenvis.formats.files.reading import Reading, convert

NAME = "OpenTelemetry Python SDK dumps"


def recognises(head: Head) -> bool:
    """Whether there are spans with a context of ids, and times under the SDK's names."""
    return any(is_span(span) for item in head.objects for span in spans_under(item))


def spans_under(item: dict[str, Any]) -> list[Any]:
    """An object that is a span, or those that it holds."""
    spans = item.get("spans")
    return spans[:1] if isinstance(spans, list) else [item]


def is_span(item: Any) -> bool:
    """Whether a value looks like a span of the SDK: with a context, and without the names that Phoenix gives."""
    if not isinstance(item, dict) or not isinstance(item.get("context"), dict):
        return False
    return {"trace_id", "span_id"} <= item["context"].keys() and "start_time" in item and "span_kind" not in item


def read(reading: Reading) -> Iterator[SpanRead]:
    """The spans of a file."""
    head = head_of(reading.source)
    held = any("spans" in item for item in head.objects[:1])
    within = "item." if beginning(reading.source)[:1] == b"[" else ""
    records = items(reading, f"{within}spans.item" if held else within.removesuffix("."))
    yield from convert(records, reading, lambda record: [span_in(record, reading)])


def span_in(record: Any, reading: Reading) -> SpanRead:
    """A span as the SDK dumped it."""
    if not isinstance(record, dict):
        raise TypeError(f"a span is {type(record).__name__}")
    context = needed(record, "context", dict)
    trace_id, span_id = hex_id(context["trace_id"], TRACE), hex_id(context["span_id"], SPAN)
    above = record.get("parent_id") or (given(record, "parent", dict) or {}).get("span_id")
    start = time_of(record["start_time"])
    end = record.get("end_time")
    name = given(record, "name", str) or "span"
    resource = given(record, "resource", dict) or {}
    status = record.get("status")
    status = status if isinstance(status, dict) else {}
    return span_of(
        reading,
        trace_id,
        span_id,
        hex_id(above, SPAN) if above else None,
        name,
        start,
        time_of(end) if end else None,
        dict(given(record, "attributes", dict) or {}),
        kind=str(record.get("kind") or "").rpartition(".")[2],
        service=service_of(given(resource, "attributes", dict) or {}),
        status=status_of(status.get("status_code")),
        status_message=status.get("description"),
        events=[sdk_event(event) for event in objects(record, "events")],
        links=[sdk_link(link) for link in objects(record, "links")],
    )


def time_of(value: Any) -> int:
    """ISO 8601 or nanoseconds as µs."""
    return microseconds(value) if isinstance(value, str) and not value.isdigit() else of_nanoseconds(value)


def sdk_event(event: dict[str, Any]) -> dict[str, Any]:
    """An event of a span: name, time, attributes."""
    time = event.get("timestamp")
    said = {"name": event.get("name"), "time": time_of(time) if time else None, "attributes": event.get("attributes")}
    return {key: value for key, value in said.items() if value}


def sdk_link(link: dict[str, Any]) -> str:
    """The id of the span that a link names."""
    context = needed(link, "context", dict)
    return f"{hex_id(context['trace_id'], TRACE)}/{hex_id(context['span_id'], SPAN)}"
