"""MLflow traces: `trace.to_json()`, one or several, and the DataFrame of `mlflow.search_traces()`.

A trace is ``{"info": {"trace_id", "tags", ...}, "data": {"spans": [...]}}``; an answer to a search has ``{"traces": [...],
"next_page_token"}``; in the DataFrame it is in the column ``trace``, or its spans are in the column ``spans``. Ids are base64,
times are nanoseconds, and attribute values are JSON strings. In MLflow 2 a trace has a ``request_id``, and a span has a
``context``, a ``parent_id`` and a ``start_time``.

Source: files made with MLflow 3.17, and MLflow's documentation.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from tokenvis.conventions.known_agents import with_known_agents
from tokenvis.conventions.opentelemetry import (
    SPAN_ID_DIGITS,
    TRACE_ID_DIGITS,
    hex_id,
    span_of,
    status_of,
)
from tokenvis.conventions.rules import as_name
from tokenvis.conventions.span import SpanRead, optional_value, problem_reason
from tokenvis.conventions.timestamps import from_nanoseconds
from tokenvis.conventions.values import decode_json_text, json_text_value
from tokenvis.errors import plural
from tokenvis.formats.files.documents import document_items
from tokenvis.formats.files.head import Head, head_of
from tokenvis.formats.files.pages import note_pages
from tokenvis.formats.files.reading import Reading
from tokenvis.formats.files.rows import table_rows
from tokenvis.spans.columns import YEAR_2000

NAME = "MLflow traces"
SESSION_KEY = "mlflow.trace.session"
SIZE_KEY = "mlflow.trace.sizeStats"
ATTRIBUTE_NAMES = {"mlflow.spanInputs": "input.value", "mlflow.spanOutputs": "output.value"}


def recognises(head: Head) -> bool:
    """Whether the head contains MLflow traces, or rows with traces."""
    return any(is_mlflow_trace(item) or is_trace_row(item) or is_mlflow_trace(first_trace(item)) for item in head.objects)


def first_trace(item: dict[str, Any]) -> Any:
    """The first trace of an answer of MLflow's API or command line, None if there is none."""
    traces = item.get("traces")
    return traces[0] if isinstance(traces, list) and traces else None


def is_mlflow_trace(item: Any) -> bool:
    """Whether an object has the keys of a trace, which may be truncated."""
    if not isinstance(item, dict) or not isinstance(info := item.get("info"), dict):
        return False
    return bool({"request_id", "trace_location", "trace_metadata", "request_metadata", "experiment_id"} & info.keys())


def is_trace_row(item: dict[str, Any]) -> bool:
    """Whether a row of a table contains a trace or its spans."""
    spans = decode_json_text(item.get("spans"))
    first_span = spans[0] if isinstance(spans, list) and spans else None
    return is_mlflow_trace(decode_json_text(item.get("trace"))) or (
        isinstance(first_span, Mapping) and ("start_time_unix_nano" in first_span or "start_time_ns" in first_span)
    )


def read(reading: Reading) -> Iterator[SpanRead]:
    """The spans of every trace, with the agents that their traces know."""
    yield from with_known_agents(spans_of_traces(reading), partial(reading.add_problem, None))
    reading.report_times()


def spans_of_traces(reading: Reading) -> Iterator[SpanRead]:
    """The spans of every trace."""
    for number, row in trace_rows(reading):
        reading.n_records += 1
        try:
            records, name, session = trace_records(row, partial(reading.add_problem, number))
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            reading.add_problem(number, problem_reason(error))
            continue
        for record in records:
            try:
                span = mlflow_span(record, name, session, reading)
            except (KeyError, TypeError, ValueError, ArithmeticError, RecursionError) as error:
                reading.add_problem(number, problem_reason(error))
                continue
            span.line = number
            yield span


def trace_rows(reading: Reading) -> Iterator[tuple[int, Any]]:
    """The traces of a table or of a document, or of answers to a search, under "traces"."""
    head = head_of(reading.source)
    if not any(first_trace(item) for item in head.objects[:1]):
        reading.default_limits = {100: "MlflowClient.search_traces"}
        yield from table_rows(reading)
        return
    prefix = "[*]." if isinstance(head.values[0], list) else ""
    note_pages(reading, prefix)
    yield from document_items(reading, f"{prefix}traces[*]")


