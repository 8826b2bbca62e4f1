"""The database: the file that a store lives in, found and recognised.

What a file is gets checked before anything in it is set, so that somebody else's database keeps its bytes.
"""

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import NamedTuple, TypeAlias

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from tokenvis.errors import StoreError, listed, quoted
from tokenvis.store.connections import connected, untouched
from tokenvis.store.schema import VERSION, Base

VARIABLE = "TOKENVIS_DATABASE"
FILE = "sqlite.db"
PROJECT_MARKS = (".git", "pyproject.toml", "package.json")
COLUMNS = "SELECT m.name, c.name FROM sqlite_schema AS m JOIN pragma_table_info(m.name) AS c WHERE m.type = 'table'"

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
    try:
        return Path(target).expanduser().absolute()
    except (RuntimeError, OSError) as error:
        raise StoreError(f"{quoted(os.fspath(target))} is no path here: {error}") from None


def default_path() -> Path:
    """``$TOKENVIS_DATABASE``; else the nearest sqlite.db of the project; else sqlite.db in the working directory."""
    named = os.environ.get(VARIABLE)
    if named:
        return path_of(named)
    try:
        here, home = Path.cwd(), Path.home().resolve()  # the working directory has no symbolic links in it
    except (RuntimeError, OSError) as error:
        raise StoreError(f"There is no working directory to look for a database in: {error}. Name one.") from None
    for folder in (here, *here.parents):
        if folder == home or folder in home.parents:
            break
        if (folder / FILE).is_file():
            return folder / FILE
        if any((folder / mark).exists() for mark in PROJECT_MARKS):
            break
    return here / FILE


def is_new(path: Path) -> bool:
    """Whether the file has no tables yet; `StoreError` where it is something else than a database of traces."""
    if not path.parent.is_dir():
        raise StoreError(f"There is no folder {path.parent} to hold {path.name}.")
    if path.is_dir():
        raise StoreError(f"{path} is a folder. Name a file in it, such as {path / FILE}.")
    if path.exists() and not path.is_file():
        raise StoreError(f"{path} is no file. Name one, such as {path.parent / FILE}.")
    if not path.exists() or path.stat().st_size == 0:
        return True
    look = look_at(path)
    check_identity(path, look)
    return look.is_empty


class Look(NamedTuple):
    """What stands in a file, before anything is read of it: the columns of each table, the format, how rows are numbered."""

    is_empty: bool
    columns: dict[str, set[str]]
    version: int
    has_rowids: bool


def look_at(path: Path) -> Look:
    """Look at a file, and leave it as it is; `StoreError` where it is no SQLite database."""
    columns: dict[str, set[str]] = {}
    try:
        with closing(connected(untouched(path))) as connection:
            [version] = connection.execute("PRAGMA user_version").fetchone()
            [n_things] = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
            for table, column in connection.execute(COLUMNS):
                columns.setdefault(table, set()).add(column)
            return Look(not n_things, columns, version, has_rowids(connection, columns))
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_NOTADB:
            raise StoreError(f"{path} is not a SQLite database. ${VARIABLE} names a database elsewhere.") from None
        raise


def has_rowids(connection: sqlite3.Connection, columns: dict[str, set[str]]) -> bool:
    """Whether SQLite itself numbers the rows of spans: not in a table WITHOUT ROWID, nor where a column has that name."""
    if "spans" not in columns or "rowid" in map(str.lower, columns["spans"]):
        return False
    try:
        connection.execute("SELECT rowid FROM spans LIMIT 0")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_ERROR:
            return False
        raise
    return True


def check_identity(path: Path, look: Look) -> None:
    """Raise `StoreError` where tables or format show that the file is not ours to use."""
    tables = [] if look.is_empty else Base.metadata.sorted_tables
    for table in tables:
        lacking = {column.name for column in table.columns} - look.columns.get(table.name, set())
        if lacking:
            raise StoreError(
                f"{path} is a database of something else: it has the tables {listed(sorted(look.columns))}, and no "
                f"{table.name!r} with {listed(sorted(lacking))}. ${VARIABLE} names a database elsewhere."
            )
    if look.version > VERSION:
        raise StoreError(
            f"{path} was written by a newer tokenvis (format {look.version}; this one reads {VERSION}). Update tokenvis."
        )
    if tables and not look.has_rowids:
        raise StoreError(
            f"{path} has a table of spans WITHOUT ROWID, or with a column of that name, which tokenvis cannot read. "
            "Copy its rows into the tables that a new Store makes."
        )
