import json
from pathlib import Path

import pytest
from conftest import spans_of, with_data

import tokenvis as tv

CALL = {"gen_ai.usage.input_tokens": 1_000_000, "gen_ai.usage.output_tokens": 0}


@pytest.fixture(autouse=True)
def files():
    """A run with two calls of different models."""
    spans = spans_of("ann 0 5 model:m", "ann 5 9 model:n")
    models = {span: {"attributes": {**CALL, "gen_ai.request.model": model}} for span, model in (("a", "m"), ("b", "n"))}
    tv.export(with_data(spans, **models), "a.jsonl")


M, BOTH = ('{"m": {"input": 3, "output": 15}}', '{"m": {"input": 9, "output": 9}, "n": {"input": 1, "output": 1}}')


@pytest.mark.parametrize(
    ("lists", "cost"),
    [
        ([], "not known; 2 calls without a cost"),
        ([M], "≥ 3.00 from --prices; 1 call without a cost"),
        ([M, BOTH], "4.00 from --prices"),
        ([BOTH, M], "10.00 from --prices"),
    ],
)
def test_prices_from_files(run, lists, cost):
    options = []
    for number, prices in enumerate(lists):
        Path(f"{number}.json").write_text(prices)
        options += ["--prices", f"{number}.json"]
    assert f"  cost     {cost}" in run("summary", "a.jsonl", *options)[1]


def test_prices_that_are_none(run):
    Path("bad.json").write_text("{")
    Path("list.json").write_text('{"m": 3}')
    code, _, err = run("summary", "a.jsonl", "--prices", "bad.json")
    assert (code, err[-1].partition("error: ")[2]) == (
        2, "argument --prices: 'bad.json' is neither genai-prices nor a JSON file of prices: it is not JSON"
    )  # fmt: skip
    code, _, err = run("summary", "a.jsonl", "--prices", "gone.json")
    assert (code, err[-1].partition("error: ")[2]) == (
        2, "argument --prices: 'gone.json' is neither genai-prices nor a JSON file of prices: No such file or directory"
    )  # fmt: skip
    code, out, err = run("compare", "a.jsonl", "a.jsonl", "--prices", "list.json")
    assert (code, out) == (2, [])
    assert err[0].startswith("tokenvis: prices['m']=3 must have input and output, and no keys except ")


def test_a_rule_that_is_none(run):
    code, out, err = run("compare", "a.jsonl", "a.jsonl", "--fail-if", "cost > 10%")
    assert (code, out) == (2, [])
    assert "argument --fail-if: 'cost > 10%' is not a rule: '10%', from character 8, has no sign" in err[-1]


def test_a_lower_bound_holds_or_cannot_be_decided(run):
    Path("m.json").write_text(M)
    assert run("summary", "a.jsonl", "--prices", "m.json", "--fail-if", "cost > 2")[::2] == (1, [])
    assert run("summary", "a.jsonl", "--prices", "m.json", "--fail-if", "cost > 4")[::2] == (
        2,
        [
            "tokenvis: Not decided: cost > 4: a: ≥ 3.00.",
            "tokenvis: Of some calls the cost is not known. They have no tokens, or a model without a price in --prices.",
        ],
    )


@pytest.fixture
def broken():
    """A file of which a line cannot be read."""
    with Path("a.jsonl").open("a") as file:
        file.write('{"id": "z", "trace_id": "t", "agent_id": "x", "start_time": "no"}\n')
    return "a.jsonl"


def test_no_rule_is_decided_by_a_part_of_the_files(run, broken):
    problem = "tokenvis: a.jsonl, line 3: invalid value (Invalid isoformat string: 'no')."
    reason = "No rule is decided, because a part of the files cannot be read. --allow-problems decides by the rest."
    assert run("summary", broken)[::2] == (0, [problem])
    for rule in ("errors > 0", "tokens > 5"):
        code, out, err = run("summary", broken, "--fail-if", rule)
        assert (code, err) == (2, [problem, f"tokenvis: {reason}"])
        assert not [line for line in out if "Failed" in line or "rule" in line]
    assert run("summary", broken, "--fail-if", "errors > 0", "--allow-problems")[::2] == (0, [problem])
    assert run("summary", broken, "--fail-if", "tokens > 5", "--allow-problems")[::2] == (1, [problem])
    code, out, err = run("summary", broken, "--fail-if", "tokens > 5", "--json")
    assert (code, err) == (2, [problem, f"tokenvis: {reason}"])
    document = json.loads("\n".join(out))
    assert (document["problems"], document["failed_rules"]) == (
        ["a.jsonl, line 3: invalid value (Invalid isoformat string: 'no')."],
        [],
    )
    assert [rule["rule"] for rule in document["undecided_rules"]] == ["tokens > 5"]


def test_a_fault_of_the_program_is_no_rule_that_holds(run, monkeypatch):
    monkeypatch.setattr("tokenvis.commands.summary.facts_of", lambda *_: 1 / 0)
    code, out, err = run("summary", "a.jsonl")
    assert (code, out, err[-1]) == (2, [], "ZeroDivisionError: division by zero")
    monkeypatch.setattr("tokenvis.commands.store.path_of", lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):  # of another command, Python shows it
        run("info")
