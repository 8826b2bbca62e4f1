"""The lines of a Claude Code transcript, gathered into calls of the model and of tools.

One message of the model is written on several lines, each with the usage so far, so the last line counts. The start of a call
of the model is nowhere recorded: it is taken to be the event before. Progress lines and echoes of subagents repeat what stands
elsewhere.

A session's files are read in a fixed order, and what stands in several counts where it stands first. Files that grow are read
by turns, so that a file may bring what one after it in that order was taken to have first: `Changed` then says that all
are to be read anew, in order.
"""

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from tokenvis.conventions.span import given, needed, reason_of
from tokenvis.conventions.timestamps import microseconds
from tokenvis.formats.files.lines import Changed, Place, json_lines
from tokenvis.formats.files.reading import Reading
from tokenvis.formats.files.sources import Source

TITLES = {"custom-title": "customTitle", "ai-title": "aiTitle", "summary": "summary"}
SPAWNING_TOOLS = {"Task", "Agent"}
PARTS = {"text": ("text", "text"), "thinking": ("thinking", "reasoning")}  # a block's type: its key, our type
NOT_THE_USER = ("<task-notification", "<system-reminder", "<local-command", "[Request interrupted")
AGENT_ID = re.compile(r"agentId: ([\w-]+)")

Rank: TypeAlias = tuple[int, Path]


@dataclass
class ModelCall:
    """A message of the model: when it began and ended, its last line's usage, what it said, which tools it called."""

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
    """A tool's call, and its result where there is one."""

    id: str
    name: str
    input: Any
    start: int
    end: int | None = None
    failed: bool = False
    result: Any = None
    details: dict[str, Any] = field(default_factory=dict)
    last_seen: int = 0
    delegate_seen: int = 0


@dataclass
class Part:
    """A file of a session: whose its lines are where they do not say so, its rank in the order of reading, its place so far."""

    source: Source
    agent_id: str = ""
    rank: Rank = (0, Path())
    place: Place = field(default_factory=Place)


@dataclass
class Transcript:
    """What one agent did: its calls, by id, in the order of their first lines."""

    agent_id: str
    file: Path | None = None
    rank: Rank = (0, Path())
    first_prompt: str | None = None
    first_seen: int | None = None
    last_seen: int = 0
    last_event: int | None = None
    asked: str | None = None
    waiting: dict[str, ToolCall] = field(default_factory=dict)
    models: dict[str, ModelCall] = field(default_factory=dict)
    tools: dict[str, ToolCall] = field(default_factory=dict)
    name: str = "main"
    parent_call: str | None = None
    parent_guessed: bool = False


@dataclass
class Session:
    """A session while it is read: transcripts by agent id ("" is the main one), titles, and who echoed whom.

    ``seen``, ``owners``, ``touched``, ``titles`` and ``calls_of_agents`` hold the rank of the file that says so, too.
    """

    reading: Reading
    part: Part
    transcripts: dict[str, Transcript] = field(default_factory=dict)
    sidechain_of: dict[str, str] = field(default_factory=dict)
    session_ids: dict[str, None] = field(default_factory=dict)
    seen: dict[str, Rank] = field(default_factory=dict)
    owners: dict[str, tuple[Rank, str, str]] = field(default_factory=dict)
    touched: dict[str, Rank] = field(default_factory=dict)
    titles: dict[str, tuple[Rank, str]] = field(default_factory=dict)
    calls_of_agents: dict[str, tuple[Rank, str]] = field(default_factory=dict)
    echoes: Counter[str] = field(default_factory=Counter)


def read_part(session: Session, part: Part, *, growing: bool) -> None:
    """Take in the lines of one file that were not read yet."""
    session.part, reading, source = part, session.reading, part.source
    try:
        for number, line in json_lines(reading, source, part.place, growing=growing):
            try:
                take_line(session, line)
            except (KeyError, TypeError, ValueError) as error:
                reading.problem(number, reason_of(error), source)
    except OSError as error:
        reading.problem(None, f"cannot be read ({error.strerror})", source)


