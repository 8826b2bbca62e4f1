import sqlite3

import pandas as pd
import pytest

from tokenvis import Store, StoreError, load_spans, load_traces
from tokenvis.store import verify
from tokenvis.store.ingested import put_sources, revise_spans, select_rows, select_sources
from tokenvis.store.obstacles import COPY_ADVICE
from tokenvis.store.sources import TraceSource

ROW = {"id": "a", "trace_id": "t", "agent_id": "ann", "location_id": "desk", "start_time": 0, "end_time": 5, "data": None}


def tables(store):
    with store.engine.connect() as connection:
        return {name for (name,) in connection.exec_driver_sql("SELECT name FROM sqlite_schema WHERE type = 'table'")}


def first_names(sources):
    """The first name of each trace."""
    named = sorted(source for source in sources if source.name)
    return {source.trace_id: source.name for source in reversed(named)}


def names_of(store):
    return load_traces(store=store).set_index("id")["name"].to_dict()


def test_sources_are_remembered_by_trace_until_the_trace_is_replaced_or_deleted():
    store = Store("x.db")
    store.add_traces([ROW, {**ROW, "id": "b", "trace_id": "u"}], {})
    assert select_sources(store, ["t"])[0] == []
    assert tables(store) == {"traces", "spans"}
    told = [TraceSource("t", "f1", None, None), TraceSource("t", "f2", 3, "walk", "runs/x"), TraceSource("u", "f1", 0, "talk")]
    put_sources(store, told, first_names, new={"t", "u"})
    put_sources(store, [TraceSource("t", "f1", 1, "run")], first_names)
    assert select_sources(store, ["t", "v"])[0] == [TraceSource("t", "f1", 1, "run"), told[1]]
    assert select_sources(store, ["t", "v"])[1] == {"t": "run"}
    assert names_of(store) == {"t": "run", "u": "talk"}
    store.write_trace("t", [])
    store.delete_trace("u")
    assert select_sources(store, ["t", "u"])[0] == []


def test_other_traces_are_renamed_too_but_not_those_that_somebody_has_renamed():
    """Here a trace has the name of its file with the number of files."""
    store = Store("x.db")
    store.add_traces([{**ROW, "id": trace, "trace_id": trace} for trace in "tuvw"], {})

    def counted(sources):
        told = list(sources)
        return {source.trace_id: f"{source.name} of {len(told)}" for source in told}

    first = put_sources(store, [TraceSource(trace, trace, 0, trace.upper()) for trace in "tuv"], counted, new="tuv")
    assert (first.names, first.renamed) == ({"t": "T of 3", "u": "U of 3", "v": "V of 3"}, {})
    store.add_spans("u", [], name="my own")
    second = put_sources(store, [TraceSource("w", "w", 0, "W")], counted, new="w")
    assert (second.names, second.renamed) == ({"w": "W of 4"}, {"t": ("T of 3", "T of 4"), "v": ("V of 3", "V of 4")})
    assert names_of(store) == {"t": "T of 4", "u": "my own", "v": "V of 4", "w": "W of 4"}
    store.delete_spans("w", "w", drop_empty=True)
    assert put_sources(store, [], counted).renamed == {"t": ("T of 4", "T of 3"), "v": ("V of 4", "V of 3")}
    assert select_sources(store, ["w"])[0] == []


