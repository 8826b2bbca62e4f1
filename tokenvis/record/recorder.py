"""The recorder: record the live spans of a running program into the store.

The wall clock is read once, when the recorder is created; from then on times come from a monotonic clock. Ids have the form
``<trace id>/<token of this process>-<number>``, so several processes can record into one trace.
"""

import secrets
import weakref
from collections.abc import Callable
from contextvars import copy_context
from datetime import UTC, datetime
from functools import partial, wraps
from itertools import count
from time import perf_counter_ns, time_ns
from types import TracebackType
from typing import Any, ParamSpec, Self, TypeVar

from tokenvis.errors import BadOption, BadSpan, quoted
from tokenvis.record.lifecycle import ProcessHooks, register
from tokenvis.record.live import LiveSpan, current_span, innermost
from tokenvis.record.snapshot import name_text
from tokenvis.record.writer import MAX_SECONDS, MAX_SPANS, Writer
from tokenvis.spans.columns import is_integer
from tokenvis.store.append import SpanRow
from tokenvis.store.database import Target
from tokenvis.store.rows import check_text
from tokenvis.store.store import Store
from tokenvis.tree.states import USER

TIME_CONVERSIONS = {
    float: " Convert seconds: round(seconds * 1_000_000).",
    datetime: " Convert it: round(time.timestamp() * 1_000_000).",
}
CarriedParameters = ParamSpec("CarriedParameters")
CarriedResult = TypeVar("CarriedResult")


