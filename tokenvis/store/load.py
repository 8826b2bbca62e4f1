"""Load: traces and spans from the store as frames."""

import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tokenvis.errors import BadOption, BadSpan, escaped, name_list, plural, quoted
from tokenvis.spans.columns import COLUMNS, order_of, text_array_of, with_trace_names
from tokenvis.spans.parents import parents_of
from tokenvis.store.database import Target
from tokenvis.store.scan import Fault, SpanColumns
from tokenvis.store.store import Store, as_store

TRACE_DTYPES = {
    "id": "str",
    "name": "str",
    "n_spans": "int64",
    "start_time": "Int64",
    "end_time": "Int64",
    "n_agents": "int64",
    "n_locations": "int64",
}
TRACE_VALUE_TYPES: dict[str, set[type]] = {"str": {str}, "int64": {int}, "Int64": {int, type(None)}}


def load_traces(*, details: bool = False, store: Store | Target = None) -> pd.DataFrame:
    """List the traces of a store, newest first.

    Parameters
    ----------
    details
        Whether to count agents and locations too, which reads all spans.
    store
        A `Store`, a path or URL, or None for the default database.

    Returns
    -------
    DataFrame
        ``id, name`` (str), ``n_spans`` (int64), ``start_time`` (Int64, µs; missing if a trace has no spans); with
        ``details`` also ``end_time`` (Int64, µs), ``n_agents, n_locations`` (int64).

    Raises
    ------
    StoreNotFound, StoreError
        There is no database, or it cannot be read.
    BadSpan
        A database of another program has a time that is not an integer.
    """
    rows = as_store(store, create=False).select_traces(details=details)
    columns = trace_columns(rows, dict(list(TRACE_DTYPES.items())[: 7 if details else 4]))
    return pd.DataFrame({name: pd.Series(values, dtype=TRACE_DTYPES[name]) for name, values in columns.items()})


def load_spans(
    trace: str | Iterable[str] | None = None,
    *,
    start: int | None = None,
    end: int | None = None,
    agents: str | Iterable[str] | None = None,
    locations: str | Iterable[str] | None = None,
    skip_bad: bool = False,
    store: Store | Target = None,
) -> pd.DataFrame:
    """Load spans as a frame, ordered by start_time, end_time, agent_id, id.

    Parameters
    ----------
    trace
        A trace's id or exact name, several of them, or None for all. A name selects every trace that has it.
    start, end
        A window in µs, [start, end): spans that touch it are loaded, uncut.
    agents, locations
        Only spans of these agents or locations. Each name must occur in the traces, but not necessarily in the window.
    skip_bad
        Whether to skip rows that violate the schema, with a warning that counts them; by default they are an error. Only a
        database of another program can have such rows.
    store
        A `Store`, a path or URL, or None for the default database.

    Returns
    -------
    DataFrame
        ``id`` (str), ``trace_id, agent_id, location_id`` (Categorical, categories lexically sorted), ``start_time, end_time``
        (int64, µs), ``data`` (str: JSON text, or missing); ``parent_id`` (str) if any span has one; ``trace_name``
        (Categorical) if a trace has a name other than its id: pictures are titled with it.

    Raises
    ------
    TraceNotFound
        There is no trace of that id or name.
    BadOption
        A time is not an integer, a name is not a text, or the traces have no such agent or location; the error lists the
        nearest ones.
    StoreNotFound, StoreError
        There is no database, or it cannot be read.
    BadSpan
        A row of the database violates the schema: a time that is not an integer, an end before its start, a name that is not
        a text, data that is not a JSON object.
    """
    filters = {"trace": trace, "agents": agents, "locations": locations}
    names_by_option = {option: None if names is None else name_list(option, names) for option, names in filters.items()}
    database = as_store(store, create=False)
    columns = database.select_spans(
        names_by_option["trace"],
        start=checked_time("start", start),
        end=checked_time("end", end),
        agents=names_by_option["agents"],
        locations=names_by_option["locations"],
    )
    if columns.faults:
        report_faults(columns.faults, database.path, skip_bad=skip_bad)
    return frame_of(columns)


def frame_of(columns: SpanColumns) -> pd.DataFrame:
    """The columns as a spans frame in order, with the parents from ``data``, and the names of traces."""
    spans = frame_without_parents(columns)
    parents = parents_of(spans["data"])
    spans = spans if parents is None else spans.assign(parent_id=parents)
    return with_trace_names(spans, columns.trace_names)


def report_faults(faults: Sequence[Fault], path: Path, *, skip_bad: bool) -> None:
    """Raise `BadSpan` with the first rows that violate the schema, or warn that they are skipped."""
    examples = "; ".join(f"span {fault.span}: {fault.reason}" for fault in faults[:3])
    more = f"; and {len(faults) - 3:,} more" if len(faults) > 3 else ""
    if not skip_bad:
        raise BadSpan(
            f"{path} has {plural(len(faults), 'row')} with invalid values: {examples}{more}. "
            "load_spans(..., skip_bad=True) skips such rows."
        )
    warnings.warn(f"{escaped(path)}: {plural(len(faults), 'row')} skipped: {examples}{more}.", stacklevel=3)


def frame_without_parents(columns: SpanColumns) -> pd.DataFrame:
    """The columns as a spans frame in order, without parent_id."""
    arrays = {name: columns.values.pop(name) for name in COLUMNS}
    for name in ("id", "data"):
        arrays[name] = text_array_of(arrays[name])
    for name, labels in columns.names.items():
        rank = np.argsort(np.argsort(np.array(labels, dtype=object)))
        arrays[name] = pd.Categorical.from_codes(rank[arrays[name]], pd.Index(sorted(labels), dtype="str"))
    return ordered_frame(arrays)


def ordered_frame(arrays: dict[str, Any], *first: str) -> pd.DataFrame:
    """Columns of spans as a frame, sorted by the columns named, then in the order of a frame; replaces the given arrays."""
    order = order_of(pd.DataFrame(arrays, copy=False), *first)
    if not (order == np.arange(len(order))).all():
        for name, values in arrays.items():  # one column at a time, to save memory
            arrays[name] = values.take(order)
    return pd.DataFrame(arrays, copy=False)


def trace_columns(rows: Sequence[Sequence[Any]], types: Mapping[str, str]) -> dict[str, list[Any]]:
    """Rows of traces as columns; `BadSpan` if a database without our checks has a value of the wrong type."""
    values = zip(*rows, strict=True) if rows else [()] * len(types)
    columns = dict(zip(types, map(list, values), strict=True))
    for name, column in columns.items():
        for row, value in enumerate(column):
            if type(value) not in TRACE_VALUE_TYPES[types[name]]:
                expected = "integer microseconds" if name.endswith("_time") else "a text"
                raise BadSpan(
                    f"{name} of trace {quoted(columns['id'][row])} is {quoted(value)} in the database, not {expected}."
                )
    return columns


def checked_time(option: str, time: int | None) -> int | None:
    """A time as a Python integer; `BadOption` if it is not a 64-bit integer."""
    if time is None:
        return None
    if not isinstance(time, int | np.integer) or not -(2**63) <= time < 2**63:
        raise BadOption(f"{option}={quoted(time)} is not a 64-bit integer of microseconds.")
    return int(time)
