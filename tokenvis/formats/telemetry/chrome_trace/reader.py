"""Chrome's trace events, as browsers, Perfetto, viztracer and tokenvis write them.

An array of events (its last bracket may be missing), or an object with "traceEvents", in any order. A slice is a complete event
(X), a pair of begin and end (B, E) on one thread, or a pair with one id (b, e; formerly S, F), on any threads; i is an instant,
M is a name, and s, t, f are the points of a flow, an arrow between slices. Times are microseconds, as numbers or digits, from
an arbitrary origin. The file is read twice: first for names, times, pairs and flows, then for the data of its events.

Source: "Trace Event Format", and what the importer of Perfetto's trace processor does with it.
"""

from array import array
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from hashlib import blake2b
from itertools import groupby
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from tokenvis.conventions.figures import normalise_figures
from tokenvis.conventions.span import SpanRead, problem_reason, shorten
from tokenvis.formats.files.documents import document_items
from tokenvis.formats.files.head import Head, head_of, text_start
from tokenvis.formats.files.reading import Reading
from tokenvis.formats.restored import restored_span
from tokenvis.formats.telemetry.chrome_trace.events import Point, ThreadKey, event_arguments, floor, point_of
from tokenvis.formats.telemetry.chrome_trace.pairs import IntArray, PairEvents

NAME = "Chrome traces"
NO_SLICE = -1
NO_END = 2**62  # the end time of a slice without an end
WRITER = {"writer": "tokenvis", "version": 1}
UNUSABLE = (KeyError, TypeError, ValueError, ArithmeticError, RecursionError)  # what an event that cannot be read raises


class Slice(NamedTuple):
    """A slice: its row in the outline, and its event, with the arguments of both events of a pair."""

    row: int
    event: dict[str, Any]
    event_number: int


class FlowPoint(NamedTuple):
    """A point of a flow: phase s begins the flow, t continues it, f ends it."""

    time: Decimal
    phase: str
    thread: ThreadKey
    enclosed: bool


@dataclass
class Outline:
    """The times, parents and links of all slices, by row: the rows are in the order of the events that begin them.

    ``numbers`` count the slices of each thread; ``rows`` are those of each thread whose parent is an enclosing slice; ``names``
    are those of processes and threads; ``end_rows`` has the row that each end event closes, or `NO_SLICE`.
    """

    counts: Counter[ThreadKey] = field(default_factory=Counter)
    names: dict[tuple[str, ...], str] = field(default_factory=dict)
    flows: dict[tuple[str, ...], list[FlowPoint]] = field(default_factory=dict)
    pair_events: PairEvents = field(default_factory=PairEvents)
    end_rows: IntArray = field(default_factory=lambda: array("q"))
    slice_threads: list[ThreadKey] = field(default_factory=list)
    numbers: IntArray = field(default_factory=lambda: array("q"))
    starts: IntArray = field(default_factory=lambda: array("q"))
    ends: IntArray = field(default_factory=lambda: array("q"))
    rows: dict[ThreadKey, IntArray] = field(default_factory=dict)
    parents: IntArray = field(default_factory=lambda: array("q"))
    links: dict[int, list[int]] = field(default_factory=dict)

    def add_slice(self, point: Point, *, nested: bool) -> int:
        """Add a slice, without its end if the event only begins it; returns its row."""
        row = len(self.starts)
        is_export = point.kind == "export"
        self.numbers.append(NO_SLICE if is_export else self.counts[point.thread])
        self.counts[point.thread] += not is_export
        self.slice_threads.append(point.thread)
        self.starts.append(floor(point.time))
        self.ends.append(NO_END if point.end is None else floor(point.end))
        if nested:
            self.rows.setdefault(point.thread, array("q")).append(row)
        return row


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
    outline = outline_of(Reading(reading.source))
    for thread_slice in slices(reading, outline):
        if "tokenvis" in event_arguments(thread_slice.event):
            try:
                span = restored_chrome_span(event_arguments(thread_slice.event)["tokenvis"])
            except (KeyError, TypeError, ValueError) as error:
                reading.add_problem(thread_slice.event_number, problem_reason(error))
                continue
        else:
            span = slice_span(thread_slice, outline, trace_id)
        span.line = thread_slice.event_number
        yield span


