"""Forks: sessions of Claude Code that begin with a copy of another session.

``--resume``, ``--fork-session`` and ``/branch`` write the lines so far to a new file, possibly with other uuids, times and
session ids; a message keeps its id and the id of its request. So each message belongs to the first of the files that contain
it, in an order that does not depend on what is read: a session is after those that its lines name (``forkedFrom``, another
``sessionId``), then the order is that of the first messages, then that of the names.

The files of a folder are compared by their beginnings: **relatives** have the same first message, or name each other. Only
relatives are read as a whole.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from tokenvis.conventions.timestamps import microseconds
from tokenvis.formats.files.lenient_json import MAX_RECORD_BYTES
from tokenvis.formats.files.lines import line_value_or_none

HEAD_BYTES_OF_SESSION, TAIL_BYTES_OF_SESSION = 1 << 18, 1 << 14
CACHED_HEADS, CACHED_FOLDERS, CACHED_FILES = 4_096, 4, 32
UNIQUE_ID_PREFIX = "msg_"  # of the ids that the API gives; those of other servers may be numbered in each session
NO_MESSAGE_TIME = 2**63

MessageKey: TypeAlias = tuple[str, str | None]  # the ids of a message and of its request
FileState: TypeAlias = tuple[int, int, int]


class SessionHead(NamedTuple):
    """The beginning of a session's file: its trace, its first message, and the sessions that its lines name beside its own."""

    path: Path
    trace: str
    first: MessageKey | None
    first_time: int
    named: frozenset[str]


class FolderIndex(NamedTuple):
    """The beginnings of the sessions in a folder by file name, and the names of the files that have each common name."""

    heads: dict[str, SessionHead]
    members: dict[tuple[str, ...], set[str]]


@dataclass
class Ancestry:
    """The relatives of a session, ``earlier`` and ``later``, and the sessions that it names but that are ``missing``.

    ``messages`` and ``tool_calls`` have the trace to which those of the earlier sessions belong.
    """

    earlier: tuple[SessionHead, ...] = ()
    later: tuple[SessionHead, ...] = ()
    missing: tuple[str, ...] = ()
    messages: dict[MessageKey, str] = field(default_factory=dict)
    tool_calls: dict[str, str] = field(default_factory=dict)


def sessions_in(folder: Path) -> FolderIndex:
    """The sessions in a folder, by their beginnings."""
    return index_of_folder(folder, states_in(folder))


def relatives_of(path: Path, index: FolderIndex) -> list[SessionHead]:
    """A session and its relatives in its folder, in their order; only the session if it has no relatives."""
    if path.name not in index.heads:
        return []
    found, waiting = {path.name}, [path.name]
    while waiting:
        for name in common_names(index.heads[waiting.pop()]):
            new = index.members[name] - found
            found |= new
            waiting += new
    heads = [index.heads[name] for name in found]
    depth = depths_of(heads) if len(heads) > 1 else {path: 0}
    return sorted(heads, key=lambda head: (depth[head.path], head.first_time, head.trace, head.path))


def states_in(folder: Path) -> tuple[tuple[str, FileState], ...]:
    """The names of the files that may be sessions in a folder, with their states."""
    states = []
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.endswith(".jsonl") and not entry.name.startswith("agent-"):
                with suppress(OSError):
                    status = entry.stat()
                    states.append((entry.name, (status.st_size, status.st_mtime_ns, status.st_ino)))
    return tuple(states)


@lru_cache(maxsize=CACHED_FOLDERS)
def index_of_folder(folder: Path, states: tuple[tuple[str, FileState], ...]) -> FolderIndex:
    """The sessions in a folder whose files are in these states."""
    index = FolderIndex({}, {})
    for name, state in states:
        with suppress(OSError):
            head = session_head(folder / name, state)
            if head is not None:
                index.heads[name] = head
                for common_name in common_names(head):
                    index.members.setdefault(common_name, set()).add(name)
    return index


def common_names(head: SessionHead) -> Iterator[tuple[str, ...]]:
    """What a session has in common with its relatives: the session ids in its file, and its first message."""
    yield from (("session", name) for name in {head.path.stem, head.trace, *head.named})
    if head.first and (head.first[1] or head.first[0].startswith(UNIQUE_ID_PREFIX)):
        yield "message", head.first[0], head.first[1] or ""


def depths_of(heads: list[SessionHead]) -> dict[Path, int]:
    """How many sessions stand before each one in a chain of sessions that name each other."""
    by_name: dict[str, list[SessionHead]] = {}
    for head in heads:
        for name in {head.path.stem, head.trace}:
            by_name.setdefault(name, []).append(head)
    depth = dict.fromkeys((head.path for head in heads), 0)
    for _ in heads:
        before = dict(depth)
        for head in heads:
            above = [depth[other.path] for name in head.named for other in by_name.get(name, ()) if other is not head]
            depth[head.path] = min(max(above, default=-1) + 1, len(heads))
        if depth == before:
            break
    return depth


