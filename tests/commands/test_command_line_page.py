"""The page about the command line: its commands print what it shows, and it names all metrics, units, keys and exit codes."""

import json
import re
import shlex

import pytest
from conftest import ROOT
from test_docs import blocks

from tokenvis.commands.checks import HOLDS, NO_ANSWER
from tokenvis.runs.rules import METRICS, UNITS_OF_TIME, parse_rule

PAGE = ROOT / "docs" / "command-line.md"


@pytest.fixture(autouse=True)
def files():
    exec("\n".join(blocks(PAGE, "python")), {})


def test_the_commands_of_the_page_print_what_it_shows(run):
    shown = [block.split("\n", 1) for block in blocks(PAGE, "console")]
    assert len(shown) == 4
    for line, output in shown:
        command, _, last = line.removeprefix("$ tokenvis ").partition(" | tail -")
        code, out, err = run(*shlex.split(command))
        assert (code, err) == (HOLDS if "Failed" in output else 0, [])
        assert "\n".join(out[-int(last or 0) :]) + "\n" == output, line


def test_the_rules_of_the_page_are_rules():
    rules = re.findall(r"^\| `(.*?)` \|", PAGE.read_text().split("## Rules")[1].split("## JSON")[0], re.MULTILINE)
    assert len(rules) == 8
    assert [str(parse_rule(rule)).split()[0] for rule in rules] == [rule.split()[0] for rule in rules]
    text = PAGE.read_text().split("## Rules")[1]
    assert [word for word in (*METRICS, *UNITS_OF_TIME) if f"`{word}`" not in text] == []


def test_the_page_names_the_exit_codes_and_the_keys(run):
    text = PAGE.read_text()
    assert re.findall(r"^\| (\d) \|", text, re.MULTILINE) == ["0", str(HOLDS), str(NO_ANSWER)]
    summary = json.loads("\n".join(run("summary", "before.jsonl", "--json")[1]))
    compared = json.loads("\n".join(run("compare", "before.jsonl", "after.jsonl", "--json")[1]))
    of_summary = [key for key in summary["runs"][0] if not key.startswith(("n_", "share_")) and not key.endswith("_us")]
    keys = {*summary, *compared, *compared["sides"][0], *compared["steps"], *compared["agents"][0], *of_summary}
    assert [key for key in sorted(keys - {"peak", "name"}) if f"`{key}`" not in text] == []
