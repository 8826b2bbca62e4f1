"""Append: rows of a running program, put into the store over a connection that stays open.

A batch is one statement: SQLite's driver gives Python's lock away at each statement, and gets it back up to 5 ms later beside a
thread that computes; row by row that would be seconds for a batch. A statement has as many rows as a power of two, the last one
repeated to fill it, so that few statements are ever prepared. Putting a row again changes nothing, so a batch of which nobody
knows whether it was stored can be put once more.
"""

import logging
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import chain
from typing import TypeAlias

from tokenvis.errors import StoreError, quoted
from tokenvis.store.connections import LONG_LOG, carry_over, connected, explained, in_use, log_size
from tokenvis.store.rows import IN_PLACE, SPAN_COLUMNS, TRACE_NAMED, TRACE_THERE, UPSERT, numbers_are_keys
from tokenvis.store.store import Store

Row: TypeAlias = tuple[str, str, str, str, int, int, str | None]  # in the order of the table's columns; data is JSON text

MOST_ROWS = 1_024  # of a statement
BUSY = 0.25  # seconds for which one try waits for another writer
BRIEF = 0.5  # seconds for which a long log may keep others from writing
REFUSALS = (
    *(sqlite3.IntegrityError, sqlite3.DataError, sqlite3.InterfaceError, sqlite3.ProgrammingError),
    *(UnicodeEncodeError, OverflowError),
)
ROW_BYTES = 500  # that a row takes in the log beside its data, about
MOST_KNOWN = 10_000  # traces of which it is known that they are there
PLACES = f"({', '.join('?' * len(SPAN_COLUMNS))})"

log = logging.getLogger("tokenvis")


class Appender:
    """A store as the rows of a running program go into it; used by one thread at a time."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.connection: sqlite3.Connection | None = None
        self.inode: int | None = None
        self.statement = UPSERT
        self.known: set[str] = set()  # traces that are there
        self.n_bytes = 0  # put since the last look at the log
        self.longest = LONG_LOG

    def append(self, rows: Sequence[Row], names: Mapping[str, str | None]) -> list[Row]:
        """Put rows, each instead of the one with its id, and traces with their names; rows that are refused are returned.

        Raises
        ------
        StoreError
            It could not be done, or nobody knows; all can be put again.
        """
        with explained(self.store.path):
            connection = self._connected()
            refused = self._put(connection, rows, names)
            if self.store.inode() != self.inode:  # once, and afterwards: every look at a file gives Python's lock away too
                self.close()
                raise StoreError(f"{self.store.path} was replaced while it was written to.")
            self._bound_log(connection, rows)
        return refused

    def _bound_log(self, connection: sqlite3.Connection, rows: Sequence[Row]) -> None:
        """Carry the log over where it has become long; a look at it is worth it once in a while."""
        self.n_bytes += sum(ROW_BYTES + len(row[-1] or "") for row in rows)
        if self.n_bytes > LONG_LOG // 8:
            self.n_bytes = 0
            if log_size(self.store.path) > self.longest:
                carry_over(connection, BRIEF)
                self.longest = log_size(self.store.path) + LONG_LOG  # readers may keep it long

    def close(self) -> None:
        """Let go of the file."""
        connection, self.connection = self.connection, None
        if connection is not None:
            with suppress(sqlite3.Error):  # all that was put is committed
                connection.close()

    def _connected(self) -> sqlite3.Connection:
        """The connection, which is made where there is none."""
        if self.connection is None:
            self.inode = self.store.inode()
            connection = connected(in_use(self.store.path), patience=BUSY, shared=True)
            try:
                with in_one(connection):  # whoever keeps all others out is not waited for as patiently as in what follows
                    pass
                with self.store.engine.connect() as look:
                    self.statement = IN_PLACE if numbers_are_keys(look) else UPSERT
            except BaseException:
                connection.close()
                raise
            self.connection, self.known = connection, set()
        return self.connection

    def _put(self, connection: sqlite3.Connection, rows: Sequence[Row], names: Mapping[str, str | None]) -> list[Row]:
        try:
            self._put_traces(connection, {row[1] for row in rows} - self.known, names)
            put_rows(connection, self.statement, rows)
        except REFUSALS:  # a trace was deleted meanwhile, or a row is against a rule
            self.known.clear()
            self._put_traces(connection, {row[1] for row in rows}, names)
            return put_each(connection, self.statement, rows)
        return []

    def _put_traces(self, connection: sqlite3.Connection, traces: Iterable[str], names: Mapping[str, str | None]) -> None:
        """Make the traces that are not there yet, and give names."""
        new = [(trace, trace) for trace in {*traces, *names} if names.get(trace) is None]
        named = [(trace, name) for trace, name in names.items() if name is not None]
        if not (new or named):
            return
        with in_one(connection):
            connection.executemany(TRACE_THERE, new)
            connection.executemany(TRACE_NAMED, named)
        if len(self.known) > MOST_KNOWN:
            self.known.clear()
        self.known.update(traces, names)


@contextmanager
def in_one(connection: sqlite3.Connection) -> Iterator[None]:
    """All of what is done within, or nothing."""
    connection.execute("BEGIN IMMEDIATE")
    with connection:
        yield


def put_rows(connection: sqlite3.Connection, statement: str, rows: Sequence[Row]) -> None:
    """Put rows in as few statements as there can be; each is all or nothing."""
    holds = connection.getlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER) // len(SPAN_COLUMNS)
    most = min(MOST_ROWS, 1 << holds.bit_length() - 1)
    for first in range(0, len(rows), most):
        part = rows[first : first + most]
        size = 1 << (len(part) - 1).bit_length()
        values = list(chain.from_iterable(part)) + list(part[-1]) * (size - len(part))
        connection.execute(statement.replace(PLACES, ", ".join([PLACES] * size), 1), values)


def put_each(connection: sqlite3.Connection, statement: str, rows: Sequence[Row]) -> list[Row]:
    """Put rows one by one; those that the database refuses, which are logged."""
    refused: list[tuple[Row, Exception]] = []
    with in_one(connection):
        for row in rows:
            try:
                connection.execute(statement, row)
            except REFUSALS as error:
                refused.append((row, error))
    for row, reason in refused:
        log.error("The database refuses span %s of trace %s: %s.", quoted(row[0]), quoted(row[1]), reason)
    return [row for row, _ in refused]
