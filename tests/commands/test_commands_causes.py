import json
from pathlib import Path

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
    assert "Slower than old: work of researcher at tool:search, +" in text
    assert "run-006" in text
    assert "More errors than old: retry of tester at tool:tests, +3 in 1 of 4 runs (run-004); error of tester" in text
    document = json.loads("\n".join(run("compare", "old", "new", "--json")[1]))
    assert [*document["causes"]] == ["time", "tokens", "errors"], "the cost is not known"
    [cause, *_] = document["causes"]["time"]
    assert (cause["cause"], cause["agent_id"], cause["location_id"]) == ("work", "researcher", "tool:search")
    assert "run-006" in cause["runs"]


def test_odd_runs_of_a_single_source(run, folder):
    code, out, _ = run("compare", ".", "--baseline", "median")
    text = " ".join(line.strip() for line in out)
    assert code == 0
    assert "Slow: work of researcher at tool:search, +" in text
    assert " in 2 of 8 runs (" in text
    assert "Errors: retry of tester at tool:tests, +3 in 1 of 8 runs (" in text


def test_a_change_that_makes_all_runs_slower_is_named(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    runs = made_runs(10, faults=[slower("reviewer", "model:large", 3, range(5, 10)), failed("tester", "tool:tests", [6, 7])])
    is_old = runs["trace_id"].astype("str") < "run-005"
    tv.export(runs[is_old], "old.jsonl")
    tv.export(runs[~is_old], "new.jsonl")
    code, out, _ = run("compare", "old.jsonl", "new.jsonl", "--fail-if", "errors > +0")
    text = " ".join(line.strip() for line in out)
    assert "Slower than old.jsonl: work of reviewer at model:large, +" in text
    assert " in 5 of 5 runs (" in text
    assert (code, out[-1]) == (1, "Failed: errors > +0: new.jsonl: 1.6 (baseline 0)"), "two of five failed, four times each"


def dearer(agent, location, tokens, runs):
    """In these runs, the calls of an agent at a location take more tokens."""

    def fault(draft, run):
        if run in runs and (draft["agent_id"], draft["location_id"]) == (agent, location):
            data = draft["data"]
            return {**draft, "data": {**data, "attributes": {**data["attributes"], "gen_ai.usage.input_tokens": tokens}}}
        return draft

    return fault


def test_many_tokens_are_told_if_the_cost_is_not_known(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tv.export(made_runs(8, faults=[dearer("writer", "model:large", 9000, [3])]), "runs.jsonl")
    Path("all.json").write_text('{"large": {"input": 1, "output": 1}, "small": {"input": 1, "output": 1}}')
    Path("large.json").write_text('{"large": {"input": 1, "output": 1}}')

    def said(*options):
        return [line for line in run("compare", "runs.jsonl", *options)[1] if line.startswith(("Dear", "Many tokens"))]

    tokens = "Many tokens: work of writer at model:large, +32,000 in 1 of 8 runs (run-003)."
    assert said() == said("--prices", "large.json") == [tokens]
    assert said("--prices", "all.json") == ["Dear: work of writer at model:large, +0.0320 in 1 of 8 runs (run-003)."]


def test_causes_that_are_not_shown_are_counted(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    places = ("researcher", "tool:search"), ("tester", "tool:tests"), ("reviewer", "model:large"), ("writer", "model:large")
    tv.export(made_runs(8, faults=[slower(*place, 5, [2, 6]) for place in places]), "runs.jsonl")
    text = " ".join(line.strip() for line in run("compare", "runs.jsonl")[1])
    assert text.count(" in 2 of 8 runs (") == 2
    assert "; 2 more." in text


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
    code, out, _ = run("compare", "old", "again", "--baseline", "median")
    assert code == 0
    assert "run-002 in old" in " ".join(out)


def test_runs_of_one_name_in_one_side_are_told_by_their_ids(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    runs = made_runs(8, faults=[slower("researcher", "tool:search", 3, [2, 6])]).assign(trace_name="nightly")
    tv.export(runs[runs["trace_id"] <= "run-003"], "old.jsonl")
    tv.export(runs[runs["trace_id"] > "run-003"], "new.jsonl")
    arguments = ("compare", "old.jsonl", "new.jsonl", "--baseline", "median")
    text = " ".join(line.strip() for line in run(*arguments)[1])
    assert "in 2 of 8 runs (run-002 in old.jsonl, run-006 in new.jsonl)." in text
    [cause, *_] = json.loads("\n".join(run(*arguments, "--json")[1]))["causes"]["time"]
    assert cause["trace_ids"] == ["run-002", "run-006"]
