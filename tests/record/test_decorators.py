"""Decorated functions behave as undecorated ones, and the span of a generator is a parent in its own steps only."""

import asyncio
import functools
import gc
import inspect
import logging
from contextlib import suppress
from contextvars import ContextVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenvis import BadOption
from tokenvis.record.decorators import instrument

current: ContextVar["Span | None"] = ContextVar("current", default=None)


class Span:
    """A span as `instrument` uses it."""

    def __init__(self, name: str = "own") -> None:
        self.name = name
        self.state, self.error, self.enclosing = "new", None, None

    def start(self) -> None:
        assert self.state == "new"
        self.state, self.enclosing = "open", current.get()

    def end(self, error: BaseException | None = None) -> None:
        assert self.state == "open"
        self.state, self.error = "ended", error

    def _reopen(self) -> None:
        assert self.state == "ended"
        self.state = "open"

    def __enter__(self) -> "Span":
        self.start()
        current.set(self)
        return self

    def __exit__(self, kind, error, trace) -> None:
        assert current.get() is self
        current.set(self.enclosing)
        self.end(error)


@pytest.fixture(autouse=True)
def nothing_open():
    current.set(None)
    yield
    assert current.get() is None


def with_spans(function):
    """The decorated function, and a list of the spans of its calls."""
    spans: list[Span] = []

    def new_span() -> Span:
        spans.append(Span())
        return spans[-1]

    return instrument(function, new_span, current), spans


def states(spans: list[Span]) -> list[tuple[str, str | None]]:
    return [(span.state, span.error and type(span.error).__name__) for span in spans]


def test_a_call_is_a_span():
    def add(one, *, two=2):
        """Add."""
        assert current.get() is spans[-1]
        return one + two

    own, spans = with_spans(add)
    assert (own(1), own(1, two=5)) == (3, 6)
    with pytest.raises(TypeError, match="can only concatenate str"):
        own("a")
    with pytest.raises(TypeError, match=r"missing 1 required positional argument: 'one'"):
        own()
    assert states(spans) == [("ended", None), ("ended", None), ("ended", "TypeError"), ("ended", "TypeError")]
    assert (own.__name__, own.__doc__, str(inspect.signature(own))) == ("add", "Add.", "(one, *, two=2)")


def test_decorated_functions_keep_their_kind():
    async def coroutine():
        return 1

    def generator():
        yield 1

    async def asynchronous():
        yield 1

    kinds = (inspect.iscoroutinefunction, inspect.isgeneratorfunction, inspect.isasyncgenfunction)
    for function in (coroutine, generator, asynchronous, lambda: 1):
        own, _ = with_spans(function)
        assert [kind(own) for kind in kinds] == [kind(function) for kind in kinds]
    assert with_spans(functools.partial(max, 3))[0](2) == 3
    assert asyncio.run(with_spans(functools.partial(coroutine))[0]()) == 1


def test_decorated_methods_keep_their_kind():
    class Agent:
        own = classmethod(lambda cls, number: (cls, number))
        plain = staticmethod(lambda number: number)

    for name in ("own", "plain"):
        function, spans = with_spans(Agent.__dict__[name])
        setattr(Agent, name, function)
        assert Agent().__getattribute__(name)(7) == ((Agent, 7) if name == "own" else 7)
        assert states(spans) == [("ended", None)]


@pytest.mark.parametrize("thing", [int, type("Agent", (), {}), 7, None])
def test_other_objects_are_refused(thing):
    with pytest.raises(BadOption, match=r" is not a function\. Decorate a function, a method or a generator function\.$"):
        with_spans(thing)


class Callable:
    async def __call__(self, number):
        await asyncio.sleep(0)
        assert current.get() is not None
        return number / (number - 1)


def wrapper(function):
    """A decorator that hides what it wraps, as many do."""

    def call(*values):
        return function(*values)

    return call


@pytest.mark.parametrize(
    "function", [Callable(), functools.partial(Callable()), wrapper(Callable()), wrapper(wrapper(Callable()))]
)
def test_the_span_of_a_hidden_coroutine_is_open_until_it_is_done(function):
    async def everything():
        with Span("outer") as outer:
            coroutine = own(2)
            assert current.get() is outer
            assert await coroutine == 2
            with pytest.raises(ZeroDivisionError):
                await own(1)
            assert current.get() is outer

    own, spans = with_spans(function)
    asyncio.run(everything())
    assert states(spans) == [("ended", None), ("ended", "ZeroDivisionError")]


