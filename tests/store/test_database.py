import os
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest
from databases import ONE_SPAN, state, with_sql

from tokenvis import Store, StoreError, StoreNotFound, load_spans, load_traces
from tokenvis.store.database import default_path, path_of


def touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


# The path of the file


def test_the_environment_variable_sets_the_default(tmp_path, monkeypatch):
    touch(tmp_path / "sqlite.db")
    monkeypatch.setenv("TOKENVIS_DATABASE", str(tmp_path / "other" / "named.db"))
    assert default_path() == tmp_path / "other" / "named.db"
    monkeypatch.setenv("TOKENVIS_DATABASE", "relative.db")
    assert default_path() == tmp_path / "relative.db"


def test_the_default_is_the_nearest_file_upwards(tmp_path, monkeypatch):
    touch(tmp_path / "sqlite.db")
    (tmp_path / "a" / "b").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "a" / "b")
    assert default_path() == tmp_path / "sqlite.db"
    for nearer in (tmp_path / "a" / "sqlite.db", tmp_path / "a" / "b" / "sqlite.db"):
        touch(nearer)
        assert default_path() == nearer


@pytest.mark.parametrize("mark", [".git", "pyproject.toml", "package.json"])
def test_the_search_ends_with_the_first_folder_of_a_project(tmp_path, monkeypatch, mark):
    touch(tmp_path / "sqlite.db")
    touch(tmp_path / "project" / mark)
    (tmp_path / "project" / "notebooks").mkdir()
    monkeypatch.chdir(tmp_path / "project" / "notebooks")
    assert default_path() == tmp_path / "project" / "notebooks" / "sqlite.db"
    touch(tmp_path / "project" / "sqlite.db")
    assert default_path() == tmp_path / "project" / "sqlite.db"


def test_the_search_never_reaches_the_home_directory(tmp_path, monkeypatch):
    touch(tmp_path / "sqlite.db")
    touch(tmp_path / "home" / "sqlite.db")
    (tmp_path / "home" / "work").mkdir()
    monkeypatch.setattr(Path, "home", lambda: tmp_path / "home")
    monkeypatch.chdir(tmp_path / "home" / "work")
    assert default_path() == tmp_path / "home" / "work" / "sqlite.db"
    monkeypatch.chdir(tmp_path / "home")
    assert default_path() == tmp_path / "home" / "sqlite.db"
    (tmp_path / "beside").mkdir()
    monkeypatch.chdir(tmp_path / "beside")
    assert default_path() == tmp_path / "beside" / "sqlite.db"


def test_a_symbolic_link_to_the_home_directory_is_resolved(tmp_path, monkeypatch):
    touch(tmp_path / "disk" / "ann" / "sqlite.db")
    (tmp_path / "disk" / "ann" / "work").mkdir()
    (tmp_path / "home").symlink_to(tmp_path / "disk")
    monkeypatch.setenv("HOME", str(tmp_path / "home" / "ann"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "home" / "ann"))
    monkeypatch.chdir(tmp_path / "home" / "ann" / "work")
    assert default_path() == tmp_path / "disk" / "ann" / "work" / "sqlite.db"


@pytest.mark.parametrize(
    ("target", "name"),
    [
        ("traces.db", "traces.db"),
        (Path("traces.db"), "traces.db"),
        ("sqlite:///traces.db", "traces.db"),
        ("sqlite+pysqlite:///traces.db", "traces.db"),
        ("sqlite:///a b.db", "a b.db"),
    ],
)
def test_a_target_is_a_path_or_a_url(tmp_path, target, name):
    assert path_of(target) == tmp_path / name
    assert path_of(f"sqlite:///{tmp_path / 'absolute.db'}") == tmp_path / "absolute.db"
    assert path_of("~/traces.db") == Path.home() / "traces.db"


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (
            "postgresql://user:secret@host/db",
            r"^A store is a SQLite file, and 'postgresql://user:\*\*\*@host/db' is not one\.$",
        ),
        ("sqlite://", r"^A store is a file: a database in memory has no write-ahead log\. Pass a path\.$"),
        (":memory:", r"^A store is a file: a database in memory has no write-ahead log\. Pass a path\.$"),
        (7, r"^7 is neither a path nor a database URL\.$"),
        ("://", r"^'://' is not a database URL \(Could not parse SQLAlchemy URL from .*\)\.$"),
        (
            "sqlite://traces.db",
            r"^'sqlite://traces\.db' has a host\. Write three slashes before a path: sqlite:///traces\.db\.$",
        ),
        (
            "sqlite:///traces.db?mode=ro",
            r"^'sqlite:///traces\.db\?mode=ro' has options, which a store does not support\. Pass only a path\.$",
        ),
        ("a\x00b.db", r"^'a\\x00b\.db' is not a path: it contains a null character\.$"),
    ],
)
def test_an_invalid_target_is_refused(tmp_path, target, message):
    for create in (True, False):
        with pytest.raises(StoreError, match=message):
            Store(target, create=create)
    assert list(tmp_path.iterdir()) == []


