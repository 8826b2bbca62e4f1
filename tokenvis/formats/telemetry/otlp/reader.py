"""OpenTelemetry's own protocol, in files: JSON, JSON lines, and binary protobuf.

One object, ``{"resourceSpans": [{"resource", "scopeSpans": [{"spans": [...]}]}]}``, is a whole file, or a line of it (the
collector's file exporter; nothing says that a trace's spans stand together). In binary files messages stand alone, or each
after its length in four bytes. 64-bit numbers are digits in a string, but not everywhere; ids are hex in either case, or base64
where a general encoder of protobuf wrote them; names are in camelCase, or in snake_case. Times are nanoseconds.

Source: the specification of OTLP, and of its file exporter.
"""

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

import orjson

from tokenvis.conventions.opentelemetry import SPAN, TRACE, camel, hex_id, service_of, span_of, status_of
from tokenvis.conventions.span import SpanRead, given, needed, objects, reason_of
from tokenvis.conventions.timestamps import of_nanoseconds
from tokenvis.errors import IngestError
from tokenvis.formats.files.documents import items
from tokenvis.formats.files.head import Head, beginning, head_of
from tokenvis.formats.files.lines import json_lines
from tokenvis.formats.files.reading import Reading

NAME = "OpenTelemetry OTLP files"
LONGEST_MESSAGE = 256 << 20
SCOPES = ("scopeSpans", "scope_spans", "instrumentationLibrarySpans")
SIMPLE = ("stringValue", "boolValue", "doubleValue", "bytesValue")
OURS = ("tokenvis.id", "tokenvis.trace_id", "tokenvis.agent_id", "tokenvis.location_id", "tokenvis.data")
NO_SPAN = "0" * SPAN
KINDS = {2: "server", 3: "client", 4: "producer", 5: "consumer"}


def recognises(head: Head) -> bool:
    """Whether there are resource spans; of binary files, whether they begin as such a message does."""
    if head.kind == "binary":
        return begins_as_message(head.start) or begins_as_message(head.start[4:])
    return any("resourceSpans" in item or "resource_spans" in item for item in head.objects)


def begins_as_message(start: bytes) -> bool:
    """Whether bytes begin with field 1 of TracesData, and in it field 1 or 2 of ResourceSpans."""
    if start[:1] != b"\x0a":
        return False
    place = 1
    while place < len(start) and start[place] & 0x80 and place < 10:
        place += 1
    return start[place + 1 : place + 2] in (b"\x0a", b"\x12")


def read(reading: Reading) -> Iterator[SpanRead]:
    """The spans of a file."""
    head = head_of(reading.source)
    if head.kind == "binary":
        records = numbered(protobuf_messages(reading, alone=begins_as_message(head.start)))
    elif head.kind == "lines":
        records = json_lines(reading)
    else:
        yield from read_document(reading)
        return
    for number, record in records:
        for group in listed(record, "resourceSpans", "resource_spans"):
            yield from spans_of_resource(reading, number, group)


def numbered(records: Iterable[Any]) -> Iterator[tuple[int, Any]]:
    """Records with their numbers."""
    return enumerate(records, start=1)


def read_document(reading: Reading) -> Iterator[SpanRead]:
    """The spans of one document, of any size: with one resource, span by span; else resource by resource."""
    prefix, scopes = places_of(reading)
    quiet = Reading(reading.source)
    services = [as_service(resource) for _, resource in items(quiet, f"{prefix}.resource")]
    if len(services) != 1 or quiet.problems:
        for number, group in items(reading, prefix):
            yield from spans_of_resource(reading, number, group)
        return
    for number, span in items(reading, f"{prefix}.{scopes}.item.spans.item"):
        yield from spans_of_record(reading, number, span, services[0])


def places_of(reading: Reading) -> tuple[str, str]:
    """Where the resources stand in a document, and what their scopes are called."""
    start = beginning(reading.source)
    name = "resource_spans" if b'"resource_spans"' in start else "resourceSpans"
    scopes = next((other for other in SCOPES[1:] if f'"{other}"'.encode() in start), SCOPES[0])
    return f"item.{name}.item" if start[:1] == b"[" else f"{name}.item", scopes


def as_service(resource: Any) -> str | None:
    """The service of a resource."""
    for pair in listed(resource, "attributes"):
        if isinstance(pair, dict) and pair.get("key") == "service.name":
            return service_of({"service.name": value_of(pair.get("value"))})
    return service_of(resource.get("attributes") or {}) if isinstance(resource, dict) else None


def listed(source: Any, *names: str) -> list[Any]:
    """A list under any of its names; none where it is no list."""
    for name in names:
        value = source.get(name) if isinstance(source, dict) else None
        if isinstance(value, list):
            return value
    return []


def spans_of_resource(reading: Reading, number: int, group: Any) -> Iterator[SpanRead]:
    """The spans of one resource."""
    service = as_service(group.get("resource") or {}) if isinstance(group, dict) else None
    scopes = listed(group, *SCOPES)
    for record in chain.from_iterable(listed(scope, "spans") for scope in scopes):
        yield from spans_of_record(reading, number, record, service)


def spans_of_record(reading: Reading, number: int, record: Any, service: str | None) -> Iterator[SpanRead]:
    """A span, or the problem that it is."""
    try:
        span = span_in(record, service, reading)
    except (KeyError, TypeError, ValueError, ArithmeticError, RecursionError) as error:
        reading.problem(number, reason_of(error))
        return
    span.line = number
    yield span


