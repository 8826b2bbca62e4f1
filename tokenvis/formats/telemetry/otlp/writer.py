"""OTLP JSON: one document, as a collector of OpenTelemetry takes it (POST /v1/traces).

``{"resourceSpans": [...]}`` holds a resource for each trace; its ``service.name`` is the trace's id, the one name that a frame
has for it. ``traceId`` and ``spanId`` are our own ids where these are "<32 hex>" and "<32 hex>/<16 hex>", as spans read from
OpenTelemetry have them; else they are digests (BLAKE2b), so the same span has the same ids in every file. Attributes are those
that stand under ``attributes`` in ``data``; five more hold the span as it is: ``tokenvis.id``, ``tokenvis.trace_id``,
``tokenvis.agent_id``, ``tokenvis.location_id``, and ``tokenvis.data``, the JSON text. 64-bit numbers are digits, as the
specification wants them; times are ns, and none may be negative.
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

from tokenvis.errors import BadSpan, quoted
from tokenvis.formats.chunks import chunks_of, rows_of, said
from tokenvis.spans.columns import COLUMNS, codes_of, times_of
from tokenvis.spans.payload import parsed
from tokenvis.spans.text import without_surrogates
from tokenvis.spans.typed_columns import INT64

TRACE = re.compile("(?!0{32})[0-9a-f]{32}")
SPAN = re.compile("(?P<trace>(?!0{32})[0-9a-f]{32})/(?P<span>(?!0{16})[0-9a-f]{16})")
INTERNAL, CLIENT = 1, 3  # kinds of spans: a call of a model goes to somebody else
STATUS = {"ok": 1, "error": 2}
LATEST = (2**64 - 1) // 1_000  # µs, the last ones whose ns 64 bits hold
DEEPEST = 16  # levels of a value; parsers of protobuf refuse more than 100, of which each takes four
CUT = {"stringValue": "…"}


def write(spans: pd.DataFrame, file: IO[bytes]) -> None:
    """Write spans as one document, a span a line, the traces one after another."""
    refuse_times(spans)
    order = np.argsort(codes_of(spans["trace_id"])[0], kind="stable")
    current = None
    file.write(b'{"resourceSpans":[')
    for chunk in chunks_of(spans, order):
        for row, payload in zip(rows_of(chunk, *COLUMNS), parsed(chunk), strict=True):
            record = orjson.dumps(span_of(row, payload))
            if row[1] == current:
                file.write(b",\n")
            else:
                file.write((b"" if current is None else b"]}]},") + opening(row[1]))
                current = row[1]
            file.write(record)
    file.write(b"]}\n" if current is None else b"]}]}]}\n")


def refuse_times(spans: pd.DataFrame) -> None:
    """Raise `BadSpan` where a time is none that OTLP can hold."""
    start, end = times_of(spans)
    wrong = (start < 0) | (end > LATEST)
    if wrong.any():
        row = int(wrong.argmax())
        place = f"starts at {start[row]}" if start[row] < 0 else f"ends at {end[row]}"
        raise BadSpan(
            f"Span {quoted(spans['id'].iloc[row])} {place}: OTLP counts ns since 1970 in 64 bits, up to the year 2554. "
            f"Shift the times, or export them as 'parquet'."
        )


def opening(trace_id: str) -> bytes:
    """The beginning of a trace's resource, up to its first span."""
    resource = {"attributes": [pair("service.name", trace_id)]}
    return b'\n{"resource":' + orjson.dumps(resource) + b',"scopeSpans":[{"scope":{"name":"tokenvis"},"spans":[\n'


def span_of(row: tuple[Any, ...], payload: Mapping[str, Any]) -> dict[str, Any]:
    """A span as OTLP has it."""
    span_id, trace_id, agent, location, start, end, data = row
    record = {
        "traceId": trace_hex(trace_id),
        "spanId": span_hex(trace_id, span_id),
        "name": said(payload, "label") or location,
        "kind": CLIENT if payload.get("kind") == "model" else INTERNAL,
        "startTimeUnixNano": str(start * 1_000),
        "endTimeUnixNano": str(end * 1_000),
    }
    if parent := said(payload, "parent_id"):
        record["parentSpanId"] = span_hex(trace_id, parent)
    ours = {"tokenvis.id": span_id, "tokenvis.trace_id": trace_id, "tokenvis.agent_id": agent, "tokenvis.location_id": location}
    if data is not None:
        ours["tokenvis.data"] = data
    record["attributes"] = [pair(key, value) for key, value in (attributes_of(payload, agent) | ours).items()]
    if links := list(links_of(payload, trace_id)):
        record["links"] = links
    if status := status_of(payload):
        record["status"] = status
    return record


@lru_cache(maxsize=1_024)
def trace_hex(trace_id: str) -> str:
    """The 32 hex digits of a trace."""
    return trace_id if TRACE.fullmatch(trace_id) else blake2b(trace_id.encode(), digest_size=16).hexdigest()


def span_hex(trace_id: str, span_id: str) -> str:
    """The 16 hex digits of a span of this trace."""
    found = SPAN.fullmatch(span_id)
    return found["span"] if found and found["trace"] == trace_id else blake2b(span_id.encode(), digest_size=8).hexdigest()


def links_of(payload: Mapping[str, Any], trace_id: str) -> Iterator[dict[str, str]]:
    """The spans that a span follows: of its own trace, unless their ids say that they are of another."""
    links = payload.get("links")
    for link in links if isinstance(links, list) else [links] if links else []:
        name = without_surrogates(str(link))
        found = SPAN.fullmatch(name)
        whose = found["trace"] if found and found["trace"] != trace_id else trace_id
        yield {"traceId": trace_hex(whose), "spanId": span_hex(whose, name)}


def status_of(payload: Mapping[str, Any]) -> dict[str, Any] | None:
    """How a span ended, None where it does not say so."""
    code = STATUS.get(said(payload, "status") or "")
    if code is None:
        return None
    message = said(payload, "status_message")
    return {"code": code, "message": message} if message else {"code": code}


def attributes_of(payload: Mapping[str, Any], agent: str) -> dict[str, Any]:
    """What a source brought, with the agent's name where it did not bring one."""
    brought = payload.get("attributes")
    return {"gen_ai.agent.name": agent, **(brought if isinstance(brought, Mapping) else {})}


def pair(key: str, value: Any, depth: int = 0) -> dict[str, Any]:
    """A key and its typed value."""
    return {"key": without_surrogates(key), "value": typed(value, depth)}


def typed(value: Any, depth: int = 0) -> dict[str, Any]:
    """A JSON value as OTLP types it: nothing is a value without a type; what is nested too deep is cut."""
    if value is None:
        return {}
    if isinstance(value, str):
        return {"stringValue": without_surrogates(value)}
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)} if value in INT64 else {"stringValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value if math.isfinite(value) else "Infinity" if value > 0 else "-Infinity"}
    if depth == DEEPEST:
        return CUT
    if isinstance(value, Mapping):
        return {"kvlistValue": {"values": [pair(key, inner, depth + 1) for key, inner in value.items()]}}
    return {"arrayValue": {"values": [typed(inner, depth + 1) for inner in value]}}
