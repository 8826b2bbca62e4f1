"""The store: one SQLite file of traces, written and selected from here and nowhere else.

The file is in WAL mode, so that readers and a writer do not wait for each other. Every write is one transaction that takes
the write lock at its start: it happens as a whole, or not at all. A connection lives as long as one call, so nothing is held
open between calls.
"""

import difflib
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import pandas as pd
from sqlalchemy import ColumnElement, Connection, Row, delete, func, literal, or_, select

from tokenvis.errors import MAX_LISTED_VALUES, BadOption, StoreError, StoreNotFound, TraceNotFound, listed, name_list, quoted
from tokenvis.spans.columns import Spans
from tokenvis.store.connections import LONG_LOG, carry_over, engine_of, explained, grant_wal, is_writable, log_size
from tokenvis.store.database import VARIABLE, Target, is_new, path_of
from tokenvis.store.rows import (
    INSERT,
    UPSERT,
    check_text,
    count_spans,
    frame_for_rows,
    owners_of,
    put_spans,
    put_trace,
    rows_of,
)
from tokenvis.store.scan import Changes, Columns, Mark, among, changes_of, columns_of, extent, number_anew, rows_of_traces
from tokenvis.store.schema import VERSION, Base, Span, Trace


class Written(NamedTuple):
    """What a write did: to which file and trace, and to how many spans."""

    database: Path
    trace_id: str
    added: int
    updated: int = 0
    unchanged: int = 0
    removed: int = 0


