"""The index of the spans of each trace: without it, reading one trace takes a scan of all spans.

A file of another program may lack it. Opening the file for writing adds it, opening it for reading logs a warning.
"""

import logging
import sqlite3
from pathlib import Path

from tokenvis.store.obstacles import unused_name
from tokenvis.store.schema import Span

[TRACE_INDEX] = Span.metadata.tables["spans"].indexes
INDEX_QUERY = (
    "SELECT count(*) FROM pragma_index_list('spans') AS i WHERE NOT i.partial AND "
    "(SELECT group_concat(coalesce(lower(name), '') || ' ' || coll) FROM "
    "(SELECT name, coll FROM pragma_index_xinfo(i.name) WHERE seqno < 2 ORDER BY seqno)) = 'trace_id BINARY,start_time BINARY'"
)
MISSING_INDEX = "has no index on spans (trace_id, start_time), so reading one trace takes a scan of all."
reported_files: set[Path] = set()

log = logging.getLogger("tokenvis")


def has_trace_index(connection: sqlite3.Connection) -> bool:
    """Whether an index of all spans, of any name, begins with trace_id and start_time."""
    return bool(connection.execute(INDEX_QUERY).fetchone()[0])


def add_trace_index(connection: sqlite3.Connection) -> None:
    """Add the index unless the file has it; under another name if its name is taken. Part of the caller's transaction."""
    if has_trace_index(connection):  # another process has added it
        return
    name = unused_name(connection, str(TRACE_INDEX.name))
    connection.execute(f"CREATE INDEX {name} ON spans ({', '.join(TRACE_INDEX.columns.keys())})")


def report_missing_index(path: Path, what_to_do: str) -> None:
    """Log that reading a trace takes long, once for each file and process."""
    if path not in reported_files:
        reported_files.add(path)
        log.warning("%s %s %s", path, MISSING_INDEX, what_to_do)
