"""Load: what the store holds, as the table that everything else works on."""

import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tokenvis.errors import BadOption, BadSpan, name_list, plural, quoted
from tokenvis.spans.columns import COLUMNS, order_of, texts_of
from tokenvis.spans.parents import parents_of
from tokenvis.store.database import Target
from tokenvis.store.scan import Columns, Fault
from tokenvis.store.store import Store, opened

TRACE_TYPES = {
    "id": "str",
    "name": "str",
    "n_spans": "int64",
    "start_time": "Int64",
    "end_time": "Int64",
    "n_agents": "int64",
    "n_locations": "int64",
}
HELD: dict[str, set[type]] = {"str": {str}, "int64": {int}, "Int64": {int, type(None)}}


def load_traces(*, details: bool = False, store: Store | Target = None) -> pd.DataFrame:
    """List the traces of a store, newest first.

    Parameters
    ----------
    details
        Whether to count agents and locations too, which reads every span.
    store
        A `Store`, a path or URL, or None for the default database.

    Returns
    -------
    DataFrame
        ``id, name`` (str), ``n_spans`` (int64), ``start_time`` (Int64, µs; missing where a trace has no spans); with
        ``details`` also ``end_time`` (Int64, µs), ``n_agents, n_locations`` (int64).

    Raises
    ------
    StoreNotFound, StoreError
        There is no database, or it cannot be read.
    BadSpan
        A database that another program made holds a time that is no integer.
    """
    rows = opened(store, create=False).select_traces(details=details)
    columns = trace_columns(rows, dict(list(TRACE_TYPES.items())[: 7 if details else 4]))
    return pd.DataFrame({name: pd.Series(values, dtype=TRACE_TYPES[name]) for name, values in columns.items()})


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
        A trace's id or exact name, several of them, or None for all. A name stands for every trace that has it.
    start, end
        A window in µs, [start, end): spans that touch it are loaded, whole.
    agents, locations
        Only spans of these.
    skip_bad
        Whether rows that break a rule of the schema, which a database that another program made may hold, are left out, with a
        warning that counts them; by default they are an error.
    store
        A `Store`, a path or URL, or None for the default database.

    Returns
    -------
    DataFrame
        ``id`` (str), ``trace_id, agent_id, location_id`` (Categorical, categories lexically sorted), ``start_time, end_time``
        (int64, µs), ``data`` (str: JSON text, or missing), and ``parent_id`` (str) where any span has one.

    Raises
    ------
    TraceNotFound
        There is no trace of that id or name.
    BadOption
        A time is no whole number, or a name no text.
    StoreNotFound, StoreError
        There is no database, or it cannot be read.
    BadSpan
        A row of the database breaks a rule of the schema: a time that is no integer, an end before its start, a name that is no
        text, data that is no JSON object.
    """
    named = {"trace": trace, "agents": agents, "locations": locations}
    chosen = {option: None if names is None else name_list(option, names) for option, names in named.items()}
    database = opened(store, create=False)
    columns = database.select_spans(
        chosen["trace"],
        start=whole_time("start", start),
        end=whole_time("end", end),
        agents=chosen["agents"],
        locations=chosen["locations"],
    )
    if columns.faults:
        tell_faults(columns.faults, database.path, skip_bad=skip_bad)
    return frame_of(columns)


def frame_of(columns: Columns) -> pd.DataFrame:
    """The columns as a spans frame, with the parents that ``data`` names."""
    spans = in_order(columns)
    parents = parents_of(spans["data"])
    return spans if parents is None else spans.assign(parent_id=parents)


def tell_faults(faults: Sequence[Fault], path: Path, *, skip_bad: bool) -> None:
    """Raise `BadSpan` with the first of the rows that break a rule, or warn that they are left out."""
    told = "; ".join(f"span {fault.span}: {fault.reason}" for fault in faults[:3])
    more = f"; and {len(faults) - 3:,} more" if len(faults) > 3 else ""
    if not skip_bad:
        raise BadSpan(
            f"{path} has {plural(len(faults), 'row')} against the rules: {told}{more}. "
            "load_spans(..., skip_bad=True) leaves out what cannot be used."
        )
    warnings.warn(f"{path}: {plural(len(faults), 'row')} left out: {told}{more}.", stacklevel=3)


def in_order(columns: Columns) -> pd.DataFrame:
    """The columns as a spans frame, in its order."""
    arrays = {name: columns.values.pop(name) for name in COLUMNS}
    for name in ("id", "data"):
        arrays[name] = texts_of(arrays[name])
    for name, labels in columns.names.items():
        rank = np.argsort(np.argsort(np.array(labels, dtype=object)))
        arrays[name] = pd.Categorical.from_codes(rank[arrays[name]], pd.Index(sorted(labels), dtype="str"))
    return ordered_frame(arrays)


def ordered_frame(arrays: dict[str, Any]) -> pd.DataFrame:
    """Columns of spans as a frame, in its order."""
    order = order_of(pd.DataFrame(arrays, copy=False))
    if not (order == np.arange(len(order))).all():
        for name, values in arrays.items():  # one at a time: a frame is large
            arrays[name] = values.take(order)
    return pd.DataFrame(arrays, copy=False)


def trace_columns(rows: Sequence[Sequence[Any]], types: Mapping[str, str]) -> dict[str, list[Any]]:
    """Rows of traces as columns; `BadSpan` where a database without our checks holds a value that a column has no place for."""
    values = zip(*rows, strict=True) if rows else [()] * len(types)
    columns = dict(zip(types, map(list, values), strict=True))
    for name, column in columns.items():
        for row, value in enumerate(column):
            if type(value) not in HELD[types[name]]:
                what = "integer microseconds" if name.endswith("_time") else "a text"
                raise BadSpan(f"{name} of trace {quoted(columns['id'][row])} is {quoted(value)} in the database, not {what}.")
    return columns


def whole_time(option: str, time: int | None) -> int | None:
    """A time as Python's own integer; `BadOption` where it is no whole number of 63 bits."""
    if time is None:
        return None
    if not isinstance(time, int | np.integer) or not -(2**63) <= time < 2**63:
        raise BadOption(f"{option}={quoted(time)} is not a time: a whole number of microseconds, of 63 bits.")
    return int(time)
