"""Windows: found by the indexes, they have the same spans as a scan, with less work."""

import logging
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from databases import ONE_SPAN, ORIGINAL, with_sql
from hypothesis import given
from hypothesis import strategies as st

from tokenvis import Store, StoreError, StoreNotFound, load_spans
from tokenvis.spans.columns import as_spans
from tokenvis.store import add_window_index, verify, windows
from tokenvis.store.windows import INDEX_COLUMNS, WINDOW_INDEX

NOON = "INSERT INTO spans VALUES ('noon', 'old', 'Ann', 'Kitchen', 'noon', 5, NULL)"
TRACES = ["t", "u", "ü'\"x"]
FAR = st.sampled_from([-(2**63), -(2**62), -(16**9), 0, 16**9, 2**62, 2**63 - 1])
NEAR = st.integers(0, 12)
DURATIONS = st.sampled_from([0, 1, 255, 256, 257, 16**3 - 1, 16**3, 16**5, 16**9, 2**62, 2**63 - 1, 2**64])
TIMES = st.builds(lambda far, near: max(-(2**63), min(2**63 - 1, far + near)), FAR, NEAR)


@st.composite
def spans_of_all_times(draw):
    """Rows of spans with instants, ties, and all durations that 64 bits can have, in several traces."""
    starts = draw(st.lists(st.tuples(st.sampled_from(TRACES), st.sampled_from("ab"), TIMES, DURATIONS | NEAR), max_size=12))
    return [
        {
            **ONE_SPAN,
            "id": f"s{number}",
            "trace_id": trace,
            "agent_id": agent,
            "start_time": start,
            "end_time": min(2**63 - 1, start + duration),
        }
        for number, (trace, agent, start, duration) in enumerate(starts)
    ]


def touches(span: dict, start: int | None, end: int | None) -> bool:
    """Whether a span touches the window [start, end)."""
    if start is not None and end is not None and start >= end:
        return False
    begins = start is None or span["end_time"] > start or span["start_time"] >= start
    return begins and (end is None or span["start_time"] < end)


