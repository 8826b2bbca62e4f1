"""The index of the spans of a trace, in files of other programs that lack it."""

import logging
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from databases import ORIGINAL, with_sql

from tokenvis import Store, load_traces
from tokenvis.store import verify


def indexes(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        found = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL ORDER BY name")
        return [name for [name] in found]


@pytest.mark.parametrize(
    ("statements", "names"),
    [
        ([], ["spans_trace_start_idx"]),
        (["CREATE INDEX spans_trace_start_idx ON spans (agent_id)"], ["spans_trace_start_idx", "spans_trace_start_idx_"]),
        (["CREATE INDEX part ON spans (trace_id, start_time) WHERE agent_id = 'a'"], ["part", "spans_trace_start_idx"]),
        (["CREATE INDEX theirs ON spans (trace_id, start_time, end_time)"], ["theirs"]),
    ],
)
def test_opening_a_file_for_writing_adds_the_missing_index(statements, names):
    path = with_sql(Path("theirs.db"), *ORIGINAL, "DROP INDEX spans_trace_start_idx", *statements)
    for _ in range(2):
        Store(path)
        assert indexes(path) == names
    assert load_traces(store=path)["n_spans"].tolist() == [2]


def test_a_missing_index_is_reported_once_for_reading(caplog):
    path = with_sql(Path("theirs.db").absolute(), *ORIGINAL, "DROP INDEX spans_trace_start_idx")
    text = f"{path} has no index on spans (trace_id, start_time), so reading one trace takes a scan of all."
    with caplog.at_level(logging.WARNING, "tokenvis"):
        for _ in range(2):
            assert load_traces(store=path)["n_spans"].tolist() == [2]
            assert load_traces(store=path, details=True).iloc[0].tolist() == ["old", "Old", 2, 0, 5, 2, 1]
    assert caplog.messages == [f"{text} Store({str(path)!r}) adds it."]
    assert indexes(path) == []
    assert verify(path).findings == [text.replace(str(path), "The file") + " Store(path) adds it."]


def test_an_index_that_cannot_be_added_is_reported(caplog):
    path = with_sql(Path("theirs.db").absolute(), *ORIGINAL, "DROP INDEX spans_trace_start_idx")
    with_sql(path, "CREATE TRIGGER t AFTER INSERT ON spans BEGIN DELETE FROM spans; END")
    with caplog.at_level(logging.WARNING, "tokenvis"):
        Store(path)
    [message] = caplog.messages
    assert " It cannot be added: " in message
    assert "has triggers that a write would run: 't'." in message
    assert indexes(path) == []


@pytest.mark.full
def test_processes_that_open_one_file_at_once_add_one_index():
    path = with_sql(Path("theirs.db"), *ORIGINAL, "DROP INDEX spans_trace_start_idx")
    code = "import sys, tokenvis; tokenvis.Store(sys.argv[1])"
    opened = [subprocess.Popen([sys.executable, "-c", code, str(path)], stderr=subprocess.PIPE) for _ in range(4)]
    assert [process.communicate()[1] for process in opened] == [b""] * 4
    assert indexes(path) == ["spans_trace_start_idx"]
