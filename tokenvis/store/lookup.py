"""Lookup: the list of traces, traces by id or name, and whether agents and locations exist.

The error for a wrong name lists the nearest ones.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, Select, func, select, type_coerce
from sqlalchemy.types import NullType

from tokenvis.errors import MAX_LISTED_VALUES, BadOption, TraceNotFound, listed, nearest, quoted
from tokenvis.store.scan import is_one_of, texts_as_bytes
from tokenvis.store.schema import Span, Trace

MAX_COMPARED_NAMES = 2_000


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
