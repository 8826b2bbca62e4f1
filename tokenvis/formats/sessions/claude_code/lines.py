"""The lines of a Claude Code transcript, grouped into model calls and tool calls.

One message of the model spans several lines, each with the usage so far: the largest count of each kind is its usage. A copy
of a line, such as one in another branch, has other ids and may have a later time: a line without a new block moves no time.
Progress lines and echoes of subagents repeat other lines.

The start of a model call is not recorded. It is the latest of what a model answers or follows: a tool's result, a prompt, the
end of the message before, and the hooks that run before a request. Other lines may come while the model works already.

A session's files are read in a fixed order, and a record that occurs in several files counts in the first. Growing files are
read in turns, so an earlier file may later contain a record that was first found in a later file: `FilesChanged` is then
raised, and all files are read again in order.
"""

import re
from collections.abc import Callable
from typing import Any

from tokenvis.conventions.span import optional_value, problem_reason, required_value
from tokenvis.conventions.timestamps import microseconds
from tokenvis.errors import quoted
from tokenvis.formats.files.lines import FilesChanged, json_lines
from tokenvis.formats.sessions.claude_code.forks import owner_in
from tokenvis.formats.sessions.claude_code.session_documents import lines_of_document, path_in_source
from tokenvis.formats.sessions.claude_code.transcripts import FileRank, ModelCall, Session, SessionFile, ToolCall, Transcript

TITLE_KEYS = {"custom-title": "customTitle", "ai-title": "aiTitle", "summary": "summary"}
PROGRAM_KEYS = {"version": "service.version", "gitBranch": "vcs.ref.head.name", "cwd": "process.working_directory"}
SPAWNING_TOOLS = {"Task", "Agent"}
TEXT_BLOCKS = {"text": ("text", "text"), "thinking": ("thinking", "reasoning")}  # block type: key of its text, part type
NOTICE = "<task-notification"  # of an agent or command in the background; the model answers it
CLAUDE_NON_USER_PREFIXES = (NOTICE, "<system-reminder", "<local-command", "[Request interrupted")
BLOCKING_HOOKS = {"PostToolUse", "PostToolUseFailure", "UserPromptSubmit", "UserPromptExpansion", "SessionStart", "PreCompact"}
AGENT_ID_IN_RESULT = re.compile(r"agentId: ([\w-]+)")


def read_new_lines(session: Session, file: SessionFile, *, growing: bool) -> None:
    """Read the new lines of one file."""
    session.file, reading, source = file, session.reading, file.source
    try:
        path = path_in_source(source) if not file.position.offset or file.in_document else None
        file.in_document = path is not None
        lines = lines_of_document(reading, source, file.position, path) if path else None
        for number, line in lines or json_lines(reading, source, file.position, growing=growing):
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
            elif line.get("subtype") == "compact_boundary":
                note_input(transcript, time)
                transcript.boundaries.append((time, (optional_value(line, "compactMetadata", dict) or {}).get("trigger")))
        finally:
            note_line_time(transcript, time)
    elif line_type == "attachment" and agent_id in session.transcripts and line.get("timestamp"):
        note_hook(session.transcripts[agent_id], optional_value(line, "attachment", dict) or {}, line)
        session.reading.skipped["lines of type 'attachment'"] += 1
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
    """Record the time of a transcript line."""
    transcript.first_seen = time if transcript.first_seen is None else min(transcript.first_seen, time)
    transcript.last_seen = max(transcript.last_seen, time)


def note_input(transcript: Transcript, time: int) -> None:
    """Record what the next model call answers or follows; the latest counts, since lines are not always in order of time."""
    transcript.last_input = time if transcript.last_input is None else max(transcript.last_input, time)


def note_hook(transcript: Transcript, hook: dict[str, Any], line: dict[str, Any]) -> None:
    """Record the time of a hook for which the next model call waits."""
    event = optional_value(hook, "hookEvent", str) or (optional_value(hook, "hookName", str) or "").partition(":")[0]
    if event in BLOCKING_HOOKS:
        note_input(transcript, microseconds(required_value(line, "timestamp", str)))


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
        session.echo_counts[agent] += call not in session.ancestry.tool_calls
    elif data.get("type") == "hook_progress" and agent_id in session.transcripts and line.get("timestamp"):
        note_hook(session.transcripts[agent_id], data, line)
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
        note_input(transcript, time)
        transcript.is_asked = False
        return
    call_id = optional_value(message, "id", str) or required_value(line, "uuid", str)
    if owner := owner_in(session.ancestry, line, session.reading.source.path.stem):
        skip_copied_message(session, transcript, call_id, owner)
        session.copied |= {
            block["id"]: owner
            for block in content_blocks(message)
            if block.get("type") == "tool_use" and block.get("id") in session.ancestry.tool_calls
        }
        note_input(transcript, time)
        return
    if not owns_call(session, transcript, call_id, "model"):
        session.reading.skipped["repeated lines"] += 1
        return
    call = transcript.model_calls.get(call_id)
    if call is None:
        transcript.program = transcript.program or claude_program(line)
        close_unanswered(transcript)
        start = time if transcript.last_input is None else min(transcript.last_input, time)
        call = transcript.model_calls[call_id] = ModelCall(call_id, start, time, transcript.pending_prompt)
        transcript.pending_prompt, transcript.is_asked = None, False
    call.model = model or call.model
    add_usage(call.usage, usage or {})
    call.stop_reason = stop or call.stop_reason
    if has_new_block(call, message):
        call.end = max(call.end, time)
        note_input(transcript, time)
    for_each_block(message, lambda block: add_model_block(session, transcript, call, block, time))


