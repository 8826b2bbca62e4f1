"""The store: one SQLite file of traces. All reads and writes of traces go through this module.

The file is in WAL mode, so that readers and a writer do not wait for each other. Every write is one transaction that takes
the write lock at its start, and is all or nothing. Each call of a `Store` opens and closes its own connection; only an
`Appender` keeps one open between calls.
"""

import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import pandas as pd
from sqlalchemy import Connection, Row, delete, literal, or_, select

from tokenvis.errors import BadOption, StoreError, StoreNotFound, TraceNotFound, listed, name_list, quoted
from tokenvis.private import touch_private
from tokenvis.spans.columns import Spans
from tokenvis.store.additions import add_rows_of_traces, remove_former
from tokenvis.store.connections import (
    CHECKPOINT_WAL_BYTES,
    as_store_error,
    checkpoint,
    driver_of,
    enable_wal,
    engine_of,
    is_writable,
    wal_size,
)
from tokenvis.store.database import DATABASE_VARIABLE, Target, is_new, path_of
from tokenvis.store.lookup import check_names, select_trace_list, trace_ids_of
from tokenvis.store.obstacles import check_reading, check_writing
from tokenvis.store.rows import (
    INSERT_SPAN,
    UPSERT_SPAN,
    check_text,
    checked_rows,
    checked_trace_rows,
    count_spans,
    put_spans,
    put_trace,
    remove_spans,
    trace_ids_of_spans,
)
from tokenvis.store.scan import (
    ChangedSpans,
    SpanColumns,
    Watermark,
    is_one_of,
    read_changes,
    read_columns,
)
from tokenvis.store.schema import SCHEMA_VERSION, Base, Span, Trace
from tokenvis.store.sources import remove_sources
from tokenvis.store.trace_index import add_trace_index, has_trace_index, report_missing_index
from tokenvis.store.windows import index_windows, index_windows_after_write, lacks_window_index, rows_to_read


class Written(NamedTuple):
    """The result of a write: the file, the trace, and the numbers of spans."""

    database: Path
    trace_id: str
    added: int
    updated: int = 0
    unchanged: int = 0
    removed: int = 0


