"""Chrome's trace events, as browsers, Perfetto, viztracer and tokenvis write them.

An array of events (its last bracket may be missing), or an object with "traceEvents". A slice is a complete event (X), a pair
of begin and end (B, E) on one thread, or a pair with one id (b, e; formerly S, F), on any threads; i is an instant, M is a
name, and s, t, f are the points of a flow, an arrow between slices. Times are microseconds, as numbers or digits, from an
arbitrary origin. The file is read twice: first for names, times and flows, then for the data of its events.

Source: "Trace Event Format", and what the importer of Perfetto's trace processor does with it.
"""

from array import array
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from hashlib import blake2b
from pathlib import PurePosixPath
from typing import Any, NamedTuple, TypeAlias

from tokenvis.conventions.figures import normalise_figures
from tokenvis.conventions.span import SpanRead, problem_reason, required_value, shorten
from tokenvis.conventions.timestamps import is_number_text
from tokenvis.formats.files.documents import document_items
from tokenvis.formats.files.head import Head, head_of, text_start
from tokenvis.formats.files.reading import Reading
from tokenvis.formats.restored import restored_span
from tokenvis.spans.columns import YEAR_10000

NAME = "Chrome traces"
NO_SLICE = -1
NO_END = 2**62  # the end time of a slice without an end
INSTANT_PHASES = {"i", "I", "R", "n"}
BEGIN_PHASES, END_PHASES = {"b", "S"}, {"e", "F"}
FLOW_PHASES = {"s", "t", "f"}
WRITER = {"writer": "tokenvis", "version": 1}
ThreadKey: TypeAlias = tuple[str, str]
IntArray: TypeAlias = "array[int]"


class Slice(NamedTuple):
    """A slice of a thread; ``number`` counts the slices of a thread in the order of their begin events."""

    thread: ThreadKey
    number: int
    start: int
    end: int | None
    event: dict[str, Any]
    event_number: int
    parent_number: int = NO_SLICE  # the number of the asynchronous slice that encloses it
    nested: bool = True  # whether an enclosing slice of its thread is its parent


class FlowPoint(NamedTuple):
    """A point of a flow: phase s begins the flow, t continues it, f ends it."""

    time: int
    phase: str
    thread: ThreadKey
    enclosed: bool


@dataclass
class ThreadStates:
    """The state of all threads while events are read: open slices, flows, and names of processes and threads."""

    counts: Counter[ThreadKey] = field(default_factory=Counter)
    open_slices: dict[ThreadKey, list[Slice]] = field(default_factory=dict)
    open_pairs: dict[tuple[str, ...], list[Slice]] = field(default_factory=dict)
    names: dict[tuple[str, ...], str] = field(default_factory=dict)
    flows: dict[tuple[str, ...], list[FlowPoint]] = field(default_factory=dict)


@dataclass
class Outline:
    """The times, parents and links of all slices, in the order in which they were read."""

    threads: ThreadStates
    slice_threads: list[ThreadKey] = field(default_factory=list)
    numbers: IntArray = field(default_factory=lambda: array("q"))
    starts: IntArray = field(default_factory=lambda: array("q"))
    ends: IntArray = field(default_factory=lambda: array("q"))
    rows: dict[ThreadKey, IntArray] = field(default_factory=dict)
    parents: IntArray = field(default_factory=lambda: array("q"))
    links: dict[int, list[int]] = field(default_factory=dict)


def recognises(head: Head) -> bool:
    """Whether the head contains events with a phase and a time, or names, or begins an export without spans."""
    if any(item.get("otherData") == WRITER and item.get("traceEvents") == [] for item in head.objects):
        return True
    lists = [item.get("traceEvents", [item]) for item in head.objects]
    return any(is_trace_event(event) for items in lists if isinstance(items, list) for event in items)


def is_trace_event(event: Any) -> bool:
    """Whether a value looks like an event."""
    return isinstance(event, dict) and isinstance(event.get("ph"), str) and ("ts" in event or event["ph"] == "M")


