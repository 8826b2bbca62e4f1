"""Sources: which files have told of a trace, the name that each of them gave it, and the names of the files.

A file that is read again replaces what it told; a file that tells a span for the first time may only add to what others told.
So an ingest remembers a digest of each file's path, by trace, in the table ``tokenvis_sources``, which the first ingest
creates, and the file's place: its name and those of its nearest folders. A trace without rows there was recorded, or written
as a whole: every file may replace its spans. The names of traces follow from all rows, whatever the order in which the files
were read.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from sqlalchemy import Connection, delete, literal_column, select
from sqlalchemy.dialects import sqlite

from tokenvis.store.connections import driver_of
from tokenvis.store.obstacles import has_sources_columns, sources_columns
from tokenvis.store.scan import is_one_of
from tokenvis.store.schema import SOURCES, SOURCES_COLUMNS

INSERT = sqlite.insert(SOURCES)
PUT_SOURCE = str(
    INSERT.on_conflict_do_update(
        index_elements=[SOURCES.c.trace_id, SOURCES.c.origin],
        set_={name: INSERT.excluded[name] for name in ("named_at", "name", "place")},
    ).compile(dialect=sqlite.dialect(), column_keys=[column.key for column in SOURCES.c])
)
ADD_PLACE = f"ALTER TABLE {SOURCES.name} ADD COLUMN place TEXT"
RENAME_TRACE = "UPDATE traces SET name = ? WHERE id = ? AND name IS NOT ?"


class TraceSource(NamedTuple):
    """A file that told of a trace.

    ``origin`` is the digest of its path; ``named_at`` the start of the span that named the trace, and ``name`` that name;
    ``place`` the file's name after those of its folders, None if it has none.
    """

    trace_id: str
    origin: str
    named_at: int | None
    name: str | None
    place: str | None = None


def has_sources(connection: Connection) -> bool:
    """Whether an ingest has created the table; a table of another program with its name is refused by the next write."""
    return has_sources_columns(driver_of(connection))


def lacks_places(connection: Connection) -> bool:
    """Whether an earlier version created the table, without the places of files."""
    return sources_columns(driver_of(connection)) == SOURCES_COLUMNS[:-1]


def sources_of(connection: Connection, trace_ids: Iterable[str] | None = None) -> list[TraceSource]:
    """The sources of these traces; None for all traces."""
    if not has_sources(connection):
        return []
    columns = [literal_column("NULL") if column.key == "place" and lacks_places(connection) else column for column in SOURCES.c]
    query = select(*columns).select_from(SOURCES)
    if trace_ids is not None:
        query = query.where(is_one_of(SOURCES.c.trace_id, trace_ids))
    return [TraceSource(*row) for row in connection.execute(query)]


def add_sources(connection: Connection, sources: Sequence[TraceSource]) -> None:
    """Add sources, or replace what they told."""
    if not sources:
        return
    if lacks_places(connection):
        driver_of(connection).execute(ADD_PLACE)
    SOURCES.create(connection, checkfirst=True)
    driver_of(connection).executemany(PUT_SOURCE, sources)


def rename_traces(connection: Connection, names: Iterable[tuple[str, str]]) -> None:
    """Rename traces, given as pairs of id and name."""
    driver_of(connection).executemany(RENAME_TRACE, [(name, trace_id, name) for trace_id, name in names])


def remove_sources(connection: Connection, trace_id: str) -> None:
    """Forget the sources of a trace, which is deleted or replaced as a whole."""
    if has_sources(connection):
        connection.execute(delete(SOURCES).where(SOURCES.c.trace_id == trace_id))