class Store:
    """A database of traces in one SQLite file, created if it does not exist.

    Parameters
    ----------
    target
        A path, or a SQLAlchemy URL of SQLite (``sqlite:///traces.db``). By default: ``$TOKENVIS_DATABASE``; else the nearest
        ``sqlite.db`` from the working directory upwards, up to the first folder of a project; else ``sqlite.db`` in the
        working directory.
    create
        Whether to create a missing file.

    Attributes
    ----------
    path : Path
        The file.
    engine : sqlalchemy.Engine
        For your own queries, with `tokenvis.store.schema`; its connections enforce foreign keys.

    Raises
    ------
    StoreNotFound
        There is no such file, and ``create`` is false.
    StoreError
        The file is not a database of traces, or cannot be used. It is not changed.

    Examples
    --------
    >>> with Store("traces.db") as store:
    ...     written = store.write_trace("t1", [
    ...         {"id": "a", "agent_id": "Ann", "location_id": "desk", "start_time": 0, "end_time": 5},
    ...     ])
    >>> written.added
    1
    """

    def __init__(self, target: Target = None, *, create: bool = True) -> None:
        self.path = path_of(target)
        with as_store_error(self.path):
            new = (create or self.path.exists()) and is_new(self.path)
            if not create and (new or not self.path.exists()):
                raise StoreNotFound(
                    f"There is no database at {self.path}. `tokenvis seed` creates one with two demo traces, "
                    f"`tokenvis ingest PATH` one with your traces; or set ${DATABASE_VARIABLE} to use another one."
                )
            if new:
                touch_private(self.path.resolve())
            self.engine = engine_of(self.path)
            self._inode = self.path.stat().st_ino
            if not new:
                with self._reading() as connection:
                    has_index = has_trace_index(driver_of(connection))
                    lacks_windows = create and has_index and lacks_window_index(connection)
            if is_writable(self.path):
                with closing(self.engine.raw_connection()) as connection:
                    enable_wal(connection.driver_connection, self.path, required=create)
            if new:
                with self._writing() as connection:
                    Base.metadata.create_all(connection)
                    connection.exec_driver_sql(f"PRAGMA user_version = {SCHEMA_VERSION}")
            elif not has_index:
                self._add_or_report_index(add=create)
            elif lacks_windows:
                with suppress(StoreError, sqlite3.Error):  # the file can be used all the same
                    index_windows(self.path, timeout_s=0)

    def _add_or_report_index(self, *, add: bool) -> None:
        """Add the index of the spans of a trace to a file of another program; report it where it is not added."""
        if not add:
            report_missing_index(self.path, f"Store({str(self.path)!r}) adds it.")
            return
        try:
            with as_store_error(self.path), self._writing() as connection:
                add_trace_index(driver_of(connection))
        except StoreError as error:  # the file can be read all the same
            report_missing_index(self.path, f"It cannot be added: {error}")

    def __repr__(self) -> str:
        return f"Store({str(self.path)!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return partial(type(self), create=False), (self.path.absolute(),)  # a copy opens the same file

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the engine. Optional, because no call leaves a connection open."""
        self.engine.dispose()

    def write_trace(self, trace_id: str, spans: Spans, *, name: str | None = None) -> Written:
        """Write a complete trace: afterwards it has exactly these spans.

        All or nothing: if one span is refused, the trace is unchanged.

        Parameters
        ----------
        trace_id
            The id of the trace, which is created if it is new.
        spans
            A frame of spans, or mappings with the keys ``id, agent_id, location_id, start_time, end_time`` (int µs) and
            optionally ``data`` (a mapping, or JSON text).
        name
            The trace's name; by default its current name, else that in the frame (``trace_name``), else its id.

        Raises
        ------
        BadSpan, MissingColumn
            A span is invalid, two spans have the same id, or an id belongs to another trace.
        StoreError
            The database cannot be written.
        """
        rows = checked_trace_rows(spans, trace_id, name)
        with as_store_error(self.path), self._writing() as connection:
            remove_sources(connection, trace_id)
            put_trace(connection, trace_id, name, spans)
            removed = remove_spans(connection, trace_id)
            put_spans(connection, trace_id, rows, INSERT_SPAN)
            index_windows_after_write(connection, len(rows))
        return Written(self.path, trace_id, added=len(rows), removed=removed)

    def add_spans(self, trace_id: str, spans: Spans, *, name: str | None = None) -> Written:
        """Add spans to a trace; a span with an existing id is updated. Never deletes spans.

        All or nothing. Parameters and errors as for `write_trace`.
        """
        rows = checked_trace_rows(spans, trace_id, name)
        with as_store_error(self.path), self._writing() as connection:
            put_trace(connection, trace_id, name, spans)
            before = count_spans(connection, trace_id)
            changed = put_spans(connection, trace_id, rows, UPSERT_SPAN)
            added = count_spans(connection, trace_id) - before
            index_windows_after_write(connection, len(rows))
        return Written(self.path, trace_id, added, changed - added, len(rows) - changed)

    def add_traces(
        self, spans: Spans, names: Mapping[str, str], *, former: Iterable[tuple[str, str]] = ()
    ) -> tuple[list[Written], dict[str, str]]:
        """Add spans of several traces, given by ``trace_id``, as `add_spans` does for one trace.

        A span whose id belongs to another trace is skipped. Returns the result for each trace, and the skipped ids with the
        traces that they belong to. ``names`` maps traces to names; a trace not in it keeps its current name, else its id.
        ``former`` are traces and ids of spans that have other ids now: their old rows are removed.
        """
        rows = checked_rows(spans)
        with as_store_error(self.path), self._writing() as connection:
            remove_former(connection, former)
            additions, foreign = add_rows_of_traces(connection, rows, names)
            index_windows_after_write(connection, len(rows))
        return [Written(self.path, *addition) for addition in additions], foreign

    def traces_of(self, ids: list[str]) -> dict[str, str]:
        """The trace of each of these spans that is in the database."""
        with as_store_error(self.path), self._reading() as connection:
            return trace_ids_of_spans(connection, ids)

    def delete_trace(self, trace: str) -> Written:
        """Delete a trace, given by id or exact name, and its spans.

        Raises
        ------
        TraceNotFound
            There is no trace of that id or name.
        BadOption
            Several traces have that name. Their ids are listed, and nothing is deleted.
        """
        check_text("trace", trace)
        with as_store_error(self.path), self._writing() as connection:
            trace_id, *others = trace_ids_of(connection, [trace])
            if others:
                raise BadOption(f"{quoted(trace)} is the name of several traces. Give an id: {listed([trace_id, *others])}.")
            removed = remove_spans(connection, trace_id)
            remove_sources(connection, trace_id)
            connection.execute(delete(Trace).where(Trace.id == trace_id))
        return Written(self.path, trace_id, added=0, removed=removed)

    def delete_spans(self, trace_id: str, ids: str | Iterable[str], *, drop_empty: bool = False) -> Written:
        """Delete spans of a trace. Spans that other writers add meanwhile are kept.

        All or nothing, in one transaction. Ids that are not in the trace are ignored: ``removed`` in the result counts the
        spans that were deleted.

        Parameters
        ----------
        trace_id
            The id of the trace; names are not looked up.
        ids
            One span id, or several.
        drop_empty
            Whether to delete the trace too if these were its last spans; by default it stays, empty.

        Raises
        ------
        TraceNotFound
            There is no trace of that id.
        BadOption
            An id is not a text. Nothing is deleted.
        """
        if isinstance(ids, pd.DataFrame):
            raise BadOption("ids= is a DataFrame. Pass span ids, such as spans['id'].")
        spans = name_list("ids", ids)
        check_text("trace_id", trace_id)
        with as_store_error(self.path), self._writing() as connection:
            if connection.scalar(select(Trace.id).where(Trace.id == trace_id)) is None:
                trace_ids = connection.scalars(select(Trace.id).order_by(Trace.id))
                raise TraceNotFound(f"No trace has the id {quoted(trace_id)}. This store has: {listed(trace_ids)}.")
            removed = remove_spans(connection, trace_id, is_one_of(Span.id, spans))
            if drop_empty and removed and not count_spans(connection, trace_id):
                connection.execute(delete(Trace).where(Trace.id == trace_id))
        return Written(self.path, trace_id, added=0, removed=removed)

    def select_traces(self, *, details: bool = False) -> list[Row[Any]]:
        """Rows (id, name, n_spans, start_time), newest first; with ``details`` also (end_time, n_agents, n_locations)."""
        with as_store_error(self.path), self._reading() as connection:
            query = select_trace_list(details=details, has_index=has_trace_index(driver_of(connection)))
            return list(connection.execute(query))

    def select_spans(
        self,
        traces: Iterable[str] | None,
        *,
        start: int | None = None,
        end: int | None = None,
        agents: Sequence[str] | None = None,
        locations: Sequence[str] | None = None,
    ) -> SpanColumns:
        """Spans as columns, unordered; ``traces`` are ids or exact names, None for all.

        `BadOption` if none of the traces has such an agent or location, at any time.
        """
        conditions = []
        if agents is not None:
            conditions.append(is_one_of(Span.agent_id, agents))
        if locations is not None:
            conditions.append(is_one_of(Span.location_id, locations))
        if start is not None:
            conditions.append(or_(Span.end_time > start, Span.start_time >= start))
        if end is not None:
            conditions += [Span.start_time < end, literal(start is None or start < end)]
        with as_store_error(self.path), self._reading() as connection:
            trace_ids = None if traces is None else trace_ids_of(connection, traces)
            rows = rows_to_read(connection, self.path, trace_ids, (start, end))
            columns = read_columns(connection, rows, conditions)
            for name, wanted in (("agent_id", agents), ("location_id", locations)):
                without_rows = set(wanted or ()).difference(columns.names[name])  # perhaps because of the other conditions
                if without_rows:
                    check_names(connection, name, sorted(without_rows), trace_ids)
            return columns

    def select_changes(
        self, traces: Iterable[str], since: Watermark | None = None, *, also: Iterable[str] = ()
    ) -> ChangedSpans:
        """Spans of traces, as from `select_spans`, that are new or changed since a watermark; all spans if it is None.

        Also all spans if the watermark is invalid: the file was replaced, a name selects other traces, or spans were removed.
        Updates by another program that keep the rowid are not detected. ``also`` are ids of further traces; they may be
        missing, and if one of them exists, ``traces`` may be missing too.
        """
        with as_store_error(self.path), self._reading() as connection:
            return read_changes(connection, trace_ids_of(connection, traces, also), self._inode, since)

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        """A connection in a read transaction."""
        self._check_file()
        with self.engine.begin() as connection:
            driver = driver_of(connection)
            check_reading(driver, self.path)
            driver.execute("PRAGMA trusted_schema = OFF")  # in all versions: SQLite has read the schema
            yield connection

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        """A connection in a transaction that has the write lock from its start; an error rolls it back."""
        self._check_file()
        with self.engine.connect().execution_options(immediate=True) as connection:
            before, inode = wal_size(self.path), self._inode
            with connection.begin():
                check_writing(driver_of(connection), self.path)
                yield connection
            self._check_file()
            if self._inode != inode:
                raise StoreError(f"{self.path} was replaced during the write, which went to the old file. Repeat the write.")
            # checkpoints once per CHECKPOINT_WAL_BYTES of growth, since readers may block each attempt
            if wal_size(self.path) // CHECKPOINT_WAL_BYTES > before // CHECKPOINT_WAL_BYTES:
                checkpoint(driver_of(connection))

    def check_writing(self) -> None:
        """Raise `StoreError` if the file's schema makes writes untrue, such as a trigger."""
        with as_store_error(self.path), self.engine.connect() as connection:
            check_writing(driver_of(connection), self.path)

    def inode(self) -> int:
        """The inode of the file that is at the path now; errors as for a write."""
        with suppress(OSError):
            file_stat = os.stat(self.path)  # noqa: PTH116  (a recorder calls this many times a second)
            if file_stat.st_ino == self._inode and file_stat.st_size:
                return self._inode
        with as_store_error(self.path):
            self._check_file()
        return self._inode

    def _check_file(self) -> None:
        """Raise `StoreError` if the file is gone, or was replaced by a file that is not a database of traces."""
        if not self.path.exists():
            raise StoreError(f"{self.path} no longer exists. Store({str(self.path)!r}) creates a new one.")
        file_stat = self.path.stat()
        if file_stat.st_ino != self._inode or not file_stat.st_size:
            if is_new(self.path):
                raise StoreError(
                    f"{self.path} was replaced by an empty file. Store({str(self.path)!r}) creates a database in it."
                )
            self._inode = file_stat.st_ino


def as_store(store: Store | Target, *, create: bool) -> Store:
    """The given store, or the store of a target; one to write to (``create``) must have no obstacle to writing."""
    database = store if isinstance(store, Store) else Store(store, create=create)
    if create:
        database.check_writing()
    return database
