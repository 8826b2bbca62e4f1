"""What one of Chrome's trace events says: a slice, the begin or the end of one, a point of a flow, or a name.

The phase (``ph``) says which: X is a slice; B and E begin and end one on their thread, b and e (formerly S and F) one with
their id; i, I, R and n are instants; s, t and f are points of a flow; M is a name.
"""

from decimal import Decimal
from typing import Any, NamedTuple, TypeAlias

from tokenvis.conventions.span import required_value
from tokenvis.conventions.timestamps import is_number_text
from tokenvis.spans.columns import YEAR_10000

INSTANT_PHASES = {"i", "I", "R", "n"}
BEGIN_PHASES, END_PHASES = {"b", "S"}, {"e", "F"}
FLOW_PHASES = {"s", "t", "f"}
NO_TIME = Decimal(0)
ThreadKey: TypeAlias = tuple[str, str]


class Point(NamedTuple):
    """What an event says: its kind, thread and time; the end of a slice; the key that the events of a pair or a flow share.

    The kind is "export" (a slice that tokenvis wrote), "slice", "begin", "end", "flow", "name" or "other".
    """

    kind: str
    thread: ThreadKey
    time: Decimal = NO_TIME
    end: Decimal | None = None
    key: tuple[str, ...] = ()


def point_of(event: Any) -> Point:
    """What an event says; `KeyError`, `TypeError` or `ValueError` if it cannot be used."""
    if not isinstance(event, dict):
        raise TypeError(f"an event is of type {type(event).__name__}")
    if event.get("ph") == "X" and "tokenvis" in event_arguments(event):
        return Point("export", ("", ""))  # its arguments contain the whole span: its own times may be huge
    phase, thread = required_value(event, "ph", str), (id_text(event.get("pid", 0)), id_text(event.get("tid", 0)))
    if phase == "M":
        return Point("name", thread)
    if phase == "X":
        start, duration = exact_time(event["ts"]), event_duration(event)
        return Point("slice", thread, start, None if duration is None else start + duration)
    if phase in ("B", "E"):
        return Point("begin" if phase == "B" else "end", thread, exact_time(event["ts"]), key=thread)
    if phase in INSTANT_PHASES:
        return Point("slice", thread, time := exact_time(event["ts"]), time)
    if phase in BEGIN_PHASES or phase in END_PHASES:
        return Point("begin" if phase in BEGIN_PHASES else "end", thread, exact_time(event["ts"]), key=pair_key(event, thread))
    if phase in FLOW_PHASES:
        return Point("flow", thread, exact_time(event["ts"]), key=pair_key(event, thread))
    return Point("other", thread)


def pair_key(event: dict[str, Any], thread: ThreadKey) -> tuple[str, ...]:
    """The key shared by all events of one asynchronous slice or one flow."""
    id2 = event.get("id2")
    if isinstance(id2, dict) and "local" in id2:
        return (id_text(id2["local"]), str(event.get("cat")), thread[0])
    event_id = id2.get("global") if isinstance(id2, dict) else event.get("id", event.get("bind_id"))
    flow = str(event.get("name")) if event["ph"] in FLOW_PHASES else ""
    return (id_text(event_id), str(event.get("cat")), str(event.get("scope")), flow)


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
    """The duration of a complete event, by the thread's clock if it has no other; None if it has neither.

    `ValueError` if it is negative by more than a rounding.
    """
    duration = event.get("dur", event.get("tdur"))
    if duration is None:
        return None
    if (exact := exact_time(duration)) <= -1:
        raise ValueError(f"a duration of {exact} µs")
    return max(exact, NO_TIME)


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
