"""The database: the file that a store lives in, found and recognised.

What a file is gets checked before anything in it is set, so that somebody else's database keeps its bytes.
"""

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TypeAlias

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from tokenvis.connections import connected, untouched
from tokenvis.errors import StoreError, listed, quoted
from tokenvis.schema import VERSION, Base

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


def is_new(path: Path) -> bool:
    """Whether the file has no tables yet; `StoreError` where it is something else than a database of traces."""
    if not path.parent.is_dir():
        raise StoreError(f"There is no folder {path.parent} to hold {path.name}.")
    if path.is_dir():
        raise StoreError(f"{path} is a folder. Name a file in it, such as {path / FILE}.")
    if not path.exists() or path.stat().st_size == 0:
        return True
    columns, version = tables_of(path)
    check_identity(path, columns, version)
    return not columns


def tables_of(path: Path) -> tuple[dict[str, set[str]], int]:
    """The columns of each table of a file, and its version; `StoreError` where it is no SQLite database."""
    columns: dict[str, set[str]] = {}
    try:
        with closing(connected(untouched(path))) as connection:
            [version] = connection.execute("PRAGMA user_version").fetchone()
            for table, column in connection.execute(COLUMNS):
                columns.setdefault(table, set()).add(column)
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_NOTADB:
            raise StoreError(f"{path} is not a SQLite database. ${VARIABLE} names a database elsewhere.") from None
        raise
    return columns, version


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