def span_in(record: Any, service: str | None, reading: Reading) -> SpanRead:
    """A span as it was sent."""
    if type(record) is not dict:
        raise TypeError(f"a span is {type(record).__name__}")
    if "traceId" not in record and "trace_id" in record:
        record = in_camel_case(record)
    trace_id, span_id = hex_id(record["traceId"], TRACE), hex_id(record["spanId"], SPAN)
    above = record.get("parentSpanId")
    start, end = of_nanoseconds(record["startTimeUnixNano"]), record.get("endTimeUnixNano")
    attributes = attributes_of(record)
    if "tokenvis.id" in attributes:
        return own_span(attributes, start, of_nanoseconds(end or 0))
    name = record.get("name") or "span"
    if type(name) is not str:
        raise TypeError(f"'name' is {type(name).__name__}")
    parent = hex_id(above, SPAN) if above else None
    kind = record.get("kind")
    more: dict[str, Any] = {}
    if status := record.get("status"):
        more["status"] = status_of(status.get("code")) if isinstance(status, dict) else None
        more["status_message"] = status.get("message") if isinstance(status, dict) else None
    if record.get("events"):
        more["events"] = [otlp_event(event) for event in objects(record, "events")]
    if record.get("links"):
        more["links"] = [otlp_link(link) for link in objects(record, "links")]
    return span_of(
        reading,
        trace_id,
        span_id,
        parent if parent != NO_SPAN else None,
        name,
        start,
        of_nanoseconds(end) if end not in (None, "", 0, "0") else None,
        attributes,
        kind=KINDS.get(kind, "") if type(kind) is int else str(kind or "").rpartition("_")[2],
        service=service,
        **more,
    )


def own_span(attributes: dict[str, Any], start: int, end: int) -> SpanRead:
    """A span that tokenvis wrote, as it was."""
    span_id, trace_id, agent, location = (needed(attributes, key, str) for key in OURS[:4])
    data = given(attributes, "tokenvis.data", str)
    payload = orjson.loads(data) if data else {}
    if not isinstance(payload, dict):
        raise TypeError("'tokenvis.data' is no object")
    return SpanRead(trace_id, span_id, start, end, agent, location, str(payload.get("label", location)), payload)


def attributes_of(record: dict[str, Any]) -> dict[str, Any]:
    """The attributes of something as a mapping."""
    pairs = record.get("attributes")
    return mapping_of(pairs) if pairs else {}


def mapping_of(pairs: Any) -> dict[str, Any]:
    """A list of keys with typed values as a mapping, or a mapping that it is already."""
    if type(pairs) is dict:
        return dict(pairs)
    attributes = {}
    for pair in pairs:
        if type(pair) is not dict:
            raise TypeError(f"an attribute is {type(pair).__name__}")
        value = pair.get("value")
        text = value.get("stringValue") if type(value) is dict else None  # which nearly all of them are
        attributes[pair["key"]] = value_of(value) if text is None else text
    return attributes


def value_of(value: Any) -> Any:
    """A typed value as JSON has it."""
    if type(value) is not dict:
        return value
    for kind, inner in value.items():
        if kind in SIMPLE:
            return inner
        if kind == "intValue":
            return int(inner)
        if kind == "arrayValue":
            return [value_of(item) for item in given(inner, "values", list) or ()] if type(inner) is dict else None
        if kind == "kvlistValue":
            return mapping_of(given(inner, "values", list) or ()) if type(inner) is dict else None
        if "_" in kind:
            return value_of(in_camel_case(value))
    return None


def otlp_link(link: dict[str, Any]) -> str:
    """The id of the span that a link names."""
    link = link if "traceId" in link else in_camel_case(link)
    return f"{hex_id(link['traceId'], TRACE)}/{hex_id(link['spanId'], SPAN)}"


def otlp_event(event: dict[str, Any]) -> dict[str, Any]:
    """An event of a span: name, time, attributes."""
    time = event.get("timeUnixNano")
    said = {"name": event.get("name"), "time": of_nanoseconds(time) if time else None, "attributes": attributes_of(event)}
    return {key: value for key, value in said.items() if value}


def in_camel_case(record: dict[str, Any]) -> dict[str, Any]:
    """Keys such as ``trace_id`` as ``traceId``."""
    return {camel(key): value for key, value in record.items()}


def protobuf_messages(reading: Reading, *, alone: bool) -> Iterator[dict[str, Any]]:
    """The messages of a binary file as objects, as JSON would have them."""
    try:
        from google.protobuf.json_format import MessageToDict
        from google.protobuf.message import DecodeError
        from opentelemetry.proto.trace.v1.trace_pb2 import TracesData
    except ImportError:
        name = reading.source.name
        raise IngestError(f"{name} is binary OTLP, which needs the extra: pip install 'tokenvis[protobuf]'.") from None
    reading.unit = "message"
    for number, raw in enumerate(raw_messages(reading, alone=alone), start=1):
        try:
            yield MessageToDict(TracesData.FromString(raw))
        except (DecodeError, ValueError, RecursionError) as error:
            reading.problem(number, f"not OTLP ({error})")


def raw_messages(reading: Reading, *, alone: bool) -> Iterator[bytes]:
    """The bytes of each message: all of the file, or what follows each length in four bytes."""
    with reading.source.path.open("rb") as file:
        if alone:
            yield file.read(LONGEST_MESSAGE)
            if file.read(1):
                reading.problem(None, f"longer than the {LONGEST_MESSAGE:,} bytes that one message may have")
            return
        while length := file.read(4):
            size = int.from_bytes(length, "big")
            message = file.read(size) if size <= LONGEST_MESSAGE else b""
            if len(message) < size:
                reading.problem(None, "ends in the middle; what stands before that was read")
                return
            reading.source.told(file.tell())
            yield message