class Recorder(ProcessHooks):
    """Records spans of a running program into the store.

    A span is *accepted* when the call returns, and *stored* when it is committed. A stored span survives a crash of the
    program, with the guarantees of the store. A span is stored at most ``max_seconds`` after it is accepted, and at most
    ``max_spans`` are accepted but not stored: a kill can lose no more than these. `flush`, `close`, the end of the ``with``
    block and the end of the interpreter store all spans. Recording never raises an error because of the recorded data, or
    because it cannot be stored.

    Parameters
    ----------
    trace_id
        The trace. By default a new trace whose id contains the current time. If the trace exists, spans are added to it.
    name
        The trace's name; by default its current name, or else its id.
    store
        A `Store`, a path or URL, or None for the default database, which is created if it does not exist.
    open_spans
        Whether to store a span when it starts too, with the status "open" and the time of the last batch as its end.
    durable
        Whether each call waits until its span is stored.
    max_spans, max_seconds
        The limits of spans that are accepted but not stored: how many, and for how long.

    Raises
    ------
    StoreError
        The database cannot be used.
    BadSpan, BadOption
        ``trace_id`` or ``name`` is not a text, or a limit is not a positive number.

    Examples
    --------
    >>> with Recorder("run-1", store="traces.db") as recorder:
    ...     with recorder.span("Planner", "desk", label="plan") as plan:
    ...         plan.data["n_steps"] = 3
    ...     with recorder.span("Coder", "studio"):
    ...         recorder.link(plan)
    >>> from tokenvis import load_spans
    >>> load_spans("run-1", store="traces.db")[["agent_id", "location_id"]]
      agent_id location_id
    0  Planner        desk
    1    Coder      studio
    """

    def __init__(
        self,
        trace_id: str | None = None,
        *,
        name: str | None = None,
        store: Store | Target = None,
        open_spans: bool = False,
        durable: bool = False,
        max_spans: int = MAX_SPANS,
        max_seconds: float = MAX_SECONDS,
    ) -> None:
        self.trace_id = new_trace_id() if trace_id is None else trace_id
        check_text("trace_id", self.trace_id)
        check_text("name", self.trace_id if name is None else name)
        self._open: dict[str, LiveSpan] = {}
        self._stores_open_spans, self._durable = open_spans, durable
        self._now: Callable[[], int] = partial(monotonic_us, time_ns() - perf_counter_ns())
        open_rows = partial(open_span_rows, self._open, self._now) if open_spans else None
        self._writer = Writer(store, max_spans=max_spans, max_seconds=max_seconds, open_rows=open_rows)
        self._writer.name_trace(self.trace_id, name)
        self.after_fork_in_child()
        register(self)
        weakref.finalize(self, self._writer.request_close).atexit = False

    def __repr__(self) -> str:
        return f"Recorder({quoted(self.trace_id)}, store={str(self.store.path)!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    @property
    def store(self) -> Store:
        """The store that the recorder writes to."""
        return self._writer.store

    @property
    def current(self) -> LiveSpan | None:
        """The innermost span of this recorder that is open around the calling code, or None."""
        span = innermost()
        while span is not None and span.recorder is not self:
            span = span._enclosing
        return span

    def span(self, /, agent: str, location: str, **data: Any) -> LiveSpan:
        """A span around a piece of code, or around each call of a function.

        Use it as ``with recorder.span("Ann", "desk"):``, with ``async with``, or as a decorator of a function, a coroutine
        function or a generator function of either kind: ``@recorder.span("Ann", "desk")``. Its parent is the enclosing open
        span. An error that ends it is recorded (``status``, ``status_message``, ``error.type``, ``exception.stacktrace``) and
        raised again.

        Parameters
        ----------
        agent, location
            Who does the work, and where. Values that are not text are converted to text.
        **data
            The data of the span, read when the span ends: ``label``, ``kind``, ``links``, ``requested_by`` (the model
            call that asked for this call: a span or its id), ``parent_id`` (overrides the enclosing span), ``detached`` (true:
            no agent waits for this span; false: its parent waits, whatever the times are), ``waits_for`` (see `wait`; "user" by
            default at the location of a tool that asks the user, such as "tool:AskUserQuestion"), and your own keys. Values
            that are not JSON, or too long, are cut and marked.

        Returns
        -------
        LiveSpan
            The span; keys may be added to its ``data`` while it is open.
        """
        return LiveSpan(self, agent, location, data)

    def wait(
        self, /, waits_for: str | None = USER, *, agent: str | None = None, location: str | None = None, **data: Any
    ) -> LiveSpan:
        """A span in which an agent waits for a person or for another agent, where it is.

        Use it as `span`: with ``with``, ``async with``, or as a decorator, for which ``agent`` and ``location`` are those at
        the time of the decoration.

        Parameters
        ----------
        waits_for
            The name of a person, by default "user", or of an agent of the trace. It is stored in ``waits_for``. Values that
            are not text are converted to text; None and a blank name are "user".
        agent, location
            Who waits, and where; by default as in the innermost open span of this recorder.
        **data
            As in `span`; also ``waits_for_kind``, "agent" or "person", for a name that the trace does not explain.

        Returns
        -------
        LiveSpan
            The span.

        Raises
        ------
        BadOption
            No span is open, and ``agent`` or ``location`` is not given.

        Examples
        --------
        >>> with Recorder("run-2", store="traces.db") as recorder, recorder.span("Ann", "desk"):
        ...     with recorder.wait("Eve", label="May I?"):
        ...         pass
        >>> from tokenvis import expand_data, load_spans
        >>> expand_data(load_spans("run-2", store="traces.db"), "waits_for")["waits_for"].dropna().tolist()
        ['Eve']
        """
        around = self.current
        if around is None and (agent is None or location is None):
            raise BadOption("There is no open span that waits. Call wait() inside a span, or pass agent= and location=.")
        name = USER if waits_for is None or isinstance(waits_for, bool) else name_text(waits_for)
        who = around.agent_id if around is not None and agent is None else agent
        where = around.location_id if around is not None and location is None else location
        return LiveSpan(self, who, where, {**data, "waits_for": name if name.strip() else USER})

    def event(self, /, agent: str, location: str, **data: Any) -> LiveSpan:
        """Record an instant: something that happens now and takes no time. The parameters are those of `span`."""
        span = LiveSpan(self, agent, location, data)
        span._begin()
        span.end_time = span.start_time
        self._on_end(span)
        return span

    def add(self, /, agent: str, location: str, *, start_time: int, end_time: int, **data: Any) -> LiveSpan:
        """Record a span with your own times, for example of a simulation. Its only parent is ``parent_id``.

        Parameters
        ----------
        start_time, end_time
            Integer µs from any origin, as in `tokenvis.Store`.
        agent, location, **data
            As in `span`.

        Raises
        ------
        BadSpan
            A time is not a 64-bit integer, or the end is before the start. Nothing is recorded.
        """
        for option, time in (("start_time", start_time), ("end_time", end_time)):
            if not is_integer(time) or not -(2**63) <= time < 2**63:
                hint = next((hint for kind, hint in TIME_CONVERSIONS.items() if isinstance(time, kind)), "")
                raise BadSpan(f"{option}={quoted(time)} is not a 64-bit integer of microseconds.{hint}")
        if end_time < start_time:
            raise BadSpan(
                f"A span of agent {quoted(agent)} in trace {quoted(self.trace_id)} ends at {end_time} "
                f"before it starts at {start_time}."
            )
        span = LiveSpan(self, agent, location, data)
        span.id, span._process_token = self._new_id(), self._process_token
        span.start_time, span.end_time = int(start_time), int(end_time)
        self._on_end(span)
        return span

    def link(self, source: LiveSpan | str, target: LiveSpan | None = None) -> None:
        """Record a handoff: ``target`` continues the work of ``source``.

        Parameters
        ----------
        source
            The earlier span, or its id, which may come from another process.
        target
            The later span; by default the open span. It may have ended.

        Raises
        ------
        BadOption
            There is no such span: none is open, or ``source`` has not started.
        """
        follower = self.current if target is None else target
        if follower is None:
            raise BadOption("There is no open span to link. Call link() inside a span, or pass target=.")
        source_id = source.id if isinstance(source, LiveSpan) else source
        if not isinstance(source_id, str) or not source_id:
            raise BadOption(f"source={quoted(source)} is neither a span that has started nor the id of a span.")
        if not isinstance(follower.data, dict):
            follower.data = {"value": follower.data}
        existing = follower.data.get("links", [])
        links = list(existing) if isinstance(existing, list | tuple) else [existing]
        if source_id not in [link for link in links if isinstance(link, str)]:
            follower.data["links"] = [*links, source_id]
            if follower.end_time is not None:
                follower.recorder._on_end(follower)

    def carry(self, function: Callable[CarriedParameters, CarriedResult]) -> Callable[CarriedParameters, CarriedResult]:
        """The function, to run inside the span that is open now, in any thread.

        Asyncio tasks and `asyncio.to_thread` inherit the open span as the parent of their spans. A new thread starts without
        one: use ``pool.submit(recorder.carry(work), task)`` or ``Thread(target=recorder.carry(work))``.
        """
        span = innermost()

        @wraps(function)
        def carried(*args: CarriedParameters.args, **kwargs: CarriedParameters.kwargs) -> CarriedResult:
            context = copy_context()
            context.run(current_span.set, span)
            return context.run(function, *args, **kwargs)

        return carried

    def flush(self) -> None:
        """Wait until all accepted spans are stored.

        Raises
        ------
        StoreError
            Nothing was stored for 30 seconds. The spans stay queued.
        """
        self._writer.flush()

    def close(self) -> None:
        """Store all accepted spans and close the database.

        Open spans are stored with the status "open", and again when they end: the recorder still stores spans after this. If
        the store cannot be written, this stops waiting after some seconds: the spans stay in a file that the next recording
        stores.
        """
        now = self._now()
        for span in list(self._open.values()):
            self._writer.put(span.row(now))
            if span.end_time is not None:  # another thread ended it meanwhile, and may have put its end before this open row
                self._writer.put(span.row(0))
        self._writer.close()

    def after_fork_in_child(self) -> None:
        """Reset the state of one process.

        A forked process has a separate id prefix, and does not store spans that the parent process opened.
        """
        self._process_token = object()
        self._open.clear()
        self._id_prefix = f"{self.trace_id}/{secrets.token_hex(5)}-"
        self._numbers = count(1)

    # Called by live spans

    def _new_id(self) -> str:
        return self._id_prefix + str(next(self._numbers)).zfill(6)

    def _on_start(self, span: LiveSpan) -> None:
        """A span has started."""
        self._open[span.id] = span
        if self._stores_open_spans:
            self._put(span.row(0))

    def _on_end(self, span: LiveSpan) -> None:
        """A span has ended, or has changed since."""
        if span._process_token is self._process_token:
            self._put(span.row(0))
            self._open.pop(span.id, None)  # after the put, so that an interrupt in between loses nothing

    def _put(self, row: SpanRow) -> None:
        self._writer.put(row)
        if self._durable:
            self._writer.flush_or_stall()


def new_trace_id() -> str:
    """An id for a new trace: the current time and a random token."""
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"


def monotonic_us(anchor: int) -> int:
    """The time in µs since 1970, from a monotonic clock; ``anchor`` is the clock's zero, in ns since 1970."""
    return (anchor + perf_counter_ns()) // 1_000


def open_span_rows(opened: dict[str, LiveSpan], now: Callable[[], int]) -> list[SpanRow]:
    """The current rows of the open spans."""
    time = now()
    return [span.row(time) for span in list(opened.values())]
