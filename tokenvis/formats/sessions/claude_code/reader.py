"""Claude Code sessions: JSON lines, a file for the session and one for each of its subagents.

The files lie in ``~/.claude/projects/<project>/``: ``<session>.jsonl``; its subagents in
``<session>/subagents/**/agent-*.jsonl`` (with ``agent-*.meta.json`` beside them), in ``agent-*.jsonl`` beside the session, or,
in old versions, as sidechain lines of the session's own file. There is no public specification; what stands here was learned
from files of versions 1.0 to 2.1.

A call of a tool is a span from its ``tool_use`` to its ``tool_result``. A call of the model is a span that ends with the last
line of its message; its start is ``estimated``. Spans of a subagent are children of the call that started it.
"""

import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from tokenvis.conventions.rules import distinct_names, location_of
from tokenvis.conventions.span import SpanRead, shorten
from tokenvis.errors import plural, quoted
from tokenvis.formats.files.head import Head
from tokenvis.formats.files.lenient_json import parse_json
from tokenvis.formats.files.lines import Changed, Replaced, first_objects
from tokenvis.formats.files.reading import Reading
from tokenvis.formats.sessions.claude_code.lines import (
    SPAWNING_TOOLS,
    ModelCall,
    Part,
    Rank,
    Session,
    ToolCall,
    Transcript,
    read_part,
)

NAME = "Claude Code sessions"
LINE_TYPES = {
    "user",
    "assistant",
    "system",
    "progress",
    "summary",
    "ai-title",
    "file-history-snapshot",
    "queue-operation",
}
MAIN = "main"
TITLE_LENGTH = 60
LABEL_KEYS = (
    "description",
    "file_path",
    "notebook_path",
    "pattern",
    "query",
    "url",
    "command",
    "skill",
    "name",
    "path",
)
COMMAND = re.compile(r"<command-name>(.*?)</command-name>(?:.*?<command-args>(.*?)</command-args>)?", re.DOTALL)
USAGE = {
    "output_tokens": "gen_ai.usage.output_tokens",
    "cache_read_input_tokens": "gen_ai.usage.cache_read.input_tokens",
    "cache_creation_input_tokens": "gen_ai.usage.cache_creation.input_tokens",
}
INPUT_KEYS = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")


def recognises(head: Head) -> bool:
    """Whether a file looks like a transcript: one of its first lines has a type and keys that only these have."""
    return head.kind == "lines" and any(
        str(line.get("type")) in LINE_TYPES and {"sessionId", "uuid", "leafUuid", "messageId", "summary"} & line.keys()
        for line in head.values
    )


def main_file_of(path: Path) -> Path:
    """The session's own file, where ``path`` is a subagent's and that is there."""
    line = next(iter(first_objects(path)), {}) if path.name.startswith("agent-") else {}
    with suppress(OSError):  # an id that is no name of a file
        return next((main for main in mains_of(path, {**line, "isSidechain": bool(line)}) if main.is_file()), path)
    return path


def mains_of(path: Path, line: dict[str, Any]) -> Iterator[Path]:
    """Where the session's own file would be, of a file that is one of its subagents', and begins with this line."""
    for folder in path.absolute().parents:
        if folder.name == "subagents":
            yield folder.parent.parent / f"{folder.parent.name}.jsonl"
    if line.get("isSidechain"):
        with suppress(ValueError):  # an id that is no name of a file
            yield path.with_name(f"{line.get('sessionId')}.jsonl")


def family_of(path: Path) -> tuple[str, None]:
    """What the files of one session have in common: its own file."""
    return str(main_file_of(path)), None


def is_fork(line: dict[str, Any]) -> bool:
    """No session has another one above it."""
    return False


def read(reading: Reading) -> Iterator[SpanRead]:
    """Read a session with all its subagents, given any of its files."""
    path = main_file_of(reading.source.path)
    if path != reading.source.path:
        reading.source = reading.source.beside(path)
    following = Following(reading)
    following.advance(growing=False)
    report_missing(following.session)
    if not following.transcripts():
        reading.problem(None, "no call of a model or a tool stands in it")
    yield from following.spans()


