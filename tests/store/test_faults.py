"""Faults of files: full disks, permissions, locks, truncation, bit flips. One clear error or correct data, never data loss."""

import os
import random
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import event

from tokenvis import Store, StoreError, TokenvisError, load_spans, load_traces
from tokenvis.store import connections
from tokenvis.store.maintenance import verify

ONE = {"id": "s", "agent_id": "ann", "location_id": "desk", "start_time": 0, "end_time": 5}
posix = pytest.mark.skipif(os.name != "posix", reason="rights and users of POSIX")


def spans(count: int, prefix: str = "s") -> list[dict]:
    return [{**ONE, "id": f"{prefix}{number}", "data": {"text": "x" * 200}} for number in range(count)]


@pytest.fixture
def store() -> Store:
    store = Store()
    store.write_trace("t", spans(200))
    return store


def test_a_full_disk_rolls_back_only_the_write(store):
    @event.listens_for(store.engine, "connect")
    def limit(connection, _):
        connection.execute("PRAGMA max_page_count = 60")

    with pytest.raises(StoreError) as error:
        store.add_spans("t", spans(5_000, "more"))
    assert str(error.value) == (
        f"{store.path}: database or disk is full. "
        "This write was rolled back; earlier writes are in the database. Free disk space, then repeat it."
    )
    assert len(load_spans(store=store)) == 200
    assert store.add_spans("t", [ONE]).added == 1
    assert verify().findings == []


@posix
@pytest.mark.full
def test_a_wal_that_cannot_grow_rolls_back_the_write(store):
    """A file size limit simulates a full disk: SQLite gets the same error."""
    code = """
import resource, signal, sys, tokenvis
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
store = tokenvis.Store(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
one = {"agent_id": "a", "location_id": "b", "start_time": 0, "end_time": 5, "data": {"text": "x" * 200}}
try:
    store.add_spans("t", [{**one, "id": str(number)} for number in range(5_000)])
except tokenvis.StoreError as error:
    print(str(error).split(": ", 1)[1])
print(len(tokenvis.load_spans(store=store)))
"""
    done = subprocess.run([sys.executable, "-c", code, str(store.path)], capture_output=True, text=True, check=True)
    said, count = done.stdout.splitlines()
    assert said.startswith(("disk I/O error. ", "database or disk is full. "))
    assert int(count) == 200
    assert verify().findings == []


AS_NOBODY = """
import os, sys, tempfile
import tokenvis
def work(path):  # imports lazy modules first: another user may lack access to their folder
    tokenvis.Store(path).add_spans("t", [
        {"id": "new", "agent_id": "a", "location_id": "b", "start_time": 0, "end_time": 1}
    ])
    return tokenvis.load_spans(store=path), tokenvis.load_traces(store=path)
with tempfile.TemporaryDirectory() as folder:
    work(folder + "/sqlite.db")
os.chdir(sys.argv[1])
if os.getuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
def tried(call):
    try:
        return call()
    except tokenvis.TokenvisError as error:
        return f"{type(error).__name__}: {error}"
def load():
    return len(tokenvis.load_spans(store="sqlite.db"))
def write():
    work("sqlite.db")
    return "written"
def traces():
    return tokenvis.load_traces(store="sqlite.db")["id"].tolist()
"""


