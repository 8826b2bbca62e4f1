"""The span as it was read, whichever source it is from: a file, or a running program; and how its values are checked."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(slots=True)
class SpanRead:
    """A span as it was read.

    ``agent`` is None where the span itself names none: it is then the nearest ancestor's, else ``fallback``, else the trace's
    name. ``end`` is None where it never ended. ``name`` is what it is called where texts are not wanted.
    """

    trace_id: str
    id: str
    start: int
    end: int | None
    agent: str | None
    location: str
    name: str
    data: dict[str, Any]
    parent: str | None = None
    fallback: str | None = None
    line: int | None = None


def assign(
    span: SpanRead,
    agent: Callable[[dict[str, Any]], str | None] | None,
    location: Callable[[dict[str, Any]], str | None] | None,
) -> None:
    """Give a span its agent and location, where a caller's rules say so; an error of the caller's own function goes its way."""
    if agent or location:
        seen: dict[str, Any] = {"id": span.id, "trace_id": span.trace_id, "agent_id": span.agent}
        seen |= {"location_id": span.location, "start_time": span.start, "end_time": span.end, "data": span.data}
        if agent:
            span.agent = agent(seen)
        if location:
            span.location = location(seen) or span.location


class NamesTraces(Protocol):
    """Whatever takes the names of traces, beside their spans."""

    def name_trace(self, trace_id: str, name: str, start: int | None = None) -> None:
        """Take a name of a trace: its own, or that of a span, by its start; its own wins, then the earliest."""


def reason_of(error: Exception) -> str:
    """Why a record could not be used."""
    if isinstance(error, KeyError):
        return f"no {error}"
    return f"not as it should be ({str(error) or type(error).__name__})"


def given(source: dict[str, Any], key: str, kind: type | tuple[type, ...]) -> Any:
    """A value that may be missing; `TypeError` where it is of another type."""
    value = source.get(key)
    if value is not None and not isinstance(value, kind):
        raise TypeError(f"{key!r} is {type(value).__name__}")
    return value


def needed(source: dict[str, Any], key: str, kind: type | tuple[type, ...]) -> Any:
    """A value that must be there; `KeyError` where it is missing or empty."""
    value = given(source, key, kind)
    if value is None or value == "":
        raise KeyError(key)
    return value


def objects(source: dict[str, Any], key: str) -> list[dict[str, Any]]:
    """A list of objects that may be missing; `TypeError` where it is something else."""
    every = given(source, key, list) or []
    for item in every:
        if not isinstance(item, dict):
            raise TypeError(f"{key!r} holds {type(item).__name__}")
    return every


def shorten(text: str, length: int = 80) -> str:
    r"""A text as one line, cut at a length.

    Examples
    --------
    >>> one_line("two\n  words", 6)
    'two w…'
    """
    line = " ".join(text.split())
    return line if len(line) <= length else line[: length - 1].rstrip() + "…"
