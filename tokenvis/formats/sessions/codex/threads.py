"""The threads of Codex: the parent of each thread, and the lines of its file that are its own.

A thread's first ``session_meta`` names the thread that started it. Its file may begin with a copy of its parent's lines, which
include another ``session_meta``. Its own lines begin with the first turn after the copied ``session_meta`` that is not a turn
of its parent; if the parent's file is missing, with the first turn that is not older than the thread.

A file is read once as it grows: when the lines so far turn out to be a copy, their data are discarded.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from tokenvis.conventions.span import problem_reason
from tokenvis.conventions.timestamps import microseconds
from tokenvis.conventions.values import decode_json_text
from tokenvis.formats.files.lines import FileReplaced, FilesChanged, ReadPosition, json_lines
from tokenvis.formats.files.reading import Problem, Reading
from tokenvis.formats.files.sources import Source
from tokenvis.formats.sessions.codex.lines import TURN_START_TYPES, CodexThread, add_rollout_line

PARENT_KEYS = ("parent_thread_id", "forked_from_id")
COPIED_LINES = "lines copied from the parent thread"
NO_OWN_LINE_YET = 2**62


@dataclass
class ThreadLineage:
    """The parent of a thread, the threads that it started, and its turns.

    ``spawned`` maps each started thread to its call, and ``nicknames`` to the nickname of its agent, if there is one; ``turns``
    maps the id of each turn to its first line and its time; ``last_copied_meta`` is the last line with another thread's
    ``session_meta``, after which the thread's own turns begin.
    """

    id: str
    parent: str | None = None
    agent: str = "codex"
    created: int = 0
    spawned: dict[str, str] = field(default_factory=dict)
    nicknames: dict[str, str] = field(default_factory=dict)
    turns: dict[str, tuple[int, int]] = field(default_factory=dict)
    last_copied_meta: int = 0
    is_subagent: bool = False  # another thread started it, so its first prompt is a task
    program: dict[str, str] = field(default_factory=dict)  # version, branch and folder, as attributes


ParentLookup: TypeAlias = Callable[["Rollout"], ThreadLineage | None]


class Rollout:
    """The file of a thread, read so far: its lineage and, if it is ``requested``, the data of its own lines.

    ``first_own`` is the number of the first of its own lines; ``n_lines`` counts all lines that were read.
    """

    def __init__(self, reading: Reading, *, requested: bool) -> None:
        self.reading, self.requested = reading, requested
        self.reset()

    def reset(self) -> None:
        """Discard everything that was read."""
        self.position, self.first_own, self.n_lines = ReadPosition(), 0, 0
        self.lineage, self.has_meta = ThreadLineage(self.reading.source.path.stem), False
        self.reset_thread()

    def reset_thread(self) -> None:
        """Discard the data of the lines that were read: they are a copy."""
        self.thread, self.line_problems = CodexThread(self.reading), list[Problem]()
        self.reading.skipped.clear()
        if self.n_lines:
            self.reading.skipped[COPIED_LINES] = self.n_lines

    def advance(self, parent_of: ParentLookup, *, growing: bool) -> bool:
        """Read the new lines; returns whether the file was replaced, so that it was read again from the start."""
        try:
            self.read_new(parent_of, growing=growing)
        except FilesChanged as change:
            self.reset()
            self.read_new(parent_of, growing=growing)
            return isinstance(change, FileReplaced)
        return False

    def reread_if_own_lines_moved(self, parent_of: ParentLookup, *, growing: bool) -> None:
        """Read the file again if the parent's file now shows that the thread's own lines begin elsewhere."""
        if self.first_own != self.first_own_line(parent_of):
            self.reset()
            self.read_new(parent_of, growing=growing)

    def read_new(self, parent_of: ParentLookup, *, growing: bool) -> None:
        """Read the new lines."""
        for number, line in json_lines(self.reading, position=self.position, growing=growing):
            if self.note_lineage(number, line):
                self.begin_own_lines(number, self.first_own_line(parent_of))
            self.n_lines += 1
            if number < self.first_own:
                self.reading.skipped[COPIED_LINES] += 1
            elif self.requested:
                self.add_own_line(number, line)

    def add_own_line(self, number: int, line: dict[str, Any]) -> None:
        """Add one of the thread's own lines."""
        try:
            add_rollout_line(self.thread, line)
        except (KeyError, TypeError, ValueError) as error:
            self.line_problems.append(Problem(self.reading.source.name, number, problem_reason(error)))

    def note_lineage(self, number: int, line: dict[str, Any]) -> bool:
        """Add a line's data about the thread's lineage; returns whether its own lines may now begin elsewhere."""
        payload, old_state = line.get("payload"), (self.lineage.last_copied_meta, len(self.lineage.turns))
        if not isinstance(payload, dict):
            return False
        if line.get("type") == "session_meta":
            if not self.has_meta:
                self.lineage, self.has_meta = lineage_from_meta(payload, line, self.reading.source), True
            elif payload.get("id") != self.lineage.id:
                self.lineage.last_copied_meta = number
        elif self.has_meta:
            note_turn(self.lineage, number, line, payload)
            note_spawned(self.lineage, payload)
        return (self.lineage.last_copied_meta, len(self.lineage.turns)) != old_state

    def begin_own_lines(self, number: int, first: int) -> None:
        """Begin the thread's own lines with this line or a later one; `FilesChanged` if they began earlier."""
        if first != self.first_own:
            if first not in (number, NO_OWN_LINE_YET):
                raise FilesChanged
            self.first_own = first
            self.reset_thread()

    def first_own_line(self, parent_of: ParentLookup) -> int:
        """The line in which a thread's own turns begin, 0 if its file has no copy of its parent's lines."""
        lineage = self.lineage
        if not lineage.last_copied_meta:
            return 0
        parent = parent_of(self)
        later_turns = [
            (number, time, turn) for turn, (number, time) in lineage.turns.items() if number > lineage.last_copied_meta
        ]
        if parent is not None:
            own = [number for number, _, turn in later_turns if turn not in parent.turns]
        else:
            own = [number for number, time, _ in later_turns if time >= lineage.created] or [
                number for number, _, _ in later_turns[-1:]
            ]
        return min(own, default=NO_OWN_LINE_YET)