def read(reading: Reading) -> Iterator[SpanRead]:
    """The spans of a file."""
    trace_id = file_trace_id(reading)
    reading.name_trace(trace_id, PurePosixPath(reading.source.name).stem)
    outline = outline_of(Reading(reading.source))
    for row, thread_slice in enumerate(slices(reading, ThreadStates())):
        if "tokenvis" in event_arguments(thread_slice.event):
            try:
                span = restored_chrome_span(event_arguments(thread_slice.event)["tokenvis"])
            except (KeyError, TypeError, ValueError) as error:
                reading.add_problem(thread_slice.event_number, problem_reason(error))
                continue
        else:
            span = slice_span(thread_slice, row, outline, trace_id)
        span.line = thread_slice.event_number
        yield span


def file_trace_id(reading: Reading) -> str:
    """An id for the trace of a file, which contains none."""
    digest = blake2b(reading.source.origin.encode(), digest_size=4).hexdigest()
    return f"{PurePosixPath(reading.source.name).stem}-{digest}"


def outline_of(first_reading: Reading) -> Outline:
    """The outline of a file, from the first reading."""
    outline = Outline(ThreadStates())
    for thread_slice in slices(first_reading, outline.threads):
        if thread_slice.nested:
            outline.rows.setdefault(thread_slice.thread, array("q")).append(len(outline.starts))
        outline.slice_threads.append(thread_slice.thread)
        outline.numbers.append(thread_slice.number)
        outline.starts.append(thread_slice.start)
        outline.ends.append(NO_END if thread_slice.end is None else thread_slice.end)
    outline.parents = array("q", [NO_SLICE]) * len(outline.starts)
    for rows in outline.rows.values():
        find_parents(outline, rows)
    bind_flows(outline)
    return outline


def find_parents(outline: Outline, rows: IntArray) -> None:
    """Find the innermost enclosing slice of each slice of a thread; sorts the rows by start."""
    starts, ends = outline.starts, outline.ends
    ordered = sorted(rows, key=lambda row: (starts[row], -ends[row], outline.numbers[row]))
    rows[:] = array("q", ordered)
    open_rows: list[int] = []
    for row in rows:
        while open_rows and ends[open_rows[-1]] <= starts[row]:
            open_rows.pop()
        outline.parents[row] = next(
            (open_row for open_row in reversed(open_rows[-64:]) if ends[open_row] >= ends[row]), NO_SLICE
        )
        if ends[row] > starts[row]:
            open_rows.append(row)


def bind_flows(outline: Outline) -> None:
    """Link each slice to the slices from which flows lead to it."""
    if not outline.threads.flows:
        return
    starts = {thread: [outline.starts[row] for row in rows] for thread, rows in outline.rows.items()}
    for points in outline.threads.flows.values():
        source = NO_SLICE
        for point in sorted(points):
            row = flow_point_row(outline, starts.get(point.thread, []), point)
            if row not in (NO_SLICE, source) and source != NO_SLICE and point.phase != "s":
                outline.links.setdefault(row, []).append(source)
            source = row if row != NO_SLICE or point.phase == "s" else source


def flow_point_row(outline: Outline, starts: list[int], point: FlowPoint) -> int:
    """The slice of a flow point: the innermost enclosing slice; for an end without bp "e", the next slice to begin."""
    rows = outline.rows.get(point.thread, array("q"))
    if point.phase == "f" and not point.enclosed:
        index = bisect_left(starts, point.time)
        return rows[index] if index < len(rows) else NO_SLICE
    return enclosing_row(outline, rows, starts, point.time)


def enclosing_row(outline: Outline, rows: IntArray, starts: list[int], time: int) -> int:
    """The innermost slice of a thread at a time."""
    index = bisect_right(starts, time) - 1
    row = rows[index] if index >= 0 else NO_SLICE
    while row != NO_SLICE and outline.ends[row] < time:
        row = outline.parents[row]
    return row


def slices(reading: Reading, threads: ThreadStates) -> Iterator[Slice]:
    """The slices of a file, each when it is complete; slices that never end come last."""
    for number, event in events(reading):
        try:
            is_export = type(event) is dict and event.get("ph") == "X" and "tokenvis" in event_arguments(event)
            thread_slice = exported_slice(event, number) if is_export else completed_slice(reading, threads, number, event)
        except (KeyError, TypeError, ValueError, ArithmeticError, RecursionError) as error:
            reading.add_problem(number, problem_reason(error))
            continue
        if thread_slice is not None:
            yield thread_slice
    for open_slices in (*threads.open_slices.values(), *threads.open_pairs.values()):
        yield from open_slices


