"""The documentation: doctests, the code in the pages, and the tables that repeat facts of the code."""

import ast
import doctest
import importlib
import inspect
import json
import re
import subprocess
from functools import cache
from pathlib import Path

import pytest
from conftest import ROOT, seeded_database

import tokenvis
from tokenvis import errors
from tokenvis.__main__ import main, parser
from tokenvis.store.demo import kitchen_sink, multi_agent_workflow
from tokenvis.store.schema import Base

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for path in (ROOT / "tokenvis").rglob("*.py")
    if path.name not in ("__init__.py", "__main__.py")
)


def blocks(page: Path, language: str) -> list[str]:
    """The code blocks of a page in that language, except those marked `notest`."""
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(), re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_are_correct(name):
    flags = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    assert doctest.testmod(importlib.import_module(name), optionflags=flags).failed == 0


@pytest.mark.parametrize("name", [name for name in tokenvis.__all__ if inspect.isfunction(getattr(tokenvis, name))])
def test_a_public_function_is_documented(name):
    text = inspect.getdoc(getattr(tokenvis, name))
    assert text
    assert text.splitlines()[0].endswith(".")
    parameters = list(inspect.signature(getattr(tokenvis, name)).parameters)
    assert not parameters or "Parameters\n----------" in text
    assert not [parameter for parameter in parameters if not re.search(rf"^(.*, )?{parameter}(,.*)?$", text, re.MULTILINE)]
    assert "Returns\n-------" in text or name == "theme"
    assert any(re.search(rf"\b{name}\(", page.read_text()) for page in PAGES), f"{name} is on no page"


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "trace-format.md"], ids=lambda page: page.name)
def test_the_code_of_a_page_runs(page):
    code = "\n".join(blocks(page, "python"))
    exec(compile(code, str(page), "exec"), {})


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CONTRIBUTING.md"], ids=lambda page: page.name)
def test_link_targets_exist(page):
    links = re.findall(r"\]\(([^)#]+)\)", page.read_text())
    assert not [link for link in links if not link.startswith("http") and not (page.parent / link).exists()]


def test_the_npm_commands_on_the_pages_exist():
    scripts = json.loads((ROOT / "package.json").read_text())["scripts"]
    for page in [*PAGES, ROOT / "CONTRIBUTING.md"]:
        named = re.findall(r"npm run (?:--silent )?([a-z:]+)", page.read_text())
        assert set(named) <= set(scripts), page
    listed = re.findall(r"^\| `npm (?:run )?([a-z:]+)`", (ROOT / "CONTRIBUTING.md").read_text(), re.MULTILINE)
    assert set(listed) == set(scripts)


def test_every_command_of_the_command_line_is_documented():
    [subparsers] = [action for action in parser()._actions if isinstance(action.choices, dict)]
    pages = "\n".join(page.read_text() for page in PAGES)
    assert [name for name in subparsers.choices if not re.search(rf"\btokenvis {name}\b", pages)] == []


KEY_NAMES = {  # of keys that the page shows under another name
    "ArrowLeft": "←",
    "ArrowRight": "→",
    "ArrowUp": "↑",
    "ArrowDown": "↓",
    "PageUp": "Page up",
    "PageDown": "down",
    "Escape": "Esc",
    "=": "+",
}


def test_every_key_of_the_explorer_is_documented():
    code = "import { COMMANDS } from './keys.mjs'; console.log(JSON.stringify(Object.keys(COMMANDS)))"
    folder = ROOT / "tokenvis" / "explorer" / "modules" / "ui"
    node = ["node", "--input-type=module", "--eval", code]
    keys = json.loads(subprocess.run(node, cwd=folder, capture_output=True, text=True, check=True).stdout)
    table_rows = re.findall(
        r"^\| (.*?) \| ", (ROOT / "docs" / "explorer.md").read_text().split("## Keys and mouse")[1], re.MULTILINE
    )
    words = {word for row in table_rows for word in re.findall(r"`([^`]+)`|(Page up) and (down)", row) for word in word if word}
    missing = [key for key in keys if KEY_NAMES.get(key, key.upper() if len(key) == 1 else key) not in words]
    assert missing == [], "these keys are not in the table of docs/explorer.md"


