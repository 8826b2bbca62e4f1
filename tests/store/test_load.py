import numpy as np
import pandas as pd
import pytest
from conftest import spans_frames, spans_of
from hypothesis import given
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal
from sqlalchemy import event

from tokenvis import BadOption, Store, StoreNotFound, TraceNotFound, load_spans, load_traces
from tokenvis.spans.columns import COLUMNS, as_spans, empty_spans


@pytest.fixture
def store() -> Store:
    """Two traces of spans a to d and e, and one without spans."""
    store = Store()
    spans = spans_of("ann 0 10 desk", "bob 5 5 lab", "ann 10 20 lab", "eve 3 30 desk", "ann 100 101 desk u")
    store.write_trace("t", spans[spans["trace_id"] == "t"], name="Release")
    store.write_trace("u", spans[spans["trace_id"] == "u"], name="Release")
    store.write_trace("empty", [])
    return store


def ids(*arguments, **options) -> str:
    return "".join(load_spans(*arguments, **options)["id"])


def test_traces_are_listed_newest_first(store):
    traces = load_traces(store=store)
    assert {name: str(dtype) for name, dtype in traces.dtypes.items()} == {
        "id": "str",
        "name": "str",
        "n_spans": "int64",
        "start_time": "Int64",
    }
    assert traces.to_numpy().tolist() == [["u", "Release", 1, 100], ["t", "Release", 4, 0], ["empty", "empty", 0, pd.NA]]


def test_details_count_agents_and_locations(store):
    traces = load_traces(details=True, store=store)
    assert {name: str(dtype) for name, dtype in traces.dtypes.items()}["n_agents"] == "int64"
    assert traces.iloc[:, 3:].to_numpy().tolist() == [[100, 101, 1, 1], [0, 30, 3, 2], [pd.NA, pd.NA, 0, 0]]


def test_a_large_start_is_exact_beside_a_trace_without_spans(store):
    store.write_trace("u", [{**ONE, "id": "late", "start_time": 2**63 - 1, "end_time": 2**63 - 1}])
    assert load_traces(store=store)["start_time"].tolist() == [2**63 - 1, 0, pd.NA]


