import importlib.util
import json
import os
from pathlib import Path

import pytest
from command_line import python
from conftest import full_except, spans_of, with_data
from test_hostile import control_characters

import tokenvis as tv

LABELS = ("plan", "search", "write")


def run_file(path, *rows, agents=None, **payloads):
    """A file of one run, named after it; ids and agents begin with the run's name if that is needed to tell them apart."""
    name = Path(path).stem
    spans = with_data(spans_of(*(f"{row} {name}" for row in rows)), **payloads)
    if agents:
        spans["agent_id"] = spans["agent_id"].cat.rename_categories(agents)
    Path(path).parent.mkdir(exist_ok=True)
    tv.export(spans.assign(id=name + "/" + spans["id"]), path)


@pytest.fixture(autouse=True)
def files():
    """Two runs before a change and two after it: the search is three times slower, and the writer has another name."""
    for number, more in ((1, 0), (2, 10)):
        run_file(f"old/old-{number}.jsonl", "ann 0 10 desk", f"ann 10 {40 + more} web", f"bob {40 + more} {60 + more} pad")
        rows = "ann 0 10 desk", f"ann 10 {100 + more} web", f"bob {100 + more} {120 + more} pad"
        run_file(f"new/new-{number}.jsonl", *rows, agents={"bob": "rob"}, c={"status": "error"})


def test_two_sides_of_several_runs(run):
    assert run("compare", "old", "new") == (
        0,
        [
            "new against old: slower (1.92x, +60 µs), cost not known",
            "         old (median of 2)  new (median of 2)  change  ratio",
            "time                 65 µs             125 µs  +60 µs  1.92x",
            "work                 65 µs             125 µs  +60 µs  1.92x",
            "waiting                0 s                0 s       =      =",
            "tokens           not known          not known       ?      ?",
            "cost             not known          not known       ?      ?",
            "errors                   0                  1      +1      -",
            "retries                  0                  0       =      =",
            "spans                    3                  3       =      =",
            "",
            "work by agent  before   after   ±work  ±waiting  ±tokens  ±cost  ±errors",
            "ann             45 µs  105 µs  +60 µs         =        ?      ?        =",
            "bob             20 µs   20 µs       =         =        ?      ?       +1",
            "",
            "Slower than old: work of ann at web, +60 µs in 2 of 2 runs (new-2, new-1).",
            "",
            "More errors than old: error of bob at pad, +1 in 2 of 2 runs (new-1, new-2).",
            "",
            "Matched by what they do: 'rob' in 'new' is 'bob'.",
        ],
        [],
    )


def test_agents_by_name_and_locations(run):
    out = run("compare", "old", "new", "--match", "agent_id")[1]
    assert out[11:] == [
        "work by agent  before   after   ±work  ±waiting  ±tokens  ±cost  ±errors",
        "ann             45 µs  105 µs  +60 µs         =        ?      ?        =",
        "bob             20 µs     0 s  -20 µs         =        ?      ?        =",
        "rob               0 s   20 µs  +20 µs         =        ?      ?       +1",
        "",
        "Slower than old: work of ann at web, +60 µs in 2 of 2 runs (new-2, new-1); error of rob at pad, +20",
        "  µs in 2 of 2 runs (new-1, new-2).",
        "",
        "More errors than old: error of rob at pad, +1 in 2 of 2 runs (new-1, new-2).",
        "",
        "Only in 'old': 'bob'.",
        "Only in 'new': 'rob'.",
    ]
    out = run("compare", "old", "new", "--by", "location_id")[1]
    assert out[11:13] == [
        "work by location  before  after   ±work  ±waiting  ±tokens  ±cost  ±errors",
        "web                35 µs  95 µs  +60 µs         =        ?      ?        =",
    ]


