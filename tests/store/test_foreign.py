"""Tables of other programs: without our constraints, in another journal mode, interrupted in the middle of a write."""

import os
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from databases import ONE_SPAN, ORIGINAL, UNCHECKED, with_sql

from tokenvis import BadSpan, Store, StoreError, load_spans, load_traces


def test_a_database_of_the_original_tokenvis_opens_and_works(tmp_path):
    with_sql(tmp_path / "sqlite.db", *ORIGINAL)
    assert load_traces()["n_spans"].tolist() == [2]
    assert load_spans("Old")["agent_id"].tolist() == ["Ann", "Bob"]
    store = Store()
    assert store.add_spans("old", [{**ONE_SPAN, "id": "old/2"}, {**ONE_SPAN, "id": "old/3"}])[2:4] == (1, 1)
    assert store.write_trace("new", [{**ONE_SPAN, "data": {"label": "x"}}]).added == 1
    assert store.delete_trace("old").removed == 3
    assert load_spans()["id"].tolist() == ["s"]
    with store.engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("SELECT count(*) FROM __drizzle_migrations").scalar() == 0


@pytest.mark.parametrize(
    ("column", "value", "what"),
    [
        ("start_time", "NULL", "None in the database, not integer microseconds"),
        ("start_time", "0.5", "0.5 in the database, not integer microseconds"),
        ("end_time", "'soon'", "'soon' in the database, not integer microseconds"),
        ("end_time", "x'05'", r"b'\x05' in the database, not integer microseconds"),
        ("agent_id", "x'ff'", r"b'\xff' in the database, not a text"),
        ("data", "x'ff'", r"b'\xff' in the database, not a text"),
    ],
)
def test_a_value_that_the_original_did_not_check_is_not_converted_to_a_number(column, value, what):
    tables = [statement.replace("integer NOT NULL", "integer") for statement in ORIGINAL]
    with_sql(Path("sqlite.db"), *tables, f"UPDATE spans SET {column} = {value} WHERE id = 'old/2'")
    refused_and_left_out(f"{column} is {what}")


def refused_and_left_out(reason: str) -> None:
    """The second row of the original is invalid, and reported; skip_bad loads the first one."""
    with pytest.raises(BadSpan) as error:
        load_spans()
    path = Path("sqlite.db").absolute()
    assert str(error.value) == (
        f"{path} has 1 row with invalid values: span 'old/2' of trace 'old': {reason}. "
        "load_spans(..., skip_bad=True) skips such rows."
    )
    with pytest.warns(UserWarning, match=re.escape(f"{path}: 1 row skipped: span 'old/2' of trace 'old': {reason}.")):
        assert load_spans(skip_bad=True)["id"].tolist() == ["old/1"]


@pytest.mark.parametrize(
    ("data", "why"),
    [
        ("[1]", "it is of type list"),
        ("7", "it is of type int"),
        ("null", "it is of type NoneType"),
        ("", "Expecting value: line 1 column 1 (char 0)"),
        ('["parent_id"]', "it is of type list"),
        ('{"parent_id"', "Expecting ':' delimiter: line 1 column 13 (char 12)"),
    ],
)
def test_invalid_data_of_the_original_is_reported(data, why):
    with_sql(Path("sqlite.db"), *ORIGINAL, f"UPDATE spans SET data = '{data}' WHERE id = 'old/2'")
    refused_and_left_out(f"data is not a JSON object: {data!r} ({why})")


def test_a_table_without_constraints_keeps_a_span_in_its_trace():
    with_sql(Path("sqlite.db"), *UNCHECKED)
    store = Store()
    store.write_trace("t", [ONE_SPAN])
    for write in (store.add_spans, store.write_trace):
        with pytest.raises(BadSpan, match=r"^Span 's' belongs to trace 't' and cannot also belong to trace 'u'\.$"):
            write("u", [ONE_SPAN])
    assert load_spans("t")["id"].tolist() == ["s"]


