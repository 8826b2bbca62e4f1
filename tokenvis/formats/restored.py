"""Restored spans: spans that tokenvis exported, as readers find them again in a file.

Such a span is complete and is kept as it is: an empty name is a name, a time may be beyond every calendar, and ``data`` is a
JSON object, or JSON text if other parsers might change it (`tokenvis.formats.chunks`).
"""

from collections.abc import Mapping
from typing import Any

from tokenvis.conventions.span import SpanRead
from tokenvis.formats.chunks import MAX_EXPORTED_DEPTH
from tokenvis.formats.files.structure import nesting_depth
from tokenvis.spans.columns import TIMES, is_integer
from tokenvis.spans.payload import parse, parse_exactly
from tokenvis.spans.redaction import payload_json
from tokenvis.spans.typed_columns import INT64_RANGE

EXPORTED_NAMES = ("id", "trace_id", "agent_id", "location_id")


def restored_span(record: Mapping[str, Any]) -> SpanRead:
    """The span of a record with the columns of a frame; `KeyError`, `TypeError` or `ValueError` if it is not whole."""
    names = [exported_name(record, name) for name in EXPORTED_NAMES]
    start, end = (exported_time(record, name) for name in TIMES)
    data, text = exported_data(record.get("data"))
    span_id, trace_id, agent, location = names
    label, parent = data.get("label"), data.get("parent_id")
    return SpanRead(
        *(trace_id, span_id, start, end, agent, location),
        name=label if isinstance(label, str) else location,
        data=data,
        parent=parent if isinstance(parent, str) and parent else None,
        restored=True,
        text=text,
    )


def exported_name(record: Mapping[str, Any], key: str) -> str:
    """A name, which may be empty."""
    value = record[key]
    if not isinstance(value, str):
        raise TypeError(f"{key!r} is of type {type(value).__name__}")
    return value


def exported_time(record: Mapping[str, Any], key: str) -> int:
    """A time in µs."""
    value = record[key]
    if not is_integer(value):
        raise TypeError(f"{key!r} is of type {type(value).__name__}")
    if value not in INT64_RANGE:
        raise ValueError(f"{key!r} does not fit into a 64-bit integer")
    return int(value)


def exported_data(value: Any) -> tuple[dict[str, Any], str | None]:
    """The data of a record, and its JSON text; an empty object and None if it has none."""
    if value is None:
        return {}, None
    if isinstance(value, dict):
        return value, payload_json(value) or "{}"
    if not isinstance(value, str):
        raise TypeError(f"'data' is of type {type(value).__name__}, not an object")
    if nesting_depth(value.encode(), MAX_EXPORTED_DEPTH) > MAX_EXPORTED_DEPTH:
        raise ValueError(f"'data' is nested more than {MAX_EXPORTED_DEPTH} levels deep")
    try:
        return dict(parse_exactly(value)), value
    except RecursionError:  # it is nested deep, and has long numbers
        return dict(parse(value)), value