def test_an_error_of_the_file_system_names_the_file(tmp_path):
    for create in (True, False):
        with pytest.raises(StoreError) as error:
            Store("x" * 300, create=create)
        assert str(error.value).startswith(f"{tmp_path / ('x' * 300)}: ")


@pytest.mark.parametrize(
    "name", ["a b.db", "a?b.db", "a#b.db", "a%20b.db", "ä漢\N{GRINNING FACE}.db", "a'b\".db", "a&mode=ro.db"]
)
def test_a_path_may_contain_any_character(tmp_path, name):
    Store(tmp_path / name).write_trace("t", [ONE_SPAN])
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert len(load_spans(store=tmp_path / name)) == 1


# The content of the file


@pytest.mark.parametrize("empty", [True, False], ids=["an empty file", "a database without tables"])
def test_an_empty_file_is_new_to_a_writer_and_missing_to_a_reader(tmp_path, empty):
    path = touch(tmp_path / "sqlite.db") if empty else with_sql(tmp_path / "sqlite.db", "CREATE TABLE t (a)", "DROP TABLE t")
    before = state(tmp_path)
    for load in (load_spans, load_traces):
        with pytest.raises(StoreNotFound, match=r"^There is no database at .*sqlite\.db\. "):
            load()
    assert state(tmp_path) == before
    Store(path).write_trace("t", [ONE_SPAN])
    assert len(load_spans()) == 1


FOREIGN = {
    "no database": (None, "{path} is not a SQLite database. Set $TOKENVIS_DATABASE to use another one."),
    "other tables": (
        ["CREATE TABLE users (id)", "CREATE TABLE orders (id)"],
        "{path} is not a tokenvis database: it has the tables 'orders', 'users', and no 'traces' with 'id', 'name'. "
        "Set $TOKENVIS_DATABASE to use another one.",
    ),
    "one of the tables": (
        ["CREATE TABLE traces (id, name)"],
        "{path} is not a tokenvis database: it has the tables 'traces', and no 'spans' with 'agent_id', 'data', "
        "'end_time', 'id', 'location_id', 'start_time', 'trace_id'. Set $TOKENVIS_DATABASE to use another one.",
    ),
    "a table of that name": (
        ["CREATE TABLE traces (id, name)", "CREATE TABLE spans (id, trace_id, agent_id, location_id, start_time)"],
        "{path} is not a tokenvis database: it has the tables 'spans', 'traces', and no 'spans' with 'data', 'end_time'. "
        "Set $TOKENVIS_DATABASE to use another one.",
    ),
    "other tables, with a log": (
        ["PRAGMA journal_mode = WAL", "CREATE TABLE users (id)"],
        "{path} is not a tokenvis database: it has the tables 'users', and no 'traces' with 'id', 'name'. "
        "Set $TOKENVIS_DATABASE to use another one.",
    ),
}


@pytest.mark.parametrize("create", [True, False])
@pytest.mark.parametrize("kind", FOREIGN)
def test_a_database_of_another_program_is_refused_and_unchanged(tmp_path, kind, create):
    statements, message = FOREIGN[kind]
    path = tmp_path / "sqlite.db"
    if statements is None:
        path.write_bytes(b"SQLite format 4\x00 and so on")
    else:
        with_sql(path, *statements)
    before = state(tmp_path)
    with pytest.raises(StoreError) as error:
        Store(path, create=create)
    assert str(error.value) == message.format(path=path)
    assert state(tmp_path) == before