@pytest.mark.parametrize("change", [(")", ") WITHOUT ROWID"), ("(id TEXT", "(rowid INTEGER, id TEXT")], ids=["without", "own"])
def test_tables_without_rowid_are_refused(change):
    traces, spans = UNCHECKED
    spans = spans[:-1] + change[1] if change[0] == ")" else spans.replace(*change)
    with_sql(Path("sqlite.db"), traces, spans)
    with pytest.raises(StoreError, match=r" has a table of spans WITHOUT ROWID, or with a column named rowid, "):
        Store()


def test_a_database_with_only_a_view_is_refused(tmp_path):
    with_sql(tmp_path / "sqlite.db", "CREATE VIEW v AS SELECT 1")
    with pytest.raises(StoreError, match=r" is not a tokenvis database: it has the tables none, and no "):
        Store()


@pytest.mark.skipif(os.name != "posix", reason="kills of POSIX")
def test_the_rollback_journal_of_a_killed_writer_is_rolled_back(tmp_path):
    code = """
import os, signal, sqlite3
connection = sqlite3.connect("sqlite.db", isolation_level=None)
connection.execute("PRAGMA cache_size = 1")
connection.execute("BEGIN")
connection.executemany("INSERT INTO spans VALUES (?, 'old', 'a', 'l', 0, 1, NULL)", [(f"n{n}",) for n in range(20000)])
os.kill(os.getpid(), signal.SIGKILL)
"""
    with_sql(tmp_path / "sqlite.db", *ORIGINAL)
    subprocess.run([sys.executable, "-c", code], check=False)
    assert (tmp_path / "sqlite.db-journal").exists()
    assert load_spans()["id"].tolist() == ["old/1", "old/2"]
    assert [path.name for path in tmp_path.iterdir()] == ["sqlite.db"]


def test_a_load_does_not_wait_for_readers_in_another_journal_mode(tmp_path):
    with_sql(tmp_path / "sqlite.db", *ORIGINAL)
    with closing(sqlite3.connect("sqlite.db", isolation_level=None)) as theirs:
        theirs.execute("BEGIN")
        theirs.execute("SELECT * FROM spans").fetchall()
        assert load_spans()["id"].tolist() == ["old/1", "old/2"]


def test_an_end_before_the_start_is_reported():
    with_sql(Path("sqlite.db"), *ORIGINAL, "UPDATE spans SET start_time = 3 WHERE id = 'old/2'")
    refused_and_left_out("it ends at 2 before it starts at 3")


def test_bytes_that_are_not_utf8_are_reported():
    with_sql(Path("sqlite.db"), *ORIGINAL, "UPDATE spans SET agent_id = CAST(x'c3' AS TEXT) WHERE id = 'old/2'")
    refused_and_left_out(r"agent_id is b'\xc3' in the database, not a text")


def test_a_parent_that_is_not_a_text_is_ignored():
    with_sql(Path("sqlite.db"), *ORIGINAL, "UPDATE spans SET data = '{\"parent_id\": 7}' WHERE id = 'old/2'")
    assert "parent_id" not in load_spans()


def test_a_trace_with_invalid_times_is_reported():
    with_sql(Path("sqlite.db"), *ORIGINAL, "UPDATE spans SET start_time = -0.5 WHERE id = 'old/1'")
    with pytest.raises(BadSpan, match=r"^start_time of trace 'old' is -0\.5 in the database, not integer microseconds\.$"):
        load_traces()


def test_a_schema_that_is_not_utf8_is_an_error(tmp_path):
    path = with_sql(tmp_path / "sqlite.db", *UNCHECKED, "CREATE TABLE nnnn (a)")
    path.write_bytes(path.read_bytes().replace(b"nnnn", b"n\xff\xfen"))
    for call in (lambda: Store(path), lambda: load_spans(store=path)):
        with pytest.raises(StoreError, match="Could not decode to UTF-8"):
            call()
