"""The lines of a Claude Code transcript, grouped into model calls and tool calls.

One message of the model spans several lines, each with the usage so far, so the last line counts. The start of a model call is
not recorded: the time of the previous event is used. Progress lines and echoes of subagents repeat other lines.

A session's files are read in a fixed order, and a record that occurs in several files counts in the first. Growing files are
read in turns, so an earlier file may later contain a record that was first found in a later file: `FilesChanged` is then
raised, and all files are read again in order.
"""

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from tokenvis.conventions.span import optional_value, problem_reason, required_value
from tokenvis.conventions.timestamps import microseconds
from tokenvis.formats.files.lines import FilesChanged, ReadPosition, json_lines
from tokenvis.formats.files.reading import Reading
from tokenvis.formats.files.sources import Source

TITLE_KEYS = {"custom-title": "customTitle", "ai-title": "aiTitle", "summary": "summary"}
SPAWNING_TOOLS = {"Task", "Agent"}
TEXT_BLOCKS = {"text": ("text", "text"), "thinking": ("thinking", "reasoning")}  # block type: key of its text, part type
CLAUDE_NON_USER_PREFIXES = ("<task-notification", "<system-reminder", "<local-command", "[Request interrupted")
AGENT_ID_IN_RESULT = re.compile(r"agentId: ([\w-]+)")

FileRank: TypeAlias = tuple[int, Path]


@dataclass
class ModelCall:
    """A model call: its times, the usage of its last line, its output and the names of the tools it called."""

    id: str
    start: int
    end: int
    prompt: str | None
    model: str | None = None
    usage: dict[str, Any] = field(default_factory=dict)
    stop_reason: str | None = None
    parts: list[dict[str, str]] = field(default_factory=list)
    tools: list[str] = field(default_factory=list)


@dataclass
class ToolCall:
    """A tool call, the id of the message that asked for it, and its result if there is one."""

    id: str
    name: str
    input: Any
    start: int
    message: str
    end: int | None = None
    failed: bool = False
    result: Any = None
    details: dict[str, Any] = field(default_factory=dict)
    launch_status: str | None = None  # of a call that started agents: "completed", "async_launched", ...
    last_seen: int = 0
    subagent_last_seen: int = 0


@dataclass
class SessionFile:
    """A file of a session: the agent of lines that name none, its rank in the reading order, its read position."""

    source: Source
    agent_id: str = ""
    rank: FileRank = (0, Path())
    position: ReadPosition = field(default_factory=ReadPosition)


@dataclass
class Transcript:
    """The work of one agent: its calls by id, in the order of their first lines."""

    agent_id: str
    file: Path | None = None
    rank: FileRank = (0, Path())
    first_prompt: str | None = None
    first_seen: int | None = None
    last_seen: int = 0
    last_event: int | None = None
    pending_prompt: str | None = None
    unanswered: dict[str, ToolCall] = field(default_factory=dict)
    model_calls: dict[str, ModelCall] = field(default_factory=dict)
    tool_calls: dict[str, ToolCall] = field(default_factory=dict)
    name: str = "main"
    parent_call: str | None = None
    parent_guessed: bool = False
    detached: bool = False
    task: str | None = None


@dataclass
class Session:
    """A session while it is read: transcripts by agent id ("" is the main one), titles, and counts of echoes.

    ``uuid_ranks``, ``call_owners``, ``agent_ranks``, ``titles`` and ``spawning_calls`` contain the rank of the source file.
    """

    reading: Reading
    file: SessionFile
    transcripts: dict[str, Transcript] = field(default_factory=dict)
    sidechain_of: dict[str, str] = field(default_factory=dict)
    session_ids: dict[str, None] = field(default_factory=dict)
    uuid_ranks: dict[str, FileRank] = field(default_factory=dict)
    call_owners: dict[str, tuple[FileRank, str, str]] = field(default_factory=dict)
    agent_ranks: dict[str, FileRank] = field(default_factory=dict)
    titles: dict[str, tuple[FileRank, str]] = field(default_factory=dict)
    spawning_calls: dict[str, tuple[FileRank, str]] = field(default_factory=dict)
    echo_counts: Counter[str] = field(default_factory=Counter)


def read_new_lines(session: Session, file: SessionFile, *, growing: bool) -> None:
    """Read the new lines of one file."""
    session.file, reading, source = file, session.reading, file.source
    try:
        for number, line in json_lines(reading, source, file.position, growing=growing):
            try:
                add_transcript_line(session, line)
            except (KeyError, TypeError, ValueError) as error:
                reading.add_problem(number, problem_reason(error), source)
    except OSError as error:
        reading.add_problem(None, f"cannot be read ({error.strerror})", source)


