"""Windows: the spans that touch a window of time, found by indexes instead of a scan of their traces.

The index of each trace's spans by start time leads to the spans that start in the window. Spans that began before it and still
run can have begun at any time, so a second index groups the spans of a trace by the number of hexadecimal digits of their
duration. A span with n digits is shorter than 16**n µs, so of each group only the starts in the last 16**n µs before the window
are looked at, at most about 16 for each span that is found. Spans of less than 256 µs, such as instants, are not in this index:
the first index finds them. Both indexes are exact for rows that meet the constraints of our schema; other tables are scanned.

A trace of fewer than `MIN_INDEXED_SPANS` spans is scanned in a moment, so a smaller file does not have the second index.
"""

import json
import logging
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import Connection

from tokenvis.spans.integers import Int64Array
from tokenvis.store.connections import checkpoint, connect, driver_of, read_write_uri
from tokenvis.store.obstacles import check_writing, schema_objects, unused_name
from tokenvis.store.scan import RowIds, all_rowids, has_own_schema, rowids_of_traces

MIN_INDEXED_SPANS = 1_000_000  # a file of fewer spans gets the index only by `add_window_index`
MAX_INDEXED_AT_OPENING = 2_000_000  # of more spans, indexing takes more than about five seconds
MIN_SHARE_WRITTEN = 0.1  # a write of this share of the file's spans adds the index: that takes less time than the write

LEVEL = "length(printf('%x', end_time - start_time))"
MAX_SHORT_DURATION = 16**2  # a shorter span is not in the index of long spans
LEVELS = range(3, 17)  # digits of the other durations; one above 2**63 - 1 has 16
WINDOW_INDEX = "spans_trace_duration_idx"
INDEX_COLUMNS = f"spans (trace_id, {LEVEL}, start_time, end_time) WHERE end_time - start_time >= {MAX_SHORT_DURATION}"
MIN_TIME = -(2**63)

TRACES_GIVEN = "SELECT value FROM json_each(:traces)"
ALL_TRACES = (  # also of spans whose trace is missing: a search in the index for each trace
    "WITH RECURSIVE each (id) AS (SELECT min(trace_id) FROM spans UNION ALL "
    "SELECT (SELECT min(trace_id) FROM spans WHERE trace_id > each.id) FROM each WHERE id IS NOT NULL) "
    "SELECT id FROM each WHERE id IS NOT NULL"
)
MAX_SHARE_FOUND = 1 / 8  # of more rows, a scan of the file is faster
MAX_SHARE_SEARCHED = 1 / 64  # searches in the index for each row of the file
MIN_ROWS_FOUND = 1_024
files_without_index: set[Path] = set()

log = logging.getLogger("tokenvis")


def rows_to_read(connection: Connection, path: Path, trace_ids: list[str] | None, window: tuple[Any, Any]) -> RowIds:
    """Rowids of all spans of these traces, or of all traces, that touch the window (start, end), perhaps of others too."""
    start, end = window
    if start is not None and end is not None and start >= end:
        return np.empty(0, np.int64)
    if window != (None, None):
        found = rowids_of_window(connection, path, trace_ids, start, end)
        if found is not None:
            return found
    return all_rowids(connection) if trace_ids is None else rowids_of_traces(connection, trace_ids)


def rowids_of_window(
    connection: Connection, path: Path, trace_ids: list[str] | None, start: int | None, end: int | None
) -> Int64Array | None:
    """The sorted rowids of the spans that touch the window; None if there is no index, or a scan is faster."""
    driver = driver_of(connection)
    if not has_window_index(driver):
        if rowid_range(driver) > MAX_INDEXED_AT_OPENING and has_own_schema(connection):
            report_missing_window_index(path)
        return None
    if not has_own_schema(connection) or any("\x00" in trace for trace in trace_ids or ()):  # json_each cuts at a null
        return None
    n_rows = rowid_range(driver)
    max_traces = int(max(MIN_ROWS_FOUND, n_rows * MAX_SHARE_SEARCHED)) // len(LEVELS)
    if trace_ids is None:
        [n_traces] = driver.execute(f"SELECT count(*) FROM ({ALL_TRACES} LIMIT {max_traces + 1})").fetchone()
    else:
        n_traces = len(trace_ids)
    if n_traces > max_traces:
        return None
    limit = int(max(MIN_ROWS_FOUND, n_rows * MAX_SHARE_FOUND))
    values = {"start": start, "end": end, "traces": json.dumps(trace_ids or []), "limit": limit}
    in_traces = f"trace_id IN ({ALL_TRACES if trace_ids is None else TRACES_GIVEN})"
    starts, *running = window_queries(in_traces, start, end)
    if driver.execute(f"{starts} LIMIT 1 OFFSET :limit", values).fetchone() is not None:
        return None
    rowids = driver.execute(f"{' UNION ALL '.join([starts, *running])} LIMIT :limit", values).fetchall()
    return None if len(rowids) == limit else np.unique(np.array(rowids, dtype=np.int64))


