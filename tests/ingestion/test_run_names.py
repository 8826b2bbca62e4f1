import io
import json
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
import pytest
from files import write_file
from hypothesis import given, settings
from hypothesis import strategies as st
from test_same_store import contents, record, stored_after, write_lines

from tokenvis import Store, export, ingest, load_spans, load_traces
from tokenvis.ingestion.run_names import names_of_runs
from tokenvis.spans.integers import INT64_MIN
from tokenvis.store.sources import TraceSource

HEX = "0af7651916cd43dd8448eb211c80319c", "1bf7651916cd43dd8448eb211c80319c"
UUIDS = "0b1c2d3e-4f5a-6b7c-8d9e-0f1a2b3c4d5e", "1b1c2d3e-4f5a-6b7c-8d9e-0f1a2b3c4d5e"


def named(*told):
    """The names of traces "a", "b", …, each told by a file of this place, or by several; "=" is before a title."""
    sources = []
    for trace, (places, name) in zip("abcdefgh", told, strict=False):
        for place in places.split(" + "):
            title = (name or "").startswith("=")
            sources.append(TraceSource(trace, place, INT64_MIN if title else 5, name and name.removeprefix("="), place or None))
    names = names_of_runs(sources)
    assert names_of_runs(reversed(sources)) == names
    return list(names.values())


@pytest.mark.parametrize("name", [None, "chat", "chat: Where is my order?"])
def test_a_run_alone_in_its_file_is_named_by_its_file_or_folder(name):
    assert named(("x/runs/seed-3/trace", name)) == ["seed-3"]
    assert named(("x/runs/run-07", name), ("x/runs/run-08", name)) == ["run-07", "run-08"]
    assert named(("a/trace", name), ("b/trace", name)) == ["a", "b"]


def test_folders_above_and_files_below_tell_places_apart():
    assert named(("v1/run-1", None), ("v2/run-1", None), ("v1/run-2", None)) == ["v1/run-1", "v2/run-1", "run-2"]
    assert named(("x/v1/run-1", None), ("y/v1/run-1", None), ("v2/run-1", None)) == ["x/v1/run-1", "y/v1/run-1", "v2/run-1"]
    assert named(("seed-3/trace", None), ("seed-3/events", None), ("seed-4/trace", None)) == [
        "seed-3/trace",
        "seed-3/events",
        "seed-4",
    ]
    assert named(("x/2024-05-01", None), ("x/2024-05-02", None)) == ["x/2024-05-01", "x/2024-05-02"]
    assert named(("s/logs/trace", None), ("s/output/trace", None)) == ["s/logs/trace", "s/output/trace"]


def test_a_number_has_its_folder():
    assert named(("runs/seeds/3/trace", None), ("runs/1", None)) == ["seeds/3", "runs/1"]


def test_a_title_counts_before_the_file():
    assert named(("runs/run-1", "=Fix the bug"), ("runs/run-2", "=Add a test")) == ["Fix the bug", "Add a test"]


def test_titles_that_do_not_tell_the_runs_of_a_folder_apart_are_not_used_there():
    titles = ("runs/run-1", "=Fix"), ("runs/run-2", "=Fix"), ("runs/run-3", "=Add")
    assert named(*titles, ("other/run-4", "=Go")) == ["run-1", "run-2", "run-3", "Go"]
    assert named(("x/1/run-1", "=Fix"), ("x/2/run-2", "=Fix"), ("x/2/run-3", "=Add")) == ["run-1", "run-2", "Add"]


def test_files_that_are_named_by_an_id_have_the_title_with_an_id_where_others_have_it_too():
    assert named(*((f"shop/{uuid}", "=Fix") for uuid in UUIDS), ("shop/2" + UUIDS[0][1:], "=Add")) == ["Fix a", "Fix b", "Add"]
    assert named((UUIDS[0], "=Fix"), (UUIDS[1], "=Fix")) == ["Fix a", "Fix b"]


def test_ids_are_shortened_if_no_other_begins_so():
    def names(*ids):
        sources = [TraceSource(trace, trace, INT64_MIN, "Fix", f"shop/{trace}") for trace in ids]
        return list(names_of_runs(sources).values())

    assert names(*UUIDS) == ["Fix 0b1c2d3e", "Fix 1b1c2d3e"]
    assert names(*HEX) == ["Fix 0af76519", "Fix 1bf76519"]
    assert names("0" * 31 + "1", "0" * 31 + "2") == [f"Fix {'0' * 31}1", f"Fix {'0' * 31}2"]


