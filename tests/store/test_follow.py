import os
import sqlite3
import time
from contextlib import closing

import pytest
from conftest import spans_of
from databases import ONE_SPAN, ORIGINAL, UNCHECKED, with_sql
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal
from sqlalchemy import event

from tokenvis import BadSpan, Store, StoreError, StoreNotFound, TraceNotFound, load_spans
from tokenvis.store.follow import MTIME_RESOLUTION_NS, Following, database_stamp


@pytest.fixture
def store() -> Store:
    """A store of one trace, t, of the spans a and b."""
    made = Store()
    made.write_trace("t", spans_of("ann 0 10 desk", "bob 5 20 lab"), name="Trace")
    return made


@pytest.fixture
def read(store, monkeypatch) -> list[tuple[bool, int]]:
    """The reads of the store, one entry for each query: whether it read all spans, and their number."""
    kept = []
    select = store.select_changes

    def selected(*given, **options):
        changes = select(*given, **options)
        kept.append((changes.is_complete, len(changes.columns.values["id"])))
        return changes

    monkeypatch.setattr(store, "select_changes", selected)
    return kept


def settle(store):
    """Set the modification time of the last write to the past."""
    old = time.time_ns() - 2 * MTIME_RESOLUTION_NS
    for name in ("", "-wal"):
        if (path := store.path.with_name(store.path.name + name)).exists():
            os.utime(path, ns=(old, old))


def test_new_and_changed_spans_are_found(store):
    following = Following("t", store)
    assert (following.spans["id"].tolist(), following.look()) == (["a", "b"], False)
    before = following.spans
    store.add_spans("t", [{**ONE_SPAN, "id": "c", "start_time": -3, "agent_id": "zoe"}, {**ONE_SPAN, "id": "b", "end_time": 7}])
    assert following.look()
    assert following.spans[["id", "end_time"]].to_numpy().tolist() == [["c", 5], ["b", 7], ["a", 10]]
    assert following.spans["agent_id"].cat.categories.tolist() == ["ann", "zoe"]
    assert before["id"].tolist() == ["a", "b"]
    assert not following.look()


def test_only_new_spans_are_read(store, read):
    following = Following("t", store)
    store.add_spans("t", [{**ONE_SPAN, "id": "c"}, {**ONE_SPAN, "id": "b", "end_time": 7}])
    store.add_spans("u", [{**ONE_SPAN, "id": "d"}])
    assert (following.look(), following.look()) == (True, False)
    assert read == [(True, 2), (False, 2), (False, 0)]


