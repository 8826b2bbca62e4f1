"""Lookup: the list of traces, what their spans have under a key, traces by id or name, and whether agents and locations exist.

The error for a wrong name lists the nearest ones.
"""

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from functools import lru_cache
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, func, literal_column, or_, select, text, type_coerce
from sqlalchemy import case as sql_case
from sqlalchemy.types import NullType

from tokenvis.errors import MAX_LISTED_VALUES, BadOption, TraceNotFound, listed, nearest, quoted
from tokenvis.spans.payload import EMPTY_PAYLOAD, parse
from tokenvis.store.scan import Fault, data_fault, decoded, has_own_schema, is_one_of, texts_as_bytes
from tokenvis.store.schema import DATA_RULE, Span, Trace

MAX_COMPARED_NAMES = 2_000
TRACE_ID: ColumnElement[Any] = literal_column("spans.trace_id")
DATA: ColumnElement[Any] = literal_column("spans.data")
PLAIN_KEY = re.compile(r"[A-Za-z0-9_.:@-]+")  # SQLite finds others only if they are written in the same way


def trace_ids_of(connection: Connection, traces: Iterable[str], also: Iterable[str] = ()) -> list[str]:
    """Ids of traces given by id or by exact name; a name selects every trace that has it.

    Existing ids from ``also`` come first; if there is one, ``traces`` may be missing.
    """
    wanted, further = list(dict.fromkeys(traces)), list(also)
    existing = set(connection.scalars(select(Trace.id).where(is_one_of(Trace.id, [*wanted, *further]))))
    found = {trace: [trace] for trace in wanted if trace in existing}
    if rest := [trace for trace in wanted if trace not in existing]:
        for trace_id, name in connection.execute(select(Trace.id, Trace.name).where(is_one_of(Trace.name, rest))):
            found.setdefault(name, []).append(trace_id)
    first = [trace for trace in further if trace in existing]
    for trace in wanted:
        if trace not in found and not first:
            raise trace_not_found(connection, trace)
    return list(dict.fromkeys([*first, *(trace_id for trace in wanted for trace_id in found.get(trace, []))]))


def trace_not_found(connection: Connection, trace: str) -> TraceNotFound:
    """The error for a missing trace, which lists the traces of the store, similar names first."""
    rows = connection.execute(select(Trace.id, Trace.name).order_by(Trace.id)).all()
    words = dict.fromkeys(word for row in rows[:MAX_COMPARED_NAMES] for word in row if isinstance(word, str))
    similar = nearest(trace, words)
    rest = [trace_id for trace_id, name in rows if trace_id not in similar and name not in similar]
    return TraceNotFound(f"No trace {quoted(trace)}. This store has: {listed(similar + rest)}.")


def check_names(connection: Connection, column: str, names: Iterable[str], trace_ids: Sequence[str] | None) -> None:
    """Raise `BadOption` unless each of these agents or locations has a span in the traces, at any time; None for all traces."""
    names = list(names)
    if len(names) <= MAX_LISTED_VALUES:  # searching for more takes longer than listing all
        names = [name for name in names if not has_span(connection, column, name, trace_ids)]
    existing = dict.fromkeys(names_in(connection, column, trace_ids) if names else ())
    if unknown := [name for name in names if name not in existing]:
        compared = list(existing)[:MAX_COMPARED_NAMES]
        similar = [name for wrong in unknown[:MAX_LISTED_VALUES] for name in nearest(wrong, compared)]
        nouns = f"{column.removesuffix('_id')}s"
        raise BadOption(
            f"The traces have no {nouns} {listed(unknown)}. They have: {listed(dict.fromkeys([*similar, *existing]))}."
        )


def has_span(connection: Connection, column: str, name: str, trace_ids: Sequence[str] | None) -> bool:
    """Whether a span of these traces has this agent or location; reads as far as the first one."""
    query = select(Span.trace_id).where(is_one_of(Span.__table__.c[column], [name]))
    if trace_ids is not None:
        query = query.where(is_one_of(Span.trace_id, trace_ids))
    return connection.execute(query.limit(1)).first() is not None


def names_in(connection: Connection, column: str, trace_ids: Sequence[str] | None) -> list[str]:
    """The sorted names in a column of the spans of these traces; None for all traces."""
    name = Span.__table__.c[column]
    query = select(type_coerce(name, NullType())).distinct().where(func.typeof(name) == "text")
    if trace_ids is not None:
        query = query.where(is_one_of(Span.trace_id, trace_ids))
    with texts_as_bytes(connection):
        texts: list[Any] = list(connection.scalars(query))
    return sorted(text.decode(errors="replace") for text in texts)


def select_trace_list(*, details: bool, has_index: bool) -> Select[Any]:
    """Rows (id, name, n_spans, start_time), newest first; with ``details`` also (end_time, n_agents, n_locations).

    Without the index, a subquery for each trace would scan all spans each time: one scan that groups them takes its place.
    """
    if has_index and not details:
        in_trace = Span.trace_id == Trace.id
        n_spans: Any = select(func.count()).where(in_trace).scalar_subquery()  # reads only the index, twice as fast as a join
        start: Any = select(func.min(Span.start_time)).where(in_trace).scalar_subquery()
        query = select(Trace.id, Trace.name, n_spans, start)
    else:
        sizes = [func.count().label("n_spans"), func.min(Span.start_time).label("start_time")]
        table = select(Span.trace_id, *sizes, *(DETAIL_COLUMNS if details else ())).group_by(Span.trace_id).subquery()
        counts = [func.coalesce(table.c[name], 0) for name in ("n_agents", "n_locations") if details]
        n_spans, start = func.coalesce(table.c.n_spans, 0), table.c.start_time
        columns = [n_spans, start, *([table.c.end_time] if details else ()), *counts]
        query = select(Trace.id, Trace.name, *columns).outerjoin(table, table.c.trace_id == Trace.id)
    return query.order_by(start.desc().nulls_last(), Trace.id)