def test_the_span_of_a_coroutine_is_open_until_it_is_done():
    async def work(n):
        for _ in range(n):
            await asyncio.sleep(0)
            assert current.get() is spans[n - 1]
        return n

    async def everything():
        assert await asyncio.gather(*(own(n) for n in range(1, 9))) == [*range(1, 9)]
        task = asyncio.create_task(own(9))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    own, spans = with_spans(work)
    asyncio.run(everything())
    assert states(spans) == [("ended", None)] * 8 + [("ended", "CancelledError")]


class OddError(Exception):
    pass


# A plan lists what a generator does at each step; calls list what its caller does.
PLANS = st.lists(st.sampled_from(["yield", "catch", "finally", "raise", "return", "stop", "span", "end span"]), max_size=6)
CALLS = st.lists(st.sampled_from(["next", "send", "throw", "exit", "stop", "close", "outer"]), max_size=9)


def follow(plan, events):
    """A generator that follows a plan, and logs each value, error and return."""
    inner: list[Span] = []
    try:
        for number, step in enumerate(plan):
            events.append(current.get() and current.get().name)
            if step == "yield":
                events.append((yield number))
            elif step == "catch":
                try:
                    events.append((yield number))
                except Exception as error:
                    events.append(type(error).__name__)
                except GeneratorExit:
                    return "caught"
            elif step == "finally":
                try:
                    yield number
                finally:
                    events.append("finally")
            elif step == "raise":
                raise OddError(number)
            elif step == "stop":
                raise StopIteration(number)
            elif step == "return":
                return number
            elif step == "span":
                inner.append(Span(f"inner {number}"))
                inner[-1].__enter__()
            elif inner:
                inner.pop().__exit__(None, None, None)
        return "end"
    finally:
        while inner:
            inner.pop().__exit__(None, None, None)


ERRORS = {"throw": OddError, "exit": GeneratorExit, "stop": StopIteration}


def called(generator, calls, events):
    """Make the calls, and log what the caller sees."""
    for call in calls:
        if call == "outer":
            events.append(current.get() and current.get().name)
            continue
        try:
            if call == "next":
                events.append(next(generator))
            elif call == "send":
                events.append(generator.send("sent"))
            elif call == "close":
                events.append(generator.close())
            else:
                events.append(generator.throw(ERRORS[call]("thrown")))
        except StopIteration as end:
            events.append(("returned", end.value))
        except BaseException as error:
            events.append((type(error).__name__, str(error)))
    generator.close()


@given(PLANS, CALLS)
def test_a_decorated_generator_behaves_as_an_undecorated_one(plan, calls):
    own, spans = with_spans(follow)
    events: list = []
    plain: list = []
    current.set(None)
    called(own(plan, events), calls, events)
    assert current.get() is None
    called(follow(plan, plain), calls, plain)
    current.set(None)
    # The undecorated one has no span, and leaves its inner spans current for its caller.
    assert [event for event in events if not is_span_name(event)] == [event for event in plain if not is_span_name(event)]
    assert {span.state for span in spans} <= {"ended"}


def is_span_name(event) -> bool:
    return event is None or (isinstance(event, str) and (event == "own" or event.startswith("inner")))


@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from(["step", "open", "close"])), max_size=40))
def test_spans_of_interleaved_generators_have_the_parents_of_their_code(turns):
    """A span that is open inside one generator is no parent in the others, nor in their caller."""

    def work(name):
        stack = [Span(f"{name} outer")]
        with stack[0]:
            while True:
                assert current.get() is stack[-1]
                action = yield
                if action == "open":
                    stack.append(Span(f"{name} inner"))
                    stack[-1].__enter__()
                elif action == "close" and len(stack) > 1:
                    stack.pop().__exit__(None, None, None)

    current.set(None)
    own, spans = with_spans(work)
    generators = [own(name) for name in range(4)]
    for generator in generators:
        next(generator)
    with Span("caller") as caller:
        for which, action in turns:
            generators[which].send(action)
            assert current.get() is caller
    for generator in generators:
        with suppress(AssertionError):  # from a span that the generator left open
            generator.close()
        assert current.get() is None
    assert {span.state for span in spans} == {"ended"}