def trace_records(record: Any, tell: Callable[[str], None]) -> tuple[list[Any], str | None, str | None]:
    """The span records, the name and the session of a trace, or of a row with a trace; ``tell`` gets a problem."""
    if not isinstance(record, dict):
        raise TypeError(f"a trace is of type {type(record).__name__}")
    trace = decode_json_text(record.get("trace"))
    trace = trace if isinstance(trace, dict) else record
    info, data = optional_value(trace, "info", dict) or {}, optional_value(trace, "data", dict) or {}
    tags = info.get("tags")
    name = tags.get("mlflow.traceName") if isinstance(tags, dict) else None
    records = decode_json_text(data.get("spans", record.get("spans")))
    if not isinstance(records, list):
        raise KeyError("spans")
    metadata = info.get("trace_metadata", info.get("request_metadata"))
    metadata = metadata if isinstance(metadata, dict) else {}
    session = as_name(metadata.get(SESSION_KEY))
    sizes = decode_json_text(metadata.get(SIZE_KEY))
    n_spans = sizes.get("num_spans") if isinstance(sizes, dict) else None
    if type(n_spans) is int and n_spans > len(records):
        tell(f"a trace has {len(records):,} of {plural(n_spans, 'span')}. Load it again with its spans: mlflow.get_trace(ID)")
    return [decode_json_text(item) for item in records], name if isinstance(name, str) else None, session


def mlflow_span(record: Any, trace_name: str | None, session: str | None, reading: Reading) -> SpanRead:
    """A span of MLflow 3 or MLflow 2."""
    if not isinstance(record, dict):
        raise TypeError(f"a span is of type {type(record).__name__}")
    context = optional_value(record, "context", dict) or record
    trace_id, span_id = hex_id(context["trace_id"], TRACE_ID_DIGITS), hex_id(context["span_id"], SPAN_ID_DIGITS)
    parent_id = record.get("parent_span_id") or record.get("parent_id")
    start = from_nanoseconds(stated := first_value(record, "start_time_unix_nano", "start_time_ns", "start_time"))
    if start < YEAR_2000:
        reading.times.early_start(stated)
    end = next((record[key] for key in ("end_time_unix_nano", "end_time_ns", "end_time") if record.get(key)), None)
    name = optional_value(record, "name", str) or "span"
    reading.name_trace(trace_id, trace_name or "")
    status = record.get("status") or record.get("status_code")
    status = status if isinstance(status, dict) else {"code": status}
    attributes = mlflow_attributes(record)
    if session:
        attributes.setdefault("session.id", session)
    return span_of(
        reading,
        trace_id,
        span_id,
        hex_id(parent_id, SPAN_ID_DIGITS) if parent_id else None,
        name,
        start,
        from_nanoseconds(end) if end else None,
        attributes,
        status=status_of(status.get("code")),
        status_message=status.get("message"),
        events=optional_value(record, "events", list),
    )


def first_value(record: dict[str, Any], *keys: str) -> Any:
    """The first value under these keys; `KeyError` if all are missing."""
    for key in keys:
        if record.get(key) is not None:
            return record[key]
    raise KeyError(keys[0])


def mlflow_attributes(record: dict[str, Any]) -> dict[str, Any]:
    """Attributes with decoded values, and model and tool under OpenTelemetry's names."""
    attributes = {}
    for key, value in (optional_value(record, "attributes", dict) or {}).items():
        attributes[ATTRIBUTE_NAMES.get(key, key)] = decoded_value(value)
    for key in ("mlflow.llm.model", "mlflow.chat.model", "model"):
        if isinstance(attributes.get(key), str):
            attributes.setdefault("gen_ai.request.model", attributes[key])
    if attributes.get("mlflow.spanType") == "TOOL" and isinstance(attributes.get("mlflow.spanFunctionName"), str):
        attributes.setdefault("gen_ai.tool.name", attributes["mlflow.spanFunctionName"])
    return attributes


def decoded_value(value: Any) -> Any:
    """The value of a JSON string; any other value unchanged."""
    if not isinstance(value, str):
        return value
    try:
        return json_text_value(value)
    except ValueError:
        return value
