from pathlib import Path

from command_line import SPAN, session

from tokenvis import Store


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
