import copy
import json
import pickle
import re
import threading

import pandas as pd
import pytest
from conftest import spans_of
from databases import ONE_SPAN, one_trace, rows
from hypothesis import given
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal
from sqlalchemy import event

from tokenvis import BadOption, BadSpan, Store, StoreError, StoreNotFound, TraceNotFound, load_spans, load_traces
from tokenvis.store.store import Written


@pytest.fixture
def store() -> Store:
    return one_trace()


@pytest.mark.parametrize("copied", [lambda store: pickle.loads(pickle.dumps(store)), copy.deepcopy])
def test_a_copy_of_a_store_opens_the_same_file(store, copied):
    other = copied(store)
    other.write_trace("u", [{**ONE_SPAN, "id": "other"}])
    assert sorted(load_traces(store=store)["id"]) == ["t", "u"]
    store.path.unlink()
    with pytest.raises(StoreNotFound):
        copied(store)


def test_write_trace_replaces_all_spans_of_the_trace(store):
    written = store.write_trace("t", [{**ONE_SPAN, "id": "r"}, {**ONE_SPAN, "id": "q", "data": {"label": "x"}}])
    assert written == Written(store.path, "t", added=2, updated=0, unchanged=0, removed=1)
    assert [row[0] for row in rows(store)] == ["q", "r"]
    assert store.write_trace("t", []).removed == 2
    assert load_traces(store=store)["name"].tolist() == ["T"]


def test_add_spans_adds_and_updates_and_never_deletes(store):
    store.add_spans("t", [{**ONE_SPAN, "id": "r"}])
    written = store.add_spans("t", [ONE_SPAN, {**ONE_SPAN, "id": "r", "end_time": 9}, {**ONE_SPAN, "id": "q"}])
    assert written == Written(store.path, "t", added=1, updated=1, unchanged=1)
    assert [(row[0], row[5]) for row in rows(store)] == [("q", 5), ("r", 9), ("s", 5)]


def test_the_name_is_the_given_one_the_current_one_or_the_id(store):
    store.write_trace("u", [])
    store.add_spans("v", [], name="V")
    store.add_spans("v", [])
    store.write_trace("t", [], name="New")
    assert load_traces(store=store).set_index("id")["name"].to_dict() == {"t": "New", "u": "u", "v": "V"}


@pytest.mark.parametrize("trace_id", ["", None, 7, b"t"])
def test_a_trace_has_an_id_that_is_a_text(store, trace_id):
    for call in (lambda: store.write_trace(trace_id, []), lambda: store.add_spans(trace_id, [ONE_SPAN])):
        with pytest.raises(
            BadSpan, match=rf"^trace_id={re.escape(repr(trace_id))} is not a name\. A trace's id must be a text\.$"
        ):
            call()
    assert load_traces(store=store)["id"].tolist() == ["t"]


def test_a_name_is_a_text(store):
    with pytest.raises(BadSpan, match=r"^name=7 is not a name\. A trace's name must be a text\.$"):
        store.write_trace("t", [], name=7)
    assert len(rows(store)) == 1


def test_a_trace_id_or_name_with_a_lone_surrogate_is_refused(store):
    for call in (lambda: store.write_trace("\ud800", [ONE_SPAN]), lambda: store.delete_trace("\ud800")):
        with pytest.raises(BadSpan, match=r"^trace(_id)?='\\ud800' cannot be encoded as UTF-8\.$"):
            call()
    with pytest.raises(BadSpan, match=r"^name='\\ud800' cannot be encoded as UTF-8\.$"):
        store.add_spans("t", [ONE_SPAN], name="\ud800")
    assert load_traces(store=store)["name"].tolist() == ["T"]


def test_an_error_of_the_database_names_the_file(store):
    with store.engine.begin() as connection:
        connection.exec_driver_sql("CREATE UNIQUE INDEX starts ON spans (start_time)")
    with pytest.raises(StoreError) as error:
        store.add_spans("t", [{**ONE_SPAN, "end_time": 6}, {**ONE_SPAN, "id": "r"}])
    assert str(error.value) == (
        f"{store.path}: UNIQUE constraint failed: spans.start_time. "
        "A constraint of the table refuses a row, and the write was rolled back."
    )
    assert [(row[0], row[5]) for row in rows(store)] == [("s", 5)]


def test_a_loaded_frame_can_be_written_again(store):
    spans = spans_of("ann 0 9 desk", "ann 2 4 lab", parents={"b": "a"})
    store.write_trace("t", spans)
    loaded = load_spans("t", store=store)
    assert loaded["parent_id"].fillna("-").tolist() == ["-", "a"]
    store.write_trace("t", loaded[loaded["location_id"] == "lab"])
    assert [json.loads(row[6]) for row in rows(store)] == [{"parent_id": "a"}]


