"""What happens to files: full disks, rights, locks, cuts and flips. One clear error, or right data, and nothing lost."""

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


def test_a_full_disk_takes_back_the_write_and_nothing_else(store):
    @event.listens_for(store.engine, "connect")
    def limit(connection, _):
        connection.execute("PRAGMA max_page_count = 60")

    with pytest.raises(StoreError) as error:
        store.add_spans("t", spans(5_000, "more"))
    assert str(error.value) == (
        f"{store.path}: database or disk is full. "
        "There is no room left. Nothing of this write is in the database, and all before it is."
    )
    assert len(load_spans(store=store)) == 200
    assert store.add_spans("t", [ONE]).added == 1
    assert verify().findings == []


@posix
@pytest.mark.full
def test_a_log_that_cannot_grow_takes_back_the_write(store):
    """The limit on the size of a file stands for a full disk: what SQLite is told is the same."""
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
def work(path):  # loads all that Python loads late: where it lies may be closed to nobody
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
    """What calls give in a process that has no rights of root."""
    for above in (folder, *folder.parents):  # pytest makes its folders for their owner alone
        if above != Path("/tmp") and str(above).startswith(("/tmp/", str(folder))):
            above.chmod(above.stat().st_mode | 0o055)
    code = AS_NOBODY + "".join(f"print(tried({call}))\n" for call in calls)
    done = subprocess.run([sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    return done.stdout.splitlines()


@pytest.fixture
def theirs(tmp_path):
    """A folder with a database, that can only be read; its rights come back in the end."""
    folder = tmp_path / "theirs"
    folder.mkdir()
    Store(folder / "sqlite.db").write_trace("t", spans(200))
    yield folder
    folder.chmod(0o755)


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@posix
def test_a_folder_that_can_only_be_read_is_read_and_stays_as_it_is(theirs):
    (theirs / "sqlite.db").chmod(0o444)
    theirs.chmod(0o555)
    loaded, listed, written = as_nobody(theirs, "load", "traces", "write")
    assert (loaded, listed) == ("200", "['t']")
    assert written == (
        f"StoreError: {theirs / 'sqlite.db'}: attempt to write a readonly database. "
        "It, or its folder, can only be read. $TOKENVIS_DATABASE names a database elsewhere."
    )
    assert names_in(theirs) == ["sqlite.db"]


@posix
@pytest.mark.full
def test_a_file_that_can_only_be_read_is_read(theirs):
    (theirs / "sqlite.db").chmod(0o444)
    theirs.chmod(0o777)
    loaded, written = as_nobody(theirs, "load", "write")
    assert loaded == "200"
    assert "attempt to write a readonly database" in written


@posix
@pytest.mark.full
def test_a_folder_that_can_only_be_read_with_a_log_that_is_in_use(theirs):
    with closing(sqlite3.connect(theirs / "sqlite.db")) as connection:
        connection.execute("INSERT INTO traces VALUES ('log', 'log')")
        connection.commit()
        theirs.chmod(0o555)
        assert as_nobody(theirs, "traces", "load") == ["['t', 'log']", "200"]
        assert names_in(theirs) == ["sqlite.db", "sqlite.db-shm", "sqlite.db-wal"]


@posix
@pytest.mark.full
def test_a_file_that_may_not_be_read_is_told(theirs):
    (theirs / "sqlite.db").chmod(0o000)
    for said in as_nobody(theirs, "load", "write"):
        assert said == (
            f"StoreError: {theirs / 'sqlite.db'}: unable to open database file. "
            "It is gone, or this user may not use it and its folder. `tokenvis info` shows where it should be."
        )


def test_a_file_that_another_one_holds_for_itself_is_told(store, monkeypatch):
    monkeypatch.setattr(connections, "PATIENCE", 0.05)
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


def test_a_file_that_is_replaced_is_looked_at_again(store, tmp_path):
    other = Store("other.db")
    other.write_trace("u", [ONE])
    shutil.move(other.path, store.path)
    assert load_spans(store=store)["id"].tolist() == ["s"]
    with closing(sqlite3.connect("users.db")) as connection:
        connection.execute("CREATE TABLE users (id)")
        connection.commit()
    shutil.move("users.db", store.path)
    for call in (lambda: load_spans(store=store), lambda: store.add_spans("t", [ONE])):
        with pytest.raises(StoreError, match=r" is a database of something else: it has the tables 'users', and no "):
            call()
    (tmp_path / "empty.db").touch()
    shutil.move("empty.db", store.path)
    with pytest.raises(StoreError, match=r" was replaced by an empty file\. Store\(.*\) makes a database of it\.$"):
        load_spans(store=store)


def test_what_goes_into_a_file_that_vanishes_meanwhile_is_not_called_written(store):
    event.listen(store.engine, "commit", lambda _: store.path.unlink())
    with pytest.raises(StoreError, match=r" is no longer there\. Store\(.*\) makes a new one\.$"):
        store.add_spans("t", [ONE])


@posix
def test_what_goes_into_a_file_that_is_replaced_meanwhile_is_not_called_written(store):
    Store("other.db").write_trace("u", [ONE])
    event.listen(store.engine, "commit", lambda _: Path("other.db").replace(store.path))
    with pytest.raises(
        StoreError, match=r" was replaced while it was written to: the write went with the old file\. Repeat it\.$"
    ):
        store.add_spans("t", [{**ONE, "id": "new"}])
    assert load_spans(store=store.path)["id"].tolist() == ["s"]


@posix
def test_a_link_has_its_log_beside_the_file_itself(store, tmp_path):
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
    """What loading gives: a frame of whole spans, or one error of our tree."""
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
def test_a_file_that_is_cut_short_is_told_and_keeps_its_bytes(store, share):
    whole = store.path.read_bytes()
    cut = whole[: int(len(whole) * share)]
    store.path.write_bytes(cut)
    if not cut:
        with pytest.raises(TokenvisError):
            load_spans(store=store.path)
        return
    kind, said = outcome(store.path)
    assert kind == "refused", "no span is missing in silence"
    assert store.path.read_bytes() == cut
    assert verify(store.path).findings


@pytest.mark.parametrize("share", [0.0, 0.001, 0.2, 0.5, 0.9, 1.0])
def test_a_log_that_is_cut_short_has_whole_writes(tmp_path, store, share):
    """As after a power cut: each write that reached the disk is there, as a whole, and none after it."""
    with closing(sqlite3.connect(store.path)) as theirs:
        theirs.execute("SELECT * FROM traces").fetchall()
        for number in range(5):
            store.add_spans("t", spans(40, f"w{number}-"))
        copy = tmp_path / "cut"
        copy.mkdir()
        shutil.copy(store.path, copy / "sqlite.db")
        log = connections.log_of(store.path).read_bytes()
        (copy / "sqlite.db-wal").write_bytes(log[: int(len(log) * share)])
    ids = load_spans(store=copy / "sqlite.db")["id"]
    found = [ids.str.startswith(f"w{number}-").sum() for number in range(5)]
    assert found == sorted(found, reverse=True)
    assert set(found) <= {0, 40}
    assert len(ids) == 200 + sum(found)


def flipped(content: bytes, chance: random.Random) -> bytes:
    """The same with one bit turned."""
    place = chance.randrange(len(content))
    changed = bytearray(content)
    changed[place] ^= 1 << chance.randrange(8)
    return bytes(changed)


@pytest.mark.parametrize("block", [range(40), pytest.param(range(40, 1_200), marks=pytest.mark.full)], ids=["some", "many"])
def test_a_bit_that_flips_is_an_error_or_one_wrong_value_and_nothing_worse(tmp_path, store, block):
    """SQLite has no checksums: a flip in a text is another text. It never is a crash, a strange error, or a changed file."""
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
            assert verify(path).findings, f"bit of seed {seed}: more than one span changed, and nobody says so"
        if kind == "refused":
            assert path.read_bytes() == changed
        for beside in ("flipped.db-wal", "flipped.db-shm"):
            (tmp_path / beside).unlink(missing_ok=True)
    assert "loaded" in kinds