def events(reading: Reading) -> Iterator[tuple[int, Any]]:
    """The events of a file; a missing last bracket of an array is not a problem."""
    in_array = text_start(reading.source)[:1] == b"["
    n_problems = len(reading.problems)
    in_lines = not in_array and any(is_trace_event(item) for item in head_of(reading.source).objects[:1])
    yield from document_items(reading, "[*]" if in_array else "" if in_lines else "traceEvents[*]", exact=True)
    if in_array and len(reading.problems) > n_problems and ends_after_an_event(reading):
        reading.problems.pop()


def ends_after_an_event(reading: Reading) -> bool:
    """Whether a file ends with a complete event, or a comma after one."""
    with reading.source.path.open("rb") as file:
        file.seek(max(0, reading.source.size - 64))
        return file.read().rstrip().removesuffix(b",").rstrip().endswith((b"}", b"["))


def completed_slice(reading: Reading, threads: ThreadStates, number: int, event: Any) -> Slice | None:
    """The slice that an event completes, None if it completes none."""
    if not isinstance(event, dict):
        raise TypeError(f"an event is of type {type(event).__name__}")
    phase, thread = required_value(event, "ph", str), (id_text(event.get("pid", 0)), id_text(event.get("tid", 0)))
    if phase == "M":
        note_thread_name(threads, thread, event)
    elif phase == "X":
        start = exact_time(event["ts"])
        return begin_slice(
            threads, thread, event, number, start, None if (duration := event_duration(event)) is None else start + duration
        )
    elif phase == "B":
        threads.open_slices.setdefault(thread, []).append(begin_slice(threads, thread, event, number, exact_time(event["ts"])))
    elif phase == "E":
        return end_slice(threads.open_slices.get(thread), event)
    elif phase in BEGIN_PHASES:
        stack = threads.open_pairs.setdefault(pair_key(event, thread), [])
        parent_number = stack[-1].number if stack and stack[-1].thread == thread else NO_SLICE
        stack.append(
            begin_slice(threads, thread, event, number, exact_time(event["ts"]))._replace(
                parent_number=parent_number, nested=False
            )
        )
    elif phase in END_PHASES:
        return end_slice(threads.open_pairs.get(pair_key(event, thread)), event)
    elif phase in INSTANT_PHASES:
        return begin_slice(threads, thread, event, number, (time := exact_time(event["ts"])), time)
    elif phase in FLOW_PHASES:
        point = FlowPoint(floor(exact_time(event["ts"])), phase, thread, event.get("bp") == "e")
        threads.flows.setdefault(pair_key(event, thread), []).append(point)
    else:
        reading.skipped[f"events of phase {phase[:1]!r}"] += 1
    return None


def exported_slice(event: dict[str, Any], event_number: int) -> Slice:
    """A slice that tokenvis wrote: its arguments contain the whole span, so its own times, which may be huge, do not count."""
    return Slice(("", ""), NO_SLICE, 0, 0, event, event_number, nested=False)


def begin_slice(
    threads: ThreadStates,
    thread: ThreadKey,
    event: dict[str, Any],
    event_number: int,
    start: Decimal,
    end: Decimal | None = None,
) -> Slice:
    """A new slice with its number in its thread."""
    number = threads.counts[thread]
    threads.counts[thread] += 1
    return Slice(thread, number, floor(start), None if end is None else floor(end), event, event_number)


def end_slice(stack: list[Slice] | None, event: dict[str, Any]) -> Slice:
    """The slice that an event ends, with the arguments of both events."""
    end = floor(exact_time(event["ts"]))
    if not stack:
        raise ValueError("it ends a slice that never began")
    thread_slice = stack.pop()
    merged = {**event_arguments(thread_slice.event), **event_arguments(event)}
    return thread_slice._replace(end=max(end, thread_slice.start), event={**thread_slice.event, "args": merged})


def pair_key(event: dict[str, Any], thread: ThreadKey) -> tuple[str, ...]:
    """The key shared by all events of one asynchronous slice or one flow."""
    id2 = event.get("id2")
    if isinstance(id2, dict) and "local" in id2:
        return (id_text(id2["local"]), str(event.get("cat")), thread[0])
    event_id = id2.get("global") if isinstance(id2, dict) else event.get("id", event.get("bind_id"))
    flow = str(event.get("name")) if event["ph"] in FLOW_PHASES else ""
    return (id_text(event_id), str(event.get("cat")), str(event.get("scope")), flow)


