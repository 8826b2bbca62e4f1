"""Conversations: traces of one session, read as one trace (``trace="session"``).

Many sources start a trace for each question, and name the session on some span of it, often on the root only. So the sources
are read twice: first to find the session of each trace, then to move the spans. A trace follows the session that its root
names, else its first span that names one. A moved span keeps its trace in its id, "session/trace/span", so that ids stay
unique; parents, links and requests follow.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from tokenvis.conventions.rules import as_name
from tokenvis.conventions.span import SpanRead, stored_id, trace_of
from tokenvis.errors import quoted
from tokenvis.formats.files.reading import Reading
from tokenvis.spans.redaction import REFERENCE_KEYS

TraceChoice: TypeAlias = Literal["trace", "session"]
TRACE_CHOICES = ("trace", "session")
SESSION_KEYS = (
    "gen_ai.conversation.id",
    "session.id",
    "sessionId",
    "session_id",
    "langfuse.session.id",
    "mlflow.trace.session",
    "metadata.session_id",
    "traceloop.association.properties.session_id",
    "gcp.vertex.agent.session_id",
    "metadata.thread_id",
    "lc.metadata.thread_id",
    "traceloop.association.properties.thread_id",
    "thread_id",
    "thread.id",
)
THREAD_KEYS = {"thread_id", "thread.id"}  # also names of threads of the operating system, which are numbers
TraceNames: TypeAlias = dict[str, tuple[int, str]]


def session_of(data: Mapping[str, Any]) -> str | None:
    """The session that a span names in its attributes or beside them, None if it names none.

    Examples
    --------
    >>> session_of({"attributes": {"gen_ai.conversation.id": "c-1"}}), session_of({"attributes": {"thread.id": 7}})
    ('c-1', None)
    """
    attributes = data.get("attributes")
    for source in (attributes if isinstance(attributes, Mapping) else {}, data):
        for key in SESSION_KEYS:
            if key in source and (session := as_name(source[key])) and not (key in THREAD_KEYS and session.isdigit()):
                return session
    return None


@dataclass
class TraceSessions:
    """What the spans of a trace say about its session: by rank, the first counts; when the trace was last seen."""

    last_seen: int
    sessions: dict[str, tuple[bool, int, str]] = field(default_factory=dict)

    @property
    def session(self) -> str | None:
        """The session of the trace."""
        return min(self.sessions, key=self.sessions.__getitem__, default=None)

    def add(self, span: SpanRead) -> None:
        """Add what a span says; a root comes first, then the earliest span."""
        self.last_seen = max(self.last_seen, span.start if span.end is None else span.end)
        if session := session_of(span.data):
            rank = (span.parent is not None, span.start, span.id)
            self.sessions[session] = min(rank, self.sessions.get(session, rank))


class Conversations:
    """The sessions of all traces: `add` every span first, then `move` every span."""

    def __init__(self) -> None:
        self.traces: dict[str, TraceSessions] = {}
        self.told: set[str] = set()

    def add(self, span: SpanRead) -> None:
        """Add what a span says about the session of its trace."""
        trace = self.traces.get(span.trace_id)
        if trace is None:
            trace = self.traces[span.trace_id] = TraceSessions(span.start)
        trace.add(span)

    def session_of_trace(self, trace_id: str) -> str | None:
        """The session that a trace moves to; None if it stays."""
        trace = self.traces.get(trace_id)
        session = trace.session if trace else None
        return None if session == trace_id else session

    def moved_id(self, span_id: str, trace_id: str) -> str:
        """The id of a span of a trace, once it is moved."""
        session = self.session_of_trace(trace_id)
        return span_id if session is None else stored_id(session, span_id)

    def move(self, span: SpanRead, reading: Reading) -> None:
        """Move a span into the session of its trace; a problem, once, if the trace names several."""
        trace = self.traces.get(span.trace_id)
        if trace is None:  # the file has grown since its sessions were read
            return
        if len(trace.sessions) > 1 and span.trace_id not in self.told:
            self.told.add(span.trace_id)
            first, second, *_ = map(quoted, sorted(trace.sessions, key=trace.sessions.__getitem__))
            more = f" and {len(trace.sessions) - 2:,} more" if len(trace.sessions) > 2 else ""
            which = f"the sessions {first} and {second}{more}; all its spans are in the first"
            reading.add_problem(None, f"trace {quoted(span.trace_id)} names {which}")
        session = self.session_of_trace(span.trace_id)
        if session is not None and span.end is None:  # else it would end with the session
            span.end, span.data["status"], span.text = trace.last_seen, "open", None
        for key in REFERENCE_KEYS & span.data.keys():
            moved = self.moved_ids(span.data[key])
            if moved != span.data[key]:
                span.data[key], span.text = moved, None
        if session is not None:
            span.id, span.parent = stored_id(session, span.id), stored_id(session, span.parent) if span.parent else None
            span.trace_id = session

    def moved_ids(self, ids: Any) -> Any:
        """The ids of spans, one or several, as they are once these spans are moved."""
        if isinstance(ids, list):
            return [self.moved_ids(one) for one in ids]
        return self.moved_id(ids, trace_of(ids)) if isinstance(ids, str) else ids

    def twins(self, known: Iterable[str]) -> str | None:
        """A problem if a store with these traces has traces that were moved also by themselves; else None."""
        twins = sorted(trace for trace in known if self.session_of_trace(trace) is not None)
        if not twins:
            return None
        more = f" and {len(twins) - 1:,} more" if len(twins) > 1 else ""
        advice = "delete it with `delete_trace`"
        return f"trace {quoted(twins[0])}{more} is also in the store by itself, so its spans count twice; {advice}"

    def names(self, names: TraceNames) -> TraceNames:
        """The names of traces by session: that of its earliest trace."""
        moved: TraceNames = {}
        for trace_id, name in names.items():
            session = self.session_of_trace(trace_id) or trace_id
            moved[session] = min(name, moved.get(session, name))
        return moved


def moved_spans(spans: Iterator[SpanRead], conversations: Conversations, reading: Reading) -> Iterator[SpanRead]:
    """The spans of a source, each in the session of its trace."""
    for span in spans:
        conversations.move(span, reading)
        yield span
