"""Spans as Phoenix gives them: its spans DataFrame, in Parquet or JSON lines too, and its REST API.

A row is a span: ``context.trace_id, context.span_id`` (or ``context`` with both), ``parent_id, name, span_kind, start_time,
end_time, status_code, status_message, events``, and a column ``attributes.<name>`` for each attribute, or one ``attributes``
with all. Which columns there are differs from result to result. Attributes are OpenInference's; nested ones are flattened.

Source: Phoenix's documentation of its client and its API.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from tokenvis.conventions.opentelemetry import SPAN, TRACE, hex_id, opened_json, span_of, status_of
from tokenvis.conventions.span import SpanRead, given
from tokenvis.conventions.timestamps import in_unit
from tokenvis.formats.files.documents import items
from tokenvis.formats.files.head import Head, beginning
from tokenvis.formats.files.reading import Reading, convert
from tokenvis.formats.files.rows import rows

NAME = "Phoenix / OpenInference spans"
PREFIX = "attributes."


def recognises(head: Head) -> bool:
    """Whether rows have a span's context and OpenInference's kind."""
    return any(is_span(item) for item in spans_under(head)) or {"context.trace_id", "start_time"} <= set(head.names)


def spans_under(head: Head) -> list[dict[str, Any]]:
    """Objects that may be spans: those of the head, or what stands under "data"."""
    held = [item["data"] for item in head.objects if isinstance(item.get("data"), list)]
    return [item for item in [*head.objects, *(item for items in held for item in items)] if isinstance(item, dict)]


def is_span(item: dict[str, Any]) -> bool:
    """Whether an object has the keys of a span of Phoenix."""
    return ("context.trace_id" in item or isinstance(item.get("context"), dict)) and "span_kind" in item


def read(reading: Reading) -> Iterator[SpanRead]:
    """The spans of a table, or of an answer of the API."""
    with_data = reading.source.frame is None and is_answer(reading)
    records = items(reading, "data.item") if with_data else rows(reading)
    yield from convert(records, reading, lambda record: [span_in(record, reading)])


def is_answer(reading: Reading) -> bool:
    """Whether a file is an answer of the API, in which spans stand under "data"."""
    return beginning(reading.source).lstrip(b"{ \t\r\n").startswith((b'"data"', b'"next_cursor"'))


def span_in(record: Any, reading: Reading) -> SpanRead:
    """A row as a span."""
    if not isinstance(record, dict):
        raise TypeError(f"a span is {type(record).__name__}")
    context = given(record, "context", dict) or {}
    ids = {key: context.get(key) or record.get(f"context.{key}") for key in ("trace_id", "span_id")}
    for key, value in ids.items():
        if not value:
            raise KeyError(f"context.{key}")
    trace_id, span_id = plain_id(ids["trace_id"], TRACE), plain_id(ids["span_id"], SPAN)
    start, end, above = in_unit(needed_time(record), "ns"), record.get("end_time"), record.get("parent_id")
    name = str(record.get("name") or "span")
    events = opened_json(record.get("events"))
    return span_of(
        reading,
        trace_id,
        span_id,
        plain_id(above, SPAN) if above else None,
        name,
        start,
        in_unit(end, "ns") if end else None,
        attributes_of(record),
        kind=str(record.get("span_kind") or ""),
        status=status_of(record.get("status_code")),
        status_message=record.get("status_message"),
        events=events if isinstance(events, list) else None,
    )


def needed_time(record: dict[str, Any]) -> Any:
    """When a span began."""
    if not record.get("start_time"):
        raise KeyError("start_time")
    return record["start_time"]


def plain_id(value: Any, digits: int) -> str:
    """An id in hex where it is one, else as it is: Phoenix takes any text."""
    try:
        return hex_id(value, digits)
    except ValueError:
        return str(value)


def attributes_of(record: dict[str, Any]) -> dict[str, Any]:
    """Attributes from columns of their own, or from one mapping, with dots between the names of nested ones."""
    attributes = dict(flat(opened_json(record.get("attributes"))))
    for key, value in record.items():
        if key.startswith(PREFIX) and value is not None:
            name = key.removeprefix(PREFIX)
            attributes |= dict(flat(value, name)) if isinstance(value, Mapping) else {name: value}
    if "openinference.span.kind" not in attributes and isinstance(record.get("span_kind"), str):
        attributes["openinference.span.kind"] = record["span_kind"]
    return attributes


def flat(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """The leaves of nested mappings, with the names on the way to each."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from flat(inner, f"{name}.{key}" if name else str(key))
    elif value is not None and name:
        yield name, value
