"""Functions whose calls are spans behave as they would without, and a generator is a parent in its own steps only."""

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
from tokenvis.record.decorators import wrapped

current: ContextVar["Span | None"] = ContextVar("current", default=None)


class Span:
    """A span as wrapping uses one."""

    def __init__(self, name: str = "own") -> None:
        self.name = name
        self.state, self.error, self.above = "new", None, None

    def start(self) -> None:
        assert self.state == "new"
        self.state, self.above = "open", current.get()

    def end(self, error: BaseException | None = None) -> None:
        assert self.state == "open"
        self.state, self.error = "ended", error

    def _again(self) -> None:
        assert self.state == "ended"
        self.state = "open"

    def __enter__(self) -> "Span":
        self.start()
        current.set(self)
        return self

    def __exit__(self, kind, error, trace) -> None:
        assert current.get() is self
        current.set(self.above)
        self.end(error)


@pytest.fixture(autouse=True)
def nothing_open():
    current.set(None)
    yield
    assert current.get() is None


def with_spans(function):
    """The function, wrapped, and a list of the spans of its calls."""
    spans: list[Span] = []

    def opened() -> Span:
        spans.append(Span())
        return spans[-1]

    return wrapped(function, opened, current), spans


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


def test_every_kind_stays_what_it_is():
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


def test_methods_of_classes_stay_what_they_are():
    class Agent:
        own = classmethod(lambda cls, number: (cls, number))
        plain = staticmethod(lambda number: number)

    for name in ("own", "plain"):
        function, spans = with_spans(Agent.__dict__[name])
        setattr(Agent, name, function)
        assert Agent().__getattribute__(name)(7) == ((Agent, 7) if name == "own" else 7)
        assert states(spans) == [("ended", None)]


@pytest.mark.parametrize("thing", [int, type("Agent", (), {}), 7, None])
def test_what_is_no_function_is_refused(thing):
    with pytest.raises(BadOption, match=r" is no function, whose calls could be spans\.$"):
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
def test_a_coroutine_that_hides_is_a_span_until_it_is_done(function):
    async def everything():
        with Span("outer") as outer:
            waiting = own(2)
            assert current.get() is outer
            assert await waiting == 2
            with pytest.raises(ZeroDivisionError):
                await own(1)
            assert current.get() is outer

    own, spans = with_spans(function)
    asyncio.run(everything())
    assert states(spans) == [("ended", None), ("ended", "ZeroDivisionError")]


def test_a_coroutine_is_a_span_until_it_is_done():
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


# A plan is what a generator does at each of its steps, and what its caller does to it.
PLANS = st.lists(st.sampled_from(["yield", "catch", "finally", "raise", "return", "stop", "span", "end span"]), max_size=6)
CALLS = st.lists(st.sampled_from(["next", "send", "throw", "exit", "stop", "close", "outer"]), max_size=9)


def follow(plan, heard):
    """The steps of a plan, as a generator whose every value, error and return is written down."""
    inner: list[Span] = []
    try:
        for number, what in enumerate(plan):
            heard.append(current.get() and current.get().name)
            if what == "yield":
                heard.append((yield number))
            elif what == "catch":
                try:
                    heard.append((yield number))
                except Exception as error:
                    heard.append(type(error).__name__)
                except GeneratorExit:
                    return "caught"
            elif what == "finally":
                try:
                    yield number
                finally:
                    heard.append("finally")
            elif what == "raise":
                raise OddError(number)
            elif what == "stop":
                raise StopIteration(number)
            elif what == "return":
                return number
            elif what == "span":
                inner.append(Span(f"inner {number}"))
                inner[-1].__enter__()
            elif inner:
                inner.pop().__exit__(None, None, None)
        return "end"
    finally:
        while inner:
            inner.pop().__exit__(None, None, None)


ERRORS = {"throw": OddError, "exit": GeneratorExit, "stop": StopIteration}


def called(generator, calls, heard):
    """What a caller sees that does these calls."""
    for what in calls:
        if what == "outer":
            heard.append(current.get() and current.get().name)
            continue
        try:
            if what == "next":
                heard.append(next(generator))
            elif what == "send":
                heard.append(generator.send("sent"))
            elif what == "close":
                heard.append(generator.close())
            else:
                heard.append(generator.throw(ERRORS[what]("thrown")))
        except StopIteration as end:
            heard.append(("returned", end.value))
        except BaseException as error:
            heard.append((type(error).__name__, str(error)))
    generator.close()


