"""Logs of evaluations that Inspect wrote: .json, or .eval, which is a zip with a file for each sample.

A log is ``{"eval", "samples": [{"id", "epoch", "uuid", "events": [...]}]}``. In a sample, things happen as events: spans that
begin and end (steps, in old logs), calls of models and tools, commands in a sandbox, scores. An event names the span that
it is in. Old logs note a call when it is over, newer ones when it begins. Long texts stand apart, as attachments.

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
from tokenvis.conventions.span import SpanRead, given, needed, reason_of, shorten
from tokenvis.conventions.timestamps import microseconds
from tokenvis.formats.files.documents import items
from tokenvis.formats.files.head import Head, head_of
from tokenvis.formats.files.lenient_json import MISSING, mended_line, parse_json
from tokenvis.formats.files.reading import Reading
from tokenvis.formats.files.sources import bound_of

NAME = "Inspect logs"
AGENTS = {"agent", "subagent", "solver"}
INSTANTS = {"score", "error", "input", "approval", "sample_limit"}
ATTACHMENT = "attachment://"
CACHED = {
    "input_tokens_cache_read": "gen_ai.usage.cache_read.input_tokens",
    "input_tokens_cache_write": "gen_ai.usage.cache_creation.input_tokens",
    "reasoning_tokens": "gen_ai.usage.reasoning.output_tokens",
}


@dataclass
class Sample:
    """A sample while its events are read."""

    reading: Reading
    trace_id: str
    task: str
    attachments: dict[str, Any]
    spans: dict[str, SpanRead] = field(default_factory=dict)
    steps: list[str] = field(default_factory=list)
    last: int | None = None
    tool: SpanRead | None = None
    made: dict[str, SpanRead] = field(default_factory=dict)


def recognises(head: Head) -> bool:
    """Whether there is an evaluation with samples, or a list of its events; of archives, whether the members are its."""
    if head.kind == "archive":
        return "header.json" in head.names or "_journal/start.json" in head.names
    return any(
        (isinstance(item.get("eval"), dict) and {"task", "task_id", "run_id"} & item["eval"].keys())
        or is_event(next(iter(events), None) if isinstance(events := item.get("events"), list) else None)
        for item in head.objects
    )


def is_event(event: Any) -> bool:
    """Whether a value looks like an event of a sample."""
    return isinstance(event, dict) and isinstance(event.get("event"), str) and "timestamp" in event


def read(reading: Reading) -> Iterator[SpanRead]:
    """The spans of every sample."""
    head = head_of(reading.source)
    bare = head.kind != "archive" and any("events" in item and "eval" not in item for item in head.objects[:1])
    reading.unit = "sample"
    if head.kind == "archive":
        header, samples = packed_samples(reading)
    elif bare:
        header, samples = {}, ((number, {"id": "sample", **log}) for number, log in items(reading, "") if isinstance(log, dict))
    else:
        header = next((value for _, value in items(Reading(reading.source), "eval") if isinstance(value, dict)), {})
        samples = items(reading, "samples.item")
    found = False
    for number, sample in samples:
        reading.unit = "sample"
        found = True
        yield from spans_of_sample(reading, header, number, sample)
    if not found:
        reading.problem(None, "holds no samples, of which alone there are events")


def packed_samples(reading: Reading) -> tuple[dict[str, Any], Iterator[tuple[int, Any]]]:
    """The header of a zip, and its samples."""
    try:
        with zipfile.ZipFile(reading.source.path) as archive:
            names = archive.namelist()
            start = next((name for name in ("header.json", "_journal/start.json") if name in names), None)
            header = parse_json(member(archive, start, bound_of(reading.source))) if start else {}
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, RuntimeError, zlib.error, EOFError) as error:
        reading.problem(None, f"is a damaged archive ({error})")
        return {}, iter(())
    evaluation = header.get("eval") if isinstance(header, dict) else None
    return evaluation if isinstance(evaluation, dict) else {}, members(reading, [name for name in names if is_sample(name)])


def is_sample(name: str) -> bool:
    """Whether a member of the archive is a sample."""
    return name.startswith("samples/") and name.endswith(".json")


def members(reading: Reading, names: list[str]) -> Iterator[tuple[int, Any]]:
    """The samples of a zip; one that cannot be read is a problem."""
    left = bound_of(reading.source)
    with zipfile.ZipFile(reading.source.path) as archive:
        for number, name in enumerate(sorted(names), start=1):
            try:
                text = member(archive, name, left)
                left -= len(text)
            except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, RuntimeError, zlib.error, EOFError) as error:
                reading.problem(None, f"{name} cannot be read ({str(error) or type(error).__name__})")
                continue
            value = mended_line(text, number, reading, reading.source)  # scores may be NaN
            if value is not MISSING:
                yield number, value


def member(archive: zipfile.ZipFile, name: str, most: int) -> bytes:
    """A member of a zip; `ValueError` where it is longer than what may be unpacked."""
    with archive.open(name) as packed:
        text = packed.read(most + 1)
    if len(text) > most:
        raise ValueError(f"it unpacks to more than {most:,} bytes")
    return text


def spans_of_sample(reading: Reading, header: dict[str, Any], number: int, record: Any) -> Iterator[SpanRead]:
    """The spans of one sample, which is one trace."""
    if not isinstance(record, dict) or not isinstance(record.get("events"), list):
        reading.problem(number, "has no events")
        return
    task = as_name(header.get("task")) or "sample"
    attachments = record.get("attachments")
    sample = Sample(reading, trace_of(reading, header, record), task, attachments if isinstance(attachments, dict) else {})
    epoch = f" epoch {record['epoch']}" if isinstance(record.get("epoch"), int) else ""
    reading.name_trace(sample.trace_id, shorten(f"{task} {as_name(record.get('id')) or number}{epoch}"))
    take_events(sample, record["events"], number)
    for span in sample.made.values():
        span.line = number
        yield span


def trace_of(reading: Reading, header: dict[str, Any], record: dict[str, Any]) -> str:
    """The id of a sample: its own, else that of its run, with its number and its epoch."""
    if uuid := as_name(record.get("uuid")):
        return uuid
    run = as_name(header.get("run_id")) or as_name(header.get("eval_id"))
    run = run or blake2b(reading.source.origin.encode(), digest_size=8).hexdigest()
    return f"{run}/{as_name(record.get('id')) or 'sample'}/{as_name(record.get('epoch')) or 1}"


def take_events(sample: Sample, events: list[Any], number: int, parent: str | None = None) -> None:
    """Take in events; those of a subtask or of an old tool's call stand within it."""
    for event in events:
        try:
            take_event(sample, event, parent)
            held = event.get("events")
            if isinstance(held, list) and held:
                take_events(sample, held, number, next(reversed(sample.made), None))
        except (KeyError, TypeError, ValueError, ArithmeticError, RecursionError) as error:
            sample.reading.problem(number, f"an event: {reason_of(error)}")