class Store:
    """A database of traces in one SQLite file, created if it is not there.

    Parameters
    ----------
    target
        A path, or a SQLAlchemy URL of SQLite (``sqlite:///traces.db``). By default: ``$TOKENVIS_DATABASE``; else the nearest
        ``sqlite.db`` from the working directory upwards, as far as the first folder of a project; else ``sqlite.db`` in the
        working directory.
    create
        Whether a file that is not there is made.

    Attributes
    ----------
    path : Path
        The file.
    engine : sqlalchemy.Engine
        For queries of your own, with `tokenvis.store.schema`; foreign keys are on in its connections.

    Raises
    ------
    StoreNotFound
        There is no such file, and ``create`` is false.
    StoreError
        The file is no database of traces, or cannot be used as one. It is left as it was.

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
        with explained(self.path):
            new = (create or self.path.exists()) and is_new(self.path)
            if not create and (new or not self.path.exists()):
                raise StoreNotFound(
                    f"There is no database at {self.path}. `tokenvis seed` makes one with two demo traces, "
                    f"`tokenvis ingest PATH` one with yours, and ${VARIABLE} names a database elsewhere."
                )
            if new:
                with suppress(FileExistsError):
                    self.path.resolve().touch(exist_ok=False)
            self.engine = engine_of(self.path)
            self._inode = self.path.stat().st_ino
            if is_writable(self.path):
                with closing(self.engine.raw_connection()) as connection:
                    grant_wal(connection.driver_connection, self.path, patient=create)
            if new:
                with self._writing() as connection:
                    Base.metadata.create_all(connection)
                    connection.exec_driver_sql(f"PRAGMA user_version = {VERSION}")

    def __repr__(self) -> str:
        return f"Store({str(self.path)!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file; no call leaves a connection open, so this only says that you are done."""
        self.engine.dispose()

    def write_trace(self, trace_id: str, spans: Spans, *, name: str | None = None) -> Written:
        """Write a trace as a whole: afterwards it has these spans, and no others.

        All or nothing: where one span is refused, the trace stays as it was.

        Parameters
        ----------
        trace_id
            The trace. A new one is made.
        spans
            A frame of spans, or mappings with the keys ``id, agent_id, location_id, start_time, end_time`` (int µs) and, where
            there is one, ``data`` (a mapping, or JSON text).
        name
            The trace's name; by default the one that it has, else its id.

        Raises
        ------
        BadSpan, MissingColumn
            A span breaks a rule, two have one id, or an id belongs to another trace.
        StoreError
            The database cannot be written.
        """
        rows = rows_of(spans, trace_id, name)
        with explained(self.path), self._writing() as connection:
            put_trace(connection, trace_id, name)
            removed = remove_spans(connection, trace_id)
            put_spans(connection, trace_id, rows, INSERT)
        return Written(self.path, trace_id, added=len(rows), removed=removed)

    def add_spans(self, trace_id: str, spans: Spans, *, name: str | None = None) -> Written:
        """Add spans to a trace; one whose id is there already is updated. Nothing is ever deleted.

        All or nothing. Parameters and errors are those of `write_trace`.
        """
        rows = rows_of(spans, trace_id, name)
        with explained(self.path), self._writing() as connection:
            put_trace(connection, trace_id, name)
            before = count_spans(connection, trace_id)
            changed = put_spans(connection, trace_id, rows, UPSERT)
            added = count_spans(connection, trace_id) - before
        return Written(self.path, trace_id, added, changed - added, len(rows) - changed)

    def add_traces(self, spans: Spans, names: Mapping[str, str]) -> tuple[list[Written], dict[str, str]]:
        """Add spans of several traces, each with its own ``trace_id``, as `add_spans` adds those of one.

        A span whose id belongs to another trace is left out: returned are what was written, by trace, and such ids with the
        traces that have them. ``names`` are names of traces; one without keeps the name that it has, else its id.
        """
        frame = frame_for_rows(spans)
        with explained(self.path), self._writing() as connection:
            owners = owners_of(connection, frame["id"].tolist())
            taken = frame["id"].map(owners)
            foreign = (taken.notna() & (taken != frame["trace_id"].astype("str"))).to_numpy(dtype=bool)
            written = [
                self._add(connection, str(trace_id), part, names.get(str(trace_id)), int(part["id"].isin(owners).sum()))
                for trace_id, part in frame[~foreign].groupby("trace_id", observed=True)
            ]
        return written, {span: owners[span] for span in frame["id"][foreign]}

    def _add(self, connection: Connection, trace_id: str, frame: pd.DataFrame, name: str | None, n_there: int) -> Written:
        """Add rows of one trace, of which so many are there already."""
        put_trace(connection, trace_id, name)
        added = len(frame) - n_there
        updated = put_spans(connection, trace_id, frame, UPSERT) - added
        return Written(self.path, trace_id, added, updated, n_there - updated)

    def delete_trace(self, trace: str) -> Written:
        """Delete a trace, of this id or exact name, and its spans.

        Raises
        ------
        TraceNotFound
            There is no trace of that id or name.
        BadOption
            Several traces have that name. Their ids are listed, and nothing is deleted.
        """
        check_text("trace", trace)
        with explained(self.path), self._writing() as connection:
            trace_id, *others = self._ids_of(connection, [trace])
            if others:
                raise BadOption(f"{quoted(trace)} is the name of several traces. Give an id: {listed([trace_id, *others])}.")
            removed = remove_spans(connection, trace_id)
            connection.execute(delete(Trace).where(Trace.id == trace_id))
        return Written(self.path, trace_id, added=0, removed=removed)

    def delete_spans(self, trace_id: str, ids: str | Iterable[str], *, drop_empty: bool = False) -> Written:
        """Delete spans of a trace. Spans that others add meanwhile stay.

        All or nothing, in one transaction. An id that no span of the trace has is passed over: ``removed`` of what is returned
        counts the spans that were there.

        Parameters
        ----------
        trace_id
            The trace, by its id; a name is not looked up.
        ids
            One id of a span, or several.
        drop_empty
            Whether the trace is deleted too where these were its last spans; by default it stays, empty.

        Raises
        ------
        TraceNotFound
            There is no trace of that id.
        BadOption
            An id is no text. Nothing is deleted.
        """
        if isinstance(ids, pd.DataFrame):
            raise BadOption("ids= is a DataFrame. Give the ids of spans, such as spans['id'].")
        spans = name_list("ids", ids)
        check_text("trace_id", trace_id)
        with explained(self.path), self._writing() as connection:
            if connection.scalar(select(Trace.id).where(Trace.id == trace_id)) is None:
                there = connection.scalars(select(Trace.id).order_by(Trace.id))
                raise TraceNotFound(f"No trace has the id {quoted(trace_id)}. This store has: {listed(there)}.")
            removed = remove_spans(connection, trace_id, among(Span.id, spans))
            if drop_empty and removed and not count_spans(connection, trace_id):
                connection.execute(delete(Trace).where(Trace.id == trace_id))
        return Written(self.path, trace_id, added=0, removed=removed)

    def select_traces(self, *, details: bool = False) -> list[Row[Any]]:
        """Rows (id, name, n_spans, start_time), newest first; with ``details`` also (end_time, n_agents, n_locations)."""
        own = Span.trace_id == Trace.id
        n_spans = select(func.count()).where(own).scalar_subquery()  # by the index alone, twice as fast as a join is
        start = select(func.min(Span.start_time)).where(own).scalar_subquery().label("start_time")
        query = select(Trace.id, Trace.name, n_spans, start).order_by(start.desc().nulls_last(), Trace.id)
        if details:
            inside = DETAILS.subquery()
            counts = [func.coalesce(column, 0) for column in (inside.c.n_agents, inside.c.n_locations)]
            query = query.add_columns(inside.c.end_time, *counts).outerjoin(inside, inside.c.trace_id == Trace.id)
        with explained(self.path), self._reading() as connection:
            return list(connection.execute(query))

    def select_spans(
        self,
        traces: Iterable[str] | None,
        *,
        start: int | None = None,
        end: int | None = None,
        agents: Iterable[str] | None = None,
        locations: Iterable[str] | None = None,
    ) -> Columns:
        """Spans as columns, in no order; ``traces`` are ids or exact names, None for all."""
        conditions = []
        if agents is not None:
            conditions.append(among(Span.agent_id, agents))
        if locations is not None:
            conditions.append(among(Span.location_id, locations))
        if start is not None:
            conditions.append(or_(Span.end_time > start, Span.start_time >= start))
        if end is not None:
            conditions += [Span.start_time < end, literal(start is None or start < end)]
        with explained(self.path), self._reading() as connection:
            rows = extent(connection) if traces is None else rows_of_traces(connection, self._ids_of(connection, traces))
            return columns_of(connection, rows, conditions)

    def select_changes(self, traces: Iterable[str], since: Mark | None = None, *, also: Iterable[str] = ()) -> Changes:
        """Spans of traces, as `select_spans` gives them, that are new or changed since a mark; all, where there is none.

        All of them too where a mark leads nowhere: the file is another one, a name stands for other traces, spans were removed.
        A change that another program makes to a row in its place is not seen.
        ``also`` are ids of further traces, which need not be there; where one of them is, no other trace need be.
        """
        with explained(self.path), self._reading() as connection:
            return changes_of(connection, self._ids_of(connection, traces, also), self._inode, since)

    def _ids_of(self, connection: Connection, traces: Iterable[str], also: Iterable[str] = ()) -> list[str]:
        """Ids of traces that are given by id or by exact name, which stands for every trace that has it.

        Those of the ids ``also`` that are there come first; where there is one, no other trace need be.
        """
        asked, further = list(dict.fromkeys(traces)), list(also)
        known = set(connection.scalars(select(Trace.id).where(among(Trace.id, [*asked, *further]))))
        found = {trace: [trace] for trace in asked if trace in known}
        if rest := [trace for trace in asked if trace not in known]:
            for trace_id, name in connection.execute(select(Trace.id, Trace.name).where(among(Trace.name, rest))):
                found.setdefault(name, []).append(trace_id)
        first = [trace for trace in further if trace in known]
        for trace in asked:
            if trace not in found and not first:
                raise self._not_found(connection, trace)
        return list(dict.fromkeys([*first, *(trace_id for trace in asked for trace_id in found.get(trace, []))]))

    def _not_found(self, connection: Connection, trace: str) -> TraceNotFound:
        """The error for a trace that is not there, with the nearest of those that are."""
        there = connection.execute(select(Trace.id, Trace.name).order_by(Trace.id)).all()
        words = dict.fromkeys(word for trace_id, name in there[:2_000] for word in (trace_id, name))
        near = difflib.get_close_matches(str(trace), words, n=MAX_LISTED_VALUES, cutoff=0.4)
        rest = [trace_id for trace_id, name in there if trace_id not in near and name not in near]
        return TraceNotFound(f"No trace {quoted(trace)}. This store has: {listed(near + rest)}.")

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        """A connection in a transaction that only reads."""
        self._check_file()
        with self.engine.begin() as connection:
            yield connection

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        """A connection in a transaction that has the write lock from its start; an error takes all of it back."""
        self._check_file()
        with self.engine.connect().execution_options(immediate=True) as connection:
            before, inode = log_size(self.path), self._inode
            with connection.begin():
                yield connection
            self._check_file()
            if self._inode != inode:
                raise StoreError(
                    f"{self.path} was replaced while it was written to: the write went with the old file. Repeat it."
                )
            if log_size(self.path) // LONG_LOG > before // LONG_LOG:  # once for each such length: readers may keep it long
                carry_over(connection.connection.driver_connection)

    def inode(self) -> int:
        """Which file lies at the path now; errors as in a write."""
        with suppress(OSError):
            found = os.stat(self.path)  # noqa: PTH116  (a recorder asks many times a second)
            if found.st_ino == self._inode and found.st_size:
                return self._inode
        with explained(self.path):
            self._check_file()
        return self._inode

    def _check_file(self) -> None:
        """Raise `StoreError` where the file has gone, or is another one than it was, and that one is no database of traces."""
        if not self.path.exists():
            raise StoreError(f"{self.path} is no longer there. Store({str(self.path)!r}) makes a new one.")
        found = self.path.stat()
        if found.st_ino != self._inode or not found.st_size:
            if is_new(self.path):
                raise StoreError(
                    f"{self.path} was replaced by an empty file. Store({str(self.path)!r}) makes a database of it."
                )
            self._inode = found.st_ino


def remove_spans(connection: Connection, trace_id: str, *conditions: ColumnElement[bool]) -> int:
    """Remove the spans of a trace that meet the conditions; how many there were."""
    removed = connection.execute(delete(Span).where(Span.trace_id == trace_id, *conditions)).rowcount
    if removed:
        number_anew(connection)
    return removed


def opened(store: Store | Target, *, create: bool) -> Store:
    """A store as it was given, or the one at that place."""
    return store if isinstance(store, Store) else Store(store, create=create)


DETAILS = select(
    Span.trace_id,
    func.max(Span.end_time).label("end_time"),
    func.count(Span.agent_id.distinct()).label("n_agents"),
    func.count(Span.location_id.distinct()).label("n_locations"),
).group_by(Span.trace_id)