def add_transcript_line(session: Session, line: dict[str, Any]) -> None:
    """Add one line to the session."""
    line_type, agent_id = optional_value(line, "type", str), session.file.agent_id
    note_agent(session, agent_id)
    if (session_id := optional_value(line, "sessionId", str)) and not agent_id and "\0" not in session_id:
        session.session_ids[session_id] = None
    if line_type in TITLE_KEYS:
        title = optional_value(line, TITLE_KEYS[line_type], str)
        if title and title.strip():
            note_title(session, line_type, title)
    elif line_type == "progress":
        add_progress(session, line, agent_id)
    elif line_type in ("user", "assistant", "system"):
        if is_repeated_line(session, line):
            session.reading.skipped["repeated lines"] += 1
            return
        transcript = transcript_of(session, line, agent_id)
        time = microseconds(required_value(line, "timestamp", str))
        try:
            if line_type == "assistant":
                add_assistant_line(session, transcript, line, time)
            elif line_type == "user":
                add_user_line(session, transcript, line, time)
        finally:
            note_line_time(transcript, time)
    else:
        session.reading.skipped[f"lines of type {str(line_type)[:40]!r}"] += 1


def note_agent(session: Session, agent_id: str) -> None:
    """Record that the file mentions an agent; `FilesChanged` if a later file in the reading order mentioned it before."""
    rank = session.file.rank
    if session.agent_ranks.setdefault(agent_id, rank) > rank:
        raise FilesChanged
    session.agent_ranks[agent_id] = rank


def require_earlier_file(session: Session, rank: FileRank) -> None:
    """Raise `FilesChanged` if a record that the file repeats was read from a later file in the reading order."""
    if rank > session.file.rank:
        raise FilesChanged


def note_title(session: Session, line_type: str, title: str) -> None:
    """Record a title of the session; the last one counts."""
    rank = session.file.rank
    if line_type not in session.titles or session.titles[line_type][0] <= rank:
        session.titles[line_type] = rank, title


def note_spawning_call(session: Session, agent: str, call: str) -> None:
    """Record the call that started an agent, from an echo or a result; the first one counts."""
    rank = session.file.rank
    if agent not in session.spawning_calls or rank < session.spawning_calls[agent][0]:
        session.spawning_calls[agent] = rank, call


def is_repeated_line(session: Session, line: dict[str, Any]) -> bool:
    """Whether a line with the same uuid was read before."""
    uuid = line.get("uuid")
    if not isinstance(uuid, str):
        return False
    first_rank = session.uuid_ranks.get(uuid)
    if first_rank is None:
        session.uuid_ranks[uuid] = session.file.rank
        return False
    require_earlier_file(session, first_rank)
    return True


def note_line_time(transcript: Transcript, time: int) -> None:
    """Record the time of a transcript line, at which the next model call may start."""
    transcript.first_seen = time if transcript.first_seen is None else min(transcript.first_seen, time)
    transcript.last_seen = max(transcript.last_seen, time)
    note_event_time(transcript, time)


def note_event_time(transcript: Transcript, time: int) -> None:
    """Record the time of an event; the latest counts, since lines are not always in order of time."""
    transcript.last_event = time if transcript.last_event is None else max(transcript.last_event, time)


def close_unanswered(transcript: Transcript) -> None:
    """Close calls without a result when the transcript continues: they were last seen at the previous event."""
    for call in transcript.unanswered.values():
        call.last_seen = transcript.last_seen
    transcript.unanswered.clear()


def transcript_of(session: Session, line: dict[str, Any], agent_id: str) -> Transcript:
    """The transcript of a line: its file's transcript or, for sidechain lines of the main file, their root's transcript."""
    if line.get("isSidechain") and not agent_id:
        uuid = required_value(line, "uuid", str)
        root = session.sidechain_of.get(optional_value(line, "parentUuid", str) or "", uuid)
        session.sidechain_of[uuid] = root
        agent_id = optional_value(line, "agentId", str) or root
        note_agent(session, agent_id)
    if agent_id not in session.transcripts:
        session.transcripts[agent_id] = Transcript(agent_id, session.file.source.path, session.file.rank)
    return session.transcripts[agent_id]


def add_progress(session: Session, line: dict[str, Any], agent_id: str) -> None:
    """Add a progress line: a hook is an event of the transcript, an echo of a subagent only identifies its call."""
    data = optional_value(line, "data", dict) or {}
    agent, call = optional_value(data, "agentId", str), optional_value(line, "parentToolUseID", str)
    if data.get("type") == "agent_progress" and agent and call:
        note_spawning_call(session, agent, call)
        session.reading.skipped["echoes of a subagent"] += 1
        session.echo_counts[agent] += 1
    elif data.get("type") == "hook_progress" and agent_id in session.transcripts and line.get("timestamp"):
        note_event_time(session.transcripts[agent_id], microseconds(required_value(line, "timestamp", str)))
        session.reading.skipped["progress lines of hooks"] += 1
    else:
        session.reading.skipped["progress lines"] += 1


