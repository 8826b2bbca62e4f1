"""Obstacles: properties of a file's schema that would make reading or writing it untrue.

A file that someone sent can have any schema. SQLite runs a trigger, or the action of a foreign key, as part of a write to its
table; a view runs SQL when it is read; and a table with the name of a table-valued function replaces the function. So each
transaction reads the schema first, under the lock that keeps it unchanged, and is refused if there is an obstacle. SQLite
itself checks that a row of ``sqlite_schema`` has the type and the names of its SQL, so they can be trusted.
"""

import re
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple, TypeAlias

from sqlalchemy.dialects import sqlite
from sqlalchemy.schema import CreateTable

from tokenvis.errors import StoreError, listed, quoted
from tokenvis.store.schema import SOURCES, SOURCES_COLUMNS, Base

OWN_SQL = {
    name: str(CreateTable(table).compile(dialect=sqlite.dialect())).split() for name, table in Base.metadata.tables.items()
}
TABLE_FUNCTIONS = ("json_each", "pragma_foreign_key_list", "pragma_index_list", "pragma_index_xinfo", "pragma_table_info")
NAME_COLUMNS = {"traces": ("id", "name"), "spans": ("id", "trace_id", "agent_id", "location_id")}
INTEGER_COLUMNS = {"traces": (), "spans": ("start_time", "end_time")}
AFFINITIES = {"int": "INTEGER", "char|clob|text": "TEXT", "blob|^$": "BLOB", "real|floa|doub": "REAL"}  # codespell:ignore
COPY_ADVICE = "copy its rows into the tables of a new Store"
FOREIGN_KEY_QUERY = (
    'SELECT lower(m.name), lower(f."from"), lower(f."table"), coalesce(lower(f."to"), \'id\') FROM sqlite_schema AS m '
    "JOIN pragma_foreign_key_list(m.name) AS f WHERE m.type = 'table' AND m.rootpage "
    "AND NOT (f.on_delete IN ('NO ACTION', 'RESTRICT') AND f.on_update IN ('NO ACTION', 'RESTRICT'))"
)
UNIQUE_ID_QUERY = (
    'SELECT count(*) FROM pragma_index_list(?) AS i WHERE i."unique" AND NOT i.partial AND '
    "(SELECT group_concat(coalesce(lower(name), '') || ' ' || coll) FROM pragma_index_xinfo(i.name) WHERE key) = 'id BINARY'"
)
HARMLESS_KEY = ("spans", "trace_id", "traces", "id")  # a trace is deleted after its spans, and keeps its id


class SchemaObject(NamedTuple):
    """A table, index, view or trigger; ``is_stored`` unless it is a view, a trigger or a virtual table."""

    kind: str
    name: str
    table: str
    is_stored: bool
    sql: str | None


ForeignKey: TypeAlias = tuple[str, str, str, str]  # the child table, its column, the parent table, its column


def schema_objects(connection: sqlite3.Connection) -> list[SchemaObject]:
    """The objects of a file's schema."""
    rows = connection.execute("SELECT type, name, lower(tbl_name), rootpage, sql FROM sqlite_schema")
    return [SchemaObject(kind, name, table, bool(rootpage), sql) for kind, name, table, rootpage, sql in rows]


def unused_name(connection: sqlite3.Connection, name: str) -> str:
    """A name that no object of the schema has: this one, with as many underscores after it as needed."""
    taken = {item.name.lower() for item in schema_objects(connection)}
    while name in taken:
        name += "_"
    return name


def check_reading(connection: sqlite3.Connection, path: Path) -> None:
    """Raise `StoreError` if reading the tables would give wrong rows, or run SQL of the file."""
    for obstacle in reading_obstacles(connection, schema_objects(connection)):
        raise StoreError(f"{path} {obstacle}.")


def check_writing(connection: sqlite3.Connection, path: Path) -> None:
    """Raise `StoreError` if a write would run SQL of the file, or store other rows than those given."""
    objects = schema_objects(connection)
    for found in (reading_obstacles, writing_obstacles):
        for obstacle in found(connection, objects):
            raise StoreError(f"{path} {obstacle}. Nothing was written.")


def unusable_tables(objects: list[SchemaObject]) -> Iterator[str]:
    """What makes our tables unusable, and what to do about it."""
    tables = {item.name.lower(): item for item in objects if item.kind in ("table", "view")}
    if replaced := [tables[name].name for name in TABLE_FUNCTIONS if name in tables]:
        yield f"has tables that replace functions of SQLite: {listed(replaced)}. Drop them, or {COPY_ADVICE}"
    for item in (tables[name] for name in OWN_SQL if name in tables):
        if not item.is_stored:
            kind = "view" if item.kind == "view" else "virtual table"
            yield f"has a {kind} named {quoted(item.name)}, which could run SQL of the file: {COPY_ADVICE}"