@lru_cache(maxsize=CACHED_HEADS)
def session_head(path: Path, state: FileState) -> SessionHead | None:
    """The beginning of a session's file in a state; None if it has no session id."""
    with path.open("rb") as file:
        start = file.read(HEAD_BYTES_OF_SESSION)
        file.seek(max(state[0] - TAIL_BYTES_OF_SESSION, 0))
        end = file.read(TAIL_BYTES_OF_SESSION)
    named: dict[str, None] = {}
    first, first_time = None, NO_MESSAGE_TIME
    for line in (value for text in start.split(b"\n") if isinstance(value := line_value_or_none(text.strip()), dict)):
        named |= dict.fromkeys(sessions_named(line))
        if first_time == NO_MESSAGE_TIME and (key := key_of_message(line)):
            first, first_time = key, time_of(line)
            break
    if not named:
        return None
    is_own = path.stem in named or os.fsencode(f'"{path.stem}"') in end
    trace = path.stem if is_own else next(iter(named))
    return SessionHead(path, trace, first, first_time, frozenset(named) - {path.stem})


def sessions_named(line: dict[str, Any]) -> Iterator[str]:
    """The ids of sessions in a line: its own, and the one that it was copied from."""
    fork = line.get("forkedFrom")
    for value in (line.get("sessionId"), fork.get("sessionId") if isinstance(fork, dict) else None):
        if isinstance(value, str) and value and "\0" not in value:
            yield value


def key_of_message(line: dict[str, Any]) -> MessageKey | None:
    """The ids of the model's message in a line, None if it has none."""
    message = line.get("message")
    if line.get("type") != "assistant" or not isinstance(message, dict) or message.get("model") == "<synthetic>":
        return None
    id_, request = message.get("id"), line.get("requestId")
    return (id_, request if isinstance(request, str) and request else None) if isinstance(id_, str) and id_ else None


def time_of(line: dict[str, Any]) -> int:
    """The time of a line, a late one if it has none."""
    try:
        return microseconds(line["timestamp"])
    except (KeyError, TypeError, ValueError):
        return NO_MESSAGE_TIME - 1


def ancestry_of_session(path: Path, index: FolderIndex) -> Ancestry:
    """The earlier and the later relatives of a session in its folder, and which sessions are missing."""
    relatives = relatives_of(path, index)
    own = next((head for head in relatives if head.path == path), None)
    if own is None:
        return Ancestry()
    position = relatives.index(own)
    earlier, later = (
        tuple(head for head in part if head.trace != own.trace) for part in (relatives[:position], relatives[position + 1 :])
    )
    there = {name for head in relatives for name in (head.path.stem, head.trace)}
    missing = sorted(own.named - there) if own.trace == path.stem else []
    return Ancestry(earlier, later, tuple(missing))


def read_ancestry(ancestry: Ancestry, path: Path) -> None:
    """Read the messages of the earlier relatives of a session."""
    has_subagents = path.with_suffix("").joinpath("subagents").is_dir()
    for head in ancestry.earlier:
        for key, calls in told_by(head.path, with_subagents=has_subagents):
            owner = ancestry.messages.setdefault(key, head.trace)
            for call in calls:
                ancestry.tool_calls.setdefault(call, owner)


def told_by(path: Path, *, with_subagents: bool) -> Iterator[tuple[MessageKey, Iterable[str]]]:
    """The messages of a session, each with its tool calls."""
    subagents = sorted(path.with_suffix("").joinpath("subagents").rglob("agent-*.jsonl")) if with_subagents else []
    for file in (path, *subagents):
        with suppress(OSError):
            status = file.stat()
            yield from messages_in(file, (status.st_size, status.st_mtime_ns, status.st_ino)).items()


@lru_cache(maxsize=CACHED_FILES)
def messages_in(path: Path, state: FileState) -> dict[MessageKey, set[str]]:
    """The messages in a file in a state, each with its tool calls."""
    messages: dict[MessageKey, set[str]] = {}
    with path.open("rb") as file:
        for text in iter(partial(file.readline, MAX_RECORD_BYTES), b""):
            line = line_value_or_none(text.strip()) if b"assistant" in text else None
            if isinstance(line, dict) and (key := key_of_message(line)):
                calls = messages.setdefault(key, set())
                content = line["message"].get("content")
                for block in content if isinstance(content, list) else ():
                    if isinstance(block, dict) and block.get("type") == "tool_use" and isinstance(block.get("id"), str):
                        calls.add(block["id"])
    return messages


def owner_in(ancestry: Ancestry, line: dict[str, Any], session: str) -> str | None:
    """The earlier session to which a line's message belongs, None if it is the own one, called ``session``.

    An id without that of a request is certain only if it is unique, or if the line says that it is a copy.
    """
    key = key_of_message(line)
    owner = ancestry.messages.get(key) if key else None
    if owner is None or key is None or key[1] or key[0].startswith(UNIQUE_ID_PREFIX):
        return owner
    return owner if any(name != session for name in sessions_named(line)) else None
