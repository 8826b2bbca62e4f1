"""The list of traces is the same with and without the index, and never scans the spans once for each trace."""

import pytest
from databases import with_sql
from sqlalchemy import event

from tokenvis import Store, load_traces

ROWS = [
    {"id": "a", "trace_id": "t", "agent_id": "ann", "location_id": "desk", "start_time": 5, "end_time": 9},
    {"id": "b", "trace_id": "t", "agent_id": "bob", "location_id": "desk", "start_time": 3, "end_time": 4},
    {"id": "c", "trace_id": "u", "agent_id": "ann", "location_id": "lab", "start_time": 7, "end_time": 7},
]


@pytest.mark.parametrize("has_index", [True, False])
def test_the_list_is_the_same_without_the_index(has_index):
    store = Store()
    store.add_traces(ROWS, {"t": "T"})
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
    store.add_traces(ROWS, {})
    with_sql(store.path, "DROP INDEX spans_trace_start_idx")

    @event.listens_for(store.engine, "before_cursor_execute")
    def explain(connection, cursor, statement, *_):
        if "FROM traces" in statement:
            plans.extend(row[3] for row in cursor.execute(f"EXPLAIN QUERY PLAN {statement}", [0] * statement.count("?")))

    load_traces(store=store)
    assert sum(step == "SCAN spans" for step in plans) == 1
    assert not [step for step in plans if "CORRELATED" in step]
