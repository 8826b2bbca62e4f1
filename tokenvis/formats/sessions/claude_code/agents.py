"""The subagents of Claude Code: the call that started each one, its name and its task.

The call is named by the metadata beside the transcript, by an echo in the parent's file or by the call's result. Otherwise the
calls and subagents that remain are paired by the prompt, or in order, which is a guess.
"""

from pathlib import Path
from typing import Any

from tokenvis.conventions.rules import distinct_names
from tokenvis.conventions.span import shorten
from tokenvis.formats.files.lenient_json import parse_json
from tokenvis.formats.sessions.claude_code.compactions import is_compaction
from tokenvis.formats.sessions.claude_code.lines import SPAWNING_TOOLS
from tokenvis.formats.sessions.claude_code.transcripts import Session, ToolCall, Transcript
from tokenvis.formats.sessions.claude_code.waits import starts_in_background

MAIN_AGENT = "main"
MAX_SESSION_TITLE_LENGTH = 60


def name_agents(session: Session, transcripts: list[Transcript]) -> None:
    """Find the call that started each subagent and name the subagent after it, with a number if a name is repeated."""
    main = session.transcripts.get("")
    subagents = sorted((t for t in transcripts if t is not main), key=lambda t: (t.first_seen or 0, t.agent_id))
    calls = {call.id: call for transcript in transcripts for call in transcript.tool_calls.values()}
    metas = {transcript.agent_id: meta_of(transcript) for transcript in subagents}
    for call in calls.values():
        call.subagent_last_seen = 0
    for transcript in subagents:
        _, reported_id = session.spawning_calls.get(transcript.agent_id, (None, None))
        parent_ids = metas[transcript.agent_id].get("toolUseId"), reported_id
        parent = next((id_ for id_ in parent_ids if id_ and isinstance(id_, str)), None) or call_of_workflow(transcript, calls)
        transcript.parent_call, transcript.parent_guessed = None if parent in transcript.tool_calls else parent, False
    pair_by_prompt(subagents, calls)
    pair_in_order(subagents, calls)
    for transcript in subagents:
        parent_call = calls.get(transcript.parent_call or "")
        transcript.detached = parent_call is not None and starts_in_background(parent_call)
        transcript.task = task_of(transcript, parent_call)
        if parent_call is not None and not transcript.detached:
            parent_call.subagent_last_seen = max(parent_call.subagent_last_seen, transcript.last_seen)
    names = [subagent_name(session, transcript, metas[transcript.agent_id], calls) for transcript in subagents]
    for transcript, name in zip(subagents, distinct_names([MAIN_AGENT, *names])[1:], strict=True):
        transcript.name = name


def meta_file_of(path: Path) -> Path:
    """The metadata file beside an agent's transcript."""
    return path.with_suffix(".meta.json")


def meta_of(transcript: Transcript) -> dict[str, Any]:
    """The content of the metadata file beside a subagent's transcript, empty if there is none."""
    path = meta_file_of(transcript.file) if transcript.file else None
    if path is None or not path.is_file():
        return {}
    try:
        meta = parse_json(path.read_bytes())
    except (ValueError, OSError):
        return {}
    return meta if isinstance(meta, dict) else {}


def call_of_workflow(transcript: Transcript, calls: dict[str, ToolCall]) -> str | None:
    """The call that started the workflow whose folder contains a transcript."""
    folder = transcript.file.parent.name if transcript.file else ""
    return next((call.id for call in calls.values() if call.details.get("runId") == folder), None)


def unpaired(subagents: list[Transcript], calls: dict[str, ToolCall]) -> tuple[list[Transcript], list[ToolCall]]:
    """Subagents without a call, and spawning calls without a subagent."""
    paired = {transcript.parent_call for transcript in subagents}
    unpaired_calls = [call for call in calls.values() if call.name in SPAWNING_TOOLS and call.id not in paired]
    return [t for t in subagents if t.parent_call is None and not is_compaction(t)], unpaired_calls


def pair_by_prompt(subagents: list[Transcript], calls: dict[str, ToolCall]) -> None:
    """Pair subagents with the calls whose prompt is their first prompt."""
    orphans, unpaired_calls = unpaired(subagents, calls)
    for transcript in orphans:
        for call in unpaired_calls:
            prompt = str(call.input.get("prompt", "")).strip() if isinstance(call.input, dict) else ""
            if prompt and prompt == transcript.first_prompt and call.id not in transcript.tool_calls:
                transcript.parent_call = call.id
                unpaired_calls.remove(call)
                break


def pair_in_order(subagents: list[Transcript], calls: dict[str, ToolCall]) -> None:
    """Pair the remaining subagents and calls in order if their numbers are equal and each call precedes its subagent."""
    orphans, unpaired_calls = unpaired(subagents, calls)
    if len(orphans) != len(unpaired_calls):
        return
    pairs = list(zip(orphans, unpaired_calls, strict=True))
    if all(call.start <= (t.first_seen or 0) and call.id not in t.tool_calls for t, call in pairs):
        for transcript, call in pairs:
            transcript.parent_call, transcript.parent_guessed = call.id, True


def short_text(source: dict[str, Any], key: str) -> str | None:
    """The text under a key on one truncated line, None if it is missing or blank."""
    value = source.get(key)
    return shorten(value, MAX_SESSION_TITLE_LENGTH) or None if isinstance(value, str) else None


def subagent_name(session: Session, transcript: Transcript, meta: dict[str, Any], calls: dict[str, ToolCall]) -> str:
    """The name of a subagent: its type, else its workflow, else its task (unless texts are omitted), else its id."""
    if is_compaction(transcript):
        return "compaction"
    call = calls.get(transcript.parent_call or "")
    arguments = call.input if call and isinstance(call.input, dict) else {}
    workflow = short_text(call.details, "workflowName") if call else None
    task = short_text(arguments, "description") if not session.reading.options.without_texts else None
    names = (short_text(meta, "agentType"), short_text(arguments, "subagent_type"), workflow, task)
    return next(filter(None, names), f"agent {transcript.agent_id[:8]}")


def task_of(transcript: Transcript, call: ToolCall | None) -> str | None:
    """The task that a subagent was given: its first prompt, else the prompt of the call that started it."""
    if is_compaction(transcript):
        return None
    is_known = call is not None and not transcript.parent_guessed and isinstance(call.input, dict)
    prompt = call.input.get("prompt") if call is not None and is_known else None
    return transcript.first_prompt or (prompt if isinstance(prompt, str) and prompt.strip() else None)