def take_event(sample: Sample, event: Any, parent: str | None) -> None:
    """Take in one event."""
    if not isinstance(event, dict):
        raise TypeError(f"it is {type(event).__name__}")
    what, time = needed(event, "event", str), microseconds(needed(event, "timestamp", str))
    within = event.get("span_id")
    above = f"{sample.trace_id}/{within}" if isinstance(within, str) and within in sample.spans else None
    above = above or (sample.steps[-1] if sample.steps else parent)
    try:
        take_in(sample, event, what, time, above)
    finally:
        sample.last = time if sample.last is None else max(sample.last, time)


def take_in(sample: Sample, event: dict[str, Any], what: str, time: int, above: str | None) -> None:
    """Take in an event of a type, with the span that it is in."""
    if what == "span_begin":
        begin_span(sample, event, time)
    elif what == "span_end":
        end_span(sample, sample.spans.get(needed(event, "id", str)), time)
    elif what == "step":
        take_step(sample, event, time, above)
    elif what in ("model", "tool", "sandbox", "subtask"):
        take_call(sample, event, what, time, above)
    elif what in INSTANTS:
        add(sample, event, SpanRead(sample.trace_id, "", time, time, None, what, what, {"label": what, "kind": what}, above))
    else:
        sample.reading.skipped[f"events of type {what[:40]!r}"] += 1


