"""OTLP JSON: one document that a collector of OpenTelemetry accepts (POST /v1/traces).

``{"resourceSpans": [...]}`` contains a resource for each trace; its ``service.name`` is the trace's id, the only name that a
frame has for it. ``traceId`` and ``spanId`` are the ids of the frame if these are "<32 hex>" and "<32 hex>/<16 hex>", as in
spans read from OpenTelemetry; else they are digests (BLAKE2b), so the same span has the same ids in every file. Attributes are
the ``attributes`` in ``data``, with ``gen_ai.agent.name`` added if it is missing; five more contain the original span:
``tokenvis.id``, ``tokenvis.trace_id``, ``tokenvis.agent_id``, ``tokenvis.location_id``, and ``tokenvis.data``, the JSON text.
64-bit numbers are strings of digits, as the specification requires; times are ns and never negative.
"""

import math
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from hashlib import blake2b
from typing import IO, Any

import numpy as np
import orjson
import pandas as pd

from tokenvis.errors import BadSpan
from tokenvis.formats.chunks import chunk_rows, export_chunks, payload_text
from tokenvis.spans.bad_rows import first_bad, span_at
from tokenvis.spans.columns import COLUMNS, ranks_of, times_of
from tokenvis.spans.payload import parsed_payloads
from tokenvis.spans.redaction import Redactor
from tokenvis.spans.text import without_surrogates
from tokenvis.spans.typed_columns import INT64_RANGE

HEX_TRACE_ID = re.compile("(?!0{32})[0-9a-f]{32}")
HEX_SPAN_ID = re.compile("(?P<trace>(?!0{32})[0-9a-f]{32})/(?P<span>(?!0{16})[0-9a-f]{16})")
INTERNAL_KIND, CLIENT_KIND = 1, 3  # span kinds: a model call is a request to another service
OTLP_MESSAGE_KINDS = {"producer": 4, "consumer": 5}
STATUS_CODES = {"ok": 1, "error": 2}
LATEST_OTLP_TIME_US = (2**64 - 1) // 1_000  # the latest time in µs whose ns fit into 64 bits
MAX_OTLP_DEPTH = 16  # nesting levels of a value; protobuf parsers refuse more than 100, and each level needs four
CUT_VALUE = {"stringValue": "…"}


def write_otlp(spans: pd.DataFrame, file: IO[bytes], redactor: Redactor | None = None) -> None:
    """Write spans as one document, one span per line, trace after trace."""
    check_otlp_times(spans)
    order = np.argsort(ranks_of(spans["trace_id"]), kind="stable")
    current_trace = None
    file.write(b'{"resourceSpans":[')
    for chunk in export_chunks(spans, redactor, rows=order):
        for row, payload in zip(chunk_rows(chunk, *COLUMNS), parsed_payloads(chunk), strict=True):
            record = orjson.dumps(otlp_record(row, payload))
            if row[1] == current_trace:
                file.write(b",\n")
            else:
                file.write((b"" if current_trace is None else b"]}]},") + resource_opening(row[1]))
                current_trace = row[1]
            file.write(record)
    file.write(b"]}\n" if current_trace is None else b"]}]}]}\n")


def check_otlp_times(spans: pd.DataFrame) -> None:
    """Raise `BadSpan` for a time outside of OTLP's range."""
    start, end = times_of(spans)
    out_of_range = (start < 0) | (end > LATEST_OTLP_TIME_US)
    if out_of_range.any():
        row, others = first_bad(out_of_range)
        time = f"starts at {start[row]}" if start[row] < 0 else f"ends at {end[row]}"
        raise BadSpan(
            f"Span {span_at(spans, row)} {time}: OTLP times range from 1970 to the year 2554 (ns in 64 bits).{others} "
            "Shift the times, or export them as 'parquet'."
        )


def resource_opening(trace_id: str) -> bytes:
    """The start of a trace's resource, up to its first span."""
    resource = {"attributes": [otlp_attribute("service.name", trace_id)]}
    return b'\n{"resource":' + orjson.dumps(resource) + b',"scopeSpans":[{"scope":{"name":"tokenvis"},"spans":[\n'