def note_thread_name(threads: ThreadStates, thread: ThreadKey, event: dict[str, Any]) -> None:
    """Record the name of a process or a thread."""
    name = event_arguments(event).get("name")
    if isinstance(name, str) and name.strip():
        if event.get("name") == "process_name":
            threads.names[thread[:1]] = name
        elif event.get("name") == "thread_name":
            threads.names[thread] = name


def id_text(value: Any) -> str:
    """The id of a process, a thread or a pair, a number or a text, as text."""
    if isinstance(value, str | int | Decimal) or value is None:
        return str(value)[:200]
    raise TypeError(f"an id is of type {type(value).__name__}")


def event_arguments(event: dict[str, Any]) -> dict[str, Any]:
    """The arguments of an event, empty if they are not an object."""
    args = event.get("args")
    return args if isinstance(args, dict) else {}


def event_duration(event: dict[str, Any]) -> Decimal | None:
    """The duration of a complete event, by the thread's clock if it has no other; None if it has neither."""
    duration = event.get("dur", event.get("tdur"))
    return None if duration is None else max(exact_time(duration), Decimal(0))


def exact_time(value: Any) -> Decimal:
    """A number or its digits as an exact time; `ValueError` if it is not a number, or beyond the calendar."""
    if isinstance(value, bool) or not isinstance(value, int | str | Decimal | float):
        raise TypeError(f"a time is of type {type(value).__name__}")
    if isinstance(value, str) and not is_number_text(value):
        raise ValueError(f"{value[:60]!r} is not a time in µs")
    number = value if isinstance(value, Decimal) else Decimal(str(value))
    if not number.is_finite() or abs(number) >= YEAR_10000:
        raise ValueError(f"{str(value)[:60]!r} is not a time in µs")
    return number


def floor(number: Decimal) -> int:
    """The largest integer that is not above a number."""
    truncated = int(number)
    return truncated - 1 if number < truncated else truncated


def slice_span(thread_slice: Slice, row: int, outline: Outline, trace_id: str) -> SpanRead:
    """A slice as a span: its process is the agent, its thread the location."""
    process, thread = thread_slice.thread
    names = outline.threads.names
    agent = names.get((process,), f"process {process}")
    location = names.get(thread_slice.thread, f"thread {thread}")
    event = thread_slice.event
    name = shorten(str(event.get("name") or "slice"))
    kind = event["cat"] if isinstance(event.get("cat"), str) and event["cat"] else "slice"
    data: dict[str, Any] = {"label": name, "kind": kind, "process": agent, "thread": location}
    if "dur" not in event and event["ph"] == "X" and thread_slice.end is not None:
        data["estimated"] = ["end_time"]
    if links := outline.links.get(row):
        sources = dict.fromkeys(links)
        data["links"] = [slice_id(trace_id, outline.slice_threads[source], outline.numbers[source]) for source in sources]
    if args := event_arguments(event):
        if estimated := normalise_figures(args):
            data["estimated"] = [*data.get("estimated", ()), *estimated]
        data["attributes"] = args
    parent = None
    if thread_slice.parent_number != NO_SLICE:
        parent = slice_id(trace_id, thread_slice.thread, thread_slice.parent_number)
    elif outline.parents[row] != NO_SLICE:
        parent = slice_id(trace_id, thread_slice.thread, outline.numbers[outline.parents[row]])
    own_id = slice_id(trace_id, thread_slice.thread, thread_slice.number)
    times = thread_slice.start, thread_slice.end
    return SpanRead(trace_id, own_id, *times, agent, location, name, data, parent, agent_key=process)


def slice_id(trace_id: str, thread: ThreadKey, number: int) -> str:
    """The id of a slice: events have no ids, so slices are counted per thread."""
    return f"{trace_id}/{thread[0]}.{thread[1]}.{number}"


def restored_chrome_span(record: Any) -> SpanRead:
    """A span that tokenvis exported, unchanged."""
    if not isinstance(record, dict):
        raise TypeError(f"'tokenvis' is of type {type(record).__name__}")
    return restored_span(record)
