"""Lookup: names that are not there are an error, not an empty frame; the list of traces is the same without the index."""

from pathlib import Path

import pytest
from databases import UNCHECKED, with_sql
from sqlalchemy import event

from tokenvis import BadOption, Store, TraceNotFound, load_spans, load_traces

KITCHEN = [
    {"id": "1", "agent_id": "Ann", "location_id": "desk", "start_time": 0, "end_time": 5},
    {"id": "2", "agent_id": "Bob", "location_id": "lab", "start_time": 10, "end_time": 15},
]
THREE_SPANS = [
    {"id": "a", "trace_id": "t", "agent_id": "ann", "location_id": "desk", "start_time": 5, "end_time": 9},
    {"id": "b", "trace_id": "t", "agent_id": "bob", "location_id": "desk", "start_time": 3, "end_time": 4},
    {"id": "c", "trace_id": "u", "agent_id": "ann", "location_id": "lab", "start_time": 7, "end_time": 7},
]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ({"agents": "Anna"}, "The traces have no agents 'Anna'. They have: 'Ann', 'Bob'."),
        ({"agents": ["Bob", "bob", "Zoe"]}, "The traces have no agents 'Zoe', 'bob'. They have: 'Bob', 'Ann'."),
        ({"locations": "labs", "start": 0, "end": 5}, "The traces have no locations 'labs'. They have: 'lab', 'desk'."),
        ({"agents": "Ann", "locations": "roof"}, "The traces have no locations 'roof'. They have: 'desk', 'lab'."),
    ],
)
def test_an_unknown_agent_or_location_is_an_error_with_the_nearest_names(names, message):
    Store().write_trace("t", KITCHEN)
    with pytest.raises(BadOption) as error:
        load_spans("t", **names)
    assert str(error.value) == message


def test_an_agent_without_spans_in_the_window_gives_an_empty_frame():
    Store().write_trace("t", KITCHEN)
    Store().write_trace("u", [{**KITCHEN[0], "id": "u", "agent_id": "Cid"}])
    assert load_spans("t", agents="Bob", end=5).empty
    assert load_spans("t", agents="Bob", locations="desk").empty
    assert load_spans("t", agents=[]).empty
    assert load_spans(agents=["Ann", "Cid"])["id"].tolist() == ["1", "u"]
    with pytest.raises(BadOption, match=r"^The traces have no agents 'Cid'\. They have: 'Ann', 'Bob'\.$"):
        load_spans("t", agents=["Ann", "Cid"])


def test_hostile_names_are_compared_quickly():
    names = [f"{'x' * 9_990}{number:010}" for number in range(300)]
    rows = [{**KITCHEN[0], "id": name[-10:], "agent_id": name} for name in names]
    Store().write_trace("t", rows)
    with pytest.raises(BadOption, match=r"^The traces have no agents 'x{60}'… \(9,990 characters\)\. They have: 'x{60}'… "):
        load_spans("t", agents="x" * 9_990)


def test_traces_whose_ids_are_not_texts_are_listed():
    store = Store(
        with_sql(Path("theirs.db"), "CREATE TABLE traces (id, name)", UNCHECKED[1], "INSERT INTO traces VALUES (7, x'ff')")
    )
    with pytest.raises(TraceNotFound, match=r"^No trace 't'\. This store has: 7\.$"):
        load_spans("t", store=store)


@pytest.mark.parametrize("has_index", [True, False])
def test_the_list_is_the_same_without_the_index(has_index):
    store = Store()
    store.add_traces(THREE_SPANS, {"t": "T"})
    store.write_trace("empty", [])
    if not has_index:
        with_sql(store.path, "DROP INDEX spans_trace_start_idx")
    assert load_traces(store=store).fillna(-1).to_numpy().tolist() == [
        ["u", "u", 1, 7],
        ["t", "T", 2, 3],
        ["empty", "empty", 0, -1],
    ]
    assert load_traces(store=store, details=True).fillna(-1).to_numpy().tolist() == [
        ["u", "u", 1, 7, 7, 1, 1],
        ["t", "T", 2, 3, 9, 2, 1],
        ["empty", "empty", 0, -1, -1, 0, 0],
    ]


def test_without_the_index_one_scan_reads_all_spans():
    store, plans = Store(), []
    store.add_traces(THREE_SPANS, {})
    with_sql(store.path, "DROP INDEX spans_trace_start_idx")

    @event.listens_for(store.engine, "before_cursor_execute")
    def explain(connection, cursor, statement, *_):
        if "FROM traces" in statement:
            plans.extend(row[3] for row in cursor.execute(f"EXPLAIN QUERY PLAN {statement}", [0] * statement.count("?")))

    load_traces(store=store)
    assert sum(step == "SCAN spans" for step in plans) == 1
    assert not [step for step in plans if "CORRELATED" in step]
