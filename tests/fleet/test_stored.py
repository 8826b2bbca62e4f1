import pickle
import sqlite3

import pytest
from conftest import spans_of
from exports import expected_rows, hostile_spans

from tokenvis import BadSpan, Store, TraceNotFound, load_spans
from tokenvis.fleet.sources.stored import FrameSource, StoreSource, parts_of_sizes
from tokenvis.formats.export import checked_spans
from tokenvis.spans.columns import as_spans

SPANS = spans_of("ann 0 10 desk", "bob 5 5 lab u", "ann 5 20 desk")


def store_of(spans):
    store = Store("a.db")
    store.add_traces(spans, {})
    return store


def rows_of(table):
    return expected_rows(as_spans(table.to_pandas().drop(columns="parent_id", errors="ignore")))


def sources():
    spans = as_spans(hostile_spans())
    yield StoreSource(store_of(spans)), load_spans(store="a.db")
    yield FrameSource(checked_spans(spans)), spans


def test_parts_have_all_spans_of_their_traces():
    for source, spans in sources():
        parts = source.parts(5)
        assert [part.n_spans for part in parts] == [len(source.read(part)) for part in parts]
        assert sorted(row["id"] for part in parts for row in rows_of(source.read(part))) == sorted(spans["id"])
        assert rows_of(source.table_of(spans["trace_id"].unique())) == expected_rows(spans)


def test_rows_are_sorted_by_trace_and_time():
    for source in (StoreSource(store_of(SPANS)), FrameSource(checked_spans(SPANS))):
        assert source.table_of(["u", "t"])["id"].to_pylist() == ["a", "c", "b"]
        assert source.traces()[["id", "n_spans"]].values.tolist() == [["u", 1], ["t", 2]]


def test_a_store_is_pickled_by_its_path():
    source = pickle.loads(pickle.dumps(StoreSource(store_of(SPANS))))
    assert len(source.table_of(["t"])) == 2
    assert str(source) == str(Store("a.db").path)


def test_a_trace_that_is_not_there_is_named():
    store = store_of(SPANS)
    with pytest.raises(TraceNotFound, match=r"^No trace 'x'\. This store has: 't', 'u'\.$"):
        StoreSource(store).table_of(["x"])
    with pytest.raises(TraceNotFound, match=r"^No trace 'x'\. These spans have: 't', 'u'\.$"):
        FrameSource(checked_spans(SPANS)).table_of(["x"])
    store.write_trace("v", [], name="x")
    store.write_trace("w", spans_of("ann 0 1 desk").assign(id="z").drop(columns="trace_id"), name="x")
    with pytest.raises(TraceNotFound, match=r"^No trace has the id 'x'\. This store has: 'w'\.$"):
        StoreSource(store).table_of(["x"])


def test_a_bad_row_of_another_program_is_an_error():
    with sqlite3.connect("a.db") as connection:
        connection.execute("CREATE TABLE traces (id TEXT PRIMARY KEY, name TEXT)")
        connection.execute(
            "CREATE TABLE spans (id TEXT, trace_id TEXT, agent_id TEXT, location_id TEXT, start_time, end_time, data)"
        )
        connection.execute("INSERT INTO traces VALUES ('t', 't')")
        connection.execute("INSERT INTO spans VALUES ('a', 't', 'ann', 'desk', 1.5, 2, NULL)")
    connection.close()
    with pytest.raises(BadSpan, match="has 1 row with invalid values"):
        StoreSource(Store("a.db")).table_of(["t"])


def test_parts_skip_traces_without_spans():
    assert parts_of_sizes(["a", "b", "c", "d"], [0, 3, 2, 9], 5) == [(["b", "c"], 5, None), (["d"], 9, None)]
    assert parts_of_sizes([], [], 5) == []
