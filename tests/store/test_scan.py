import json
import sqlite3
from contextlib import closing

import numpy as np
import pandas as pd
import pytest
from databases import ONE_SPAN
from hypothesis import given
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal
from sqlalchemy import event

from tokenvis import Store, load_spans
from tokenvis.spans.columns import in_frame_order, spans_frame
from tokenvis.store import scan

NAMES = st.text(st.sampled_from("ab\x1f\x1e,\x00\n'\"\\é漢😀"), max_size=4)
DATA = st.none() | st.dictionaries(NAMES, NAMES, max_size=2) | st.builds(lambda parent: {"parent_id": parent}, NAMES)
ROW = st.tuples(NAMES, NAMES, st.integers(-(2**63), 2**63 - 1) | st.integers(0, 3), st.integers(0, 3), DATA)
HUGE = "x" * 3_000


@pytest.fixture
def small_chunks(monkeypatch):
    """Chunks of one to three rows, so that a few rows are many chunks."""
    monkeypatch.setattr(scan, "FIRST_CHUNK_ROWS", 1)
    monkeypatch.setattr(scan, "MAX_CHUNK_ROWS", 3)


def stored(rows, traces=("t", "u")) -> Store:
    """A database of these rows (agent, location, start, length, data), alternating between the traces, written by plain SQL."""
    store = Store()
    with closing(sqlite3.connect(store.path)) as connection:
        connection.executemany("INSERT OR IGNORE INTO traces VALUES (?, ?)", [(name, name) for name in traces])
        connection.execute("DELETE FROM spans")
        for number, (agent, location, start, length, data) in enumerate(rows):
            text = None if data is None else json.dumps(data, ensure_ascii=number % 2 == 0)
            end = min(start + length, 2**63 - 1)
            values = (f"{agent}{number}", traces[number % len(traces)], agent, location, start, end, text)
            connection.execute("INSERT INTO spans VALUES (?, ?, ?, ?, ?, ?, ?)", values)
        connection.commit()
    return store


def read_plainly(store: Store, where: str = "") -> pd.DataFrame:
    """The expected result of `load_spans`, by one plain query with one Python object per value."""
    columns = ["id", "trace_id", "agent_id", "location_id", "start_time", "end_time", "data"]
    with closing(sqlite3.connect(store.path)) as connection:
        rows = connection.execute(f"SELECT {', '.join(columns)} FROM spans {where}").fetchall()
    values = dict(zip(columns, zip(*rows, strict=True), strict=True)) if rows else dict.fromkeys(columns, ())
    frame = spans_frame(**{name: list(column) for name, column in values.items()})
    parents = [json.loads(data).get("parent_id") if isinstance(data, str) else None for data in frame["data"]]
    if any(parent is not None for parent in parents):
        frame["parent_id"] = pd.Series(parents, dtype="str")
    return in_frame_order(frame).reset_index(drop=True)


@pytest.mark.laws
@given(st.lists(ROW, max_size=12), st.booleans())
def test_a_scan_returns_the_rows_of_a_plain_query(rows, alone):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scan, "FIRST_CHUNK_ROWS", 1)
        patch.setattr(scan, "MAX_CHUNK_ROWS", 3)
        store = stored(rows, ("t",) if alone else ("t", "u"))
        assert_frame_equal(load_spans(store=store), read_plainly(store))
        assert_frame_equal(load_spans("t", store=store), read_plainly(store, "WHERE trace_id = 't'"))


def numbered(count: int) -> list[tuple]:
    return [("ann", "desk", count - number, 5, {"n": number}) for number in range(count)]


@pytest.mark.parametrize("rowids", ["rowid * 1000", "rowid * rowid * rowid", "-rowid", "9223372036854775807 - rowid"])
def test_rowids_may_have_any_value(monkeypatch, rowids):
    monkeypatch.setattr(scan, "FIRST_CHUNK_ROWS", 8)
    monkeypatch.setattr(scan, "MAX_CHUNK_ROWS", 16)
    store = stored(numbered(60))
    with closing(sqlite3.connect(store.path)) as connection:
        connection.execute("UPDATE spans SET rowid = rowid + 1000000000")
        connection.execute(f"UPDATE spans SET rowid = {rowids.replace('rowid', '(rowid - 1000000000)')}")
        connection.commit()
    assert_frame_equal(load_spans(store=store), read_plainly(store))
    assert_frame_equal(load_spans("u", store=store), read_plainly(store, "WHERE trace_id = 'u'"))