def lineage_from_meta(payload: dict[str, Any], line: dict[str, Any], source: Source) -> ThreadLineage:
    """The lineage of a thread, from its first line."""
    spawn: Any = payload.get("source")
    for key in ("subagent", "thread_spawn"):
        spawn = spawn.get(key) if isinstance(spawn, dict) else None
    metadata: dict[str, Any] = (spawn if isinstance(spawn, dict) else {}) | {
        key: value for key, value in payload.items() if value is not None
    }
    parent = next((metadata[key] for key in PARENT_KEYS if isinstance(metadata.get(key), str) and metadata[key]), None)
    thread_id = str(payload.get("id") or source.path.stem)
    nickname, role = (
        metadata.get(key) if isinstance(metadata.get(key), str) else None for key in ("agent_nickname", "agent_role")
    )
    agent = nickname or (f"{role} {thread_id[-4:]}" if role else f"codex {thread_id[-4:]}" if parent else "codex")
    parent = parent if parent != thread_id else None
    is_subagent = bool(parent) and (isinstance(spawn, dict) or isinstance(payload.get("parent_thread_id"), str))
    return ThreadLineage(
        thread_id, parent, agent, line_time(line) or 0, is_subagent=is_subagent, program=codex_program(payload)
    )


def codex_program(payload: dict[str, Any]) -> dict[str, str]:
    """The version of the program that runs a thread, the branch and the folder it works in, as attributes."""
    git = payload.get("git")
    found = {
        "service.version": payload.get("cli_version"),
        "vcs.ref.head.name": git.get("branch") if isinstance(git, dict) else None,
        "process.working_directory": payload.get("cwd"),
    }
    return {name: value for name, value in found.items() if isinstance(value, str) and value}


def note_turn(lineage: ThreadLineage, number: int, line: dict[str, Any], payload: dict[str, Any]) -> None:
    """Record the first line and the time of a turn."""
    turn = payload.get("turn_id")
    if isinstance(turn, str) and (line.get("type") == "turn_context" or payload.get("type") in TURN_START_TYPES):
        started = payload.get("started_at")
        if type(started) is int and 0 < started < 2**45:
            time = started * (1_000 if started > 10**11 else 1_000_000)  # some files contain seconds, some milliseconds
        else:
            time = line_time(line) or 0
        lineage.turns.setdefault(turn, (number, time))


def note_spawned(lineage: ThreadLineage, payload: dict[str, Any]) -> None:
    """Record the call that started another thread, and the nickname of its agent."""
    call, thread_id, nickname = (payload.get(key) for key in ("call_id", "new_thread_id", "new_agent_nickname"))
    if thread_id is None and payload.get("type") == "function_call_output":
        output = decode_json_text(payload.get("output"))
        thread_id, nickname = (output.get("agent_id"), output.get("nickname")) if isinstance(output, dict) else (None, None)
    if isinstance(call, str) and isinstance(thread_id, str):
        lineage.spawned.setdefault(thread_id, call)
        if isinstance(nickname, str) and nickname.strip():
            lineage.nicknames.setdefault(thread_id, nickname)


def line_time(line: dict[str, Any]) -> int | None:
    """The time of a line, None if it has no valid timestamp."""
    try:
        return microseconds(line["timestamp"])
    except (KeyError, TypeError, ValueError):
        return None
