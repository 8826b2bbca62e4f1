"""Sources: which files have told of a trace, and the name that each of them gave it.

A file that is read again replaces what it told; a file that tells a span for the first time may only add to what others told.
So an ingest remembers a digest of each file's path, by trace, in the table ``tokenvis_sources``, which the first ingest
creates. A trace without rows there was recorded, or written as a whole: every file may replace its spans. The name of a trace
is that of the file whose span named it the earliest, whatever the order in which the files are read.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import Connection, delete, select
from sqlalchemy.dialects import sqlite

from tokenvis.store.connections import driver_of
from tokenvis.store.obstacles import has_sources_columns
from tokenvis.store.scan import is_one_of
from tokenvis.store.schema import SOURCES

INSERT = sqlite.insert(SOURCES)
PUT_SOURCE = str(
    INSERT.on_conflict_do_update(
        index_elements=[SOURCES.c.trace_id, SOURCES.c.origin],
        set_={name: INSERT.excluded[name] for name in ("named_at", "name")},
    ).compile(dialect=sqlite.dialect(), column_keys=[column.key for column in SOURCES.c])
)
RENAME_TRACE = "UPDATE traces SET name = ? WHERE id = ? AND name IS NOT ?"


class TraceSource(NamedTuple):
    """A file that told of a trace: the digest of its path, the start of the span that named the trace, and that name."""

    trace_id: str
    origin: str
    named_at: int | None
    name: str | None


def has_sources(connection: Connection) -> bool:
    """Whether an ingest has created the table; a table of another program with its name is refused by the next write."""
    return has_sources_columns(driver_of(connection))


def sources_of(connection: Connection, trace_ids: Iterable[str]) -> list[TraceSource]:
    """The sources of these traces."""
    if not has_sources(connection):
        return []
    rows = connection.execute(select(SOURCES).where(is_one_of(SOURCES.c.trace_id, trace_ids)))
    return [TraceSource(*row) for row in rows]


def add_sources(connection: Connection, sources: Sequence[TraceSource], names: Mapping[str, str]) -> None:
    """Add sources, or replace the names that they gave, and set the names of their traces."""
    if sources:
        SOURCES.create(connection, checkfirst=True)
        driver_of(connection).executemany(PUT_SOURCE, sources)
        named = {source.trace_id: names[source.trace_id] for source in sources if source.trace_id in names}
        driver_of(connection).executemany(RENAME_TRACE, [(name, trace, name) for trace, name in named.items()])


def remove_sources(connection: Connection, trace_id: str) -> None:
    """Forget the sources of a trace, which is deleted or replaced as a whole."""
    if has_sources(connection):
        connection.execute(delete(SOURCES).where(SOURCES.c.trace_id == trace_id))
