import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanContext, TraceFlags

from tokenvis.record.sdk_spans import TraceNameCapture, otel_value, read_span, stored_span_id

CONTEXT = SpanContext(0xA, 0xB, is_remote=False, trace_flags=TraceFlags(1))


def test_a_running_span_has_no_end():
    names = TraceNameCapture()
    attributes = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "Ann", "gen_ai.agent.id": "a-1"}
    span = read_span(ReadableSpan("run", context=CONTEXT, attributes=attributes, start_time=2_000), names)
    assert (span.id, span.start, span.end, span.agent, span.agent_key) == (stored_span_id(CONTEXT), 2, None, "Ann", "a-1")
    assert names.name == (2, "Ann")


def test_a_span_without_a_start_is_refused():
    with pytest.raises(ValueError, match=r"^it has no ids, or no start$"):
        read_span(ReadableSpan("run", context=CONTEXT), TraceNameCapture())


def test_values_as_json():
    assert otel_value({"raw": b"hi", "pair": (1, (True, b""))}) == {"raw": "aGk=", "pair": [1, [True, ""]]}