def as_nobody(folder: Path, *calls: str) -> list[str]:
    """The results of calls in a process without root permissions."""
    for above in (folder, *folder.parents):  # pytest creates its folders accessible to the owner only
        if above == folder or any(part.startswith("pytest-of-") for part in above.parts):
            above.chmod(above.stat().st_mode | 0o055)
    code = AS_NOBODY + "".join(f"print(tried({call}))\n" for call in calls)
    done = subprocess.run([sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    return done.stdout.splitlines()


@pytest.fixture
def theirs(tmp_path):
    """A read-only folder with a database; the permissions are restored afterwards."""
    folder = tmp_path / "theirs"
    folder.mkdir()
    Store(folder / "sqlite.db").write_trace("t", spans(200))
    (folder / "sqlite.db").chmod(0o644)  # the owner shares it
    yield folder
    folder.chmod(0o755)


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@posix
def test_a_read_only_folder_is_read_and_unchanged(theirs):
    (theirs / "sqlite.db").chmod(0o444)
    theirs.chmod(0o555)
    loaded, listed, written = as_nobody(theirs, "load", "traces", "write")
    assert (loaded, listed) == ("200", "['t']")
    assert written == (
        f"StoreError: {theirs / 'sqlite.db'}: attempt to write a readonly database. "
        "The file or its folder is read-only. Set $TOKENVIS_DATABASE to use another database."
    )
    assert names_in(theirs) == ["sqlite.db"]


@posix
@pytest.mark.full
def test_a_read_only_file_is_read(theirs):
    (theirs / "sqlite.db").chmod(0o444)
    theirs.chmod(0o777)
    loaded, written = as_nobody(theirs, "load", "write")
    assert loaded == "200"
    assert "attempt to write a readonly database" in written


@posix
@pytest.mark.full
def test_a_read_only_folder_with_a_wal_in_use(theirs):
    with closing(sqlite3.connect(theirs / "sqlite.db")) as connection:
        connection.execute("INSERT INTO traces VALUES ('log', 'log')")
        connection.commit()
        theirs.chmod(0o555)
        assert as_nobody(theirs, "traces", "load") == ["['t', 'log']", "200"]
        assert names_in(theirs) == ["sqlite.db", "sqlite.db-shm", "sqlite.db-wal"]


@posix
@pytest.mark.full
def test_a_file_without_read_permission_is_an_error(theirs):
    (theirs / "sqlite.db").chmod(0o000)
    for said in as_nobody(theirs, "load", "write"):
        assert said == (
            f"StoreError: {theirs / 'sqlite.db'}: unable to open database file. "
            "It is missing, or you lack permission for it or its folder. `tokenvis info` shows its path."
        )


def test_an_exclusively_locked_file_is_an_error(store, monkeypatch):
    monkeypatch.setattr(connections, "BUSY_TIMEOUT_S", 0.05)
    with closing(sqlite3.connect(store.path, isolation_level=None)) as theirs:
        theirs.execute("PRAGMA locking_mode = EXCLUSIVE")
        theirs.execute("BEGIN EXCLUSIVE")
        for call in (
            lambda: load_spans(store=store),
            lambda: store.add_spans("t", [ONE]),
            lambda: load_traces(store=store.path),
        ):
            with pytest.raises(StoreError, match=r"database is locked\. Another program is writing to it\."):
                call()
    assert len(load_spans(store=store)) == 200


def test_a_replaced_file_is_inspected_again(store, tmp_path):
    other = Store("other.db")
    other.write_trace("u", [ONE])
    shutil.move(other.path, store.path)
    assert load_spans(store=store)["id"].tolist() == ["s"]
    with closing(sqlite3.connect("users.db")) as connection:
        connection.execute("CREATE TABLE users (id)")
        connection.commit()
    shutil.move("users.db", store.path)
    for call in (lambda: load_spans(store=store), lambda: store.add_spans("t", [ONE])):
        with pytest.raises(StoreError, match=r" is not a tokenvis database: it has the tables 'users', and no "):
            call()
    (tmp_path / "empty.db").touch()
    shutil.move("empty.db", store.path)
    with pytest.raises(StoreError, match=r" was replaced by an empty file\. Store\(.*\) creates a database in it\.$"):
        load_spans(store=store)


def test_a_write_to_a_file_that_vanishes_is_an_error(store):
    event.listen(store.engine, "commit", lambda _: store.path.unlink())
    with pytest.raises(StoreError, match=r" no longer exists\. Store\(.*\) creates a new one\.$"):
        store.add_spans("t", [ONE])


@posix
def test_a_write_to_a_file_that_is_replaced_is_an_error(store):
    Store("other.db").write_trace("u", [ONE])
    event.listen(store.engine, "commit", lambda _: Path("other.db").replace(store.path))
    with pytest.raises(StoreError, match=r" was replaced during the write, which went to the old file\. Repeat the write\.$"):
        store.add_spans("t", [{**ONE, "id": "new"}])
    assert load_spans(store=store.path)["id"].tolist() == ["s"]


@posix
def test_the_wal_of_a_link_is_beside_its_target(store, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    link = tmp_path / "elsewhere" / "link.db"
    link.symlink_to(store.path)
    with closing(sqlite3.connect(store.path)) as theirs:
        theirs.execute("INSERT INTO traces VALUES ('log', 'log')")
        theirs.commit()
        assert load_traces(store=link)["id"].tolist() == ["t", "log"]
        assert Store(link).add_spans("log", [ONE]).added == 1
    assert names_in(tmp_path / "elsewhere") == ["link.db"]
    assert len(load_spans(store=store)) == 201


def outcome(path: Path) -> tuple[str, object]:
    """The result of loading: a frame of complete spans, or one TokenvisError."""
    try:
        loaded = load_spans(store=path)
        load_traces(store=path, details=True)
    except TokenvisError as error:
        said = str(error)
    else:
        return "loaded", set(zip(loaded["id"], loaded["data"], strict=True))
    assert "\n" not in said
    return "refused", said


@pytest.mark.parametrize("share", [0.0, 0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99])
def test_a_truncated_file_is_an_error_and_unchanged(store, share):
    whole = store.path.read_bytes()
    cut = whole[: int(len(whole) * share)]
    store.path.write_bytes(cut)
    if not cut:
        with pytest.raises(TokenvisError):
            load_spans(store=store.path)
        return
    kind, said = outcome(store.path)
    assert kind == "refused", "no span is missing silently"
    assert store.path.read_bytes() == cut
    assert verify(store.path).findings


@pytest.mark.parametrize("share", [0.0, 0.001, 0.2, 0.5, 0.9, 1.0])
def test_a_truncated_wal_has_complete_writes(tmp_path, store, share):
    """As after a power cut: the writes that reached the disk are complete, and later ones are missing."""
    with closing(sqlite3.connect(store.path)) as theirs:
        theirs.execute("SELECT * FROM traces").fetchall()
        for number in range(5):
            store.add_spans("t", spans(40, f"w{number}-"))
        copy = tmp_path / "cut"
        copy.mkdir()
        shutil.copy(store.path, copy / "sqlite.db")
        log = connections.wal_path(store.path).read_bytes()
        (copy / "sqlite.db-wal").write_bytes(log[: int(len(log) * share)])
    ids = load_spans(store=copy / "sqlite.db")["id"]
    found = [ids.str.startswith(f"w{number}-").sum() for number in range(5)]
    assert found == sorted(found, reverse=True)
    assert set(found) <= {0, 40}
    assert len(ids) == 200 + sum(found)


def flipped(content: bytes, chance: random.Random) -> bytes:
    """The content with one bit flipped."""
    place = chance.randrange(len(content))
    changed = bytearray(content)
    changed[place] ^= 1 << chance.randrange(8)
    return bytes(changed)


@pytest.mark.parametrize("block", [range(40), pytest.param(range(40, 1_200), marks=pytest.mark.full)], ids=["some", "many"])
def test_a_bit_flip_is_an_error_or_one_wrong_value(tmp_path, store, block):
    """SQLite has no checksums: a flip in a text changes the text. It never causes a crash, another error, or a write."""
    content = store.path.read_bytes()
    good = outcome(store.path)[1]
    kinds = set()
    for seed in block:
        changed = flipped(content, random.Random(seed))
        path = tmp_path / "flipped.db"
        path.write_bytes(changed)
        kind, found = outcome(path)
        kinds.add(kind)
        if kind == "loaded" and len(found ^ good) > 2:
            assert verify(path).findings, f"bit of seed {seed}: more than one span changed, with no finding"
        if kind == "refused":
            assert path.read_bytes() == changed
        for beside in ("flipped.db-wal", "flipped.db-shm"):
            (tmp_path / beside).unlink(missing_ok=True)
    assert "loaded" in kinds