def test_the_trace_format_names_every_column():
    text = (ROOT / "docs" / "trace-format.md").read_text()
    for table in Base.metadata.sorted_tables:
        section = text.split(f"## Table `{table.name}`")[1].split("\n## ")[0]
        rows = re.findall(r"^\| `(\w+)` \| (\w+) \| (.*?) \|", section, re.MULTILINE)
        assert [(name, kind) for name, kind, _ in rows] == [(column.name, str(column.type).lower()) for column in table.columns]
        assert all(("not null" in rule) == (not table.columns[name].nullable) for name, _, rule in rows)
        assert all(("references" in rule) == bool(table.columns[name].foreign_keys) for name, _, rule in rows)


def test_the_example_span_can_be_stored_and_loaded():
    [payload] = blocks(ROOT / "docs" / "trace-format.md", "json")
    span = json.loads(payload)
    tokenvis.Store().write_trace(span["trace_id"], [span])
    [row] = tokenvis.load_spans(span["trace_id"]).to_dict("records")
    assert {**row, "data": json.loads(row["data"])} == span
    assert span["data"] == next(seeded["data"] for seeded in multi_agent_workflow() if seeded["id"] == span["id"])


def test_the_instructions_of_the_trace_format_work(monkeypatch, capsys):
    page = ROOT / "docs" / "trace-format.md"
    monkeypatch.setenv("TOKENVIS_DATABASE", str(seeded_database()))
    [code] = blocks(page, "python")
    exec(code, {})
    [query] = blocks(page, "sql")
    with tokenvis.Store(create=False).engine.connect() as connection:
        rows = [tuple(map(str, row)) for row in connection.exec_driver_sql(query)]
    assert rows == re.findall(r"^\| ([a-z-]+) \| (\d+) \| (\d+) \| (\d+) \|$", page.read_text(), re.MULTILINE)
    assert blocks(page, "console") == ["$ npm run seed\n", "$ npm run --silent tokenvis traces\n"]
    assert not main(["traces"])
    shown = capsys.readouterr().out
    assert all(name in shown for name, *_ in rows)


@pytest.mark.parametrize(
    ("heading", "spans"), [("kitchen-sink", kitchen_sink()), ("multi-agent-workflow", multi_agent_workflow())]
)
def test_the_demo_traces_match_their_page(heading, spans):
    section = (ROOT / "docs" / "demo-traces.md").read_text().split(f"\n## {heading}\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (\d+) \| ([\w-]+) \| ([\w ]+) \| ([\d.]+) \| ([\d.]+) \| (.*?) \| ", section, re.MULTILINE)
    assert [(f"{heading}/{number}", *rest) for number, *rest in rows] == [
        (
            span["id"],
            span["agent_id"],
            span["location_id"],
            f"{span['start_time'] / 1_000_000:.1f}",
            f"{span['end_time'] / 1_000_000:.1f}",
            span["data"]["label"],
        )
        for span in spans
    ]


def table_of(page: Path, heading: str) -> list[list[str]]:
    """The rows of the table of a page whose first heading is this one, as texts."""
    block = re.search(rf"^\| {heading} \|.*?\n\|[-: |]+\n(.*?)\n\n", page.read_text() + "\n\n", re.DOTALL | re.MULTILINE)
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in block.group(1).splitlines()]


def seconds(microseconds: int) -> str:
    """A time in the notation of that page."""
    return f"{microseconds / 1_000_000:.1f}"


@pytest.fixture
def workflow():
    tokenvis.seed_demo()
    return tokenvis.load_spans("multi-agent-workflow")


def test_the_agents_of_the_demo_page_match_the_questions(workflow):
    sizes = tokenvis.summary(workflow, by="agent_id").set_index("agent_id")
    n_moves = tokenvis.moves(workflow)["agent_id"].value_counts()
    [whole] = tokenvis.summary(workflow).to_dict("records")
    *agents, together = table_of(ROOT / "docs" / "demo-traces.md", "agent")
    assert sorted(agents) == [
        [agent, str(row["n_spans"]), seconds(row["busy_us"]), str(n_moves[agent])] for agent, row in sizes.iterrows()
    ]
    assert together == ["all", str(whole["n_spans"]), seconds(whole["busy_us"]), str(n_moves.sum())]


