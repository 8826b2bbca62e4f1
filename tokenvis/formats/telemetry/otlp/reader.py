"""OTLP, OpenTelemetry's own protocol, in files: JSON, JSON lines and binary protobuf.

One object, ``{"resourceSpans": [{"resource", "scopeSpans": [{"spans": [...]}]}]}``, is a whole file or one line of it (the
collector's file exporter; the spans of a trace may be on any lines). A binary file is one message, or several, each after its
length in four bytes. 64-bit numbers are strings of digits in most files; ids are hex in either case, or base64 if a generic
protobuf encoder wrote them; names are in camelCase or snake_case. Times are nanoseconds.

Source: the specification of OTLP, and of its file exporter.
"""

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

from tokenvis.conventions.known_agents import with_known_agents
from tokenvis.conventions.opentelemetry import (
    SPAN_ID_DIGITS,
    TRACE_ID_DIGITS,
    camel_case,
    hex_id,
    host_attributes,
    run_attributes,
    service_of,
    span_of,
    status_of,
)
from tokenvis.conventions.span import SpanRead, optional_objects, optional_value, problem_reason
from tokenvis.conventions.timestamps import from_nanoseconds
from tokenvis.errors import IngestError
from tokenvis.formats.files.documents import document_items, parsed_pieces
from tokenvis.formats.files.head import Head, head_of
from tokenvis.formats.files.lines import json_lines
from tokenvis.formats.files.path_cutter import PathCutter, name_of
from tokenvis.formats.files.reading import Reading
from tokenvis.formats.restored import EXPORTED_NAMES, restored_span
from tokenvis.formats.telemetry.otlp.envelopes import (
    SCOPE_KEYS,
    SCOPES,
    first_list,
    has_resources,
    report_scopes,
    report_status,
    report_unknown,
    resources_in,
    resources_path,
)
from tokenvis.spans.columns import YEAR_2000

NAME = "OpenTelemetry OTLP files"
MAX_MESSAGE_BYTES = 256 << 20
SCALAR_TYPES = ("stringValue", "boolValue", "doubleValue", "bytesValue")
NO_PARENT_ID = "0" * SPAN_ID_DIGITS
OTLP_KINDS = {2: "server", 3: "client", 4: "producer", 5: "consumer"}


def recognises(head: Head) -> bool:
    """Whether the head contains resource spans, or a binary file starts with a message of them."""
    if head.kind == "binary":
        return starts_with_traces_data(head.start) or starts_with_traces_data(head.start[4:])
    return any(map(has_resources, head.objects))


def starts_with_traces_data(start: bytes) -> bool:
    """Whether bytes begin with field 1 of TracesData, and in it field 1 or 2 of ResourceSpans."""
    if start[:1] != b"\x0a":
        return False
    index = 1
    while index < len(start) and start[index] & 0x80 and index < 10:
        index += 1
    return start[index + 1 : index + 2] in (b"\x0a", b"\x12")


def read(reading: Reading) -> Iterator[SpanRead]:
    """The spans of a file, with the agents that the file knows."""
    yield from with_known_agents(spans_of_file(reading), partial(reading.add_problem, None))
    reading.report_times()


def spans_of_file(reading: Reading) -> Iterator[SpanRead]:
    """The spans of a file."""
    head = head_of(reading.source)
    if head.kind == "binary":
        records = numbered_messages(protobuf_messages(reading, single_message=starts_with_traces_data(head.start)))
    elif head.kind == "lines":
        records = json_lines(reading)
    else:
        yield from read_document(reading, head)
        return
    for number, record in records:
        for resource_spans in resources_in(reading, number, record):
            yield from spans_of_resource(reading, number, resource_spans)


def numbered_messages(records: Iterable[Any]) -> Iterator[tuple[int, Any]]:
    """Messages with their numbers, from 1."""
    return enumerate(records, start=1)


def read_document(reading: Reading, head: Head) -> Iterator[SpanRead]:
    """The spans of one document with this head: with several resources, resource by resource; else span by span."""
    prefix, first_reading = resources_path(head), Reading(reading.source)
    report_status(reading, head)
    cutter = PathCutter(f"{prefix}.!{'|'.join(SCOPE_KEYS)}", exact=False)
    members = [(member_key, value) for _, value, member_key in parsed_pieces(cutter, first_reading, reading.source)]
    is_resource_unreadable = any(problem.line is not None for problem in first_reading.problems)
    if cutter.n_entered[-1] > 1 or is_resource_unreadable:
        for number, resource_spans in document_items(reading, prefix):
            yield from spans_of_resource(reading, number, resource_spans)
        return
    report_unknown(reading, None, {name_of(key): value for key, value in members}, SCOPE_KEYS, "scopeSpans")
    resource = next((resource_of(value) for key, value in members if name_of(key) == "resource"), Resource())
    cutter = PathCutter(f"{prefix}.{SCOPES}.spans[*]", exact=False)
    for number, span, _ in parsed_pieces(cutter, reading, reading.source):
        if read := span_or_problem(reading, number, span, resource):
            yield read
    if cutter.n_entered[-1] < cutter.n_entered[-2]:  # a scope has no spans
        report_scopes(reading, prefix)


