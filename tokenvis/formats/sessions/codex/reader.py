"""Codex rollouts: JSON lines, a file for each thread, in ``~/.codex/sessions/YYYY/MM/DD/rollout-<time>-<thread>.jsonl``.

A thread's first ``session_meta`` names the thread that started it; all threads with the same root are one trace. Its file may
begin with a copy of its parent's lines, which include another ``session_meta``: the copy is skipped. Its spans are children of
the call that started it, which is in the parent's file, and ``detached``: that call does not wait for them. The calls that do
(`waits`) name the agent in ``waits_for``. The first span of a started thread has its first prompt as its ``task``; the response
that contains a call is the call's ``requested_by``. Requests for approval are not in these files.

There is no public specification; this reader is based on the source of Codex' recorder and on files.
"""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from tokenvis.conventions.rules import location_of
from tokenvis.conventions.span import SpanRead, shorten, with_first_data
from tokenvis.formats.files.head import Head
from tokenvis.formats.files.lines import first_objects
from tokenvis.formats.files.reading import Reading
from tokenvis.formats.files.sources import Source, origin_of
from tokenvis.formats.sessions.codex.lines import CodexThread, CodexToolCall, ModelResponse
from tokenvis.formats.sessions.codex.threads import Rollout, ThreadLineage, lineage_from_meta
from tokenvis.formats.sessions.codex.waits import awaited_thread

NAME = "Codex rollouts"
ROLLOUT_LINE_TYPES = ("session_meta", "turn_context", "response_item", "event_msg", "compacted")
CODEX_LABEL_KEYS = ("cmd", "command", "query", "message", "path", "explanation", "description")
MAX_ANCESTORS = 50
MAX_THREAD_TITLE_LENGTH = 60


def recognises(head: Head) -> bool:
    """Whether one of the first lines has the keys and a type of a rollout line."""
    return head.kind == "lines" and any(
        isinstance(line.get("payload"), dict) and "timestamp" in line and line.get("type") in ROLLOUT_LINE_TYPES
        for line in head.values
    )


def session_key_of(path: Path) -> tuple[str, str | None]:
    """The id of a file's thread, and the id of its parent thread."""
    lineage = first_lineage(path)
    return (path.stem, None) if lineage is None else (lineage.id, lineage.parent)


def first_lineage(path: Path) -> ThreadLineage | None:
    """The lineage of a file's thread from its first line, None if that line has none."""
    line = next(iter(first_objects(path, 1)), {})
    payload = line.get("payload")
    if line.get("type") != "session_meta" or not isinstance(payload, dict):
        return None
    return lineage_from_meta(payload, line, Source(path, path.name, origin_of(path)))


def main_file_candidates(path: Path, line: dict[str, Any]) -> Iterator[Path]:
    """No paths: every file contains a whole thread."""
    return iter(())


def is_fork(line: dict[str, Any]) -> bool:
    """Whether a thread, judged by its first line, continues a copy of another thread and was not started by a call."""
    payload = line.get("payload")
    if not isinstance(payload, dict) or not payload.get("forked_from_id"):
        return False
    return not payload.get("parent_thread_id") and not isinstance(payload.get("source"), dict)


def read(reading: Reading) -> Iterator[SpanRead]:
    """The spans of one thread."""
    follower = CodexFollower(reading)
    follower.advance(growing=False)
    yield from follower.spans()