def window_queries(in_traces: str, start: int | None, end: int | None) -> list[str]:
    """Queries for rowids: of the spans that start in the window, then of the short and the long ones that run into it."""
    conditions = [
        in_traces,
        *(["start_time >= :start"] if start is not None else []),
        *(["start_time < :end"] if end is not None else []),
    ]
    parts = [f"SELECT spans.rowid FROM spans WHERE {' AND '.join(conditions)}"]
    if start is not None:
        into = f"{in_traces} AND start_time < :start AND end_time > :start"
        levels = ", ".join(f"({level}, {max(MIN_TIME, start - 16**level)})" for level in LEVELS)
        parts += [
            f"SELECT spans.rowid FROM spans WHERE {into} AND start_time >= {max(MIN_TIME, start - MAX_SHORT_DURATION)}"
            f" AND end_time - start_time < {MAX_SHORT_DURATION}",
            f"SELECT spans.rowid FROM (VALUES {levels}) AS level CROSS JOIN spans WHERE {into} AND {LEVEL} = level.column1"
            f" AND start_time >= level.column2 AND end_time - start_time >= {MAX_SHORT_DURATION}",
        ]
    return parts


def rowid_range(driver: sqlite3.Connection) -> int:
    """The number of rowids from the lowest to the highest: at least the number of spans, found without a scan."""
    [first] = driver.execute("SELECT min(rowid) FROM spans").fetchone()
    [last] = driver.execute("SELECT max(rowid) FROM spans").fetchone()
    return 0 if first is None else int(last) - int(first) + 1


def has_window_index(driver: sqlite3.Connection) -> bool:
    """Whether the file has the index of long spans, of any name."""
    found = [item.sql or "" for item in schema_objects(driver) if item.kind == "index" and item.table == "spans"]
    return any(sql.partition(" ON ")[2] == INDEX_COLUMNS for sql in found)


def index_windows(path: Path, *, timeout_s: float | None = None) -> None:
    """Add the index of long spans to a file, unless it has it; errors of SQLite and `StoreError` as for a write."""
    with closing(connect(read_write_uri(path), timeout_s=timeout_s)) as driver:
        driver.execute("BEGIN IMMEDIATE")
        with driver:
            check_writing(driver, path)
            create_window_index(driver)
        checkpoint(driver, timeout_s)


def create_window_index(driver: sqlite3.Connection) -> None:
    """Create the index of long spans, unless the file has it. Part of the caller's transaction."""
    if not has_window_index(driver):
        driver.execute(f"CREATE INDEX {unused_name(driver, WINDOW_INDEX)} ON {INDEX_COLUMNS}")


def lacks_window_index(connection: Connection, most: float | None = None) -> bool:
    """Whether a file lacks the index, and has enough spans for it, but at most ``most`` (by default, those of an opening)."""
    driver, limit = driver_of(connection), MAX_INDEXED_AT_OPENING if most is None else most
    is_in_range = MIN_INDEXED_SPANS <= rowid_range(driver) <= limit
    return is_in_range and has_own_schema(connection) and not has_window_index(driver)


def index_windows_after_write(connection: Connection, n_written: int) -> None:
    """Add the index if the file lacks it, has enough spans for it, and this write is a large part of them.

    Its sort needs temporary space; if there is none, the write is kept without the index.
    """
    if n_written >= MIN_INDEXED_SPANS * MIN_SHARE_WRITTEN and lacks_window_index(connection, n_written / MIN_SHARE_WRITTEN):
        driver = driver_of(connection)
        try:
            create_window_index(driver)
        except sqlite3.OperationalError:
            if not driver.in_transaction:  # SQLite has rolled back the write too
                raise


def report_missing_window_index(path: Path) -> None:
    """Log that loading a window takes long, once for each file and process."""
    if path not in files_without_index:
        files_without_index.add(path)
        log.warning(
            "%s has no index of long spans, so loading a window takes a scan of its trace. "
            "tokenvis.store.add_window_index(%r) adds it, in about three seconds per million spans.",
            path,
            str(path),
        )
