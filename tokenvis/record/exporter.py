"""The exporter: spans of OpenTelemetry's SDK into the store, as they end, in the process that they tell of.

A span of the SDK is translated as one that was read from a file of them, by the same conventions and rules, and has the same
ids: reading such a file later changes nothing. Whose it is, the `lineage` tells, for its agent may end after it.
Spans come from any thread, also from the collector of garbage in the midst of another span: each is taken without waiting, and
one thread at a time puts what all have brought. Whoever did look at spans looks again afterwards, for what came meanwhile.
"""

import base64
import logging
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from math import inf
from threading import RLock, current_thread
from time import monotonic, time_ns
from typing import Any, TypeAlias, TypeVar
from weakref import WeakValueDictionary

from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY, attach, detach, set_value
from opentelemetry.sdk.trace import ReadableSpan, Span
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import SpanContext

from tokenvis.conventions.opentelemetry import service_of, span_of, status_of
from tokenvis.conventions.rules import Rule, chosen
from tokenvis.conventions.span import SpanRead, assign
from tokenvis.conventions.timestamps import of_nanoseconds
from tokenvis.errors import StoreError
from tokenvis.record.lifecycle import Ending, register
from tokenvis.record.lineage import Arrival, Lineage, Seen
from tokenvis.record.snapshot import json_text, name_text
from tokenvis.record.writer import THREAD, Writer
from tokenvis.spans.integers import INT64_MIN
from tokenvis.store.append import Row
from tokenvis.store.database import Target
from tokenvis.store.store import Store

PATIENCE = 30_000  # ms, which the SDK gives
MOST_ARRIVED = 512  # spans that nobody has put yet, before those who bring more wait
HELD_UP = 1.0  # seconds
A_MOMENT = 0.1  # seconds that the writer's thread puts what came, before it writes
SCALARS = (str, bool, int, float, type(None))
Open: TypeAlias = WeakValueDictionary[str, Span]  # by id; one that nobody can end any more is gone
Result = TypeVar("Result")

log = logging.getLogger("tokenvis")


