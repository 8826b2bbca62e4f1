"""The compactions of Claude Code: whose context each one summarises, and what caused it.

A compaction has a transcript of its own in most versions. Its first span names in ``links`` the call of the compacted agent
that ended last, and the agent's next model call names the compaction's last span. A line of the compacted agent, the boundary,
follows each compaction and has its trigger: "user" for a typed ``/compact``, "context" if the context was full. The trigger is
that of the compaction or, without its transcript, that of the agent's next model call.
"""

from collections.abc import Iterator
from typing import Any

from tokenvis.formats.sessions.claude_code.transcripts import ModelCall, Transcript
from tokenvis.tree.states import USER

COMPACTION_PREFIX = "acompact-"
TRIGGERS = {"manual": USER, "auto": "context"}


def is_compaction(transcript: Transcript) -> bool:
    """Whether a transcript is that of a compaction."""
    return transcript.agent_id.startswith(COMPACTION_PREFIX)


def causes_of_compactions(transcripts: list[Transcript], trace_id: str) -> dict[str, dict[str, Any]]:
    """The links and the trigger of model calls at compactions, by the id of the call."""
    compactions = sorted(filter(is_compaction, transcripts), key=lambda transcript: (transcript.last_seen, transcript.agent_id))
    others = [transcript for transcript in transcripts if not is_compaction(transcript)]
    boundaries = sorted(((*boundary, owner) for owner in others for boundary in owner.boundaries), key=lambda found: found[0])
    causes: dict[str, dict[str, Any]] = {}
    for compaction in compactions:
        boundary = next((boundary for boundary in boundaries if boundary[0] >= compaction.last_seen), None)
        if boundary:
            boundaries.remove(boundary)
        trigger, owner = boundary[1:] if boundary else (None, next((each for each in others if not each.agent_id), None))
        if owner is not None and compaction.model_calls:
            causes |= dict(links_of_compaction(compaction, owner, trace_id))
            first = min(compaction.model_calls.values(), key=start_and_id)
            causes.setdefault(first.id, {}).update(trigger_data(trigger))
    for time, trigger, owner in boundaries:
        if following := model_call_after(owner, time):
            causes[following.id] = trigger_data(trigger) | causes.get(following.id, {})
    return causes


def trigger_data(trigger: Any) -> dict[str, str]:
    """The key of a span's data for the trigger of a boundary."""
    return {"trigger": TRIGGERS[trigger]} if isinstance(trigger, str) and trigger in TRIGGERS else {}


def start_and_id(call: ModelCall) -> tuple[int, str]:
    """The order of calls in time."""
    return call.start, call.id


def links_of_compaction(compaction: Transcript, owner: Transcript, trace_id: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The links of a compaction's first model call, and of the next model call of the agent that it compacts."""
    calls = sorted(compaction.model_calls.values(), key=start_and_id)
    ends = [(call.start if call.end is None else call.end, call.id) for call in owner.tool_calls.values()]
    ends += [(call.end, call.id) for call in owner.model_calls.values()]
    before = max(((end, id_) for end, id_ in ends if end <= calls[0].start), default=None)
    if before:
        yield calls[0].id, {"links": [f"{trace_id}/{before[1]}"]}
    if after := model_call_after(owner, calls[-1].end):
        yield after.id, {"links": [f"{trace_id}/{calls[-1].id}"]}


def model_call_after(transcript: Transcript, time: int) -> ModelCall | None:
    """The first model call that starts at a time or later."""
    return min((call for call in transcript.model_calls.values() if call.start >= time), key=start_and_id, default=None)
