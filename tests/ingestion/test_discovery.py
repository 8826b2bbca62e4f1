from pathlib import Path

import pytest
import test_codex
from claude_sessions import agent, prompt, reply, write

from tokenvis import IngestError
from tokenvis.ingestion.watch import discovery
from tokenvis.ingestion.watch.discovery import Discovery, ancestry_of

LINES = [prompt(0, "go"), reply(2, "m1", "hi")]


def found(look):
    """The families, each by the names of its files."""
    families = look.families(dict(look.list_files()))
    return sorted(sorted(Path(file).name for file in files) for files in families.values())


def discovery_of(*places):
    return Discovery([Path(place).absolute() for place in places], {}, pytest.fail)


def test_files_of_one_session_are_together():
    write("in/s1.jsonl", *LINES)
    agent("a1", *LINES, folder="in/s1/subagents", meta={"agentType": "x"})
    agent("b1", *LINES, folder="in")
    agent("c1", *LINES, folder="in", session="gone")
    write("in/deep/s2.jsonl", *LINES, session="s2")
    write("in/notes.jsonl", '{"a": 1}')
    Path("in/sqlite.db").write_bytes(b"{")
    assert found(discovery_of("in")) == [["agent-a1.jsonl", "agent-b1.jsonl", "s1.jsonl"], ["agent-c1.jsonl"], ["s2.jsonl"]]


def test_threads_of_one_family_are_together():
    test_codex.family("in")
    [names] = found(discovery_of("in"))
    assert len(names) == 3


def test_a_file_is_looked_at_again_only_where_it_was_too_short(monkeypatch):
    write("in/s1.jsonl", *LINES)
    Path("in/young.jsonl").write_text('{"type": ')
    inspected, inspect = [], Discovery.inspect
    monkeypatch.setattr(
        Discovery, "inspect", lambda self, path, stamp: inspected.append(Path(path).name) or inspect(self, path, stamp)
    )
    look = discovery_of("in")
    assert found(look) == [["s1.jsonl"]]
    assert found(look) == [["s1.jsonl"]]
    assert sorted(inspected) == ["s1.jsonl", "young.jsonl"]
    inspected.clear()
    write("in/young.jsonl", *LINES, session="young")
    write("in/s1.jsonl", *LINES, *LINES)
    assert found(look) == [["s1.jsonl"], ["young.jsonl"]]
    assert inspected == ["young.jsonl"]


def test_a_file_that_cannot_be_read_is_a_problem_and_tried_again(monkeypatch):
    problems = []
    write("in/s1.jsonl", *LINES)
    look = Discovery([Path("in").absolute()], {}, lambda problem: problems.append(str(problem)))
    with monkeypatch.context() as patch:
        patch.setattr(discovery, "text_start", lambda source: (_ for _ in ()).throw(PermissionError(13, "Permission denied")))
        assert found(look) == []
    assert problems == ["s1.jsonl: cannot be read (Permission denied)."]
    assert found(look) == [["s1.jsonl"]]


def test_a_subagent_joins_its_session_when_that_comes():
    agent("a1", *LINES, folder="in/s1/subagents")
    look = discovery_of("in")
    assert found(look) == [["agent-a1.jsonl"]]
    write("in/s1.jsonl", *LINES)
    assert found(look) == [["agent-a1.jsonl", "s1.jsonl"]]


def test_a_subagent_stays_with_its_session_when_that_goes():
    """In the session's folder or beside it, there before or new, also where its file is replaced."""
    main = write("in/s1.jsonl", *LINES)
    for name, folder in (("a1", "in/s1/subagents"), ("a2", "in/s1/subagents/deep"), ("b1", "in")):
        agent(name, *LINES, folder=folder)
    look = discovery_of("in")
    [names] = found(look)
    main.rename("away")
    assert found(look) == []
    write("in/s2.jsonl", *LINES, session="s2")
    assert found(look) == [["s2.jsonl"]]
    for name, folder in (("a3", "in/s1/subagents/deep"), ("b2", "in"), ("a1", "new"), ("b1", "new")):
        agent(name, *LINES, *LINES, folder=folder)
    Path("new/agent-a1.jsonl").replace("in/s1/subagents/agent-a1.jsonl")
    Path("new/agent-b1.jsonl").replace("in/agent-b1.jsonl")
    agent("c1", *LINES, folder="in", session="s0")
    assert found(look) == [["agent-c1.jsonl"], ["s2.jsonl"]]
    Path("away").rename("in/s1.jsonl")
    assert found(look) == [sorted([*names, "agent-a3.jsonl", "agent-b2.jsonl"]), ["agent-c1.jsonl"], ["s2.jsonl"]]
    assert len(names) == 4


