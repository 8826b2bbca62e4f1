import io
import json
import re
import sys
from pathlib import Path

import pandas as pd
import pytest
from conftest import spans_frames, spans_of, with_data
from hypothesis import given

import tokenvis as tv
from tokenvis.analysis.diagnose import diagnose
from tokenvis.commands.facts import doubts_about_totals
from tokenvis.spans.losses import LOST_LOCATION

CALL = {"gen_ai.usage.input_tokens": 1000, "gen_ai.usage.output_tokens": 200, "gen_ai.request.model": "m"}


@pytest.fixture(autouse=True)
def files():
    """A run with a call of a model, a failure and a wait for a person; another without; a folder of both; prices."""
    first = spans_of("ann 0 60000000 model:m", "bob 30000000 90000000 desk", "ann 90000000 120000000 desk")
    data = {"a": {"attributes": CALL}, "b": {"status": "error"}, "c": {"waits_for": "user"}}
    tv.export(with_data(first, **data), "first.jsonl")
    tv.export(spans_of("ann 0 10000000 desk u", "ann 12000000 20000000 desk u").assign(id=["d", "e"]), "second.jsonl")
    Path("runs").mkdir()
    for name in ("first", "second"):
        Path(f"runs/{name}.jsonl").write_bytes(Path(f"{name}.jsonl").read_bytes())
    Path("prices.json").write_text('{"m": {"input": 3, "output": 15}}')


def test_the_summary_of_a_run(run):
    assert run("summary", "first.jsonl", "--prices", "prices.json") == (
        0,
        [
            "first (t)",
            "  spans    3 by 2 agents at 2 locations",
            "  time     2m: 1m 30s working (75%), 30 s waiting for persons (25%)",
            "  work     2m, parallel for 33% of the working time, at most 2 spans at once",
            "  tokens   1,200: 1,000 input, 200 output",
            "  cost     0.00600 from --prices",
            "  errors   1 span failed",
            "  doubts   unconnected 2",
            "Work by agent",
            "  ann  1m  50%",
            "  bob  1m  50%",
            "Critical path",
            "  ann at model:m                    1m  50%",
            "  ann waits for a person at desk  30 s  25%",
            "  bob at desk                     30 s  25%",
        ],
        [],
    )


def test_what_is_not_known_is_said(run):
    """Without prices the cost is not known; the second run has no token counts; neither is a database made."""
    assert "  cost     not known; 1 call without a cost" in run("summary", "first.jsonl")[1]
    out = run("summary", "second.jsonl")[1]
    assert out[1:6] == [
        "  spans    2 by 1 agent at 1 location",
        "  time     20 s: 18 s working (90%), 2 s idle (10%)",
        "  work     18 s, at most 1 span at once",
        "  tokens   not known",
        "  cost     not known",
    ]
    assert not Path("sqlite.db").exists()


def test_a_sum_without_some_calls_is_a_lower_bound(run):
    spans = spans_of("ann 0 5 model:m", "ann 5 9 model:n")
    tv.export(with_data(spans, a={"attributes": {**CALL, "gen_ai.usage.cost": 2}}, b={"kind": "model"}), "silent.jsonl")
    out = run("summary", "silent.jsonl")[1]
    assert out[4:6] == [
        "  tokens   ≥ 1,200: 1,000 input, 200 output; 1 call without tokens",
        "  cost     ≥ 2.00 from source; 1 call without a cost",
    ]
    [facts] = json.loads("\n".join(run("summary", "silent.jsonl", "--json")[1]))["runs"]
    assert [facts[name] for name in ("tokens", "cost", "n_silent", "n_unpriced")] == [1200, 2.0, 1, 1]


def test_many_runs_are_a_table(run):
    assert run("summary", "runs", "--prices", "prices.json") == (
        0,
        [
            "run     spans  agents    time  working  persons  idle     tokens       cost  errors",
            "first       3       2      2m      75%      25%    0%      1,200    0.00600       1",
            "second      2       1    20 s      90%       0%   10%  not known  not known       0",
            "median    2.5     1.5  1m 10s      82%      12%    5%  not known  not known     0.5",
            "Doubts: unconnected in 1 run.",
        ],
        [],
    )


