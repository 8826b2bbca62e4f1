"""Databases that someone sent: their triggers and views do not run, and no write of ours is untrue."""

from contextlib import closing
from pathlib import Path

import pytest
from databases import ONE_SPAN, UNCHECKED, rows, state, with_sql

from tokenvis import Recorder, Store, StoreError, ingest, load_spans, load_traces, seed_demo
from tokenvis.store import Appender, backup, connections, verify
from tokenvis.store.connections import connect, json_is_safe, uri_of

ADVICE = "copy its rows into the tables of a new Store"
HOSTILE = "x\n\x1b[31m'; DROP TABLE spans --"
ROW = ("n", "t", "ann", "desk", 0, 5, None)


@pytest.fixture
def store() -> Store:
    store = Store()
    store.write_trace("t", [ONE_SPAN, {**ONE_SPAN, "id": "s2"}])
    return store


def add_trigger(store: Store, name: str = "erase", event: str = "AFTER INSERT ON spans") -> None:
    quoted_name = name.replace('"', '""')
    with_sql(store.path, f'CREATE TRIGGER "{quoted_name}" {event} BEGIN DELETE FROM spans; END')


WRITES = {
    "write_trace": lambda store: store.write_trace("u", [{**ONE_SPAN, "id": "u"}]),
    "add_spans": lambda store: store.add_spans("t", [{**ONE_SPAN, "id": "n"}]),
    "add_traces": lambda store: store.add_traces([{**ONE_SPAN, "id": "n", "trace_id": "t"}], {}),
    "delete_trace": lambda store: store.delete_trace("t"),
    "delete_spans": lambda store: store.delete_spans("t", ["s"]),
    "seed": lambda store: seed_demo(store=store),
    "append": lambda store: Appender(store).append([ROW], {}),
    "name": lambda store: Appender(store).append([], {"t": "T"}),
    "ingest": lambda store: ingest("spans.csv", store=store),
}


@pytest.mark.parametrize("write", WRITES)
def test_no_write_runs_a_trigger(store, tmp_path, write):
    (tmp_path / "spans.csv").write_text("id,trace_id,agent_id,location_id,start_time,end_time\nn,t,ann,desk,0,5\n")
    add_trigger(store)
    before = rows(store)
    with pytest.raises(StoreError) as error:
        WRITES[write](store)
    assert str(error.value) == (
        f"{store.path} has triggers that a write would run: 'erase'. Drop them, or {ADVICE}. Nothing was written."
    )
    assert rows(store) == before
    assert load_spans(store=store.path)["id"].tolist() == ["s", "s2"]


@pytest.mark.parametrize("event", ["BEFORE DELETE ON SPANS", "AFTER UPDATE OF data ON spans", "BEFORE INSERT ON Traces"])
def test_triggers_of_every_event_are_named(store, event):
    add_trigger(store, HOSTILE, event)
    with pytest.raises(StoreError, match="has triggers that a write would run") as error:
        store.add_spans("t", [ONE_SPAN])
    assert repr(HOSTILE) in str(error.value)
    assert verify().findings == [
        f"Writing is refused: the file has triggers that a write would run: {HOSTILE!r}. Drop them, or {ADVICE}."
    ]


def test_a_trigger_on_another_table_does_not_matter(store):
    with_sql(store.path, "CREATE TABLE jobs (id)", "CREATE TRIGGER j AFTER INSERT ON jobs BEGIN DELETE FROM spans; END")
    assert store.add_spans("t", [{**ONE_SPAN, "id": "n"}]).added == 1
    assert verify().findings == []


def test_a_trigger_that_a_foreign_key_reaches_is_refused(store):
    with_sql(
        store.path,
        "CREATE TABLE notes (id INTEGER PRIMARY KEY, span TEXT REFERENCES spans (id) ON DELETE CASCADE)",
        "INSERT INTO notes (span) VALUES ('s')",
    )
    assert store.delete_spans("t", ["s"]).removed == 1
    assert verify().findings == ["Deleting spans or traces also changes the tables 'notes', through foreign keys (ON DELETE)."]
    with_sql(store.path, "CREATE TRIGGER far AFTER DELETE ON notes BEGIN DELETE FROM spans; END")
    with pytest.raises(StoreError, match=r" has triggers that a write would run: 'far'\. "):
        store.delete_spans("t", ["s2"])


