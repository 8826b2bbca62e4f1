"""Claude Code sessions: JSON lines, a file for the session and one for each of its subagents.

The files are in ``~/.claude/projects/<project>/``: ``<session>.jsonl``; its subagents in
``<session>/subagents/**/agent-*.jsonl`` (with ``agent-*.meta.json`` beside them), in ``agent-*.jsonl`` beside the session, or,
in old versions, as sidechain lines of the session's main file. There is no public specification; this reader is based on files
of versions 1.0 to 2.1.

A tool call is a span from its ``tool_use`` to its ``tool_result``. A model call is a span that ends with the last line of its
message; its start is ``estimated`` (`lines`). The model call whose message has the ``tool_use`` is the call's
``requested_by``. Spans of a subagent are children of the call that started it, ``detached`` if it runs in the background
(`waits`); the first of them has the subagent's ``task``. A compaction is linked to the calls before and after it
(`compactions`). Messages that a session has copied from an earlier one are skipped (`forks`); its first span then names that
session in ``continues``.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from tokenvis.conventions.rules import location_of
from tokenvis.conventions.span import SpanRead, shorten, with_first_data
from tokenvis.errors import quoted
from tokenvis.formats.files.head import Head
from tokenvis.formats.files.lines import FileReplaced, FilesChanged, first_objects
from tokenvis.formats.files.reading import Continuation, Reading
from tokenvis.formats.sessions.claude_code.agents import MAIN_AGENT, MAX_SESSION_TITLE_LENGTH, meta_file_of, name_agents
from tokenvis.formats.sessions.claude_code.compactions import causes_of_compactions
from tokenvis.formats.sessions.claude_code.forks import ancestry_of_session, read_ancestry, sessions_in
from tokenvis.formats.sessions.claude_code.lines import read_new_lines
from tokenvis.formats.sessions.claude_code.transcripts import FileRank, ModelCall, Session, SessionFile, ToolCall, Transcript
from tokenvis.formats.sessions.claude_code.waits import agents_run_by_calls, wait_data

NAME = "Claude Code sessions"
CLAUDE_LINE_TYPES = {
    "user",
    "assistant",
    "system",
    "progress",
    "summary",
    "ai-title",
    "file-history-snapshot",
    "queue-operation",
}
CLAUDE_LABEL_KEYS = ("description", "file_path", "notebook_path", "pattern", "query", "url", "command", "skill", "name", "path")
SLASH_COMMAND = re.compile(r"<command-name>(.*?)</command-name>(?:.*?<command-args>(.*?)</command-args>)?", re.DOTALL)
CLAUDE_USAGE_KEYS = {
    "output_tokens": "gen_ai.usage.output_tokens",
    "cache_read_input_tokens": "gen_ai.usage.cache_read.input_tokens",
    "cache_creation_input_tokens": "gen_ai.usage.cache_creation.input_tokens",
}
MAX_SESSION_NAME_LENGTH = 9  # of the session that another one continues: its first eight characters
CLAUDE_INPUT_KEYS = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")


def recognises(head: Head) -> bool:
    """Whether a file is a transcript: one of its first lines has a type and a key of transcripts, none is another tool's."""
    return (
        head.kind == "lines"
        and any(
            str(line.get("type")) in CLAUDE_LINE_TYPES
            and {"sessionId", "uuid", "leafUuid", "messageId", "summary"} & line.keys()
            for line in head.values
        )
        and not any(map(is_of_another_tool, head.values))
    )


def is_of_another_tool(line: dict[str, Any]) -> bool:
    """Whether a line only resembles a transcript's: Qwen Code's, with parts, or one that Claude Code printed, without time."""
    if isinstance(message := line.get("message"), dict) and isinstance(message.get("parts"), list):
        return True
    return "systemPayload" in line or ("session_id" in line and not {"sessionId", "timestamp"} & line.keys())


def main_file_of(path: Path) -> Path:
    """The session's main file if ``path`` is a subagent's file and the main file exists, else ``path``."""
    line = next(iter(first_objects(path)), {}) if path.name.startswith("agent-") else {}
    with suppress(OSError):  # the session id is not a valid file name
        return next((main for main in main_file_candidates(path, {**line, "isSidechain": bool(line)}) if main.is_file()), path)
    return path