def test_a_common_place_names_only_what_has_no_name():
    assert named(("trace", "chat"), ("traces", None)) == ["chat", "b"]
    sources = [TraceSource(trace, trace, None, None, "trace") for trace in HEX]
    assert names_of_runs(sources[:1]) == {HEX[0]: "trace"}
    assert names_of_runs(sources) == {HEX[0]: "trace/0af76519", HEX[1]: "trace/1bf76519"}


def test_runs_that_share_a_file_have_their_names_or_ids():
    assert named(("runs/log", "chat"), ("runs/log", "=Fix"), ("runs/log", None)) == ["chat", "Fix", "c"]
    sources = [TraceSource(trace, "one file", None, None, "x/monday") for trace in HEX]
    assert names_of_runs(sources) == {HEX[0]: "monday/0af76519", HEX[1]: "monday/1bf76519"}


def test_files_with_the_same_names_are_told_apart():
    """As logs of one task with two models."""
    haiku, opus = (("logs/haiku", "=task 1"), ("logs/haiku", "=task 2")), (("logs/opus", "=task 1"), ("logs/opus", "=task 3"))
    assert named(*haiku, *opus) == ["haiku/task 1", "haiku/task 2", "opus/task 1", "opus/task 3"]
    assert named(*haiku, *haiku[:1]) == ["task 1", "task 2", "task 1"]


def test_a_run_of_several_files_has_their_folder_unless_that_has_other_runs():
    assert named(("runs/seed-3/batch-1 + runs/seed-3/batch-2", "chat"), ("runs/seed-4/batch-1", "chat")) == ["seed-3", "seed-4"]
    assert named(("runs/x/a + runs/x/b", "chat"), ("runs/x/c", "chat")) == ["chat a", "c"]
    assert named(("p/a + q/b", "chat"), ("r/c", None)) == ["chat", "c"]


def test_without_a_place_a_name_stays_as_it_is():
    assert named(("", f"={HEX[0]}"), ("", "="), ("", None), ("", "=walk"), ("", "=walk")) == [HEX[0], "", "c", "walk", "walk"]


@pytest.mark.parametrize("name", [HEX[0], UUIDS[0], "b"])
def test_an_id_is_no_name(name):
    assert named(("trace", "chat"), ("runs/run-1", f"={name}")) == ["chat", "run-1"]


# From files to names.


def run_of(seed, name="chat", **more):
    """A trace of one span."""
    return record(1, seed, seed + 5, name, trace=f"{seed:x}f{'0a' * 15}", **more)


def names_in(store):
    return load_traces(store=store).sort_values("id")["name"].tolist()


def folder_of_runs(*paths):
    for number, path in enumerate(paths):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        write_lines(Path(path), [run_of(number)], "shop")


def test_a_folder_of_runs():
    folder_of_runs("runs/seed-3/trace.jsonl", "runs/seed-4/trace.jsonl")
    write_file("runs/run-07.csv", "agent_id,location_id,start_time,end_time", "ann,desk,0,10")
    report = ingest("runs")
    assert sorted(report.names.values()) == sorted(load_traces()["name"]) == ["run-07", "seed-3", "seed-4"]
    spans = load_spans("seed-3")
    assert spans["trace_name"].tolist() == ["seed-3"]
    assert load_spans(["run-07", "seed-4"])["trace_name"].tolist() == ["run-07", "seed-4"]
    assert "Trace '0f0a0a0a" in str(report)
    assert "(seed-3): 1 span added" in str(report)


def test_a_file_by_itself_has_the_name_that_it_has_in_its_folder():
    folder_of_runs("runs/seed-3/trace.jsonl", "runs/seed-4/trace.jsonl")
    assert list(ingest("runs/seed-3/trace.jsonl", store="one.db").names.values()) == ["seed-3"]