def test_a_trigger_that_is_added_while_a_recorder_writes_is_refused(store):
    appender = Appender(store)
    assert appender.append([ROW], {}) == []
    add_trigger(store)
    with pytest.raises(StoreError, match=r" has triggers that a write would run: 'erase'\. "):
        appender.append([("n2", *ROW[1:])], {})
    assert [row[0] for row in rows(store)] == ["n", "s", "s2"]
    with_sql(store.path, "DROP TRIGGER erase")
    assert appender.append([("n2", *ROW[1:])], {}) == []
    assert len(rows(store)) == 4
    appender.close()


def test_a_trigger_hidden_in_the_schema_is_an_error(store):
    add_trigger(store)
    with_sql(store.path, "PRAGMA writable_schema = ON", "UPDATE sqlite_schema SET tbl_name = 'jobs' WHERE name = 'erase'")
    for call in (lambda: Store(store.path), lambda: store.add_spans("t", [ONE_SPAN])):
        with pytest.raises(StoreError, match="malformed database schema"):
            call()


VIEW = "CREATE VIEW spans AS SELECT * FROM hidden"
VIRTUAL = "CREATE VIRTUAL TABLE spans USING fts5 (id, trace_id, agent_id, location_id, start_time, end_time, data)"
UNREADABLE = {
    "a view": (
        ["ALTER TABLE spans RENAME TO hidden", VIEW],
        f"has a view named 'spans', which could run SQL of the file: {ADVICE}",
    ),
    "a virtual table": (
        ["DROP TABLE spans", VIRTUAL],
        f"has a virtual table named 'spans', which could run SQL of the file: {ADVICE}",
    ),
    "a function": (
        ["CREATE VIRTUAL TABLE json_each USING fts5 (value)"],
        f"has tables that replace functions of SQLite: 'json_each'. Drop them, or {ADVICE}",
    ),
    "a collation": (
        ["DROP TABLE spans", UNCHECKED[1].replace("trace_id TEXT", "trace_id TEXT COLLATE NOCASE")],
        f"has a column spans.trace_id that takes different names as equal (COLLATE): {ADVICE}",
    ),
}


@pytest.mark.parametrize("kind", UNREADABLE)
def test_tables_that_cannot_be_read_truly_are_refused_and_unchanged(store, tmp_path, kind):
    statements, obstacle = UNREADABLE[kind]
    with_sql(store.path, *statements)
    before = state(tmp_path)
    calls = (lambda: Store(store.path), lambda: load_spans(), lambda: load_traces(store=store), lambda: WRITES["append"](store))
    for call in calls:
        with pytest.raises(StoreError) as error:
            call()
        assert str(error.value).removesuffix(" Nothing was written.") == f"{store.path} {obstacle}."
    assert state(tmp_path) == before
    assert any(obstacle in finding for finding in verify().findings)


def unchecked(*changes: tuple[str, str]) -> Store:
    """A store with tables of another program, with these changes of their SQL."""
    sql = "\n".join(UNCHECKED)
    for old, new in changes:
        assert old in sql
        sql = sql.replace(old, new)
    return Store(with_sql(Path("theirs.db"), *sql.split("\n")))


UNTRUE = {
    "a name becomes a number": (
        ("agent_id TEXT", "agent_id NUMERIC"),
        f"has a column spans.agent_id of type 'NUMERIC', which converts values: {ADVICE}",
    ),
    "a time becomes a float": (
        ("end_time INTEGER", "end_time REAL"),
        f"has a column spans.end_time of type 'REAL', which converts values: {ADVICE}",
    ),
    "two spans of one id": (
        ("spans (id TEXT PRIMARY KEY", "spans (id TEXT"),
        f"has no primary key or unique index on spans.id alone: {ADVICE}",
    ),
    "a span deletes another": (
        ("data TEXT", "data TEXT, parent TEXT REFERENCES spans ON DELETE CASCADE"),
        f"has a foreign key that changes spans.parent with rows of 'spans': {ADVICE}",
    ),
}


