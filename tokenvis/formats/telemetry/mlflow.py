"""MLflow traces: `trace.to_json()`, one or several, and the DataFrame of `mlflow.search_traces()`.

A trace is ``{"info": {"trace_id", "tags", ...}, "data": {"spans": [...]}}``; in the DataFrame the column ``trace`` holds it, or
``spans`` the spans alone. Ids are base64, times are nanoseconds, and the value of each attribute is JSON in a text. In MLflow 2
a trace has a ``request_id``, and a span a ``context``, a ``parent_id`` and ``start_time``.

Source: files made with MLflow 3.17, and MLflow's documentation.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from tokenvis.conventions.opentelemetry import INPUT, OUTPUT, SPAN, TRACE, hex_id, opened_json, span_of, status_of
from tokenvis.conventions.span import SpanRead, given, reason_of
from tokenvis.conventions.timestamps import of_nanoseconds
from tokenvis.formats.files.head import Head
from tokenvis.formats.files.reading import Reading
from tokenvis.formats.files.rows import rows

NAME = "MLflow traces"
INPUTS = {"mlflow.spanInputs": "input.value", "mlflow.spanOutputs": "output.value"}


def recognises(head: Head) -> bool:
    """Whether there are traces of MLflow, or rows that hold them."""
    return any(is_trace(item) or is_row(item) for item in head.objects)


def is_trace(item: Any) -> bool:
    """Whether an object is a trace, as far as it can be seen."""
    if not isinstance(item, dict) or not isinstance(info := item.get("info"), dict):
        return False
    return bool({"request_id", "trace_location", "trace_metadata", "request_metadata", "experiment_id"} & info.keys())


def is_row(item: dict[str, Any]) -> bool:
    """Whether a row of a table holds a trace, or its spans."""
    spans = opened_json(item.get("spans"))
    first = spans[0] if isinstance(spans, list) and spans else None
    return is_trace(opened_json(item.get("trace"))) or (
        isinstance(first, Mapping) and ("start_time_unix_nano" in first or "start_time_ns" in first)
    )


def read(reading: Reading) -> Iterator[SpanRead]:
    """The spans of every trace."""
    for number, record in rows(reading):
        try:
            spans, name = spans_in(record)
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            reading.problem(number, reason_of(error))
            continue
        for span in spans:
            try:
                made = span_in(span, name, reading)
            except (KeyError, TypeError, ValueError, ArithmeticError, RecursionError) as error:
                reading.problem(number, reason_of(error))
                continue
            made.line = number
            yield made


def spans_in(record: Any) -> tuple[list[Any], str | None]:
    """The spans of a trace, or of a row that holds one, and the trace's name."""
    if not isinstance(record, dict):
        raise TypeError(f"a trace is {type(record).__name__}")
    trace = opened_json(record.get("trace"))
    trace = trace if isinstance(trace, dict) else record
    info, data = given(trace, "info", dict) or {}, given(trace, "data", dict) or {}
    tags = info.get("tags")
    name = tags.get("mlflow.traceName") if isinstance(tags, dict) else None
    spans = opened_json(data.get("spans", record.get("spans")))
    if not isinstance(spans, list):
        raise KeyError("spans")
    return [opened_json(span) for span in spans], name if isinstance(name, str) else None


def span_in(record: Any, trace_name: str | None, reading: Reading) -> SpanRead:
    """A span of MLflow 3, or of MLflow 2."""
    if not isinstance(record, dict):
        raise TypeError(f"a span is {type(record).__name__}")
    context = given(record, "context", dict) or record
    trace_id, span_id = hex_id(context["trace_id"], TRACE), hex_id(context["span_id"], SPAN)
    above = record.get("parent_span_id") or record.get("parent_id")
    start = of_nanoseconds(first_of(record, "start_time_unix_nano", "start_time_ns", "start_time"))
    end = next((record[key] for key in ("end_time_unix_nano", "end_time_ns", "end_time") if record.get(key)), None)
    name = given(record, "name", str) or "span"
    reading.name_trace(trace_id, trace_name or "")
    status = record.get("status") or record.get("status_code")
    status = status if isinstance(status, dict) else {"code": status}
    attributes = attributes_of(record)
    return span_of(
        reading,
        trace_id,
        span_id,
        hex_id(above, SPAN) if above else None,
        name,
        start,
        of_nanoseconds(end) if end else None,
        attributes,
        status=status_of(status.get("code")),
        status_message=status.get("message"),
        events=given(record, "events", list),
    )


def first_of(record: dict[str, Any], *keys: str) -> Any:
    """The first of these that is there."""
    for key in keys:
        if record.get(key) is not None:
            return record[key]
    raise KeyError(keys[0])


def attributes_of(record: dict[str, Any]) -> dict[str, Any]:
    """Attributes with their values out of the texts that hold them, and tokens under OpenTelemetry's names."""
    attributes = {}
    for key, value in (given(record, "attributes", dict) or {}).items():
        attributes[INPUTS.get(key, key)] = value_of(value)
    usage = attributes.get("mlflow.chat.tokenUsage")
    if isinstance(usage, dict):
        attributes |= {INPUT: usage.get("input_tokens"), OUTPUT: usage.get("output_tokens")}
        attributes |= {f"gen_ai.usage.{key}": count for key, count in usage.items() if key.startswith("cache_")}
    for key in ("mlflow.llm.model", "mlflow.chat.model", "model"):
        if isinstance(attributes.get(key), str):
            attributes.setdefault("gen_ai.request.model", attributes[key])
    if attributes.get("mlflow.spanType") == "TOOL" and isinstance(attributes.get("mlflow.spanFunctionName"), str):
        attributes.setdefault("gen_ai.tool.name", attributes["mlflow.spanFunctionName"])
    return attributes


def value_of(value: Any) -> Any:
    """A value out of the JSON text that holds it."""
    if not isinstance(value, str):
        return value
    try:
        return orjson.loads(value)
    except orjson.JSONDecodeError:
        return value