class TokenvisSpanExporter(SpanExporter, Ending):
    """Writes the spans of OpenTelemetry's SDK into a store; `record_opentelemetry` sets one up.

    Parameters
    ----------
    store
        A `Store`, a path or URL, or None for the default database, which is created if it is not there.
    agent, location
        What tells a span's agent and location, in place of the rules, as in `ingest`.
    open_spans
        Whether a span is stored when it starts too, with the status "open" and the time of the last batch as its end. It needs
        the processor of `record_opentelemetry`: an exporter alone is shown spans only when they end.

    Raises
    ------
    BadOption
        ``agent`` or ``location`` is no rule.
    StoreError
        The database cannot be used.
    """

    def __init__(
        self, *, store: Store | Target = None, agent: Rule = None, location: Rule = None, open_spans: bool = False
    ) -> None:
        self.use(agent=agent, location=location, open_spans=open_spans)
        self.writer = Writer(store, pulse=self.running)
        self.is_shut = False
        self.sees_starts = False
        self.complaints: set[str] = set()
        self.open = Open()
        self.begin_anew()
        register(self)

    def __repr__(self) -> str:
        return f"TokenvisSpanExporter({str(self.writer.store.path)!r})"

    def use(self, *, agent: Rule = None, location: Rule = None, open_spans: bool = False) -> None:
        """Take these from now on."""
        self.agent, self.location = chosen("agent", agent), chosen("location", location)
        self.open_spans = open_spans

    def begin_anew(self) -> None:
        """Remember nothing: in a process that was forked, all that came before is its parent's to write."""
        self.around, self.open = self.open, Open()  # what runs around it still tells agents
        self.lineage = Lineage()
        self.arrived: deque[tuple[Arrival, bool]] = deque()  # and whether it still runs
        self.own: set[str] = set()  # spans of the writer's own work, which still run
        self.lock, self.is_busy = RLock(), False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Take spans that have ended, without an error ever; FAILURE where one is no span, or after `shutdown`."""
        if self.is_shut:
            return SpanExportResult.FAILURE
        return SpanExportResult.SUCCESS if self.bring(spans, runs=False) else SpanExportResult.FAILURE

    def force_flush(self, timeout_millis: int = PATIENCE) -> bool:
        """Whether all that came is stored within so many milliseconds; what is not goes on waiting."""
        until = monotonic() + timeout_millis / 1_000
        is_put = not self.arrived or bool(self.alone(partial(self.put, until), left(until)))
        self.put_unless_busy(until=until)
        return self.done(partial(self.wait, until)) and is_put

    def wait(self, until: float) -> None:
        """Wait until all that was put is stored, but no longer; the writer's own patience begins anew with each batch."""
        if not self.writer.is_stored_within(left(until)):
            raise StoreError(f"{self.writer.store.path} did not take them in time. They wait to be stored.")

    def shutdown(self) -> None:
        """Store all that came, and let go of the file."""
        self.is_shut = True
        self.close()
        self.done(self.writer.close)

    def close(self) -> None:
        """The process ends: put what came, which the writer stores as it is closed."""
        self.done(partial(self.put_unless_busy, HELD_UP))

    def begin(self, span: Span) -> None:
        """Look at a span from its start on, which tells the agent of those within it."""
        context = span.get_span_context()
        if context is None or not context.trace_flags.sampled or self.is_shut:
            return
        self.sees_starts = True
        if current_thread().name == THREAD:
            self.own.add(id_of(context))
            return
        self.open[id_of(context)] = span
        if self.open_spans:
            self.bring([span], runs=True)

    def running(self) -> list[Row]:
        """The rows of spans that still run, as far as they are; none where somebody else is busy with rows."""
        rows = self.alone(self.rows_so_far) if self.open_spans and not self.is_shut else None
        until = monotonic() + A_MOMENT
        self.put_unless_busy(until=until)
        if monotonic() >= until:  # others bring faster than this puts, and it has to write, too
            self.leave_to_writer()
        return rows or []

    def rows_so_far(self) -> list[Row]:
        """The rows of spans that still run."""
        spans = [span for reference in self.open.valuerefs() if (span := reference()) is not None]
        return [row for span in spans if span.end_time is None and (row := self.row_so_far(span)) is not None]

    def row_so_far(self, span: Span) -> Row | None:
        """The row of a span that still runs; None where its program writes to it at this moment."""
        try:
            return self.lineage.running(self.arrival_of(span), self.seen)
        except Exception:
            return None

    def bring(self, spans: Sequence[ReadableSpan], *, runs: bool) -> bool:
        """Take spans, and put what came; whether all are spans. Where much came, wait for whoever puts already."""
        try:
            taken = [self.take(span, runs=runs) for span in spans]
            self.put_unless_busy(HELD_UP if len(self.arrived) > MOST_ARRIVED else 0)
        except BaseException:  # an interrupt
            self.leave_to_writer()
            raise
        return all(taken)

    def take(self, span: ReadableSpan, *, runs: bool) -> bool:
        """Take a span; whether it is one. Those of the writer's own work, where SQLite is instrumented, would never end."""
        try:
            if current_thread().name == THREAD and self.is_own(span):
                return True
            arrival = self.arrival_of(span)
        except Exception as error:
            self.complain("A span of OpenTelemetry cannot be kept", error)
            return False
        if not runs:
            self.open.pop(arrival.row[0], None)
        self.arrived.append((arrival, runs))
        return True

    def is_own(self, span: ReadableSpan) -> bool:
        """Whether a span that ends in the writer's thread began there too; any may end there that the collector comes upon."""
        context = span.get_span_context()
        name = id_of(context) if context else ""
        is_own = name in self.own or not self.sees_starts
        self.own.discard(name)
        return is_own

    def put_unless_busy(self, patience: float = 0, until: float = inf) -> None:
        """Put what came; a thread that puts already, and for so many seconds, comes to what others bring meanwhile."""
        while self.arrived and monotonic() < until and self.alone(partial(self.put, until), patience):
            pass

    def leave_to_writer(self) -> None:
        """Have the writer's thread put soon what came, as it does before each batch."""
        if self.arrived:
            self.writer.hasten()

    def alone(self, act: Callable[[], Result], patience: float = 0) -> Result | None:
        """Do what one at a time may do; None where another does so for so many seconds, or this thread, in the midst of it.

        An interrupt may come at any moment, also before it is known that the lock is ours; only its owner can let go of it.
        """
        try:
            if not self.lock.acquire(timeout=patience) or self.is_busy:
                return None
            self.is_busy = True
            try:
                return act()
            finally:
                self.is_busy = False
        finally:
            try:  # noqa: SIM105 - an interrupt may come in any other call
                self.lock.release()
            except RuntimeError:  # it is another's
                pass

    def put(self, until: float) -> bool:
        """Put what is there, until then; whether all could be put. What could not stays, and what an interrupt leaves."""
        try:
            for _ in range(len(self.arrived)):
                if monotonic() >= until:
                    return False
                self.put_first()
        except Exception as error:
            self.complain("Spans wait, for they could not be put", error)
            return False
        return True

    def put_first(self) -> None:
        """Put what came first; after an interrupt it is put again."""
        arrival, runs = self.arrived[0]
        trace, named = arrival.row[1], arrival.trace_name
        rows = self.rows_of(arrival, runs=runs)
        if named and (runs or self.lineage.names.get(trace) == named):
            self.writer.name_trace(trace, named[1])
        for row in rows:
            self.writer.put(row)
        self.arrived.popleft()

    def rows_of(self, arrival: Arrival, *, runs: bool) -> list[Row]:
        """The rows to write now that a span came."""
        try:
            return [self.lineage.running(arrival, self.seen)] if runs else self.lineage.arrive(arrival, self.seen)
        except Exception as error:  # an interrupt came in the midst of it
            self.complain("What waited for the agents of earlier spans is forgotten", error)
            self.lineage = Lineage()
            return self.lineage.arrive(arrival)

    def arrival_of(self, span: ReadableSpan) -> Arrival:
        """A span with what tells whose it is."""
        read, name = self.read(span)
        end = read.end
        if end is None:
            read.data["status"] = "open"
            end = max(read.start, of_nanoseconds(time_ns()))
        elif end < read.start:  # the clock of the machine was set back
            read.data["estimated"] = ["end_time"]
            end = read.start
        if read.parent:
            read.data["parent_id"] = read.parent
        row = (read.id, read.trace_id, "", name_text(read.location), read.start, end, json_text(read.data))
        agent, service = (said and name_text(said) for said in (read.agent, read.fallback))
        return Arrival(row, read.parent, agent, service, name)

    def read(self, span: ReadableSpan) -> tuple[SpanRead, tuple[int, str] | None]:
        """A span as the reader of files gives it, and the name that it gives its trace; a rule that fails leaves ours."""
        names = FirstName()
        read = read_span(span, names)
        agent, location = read.agent, read.location
        try:
            assign(read, self.agent, self.location)
        except Exception as error:
            read.agent, read.location = agent, location
            self.complain("A rule of yours (agent=, location=) failed, and the house's own holds for that span", error)
        return read, names.name

    def seen(self, span_id: str) -> Seen | None:
        """What is known of a span that still runs."""
        span = self.open.get(span_id) or self.around.get(span_id)
        if span is None:
            return None
        try:
            read, name = self.read(span)
        except Exception:  # its program writes to it meanwhile
            return None
        return Seen(read.agent and name_text(read.agent), read.parent, name and name[1])

    def done(self, act: Callable[[], None]) -> bool:
        """Whether the store could do it; instrumented libraries see nothing of it."""
        with unseen():
            try:
                act()
            except StoreError as error:
                self.complain("Spans could not be stored", error)
                return False
        return True

    def complain(self, what: str, error: Exception) -> None:
        """Log something that went wrong, once."""
        if what not in self.complaints:
            self.complaints.add(what)
            log.warning("%s (%s: %s); further ones are not reported.", what, type(error).__name__, error)


