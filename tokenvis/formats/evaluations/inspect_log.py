"""Evaluation logs of Inspect: .json, or .eval, which is a zip with a file for each sample.

A log is ``{"eval", "samples": [{"id", "epoch", "uuid", "events": [...]}]}``. The events of a sample are the begin and end of
spans (steps in old logs), calls of models and tools, commands in a sandbox, scores. An event names the span that contains it.
Old logs record a call when it ends, newer ones when it begins. Long texts are stored separately as attachments.

Source: Inspect's documentation of its logs, and logs of several of its versions.
"""

import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from hashlib import blake2b
from typing import Any

from tokenvis.conventions.rules import as_name, location_of
from tokenvis.conventions.span import SpanRead, optional_value, problem_reason, required_value, shorten
from tokenvis.conventions.timestamps import microseconds
from tokenvis.formats.files.documents import document_items
from tokenvis.formats.files.head import Head, head_of
from tokenvis.formats.files.lenient_json import UNREADABLE, parse_damaged_line, parse_json
from tokenvis.formats.files.reading import Reading
from tokenvis.formats.files.sources import unpack_limit
from tokenvis.tree.states import USER

NAME = "Inspect logs"
AGENT_SPAN_TYPES = {"agent", "subagent", "solver"}
INSTANT_EVENTS = {"score", "error", "input", "approval", "sample_limit"}
HUMAN_APPROVERS = {"human", "inspect_ai/human"}
ATTACHMENT_PREFIX = "attachment://"
INSPECT_TOKEN_KEYS = {
    "input_tokens_cache_read": "gen_ai.usage.cache_read.input_tokens",
    "input_tokens_cache_write": "gen_ai.usage.cache_creation.input_tokens",
    "reasoning_tokens": "gen_ai.usage.reasoning.output_tokens",
}


@dataclass
class Sample:
    """A sample while its events are read.

    ``approved_from`` has, by the id of each tool call, its span and the time from which the next approver decides.
    """

    reading: Reading
    trace_id: str
    task: str
    attachments: dict[str, Any]
    spans_by_source_id: dict[str, SpanRead] = field(default_factory=dict)
    open_steps: list[str] = field(default_factory=list)
    last_time: int | None = None
    last_tool_span: SpanRead | None = None
    approved_from: dict[str, tuple[str, int]] = field(default_factory=dict)
    spans: dict[str, SpanRead] = field(default_factory=dict)


def recognises(head: Head) -> bool:
    """Whether the head contains an evaluation or a list of its events; of an archive, whether it has a log's members."""
    if head.kind == "archive":
        return "header.json" in head.names or "_journal/start.json" in head.names
    return any(
        (isinstance(item.get("eval"), dict) and {"task", "task_id", "run_id"} & item["eval"].keys())
        or is_sample_event(next(iter(events), None) if isinstance(events := item.get("events"), list) else None)
        for item in head.objects
    )


def is_sample_event(event: Any) -> bool:
    """Whether a value looks like an event of a sample."""
    return isinstance(event, dict) and isinstance(event.get("event"), str) and "timestamp" in event


def read(reading: Reading) -> Iterator[SpanRead]:
    """The spans of every sample."""
    head = head_of(reading.source)
    is_one_sample = head.kind != "archive" and any("events" in item and "eval" not in item for item in head.objects[:1])
    reading.record_noun = "sample"
    if head.kind == "archive":
        evaluation, samples = archive_samples(reading)
    elif is_one_sample:
        evaluation, samples = (
            {},
            ((number, {"id": "sample", **log}) for number, log in document_items(reading, "") if isinstance(log, dict)),
        )
    else:
        evaluation = next(
            (value for _, value in document_items(Reading(reading.source), "eval") if isinstance(value, dict)), {}
        )
        samples = document_items(reading, "samples.item")
    has_samples = False
    for number, sample in samples:
        reading.record_noun = "sample"
        has_samples = True
        yield from spans_of_sample(reading, evaluation, number, sample)
    if not has_samples:
        reading.add_problem(None, "contains no samples")


def archive_samples(reading: Reading) -> tuple[dict[str, Any], Iterator[tuple[int, Any]]]:
    """The evaluation object of an archive, and its samples."""
    try:
        with zipfile.ZipFile(reading.source.path) as archive:
            names = archive.namelist()
            start = next((name for name in ("header.json", "_journal/start.json") if name in names), None)
            header = parse_json(member_bytes(archive, start, unpack_limit(reading.source))) if start else {}
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, RuntimeError, zlib.error, EOFError) as error:
        reading.add_problem(None, f"is a damaged archive ({error})")
        return {}, iter(())
    evaluation = header.get("eval") if isinstance(header, dict) else None
    return evaluation if isinstance(evaluation, dict) else {}, sample_members(
        reading, [name for name in names if is_sample_name(name)]
    )


