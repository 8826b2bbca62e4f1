"""SDK spans: a span of OpenTelemetry's SDK, running or ended, as the file reader returns it."""

import base64
from collections.abc import Mapping, Sequence
from typing import Any

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanContext

from tokenvis.conventions.opentelemetry import run_attributes, service_of, span_of, status_of
from tokenvis.conventions.span import SpanRead
from tokenvis.conventions.timestamps import from_nanoseconds
from tokenvis.record.snapshot import name_text
from tokenvis.spans.integers import INT64_MIN

ATTRIBUTE_SCALARS = (str, bool, int, float, type(None))


class TraceNameCapture:
    """Captures the name that a span gives its trace."""

    name: tuple[int, str] | None = None
    without_texts = True  # a name must not change while its trace runs

    def name_trace(self, trace_id: str, name: str, start: int | None = None) -> None:
        """Capture the name."""
        self.name = (INT64_MIN if start is None else start, name_text(name)) if name else None


def read_span(span: ReadableSpan, names: TraceNameCapture) -> SpanRead:
    """A span of the SDK, as `tokenvis.formats.telemetry.python_sdk` reads it from the SDK's JSON."""
    context, parent = span.get_span_context(), span.parent
    if context is None or span.start_time is None:
        raise ValueError("it has no ids, or no start")
    return span_of(
        names,
        f"{context.trace_id:032x}",
        f"{context.span_id:016x}",
        f"{parent.span_id:016x}" if parent and parent.span_id else None,
        span.name or "span",
        from_nanoseconds(span.start_time),
        None if span.end_time is None else from_nanoseconds(span.end_time),
        otel_value(span.attributes or {}),
        kind=span.kind.name,
        service=service_of(span.resource.attributes),
        run=None if parent and parent.span_id else otel_value(run_attributes(span.resource.attributes)),
        status=status_of(span.status.status_code.name),
        status_message=span.status.description,
        events=[event_of(event) for event in span.events] if span.end_time else None,
        links=[stored_span_id(link.context) for link in span.links],
    )


def event_of(event: Any) -> dict[str, Any]:
    """A span event: name, time, attributes."""
    fields = {"name": event.name, "time": from_nanoseconds(event.timestamp), "attributes": otel_value(event.attributes or {})}
    return {key: value for key, value in fields.items() if value}


def otel_value(value: Any) -> Any:
    """An attribute value as JSON; bytes in base64, as in OTLP."""
    if isinstance(value, ATTRIBUTE_SCALARS):
        return value
    if isinstance(value, Mapping):
        return {key: otel_value(item) for key, item in value.items()}
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return [otel_value(item) for item in value] if isinstance(value, Sequence) else value


def stored_span_id(context: SpanContext) -> str:
    """The id of a span in the store."""
    return f"{context.trace_id:032x}/{context.span_id:016x}"
