"""The data of spans from events: the other columns of a start and of its end, as one JSON object."""

import json
import math
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import orjson
import pandas as pd

from tokenvis.errors import BadSpan, listed
from tokenvis.spans.encoding import encode
from tokenvis.spans.endings import with_known_status
from tokenvis.spans.integers import Int64Array

REFERENCES = ("parent_id", "links", "requested_by", "estimated")  # keys of data that refer to spans, which events do not know


def free_columns(events: pd.DataFrame, used: Collection[str | None]) -> dict[str, pd.Series]:
    """The columns and named index levels that become keys of data; `BadSpan` if one of them would refer to spans."""
    levels = {name: events.index.get_level_values(n) for n, name in enumerate(events.index.names) if name is not None}
    if not events.columns.is_unique:
        duplicates = events.columns[events.columns.duplicated()].unique()
        raise BadSpan(f"The events have several columns {listed(duplicates)}. Drop all but one.")
    columns: dict[Any, Any] = {**levels, **{name: events[name] for name in events.columns}}
    free = {str(name): pd.Series(values.array, dtype=values.dtype) for name, values in columns.items() if name not in used}
    references = [name for name in REFERENCES if name in free]
    if references:
        raise BadSpan(f"The events have a column {listed(references)}, which in data refers to spans. Rename or drop it.")
    return {name: values for name, values in free.items() if values.notna().any()}


def payloads_of(
    columns: Mapping[str, pd.Series], first: Int64Array, end: Int64Array, marks: Mapping[int, dict[str, Any]]
) -> "np.ndarray[tuple[int], np.dtype[np.object_]]":
    """The data of each span: from its first event, from its end (-1 if it has none), and the marks of some; None without any.

    Where both events have a value and these differ, the end's is ``end_<column>``, but its ``status`` replaces the start's.
    """
    payloads: list[dict[str, Any]] = [{} for _ in first] if columns else []
    taken = set(columns)
    for name, values in columns.items():
        items = [*plain_values(values), None]
        end_key = unused_key(f"end_{name}", taken)
        taken.add(end_key)
        for payload, at_first, at_end in zip(payloads, first.tolist(), end.tolist(), strict=True):
            start_value, end_value = items[at_first], items[at_end]
            value = end_value if start_value is None or (name == "status" and end_value is not None) else start_value
            if value is not None:
                payload[name] = value
                if end_value is not None and value != end_value:
                    payload[end_key] = end_value
    for payload in payloads if "status" in columns else ():
        with_known_status(payload)
    for position, mark in marks.items() if payloads else ():
        payloads[position] |= mark
    texts = np.full(len(first), None, dtype=object)
    for position, payload in enumerate(payloads) if payloads else marks.items():
        texts[position] = event_data_text(payload) if payload else None
    return texts


def unused_key(key: str, taken: Collection[str]) -> str:
    """A key that is not taken, with "end_" before it as often as needed."""
    while key in taken:
        key = f"end_{key}"
    return key


def plain_values(values: pd.Series) -> list[Any]:
    """The values of a column as values of JSON or texts, None where one is missing."""
    if isinstance(values.dtype, np.dtype) and values.dtype.kind in "ib":
        return values.tolist()
    missing = values.isna().tolist()
    items = values.astype("str").tolist() if getattr(values.dtype, "kind", "O") in "Mm" else values.tolist()
    return [None if absent else plain_value(item) for item, absent in zip(items, missing, strict=True)]


def plain_value(value: Any) -> Any:
    """A value as a value of JSON, else as text."""
    if isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, np.generic):
        return plain_value(value.item())
    return value if isinstance(value, list | dict) else str(value)


def event_data_text(payload: dict[str, Any]) -> str:
    """A payload as JSON text; values that JSON does not have become texts."""
    try:
        return orjson.dumps(payload, default=str).decode()
    except TypeError:  # a large integer, half of a surrogate pair, a key that is no text
        return encode(json.loads(json.dumps(payload, default=str)))
