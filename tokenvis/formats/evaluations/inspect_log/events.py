"""The events of one sample of an Inspect log, and the spans that they become.

The events are the begin and end of spans (steps in old logs), calls of models and tools, commands in a sandbox, scores. An
event names the span that contains it. Some logs record a call when it ends, others when it begins (`stamps`). A tool call has
the id by which a model's message asked for it; if it started an agent, the id of the agent's span.
"""

from dataclasses import dataclass, field
from typing import Any

from tokenvis.conventions.rules import as_name, location_of
from tokenvis.conventions.span import SpanRead, optional_value, problem_reason, required_value, shorten
from tokenvis.conventions.timestamps import microseconds
from tokenvis.formats.evaluations.inspect_log.calls import (
    event_label,
    model_call_parts,
    nested_value,
    other_call_parts,
    task_in,
    tool_call_parts,
    tool_calls_in,
)
from tokenvis.formats.evaluations.inspect_log.stamps import CallTimes, stamped_times
from tokenvis.formats.files.reading import Reading
from tokenvis.tree.states import USER

AGENT_SPAN_TYPES = {"agent", "subagent", "solver"}
INSTANT_EVENTS = {"score", "error", "input", "approval", "sample_limit"}
MAX_LEVELS_TO_AGENT = 32  # parents may form a cycle
HUMAN_APPROVERS = {"human", "inspect_ai/human"}


@dataclass
class Sample:
    """A sample while its events are read.

    By the id of each tool call, ``approved_from`` has its span and the time from which the next approver decides, and
    ``asked_by`` the span of the last model call that asked for it. ``tasks`` are those of agents, by the ids of their spans.
    ``stamped`` has the times of the current event if it is a call without a recorded end.
    """

    reading: Reading
    trace_id: str
    task: str
    attachments: dict[str, Any]
    spans_by_source_id: dict[str, SpanRead] = field(default_factory=dict)
    open_steps: list[str] = field(default_factory=list)
    last_time: int | None = None
    stamped: CallTimes | None = None
    last_tool_span: SpanRead | None = None
    approved_from: dict[str, tuple[str, int]] = field(default_factory=dict)
    asked_by: dict[str, str] = field(default_factory=dict)
    tasks: dict[str, str] = field(default_factory=dict)
    spans: dict[str, SpanRead] = field(default_factory=dict)


def add_events(sample: Sample, events: list[Any], number: int, parent: str | None = None) -> None:
    """Add events; events of a subtask or of an old tool call are nested in it."""
    stamped = stamped_times(events)
    for position, event in enumerate(events):
        sample.stamped = stamped.get(position)
        try:
            add_event(sample, event, parent)
            nested = event.get("events")
            if isinstance(nested, list) and nested:
                add_events(sample, nested, number, next(reversed(sample.spans), None))
        except (KeyError, TypeError, ValueError, ArithmeticError, RecursionError) as error:
            sample.reading.add_problem(number, f"an event: {problem_reason(error)}")


def add_event(sample: Sample, event: Any, parent: str | None) -> None:
    """Add one event."""
    if not isinstance(event, dict):
        raise TypeError(f"it is of type {type(event).__name__}")
    event_type, time = required_value(event, "event", str), microseconds(required_value(event, "timestamp", str))
    span_id = event.get("span_id")
    parent_id = f"{sample.trace_id}/{span_id}" if isinstance(span_id, str) and span_id in sample.spans_by_source_id else None
    parent_id = parent_id or (sample.open_steps[-1] if sample.open_steps else parent)
    try:
        add_typed_event(sample, event, event_type, time, parent_id)
    finally:
        sample.last_time = time if sample.last_time is None else max(sample.last_time, time)


def add_typed_event(sample: Sample, event: dict[str, Any], event_type: str, time: int, parent_id: str | None) -> None:
    """Add an event by its type, as a child of a span."""
    if event_type == "span_begin":
        begin_span(sample, event, time)
    elif event_type == "span_end":
        end_span(sample, sample.spans_by_source_id.get(required_value(event, "id", str)), time)
    elif event_type == "step":
        add_step(sample, event, time, parent_id)
    elif event_type in ("model", "tool", "sandbox", "subtask"):
        add_call(sample, event, event_type, time, parent_id)
    elif event_type in INSTANT_EVENTS:
        add_instant(sample, event, event_type, time, parent_id)
    else:
        sample.reading.skipped[f"events of type {event_type[:40]!r}"] += 1


def add_instant(sample: Sample, event: dict[str, Any], event_type: str, time: int, parent_id: str | None) -> None:
    """Add an event that is recorded when it is over, as an instant; the wait for a person's approval begins with the call.

    Approvers decide one after the other, before the tool runs, unless they approve its result.
    """
    start = time
    data: dict[str, Any] = {"label": event_type, "kind": event_type}
    is_approval = event_type == "approval" and event.get("stage") != "result"
    call_id = as_name(nested_value(event.get("call"), "id")) if is_approval else None
    call, asked = sample.approved_from.get(call_id, (None, time)) if call_id else (None, time)
    if call_id and call:
        sample.approved_from[call_id] = call, time
    if event_type == "input" or (event_type == "approval" and as_name(event.get("approver")) in HUMAN_APPROVERS):
        data["waits_for"] = USER
        if asked < time:
            start, data["estimated"] = asked, ["start_time"]
            parent_id = parent_id if parent_id in sample.spans and sample.spans[parent_id].parent == call else call
    add_span(sample, event, SpanRead(sample.trace_id, "", start, time, None, event_type, event_type, data, parent_id))


