"""Rows appended over a connection that stays open, compared with a dict as a model."""

import logging
import sqlite3
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenvis import Store, StoreError
from tokenvis.store import append as appending
from tokenvis.store.append import Appender

TRACES = {"a": "t", "b": "t", "c": "u", "d": "u"}  # the trace of each span


def row(span: str, trace: str | None = None, *, end: int = 5, data: str | None = None) -> tuple:
    return span, trace or TRACES[span], "ann", "desk", 0, end, data


@pytest.fixture
def store() -> Store:
    return Store("t.db", create=True)


@pytest.fixture
def appender(store):
    with closing(Appender(store)) as made:
        yield made


def stored_rows(store: Store) -> dict[str, tuple]:
    with closing(sqlite3.connect(store.path)) as connection:
        rows = connection.execute(
            "SELECT id, trace_id, agent_id, location_id, start_time, end_time, data FROM spans"
        ).fetchall()
    return {one[0]: one for one in rows}


def names(store: Store) -> dict[str, str]:
    with closing(sqlite3.connect(store.path)) as connection:
        return dict(connection.execute("SELECT id, name FROM traces").fetchall())


def test_rows_are_appended_and_replaced(store, appender):
    assert appender.append([row("a", end=3), row("b"), row("a", end=9, data='{"n":1}')], {"t": "Trace", "v": None}) == []
    assert stored_rows(store) == {"a": row("a", end=9, data='{"n":1}'), "b": row("b")}
    assert names(store) == {"t": "Trace", "v": "v"}
    assert appender.append([row("a")], {"t": None}) == []
    assert (stored_rows(store)["a"], names(store)["t"]) == (row("a"), "Trace")


ROWS = st.tuples(st.sampled_from("abcd"), st.sampled_from("tu"), st.integers(0, 9), st.sampled_from([None, '{"n":1}', "{}"]))
WRONG = ("e", "t", "ann", "desk", 7, 3, None)  # it ends before it starts
STEPS = st.one_of(
    st.lists(ROWS.map(lambda one: row(one[0], one[1], end=one[2], data=one[3])) | st.just(WRONG), max_size=6),
    st.sampled_from(["close", "remove t", "append again"]),
)


@given(st.lists(STEPS, max_size=8), st.sampled_from([1, 2, 1_024]))
def test_appended_rows_equal_a_dict_as_model(tmp_path_factory, steps, limit):
    """With any ids; only rows that violate a constraint, or would move a span to another trace, are refused."""
    store = Store(tmp_path_factory.mktemp("law") / "t.db", create=True)
    model: dict[str, tuple] = {}
    last: list[tuple] = []
    with closing(Appender(store)) as appender, pytest.MonkeyPatch.context() as patch:
        patch.setattr(appending, "MAX_ROWS_PER_STATEMENT", limit)
        patch.setattr(appending, "MAX_CACHED_TRACES", limit)
        for step in steps:
            if step == "close":
                appender.close()
            elif step == "remove t":
                with closing(sqlite3.connect(store.path, isolation_level=None)) as other:
                    other.execute("DELETE FROM spans WHERE trace_id = 't'")
                    other.execute("DELETE FROM traces WHERE id = 't'")
                model = {span: one for span, one in model.items() if one[1] != "t"}
            else:
                last = last if step == "append again" else step
                refused = []
                for one in last:
                    if one is WRONG or model.get(one[0], one)[1] != one[1]:
                        refused.append(one)
                    else:
                        model[one[0]] = one
                assert appender.append(last, {}) == refused
    assert stored_rows(store) == model


def test_a_long_batch_is_split(store, appender, monkeypatch):
    monkeypatch.setattr(appending, "MAX_ROWS_PER_STATEMENT", 4)
    rows = [(f"{number:02}", "t", "ann", "desk", number, number, None) for number in range(11)]
    assert appender.append(rows, {}) == []
    assert list(stored_rows(store).values()) == rows


def test_a_refused_row_is_logged_and_the_others_are_stored(store, appender, caplog):
    rows = [row("a"), WRONG, ("f", "t", "ann", "desk", 0, 2**63, None), ("g", "t", "a\ud800", "desk", 0, 1, None), row("b")]
    with caplog.at_level(logging.ERROR, "tokenvis"):
        assert appender.append(rows, {}) == rows[1:4]
    assert list(stored_rows(store)) == ["a", "b"]
    assert [record.getMessage() for record in caplog.records] == [
        "The database refused span 'e' of trace 't': CHECK constraint failed: spans_time_check.",
        "The database refused span 'f' of trace 't': Python int too large to convert to SQLite INTEGER.",
        "The database refused span 'g' of trace 't': 'utf-8' codec can't encode character '\\ud800' in position 1: "
        "surrogates not allowed.",
    ]


def test_a_locked_database_is_an_error_and_the_batch_can_be_retried(store, appender):
    assert appender.append([row("a")], {}) == []
    with closing(sqlite3.connect(store.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError) as caught:
            appender.append([row("b")], {"t": "Trace"})
        other.execute("COMMIT")
    assert str(caught.value) == (
        f"{store.path}: database is locked. Another program is writing to it. Close that program, or try again."
    )
    assert appender.append([row("b")], {"t": "Trace"}) == []
    assert (list(stored_rows(store)), names(store)) == (["a", "b"], {"t": "Trace"})


def test_a_lock_is_found_before_the_long_timeout(store, monkeypatch):
    """Reading the schema through the store's engine would wait for half a minute."""
    appender = Appender(store)
    monkeypatch.setattr(appending, "upsert_for", lambda connection: pytest.fail("the schema was read"))
    with closing(sqlite3.connect(store.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="database is locked"):
            appender.append([row("a")], {})
    assert appender.connection is None


def test_a_replaced_file_is_an_error_and_a_retry_writes_to_the_new_one(store, appender, tmp_path):
    appender.append([row("a")], {})
    Store("new.db", create=True)
    for name in ("t.db-wal", "t.db-shm"):
        (tmp_path / name).unlink()
    (tmp_path / "new.db").rename(store.path)
    with pytest.raises(StoreError) as caught:
        appender.append([row("b")], {})
    assert str(caught.value) == f"{store.path} was replaced during the write."
    assert appender.append([row("b")], {}) == []
    assert list(stored_rows(store)) == ["b"]


def test_a_missing_file_is_an_error(store, appender):
    appender.append([row("a")], {})
    store.path.unlink()
    with pytest.raises(StoreError) as caught:
        appender.append([row("b")], {})
    assert str(caught.value) == f"{store.path} no longer exists. Store('{store.path}') creates a new one."


def test_a_large_wal_is_checkpointed(store, appender, monkeypatch):
    monkeypatch.setattr(appending, "CHECKPOINT_WAL_BYTES", 100_000)
    appender.wal_limit = 100_000
    log = store.path.with_name("t.db-wal")
    sizes = []
    for number in range(60):
        appender.append([(f"{number}", "t", "ann", "desk", 0, 0, '{"text":"' + "x" * 10_000 + '"}')], {})
        sizes.append(log.stat().st_size)
    assert max(sizes) < 250_000
    assert min(sizes[20:]) == 0


def test_close_closes_the_file(store, appender, tmp_path):
    appender.append([row("a")], {})
    appender.close()
    appender.close()
    assert [path.name for path in tmp_path.iterdir()] == ["t.db"]