class Following:
    """A session that is read as far as its files go, again and again, and each time only what is new in them."""

    def __init__(self, reading: Reading) -> None:
        self.readings = [reading]
        self.begin()

    def begin(self) -> None:
        """Forget what was read."""
        [reading] = self.readings
        reading.skipped.clear()
        own = Part(reading.source)
        self.session = Session(reading, own)
        self.parts = {own.source.path: own}
        self.sessions_of: dict[Path, str] = {}

    def follow(self, reading: Reading) -> None:
        """Take another file of the session, which needs no word: they are all found."""

    def paths(self) -> list[Path]:
        """The files on which the spans depend."""
        return [path for part in self.parts.values() for path in (part.source.path, meta_file_of(part.source.path))]

    def advance(self, *, growing: bool = True) -> bool:
        """Read what is new; whether files were replaced, so that all was read anew."""
        try:
            self.read_on(growing=growing)
        except Changed as change:
            self.begin()
            self.read_on(growing=growing)
            return isinstance(change, Replaced)
        return False

    def read_on(self, *, growing: bool) -> None:
        """Read on in the session's own file, and then in those of its subagents."""
        [reading], files = self.readings, list(self.parts.values())[:1]
        read_part(self.session, files[0], growing=growing)
        for rank in subagent_files(reading.source.path, self.session, self.sessions_of):
            path = rank[1]
            if path not in self.parts:
                self.parts[path] = Part(reading.source.beside(path), path.stem.removeprefix("agent-"), rank)
            read_part(self.session, self.parts[path], growing=growing)
        reading.files = [part.source for part in self.parts.values()]

    def transcripts(self) -> list[Transcript]:
        """The transcripts in which there is a call, in the order of reading."""
        ordered = sorted(self.session.transcripts.values(), key=lambda transcript: transcript.rank)
        return [transcript for transcript in ordered if transcript.models or transcript.tools]

    def spans(self) -> Iterator[SpanRead]:
        """All spans, as far as they are known."""
        [reading], transcripts, ids = self.readings, self.transcripts(), self.session.session_ids
        trace_id = reading.source.path.stem
        trace_id = trace_id if trace_id in ids else next(iter(ids), trace_id)
        name_agents(self.session, transcripts)
        if transcripts:
            reading.name_trace(trace_id, trace_name(self.session, trace_id))
        for transcript in transcripts:
            yield from spans_of(transcript, trace_id)


def report_missing(session: Session) -> None:
    """Say which subagents' transcripts are not there, though the session has echoes of them."""
    for agent, count in session.echoes.items():
        if agent not in session.transcripts:
            reason = f"the transcript of subagent {quoted(agent)} is not there; its work, of which this file has "
            session.reading.problem(None, f"{reason}{plural(count, 'echo line')}, is left out")


def subagent_files(path: Path, session: Session, sessions_of: dict[Path, str]) -> list[Rank]:
    """The files of a session's subagents, in every layout there was, ranked in a fixed order.

    ``sessions_of`` remembers whose session those beside it name in their first line.
    """
    nested = sorted((path.parent / path.stem / "subagents").rglob("agent-*.jsonl"))
    beside = []
    for file in sorted(path.parent.glob("agent-*.jsonl")):
        if file != path and file.is_file():
            if file not in sessions_of and (line := next(iter(first_objects(file)), None)) is not None:
                sessions_of[file] = str(line.get("sessionId"))
            if sessions_of.get(file) in session.session_ids:
                beside.append(file)
    return [(1, file) for file in nested] + [(2, file) for file in beside]