def test_a_file_that_is_read_later_renames_the_traces_of_others_and_tells_it():
    folder_of_runs("v1/run-1.jsonl", "v2/run-1.jsonl")
    assert list(ingest("v1").names.values()) == ["run-1"]
    report = ingest("v2")
    [trace] = report.names
    assert (report.names[trace], names_in(None)) == ("v2/run-1", ["v1/run-1", "v2/run-1"])
    assert str(report).splitlines()[-2:] == [
        "Renamed, because other runs have the same names:",
        "  'run-1' is now 'v1/run-1'",
    ]
    assert not ingest("v1").renamed


def test_an_archive_a_compressed_file_an_open_file_and_a_frame():
    folder_of_runs("runs/seed-3/trace.jsonl", "runs/seed-4/trace.jsonl")
    with zipfile.ZipFile("all.zip", "w") as archive:
        for path in Path("runs").rglob("*.jsonl"):
            archive.write(path, path.relative_to("runs"))
    assert sorted(ingest("all.zip", store="zip.db").names.values()) == ["seed-3", "seed-4"]
    with Path("runs/seed-3/trace.jsonl").open("rb") as file, Path("run-9.jsonl").open("w+b") as copy:
        copy.write(file.read())
        copy.seek(0)
        assert list(ingest(copy, store="open.db").names.values()) == ["run-9"]
    assert list(ingest(io.BytesIO(Path("run-9.jsonl").read_bytes()), store="stream.db").names.values()) == ["chat"]
    rows = pd.DataFrame([{"agent_id": "ann", "location_id": "desk", "start_time": 0, "end_time": 5, "trace_id": "walk"}])
    assert ingest(rows, store="frame.db").names == {"walk": "walk"}


def session(path, prompt):
    """A session of Claude Code."""
    message = {"id": f"m {path}", "model": "opus", "content": [{"type": "text", "text": "done"}], "usage": {}}
    times = {"sessionId": Path(path).stem, "timestamp": "2026-06-21T10:00:00.000Z"}
    lines = {"type": "user", "message": {"content": prompt}}, {"type": "assistant", "message": message}
    write_file(path, *({**line, **times, "uuid": f"{path} {number}"} for number, line in enumerate(lines)))


def test_sessions_have_their_prompts_unless_several_have_the_same():
    for number, uuid in enumerate(UUIDS):
        session(f"apart/{uuid}.jsonl", f"Fix bug {number}")
        session(f"equal/{uuid}.jsonl", "Fix the bug")
        session(f"named/run-{number}.jsonl", "Fix the bug")
    assert names_in(ingest("apart", store="apart.db").store) == ["Fix bug 0", "Fix bug 1"]
    assert names_in(ingest("equal", store="equal.db").store) == ["Fix the bug 0b1c2d3e", "Fix the bug 1b1c2d3e"]
    assert names_in(ingest("named", store="named.db").store) == ["run-0", "run-1"]


def test_a_session_in_an_archive_has_the_same_names_and_sources_each_time():
    session("s/run-1.jsonl", "Fix")
    session("s/run-1/subagents/agent-a1.jsonl", "look")
    with zipfile.ZipFile("all.zip", "w") as archive:
        for path in sorted(Path("s").rglob("*.jsonl")):
            archive.write(path)
    once = stored_after(Path(), "once", "all.zip")
    assert stored_after(Path(), "twice", "all.zip", "all.zip") == once
    assert [row[-1] for row in once[2]] == ["all/s/run-1"]


def test_exported_traces_keep_their_names():
    rows = [{"id": trace, "agent_id": "ann", "location_id": "desk", "start_time": 0, "end_time": 5} for trace in "tu"]
    store = Store("before.db")
    store.write_trace("t", rows[:1], name="A walk")
    store.write_trace("u", rows[1:], name=HEX[0])
    for target, options in (("spans.csv", {}), ("spans", {"format": "fleet"})):
        export(load_spans(store=store) if target.endswith("csv") else store, target, **options)
    assert names_in(ingest("spans", store="fleet.db").store) == ["A walk", HEX[0]]
    assert names_in(ingest("spans.csv", store="table.db").store) == ["A walk", "u"]


def test_a_name_that_somebody_gave_a_trace_stays_when_other_files_are_read():
    folder_of_runs("v1/run-1.jsonl", "v2/run-1.jsonl")
    report = ingest("v1")
    [trace] = report.names
    report.store.add_spans(trace, [], name="my run")
    ingest("v2")
    assert names_in(None) == ["my run", "v2/run-1"]