def add_assistant_line(session: Session, transcript: Transcript, line: dict[str, Any], time: int) -> None:
    """Add a line of a model message: its next blocks, possibly with tool calls."""
    message = required_value(line, "message", dict)
    model, usage, stop = (
        optional_value(message, "model", str),
        optional_value(message, "usage", dict),
        optional_value(message, "stop_reason", str),
    )
    if model == "<synthetic>":
        session.reading.skipped["synthetic messages"] += 1
        return
    call_id = optional_value(message, "id", str) or required_value(line, "uuid", str)
    if not owns_call(session, transcript, call_id, "model"):
        session.reading.skipped["repeated lines"] += 1
        return
    call = transcript.model_calls.get(call_id)
    if call is None:
        close_unanswered(transcript)
        start = time if transcript.last_event is None else min(transcript.last_event, time)
        call = transcript.model_calls[call_id] = ModelCall(call_id, start, time, transcript.pending_prompt)
        transcript.pending_prompt = None
    call.end = max(call.end, time)
    call.model = model or call.model
    call.usage = usage or call.usage
    call.stop_reason = stop or call.stop_reason
    for_each_block(message, lambda block: add_model_block(session, transcript, call, block, time))


def owns_call(session: Session, transcript: Transcript, call_id: str, call_kind: str) -> bool:
    """Whether a call belongs to this transcript: the first transcript with its id owns it."""
    rank, *owner = session.call_owners.setdefault(call_id, (session.file.rank, transcript.agent_id, call_kind))
    if owner == [transcript.agent_id, call_kind]:
        return True
    require_earlier_file(session, rank)
    return False


def for_each_block(message: dict[str, Any], add_block: Callable[[dict[str, Any]], None]) -> None:
    """Add each block of a message; the error of a damaged block is raised after all others are added."""
    first_error = None
    for block in content_blocks(message):
        try:
            add_block(block)
        except (KeyError, TypeError) as error:
            first_error = first_error or error
    if first_error:
        raise first_error


def add_model_block(session: Session, transcript: Transcript, call: ModelCall, block: dict[str, Any], time: int) -> None:
    """Add a block of a model message: text, reasoning or a tool call."""
    block_type = block.get("type")
    if block_type == "tool_use":
        tool = ToolCall(required_value(block, "id", str), required_value(block, "name", str), block.get("input"), time, call.id)
        if tool.id in transcript.tool_calls or not owns_call(session, transcript, tool.id, "tool"):
            session.reading.skipped["repeated calls"] += 1
            return
        call.tools.append(tool.name)
        transcript.tool_calls[tool.id] = transcript.unanswered[tool.id] = tool
    elif block_type in TEXT_BLOCKS:
        text = optional_value(block, TEXT_BLOCKS[block_type][0], str) or ""
        part = {"type": TEXT_BLOCKS[block_type][1], "content": text}
        if text.strip() and part not in call.parts:
            call.parts.append(part)


def add_user_line(session: Session, transcript: Transcript, line: dict[str, Any], time: int) -> None:
    """Add a line of the user role: tool results or a prompt."""
    texts: list[str] = []

    def add_block(block: dict[str, Any]) -> None:
        if block.get("type") == "tool_result":
            add_tool_result(session, transcript, block, line.get("toolUseResult"), time)
        elif block.get("type") == "text":
            texts.append(optional_value(block, "text", str) or "")

    for_each_block(required_value(line, "message", dict), add_block)
    text = "\n".join(texts).strip()
    if not text or line.get("isMeta") or line.get("isCompactSummary") or text.startswith(CLAUDE_NON_USER_PREFIXES):
        return
    close_unanswered(transcript)
    transcript.pending_prompt = text
    if transcript.first_prompt is None:
        transcript.first_prompt = text


def add_tool_result(session: Session, transcript: Transcript, block: dict[str, Any], details: Any, time: int) -> None:
    """Add a tool result, which may name the subagent or workflow that the call started."""
    call = transcript.tool_calls.get(required_value(block, "tool_use_id", str))
    if call is None:
        session.reading.skipped["results of missing calls"] += 1
        return
    transcript.unanswered.pop(call.id, None)
    call.end = time if call.end is None else max(call.end, time)
    call.failed = bool(block.get("is_error"))
    call.result = result_text(block.get("content"))
    if isinstance(details, dict):
        keys = ("agentId", "runId", "workflowName")
        call.details = {key: details[key] for key in keys if isinstance(details.get(key), str)}
        status = "async_launched" if details.get("isAsync") is True else details.get("status")
        call.launch_status = status if isinstance(status, str) else None
    agents = [call.details.get("agentId"), *AGENT_ID_IN_RESULT.findall(call.result if call.name in SPAWNING_TOOLS else "")]
    for agent in filter(None, agents):
        note_spawning_call(session, agent, call.id)


def content_blocks(message: dict[str, Any]) -> list[dict[str, Any]]:
    """The content of a message as a list of blocks, from a string or a list."""
    content = optional_value(message, "content", (str, list)) or []
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return [block if isinstance(block, dict) else {"type": "text", "text": block} for block in content]


def result_text(content: Any) -> str:
    """A tool result as text; other content is represented by its type."""
    if isinstance(content, list):
        blocks = [block if isinstance(block, dict) else {"type": "text", "text": str(block)} for block in content]
        return "\n".join(str(block.get("text", f"[{block.get('type')}]")) for block in blocks)
    return "" if content is None else str(content)