HOSTILE = [
    "",
    " ",
    "a\x00b",
    "x" * 10_000,
    "two\nlines",
    "\N{GRINNING FACE}",
    "$\\frac{",
    "'; DROP TABLE spans; --",
    "<script>",
    "%s ? :x",
]


def test_names_may_contain_any_characters(store):
    spans = [{**ONE_SPAN, "id": f"s{name}", "agent_id": name, "location_id": name, "data": {name: name}} for name in HOSTILE]
    for name in HOSTILE[1:]:
        store.write_trace(name, [{**span, "id": f"{name}/{span['id']}"} for span in spans], name=name)
        loaded = load_spans(name, store=store)
        assert set(loaded["agent_id"]) == set(HOSTILE)
        assert {key for data in loaded["data"] for key in json.loads(data)} == set(HOSTILE)
        assert len(load_spans(name, agents=name, store=store)) == 1
        store.delete_trace(name)


def test_delete_trace_deletes_the_trace_and_its_spans(store):
    store.write_trace("u", [{**ONE_SPAN, "id": "r"}])
    assert store.delete_trace("t") == Written(store.path, "t", added=0, removed=1)
    assert [row[0] for row in rows(store)] == ["r"]
    with pytest.raises(TraceNotFound, match=r"^No trace 't'\. This store has: 'u'\.$"):
        store.delete_trace("t")


def test_delete_trace_accepts_an_exact_name_of_one_trace(store):
    assert store.delete_trace("T").trace_id == "t"
    for trace_id in ("u", "v"):
        store.write_trace(trace_id, [], name="Twice")
    with pytest.raises(BadOption, match=r"^'Twice' is the name of several traces\. Give an id: 'u', 'v'\.$"):
        store.delete_trace("Twice")
    assert store.delete_trace("v").removed == 0
    assert load_traces(store=store)["id"].tolist() == ["u"]


def test_delete_spans_deletes_only_these_spans_of_the_trace(store):
    store.add_spans("t", [{**ONE_SPAN, "id": "r"}, {**ONE_SPAN, "id": "q\x00"}])
    store.write_trace("u", [{**ONE_SPAN, "id": "p"}])
    assert store.delete_spans("t", ["q\x00", "p", "nothing"]) == Written(store.path, "t", added=0, removed=1)
    assert [row[0] for row in rows(store)] == ["p", "r", "s"]
    assert store.delete_spans("t", "s").removed == 1
    assert store.delete_spans("t", []).removed == 0
    assert [row[0] for row in rows(store)] == ["p", "r"]


def test_an_empty_trace_is_kept_unless_drop_empty(store):
    store.write_trace("u", [{**ONE_SPAN, "id": "r"}, {**ONE_SPAN, "id": "q"}])
    assert store.delete_spans("u", "q", drop_empty=True).removed == 1
    store.delete_spans("t", "s")
    assert load_traces(store=store)["n_spans"].to_list() == [1, 0]
    assert store.delete_spans("u", "r", drop_empty=True).removed == 1
    assert store.delete_spans("t", "s", drop_empty=True).removed == 0  # the trace was empty before
    assert load_traces(store=store)["id"].tolist() == ["t"]


def test_delete_spans_with_an_invalid_argument_deletes_nothing(store):
    with pytest.raises(TraceNotFound, match=r"^No trace has the id 'T'\. This store has: 't'\.$"):
        store.delete_spans("T", "s")  # its name, which several traces may have
    with pytest.raises(BadOption, match=r"^ids=\['s', 7\] is neither a name nor a list of names\.$"):
        store.delete_spans("t", ["s", 7])
    with pytest.raises(BadOption, match=r"^ids= is a DataFrame\. Pass span ids, such as spans\['id'\]\.$"):
        store.delete_spans("t", load_spans("t", store=store))
    for odd in ("\ud800", "\x00\ud800", "\ud83d\ude00"):
        assert store.delete_spans("t", odd).removed == 0
    assert [row[0] for row in rows(store)] == ["s"]


def test_a_span_added_before_a_deletion_takes_the_lock_is_kept(store):
    other, added = Store(store.path), []

    def add(*given):
        if given[2].startswith("BEGIN"):
            added.append(f"from-a-recorder-{len(added)}")
            other.add_spans("t", [{**ONE_SPAN, "id": added[-1]}])

    event.listen(store.engine, "before_cursor_execute", add)
    assert store.delete_spans("t", "s", drop_empty=True).removed == 1
    assert len(added) == 1
    assert [row[0] for row in rows(store)] == added


