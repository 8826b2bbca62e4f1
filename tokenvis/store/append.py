"""Append: rows of a running program, written to the store over a connection that stays open.

A batch is written in as few statements as possible: SQLite's driver releases the GIL at each statement and, beside a busy
thread, gets it back up to 5 ms later; row by row, a batch would take seconds. The number of rows in a statement is a power of
two, filled up with copies of the last row, so that only a few different statements are prepared. Writing a row again changes
nothing, so a batch with an unknown outcome can be retried.
"""

import logging
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import chain
from typing import TypeAlias

from tokenvis.errors import StoreError, quoted
from tokenvis.store.connections import CHECKPOINT_WAL_BYTES, as_store_error, checkpoint, connect, read_write_uri, wal_size
from tokenvis.store.libraries import check_one_library
from tokenvis.store.obstacles import check_writing
from tokenvis.store.rows import (
    INSERT_MISSING_TRACE,
    SPAN_COLUMNS,
    UPSERT_SPAN,
    UPSERT_TRACE,
    upsert_for,
)
from tokenvis.store.store import Store

SpanRow: TypeAlias = tuple[str, str, str, str, int, int, str | None]  # in the order of the table's columns; data is JSON text

MAX_ROWS_PER_STATEMENT = 1_024
APPEND_BUSY_TIMEOUT_S = 0.25  # how long one attempt waits for another writer
APPEND_CHECKPOINT_TIMEOUT_S = 0.5  # how long a checkpoint may block other writers
ROW_ERRORS = (
    *(sqlite3.IntegrityError, sqlite3.DataError, sqlite3.InterfaceError, sqlite3.ProgrammingError),
    *(UnicodeEncodeError, OverflowError),
)
WAL_BYTES_PER_ROW = 500  # approximate size of a row in the WAL, without its data
MAX_CACHED_TRACES = 10_000  # limit of Appender.existing_traces
ROW_PLACEHOLDERS = f"({', '.join('?' * len(SPAN_COLUMNS))})"

log = logging.getLogger("tokenvis")