def test_a_trace_that_was_not_read_from_a_file_keeps_its_name():
    row = {"id": "a", "agent_id": "ann", "location_id": "desk", "start_time": 0, "end_time": 5}
    store = Store("x.db")
    for trace, name in (("kitchen", None), ("t", "my run")):
        store.write_trace(trace, [{**row, "id": f"{trace}/a"}], name=name)
        export(load_spans(trace, store=store).drop(columns="trace_name", errors="ignore"), f"run-{trace}.csv")
    for _ in range(2):
        for path in ("run-kitchen.csv", "run-t.csv"):
            ingest(path, store=store)
        assert names_in(store) == ["kitchen", "my run"]


def test_an_ingest_that_was_stopped_before_it_named_its_traces_names_them_when_it_is_repeated(monkeypatch):
    folder_of_runs("runs/seed-3/trace.jsonl")
    with monkeypatch.context() as stopped:
        stopped.setattr("tokenvis.ingestion.ingest.put_sources", raise_interrupt)
        with pytest.raises(KeyboardInterrupt):
            ingest("runs")
    assert names_in(None) == [f"0f{'0a' * 15}".rjust(32, "0")]
    assert names_in(ingest("runs").store) == ["seed-3"]


def raise_interrupt(*_, **options):
    raise KeyboardInterrupt


def test_what_remains_of_a_deleted_trace_does_not_matter():
    folder_of_runs("v1/run-1.jsonl", "v2/run-1.jsonl", "x/run-2.jsonl")
    store = ingest("v1").store
    [trace] = ingest("v2").names
    store.delete_trace(trace)
    ingest("x")
    assert names_in(None) == ["v1/run-1", "run-2"]


NAMES = st.sampled_from(["chat", "work", "invoke_agent Ann"])
PATHS = st.sampled_from(
    [
        "a/trace",
        "b/trace",
        "a/spans",
        "v1/run-1",
        "v2/run-1",
        "v1/run-2",
        "trace",
        f"a/{UUIDS[0]}",
        f"b/{UUIDS[1]}",
        "7/log",
        "a/1",
    ]
)


@pytest.mark.laws
@given(st.dictionaries(PATHS, st.lists(st.tuples(st.integers(0, 4), NAMES), min_size=1, max_size=3), min_size=1), st.data())
@settings(max_examples=settings.default.max_examples // 3, derandomize=True)
def test_any_order_of_the_files_gives_the_same_names(files, data):
    with TemporaryDirectory(dir=".") as temporary:
        paths = []
        for path, runs in files.items():
            paths.append(Path(temporary, "in", f"{path}.jsonl"))
            paths[-1].parent.mkdir(parents=True, exist_ok=True)
            write_lines(paths[-1], [run_of(seed, name) for seed, name in runs], "shop")
        whole = stored_after(Path(temporary), "whole", Path(temporary, "in"))
        calls = data.draw(st.permutations(paths)) + data.draw(st.lists(st.sampled_from(paths), max_size=2))
        assert stored_after(Path(temporary), "calls", *calls) == whole


@pytest.mark.laws
@given(st.lists(st.tuples(PATHS, st.integers(0, 5), st.none() | NAMES, st.booleans()), max_size=8), st.data())
def test_every_trace_has_a_name_whatever_the_order_of_its_sources(told, data):
    sources = {
        (f"{trace}f{'0a' * 15}", path): TraceSource(f"{trace}f{'0a' * 15}", path, INT64_MIN if title else 3, name, path)
        for path, trace, name, title in told
    }
    names = names_of_runs(sources.values())
    assert names.keys() == {trace for trace, _ in sources}
    assert all(names.values())
    assert names_of_runs(data.draw(st.permutations(list(sources.values())))) == names


def test_the_names_do_not_contain_whole_paths(tmp_path):
    (tmp_path / "deep/er/runs/seed-3").mkdir(parents=True)
    write_lines(tmp_path / "deep/er/runs/seed-3/trace.jsonl", [run_of(1)], "shop")
    store = Store(tmp_path / "x.db")
    ingest(tmp_path, store=store)
    assert str(tmp_path) not in json.dumps(contents(store), default=str)
    assert [row[-1] for row in contents(store)[2]] == ["er/runs/seed-3/trace"]
