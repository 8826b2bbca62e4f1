import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from files import write_file

from tokenvis import BadOption
from tokenvis.ingestion.sessions import SESSION_DTYPES, find_sessions, session_folders


@pytest.fixture(autouse=True)
def home(monkeypatch, tmp_path):
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    for name in ("CLAUDE_CONFIG_DIR", "CODEX_HOME"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def aged(path, hours, *lines):
    path = write_file(path, *lines)
    moment = (datetime.now(UTC) - timedelta(hours=hours)).timestamp()
    os.utime(path, (moment, moment))
    return path


def test_sessions_of_both_newest_first(home):
    aged(home / ".claude/projects/-work-shop/s1.jsonl", 5, "x")
    aged(home / ".claude/projects/-work-shop/s1/subagents/agent-a.jsonl", 1, "x")
    aged(home / ".claude/projects/-work-shop/agent-b.jsonl", 1, "x")
    aged(home / ".codex/sessions/2026/06/21/rollout-1.jsonl", 3, {"payload": {"cwd": "/code/shop"}}, "more")
    aged(home / ".codex/archived_sessions/rollout-2.jsonl.zst", 50, b"\x28\xb5")
    found = find_sessions()
    assert found[["format", "size", "project"]].fillna("-").to_numpy().tolist() == [
        ["codex", 39, "/code/shop"],
        ["claude_code", 1, "-work-shop"],
        ["codex", 2, "-"],
    ]
    assert found.dtypes.astype(str).to_dict() == SESSION_DTYPES
    assert len(find_sessions(since="4h")) == 1
    assert len(find_sessions(since="1d")) == 2
    assert len(find_sessions(since="2026-01-01")) == 3
    assert len(find_sessions(since="9999-01-01T00:00:00Z")) == 0


def test_the_folders_in_which_sessions_grow(home, monkeypatch):
    names = [".claude/projects", ".config/claude/projects", ".codex/sessions"]
    assert sorted(session_folders()) == sorted(home / name for name in names)
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(home / "one"))
    monkeypatch.setenv("CODEX_HOME", str(home / "two"))
    assert session_folders() == [home / "one/projects", home / "two/sessions"]


def test_folders_that_variables_name(home, monkeypatch):
    aged(home / "elsewhere/projects/p/s.jsonl", 1, "x")
    aged(home / ".claude/projects/p/s.jsonl", 1, "x")
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(home / "elsewhere"))
    monkeypatch.setenv("CODEX_HOME", str(home / "nowhere"))
    assert find_sessions()["path"].tolist() == [str(home / "elsewhere/projects/p/s.jsonl")]


def test_what_is_no_session_or_cannot_be_read_is_left_out_alone(home, monkeypatch):
    folder = aged(home / ".claude/projects/p/good.jsonl", 1, "x").parent
    aged(folder / "denied.jsonl", 1, "x")
    aged(folder / "locked.jsonl", 1, "x")
    os.close(os.open(os.fsencode(folder) + b"/\xff.jsonl", os.O_CREAT))
    aged(home / ".codex/sessions/rollout-1.jsonl.bak", 1, "x")
    is_file, access = Path.is_file, os.access

    def refused(path):
        if path.name == "denied.jsonl":
            raise PermissionError
        return is_file(path)

    monkeypatch.setattr(Path, "is_file", refused)
    monkeypatch.setattr(os, "access", lambda path, mode: path.name != "locked.jsonl" and access(path, mode))
    assert find_sessions()["path"].tolist() == [str(folder / "good.jsonl")]


def test_the_place_of_the_folder_itself_does_not_matter(home, monkeypatch):
    aged(home / "subagents/claude/projects/p/s.jsonl", 1, "x")
    aged(home / "subagents/claude/projects/loose.jsonl", 2, "x")
    (home / ".claude").symlink_to(home / "subagents/claude")
    (home / ".config").mkdir()
    (home / ".config/claude").symlink_to(home / "subagents/claude")
    assert find_sessions()["project"].fillna("-").tolist() == ["p", "-"]
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(home / "subagents/claude"))
    assert find_sessions()["project"].fillna("-").tolist() == ["p", "-"]


def test_a_long_first_line_tells_its_folder(home):
    aged(home / ".codex/sessions/rollout-1.jsonl", 1, {"payload": {"base_instructions": "x" * 100_000, "cwd": "/code/shop"}})
    assert find_sessions()["project"].tolist() == ["/code/shop"]


def test_no_sessions_are_an_empty_table():
    assert find_sessions().dtypes.astype(str).to_dict() == SESSION_DTYPES
    assert find_sessions().empty


@pytest.mark.parametrize("since", ["", "7", "soon", "7y", 5])
def test_what_is_no_age(since):
    with pytest.raises(BadOption) as caught:
        find_sessions(since=since)
    assert str(caught.value) == (
        f'since={since!r} is neither an age, such as "7d", "12h" or "30m", nor a date, such as "2026-06-21".'
    )
