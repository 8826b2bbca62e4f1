"""The list of traces with their sizes: from the index of each trace's spans, or from one scan of all spans."""

from typing import Any

from sqlalchemy import Select, func, select

from tokenvis.store.schema import Span, Trace


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
