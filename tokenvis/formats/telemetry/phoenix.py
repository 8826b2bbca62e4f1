"""Phoenix spans: its spans DataFrame, also as Parquet or JSON lines, and responses of its REST API.

A row is a span: ``context.trace_id, context.span_id`` (or ``context`` with both), ``parent_id, name, span_kind, start_time,
end_time, status_code, status_message, events``, and a column ``attributes.<name>`` for each attribute, or one ``attributes``
with all. The columns differ from result to result. Attributes are OpenInference's; nested attributes are flattened.

Source: Phoenix's documentation of its client and its API.
"""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from tokenvis.conventions.known_agents import with_known_agents
from tokenvis.conventions.opentelemetry import SPAN_ID_DIGITS, TRACE_ID_DIGITS, hex_id, span_of, status_of
from tokenvis.conventions.span import SpanRead, optional_value
from tokenvis.conventions.values import decode_json_text
from tokenvis.formats.files.documents import document_items
from tokenvis.formats.files.head import Head, head_of
from tokenvis.formats.files.pages import note_pages
from tokenvis.formats.files.reading import Reading, spans_of_records
from tokenvis.formats.files.rows import table_rows

NAME = "Phoenix / OpenInference spans"
ATTRIBUTE_PREFIX = "attributes."
DEFAULT_LIMITS = {1_000: "Phoenix's get_spans_dataframe", 100: "Phoenix's get_spans and its API"}


def recognises(head: Head) -> bool:
    """Whether rows have a span context and OpenInference's span kind, or an answer of the API has none."""
    if any(item.keys() == {"data", "next_cursor"} and item["data"] == [] for item in head.objects):
        return True
    return any(is_phoenix_span(item) for item in phoenix_span_candidates(head)) or {"context.trace_id", "start_time"} <= set(
        head.names
    )


def phoenix_span_candidates(head: Head) -> list[dict[str, Any]]:
    """Objects that may be spans: the objects of the head and the items under "data"."""
    lists = [item["data"] for item in head.objects if isinstance(item.get("data"), list)]
    return [item for item in [*head.objects, *(item for items in lists for item in items)] if isinstance(item, dict)]


def is_phoenix_span(item: dict[str, Any]) -> bool:
    """Whether an object has the keys of a Phoenix span."""
    return ("context.trace_id" in item or isinstance(item.get("context"), dict)) and "span_kind" in item


def read(reading: Reading) -> Iterator[SpanRead]:
    """The spans of a table or of an API response."""
    spans = spans_of_records(phoenix_records(reading), reading, lambda record: [phoenix_span(record, reading)])
    yield from with_known_agents(spans, partial(reading.add_problem, None))


def phoenix_records(reading: Reading) -> Iterator[tuple[int, Any]]:
    """The rows of a table, or the spans under "data" of answers of the API, whose cursor is the id of the next page's first."""
    head = head_of(reading.source)
    first = next(iter(head.objects), {})
    if head.kind == "table" or not isinstance(data := first.get("data"), list):
        reading.default_limits = DEFAULT_LIMITS
        yield from table_rows(reading)
        return
    prefix = "[*]." if isinstance(head.values[0], list) else ""
    first_id = data[0].get("id") if data and isinstance(data[0], dict) else None
    note_pages(reading, prefix, first_id if isinstance(first_id, str) else None)
    yield from document_items(reading, f"{prefix}data[*]")


def phoenix_span(record: Any, reading: Reading) -> SpanRead:
    """A row as a span."""
    if not isinstance(record, dict):
        raise TypeError(f"a span is of type {type(record).__name__}")
    context = optional_value(record, "context", dict) or {}
    ids = {key: context.get(key) or record.get(f"context.{key}") for key in ("trace_id", "span_id")}
    for key, value in ids.items():
        if not value:
            raise KeyError(f"context.{key}")
    trace_id, span_id = hex_id_or_text(ids["trace_id"], TRACE_ID_DIGITS), hex_id_or_text(ids["span_id"], SPAN_ID_DIGITS)
    start, end, parent_id = (
        reading.times.epoch_start(required_start_time(record), "ns"),
        record.get("end_time"),
        record.get("parent_id"),
    )
    name = str(record.get("name") or "span")
    events = decode_json_text(record.get("events"))
    return span_of(
        reading,
        trace_id,
        span_id,
        hex_id_or_text(parent_id, SPAN_ID_DIGITS) if parent_id else None,
        name,
        start,
        reading.times.time(end) if end else None,
        phoenix_attributes(record),
        kind=str(record.get("span_kind") or ""),
        status=status_of(record.get("status_code")),
        status_message=record.get("status_message"),
        events=events if isinstance(events, list) else None,
    )


def required_start_time(record: dict[str, Any]) -> Any:
    """The start time of a span; `KeyError` if it is missing."""
    if not record.get("start_time"):
        raise KeyError("start_time")
    return record["start_time"]


def hex_id_or_text(value: Any, digits: int) -> str:
    """An id in hex if it is valid, else unchanged: Phoenix accepts any text."""
    try:
        return hex_id(value, digits)
    except ValueError:
        return str(value)


def phoenix_attributes(record: dict[str, Any]) -> dict[str, Any]:
    """Attributes from separate columns or from one mapping, with dotted names for nested attributes."""
    attributes = dict(flattened(decode_json_text(record.get("attributes"))))
    for key, value in record.items():
        if key.startswith(ATTRIBUTE_PREFIX) and value is not None:
            name = key.removeprefix(ATTRIBUTE_PREFIX)
            attributes |= dict(flattened(value, name)) if isinstance(value, Mapping) else {name: value}
    if "openinference.span.kind" not in attributes and isinstance(record.get("span_kind"), str):
        attributes["openinference.span.kind"] = record["span_kind"]
    return attributes


def flattened(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """The dotted name and value of each leaf of nested mappings."""
    if isinstance(value, Mapping):
        for key, nested in value.items():
            yield from flattened(nested, f"{name}.{key}" if name else str(key))
    elif value is not None and name:
        yield name, value