def name_agents(session: Session, transcripts: list[Transcript]) -> None:
    """Find the call that started each subagent, and name it as that call does, with a number where a name comes again."""
    main = session.transcripts.get("")
    subagents = sorted((t for t in transcripts if t is not main), key=lambda t: (t.first_seen or 0, t.agent_id))
    calls = {call.id: call for transcript in transcripts for call in transcript.tools.values()}
    metas = {transcript.agent_id: meta_of(transcript) for transcript in subagents}
    for each in calls.values():
        each.delegate_seen = 0
    for transcript in subagents:
        _, told = session.calls_of_agents.get(transcript.agent_id, (None, None))
        known = metas[transcript.agent_id].get("toolUseId"), told
        parent = next((call for call in known if call and isinstance(call, str)), None) or call_of_workflow(transcript, calls)
        transcript.parent_call, transcript.parent_guessed = None if parent in transcript.tools else parent, False
    pair_by_prompt(subagents, calls)
    pair_in_order(subagents, calls)
    for transcript in subagents:
        if call := calls.get(transcript.parent_call or ""):
            call.delegate_seen = max(call.delegate_seen, transcript.last_seen)
    names = [plain_name(session, transcript, metas[transcript.agent_id], calls) for transcript in subagents]
    for transcript, name in zip(subagents, distinct_names([MAIN, *names])[1:], strict=True):
        transcript.name = name


def meta_file_of(path: Path) -> Path:
    """The file beside a transcript that tells more of its agent."""
    return path.with_suffix(".meta.json")


def meta_of(transcript: Transcript) -> dict[str, Any]:
    """What stands in the file beside a subagent's transcript, where there is one."""
    path = meta_file_of(transcript.file) if transcript.file else None
    if path is None or not path.is_file():
        return {}
    try:
        meta = parse_json(path.read_bytes())
    except (ValueError, OSError):
        return {}
    return meta if isinstance(meta, dict) else {}


def call_of_workflow(transcript: Transcript, calls: dict[str, ToolCall]) -> str | None:
    """The call that launched the workflow in whose folder a transcript lies."""
    folder = transcript.file.parent.name if transcript.file else ""
    return next((call.id for call in calls.values() if call.details.get("runId") == folder), None)


def unpaired(subagents: list[Transcript], calls: dict[str, ToolCall]) -> tuple[list[Transcript], list[ToolCall]]:
    """Subagents without a call, and spawning calls without a subagent."""
    taken = {transcript.parent_call for transcript in subagents}
    free = [call for call in calls.values() if call.name in SPAWNING_TOOLS and call.id not in taken]
    return [t for t in subagents if t.parent_call is None and not t.agent_id.startswith("acompact-")], free


def pair_by_prompt(subagents: list[Transcript], calls: dict[str, ToolCall]) -> None:
    """A subagent's first prompt is the prompt of the call."""
    without, free = unpaired(subagents, calls)
    for transcript in without:
        for call in free:
            asked = str(call.input.get("prompt", "")).strip() if isinstance(call.input, dict) else ""
            if asked and asked == transcript.first_prompt and call.id not in transcript.tools:
                transcript.parent_call = call.id
                free.remove(call)
                break


def pair_in_order(subagents: list[Transcript], calls: dict[str, ToolCall]) -> None:
    """Where as many calls as subagents are left, and each call precedes its subagent, they are paired in order."""
    without, free = unpaired(subagents, calls)
    if len(without) != len(free):
        return
    pairs = list(zip(without, free, strict=True))
    if all(call.start <= (t.first_seen or 0) and call.id not in t.tools for t, call in pairs):
        for transcript, call in pairs:
            transcript.parent_call, transcript.parent_guessed = call.id, True


def text_in(source: dict[str, Any], key: str) -> str | None:
    """A text that is there and says something, on one line, else None."""
    value = source.get(key)
    return shorten(value, TITLE_LENGTH) or None if isinstance(value, str) else None


def plain_name(session: Session, transcript: Transcript, meta: dict[str, Any], calls: dict[str, ToolCall]) -> str:
    """What people call a subagent: its type, else its workflow, else its task (where texts are wanted), else its id."""
    if transcript.agent_id.startswith("acompact-"):
        return "compaction"
    call = calls.get(transcript.parent_call or "")
    given = call.input if call and isinstance(call.input, dict) else {}
    workflow = text_in(call.details, "workflowName") if call else None
    task = text_in(given, "description") if not session.reading.wishes.without_texts else None
    names = (text_in(meta, "agentType"), text_in(given, "subagent_type"), workflow, task)
    return next(filter(None, names), f"agent {transcript.agent_id[:8]}")


