import io
import os
import platform
import sqlite3
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from claude_sessions import call, prompt, reply, result, write

import tokenvis
from tokenvis import Store
from tokenvis.__main__ import main


@pytest.fixture
def run(capsys):
    """Run a command: its exit code, and the lines of stdout and of stderr."""

    def run(*arguments):
        try:
            code = main(arguments)
        except SystemExit as stop:
            code = stop.code
        said = capsys.readouterr()
        return code, said.out.splitlines(), said.err.splitlines()

    return run


def session(name="s1"):
    return write(f"{name}.jsonl", prompt(0, f"{name} go"), reply(2, "m1", call("t1")), result(5, "t1"), session=name)


DATABASE = "Database: {}".format
SPAN = {"agent_id": "ann", "location_id": "desk", "start_time": 0, "end_time": 5}


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


def test_ingest_of_several_paths_prints_a_report_of_each(run):
    code, out, err = run("ingest", str(session("s1")), str(session("s2")))
    one = [
        DATABASE(Path("sqlite.db").absolute()),
        "Read: Claude Code sessions, 1 file",
        "Trace 's1' (s1 go): 2 spans added, 0 updated, 0 unchanged",
        "2 spans, 1 agent, 2 locations",
        "Estimated values: 1 (missing in the source; see `estimated` in data)",
    ]
    assert (code, err) == (0, [])
    assert out == one + [line.replace("s1", "s2") for line in one]


def test_ingest_of_a_folder_shows_no_progress_bar_without_a_terminal(run):
    session("s1")
    session("s2")
    code, out, err = run("ingest", ".")
    assert (code, err) == (0, [])
    assert out[2:4] == [
        "Trace 's1' (s1 go): 2 spans added, 0 updated, 0 unchanged",
        "Trace 's2' (s2 go): 2 spans added, 0 updated, 0 unchanged",
    ]


def test_ingest_with_less_text(run):
    code, out, _ = run("ingest", "--content", "none", str(session()))
    assert code == 0
    assert out[2] == "Trace 's1' (s1): 2 spans added, 0 updated, 0 unchanged"
    assert out[-1] == "Texts shortened or removed: 2"


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


@pytest.mark.parametrize("command", [["seed"], ["traces"], ["info"], ["ingest", "s1.jsonl"]])
def test_the_database_is_named_after_the_command(run, command):
    session()
    Store("there.db").close()
    code, out, _ = run(*command, "--database", "there.db")
    assert code == 0
    assert [line.split(" (")[0] for line in out if line.startswith("Database")] == [DATABASE(Path("there.db").absolute())]
    assert not Path("sqlite.db").exists()


@pytest.mark.parametrize("command", [["seed"], ["traces"], ["info"], ["ingest", "s1.jsonl"]])
def test_the_database_is_named_before_the_command(run, command):
    session()
    Store("there.db").close()
    code, out, _ = run("--database", "there.db", *command)
    assert code == 0
    assert [line.split(" (")[0] for line in out if line.startswith("Database")] == [DATABASE(Path("there.db").absolute())]
    assert not Path("sqlite.db").exists()


def test_the_version(run):
    assert run("--version") == (0, [f"tokenvis {tokenvis.__version__}"], [])


def test_an_error_is_one_line_on_stderr(run):
    assert run("ingest", "nowhere") == (1, [], ["tokenvis: There is no file or folder nowhere."])
    code, out, err = run("traces")
    assert (code, out, len(err)) == (1, [], 1)
    assert err[0].startswith(f"tokenvis: There is no database at {Path('sqlite.db').absolute()}. ")


def test_output_before_an_error_is_kept(run):
    code, out, err = run("ingest", str(session()), "nowhere")
    assert (code, len(out), err) == (1, 5, ["tokenvis: There is no file or folder nowhere."])


def test_a_command_is_needed(run):
    assert run() == (
        2,
        [],
        [
            "usage: tokenvis [-h] [--database FILE] [--version] COMMAND ...",
            "tokenvis: error: the following arguments are required: COMMAND",
        ],
    )


def test_an_invalid_choice_is_refused(run):
    code, out, err = run("ingest", "--content", "some", "x")
    assert (code, out) == (2, [])
    assert "--content: invalid choice: 'some'" in err[-1]