def test_two_runs_and_where_they_part(run):
    data = {letter: {"label": label} for letter, label in zip("abc", LABELS, strict=True)}
    run_file("a.jsonl", "ann 0 10 desk", "ann 10 40 web", "bob 40 60 pad", **data)
    run_file("b.jsonl", "ann 0 10 desk", "ann 10 40 web", "bob 40 60 pad", **(data | {"b": {"label": "ask"}}))
    code, out, err = run("compare", "a.jsonl", "b.jsonl")
    assert (code, err) == (0, [])
    assert out[0] == "b.jsonl against a.jsonl: same time, cost not known"
    assert out[10:] == [
        "",
        "2 steps the same, 0 changed, 1 only before, 1 only after.",
        "First divergence: ann at web, search: only before (span a/b, instead of span b/b).",
    ]
    assert json.loads("\n".join(run("compare", "a.jsonl", "b.jsonl", "--json")[1]))["steps"] == {
        "same": 2, "changed": 0, "only_in_baseline": 1, "only_in_other": 1,
        "first_divergence": {
            "step": "only in a", "agent_id": "ann", "location_id": "web", "label": "search", "difference": None,
            "id_a": "a/b", "id_b": None, "instead": "b/b", "start_a": 10, "start_b": None,
            "duration_a_us": 30, "duration_b_us": None, "duration_change_us": None,
        },
    }  # fmt: skip


def test_without_the_extra_a_line_says_how_to_get_it(run, monkeypatch):
    find_spec = importlib.util.find_spec
    monkeypatch.setattr("tokenvis.commands.divergence.find_spec", lambda name: None if name == "rapidfuzz" else find_spec(name))
    out = run("compare", "old/old-1.jsonl", "new/new-1.jsonl")[1]
    assert out[-1] == "Where the runs part is shown with the extra: pip install 'tokenvis[alignment]'"
    assert json.loads("\n".join(run("compare", "old/old-1.jsonl", "new/new-1.jsonl", "--json")[1]))["steps"] is None


def test_each_run_of_a_single_source_is_a_side(run):
    run_file("new/new-3.jsonl", "ann 0 30 desk")
    assert run("compare", "new")[1] == [
        "side     time    work  waiting     tokens       cost  errors  retries  spans",
        "new-1  120 µs  120 µs      0 s  not known  not known       1        0      3",
        "new-2  130 µs  130 µs      0 s  not known  not known       1        0      3",
        "new-3   30 µs   30 µs      0 s  not known  not known       0        0      1",
        "",
        "against new-1   time   work  waiting  tokens  cost  errors  retries  spans",
        "new-2          1.08x  1.08x        =       ?     ?       =        =      =",
        "new-3          0.25x  0.25x        =       ?     ?      0x        =  0.33x",
        "",
        "Errors: error of rob at pad, +1 in 2 of 3 runs (new-1, new-2).",
    ]


def test_against_the_median_or_a_named_side(run):
    out = run("compare", "old", "new", "old/old-1.jsonl", "--baseline", "median")[1]
    assert out[4:6] == ["median              65 µs   65 µs      0 s  not known  not known       0        0      3", ""]
    assert out[6].startswith("against median")
    assert [line.split()[1] for line in out[7:10]] == ["=", "1.92x", "0.92x"]
    assert run("compare", "old", "new", "--baseline", "new")[1][0] == "old against new: faster (0.52x, -60 µs), cost not known"
    assert run("compare", "old", "new", "--baseline", "mew") == (
        2, [], ["tokenvis: --baseline 'mew' is neither a side nor 'median'. Sides: 'old', 'new'."]
    )  # fmt: skip


def test_the_median_is_that_of_the_sides_also_if_a_side_has_this_name(run):
    Path("old").rename("median")
    code, out, _ = run("compare", "median", "new", "--baseline", "median")
    assert [line.split()[0] for line in out[:4]] == ["side", "median", "new", "median"]
    assert (code, [line.split()[:2] for line in out[5:8]]) == (
        0,
        [["against", "median"], ["median", "0.68x"], ["new", "1.32x"]],
    )
    assert run("compare", "median", "new")[1][0] == "new against median: slower (1.92x, +60 µs), cost not known"


def test_runs_that_are_too_long_to_align_are_told(run, monkeypatch):
    monkeypatch.setattr("tokenvis.commands.divergence.MAX_STEPS", 2)
    runs = ("compare", "old/old-1.jsonl", "new/new-1.jsonl")
    assert run(*runs)[1][-1] == "The runs have more than 2 steps: alignment(a, b) says where they part."
    assert json.loads("\n".join(run(*runs, "--json")[1]))["steps"] is None
    monkeypatch.setattr("tokenvis.commands.divergence.MAX_STEPS", 3)
    assert json.loads("\n".join(run(*runs, "--json")[1]))["steps"]["same"] >= 0


