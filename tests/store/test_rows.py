import json
import sqlite3
from contextlib import closing

import numpy as np
import pandas as pd
import pytest
from databases import ONE_SPAN, ORIGINAL, UNCHECKED, one_trace, rows, with_sql

from tokenvis import BadSpan, MissingColumn, Store, load_spans, load_traces


@pytest.fixture
def store() -> Store:
    return one_trace()


@pytest.mark.parametrize(
    "changed",
    [{"agent_id": "bob"}, {"location_id": "lab"}, {"start_time": -1}, {"end_time": 6}, {"data": {}}],
    ids=str,
)
def test_a_change_of_any_column_is_an_update(store, changed):
    assert store.add_spans("t", [{**ONE_SPAN, **changed}])[2:] == (0, 1, 0, 0)
    assert store.add_spans("t", [{**ONE_SPAN, **changed}])[2:] == (0, 0, 1, 0)


@pytest.mark.parametrize("method", ["write_trace", "add_spans"])
def test_an_id_of_another_trace_is_refused_and_nothing_changes(store, method):
    before = rows(store)
    with pytest.raises(BadSpan, match=r"^Span 's' belongs to trace 't' and cannot also belong to trace 'u'\.$"):
        getattr(store, method)("u", [{**ONE_SPAN, "id": "a"}, ONE_SPAN, {**ONE_SPAN, "id": "z"}])
    assert rows(store) == before
    assert load_traces(store=store)["id"].tolist() == ["t"]


@pytest.mark.parametrize("method", ["write_trace", "add_spans"])
@pytest.mark.parametrize(
    ("spans", "error", "message"),
    [
        (
            [{**ONE_SPAN, "id": "a"}, {**ONE_SPAN, "id": "a"}],
            BadSpan,
            r"^Span 'a' of trace 't' is given twice\. Every span needs a unique id\.$",
        ),
        ([{**ONE_SPAN, "start_time": 6}], BadSpan, r"^Span 's' of trace 't' ends at 5 before it starts at 6\.$"),
        (
            [{**ONE_SPAN, "data": {"x": float("nan")}}],
            BadSpan,
            r"^data of span 's' of trace 't' is not a JSON object: \{'x': nan\} "
            r"\(Out of range float values are not JSON compliant.*\)\.$",
        ),
        (
            [{**ONE_SPAN, "data": []}],
            BadSpan,
            r"^data of span 's' of trace 't' is not a JSON object: \[\] \(it is of type list\)\.$",
        ),
        (
            [{**ONE_SPAN, "data": [None]}],
            BadSpan,
            r"^data of span 's' of trace 't' is not a JSON object: \[None\] \(it is of type list\)\.$",
        ),
        (
            [{**ONE_SPAN, "data": [1, 2]}],
            BadSpan,
            r"^data of span 's' of trace 't' is not a JSON object: \[1, 2\] \(it is of type list\)\.$",
        ),
        (
            [{**ONE_SPAN, "data": "{"}],
            BadSpan,
            r"^data of span 's' of trace 't' is not a JSON object: '\{' "
            r"\(Expecting property name enclosed in double quotes: .*\)\.$",
        ),
        (
            [{**ONE_SPAN, "data": '{"x": "\ud800"}'}],
            BadSpan,
            r"""^data of span 's' of trace 't' contains '\{"x": "\\ud800"\}', which cannot be encoded as UTF-8\.$""",
        ),
        (
            [{**ONE_SPAN, "data": '{"x": "\ud800"}'}, {**ONE_SPAN, "id": "r", "data": {}}],
            BadSpan,
            r"""^data of span 's' of trace 't' is not a JSON object: '\{"x": "\\ud800"\}' """
            r"\(a lone surrogate cannot be encoded as UTF-8\)\.$",
        ),
        (
            [{**ONE_SPAN, "id": "\ud800"}],
            BadSpan,
            r"^id of span '\\ud800' of trace 't' contains '\\ud800', which cannot be encoded as UTF-8\.$",
        ),
        (
            [{**ONE_SPAN, "lable": "x"}],
            BadSpan,
            r"^A span has no column 'lable'\. Put it into data, or drop it\. Columns: 'id', 'trace_id', 'agent_id', "
            r"'location_id', 'start_time', 'end_time', 'data'\.$",
        ),
        (
            [{"id": "a"}],
            MissingColumn,
            r"^The spans have no column 'agent_id', 'location_id', 'start_time', 'end_time'\. They have: 'id', 'trace_id'\.$",
        ),
        ([{**ONE_SPAN, "trace_id": "other"}], BadSpan, r"^Span 's' of trace 'other' does not belong to trace 't'\.$"),
    ],
)
def test_an_invalid_span_is_refused_and_nothing_changes(store, method, spans, error, message):
    before = rows(store)
    with pytest.raises(error, match=message):
        getattr(store, method)("t", [{**ONE_SPAN, "id": "good"} if error is BadSpan else spans[0], *spans])
    assert rows(store) == before


def test_a_payload_nested_too_deeply_is_refused(store):
    def nested(depth: int) -> dict:
        return {} if depth == 0 else {"a": nested(depth - 1)}

    store.add_spans("t", [{**ONE_SPAN, "data": nested(200)}])
    assert json.loads(rows(store)[0][6]) == nested(200)
    endless: dict = {}
    for _ in range(100_000):
        endless = {"a": endless}
    with pytest.raises(
        BadSpan, match=r"^data of span 's' of trace 't' is not a JSON object: a dict nested too deeply to show \(.*\)\.$"
    ):
        store.add_spans("t", [{**ONE_SPAN, "data": endless}])
    assert json.loads(rows(store)[0][6]) == nested(200)


