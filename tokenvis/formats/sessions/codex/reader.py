"""Codex rollouts: JSON lines, a file for each thread, in ``~/.codex/sessions/YYYY/MM/DD/rollout-<time>-<thread>.jsonl``.

A thread that another one started is told by its first ``session_meta``; all threads that go back to one root are one trace.
Its file may begin with a copy of its parent's lines, another ``session_meta`` among them: these are left out. Its spans are
children of the call that started it, which stands in the parent's file.

There is no public specification; what stands here was learned from the source of Codex' recorder, and from files.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tokenvis.conventions.rules import location_of
from tokenvis.conventions.span import SpanRead, shorten
from tokenvis.formats.files.head import Head
from tokenvis.formats.files.lines import first_objects
from tokenvis.formats.files.reading import Reading
from tokenvis.formats.files.sources import Source, origin_of
from tokenvis.formats.sessions.codex.lines import Call, Response, Thread
from tokenvis.formats.sessions.codex.threads import Origin, Rollout, first_origin

NAME = "Codex rollouts"
TYPES = {"session_meta", "turn_context", "response_item", "event_msg", "compacted"}
LABEL_KEYS = ("cmd", "command", "query", "message", "path", "explanation", "description")
MOST_ANCESTORS = 50
TITLE_LENGTH = 60


def recognises(head: Head) -> bool:
    """Whether one of the first lines has the envelope and a type of a rollout."""
    return head.kind == "lines" and any(
        isinstance(line.get("payload"), dict) and "timestamp" in line and line.get("type") in TYPES for line in head.values
    )


def family_of(path: Path) -> tuple[str, str | None]:
    """What the files of one trace have in common: the thread that it goes back to. The thread of this one, and its parent."""
    source = Source(path, path.name, origin_of(path))
    line = next(iter(first_objects(path, 1)), {})
    payload = line.get("payload")
    if line.get("type") != "session_meta" or not isinstance(payload, dict):
        return path.stem, None
    origin = first_origin(payload, line, source)
    return origin.id, origin.parent


def mains_of(path: Path, line: dict[str, Any]) -> Iterator[Path]:
    """No thread is a part of another one's file."""
    return iter(())


def is_fork(line: dict[str, Any]) -> bool:
    """Whether a thread, by its first line, is a copy of another with which somebody goes on, and was not started by a call."""
    payload = line.get("payload")
    if not isinstance(payload, dict) or not payload.get("forked_from_id"):
        return False
    return not payload.get("parent_thread_id") and not isinstance(payload.get("source"), dict)


def read(reading: Reading) -> Iterator[SpanRead]:
    """The spans of one thread."""
    following = Following(reading)
    following.advance(growing=False)
    yield from following.spans()


class Following:
    """Threads of one trace, whose files are read as far as they go, again and again, and each time only what is new in them.

    Files of threads that started others, and were not given, are read for that alone.
    """

    def __init__(self, reading: Reading) -> None:
        self.readings: list[Reading] = []
        self.rollouts: dict[Path, Rollout] = {}
        self.found: dict[tuple[Path, str], Path] = {}
        self.listed: dict[Path, list[Path]] = {}
        self.brought_up: set[Path] = set()
        self.growing = True
        self.follow(reading)

    def follow(self, reading: Reading) -> None:
        """Take another thread, unless it is there."""
        path = reading.source.path
        if path not in self.rollouts or not self.rollouts[path].wanted:
            self.rollouts[path] = Rollout(reading, wanted=True)
            self.readings.append(reading)

    def paths(self) -> list[Path]:
        """The files on which the spans depend."""
        return list(self.rollouts)

    def wanted(self) -> list[Rollout]:
        """The threads that were given, in the order of their files."""
        return [self.rollouts[path] for path in sorted(self.rollouts) if self.rollouts[path].wanted]

    def advance(self, *, growing: bool = True) -> bool:
        """Read what is new; whether a file was replaced, so that it was read anew."""
        self.growing = growing
        self.brought_up.clear()
        self.listed.clear()
        replaced = [self.bring_up(rollout) for rollout in self.wanted()]
        for rollout in self.wanted():
            rollout.settle(self.parent_of, growing=growing)
        return any(replaced)

    def bring_up(self, rollout: Rollout) -> bool:
        """Read what is new in one file, unless that was done; whether it was replaced."""
        path = rollout.reading.source.path
        if path in self.brought_up:
            return False
        self.brought_up.add(path)
        return rollout.advance(self.parent_of, growing=self.growing)

    def parent_of(self, rollout: Rollout) -> Origin | None:
        """The thread that started this one, as far as its file is found."""
        return next(self.ancestors_of(rollout), None)

    def ancestors_of(self, rollout: Rollout) -> Iterator[Origin]:
        """The threads above a thread, as far as their files are found: its parent first."""
        seen, parent = {rollout.origin.id}, rollout.origin.parent
        while parent and parent not in seen and len(seen) <= MOST_ANCESTORS:
            seen.add(parent)
            path = self.file_of(parent, rollout.reading.source.path)
            if path is None:
                return
            if path not in self.rollouts:
                self.rollouts[path] = Rollout(Reading(rollout.reading.source.beside(path)), wanted=False)
            self.bring_up(self.rollouts[path])
            above = self.rollouts[path].origin
            if above.id != parent:
                return
            yield above
            parent = above.parent

    def file_of(self, thread: str, near: Path) -> Path | None:
        """The file of a thread that may belong together with the one in another file."""
        folder = folder_of_threads(near)
        if (folder, thread) not in self.found or not self.found[folder, thread].is_file():
            if folder not in self.listed:
                self.listed[folder] = sorted(folder.rglob("*.jsonl"))
            path = next((file for file in self.listed[folder] if thread in file.name), None)
            if path is None:
                return None
            self.found[folder, thread] = path
        return self.found[folder, thread]

    def spans(self) -> Iterator[SpanRead]:
        """All spans, as far as they are known."""
        for rollout in self.wanted():
            reading, thread, origin = rollout.reading, rollout.thread, rollout.origin
            reading.problems = sorted({*reading.problems, *rollout.damaged}, key=lambda problem: problem.line or 0)
            ancestors = list(self.ancestors_of(rollout))
            root = next((above.parent or above.id for above in reversed(ancestors)), origin.parent or origin.id)
            if not thread.calls and not thread.responses:
                if not self.growing:
                    reading.problem(None, "no call of a model or a tool stands in it")
                continue
            title = root if reading.wishes.without_texts else shorten(thread.first_prompt or root, TITLE_LENGTH)
            reading.name_trace(root, title, None if root == origin.id else thread.first_seen)
            call = ancestors[0].spawned.get(origin.id) if ancestors else None
            parent = id_of(root, ancestors[0].id, call) if call else None
            yield from spans_of(thread, origin, root, parent)


def folder_of_threads(path: Path) -> Path:
    """Where the files of threads lie that may belong together: those of all days where a file lies in the folder of a day."""
    day = path.parent.parts[-3:]
    return path.parents[3] if len(day) == 3 and all(part.isdigit() for part in day) else path.parent


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
    label = shorten(next(iter(response.texts), "")) or called(response) or response.model or "model"
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
            return shorten(text)
    return call.name