@pytest.mark.parametrize("asked", ["t", "Trace"])
def test_new_spans_are_found_by_rowid(store, asked):
    following = Following(asked, store)
    store.add_spans("t", [{**ONE_SPAN, "id": "c"}], name="New")
    queries = []
    event.listen(store.engine, "before_cursor_execute", lambda *given: queries.append(given[2:4]))
    following.look()
    with store.engine.connect() as connection:
        plans = [
            [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {query}", values) if " spans" in row[3]]
            for query, values in queries
            if query.startswith("SELECT")
        ]
    counted = "SEARCH spans USING COVERING INDEX spans_trace_start_idx (trace_id=?)"
    above, between = (f"SEARCH spans USING INTEGER PRIMARY KEY (rowid{limits})" for limits in (">?", ">? AND rowid<?"))
    assert [plan[0] for plan in plans if plan and plan != ["SEARCH spans"]] == [counted, above, between]


def test_an_unchanged_file_is_not_read(store, read):
    settle(store)
    following = Following("t", store)
    settle(store)  # the last reader checkpoints the WAL
    following.look()
    n_read = len(read)
    assert not any(following.look() for _ in range(5))
    assert len(read) == n_read
    store.add_spans("t", [{**ONE_SPAN, "id": "c"}])
    assert following.look()
    assert len(read) == n_read + 1


def test_a_recent_modification_time_is_not_trusted(store):
    assert database_stamp(store.path) is None
    settle(store)
    assert len(database_stamp(store.path)) == 1
    assert database_stamp(store.path.with_name("gone.db")) == ()


def test_a_replaced_trace_is_read_completely(store, read):
    following = Following("t", store)
    store.write_trace("t", spans_of("ann 0 10 desk", "bob 5 21 attic"))  # the same ids and rowids
    assert following.look()
    assert following.spans["end_time"].tolist() == [10, 21]
    assert following.spans["location_id"].cat.categories.tolist() == ["attic", "desk"]
    store.delete_trace("t")
    store.add_spans("t", spans_of("ann 0 10 desk", "bob 5 22 attic"))
    assert following.look()
    assert following.spans["end_time"].tolist() == [10, 22]
    store.write_trace("t", following.spans)
    assert not following.look()  # it is unchanged
    assert read == [(True, 2)] * 4


def test_an_unchanged_trace_is_not_read_again(store, read):
    following = Following("t", store)
    store.write_trace("new", [{**ONE_SPAN, "id": "n"}])
    assert not following.look()
    assert read == [(True, 2), (False, 0)]


def test_a_name_selects_every_trace_that_has_it(store):
    following = Following("Trace", store)
    store.write_trace("u", [{**ONE_SPAN, "id": "c"}], name="Trace")
    assert following.look()
    assert following.spans[["trace_id", "id"]].to_numpy().tolist() == [["u", "c"], ["t", "a"], ["t", "b"]]


def test_a_renamed_trace_is_still_followed(store, read):
    following = Following("Trace", store)
    store.add_spans("t", [{**ONE_SPAN, "id": "c"}], name="New")
    assert following.look()
    assert following.spans["id"].tolist() == ["c", "a", "b"]
    store.add_spans("t", [], name="Newer")
    assert not following.look()
    assert read == [(True, 2), (False, 1), (False, 0)]
    with_sql(store.path, "DELETE FROM spans WHERE id = 'a'")
    assert following.look()
    assert following.spans["id"].tolist() == ["c", "b"]


def test_a_new_trace_of_the_old_name_is_followed_too(store, read):
    following = Following("Trace", store)
    store.add_spans("t", [], name="New")
    store.write_trace("u", [{**ONE_SPAN, "id": "c"}], name="Trace")
    store.write_trace("v", [{**ONE_SPAN, "id": "v"}], name="New")
    assert following.look()
    assert following.spans[["trace_id", "id"]].to_numpy().tolist() == [["u", "c"], ["t", "a"], ["t", "b"]]
    store.add_spans("u", [{**ONE_SPAN, "id": "d"}], name="New")
    store.add_spans("t", [{**ONE_SPAN, "id": "b", "end_time": 7}], name="Trace")
    assert following.look()
    assert following.spans["id"].tolist() == ["c", "d", "b", "a"]
    assert read == [(True, 2), (True, 3), (False, 2)]


@pytest.mark.parametrize("asked", ["t", "Trace"])
def test_a_deleted_trace_is_followed_again_when_it_is_rewritten(store, asked):
    following = Following(asked, store)
    for name in ("Trace", "New", "Newer"):
        store.delete_trace("t")
        for _ in range(2):
            with pytest.raises(TraceNotFound, match=rf"^No trace '{asked}'\. This store has: none\.$"):
                following.look()
        store.write_trace("t", [{**ONE_SPAN, "id": name}], name=name)
        assert following.look()
        assert following.spans["id"].tolist() == [name]


def test_other_traces_of_the_name_of_a_deleted_one_are_still_followed(store):
    store.write_trace("u", [{**ONE_SPAN, "id": "c"}], name="Trace")
    following = Following("Trace", store)
    store.add_spans("t", [], name="New")
    store.delete_trace("u")
    assert following.look()
    assert following.spans["id"].tolist() == ["a", "b"]
    store.write_trace("u", [{**ONE_SPAN, "id": "d"}], name="Newer")
    assert following.look()
    assert following.spans["id"].tolist() == ["d", "a", "b"]
    for trace_id in ("t", "u"):
        store.delete_trace(trace_id)
    with pytest.raises(TraceNotFound, match=r"^No trace 'Trace'\. This store has: none\.$"):
        following.look()


def test_added_and_removed_parents_are_found(store):
    following = Following("t", store)
    assert "parent_id" not in following.spans
    for data, parents in (({"parent_id": "a"}, [None, "a"]), ({}, None), ({"parent_id": "z"}, [None, "z"])):
        store.add_spans("t", [{**ONE_SPAN, "id": "b", "start_time": 5, "data": data}])
        assert following.look()
        found = following.spans["parent_id"].astype(object) if "parent_id" in following.spans else None
        assert (None if found is None else found.where(found.notna(), None).tolist()) == parents
        assert_frame_equal(following.spans, load_spans("t"))


def test_spans_that_another_program_adds_or_removes_are_found(tmp_path):
    path = with_sql(tmp_path / "sqlite.db", *ORIGINAL)
    following = Following("Old")
    with_sql(path, "INSERT INTO spans VALUES ('old/3', 'old', 'Bob', 'Kitchen', 2, 2, NULL)")
    assert following.look()
    assert following.spans["id"].tolist() == ["old/1", "old/2", "old/3"]
    with_sql(path, "DELETE FROM spans WHERE id = 'old/2'")
    assert following.look()
    assert following.spans["id"].tolist() == ["old/1", "old/3"]
    with_sql(path, "INSERT OR REPLACE INTO spans VALUES ('old/3', 'old', 'Bob', 'Kitchen', 2, 9, NULL)")
    assert following.look()
    assert following.spans["end_time"].tolist() == [5, 9]
    with_sql(path, "VACUUM")
    assert not following.look()


def test_rows_with_the_highest_rowid_are_followed(store):
    with closing(sqlite3.connect(store.path)) as connection:
        connection.execute("UPDATE spans SET rowid = ? WHERE id = 'b'", [2**63 - 1])
        connection.commit()
    following = Following("t", store)
    store.add_spans("t", [{**ONE_SPAN, "id": "c"}, {**ONE_SPAN, "id": "a", "end_time": 30}])
    assert following.look()
    assert_frame_equal(following.spans, load_spans("t"))


def test_a_replaced_file_is_read_completely(store):
    following = Following("t", store)
    other = Store("other.db")
    other.write_trace("t", spans_of("ann 0 10 desk", "bob 5 23 lab"))
    other.close()
    other.path.replace(store.path)
    assert following.look()
    assert following.spans["end_time"].tolist() == [10, 23]


def test_an_unreadable_row_is_an_error_and_the_next_look_retries(tmp_path):
    path = with_sql(tmp_path / "sqlite.db", *UNCHECKED, "INSERT INTO traces VALUES ('t', 't')")
    insert = "INSERT INTO spans VALUES ('{}', 't', 'ann', 'desk', 0, {}, NULL)"
    with_sql(path, insert.format("a", 5))
    following = Following("t", path)
    with_sql(path, insert.format("b", -1))
    for _ in range(2):
        with pytest.raises(
            BadSpan, match=r"1 row with invalid values: span 'b' of trace 't': it ends at -1 before it starts at 0;? ?"
        ):
            following.look()
    with_sql(path, "UPDATE spans SET end_time = 7 WHERE id = 'b'")
    assert following.look()
    assert following.spans["end_time"].tolist() == [5, 7]
    with_sql(path, "DELETE FROM spans", "DELETE FROM traces")
    with pytest.raises(TraceNotFound, match=r"^No trace 't'\. This store has: none\.$"):
        following.look()
    assert following.spans["end_time"].tolist() == [5, 7]
    path.rename(tmp_path / "away.db")
    with pytest.raises(StoreError, match=r"no longer exists\. Store\("):
        following.look()
    (tmp_path / "away.db").rename(path)
    with_sql(path, "INSERT INTO traces VALUES ('t', 't')", insert.format("c", 9))
    assert following.look()
    assert following.spans["id"].tolist() == ["c"]


def test_a_missing_trace_is_not_followed(store):
    with pytest.raises(TraceNotFound, match=r"^No trace 'u'\. This store has: 't'\.$"):
        Following("u", store)
    with pytest.raises(StoreNotFound):
        Following("t", "none.db")


SPAN = st.builds(
    lambda name, agent, start, length, data: {
        **ONE_SPAN,
        "id": name,
        "agent_id": agent,
        "start_time": start,
        "end_time": start + length,
        "data": data,
    },
    st.sampled_from("abcdef"),
    st.sampled_from(["ann", "bob", "eve"]),
    st.integers(-3, 3),
    st.integers(0, 3),
    st.sampled_from([None, {}, {"parent_id": "a"}, {"parent_id": "b"}]),
)
SPANS = st.lists(SPAN, max_size=4, unique_by=lambda span: span["id"])
STEP = st.one_of(
    st.tuples(st.sampled_from(["add_spans", "write_trace"]), SPANS),
    st.tuples(st.just("add_spans"), SPANS),
    st.tuples(st.sampled_from(["others", "others anew", "delete_trace", "look", "look"]), st.just([])),
)


@pytest.mark.laws
@settings(max_examples=settings.default.max_examples // 4)  # each example looks many times
@given(SPANS, st.lists(STEP, max_size=12), st.booleans())
def test_followed_spans_equal_loaded_spans(first, steps, alone):
    store = Store()
    for row in store.select_traces():  # left by the previous example
        store.delete_trace(row.id)
    store.write_trace("t", first)
    if not alone:
        store.write_trace("u", [{**ONE_SPAN, "id": "z"}])
    following = Following("t", store)
    for number, (step, spans) in enumerate([*steps, ("look", [])]):
        if step == "look":
            before, expected = following.spans, load_spans("t", store=store)
            assert following.look() == (not before.equals(expected))
            assert_frame_equal(following.spans, expected)
        elif step == "others":
            store.add_spans("u", [{**ONE_SPAN, "id": f"z{number}"}])
        elif step == "others anew":
            store.write_trace("u", [{**ONE_SPAN, "id": "z"}])
        elif step == "delete_trace":
            store.delete_trace("t")
            store.add_spans("t", [])
        else:
            getattr(store, step)("t", spans)
