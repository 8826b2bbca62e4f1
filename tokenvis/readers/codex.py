"""Codex rollouts: JSON lines, a file for each thread, in ``~/.codex/sessions/YYYY/MM/DD/rollout-<time>-<thread>.jsonl``.

A thread that another one started is told by its first ``session_meta``; all threads that go back to one root are one trace.
Its file may begin with a copy of its parent's lines, another ``session_meta`` among them: these are left out. Its spans are
children of the call that started it, which stands in the parent's file.

There is no public specification; what stands here was learned from the source of Codex' recorder, and from files.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tokenvis.conventions import opened_json
from tokenvis.readers.codex_lines import Call, Response, Thread, take_line
from tokenvis.reading import Reading, SpanRead, one_line, reason_of
from tokenvis.records import Head, json_lines
from tokenvis.rules import location_of
from tokenvis.sources import Source
from tokenvis.times import microseconds

NAME = "Codex rollouts"
TYPES = {"session_meta", "turn_context", "response_item", "event_msg", "compacted"}
TURNS = {"task_started", "turn_started"}
PARENTS = ("parent_thread_id", "forked_from_id")
LABEL_KEYS = ("cmd", "command", "query", "message", "path", "explanation", "description")
MOST_ANCESTORS = 50
TITLE_LENGTH = 60
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


def recognises(head: Head) -> bool:
    """Whether one of the first lines has the envelope and a type of a rollout."""
    return head.kind == "lines" and any(
        isinstance(line.get("payload"), dict) and "timestamp" in line and line.get("type") in TYPES for line in head.values
    )


def read(reading: Reading) -> Iterator[SpanRead]:
    """The spans of one thread."""
    origin = origin_of(reading.source)
    ancestors = ancestors_of(origin, reading.source)
    root = next((above.parent or above.id for above in reversed(ancestors)), origin.parent or origin.id)
    first = first_own_line(origin, ancestors[0] if ancestors else None)
    thread = Thread(reading)
    for number, line in json_lines(reading):
        if number < first:
            reading.skipped["lines of the thread that started this one"] += 1
            continue
        try:
            take_line(thread, line)
        except (KeyError, TypeError, ValueError) as error:
            reading.problem(number, reason_of(error))
    if not thread.calls and not thread.responses:
        reading.problem(None, "no call of a model or a tool stands in it")
        return
    title = root if reading.wishes.without_texts else one_line(thread.first_prompt or root, TITLE_LENGTH)
    reading.name_trace(root, title, None if root == origin.id else thread.first_seen)
    call = ancestors[0].spawned.get(origin.id) if ancestors else None
    parent = id_of(root, ancestors[0].id, call) if call else None
    yield from spans_of(thread, origin, root, parent)


def origin_of(source: Source) -> Origin:
    """What the lines of a file say of its thread, at a first reading."""
    origin: Origin | None = None
    for number, line in json_lines(Reading(source)):
        payload = line.get("payload")
        if not isinstance(payload, dict):
            continue
        if line.get("type") == "session_meta":
            if origin is None:
                origin = first_origin(payload, line, source)
            elif payload.get("id") != origin.id:
                origin.copied = number
        elif origin is not None:
            note_turn(origin, number, line, payload)
            note_spawned(origin, payload)
    return origin or Origin(source.path.stem)


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


def ancestors_of(origin: Origin, source: Source) -> list[Origin]:
    """The threads above a thread, as far as their files are found: its parent first."""
    found: list[Origin] = []
    seen = {origin.id}
    files = None
    parent = origin.parent
    while parent and parent not in seen and len(found) < MOST_ANCESTORS:
        seen.add(parent)
        files = rollouts_near(source.path) if files is None else files
        path = next((file for file in files if parent in file.name), None)
        if path is None:
            break
        above = origin_of(source.beside(path))
        if above.id != parent:
            break
        found.append(above)
        parent = above.parent
    return found


def rollouts_near(path: Path) -> list[Path]:
    """The files of threads that may belong together: those of all days where a file lies in the folder of a day."""
    day = path.parent.parts[-3:]
    folder = path.parents[3] if len(day) == 3 and all(part.isdigit() for part in day) else path.parent
    return sorted(folder.rglob("*.jsonl"))


def first_own_line(origin: Origin, parent: Origin | None) -> int:
    """The line in which a thread's own turns begin, where its file starts with a copy of its parent's lines."""
    if not origin.copied:
        return 0
    after = [(number, time, turn) for turn, (number, time) in origin.turns.items() if number > origin.copied]
    if parent is not None:
        own = [number for number, _, turn in after if turn not in parent.turns]
    else:
        own = [number for number, time, _ in after if time >= origin.made] or [number for number, _, _ in after[-1:]]
    return min(own, default=NEVER)


def id_of(root: str, thread: str, part: str) -> str:
    """The id of a span: threads of one trace may use one id for two calls."""
    return f"{root}/{part}" if thread == root else f"{root}/{thread}/{part}"


def spans_of(thread: Thread, origin: Origin, root: str, parent: str | None) -> Iterator[SpanRead]:
    """The spans of a thread: its responses, and its calls."""
    agent = {"gen_ai.agent.name": origin.agent, "gen_ai.agent.id": origin.id, "gen_ai.conversation.id": root}
    for response in thread.responses:
        where, name = location_of(model=response.model), called(response) or response.model or "model"
        data = response_data(response, agent, by_user=origin.parent is None)
        own_id = id_of(root, origin.id, f"model.{response.number}")
        yield SpanRead(root, own_id, response.start, response.end, origin.agent, where, name, data, parent)
    last = thread.last_event or 0
    for call in thread.calls.values():
        end = max(call.start, call.end if call.end is not None else last)
        own_id = id_of(root, origin.id, call.id)
        where = location_of(tool=call.name)
        yield SpanRead(root, own_id, call.start, end, origin.agent, where, call.name, call_data(call, agent), parent)


def called(response: Response) -> str:
    """Which tools a response called."""
    return f"→ {', '.join(response.tools)}" if response.tools else ""


def response_data(response: Response, agent: dict[str, Any], *, by_user: bool) -> dict[str, Any]:
    """The payload of a response of the model."""
    attributes: dict[str, Any] = {**agent, "gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai"}
    if response.model:
        attributes["gen_ai.request.model"] = response.model
    attributes |= response.usage
    if response.prompt:
        attributes["gen_ai.input.messages"] = [message("user", response.prompt)]
    if response.texts:
        attributes["gen_ai.output.messages"] = [message("assistant", text) for text in response.texts]
    trigger = {"trigger": "user"} if response.prompt and by_user else {}
    label = one_line(next(iter(response.texts), "")) or called(response) or response.model or "model"
    return {"label": label, "kind": "model", **trigger, "estimated": ["start_time"], "attributes": attributes}


def message(role: str, text: str) -> dict[str, Any]:
    """A message as OpenTelemetry writes it."""
    return {"role": role, "parts": [{"type": "text", "content": text}]}


def call_data(call: Call, agent: dict[str, Any]) -> dict[str, Any]:
    """The payload of a call of a tool."""
    attributes: dict[str, Any] = {**agent, "gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": call.name}
    attributes["gen_ai.tool.call.id"] = call.id
    if call.given:
        attributes["gen_ai.tool.call.arguments"] = call.given
    if call.result:
        attributes["gen_ai.tool.call.result"] = call.result
    status = "error" if call.failed else "ok" if call.answered else "open"
    estimated = {"estimated": ["start_time"]} if call.estimated else {}
    return {"label": label_of(call), "kind": "tool", "status": status, **estimated, "attributes": attributes}


def label_of(call: Call) -> str:
    """What a call was about, in a few words."""
    asked = call.given if isinstance(call.given, dict) else {}
    for key in LABEL_KEYS:
        text = asked.get(key)
        text = " ".join(map(str, text)) if isinstance(text, list) else text
        if isinstance(text, str) and text.strip():
            return one_line(text)
    return call.name
