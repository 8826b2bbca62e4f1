"""Decorators: a function whose every call is a span, whichever kind of function it is, also below other decorators.

A generator is open from its first step to its end, and the parent of what happens in its steps; not of what the code does that
asks for them, in between.
"""

import sys
from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial, wraps
from inspect import isasyncgenfunction, isclass, iscoroutine, iscoroutinefunction, isgeneratorfunction, isroutine
from typing import Any

from tokenvis.errors import BadOption, quoted


def wrapped(function: Any, opened: Callable[[], Any], current: ContextVar[Any]) -> Any:
    """The function, with a span that ``opened`` gives for each call; ``current`` holds the one that is open."""
    if isinstance(function, classmethod | staticmethod):
        return type(function)(wrapped(function.__func__, opened, current))
    if isclass(function) or not callable(function):
        raise BadOption(f"{quoted(function)} is no function, whose calls could be spans.")
    code = code_of(function)
    if isasyncgenfunction(code):
        return asynchronous_steps(function, opened, current)
    if isgeneratorfunction(code):
        return steps(function, opened, current)
    if iscoroutinefunction(code):

        @wraps(function)
        async def call_and_wait(*values: Any, **options: Any) -> Any:
            with opened():
                return await function(*values, **options)

        return call_and_wait

    @wraps(function)
    def call(*values: Any, **options: Any) -> Any:
        with opened() as span:
            result = function(*values, **options)
        return waited_for(span, result, current) if iscoroutine(result) else result

    return call


def code_of(function: Any) -> Any:
    """The function that runs: where that is a partial one, or an object that can be called, too."""
    while isinstance(function, partial):
        function = function.func
    return function if isroutine(function) else type(function).__call__


async def waited_for(span: Any, coroutine: Any, current: ContextVar[Any]) -> Any:
    """The result of a coroutine that a function gave back, as decorators do; its span goes on as it runs."""
    with kept_open(span, span._again), Step(span, current).taken():
        return await coroutine


class Step:
    """What is open inside a generator, which comes and goes with its steps."""

    def __init__(self, span: Any, current: ContextVar[Any]) -> None:
        self.span, self.current = span, current
        self.inside = span

    @contextmanager
    def taken(self) -> Iterator[None]:
        """A step: inside, what was open there at the last one is open again."""
        outside = self.current.get()
        self.current.set(self.inside)
        try:
            yield
        finally:
            self.inside = self.current.get()
            self.current.set(outside)


@contextmanager
def kept_open(span: Any, begin: Callable[[], Any]) -> Iterator[None]:
    """A span that is open, and no parent of what follows; ``begin`` begins it."""
    begin()
    try:
        yield
    except BaseException as error:
        span.end(error)
        raise
    span.end()


def steps(function: Any, opened: Callable[[], Any], current: ContextVar[Any]) -> Any:
    """A generator function whose every generator is a span."""

    @wraps(function)
    def generate(*values: Any, **options: Any) -> Generator[Any, Any, Any]:
        span = opened()
        step, generator = Step(span, current), function(*values, **options)
        advance = partial(generator.send, None)
        with kept_open(span, span.start):
            while True:
                try:
                    with step.taken():
                        item = advance()
                except StopIteration as end:
                    return end.value
                try:
                    sent = yield item
                except BaseException as error:  # which a call of `close` is too
                    advance = partial(generator.throw, error)
                else:
                    advance = partial(generator.send, sent)

    return generate


def asynchronous_steps(function: Any, opened: Callable[[], Any], current: ContextVar[Any]) -> Any:
    """An asynchronous generator function whose every generator is a span."""

    @wraps(function)
    async def generate(*values: Any, **options: Any) -> AsyncGenerator[Any, Any]:
        span = opened()
        step, generator = Step(span, current), function(*values, **options)
        advance = partial(first_step, generator)
        with kept_open(span, span.start):
            while True:
                try:
                    with step.taken():
                        item = await advance()
                except StopAsyncIteration:
                    return
                try:
                    sent = yield item
                except BaseException as error:  # which a call of `aclose` is too
                    advance = partial(generator.athrow, error)
                else:
                    advance = partial(generator.asend, sent)

    return generate


def first_step(generator: AsyncGenerator[Any, Any]) -> Any:
    """Begin a generator of ours that the event loop does not know: it would close that and the one around it at once."""
    hooks = sys.get_asyncgen_hooks()
    sys.set_asyncgen_hooks(None, None)
    try:
        return generator.asend(None)
    finally:
        sys.set_asyncgen_hooks(*hooks)
