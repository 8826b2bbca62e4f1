"""Live spans: what a running program holds of a span, while it is open and afterwards.

The span that is open around a piece of code is the parent of those in it. A context variable tells which that is, so it follows
tasks of asyncio, and each thread has its own.
"""

from asyncio import CancelledError
from collections.abc import Callable
from contextvars import ContextVar, Token
from functools import partial
from traceback import TracebackException
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

from tokenvis.errors import BadOption, quoted
from tokenvis.record.decorators import code_of, wrapped
from tokenvis.record.snapshot import Named, json_text, moment, name_of, name_text, text_of
from tokenvis.spans.integers import INT64_MAX, INT64_MIN
from tokenvis.store.append import Row

Function = TypeVar("Function", bound=Callable[..., Any])

LONGEST_MESSAGE = 2_000  # characters of what an error says
LONGEST_STACK = 8_000  # characters of where it came from
MOST_FRAMES = 20

current: ContextVar["LiveSpan | None"] = ContextVar("tokenvis_span", default=None)


class Keeper(Protocol):
    """What a span needs of its recorder: where it belongs, ids and times, and somebody to be told."""

    trace_id: str
    _era: object  # the process that it records for
    _now: Callable[[], int]

    def _new_id(self) -> str: ...

    def _opened(self, span: "LiveSpan") -> None: ...

    def _ended(self, span: "LiveSpan") -> None: ...


class LiveSpan(Named):
    """A span that a recorder records: `Recorder.span` gives one, to be used with ``with``, ``async with`` or as a decorator.

    Attributes
    ----------
    id, trace_id, agent_id, location_id : str
        As they are stored; the id is empty until the span starts.
    start_time, end_time : int or None
        µs since 1970; None until it has started, and ended.
    data : dict
        What is stored with it. It may be added to while the span is open.
    """

    __slots__ = (
        *("recorder", "trace_id", "agent_id", "location_id", "start_time", "end_time", "data"),
        *("parent_id", "_above", "_token", "_era", "_failure"),
    )

    def __init__(self, recorder: Keeper, agent: Any, location: Any, data: dict[str, Any]) -> None:
        self.recorder = recorder
        self.trace_id = recorder.trace_id
        self.id = ""
        self.agent_id = name_text(agent)
        self.location_id = name_text(location)
        self.start_time: int | None = None
        self.end_time: int | None = None
        self.data = data
        self.parent_id: str | None = None
        self._above: LiveSpan | None = None
        self._token: Token[LiveSpan | None] | None = None  # of the context in which it was entered, until it is left there
        self._failure: dict[str, Any] | None = None  # not the error itself, which keeps all alive that its code had in hand

    def __repr__(self) -> str:
        state = "not started" if self.start_time is None else "open" if self.end_time is None else "ended"
        return f"<LiveSpan of {quoted(self.agent_id)} at {quoted(self.location_id)}, {state}>"

    def start(self) -> Self:
        """Start it now, as no parent of what follows, for what begins in one call and ends in another: `end` ends it.

        Raises
        ------
        BadOption
            It has started before.
        """
        if self.start_time is not None:
            raise BadOption(f"{self!r} has started before. Call recorder.span(...) for each span.")
        self._begin()
        self.recorder._opened(self)
        return self

    def _again(self) -> None:
        """Open it again, where what it is of goes on after all; its end is told anew."""
        self.end_time = None
        self.recorder._opened(self)

    def _begin(self) -> None:
        """Give it an id, its parent, and its start."""
        recorder = self.recorder
        above = self._above = innermost()
        while above is not None and above.recorder is not recorder:
            above = above._above
        if above is not None:
            self.parent_id = above.id
        self.id, self._era = recorder._new_id(), recorder._era
        self.start_time = recorder._now()

    def end(self, error: BaseException | None = None) -> None:
        """End it now, with the error that ended it, if one did; a second time changes nothing."""
        if self.end_time is None and self.start_time is not None:
            if error is not None:
                self._failure = described(error)
            now, start = self.recorder._now(), self.start_time
            self.end_time = start if type(start) is int and start > now else now
            self.recorder._ended(self)

    def __enter__(self) -> Self:
        self.start()
        self._token = current.set(self)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        above = self._above
        if current.get() is not self:
            self._leave()
        elif not self._is_left_here():
            current.set(above)
        self.end(error)
        while above is not None and above.end_time is not None:  # spans that ended are kept by none that follows
            above = self._above = above._above

    def _is_left_here(self) -> bool:
        """Be open no longer in this context, if that is the one in which it was entered."""
        try:
            current.reset(self._token)  # type: ignore[arg-type]
        except (TypeError, ValueError, RuntimeError):  # it was never entered, in another context, or has been left
            return False
        self._token = None
        current.set(self._above)
        return True

    def _leave(self) -> None:
        """Be above none of those that are open here, where it ends before them; in another context it is not."""
        below = current.get()
        while below is not None and below._above is not self:
            below = below._above
        if below is not None:
            below._above = self._above

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, trace)

    def __call__(self, function: Function) -> Function:
        """A function whose every call is such a span: a plain one, a coroutine, or a generator of either kind."""

        def opened() -> LiveSpan:
            data = dict(self.data)
            named = code_of(function) if isinstance(function, partial) else function
            data.setdefault("label", getattr(named, "__qualname__", type(named).__name__))
            return LiveSpan(self.recorder, self.agent_id, self.location_id, data)

        made: Function = wrapped(function, opened, current)
        return made

    def row(self, now: int) -> Row:
        """The span as a row of the store, as it is now."""
        start, end, data, more = self.start_time, self.end_time, self.data, self._failure
        if end is None:
            end, more = max(now, start) if type(start) is int else now, {"status": "open"}
        is_named = type(self.agent_id) is str is type(self.location_id)
        if not (is_named and type(start) is int is type(end) and INT64_MIN <= start <= end <= INT64_MAX):
            start, end = self._mend(end)
        if self.parent_id is not None and not (type(data) is dict and "parent_id" in data):
            more = {**more, "parent_id": self.parent_id} if more else {"parent_id": self.parent_id}
        is_empty = not more and (data is None or (type(data) is dict and not data))
        text = None if is_empty else json_text(data, more)
        return self.id, self.trace_id, self.agent_id, self.location_id, start, end, text

    def _mend(self, end: Any) -> tuple[int, int]:
        """Make what can be stored of names and times that somebody has set to something else; the start and the end."""
        self.agent_id, self.location_id = name_text(self.agent_id), name_text(self.location_id)
        start = self.start_time = moment(self.start_time, self.recorder._now())
        end = max(moment(end, start), start)
        if self.end_time is not None:
            self.end_time = end
        return start, end