def claude_program(line: dict[str, Any]) -> dict[str, str]:
    """The version of the program that wrote a line, the branch and the folder it worked in, as attributes."""
    return {name: line[key] for key, name in PROGRAM_KEYS.items() if isinstance(line.get(key), str) and line[key]}


def skip_copied_message(session: Session, transcript: Transcript, call_id: str, owner: str) -> None:
    """Skip a message of an earlier session; the prompts and compactions before it belong to that session too."""
    if call_id not in session.copied:
        session.copied[call_id] = owner
        session.reading.skipped[f"messages of session {quoted(owner)}, which this session continues"] += 1
    transcript.continues = owner
    transcript.copied_prompt = transcript.copied_prompt or transcript.first_prompt
    transcript.first_prompt = transcript.pending_prompt = None
    transcript.is_asked = False
    transcript.boundaries.clear()


def add_usage(usage: dict[str, Any], more: dict[str, Any]) -> None:
    """Add the usage of a line to that of its message: the largest count, and the longest list of iterations."""
    for key, value in more.items():
        known = usage.get(key)
        if type(value) is int and type(known) is int:
            usage[key] = max(known, value)
        elif isinstance(value, list) and isinstance(known, list):
            usage[key] = max(known, value, key=len)
        elif value is not None and not (type(known) is int and type(value) is not int):
            usage[key] = value


def has_new_block(call: ModelCall, message: dict[str, Any]) -> bool:
    """Whether a line of a message adds a block to it; a line without any blocks does so once."""
    blocks = content_blocks(message)
    new = {block_key(block) for block in blocks or [{}]} - call.blocks
    call.blocks |= new
    return bool(new)


def block_key(block: dict[str, Any]) -> int:
    """A number that equal blocks of one message have in common."""
    content = [block.get(key) for key in ("type", "text", "thinking", "id")]
    return hash(repr(content if any(content[1:]) else block))


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
    parts: list[dict[str, Any]] = []

    def add_block(block: dict[str, Any]) -> None:
        if block.get("type") == "tool_result":
            add_tool_result(session, transcript, block, line.get("toolUseResult"), time)
        else:
            parts.append(block)

    for_each_block(required_value(line, "message", dict), add_block)
    text = "\n".join(optional_value(part, "text", str) or "" for part in parts if part.get("type") == "text").strip()
    is_of_user = not (line.get("isMeta") or line.get("isCompactSummary") or text.startswith(CLAUDE_NON_USER_PREFIXES))
    if parts:
        note_text(transcript, time, is_input=is_of_user or text.startswith(NOTICE) or bool(line.get("isCompactSummary")))
    if not text or not is_of_user:
        return
    close_unanswered(transcript)
    transcript.pending_prompt = text
    if transcript.first_prompt is None:
        transcript.first_prompt = text


def note_text(transcript: Transcript, time: int, *, is_input: bool) -> None:
    """Record the time of an input, or of a remark, which starts a model call only if no input does."""
    if is_input or not transcript.is_asked:
        note_input(transcript, time)
    transcript.is_asked = transcript.is_asked or is_input


def add_tool_result(session: Session, transcript: Transcript, block: dict[str, Any], details: Any, time: int) -> None:
    """Add a tool result, which may name the subagent or workflow that the call started."""
    call_id = required_value(block, "tool_use_id", str)
    call = transcript.tool_calls.get(call_id)
    if call is not None and call.end is not None:
        session.reading.skipped["repeated results"] += 1
        return
    note_text(transcript, time, is_input=True)
    if call is None:
        is_copied = call_id in session.ancestry.tool_calls
        session.reading.skipped["copied results" if is_copied else "results of missing calls"] += 1
        return
    transcript.unanswered.pop(call.id, None)
    call.end = time
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
