"""Hostile names of files and folders: no output contains an escape, a mark of direction, a line break or a raw byte."""

import io
import json
import logging
import os
import sqlite3
import warnings
import zipfile
from contextlib import closing
from pathlib import Path

import pandas as pd
import pytest
from conftest import full_except, spans_of
from hostile import UNSEEN
from test_hostile import control_characters

import tokenvis as tv
from tokenvis import IngestError, Store, StoreError, TokenvisError
from tokenvis.__main__ import main, parser
from tokenvis.errors import escaped
from tokenvis.formats.files.reading import Problem
from tokenvis.ingestion import Watch
from tokenvis.ingestion.watch.terminal import follow_in_terminal
from tokenvis.record.overflow import Overflow
from tokenvis.store import backup, verify

pytestmark = pytest.mark.skipif(os.name != "posix", reason="Windows allows no such names")
SPANS = spans_of("ann 0 5 desk")
NAMES = ["esc\x1b]0;title\x07\x1b[31mred", "two\nlines\rthree", "right\u202eto\u2066left", os.fsdecode(b"raw\xff\x9b bytes")]
ALL = "".join(NAMES)
every_name = pytest.mark.parametrize("name", full_except([ALL, *NAMES], ALL), ids=["all", "escapes", "lines", "marks", "bytes"])
ESCAPED = ["esc\\x1b]0;title\\x07\\x1b[31mred", "two\\nlines\\rthree", "right\\u202eto\\u2066left", "raw\\udcff\\udc9b bytes"]


def check(*texts: object) -> None:
    """Fail if a text cannot be printed, or would control a terminal."""
    for text in texts:
        shown = str(text)
        assert shown
        shown.encode()
        assert [line for line in shown.split("\n") if control_characters(line)] == []


def error_of(call) -> TokenvisError:
    with pytest.raises(TokenvisError) as raised:
        call()
    return raised.value


@pytest.mark.parametrize(("name", "shown"), list(zip(NAMES, ESCAPED, strict=True)), ids=range(4))
def test_an_escaped_text_shows_what_it_contains(name, shown):
    assert (escaped(Path(name)), escaped(shown)) == (shown, shown)
    assert str(StoreError(f"{name} is no database.")) == f"{shown} is no database."
    assert str(Problem(name, 3, f"bad {name}")) == f"{shown}, line 3: bad {shown}."


def test_names_in_all_scripts_stay_and_long_ones_are_cut():
    names = "é 漢\u3000字 \N{WAVING WHITE FLAG}\ufe0f\u200d\N{RAINBOW}"
    assert (escaped(names), escaped("x" * 300, 200)) == (names, "x" * 200 + "…")
    assert len(str(Problem("x" * 60_000, None, "is long"))) < 250
    for payload in UNSEEN.values():
        assert control_characters(escaped(payload)) == set()


@every_name
def test_reports_and_errors_of_ingest(name):
    trace = tv.export(SPANS, "made.jsonl").read_bytes()
    bad = trace + b'{"id": "a", "trace_id": "t", "agent_id": "x", "start_time": "no"}\nno json\n'
    Path(f"{name}.jsonl").write_bytes(bad)
    Path(name).mkdir()
    Path(name, f"{name}.jsonl").write_bytes(bad)
    Path(name, f"{name}.gz").write_bytes(b"\x1f\x8bdamaged")
    Path(f"{name}.txt").write_bytes(b"?")
    Path(f"{name} empty").mkdir()
    with zipfile.ZipFile(f"{name}.zip", "w") as archive:
        archive.writestr(f"{name}/{name}.jsonl".encode(errors="replace").decode(), bad)
        archive.writestr("../\x1b[31mout", "")
    for source in (f"{name}.jsonl", name, f"{name}.zip"):
        report = tv.ingest(source, store=f"{name}.db")
        assert report.problems
        check(report, repr(report), report._repr_html_().replace("<pre>", "\n"), *report.problems)
    others = f"{name}.txt", f"{name} empty", f"{name}.db", f"{name} gone"
    errors = [error_of(lambda source=source: tv.ingest(source)) for source in others]
    assert {type(error) for error in errors} == {IngestError}
    check(*errors)


@every_name
def test_a_trace_is_named_after_its_file(name):
    """Also in the formats that take the id of a trace from the path."""
    Path(f"{name}.csv").write_text("start_time,end_time,agent_id\n0,5,ann\n")
    Path(f"{name}.json").write_text('[{"name": "a", "ph": "X", "ts": 1, "dur": 5, "pid": 1, "tid": 1}]')
    pd.DataFrame({"start_time": [0], "end_time": [5], "agent_id": ["ann"]}).to_parquet("made.parquet")
    Path("made.parquet").rename(f"{name}.parquet")
    for suffix in ("csv", "json", "parquet"):
        report = tv.ingest(f"{name}.{suffix}")
        assert (report.n_spans, report.problems) == (1, [])
        assert [trace.trace_id.rpartition("-")[0] for trace in report.written] == [escaped(name)]


