import os
import subprocess
import sys
from pathlib import Path

import pytest
from claude_sessions import prompt, reply, write
from command_line import DATABASE, python, session

import tokenvis
from tokenvis import Store


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
