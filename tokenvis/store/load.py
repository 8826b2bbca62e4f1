"""Load: traces and spans from the store as frames."""

import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tokenvis.errors import BadOption, BadSpan, escaped, listed, name_list, plural, quoted
from tokenvis.spans.columns import COLUMNS, order_of, text_array_of, with_trace_names
from tokenvis.spans.parents import parents_of
from tokenvis.spans.text import encodable
from tokenvis.spans.typed_columns import typed_column
from tokenvis.store.connections import as_store_error, driver_of
from tokenvis.store.database import Target
from tokenvis.store.lookup import select_trace_list, values_of_traces
from tokenvis.store.scan import Fault, SpanColumns
from tokenvis.store.store import Store, as_store
from tokenvis.store.trace_index import has_trace_index

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


def load_traces(
    *,
    details: bool = False,
    attributes: str | Iterable[str] | None = None,
    skip_bad: bool = False,
    store: Store | Target = None,
) -> pd.DataFrame:
    """List the traces of a store, newest first, with what their spans have under some keys of ``data``.

    Parameters
    ----------
    details
        Whether to count agents and locations too, which reads all spans.
    attributes
        Keys of ``data``, such as "seed", "gen_ai.request.model" or "service.version", each of which becomes a column: to choose
        traces by. They are looked up as in `expand_data`: literally, at the top level, then under ``attributes``. This reads
        all spans.
    skip_bad
        Whether to skip rows whose data is not a JSON object, with a warning that counts them; by default they are an error if
        ``attributes`` are given. Only a database of another program can have such rows.
    store
        A `Store`, a path or URL, or None for the default database.

    Returns
    -------
    DataFrame
        ``id, name`` (str), ``n_spans`` (int64), ``start_time`` (Int64, µs; missing if a trace has no spans); with
        ``details`` also ``end_time`` (Int64, µs), ``n_agents, n_locations`` (int64). A column for each key has the value on
        which all spans of the trace agree that have the key; missing if none has it, the sorted list of the values if they
        differ. Its type is Int64, Float64, boolean or str if all values agree, else object.

    Raises
    ------
    StoreNotFound, StoreError
        There is no database, or it cannot be read.
    BadOption
        A key is not a text, or is the name of another column.
    BadSpan
        A database of another program has a time that is not an integer, or data that is not a JSON object.

    Examples
    --------
    >>> with Store("runs.db") as store:
    ...     for seed in (1, 2):
    ...         span = {"id": f"{seed}/a", "agent_id": "Ann", "location_id": "desk", "start_time": seed, "end_time": 5}
    ...         _ = store.write_trace(f"run {seed}", [{**span, "data": {"seed": seed, "phase": ["plan", "act"][seed - 1]}}])
    >>> traces = load_traces(attributes=["seed", "phase"], store="runs.db")
    >>> traces[["name", "seed", "phase"]]
        name  seed phase
    0  run 2     2   act
    1  run 1     1  plan
    >>> load_spans(traces[traces["seed"] == 2]["id"], store="runs.db")["id"].tolist()
    ['2/a']
    """
    keys = checked_keys(attributes)
    database = as_store(store, create=False)
    rows, found, faults = traces_with_values(database, keys, details=details)
    if faults:
        report_faults(faults, database.path, skip_bad=skip_bad, function="load_traces")
    columns = trace_columns(rows, dict(list(TRACE_DTYPES.items())[: 7 if details else 4]))
    traces = pd.DataFrame({name: pd.Series(values, dtype=TRACE_DTYPES[name]) for name, values in columns.items()})
    agreed = {key: [agreed_value(found[key].get(trace, [])) for trace in columns["id"]] for key in keys}
    return traces.assign(**{key: typed_column(values, traces.index) for key, values in agreed.items()})


def checked_keys(attributes: str | Iterable[str] | None) -> list[str]:
    """The keys that are asked for, each once; `BadOption` for one that cannot be the name of a column."""
    keys = list(dict.fromkeys(name_list("attributes", () if attributes is None else attributes)))
    if reserved := [key for key in keys if key in TRACE_DTYPES]:
        raise BadOption(f"attributes= contains {listed(reserved)}, a column that every list of traces has.")
    if halves := [key for key in keys if not encodable(key)]:
        raise BadOption(f"attributes= contains {listed(halves)}, which cannot be encoded as UTF-8.")
    return keys


def traces_with_values(
    database: Store, keys: Sequence[str], *, details: bool
) -> tuple[list[Any], dict[str, dict[str, list[Any]]], list[Fault]]:
    """The rows of traces and what they have under these keys, as of one moment, and rows without valid data."""
    if not keys:
        return list(database.select_traces(details=details)), {}, []
    with as_store_error(database.path), database._reading() as connection:
        query = select_trace_list(details=details, has_index=has_trace_index(driver_of(connection)))
        return list(connection.execute(query)), *values_of_traces(connection, keys)


def agreed_value(values: list[Any]) -> Any:
    """The only one of these values, None if there are none; several as they are."""
    return values if len(values) > 1 else next(iter(values), None)


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


def report_faults(faults: Sequence[Fault], path: Path, *, skip_bad: bool, function: str = "load_spans") -> None:
    """Raise `BadSpan` with the first rows that violate the schema, or warn that they are skipped."""
    examples = "; ".join(f"span {fault.span}: {fault.reason}" for fault in faults[:3])
    more = f"; and {len(faults) - 3:,} more" if len(faults) > 3 else ""
    if not skip_bad:
        raise BadSpan(
            f"{path} has {plural(len(faults), 'row')} with invalid values: {examples}{more}. "
            f"{function}(..., skip_bad=True) skips such rows."
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
