"""Chrome's trace events, as browsers, Perfetto, viztracer and tokenvis write them.

An array of events (its last bracket may be missing), or an object with "traceEvents". A slice is a complete event (X), a pair
of begin and end (B, E) of one thread, or a pair of one id (b, e; formerly S, F), whatever thread ends it; i is an instant, M a
name, and s, t, f are the points of a flow, an arrow between slices. Times are microseconds, as numbers or digits, and count
from wherever the clock of the machine did. The file is read twice: for names, times and flows, then for what its events say.

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

from tokenvis.conventions.span import SpanRead, given, needed, reason_of, shorten
from tokenvis.conventions.timestamps import is_digits
from tokenvis.formats.files.documents import items
from tokenvis.formats.files.head import Head, beginning, head_of
from tokenvis.formats.files.reading import Reading
from tokenvis.spans.columns import YEAR_10000

NAME = "Chrome traces"
NO_SLICE = -1
NEVER = 2**62  # the end of what has none
INSTANTS = {"i", "I", "R", "n"}
BEGINS, ENDS = {"b", "S"}, {"e", "F"}
FLOWS = {"s", "t", "f"}
OURS = ("id", "trace_id", "agent_id", "location_id")
Thread: TypeAlias = tuple[str, str]
Numbers: TypeAlias = "array[int]"


class Slice(NamedTuple):
    """A slice of a thread; ``number`` counts those of its thread in the order in which they begin."""

    thread: Thread
    number: int
    start: int
    end: int | None
    event: dict[str, Any]
    place: int
    above: int = NO_SLICE  # the number of the asynchronous slice that encloses it
    nested: bool = True  # whether it lies in what encloses it on its thread


class FlowPoint(NamedTuple):
    """A point of a flow: s begins it, t is on its way, f ends it."""

    time: int
    phase: str
    thread: Thread
    enclosed: bool


@dataclass
class Threads:
    """The threads while events are read: slices that have begun, and the names of processes and threads."""

    counts: Counter[Thread] = field(default_factory=Counter)
    stacks: dict[Thread, list[Slice]] = field(default_factory=dict)
    pairs: dict[tuple[str, ...], list[Slice]] = field(default_factory=dict)
    names: dict[tuple[str, ...], str] = field(default_factory=dict)
    flows: dict[tuple[str, ...], list[FlowPoint]] = field(default_factory=dict)


@dataclass
class Outline:
    """Times of all slices in the order in which they were read, and who encloses and precedes whom."""

    threads: Threads
    places: list[Thread] = field(default_factory=list)
    numbers: Numbers = field(default_factory=lambda: array("q"))
    starts: Numbers = field(default_factory=lambda: array("q"))
    ends: Numbers = field(default_factory=lambda: array("q"))
    rows: dict[Thread, Numbers] = field(default_factory=dict)
    parents: Numbers = field(default_factory=lambda: array("q"))
    links: dict[int, list[int]] = field(default_factory=dict)


def recognises(head: Head) -> bool:
    """Whether there are events with a phase and a time, or a name."""
    held = [item.get("traceEvents", [item]) for item in head.objects]
    return any(is_event(event) for every in held if isinstance(every, list) for event in every)


def is_event(event: Any) -> bool:
    """Whether a value looks like an event."""
    return isinstance(event, dict) and isinstance(event.get("ph"), str) and ("ts" in event or event["ph"] == "M")


def read(reading: Reading) -> Iterator[SpanRead]:
    """The spans of a file."""
    trace_id = trace_of(reading)
    reading.name_trace(trace_id, PurePosixPath(reading.source.name).stem)
    outline = outline_of(Reading(reading.source))
    for row, piece in enumerate(slices(reading, Threads())):
        if "tokenvis" in arguments(piece.event):
            try:
                span = own_span(piece.event["args"]["tokenvis"])
            except (KeyError, TypeError, ValueError) as error:
                reading.problem(piece.place, reason_of(error))
                continue
        else:
            span = span_of(piece, row, outline, trace_id)
        span.line = piece.place
        yield span


def trace_of(reading: Reading) -> str:
    """A name for the trace of a file, which has none of its own."""
    digest = blake2b(reading.source.origin.encode(), digest_size=4).hexdigest()
    return f"{PurePosixPath(reading.source.name).stem}-{digest}"


def outline_of(quiet: Reading) -> Outline:
    """The first reading."""
    outline = Outline(Threads())
    for piece in slices(quiet, outline.threads):
        if piece.nested:
            outline.rows.setdefault(piece.thread, array("q")).append(len(outline.starts))
        outline.places.append(piece.thread)
        outline.numbers.append(piece.number)
        outline.starts.append(piece.start)
        outline.ends.append(NEVER if piece.end is None else piece.end)
    outline.parents = array("q", [NO_SLICE]) * len(outline.starts)
    for rows in outline.rows.values():
        nest(outline, rows)
    bind_flows(outline)
    return outline


def nest(outline: Outline, rows: Numbers) -> None:
    """Find the innermost slice of a thread that encloses each one; the rows are sorted by their start."""
    starts, ends = outline.starts, outline.ends
    ordered = sorted(rows, key=lambda row: (starts[row], -ends[row], outline.numbers[row]))
    rows[:] = array("q", ordered)
    open_rows: list[int] = []
    for row in rows:
        while open_rows and ends[open_rows[-1]] <= starts[row]:
            open_rows.pop()
        outline.parents[row] = next((above for above in reversed(open_rows[-64:]) if ends[above] >= ends[row]), NO_SLICE)
        if ends[row] > starts[row]:
            open_rows.append(row)


def bind_flows(outline: Outline) -> None:
    """Link each slice to the one from which a flow comes to it."""
    if not outline.threads.flows:
        return
    starts = {thread: [outline.starts[row] for row in rows] for thread, rows in outline.rows.items()}
    for points in outline.threads.flows.values():
        source = NO_SLICE
        for point in sorted(points):
            row = bound_row(outline, starts.get(point.thread, []), point)
            if row not in (NO_SLICE, source) and source != NO_SLICE and point.phase != "s":
                outline.links.setdefault(row, []).append(source)
            source = row if row != NO_SLICE or point.phase == "s" else source


def bound_row(outline: Outline, starts: list[int], point: FlowPoint) -> int:
    """The slice to which a point of a flow belongs: the innermost around it; for an end without bp "e" the next to begin."""
    rows = outline.rows.get(point.thread, array("q"))
    if point.phase == "f" and not point.enclosed:
        place = bisect_left(starts, point.time)
        return rows[place] if place < len(rows) else NO_SLICE
    return enclosing_row(outline, rows, starts, point.time)


def enclosing_row(outline: Outline, rows: Numbers, starts: list[int], time: int) -> int:
    """The innermost slice of a thread at a time."""
    place = bisect_right(starts, time) - 1
    row = rows[place] if place >= 0 else NO_SLICE
    while row != NO_SLICE and outline.ends[row] < time:
        row = outline.parents[row]
    return row


def slices(reading: Reading, threads: Threads) -> Iterator[Slice]:
    """The slices of a file, each when it is complete; those that never end come last."""
    for place, event in events(reading):
        try:
            piece = slice_of(reading, threads, place, event)
        except (KeyError, TypeError, ValueError, ArithmeticError) as error:
            reading.problem(place, reason_of(error))
            continue
        if piece is not None:
            yield piece
    for waiting in (*threads.stacks.values(), *threads.pairs.values()):
        yield from waiting


def events(reading: Reading) -> Iterator[tuple[int, Any]]:
    """The events of a file; that the last bracket of an array is missing is as it should be."""
    in_array = beginning(reading.source)[:1] == b"["
    before = len(reading.problems)
    in_lines = not in_array and any(is_event(item) for item in head_of(reading.source).objects[:1])
    yield from items(reading, "item" if in_array else "" if in_lines else "traceEvents.item")
    if in_array and len(reading.problems) > before and ends_after_an_event(reading):
        reading.problems.pop()


def ends_after_an_event(reading: Reading) -> bool:
    """Whether a file ends with a whole event, or the comma after one."""
    with reading.source.path.open("rb") as file:
        file.seek(max(0, reading.source.size - 64))
        return file.read().rstrip().removesuffix(b",").rstrip().endswith((b"}", b"["))


def slice_of(reading: Reading, threads: Threads, place: int, event: Any) -> Slice | None:
    """The slice that an event completes, None where it does not complete one."""
    if not isinstance(event, dict):
        raise TypeError(f"an event is {type(event).__name__}")
    phase, thread = needed(event, "ph", str), (label_of(event.get("pid", 0)), label_of(event.get("tid", 0)))
    if phase == "M":
        note_name(threads, thread, event)
    elif phase == "X":
        start = exact(event["ts"])
        return begun(threads, thread, event, place, start, None if (lasts := lasting(event)) is None else start + lasts)
    elif phase == "B":
        threads.stacks.setdefault(thread, []).append(begun(threads, thread, event, place, exact(event["ts"])))
    elif phase == "E":
        return ended(threads.stacks.get(thread), event)
    elif phase in BEGINS:
        stack = threads.pairs.setdefault(pair_of(event, thread), [])
        above = stack[-1].number if stack and stack[-1].thread == thread else NO_SLICE
        stack.append(begun(threads, thread, event, place, exact(event["ts"]))._replace(above=above, nested=False))
    elif phase in ENDS:
        return ended(threads.pairs.get(pair_of(event, thread)), event)
    elif phase in INSTANTS:
        return begun(threads, thread, event, place, (time := exact(event["ts"])), time)
    elif phase in FLOWS:
        point = FlowPoint(floor(exact(event["ts"])), phase, thread, event.get("bp") == "e")
        threads.flows.setdefault(pair_of(event, thread), []).append(point)
    else:
        reading.skipped[f"events of phase {phase[:1]!r}"] += 1
    return None


def begun(
    threads: Threads, thread: Thread, event: dict[str, Any], place: int, start: Decimal, end: Decimal | None = None
) -> Slice:
    """A slice that begins."""
    number = threads.counts[thread]
    threads.counts[thread] += 1
    return Slice(thread, number, floor(start), None if end is None else floor(end), event, place)


def ended(stack: list[Slice] | None, event: dict[str, Any]) -> Slice:
    """The slice that an event ends, with what both say of it."""
    end = floor(exact(event["ts"]))
    if not stack:
        raise ValueError("it ends what never began")
    piece = stack.pop()
    said = {**arguments(piece.event), **arguments(event)}
    return piece._replace(end=max(end, piece.start), event={**piece.event, "args": said})


def pair_of(event: dict[str, Any], thread: Thread) -> tuple[str, ...]:
    """What the events of one asynchronous slice, or of one flow, have in common."""
    two = event.get("id2")
    if isinstance(two, dict) and "local" in two:
        return (label_of(two["local"]), str(event.get("cat")), thread[0])
    told = two.get("global") if isinstance(two, dict) else event.get("id", event.get("bind_id"))
    flow = str(event.get("name")) if event["ph"] in FLOWS else ""
    return (label_of(told), str(event.get("cat")), str(event.get("scope")), flow)


def note_name(threads: Threads, thread: Thread, event: dict[str, Any]) -> None:
    """Remember the name of a process or a thread."""
    name = arguments(event).get("name")
    if isinstance(name, str) and name.strip():
        if event.get("name") == "process_name":
            threads.names[thread[:1]] = name
        elif event.get("name") == "thread_name":
            threads.names[thread] = name


def label_of(value: Any) -> str:
    """A number or a text that tells a process, a thread or a pair."""
    if isinstance(value, str | int | Decimal) or value is None:
        return str(value)[:200]
    raise TypeError(f"an id is {type(value).__name__}")


def arguments(event: dict[str, Any]) -> dict[str, Any]:
    """The arguments of an event, none where they are something else."""
    said = event.get("args")
    return said if isinstance(said, dict) else {}


def lasting(event: dict[str, Any]) -> Decimal | None:
    """How long a complete event lasts; by the thread's clock where only that is told; None where nothing is."""
    told = event.get("dur", event.get("tdur"))
    return None if told is None else max(exact(told), Decimal(0))


