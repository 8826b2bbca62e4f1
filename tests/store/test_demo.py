import json

import pytest

from tokenvis import BadSpan, Store, load_spans, load_traces, seed_demo
from tokenvis.store.demo import kitchen_sink, multi_agent_workflow

ROW = {"agent_id": "ann", "location_id": "desk", "start_time": 0, "end_time": 5}


def rows_of(store: Store) -> list[tuple]:
    with store.engine.connect() as connection:
        traces = connection.exec_driver_sql("SELECT * FROM traces ORDER BY id").all()
        return [*traces, *connection.exec_driver_sql("SELECT * FROM spans ORDER BY id").all()]


def test_two_seeded_databases_are_equal_row_by_row():
    one, other = Store("one.db"), Store("other.db")
    seed_demo(store=one)
    seed_demo(store="other.db")
    assert rows_of(one) == rows_of(other)
    assert len(rows_of(one)) == 49


def test_seeding_again_changes_nothing():
    store = Store()
    first = seed_demo(store=store)
    before = rows_of(store)
    again = seed_demo(store=store)
    assert rows_of(store) == before
    assert [(written.added, written.removed) for written in first] == [(7, 0), (40, 0)]
    assert [(written.added, written.removed) for written in again] == [(7, 7), (40, 40)]


def test_seeding_repairs_a_demo_trace_and_changes_no_other():
    store = Store()
    seed_demo(store=store)
    seeded = rows_of(store)
    own = {"id": "mine/1", "agent_id": "Ann", "location_id": "desk", "start_time": 0, "end_time": 1}
    store.write_trace("mine", [own], name="Mine")
    with store.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE spans SET agent_id = 'Mallory' WHERE trace_id = 'kitchen-sink'")
        connection.exec_driver_sql("DELETE FROM spans WHERE id = 'multi-agent-workflow/13'")
        connection.exec_driver_sql("UPDATE traces SET name = 'other' WHERE id = 'kitchen-sink'")
    store.add_spans("kitchen-sink", [{**own, "id": "kitchen-sink/extra"}])
    seed_demo(store=store)
    mine = {("mine", "Mine"), ("mine/1", "mine", "Ann", "desk", 0, 1, None)}
    assert [row for row in rows_of(store) if tuple(row) not in mine] == seeded
    assert len(rows_of(store)) == len(seeded) + 2


@pytest.mark.parametrize("spans", [kitchen_sink(), multi_agent_workflow()], ids=["kitchen-sink", "multi-agent-workflow"])
def test_links_and_parents_refer_to_suitable_spans_of_the_trace(spans):
    by_id = {span["id"]: span for span in spans}
    assert len(by_id) == len(spans)
    for span in spans:
        for link in span["data"].get("links", []):
            assert by_id[link]["end_time"] <= span["start_time"]
        if "parent_id" in span["data"]:
            parent = by_id[span["data"]["parent_id"]]
            assert parent["agent_id"] == span["agent_id"]
            assert parent["start_time"] <= span["start_time"]
            assert span["end_time"] <= parent["end_time"]


def test_data_has_the_common_keys():
    seed_demo()
    payloads = [json.loads(data) for data in load_spans("multi-agent-workflow")["data"]]
    keys = {key for payload in payloads for key in payload}
    assert keys == {"label", "phase", "kind", "attributes", "parent_id", "links", "status", "attempt"}
    assert sorted(payload["status"] for payload in payloads if "status" in payload) == ["error", "ok"]
    assert {key for payload in payloads for key in payload.get("attributes", {})} == {
        "gen_ai.request.model",
        "gen_ai.usage.input_tokens",
        "gen_ai.usage.output_tokens",
    }


def test_a_span_of_another_trace_with_the_id_of_a_demo_span_is_an_error_and_nothing_is_written():
    store = Store("taken.db")
    store.write_trace("mine", [{**ROW, "id": "multi-agent-workflow/07"}])
    message = (
        r"^Span 'multi-agent-workflow/07' of the demo has the id of a span in trace 'mine'\. Delete that one with "
        r"Store\('.*taken\.db'\)\.delete_spans\('mine', 'multi-agent-workflow/07'\), or seed another database\.$"
    )
    with pytest.raises(BadSpan, match=message):
        seed_demo(store=store)
    assert load_traces(store=store)["id"].tolist() == ["mine"]
    store.delete_spans("mine", "multi-agent-workflow/07")
    assert [written.added for written in seed_demo(store=store)] == [7, 40]