def file_trace_id(reading: Reading) -> str:
    """An id for the trace of a file, which contains none."""
    digest = blake2b(reading.source.origin.encode(), digest_size=4).hexdigest()
    return f"{PurePosixPath(reading.source.name).stem}-{digest}"


def outline_of(first_reading: Reading) -> Outline:
    """The outline of a file, from the first reading."""
    outline = Outline()
    for _, event in events(first_reading):
        try:
            note_event(outline, point_of(event), event)
        except UNUSABLE:
            continue  # the second reading reports it
    outline.parents = array("q", [NO_SLICE]) * len(outline.starts)
    closed_rows = array("q", [NO_SLICE]) * outline.pair_events.n_events()
    for pair in outline.pair_events.pairs():
        if pair.end_number is not None:
            closed_rows[pair.end_number] = pair.row
        outline.ends[pair.row] = NO_END if pair.end is None else pair.end
        if pair.around is not None and outline.slice_threads[pair.around] == outline.slice_threads[pair.row]:
            outline.parents[pair.row] = pair.around
    outline.end_rows = array("q", (closed_rows[number] for number in outline.pair_events.end_numbers()))
    outline.pair_events = PairEvents()
    for rows in outline.rows.values():
        find_parents(outline, rows)
    bind_flows(outline)
    return outline


def note_event(outline: Outline, point: Point, event: dict[str, Any]) -> None:
    """Add what an event says to the outline."""
    if point.kind in ("slice", "export"):
        outline.add_slice(point, nested=point.kind == "slice")
    elif point.kind == "begin":
        row = outline.add_slice(point, nested=event["ph"] == "B")
        outline.pair_events.add(point.key, point.time, event.get("name"), row)
    elif point.kind == "end":
        outline.pair_events.add(point.key, point.time, event.get("name"))
    elif point.kind == "flow":
        flow_point = FlowPoint(point.time, event["ph"], point.thread, event.get("bp") == "e")
        outline.flows.setdefault(point.key, []).append(flow_point)
    elif point.kind == "name":
        note_thread_name(outline, point.thread, event)


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
    starts = {thread: [outline.starts[row] for row in rows] for thread, rows in outline.rows.items()} if outline.flows else {}
    for points in outline.flows.values():
        source = NO_SLICE
        for point in in_flow_order(points):
            row = flow_point_row(outline, starts.get(point.thread, []), point)
            if row not in (NO_SLICE, source) and source != NO_SLICE and point.phase != "s":
                outline.links.setdefault(row, []).append(source)
            source = row if row != NO_SLICE or point.phase == "s" else source


def in_flow_order(points: list[FlowPoint]) -> Iterator[FlowPoint]:
    """The points of a flow by time; of those at one time, the ones that continue an open flow come first."""
    is_open = False
    for _, simultaneous in groupby(sorted(points, key=lambda point: point.time), key=lambda point: point.time):
        for point in sorted(simultaneous, key=lambda point: ("tfs" if is_open else "stf").index(point.phase)):
            yield point
            is_open = point.phase != "f"


def flow_point_row(outline: Outline, starts: list[int], point: FlowPoint) -> int:
    """The slice of a flow point: the innermost enclosing slice; for an end without bp "e", the next slice to begin."""
    rows = outline.rows.get(point.thread, array("q"))
    time = floor(point.time)
    if point.phase == "f" and not point.enclosed:
        index = bisect_left(starts, time)
        return rows[index] if index < len(rows) else NO_SLICE
    return enclosing_row(outline, rows, starts, time)


def enclosing_row(outline: Outline, rows: IntArray, starts: list[int], time: int) -> int:
    """The innermost slice of a thread at a time."""
    index = bisect_right(starts, time) - 1
    row = rows[index] if index >= 0 else NO_SLICE
    while row != NO_SLICE and outline.ends[row] < time:
        row = outline.parents[row]
    return row