def test_the_meetings_of_the_demo_page_match_the_questions(workflow):
    documented = {
        (place, *sorted(agents.split(", "))): rest
        for place, agents, *rest in table_of(ROOT / "docs" / "demo-traces.md", "location")
    }
    met = tokenvis.colocation(workflow)
    assert len(met) == len(documented)
    for row in met.to_dict("records"):
        n_meetings, together, when = documented[row["location_id"], row["agent_id"], row["other_agent_id"]]
        first, last = when.split(" to ")[0], when.split(" to ")[-1]
        found = str(row["n_meetings"]), *(seconds(row[name]) for name in ("overlap_us", "first", "last"))
        assert found == (n_meetings, together, first, last)


def test_the_waits_of_the_demo_page_match_the_questions(workflow):
    rows = tokenvis.handoffs(workflow).to_dict("records")
    assert table_of(ROOT / "docs" / "demo-traces.md", "from") == [
        [row["from_agent"], row["to_agent"], f"{row['from_span'][-2:]} to {row['to_span'][-2:]}", seconds(row["gap_us"])]
        for row in rows
    ]


def test_the_tokens_and_gaps_of_the_demo_page_match_the_questions(workflow):
    rows = tokenvis.usage(workflow, by="model").to_dict("records")
    found = [[row["model"], *(f"{row[name]:,}" for name in ("n_calls", "input_tokens", "output_tokens"))] for row in rows]
    assert table_of(ROOT / "docs" / "demo-traces.md", "model")[:-1] == found
    text = (ROOT / "docs" / "demo-traces.md").read_text()
    idle = tokenvis.gaps(workflow)
    stretches = ", ".join(f"{seconds(a)} to {seconds(b)}" for a, b in zip(idle["start"], idle["end"], strict=True))
    assert f"{seconds(idle['gap_us'].sum())} s in all: {stretches}." in " ".join(text.split())


TROUBLESHOOTING = ROOT / "docs" / "troubleshooting.md"
ERRORS = {name for name, kind in vars(errors).items() if inspect.isclass(kind) and issubclass(kind, errors.TokenvisError)}
VALUE = "\0"  # in a template: what an f-string inserts


def template_of(node: ast.AST) -> str | None:
    """A string or f-string of the code as one line, with `VALUE` for each inserted value; None for other code."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value.replace("\n", " ")
    if isinstance(node, ast.JoinedStr):
        return "".join(VALUE if isinstance(part, ast.FormattedValue) else template_of(part) for part in node.values)
    return None


@cache
def nodes_of_the_code() -> list[ast.AST]:
    """The syntax of all modules, without docstrings."""
    trees = [ast.parse(path.read_text()) for path in sorted((ROOT / "tokenvis").rglob("*.py"))]
    docstrings = {id(node.value) for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    return [node for tree in trees for node in ast.walk(tree) if id(node) not in docstrings]


@cache
def messages_in(text: str) -> list[str]:
    """The messages that the tables with the heading "message" quote."""
    tables = re.findall(r"^\| message \|.*\n\|[-: |]+\n((?:\|.*\n)+)", text, re.MULTILINE)
    rows = [row for table in tables for row in table.splitlines()]
    return [message for row in rows for message in re.findall(r"`([^`]+)`", row.split(" | ")[0])]


def occurs_in(message: str, templates: str) -> bool:
    """Whether one of the templates, one in each line, contains the fixed parts of a message in their order."""
    return re.search(".*".join(map(re.escape, message.strip("…").split("…"))), templates) is not None


def test_every_message_of_the_troubleshooting_page_is_in_the_code():
    templates = [template for node in nodes_of_the_code() if (template := template_of(node))]
    scripts = [path.read_text() for path in (ROOT / ".scripts").glob("*.mjs")]
    code = "\n".join(templates + scripts)
    messages = messages_in(TROUBLESHOOTING.read_text())
    assert len(messages) > 150
    assert [message for message in messages if not occurs_in(message, code)] == []


def test_every_error_message_is_on_the_troubleshooting_page_under_its_class():
    sections = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## )", TROUBLESHOOTING.read_text(), re.DOTALL | re.MULTILINE))
    assert ERRORS <= set(sections)
    calls = [node for node in nodes_of_the_code() if isinstance(node, ast.Call) and node.args]
    raised = [(getattr(call.func, "id", None), template_of(call.args[0])) for call in calls]
    in_words = [(kind, template) for kind, template in raised if kind in ERRORS and template and re.search(r"\w", template)]
    assert len(in_words) > 100
    missing = [
        (kind, template)
        for kind, template in in_words
        if not any(occurs_in(message, template) for message in messages_in(sections[kind]))
    ]
    assert missing == []
