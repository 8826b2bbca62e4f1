import os
import signal
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest

from tokenvis import Store, StoreError, load_spans, load_traces
from tokenvis.store import connections
from tokenvis.store.connections import as_store_error, engine_of, inspection_uri, wal_size

ONE = {"id": "s", "agent_id": "ann", "location_id": "desk", "start_time": 0, "end_time": 5}
SETTINGS = {"busy_timeout": 30_000, "foreign_keys": 1, "synchronous": 2, "wal_autocheckpoint": 0, "cell_size_check": 1}
posix = pytest.mark.skipif(os.name != "posix", reason="forks, kills and locks of POSIX")


def test_every_connection_has_the_pragmas():
    with Store().engine.connect() as connection:
        assert {name: connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in SETTINGS} == SETTINGS


def test_inspection_leaves_no_files_beside_the_database(tmp_path):
    store = Store()
    with closing(sqlite3.connect(inspection_uri(store.path), uri=True)) as connection:
        assert connection.execute("SELECT count(*) FROM spans").fetchone() == (0,)
        assert [path.name for path in tmp_path.iterdir()] == ["sqlite.db"]


@posix
def test_tokenvis_keeps_the_locks_of_the_users_connection():
    store = Store()
    store.write_trace("t", [ONE])
    with closing(sqlite3.connect(store.path, isolation_level=None)) as own:
        own.execute("BEGIN IMMEDIATE")
        own.execute("INSERT INTO traces VALUES ('mine', 'mine')")
        assert load_spans(store=Store(store.path))["id"].tolist() == ["s"]
        assert load_traces(store=store.path)["id"].tolist() == ["t"]
        code = "import sqlite3, sys; sqlite3.connect(sys.argv[1], timeout=0).execute('BEGIN IMMEDIATE')"
        other = subprocess.run([sys.executable, "-c", code, str(store.path)], capture_output=True, text=True, check=False)
        assert "database is locked" in other.stderr, "the lock is still there"


KILLED = """
import os, signal, sqlite3, sys, tokenvis
own = sqlite3.connect(sys.argv[1], isolation_level=None)
own.execute("BEGIN IMMEDIATE")
own.execute("INSERT INTO traces VALUES ('mine', 'mine')")
assert len(tokenvis.load_spans(store=sys.argv[1])) == 1
assert len(tokenvis.load_traces(store=sys.argv[1])) == 1
own.execute("COMMIT")
os.kill(os.getpid(), signal.SIGKILL)
"""


@posix
def test_a_commit_on_the_users_connection_survives_a_kill():
    store = Store()
    store.write_trace("t", [ONE])
    killed = subprocess.run([sys.executable, "-c", KILLED, str(store.path)], capture_output=True, text=True, check=False)
    assert (killed.returncode, killed.stderr) == (-signal.SIGKILL, "")
    assert sorted(load_traces(store=store)["id"]) == ["mine", "t"]


def test_no_snapshot_outlives_a_load():
    store = Store()
    store.write_trace("t", [ONE])
    with closing(sqlite3.connect(store.path)):  # so that our connections are never the last one
        load_spans(store=store)
        load_traces(store=store)
        with store.engine.connect() as connection:
            busy, _, _ = connection.connection.driver_connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        assert (busy, wal_size(store.path)) == (0, 0)


def test_a_writer_checkpoints_and_truncates_a_large_wal(monkeypatch):
    monkeypatch.setattr("tokenvis.store.store.CHECKPOINT_WAL_BYTES", 1 << 16)
    store, lengths = Store(), []
    with closing(sqlite3.connect(store.path)) as theirs:  # so that our connections are never the last one
        theirs.execute("SELECT * FROM traces").fetchall()
        for number in range(40):
            store.write_trace(f"t{number}", [{**ONE, "id": f"s{number}", "data": {"text": "x" * 4_000}}])
            lengths.append(wal_size(store.path))
        assert 0 in lengths
        assert max(lengths) < 2 << 16
    assert len(load_spans(store=store)) == 40