@given(PLANS, CALLS)
def test_a_generator_does_what_it_would_do_without(plan, calls):
    own, spans = with_spans(follow)
    heard: list = []
    plainly: list = []
    current.set(None)
    called(own(plan, heard), calls, heard)
    assert current.get() is None
    called(follow(plan, plainly), calls, plainly)
    current.set(None)
    # In its own steps its span is open; the plain one leaves spans open for its caller, which the wrapped one does not.
    assert [one for one in heard if not of_spans(one)] == [one for one in plainly if not of_spans(one)]
    assert {span.state for span in spans} <= {"ended"}


def of_spans(said) -> bool:
    return said is None or (isinstance(said, str) and (said == "own" or said.startswith("inner")))


@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from(["step", "open", "close"])), max_size=40))
def test_spans_of_generators_that_take_turns_have_the_parents_of_their_code(turns):
    """Whatever is open within one generator is a parent in none of the others, nor of their caller."""

    def work(name):
        stack = [Span(f"{name} outer")]
        with stack[0]:
            while True:
                assert current.get() is stack[-1]
                what = yield
                if what == "open":
                    stack.append(Span(f"{name} inner"))
                    stack[-1].__enter__()
                elif what == "close" and len(stack) > 1:
                    stack.pop().__exit__(None, None, None)

    current.set(None)
    own, spans = with_spans(work)
    generators = [own(name) for name in range(4)]
    for generator in generators:
        next(generator)
    with Span("caller") as caller:
        for which, what in turns:
            generators[which].send(what)
            assert current.get() is caller
    for generator in generators:
        with suppress(AssertionError):  # what it left open itself
            generator.close()
        assert current.get() is None
    assert {span.state for span in spans} == {"ended"}


def test_a_generator_ends_with_what_ended_it():
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


def test_a_generator_that_does_not_want_to_end_says_so():
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
        heard.append((yield 1))
        return "inner"

    def outer():
        heard.append((yield from own_inner()))

    heard: list = []
    own_inner, inner_spans = with_spans(inner)
    own_outer, spans = with_spans(outer)
    generator = own_outer()
    assert next(generator) == 1
    with pytest.raises(StopIteration):
        generator.send("sent")
    assert heard == ["sent", "inner"]
    assert inner_spans[0].above is spans[0]


async def follow_asynchronously(plan, heard):
    inner: list[Span] = []
    try:
        for number, what in enumerate(plan):
            heard.append(current.get() and current.get().name)
            await asyncio.sleep(0)
            if what == "yield":
                heard.append((yield number))
            elif what == "catch":
                try:
                    heard.append((yield number))
                except Exception as error:
                    heard.append(type(error).__name__)
                except GeneratorExit:
                    return
            elif what == "finally":
                try:
                    yield number
                finally:
                    await asyncio.sleep(0)
                    heard.append("finally")
            elif what == "raise":
                raise OddError(number)
            elif what == "stop":
                raise StopAsyncIteration(number)
            elif what == "return":
                return
            elif what == "span":
                inner.append(Span(f"inner {number}"))
                inner[-1].__enter__()
            elif inner:
                inner.pop().__exit__(None, None, None)
    finally:
        while inner:
            inner.pop().__exit__(None, None, None)


async def called_asynchronously(generator, calls, heard):
    for what in calls:
        if what == "outer":
            continue
        try:
            if what == "next":
                heard.append(await anext(generator))
            elif what == "send":
                heard.append(await generator.asend("sent" if heard else None))
            elif what == "close":
                heard.append(await generator.aclose())
            else:
                heard.append(await generator.athrow((ERRORS | {"stop": StopAsyncIteration})[what]("thrown")))
        except StopAsyncIteration:
            heard.append("returned")
        except BaseException as error:
            heard.append((type(error).__name__, str(error)))
    await generator.aclose()
    return current.get()


@given(PLANS, CALLS)
def test_an_asynchronous_generator_does_what_it_would_do_without(plan, calls):
    own, spans = with_spans(follow_asynchronously)
    heard: list = []
    plainly: list = []
    assert asyncio.run(called_asynchronously(own(plan, heard), calls, heard)) is None
    asyncio.run(called_asynchronously(follow_asynchronously(plan, plainly), calls, plainly))
    assert [one for one in heard if not of_spans(one)] == [one for one in plainly if not of_spans(one)]
    assert {span.state for span in spans} <= {"ended"}


def test_an_asynchronous_generator_that_is_left_is_closed_by_the_loop_once(caplog):
    """Which would find the one within it too, close both at once, and complain."""
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