@pytest.mark.parametrize("kind", UNTRUE)
def test_a_table_that_would_store_other_rows_is_not_written(kind):
    change, obstacle = UNTRUE[kind]
    store = unchecked(change)
    for write in ("add_spans", "append"):
        with pytest.raises(StoreError) as error:
            WRITES[write](store)
        assert str(error.value) == f"{store.path} {obstacle}. Nothing was written."
    assert rows(store) == []
    assert f"Writing is refused: the file {obstacle}." in verify(store.path).findings
    assert len(load_spans(store=store)) == 0


@pytest.mark.parametrize("clause", ["REPLACE", "IGNORE", "ROLLBACK"])
def test_a_conflict_clause_drops_no_rows(clause):
    store = unchecked(("end_time INTEGER", f"end_time INTEGER UNIQUE ON CONFLICT {clause}"))
    store.write_trace("t", [ONE_SPAN])
    with pytest.raises(
        StoreError, match=r"UNIQUE constraint failed: spans\.end_time\. A constraint of the table refuses a row"
    ):
        store.add_spans("t", [{**ONE_SPAN, "id": "n"}])
    assert Appender(store).append([ROW, ("m", "t", "ann", "desk", 0, 6, None)], {}) == [ROW]
    assert [row[0] for row in rows(store)] == ["m", "s"]


def test_an_own_foreign_key_of_spans_to_traces_may_cascade():
    store = unchecked(("trace_id TEXT", "trace_id TEXT REFERENCES traces ON DELETE CASCADE"))
    store.write_trace("t", [ONE_SPAN])
    assert store.delete_trace("t").removed == 1
    assert verify(store.path).findings == []


def test_names_of_tables_may_have_any_case():
    store = unchecked(("TABLE traces", "TABLE Traces"), ("TABLE spans", "TABLE SPANS"))
    assert store.write_trace("t", [ONE_SPAN]).added == 1
    assert load_spans("t", store=store)["id"].tolist() == ["s"]


def test_a_copy_in_a_new_store_can_be_written(store):
    add_trigger(store)
    clean = Store("clean.db")
    names = load_traces(store=store).set_index("id")["name"]
    clean.add_traces(load_spans(store=store), names.to_dict())
    assert rows(clean) == rows(store)
    assert clean.add_spans("t", [{**ONE_SPAN, "id": "n"}]).added == 1


def test_views_of_a_file_are_found(store):
    with_sql(store.path, "CREATE VIEW v AS SELECT * FROM spans")
    assert verify().findings == ["The file has the views 'v'. They run SQL of the file if you query them; tokenvis does not."]


def test_the_schema_of_a_file_is_not_trusted(store, monkeypatch):
    with closing(connect(uri_of(store.path, "ro"))) as connection:
        assert connection.execute("PRAGMA trusted_schema").fetchone() == (0 if json_is_safe() else 1,)
    with store._reading() as connection:
        assert connection.exec_driver_sql("PRAGMA trusted_schema").scalar() == 0
    monkeypatch.setattr(connections, "json_is_safe", lambda: True)
    with closing(connect(":memory:")) as connection:
        assert connection.execute("PRAGMA trusted_schema").fetchone() == (0,)


def test_a_backup_of_a_file_with_triggers_has_them(store):
    add_trigger(store)
    assert len(verify(backup("copy.db")).findings) == 1


def test_a_recorder_on_a_file_with_triggers_is_refused(store):
    add_trigger(store)
    with pytest.raises(StoreError, match=r" has triggers that a write would run: 'erase'\. "):
        Recorder("t", store=store)