@pytest.mark.full
def test_characters_that_the_terminal_cannot_show_are_escaped(tmp_path):
    write("s1.jsonl", prompt(0, "naïve 🙂"), reply(2, "m1", "hi"))
    done = python("ingest", "s1.jsonl", PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (0, "")
    assert r"(na\xefve \U0001f642)" in done.stdout


def python(*arguments, **variables):
    return subprocess.run(
        [sys.executable, "-m", "tokenvis", *arguments],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.full
def test_a_closed_pipe_prints_no_error():
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([sys.executable, "-m", "tokenvis", "info"], stdout=writer, stderr=subprocess.PIPE, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, b"")


def test_it_runs_as_a_module():
    done = python("ingest", str(session()), "nowhere")
    assert done.returncode == 1
    assert done.stdout.splitlines()[2] == "Trace 's1' (s1 go): 2 spans added, 0 updated, 0 unchanged"
    assert done.stderr == "tokenvis: There is no file or folder nowhere.\n"


def test_an_unreadable_path_does_not_stop_the_others(run):
    code, out, err = run("ingest", "gone.jsonl", str(session()))
    assert code == 1
    assert err == ["tokenvis: There is no file or folder gone.jsonl."]
    assert out[2] == "Trace 's1' (s1 go): 2 spans added, 0 updated, 0 unchanged"


def test_ingest_of_a_table_with_its_options(run):
    Path("log.csv").write_text("who,room,begin,end\nann,desk,0,1.5\nbob,lab,1,2\n")
    options = ["--columns", "start_time=begin,end_time=end", "--agent", "who", "--location", "room", "--unit", "s"]
    code, out, err = run("ingest", "log.csv", *options)
    assert (code, err) == (0, [])
    assert out[1:2] + out[3:4] == ["Read: tables of spans, 1 file", "2 spans, 2 agents, 2 locations"]
    assert tokenvis.load_spans()["end_time"].tolist() == [1_500_000, 2_000_000]


def test_whom_a_span_waits_for_is_an_option(run):
    Path("log.csv").write_text("agent_id,start_time,end_time,boss\nann,0,5,eve\nbob,1,2,\n")
    assert run("ingest", "log.csv", "--waits-for", "boss")[0] == 0
    spans = tokenvis.expand_data(tokenvis.load_spans(), "waits_for")
    assert spans.set_index("agent_id")["waits_for"].dropna().to_dict() == {"ann": "eve"}


def test_ingest_reads_stdin(run, monkeypatch):
    class Piped:
        buffer = io.BytesIO(session().read_bytes())

    monkeypatch.setattr(sys, "stdin", Piped)
    code, out, _ = run("ingest", "-")
    assert code == 0
    assert out[2] == "Trace 's1' (s1 go): 2 spans added, 0 updated, 0 unchanged"


def test_columns_that_are_not_pairs_are_refused(run):
    code, _, err = run("ingest", "x.csv", "--columns", "begin")
    assert code == 2
    assert err[-1].endswith("argument --columns: 'begin' is not like start_time=begin,end_time=stop")


def test_ingest_without_a_path_lists_the_sessions(run, monkeypatch, tmp_path):
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    for name in ("CLAUDE_CONFIG_DIR", "CODEX_HOME"):
        monkeypatch.delenv(name, raising=False)
    assert run("ingest") == (0, ["No sessions in the folders of Claude Code and Codex."], [])
    assert run("ingest", "--since", "7d")[1] == ["No sessions since 7d in the folders of Claude Code and Codex."]
    path = write(f"{tmp_path}/.claude/projects/shop/s1.jsonl", prompt(0, "go"), reply(2, "m1", call("t1")))
    code, out, _ = run("ingest", "--since", "7d")
    assert code == 0
    assert out[1].split()[0] == "claude_code"
    assert out[1].split()[-2:] == ["shop", str(path)]
    assert out[2] == "1 session. `tokenvis ingest PATH` reads one, `tokenvis ingest --all` reads all."
    assert "Trace 's1' (go): 2 spans added, 0 updated, 0 unchanged" in run("ingest", "--all")[1]
    assert run("ingest", "--since", "soon")[0] == 1


def test_export(run):
    run("seed")
    code, out, err = run("export", "kitchen.json", "kitchen-sink")
    assert (code, err) == (0, [])
    assert out == ["kitchen.json: 7 spans, 1 trace"]
    assert run("export", "all.parquet")[1] == ["all.parquet: 47 spans, 2 traces"]
    assert run("ingest", "kitchen.json")[1][2] == "Trace 'kitchen-sink' (kitchen-sink): 0 spans added, 0 updated, 7 unchanged"
    code, _, err = run("export", "all.txt")
    assert code == 1
    assert err[0].startswith("tokenvis: path='all.txt' has none of the suffixes ")


def test_show_writes_a_page_of_a_file_and_does_not_change_the_database(run, monkeypatch):
    opened = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    code, out, err = run("show", str(session("s1")))
    size = round(Path("s1.html").stat().st_size / 1000)
    assert (code, out, err) == (0, [f"s1.html: {size} kB, 2 spans, without free text"], [])
    assert opened == [Path("s1.html").absolute().as_uri()]
    assert not Path("sqlite.db").exists()
    assert run("show", "s1.jsonl", "-o", "other.html", "--content", "full")[1][0].endswith(", 2 spans, with all texts")
    assert len(opened) == 1


def test_show_writes_a_page_of_a_trace(run, monkeypatch):
    monkeypatch.setattr("webbrowser.open", lambda _: None)
    run("seed")
    assert run("show", "multi-agent-workflow")[1][0].startswith("multi-agent-workflow.html: ")
    assert run("show", "nothing") == (
        1,
        [],
        [
            "tokenvis: 'nothing' is neither a file nor a trace. "
            "No trace 'nothing'. This store has: 'kitchen-sink', 'multi-agent-workflow'."
        ],
    )


def test_show_without_a_path_shows_the_newest_session(run, monkeypatch, tmp_path):
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    for name in ("CLAUDE_CONFIG_DIR", "CODEX_HOME"):
        monkeypatch.delenv(name, raising=False)
    assert run("show")[2] == [
        "tokenvis: No sessions in the folders of Claude Code and Codex. Pass a file: `tokenvis show PATH`."
    ]
    folder = tmp_path / ".claude/projects/-work-shop"
    folder.mkdir(parents=True)
    session("s1").rename(folder / "s1.jsonl")
    assert run("show", "-o", "a.html")[1][0].startswith("a.html: ")


def test_show_replaces_only_pages_unless_a_file_is_given(run, monkeypatch):
    monkeypatch.setattr("webbrowser.open", lambda _: None)
    path = str(session("s1"))
    Path("s1.html").write_text("mine")
    assert run("show", path) == (
        1,
        [],
        ["tokenvis: s1.html exists and is not a page of tokenvis. Choose another file with -o FILE."],
    )
    assert run("show", path, "-o", "s1.html")[0] == 0
    assert run("show", path)[0] == 0


def test_the_page_of_a_trace_has_a_valid_file_name(run, monkeypatch):
    monkeypatch.setattr("webbrowser.open", lambda _: None)
    with Store() as store:
        store.write_trace("a/b: <c>", [{"id": "x", **SPAN}])
    assert run("show", "a/b: <c>")[1][0].startswith("a-b- -c-.html: ")


def test_show_refuses_a_text_too_long_for_a_path(run):
    assert run("show", "x" * 5000)[2][0].startswith("tokenvis: 'xxx")


def test_watch_ingests_existing_and_new_lines(run):
    session("s1")
    head = [DATABASE(Path("sqlite.db").absolute()), f"Watching: {Path.cwd()}"]
    assert run("watch", ".", "--once") == (0, [*head, "s1 go: 2 spans added, 0 updated; 2 in all"], [])
    assert run("watch", ".", "--once") == (0, [*head, "Nothing new."], [])
    session("s2")
    assert run("watch", ".", "--once", "--content", "none")[1][2:] == [
        "s1: 0 spans added, 2 updated; 2 in all",
        "s2: 2 spans added, 0 updated; 2 in all",
    ]


def test_watch_stops_cleanly_when_interrupted(run, monkeypatch):
    session("s1")
    monkeypatch.setattr("time.sleep", lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
    code, out, err = run("watch", "s1.jsonl", "--every", "0.5")
    assert (code, err) == (0, [])
    assert out[-2:] == ["s1 go: 2 spans added, 0 updated; 2 in all", "Stopped. Run the same command to continue."]
    assert Path("sqlite.db-watched.json").exists()


@pytest.mark.parametrize("seconds", ["0", "-1", "nan", "inf", "soon"])
def test_watch_refuses_an_invalid_pause(run, seconds):
    code, _, err = run("watch", ".", "--every", seconds)
    assert code == 2
    assert err[-1].endswith(f"argument --every: {seconds!r} is not a number of seconds between 0 and 86,400")


def test_watch_of_a_missing_path_is_an_error(run):
    assert run("watch", "missing") == (1, [], ["tokenvis: There is no file or folder missing."])