def test_traces_are_listed_by_the_index_alone(store):
    queries = []
    event.listen(store.engine, "before_cursor_execute", lambda *given: queries.append(given[2]))
    load_traces(store=store)
    query = next(query for query in queries if query.startswith("SELECT traces"))
    with store.engine.connect() as connection:
        plan = [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {query}")]
    assert {step for step in plan if "spans" in step} == {
        "SEARCH spans USING COVERING INDEX spans_trace_start_idx (trace_id=?)"
    }


def test_a_store_without_traces_lists_none():
    Store("new.db").close()
    assert load_traces(details=True, store="new.db").dtypes.astype("str").tolist() == [
        "str", "str", "int64", "Int64", "Int64", "int64", "int64"
    ]  # fmt: skip


def test_spans_are_selected_by_id_or_name_or_all_are_loaded(store):
    assert ids("t", store=store) == "adbc"
    assert ids("Release", store=store) == "adbce"
    assert ids(["u", "t", "u"], store=store) == "adbce"
    assert ids(("empty",), store=store) == ""
    assert ids([], store=store) == ""
    assert ids(store=store) == "adbce"


def test_an_id_comes_before_a_name():
    store = Store()
    store.write_trace("one", [{**ONE, "id": "1"}], name="two")
    store.write_trace("two", [{**ONE, "id": "2"}], name="three")
    assert ids("two", store=store) == "2"


ONE = {"agent_id": "ann", "location_id": "desk", "start_time": 0, "end_time": 5}


def test_the_error_for_an_unknown_trace_lists_similar_names():
    store = Store()
    for number in range(12):
        store.write_trace(f"run-{number}", [])
    store.write_trace("kitchen-sink", [], name="Kitchen")
    with pytest.raises(TraceNotFound) as error:
        load_spans("kitchen", store=store)
    rest = ", ".join(repr(f"run-{number}") for number in (0, 1, 10, 11, 2, 3))
    assert str(error.value) == f"No trace 'kitchen'. This store has: 'Kitchen', 'kitchen-sink', {rest} and 6 more."
    with pytest.raises(TraceNotFound, match=r"^No trace 'gone'\. This store has: "):
        load_spans(["run-1", "gone"], store=store)
    Store("none.db").close()
    with pytest.raises(TraceNotFound, match=r"^No trace 'gone'\. This store has: none\.$"):
        load_spans("gone", store="none.db")


def test_a_similar_name_is_suggested_and_all_traces_are_counted():
    store = Store()
    with store.engine.begin() as connection:
        traces = [(f"{number:08x}", f"Session {number}") for number in range(3_000)]
        connection.exec_driver_sql("INSERT INTO traces VALUES (?, ?)", traces)
        connection.exec_driver_sql("INSERT INTO traces VALUES ('00000000-f3a1', 'Fix the login page')")
    with pytest.raises(TraceNotFound) as error:
        load_spans("Fix the login pag", store=store)
    rest = ", ".join(repr(f"{number:08x}") for number in range(7))
    assert str(error.value) == f"No trace 'Fix the login pag'. This store has: 'Fix the login page', {rest} and 2,993 more."


def test_agents_and_locations_filter_the_spans(store):
    assert ids("t", agents="ann", store=store) == "ac"
    assert ids("t", agents=["ann", "bob"], locations=("lab",), store=store) == "bc"
    assert ids("t", agents=[], store=store) == ""
    many = [f"agent {number}" for number in range(50_000)]
    with pytest.raises(BadOption, match=r"^The traces have no agents 'agent 0', .* and 49,992 more\. They have: "):
        ids("t", agents=[*many, "eve"], store=store)


def test_an_invalid_time_or_name_is_refused(store):
    assert len(load_spans("t", start=np.int64(6), store=store)) == 3
    for wrong in (1.5, "now", 2**63, pd.Timestamp(0)):
        with pytest.raises(BadOption, match=r"^start=.* is not a 64-bit integer of microseconds\.$"):
            load_spans("t", start=wrong, store=store)
    with pytest.raises(BadOption, match=r"^end=nan is not a 64-bit integer of "):
        load_spans("t", end=float("nan"), store=store)
    with pytest.raises(BadOption, match=r"^trace=7 is neither a name nor a list of names\.$"):
        load_spans(7, store=store)
    with pytest.raises(BadOption, match=r"^agents=\[7\] is neither a name nor a list of names\.$"):
        load_spans("t", agents=[7], store=store)


def test_categories_are_only_the_loaded_agents(store):
    assert load_spans("t", agents="ann", store=store)["agent_id"].cat.categories.tolist() == ["ann"]


def test_an_instant_is_in_the_window_that_starts_with_it_and_not_in_the_previous_one(store):
    assert ids("t", start=5, end=6, store=store) == "adb"
    assert ids("t", start=4, end=5, store=store) == "ad"
    assert ids("t", start=5, end=5, store=store) == ""


@pytest.mark.laws
@given(spans_frames(n_traces=1), st.none() | st.integers(-1, 14), st.none() | st.integers(-1, 14))
def test_a_window_selects_the_spans_that_touch_it(spans, start, end):
    store = Store()
    store.write_trace("t", spans)

    def touches(row) -> bool:
        times = set(range(row.start_time, row.end_time)) or {row.start_time}
        return any((start is None or start <= time) and (end is None or time < end) for time in times)

    assert set(ids("t", start=start, end=end, store=store)) == {row.id for row in spans.itertuples() if touches(row)}


def test_parent_id_is_a_column_if_any_span_has_a_parent():
    store = Store()
    store.write_trace("t", [{**ONE, "id": "a"}, {**ONE, "id": "b", "data": {"parent_id": "a"}}])
    store.write_trace("u", [{**ONE, "id": "c", "data": {"label": "no parent_id"}}])
    assert load_spans("t", store=store)["parent_id"].fillna("-").tolist() == ["-", "a"]
    assert str(load_spans("t", store=store)["parent_id"].dtype) == "str"
    assert load_spans("u", store=store).columns.tolist() == list(COLUMNS)


def test_a_parent_with_a_lone_surrogate_is_loaded():
    store = Store()
    store.write_trace("t", [{**ONE, "id": "a", "data": {"parent_id": "\ud800"}}])
    assert load_spans("t", store=store)["parent_id"].tolist() == ["\N{REPLACEMENT CHARACTER}"]


def test_an_empty_result_has_the_same_columns_and_types(store):
    for nothing in (
        load_spans("empty", store=store),
        load_spans([], store=store),
        load_spans("t", agents=[], store=store),
    ):
        assert_frame_equal(nothing, empty_spans())
    assert {nothing[name].dtype.storage for name in ("id", "data")} == {"pyarrow"}


def test_a_store_may_be_a_store_a_path_or_a_url(store):
    expected = load_spans("t", store=store)
    for place in (None, str(store.path), store.path, f"sqlite:///{store.path}"):
        assert_frame_equal(load_spans("t", store=place), expected)
    assert_frame_equal(as_spans(expected), expected)


@pytest.mark.parametrize("load", [load_spans, load_traces])
def test_loading_creates_no_database(tmp_path, load):
    with pytest.raises(StoreNotFound) as error:
        load()
    assert str(error.value) == (
        f"There is no database at {tmp_path / 'sqlite.db'}. `tokenvis seed` creates one with two demo traces, "
        "`tokenvis ingest PATH` one with your traces; or set $TOKENVIS_DATABASE to use another one."
    )
    assert list(tmp_path.iterdir()) == []


def test_a_frame_has_the_names_of_its_traces_if_they_are_not_ids(store):
    store.write_trace("plain", spans_of("eve 0 1 desk plain").assign(id="f"))
    assert "trace_name" not in load_spans("plain", store=store)
    spans = load_spans(["t", "plain"], store=store)
    names = spans.groupby("trace_id", observed=True)["trace_name"].agg(set).to_dict()
    assert names == {"t": {"Release"}, "plain": {"plain"}}
    assert spans.columns[-1] == "trace_name"


def test_a_loaded_frame_is_written_with_the_name_of_its_trace(store, tmp_path):
    copy, spans = Store(tmp_path / "copy.db"), load_spans("t", store=store)
    copy.write_trace("t", spans)
    assert load_traces(store=copy)["name"].tolist() == ["Release"]
    copy.add_spans("t", spans, name="Renamed")
    copy.write_trace("t", spans)
    assert load_traces(store=copy)["name"].tolist() == ["Renamed"]