class LiveSpanProcessor(SimpleSpanProcessor):
    """Hands each span to the exporter as it ends, without a queue that could overflow, and shows it those that begin."""

    def __init__(self, exporter: TokenvisSpanExporter) -> None:
        super().__init__(exporter)
        self.exporter = exporter

    def on_start(self, span: Span, parent_context: Any = None) -> None:
        """Show a span that begins."""
        self.exporter.begin(span)

    def force_flush(self, timeout_millis: int = PATIENCE) -> bool:
        """Whether all that ended is stored now; the SDK's own processor does not ask its exporter."""
        return self.exporter.force_flush(timeout_millis)


class FirstName:
    """The name that a span gives to its trace."""

    name: tuple[int, str] | None = None

    def name_trace(self, trace_id: str, name: str, start: int | None = None) -> None:
        """Take the name."""
        self.name = (INT64_MIN if start is None else start, name_text(name)) if name else None


def read_span(span: ReadableSpan, names: FirstName) -> SpanRead:
    """A span of the SDK, as `tokenvis.formats.telemetry.python_sdk` reads it where it was dumped as JSON."""
    context, parent = span.get_span_context(), span.parent
    if context is None or span.start_time is None:
        raise ValueError("it has no ids, or no start")
    return span_of(
        names,
        f"{context.trace_id:032x}",
        f"{context.span_id:016x}",
        f"{parent.span_id:016x}" if parent and parent.span_id else None,
        span.name or "span",
        of_nanoseconds(span.start_time),
        None if span.end_time is None else of_nanoseconds(span.end_time),
        plain(span.attributes or {}),
        kind=span.kind.name,
        service=service_of(span.resource.attributes),
        status=status_of(span.status.status_code.name),
        status_message=span.status.description,
        events=[event_of(event) for event in span.events] if span.end_time else None,
        links=[id_of(link.context) for link in span.links],
    )


def event_of(event: Any) -> dict[str, Any]:
    """An event of a span: name, time, attributes."""
    said = {"name": event.name, "time": of_nanoseconds(event.timestamp), "attributes": plain(event.attributes or {})}
    return {key: value for key, value in said.items() if value}


def plain(value: Any) -> Any:
    """A value of an attribute as JSON has it: bytes as OTLP writes them, in base64."""
    if isinstance(value, SCALARS):
        return value
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return [plain(item) for item in value] if isinstance(value, Sequence) else value


def left(until: float) -> float:
    """The seconds until then, none where that is past."""
    return max(until - monotonic(), 0.0)


def id_of(context: SpanContext) -> str:
    """The id of a span in the store."""
    return f"{context.trace_id:032x}/{context.span_id:016x}"


@contextmanager
def unseen() -> Iterator[None]:
    """What is done within makes no spans: else writing spans would make spans to write."""
    token = attach(set_value(_SUPPRESS_INSTRUMENTATION_KEY, True))
    try:
        yield
    finally:
        detach(token)
