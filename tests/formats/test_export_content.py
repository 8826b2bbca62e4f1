"""How much free text an exported file contains."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from conftest import full_except, spans_of, with_data

from tokenvis import BadOption, export, ingest, load_spans
from tokenvis.__main__ import main
from tokenvis.formats.registry import WRITERS
from tokenvis.spans.redaction import CONTENTS
from tokenvis.store.store import Store

SECRET = "the secret prompt"
LONG = f"{SECRET}, " * 20
TOKENS = {"gen_ai.usage.input_tokens": 12, "gen_ai.usage.output_tokens": 3}
DATA = {
    "label": SECRET,
    "task": SECRET,
    "status": "error",
    "status_message": SECRET,
    "kind": f"tool\n{SECRET}",
    "trigger": {"by": SECRET},
    "links": ["a", {"why": SECRET}],
    "estimated": [SECRET * 20],
    "events": [{"name": SECRET, "attributes": {"text": SECRET}}],
    "waits_for": {"who": SECRET},
    "input": {"messages": [SECRET]},
    "attributes": {"gen_ai.prompt": SECRET, "gen_ai.tool.name": f"{SECRET}\n", "gen_ai.request.model": "opus", **TOKENS},
}
SPANS = with_data(spans_of("ann 0 10 desk", "bob 5 20 lab", parents={"b": "a"}), a={"label": LONG}, b=DATA)


def bytes_of(path: Path) -> bytes:
    """The content of a file, unpacked."""
    return str(pq.read_table(path).to_pylist()).encode() if path.suffix == ".parquet" else path.read_bytes()


@pytest.mark.parametrize("kind", WRITERS)
def test_without_content_a_file_has_numbers_and_names_only(kind):
    path = export(SPANS, f"made.{kind}", format=kind, content="none")
    assert SECRET.encode() not in bytes_of(path)
    assert b"secret" not in path.read_bytes()
    first, second = ingest(path).spans()["data"].map(json.loads)
    assert first == {}
    assert second == {"status": "error", "parent_id": "a", "attributes": {"gen_ai.request.model": "opus", **TOKENS}}
    assert load_spans()[["id", "agent_id", "parent_id"]].fillna("-").to_numpy().tolist() == [
        ["a", "ann", "-"],
        ["b", "bob", "a"],
    ]


@pytest.mark.parametrize("kind", full_except(WRITERS, "chrome"))
def test_short_content_has_the_first_200_characters_of_each_text(kind):
    path = export(SPANS, f"made.{kind}", format=kind, content="short")
    first, second = ingest(path).spans()["data"].map(json.loads)
    assert LONG.encode() not in bytes_of(path)
    assert first == {"label": LONG[:200] + "…"}
    assert second == DATA | {"parent_id": "a", "estimated": [(SECRET * 20)[:200] + "…"]}


@pytest.mark.parametrize("kind", full_except(WRITERS, "jsonl"))
def test_full_content_is_the_default(kind):
    assert export(SPANS, "a", format=kind).read_bytes() == export(SPANS, "b", format=kind, content="full").read_bytes()


@pytest.mark.parametrize("kind", full_except(WRITERS, "otlp"))
@pytest.mark.parametrize("content", ["none", "short"])
def test_integers_ids_and_missing_data_are_kept_exactly(kind, content):
    spans = with_data(spans_of("ann 0 10 desk", "ann 1 2 desk", "ann 2 3 desk"), b={"links": ["x" * 300], "n": 10**30}, c={})
    assert ingest(export(spans, "made", format=kind, content=content)).spans()["data"].fillna("-").map(
        json_or_text
    ).tolist() == [
        "-",
        {"links": ["x" * 300], "n": 10**30},
        {},
    ]


def json_or_text(cell):
    return cell if cell == "-" else json.loads(cell)


def test_the_command_prints_how_many_texts_were_cut(capsys):
    Store().write_trace("t", SPANS)
    printed = {}
    for content in CONTENTS:
        assert main(["export", "made.json", "--content", content]) == 0
        printed[content] = capsys.readouterr().out.splitlines()
    assert printed == {
        "full": ["made.json: 2 spans, 1 trace"],
        "short": ["made.json: 2 spans, 1 trace", "Texts shortened or removed: 2"],
        "none": ["made.json: 2 spans, 1 trace", "Texts shortened or removed: 13"],
    }


def test_an_unknown_content_is_refused():
    with pytest.raises(BadOption) as caught:
        export(SPANS, "a.csv", content="little")
    assert str(caught.value) == "content='little' is not one of 'full', 'short', 'none'."