class CodexFollower:
    """Reads the files of one trace's threads while they grow, only new lines each time.

    Files of parent threads that were not given are read only for their lineage and turns.
    """

    def __init__(self, reading: Reading) -> None:
        self.readings: list[Reading] = []
        self.rollouts: dict[Path, Rollout] = {}
        self.thread_files: dict[tuple[Path, str], Path] = {}
        self.folder_files: dict[Path, list[Path]] = {}
        self.agent_names: dict[str, str] = {}
        self.updated: set[Path] = set()
        self.growing = True
        self.add_file(reading)

    def add_file(self, reading: Reading) -> None:
        """Follow the file of another thread, unless it is followed already."""
        path = reading.source.path
        if path not in self.rollouts or not self.rollouts[path].requested:
            self.rollouts[path] = Rollout(reading, requested=True)
            self.readings.append(reading)

    def paths(self) -> list[Path]:
        """The files on which the spans depend."""
        return list(self.rollouts)

    def requested_rollouts(self) -> list[Rollout]:
        """The threads that were given, in the order of their paths."""
        return [self.rollouts[path] for path in sorted(self.rollouts) if self.rollouts[path].requested]

    def advance(self, *, growing: bool = True) -> bool:
        """Read the new lines; returns whether a file was replaced, so that it was read again from the start."""
        self.growing = growing
        self.updated.clear()
        self.folder_files.clear()
        replaced = [self.update(rollout) for rollout in self.requested_rollouts()]
        for rollout in self.requested_rollouts():
            rollout.reread_if_own_lines_moved(self.parent_of, growing=growing)
        return any(replaced)

    def update(self, rollout: Rollout) -> bool:
        """Read the new lines of one file, once per `advance`; returns whether the file was replaced."""
        path = rollout.reading.source.path
        if path in self.updated:
            return False
        self.updated.add(path)
        return rollout.advance(self.parent_of, growing=self.growing)

    def parent_of(self, rollout: Rollout) -> ThreadLineage | None:
        """The thread that started this one, None if its file is not found."""
        return next(self.ancestors_of(rollout), None)

    def ancestors_of(self, rollout: Rollout) -> Iterator[ThreadLineage]:
        """The ancestors of a thread, parent first, as far as their files are found."""
        seen, parent = {rollout.lineage.id}, rollout.lineage.parent
        while parent and parent not in seen and len(seen) <= MAX_ANCESTORS:
            seen.add(parent)
            path = self.file_of(parent, rollout.reading.source.path)
            if path is None:
                return
            if path not in self.rollouts:
                self.rollouts[path] = Rollout(Reading(rollout.reading.source.sibling(path)), requested=False)
            self.update(self.rollouts[path])
            ancestor = self.rollouts[path].lineage
            if ancestor.id != parent:
                return
            yield ancestor
            parent = ancestor.parent

    def file_of(self, thread: str, related_path: Path) -> Path | None:
        """The file of a thread in the same folder of threads as another file."""
        folder = threads_folder(related_path)
        if (folder, thread) not in self.thread_files or not self.thread_files[folder, thread].is_file():
            if folder not in self.folder_files:
                self.folder_files[folder] = sorted(folder.rglob("*.jsonl"))
            path = next((file for file in self.folder_files[folder] if thread in file.name), None)
            if path is None:
                return None
            self.thread_files[folder, thread] = path
        return self.thread_files[folder, thread]

    def spans(self) -> Iterator[SpanRead]:
        """All spans of the threads so far."""
        for rollout in self.requested_rollouts():
            reading, thread, lineage = rollout.reading, rollout.thread, rollout.lineage
            reading.problems = sorted({*reading.problems, *rollout.line_problems}, key=lambda problem: problem.line or 0)
            ancestors = list(self.ancestors_of(rollout))
            root = next((ancestor.parent or ancestor.id for ancestor in reversed(ancestors)), lineage.parent or lineage.id)
            if not thread.calls and not thread.responses:
                if not self.growing:
                    reading.add_problem(None, "contains no model or tool calls")
                continue
            title = root if reading.options.without_texts else shorten(thread.first_prompt or root, MAX_THREAD_TITLE_LENGTH)
            reading.trace_id = root
            reading.name_trace(root, title, None if root == lineage.id else thread.first_seen)
            call = ancestors[0].spawned.get(lineage.id) if ancestors else None
            parent = thread_span_id(root, ancestors[0].id, call) if call else None
            spans = thread_spans(thread, lineage, root, parent, partial(self.agent_of, rollout))
            task = thread.first_prompt if lineage.is_subagent else None
            yield from with_first_data(spans, {"task": task}, None if lineage.parent else lineage.program)

    def agent_of(self, rollout: Rollout, thread: str) -> str:
        """The agent of a thread that another one names: by its file, else its nickname in the other's file, else its id."""
        if thread not in self.agent_names:
            path = self.file_of(thread, rollout.reading.source.path)
            lineage = first_lineage(path) if path else None
            if lineage is None or lineage.id != thread:
                return rollout.lineage.nicknames.get(thread, thread)
            self.agent_names[thread] = lineage.agent
        return self.agent_names[thread]


