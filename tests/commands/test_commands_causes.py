import json

import pytest
from made_runs import failed, made_runs, renamed, slower

import tokenvis as tv


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working directory with two folders of runs, of which some are slow, and one failed."""
    monkeypatch.chdir(tmp_path)
    faults = [
        slower("researcher", "tool:search", 3, [2, 6]),
        failed("tester", "tool:tests", [4]),
        renamed("writer", "author", range(4)),
    ]
    runs = made_runs(8, faults=faults)
    for number, (name, spans) in enumerate(runs.groupby("trace_id", observed=True)):
        side = tmp_path / ("old" if number < 4 else "new")
        side.mkdir(exist_ok=True)
        tv.export(spans, side / f"{name}.jsonl")


def test_the_causes_of_slow_and_failed_runs(run, folder):
    code, out, err = run("compare", "old", "new")
    assert (code, err) == (0, [])
    text = " ".join(line.strip() for line in out)
    assert "Slow: work of researcher at tool:search, +" in text
    assert " in 2 of 8 runs (run-002, run-006);" in text
    assert "Failed: retry of tester at tool:tests, +3 in 1 of 8 runs (run-004); error of tester at tool:tests, +1" in text
    document = json.loads("\n".join(run("compare", "old", "new", "--json")[1]))
    assert [*document["causes"]] == ["time", "tokens", "errors"], "the cost is not known"
    [cause, *_] = document["causes"]["time"]
    assert (cause["cause"], cause["agent_id"], cause["location_id"], cause["n_runs"]) == (
        "work",
        "researcher",
        "tool:search",
        2,
    )
    assert sorted(cause["runs"]) == ["run-002", "run-006"]


def test_two_runs_have_no_causes(run, folder):
    code, out, _ = run("compare", "old/run-000.jsonl", "old/run-001.jsonl", "--json")
    assert (code, json.loads("\n".join(out))["causes"]) == (0, {})


def test_runs_of_one_name_are_told_with_their_sides(run, folder, tmp_path):
    (tmp_path / "again").mkdir()
    for path in (tmp_path / "old").iterdir():
        spans = tv.ingest(path, store=tmp_path / "again.db").spans()
        tv.export(
            spans.assign(trace_id=f"{path.stem} again", id=spans["id"] + " again", parent_id=None, data=None),
            tmp_path / "again" / path.name,
        )
    code, out, _ = run("compare", "old", "again")
    assert code == 0
    assert "run-002 in old" in " ".join(out)
