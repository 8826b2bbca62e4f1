"""The exporter: store the spans of OpenTelemetry's SDK when they end, in the process that creates them.

A span is translated with the same conventions and rules as a span from a file, and gets the same id: reading that file later
changes nothing. The `lineage` resolves the agent of a span, because its agent's span may end later. Spans arrive on any
thread, and even from the garbage collector while another span is being processed. So they are queued without waiting, and one
thread at a time processes the queue. Each thread checks the queue again afterwards, for spans that arrived meanwhile.
"""

import logging
from collections import deque
from collections.abc import Callable, Iterator, Sequence
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

from tokenvis.conventions.agent_names import AGENT_ID_KEYS
from tokenvis.conventions.rules import Rule, rule_functions
from tokenvis.conventions.span import SpanRead, assign_by_rules
from tokenvis.conventions.timestamps import from_nanoseconds
from tokenvis.errors import StoreError, escaped
from tokenvis.record.lifecycle import ProcessHooks, register
from tokenvis.record.lineage import Arrival, Lineage, RunningSpan
from tokenvis.record.sdk_spans import TraceNameCapture, read_span, stored_span_id
from tokenvis.record.snapshot import json_text, name_text
from tokenvis.record.writer import WRITER_THREAD_NAME, Writer
from tokenvis.store.append import SpanRow
from tokenvis.store.database import Target
from tokenvis.store.store import Store

FLUSH_TIMEOUT_MS = 30_000  # the SDK's default
MAX_QUEUED_ARRIVALS = 512  # with more, threads that export wait
EXPORT_TIMEOUT_S = 1.0
PROCESSING_TIME_S = 0.1  # of the writer thread before each batch
OpenSpans: TypeAlias = WeakValueDictionary[str, Span]  # by id; a span without other references can never end
ActionResult = TypeVar("ActionResult")

log = logging.getLogger("tokenvis")


