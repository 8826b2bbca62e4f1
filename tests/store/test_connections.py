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
from tokenvis.store.connections import engine_of, explained, log_size, untouched

ONE = {"id": "s", "agent_id": "ann", "location_id": "desk", "start_time": 0, "end_time": 5}
SETTINGS = {"busy_timeout": 30_000, "foreign_keys": 1, "synchronous": 2, "wal_autocheckpoint": 0, "cell_size_check": 1}
posix = pytest.mark.skipif(os.name != "posix", reason="forks, kills and locks of POSIX")


def test_every_connection_has_the_settings():
    with Store().engine.connect() as connection:
        assert {name: connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in SETTINGS} == SETTINGS


def test_a_look_leaves_nothing_beside_the_file(tmp_path):
    store = Store()
    with closing(sqlite3.connect(untouched(store.path), uri=True)) as connection:
        assert connection.execute("SELECT count(*) FROM spans").fetchone() == (0,)
        assert [path.name for path in tmp_path.iterdir()] == ["sqlite.db"]


@posix
def test_nothing_that_tokenvis_does_drops_a_lock_of_a_connection_of_the_user_s_own():
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
def test_what_the_user_commits_beside_tokenvis_outlives_a_kill():
    store = Store()
    store.write_trace("t", [ONE])
    killed = subprocess.run([sys.executable, "-c", KILLED, str(store.path)], capture_output=True, text=True, check=False)
    assert (killed.returncode, killed.stderr) == (-signal.SIGKILL, "")
    assert sorted(load_traces(store=store)["id"]) == ["mine", "t"]


def test_no_snapshot_outlives_a_load():
    store = Store()
    store.write_trace("t", [ONE])
    with closing(sqlite3.connect(store.path)):  # so that no connection of ours is the last one
        load_spans(store=store)
        load_traces(store=store)
        with store.engine.connect() as connection:
            busy, _, _ = connection.connection.driver_connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        assert (busy, log_size(store.path)) == (0, 0)


def test_a_long_log_is_carried_over_and_emptied_by_who_made_it(monkeypatch):
    monkeypatch.setattr("tokenvis.store.store.LONG_LOG", 1 << 16)
    store, lengths = Store(), []
    with closing(sqlite3.connect(store.path)) as theirs:  # so that no connection of ours is the last one
        theirs.execute("SELECT * FROM traces").fetchall()
        for number in range(40):
            store.write_trace(f"t{number}", [{**ONE, "id": f"s{number}", "data": {"text": "x" * 4_000}}])
            lengths.append(log_size(store.path))
        assert 0 in lengths
        assert max(lengths) < 2 << 16
    assert len(load_spans(store=store)) == 40


def test_a_reader_that_does_not_let_go_holds_nobody_up_for_long(monkeypatch):
    monkeypatch.setattr("tokenvis.store.store.LONG_LOG", 1 << 16)
    monkeypatch.setattr(connections, "CHECKPOINT_PATIENCE", 0.05)
    store = Store()
    store.write_trace("t", [ONE])
    with closing(sqlite3.connect(store.path, isolation_level=None)) as theirs:
        theirs.execute("BEGIN")
        assert theirs.execute("SELECT count(*) FROM spans").fetchone() == (1,)
        for number in range(40):
            store.add_spans("t", [{**ONE, "id": f"s{number}", "data": {"text": "x" * 4_000}}])
        assert theirs.execute("SELECT count(*) FROM spans").fetchone() == (1,), "its snapshot is as it was"
        theirs.execute("COMMIT")
        assert theirs.execute("SELECT count(*) FROM spans").fetchone() == (41,)
    assert log_size(store.path) == 0


@posix
@pytest.mark.full
def test_a_forked_child_has_a_connection_of_its_own():
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
        (sqlite3.SQLITE_FULL, "There is no room left. Nothing of this write is in the database, and all before it is"),
        (sqlite3.SQLITE_IOERR_SHORT_READ, "The disk failed, or the file is cut short. `tokenvis verify` says what can be read"),
        (None, None),
    ],
)
def test_an_error_of_sqlite_says_what_to_do(code, hint):
    error = sqlite3.OperationalError("it failed")
    if code is not None:
        error.sqlite_errorcode = code
    with pytest.raises(StoreError) as told, explained(Path("a.db")):
        raise error
    assert str(told.value) == (f"a.db: it failed. {hint}." if hint else "a.db: it failed.")


def test_an_engine_never_makes_a_file(tmp_path):
    with pytest.raises(StoreError, match="unable to open database file"), explained(tmp_path / "gone.db"):
        engine_of(tmp_path / "gone.db").connect()
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_somebody_writes_in_another_mode_is_waited_for(tmp_path):
    path = tmp_path / "a.db"
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN IMMEDIATE")
        threading.Timer(0.2, other.rollback).start()
        assert Store(path).write_trace("t", [ONE]).added == 1


@pytest.mark.skipif(os.name != "posix", reason="SQLite has this way of locking on POSIX only")
def test_a_file_system_without_a_write_ahead_log_is_told(tmp_path, monkeypatch):
    address_of = connections.address_of
    monkeypatch.setattr(connections, "address_of", lambda *given: f"{address_of(*given)}&vfs=unix-dotfile")
    with pytest.raises(StoreError) as error:
        Store()
    assert str(error.value) == (
        f"{tmp_path / 'sqlite.db'} cannot have a write-ahead log (journal_mode stays 'delete'), as on a network drive. "
        "Set $TOKENVIS_DATABASE to a path on a local disk."
    )


def test_a_writer_that_waits_in_vain_is_told_which_file(monkeypatch):
    monkeypatch.setattr(connections, "PATIENCE", 0.0)
    store = Store()
    with store.engine.connect().execution_options(immediate=True) as connection, connection.begin():
        with pytest.raises(StoreError) as error:
            store.write_trace("t", [ONE])
        assert str(error.value) == (
            f"{store.path}: database is locked. Another program is writing to it. Close that one, or try again."
        )


def test_no_call_leaves_a_connection_open(tmp_path):
    store = Store()
    store.write_trace("t", [ONE])
    load_spans(store=store)
    assert [path.name for path in tmp_path.iterdir()] == ["sqlite.db"]