def indexes(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        found = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL ORDER BY name")
        return [name for [name] in found]


@pytest.mark.laws
@given(spans_of_all_times(), st.none() | TIMES, st.none() | TIMES, st.none() | st.sets(st.sampled_from(TRACES), min_size=1))
def test_a_window_has_the_spans_that_touch_it_with_the_index_and_without(spans, start, end, traces):
    Path("law.db").unlink(missing_ok=True)
    store = Store("law.db")
    for trace in TRACES:
        store.write_trace(trace, [span for span in spans if span["trace_id"] == trace])
    expected = {span["id"] for span in spans if span["trace_id"] in (traces or TRACES) and touches(span, start, end)}
    assert set(load_spans(traces, start=start, end=end, store=store)["id"]) == expected
    add_window_index(store.path)
    assert set(load_spans(traces, start=start, end=end, store=store)["id"]) == expected
    agents = {span["agent_id"] for span in spans if span["trace_id"] in (traces or TRACES)}
    for agent in agents:
        of_agent = {span["id"] for span in spans if span["id"] in expected and span["agent_id"] == agent}
        assert set(load_spans(traces, start=start, end=end, agents=agent, store=store)["id"]) == of_agent
    assert verify(store.path).findings == []


@pytest.fixture
def long_store() -> Store:
    """A trace of 3,000 spans of 1 µs, 10 µs apart, below a root span of the whole time; and an instant before them."""
    store = Store()
    short = [{**ONE_SPAN, "id": f"s{n}", "start_time": 10 * n, "end_time": 10 * n + 1} for n in range(3_000)]
    root = {**ONE_SPAN, "id": "root", "start_time": 0, "end_time": 30_000}
    store.write_trace("t", [root, {**ONE_SPAN, "id": "instant", "start_time": 10_000, "end_time": 10_000}, *short])
    add_window_index(store.path)
    return store


@pytest.mark.parametrize("trace", ["t", None])
def test_a_window_is_read_without_a_scan_of_its_trace(long_store, trace):
    with long_store._reading() as connection:
        rows = windows.rows_to_read(connection, long_store.path, trace and [trace], (10_000, 10_011))
        query = " UNION ALL ".join(windows.window_queries(f"trace_id IN ({windows.TRACES_GIVEN})", 10_000, 10_011))
        values = {"traces": '["t"]', "start": 10_000, "end": 10_011}
        plan = [row[3] for row in connection.connection.driver_connection.execute(f"EXPLAIN QUERY PLAN {query}", values)]
    assert len(rows) == 4
    times = "start_time>? AND start_time<?)"
    assert [step for step in plan if "spans" in step] == [
        f"SEARCH spans USING COVERING INDEX spans_trace_start_idx (trace_id=? AND {times}",
        f"SEARCH spans USING INDEX spans_trace_start_idx (trace_id=? AND {times}",
        f"SEARCH spans USING COVERING INDEX spans_trace_duration_idx (trace_id=? AND <expr>=? AND {times}",
    ]
    found = load_spans(trace, start=10_000, end=10_011, store=long_store)["id"].tolist()
    assert found == ["root", "instant", "s1000", "s1001"]


def test_a_window_of_most_of_a_trace_is_scanned(long_store):
    with long_store._reading() as connection:
        rows = windows.rows_to_read(connection, long_store.path, ["t"], (0, 20_000))
    assert rows == range(1, 3_003)
    assert len(load_spans("t", start=0, end=20_000, store=long_store)) == 2_002


def test_a_window_of_many_traces_is_scanned(long_store, monkeypatch):
    monkeypatch.setattr(windows, "MIN_ROWS_FOUND", 20)
    long_store.write_trace("u", [{**ONE_SPAN, "id": f"u{n}", "end_time": 1_000} for n in range(100)])
    long_store.add_traces(as_spans([{**ONE_SPAN, "id": f"v{n}", "trace_id": f"v{n}"} for n in range(20)]), {})
    traces = ["t", "u", *(f"v{n}" for n in range(20))]
    for given_traces in (None, traces):
        with long_store._reading() as connection:
            assert isinstance(windows.rows_to_read(connection, long_store.path, given_traces, (999, 1_000)), range)
        assert len(load_spans(given_traces, start=999, end=1_000, store=long_store)) == 101


def test_a_window_of_a_trace_with_a_null_character_is_scanned(long_store):
    long_store.write_trace("n\x00", [{**ONE_SPAN, "id": "n"}])
    assert load_spans("n\x00", start=0, end=1, store=long_store)["id"].tolist() == ["n"]
    assert load_spans(["n\x00", "t"], start=0, end=1, store=long_store)["id"].tolist() == ["s0", "n", "root"]
    assert load_spans(start=0, end=1, store=long_store)["id"].tolist() == ["s0", "n", "root"]


def test_a_small_file_has_no_index_of_long_spans():
    store = Store()
    store.write_trace("t", [ONE_SPAN])
    Store(store.path)
    assert indexes(store.path) == ["spans_trace_start_idx"]


def test_a_write_of_a_large_part_of_a_large_file_adds_the_index(monkeypatch):
    monkeypatch.setattr(windows, "MIN_INDEXED_SPANS", 20)
    for write in (Store.write_trace, Store.add_spans):
        store = Store(f"{write.__name__}.db")
        for number in range(25):
            write(store, f"t{number}", [{**ONE_SPAN, "id": f"s{number}"}])
        assert indexes(store.path) == ["spans_trace_start_idx"]
        write(store, "new", [{**ONE_SPAN, "id": f"n{n}"} for n in range(3)])
        assert indexes(store.path) == [WINDOW_INDEX, "spans_trace_start_idx"]
    store = Store("traces.db")
    store.add_traces(as_spans([{**ONE_SPAN, "id": f"s{n}", "trace_id": f"t{n}"} for n in range(20)]), {})
    assert indexes(store.path) == [WINDOW_INDEX, "spans_trace_start_idx"]


def test_a_write_is_kept_if_the_index_cannot_be_added(monkeypatch):
    monkeypatch.setattr(windows, "MIN_INDEXED_SPANS", 20)
    monkeypatch.setattr(windows, "INDEX_COLUMNS", "spans (trace_id, no_such_column)")
    store = Store()
    store.write_trace("t", [{**ONE_SPAN, "id": f"s{n}"} for n in range(20)])
    assert len(load_spans("t", store=store)) == 20
    assert indexes(store.path) == ["spans_trace_start_idx"]


def test_a_write_that_is_rolled_back_with_the_index_is_an_error(monkeypatch):
    def roll_back(driver):
        driver.execute("ROLLBACK")
        raise sqlite3.OperationalError("database or disk is full")

    store = Store()
    monkeypatch.setattr(windows, "MIN_INDEXED_SPANS", 20)
    monkeypatch.setattr(windows, "create_window_index", roll_back)
    with pytest.raises(StoreError) as error:
        store.write_trace("t", [{**ONE_SPAN, "id": f"s{n}"} for n in range(20)])
    assert str(error.value) == f"{store.path}: database or disk is full."
    assert len(load_spans(store=store)) == 0


def test_opening_a_file_of_medium_size_for_writing_adds_the_index(monkeypatch):
    store = Store()
    store.write_trace("t", [{**ONE_SPAN, "id": f"s{n}"} for n in range(20)])
    monkeypatch.setattr(windows, "MIN_INDEXED_SPANS", 20)
    load_spans("t", start=0, store=store.path)
    assert indexes(store.path) == ["spans_trace_start_idx"]
    with closing(sqlite3.connect(store.path)) as other:
        other.execute("BEGIN IMMEDIATE")
        Store(store.path)  # does not wait for the other writer
    assert indexes(store.path) == ["spans_trace_start_idx"]
    for _ in range(2):
        Store(store.path)
        assert indexes(store.path) == [WINDOW_INDEX, "spans_trace_start_idx"]


def test_a_large_file_without_the_index_is_scanned_and_reported_once(monkeypatch, caplog):
    store = Store(Path("large.db").absolute())
    store.write_trace("t", [{**ONE_SPAN, "id": f"s{n}"} for n in range(20)])
    monkeypatch.setattr(windows, "MIN_INDEXED_SPANS", 5)
    monkeypatch.setattr(windows, "MAX_INDEXED_AT_OPENING", 10)
    Store(store.path)
    assert indexes(store.path) == ["spans_trace_start_idx"]
    with caplog.at_level(logging.WARNING, "tokenvis"):
        for _ in range(2):
            assert len(load_spans("t", start=4, end=5, store=store.path)) == 20
        load_spans("t", store=store.path)
    assert caplog.messages == [
        f"{store.path} has no index of long spans, so loading a window takes a scan of its trace. "
        f"tokenvis.store.add_window_index({str(store.path)!r}) adds it, in about three seconds per million spans."
    ]
    assert add_window_index(store.path) == store.path
    assert indexes(store.path) == [WINDOW_INDEX, "spans_trace_start_idx"]


def test_an_index_of_another_name_is_used_and_a_taken_name_is_avoided():
    store = Store()
    store.write_trace("t", [ONE_SPAN])
    with_sql(store.path, f"CREATE INDEX {WINDOW_INDEX} ON spans (agent_id)")
    for _ in range(2):
        add_window_index(store.path)
        assert indexes(store.path) == [WINDOW_INDEX, f"{WINDOW_INDEX}_", "spans_trace_start_idx"]
    with_sql(store.path, f"DROP INDEX {WINDOW_INDEX}_", f"CREATE INDEX theirs ON {INDEX_COLUMNS}")
    add_window_index(store.path)
    assert indexes(store.path) == [WINDOW_INDEX, "spans_trace_start_idx", "theirs"]


def test_spans_of_another_program_are_scanned_and_not_indexed():
    path = with_sql(
        Path("theirs.db").absolute(), *ORIGINAL, "INSERT INTO spans VALUES ('x', 'old', 'Ann', 'Kitchen', 'noon', 5, NULL)"
    )
    with pytest.raises(StoreError) as error:
        add_window_index(path)
    assert str(error.value) == (
        f"{path} has a table of spans that another program made, whose windows are scanned: "
        "copy its rows into the tables of a new Store."
    )
    with_sql(path, f"CREATE INDEX theirs ON {INDEX_COLUMNS}")
    with pytest.warns(UserWarning, match="start_time is 'noon' in the database"):
        spans = load_spans("old", start=1, store=path, skip_bad=True)
    assert spans["id"].tolist() == ["old/1", "old/2"]


def test_a_missing_database_cannot_be_indexed(tmp_path):
    with pytest.raises(StoreNotFound) as error:
        add_window_index(tmp_path / "none.db")
    assert str(error.value) == f"There is no database at {tmp_path / 'none.db'} to index."


def test_a_follower_of_a_file_that_gets_the_index_misses_nothing(long_store):
    with_sql(long_store.path, f"DROP INDEX {WINDOW_INDEX}")
    before = long_store.select_changes(["t"])
    add_window_index(long_store.path)
    long_store.add_spans("t", [{**ONE_SPAN, "id": "late"}])
    changes = long_store.select_changes(["t"], before.watermark)
    assert changes.is_complete
    assert len(changes.columns.values["id"]) == 3_003