@pytest.mark.parametrize(
    ("gone", "rest"),
    [
        ("rollout-1", []),
        ("rollout-2", ["rollout-1-0190-root.jsonl"]),
        ("rollout-3", ["rollout-1-0190-root.jsonl", "rollout-2-0191-child.jsonl"]),
    ],
)
def test_threads_below_one_whose_file_goes_are_left_out(gone, rest):
    test_codex.family("in")
    look = discovery_of("in")
    [names] = found(look)
    [path] = Path("in").glob(f"{gone}*")
    content = path.read_bytes()
    path.unlink()
    assert found(look) == ([rest] if rest else [])
    path.write_bytes(content)
    assert found(look) == [names]


def test_a_thread_that_was_forked_goes_on_without_the_one_it_was_forked_from():
    """And so do those that it started; not where its trace is named by the file that is gone."""
    c = test_codex
    c.write_file("in/1.jsonl", *c.BASIC)
    c.write_file("in/2.jsonl", c.line(9, "session_meta", id="fork", forked_from_id=c.ROOT, source="cli"), c.turn(10, "t2"))
    c.write_file("in/3.jsonl", c.meta(11, c.CHILD, "fork"), c.turn(11, "t3"))
    c.write_file("in/4.jsonl", c.line(12, "session_meta", id="again", forked_from_id="fork", source="cli"), c.turn(12, "t4"))
    look = discovery_of("in")
    assert found(look) == [["1.jsonl", "2.jsonl", "3.jsonl", "4.jsonl"]]
    Path("in/1.jsonl").unlink()
    assert found(look) == [["2.jsonl", "3.jsonl", "4.jsonl"]]
    Path("in/2.jsonl").unlink()
    assert found(look) == []


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"\0\1", "binary"),
        (b'{"resourceSpans": []}\n' * 4, "JSON lines with the keys 'resourceSpans'"),
        (b'{"resourceSpans": []}', "a JSON document with the keys 'resourceSpans'"),
        (b'{"resourceSpans": [{"resource', "a JSON document with the keys 'resourceSpans'"),
        (b'{"ph": "X", "ts": 1}\n', "a JSON document with the keys 'ph', 'ts'"),
        (b'{"a": 1}\n' * 20, "JSON lines with the keys 'a'"),
        (b'{\n"a": 1}', "a JSON document with the keys 'a'"),
    ],
)
def test_a_file_of_another_format_that_is_given_is_an_error(content, what):
    Path("x").write_bytes(content)
    with pytest.raises(IngestError) as caught:
        found(discovery_of("x"))
    assert str(caught.value) == (
        f"x is not a session of Claude Code or Codex: it looks like {what}. "
        "`tokenvis watch` follows only these; `tokenvis ingest` reads other formats."
    )


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b" ",
        b"{",
        b'{"a": 1}\n',
        b'{"type": "mode", "sessionId": "s1"}\n{"type": "user", "message": {"ro',
        b'{"start_time": 1, "agent_id": "ann"}\n',  # a table's rows may be anything
    ],
)
def test_a_file_that_is_too_short_to_tell_is_waited_for(content):
    Path("x").write_bytes(content)
    assert found(discovery_of("x")) == []


def test_a_family_and_those_above_it():
    assert ancestry_of("c", {"c": "b", "b": "a"}) == ["c", "b", "a"]
    assert ancestry_of("c", {}) == ["c"]
    assert ancestry_of("a", {"a": "b", "b": "a"}) == ["a", "b"]