def is_sample_name(name: str) -> bool:
    """Whether a name in an archive is a sample's."""
    return name.startswith("samples/") and name.endswith(".json")


def sample_members(reading: Reading, names: list[str]) -> Iterator[tuple[int, Any]]:
    """The samples of an archive; a sample that cannot be read becomes a problem."""
    bytes_left = unpack_limit(reading.source)
    with zipfile.ZipFile(reading.source.path) as archive:
        for number, name in enumerate(sorted(names), start=1):
            try:
                text = member_bytes(archive, name, bytes_left)
                bytes_left -= len(text)
            except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, RuntimeError, zlib.error, EOFError) as error:
                reading.add_problem(None, f"{name} cannot be read ({str(error) or type(error).__name__})")
                continue
            value = parse_damaged_line(text, number, reading, reading.source)  # scores may be NaN
            if value is not UNREADABLE:
                yield number, value


def member_bytes(archive: zipfile.ZipFile, name: str, limit: int) -> bytes:
    """The bytes of an archive's member; `ValueError` if they exceed the limit."""
    with archive.open(name) as packed:
        text = packed.read(limit + 1)
    if len(text) > limit:
        raise ValueError(f"it unpacks to more than {limit:,} bytes")
    return text


def spans_of_sample(reading: Reading, evaluation: dict[str, Any], number: int, record: Any) -> Iterator[SpanRead]:
    """The spans of one sample, which is a trace."""
    if not isinstance(record, dict) or not isinstance(record.get("events"), list):
        reading.add_problem(number, "has no events")
        return
    task = as_name(evaluation.get("task")) or "sample"
    attachments = record.get("attachments")
    sample = Sample(
        reading, sample_trace_id(reading, evaluation, record), task, attachments if isinstance(attachments, dict) else {}
    )
    epoch = f" epoch {record['epoch']}" if isinstance(record.get("epoch"), int) else ""
    reading.name_trace(sample.trace_id, shorten(f"{task} {as_name(record.get('id')) or number}{epoch}"))
    add_events(sample, record["events"], number)
    for span in sample.spans.values():
        span.line = number
        yield span


def sample_trace_id(reading: Reading, evaluation: dict[str, Any], record: dict[str, Any]) -> str:
    """The trace id of a sample: its own id, else its run, number and epoch."""
    if uuid := as_name(record.get("uuid")):
        return uuid
    run = as_name(evaluation.get("run_id")) or as_name(evaluation.get("eval_id"))
    run = run or blake2b(reading.source.origin.encode(), digest_size=8).hexdigest()
    return f"{run}/{as_name(record.get('id')) or 'sample'}/{as_name(record.get('epoch')) or 1}"


def add_events(sample: Sample, events: list[Any], number: int, parent: str | None = None) -> None:
    """Add events; events of a subtask or of an old tool call are nested in it."""
    for event in events:
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
    agent = name if kind in AGENT_SPAN_TYPES else None
    span = SpanRead(sample.trace_id, f"{sample.trace_id}/{source_id}", time, None, agent, location, name, data, parent)
    sample.spans_by_source_id[source_id] = span
    add_span(sample, event, span)


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
    name, location, attributes = {"model": model_call_parts, "tool": tool_call_parts}.get(event_type, other_call_parts)(
        sample, event
    )
    start, end, estimated = call_times(event, time)
    if start == end and "working_start" not in event and event_type in ("model", "tool") and sample.last_time is not None:
        start, estimated = min(sample.last_time, time), "start_time"  # an old log without the start of a call
    failed = bool(event.get("error")) or (event_type == "sandbox" and event.get("result") not in (None, 0))
    status = "error" if failed else "ok"
    data: dict[str, Any] = {"label": event_label(sample, event, name), "kind": event_type, "status": status}
    if estimated:
        data["estimated"] = [estimated]
    data["attributes"] = {key: value for key, value in attributes.items() if value is not None}
    agent = as_name(event.get("agent")) if event_type == "tool" else None
    span = SpanRead(sample.trace_id, "", start, end, agent, location, name, data, parent_id)
    add_span(sample, event, span)
    if event_type == "tool":
        sample.last_tool_span = span
        sample.approved_from[as_name(event.get("id")) or ""] = span.id, start