def take_line(session: Session, line: dict[str, Any]) -> None:
    """Take in one line."""
    kind, agent_id = given(line, "type", str), session.part.agent_id
    touch(session, agent_id)
    if (session_id := given(line, "sessionId", str)) and not agent_id and "\0" not in session_id:
        session.session_ids[session_id] = None
    if kind in TITLES:
        title = given(line, TITLES[kind], str)
        if title and title.strip():
            note_title(session, kind, title)
    elif kind == "progress":
        take_progress(session, line, agent_id)
    elif kind in ("user", "assistant", "system"):
        if repeated(session, line):
            session.reading.skipped["lines that repeat another"] += 1
            return
        transcript = transcript_of(session, line, agent_id)
        time = microseconds(needed(line, "timestamp", str))
        try:
            if kind == "assistant":
                take_assistant(session, transcript, line, time)
            elif kind == "user":
                take_user(session, transcript, line, time)
        finally:
            see(transcript, time)
    else:
        session.reading.skipped[f"lines of type {str(kind)[:40]!r}"] += 1


def touch(session: Session, agent_id: str) -> None:
    """Note that the file tells of an agent; `Changed` where one that comes after it in the order of reading did so before."""
    rank = session.part.rank
    if session.touched.setdefault(agent_id, rank) > rank:
        raise Changed
    session.touched[agent_id] = rank


def refuse_later(session: Session, rank: Rank) -> None:
    """`Changed` where what the file repeats was taken from one that comes after it in the order of reading."""
    if rank > session.part.rank:
        raise Changed


def note_title(session: Session, kind: str, title: str) -> None:
    """A title of the session: the last one counts."""
    rank = session.part.rank
    if kind not in session.titles or session.titles[kind][0] <= rank:
        session.titles[kind] = rank, title


def note_call(session: Session, agent: str, call: str) -> None:
    """Which call started an agent, as an echo or a result says: the first one counts."""
    rank = session.part.rank
    if agent not in session.calls_of_agents or rank < session.calls_of_agents[agent][0]:
        session.calls_of_agents[agent] = rank, call


def repeated(session: Session, line: dict[str, Any]) -> bool:
    """Whether a line with this uuid was taken in before."""
    uuid = line.get("uuid")
    if not isinstance(uuid, str):
        return False
    first = session.seen.get(uuid)
    if first is None:
        session.seen[uuid] = session.part.rank
        return False
    refuse_later(session, first)
    return True


def see(transcript: Transcript, time: int) -> None:
    """Note a line of the transcript, from which the next call of the model may have started."""
    transcript.first_seen = time if transcript.first_seen is None else min(transcript.first_seen, time)
    transcript.last_seen = max(transcript.last_seen, time)
    note_event(transcript, time)


def note_event(transcript: Transcript, time: int) -> None:
    """Note the latest event so far: lines are not always in the order of their times."""
    transcript.last_event = time if transcript.last_event is None else max(transcript.last_event, time)


def give_up(transcript: Transcript) -> None:
    """The transcript goes on: calls that still have no result were last seen at the event before."""
    for call in transcript.waiting.values():
        call.last_seen = transcript.last_seen
    transcript.waiting.clear()


def transcript_of(session: Session, line: dict[str, Any], agent_id: str) -> Transcript:
    """The transcript that a line belongs to: a file's own, or, for sidechain lines of the main file, that of their root."""
    if line.get("isSidechain") and not agent_id:
        uuid = needed(line, "uuid", str)
        root = session.sidechain_of.get(given(line, "parentUuid", str) or "", uuid)
        session.sidechain_of[uuid] = root
        agent_id = given(line, "agentId", str) or root
        touch(session, agent_id)
    if agent_id not in session.transcripts:
        session.transcripts[agent_id] = Transcript(agent_id, session.part.source.path, session.part.rank)
    return session.transcripts[agent_id]


def take_progress(session: Session, line: dict[str, Any], agent_id: str) -> None:
    """Hooks are events of the transcript; an echo of a subagent only tells which call it answers."""
    data = given(line, "data", dict) or {}
    agent, call = given(data, "agentId", str), given(line, "parentToolUseID", str)
    if data.get("type") == "agent_progress" and agent and call:
        note_call(session, agent, call)
        session.reading.skipped["echoes of a subagent"] += 1
        session.echoes[agent] += 1
    elif data.get("type") == "hook_progress" and agent_id in session.transcripts and line.get("timestamp"):
        note_event(session.transcripts[agent_id], microseconds(needed(line, "timestamp", str)))
        session.reading.skipped["progress lines of hooks"] += 1
    else:
        session.reading.skipped["progress lines"] += 1