def add(sample: Sample, event: dict[str, Any], span: SpanRead) -> None:
    """Keep a span; one that comes again, as when a call that was pending is complete, takes the place of the first."""
    uuid = event.get("uuid")
    span.id = span.id or f"{sample.trace_id}/{uuid if isinstance(uuid, str) and uuid else f'event.{len(sample.made)}'}"
    span.fallback = sample.task
    sample.made.pop(span.id, None)
    sample.made[span.id] = span


def begin_span(sample: Sample, event: dict[str, Any], time: int) -> None:
    """A span begins: an agent, a solver, a tool's call, ..."""
    own, name = needed(event, "id", str), given(event, "name", str) or "span"
    kind, above = given(event, "type", str) or "span", given(event, "parent_id", str)
    parent = f"{sample.trace_id}/{above}" if above and above != own else None
    place, call = kind, sample.tool
    if kind == "tool":  # the span of a tool lies within the event of its call
        place = location_of(tool=name)
        parent = call.id if call is not None and call.name == name and (call.end is None or call.end >= time) else parent
    data = {"label": shorten(name), "kind": kind, "status": "ok"}
    agent = name if kind in AGENTS else None
    span = SpanRead(sample.trace_id, f"{sample.trace_id}/{own}", time, None, agent, place, name, data, parent)
    sample.spans[own] = span
    add(sample, event, span)


def end_span(sample: Sample, span: SpanRead | None, time: int) -> None:
    """A span ends."""
    if span is None:
        sample.reading.skipped["ends of spans that never began"] += 1
    else:
        span.end = max(time, span.start)


def take_step(sample: Sample, event: dict[str, Any], time: int, above: str | None) -> None:
    """A step of an old log begins or ends."""
    if event.get("action") == "end":
        own = sample.steps.pop() if sample.steps else None
        end_span(sample, sample.made.get(own) if own else None, time)
        return
    name, kind = given(event, "name", str) or "step", given(event, "type", str) or "step"
    data = {"label": shorten(name), "kind": kind, "status": "ok"}
    span = SpanRead(sample.trace_id, "", time, None, name if kind in AGENTS else None, kind, name, data, above)
    add(sample, event, span)
    sample.steps.append(span.id)


def take_call(sample: Sample, event: dict[str, Any], what: str, time: int, above: str | None) -> None:
    """A call of a model or a tool, a command in a sandbox, or a subtask."""
    name, location, attributes = {"model": model_of, "tool": tool_of}.get(what, other_of)(sample, event)
    start, end, estimated = times_of(event, time)
    if start == end and "working_start" not in event and what in ("model", "tool") and sample.last is not None:
        start, estimated = min(sample.last, time), "start_time"  # an old log, in which nothing tells when it began
    failed = bool(event.get("error")) or (what == "sandbox" and event.get("result") not in (None, 0))
    status = "error" if failed else "ok"
    data: dict[str, Any] = {"label": label_of(sample, event, name), "kind": what, "status": status}
    if estimated:
        data["estimated"] = [estimated]
    data["attributes"] = {key: value for key, value in attributes.items() if value is not None}
    agent = as_name(event.get("agent")) if what == "tool" else None
    span = SpanRead(sample.trace_id, "", start, end, agent, location, name, data, above)
    add(sample, event, span)
    sample.tool = span if what == "tool" else sample.tool


