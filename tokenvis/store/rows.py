"""The rows: spans checked and put into the table, at the speed of the driver.

What is checked here is what the database cannot say well. All else it checks itself, and where it refuses a row, its error is
explained afterwards.
"""

import sqlite3
from collections.abc import Iterator
from typing import Any

import pandas as pd
from sqlalchemy import Connection, column, func, literal_column, or_, select, table
from sqlalchemy import case as sql_case
from sqlalchemy.dialects import sqlite

from tokenvis.errors import BadSpan, quoted
from tokenvis.spans.columns import Spans, as_spans
from tokenvis.spans.encoding import encoded
from tokenvis.spans.text import encodable
from tokenvis.store.scan import LAST_ROWID, among, holds_rules
from tokenvis.store.schema import Span, Trace

SPAN_COLUMNS = [column.key for column in Span.__table__.columns]


def rows_of(spans: Spans, trace_id: str, name: str | None) -> pd.DataFrame:
    """Spans of one trace as rows of the table, checked as its id and name are, in time order."""
    check_text("trace_id", trace_id)
    check_text("name", trace_id if name is None else name)
    return frame_for_rows(spans, trace_id)


def frame_for_rows(spans: Spans, trace_id: str | None = None) -> pd.DataFrame:
    """Spans, checked, with the columns of the table, in time order."""
    frame = as_spans(spans, trace_id=trace_id)
    twice = frame["id"].duplicated()
    if twice.any():
        raise BadSpan(f"Two spans have the id {quoted(frame['id'][twice].iloc[0])}. Every span needs an id of its own.")
    return frame.assign(data=encoded(frame))[SPAN_COLUMNS].sort_values(["start_time", "end_time"], kind="stable")


def tuples_of(frame: pd.DataFrame) -> Iterator[tuple[Any, ...]]:
    """Rows as the driver takes them, one at a time: a list of them all would keep the collector of garbage busy."""
    data: Any = frame["data"].array.to_numpy(dtype=object, na_value=None)
    return zip(*(frame[column].tolist() for column in SPAN_COLUMNS[:-1]), data.tolist(), strict=True)


def owners_of(connection: Connection, ids: list[str]) -> dict[str, str]:
    """The trace of each of these spans that is there."""
    there = connection.execute(select(Span.id, Span.trace_id).where(among(Span.id, ids)))
    return {row.id: row.trace_id for row in there}


def count_spans(connection: Connection, trace_id: str) -> int:
    """How many spans a trace has, by the index."""
    return connection.scalar(select(func.count()).where(Span.trace_id == trace_id)) or 0


def check_text(option: str, value: object) -> None:
    """Raise `BadSpan` unless a trace's id or name is a text that a database can hold."""
    if not isinstance(value, str) or (option != "name" and not value):
        what = "name" if option == "name" else "id"
        raise BadSpan(f"{option}={quoted(value)} is not a name. A trace's {what} is a text.")
    if not encodable(value):
        raise BadSpan(f"{option}={quoted(value)} cannot be written as UTF-8.")


def put_trace(connection: Connection, trace_id: str, name: str | None) -> None:
    """Make the trace where it is not there, and give it the name where there is one."""
    driver: Any = connection.connection.driver_connection
    driver.execute(TRACE_THERE if name is None else TRACE_NAMED, (trace_id, trace_id if name is None else name))


def put_spans(connection: Connection, trace_id: str, rows: pd.DataFrame, statement: str) -> int:
    """Insert rows, or update those that differ; how many were touched. An id of another trace is refused."""
    if not holds_rules(connection):
        refuse_foreign(connection, trace_id, rows)  # the table may take a span from its trace in silence
        statement = IN_PLACE if statement == UPSERT and numbers_are_keys(connection) else statement
    count = select(func.total_changes())
    before = connection.scalar(count)
    try:
        driver: Any = connection.connection.driver_connection  # takes rows one by one, as fast as C
        driver.executemany(statement, tuples_of(rows))
    except sqlite3.IntegrityError as error:
        refuse_foreign(connection, trace_id, rows, error)
        raise
    return int((connection.scalar(count) or 0) - (before or 0))


def refuse_foreign(connection: Connection, trace_id: str, rows: pd.DataFrame, cause: Exception | None = None) -> None:
    """Raise `BadSpan` where one of the rows is a span of another trace."""
    query = select(Span.id, Span.trace_id).where(among(Span.id, rows["id"]), Span.trace_id.is_distinct_from(trace_id))
    for span, owner in connection.execute(query.limit(1)):
        raise BadSpan(
            f"Span {quoted(span)} belongs to trace {quoted(owner)} and cannot be one of trace {quoted(trace_id)} too."
        ) from cause


def numbers_are_keys(connection: Connection) -> bool:
    """Whether the numbers of the rows are a column, of a table that another program made, and so not ours to change."""
    columns = func.pragma_table_info("spans").table_valued("type", "pk")
    return bool(connection.scalar(select(func.count()).where(columns.c.pk > 0, func.upper(columns.c.type) == "INTEGER")))


def upsert(*, renumbers: bool) -> str:
    """Insert a span, or update it where something differs.

    Where the id belongs to another trace, the trace becomes NULL, which the database refuses: nothing moves in silence. A row
    that is updated gets a number (rowid) above all others, as a new one does: so what is new or changed since a look at the
    table is what stands above the highest number of that time.
    """
    spans = table("spans", column("rowid"), *map(column, SPAN_COLUMNS))
    insert, there = sqlite.insert(spans), spans.alias("there")
    new = insert.excluded
    own = sql_case((spans.c.trace_id == new.trace_id, spans.c.trace_id), else_=None)
    highest = func.nullif(func.max(there.c.rowid), literal_column(str(LAST_ROWID)))
    afresh = (
        there.c.rowid >= spans.c.rowid
    )  # always so, but SQLite looks for each row again: else two rows of a statement clash
    above = select(highest + literal_column("1")).where(afresh).scalar_subquery()
    others = [name for name in SPAN_COLUMNS if name != "id"]
    values = {name: own if name == "trace_id" else new[name] for name in others}
    number = {"rowid": func.coalesce(above, spans.c.rowid)} if renumbers else {}
    statement = insert.on_conflict_do_update(
        index_elements=[spans.c.id],
        set_={**number, **values},
        where=or_(*(spans.c[name].is_distinct_from(new[name]) for name in others)),
    )
    return str(statement.compile(dialect=sqlite.dialect(), column_keys=SPAN_COLUMNS))


INSERT = str(sqlite.insert(Span).compile(dialect=sqlite.dialect()))
UPSERT, IN_PLACE = upsert(renumbers=True), upsert(renumbers=False)
TRACE = sqlite.insert(Trace)
TRACE_THERE = str(TRACE.on_conflict_do_nothing().compile(dialect=sqlite.dialect()))
TRACE_NAMED = str(
    TRACE.on_conflict_do_update(index_elements=[Trace.id], set_={"name": TRACE.excluded.name}).compile(dialect=sqlite.dialect())
)