def test_behaviour_is_told_the_most_time_lost_first(run):
    spans = spans_of(*(f"ann {start} {start + 5} lab" for start in (0, 10, 20, 30)))
    same = {"label": "look", "arguments": {"q": 1}}
    payloads = {"a": {"label": "try", "status": "error"}, "b": {"label": "try"}, "c": same, "d": same}
    tv.export(with_data(spans, **payloads), "tried.jsonl")
    code, out, _ = run("summary", "tried.jsonl")
    assert code == 0
    [behaviour] = [number for number, line in enumerate(out) if line == "Behaviour"]
    assert out[behaviour + 1].startswith("  retry 10 µs: 'ann' tried 1 failed attempt at 'lab' again")
    assert all(line.startswith("    ") for line in out[behaviour + 2 :])
    assert "  errors   1 span failed, 1 tried again" in out


def test_a_stored_trace_and_stdin(run, monkeypatch):
    run("seed")
    assert run("summary", "kitchen-sink")[1][0] == "kitchen-sink"
    assert run("summary", "multi-agent-workflow", "first.jsonl")[1][1].split()[0] == "multi-agent-workflow"

    class Piped:
        buffer = io.BytesIO(Path("first.jsonl").read_bytes())

    monkeypatch.setattr(sys, "stdin", Piped)
    assert run("summary", "-")[1][1] == "  spans    3 by 2 agents at 2 locations"


def test_the_json_of_a_run(run):
    code, out, err = run("summary", "first.jsonl", "--json", "--prices", "prices.json")
    assert (code, err) == (0, [])
    document = json.loads("\n".join(out))
    assert list(document) == ["runs", "failed_rules", "undecided_rules", "problems"]
    [facts] = document["runs"]
    parts, findings, agents = (facts.pop(name) for name in ("critical_path", "findings", "agents"))
    assert facts == {
        "trace_id": "t", "name": "first", "n_spans": 3, "n_agents": 2, "n_locations": 2, "n_lost": 0,
        "wall_us": 120_000_000, "active_us": 90_000_000, "person_us": 30_000_000, "idle_us": 0,
        "busy_us": 120_000_000, "waiting_us": 30_000_000, "share_active": 0.75, "peak": 2, "share_parallel": 1 / 3,
        "p50_us": 60_000_000, "p95_us": 60_000_000, "longest_us": 60_000_000,
        "tokens": 1200, "input_tokens": 1000, "output_tokens": 200, "n_silent": 0,
        "cost": 0.006, "price_source": "prices=", "unpriced_models": [], "n_unpriced": 0,
        "n_errors": 1, "n_retries": 0,
    }  # fmt: skip
    assert agents[1] == {"agent_id": "bob", "n_spans": 1, "busy_us": 60_000_000, "waiting_us": 0, "n_errors": 1}
    assert parts[1:] == [
        {"agent_id": "ann", "location_id": "desk", "state": "person", "part_us": 30_000_000},
        {"agent_id": "bob", "location_id": "desk", "state": "work", "part_us": 30_000_000},
    ]
    assert [(finding["kind"], finding["about"], finding["n_spans"]) for finding in findings] == [("unconnected", "data", 2)]


def test_rules_about_each_run(run):
    rules = ["--fail-if", "errors > 0", "--fail-if", "time of bob > 2 min", "--fail-if", "spans > 9"]
    code, out, err = run("summary", "runs", *rules)
    assert (code, err) == (1, [])
    assert out[-2:] == ["", "Failed: errors > 0: first: 1"]
    assert run("summary", "runs", "--fail-if", "spans > 9")[::2] == (0, [])
    document = json.loads("\n".join(run("summary", "runs", "--json", "--fail-if", "work of location desk < 20s")[1]))
    assert document["failed_rules"] == [
        {"rule": "work of location desk < 20s", "side": "second", "trace_id": "u", "value": 18_000_000, "baseline": None}
    ]


def test_runs_of_one_name_are_told_apart_by_their_ids(run):
    tv.export(spans_of(*(f"ann 0 {end} desk {trace}" for end, trace in ((5, "t"), (20, "u"), (30, "v")))), "nightly.jsonl")
    tv.ingest("nightly.jsonl", store="same.db")
    spans = tv.load_spans(store="same.db").assign(trace_name="nightly")
    tv.export(spans, "same.jsonl")
    code, out, _ = run("summary", "same.jsonl", "--fail-if", "time > 15us")
    assert [line.split()[0] for line in out[1:4]] == ["t", "u", "v"]
    assert (code, out[-2:]) == (1, ["Failed: time > 15us: u: 20 µs", "Failed: time > 15us: v: 30 µs"])
    document = json.loads("\n".join(run("summary", "same.jsonl", "--fail-if", "time > 15us", "--json")[1]))
    assert [(rule["side"], rule["trace_id"]) for rule in document["failed_rules"]] == [("u", "u"), ("v", "v")]
    assert [run["name"] for run in document["runs"]] == ["nightly"] * 3