def trace_name(session: Session, trace_id: str) -> str:
    """The session's title, else its summary, else its first prompt cut short; its id where texts are not wanted."""
    if session.reading.wishes.without_texts:
        return trace_id
    main = session.transcripts.get("") or min(session.transcripts.values(), key=lambda transcript: transcript.rank)
    titles = [session.titles[kind][1] for kind in ("custom-title", "ai-title", "summary") if kind in session.titles]
    title = next(iter(titles), None) or main.first_prompt or trace_id
    command = COMMAND.search(title)
    return shorten(" ".join(filter(None, command.groups())) if command else title, TITLE_LENGTH) or trace_id


def spans_of(transcript: Transcript, trace_id: str) -> Iterator[SpanRead]:
    """The spans of one transcript."""
    agent = {
        "gen_ai.agent.name": transcript.name,
        "gen_ai.agent.id": transcript.agent_id or MAIN,
        "gen_ai.conversation.id": trace_id,
    }
    parent = f"{trace_id}/{transcript.parent_call}" if transcript.parent_call else None
    guessed = ["parent_id"] if transcript.parent_guessed else []
    for model in transcript.models.values():
        data = model_data(model, agent, by_user=transcript.agent_id == "")
        data["estimated"] = ["start_time", *guessed]
        where, name = location_of(model=model.model), called(model) or model.model or "model"
        yield SpanRead(
            trace_id, f"{trace_id}/{model.id}", model.start, model.end, transcript.name, where, name, data, parent=parent
        )
    for tool in transcript.tools.values():
        data = tool_data(tool, agent) | ({"estimated": guessed} if guessed else {})
        last_seen = transcript.last_seen if tool.id in transcript.waiting else tool.start
        last_seen = max(last_seen, tool.last_seen, tool.delegate_seen)
        end = last_seen if tool.end is None else max(tool.start, tool.end)
        where = location_of(tool=tool.name)
        yield SpanRead(
            trace_id, f"{trace_id}/{tool.id}", tool.start, end, transcript.name, where, tool.name, data, parent=parent
        )


def called(call: ModelCall) -> str:
    """Which tools a message called."""
    return f"→ {', '.join(call.tools)}" if call.tools else ""


def model_data(call: ModelCall, agent: dict[str, Any], *, by_user: bool) -> dict[str, Any]:
    """The payload of a call of the model."""
    attributes: dict[str, Any] = {**agent, "gen_ai.operation.name": "chat", "gen_ai.provider.name": "anthropic"}
    attributes |= {"gen_ai.request.model": call.model, "gen_ai.response.id": call.id}
    if call.stop_reason:
        attributes["gen_ai.response.finish_reasons"] = [call.stop_reason]
    usage = {key: count for key, count in call.usage.items() if type(count) is int}
    if inputs := [usage[key] for key in INPUT_KEYS if key in usage]:
        attributes["gen_ai.usage.input_tokens"] = sum(inputs)
    attributes |= {name: usage[key] for key, name in USAGE.items() if key in usage}
    if call.prompt:
        attributes["gen_ai.input.messages"] = [{"role": "user", "parts": [{"type": "text", "content": call.prompt}]}]
    if call.parts:
        attributes["gen_ai.output.messages"] = [{"role": "assistant", "parts": call.parts}]
    said = next((part["content"] for part in call.parts if part["type"] == "text"), "")
    trigger = {"trigger": "user"} if call.prompt and by_user else {}
    label = shorten(said) or called(call) or call.model or "model"
    return {"label": label, "kind": "model", **trigger, "attributes": attributes}


def tool_data(call: ToolCall, agent: dict[str, Any]) -> dict[str, Any]:
    """The payload of a call of a tool."""
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
    """What a call of a tool was about, in a few words."""
    given = call.input if isinstance(call.input, dict) else {}
    for key in LABEL_KEYS:
        if isinstance(given.get(key), str) and given[key].strip():
            text = re.split(r"[\\/]", given[key])[-1] if key in ("file_path", "notebook_path") else given[key]
            return shorten(text)
    return call.name
