"""Live spans: what a running program holds of a span, while it is open and afterwards.

The span that is open around a piece of code is the parent of those in it. A context variable tells which that is, so it follows
tasks of asyncio, and each thread has its own.
"""

from collections.abc import Callable
from contextvars import ContextVar
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

from tokenvis.appending import Row
from tokenvis.errors import BadOption, quoted
from tokenvis.record.snapshot import json_text, name_of, name_text, text_of
from tokenvis.record.wrapping import wrapped

Function = TypeVar("Function", bound=Callable[..., Any])

LONGEST_MESSAGE = 2_000  # characters of what an error says

current: ContextVar["LiveSpan | None"] = ContextVar("tokenvis_span", default=None)


class Keeper(Protocol):
    """What a span needs of its recorder: where it belongs, ids and times, and somebody to be told."""

    trace_id: str
    _era: object  # the process that it records for
    _now: Callable[[], int]

    def _new_id(self) -> str: ...

    def _opened(self, span: "LiveSpan") -> None: ...

    def _ended(self, span: "LiveSpan") -> None: ...


class LiveSpan:
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
        *("recorder", "trace_id", "id", "agent_id", "location_id", "start_time", "end_time", "data"),
        *("parent_id", "_above", "_era", "_failure"),
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

    def _begin(self) -> None:
        """Give it an id, its parent, and its start."""
        recorder = self.recorder
        above = self._above = current.get()
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
            now = self.recorder._now()
            self.end_time = now if now > self.start_time else self.start_time
            self.recorder._ended(self)

    def __enter__(self) -> Self:
        self.start()
        current.set(self)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        above = self._above
        if current.get() is self:
            current.set(above)
        else:
            self._leave()
        self.end(error)
        while above is not None and above.end_time is not None:  # spans that ended are kept by none that follows
            above = self._above = above._above

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
            data.setdefault("label", getattr(function, "__qualname__", type(function).__name__))
            return LiveSpan(self.recorder, self.agent_id, self.location_id, data)

        made: Function = wrapped(function, opened, current)
        return made

    def row(self, now: int) -> Row:
        """The span as a row of the store, as it is now."""
        start, end = self.start_time, self.end_time
        assert start is not None, "it has started"
        more = self._failure
        if end is None:
            end, more = max(now, start), {"status": "open"}
        data = self.data
        if self.parent_id is not None and not (type(data) is dict and "parent_id" in data):
            more = {**more, "parent_id": self.parent_id} if more else {"parent_id": self.parent_id}
        is_empty = not more and (data is None or (type(data) is dict and not data))
        text = None if is_empty else json_text(data, more)
        return self.id, self.trace_id, self.agent_id, self.location_id, start, end, text


def described(error: BaseException) -> dict[str, Any] | None:
    """What the data of a span says of what ended it; nothing where that is no failure."""
    kind = type(error)
    try:
        if not is_failure(error):
            return None
        name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
        message = str.__str__(str(error))
    except Exception:
        name, message = name_of(kind), text_of(error)
    return {"status": "error", "status_message": message[:LONGEST_MESSAGE], "error.type": name}


def is_failure(error: BaseException) -> bool:
    """Whether what ended a piece of code is a failure: not the end of a generator, nor of a program that is done."""
    if isinstance(error, SystemExit):
        return error.code not in (None, 0)
    return not isinstance(error, GeneratorExit)
