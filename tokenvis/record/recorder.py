"""The recorder: live spans of a running program, into the store.

Times come from one look at the wall clock, when the recorder is made, and from then on from a clock that only goes forward. Ids
are ``<trace id>/<a word of this process>-<number>``, so many processes can record one trace.
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
from tokenvis.record.lifecycle import Ending, register
from tokenvis.record.live import LiveSpan, current, innermost
from tokenvis.record.writer import MAX_SECONDS, MAX_SPANS, Writer
from tokenvis.spans.columns import is_integer
from tokenvis.store.append import Row
from tokenvis.store.database import Target
from tokenvis.store.rows import check_text
from tokenvis.store.store import Store

CONVERSIONS = {
    float: " Convert seconds: round(seconds * 1_000_000).",
    datetime: " Convert it: round(time.timestamp() * 1_000_000).",
}
Given = ParamSpec("Given")
Result = TypeVar("Result")


class Recorder(Ending):
    """Records spans of a running program into the store.

    A span is *accepted* when the call is back, and *stored* when it is committed: then it survives whatever happens to the
    program, and what the store promises beyond that. It is stored ``max_seconds`` later at the latest, and never are more than
    ``max_spans`` accepted and not stored; that much a kill can take. At `flush`, `close`, the end of the ``with`` block and the
    end of the interpreter, all is stored. No call ever raises because of what is recorded, or because it cannot be stored.

    Parameters
    ----------
    trace_id
        The trace. By default a new one, called by the time. Spans are added to one that is there.
    name
        The trace's name; by default the one that it has, else its id.
    store
        A `Store`, a path or URL, or None for the default database, which is created if it is not there.
    open_spans
        Whether a span is stored when it starts too, with the status "open" and the time of the last batch as its end.
    durable
        Whether each call waits until its span is stored.
    max_spans, max_seconds
        How many spans are accepted and not stored at the most, and for how long.

    Raises
    ------
    StoreError
        The database cannot be used.
    BadSpan, BadOption
        ``trace_id`` or ``name`` is no text, or a bound is no number above 0.

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
        self._stores_open, self._durable = open_spans, durable
        self._now: Callable[[], int] = partial(time_since, time_ns() - perf_counter_ns())
        pulse = partial(rows_so_far, self._open, self._now) if open_spans else None
        self._writer = Writer(store, max_spans=max_spans, max_seconds=max_seconds, pulse=pulse)
        self._writer.name_trace(self.trace_id, name)
        self.begin_anew()
        register(self)
        weakref.finalize(self, self._writer.retire).atexit = False

    def __repr__(self) -> str:
        return f"Recorder({quoted(self.trace_id)}, store={str(self.store.path)!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    @property
    def store(self) -> Store:
        """Where the spans go."""
        return self._writer.store

    @property
    def current(self) -> LiveSpan | None:
        """The span of this recorder that is open around the code that asks, or None."""
        span = innermost()
        while span is not None and span.recorder is not self:
            span = span._above
        return span

    def span(self, /, agent: str, location: str, **data: Any) -> LiveSpan:
        """A span around a piece of code, or around each call of a function.

        ``with recorder.span("Ann", "desk"):``, ``async with`` too, and ``@recorder.span("Ann", "desk")`` above a function, a
        coroutine function or a generator function of either kind. The span that is open around it is its parent. An error that
        ends it is recorded (``status``, ``status_message``, ``error.type``, ``exception.stacktrace``) and raised on.

        Parameters
        ----------
        agent, location
            Who, and where. What is no text is stored as its text.
        **data
            What is stored with it, as it is when the span ends: ``label``, ``kind``, ``links``, ``parent_id`` (instead of the
            span that is open), and keys of your own. What is no JSON, or too long, is cut and marked.

        Returns
        -------
        LiveSpan
            The span; its ``data`` may be added to while it is open.
        """
        return LiveSpan(self, agent, location, data)

    def event(self, /, agent: str, location: str, **data: Any) -> LiveSpan:
        """An instant: something that happened now, and took no time. Parameters are those of `span`."""
        span = LiveSpan(self, agent, location, data)
        span._begin()
        span.end_time = span.start_time
        self._ended(span)
        return span

    def add(self, /, agent: str, location: str, *, start_time: int, end_time: int, **data: Any) -> LiveSpan:
        """A span with times of your own, for a simulation, which has its own clock. It has no parent but ``parent_id``.

        Parameters
        ----------
        start_time, end_time
            Whole µs, of any origin, as `tokenvis.Store` takes them.
        agent, location, **data
            As in `span`.

        Raises
        ------
        BadSpan
            A time is no whole number of 63 bits, or the end is before the start. Nothing is recorded.
        """
        for option, time in (("start_time", start_time), ("end_time", end_time)):
            if not is_integer(time) or not -(2**63) <= time < 2**63:
                hint = next((hint for kind, hint in CONVERSIONS.items() if isinstance(time, kind)), "")
                raise BadSpan(f"{option}={quoted(time)} is not integer microseconds of 63 bits.{hint}")
        if end_time < start_time:
            raise BadSpan(f"The span ends at {end_time} before it starts at {start_time}.")
        span = LiveSpan(self, agent, location, data)
        span.id, span._era = self._new_id(), self._era
        span.start_time, span.end_time = int(start_time), int(end_time)
        self._ended(span)
        return span

    def link(self, source: LiveSpan | str, target: LiveSpan | None = None) -> None:
        """A handoff: ``target`` goes on with what ``source`` did.

        Parameters
        ----------
        source
            The span that was before, or its id, which may come from another process.
        target
            The span that follows it; by default the one that is open. It may have ended.

        Raises
        ------
        BadOption
            There is no such span: none is open, or ``source`` has not started.
        """
        follows = self.current if target is None else target
        if follows is None:
            raise BadOption("No span is open that could follow another. Call link() in one, or give target=.")
        before = source.id if isinstance(source, LiveSpan) else source
        if not isinstance(before, str) or not before:
            raise BadOption(f"source={quoted(source)} is no span that has started, nor the id of one.")
        if not isinstance(follows.data, dict):
            follows.data = {"value": follows.data}
        there = follows.data.get("links", [])
        links = list(there) if isinstance(there, list | tuple) else [there]
        if before not in [link for link in links if isinstance(link, str)]:
            follows.data["links"] = [*links, before]
            if follows.end_time is not None:
                follows.recorder._ended(follows)

    def carry(self, function: Callable[Given, Result]) -> Callable[Given, Result]:
        """A function that runs within the span that is open here, whichever thread calls it.

        Tasks of asyncio and `asyncio.to_thread` have the span that is open where they start as the parent of their own. A
        thread begins with none: ``pool.submit(recorder.carry(work), task)``, ``Thread(target=recorder.carry(work))``.
        """
        span = innermost()

        @wraps(function)
        def carried(*values: Given.args, **options: Given.kwargs) -> Result:
            context = copy_context()
            context.run(current.set, span)
            return context.run(function, *values, **options)

        return carried

    def flush(self) -> None:
        """Wait until all that was accepted is stored.

        Raises
        ------
        StoreError
            It could not be stored in 30 seconds. It waits on.
        """
        self._writer.flush()

    def close(self) -> None:
        """Store all that was accepted, and let go of the file.

        Spans that are open are stored as such, and once more when they end: what is recorded after this is stored too. Where
        the store takes nothing, this gives up after some seconds: the spans stay in a file that the next recording takes in.
        """
        now = self._now()
        for span in list(self._open.values()):
            self._writer.put(span.row(now))
            if span.end_time is not None:  # in another thread, meanwhile, so that its end may stand before what was put here
                self._writer.put(span.row(0))
        self._writer.close()

    def begin_anew(self) -> None:
        """What is of one process: ids have its word, and spans that its parent opened are its parent's."""
        self._era = object()
        self._open.clear()
        self._prefix = f"{self.trace_id}/{secrets.token_hex(5)}-"
        self._numbers = count(1)

    # What live spans call

    def _new_id(self) -> str:
        return self._prefix + str(next(self._numbers)).zfill(6)

    def _opened(self, span: LiveSpan) -> None:
        """A span has started."""
        self._open[span.id] = span
        if self._stores_open:
            self._put(span.row(0))

    def _ended(self, span: LiveSpan) -> None:
        """A span has ended, or has more to say."""
        if span._era is self._era:
            self._put(span.row(0))
            self._open.pop(span.id, None)  # afterwards: an interrupt may come in between

    def _put(self, row: Row) -> None:
        self._writer.put(row)
        if self._durable:
            self._writer.settle()


def new_trace_id() -> str:
    """An id for a new trace: the time, and a word that no other has."""
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"


def time_since(anchor: int) -> int:
    """The time, in µs since 1970, by a clock that only goes forward; ``anchor`` is when that was at 0, in ns since 1970."""
    return (anchor + perf_counter_ns()) // 1_000


def rows_so_far(opened: dict[str, LiveSpan], now: Callable[[], int]) -> list[Row]:
    """The rows of spans that are open, as far as they are."""
    time = now()
    return [span.row(time) for span in list(opened.values())]