def test_a_file_of_an_earlier_version_gets_the_column_of_places():
    store = Store("x.db")
    store.add_traces([ROW, {**ROW, "id": "b", "trace_id": "u"}], {"t": "walk"})
    with sqlite3.connect("x.db") as connection:
        connection.execute(
            "CREATE TABLE tokenvis_sources (trace_id TEXT NOT NULL, origin TEXT NOT NULL, named_at INTEGER, name TEXT,"
            " PRIMARY KEY (trace_id, origin)) WITHOUT ROWID"
        )
        connection.execute("INSERT INTO tokenvis_sources VALUES ('t', 'f1', 3, 'walk')")
    connection.close()
    assert select_sources(store, ["t"])[0] == [TraceSource("t", "f1", 3, "walk", None)]
    put_sources(store, [TraceSource("u", "f2", 4, "talk", "runs/y")], first_names, new="u")
    assert select_sources(store, ["t", "u"])[0] == [
        TraceSource("t", "f1", 3, "walk"),
        TraceSource("u", "f2", 4, "talk", "runs/y"),
    ]
    assert names_of(store) == {"t": "walk", "u": "talk"}
    assert verify("x.db").findings == []


def test_rows_that_changed_meanwhile_are_not_revised():
    store = Store("x.db")
    rows = pd.DataFrame([ROW, {**ROW, "id": "b"}, {**ROW, "id": "c", "data": '{"x":1}'}])
    store.add_traces(rows, {})
    store.add_traces([{**ROW, "id": "b", "end_time": 9}], {})
    [written] = revise_spans(store, rows.assign(agent_id="bob"), rows)
    assert (written.added, written.updated, written.unchanged) == (0, 2, 0)
    assert load_spans("t", store=store).set_index("id")["agent_id"].to_dict() == {"a": "bob", "b": "ann", "c": "bob"}


def test_the_rows_of_traces_as_columns():
    store = Store("x.db")
    store.add_traces([ROW, {**ROW, "id": "b", "trace_id": "u"}], {})
    assert [chunk["id"].to_pylist() for chunk in select_rows(store, ["u"])] == [["b"]]
    assert list(select_rows(store, ["v"])) == []


def test_ids_that_their_spans_no_longer_have_are_removed_in_their_trace():
    store = Store("x.db")
    store.add_traces([ROW, {**ROW, "id": "b"}], {})
    store.add_traces([{**ROW, "id": "t/a"}], {}, former=[("t", "a"), ("u", "b")])
    assert sorted(load_spans("t", store=store)["id"]) == ["b", "t/a"]


@pytest.mark.parametrize(
    ("kind", "sql"),
    [
        ("table", "CREATE TABLE tokenvis_sources (x INTEGER)"),
        ("table", "CREATE TABLE tokenvis_sources (trace_id TEXT, origin TEXT, named_at INTEGER, name TEXT)"),
        ("view", "CREATE VIEW tokenvis_sources AS SELECT 1 AS trace_id"),
        ("index", "CREATE INDEX tokenvis_sources ON spans (id)"),
    ],
)
def test_something_else_with_the_name_of_the_table_is_refused(kind, sql):
    store = Store("x.db")
    store.add_traces([ROW], {})
    with sqlite3.connect("x.db") as connection:
        connection.execute(sql)
    connection.close()
    assert select_sources(store, ["t"])[0] == []
    expected = (
        f"has 'tokenvis_sources', which tokenvis did not create ({kind}): {COPY_ADVICE}, or rename it. Nothing was written."
    )
    for write in (lambda: store.add_traces([{**ROW, "id": "b"}], {}), lambda: store.delete_trace("t")):
        with pytest.raises(StoreError) as error:
            write()
        assert str(error.value) == f"{store.path} {expected}"
    assert load_spans("t", store=store)["id"].tolist() == ["a"]


def test_triggers_on_the_table_do_not_run():
    store = Store("x.db")
    store.add_traces([ROW], {})
    put_sources(store, [TraceSource("t", "f1", None, None)], first_names)
    with sqlite3.connect("x.db") as connection:
        connection.execute("CREATE TRIGGER erase AFTER INSERT ON tokenvis_sources BEGIN DELETE FROM spans; END")
    connection.close()
    with pytest.raises(StoreError, match=r"has triggers that a write would run: 'erase'"):
        put_sources(store, [TraceSource("t", "f2", None, None)], first_names)
    assert len(load_spans("t", store=store)) == 1
