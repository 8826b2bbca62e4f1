import io
import sys
from pathlib import Path

import pytest
from claude_sessions import call, prompt, reply, write
from command_line import DATABASE, session

import tokenvis


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