class Appender:
    """Writes rows of a running program to a store; used by one thread at a time."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.connection: sqlite3.Connection | None = None
        self.inode: int | None = None
        self.checked_schema: int | None = None  # the version of the schema that the connection has checked
        self.statement = UPSERT_SPAN
        self.existing_traces: set[str] = set()  # a cache: traces that are in the database
        self.n_bytes_unchecked = 0  # written since the size of the WAL was last checked
        self.wal_limit = CHECKPOINT_WAL_BYTES

    def append(self, rows: Sequence[SpanRow], names: Mapping[str, str | None]) -> list[SpanRow]:
        """Insert rows, replacing rows of the same id, and traces with their names; returns the rows that were refused.

        Raises
        ------
        StoreError
            The write failed, or its outcome is unknown; the whole batch can be retried.
        """
        with as_store_error(self.store.path):
            connection = self._connected()
            refused = self._put(connection, rows, names)
            if self.store.inode() != self.inode:  # checked once, after the write: each file system call releases the GIL too
                self.close()
                raise StoreError(f"{self.store.path} was replaced during the write.")
            self._limit_wal(connection, rows)
        return refused

    def _limit_wal(self, connection: sqlite3.Connection, rows: Sequence[SpanRow]) -> None:
        """Checkpoint the WAL if it has become large; its size is checked once per `CHECKPOINT_WAL_BYTES` / 8 written."""
        self.n_bytes_unchecked += sum(WAL_BYTES_PER_ROW + len(row[-1] or "") for row in rows)
        if self.n_bytes_unchecked > CHECKPOINT_WAL_BYTES // 8:
            self.n_bytes_unchecked = 0
            if wal_size(self.store.path) > self.wal_limit:
                checkpoint(connection, APPEND_CHECKPOINT_TIMEOUT_S)
                self.wal_limit = wal_size(self.store.path) + CHECKPOINT_WAL_BYTES  # readers may have blocked the checkpoint

    def close(self) -> None:
        """Close the connection."""
        connection, self.connection = self.connection, None
        if connection is not None:
            with suppress(sqlite3.Error):  # all writes are committed already
                connection.close()

    def _connected(self) -> sqlite3.Connection:
        """The connection, opened if there is none."""
        if self.connection is None:
            self.inode = self.store.inode()
            connection = connect(read_write_uri(self.store.path), timeout_s=APPEND_BUSY_TIMEOUT_S, shared=True)
            self.checked_schema = None
            try:
                with self._transaction(connection):  # fails soon if the file is locked; the engine below would wait longer
                    pass
                with self.store.engine.connect() as reader:
                    self.statement = upsert_for(reader)
            except BaseException:
                connection.close()
                raise
            self.connection, self.existing_traces = connection, set()
        return self.connection

    def _put(self, connection: sqlite3.Connection, rows: Sequence[SpanRow], names: Mapping[str, str | None]) -> list[SpanRow]:
        traces, refused = {row[1] for row in rows}, []
        try:
            with self._transaction(connection):
                put_traces(connection, traces - self.existing_traces, names)
                put_rows(connection, self.statement, rows)
        except ROW_ERRORS:  # a trace was deleted meanwhile, or a row violates a constraint
            self.existing_traces.clear()
            with self._transaction(connection):
                put_traces(connection, traces, names)
            with self._transaction(connection):
                refused = put_each(connection, self.statement, rows)
        if len(self.existing_traces) > MAX_CACHED_TRACES:
            self.existing_traces.clear()
        self.existing_traces.update(traces, names)
        return refused

    @contextmanager
    def _transaction(self, connection: sqlite3.Connection) -> Iterator[None]:
        """A transaction that has the write lock from its start, all or nothing; checks the schema if it has changed."""
        with immediate_transaction(connection):
            [version] = connection.execute("PRAGMA schema_version").fetchone()
            if version != self.checked_schema:  # until it changes, SQLite uses the schema that it has read
                check_writing(connection, self.store.path)
                self.checked_schema = version
            yield


@contextmanager
def immediate_transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """A transaction that takes the write lock at its start; all or nothing. Refused beside another SQLite library."""
    check_one_library()
    connection.execute("BEGIN IMMEDIATE")
    with connection:
        yield


def put_traces(connection: sqlite3.Connection, traces: Iterable[str], names: Mapping[str, str | None]) -> None:
    """Insert missing traces, and set names."""
    new = [(trace, trace) for trace in {*traces, *names} if names.get(trace) is None]
    named = [(trace, name) for trace, name in names.items() if name is not None]
    for statement, rows in ((INSERT_MISSING_TRACE, new), (UPSERT_TRACE, named)):
        if rows:
            connection.executemany(statement, rows)


def put_rows(connection: sqlite3.Connection, statement: str, rows: Sequence[SpanRow]) -> None:
    """Write rows in as few statements as possible."""
    driver_limit = connection.getlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER) // len(SPAN_COLUMNS)
    limit = min(MAX_ROWS_PER_STATEMENT, 1 << driver_limit.bit_length() - 1)
    for first in range(0, len(rows), limit):
        part = rows[first : first + limit]
        size = 1 << (len(part) - 1).bit_length()
        values = list(chain.from_iterable(part)) + list(part[-1]) * (size - len(part))
        connection.execute(statement.replace(ROW_PLACEHOLDERS, ", ".join([ROW_PLACEHOLDERS] * size), 1), values)


def put_each(connection: sqlite3.Connection, statement: str, rows: Sequence[SpanRow]) -> list[SpanRow]:
    """Write rows one by one; returns and logs the rows that the database refuses."""
    refused: list[tuple[SpanRow, Exception]] = []
    for row in rows:
        try:
            connection.execute(statement, row)
        except ROW_ERRORS as error:
            refused.append((row, error))
    for row, reason in refused:
        log.error("The database refused span %s of trace %s: %s.", quoted(row[0]), quoted(row[1]), reason)
    return [row for row, _ in refused]