def test_the_span_of_a_generator_ends_with_its_error():
    def work(n):
        yield from range(n)
        return "done"

    own, spans = with_spans(work)
    assert list(own(3)) == [0, 1, 2]
    stopped = own(3)
    next(stopped)
    stopped.close()
    thrown = own(3)
    next(thrown)
    with pytest.raises(OddError):
        thrown.throw(OddError())
    left = own(3)
    next(left)
    del left
    gc.collect()
    never = own(3)
    never.close()
    assert states(spans) == [("ended", None), ("ended", "GeneratorExit"), ("ended", "OddError"), ("ended", "GeneratorExit")]


def test_a_generator_that_ignores_generator_exit_raises():
    def stubborn():
        try:
            yield 1
        except GeneratorExit:
            yield 2

    own, spans = with_spans(stubborn)
    for function in (stubborn, own):
        generator = function()
        next(generator)
        with pytest.raises(RuntimeError, match=r"^generator ignored GeneratorExit$"):
            generator.close()
        assert list(generator) == []
        generator = function()
        next(generator)
        assert generator.throw(GeneratorExit) == 2
        assert list(generator) == []
    assert states(spans) == [("ended", None)] * 2


def test_a_generator_may_delegate_to_another():
    def inner():
        events.append((yield 1))
        return "inner"

    def outer():
        events.append((yield from own_inner()))

    events: list = []
    own_inner, inner_spans = with_spans(inner)
    own_outer, spans = with_spans(outer)
    generator = own_outer()
    assert next(generator) == 1
    with pytest.raises(StopIteration):
        generator.send("sent")
    assert events == ["sent", "inner"]
    assert inner_spans[0].enclosing is spans[0]


async def follow_asynchronously(plan, events):
    inner: list[Span] = []
    try:
        for number, step in enumerate(plan):
            events.append(current.get() and current.get().name)
            await asyncio.sleep(0)
            if step == "yield":
                events.append((yield number))
            elif step == "catch":
                try:
                    events.append((yield number))
                except Exception as error:
                    events.append(type(error).__name__)
                except GeneratorExit:
                    return
            elif step == "finally":
                try:
                    yield number
                finally:
                    await asyncio.sleep(0)
                    events.append("finally")
            elif step == "raise":
                raise OddError(number)
            elif step == "stop":
                raise StopAsyncIteration(number)
            elif step == "return":
                return
            elif step == "span":
                inner.append(Span(f"inner {number}"))
                inner[-1].__enter__()
            elif inner:
                inner.pop().__exit__(None, None, None)
    finally:
        while inner:
            inner.pop().__exit__(None, None, None)


async def called_asynchronously(generator, calls, events):
    for call in calls:
        if call == "outer":
            continue
        try:
            if call == "next":
                events.append(await anext(generator))
            elif call == "send":
                events.append(await generator.asend("sent" if events else None))
            elif call == "close":
                events.append(await generator.aclose())
            else:
                events.append(await generator.athrow((ERRORS | {"stop": StopAsyncIteration})[call]("thrown")))
        except StopAsyncIteration:
            events.append("returned")
        except BaseException as error:
            events.append((type(error).__name__, str(error)))
    await generator.aclose()
    return current.get()


@given(PLANS, CALLS)
def test_a_decorated_async_generator_behaves_as_an_undecorated_one(plan, calls):
    own, spans = with_spans(follow_asynchronously)
    events: list = []
    plain: list = []
    assert asyncio.run(called_asynchronously(own(plan, events), calls, events)) is None
    asyncio.run(called_asynchronously(follow_asynchronously(plan, plain), calls, plain))
    assert [event for event in events if not is_span_name(event)] == [event for event in plain if not is_span_name(event)]
    assert {span.state for span in spans} <= {"ended"}


def test_an_abandoned_async_generator_is_closed_by_the_loop_once(caplog):
    """Otherwise the loop would find the inner generator too, close both at once, and log an error."""
    n_closed = 0

    async def work():
        nonlocal n_closed
        try:
            for number in range(3):
                await asyncio.sleep(0)
                yield number
        finally:
            await asyncio.sleep(0)
            n_closed += 1

    async def everything():
        async for _ in own():
            break
        for _ in range(9):
            await asyncio.sleep(0)
        kept.append(own())
        await anext(kept[0])
        gc.collect()

    own, spans = with_spans(work)
    kept: list = []
    with caplog.at_level(logging.WARNING, "asyncio"):
        asyncio.run(everything())
    assert caplog.records == []
    assert n_closed == 2
    assert states(spans) == [("ended", "GeneratorExit")] * 2