def test_two_separate_surrogates_are_not_joined(store):
    store.add_spans("t", [{**ONE_SPAN, "id": "\N{GRINNING FACE}", "agent_id": "\N{GRINNING FACE}"}])
    halves = "\ud83d\ude00"
    assert store.delete_spans("t", halves).removed == 0
    with pytest.raises(BadOption, match=r"^The traces have no agents '\\ud83d\\ude00'\. They have: "):
        load_spans("t", agents=halves, store=store)


def test_a_reader_sees_a_write_completely_or_not_at_all(store):
    with store.engine.connect().execution_options(immediate=True) as connection, connection.begin():
        connection.exec_driver_sql("UPDATE spans SET agent_id = 'bob'")
        assert load_spans("t", store=store)["agent_id"].tolist() == ["ann"]
    assert load_spans("t", store=store)["agent_id"].tolist() == ["bob"]


def test_a_write_takes_the_lock_at_its_start_and_a_read_does_not(store):
    said = []
    event.listen(store.engine, "before_cursor_execute", lambda *given: said.append(given[2]))
    for write in (
        lambda: store.write_trace("u", []),
        lambda: store.add_spans("u", []),
        lambda: store.delete_spans("u", "s"),
        lambda: store.delete_trace("u"),
    ):
        write()
        assert said[0] == "BEGIN IMMEDIATE"
        said.clear()
    load_traces(store=store)
    assert said[0] == "BEGIN"


def test_a_writer_waits_for_another(store):
    with store.engine.connect().execution_options(immediate=True) as connection:
        with connection.begin():
            writer = threading.Thread(target=store.add_spans, args=("t", [{**ONE_SPAN, "id": "r"}]))
            writer.start()
            connection.exec_driver_sql("UPDATE spans SET agent_id = 'bob'")
            assert writer.is_alive()
        writer.join(timeout=30)
    assert [(row[0], row[2]) for row in rows(store)] == [("r", "ann"), ("s", "bob")]


def test_concurrent_threads_lose_no_writes(store):
    def add(worker: int) -> None:
        for number in range(10):
            store.add_spans("t", [{**ONE_SPAN, "id": f"{worker}-{number}"}])

    workers = [threading.Thread(target=add, args=(worker,)) for worker in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(rows(store)) == 41


def test_a_store_names_its_file_and_closes(tmp_path):
    with Store("traces.db") as store:
        assert repr(store) == f"Store('{tmp_path / 'traces.db'}')"
        store.write_trace("t", [ONE_SPAN])
    assert [path.name for path in tmp_path.iterdir()] == ["traces.db"]


def test_many_ids_are_compared_in_one_write(store):
    spans = [{**ONE_SPAN, "id": str(number)} for number in range(70_000)]
    assert store.add_spans("t", spans).added == 70_000
    with pytest.raises(BadSpan, match=r"^Span '\d+' belongs to trace 't' and cannot also belong to trace 'u'\.$"):
        store.add_spans("u", spans)


TEXT = st.text(min_size=1, max_size=12)


TIME = st.integers(-(2**63), 2**63 - 1)


PAYLOAD = st.none() | st.dictionaries(
    st.text(max_size=5),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
        max_leaves=4,
    ),
    max_size=4,
)


SPAN = st.tuples(TEXT, TEXT, TEXT, TIME, TIME, PAYLOAD)


@pytest.mark.laws
@given(st.lists(SPAN, max_size=8, unique_by=lambda row: row[0]), TEXT)
def test_written_spans_are_loaded_unchanged(rows, trace):
    spans = [
        {"id": name, "agent_id": who, "location_id": where, "start_time": min(a, b), "end_time": max(a, b), "data": data}
        for name, who, where, a, b, data in rows
    ]
    store = Store()
    store.write_trace(trace, spans)
    loaded = load_spans(trace, store=store)
    assert loaded.dtypes.astype("str").tolist()[:7] == ["str", "category", "category", "category", "int64", "int64", "str"]
    expected = sorted(spans, key=lambda row: (row["start_time"], row["end_time"], row["agent_id"], row["id"]))
    columns = ["id", "agent_id", "location_id", "start_time", "end_time"]
    assert loaded[columns].to_dict("records") == [{column: row[column] for column in columns} for row in expected]
    assert [None if pd.isna(data) else json.loads(data) for data in loaded["data"]] == [row["data"] for row in expected]
    assert set(loaded["trace_id"]) <= {trace}
    store.write_trace(trace, loaded)
    assert_frame_equal(load_spans(trace, store=store), loaded)
    store.delete_trace(trace)
