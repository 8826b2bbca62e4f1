"""Connections: how a SQLite file is opened, its PRAGMAs and the reasons for them, and explanations of SQLite's errors.

Only Python's sqlite3 opens an existing file; ``open`` is never called on it. On POSIX, closing any descriptor of a file drops
all locks that the process has on it, including the locks of a connection that the user opened. A
second SQLite library in the process would do the same: `check_one_library` refuses it.

**The WAL.** A commit is appended to the write-ahead log, and a checkpoint copies it into the file later. In SQLite 3.7.0 to
3.51.2 (except 3.44.6 and 3.50.7), a checkpoint that runs while another connection writes can, rarely, treat that connection's
latest commit as already copied, and lose it (https://sqlite.org/wal.html, "The WAL-Reset Bug"). So our connections do not
checkpoint while another connection writes (`checkpoint` has the one exception, which is safe), and the automatic checkpoint is
off. The WAL is checkpointed when the last connection closes, because no other can write then, and by a writer that has made it
large, in TRUNCATE mode, which takes the write lock for that time.
"""

import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any, cast

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from tokenvis.errors import StoreError
from tokenvis.store.libraries import check_one_library

BUSY_TIMEOUT_S = 30.0  # how long a write waits for another writer
CHECKPOINT_TIMEOUT_S = 5.0  # how long a checkpoint keeps the write lock while it waits for readers
RETRY_DELAY_S = 0.005
CHECKPOINT_WAL_BYTES = 16 << 20  # WAL size at which a writer checkpoints
PRAGMAS = {
    "foreign_keys": "ON",  # each span has a trace
    "synchronous": "FULL",  # commits survive a power cut; NORMAL survives only a killed process
    "wal_autocheckpoint": 0,  # see above
    "cell_size_check": "ON",  # a damaged page is an error, not a wrong row
}
DAMAGED_HINT = "The file is damaged: restore a backup, or ingest the traces again. `tokenvis verify` shows the damage"
ERROR_HINTS = {
    sqlite3.SQLITE_BUSY: "Another program is writing to it. Close that program, or try again",
    sqlite3.SQLITE_LOCKED: "Another connection of this process is writing to it. Commit or close it, or try again",
    sqlite3.SQLITE_FULL: "This write was rolled back; earlier writes are in the database. Free disk space, then repeat it",
    sqlite3.SQLITE_READONLY: "The file or its folder is read-only. Set $TOKENVIS_DATABASE to use another database",
    sqlite3.SQLITE_CANTOPEN: "It is missing, or you lack permission for it or its folder. `tokenvis info` shows its path",
    sqlite3.SQLITE_CORRUPT: DAMAGED_HINT,
    sqlite3.SQLITE_NOTADB: DAMAGED_HINT,
    sqlite3.SQLITE_CONSTRAINT: "A constraint of the table refuses a row, and the write was rolled back",
    sqlite3.SQLITE_IOERR: "The disk failed, or the file is truncated. `tokenvis verify` shows what can be read",
}


def uri_of(path: Path, mode: str) -> str:
    """SQLite's URI of a file, with special characters in its path escaped."""
    return f"{path.as_uri()}?mode={mode}"


def wal_path(path: Path) -> Path:
    """The WAL, in the folder of the file itself, not of a link to it."""
    path = path.resolve()
    return path.with_name(f"{path.name}-wal")


def inspection_uri(path: Path) -> str:
    """SQLite's URI to inspect a file without creating files beside it: without a WAL, it opens the file as immutable.

    If there is a rollback journal, a writer is active or was killed: then SQLite must be able to roll back.
    """
    path = path.resolve()
    if path.with_name(f"{path.name}-journal").exists():
        return uri_of(path, "rw" if is_writable(path) else "ro")
    return uri_of(path, "ro" if wal_path(path).exists() else "ro&immutable=1")


def is_writable(path: Path) -> bool:
    """Whether this user may write to the file and create a WAL beside it."""
    path = path.resolve()
    return os.access(path, os.W_OK) and os.access(path.parent, os.W_OK | os.X_OK)


def connect(uri: str, *, timeout_s: float | None = None, shared: bool = False) -> sqlite3.Connection:
    """A connection with our PRAGMAS and without implicit transactions; ``shared`` if several threads take turns."""
    check_one_library()
    timeout = BUSY_TIMEOUT_S if timeout_s is None else timeout_s
    connection = sqlite3.connect(uri, uri=True, timeout=timeout, isolation_level=None, check_same_thread=not shared)
    for name, value in PRAGMAS.items():
        connection.execute(f"PRAGMA {name} = {value}")
    connection.execute(f"PRAGMA trusted_schema = {'OFF' if json_is_safe() else 'ON'}")
    return connection


