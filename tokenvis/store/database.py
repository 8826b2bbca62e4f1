"""The database: the path of a store's file, and checks that the file is a database of traces.

The checks run before the first write, so that another program's database is never changed.
"""

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import NamedTuple, TypeAlias

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from tokenvis.errors import StoreError, listed, quoted
from tokenvis.store.connections import connect, error_code, inspection_uri
from tokenvis.store.obstacles import schema_objects, unusable_tables
from tokenvis.store.schema import SCHEMA_VERSION, Base

DATABASE_VARIABLE = "TOKENVIS_DATABASE"
DEFAULT_FILE = "sqlite.db"
PROJECT_MARKERS = (".git", "pyproject.toml", "package.json")

Target: TypeAlias = str | os.PathLike[str] | URL | None


def path_of(target: Target) -> Path:
    """The path of a target's file."""
    if target is None:
        return default_path()
    if isinstance(target, URL) or (isinstance(target, str) and "://" in target):
        try:
            url = make_url(target)
        except ArgumentError as error:
            raise StoreError(f"{quoted(target)} is not a database URL ({error}).") from None
        if url.get_backend_name() != "sqlite":
            raise StoreError(f"A store is a SQLite file, and {url.render_as_string()!r} is not one.")
        if url.host:
            raise StoreError(f"{url.render_as_string()!r} has a host. Write three slashes before a path: sqlite:///traces.db.")
        if url.query:
            raise StoreError(f"{url.render_as_string()!r} has options, which a store does not support. Pass only a path.")
        target = url.database or ":memory:"
    if not isinstance(target, str | os.PathLike):
        raise StoreError(f"{quoted(target)} is neither a path nor a database URL.")
    if "\x00" in os.fspath(target):
        raise StoreError(f"{quoted(target)} is not a path: it contains a null character.")
    if os.fspath(target) == ":memory:":
        raise StoreError("A store is a file: a database in memory has no write-ahead log. Pass a path.")
    try:
        return Path(target).expanduser().absolute()
    except (RuntimeError, OSError) as error:
        raise StoreError(f"{quoted(os.fspath(target))} is not a valid path: {error}") from None


def default_path() -> Path:
    """``$TOKENVIS_DATABASE``; else the nearest sqlite.db of the project; else sqlite.db in the working directory."""
    configured = os.environ.get(DATABASE_VARIABLE)
    if configured:
        return path_of(configured)
    try:
        working_directory, home = Path.cwd(), Path.home().resolve()  # Path.cwd() has no symbolic links
    except (RuntimeError, OSError) as error:
        raise StoreError(f"The default database cannot be searched for: {error}. Pass a path.") from None
    for folder in (working_directory, *working_directory.parents):
        if folder == home or folder in home.parents:
            break
        if (folder / DEFAULT_FILE).is_file():
            return folder / DEFAULT_FILE
        if any((folder / mark).exists() for mark in PROJECT_MARKERS):
            break
    return working_directory / DEFAULT_FILE


def is_new(path: Path) -> bool:
    """Whether the file is missing or has no tables yet; `StoreError` if it is anything but a database of traces."""
    if not path.parent.is_dir():
        raise StoreError(f"There is no folder {path.parent} for {path.name}.")
    if path.is_dir():
        raise StoreError(f"{path} is a folder. Pass a file in it, such as {path / DEFAULT_FILE}.")
    if path.exists() and not path.is_file():
        raise StoreError(f"{path} is not a regular file. Pass a file, such as {path.parent / DEFAULT_FILE}.")
    if not path.exists() or path.stat().st_size == 0:
        return True
    info = inspect_database(path)
    check_is_store(path, info)
    return info.is_empty


class DatabaseInfo(NamedTuple):
    """The schema of a file: its tables, the columns of ours, the format version, and what makes our tables unusable.

    ``has_rowids`` tells whether the table ``spans`` has SQLite's rowid.
    """

    is_empty: bool
    tables: list[str]
    columns: dict[str, set[str]]
    version: int
    has_rowids: bool
    obstacle: str | None


def inspect_database(path: Path) -> DatabaseInfo:
    """Read the schema of a file without changing it; `StoreError` if it is not a SQLite database."""
    try:
        with closing(connect(inspection_uri(path))) as connection:
            [version] = connection.execute("PRAGMA user_version").fetchone()
            objects = schema_objects(connection)
            tables = sorted(item.name for item in objects if item.kind == "table")
            stored = {item.name.lower() for item in objects if item.kind == "table" and item.is_stored}
            columns = {table: columns_of(connection, table) for table in stored & set(Base.metadata.tables)}
            obstacle = next(unusable_tables(objects), None)
            return DatabaseInfo(not objects, tables, columns, version, has_rowids(connection, columns), obstacle)
    except sqlite3.DatabaseError as error:
        if error_code(error) == sqlite3.SQLITE_NOTADB:
            raise StoreError(f"{path} is not a SQLite database. Set ${DATABASE_VARIABLE} to use another one.") from None
        raise


def columns_of(connection: sqlite3.Connection, table: str) -> set[str]:
    """The columns of a table, in lower case, as SQLite compares them."""
    return {name.lower() for _, name, *_ in connection.execute(f"PRAGMA table_info({table})")}


def has_rowids(connection: sqlite3.Connection, columns: dict[str, set[str]]) -> bool:
    """Whether the table ``spans`` has SQLite's rowid: False for a table WITHOUT ROWID, and if a column has that name."""
    if "spans" not in columns or "rowid" in columns["spans"]:
        return False
    try:
        connection.execute("SELECT rowid FROM spans LIMIT 0")
    except sqlite3.OperationalError as error:
        if error_code(error) == sqlite3.SQLITE_ERROR:
            return False
        raise
    return True


def check_is_store(path: Path, info: DatabaseInfo) -> None:
    """Raise `StoreError` if the tables or the format version are not those of a tokenvis database."""
    if info.obstacle:
        raise StoreError(f"{path} {info.obstacle}.")
    tables = [] if info.is_empty else Base.metadata.sorted_tables
    for table in tables:
        missing = {column.name for column in table.columns} - info.columns.get(table.name, set())
        if missing:
            raise StoreError(
                f"{path} is not a tokenvis database: it has the tables {listed(info.tables)}, and no "
                f"{table.name!r} with {listed(sorted(missing))}. Set ${DATABASE_VARIABLE} to use another one."
            )
    if info.version > SCHEMA_VERSION:
        raise StoreError(
            f"{path} was written by a newer tokenvis (format {info.version}; this one reads {SCHEMA_VERSION}). Update tokenvis."
        )
    if tables and not info.has_rowids:
        raise StoreError(
            f"{path} has a table of spans WITHOUT ROWID, or with a column named rowid, which tokenvis cannot read. "
            "Copy its rows into the tables of a new Store."
        )
