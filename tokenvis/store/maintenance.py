"""Maintenance: verify a database file, back it up, and add an index for windows to it.

Only the last changes the file. For `verify`, a damaged file or another program's file is a finding, not an error.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import Connection

from tokenvis.errors import StoreError, StoreNotFound, TokenvisError, escaped, listed, plural
from tokenvis.private import narrow_mode, touch_private
from tokenvis.store.connections import as_store_error, connect, driver_of, engine_of, read_only_uri
from tokenvis.store.database import Target, is_new, path_of
from tokenvis.store.obstacles import (
    COPY_ADVICE,
    OWN_SQL,
    acting_keys,
    reading_obstacles,
    schema_objects,
    tables_changed_with,
    writing_obstacles,
)
from tokenvis.store.scan import Fault, all_rowids, has_own_schema, read_chunks, texts_as_bytes
from tokenvis.store.trace_index import MISSING_INDEX, has_trace_index
from tokenvis.store.windows import index_windows
from tokenvis.temporary import clear_leftovers, temporary_folder

MAX_FINDINGS_PER_KIND = 20
ORPHAN_COUNT_QUERY = "SELECT count(*) FROM spans WHERE trace_id NOT IN (SELECT id FROM traces WHERE id IS NOT NULL)"


class Verdict(NamedTuple):
    """Result of `verify`: the file, the number of readable traces and spans, and each problem with what to do about it."""

    path: Path
    n_traces: int
    n_spans: int
    findings: list[str]

    def __str__(self) -> str:
        counts = f"{plural(self.n_traces, 'trace')} and {plural(self.n_spans, 'span')} can be read."
        findings = self.findings or ["No problems found."]
        return "\n".join(map(escaped, [f"Database: {self.path}", counts, *findings]))


def verify(target: Target = None) -> Verdict:
    """Check a database of traces: SQLite's integrity check, then each row against the schema.

    Parameters
    ----------
    target
        A path or URL, or None for the default database. The file is only read.

    Returns
    -------
    Verdict
        ``path``; ``n_traces`` and ``n_spans`` that can be read; ``findings``, a list of sentences, empty if nothing is wrong.

    Raises
    ------
    StoreNotFound
        There is no such file.
    """
    path = path_of(target)
    with as_store_error(path):
        if not path.is_file():
            raise StoreNotFound(f"There is no database at {path}.")
    verdict = Verdict(path, 0, 0, [])
    try:
        with as_store_error(path):
            if is_new(path):
                return verdict._replace(findings=[f"The file is empty. Store({str(path)!r}) creates a database in it."])
            with engine_of(path, read_only_uri).begin() as connection:
                verdict.findings.extend(schema_findings(driver_of(connection)))
                verdict.findings.extend(damage_findings(connection))
                verdict.findings.extend(orphan_findings(connection))
                return check_rows(connection, verdict)
    except TokenvisError as error:
        return verdict._replace(findings=[*verdict.findings, str(error)])


def schema_findings(connection: sqlite3.Connection) -> Iterator[str]:
    """Properties of the schema that make reading or writing untrue or slow, and SQL of the file."""
    objects = schema_objects(connection)
    unreadable = list(reading_obstacles(connection, objects))
    yield from (f"Reading is refused: the file {obstacle}." for obstacle in unreadable)
    if unreadable:
        raise StoreError("The rows were not checked.")
    yield from (f"Writing is refused: the file {obstacle}." for obstacle in writing_obstacles(connection, objects))
    if views := sorted(item.name for item in objects if item.kind == "view"):
        yield f"The file has the views {listed(views)}. They run SQL of the file if you query them; tokenvis does not."
    if tables := sorted(tables_changed_with(OWN_SQL, acting_keys(connection, objects)) - set(OWN_SQL)):
        yield f"Deleting spans or traces also changes the tables {listed(tables)}, through foreign keys (ON DELETE)."
    if not has_trace_index(connection):
        yield f"The file {MISSING_INDEX} Store(path) adds it."


def damage_findings(connection: Connection) -> Iterator[str]:
    """The result of SQLite's integrity check: pages, indexes, constraints."""
    messages = list(connection.exec_driver_sql(f"PRAGMA integrity_check({MAX_FINDINGS_PER_KIND})").scalars())
    if messages != ["ok"]:
        yield (
            f"SQLite reports damage: {'; '.join(messages)}. Restore a backup, or ingest the traces again; "
            "`tokenvis export` saves the spans that can still be loaded."
        )


