"""Decorators: record each call of a function as a span, for functions of any kind, and below other decorators.

The span of a generator is open from the generator's first step to its end. It is the parent of the spans that start inside the
steps, but not of the spans that the caller starts between two steps.
"""

import sys
from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial, wraps
from inspect import isasyncgenfunction, isclass, iscoroutine, iscoroutinefunction, isgeneratorfunction, isroutine
from typing import Any

from tokenvis.errors import BadOption, quoted


def instrument(function: Any, new_span: Callable[[], Any], current: ContextVar[Any]) -> Any:
    """The function, with a span from ``new_span`` around each call; ``current`` contains the innermost open span."""
    if isinstance(function, classmethod | staticmethod):
        return type(function)(instrument(function.__func__, new_span, current))
    if isclass(function) or not callable(function):
        raise BadOption(f"{quoted(function)} is not a function. Decorate a function, a method or a generator function.")
    code = underlying_function(function)
    if isasyncgenfunction(code):
        return instrument_async_generator(function, new_span, current)
    if isgeneratorfunction(code):
        return instrument_generator(function, new_span, current)
    if iscoroutinefunction(code):

        @wraps(function)
        async def call_async(*args: Any, **kwargs: Any) -> Any:
            with new_span():
                return await function(*args, **kwargs)

        return call_async

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        with new_span() as span:
            result = function(*args, **kwargs)
        return await_in_span(span, result, current) if iscoroutine(result) else result

    return call


def underlying_function(function: Any) -> Any:
    """The function that runs when ``function``, which may be a partial or a callable object, is called."""
    while isinstance(function, partial):
        function = function.func
    return function if isroutine(function) else type(function).__call__


async def await_in_span(span: Any, coroutine: Any, current: ContextVar[Any]) -> Any:
    """Await a coroutine that a plain function returned, as decorators often do; reopen the span until it finishes."""
    with span_lifetime(span, span._reopen), StepContext(span, current).restored():
        return await coroutine


class StepContext:
    """The innermost open span inside a generator: restored at each step, saved after it."""

    def __init__(self, span: Any, current: ContextVar[Any]) -> None:
        self.span, self.current = span, current
        self.inner_span = span

    @contextmanager
    def restored(self) -> Iterator[None]:
        """Make the span that was current at the end of the last step current for one step."""
        outer_span = self.current.get()
        self.current.set(self.inner_span)
        try:
            yield
        finally:
            self.inner_span = self.current.get()
            self.current.set(outer_span)


@contextmanager
def span_lifetime(span: Any, begin: Callable[[], Any]) -> Iterator[None]:
    """Call ``begin`` to open the span, and end it afterwards, without making it the current span."""
    begin()
    try:
        yield
    except BaseException as error:
        span.end(error)
        raise
    span.end()


def instrument_generator(function: Any, new_span: Callable[[], Any], current: ContextVar[Any]) -> Any:
    """A generator function with a span for each of its generators."""

    @wraps(function)
    def generate(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        span = new_span()
        context, generator = StepContext(span, current), function(*args, **kwargs)
        advance = partial(generator.send, None)
        with span_lifetime(span, span.start):
            while True:
                try:
                    with context.restored():
                        item = advance()
                except StopIteration as end:
                    return end.value
                try:
                    sent = yield item
                except BaseException as error:  # includes the GeneratorExit of `close`
                    advance = partial(generator.throw, error)
                else:
                    advance = partial(generator.send, sent)

    return generate


def instrument_async_generator(function: Any, new_span: Callable[[], Any], current: ContextVar[Any]) -> Any:
    """An asynchronous generator function with a span for each of its generators."""

    @wraps(function)
    async def generate(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        span = new_span()
        context, generator = StepContext(span, current), function(*args, **kwargs)
        advance = partial(start_without_hooks, generator)
        with span_lifetime(span, span.start):
            while True:
                try:
                    with context.restored():
                        item = await advance()
                except StopAsyncIteration:
                    return
                try:
                    sent = yield item
                except BaseException as error:  # includes the GeneratorExit of `aclose`
                    advance = partial(generator.athrow, error)
                else:
                    advance = partial(generator.asend, sent)

    return generate


def start_without_hooks(generator: AsyncGenerator[Any, Any]) -> Any:
    """Start the inner generator unknown to the event loop, which would otherwise close it and its wrapper at the same time."""
    hooks = sys.get_asyncgen_hooks()
    sys.set_asyncgen_hooks(None, None)
    try:
        return generator.asend(None)
    finally:
        sys.set_asyncgen_hooks(*hooks)
