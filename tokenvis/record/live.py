"""Live spans: the spans of a running program, while they are open and afterwards.

The span that is open around a piece of code is the parent of the spans inside. It is kept in a context variable, so it follows
asyncio tasks, and each thread has its own.
"""

from asyncio import CancelledError
from collections.abc import Callable
from contextvars import ContextVar, Token
from functools import partial
from traceback import TracebackException
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

from tokenvis.conventions.figures import with_figures
from tokenvis.conventions.waits import default_wait
from tokenvis.errors import BadOption, quoted
from tokenvis.record.decorators import instrument, underlying_function
from tokenvis.record.snapshot import StoredById, json_text, name_text, repr_text, storable_time, type_name
from tokenvis.spans.integers import INT64_MAX, INT64_MIN
from tokenvis.store.append import SpanRow

Function = TypeVar("Function", bound=Callable[..., Any])

MAX_ERROR_MESSAGE_CHARACTERS = 2_000
MAX_STACK_CHARACTERS = 8_000
MAX_STACK_FRAMES = 20

current_span: ContextVar["LiveSpan | None"] = ContextVar("tokenvis_span", default=None)


class SpanRecorder(Protocol):
    """The part of a recorder that spans use: the trace, ids, times, and callbacks."""

    trace_id: str
    _process_token: object  # changes in a forked child
    _now: Callable[[], int]

    def _new_id(self) -> str: ...

    def _on_start(self, span: "LiveSpan") -> None: ...

    def _on_end(self, span: "LiveSpan") -> None: ...


class LiveSpan(StoredById):
    """A span that a recorder records: `Recorder.span` returns one, for use with ``with``, ``async with`` or as a decorator.

    Attributes
    ----------
    id, trace_id, agent_id, location_id : str
        As stored; the id is empty until the span starts.
    start_time, end_time : int or None
        µs since 1970; None until the span has started or ended.
    data : dict
        The span's data. Keys may be added while the span is open.
    """

    __slots__ = (
        *("recorder", "trace_id", "agent_id", "location_id", "start_time", "end_time", "data"),
        *("parent_id", "_enclosing", "_token", "_process_token", "_error_data"),
    )

    def __init__(self, recorder: SpanRecorder, agent: Any, location: Any, data: dict[str, Any]) -> None:
        self.recorder = recorder
        self.trace_id = recorder.trace_id
        self.id = ""
        self.agent_id = name_text(agent)
        self.location_id = name_text(location)
        self.start_time: int | None = None
        self.end_time: int | None = None
        self.data = data
        self.parent_id: str | None = None
        self._enclosing: LiveSpan | None = None
        self._token: Token[LiveSpan | None] | None = None  # resets the context in which the span was entered
        self._error_data: dict[str, Any] | None = None  # not the error, which keeps the variables of its frames alive

    def __repr__(self) -> str:
        state = "not started" if self.start_time is None else "open" if self.end_time is None else "ended"
        return f"<LiveSpan of {quoted(self.agent_id)} at {quoted(self.location_id)}, {state}>"

    def start(self) -> Self:
        """Start the span without making it a parent, for work that begins in one call and ends in another; `end` ends it.

        Raises
        ------
        BadOption
            The span has already started.
        """
        if self.start_time is not None:
            raise BadOption(f"{self!r} has already started. Call recorder.span(...) for each span.")
        self._begin()
        self.recorder._on_start(self)
        return self

    def _reopen(self) -> None:
        """Open the span again, because its work continues; it is stored again when it ends."""
        self.end_time = None
        self.recorder._on_start(self)

    def _begin(self) -> None:
        """Set the id, the parent and the start."""
        recorder = self.recorder
        enclosing = self._enclosing = innermost()
        while enclosing is not None and enclosing.recorder is not recorder:
            enclosing = enclosing._enclosing
        if enclosing is not None:
            self.parent_id = enclosing.id
        self.id, self._process_token = recorder._new_id(), recorder._process_token
        self.start_time = recorder._now()

    def end(self, error: BaseException | None = None) -> None:
        """End the span now, with the error that ended it, if any; a second call has no effect."""
        if self.end_time is None and self.start_time is not None:
            if error is not None:
                self._error_data = error_data(error)
            now, start = self.recorder._now(), self.start_time
            self.end_time = start if type(start) is int and start > now else now
            self.recorder._on_end(self)

    def __enter__(self) -> Self:
        self.start()
        self._token = current_span.set(self)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        enclosing = self._enclosing
        if current_span.get() is not self:
            self._unlink()
        elif not self._reset_context():
            current_span.set(enclosing)
        self.end(error)
        while enclosing is not None and enclosing.end_time is not None:  # keep no reference to spans that have ended
            enclosing = self._enclosing = enclosing._enclosing

    def _reset_context(self) -> bool:
        """Make the enclosing span current again; return False if this span was not entered in this context."""
        try:
            current_span.reset(self._token)  # type: ignore[arg-type]
        except (TypeError, ValueError, RuntimeError):  # not entered, entered in another context, or already reset
            return False
        self._token = None
        current_span.set(self._enclosing)
        return True

    def _unlink(self) -> None:
        """Remove the span, which ends before its inner spans, from the chain of open spans in this context, if present."""
        inner = current_span.get()
        while inner is not None and inner._enclosing is not self:
            inner = inner._enclosing
        if inner is not None:
            inner._enclosing = self._enclosing

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, trace)

    def __call__(self, function: Function) -> Function:
        """Decorate a plain function, a coroutine function or a generator function with a span of this kind around each call."""

        def new_span() -> LiveSpan:
            data = dict(self.data)
            named = underlying_function(function) if isinstance(function, partial) else function
            data.setdefault("label", getattr(named, "__qualname__", type(named).__name__))
            return LiveSpan(self.recorder, self.agent_id, self.location_id, data)

        decorated: Function = instrument(function, new_span, current_span)
        return decorated

    def row(self, now: int) -> SpanRow:
        """The current state of the span as a row of the store; ``now`` is the end of an open span."""
        start, end, data, extra = self.start_time, self.end_time, self.data, self._error_data
        if end is None:
            end, extra = max(now, start) if type(start) is int else now, {"status": "open"}
        is_named = type(self.agent_id) is str is type(self.location_id)
        if not (is_named and type(start) is int is type(end) and INT64_MIN <= start <= end <= INT64_MAX):
            start, end = self._repair(end)
        if type(data) is dict:
            try:
                data = with_figures(data)
            except Exception:  # a method of a key or a value raises
                data = self.data
        if self.parent_id is not None and not (type(data) is dict and "parent_id" in data):
            extra = {**(extra or {}), "parent_id": self.parent_id}
        if type(data) is dict and "waits_for" not in data and (waits_for := default_wait(self.location_id, data)):
            extra = {**(extra or {}), "waits_for": waits_for}
        is_empty = not extra and (data is None or (type(data) is dict and not data))
        text = None if is_empty else json_text(data, extra)
        return self.id, self.trace_id, self.agent_id, self.location_id, start, end, text

    def _repair(self, end: Any) -> tuple[int, int]:
        """Make names and times storable after the program has set them to other values; return start and end."""
        self.agent_id, self.location_id = name_text(self.agent_id), name_text(self.location_id)
        start = self.start_time = storable_time(self.start_time, self.recorder._now())
        end = max(storable_time(end, start), start)
        if self.end_time is not None:
            self.end_time = end
        return start, end


