import shutil
import sqlite3
import threading
from contextlib import closing

import pytest
from databases import with_sql

from tokenvis import BadSpan, Store, StoreError, StoreNotFound, load_spans
from tokenvis.store.maintenance import backup, verify

ONE = {"id": "s", "agent_id": "ann", "location_id": "desk", "start_time": 0, "end_time": 5}


@pytest.fixture
def store() -> Store:
    store = Store()
    store.write_trace("t", [{**ONE, "id": str(number), "data": {"n": number}} for number in range(500)])
    return store


def test_an_undamaged_database_has_no_findings(store, tmp_path):
    before = store.path.read_bytes()
    assert verify() == (store.path, 1, 500, [])
    assert str(verify()).splitlines()[1:] == ["1 trace and 500 spans can be read.", "No problems found."]
    assert store.path.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["sqlite.db"]


def test_rows_in_the_wal_are_counted_and_not_checkpointed(store):
    with closing(sqlite3.connect(store.path)) as theirs:
        theirs.execute("SELECT * FROM traces").fetchall()
        store.add_spans("t", [ONE])
        before = store.path.read_bytes()
        assert verify().n_spans == 501
        assert store.path.read_bytes() == before


def test_invalid_rows_are_reported(store):
    with_sql(store.path, "UPDATE spans SET agent_id = x'00' WHERE rowid <= 30")
    verdict = verify()
    assert (verdict.n_traces, verdict.n_spans) == (1, 470)
    assert verdict.findings[0] == "30 rows with invalid values; load_spans(..., skip_bad=True) skips them:"
    assert verdict.findings[1] == r"  span '0' of trace 't': agent_id is b'\x00' in the database, not a text"
    assert verdict.findings[21:] == ["  and 10 more"]


def test_spans_of_missing_traces_are_counted(store):
    with_sql(store.path, "PRAGMA foreign_keys = OFF", "DELETE FROM traces")
    assert verify().findings == [
        "500 spans of traces that do not exist. load_spans() with no arguments loads them; write them again."
    ]


def test_invalid_data_after_a_null_character_is_found_although_sqlite_accepts_it(store):
    with closing(sqlite3.connect(store.path)) as connection:
        connection.execute("UPDATE spans SET data = ? WHERE rowid = 7", ('{"k":1}\0more',))
        connection.commit()
    assert len(verify().findings) == 2
    with pytest.raises(BadSpan, match="data is not a JSON object"):
        load_spans()


def test_a_damaged_page_is_found(store):
    content = bytearray(store.path.read_bytes())
    content[4 * 4_096 : 4 * 4_096 + 100] = b"\xff" * 100
    store.path.write_bytes(content)
    verdict = verify()
    assert verdict.findings
    assert store.path.read_bytes() == content


@pytest.mark.parametrize(
    ("content", "finding"),
    [
        (b"", "The file is empty. Store("),
        (b"no database at all", " is not a SQLite database. Set $TOKENVIS_DATABASE to use another one."),
    ],
)
def test_a_file_that_is_not_a_database_is_a_finding(tmp_path, content, finding):
    (tmp_path / "x.db").write_bytes(content)
    assert finding in verify("x.db").findings[0]
    assert (tmp_path / "x.db").read_bytes() == content


def test_a_missing_file_is_an_error(tmp_path):
    for call in (lambda: verify("gone.db"), lambda: backup("copy.db", "gone.db")):
        with pytest.raises(StoreNotFound, match=r"gone\.db"):
            call()
    assert list(tmp_path.iterdir()) == []


def test_a_backup_includes_the_wal(store, tmp_path):
    with closing(sqlite3.connect(store.path)) as theirs:
        theirs.execute("SELECT * FROM traces").fetchall()
        store.add_spans("t", [ONE])
        shutil.copy(store.path, tmp_path / "copied.db")
        assert backup("copy.db") == tmp_path / "copy.db"
    assert len(load_spans(store="copied.db")) == 500, "a plain copy of the file would lack these"
    assert len(load_spans(store="copy.db")) == 501


def test_a_backup_into_a_folder_has_the_name_of_the_file(store, tmp_path):
    (tmp_path / "kept").mkdir()
    assert backup("kept", store.path) == tmp_path / "kept" / "sqlite.db"
    with pytest.raises(StoreError, match=r"sqlite\.db already exists\. Choose a new file, or remove that one\.$"):
        backup("kept")
    with pytest.raises(StoreError, match=r"gone/copy\.db: \[Errno 2\] No such file or directory"):
        backup("gone/copy.db")


@pytest.mark.parametrize("suffix", ["-wal", "-shm", "-journal"])
def test_a_backup_beside_a_stale_wal_is_refused(store, tmp_path, suffix):
    (tmp_path / f"copy.db{suffix}").write_text("precious")
    with pytest.raises(StoreError, match=rf"copy\.db{suffix} already exists\."):
        backup("copy.db")
    assert not (tmp_path / "copy.db").exists()
    assert (tmp_path / f"copy.db{suffix}").read_text() == "precious"


def test_a_backup_during_writes_is_consistent(store):
    """Every write adds ten spans: a consistent copy has a multiple of ten."""
    done = threading.Event()

    def write() -> None:
        number = 0
        while not done.is_set():
            store.add_spans("t", [{**ONE, "id": f"w{number}-{part}"} for part in range(10)])
            number += 1

    writer = threading.Thread(target=write)
    writer.start()
    try:
        copies = [backup(f"copy{number}.db") for number in range(5)]
    finally:
        done.set()
        writer.join()
    for copy in copies:
        assert verify(copy).findings == []
        assert verify(copy).n_spans % 10 == 0