class TokenvisSpanExporter(SpanExporter, ProcessHooks):
    """Writes the spans of OpenTelemetry's SDK into a store; `record_opentelemetry` installs one.

    Parameters
    ----------
    store
        A `Store`, a path or URL, or None for the default database, which is created if it does not exist.
    agent, location, waits_for
        Rules for a span's agent, its location and whom it waits for that replace the default rules, as in `ingest`.
    open_spans
        Whether to store a span when it starts too, with the status "open" and the time of the last batch as its end. This
        requires the processor of `record_opentelemetry`: an exporter alone receives spans only when they end.

    Raises
    ------
    BadOption
        ``agent``, ``location`` or ``waits_for`` is neither an attribute name nor a function.
    StoreError
        The database cannot be used.
    """

    def __init__(
        self,
        *,
        store: Store | Target = None,
        agent: Rule = None,
        location: Rule = None,
        waits_for: Rule = None,
        open_spans: bool = False,
    ) -> None:
        self.configure(agent=agent, location=location, waits_for=waits_for, open_spans=open_spans)
        self.writer = Writer(store, open_rows=self.open_rows)
        self.is_shut_down = self.receives_starts = False
        self.logged_messages: set[str] = set()
        self.open = OpenSpans()
        self.after_fork_in_child()
        register(self)

    def __repr__(self) -> str:
        return f"TokenvisSpanExporter({str(self.writer.store.path)!r})"

    def configure(self, *, agent: Rule = None, location: Rule = None, waits_for: Rule = None, open_spans: bool = False) -> None:
        """Set the options for the spans that follow."""
        self.rules, self.open_spans = rule_functions(agent, location, waits_for), open_spans

    def after_fork_in_child(self) -> None:
        """Reset all state: in a forked child, the earlier spans are the parent's to store."""
        self.inherited, self.open = self.open, OpenSpans()  # open ancestors from the parent still determine agents
        self.lineage = Lineage()
        self.arrivals: deque[tuple[Arrival, bool]] = deque()  # each with whether the span is still running
        self.own_span_ids: set[str] = set()  # of running spans that the writer's own work created
        self.lock, self.is_busy = RLock(), False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Accept spans that have ended; never raise. FAILURE if one is not a span, or after `shutdown`."""
        if self.is_shut_down:
            return SpanExportResult.FAILURE
        return SpanExportResult.SUCCESS if self.accept(spans, is_running=False) else SpanExportResult.FAILURE

    def force_flush(self, timeout_millis: int = FLUSH_TIMEOUT_MS) -> bool:
        """Return whether all spans are stored within the timeout; the others stay queued."""
        deadline = monotonic() + timeout_millis / 1_000
        is_processed = not self.arrivals or bool(self.run_exclusively(partial(self.process, deadline), seconds_left(deadline)))
        self.process_unless_busy(deadline=deadline)
        return self.attempt(partial(self.wait_until_stored, deadline)) and is_processed

    def wait_until_stored(self, deadline: float) -> None:
        """Wait until the deadline for the writer, whose own timeout restarts with each batch."""
        if not self.writer.flush_within(seconds_left(deadline)):
            raise StoreError(f"{self.writer.store.path} did not store the spans in time. They stay queued.")

    def shutdown(self) -> None:
        """Store all spans and close the database."""
        self.is_shut_down = True
        self.close()
        self.attempt(self.writer.close)

    def close(self) -> None:
        """At the end of the process: pass all spans to the writer, which stores them when it is closed."""
        self.attempt(partial(self.process_unless_busy, EXPORT_TIMEOUT_S))

    def on_start(self, span: Span) -> None:
        """Register a span when it starts: it determines the agent of the spans inside."""
        context = span.get_span_context()
        if context is None or not context.trace_flags.sampled or self.is_shut_down:
            return
        self.receives_starts = True
        if current_thread().name == WRITER_THREAD_NAME:
            self.own_span_ids.add(stored_span_id(context))
            return
        self.open[stored_span_id(context)] = span
        if self.open_spans or (self.rules[0] is None and not (span.attributes or {}).keys().isdisjoint(AGENT_ID_KEYS)):
            self.accept([span], is_running=True)

    def open_rows(self) -> list[SpanRow]:
        """The current rows of running spans; none if another thread is processing spans."""
        rows = self.run_exclusively(self.collect_open_rows) if self.open_spans and not self.is_shut_down else None
        deadline = monotonic() + PROCESSING_TIME_S
        self.process_unless_busy(deadline=deadline)
        if monotonic() >= deadline:  # spans arrive faster than this thread processes them, and it must also write
            self.defer_to_writer()
        return rows or []

    def collect_open_rows(self) -> list[SpanRow]:
        """The current rows of running spans."""
        spans = [span for reference in self.open.valuerefs() if (span := reference()) is not None]
        return [row for span in spans if span.end_time is None and (row := self.open_row(span)) is not None]

    def open_row(self, span: Span) -> SpanRow | None:
        """The current row of a running span; None if the program is modifying the span at this moment."""
        try:
            return self.lineage.running_row(self.arrival_of(span), self.find_running)
        except Exception:
            return None

    def accept(self, spans: Sequence[ReadableSpan], *, is_running: bool) -> bool:
        """Queue spans and process the queue; return whether all are spans. Wait for a busy thread if the queue is long."""
        try:
            accepted = [self.enqueue(span, is_running=is_running) for span in spans]
            self.process_unless_busy(EXPORT_TIMEOUT_S if len(self.arrivals) > MAX_QUEUED_ARRIVALS else 0)
        except BaseException:  # an interrupt
            self.defer_to_writer()
            raise
        return all(accepted)

    def enqueue(self, span: ReadableSpan, *, is_running: bool) -> bool:
        """Queue a span, or return False if it is not one; skip the writer's own spans: storing them would create more."""
        try:
            if current_thread().name == WRITER_THREAD_NAME and self.is_own_span(span):
                return True
            arrival = self.arrival_of(span)
        except Exception as error:
            self.log_once("An OpenTelemetry span could not be recorded", error)
            return False
        if not is_running:
            self.open.pop(arrival.row[0], None)
        self.arrivals.append((arrival, is_running))
        return True

    def is_own_span(self, span: ReadableSpan) -> bool:
        """Whether a span that ends on the writer thread also started there: the garbage collector may end any span there."""
        context = span.get_span_context()
        span_id = stored_span_id(context) if context else ""
        is_own = span_id in self.own_span_ids or not self.receives_starts
        self.own_span_ids.discard(span_id)
        return is_own

    def process_unless_busy(self, timeout: float = 0, deadline: float = inf) -> None:
        """Process the queue, unless another thread does so for ``timeout`` seconds; that thread processes the new spans too."""
        while self.arrivals and monotonic() < deadline and self.run_exclusively(partial(self.process, deadline), timeout):
            pass

    def defer_to_writer(self) -> None:
        """Request a batch from the writer thread, which processes the queue first."""
        if self.arrivals:
            self.writer.request_flush()

    def run_exclusively(self, action: Callable[[], ActionResult], timeout: float = 0) -> ActionResult | None:
        """Run an action under the lock; None if another thread keeps the lock for ``timeout`` seconds, or this thread has it.

        An interrupt may come at any moment, even before the result of `acquire` is known; only the owner can release the lock.
        """
        try:
            if not self.lock.acquire(timeout=timeout) or self.is_busy:
                return None
            self.is_busy = True
            try:
                return action()
            finally:
                self.is_busy = False
        finally:
            try:  # noqa: SIM105 - an interrupt may come in any other call
                self.lock.release()
            except RuntimeError:  # another thread has it
                pass

    def process(self, deadline: float) -> bool:
        """Process the queue until the deadline and return whether it is done; after an error or interrupt, the rest stays."""
        try:
            for _ in range(len(self.arrivals)):
                if monotonic() >= deadline:
                    return False
                self.process_next()
        except Exception as error:
            self.log_once("Spans stay queued because they could not be processed", error)
            return False
        return True

    def process_next(self) -> None:
        """Pass the oldest arrival to the writer; after an interrupt it is passed again."""
        arrival, is_running = self.arrivals[0]
        trace, trace_name = arrival.row[1], arrival.trace_name
        rows = self.rows_of(arrival, is_running=is_running)
        if is_running and not self.open_spans:  # it only had to be told apart from its namesakes
            self.arrivals.popleft()
            return
        if trace_name and (is_running or self.lineage.trace_names.get(trace) == trace_name):
            self.writer.name_trace(trace, trace_name[1])
        for row in rows:
            self.writer.put(row)
        self.arrivals.popleft()

    def rows_of(self, arrival: Arrival, *, is_running: bool) -> list[SpanRow]:
        """The rows to write for an arrival."""
        try:
            return (
                [self.lineage.running_row(arrival, self.find_running)]
                if is_running
                else self.lineage.add(arrival, self.find_running)
            )
        except Exception as error:  # an interrupt has left the lineage inconsistent
            self.log_once("Earlier spans keep their current agents because the lineage was reset", error)
            self.lineage = Lineage()
            return self.lineage.add(arrival)

    def arrival_of(self, span: ReadableSpan) -> Arrival:
        """A span with the values that determine its agent."""
        read, trace_name = self.read(span)
        end = read.end
        if end is None:
            read.data["status"] = "open"
            end = max(read.start, from_nanoseconds(time_ns()))
        elif end < read.start:  # the system clock was set back
            read.data["estimated"] = [*read.data.get("estimated", ()), "end_time"]
            end = read.start
        if read.parent:
            read.data["parent_id"] = read.parent
        row = (read.id, read.trace_id, "", name_text(read.location), read.start, end, json_text(read.data))
        agent, service, key = (name and name_text(name) for name in (read.agent, read.fallback_agent, read.agent_key))
        return Arrival(row, read.parent, agent, service, trace_name, read.calls, read.call, key)

    def read(self, span: ReadableSpan) -> tuple[SpanRead, tuple[int, str] | None]:
        """A span as the file reader returns it, and the name that it gives its trace; if a rule fails, the defaults apply."""
        read = read_span(span, names := TraceNameCapture())
        try:
            assign_by_rules(read, *self.rules)
        except Exception as error:
            assign_by_rules(read, None, None, None)
            self.log_once("A rule (agent=, location= or waits_for=) failed, and the default rules apply to that span", error)
        return read, names.name

    def find_running(self, span_id: str) -> RunningSpan | None:
        """The agent, parent and trace name of a running span; None if there is no such span."""
        span = self.open.get(span_id) or self.inherited.get(span_id)
        if span is None:
            return None
        try:
            read, trace_name = self.read(span)
        except Exception:  # the program is modifying it
            return None
        agent, key = (name and name_text(name) for name in (read.agent, read.agent_key))
        return RunningSpan(agent, read.parent, trace_name and trace_name[1], read.call, key, read.start)

    def attempt(self, action: Callable[[], None]) -> bool:
        """Run an action without creating spans for it; return False, and log once, if the store fails."""
        with without_instrumentation():
            try:
                action()
            except StoreError as error:
                self.log_once("Spans could not be stored", error)
                return False
        return True

    def log_once(self, message: str, error: Exception) -> None:
        """Log a warning, only the first time."""
        if message not in self.logged_messages:
            self.logged_messages.add(message)
            log.warning(
                "%s (%s: %s); further failures of this kind are not logged.", message, type(error).__name__, escaped(error)
            )


class LiveSpanProcessor(SimpleSpanProcessor):
    """Passes each span to the exporter when it starts and when it ends, without a queue that could overflow."""

    def __init__(self, exporter: TokenvisSpanExporter) -> None:
        super().__init__(exporter)
        self.exporter = exporter

    def on_start(self, span: Span, parent_context: Any = None) -> None:
        """Pass on a span that starts."""
        self.exporter.on_start(span)

    def force_flush(self, timeout_millis: int = FLUSH_TIMEOUT_MS) -> bool:
        """Return whether all ended spans are stored; the SDK's own processor does not flush its exporter."""
        return self.exporter.force_flush(timeout_millis)


def seconds_left(deadline: float) -> float:
    """The seconds until the deadline, 0 if it has passed."""
    return max(deadline - monotonic(), 0.0)


@contextmanager
def without_instrumentation() -> Iterator[None]:
    """Suppress instrumentation: otherwise, storing spans would create more spans."""
    token = attach(set_value(_SUPPRESS_INSTRUMENTATION_KEY, True))
    try:
        yield
    finally:
        detach(token)