def orphan_findings(connection: Connection) -> Iterator[str]:
    """The number of spans whose trace is missing."""
    if count := connection.exec_driver_sql(ORPHAN_COUNT_QUERY).scalar_one():
        yield (
            f"{plural(count, 'span')} of traces that do not exist. load_spans() with no arguments loads them; write them again."
        )


def check_rows(connection: Connection, verdict: Verdict) -> Verdict:
    """The verdict with the counts of readable traces and spans, and findings about invalid rows."""
    faults: list[Fault] = []
    n_traces = connection.exec_driver_sql("SELECT count(*) FROM traces").scalar_one()
    with texts_as_bytes(connection):
        chunks = read_chunks(connection, all_rowids(connection), [], faults, has_constraints=False)
        n_spans = sum(len(chunk["id"]) for chunk in chunks)
    findings = [f"  span {fault.span}: {fault.reason}" for fault in faults[:MAX_FINDINGS_PER_KIND]]
    if faults:
        findings.insert(0, f"{plural(len(faults), 'row')} with invalid values; load_spans(..., skip_bad=True) skips them:")
    if len(faults) > MAX_FINDINGS_PER_KIND:
        findings.append(f"  and {len(faults) - MAX_FINDINGS_PER_KIND:,} more")
    return Verdict(verdict.path, n_traces, n_spans, [*verdict.findings, *findings])


def backup(destination: str | Path, target: Target = None) -> Path:
    """Copy a database consistently while others write to it; a plain copy of the file would lack the contents of its WAL.

    Only this user can read the copy, whatever the mode of the database is.

    Parameters
    ----------
    destination
        A file that does not exist yet, or a folder.
    target
        A path or URL, or None for the default database.

    Returns
    -------
    Path
        The copy.

    Raises
    ------
    StoreError
        The file exists already, or cannot be written. No partial file remains.
    StoreNotFound
        There is no database.
    """
    path, copy = path_of(target), path_of(destination)
    with as_store_error(path):
        if not path.is_file() or is_new(path):
            raise StoreNotFound(f"There is no database at {path} to copy.")
    with as_store_error(copy):
        copy = copy / path.name if copy.is_dir() else copy
        check_does_not_exist(copy)
        clear_leftovers(copy.parent)
        with temporary_folder(copy.parent) as folder:
            part = folder / path.name
            touch_private(part)
            with closing(connect(read_only_uri(path))) as source, closing(sqlite3.connect(part)) as target_connection:
                source.backup(target_connection)
            narrow_mode(part, path)
            check_does_not_exist(copy)
            part.rename(copy)
    return copy


def add_window_index(target: Target = None) -> Path:
    """Add the index that finds the long spans of a window, so that loading a window does not scan the trace.

    A file of one to two million spans gets it when `Store` opens it for writing, and a larger one from a write of a tenth of
    its spans. For other files, call this once. It takes about three seconds per million spans, in which nothing else can write.

    Parameters
    ----------
    target
        A path or URL, or None for the default database.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    StoreNotFound
        There is no database.
    StoreError
        The file cannot be written, or another program made its tables: their windows are scanned.
    """
    path = path_of(target)
    with as_store_error(path):
        if not path.is_file() or is_new(path):
            raise StoreNotFound(f"There is no database at {path} to index.")
        with engine_of(path).connect() as connection:
            if not has_own_schema(connection):
                raise StoreError(
                    f"{path} has a table of spans that another program made, whose windows are scanned: {COPY_ADVICE}."
                )
        index_windows(path)
    return path


def check_does_not_exist(copy: Path) -> None:
    """Raise `StoreError` if the file exists, or a WAL or journal that SQLite would apply to the copy."""
    for name in (copy.name, *(copy.name + suffix for suffix in ("-wal", "-shm", "-journal"))):
        if os.path.lexists(copy.with_name(name)):
            raise StoreError(f"{copy.with_name(name)} already exists. Choose a new file, or remove that one.")
