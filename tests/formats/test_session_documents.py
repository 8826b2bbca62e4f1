"""Sessions of Claude Code as one JSON document: what is read is what the file of lines tells."""

import contextlib
import json
from pathlib import Path

import pytest
from claude_sessions import at, call, prompt, reply, report_lines, result, write
from pandas.testing import assert_frame_equal

from tokenvis import IngestError, ingest, load_spans
from tokenvis.ingestion.watch.watch import Watch

SESSION = [prompt(0, "go"), reply(2, "m1", call("t1")), result(5, "t1"), reply(7, "m2", "done")]
READ = ["main model:opus 0-2", "main tool:Bash 2-5", "main model:opus 5-7"]


def lines():
    return [json.loads(line) for line in write("lines/s1.jsonl", *SESSION).read_text().splitlines()]


def document(value, name="doc.json", **form):
    Path(name).write_text(json.dumps(value, **form))
    return name


@pytest.mark.parametrize("form", [{}, {"indent": 1}], ids=["one line", "indented"])
@pytest.mark.parametrize("envelope", [lambda lines: {"loglines": lines}, lambda lines: lines], ids=["loglines", "array"])
def test_a_document_is_read_as_its_lines(envelope, form):
    report = ingest(document(envelope(lines()), **form), store="document.db")
    assert (report_lines(report), report.problems) == (READ, [])
    ingest("lines/s1.jsonl", store="lines.db")
    assert_frame_equal(load_spans(store="document.db"), load_spans(store="lines.db"))


def test_other_keys_of_the_envelope_do_not_matter():
    value = {"id": "x", "title": "T", "loglines": lines(), "more": {"loglines": [5]}}
    assert report_lines(ingest(document(value))) == READ


def test_a_large_document_on_one_line():
    value = {"loglines": [*lines(), {"type": "system", "uuid": "x", "timestamp": at(8), "content": "x" * 3_000_000}]}
    assert report_lines(ingest(document(value))) == READ


def test_lines_without_ids_belong_to_the_session_of_the_file_name():
    bare = [{key: line[key] for key in ("type", "timestamp", "message")} for line in lines()]
    report = ingest(document({"loglines": bare}, "web.json"))
    assert report_lines(report) == READ
    assert set(report.spans()["trace_id"]) == {"web"}


def test_a_value_that_is_no_line_is_a_problem_and_the_rest_is_read():
    report = ingest(document({"loglines": [*lines()[:2], 5, "x", *lines()[2:]]}))
    assert report_lines(report) == READ
    assert [str(problem) for problem in report.problems] == [
        "doc.json, item 3: is of type int, not an object.",
        "doc.json, item 4: is of type str, not an object.",
    ]


def test_a_truncated_document_is_read_as_far_as_it_goes():
    text = json.dumps({"loglines": lines()}, indent=1)
    Path("doc.json").write_text(text[: text.index('"m2"')])
    report = ingest("doc.json")
    assert report_lines(report) == READ[:2]
    assert [str(problem) for problem in report.problems] == ["doc.json: is truncated; the complete part was read."]


@pytest.mark.parametrize("value", [{"loglines": []}, {"loglines": [{"type": "x"}]}, {"loglines": 5}, [{"type": "user"}], [5]])
def test_other_documents_are_no_sessions(value):
    with contextlib.suppress(IngestError):
        assert "Claude Code sessions" not in ingest(document(value, indent=1)).formats.values()


def test_a_watch_reads_a_document_again_when_it_is_replaced():
    Path("made").mkdir()
    with Watch("made", store="one.db") as watch:
        for count in (2, 4):
            document({"loglines": lines()[:count]}, "made/doc.json", indent=1)
            watch.look()
        assert watch.look() == []
    ingest("lines/s1.jsonl", store="lines.db")
    assert_frame_equal(load_spans(store="one.db"), load_spans(store="lines.db"))