def exact(value: Any) -> Decimal:
    """A number, or the digits of one; `ValueError` where it is none, or beyond all calendars."""
    if isinstance(value, bool) or not isinstance(value, int | str | Decimal | float):
        raise TypeError(f"a time is {type(value).__name__}")
    if isinstance(value, str) and not is_digits(value):
        raise ValueError(f"{value[:60]!r} is no time in µs")
    number = value if isinstance(value, Decimal) else Decimal(str(value))
    if not number.is_finite() or abs(number) >= YEAR_10000:
        raise ValueError(f"{str(value)[:60]!r} is no time in µs")
    return number


def floor(number: Decimal) -> int:
    """The whole number that is not above a number."""
    whole = int(number)
    return whole - 1 if number < whole else whole


def span_of(piece: Slice, row: int, outline: Outline, trace_id: str) -> SpanRead:
    """A slice as a span: its process is the agent, its thread the location."""
    process, thread = piece.thread
    names = outline.threads.names
    agent = names.get((process,), f"process {process}")
    location = names.get(piece.thread, f"thread {thread}")
    event = piece.event
    name = shorten(str(event.get("name") or "slice"))
    kind = event["cat"] if isinstance(event.get("cat"), str) and event["cat"] else "slice"
    data: dict[str, Any] = {"label": name, "kind": kind, "process": agent, "thread": location}
    if "dur" not in event and event["ph"] == "X" and piece.end is not None:
        data["estimated"] = ["end_time"]
    if links := outline.links.get(row):
        sources = dict.fromkeys(links)
        data["links"] = [id_of(trace_id, outline.places[source], outline.numbers[source]) for source in sources]
    if said := arguments(event):
        data["attributes"] = said
    parent = None
    if piece.above != NO_SLICE:
        parent = id_of(trace_id, piece.thread, piece.above)
    elif outline.parents[row] != NO_SLICE:
        parent = id_of(trace_id, piece.thread, outline.numbers[outline.parents[row]])
    own_id = id_of(trace_id, piece.thread, piece.number)
    return SpanRead(trace_id, own_id, piece.start, piece.end, agent, location, name, data, parent)


def id_of(trace_id: str, thread: Thread, number: int) -> str:
    """The id of a slice: events have none, so they are counted, thread by thread."""
    return f"{trace_id}/{thread[0]}.{thread[1]}.{number}"


def own_span(told: Any) -> SpanRead:
    """A span that tokenvis wrote, as it was."""
    if not isinstance(told, dict):
        raise TypeError(f"'tokenvis' is {type(told).__name__}")
    span_id, trace_id, agent, location = (needed(told, key, str) for key in OURS)
    start, end = (needed(told, key, int) for key in ("start_time", "end_time"))
    data = given(told, "data", dict) or {}
    parent = given(told, "parent_id", str) or given(data, "parent_id", str)
    return SpanRead(trace_id, span_id, start, end, agent, location, str(data.get("label", location)), data, parent)
