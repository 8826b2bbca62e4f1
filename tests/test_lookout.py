from pathlib import Path

import pytest
import test_codex
from claude_sessions import agent, prompt, said, write

from tokenvis import IngestError, lookout
from tokenvis.lookout import Lookout, highest

LINES = [prompt(0, "go"), said(2, "m1", "hi")]


def found(look):
    """The families, each by the names of its files."""
    families = look.families(dict(look.listed()))
    return sorted(sorted(Path(file).name for file in files) for files in families.values())


def lookout_at(*places):
    return Lookout([Path(place).absolute() for place in places], {}, pytest.fail)


def test_files_of_one_session_are_together():
    write("in/s1.jsonl", *LINES)
    agent("a1", *LINES, folder="in/s1/subagents", meta={"agentType": "x"})
    agent("b1", *LINES, folder="in")
    agent("c1", *LINES, folder="in", session="gone")
    write("in/deep/s2.jsonl", *LINES, session="s2")
    write("in/notes.jsonl", '{"a": 1}')
    Path("in/sqlite.db").write_bytes(b"{")
    assert found(lookout_at("in")) == [["agent-a1.jsonl", "agent-b1.jsonl", "s1.jsonl"], ["agent-c1.jsonl"], ["s2.jsonl"]]


def test_threads_of_one_family_are_together():
    test_codex.family("in")
    [names] = found(lookout_at("in"))
    assert len(names) == 3


def test_a_file_is_looked_at_again_only_where_it_was_too_short(monkeypatch):
    write("in/s1.jsonl", *LINES)
    Path("in/young.jsonl").write_text('{"type": ')
    looked, seen = [], Lookout.seen
    monkeypatch.setattr(Lookout, "seen", lambda self, path, stamp: looked.append(Path(path).name) or seen(self, path, stamp))
    look = lookout_at("in")
    assert found(look) == [["s1.jsonl"]]
    assert found(look) == [["s1.jsonl"]]
    assert sorted(looked) == ["s1.jsonl", "young.jsonl"]
    looked.clear()
    write("in/young.jsonl", *LINES, session="young")
    write("in/s1.jsonl", *LINES, *LINES)
    assert found(look) == [["s1.jsonl"], ["young.jsonl"]]
    assert looked == ["young.jsonl"]


def test_a_file_that_cannot_be_read_is_a_problem_and_tried_again(monkeypatch):
    problems = []
    write("in/s1.jsonl", *LINES)
    look = Lookout([Path("in").absolute()], {}, lambda problem: problems.append(str(problem)))
    with monkeypatch.context() as patch:
        patch.setattr(lookout, "beginning", lambda source: (_ for _ in ()).throw(PermissionError(13, "Permission denied")))
        assert found(look) == []
    assert problems == ["s1.jsonl: cannot be read (Permission denied)."]
    assert found(look) == [["s1.jsonl"]]


def test_a_subagent_joins_its_session_when_that_comes():
    agent("a1", *LINES, folder="in/s1/subagents")
    look = lookout_at("in")
    assert found(look) == [["agent-a1.jsonl"]]
    write("in/s1.jsonl", *LINES)
    assert found(look) == [["agent-a1.jsonl", "s1.jsonl"]]


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"PAR1", "binary"),
        (b'{"a": 1}\n' * 20, "JSON lines with the keys 'a'"),
        (b'{\n"a": 1}', "a JSON document with the keys 'a'"),
    ],
)
def test_a_file_of_another_format_that_is_given_is_an_error(content, what):
    Path("x").write_bytes(content)
    with pytest.raises(IngestError) as caught:
        found(lookout_at("x"))
    assert str(caught.value) == (
        f"x is no session that grows: it looks like {what}. "
        "`tokenvis watch` follows Claude Code and Codex; `tokenvis ingest` reads the rest."
    )


@pytest.mark.parametrize("content", [b"", b" ", b"{", b'{"a": 1}\n'])
def test_a_file_that_is_too_short_to_tell_is_waited_for(content):
    Path("x").write_bytes(content)
    assert found(lookout_at("x")) == []


def test_the_highest_family():
    assert highest("c", {"c": "b", "b": "a"}) == "a"
    assert highest("c", {}) == "c"
    assert highest("a", {"a": "b", "b": "a"}) == "b"