def main_file_candidates(path: Path, line: dict[str, Any]) -> Iterator[Path]:
    """The possible paths of the session's main file, for a subagent's file with this first line."""
    for folder in path.absolute().parents:
        if folder.name == "subagents":
            yield folder.parent.parent / f"{folder.parent.name}.jsonl"
    if line.get("isSidechain"):
        with suppress(ValueError):  # the session id is not a valid file name
            yield path.with_name(f"{line.get('sessionId')}.jsonl")


def session_key_of(path: Path) -> tuple[str, None]:
    """The key of a file's session, which is the path of its main file; sessions have no parents."""
    return str(main_file_of(path)), None


def is_fork(line: dict[str, Any]) -> bool:
    """Always False: sessions of Claude Code are not forks."""
    return False


def read(reading: Reading) -> Iterator[SpanRead]:
    """The spans of a session with all its subagents, given any of its files."""
    path = main_file_of(reading.source.path)
    if path != reading.source.path:
        reading.source = reading.source.sibling(path)
    follower = ClaudeCodeFollower(reading)
    follower.advance(growing=False)
    report_missing_transcripts(follower.session)
    report_missing_sessions(follower.session)
    if not follower.transcripts() and not follower.session.copied:
        reading.add_problem(None, "contains no model or tool calls")
    yield from follower.spans()


class ClaudeCodeFollower:
    """Reads a session's files while they grow, only new lines each time.

    If the files of earlier sessions that it continues appear or disappear, all is read again.
    """

    def __init__(self, reading: Reading) -> None:
        self.readings = [reading]
        self.reset()

    def reset(self) -> None:
        """Discard everything that was read."""
        [reading] = self.readings
        self.has_ancestry = False
        reading.skipped.clear()
        main_file = SessionFile(reading.source)
        self.session = Session(reading, main_file)
        self.files = {main_file.source.path: main_file}
        self.sessions_of: dict[Path, str] = {}

    def add_file(self, reading: Reading) -> None:
        """Do nothing: the follower finds all files of the session itself."""

    def paths(self) -> list[Path]:
        """The files on which the spans depend."""
        return [path for file in self.files.values() for path in (file.source.path, meta_file_of(file.source.path))]

    def advance(self, *, growing: bool = True) -> bool:
        """Read the new lines; returns whether a file was replaced, so that all were read again from the start."""
        try:
            self.read_new(growing=growing)
        except FilesChanged as change:
            self.reset()
            self.read_new(growing=growing)
            return isinstance(change, FileReplaced)
        return False

    def read_new(self, *, growing: bool) -> None:
        """Read the new lines of the session's main file, then of its subagents' files."""
        [reading], main_files = self.readings, list(self.files.values())[:1]
        self.find_ancestry(reading.source.path, growing=growing)
        read_new_lines(self.session, main_files[0], growing=growing)
        for rank in subagent_files(reading.source.path, self.session, self.sessions_of):
            path = rank[1]
            if path not in self.files:
                self.files[path] = SessionFile(reading.source.sibling(path), path.stem.removeprefix("agent-"), rank)
            read_new_lines(self.session, self.files[path], growing=growing)
        reading.files = [file.source for file in self.files.values()]

    def find_ancestry(self, path: Path, *, growing: bool) -> None:
        """Find the relatives, and read the earlier ones; `FilesChanged` if others are the earlier ones now.

        They are read until the session has a message of its own: what it copies was there before.
        """
        [reading], folder = self.readings, path.parent
        index = None if growing else reading.folders.get(folder)
        if index is None:
            index = reading.folders[folder] = sessions_in(folder)
        found, known = ancestry_of_session(path, index), self.session.ancestry
        if self.has_ancestry and [head[:2] for head in found.earlier] != [head[:2] for head in known.earlier]:
            raise FilesChanged
        main = self.session.transcripts.get("")
        if main is None or not main.model_calls:
            read_ancestry(found, path)
            self.session.ancestry, self.has_ancestry = found, True
        else:
            known.later, known.missing = found.later, found.missing

    def transcripts(self) -> list[Transcript]:
        """The transcripts that contain calls, in the reading order."""
        ordered = sorted(self.session.transcripts.values(), key=lambda transcript: transcript.rank)
        return [transcript for transcript in ordered if transcript.model_calls or transcript.tool_calls]

    def spans(self) -> Iterator[SpanRead]:
        """All spans of the session so far."""
        [reading], transcripts, ids = self.readings, self.transcripts(), self.session.session_ids
        trace_id = reading.source.path.stem
        trace_id = trace_id if trace_id in ids else next(iter(ids), trace_id)
        name_agents(self.session, transcripts)
        self.note_copies(trace_id, transcripts)
        if transcripts:
            reading.name_trace(trace_id, session_title(self.session, trace_id))
        agents = {transcript.agent_id: transcript.name for transcript in transcripts if transcript.agent_id}
        wait = partial(wait_data, agents=agents, run_by=agents_run_by_calls(transcripts))
        causes = causes_of_compactions(transcripts, trace_id)
        for transcript in transcripts:
            spans = transcript_spans(transcript, trace_id, wait, causes)
            program = None if transcript.agent_id else transcript.program
            yield from with_first_data(spans, {"task": transcript.task, "continues": transcript.continues}, program)

    def note_copies(self, trace_id: str, transcripts: list[Transcript]) -> None:
        """Record which spans the session, and those that continue it, have copied."""
        [reading], session = self.readings, self.session
        reading.trace_id = trace_id
        reading.copies = {f"{trace_id}/{call}": (f"{owner}/{call}", owner) for call, owner in session.copied.items()}
        calls = (
            [call for each in transcripts for call in (*each.model_calls, *each.tool_calls)] if session.ancestry.later else []
        )
        reading.continued_by = [
            Continuation(head.path, head.trace, frozenset(f"{head.trace}/{call}" for call in calls))
            for head in session.ancestry.later
        ]