class Resource(NamedTuple):
    """What the spans of a resource take from it: the name of its service, the attribute that names its host, those of the run.

    Only root spans take those of the run.
    """

    service: str | None = None
    host: Mapping[str, str] = {}
    run: Mapping[str, Any] = {}


def resource_of(resource: Any) -> Resource:
    """A resource, from its attributes."""
    pairs = resource.get("attributes") if isinstance(resource, dict) else None
    if isinstance(pairs, list):
        named = [pair for pair in pairs if isinstance(pair, dict) and isinstance(pair.get("key"), str)]
        pairs = {pair["key"]: resource_value(pair.get("value")) for pair in reversed(named)}  # the first of a name wins
    return Resource(service_of(pairs), host_attributes(pairs), run_attributes(pairs))


def resource_value(value: Any) -> Any:
    """The value of a resource's attribute, None if it is damaged."""
    try:
        return attribute_value(value)
    except (KeyError, TypeError, ValueError, RecursionError):
        return None


def spans_of_resource(reading: Reading, number: int, resource_spans: Any) -> Iterator[SpanRead]:
    """The spans of one resource."""
    resource = resource_of(resource_spans.get("resource")) if isinstance(resource_spans, dict) else Resource()
    report_unknown(reading, number, resource_spans, SCOPE_KEYS, "scopeSpans")
    for scope in first_list(resource_spans, SCOPE_KEYS):
        report_unknown(reading, number, scope, ("spans",), "spans")
        for record in first_list(scope, ("spans",)):
            if span := span_or_problem(reading, number, record, resource):
                yield span


def span_or_problem(reading: Reading, number: int, record: Any, resource: Resource) -> SpanRead | None:
    """The span of a record; None, and a problem, if it cannot be used."""
    try:
        span = otlp_span(record, resource, reading)
    except (KeyError, TypeError, ValueError, ArithmeticError, RecursionError) as error:
        reading.add_problem(number, problem_reason(error))
        return None
    span.line = number
    return span


def otlp_span(record: Any, resource: Resource, reading: Reading) -> SpanRead:
    """An OTLP span as a span."""
    if type(record) is not dict:
        raise TypeError(f"a span is of type {type(record).__name__}")
    if "traceId" not in record and "trace_id" in record:
        record = in_camel_case(record)
    trace_id, span_id = hex_id(record["traceId"], TRACE_ID_DIGITS), hex_id(record["spanId"], SPAN_ID_DIGITS)
    parent_span_id = record.get("parentSpanId")
    start, end = from_nanoseconds(record["startTimeUnixNano"]), record.get("endTimeUnixNano")
    attributes = otlp_attributes(record)
    if "tokenvis.id" in attributes:
        return restored_otlp_span(attributes, start, from_nanoseconds(end or 0))
    if start < YEAR_2000:
        reading.times.early_start(record["startTimeUnixNano"])
    if resource.host:
        attributes = {**resource.host, **attributes}
    name = record.get("name") or "span"
    if type(name) is not str:
        raise TypeError(f"'name' is of type {type(name).__name__}")
    parent = hex_id(parent_span_id, SPAN_ID_DIGITS) if parent_span_id else None
    kind = record.get("kind")
    optional_data: dict[str, Any] = {}
    if status := record.get("status"):
        optional_data["status"] = status_of(status.get("code")) if isinstance(status, dict) else None
        optional_data["status_message"] = status.get("message") if isinstance(status, dict) else None
    if record.get("events"):
        optional_data["events"] = [otlp_event(event) for event in optional_objects(record, "events")]
    if record.get("links"):
        optional_data["links"] = [otlp_link(link) for link in optional_objects(record, "links")]
    return span_of(
        reading,
        trace_id,
        span_id,
        parent if parent != NO_PARENT_ID else None,
        name,
        start,
        from_nanoseconds(end) if end not in (None, "", 0, "0") else None,
        attributes,
        kind=OTLP_KINDS.get(kind, "") if type(kind) is int else str(kind or "").rpartition("_")[2],
        service=resource.service,
        run=resource.run,
        **optional_data,
    )


