"""The threads of Codex: where each comes from, and which of the lines in its file are its own.

A thread that another one started is told by its first ``session_meta``. Its file may begin with a copy of its parent's lines,
another ``session_meta`` among them. Its own begin with its first turn after those that is none of its parent's; where the
parent's file is not there, with the first that is not older than the thread.

A file is read once, as it grows: where it turns out that the lines so far are a copy, what they said is forgotten.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from tokenvis.conventions.opentelemetry import opened_json
from tokenvis.conventions.span import reason_of
from tokenvis.conventions.timestamps import microseconds
from tokenvis.formats.files.lines import Changed, Place, Replaced, json_lines
from tokenvis.formats.files.reading import Problem, Reading
from tokenvis.formats.files.sources import Source
from tokenvis.formats.sessions.codex.lines import Thread, take_line

TURNS = {"task_started", "turn_started"}
PARENTS = ("parent_thread_id", "forked_from_id")
COPIED = "lines of the thread that started this one"
NEVER = 2**62


@dataclass
class Origin:
    """Where a thread comes from, what it started, and its turns.

    ``spawned`` is the call that started each other thread; ``turns`` are the numbers of the lines in which turns begin, by
    their ids, with the times; ``copied`` is the last line that names another thread, after which its turns come first.
    """

    id: str
    parent: str | None = None
    agent: str = "codex"
    made: int = 0
    spawned: dict[str, str] = field(default_factory=dict)
    turns: dict[str, tuple[int, int]] = field(default_factory=dict)
    copied: int = 0


ParentOf: TypeAlias = Callable[["Rollout"], Origin | None]


class Rollout:
    """A thread's file, read as far as it goes: its origin, and, where it is ``wanted``, what its own lines say.

    ``first`` is the number of the first of its own lines; ``n_lines`` counts all that were read.
    """

    def __init__(self, reading: Reading, *, wanted: bool) -> None:
        self.reading, self.wanted = reading, wanted
        self.begin()

    def begin(self) -> None:
        """Forget what was read."""
        self.place, self.first, self.n_lines = Place(), 0, 0
        self.origin, self.is_named = Origin(self.reading.source.path.stem), False
        self.forget_thread()

    def forget_thread(self) -> None:
        """Forget what the lines that were read said of the thread's work: they are a copy."""
        self.thread, self.damaged = Thread(self.reading), list[Problem]()
        self.reading.skipped.clear()
        if self.n_lines:
            self.reading.skipped[COPIED] = self.n_lines

    def advance(self, parent_of: ParentOf, *, growing: bool) -> bool:
        """Read what is new; whether the file was replaced, so that all was read anew."""
        try:
            self.read_on(parent_of, growing=growing)
        except Changed as change:
            self.begin()
            self.read_on(parent_of, growing=growing)
            return isinstance(change, Replaced)
        return False

    def settle(self, parent_of: ParentOf, *, growing: bool) -> None:
        """Read anew where the parent's file says by now that others of the lines are the thread's own."""
        if self.first != self.first_own_line(parent_of):
            self.begin()
            self.read_on(parent_of, growing=growing)

    def read_on(self, parent_of: ParentOf, *, growing: bool) -> None:
        """Take in the lines that were not read yet."""
        for number, line in json_lines(self.reading, place=self.place, growing=growing):
            if self.note(number, line):
                self.begin_own_lines(number, self.first_own_line(parent_of))
            self.n_lines += 1
            if number < self.first:
                self.reading.skipped[COPIED] += 1
            elif self.wanted:
                self.take(number, line)

    def take(self, number: int, line: dict[str, Any]) -> None:
        """Take in a line of the thread's own."""
        try:
            take_line(self.thread, line)
        except (KeyError, TypeError, ValueError) as error:
            self.damaged.append(Problem(self.reading.source.name, number, reason_of(error)))

    def note(self, number: int, line: dict[str, Any]) -> bool:
        """Note what a line says of where the thread comes from; whether its own lines may begin elsewhere by that."""
        payload, before = line.get("payload"), (self.origin.copied, len(self.origin.turns))
        if not isinstance(payload, dict):
            return False
        if line.get("type") == "session_meta":
            if not self.is_named:
                self.origin, self.is_named = first_origin(payload, line, self.reading.source), True
            elif payload.get("id") != self.origin.id:
                self.origin.copied = number
        elif self.is_named:
            note_turn(self.origin, number, line, payload)
            note_spawned(self.origin, payload)
        return (self.origin.copied, len(self.origin.turns)) != before

    def begin_own_lines(self, number: int, first: int) -> None:
        """The thread's own lines begin with this one, or are still to come; `Changed` where they began before."""
        if first != self.first:
            if first not in (number, NEVER):
                raise Changed
            self.first = first
            self.forget_thread()

    def first_own_line(self, parent_of: ParentOf) -> int:
        """The line in which a thread's own turns begin, where its file starts with a copy of its parent's lines."""
        origin = self.origin
        if not origin.copied:
            return 0
        parent = parent_of(self)
        after = [(number, time, turn) for turn, (number, time) in origin.turns.items() if number > origin.copied]
        if parent is not None:
            own = [number for number, _, turn in after if turn not in parent.turns]
        else:
            own = [number for number, time, _ in after if time >= origin.made] or [number for number, _, _ in after[-1:]]
        return min(own, default=NEVER)


def first_origin(payload: dict[str, Any], line: dict[str, Any], source: Source) -> Origin:
    """A thread by its first line."""
    spawn: Any = payload.get("source")
    for key in ("subagent", "thread_spawn"):
        spawn = spawn.get(key) if isinstance(spawn, dict) else None
    told: dict[str, Any] = (spawn if isinstance(spawn, dict) else {}) | {
        key: value for key, value in payload.items() if value is not None
    }
    parent = next((told[key] for key in PARENTS if isinstance(told.get(key), str) and told[key]), None)
    own = str(payload.get("id") or source.path.stem)
    nickname, role = (told.get(key) if isinstance(told.get(key), str) else None for key in ("agent_nickname", "agent_role"))
    agent = nickname or (f"{role} {own[-4:]}" if role else f"codex {own[-4:]}" if parent else "codex")
    return Origin(own, parent if parent != own else None, agent, time_of(line) or 0)


def note_turn(origin: Origin, number: int, line: dict[str, Any], payload: dict[str, Any]) -> None:
    """Remember where a turn begins, and when."""
    turn = payload.get("turn_id")
    if isinstance(turn, str) and (line.get("type") == "turn_context" or payload.get("type") in TURNS):
        started = payload.get("started_at")
        if type(started) is int and 0 < started < 2**45:
            time = started * (1_000 if started > 10**11 else 1_000_000)  # some write seconds, some milliseconds
        else:
            time = time_of(line) or 0
        origin.turns.setdefault(turn, (number, time))


def note_spawned(origin: Origin, payload: dict[str, Any]) -> None:
    """Remember which call started another thread."""
    call, other = payload.get("call_id"), payload.get("new_thread_id")
    if other is None and payload.get("type") == "function_call_output":
        output = opened_json(payload.get("output"))
        other = output.get("agent_id") if isinstance(output, dict) else None
    if isinstance(call, str) and isinstance(other, str):
        origin.spawned.setdefault(other, call)


def time_of(line: dict[str, Any]) -> int | None:
    """When a line was written, None where it does not say so."""
    try:
        return microseconds(line["timestamp"])
    except (KeyError, TypeError, ValueError):
        return None
