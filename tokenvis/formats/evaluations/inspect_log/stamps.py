"""The start and end of a call in an Inspect log that records one time for it, and its duration.

Logs record a call when it ends or when it begins, and no field says which. The events around the call do: it lies within its
step or span, begins after the event before, and ends before the event after. A call that fits both ways has the stamp of most
other calls of its sample, else that of its version: logs with ``working_start`` record the start.
"""

from collections import Counter
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NamedTuple

from tokenvis.conventions.timestamps import microseconds
from tokenvis.formats.evaluations.inspect_log.calls import nested_value

CALL_EVENTS = ("model", "tool", "sandbox", "subtask")
NEIGHBOURS = {"model", "tool", "subtask", "step", "sandbox"}  # a sandbox's commands are only each other's: a tool runs them
TOLERANCE_US = 1_000  # durations and times are of different clocks, and may be rounded
Container = str | int | None  # the id of a span, the position of a step's begin, or None


class CallTimes(NamedTuple):
    """The start and end of a call, and which of them is estimated."""

    start: int
    end: int
    estimated: str


@dataclass
class Stamp:
    """A call's time and duration (0 if unknown), its container's bounds, and the times of its neighbours there."""

    time: int
    duration: int
    begin: int | None
    end: int | None
    before: int | None
    after: int | None
    has_working_start: bool

    def misfits(self) -> list[tuple[int, int]]:
        """How far the call exceeds its container, and its neighbours, if its time is its end, and if it is its start."""
        start, end = self.time - self.duration, self.time + self.duration
        pairs = [(excess(start, self.begin), excess(self.end, end)), (excess(start, self.before), excess(self.after, end))]
        return pairs if self.duration else []

    def is_start(self) -> bool | None:
        """Whether the time is the call's start, None if both fit."""
        return next((as_end > as_start for as_end, as_start in self.misfits() if as_end != as_start), None)

    def times(self, usual: bool | None) -> CallTimes | None:
        """The times of the call, within its container; ``usual`` is the stamp of most calls. None if no duration is known."""
        is_start = self.is_start()
        is_start = usual if is_start is None else is_start
        if self.has_working_start if is_start is None else is_start:
            bounds = [self.time + self.duration, *([] if self.end is None else [self.end])]
            last = min(bounds) if self.duration else (self.time if self.after is None else self.after)
            return CallTimes(self.time, max(self.time, last), "end_time") if self.duration or usual else None
        first = self.time - self.duration if self.begin is None else max(self.time - self.duration, self.begin)
        return CallTimes(min(first, self.time), self.time, "start_time") if self.duration else None


def excess(earlier: int | None, later: int | None) -> int:
    """How far a time is before one that it should follow; 0 within the tolerance."""
    distance = 0 if earlier is None or later is None else later - earlier
    return distance if distance > TOLERANCE_US else 0


def stamped_times(events: list[Any]) -> dict[int, CallTimes]:
    """The times of the calls that have no recorded end, by their positions."""
    if not any(map(needs_times, events)):
        return {}
    stamps = stamps_of(events)
    votes = Counter(vote for stamp in stamps.values() if (vote := stamp.is_start()) is not None)
    usual = None if votes[True] == votes[False] else votes[True] > votes[False]
    found = {position: stamp.times(usual) for position, stamp in stamps.items()}
    return {position: times for position, times in found.items() if times is not None}


def needs_times(event: Any) -> bool:
    """Whether an event is a call that is over, without a recorded end."""
    if not isinstance(event, dict) or event.get("event") not in CALL_EVENTS:
        return False
    return not event.get("completed") and not event.get("pending")


def stamps_of(events: list[Any]) -> dict[int, Stamp]:
    """The calls without a recorded end, by their positions, each with what surrounds it."""
    places, begins, ends = containers_of(events)
    stamps: dict[int, Stamp] = {}
    last: dict[tuple[Container, bool], tuple[int, int]] = {}  # the position and time of the last neighbour
    for position, (container, time) in places.items():
        event = events[position]
        if event["event"] not in NEIGHBOURS:
            continue
        key = container, event["event"] == "sandbox"
        before_position, before = last.get(key, (-1, begins.get(container)))
        if before_position in stamps:
            stamps[before_position].after = time
        if needs_times(event):
            bounds = begins.get(container), ends.get(container)
            stamps[position] = Stamp(time, call_duration(event), *bounds, before, bounds[1], "working_start" in event)
        last[key] = position, time
    return stamps


def containers_of(
    events: list[Any],
) -> tuple[dict[int, tuple[Container, int]], dict[Container, int], dict[Container, int]]:
    """The container and time of each event with a time, by position, and the begin and end of each container."""
    places: dict[int, tuple[Container, int]] = {}
    begins: dict[Container, int] = {}
    ends: dict[Container, int] = {}
    parents: dict[Container, Container] = {}
    steps: list[int] = []
    for position, event in enumerate(events):
        time = event_time(event)
        if time is None:
            continue
        kind, step = event["event"], steps[-1] if steps else None
        span, parent = (key if isinstance(key, str) else None for key in (event.get("span_id"), event.get("parent_id")))
        own = event.get("id") if isinstance(event.get("id"), str) else None
        container: Container = span if span in begins else step
        if kind == "span_begin" and own:
            begins[own], container = time, parent if parent in begins else step
            parents[own] = container
        elif kind == "span_end" and own in begins:
            ends[own], container = time, parents[own]
        elif kind == "step" and event.get("action") == "end":
            ended = steps.pop() if steps else None
            ends[ended], container = time, steps[-1] if steps else None
        elif kind == "step":
            steps.append(position)
            begins[position] = time
        places[position] = container, time
    ends.pop(None, None)
    return places, begins, ends


def event_time(event: Any) -> int | None:
    """The time of an event, None if it has none."""
    try:
        return microseconds(event["timestamp"]) if isinstance(event["event"], str) else None
    except (KeyError, TypeError, ValueError):
        return None


def call_duration(event: dict[str, Any]) -> int:
    """The duration of a call in µs, 0 if it is unknown."""
    candidates = (
        event.get("working_time"),
        nested_value(event.get("output"), "time"),
        nested_value(event.get("call"), "time"),
    )
    numbers = (value for value in candidates if isinstance(value, int | float | Decimal) and not isinstance(value, bool))
    seconds: Any = next((value for value in numbers if 0 < value < 10**9), 0)
    return int(seconds * 1_000_000)