def threads_folder(path: Path) -> Path:
    """The folder with the files of related threads: the folder above year, month and day if a file is in a day's folder."""
    day = path.parent.parts[-3:]
    return path.parents[3] if len(day) == 3 and all(part.isdigit() for part in day) else path.parent


def thread_span_id(root: str, thread: str, part: str) -> str:
    """The id of a span, unique in its trace: two threads may use the same call id."""
    return f"{root}/{part}" if thread == root else f"{root}/{thread}/{part}"


def thread_spans(
    thread: CodexThread, lineage: ThreadLineage, root: str, parent: str | None, agent_of: Callable[[str], str]
) -> Iterator[SpanRead]:
    """The spans of a thread: its responses and its calls; ``agent_of`` returns the agent of a thread by its id."""
    detached = {"detached": True} if parent else {}
    agent = {"gen_ai.agent.name": lineage.agent, "gen_ai.agent.id": lineage.id, "gen_ai.conversation.id": root}
    for response in thread.responses:
        location, name = location_of(model=response.model), response_tools(response) or response.model or "model"
        data = response_data(response, agent, by_user=lineage.parent is None) | detached
        own_id = thread_span_id(root, lineage.id, response_part(response.number))
        times = response.start, response.end
        yield SpanRead(root, own_id, *times, lineage.agent, location, name, data, parent, agent_key=lineage.id)
    last = thread.last_event or 0
    for call in thread.calls.values():
        end = max(call.start, call.end if call.end is not None else last)
        own_id = thread_span_id(root, lineage.id, call.id)
        location, data = location_of(tool=call.name), call_data(call, agent) | detached
        data["requested_by"] = thread_span_id(root, lineage.id, response_part(call.response))
        if awaited := awaited_thread(call):
            data |= {"waits_for": agent_of(awaited), "waits_for_kind": "agent"}
        yield SpanRead(root, own_id, call.start, end, lineage.agent, location, call.name, data, parent, agent_key=lineage.id)


def response_part(number: int) -> str:
    """The part of a span's id that identifies a response in its thread."""
    return f"model.{number}"


def response_tools(response: ModelResponse) -> str:
    """The tools that a response called, as a label."""
    return f"→ {', '.join(response.tools)}" if response.tools else ""


def response_data(response: ModelResponse, agent: dict[str, Any], *, by_user: bool) -> dict[str, Any]:
    """The payload of a response's span."""
    attributes: dict[str, Any] = {**agent, "gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai"}
    if response.model:
        attributes["gen_ai.request.model"] = response.model
    attributes |= response.usage
    if response.prompt:
        attributes["gen_ai.input.messages"] = [chat_message("user", response.prompt)]
    if response.texts:
        attributes["gen_ai.output.messages"] = [chat_message("assistant", text) for text in response.texts]
    trigger = {"trigger": "user"} if response.prompt and by_user else {}
    label = shorten(next(iter(response.texts), "")) or response_tools(response) or response.model or "model"
    label = "compaction" if response.is_compaction else label
    return {"label": label, "kind": "model", **trigger, "estimated": ["start_time"], "attributes": attributes}


def chat_message(role: str, text: str) -> dict[str, Any]:
    """A message in OpenTelemetry's form."""
    return {"role": role, "parts": [{"type": "text", "content": text}]}


def call_data(call: CodexToolCall, agent: dict[str, Any]) -> dict[str, Any]:
    """The payload of a tool call's span."""
    attributes: dict[str, Any] = {**agent, "gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": call.name}
    attributes["gen_ai.tool.call.id"] = call.id
    if call.arguments:
        attributes["gen_ai.tool.call.arguments"] = call.arguments
    if call.result:
        attributes["gen_ai.tool.call.result"] = call.result
    status = "error" if call.failed else "ok" if call.answered else "open"
    estimated = {"estimated": ["start_time"]} if call.estimated else {}
    return {"label": call_label(call), "kind": "tool", "status": status, **estimated, "attributes": attributes}


def call_label(call: CodexToolCall) -> str:
    """A short label for a tool call, from its arguments."""
    arguments = call.arguments if isinstance(call.arguments, dict) else {}
    for key in CODEX_LABEL_KEYS:
        text = arguments.get(key)
        text = " ".join(map(str, text)) if isinstance(text, list) else text
        if isinstance(text, str) and text.strip():
            return shorten(text)
    return call.name