DETAIL_COLUMNS = (
    func.max(Span.end_time).label("end_time"),
    func.count(Span.agent_id.distinct()).label("n_agents"),
    func.count(Span.location_id.distinct()).label("n_locations"),
)


def values_of_traces(connection: Connection, keys: Sequence[str]) -> tuple[dict[str, dict[str, list[Any]]], list[Fault]]:
    """For each key, the distinct values that the spans of each trace have under it, sorted; and rows without valid data.

    As in `expand_data`, a key is looked up literally in ``data``, then under ``attributes``; null is no value.
    """
    found: dict[str, defaultdict[str, dict[Any, Any]]] = {key: defaultdict(dict) for key in keys}
    faults = [] if has_own_schema(connection) else data_faults(connection)
    with texts_as_bytes(connection):
        for key, trace_id, value in (*values_by_sql(connection, keys), *values_by_parsing(connection, keys)):
            if value is not None:
                rank = rank_of(value)
                known = found[key][trace_id].setdefault(rank, value)
                if type(known) is float and type(value) is int:
                    found[key][trace_id][rank] = value
    return {
        key: {trace: [values[rank] for rank in sorted(values)] for trace, values in by_trace.items()}
        for key, by_trace in found.items()
    }, faults


def rank_of(value: Any) -> tuple[int, Any]:
    """A value as a key that sorts: truths, numbers, texts, then lists and objects; equal numbers are one value."""
    if isinstance(value, bool):
        return 0, value
    if isinstance(value, int | float):
        return 1, value
    return (2, value) if isinstance(value, str) else (3, json.dumps(value, sort_keys=True))


def values_by_sql(connection: Connection, keys: Sequence[str]) -> Iterator[tuple[str, str, Any]]:
    """The values under plain keys: key, trace and value, each once."""
    plain = [key for key in keys if PLAIN_KEY.fullmatch(key)]
    if not plain:
        return
    mentioned = or_(*(func.instr(DATA, f'"{key}"') > 0 for key in plain))
    query = (
        select(TRACE_ID, *map(value_under, plain))
        .select_from(Span)
        .distinct()
        .where(DATA.is_not(None), text(f"({DATA_RULE})"), mentioned)
    )
    texts: list[defaultdict[bytes, set[bytes]]] = [defaultdict(set) for _ in plain]
    for trace_id, *found in connection.execute(query):
        for by_trace, value in zip(texts, found, strict=True):
            by_trace[trace_id].add(value)
    parsed = lru_cache(65_536)(json.loads)
    for key, by_trace in zip(plain, texts, strict=True):
        for trace_id, values in by_trace.items():
            yield from ((key, name_in(trace_id), parsed(value.decode(errors="replace"))[0]) for value in values)


def value_under(key: str) -> ColumnElement[Any]:
    """The value under a key of ``data``, twice in a JSON array: with one path, SQLite would return a true as a 1."""
    top, nested = f'$."{key}"', f'$.attributes."{key}"'
    is_missing = func.json_type(DATA, top).is_(None)
    return sql_case((is_missing, func.json_extract(DATA, nested, nested)), else_=func.json_extract(DATA, top, top))


def values_by_parsing(connection: Connection, keys: Sequence[str]) -> Iterator[tuple[str, str, Any]]:
    """The values under keys that are not plain: key, trace and value."""
    others = [key for key in keys if not PLAIN_KEY.fullmatch(key)]
    if not others:
        return
    written = [json.dumps(key, ensure_ascii=False) for key in others]
    mentioned = or_(func.instr(DATA, "\\") > 0, *(func.instr(DATA, each) > 0 for each in written))
    for trace_id, data in connection.execute(
        select(TRACE_ID, DATA).select_from(Span).distinct().where(DATA.is_not(None), mentioned)
    ):
        payload: Any = EMPTY_PAYLOAD
        with suppress(ValueError, RecursionError, AttributeError):  # a fault
            payload = parse(data.decode(errors="replace"))
        attributes = payload.get("attributes")
        for key in others:
            nested = attributes.get(key) if isinstance(attributes, dict) else None
            yield key, name_in(trace_id), payload.get(key, nested)


def data_faults(connection: Connection) -> list[Fault]:
    """The rows of a table without our constraints whose data is not a JSON object."""
    columns = [type_coerce(Span.__table__.c[name], NullType()) for name in ("id", "trace_id", "data")]
    kinds = [func.typeof(column) for column in columns]
    faults = []
    with texts_as_bytes(connection):
        for row in connection.execute(select(*kinds, *columns).where(text(f"NOT ({DATA_RULE})"))):
            span, trace, data = (decoded(value, kind.decode()) for kind, value in zip(row[:3], row[3:], strict=True))
            reason = data_fault(data) or "SQLite cannot read its data as JSON"
            faults.append(Fault(f"{quoted(span)} of trace {quoted(trace)}", reason))
    return faults


def name_in(value: Any) -> Any:
    """A name as the driver returns it, while it returns texts as bytes."""
    return value.decode(errors="replace") if isinstance(value, bytes) else value