def take_assistant(session: Session, transcript: Transcript, line: dict[str, Any], time: int) -> None:
    """A line of a message of the model: one more part of it, and maybe calls of tools."""
    message = needed(line, "message", dict)
    model, usage, stop = given(message, "model", str), given(message, "usage", dict), given(message, "stop_reason", str)
    if model == "<synthetic>":
        session.reading.skipped["messages that no model wrote"] += 1
        return
    call_id = given(message, "id", str) or needed(line, "uuid", str)
    if not owns(session, transcript, call_id, "model"):
        session.reading.skipped["lines that repeat another"] += 1
        return
    call = transcript.models.get(call_id)
    if call is None:
        give_up(transcript)
        start = time if transcript.last_event is None else min(transcript.last_event, time)
        call = transcript.models[call_id] = ModelCall(call_id, start, time, transcript.asked)
        transcript.asked = None
    call.end = max(call.end, time)
    call.model = model or call.model
    call.usage = usage or call.usage
    call.stop_reason = stop or call.stop_reason
    take_blocks(message, lambda block: take_part(session, transcript, call, block, time))


def owns(session: Session, transcript: Transcript, call_id: str, kind: str) -> bool:
    """Whether a call of this id is this transcript's: the first that has it."""
    rank, *owner = session.owners.setdefault(call_id, (session.part.rank, transcript.agent_id, kind))
    if owner == [transcript.agent_id, kind]:
        return True
    refuse_later(session, rank)
    return False


def take_blocks(message: dict[str, Any], take: Callable[[dict[str, Any]], None]) -> None:
    """Take in each block of a message; where one is damaged, its error comes after the others are in."""
    damage = None
    for block in blocks_of(message):
        try:
            take(block)
        except (KeyError, TypeError) as error:
            damage = damage or error
    if damage:
        raise damage


def take_part(session: Session, transcript: Transcript, call: ModelCall, block: dict[str, Any], time: int) -> None:
    """A block of what the model said: a text, a thought, or the call of a tool."""
    kind = block.get("type")
    if kind == "tool_use":
        tool = ToolCall(needed(block, "id", str), needed(block, "name", str), block.get("input"), time)
        if tool.id in transcript.tools or not owns(session, transcript, tool.id, "tool"):
            session.reading.skipped["calls that repeat another"] += 1
            return
        call.tools.append(tool.name)
        transcript.tools[tool.id] = transcript.waiting[tool.id] = tool
    elif kind in PARTS:
        text = given(block, PARTS[kind][0], str) or ""
        part = {"type": PARTS[kind][1], "content": text}
        if text.strip() and part not in call.parts:
            call.parts.append(part)


def take_user(session: Session, transcript: Transcript, line: dict[str, Any], time: int) -> None:
    """A line of the user's side: results of tools, or a prompt."""
    texts: list[str] = []

    def take(block: dict[str, Any]) -> None:
        if block.get("type") == "tool_result":
            take_result(session, transcript, block, line.get("toolUseResult"), time)
        elif block.get("type") == "text":
            texts.append(given(block, "text", str) or "")

    take_blocks(needed(line, "message", dict), take)
    text = "\n".join(texts).strip()
    if not text or line.get("isMeta") or line.get("isCompactSummary") or text.startswith(NOT_THE_USER):
        return
    give_up(transcript)
    transcript.asked = text
    if transcript.first_prompt is None:
        transcript.first_prompt = text


def take_result(session: Session, transcript: Transcript, block: dict[str, Any], details: Any, time: int) -> None:
    """A tool's result; it may tell which subagent or workflow the call had started."""
    call = transcript.tools.get(needed(block, "tool_use_id", str))
    if call is None:
        session.reading.skipped["results of calls that are not there"] += 1
        return
    transcript.waiting.pop(call.id, None)
    call.end = time if call.end is None else max(call.end, time)
    call.failed = bool(block.get("is_error"))
    call.result = plain_text(block.get("content"))
    if isinstance(details, dict):
        keys = ("agentId", "runId", "workflowName")
        call.details = {key: details[key] for key in keys if isinstance(details.get(key), str)}
    agents = [call.details.get("agentId"), *AGENT_ID.findall(call.result if call.name in SPAWNING_TOOLS else "")]
    for agent in filter(None, agents):
        note_call(session, agent, call.id)


def blocks_of(message: dict[str, Any]) -> list[dict[str, Any]]:
    """The content of a message as a list of blocks, whichever way it is written."""
    content = given(message, "content", (str, list)) or []
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return [block if isinstance(block, dict) else {"type": "text", "text": block} for block in content]


def plain_text(content: Any) -> str:
    """A tool's result as text; what is no text is named."""
    if isinstance(content, list):
        blocks = [block if isinstance(block, dict) else {"type": "text", "text": str(block)} for block in content]
        return "\n".join(str(block.get("text", f"[{block.get('type')}]")) for block in blocks)
    return "" if content is None else str(content)