def add_span(sample: Sample, event: dict[str, Any], span: SpanRead) -> None:
    """Add a span; a repeated span, such as a pending call that is complete, replaces the first."""
    uuid = event.get("uuid")
    span.id = span.id or f"{sample.trace_id}/{uuid if isinstance(uuid, str) and uuid else f'event.{len(sample.spans)}'}"
    span.fallback_agent = sample.task
    sample.spans.pop(span.id, None)
    sample.spans[span.id] = span


def begin_span(sample: Sample, event: dict[str, Any], time: int) -> None:
    """Begin a span: an agent, a solver, a tool call, ..."""
    source_id, name = required_value(event, "id", str), optional_value(event, "name", str) or "span"
    kind, parent_source_id = optional_value(event, "type", str) or "span", optional_value(event, "parent_id", str)
    parent = f"{sample.trace_id}/{parent_source_id}" if parent_source_id and parent_source_id != source_id else None
    location, call = kind, sample.last_tool_span
    if kind == "tool":  # a tool's span is nested in the event of its call
        location = location_of(tool=name)
        parent = call.id if call is not None and call.name == name and (call.end is None or call.end >= time) else parent
    data = {"label": shorten(name), "kind": kind, "status": "ok"}
    span = SpanRead(sample.trace_id, f"{sample.trace_id}/{source_id}", time, None, None, location, name, data, parent)
    if kind in AGENT_SPAN_TYPES:
        span.agent, span.agent_key = name, agent_key_of(sample, name, source_id, parent)
    sample.spans_by_source_id[source_id] = span
    add_span(sample, event, span)


def agent_key_of(sample: Sample, agent: str, source_id: str, parent: str | None) -> str:
    """The id of an agent: that of its span, or of the span around it if that runs the same agent: a solver runs its agent."""
    above = sample.spans.get(parent) if parent else None
    for _ in range(MAX_LEVELS_TO_AGENT):
        if above is None or above.agent is not None:
            break
        above = sample.spans.get(above.parent) if above.parent else None
    return above.agent_key if above is not None and above.agent == agent and above.agent_key else source_id


def end_span(sample: Sample, span: SpanRead | None, time: int) -> None:
    """End a span."""
    if span is None:
        sample.reading.skipped["ends of unknown spans"] += 1
    else:
        span.end = max(time, span.start)


def add_step(sample: Sample, event: dict[str, Any], time: int, parent_id: str | None) -> None:
    """Begin or end a step of an old log."""
    if event.get("action") == "end":
        span_id = sample.open_steps.pop() if sample.open_steps else None
        end_span(sample, sample.spans.get(span_id) if span_id else None, time)
        return
    name, kind = optional_value(event, "name", str) or "step", optional_value(event, "type", str) or "step"
    data = {"label": shorten(name), "kind": kind, "status": "ok"}
    span = SpanRead(sample.trace_id, "", time, None, name if kind in AGENT_SPAN_TYPES else None, kind, name, data, parent_id)
    add_span(sample, event, span)
    sample.open_steps.append(span.id)


def add_call(sample: Sample, event: dict[str, Any], event_type: str, time: int, parent_id: str | None) -> None:
    """Add a model call, a tool call, a command in a sandbox or a subtask."""
    parts = {"model": model_call_parts, "tool": tool_call_parts}.get(event_type, other_call_parts)
    name, location, attributes = parts(sample.attachments, event)
    start, end, estimated = call_times(sample, event, event_type, time)
    failed = bool(event.get("error")) or (event_type == "sandbox" and event.get("result") not in (None, 0))
    status = "error" if failed else "ok"
    data: dict[str, Any] = {"label": event_label(sample.attachments, event, name), "kind": event_type, "status": status}
    if estimated:
        data["estimated"] = [estimated]
    data["attributes"] = {key: value for key, value in attributes.items() if value is not None}
    agent = as_name(event.get("agent")) if event_type == "tool" else None
    span = SpanRead(sample.trace_id, "", start, end, agent, location, name, data, parent_id)
    add_span(sample, event, span)
    if event_type == "model":
        sample.asked_by |= dict.fromkeys(tool_calls_in(event), span.id)
    elif event_type == "tool":
        note_tool_call(sample, event, span)
    elif event_type == "subtask" and (task := task_in(attributes.get("input"))):
        data["task"] = task


def note_tool_call(sample: Sample, event: dict[str, Any], span: SpanRead) -> None:
    """Record what other events refer to: the call's span, who asked for it, and the task of an agent that it started."""
    call_id, arguments = as_name(event.get("id")) or "", span.data["attributes"].get("gen_ai.tool.call.arguments")
    sample.last_tool_span = span
    sample.approved_from[call_id] = span.id, span.start
    if asked_by := sample.asked_by.get(call_id):
        span.data["requested_by"] = asked_by
    if (agent_span := as_name(event.get("agent_span_id"))) and (task := task_in(arguments)):
        sample.tasks[agent_span] = task


def call_times(sample: Sample, event: dict[str, Any], event_type: str, time: int) -> tuple[int, int | None, str | None]:
    """The start and end of a call, and which of them is estimated."""
    if event.get("completed"):
        return time, max(time, microseconds(required_value(event, "completed", str))), None
    if event.get("pending"):
        return time, None, None
    if sample.stamped is not None:
        return sample.stamped
    if "working_start" not in event and event_type in ("model", "tool") and sample.last_time is not None:
        return min(sample.last_time, time), time, "start_time"  # an old log without the start of a call
    return time, time, None
