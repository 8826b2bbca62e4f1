"""Nothing is lost because of its id: spans are identified by their trace and the id in their source."""

import json

import pandas as pd
import pytest
from files import write_file

from tokenvis import Store, export, handoffs, ingest, load_spans, self_spans
from tokenvis.conventions.span import stored_id, trace_of

RUNS = pd.DataFrame(
    [
        {"trace_id": f"run{run}", "id": number, "parent_id": None if number == 0 else 0, "agent_id": agent,
         "location_id": "desk", "start_time": number * 10 + run, "end_time": number * 10 + run + 5}
        for run in range(3)
        for number, agent in enumerate(("ann", "bob", "ann"))
    ]
)  # fmt: skip


def ids_of(store):
    return sorted(load_spans(store=store)["id"])


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet", "frame"])
def test_runs_with_the_same_ids_are_all_kept(suffix):
    table = RUNS.astype({"id": "str"}).assign(parent_id=[None, "0", "0"] * 3)
    source = table if suffix == "frame" else f"runs.{suffix}"
    writers = {"csv": table.to_csv, "parquet": table.to_parquet, "jsonl": table.to_json}
    options = {"csv": {"index": False}, "jsonl": {"orient": "records", "lines": True}}
    if suffix != "frame":
        writers[suffix](source, **options.get(suffix, {}))
    report = ingest(source, store="runs.db")
    assert (report.n_spans, report.n_agents, report.n_duplicates, report.problems) == (9, 2, 0, [])
    assert ids_of("runs.db") == [f"run{run}/{number}" for run in range(3) for number in range(3)]
    spans = report.spans()
    assert spans.loc[spans["id"] == "run2/1", "parent_id"].tolist() == ["run2/0"]
    assert json.loads(spans.set_index("id").loc["run2/1", "data"]) == {"source_id": "1", "parent_id": "run2/0"}
    assert len(self_spans(spans)) == 9


def test_a_run_that_is_read_later_is_added():
    for run, part in RUNS.groupby("trace_id"):
        part.to_csv(f"{run}.csv", index=False)
    together = Store("together.db")
    for run in ("run2", "run0", "run1"):
        assert ingest(f"{run}.csv", store=together).problems == []
    assert len(load_spans(store=together)) == 9


def test_ids_are_escaped_so_that_they_differ():
    pairs = [("a/b", "c"), ("a", "b/c"), ("a%2Fb", "c"), ("a", "%2F"), ("a/", "%2F")]
    assert len({stored_id(*pair) for pair in pairs}) == len(pairs)
    assert [trace_of(stored_id(*pair)) for pair in pairs] == [trace for trace, _ in pairs]
    rows = [{"trace_id": trace, "id": span, "agent_id": "ann", "start_time": 0, "end_time": 5} for trace, span in pairs]
    assert ingest(write_file("x.jsonl", *rows)).n_spans == len(pairs)


def test_ids_that_begin_with_their_trace_are_ids_of_the_store():
    spans = ingest(RUNS).spans()
    for source in (spans, export(spans, "x.csv"), export(spans, "x.parquet"), spans.drop(columns="data"), spans.assign(more=1)):
        report = ingest(source)
        assert (sum(written.added for written in report.written), report.problems) == (0, [])
    assert len(load_spans()) == 9


def test_links_and_requests_name_spans_of_their_trace():
    rows = [
        {"trace_id": "t", "id": "m", "agent_id": "ann", "start_time": 0, "end_time": 5},
        {"trace_id": "t", "id": "x", "agent_id": "bob", "start_time": 5, "end_time": 9, "links": ["m"], "requested_by": "m"},
    ]
    spans = ingest(write_file("x.jsonl", *rows)).spans()
    assert json.loads(spans["data"][1]) == {"source_id": "x", "links": ["t/m"], "requested_by": "t/m"}
    assert len(handoffs(spans)) == 1


def test_a_store_of_an_earlier_version_gets_no_twins():
    store = Store("old.db")
    old = RUNS[RUNS["trace_id"] == "run0"].astype({"id": "str"}).drop(columns="parent_id")
    store.write_trace("run0", old)
    store.add_spans("run0", [{**ROW, "id": "own"}])
    report = ingest(RUNS, store=store)
    assert ids_of(store) == sorted([f"run{run}/{number}" for run in range(3) for number in range(3)] + ["own"])
    assert report.problems == []


ROW = {"agent_id": "ann", "location_id": "desk", "start_time": 0, "end_time": 5}
