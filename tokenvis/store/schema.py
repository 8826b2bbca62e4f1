"""The schema: two tables, ``traces`` and ``spans``, as SQLAlchemy models.

The database refuses values that would lead to wrong results: a time that is not an integer, an end before its start, a missing
trace, data that is not a JSON object. Times are integer microseconds. The tables are not STRICT, because SQLite has no strict
type for JSON; CHECK constraints replace STRICT.
"""

from typing import Any

from sqlalchemy import JSON, CheckConstraint, Column, ForeignKey, Index, Integer, MetaData, Table, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

SCHEMA_VERSION = 1
TIME_RULE = "typeof(start_time) = 'integer' AND typeof(end_time) = 'integer' AND start_time <= end_time"
DATA_RULE = (
    "CASE WHEN data IS NULL THEN 1 WHEN typeof(data) <> 'text' THEN 0"
    " WHEN json_valid(data) THEN json_type(data) = 'object' ELSE 0 END"
)
NAME_RULE = " AND ".join(f"typeof({name}) = 'text'" for name in ("trace_id", "agent_id", "location_id"))
ROW_RULE = f"typeof(id) = 'text' AND {NAME_RULE} AND {TIME_RULE} AND {DATA_RULE}"  # for tables without our constraints


class Base(DeclarativeBase):
    """The shared metadata of both tables."""


class Trace(Base):
    """A trace: one run of a system of agents."""

    __tablename__ = "traces"

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    name: Mapped[str] = mapped_column(Text)

    spans: Mapped[list["Span"]] = relationship(
        back_populates="trace",
        order_by="Span.start_time, Span.end_time, Span.agent_id, Span.id",
        cascade="all, delete-orphan",
    )

    __table_args__ = (CheckConstraint("typeof(id) = 'text'", name="traces_id_check"),)


class Span(Base):
    """A span: an agent was at a location during [start_time, end_time), in integer microseconds."""

    __tablename__ = "spans"

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    trace_id: Mapped[str] = mapped_column(Text, ForeignKey(Trace.id))
    agent_id: Mapped[str] = mapped_column(Text)
    location_id: Mapped[str] = mapped_column(Text)
    start_time: Mapped[int] = mapped_column(Integer)
    end_time: Mapped[int] = mapped_column(Integer)
    data: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))

    trace: Mapped[Trace] = relationship(back_populates="spans")

    __table_args__ = (
        CheckConstraint("typeof(id) = 'text'", name="spans_id_check"),
        CheckConstraint(TIME_RULE, name="spans_time_check"),
        CheckConstraint(DATA_RULE, name="spans_data_check"),
        Index("spans_trace_start_idx", "trace_id", "start_time"),
    )


SOURCES = Table(  # the first ingest creates it, see `sources`
    "tokenvis_sources",
    MetaData(),
    Column("trace_id", Text, primary_key=True),
    Column("origin", Text, primary_key=True),
    Column("named_at", Integer),
    Column("name", Text),
    Column("place", Text),
    sqlite_with_rowid=False,
)
SOURCES_COLUMNS = [
    ("trace_id", "TEXT", 1),
    ("origin", "TEXT", 2),
    ("named_at", "INTEGER", 0),
    ("name", "TEXT", 0),
    ("place", "TEXT", 0),  # files of earlier versions lack it
]  # place in key