def reading_obstacles(connection: sqlite3.Connection, objects: list[SchemaObject]) -> Iterator[str]:
    """What makes reading our tables untrue, and what to do about it."""
    unusable = list(unusable_tables(objects))
    yield from unusable
    for table in () if unusable else foreign_tables(objects):
        for column in NAME_COLUMNS[table]:
            if not compares_bytes(connection, table, column):
                yield f"has a column {table}.{column} that takes different names as equal (COLLATE): {COPY_ADVICE}"


def writing_obstacles(connection: sqlite3.Connection, objects: list[SchemaObject]) -> Iterator[str]:
    """What makes a write untrue, and what to do about it, in a file without `reading_obstacles`."""
    keys = acting_keys(connection, objects)
    changed = tables_changed_with([*OWN_SQL, SOURCES.name], keys)
    if triggers := sorted(item.name for item in objects if item.kind == "trigger" and item.table in changed):
        yield f"has triggers that a write would run: {listed(triggers)}. Drop them, or {COPY_ADVICE}"
    for item in objects:
        if item.name.lower() == SOURCES.name and not (item.is_stored and has_sources_columns(connection)):
            yield f"has {quoted(item.name)}, which tokenvis did not create ({item.kind}): {COPY_ADVICE}, or rename it"
    for child, column, parent, _ in keys:
        if child in OWN_SQL and parent in changed:
            yield f"has a foreign key that changes {child}.{column} with rows of {quoted(parent)}: {COPY_ADVICE}"
    for table in foreign_tables(objects):
        for column, declared in converted_columns(connection, table):
            yield f"has a column {table}.{column} of type {quoted(declared)}, which converts values: {COPY_ADVICE}"
        if not connection.execute(UNIQUE_ID_QUERY, [table]).fetchone()[0]:
            yield f"has no primary key or unique index on {table}.id alone: {COPY_ADVICE}"


def has_sources_columns(connection: sqlite3.Connection) -> bool:
    """Whether the table of sources is there, with its own columns, of this version or an earlier one."""
    return sources_columns(connection) in (SOURCES_COLUMNS, SOURCES_COLUMNS[:-1])


def sources_columns(connection: sqlite3.Connection) -> list[tuple[str, str, int]]:
    """The columns of the table of sources: name, type, place in the key; none if there is no such table."""
    rows = connection.execute(f"PRAGMA table_info({SOURCES.name})").fetchall()
    return [(name, kind, key) for _, name, kind, _, _, key in rows]


def foreign_tables(objects: list[SchemaObject]) -> list[str]:
    """Those of our tables that another program created."""
    return [item.name.lower() for item in objects if item.kind == "table" and item.name.lower() in OWN_SQL and not is_own(item)]


def is_own(item: SchemaObject) -> bool:
    """Whether a table was created by our schema, so that its constraints hold for all rows."""
    return item.kind == "table" and (item.sql or "").split() == OWN_SQL.get(item.name)


def compares_bytes(connection: sqlite3.Connection, table: str, column: str) -> bool:
    """Whether a column takes different texts as different; the collation of UNION is that of its first column."""
    texts = f"SELECT {column} FROM {table} WHERE 0 UNION VALUES ('a'), ('A'), ('a ')"
    [count] = connection.execute(f"SELECT count(*) FROM ({texts})").fetchone()
    return bool(count == 3)


def acting_keys(connection: sqlite3.Connection, objects: list[SchemaObject]) -> list[ForeignKey]:
    """The foreign keys that change rows of the child table with those of the parent table."""
    if not any("references" in (item.sql or "").lower() for item in objects if not is_own(item)):
        return []
    return [key for key in connection.execute(FOREIGN_KEY_QUERY) if key != HARMLESS_KEY]


def tables_changed_with(tables: Iterable[str], keys: list[ForeignKey]) -> set[str]:
    """These tables, and those that the actions of foreign keys change with them."""
    changed, waiting = set(tables), list(tables)
    while waiting:
        parent = waiting.pop()
        children = {key[0] for key in keys if key[2] == parent} - changed
        changed |= children
        waiting += children
    return changed


def converted_columns(connection: sqlite3.Connection, table: str) -> Iterator[tuple[str, str]]:
    """Columns whose declared type would convert a value that we write: a name to a number, or a time to a text."""
    for _, column, declared, *_ in connection.execute(f"PRAGMA table_info({table})").fetchall():
        kind = affinity(declared)
        if (column.lower() in NAME_COLUMNS[table] and kind not in ("TEXT", "BLOB")) or (
            column.lower() in INTEGER_COLUMNS[table] and kind in ("TEXT", "REAL")
        ):
            yield column, declared


def affinity(declared: str) -> str:
    """The affinity of a declared type, by the rules of https://sqlite.org/datatype3.html#determination_of_column_affinity."""
    matching = [affinity for pattern, affinity in AFFINITIES.items() if re.search(pattern, declared, re.IGNORECASE)]
    return matching[0] if matching else "NUMERIC"