def test_a_long_read_delays_writers_only_briefly(monkeypatch):
    monkeypatch.setattr("tokenvis.store.store.CHECKPOINT_WAL_BYTES", 1 << 16)
    monkeypatch.setattr(connections, "CHECKPOINT_TIMEOUT_S", 0.05)
    store = Store()
    store.write_trace("t", [ONE])
    with closing(sqlite3.connect(store.path, isolation_level=None)) as theirs:
        theirs.execute("BEGIN")
        assert theirs.execute("SELECT count(*) FROM spans").fetchone() == (1,)
        for number in range(40):
            store.add_spans("t", [{**ONE, "id": f"s{number}", "data": {"text": "x" * 4_000}}])
        assert theirs.execute("SELECT count(*) FROM spans").fetchone() == (1,), "its snapshot is unchanged"
        theirs.execute("COMMIT")
        assert theirs.execute("SELECT count(*) FROM spans").fetchone() == (41,)
    assert wal_size(store.path) == 0


@posix
@pytest.mark.full
def test_a_forked_child_opens_its_own_connection():
    store = Store()
    store.write_trace("t", [ONE])
    code = """
import os, sys, tokenvis
store = tokenvis.Store(sys.argv[1])
with store.engine.connect() as connection:
    connection.exec_driver_sql("SELECT * FROM spans").fetchall()
    child = os.fork()
    if not child:
        store.add_spans("t", [{"id": "child", "agent_id": "a", "location_id": "b", "start_time": 1, "end_time": 2}])
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
assert tokenvis.load_spans(store=store)["id"].tolist() == ["s", "child"]
"""
    subprocess.run([sys.executable, "-c", code, str(store.path)], check=True, timeout=60)


@pytest.mark.parametrize(
    ("code", "hint"),
    [
        (
            sqlite3.SQLITE_FULL,
            "This write was rolled back; earlier writes are in the database. Free disk space, then repeat it",
        ),
        (
            sqlite3.SQLITE_IOERR_SHORT_READ,
            "The disk failed, or the file is truncated. `tokenvis verify` shows what can be read",
        ),
        (None, None),
    ],
)
def test_an_error_of_sqlite_has_a_hint(code, hint):
    error = sqlite3.OperationalError("it failed")
    if code is not None:
        error.sqlite_errorcode = code
    with pytest.raises(StoreError) as caught, as_store_error(Path("a.db")):
        raise error
    assert str(caught.value) == (f"a.db: it failed. {hint}." if hint else "a.db: it failed.")


def test_an_engine_never_creates_a_file(tmp_path):
    with pytest.raises(StoreError, match="unable to open database file"), as_store_error(tmp_path / "gone.db"):
        engine_of(tmp_path / "gone.db").connect()
    assert list(tmp_path.iterdir()) == []


def test_a_writer_in_another_journal_mode_is_waited_for(tmp_path):
    path = tmp_path / "a.db"
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN IMMEDIATE")
        threading.Timer(0.2, other.rollback).start()
        assert Store(path).write_trace("t", [ONE]).added == 1


@pytest.mark.skipif(os.name != "posix", reason="SQLite has this way of locking on POSIX only")
def test_a_file_system_without_wal_support_is_an_error(tmp_path, monkeypatch):
    uri_of = connections.uri_of
    monkeypatch.setattr(connections, "uri_of", lambda *given: f"{uri_of(*given)}&vfs=unix-dotfile")
    with pytest.raises(StoreError) as error:
        Store()
    assert str(error.value) == (
        f"{tmp_path / 'sqlite.db'} cannot have a write-ahead log (journal_mode stays 'delete'), as on a network drive. "
        "Set $TOKENVIS_DATABASE to a path on a local disk."
    )


def test_the_error_after_the_busy_timeout_names_the_file(monkeypatch):
    monkeypatch.setattr(connections, "BUSY_TIMEOUT_S", 0.0)
    store = Store()
    with store.engine.connect().execution_options(immediate=True) as connection, connection.begin():
        with pytest.raises(StoreError) as error:
            store.write_trace("t", [ONE])
        assert str(error.value) == (
            f"{store.path}: database is locked. Another program is writing to it. Close that program, or try again."
        )


def test_no_call_leaves_a_connection_open(tmp_path):
    store = Store()
    store.write_trace("t", [ONE])
    load_spans(store=store)
    assert [path.name for path in tmp_path.iterdir()] == ["sqlite.db"]
