"""A span as read from a file or a running program, and checks of the values in source records."""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from tokenvis.conventions.rules import RuleFunction
from tokenvis.conventions.waits import default_wait

DIGITS_ERROR = "Exceeds the limit ("  # Python reads and writes no integers of more than 4,300 digits


@dataclass(slots=True)
class SpanRead:
    """A span as read from a source.

    ``agent`` is None if the span itself names none: the agent is then the nearest ancestor's, else ``fallback_agent``, else the
    trace's name. ``agent_from`` tells where the agent's name is from: "attribute", "name" (of the span), "id", "task", "rule"
    (of the caller). ``agent_key`` is the source's id of that agent, if it has one beside its name. ``end`` is None if the span
    never ended. ``name`` replaces the label when texts are not stored. ``calls`` are the ids of the calls that a model's answer
    asks for, and ``call`` is the id of the call that the span of a tool made: it is resolved to ``requested_by`` when the spans
    of the trace are collected. A ``restored`` span is one that tokenvis exported: it is complete, and no default rule changes
    it. ``text`` is then its data as JSON text, which is stored as it is: None if it has no data, or if ``data`` was changed.
    ``former_id`` is the id under which an earlier version of tokenvis stored the span, if it is another one.
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
    fallback_agent: str | None = None
    line: int | None = None
    calls: tuple[str, ...] = ()
    call: str | None = None
    agent_key: str | None = None
    restored: bool = False
    text: str | None = None
    agent_from: str | None = None
    former_id: str | None = None


def stored_id(trace_id: str, source_id: str) -> str:
    """The id of a span in the database, where ids are unique over all traces; the trace's id is escaped up to the first slash.

    Examples
    --------
    >>> stored_id("run-1", "0"), stored_id("a/b", "c"), stored_id("a", "b/c")
    ('run-1/0', 'a%2Fb/c', 'a/b/c')
    """
    return f"{escaped_trace(trace_id)}/{source_id}"


def escaped_trace(trace_id: str) -> str:
    """A trace's id without slashes, so that what follows one is the id of a span."""
    return trace_id.replace("%", "%25").replace("/", "%2F") if "/" in trace_id or "%" in trace_id else trace_id


def trace_of(span_id: str) -> str:
    """The trace in a span's id of `stored_id`."""
    return span_id.partition("/")[0].replace("%2F", "/").replace("%25", "%")


def former_id_of(span: SpanRead) -> str | None:
    """The other id that an earlier version of tokenvis gave a span, None if it gave the same: it did not escape slashes."""
    if span.former_id is not None or not ("/" in span.trace_id or "%" in span.trace_id) or span.restored:
        return span.former_id
    start = f"{escaped_trace(span.trace_id)}/"
    return f"{span.trace_id}/{span.id.removeprefix(start)}" if span.id.startswith(start) else None


def assign_by_rules(span: SpanRead, agent: RuleFunction, location: RuleFunction, waits_for: RuleFunction) -> None:
    """Set the agent, the location and ``waits_for`` of a span by a caller's rules, or ``waits_for`` by the default rule.

    Each rule gets the span as it was read; the default rule looks at the locations before and after, and keeps a ``waits_for``
    that the source has written. It applies if the caller's rule returns None, but never to a restored span. Errors of the
    caller's functions propagate, and the span is then unchanged.
    """
    read_location, name = span.location, None
    if agent or location or waits_for:
        fields: dict[str, Any] = {"id": span.id, "trace_id": span.trace_id, "agent_id": span.agent}
        fields |= {"location_id": span.location, "start_time": span.start, "end_time": span.end, "data": span.data}
        name = waits_for(fields) if waits_for else None
        own_agent, own_location = agent(fields) if agent else span.agent, location(fields) if location else None
        span.agent, span.location = own_agent, own_location or span.location
        if agent:
            span.agent_key, span.agent_from = None, "rule" if own_agent else None
    if name is None and (span.restored or "waits_for" in span.data):
        return
    default = default_wait(read_location, span.data) or (default_wait(span.location, span.data) if location else None)
    if name is not None:
        replace_wait(span.data, name, default)
        span.text = None
    elif default:
        span.data["waits_for"] = default


def replace_wait(data: dict[str, Any], name: str, default: str | None) -> None:
    """Set whom a span waits for, "" for no one; ``default`` is whom the default rule names."""
    if data.get("waits_for") != name:
        data.pop("waits_for_kind", None)  # it describes the name that is replaced
    if name:
        data["waits_for"] = name
    elif default:
        data["waits_for"] = None  # so that the default rule marks no export of this span either
    else:
        data.pop("waits_for", None)


def with_first_data(
    spans: Iterable[SpanRead], data: Mapping[str, str | None], attributes: Mapping[str, Any] | None = None
) -> Iterator[SpanRead]:
    """The spans of an agent, the first of them with these keys in its data, and these among its attributes.

    A key without a text is left out, and so is an attribute without a value, or that the span has itself.
    """
    texts = {key: text for key, text in data.items() if text}
    values = {key: value for key, value in (attributes or {}).items() if value is not None}
    if not texts and not values:
        yield from spans
        return
    read = list(spans)
    if read:
        first = min(read, key=lambda span: (span.start, math.inf if span.end is None else span.end, span.id))
        first.data.update(texts)
        if values:
            first.data["attributes"] = {**values, **first.data.get("attributes", {})}
    yield from read


class TraceNamer(Protocol):
    """Collects the names of traces; ``without_texts``: they contain no free texts, such as prompts."""

    @property
    def without_texts(self) -> bool:
        """Whether names contain no free texts."""

    def name_trace(self, trace_id: str, name: str, start: int | None = None) -> None:
        """Name a trace, without ``start`` by its own name, else by a span's; its own name wins, then the earliest span's."""


def problem_reason(error: Exception) -> str:
    """The reason that a record cannot be used, for a problem's text."""
    if isinstance(error, KeyError):
        return f"{error} is missing"
    return f"invalid value ({error_text(error)})"


def error_text(error: Exception) -> str:
    """What an error says about a value, in words that do not advise to change Python's own limits."""
    text = str(error)
    return "a number has too many digits" if text.startswith(DIGITS_ERROR) else text or type(error).__name__


def optional_value(source: dict[str, Any], key: str, expected_type: type | tuple[type, ...]) -> Any:
    """A value that may be missing; `TypeError` if it has another type."""
    value = source.get(key)
    if value is not None and not isinstance(value, expected_type):
        raise TypeError(f"{key!r} is of type {type(value).__name__}")
    return value


def required_value(source: dict[str, Any], key: str, expected_type: type | tuple[type, ...]) -> Any:
    """A value that must be present; `KeyError` if it is missing or empty."""
    value = optional_value(source, key, expected_type)
    if value is None or value == "":
        raise KeyError(key)
    return value


def optional_objects(source: dict[str, Any], key: str) -> list[dict[str, Any]]:
    """A list of objects that may be missing; `TypeError` if it is anything else."""
    items = optional_value(source, key, list) or []
    for item in items:
        if not isinstance(item, dict):
            raise TypeError(f"{key!r} contains an item of type {type(item).__name__}")
    return items


def shorten(text: str, length: int = 80) -> str:
    r"""A text as one line, truncated to a length.

    Examples
    --------
    >>> shorten("two\n  words", 6)
    'two w…'
    """
    line = " ".join(text.split())
    return line if len(line) <= length else line[: length - 1].rstrip() + "…"