def innermost() -> LiveSpan | None:
    """The innermost span that is open around the calling code.

    A span that ended in another context is removed from this one: an asynchronous generator that is not exhausted is closed in
    a separate task. It stays if this code started inside it, in a task that outlives the span.
    """
    span = current_span.get()
    while span is not None and span.end_time is not None and span._reset_context():
        span = current_span.get()
    return span


def error_data(error: BaseException) -> dict[str, Any] | None:
    """The data that a span gets from the error that ended it; None if that is no failure."""
    kind = type(error)
    try:
        if isinstance(error, CancelledError):
            return {"cancelled": True}
        if not is_failure(error):
            return None
        name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
        message = str.__str__(str(error))
    except Exception:
        name, message = type_name(kind), repr_text(error)
    data = {"status": "error", "status_message": message[:MAX_ERROR_MESSAGE_CHARACTERS], "error.type": name}
    return {**data, "exception.stacktrace": stack} if (stack := stack_trace(error)) else data


def stack_trace(error: BaseException) -> str:
    """The stack trace of an error and of its causes, as Python prints it; empty if the error was never raised."""
    if error.__traceback__ is None:
        return ""
    try:
        trace = TracebackException.from_exception(error, limit=-MAX_STACK_FRAMES, compact=True, max_group_width=5)
        text = "".join(trace.format())
        return (
            text
            if len(text) <= MAX_STACK_CHARACTERS
            else f"{text[: MAX_STACK_CHARACTERS // 2]}…{text[-MAX_STACK_CHARACTERS // 2 :]}"
        )
    except Exception:  # from an error whose own methods raise
        return ""


def is_failure(error: BaseException) -> bool:
    """Whether the error is a failure: closing a generator and exiting with code 0 are not."""
    if isinstance(error, SystemExit):
        return error.code not in (None, 0)
    return not isinstance(error, GeneratorExit)
