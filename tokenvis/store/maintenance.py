"""Maintenance: whether a file is sound, and a copy of it that is.

Neither changes the file. One that is damaged, or somebody else's, is no error here but a finding.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from sqlalchemy import Connection

from tokenvis.errors import StoreError, StoreNotFound, TokenvisError, plural
from tokenvis.store.connections import connected, engine_of, explained, only_read
from tokenvis.store.database import Target, is_new, path_of
from tokenvis.store.scan import Fault, chunks_of, extent, reading_bytes

SHOWN = 20  # findings of a kind
ORPHANS = "SELECT count(*) FROM spans WHERE NOT EXISTS (SELECT 1 FROM traces WHERE traces.id = spans.trace_id)"


class Verdict(NamedTuple):
    """What `verify` found: the file, how many traces and spans can be read, and each thing that is wrong, with what to do."""

    path: Path
    n_traces: int
    n_spans: int
    findings: list[str]

    def __str__(self) -> str:
        read = f"{plural(self.n_traces, 'trace')} and {plural(self.n_spans, 'span')} can be read."
        said = self.findings or ["Nothing is wrong."]
        return "\n".join([f"Database: {self.path}", read, *said])


def verify(target: Target = None) -> Verdict:
    """Check a database of traces: SQLite's own check of its structure, then each row by the rules of the schema.

    Parameters
    ----------
    target
        A path or URL, or None for the default database. The file is only read.

    Returns
    -------
    Verdict
        ``path``; ``n_traces`` and ``n_spans`` that can be read; ``findings``, sentences, none where nothing is wrong.

    Raises
    ------
    StoreNotFound
        There is no such file.
    """
    path = path_of(target)
    with explained(path):
        if not path.is_file():
            raise StoreNotFound(f"There is no database at {path}.")
    verdict = Verdict(path, 0, 0, [])
    try:
        with explained(path):
            if is_new(path):
                return verdict._replace(findings=[f"The file is empty. Store({str(path)!r}) makes it a database."])
            with engine_of(path, only_read).begin() as connection:
                verdict.findings.extend(damages(connection))
                verdict.findings.extend(orphans(connection))
                return read_through(connection, verdict)
    except TokenvisError as error:
        return verdict._replace(findings=[*verdict.findings, str(error)])


def damages(connection: Connection) -> Iterator[str]:
    """What SQLite's own check of the file says: its pages, its indexes, its checks."""
    said = list(connection.exec_driver_sql(f"PRAGMA integrity_check({SHOWN})").scalars())
    if said != ["ok"]:
        yield (
            f"SQLite finds the file damaged: {'; '.join(said)}. Go back to a backup, or read the traces in again; "
            "`tokenvis export` saves what can still be loaded."
        )


def orphans(connection: Connection) -> Iterator[str]:
    """Spans of traces that are not there."""
    if count := connection.exec_driver_sql(ORPHANS).scalar_one():
        yield f"{plural(count, 'span')} of traces that are not there. load_spans() without a trace has them; write them anew."


def read_through(connection: Connection, verdict: Verdict) -> Verdict:
    """The verdict with what can be read, and rows against the rules."""
    faults: list[Fault] = []
    n_traces = connection.exec_driver_sql("SELECT count(*) FROM traces").scalar_one()
    with reading_bytes(connection):
        chunks = chunks_of(connection, extent(connection), [], faults, checked=False)
        n_spans = sum(len(chunk["id"]) for chunk in chunks)
    findings = [f"  span {fault.span}: {fault.reason}" for fault in faults[:SHOWN]]
    if faults:
        findings.insert(0, f"{plural(len(faults), 'row')} against the rules, which load_spans(..., skip_bad=True) leaves out:")
    if len(faults) > SHOWN:
        findings.append(f"  and {len(faults) - SHOWN:,} more")
    return Verdict(verdict.path, n_traces, n_spans, [*verdict.findings, *findings])


def backup(destination: str | Path, target: Target = None) -> Path:
    """Copy a database, whole and sound, while others write to it: a copy of the file alone lacks what is in its log.

    Parameters
    ----------
    destination
        A file that is not there yet, or a folder.
    target
        A path or URL, or None for the default database.

    Returns
    -------
    Path
        The file that was made.

    Raises
    ------
    StoreError
        There is a file already, or it cannot be written. Nothing is left half done.
    StoreNotFound
        There is no database.
    """
    path, copy = path_of(target), path_of(destination)
    with explained(path):
        if not path.is_file() or is_new(path):
            raise StoreNotFound(f"There is no database at {path}, so nothing to copy.")
    with explained(copy):
        copy = copy / path.name if copy.is_dir() else copy
        refuse_what_is_there(copy)
        with TemporaryDirectory(prefix=f".{copy.name[:40]}.", dir=copy.parent) as folder:
            part = Path(folder) / path.name
            with closing(connected(only_read(path))) as source, closing(sqlite3.connect(part)) as made:
                source.backup(made)
            refuse_what_is_there(copy)
            part.rename(copy)
    return copy


def refuse_what_is_there(copy: Path) -> None:
    """Raise `StoreError` where a file, or a log that SQLite would take for that of the copy, is there already."""
    for name in (copy.name, *(copy.name + suffix for suffix in ("-wal", "-shm", "-journal"))):
        if os.path.lexists(copy.with_name(name)):
            raise StoreError(f"{copy.with_name(name)} is there already. Name a new file, or take that one away.")