@every_name
def test_the_temporary_folder(name, monkeypatch):
    Path(name).mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(Path(name).absolute()))
    tv.export(SPANS, "made.jsonl")
    assert tv.ingest("made.jsonl").n_spans == 1
    assert list(Path(name).iterdir()) == []


@every_name
def test_open_files_have_such_names_too(name):
    stream = io.BytesIO(b"no json")
    stream.name = f"{name}.jsonl"
    check(error_of(lambda: tv.ingest(stream)))


@every_name
def test_files_that_are_written(name):
    page = tv.explore(SPANS).save(f"{name}.html")
    check(page, repr(page))
    assert page.path.exists()
    check(error_of(lambda: tv.export(SPANS, f"{name}.what")), error_of(lambda: tv.explore(SPANS).save(f"{name}/x.html")))
    assert tv.export(SPANS, f"{name}.csv").exists()


@every_name
def test_databases(name):
    store = Store(f"{name}.db")
    store.write_trace("t", SPANS)
    check(repr(store), verify(f"{name}.db"), backup(f"{name} copy.db", f"{name}.db").exists())
    Path(name).mkdir()
    Path(f"{name}.txt").write_bytes(b"no database at all")
    calls = [
        lambda: Store(name),
        lambda: Store(f"{name}.txt"),
        lambda: Store(f"{name} gone/x.db"),
        lambda: Store(f"{name}.gone", create=False),
        lambda: verify(f"{name}.gone"),
        lambda: backup(f"{name} copy.db", f"{name}.db"),
        lambda: backup(f"{name} 2.db", f"{name}.gone"),
        lambda: tv.load_spans("t", store=f"{name}.txt"),
    ]
    check(verify(f"{name}.txt"), *map(error_of, calls))
    with closing(sqlite3.connect(store.path)) as connection, connection:
        connection.execute("PRAGMA ignore_check_constraints = ON")
        connection.execute("UPDATE spans SET agent_id = x'00'")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        tv.load_spans("t", store=store, skip_bad=True)
    check(verify(store.path), error_of(lambda: tv.load_spans("t", store=store)), *(warning.message for warning in caught))
    assert caught


@every_name
def test_the_log_of_a_recording(name, caplog):
    own = Overflow(Path(f"{name}.db").absolute(), "own")
    with caplog.at_level(logging.WARNING, "tokenvis"):
        own.add([("t/1", "t", "ann", "desk", 0, 1, None)])
    own.file.release()
    check(*caplog.messages)
    assert "Spans are buffered in" in caplog.text


@every_name
def test_the_command_line(name, capsys):
    trace = tv.export(SPANS, "made.jsonl").read_bytes()
    Path(f"{name}.jsonl").write_bytes(trace + b"no json\n")
    database = ["--database", f"{name}.db"]
    commands = [
        ["ingest", f"{name}.jsonl", *database],
        ["ingest", f"{name}.gone", *database],
        ["export", f"{name}.csv", *database],
        ["show", f"{name}.jsonl", "-o", f"{name}.html"],
        ["show", f"{name}.gone", *database],
        ["verify", f"{name}.db"],
        ["verify", f"{name}.gone"],
        ["backup", f"{name} copy.db", *database],
        ["backup", f"{name} copy.db", *database],
        ["info", *database],
        ["traces", *database],
        ["seed", *database],
        ["watch", "--once", ".", *database],
        ["delete", "t", *database],
    ]
    for command in commands:
        main(command)
        check("\n".join([*capsys.readouterr(), "end"]))


@every_name
def test_a_wrong_command(name, capsys):
    with pytest.raises(SystemExit):
        parser().parse_args(["verify", "a.db", f"{name}.db"])
    check(capsys.readouterr().err)


@every_name
def test_the_sessions_of_this_machine(name, tmp_path, monkeypatch, capsys):
    name = name.encode(errors="replace").decode()  # files whose names are not Unicode are not listed
    project = tmp_path / "projects" / name
    project.mkdir(parents=True)
    (project / f"{name}.jsonl").write_text("{}")
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(tmp_path))
    monkeypatch.setenv("CODEX_HOME", str(tmp_path / "none"))
    assert not main(["ingest"])
    check(capsys.readouterr().out)


@every_name
def test_the_lines_of_a_watch(name, capsys):
    Path(name).mkdir()
    session = Path(name, f"{name}.jsonl")
    line = {"type": "user", "sessionId": "s", "uuid": "u", "timestamp": "2026-01-01T00:00:00Z"}
    session.write_text(json.dumps(line | {"message": {"role": "user", "content": "Hi"}}) + "\nno json\n")
    with Watch(name, store=f"{name}.db") as watch:
        follow_in_terminal(watch, once=True)
    printed = capsys.readouterr()
    check(printed.out)
    assert "Problem: " in printed.err
    check(printed.err)
    Path("other.txt").write_text("something else\n")
    Path("other.txt").rename(f"{name}.txt")
    check(error_of(lambda: Watch(f"{name}.txt").look()), error_of(lambda: Watch(f"{name}.gone")))