@cache
def json_is_safe() -> bool:
    """Whether this SQLite opens a table whose constraints call JSON functions, as ours do, while the schema is not trusted.

    Some versions, such as 3.40, count these functions as unsafe by mistake.
    """
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("PRAGMA trusted_schema = OFF")
        try:
            connection.execute("CREATE TABLE texts (text CHECK (json_valid(text)))")
        except sqlite3.OperationalError:
            return False
    return True


def read_write_uri(path: Path) -> str:
    """SQLite's URI to read and write a file, or only to read it if this user may not write."""
    return uri_of(path, "rw") if is_writable(path) else inspection_uri(path)


def read_only_uri(path: Path) -> str:
    """SQLite's URI to read a file while others may write; it does not checkpoint an existing WAL."""
    return uri_of(path, "ro") if wal_size(path) else read_write_uri(path)


def engine_of(path: Path, uri_function: Callable[[Path], str] = read_write_uri) -> Engine:
    """An engine for an existing file, whose connections open it with the URI from ``uri_function``.

    No connection outlives its call, so no snapshot blocks checkpoints, and a forked child inherits no connection. Every write
    takes the write lock at its start: a transaction that reads first and then requests the lock fails immediately if another
    writer has committed in between, even with a timeout.
    """
    engine = create_engine("sqlite://", creator=lambda: connect(uri_function(path)), poolclass=NullPool)

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        immediate = connection.get_execution_options().get("immediate", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")

    return engine


def driver_of(connection: Connection) -> sqlite3.Connection:
    """The driver's connection below one of SQLAlchemy."""
    driver: Any = connection.connection.driver_connection
    return cast(sqlite3.Connection, driver)


def enable_wal(connection: Any, path: Path, *, required: bool) -> None:
    """Set WAL mode. If ``required``, wait while the file is in use in another mode, and raise `StoreError` if it fails."""
    if not required:
        connection.execute("PRAGMA busy_timeout = 0")
        with suppress(sqlite3.OperationalError):
            connection.execute("PRAGMA journal_mode = WAL").fetchone()
        return
    mode = set_wal_mode(connection)
    if mode != "wal":
        raise StoreError(
            f"{path} cannot have a write-ahead log (journal_mode stays {mode!r}), as on a network drive. "
            "Set $TOKENVIS_DATABASE to a path on a local disk."
        )


def set_wal_mode(connection: Any) -> str:
    """Set WAL mode and return the resulting mode; retries, since SQLite ignores the busy timeout for this change."""
    until = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            return str(connection.execute("PRAGMA journal_mode = WAL").fetchone()[0])
        except sqlite3.OperationalError as error:
            if error_code(error) != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(RETRY_DELAY_S)


def wal_size(path: Path) -> int:
    """The size of the WAL in bytes, 0 if there is none."""
    with suppress(OSError):
        return wal_path(path).stat().st_size
    return 0


def checkpoint(connection: Any, timeout_s: float | None = None) -> None:
    """Copy the WAL into the file and truncate it, if readers finish in time; otherwise leave the rest for later.

    This takes the write lock, so no other connection can write meanwhile. Only if another writer has the lock for longer than
    the timeout does SQLite checkpoint while it writes; that writer began on a WAL not yet copied, so it cannot reset it.
    """
    [usual_ms] = connection.execute("PRAGMA busy_timeout").fetchone()
    timeout = CHECKPOINT_TIMEOUT_S if timeout_s is None else timeout_s
    connection.execute(f"PRAGMA busy_timeout = {timeout * 1000:.0f}")
    with suppress(sqlite3.Error):  # all writes are safe in the WAL
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    connection.execute(f"PRAGMA busy_timeout = {usual_ms}")


def error_code(error: BaseException) -> int:
    """SQLite's primary result code; 0 if the error is from another source, such as the driver that cannot decode a text."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


@contextmanager
def as_store_error(path: Path) -> Iterator[None]:
    """Convert errors of SQLite and the file system to a `StoreError` with the path and a hint."""
    try:
        yield
    except UnicodeDecodeError as error:  # a damaged schema, in a message of SQLite
        raise StoreError(f"{path}: {error}. {DAMAGED_HINT}.") from error
    except (SQLAlchemyError, sqlite3.Error, OSError) as error:
        cause = getattr(error, "orig", None) or error
        hint = ERROR_HINTS.get(error_code(cause))
        message = " ".join(str(cause).split())
        raise StoreError(f"{path}: {message}. {hint}." if hint else f"{path}: {message}.") from error