def report_missing_transcripts(session: Session) -> None:
    """Report subagents whose transcripts are missing although the session contains their echoes."""
    for agent, count in session.echo_counts.items():
        if count and agent not in session.transcripts:
            reason = f"the transcript of subagent {quoted(agent)} is missing, so its work was skipped"
            session.reading.add_problem(None, f"{reason}; echo lines in this file: {count:,}")


def report_missing_sessions(session: Session) -> None:
    """Report the sessions that this one continues, if their files are missing: the copies of their messages count here."""
    if session.ancestry.missing:
        names = ", ".join(map(quoted, session.ancestry.missing))
        reason = f"contains messages of {names}, whose file is not in this folder: they count in this session"
        session.reading.add_problem(None, reason)


def subagent_files(path: Path, session: Session, sessions_of: dict[Path, str]) -> list[FileRank]:
    """The files of a session's subagents in all known layouts, ranked in a fixed order.

    ``sessions_of`` caches the session that the first line of each file beside the session names.
    """
    nested = sorted((path.parent / path.stem / "subagents").rglob("agent-*.jsonl"))
    siblings = []
    for file in sorted(path.parent.glob("agent-*.jsonl")):
        if file != path and file.is_file():
            if file not in sessions_of and (line := next(iter(first_objects(file)), None)) is not None:
                sessions_of[file] = str(line.get("sessionId"))
            if sessions_of.get(file) in session.session_ids.keys() - {head.trace for head in session.ancestry.earlier}:
                siblings.append(file)
    return [(1, file) for file in nested] + [(2, file) for file in siblings]


def session_title(session: Session, trace_id: str) -> str:
    """The session's title, else its summary, else its first prompt, truncated; its id if texts are omitted."""
    if session.reading.options.without_texts:
        return trace_id
    main = session.transcripts.get("") or min(session.transcripts.values(), key=lambda transcript: transcript.rank)
    titles = [session.titles[kind][1] for kind in ("custom-title", "ai-title", "summary") if kind in session.titles]
    title = next(iter(titles), None) or main.first_prompt or main.copied_prompt or trace_id
    command = SLASH_COMMAND.search(title)
    title = shorten(" ".join(filter(None, command.groups())) if command else title, MAX_SESSION_TITLE_LENGTH) or trace_id
    return f"{title} (continues {shorten(main.continues, MAX_SESSION_NAME_LENGTH)})" if main.continues else title