def test_changes_that_are_not_shown_are_counted(run):
    ends = range(10, 110, 10)
    for name, factor in (("a", 1), ("b", 2)):
        run_file(f"{name}.jsonl", *(f"agent-{end} 0 {end * factor} desk" for end in ends))
    out = run("compare", "a.jsonl", "b.jsonl")[1]
    table = out[out.index("") + 1 :]
    assert [line.split()[0] for line in table[1:9]] == [f"agent-{end}" for end in range(100, 20, -10)]
    assert table[9] == "2 more, whose work changed less"


def test_the_same_file_on_both_sides_changes_nothing(run):
    code, out, err = run("compare", "old", "old", "--fail-if", "time > +0%", "--fail-if", "errors > +0")
    assert (code, err) == (0, [])
    assert out[0] == "old (2) against old: same time, cost not known"
    assert out[-2:] == ["", "2 rules checked, none holds."]


def test_doubts_about_totals_are_told(run):
    run_file("new/new-3.jsonl", "ann 0 30 desk", a={"status": "open"})
    code, out, _ = run("compare", "old", "new")
    assert out[-2:] == ["", "Doubts about 'new': open in 1 of 3 runs."]
    document = json.loads("\n".join(run("compare", "old", "new", "--json")[1]))
    assert [side["doubts"] for side in document["sides"]] == [{}, {"open": 1}]


def test_stored_traces_are_sides(run):
    run("seed")
    code, out, _ = run("compare", "kitchen-sink", "multi-agent-workflow")
    assert code == 0
    assert out[0] == "multi-agent-workflow against kitchen-sink: slower (10.00x, +54 s), cost not known"
    run("ingest", "old", "new")
    assert run("compare", "old-1", "new/new-1.jsonl")[1][2] == "time         60 µs           120 µs  +60 µs  2.00x"


def test_one_run_has_nothing_to_compare_with(run):
    assert run("compare", "old/old-1.jsonl") == (
        2,
        [],
        ["tokenvis: 'old/old-1.jsonl' has one run, so there is nothing to compare. Name another file or trace."],
    )


RULES = {  # a rule, and the line that says that it holds; None if it does not
    "time > +50%": "time > +50%: new: 125 µs (baseline 65 µs)",
    "time > 1.92x": "time > 1.92x: new: 125 µs (baseline 65 µs)",
    "time > 1.93x": None,
    "time > 1ms": None,
    "errors > +0": "errors > +0: new: 1 (baseline 0)",
    "errors > 1.2x": "errors > 1.2x: new: 1 (baseline 0)",
    "retries > 1.2x": None,
    "work of ann > +59us": "work of ann > +59us: new: 105 µs (baseline 45 µs)",
    "errors of rob > 0": "errors of rob > 0: new: 1",
    "errors of bob > 0": "errors of bob > 0: new: 1",
    "work of web > 2x": "work of web > 2x: new: 95 µs (baseline 35 µs)",
}


@pytest.mark.parametrize("rule", full_except(RULES, "time > +50%", "time > 1.93x", "errors of rob > 0", "work of web > 2x"))
def test_a_rule_that_holds_is_an_exit_code_of_1(run, rule):
    code, out, err = run("compare", "old", "new", "--fail-if", rule)
    assert (code, err) == (0 if RULES[rule] is None else 1, [])
    assert out[-1] == ("1 rule checked, none holds." if RULES[rule] is None else f"Failed: {RULES[rule]}")


def test_rules_about_several_sides(run):
    code, out, _ = run("compare", "old", "new", "new/new-1.jsonl", "--fail-if", "time > 1.9x", "--fail-if", "spans > 9")
    assert (code, out[-1]) == (1, "Failed: time > 1.9x: new: 125 µs (baseline 65 µs)")
    assert run("compare", "old", "new", "new/new-1.jsonl", "--fail-if", "time > 1.8x")[1][-2:] == [
        "Failed: time > 1.8x: new: 125 µs (baseline 65 µs)",
        "Failed: time > 1.8x: new/new-1.jsonl: 120 µs (baseline 65 µs)",
    ]