def test_one_run_of_two_sources_is_told_apart(run):
    code, out, _ = run("summary", "second.jsonl", "second.jsonl", "--fail-if", "spans > 1", "--json")
    rules = json.loads("\n".join(out))["failed_rules"]
    assert [(rule["side"], rule["trace_id"]) for rule in rules] == [("u", "u"), ("u (2)", "u")]


def test_what_nothing_explains_is_idle_as_in_contributions(run):
    document = json.loads("\n".join(run("summary", "second.jsonl", "--json")[1]))
    assert document["runs"][0]["critical_path"] == [
        {"agent_id": "ann", "location_id": "desk", "state": "work", "part_us": 18_000_000},
        {"agent_id": None, "location_id": None, "state": "idle", "part_us": 2_000_000},
    ]


def test_only_all_is_100_percent_in_the_table_of_runs(run):
    tv.export(spans_of("ann 0 999 desk", "ann 1000 1001 desk", "bob 0 5 desk u"), "runs.jsonl")
    shares = [re.findall(r"\S+%", line) for line in run("summary", "runs.jsonl")[1][1:3]]
    assert shares == [[">99%", "0%", "<1%"], ["100%", "0%", "0%"]]


def test_a_rule_that_cannot_be_decided_fails(run):
    code, out, err = run("summary", "first.jsonl", "--fail-if", "cost > 1", "--fail-if", "spans > 9")
    assert (code, out[-1]) == (2, "  bob at desk                     30 s  25%")
    assert err == [
        "tokenvis: Not decided: cost > 1: first: not known.",
        "tokenvis: Of some calls the cost is not known. Pass --prices.",
    ]
    assert run("summary", "first.jsonl", "--fail-if", "cost > 1", "--fail-if", "spans > 1")[0] == 1


def test_a_summary_has_no_baseline(run):
    assert run("summary", "first.jsonl", "--fail-if", "cost > 1.2x") == (
        2, [], ["tokenvis: 'cost > 1.2x' needs a baseline, which only tokenvis compare has."]
    )  # fmt: skip


def test_names_from_traces_are_harmless(run):
    name = "x\x1b[31m\n" + "y" * 99
    spans = spans_of("a 0 5 l", "b 1 2 l")
    spans["agent_id"] = spans["agent_id"].cat.rename_categories({"a": name})
    spans["trace_id"] = spans["trace_id"].cat.rename_categories({"t": name})
    tv.Store().write_trace(name, spans)
    code, out, _ = run("summary", name)
    assert code == 0
    assert out[0] == f"x�[31m {'y' * 25}…{'y' * 17}"
    assert f"  x�[31m {'y' * 13}…{'y' * 11}  5 µs  83%" in out
    assert all(len(line) <= 100 and line.isprintable() for line in out)
    assert json.loads("\n".join(run("summary", name, "--json")[1]))["runs"][0]["name"] == name


@pytest.mark.laws
@given(spans_frames(parents=True, data=True, n_traces=2))
def test_the_doubts_about_totals_are_those_of_diagnose(spans):
    found = diagnose(spans)[["trace_id", "kind"]].astype("str")
    found = found[found["kind"].isin(["lost", "duplicate id", "invalid usage", "unexplained usage", "surplus usage", "open"])]
    assert doubts_about_totals(spans) == {trace_id: set(kinds) for trace_id, kinds in found.groupby("trace_id")["kind"]}


def test_each_doubt_about_totals_is_found():
    call = {"attributes": {"gen_ai.usage.input_tokens": 10}}
    rows = ["ann 0 9 desk t", "ann 1 3 model:m t", "ann 0 9 desk u", f"tokenvis 0 9 {LOST_LOCATION} v", "ann 0 1 desk v"]
    bad = {"attributes": {"gen_ai.usage.input_tokens": -1}}
    payloads = {"a": {"status": "open"} | call, "b": call, "c": bad, "d": {"kind": LOST_LOCATION, "n_lost": 3}}
    spans = with_data(spans_of(*rows), **payloads)
    spans = pd.concat([spans, spans[spans["id"] == "e"]], ignore_index=True)
    assert doubts_about_totals(spans) == {"t": {"open"}, "u": {"invalid usage"}, "v": {"lost", "duplicate id"}}
