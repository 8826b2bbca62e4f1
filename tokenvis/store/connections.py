"""The connections: how a file of SQLite is opened, with which settings and why, and what its errors mean.

Only Python's own sqlite3 ever opens the file, not even Python's ``open``: on POSIX, closing any descriptor of a file drops
every lock that the process holds on it, those of a connection of the user's own too.

**The log.** A commit is appended to the write-ahead log, and a checkpoint carries it into the file later. In SQLite 3.7.0 to
3.51.2 (but 3.44.6 and 3.50.7) a checkpoint that runs beside a writer can, rarely, take what that writer has just committed for
carried over, and lose it (https://sqlite.org/wal.html, "The WAL-Reset Bug"). So no connection of ours checkpoints beside a
writer: the automatic checkpoint, which does, is off. The log is carried over by the last connection that closes, which is alone
with the file, and by a writer that has made the log long, in the mode TRUNCATE, which takes the write lock for that time.
"""

import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from tokenvis.errors import StoreError

PATIENCE = 30.0  # seconds to wait for another writer
CHECKPOINT_PATIENCE = 5.0  # seconds for which a long log keeps the write lock, to wait for those who read from it
BETWEEN_TRIES = 0.005  # seconds
LONG_LOG = 16 << 20  # bytes
SETTINGS = {
    "foreign_keys": "ON",  # a span has its trace
    "synchronous": "FULL",  # what was committed outlives a power cut too; a killed process loses nothing with NORMAL either
    "wal_autocheckpoint": 0,  # see above
    "cell_size_check": "ON",  # a damaged page is an error, not a wrong row
}
DAMAGED = "The file is damaged: go back to a backup, or read the traces in again. `tokenvis verify` says where"
HINTS = {
    sqlite3.SQLITE_BUSY: "Another program is writing to it. Close that one, or try again",
    sqlite3.SQLITE_LOCKED: "Another connection of this process is writing to it. Commit or close that one, or try again",
    sqlite3.SQLITE_FULL: "There is no room left. Nothing of this write is in the database, and all before it is",
    sqlite3.SQLITE_READONLY: "It, or its folder, can only be read. $TOKENVIS_DATABASE names a database elsewhere",
    sqlite3.SQLITE_CANTOPEN: "It is gone, or this user may not use it and its folder. `tokenvis info` shows where it should be",
    sqlite3.SQLITE_CORRUPT: DAMAGED,
    sqlite3.SQLITE_NOTADB: DAMAGED,
    sqlite3.SQLITE_IOERR: "The disk failed, or the file is cut short. `tokenvis verify` says what can be read",
}


def address_of(path: Path, mode: str) -> str:
    """SQLite's URI of a file, whatever characters its path has."""
    return f"{path.as_uri()}?mode={mode}"


def log_of(path: Path) -> Path:
    """The log, which lies beside the file itself, not beside a link to it."""
    path = path.resolve()
    return path.with_name(f"{path.name}-wal")


def untouched(path: Path) -> str:
    """SQLite's URI for a look at a file that leaves nothing beside it: where there is no log, SQLite need not make one.

    Beside a rollback journal a writer was killed, or is at work: SQLite must be able to take back what that one left.
    """
    path = path.resolve()
    if path.with_name(f"{path.name}-journal").exists():
        return address_of(path, "rw" if is_writable(path) else "ro")
    return address_of(path, "ro" if log_of(path).exists() else "ro&immutable=1")


def is_writable(path: Path) -> bool:
    """Whether this user may write the file, and the log beside it."""
    path = path.resolve()
    return os.access(path, os.W_OK) and os.access(path.parent, os.W_OK | os.X_OK)


def connected(address: str, *, patience: float | None = None, shared: bool = False) -> sqlite3.Connection:
    """A connection with our settings, which leaves transactions to who uses it; ``shared`` by threads that take turns."""
    wait = PATIENCE if patience is None else patience
    connection = sqlite3.connect(address, uri=True, timeout=wait, isolation_level=None, check_same_thread=not shared)
    for name, value in SETTINGS.items():
        connection.execute(f"PRAGMA {name} = {value}")
    return connection


def in_use(path: Path) -> str:
    """SQLite's URI of a file that is read and written, as far as this user may."""
    return address_of(path, "rw") if is_writable(path) else untouched(path)


def only_read(path: Path) -> str:
    """SQLite's URI of a file that is only read, while others may write; a log that is there is not carried over."""
    return address_of(path, "ro") if log_size(path) else in_use(path)


def engine_of(path: Path, address: Callable[[Path], str] = in_use) -> Engine:
    """An engine for a file that is there, whose connections open it by that address.

    No connection outlives the call that it is made for, so none holds a snapshot that keeps the log from being carried over,
    and none is there for a forked child to use. Every write takes the write lock at its start: one that reads first, and asks
    for the lock then, fails at once where another has written in between, however patient it is.
    """
    engine = create_engine("sqlite://", creator=lambda: connected(address(path)), poolclass=NullPool)

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        immediate = connection.get_execution_options().get("immediate", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")

    return engine


def grant_wal(connection: Any, path: Path, *, patient: bool) -> None:
    """Put the file into WAL mode, and make sure that it is; where it is in use in another mode, only who is patient waits."""
    if not patient:
        connection.execute("PRAGMA busy_timeout = 0")
        with suppress(sqlite3.OperationalError):
            connection.execute("PRAGMA journal_mode = WAL").fetchone()
        return
    mode = changed_to_wal(connection)
    if mode != "wal":
        raise StoreError(
            f"{path} cannot have a write-ahead log (journal_mode stays {mode!r}), as on a network drive. "
            "Set $TOKENVIS_DATABASE to a path on a local disk."
        )


def changed_to_wal(connection: Any) -> str:
    """The mode after the change to WAL, for which SQLite itself does not wait: where two do so at once, one fails at once."""
    until = time.monotonic() + PATIENCE
    while True:
        try:
            return str(connection.execute("PRAGMA journal_mode = WAL").fetchone()[0])
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(BETWEEN_TRIES)


def log_size(path: Path) -> int:
    """How long the log is, in bytes."""
    with suppress(OSError):
        return log_of(path).stat().st_size
    return 0


def carry_over(connection: Any, patience: float | None = None) -> None:
    """Carry the log into the file, and empty it, as far as those who read from it let go in time; the rest is left for later.

    Nobody else can write meanwhile, since this takes the write lock. Only where another writer keeps that as long as this one
    waits for it does SQLite checkpoint beside it: beside one that began on a log not yet carried over, so cannot reset it.
    """
    [usual] = connection.execute("PRAGMA busy_timeout").fetchone()
    wait = CHECKPOINT_PATIENCE if patience is None else patience
    connection.execute(f"PRAGMA busy_timeout = {wait * 1000:.0f}")
    with suppress(sqlite3.Error):  # what was written is in the log, and safe
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    connection.execute(f"PRAGMA busy_timeout = {usual}")


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn what SQLite and the file system say into a `StoreError` that names the file, and says what to do."""
    try:
        yield
    except UnicodeDecodeError as error:  # a damaged schema, in a message of SQLite
        raise StoreError(f"{path}: {error}. {DAMAGED}.") from error
    except (SQLAlchemyError, sqlite3.Error, OSError) as error:
        cause = getattr(error, "orig", None) or error
        hint = HINTS.get(getattr(cause, "sqlite_errorcode", 0) & 0xFF)
        said = " ".join(str(cause).split())
        raise StoreError(f"{path}: {said}. {hint}." if hint else f"{path}: {said}.") from error