def call_times(event: dict[str, Any], time: int) -> tuple[int, int | None, str | None]:
    """The start and end of a call, and which of them is estimated."""
    if event.get("completed"):
        return time, max(time, microseconds(required_value(event, "completed", str))), None
    if event.get("pending"):
        return time, None, None
    output = event.get("output")
    candidates = (event.get("working_time"), nested_value(output, "time"), nested_value(event.get("call"), "time"))
    duration_s: Any = next((value for value in candidates if isinstance(value, int | float | Decimal) and value), 0)
    duration_us = int(duration_s * 1_000_000) if abs(duration_s) < 10**9 else 0
    if not 0 < duration_us < 10**15:
        return time, time, None
    if "working_start" in event:
        return time, time + duration_us, "end_time"
    return time - duration_us, time, "start_time"  # old logs record a call when it ends


def nested_value(value: Any, key: str) -> Any:
    """The value under a key of an object, None if it is not an object."""
    return value.get(key) if isinstance(value, dict) else None


def model_call_parts(sample: Sample, event: dict[str, Any]) -> tuple[str, str, dict[str, Any]]:
    """The name, location and attributes of a model call."""
    model, output = optional_value(event, "model", str), event.get("output")
    attributes: dict[str, Any] = {"gen_ai.operation.name": "chat", "gen_ai.request.model": model}
    attributes["gen_ai.response.model"] = nested_value(output, "model")
    choices = nested_value(output, "choices")
    texts = (
        [nested_value(nested_value(choice, "message"), "content") for choice in choices] if isinstance(choices, list) else []
    )
    attributes["gen_ai.output.messages"] = [with_attachments(sample, text) for text in texts if text] or None
    return model or "model", location_of(model=model), attributes | inspect_tokens(nested_value(output, "usage"))


def inspect_tokens(usage: Any) -> dict[str, int]:
    """Token counts with cached tokens in the input; the total shows whether the source includes them."""
    counts = {key: count for key, count in usage.items() if type(count) is int} if isinstance(usage, dict) else {}
    tokens = {name: counts[key] for key, name in INSPECT_TOKEN_KEYS.items() if key in counts}
    n_input, n_output = counts.get("input_tokens"), counts.get("output_tokens")
    if n_input is not None:
        cached = counts.get("input_tokens_cache_read", 0) + counts.get("input_tokens_cache_write", 0)
        is_separate = counts.get("total_tokens") == n_input + (n_output or 0) + cached
        tokens["gen_ai.usage.input_tokens"] = n_input + cached if is_separate else n_input
    if n_output is not None:
        tokens["gen_ai.usage.output_tokens"] = n_output
    return tokens


def tool_call_parts(sample: Sample, event: dict[str, Any]) -> tuple[str, str, dict[str, Any]]:
    """The name, location and attributes of a tool call."""
    name = optional_value(event, "function", str) or "tool"
    attributes: dict[str, Any] = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": name}
    attributes["gen_ai.tool.call.id"] = as_name(event.get("id"))
    attributes["gen_ai.tool.call.arguments"] = with_attachments(sample, event.get("arguments")) or None
    attributes["gen_ai.tool.call.result"] = with_attachments(sample, event.get("result")) or None
    return name, location_of(tool=name), attributes


def other_call_parts(sample: Sample, event: dict[str, Any]) -> tuple[str, str, dict[str, Any]]:
    """The name, location and attributes of a sandbox command or a subtask."""
    if event["event"] == "subtask":
        name = optional_value(event, "name", str) or "subtask"
        return name, f"node:{name}", {"input": with_attachments(sample, event.get("input"))}
    action = optional_value(event, "action", str) or "exec"
    keys = ("cmd", "file", "input", "output", "result")
    return action, f"sandbox:{action}", {key: with_attachments(sample, event.get(key)) for key in keys}


def event_label(sample: Sample, event: dict[str, Any], name: str) -> str:
    """A short label for a call, from its command or arguments."""
    arguments = event.get("arguments")
    texts = [event.get("cmd"), *(arguments.values() if isinstance(arguments, dict) else ())]
    text = next((value for value in texts if isinstance(value, str) and value.strip()), None)
    return shorten(str(with_attachments(sample, text))) if text else name


def with_attachments(sample: Sample, value: Any) -> Any:
    """A value with the attachments that it names inserted."""
    if isinstance(value, str):
        return (
            sample.attachments.get(value.removeprefix(ATTACHMENT_PREFIX), value)
            if value.startswith(ATTACHMENT_PREFIX)
            else value
        )
    if isinstance(value, list):
        return [with_attachments(sample, item) for item in value]
    if isinstance(value, dict):
        return {key: with_attachments(sample, item) for key, item in value.items()}
    return value