def test_spans_may_be_a_frame_or_mappings_of_any_type(store):
    frame = pd.DataFrame([{**ONE_SPAN, "data": {"label": "x"}}, {**ONE_SPAN, "id": "r", "data": None}])
    expected = [("r", "t", "ann", "desk", 0, 5, None), ("s", "t", "ann", "desk", 0, 5, '{"label":"x"}')]
    for same in (
        frame,
        frame.assign(data=['{"label":"x"}', None]),
        frame.astype({"agent_id": "category", "start_time": "int32"}),
        frame.to_dict("records"),
        (row for row in frame.to_dict("records")),
        [{**row, "start_time": np.int64(0)} for row in frame.to_dict("records")],
    ):
        store.write_trace("t", same)
        assert rows(store) == expected


@pytest.mark.parametrize("parents", [[None, 1], [np.nan, 1.0], pd.array([None, 1], dtype="Int64"), [None, "1"]], ids=repr)
def test_parents_match_ids_for_any_numeric_type(store, parents):
    store.write_trace("t", pd.DataFrame([{**ONE_SPAN, "id": 1}, {**ONE_SPAN, "id": 2}]).assign(parent_id=parents))
    assert load_spans("t", store=store)[["id", "parent_id"]].fillna("-").to_numpy().tolist() == [["1", "-"], ["2", "1"]]


def test_a_parent_column_keeps_all_digits_of_the_payload(store):
    frame = pd.DataFrame([{**ONE_SPAN, "data": '{"n":12345678901234567890123}', "parent_id": "p"}])
    store.write_trace("t", frame)
    assert load_spans("t", store=store)["data"].tolist() == ['{"n":12345678901234567890123,"parent_id":"p"}']


def test_rows_are_stored_in_order_of_time(store):
    times = [5, 3, 9, 3, 0]
    store.write_trace(
        "t", [{**ONE_SPAN, "id": str(n), "start_time": time, "end_time": time + n} for n, time in enumerate(times)]
    )
    with closing(sqlite3.connect(store.path)) as connection:
        found = connection.execute("SELECT start_time, end_time FROM spans ORDER BY rowid").fetchall()
    assert found == sorted(found)


def numbers(store):
    """The rowid of each span."""
    with closing(sqlite3.connect(store.path)) as connection:
        return dict(connection.execute("SELECT id, rowid FROM spans"))


@pytest.fixture(params=["ours", "original"])
def lettered(request, tmp_path):
    """A store of three spans, a to c, in our tables and in those of the original TokenVis."""
    if request.param == "original":
        with_sql(tmp_path / "sqlite.db", *ORIGINAL[:4])
    store = Store()
    store.write_trace(
        "t", [{**ONE_SPAN, "id": name, "start_time": place, "end_time": place} for place, name in enumerate("abc")]
    )
    return store


def test_new_and_changed_rows_have_rowids_above_all_earlier_ones(lettered):
    assert numbers(lettered) == {"a": 1, "b": 2, "c": 3}
    changed = [{**ONE_SPAN, "id": "a", "start_time": 0, "end_time": 9}, {**ONE_SPAN, "id": "c", "start_time": 2, "end_time": 2}]
    lettered.add_spans("t", [*changed, {**ONE_SPAN, "id": "d"}])
    assert (numbers(lettered)["b"], numbers(lettered)["c"]) == (2, 3)
    assert {numbers(lettered)["a"], numbers(lettered)["d"]} == {4, 5}
    lettered.add_traces(pd.DataFrame([{**ONE_SPAN, "id": "b", "trace_id": "t"}]), {})
    assert numbers(lettered)["b"] == 6
    assert load_spans(store=lettered)["id"].tolist() == ["b", "d", "a", "c"]


def test_updates_of_many_rows_are_numbered_one_by_one(store):
    many = pd.DataFrame([{**ONE_SPAN, "id": f"{number:04d}"} for number in range(3_000)])
    store.add_spans("t", many)
    assert store.add_spans("t", many.assign(end_time=7))[2:] == (0, 3_000, 0, 0)
    assert sorted(numbers(store).values()) == [1, *range(3_002, 6_002)]


def test_updates_work_after_the_highest_rowid(store):
    with closing(sqlite3.connect(store.path)) as connection:
        connection.execute("UPDATE spans SET rowid = ?", [2**63 - 1])
        connection.commit()
    assert store.add_spans("t", [{**ONE_SPAN, "end_time": 9}])[2:] == (0, 1, 0, 0)
    assert load_spans(store=store)["end_time"].tolist() == [9]


def test_a_rowid_that_is_a_column_of_another_program_is_kept(tmp_path):
    names = "id TEXT UNIQUE, trace_id TEXT, agent_id TEXT, location_id TEXT, start_time, end_time, data"
    with_sql(tmp_path / "sqlite.db", UNCHECKED[0], f"CREATE TABLE spans (n INTEGER PRIMARY KEY, {names})")
    store = Store()
    store.add_spans("t", [ONE_SPAN, {**ONE_SPAN, "id": "z"}])
    assert store.add_spans("t", [{**ONE_SPAN, "end_time": 9}])[2:] == (0, 1, 0, 0)
    assert numbers(store) == {"s": 1, "z": 2}
