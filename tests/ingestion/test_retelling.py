"""What a span is when several records, or several calls, tell of it."""

import json

import pytest
from test_same_store import TRACES, contents, record, write_lines

from tokenvis import Store, ingest, load_spans


def told(store):
    """The end and the data of each span, by the end of its id."""
    spans = load_spans(store=store)
    rows = zip(spans["id"].str[-1], spans["end_time"], spans["data"], strict=True)
    return {span: (end, json.loads(data)) for span, end, data in rows}


def test_an_ended_span_is_not_replaced_by_a_later_snapshot(tmp_path):
    ended, snapshot = record(1, 1, 3, x="1"), record(1, 1, None)
    for number, records in enumerate(([ended, snapshot], [snapshot, ended])):
        report = ingest(write_lines(tmp_path / f"{number}.jsonl", records, ""), store=f"{number}.db")
        assert told(f"{number}.db")["1"][0] == 3
        assert (report.n_open, report.n_duplicates, report.n_snapshots, report.problems) == (0, 0, 1, [])
    for order in ([ended, snapshot], [snapshot, ended]):
        store = Store(f"{order[0] is ended}.db")
        for number, one in enumerate(order):
            ingest(write_lines(tmp_path / f"{one is ended}{number}.jsonl", [one], ""), store=store)
        assert told(store)["1"][0] == 3


def test_what_the_final_record_lacks_stays(tmp_path):
    snapshot = record(1, 1, None, "chat", 2, **{"gen_ai.agent.name": "Ann", "gen_ai.tool.name": "sh", "x": "1"})
    final = record(1, 1, 3, "chat", x="2")
    store = Store("x.db")
    for name, one in (("a", final), ("b", snapshot), ("a", final)):
        ingest(write_lines(tmp_path / f"{name}.jsonl", [one], ""), store=store)
    [span] = load_spans(store=store).to_dict("records")
    data = json.loads(span["data"])
    assert (span["agent_id"], span["end_time"], span["parent_id"]) == ("Ann", 3, f"{'aa' * 16}/{2:016x}")
    assert data["attributes"] == {"x": "2", "gen_ai.agent.name": "Ann", "gen_ai.tool.name": "sh"}
    assert data["from_snapshot"] == ["agent_id", "gen_ai.agent.name", "gen_ai.tool.name", "location_id", "parent_id"]


def test_a_file_that_is_read_again_replaces_what_it_told(tmp_path):
    path, store = tmp_path / "x.jsonl", Store("x.db")
    message = '[{"role": "user"}]'
    ingest(write_lines(path, [record(1, 1, 9, **{"gen_ai.input.messages": message})], ""), store=store)
    ingest(path, content="none", agent=lambda _: "Zoe", store=store)
    [span] = load_spans(store=store).to_dict("records")
    assert (span["agent_id"], "messages" in span["data"]) == ("Zoe", False)
    report = ingest(write_lines(path, [record(1, 1, 4)], ""), store=store)
    assert (told(store)["1"][0], report.problems) == (4, [])


def test_files_that_contradict_each_other_are_told(tmp_path):
    short, long = record(1, 1, 4), record(1, 1, 9, x="more")
    dumps = []
    for number, order in enumerate(([short, long], [long, short], [short, long, short])):
        store = Store(f"{number}.db")
        for one in order:
            report = ingest(write_lines(tmp_path / f"{one is long}.jsonl", [one], ""), store=store)
        dumps.append(contents(store))
        assert (told(store)["1"][0], told(store)["1"][1]["disputed"]) == (9, True)
        assert [problem.reason for problem in report.problems] == (
            []
            if order[-1] is long
            else [
                f"span '{'aa' * 16}/{1:016x}': another file says something else; what has more data is kept, and marked as "
                "`disputed`"
            ]
        )
    assert dumps[0] == dumps[1] == dumps[2]


def test_a_later_file_completes_stored_spans(tmp_path):
    agent = record(1, 0, 9, "invoke_agent Ann", **{"gen_ai.operation.name": "invoke_agent"})
    call, running = record(2, 3, 5, "chat", 1), record(3, 4, None, "chat", 1)
    store = Store("x.db")
    ingest(write_lines(tmp_path / "a.jsonl", [call, running], "shop"), store=store)
    assert load_spans(store=store)[["agent_id", "end_time"]].to_numpy().tolist() == [["shop", 5], ["shop", 5]]
    report = ingest(write_lines(tmp_path / "b.jsonl", [agent], "shop"), store=store)
    assert load_spans(store=store)[["agent_id", "end_time"]].to_numpy().tolist() == [["Ann", 9], ["Ann", 5], ["Ann", 9]]
    assert [(written.added, written.updated) for written in report.written] == [(1, 2)]
    assert [told(store)[span][1].get("agent_from") for span in "123"] == [None, "ancestor", "ancestor"]


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_a_trace_is_named_by_its_earliest_root(tmp_path, order):
    other = record(9, 0, 9, "other", trace=TRACES[1])
    roots = [record(1, 0, 9, "first"), record(2, 1, 9, "second")]
    paths = [write_lines(tmp_path / f"{number}.jsonl", [root, other], "") for number, root in enumerate(roots)]
    report = [ingest(paths[number], store="x.db") for number in order][-1]
    assert report.names == {TRACES[0]: "first", TRACES[1]: "other"}


def test_of_snapshots_that_differ_the_one_with_more_data_counts(tmp_path):
    snapshots = [
        record(1, 1, None, "chat", **{"gen_ai.agent.name": agent, "n": n}) for agent, n in (("Ann", "10"), ("Bob", "9"))
    ]
    dumps = []
    for number, order in enumerate(([0, 1, 2], [1, 0, 2], [2, 1, 0])):
        store = Store(f"{number}.db")
        for one in order:
            ingest(write_lines(tmp_path / f"{one}.jsonl", [[*snapshots, record(1, 1, 3, "chat")][one]], ""), store=store)
        dumps.append(contents(store))
        assert (load_spans(store=store)["agent_id"].tolist(), told(store)["1"][1]["attributes"]["n"]) == (["Ann"], "10")
    assert dumps[0] == dumps[1] == dumps[2]