def transcript_spans(
    transcript: Transcript, trace_id: str, wait: Callable[[ToolCall], dict[str, str]], causes: dict[str, dict[str, Any]]
) -> Iterator[SpanRead]:
    """The spans of one transcript.

    ``wait`` returns the keys of a call's data that say whom it waits for, ``causes`` has those of model calls at compactions.
    """
    agent = {
        "gen_ai.agent.name": transcript.name,
        "gen_ai.agent.id": transcript.agent_id or MAIN_AGENT,
        "gen_ai.conversation.id": trace_id,
    }
    parent = f"{trace_id}/{transcript.parent_call}" if transcript.parent_call else None
    guessed = ["parent_id"] if transcript.parent_guessed else []
    detached = {"detached": True} if transcript.detached else {}
    for model_call in transcript.model_calls.values():
        data = causes.get(model_call.id, {}) | model_data(model_call, agent, by_user=transcript.agent_id == "") | detached
        data["estimated"] = ["start_time", *guessed]
        location, name = location_of(model=model_call.model), message_tools(model_call) or model_call.model or "model"
        yield SpanRead(
            trace_id,
            f"{trace_id}/{model_call.id}",
            model_call.start,
            model_call.end,
            transcript.name,
            location,
            name,
            data,
            parent=parent,
        )
    for tool_call in transcript.tool_calls.values():
        data = tool_data(tool_call, agent) | ({"estimated": guessed} if guessed else {}) | detached | wait(tool_call)
        data["requested_by"] = f"{trace_id}/{tool_call.message}"
        last_seen = transcript.last_seen if tool_call.id in transcript.unanswered else tool_call.start
        last_seen = max(last_seen, tool_call.last_seen, tool_call.subagent_last_seen)
        end = last_seen if tool_call.end is None else max(tool_call.start, tool_call.end)
        location = location_of(tool=tool_call.name)
        yield SpanRead(
            trace_id,
            f"{trace_id}/{tool_call.id}",
            tool_call.start,
            end,
            transcript.name,
            location,
            tool_call.name,
            data,
            parent=parent,
        )


def message_tools(call: ModelCall) -> str:
    """The tools that a message called, as a label."""
    return f"→ {', '.join(call.tools)}" if call.tools else ""


def model_data(call: ModelCall, agent: dict[str, Any], *, by_user: bool) -> dict[str, Any]:
    """The payload of a model call's span."""
    attributes: dict[str, Any] = {**agent, "gen_ai.operation.name": "chat", "gen_ai.provider.name": "anthropic"}
    attributes |= {"gen_ai.request.model": call.model, "gen_ai.response.id": call.id}
    if call.stop_reason:
        attributes["gen_ai.response.finish_reasons"] = [call.stop_reason]
    usage = message_counts(call.usage)
    if inputs := [usage[key] for key in CLAUDE_INPUT_KEYS if key in usage]:
        attributes["gen_ai.usage.input_tokens"] = sum(inputs)
    attributes |= {name: usage[key] for key, name in CLAUDE_USAGE_KEYS.items() if key in usage}
    if call.prompt:
        attributes["gen_ai.input.messages"] = [{"role": "user", "parts": [{"type": "text", "content": call.prompt}]}]
    if call.parts:
        attributes["gen_ai.output.messages"] = [{"role": "assistant", "parts": call.parts}]
    first_text = next((part["content"] for part in call.parts if part["type"] == "text"), "")
    trigger = {"trigger": "user"} if call.prompt and by_user else {}
    label = shorten(first_text) or message_tools(call) or call.model or "model"
    return {"label": label, "kind": "model", **trigger, "attributes": attributes}


def message_counts(usage: dict[str, Any]) -> dict[str, int]:
    """The counts of a message, with those of the compactions within its request, which its own counts leave out."""
    counts = {key: count for key, count in usage.items() if type(count) is int}
    iterations = usage.get("iterations")
    for iteration in iterations if isinstance(iterations, list) else ():
        if isinstance(iteration, dict) and iteration.get("type") == "compaction":
            for key in ("output_tokens", *CLAUDE_INPUT_KEYS):
                if type(iteration.get(key)) is int:
                    counts[key] = counts.get(key, 0) + iteration[key]
    return counts


def tool_data(call: ToolCall, agent: dict[str, Any]) -> dict[str, Any]:
    """The payload of a tool call's span."""
    attributes: dict[str, Any] = {
        **agent,
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": call.name,
        "gen_ai.tool.call.id": call.id,
    }
    if call.input:
        attributes["gen_ai.tool.call.arguments"] = call.input
    if call.result:
        attributes["gen_ai.tool.call.result"] = call.result
    status = "open" if call.end is None else "error" if call.failed else "ok"
    return {"label": tool_label(call), "kind": "tool", "status": status, "attributes": attributes}


def tool_label(call: ToolCall) -> str:
    """A short label for a tool call, from its arguments."""
    arguments = call.input if isinstance(call.input, dict) else {}
    for key in CLAUDE_LABEL_KEYS:
        if isinstance(arguments.get(key), str) and arguments[key].strip():
            text = re.split(r"[\\/]", arguments[key])[-1] if key in ("file_path", "notebook_path") else arguments[key]
            return shorten(text)
    return call.name