def times_of(event: dict[str, Any], time: int) -> tuple[int, int | None, str | None]:
    """Start and end of a call, and which of them is estimated."""
    if event.get("completed"):
        return time, max(time, microseconds(needed(event, "completed", str))), None
    if event.get("pending"):
        return time, None, None
    output = event.get("output")
    told = (event.get("working_time"), inner(output, "time"), inner(event.get("call"), "time"))
    lasted: Any = next((value for value in told if isinstance(value, int | float | Decimal) and value), 0)
    lasts = int(lasted * 1_000_000) if abs(lasted) < 10**9 else 0
    if not 0 < lasts < 10**15:
        return time, time, None
    if "working_start" in event:
        return time, time + lasts, "end_time"
    return time - lasts, time, "start_time"  # old logs note a call when it is over


def inner(value: Any, key: str) -> Any:
    """What stands under a key of an object, None where it is none."""
    return value.get(key) if isinstance(value, dict) else None


def model_of(sample: Sample, event: dict[str, Any]) -> tuple[str, str, dict[str, Any]]:
    """What a call of a model says: its name, its place, its attributes."""
    model, output = given(event, "model", str), event.get("output")
    attributes: dict[str, Any] = {"gen_ai.operation.name": "chat", "gen_ai.request.model": model}
    attributes["gen_ai.response.model"] = inner(output, "model")
    choices = inner(output, "choices")
    texts = [inner(inner(choice, "message"), "content") for choice in choices] if isinstance(choices, list) else []
    attributes["gen_ai.output.messages"] = [resolved(sample, text) for text in texts if text] or None
    return model or "model", location_of(model=model), attributes | tokens_of(inner(output, "usage"))


def tokens_of(usage: Any) -> dict[str, int]:
    """Token counts with the cached ones among the input: by the total, it is told whether they are."""
    counts = {key: count for key, count in usage.items() if type(count) is int} if isinstance(usage, dict) else {}
    tokens = {name: counts[key] for key, name in CACHED.items() if key in counts}
    read, wrote = counts.get("input_tokens"), counts.get("output_tokens")
    if read is not None:
        cached = counts.get("input_tokens_cache_read", 0) + counts.get("input_tokens_cache_write", 0)
        apart = counts.get("total_tokens") == read + (wrote or 0) + cached
        tokens["gen_ai.usage.input_tokens"] = read + cached if apart else read
    if wrote is not None:
        tokens["gen_ai.usage.output_tokens"] = wrote
    return tokens


def tool_of(sample: Sample, event: dict[str, Any]) -> tuple[str, str, dict[str, Any]]:
    """What a call of a tool says."""
    name = given(event, "function", str) or "tool"
    attributes: dict[str, Any] = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": name}
    attributes["gen_ai.tool.call.id"] = as_name(event.get("id"))
    attributes["gen_ai.tool.call.arguments"] = resolved(sample, event.get("arguments")) or None
    attributes["gen_ai.tool.call.result"] = resolved(sample, event.get("result")) or None
    return name, location_of(tool=name), attributes


def other_of(sample: Sample, event: dict[str, Any]) -> tuple[str, str, dict[str, Any]]:
    """What a command in a sandbox, or a subtask, says."""
    if event["event"] == "subtask":
        name = given(event, "name", str) or "subtask"
        return name, f"node:{name}", {"input": resolved(sample, event.get("input"))}
    action = given(event, "action", str) or "exec"
    keys = ("cmd", "file", "input", "output", "result")
    return action, f"sandbox:{action}", {key: resolved(sample, event.get(key)) for key in keys}


def label_of(sample: Sample, event: dict[str, Any], name: str) -> str:
    """What a call was about, in a few words."""
    arguments = event.get("arguments")
    texts = [event.get("cmd"), *(arguments.values() if isinstance(arguments, dict) else ())]
    text = next((value for value in texts if isinstance(value, str) and value.strip()), None)
    return shorten(str(resolved(sample, text))) if text else name


def resolved(sample: Sample, value: Any) -> Any:
    """A value with the attachments that it names in their places."""
    if isinstance(value, str):
        return sample.attachments.get(value.removeprefix(ATTACHMENT), value) if value.startswith(ATTACHMENT) else value
    if isinstance(value, list):
        return [resolved(sample, item) for item in value]
    if isinstance(value, dict):
        return {key: resolved(sample, item) for key, item in value.items()}
    return value