def test_rowids_across_the_whole_int64_range_are_selected():
    store = stored(numbered(2))
    with closing(sqlite3.connect(store.path)) as connection:
        connection.execute("UPDATE spans SET rowid = -9223372036854775808 WHERE rowid = 1")
        connection.execute("UPDATE spans SET rowid = 9223372036854775807 WHERE rowid = 2")
        connection.commit()
    assert_frame_equal(load_spans(store=store), read_plainly(store))


def queries_of(store: Store, *arguments, **options) -> list[str]:
    queries = []
    event.listen(store.engine, "before_cursor_execute", lambda *given: queries.append(given[2]))
    load_spans(*arguments, **options, store=store)
    return [query for query in queries if "group_concat" in query]


def test_sparse_rowids_are_read_in_few_queries():
    store = stored(numbered(40))
    with closing(sqlite3.connect(store.path)) as connection:
        connection.execute("UPDATE spans SET rowid = rowid * 1000000")
        connection.commit()
    assert len(queries_of(store)) < 10


def test_one_trace_is_found_by_the_index():
    store = stored(numbered(40))
    first = queries_of(store, "t")[0]
    with store.engine.connect() as connection:
        plan = [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {first}", ("['t']",))]
    assert "SEARCH spans USING COVERING INDEX spans_trace_start_idx (trace_id=?)" in plan


def test_filters_apply_to_every_chunk(small_chunks):
    store = stored([(f"agent {number % 3}", f"place {number % 2}", number, 5, None) for number in range(40)])
    narrowed = load_spans("t", agents="agent 1", locations=["place 0"], start=10, end=30, store=store)
    where = "WHERE trace_id = 't' AND agent_id = 'agent 1' AND location_id = 'place 0' AND end_time > 10 AND start_time < 30"
    assert_frame_equal(narrowed, read_plainly(store, where))
    assert len(narrowed)


def test_rows_too_large_for_one_text_are_read_one_by_one():
    store = stored([("ann", "desk", number, 5, {"text": HUGE}) for number in range(20)])

    @event.listens_for(store.engine, "connect")
    def limit(connection, _):
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 8_000)

    assert_frame_equal(load_spans(store=store), read_plainly(store))


def test_chunks_are_smaller_for_large_rows(monkeypatch):
    monkeypatch.setattr(scan, "MAX_CHUNK_BYTES", 50_000)
    store = stored([("ann", "desk", number, 5, {"text": HUGE}) for number in range(3_000)])
    assert len(queries_of(store)) > 100
    assert_frame_equal(load_spans(store=store), read_plainly(store))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("agent_id = x'61'", "agent_id is b'a' in the database, not a text"),
        ("location_id = CAST(x'61ff' AS TEXT)", r"location_id is b'a\xff' in the database, not a text"),
        ("id = CAST(x'80' AS TEXT)", r"id is b'\x80' in the database, not a text"),
    ],
)
def test_values_that_the_constraints_allow_can_be_faults(small_chunks, change, reason):
    store = stored(numbered(10))
    with closing(sqlite3.connect(store.path)) as connection:
        connection.execute(f"UPDATE spans SET {change} WHERE start_time = 5")
        connection.commit()
    columns = store.select_spans(None)
    assert [fault.reason for fault in columns.faults] == [reason]
    assert sorted(columns.values["start_time"].tolist()) == [1, 2, 3, 4, 6, 7, 8, 9, 10]


def test_an_empty_result_has_arrays_of_each_type():
    columns = Store().select_spans(None)
    assert {name: str(values.type if name in ("id", "data") else values.dtype) for name, values in columns.values.items()} == {
        "id": "large_string", "trace_id": "int32", "agent_id": "int32", "location_id": "int32", "data": "large_string",
        "start_time": "int64", "end_time": "int64",
    }  # fmt: skip
    assert isinstance(columns.values["start_time"], np.ndarray)


def test_a_trace_with_gaps_between_its_rowids_is_read_as_a_range():
    store = Store()
    spans = pd.DataFrame([{**ONE_SPAN, "id": f"{number:04d}"} for number in range(3_000)])
    store.add_spans("t", spans)
    store.add_spans("t", spans.iloc[::3].assign(end_time=9))
    queries = []
    event.listen(store.engine, "before_cursor_execute", lambda *given: queries.append(given[2]))
    assert load_spans("t", store=store)["end_time"].sum() == 1_000 * 9 + 2_000 * 5
    assert not any("json_each" in query for query in queries if "group_concat" in query)
    store.add_spans("u", [{**ONE_SPAN, "id": "another"}])
    assert len(load_spans("t", store=store)) == 3_000
    assert load_spans("u", store=store)["id"].tolist() == ["another"]