def otlp_record(row: tuple[Any, ...], payload: Mapping[str, Any]) -> dict[str, Any]:
    """A span as an OTLP span."""
    span_id, trace_id, agent, location, start, end, data = row
    record = {
        "traceId": trace_hex(trace_id),
        "spanId": span_hex(trace_id, span_id),
        "name": payload_text(payload, "label") or location,
        "kind": otlp_kind(payload),
        "startTimeUnixNano": str(start * 1_000),
        "endTimeUnixNano": str(end * 1_000),
    }
    if parent := payload_text(payload, "parent_id"):
        record["parentSpanId"] = span_hex(trace_id, parent)
    identity = {
        "tokenvis.id": span_id,
        "tokenvis.trace_id": trace_id,
        "tokenvis.agent_id": agent,
        "tokenvis.location_id": location,
    }
    if data is not None:
        identity["tokenvis.data"] = data
    record["attributes"] = [
        otlp_attribute(key, value) for key, value in (attributes_to_write(payload, agent) | identity).items()
    ]
    if links := list(otlp_links(payload, trace_id)):
        record["links"] = links
    if status := otlp_status(payload):
        record["status"] = status
    return record


def otlp_kind(payload: Mapping[str, Any]) -> int:
    """The OTLP kind of a span."""
    default = CLIENT_KIND if payload.get("kind") == "model" else INTERNAL_KIND
    return OTLP_MESSAGE_KINDS.get(payload_text(payload, "span_kind") or "", default)


@lru_cache(maxsize=1_024)
def trace_hex(trace_id: str) -> str:
    """The 32 hex digits of a trace."""
    return trace_id if HEX_TRACE_ID.fullmatch(trace_id) else blake2b(trace_id.encode(), digest_size=16).hexdigest()


def span_hex(trace_id: str, span_id: str) -> str:
    """The 16 hex digits of a span in this trace."""
    match = HEX_SPAN_ID.fullmatch(span_id)
    return match["span"] if match and match["trace"] == trace_id else blake2b(span_id.encode(), digest_size=8).hexdigest()


def otlp_links(payload: Mapping[str, Any], trace_id: str) -> Iterator[dict[str, str]]:
    """The links of a span to the spans that it follows; a target is in the same trace unless its id names another."""
    links = payload.get("links")
    for link in links if isinstance(links, list) else [links] if links else []:
        target_id = without_surrogates(str(link))
        match = HEX_SPAN_ID.fullmatch(target_id)
        target_trace = match["trace"] if match and match["trace"] != trace_id else trace_id
        yield {"traceId": trace_hex(target_trace), "spanId": span_hex(target_trace, target_id)}


def otlp_status(payload: Mapping[str, Any]) -> dict[str, Any] | None:
    """The OTLP status of a span, None if it has none."""
    code = STATUS_CODES.get(payload_text(payload, "status") or "")
    if code is None:
        return None
    message = payload_text(payload, "status_message")
    return {"code": code, "message": message} if message else {"code": code}


def attributes_to_write(payload: Mapping[str, Any], agent: str) -> dict[str, Any]:
    """The attributes of a payload, with the agent's name unless they contain one."""
    attributes = payload.get("attributes")
    return {"gen_ai.agent.name": agent, **(attributes if isinstance(attributes, Mapping) else {})}


def otlp_attribute(key: str, value: Any, depth: int = 0) -> dict[str, Any]:
    """A key with its typed value."""
    return {"key": without_surrogates(key), "value": otlp_value(value, depth)}


def otlp_value(value: Any, depth: int = 0) -> dict[str, Any]:
    """A JSON value as a typed OTLP value: null has no type, and values nested too deep are cut."""
    if value is None:
        return {}
    if isinstance(value, str):
        return {"stringValue": without_surrogates(value)}
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)} if value in INT64_RANGE else {"stringValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value if math.isfinite(value) else "Infinity" if value > 0 else "-Infinity"}
    if depth == MAX_OTLP_DEPTH:
        return CUT_VALUE
    if isinstance(value, Mapping):
        return {"kvlistValue": {"values": [otlp_attribute(key, nested, depth + 1) for key, nested in value.items()]}}
    return {"arrayValue": {"values": [otlp_value(nested, depth + 1) for nested in value]}}