def restored_otlp_span(attributes: dict[str, Any], start: int, end: int) -> SpanRead:
    """A span that tokenvis exported, unchanged."""
    names = {key: attributes[f"tokenvis.{key}"] for key in EXPORTED_NAMES}
    return restored_span({**names, "start_time": start, "end_time": end, "data": attributes.get("tokenvis.data")})


def otlp_attributes(record: dict[str, Any]) -> dict[str, Any]:
    """The attributes of a record as a mapping."""
    pairs = record.get("attributes")
    return attribute_mapping(pairs) if pairs else {}


def attribute_mapping(pairs: Any) -> dict[str, Any]:
    """A list of keys with typed values as a mapping; a mapping unchanged."""
    if type(pairs) is dict:
        return dict(pairs)
    attributes = {}
    for pair in pairs:
        if type(pair) is not dict:
            raise TypeError(f"an attribute is of type {type(pair).__name__}")
        value = pair.get("value")
        text = value.get("stringValue") if type(value) is dict else None  # nearly all values are strings
        attributes[pair["key"]] = attribute_value(value) if text is None else text
    return attributes


def attribute_value(value: Any) -> Any:
    """A typed value as a JSON value."""
    if type(value) is not dict:
        return value
    for type_name, content in value.items():
        if type_name in SCALAR_TYPES:
            return content
        if type_name == "intValue":
            return integer_or_content(content)
        if type_name == "arrayValue":
            return (
                [attribute_value(item) for item in optional_value(content, "values", list) or ()]
                if type(content) is dict
                else None
            )
        if type_name == "kvlistValue":
            return attribute_mapping(optional_value(content, "values", list) or ()) if type(content) is dict else None
        if "_" in type_name:
            return attribute_value(in_camel_case(value))
    return None


def integer_or_content(content: Any) -> Any:
    """The integer that a content is or has as digits; any other content, and one of too many digits, unchanged."""
    try:
        return content if content is None else int(content)
    except ValueError:
        return content


def otlp_link(link: dict[str, Any]) -> str:
    """The id of the span that a link names."""
    link = link if "traceId" in link else in_camel_case(link)
    return f"{hex_id(link['traceId'], TRACE_ID_DIGITS)}/{hex_id(link['spanId'], SPAN_ID_DIGITS)}"


def otlp_event(event: dict[str, Any]) -> dict[str, Any]:
    """An event of a span: name, time, attributes."""
    time = event.get("timeUnixNano")
    fields = {"name": event.get("name"), "time": from_nanoseconds(time) if time else None, "attributes": otlp_attributes(event)}
    return {key: value for key, value in fields.items() if value}


def in_camel_case(record: dict[str, Any]) -> dict[str, Any]:
    """A record with its keys in camelCase: ``trace_id`` becomes ``traceId``."""
    return {camel_case(key): value for key, value in record.items()}


def protobuf_messages(reading: Reading, *, single_message: bool) -> Iterator[dict[str, Any]]:
    """The messages of a binary file as the objects of their JSON form."""
    try:
        from google.protobuf.json_format import MessageToDict
        from google.protobuf.message import DecodeError
        from opentelemetry.proto.trace.v1.trace_pb2 import TracesData
    except ImportError:
        name = reading.source.name
        raise IngestError(f"{name} is binary OTLP, which needs the extra: pip install 'tokenvis[protobuf]'.") from None
    reading.record_noun = "message"
    for number, raw in enumerate(raw_messages(reading, single_message=single_message), start=1):
        try:
            yield MessageToDict(TracesData.FromString(raw))
        except (DecodeError, ValueError, RecursionError) as error:
            reading.add_problem(number, f"not OTLP ({error})")


def raw_messages(reading: Reading, *, single_message: bool) -> Iterator[bytes]:
    """The bytes of each message: the whole file, or the bytes after each length in four bytes."""
    with reading.source.path.open("rb") as file:
        if single_message:
            yield file.read(MAX_MESSAGE_BYTES)
            if file.read(1):
                reading.add_problem(None, f"only the first {MAX_MESSAGE_BYTES:,} bytes, the limit of one message, were read")
            return
        while length := file.read(4):
            size = int.from_bytes(length, "big")
            if not size:  # a file that was not completely written ends with many null bytes
                continue
            message = file.read(size) if size <= MAX_MESSAGE_BYTES else b""
            if len(message) < size:
                reading.add_problem(None, "is truncated; the complete part was read")
                return
            reading.source.report_position(file.tell())
            yield message