def innermost() -> LiveSpan | None:
    """The span that is open around the code that asks.

    One that ended in another context is left here: an asynchronous generator that is broken off ends in a task of its own. Not
    so where this code began within it, as a task may that outlives the one that began it.
    """
    span = current.get()
    while span is not None and span.end_time is not None and span._is_left_here():
        span = current.get()
    return span


def described(error: BaseException) -> dict[str, Any] | None:
    """What the data of a span says of what ended it; nothing where that is no failure."""
    kind = type(error)
    try:
        if isinstance(error, CancelledError):
            return {"cancelled": True}
        if not is_failure(error):
            return None
        name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
        message = str.__str__(str(error))
    except Exception:
        name, message = name_of(kind), text_of(error)
    failure = {"status": "error", "status_message": message[:LONGEST_MESSAGE], "error.type": name}
    return {**failure, "exception.stacktrace": stack} if (stack := stack_of(error)) else failure


def stack_of(error: BaseException) -> str:
    """Where an error came from, and what caused it, as Python tells it; nothing where it never was raised."""
    if error.__traceback__ is None:
        return ""
    try:
        told = TracebackException.from_exception(error, limit=-MOST_FRAMES, compact=True, max_group_width=5)
        text = "".join(told.format())
        return text if len(text) <= LONGEST_STACK else f"{text[: LONGEST_STACK // 2]}…{text[-LONGEST_STACK // 2 :]}"
    except Exception:  # of an error that cannot be looked at
        return ""


def is_failure(error: BaseException) -> bool:
    """Whether what ended a piece of code is a failure: not the end of a generator, nor of a program that is done."""
    if isinstance(error, SystemExit):
        return error.code not in (None, 0)
    return not isinstance(error, GeneratorExit)
