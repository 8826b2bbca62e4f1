"""Rows: checks spans and writes them to the table, at the speed of the driver.

This module checks what the database would report unclearly. The database checks the rest; `put_spans` then explains an id of
another trace.
"""

import sqlite3
from collections.abc import Iterator
from typing import Any

import pandas as pd
from sqlalchemy import ColumnElement, Connection, column, delete, func, literal_column, or_, select, table
from sqlalchemy import case as sql_case
from sqlalchemy.dialects import sqlite

from tokenvis.errors import BadSpan, quoted
from tokenvis.spans.bad_rows import first_bad, span_at
from tokenvis.spans.columns import Spans, as_spans, trace_names_in
from tokenvis.spans.encoding import encoded
from tokenvis.spans.text import encodable
from tokenvis.store.connections import driver_of
from tokenvis.store.scan import MAX_ROWID, has_own_schema, invalidate_watermarks, is_one_of
from tokenvis.store.schema import Span, Trace

SPAN_COLUMNS = [column.key for column in Span.__table__.columns]


def checked_trace_rows(spans: Spans, trace_id: str, name: str | None) -> pd.DataFrame:
    """Spans of one trace as rows of the table in time order, after checking the spans, the trace's id and its name."""
    check_text("trace_id", trace_id)
    check_text("name", trace_id if name is None else name)
    return checked_rows(spans, trace_id)


def checked_rows(spans: Spans, trace_id: str | None = None) -> pd.DataFrame:
    """Checked spans with the columns of the table, in time order; an id may be in several traces."""
    frame = as_spans(spans, trace_id=trace_id)
    duplicates = frame.duplicated(["trace_id", "id"])
    if duplicates.any():
        row, others = first_bad(duplicates)
        raise BadSpan(f"Span {span_at(frame, row)} is given twice.{others} Every span needs a unique id.")
    return frame.assign(data=encoded(frame))[SPAN_COLUMNS].sort_values(["start_time", "end_time"], kind="stable")


def tuples_of(frame: pd.DataFrame) -> Iterator[tuple[Any, ...]]:
    """Rows as tuples for the driver, one at a time: a list of all tuples would slow down garbage collection."""
    data: Any = frame["data"].array.to_numpy(dtype=object, na_value=None)
    return zip(*(frame[column].tolist() for column in SPAN_COLUMNS[:-1]), data.tolist(), strict=True)


def trace_ids_of_spans(connection: Connection, ids: list[str]) -> dict[str, str]:
    """The trace of each of these spans that is in the database."""
    rows = connection.execute(select(Span.id, Span.trace_id).where(is_one_of(Span.id, ids)))
    return {row.id: row.trace_id for row in rows}


def count_spans(connection: Connection, trace_id: str) -> int:
    """The number of spans of a trace, from the index."""
    return connection.scalar(select(func.count()).where(Span.trace_id == trace_id)) or 0


def remove_spans(connection: Connection, trace_id: str, *conditions: ColumnElement[bool]) -> int:
    """Remove the spans of a trace that meet the conditions; returns their number."""
    removed = connection.execute(delete(Span).where(Span.trace_id == trace_id, *conditions)).rowcount
    if removed:
        invalidate_watermarks(connection)
    return removed


def check_text(option: str, value: object) -> None:
    """Raise `BadSpan` unless a trace's id or name is a text that a database can store."""
    if not isinstance(value, str) or (option != "name" and not value):
        noun = "name" if option == "name" else "id"
        raise BadSpan(f"{option}={quoted(value)} is not a name. A trace's {noun} must be a text.")
    if not encodable(value):
        raise BadSpan(f"{option}={quoted(value)} cannot be encoded as UTF-8.")


def put_trace(connection: Connection, trace_id: str, name: str | None, spans: Spans = ()) -> None:
    """Insert the trace if it is missing, and set its name if one is given; a new one may have its name in the spans' frame."""
    frame_name = trace_names_in(spans).get(trace_id, trace_id) if isinstance(spans, pd.DataFrame) else trace_id
    check_text("name", frame_name)
    driver_of(connection).execute(
        INSERT_MISSING_TRACE if name is None else UPSERT_TRACE, (trace_id, frame_name if name is None else name)
    )