def slices(reading: Reading, outline: Outline) -> Iterator[Slice]:
    """The slices of a file, each when all of its events are read."""
    row, n_ends = NO_SLICE, 0
    waiting: dict[int, tuple[dict[str, Any], int]] = {}  # by row: the first event of a pair that was read, and its number
    for number, event in events(reading):
        try:
            point = point_of(event)
        except UNUSABLE as error:
            reading.add_problem(number, problem_reason(error))
            continue
        pair_row = NO_SLICE
        if point.kind in ("slice", "export", "begin"):
            row += 1
            if point.kind != "begin" or outline.ends[row] == NO_END:
                yield Slice(row, event, number)
            else:
                pair_row = row
        elif point.kind == "end":
            pair_row = outline.end_rows[n_ends]
            n_ends += 1
            if pair_row == NO_SLICE:
                reading.add_problem(number, "invalid value (it ends a slice that never began)")
        elif point.kind == "other":
            reading.skipped[f"events of phase {event['ph'][:1]!r}"] += 1
        if pair_row != NO_SLICE and pair_row in waiting:
            yield pair_slice(pair_row, (event, number), waiting.pop(pair_row), ends=point.kind == "end")
        elif pair_row != NO_SLICE:
            waiting[pair_row] = event, number


def pair_slice(row: int, event: tuple[dict[str, Any], int], other: tuple[dict[str, Any], int], *, ends: bool) -> Slice:
    """The slice of two events, with the arguments of both; ``ends`` if the first of them is the end."""
    (begin, number), (end, _) = (other, event) if ends else (event, other)
    return Slice(row, {**begin, "args": {**event_arguments(begin), **event_arguments(end)}}, number)


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


def note_thread_name(outline: Outline, thread: ThreadKey, event: dict[str, Any]) -> None:
    """Record the name of a process or a thread."""
    name = event_arguments(event).get("name")
    if isinstance(name, str) and name.strip():
        if event.get("name") == "process_name":
            outline.names[thread[:1]] = name
        elif event.get("name") == "thread_name":
            outline.names[thread] = name


def slice_span(thread_slice: Slice, outline: Outline, trace_id: str) -> SpanRead:
    """A slice as a span: its process is the agent, its thread the location."""
    row = thread_slice.row
    (process, thread), end = outline.slice_threads[row], outline.ends[row]
    agent = outline.names.get((process,), f"process {process}")
    location = outline.names.get((process, thread), f"thread {thread}")
    event = thread_slice.event
    name = shorten(str(event.get("name") or "slice"))
    kind = event["cat"] if isinstance(event.get("cat"), str) and event["cat"] else "slice"
    data: dict[str, Any] = {"label": name, "kind": kind, "process": agent, "thread": location}
    if "dur" not in event and event["ph"] == "X" and end != NO_END:
        data["estimated"] = ["end_time"]
    if links := outline.links.get(row):
        data["links"] = [slice_id(trace_id, outline, source) for source in dict.fromkeys(links)]
    if args := event_arguments(event):
        if estimated := normalise_figures(args):
            data["estimated"] = [*data.get("estimated", ()), *estimated]
        data["attributes"] = args
    parent = None if outline.parents[row] == NO_SLICE else slice_id(trace_id, outline, outline.parents[row])
    own_id, end_time = slice_id(trace_id, outline, row), None if end == NO_END else end
    return SpanRead(trace_id, own_id, outline.starts[row], end_time, agent, location, name, data, parent, agent_key=process)


def slice_id(trace_id: str, outline: Outline, row: int) -> str:
    """The id of a slice: events have no ids, so slices are counted per thread."""
    process, thread = outline.slice_threads[row]
    return f"{trace_id}/{process}.{thread}.{outline.numbers[row]}"


def restored_chrome_span(record: Any) -> SpanRead:
    """A span that tokenvis exported, unchanged."""
    if not isinstance(record, dict):
        raise TypeError(f"'tokenvis' is of type {type(record).__name__}")
    return restored_span(record)
