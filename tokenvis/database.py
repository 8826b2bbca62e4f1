"""The database: the file that a store lives in, found, recognised and opened.

What a file is gets checked before anything in it is set, so that somebody else's database keeps its bytes. Every connection
holds the rules of the schema, and none of them outlives the call that it was made for.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, TypeAlias

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from tokenvis.errors import StoreError, listed, quoted
from tokenvis.schema import VERSION, Base

VARIABLE = "TOKENVIS_DATABASE"
FILE = "sqlite.db"
PROJECT_MARKS = (".git", "pyproject.toml", "package.json")
HEADER = b"SQLite format 3\x00"
PATIENCE = 30.0  # seconds to wait for another writer

Target: TypeAlias = str | os.PathLike[str] | URL | None


def path_of(target: Target) -> Path:
    """The file that a target names."""
    if target is None:
        return default_path()
    if isinstance(target, URL) or (isinstance(target, str) and "://" in target):
        try:
            url = make_url(target)
        except ArgumentError as error:
            raise StoreError(f"{quoted(target)} is no database URL ({error}).") from None
        if url.get_backend_name() != "sqlite":
            raise StoreError(f"A store is a SQLite file, and {url.render_as_string()!r} is not one.")
        if url.host:
            raise StoreError(f"{url.render_as_string()!r} names a host. A path follows three slashes: sqlite:///traces.db.")
        if url.query:
            raise StoreError(f"{url.render_as_string()!r} has options, which a store does not take. Give a path alone.")
        target = url.database or ":memory:"
    if not isinstance(target, str | os.PathLike):
        raise StoreError(f"{quoted(target)} is neither a path nor a URL of a database.")
    if "\x00" in os.fspath(target):
        raise StoreError(f"{quoted(target)} is no path: it holds a null character.")
    if os.fspath(target) == ":memory:":
        raise StoreError("A store is a file: a database in memory has no write-ahead log. Give a path.")
    return Path(target).expanduser().absolute()


def default_path() -> Path:
    """``$TOKENVIS_DATABASE``; else the nearest sqlite.db of the project; else sqlite.db in the working directory."""
    named = os.environ.get(VARIABLE)
    if named:
        return path_of(named)
    here, home = Path.cwd(), Path.home().resolve()  # the working directory has no symbolic links in it
    for folder in (here, *here.parents):
        if folder == home or folder in home.parents:
            break
        if (folder / FILE).is_file():
            return folder / FILE
        if any((folder / mark).exists() for mark in PROJECT_MARKS):
            break
    return here / FILE


def engine_of(path: Path) -> Engine:
    """An engine whose connections hold the rules of the schema, leave transactions to SQLAlchemy, and never make a file."""
    engine = create_engine(
        "sqlite://",
        creator=lambda: sqlite3.connect(address_of(path, "rw"), uri=True, timeout=PATIENCE, isolation_level=None),
        poolclass=NullPool,
    )

    @event.listens_for(engine, "connect")
    def hold_rules(connection: sqlite3.Connection, _: object) -> None:
        connection.execute("PRAGMA foreign_keys = ON")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        immediate = connection.get_execution_options().get("immediate", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")

    return engine


def address_of(path: Path, mode: str) -> str:
    """SQLite's URI of a file, whatever characters its path has."""
    return f"{path.as_uri()}?mode={mode}"


def untouched(path: Path) -> str:
    """SQLite's URI for a look at a file that leaves nothing beside it: where there is no log, SQLite need not make one."""
    path = path.resolve()  # the log lies beside the file itself, not beside a link to it
    return address_of(path, "ro" if path.with_name(f"{path.name}-wal").exists() else "ro&immutable=1")


def is_new(path: Path) -> bool:
    """Whether the file has no tables yet; `StoreError` where it is something else than a database of traces."""
    if not path.parent.is_dir():
        raise StoreError(f"There is no folder {path.parent} to hold {path.name}.")
    if path.is_dir():
        raise StoreError(f"{path} is a folder. Name a file in it, such as {path / FILE}.")
    if not path.exists() or path.stat().st_size == 0:
        return True
    with path.open("rb") as file:
        if file.read(len(HEADER)) != HEADER:
            raise StoreError(f"{path} is not a SQLite database. ${VARIABLE} names a database elsewhere.")
    with closing(sqlite3.connect(untouched(path), uri=True, timeout=PATIENCE)) as connection:
        query = "SELECT m.name, c.name FROM sqlite_schema AS m JOIN pragma_table_info(m.name) AS c WHERE m.type = 'table'"
        columns: dict[str, set[str]] = {}
        for table, column in connection.execute(query):
            columns.setdefault(table, set()).add(column)
        [version] = connection.execute("PRAGMA user_version").fetchone()
    check_identity(path, columns, version)
    return not columns


def check_identity(path: Path, columns: dict[str, set[str]], version: int) -> None:
    """Raise `StoreError` where tables or version show that the file is not ours to use."""
    if not columns:
        return
    for table in Base.metadata.sorted_tables:
        lacking = {column.name for column in table.columns} - columns.get(table.name, set())
        if lacking:
            raise StoreError(
                f"{path} is a database of something else: it has the tables {listed(sorted(columns))}, and no "
                f"{table.name!r} with {listed(sorted(lacking))}. ${VARIABLE} names a database elsewhere."
            )
    if version > VERSION:
        raise StoreError(
            f"{path} was written by a newer tokenvis (format {version}; this one reads {VERSION}). Update tokenvis."
        )


def grant_wal(cursor: Any, path: Path) -> None:
    """Put the file into WAL mode, and make sure that it is."""
    [mode] = cursor.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != "wal":
        raise StoreError(
            f"{path} cannot have a write-ahead log (journal_mode stays {mode!r}), as on a network drive. "
            f"Set ${VARIABLE} to a path on a local disk."
        )


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn what SQLite and the file system say into a `StoreError` that names the file."""
    try:
        yield
    except (SQLAlchemyError, sqlite3.Error, OSError) as error:
        said = getattr(error, "orig", None) or error
        raise StoreError(f"{path}: {said}.") from error