def put_spans(connection: Connection, trace_id: str, rows: pd.DataFrame, statement: str) -> int:
    """Insert rows, or update those that differ; returns the number of changed rows. An id of another trace is refused."""
    if not has_own_schema(connection):
        check_no_other_trace(connection, trace_id, rows)  # a table without constraints may move a span silently
        statement = upsert_for(connection) if statement == UPSERT_SPAN else statement
    count = select(func.total_changes())
    before = connection.scalar(count)
    try:
        driver_of(connection).executemany(statement, tuples_of(rows))  # consumes the iterator in C
    except sqlite3.IntegrityError as error:
        check_no_other_trace(connection, trace_id, rows, error)
        raise
    return int((connection.scalar(count) or 0) - (before or 0))


def check_no_other_trace(connection: Connection, trace_id: str, rows: pd.DataFrame, cause: Exception | None = None) -> None:
    """Raise `BadSpan` if one of the rows has the id of a span in another trace."""
    query = select(Span.id, Span.trace_id).where(is_one_of(Span.id, rows["id"]), Span.trace_id.is_distinct_from(trace_id))
    for span, other_trace in connection.execute(query.limit(1)):
        raise BadSpan(
            f"Span {quoted(span)} belongs to trace {quoted(other_trace)} and cannot also belong to trace {quoted(trace_id)}."
        ) from cause


def has_integer_key(connection: Connection) -> bool:
    """Whether the rowid is an INTEGER PRIMARY KEY column, as in a table of another program; then it must not change."""
    columns = func.pragma_table_info("spans").table_valued("type", "pk")
    return bool(connection.scalar(select(func.count()).where(columns.c.pk > 0, func.upper(columns.c.type) == "INTEGER")))


def upsert_for(connection: Connection) -> str:
    """The SQL that inserts or updates a span in this database."""
    return UPSERT_SPAN_IN_PLACE if has_integer_key(connection) else UPSERT_SPAN


def upsert_statement(*, renumbers: bool) -> str:
    """The SQL that inserts a span, or updates it if any column differs.

    If the id belongs to another trace, trace_id is set to NULL, which the database refuses: a span never moves silently. An
    updated row gets a rowid above all others, like a new row. So the rows that are new or changed since a poll are those above
    the highest rowid at that time.
    """
    spans = table("spans", column("rowid"), *map(column, SPAN_COLUMNS))
    insert, all_spans = sqlite.insert(spans).prefix_with(OR_ABORT), spans.alias("all_spans")
    new = insert.excluded
    same_trace = sql_case((spans.c.trace_id == new.trace_id, spans.c.trace_id), else_=None)
    max_rowid = func.nullif(func.max(all_spans.c.rowid), literal_column(str(MAX_ROWID)))
    # always true, but makes SQLite evaluate the subquery for each row: otherwise two rows of a statement get the same rowid
    correlated = all_spans.c.rowid >= spans.c.rowid
    next_rowid = select(max_rowid + literal_column("1")).where(correlated).scalar_subquery()
    others = [name for name in SPAN_COLUMNS if name != "id"]
    values = {name: same_trace if name == "trace_id" else new[name] for name in others}
    rowid = {"rowid": func.coalesce(next_rowid, spans.c.rowid)} if renumbers else {}
    statement = insert.on_conflict_do_update(
        index_elements=[spans.c.id],
        set_={**rowid, **values},
        where=or_(*(spans.c[name].is_distinct_from(new[name]) for name in others)),
    )
    return str(statement.compile(dialect=sqlite.dialect(), column_keys=SPAN_COLUMNS))


OR_ABORT = "OR ABORT"  # an ON CONFLICT clause of another program's table must not drop or replace rows
INSERT_SPAN = str(sqlite.insert(Span).prefix_with(OR_ABORT).compile(dialect=sqlite.dialect()))
UPSERT_SPAN, UPSERT_SPAN_IN_PLACE = upsert_statement(renumbers=True), upsert_statement(renumbers=False)
TRACE_INSERT = sqlite.insert(Trace).prefix_with(OR_ABORT)
INSERT_MISSING_TRACE = str(TRACE_INSERT.on_conflict_do_nothing(index_elements=[Trace.id]).compile(dialect=sqlite.dialect()))
UPSERT_TRACE = str(
    TRACE_INSERT.on_conflict_do_update(index_elements=[Trace.id], set_={"name": TRACE_INSERT.excluded.name}).compile(
        dialect=sqlite.dialect()
    )
)