@pytest.mark.parametrize("name", ["sqlite.db", "link.db"])
def test_a_database_of_another_program_is_recognised_by_its_wal(tmp_path, name):
    (tmp_path / "link.db").symlink_to(tmp_path / "sqlite.db")
    with closing(sqlite3.connect(tmp_path / "sqlite.db", isolation_level=None)) as theirs:
        theirs.execute("PRAGMA journal_mode = WAL")
        theirs.execute("CREATE TABLE users (id)")  # so far only in the WAL
        before = state(tmp_path)
        with pytest.raises(StoreError, match=r"^.* is not a tokenvis database: it has the tables 'users', and no "):
            Store(tmp_path / name)
        assert {**state(tmp_path), "sqlite.db-shm": ""} == {**before, "sqlite.db-shm": ""}  # readers register in it
        assert theirs.execute("SELECT name FROM sqlite_schema").fetchall() == [("users",)]


def test_a_newer_format_is_refused(tmp_path):
    path = Store().path
    with_sql(path, "PRAGMA user_version = 2")
    before = state(tmp_path)
    with pytest.raises(StoreError) as error:
        Store()
    assert str(error.value) == f"{path} was written by a newer tokenvis (format 2; this one reads 1). Update tokenvis."
    assert state(tmp_path) == before


def test_a_truncated_header_is_one_error(tmp_path):
    (tmp_path / "sqlite.db").write_bytes(b"SQLite format 3\x00" + b"\xff" * 4_000)
    before = state(tmp_path)
    with pytest.raises(StoreError) as error:
        Store()
    assert str(error.value) == (
        f"{tmp_path / 'sqlite.db'} is not a SQLite database. Set $TOKENVIS_DATABASE to use another one."
    )
    assert state(tmp_path) == before


def test_a_folder_and_a_missing_folder_are_refused(tmp_path):
    with pytest.raises(StoreError) as error:
        Store(tmp_path)
    assert str(error.value) == f"{tmp_path} is a folder. Pass a file in it, such as {tmp_path / 'sqlite.db'}."
    with pytest.raises(StoreError) as error:
        Store(tmp_path / "gone" / "sqlite.db")
    assert str(error.value) == f"There is no folder {tmp_path / 'gone'} for sqlite.db."
    with pytest.raises(StoreNotFound):
        Store(tmp_path / "gone" / "sqlite.db", create=False)


def test_reading_creates_nothing(tmp_path):
    for load in (load_spans, load_traces):
        with pytest.raises(StoreNotFound):
            load()
    assert list(tmp_path.iterdir()) == []


def test_an_impossible_path_is_an_error(tmp_path):
    for place in ("~nosuchuser/x.db", "x" * 300):
        with pytest.raises(StoreError):
            Store(place)
    if os.name == "posix":
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(StoreError, match=r"pipe is not a regular file\. Pass a file, such as .*sqlite\.db\.$"):
            Store("pipe")


@pytest.mark.skipif(os.name != "posix", reason="links of POSIX")
def test_a_dangling_link_creates_its_target(tmp_path):
    (tmp_path / "link.db").symlink_to(tmp_path / "there.db")
    Store("link.db").write_trace("t", [ONE_SPAN])
    assert load_spans(store="there.db")["id"].tolist() == ["s"]


# Connections


def test_a_removed_database_is_not_created_again(tmp_path):
    store = Store()
    store.path.unlink()
    for call in (lambda: load_traces(store=store), lambda: store.write_trace("t", [ONE_SPAN]), lambda: store.delete_trace("t")):
        with pytest.raises(StoreError) as error:
            call()
        assert str(error.value) == f"{store.path} no longer exists. Store({str(store.path)!r}) creates a new one."
    assert list(tmp_path.iterdir()) == []


@pytest.mark.full
def test_processes_that_create_one_file_at_once_all_succeed(tmp_path):
    code = "import sys, tokenvis; tokenvis.Store().write_trace(sys.argv[1], [])"
    made = [subprocess.Popen([sys.executable, "-c", code, str(number)], stderr=subprocess.PIPE) for number in range(4)]
    assert [process.communicate()[1] for process in made] == [b""] * 4
    assert sorted(load_traces()["id"]) == ["0", "1", "2", "3"]


def test_threads_that_create_one_file_at_once_all_succeed():
    makers = [threading.Thread(target=lambda name: Store().write_trace(name, []), args=(str(number),)) for number in range(6)]
    for maker in makers:
        maker.start()
    for maker in makers:
        maker.join()
    assert sorted(load_traces()["id"]) == ["0", "1", "2", "3", "4", "5"]
