import platform
import sqlite3
from pathlib import Path

import pandas as pd
from command_line import DATABASE, SPAN, session

import tokenvis
from tokenvis import Store


def test_seed(run):
    code, out, err = run("seed")
    assert (code, err) == (0, [])
    assert out[0] == DATABASE(Path("sqlite.db").absolute())
    assert [line.split(":")[0] for line in out[1:]] == ["kitchen-sink", "multi-agent-workflow"]
    assert out[2] == "multi-agent-workflow: 40 spans, 6 agents, 5 locations"
    assert run("seed") == (0, out, [])


def test_seed_prints_only_the_seeded_traces(run):
    with Store() as store:
        store.write_trace("mine", [])
    assert len(run("seed")[1]) == 3


def test_traces(run):
    run("seed")
    run("ingest", str(session()))
    code, out, err = run("traces")
    assert (code, err) == (0, [])
    assert out[0] == DATABASE(Path("sqlite.db").absolute())
    assert [line.split() for line in out[1:]] == [
        ["id", "name", "n_spans", "start_time"],
        ["s1", "s1", "go", "2", "2026-06-21", "10:00:00", "UTC"],
        *(line.split() for line in out[3:]),
    ]
    assert out[3].split()[-2:] == ["0", "µs"]
    assert len(out) == 5


def test_traces_at_the_ends_of_time(run):
    with Store() as store:
        for name, time in {"first": -(2**63), "last": 2**63 - 1}.items():
            span = {"id": name, "agent_id": "a", "location_id": "l", "start_time": time, "end_time": time}
            store.write_trace(name, [span])
    code, out, _ = run("traces")
    assert code == 0
    assert [line.split() for line in out[2:]] == [
        ["last", "last", "1", str(2**63 - 1), "µs"],
        ["first", "first", "1", str(-(2**63)), "µs"],
    ]


def test_traces_without_spans(run):
    with Store() as store:
        store.write_trace("nothing", [])
    assert [line.split() for line in run("traces")[1][1:]] == [
        ["id", "name", "n_spans", "start_time"],
        ["nothing", "nothing", "0", "-"],
    ]


def test_traces_of_an_empty_store(run):
    Store().close()
    assert run("traces") == (
        0,
        [DATABASE(Path("sqlite.db").absolute()), "No traces yet. `tokenvis seed` writes two."],
        [],
    )


def test_delete_by_id_or_name(run):
    with Store() as store:
        for number in range(3):
            store.write_trace(f"t{number}", [SPAN | {"id": str(number)}] * (number > 0), name="Twice" if number else "Once")
    assert run("delete", "Once", "t2") == (
        0, [DATABASE(store.path), "t0: deleted, with 0 spans", "t2: deleted, with 1 span"], []
    )  # fmt: skip
    code, out, err = run("delete", "gone")
    assert (code, err) == (1, ["tokenvis: No trace 'gone'. This store has: 't1'."])
    assert run("delete", "Twice")[1][1:] == ["t1: deleted, with 1 span"]


def test_verify(run):
    run("seed")
    path = Path("sqlite.db").absolute()
    assert run("verify") == (0, [DATABASE(path), "2 traces and 47 spans can be read.", "No problems found."], [])
    path.write_bytes(path.read_bytes()[:8_192])
    code, out, err = run("verify", "sqlite.db")
    assert (code, err) == (1, [])
    assert out[:2] == [DATABASE(path), "0 traces and 0 spans can be read."]
    assert "malformed" in out[2]
    assert run("verify", "gone.db")[2] == [f"tokenvis: There is no database at {Path('gone.db').absolute()}."]


def test_backup(run):
    run("seed")
    copy = Path("copy.db").absolute()
    code, out, err = run("backup", "copy.db")
    assert (code, out, err) == (0, [f"{copy}: {copy.stat().st_size:,} bytes"], [])
    assert run("verify", "copy.db")[1][1:] == ["2 traces and 47 spans can be read.", "No problems found."]
    assert run("backup", "copy.db")[2] == [f"tokenvis: {copy} already exists. Choose a new file, or remove that one."]


def test_info(run):
    versions = [
        f"tokenvis {tokenvis.__version__}",
        f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, pandas {pd.__version__}",
    ]
    path = Path("sqlite.db").absolute()
    assert run("info") == (0, [*versions, f"Database: {path} (not created yet)"], [])
    run("seed")
    assert run("info") == (0, [*versions, f"Database: {path} ({path.stat().st_size:,} bytes)"], [])