def test_a_rule_about_what_is_not_known_is_an_exit_code_of_2(run):
    code, out, err = run("compare", "old", "new", "--fail-if", "tokens > 1.2x")
    assert code == 2
    assert out[-1] == "Matched by what they do: 'rob' in 'new' is 'bob'."
    assert err == [
        "tokenvis: Not decided: tokens > 1.2x: new: not known (baseline not known).",
        "tokenvis: Of some calls the tokens are not known.",
    ]
    document = json.loads("\n".join(run("compare", "old", "new", "--json", "--fail-if", "tokens > 1.2x")[1]))
    assert document["undecided_rules"] == [{"rule": "tokens > 1.2x", "side": "new", "value": None, "baseline": None}]
    assert run("compare", "old", "new", "--fail-if", "tokens > 1.2x", "--fail-if", "errors > 0")[0] == 1


def test_a_rule_about_an_unknown_name_is_an_error(run):
    assert run("compare", "old", "new", "--fail-if", "work of an > 1s") == (
        2, [], ["tokenvis: 'work of an > 1s': there is no agent or location 'an'. There is: 'ann', 'pad'."]
    )  # fmt: skip


def test_the_json_of_a_comparison(run):
    code, out, err = run("compare", "old", "new", "--json", "--fail-if", "time > +50%")
    assert (code, err) == (1, [])
    document = json.loads("\n".join(out))
    assert list(document) == [
        *("baseline", "sides", "by", "changes", "agents", "steps", "causes"),
        *("failed_rules", "undecided_rules", "problems"),
    ]
    assert (document["baseline"], document["by"], document["steps"], document["problems"]) == ("old", "agent_id", None, [])
    new = document["sides"][1]
    changes = new.pop("changes")
    assert new == {
        "side": "new", "runs": [{"trace_id": "new-1", "name": "new-1"}, {"trace_id": "new-2", "name": "new-2"}],
        "doubts": {},
        "wall_us": 125, "busy_us": 125, "waiting_us": 0, "tokens": None, "cost": None,
        "n_errors": 1, "n_retries": 0, "n_spans": 3, "lower_bounds": [],
    }  # fmt: skip
    assert changes["wall_us"] == {"difference": 60, "ratio": 125 / 65}
    assert changes["n_errors"] == {"difference": 1, "ratio": None}
    assert changes["tokens"] is None
    assert [(row["agent_id"], row["side"], row["busy_us"]) for row in document["changes"]] == [
        ("ann", "old", 45), ("ann", "new", 105), ("bob", "old", 20), ("bob", "new", 20)
    ]  # fmt: skip
    assert {"side": "new", "agent_id": "bob", "name_in_run": "rob", "matched_by": "role"} in document["agents"]
    assert document["failed_rules"] == [{"rule": "time > +50%", "side": "new", "value": 125, "baseline": 65}]


@pytest.mark.full
def test_it_answers_in_a_pipeline():
    done = python("compare", "old", "new", "--fail-if", "time > +10%")
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.splitlines()[-1] == "Failed: time > +10%: new: 125 µs (baseline 65 µs)"


@pytest.mark.skipif(os.name != "posix", reason="Windows allows no such names")
def test_names_of_files_are_harmless(run):
    name = "esc\x1b[31m\nline\u202eleft" + os.fsdecode(b"raw\xff")
    Path(f"{name}.jsonl").write_bytes(Path("new/new-1.jsonl").read_bytes() + b"no json\n")
    for arguments in (
        ["compare", "old", f"{name}.jsonl", "--fail-if", "time > +10%", "--allow-problems"],
        ["compare", "old/old-1.jsonl", f"{name}.jsonl", "new", "--baseline", f"{name}.jsonl", "--fail-if", "tokens > 1"],
        ["compare", "old", f"{name}.jsonl", "--baseline", "gone"],
        ["compare", "old", f"{name} gone"],
        ["compare", f"{name}.jsonl"],
        ["compare", "old", f"{name}.jsonl", "--json"],
        ["summary", f"{name}.jsonl", "--fail-if", f"work of '{name}' > 1s"],
    ):
        _, out, err = run(*arguments)
        assert out or err
        assert [line for line in (*out, *err) if control_characters(line)] == []
        "\n".join([*out, *err]).encode()
