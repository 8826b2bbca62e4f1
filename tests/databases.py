"""Databases for tests, made by plain SQL: as the original TokenVis makes them, or without any constraints."""

import hashlib
import sqlite3
from contextlib import closing
from pathlib import Path

from tokenvis import Store

ONE_SPAN = {"id": "s", "agent_id": "ann", "location_id": "desk", "start_time": 0, "end_time": 5}


def with_sql(path: Path, *statements: str) -> Path:
    """A database created or changed by these statements."""
    with closing(sqlite3.connect(path)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()
    return path


def state(folder: Path) -> dict[str, str]:
    """The hash of each file in a folder, by name."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir() if path.is_file()}


ORIGINAL = (
    "PRAGMA journal_mode = DELETE",
    "CREATE TABLE `traces` (`id` text PRIMARY KEY NOT NULL, `name` text NOT NULL)",
    "CREATE TABLE `spans` (`id` text PRIMARY KEY NOT NULL, `trace_id` text NOT NULL, `agent_id` text NOT NULL, "
    "`location_id` text NOT NULL, `start_time` integer NOT NULL, `end_time` integer NOT NULL, `data` text, "
    "FOREIGN KEY (`trace_id`) REFERENCES `traces`(`id`) ON UPDATE no action ON DELETE no action)",
    "CREATE INDEX `spans_trace_start_idx` ON `spans` (`trace_id`,`start_time`)",
    "CREATE TABLE `__drizzle_migrations` (id SERIAL PRIMARY KEY, hash text NOT NULL, created_at numeric)",
    "INSERT INTO traces VALUES ('old', 'Old')",
    """INSERT INTO spans VALUES ('old/1', 'old', 'Ann', 'Kitchen', 0, 5, '{"label": "Cook"}')""",
    "INSERT INTO spans VALUES ('old/2', 'old', 'Bob', 'Kitchen', 2, 2, NULL)",
)
UNCHECKED = (
    "CREATE TABLE traces (id TEXT PRIMARY KEY, name TEXT)",
    "CREATE TABLE spans (id TEXT PRIMARY KEY, trace_id TEXT, agent_id TEXT, location_id TEXT, start_time INTEGER, "
    "end_time INTEGER, data TEXT)",
)


def one_trace() -> Store:
    """A store of one trace, t, with one span, s."""
    store = Store()
    store.write_trace("t", [ONE_SPAN], name="T")
    return store


def rows(store: Store) -> list[tuple]:
    """The rows of the table spans, read by plain SQL."""
    with closing(sqlite3.connect(store.path)) as connection:
        return connection.execute("SELECT * FROM spans ORDER BY id").fetchall()
