"""Live spans: which one is the parent, whoever takes turns, and what is said of how they ended."""

import asyncio
import contextvars
import gc
import json
import threading
import weakref
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenvis import BadOption
from tokenvis.record.live import LiveSpan, current, innermost


class Kept:
    """A recorder that keeps rows, and whose time is told."""

    trace_id = "t"

    def __init__(self) -> None:
        self.rows: list[tuple] = []
        self.now, self.n_ids, self._era = 0, 0, object()

    def span(self, name: str = "x", **data) -> LiveSpan:
        return LiveSpan(self, "ann", name, data)

    def data(self) -> list[dict | None]:
        return [row[6] and json.loads(row[6]) for row in self.rows]

    def _now(self) -> int:
        self.now += 1
        return self.now

    def _new_id(self) -> str:
        self.n_ids += 1
        return f"{self.n_ids}"

    def _opened(self, span: LiveSpan) -> None:
        pass

    def _ended(self, span: LiveSpan) -> None:
        self.rows.append(span.row(0))


@pytest.fixture
def kept() -> Kept:
    return Kept()


@pytest.fixture(autouse=True)
def nothing_open():
    current.set(None)
    yield
    current.set(None)


def test_a_span_tells_how_it_is(kept):
    span = kept.span("desk", label="plan")
    assert (repr(span), span.id, span.start_time) == ("<LiveSpan of 'ann' at 'desk', not started>", "", None)
    span.end()
    assert kept.rows == [], "it has not started"
    with span as same:
        assert same is span
        assert repr(span) == "<LiveSpan of 'ann' at 'desk', open>"
        span.data["n"] = 1
    assert repr(span) == "<LiveSpan of 'ann' at 'desk', ended>"
    span.end()
    assert kept.rows == [("1", "t", "ann", "desk", 1, 2, '{"label":"plan","n":1}')]
    with pytest.raises(BadOption) as caught, span:
        pass
    assert str(caught.value) == (
        "<LiveSpan of 'ann' at 'desk', ended> has started before. Call recorder.span(...) for each span."
    )
    assert current.get() is None


def test_a_span_without_data_has_none(kept):
    with kept.span():
        pass
    with kept.span() as span:
        span.data = None
    with kept.span() as span:
        span.data = [1, 2]
    with kept.span() as outer, kept.span() as span:
        span.data = "text"
    assert kept.data()[:4] == [None, None, {"value": [1, 2]}, {"value": "text", "parent_id": outer.id}]


def test_the_parent_is_the_span_around_unless_it_is_named(kept):
    with kept.span() as outer, kept.span() as inner:
        kept.span().start().end()
        with kept.span(parent_id="elsewhere"):
            pass
    assert kept.data() == [{"parent_id": inner.id}, {"parent_id": "elsewhere"}, {"parent_id": outer.id}, None]


class OddError(Exception):
    def __str__(self):
        raise ValueError


class Meta(type):
    def __getattribute__(cls, name):
        return 1 / 0 if name in ("__qualname__", "__module__", "__name__") else super().__getattribute__(name)


class HiddenError(Exception, metaclass=Meta):
    pass


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ValueError("told"), {"status": "error", "status_message": "told", "error.type": "ValueError"}),
        (BadOption("a"), {"status": "error", "status_message": "a", "error.type": "tokenvis.errors.BadOption"}),
        (KeyError(), {"status": "error", "status_message": "", "error.type": "KeyError"}),
        (KeyboardInterrupt(), {"status": "error", "status_message": "", "error.type": "KeyboardInterrupt"}),
        (SystemExit(3), {"status": "error", "status_message": "3", "error.type": "SystemExit"}),
        (SystemExit(0), None),
        (SystemExit(), None),
        (GeneratorExit(), None),
        (asyncio.CancelledError(), {"cancelled": True}),
        (
            OddError(),
            {"status": "error", "status_message": "<OddError, whose repr() raises ValueError>", "error.type": "OddError"},
        ),
        (HiddenError(1), {"status": "error", "status_message": "HiddenError(1)", "error.type": "HiddenError"}),
        (ValueError("x" * 9_000), {"status": "error", "status_message": "x" * 2_000, "error.type": "ValueError"}),
    ],
    ids=range(12),
)
def test_an_error_is_told_and_raised_on(error, said, kept):
    if isinstance(error, OddError):
        error.__class__.__repr__ = error.__class__.__str__
    with pytest.raises(type(error)) as caught, kept.span():
        raise error
    assert caught.value is error
    [data] = kept.data()
    stack = data.pop("exception.stacktrace", "") if data else ""
    assert data == said
    assert ("raise error\n" in stack) == (said is not None and "status" in said and type(error) is not HiddenError)


def test_an_error_says_more_than_the_program_did(kept):
    with pytest.raises(ValueError, match="told"), kept.span(status="ok", n=1):
        raise ValueError("told")
    [data] = kept.data()
    assert data.pop("exception.stacktrace").endswith('raise ValueError("told")\nValueError: told\n')
    assert data == {"status": "error", "n": 1, "status_message": "told", "error.type": "ValueError"}


def test_an_error_says_what_caused_it_and_what_it_holds_within_bounds(kept):
    def fail(depth):
        if depth:
            fail(depth - 1)
        raise ValueError("x" * 9_000)

    with suppress(Exception), kept.span():
        try:
            fail(100)
        except ValueError as error:
            raise ExceptionGroup("several", [KeyError("inner")]) from error
    [data] = kept.data()
    stack = data["exception.stacktrace"]
    assert len(stack) <= 8_001
    assert stack.startswith("Traceback (most recent call last):\n")
    assert ["The above exception was the direct cause", "ExceptionGroup: several", "KeyError: 'inner'"] == [
        said
        for said in ("The above exception was the direct cause", "ExceptionGroup: several", "KeyError: 'inner'")
        if said in stack
    ]


@pytest.mark.parametrize("odd", [None, "x", 1.5, float("nan"), 2**80, True, b"x", np.int64(7), object()], ids=range(9))
def test_names_and_times_that_somebody_sets_are_stored_as_far_as_they_can_be(odd, kept):
    for name in ("agent_id", "location_id", "start_time", "end_time"):
        span = kept.span().start()
        setattr(span, name, odd)
        span.row(5)
        span.end()
        span.row(5)
    with kept.span() as span:
        span.start_time = 2**63
    for _, _, agent, location, start, end, _ in kept.rows:
        assert type(agent) is type(location) is str
        assert type(start) is type(end) is int
        assert -(2**63) <= start <= end < 2**63


class Thing:
    pass


def test_a_span_that_failed_keeps_nothing_alive(kept):
    def fail():
        thing = Thing()
        seen.append(weakref.ref(thing))
        with kept.span() as span:
            spans.append(span)
            raise ValueError

    seen: list = []
    spans: list = []
    with suppress(ValueError):
        fail()
    assert seen[0]() is None
    assert kept.data()[0]["error.type"] == "ValueError"


def test_a_row_of_an_open_span_says_so(kept):
    with kept.span(status="ok") as span:
        assert span.row(7)[5:] == (7, '{"status":"open"}')
        assert span.row(-7)[5] == span.start_time, "a clock that steps back ends nothing before its start"


# Parents, against a list of what is open

STEPS = st.lists(st.tuples(st.sampled_from(["open", "close", "event"]), st.integers(0, 9), st.integers(0, 1)), max_size=40)


@given(STEPS)
def test_parents_are_right_in_whatever_order_spans_end(steps):
    """The parent is the last one of the same recorder that was opened here and is open."""
    recorders = [Kept(), Kept()]
    there: list[LiveSpan] = []
    current.set(None)
    for what, which, number in steps:
        recorder = recorders[number]
        around = [span for span in there if span.recorder is recorder]
        if what == "close":
            if there:
                there.pop(which % len(there)).__exit__(None, None, None)
            assert current.get() is (there[-1] if there else None)
            continue
        span = recorder.span()
        if what == "open":
            there.append(span.__enter__())
        else:
            span.start().end()
        assert span.parent_id == (around[-1].id if around else None)
    while there:
        there.pop(0).__exit__(None, None, None)
    assert current.get() is None


@given(st.lists(st.lists(st.sampled_from(["open", "close", "wait", "spawn", "thread"]), max_size=8), min_size=1, max_size=5))
def test_parents_follow_tasks_and_threads_that_take_turns(plans):
    """Each task has what was open where it began, and its own; a thread that is handed a coroutine's work has that too."""
    kept = Kept()

    async def task(number: int, above: str | None) -> None:
        there: list[LiveSpan] = []
        tasks = []
        for what in plans[number]:
            top = there[-1].id if there else above
            if what == "open":
                there.append(kept.span().__enter__())
                assert there[-1].parent_id == top
            elif what == "close" and there:
                await there.pop().__aexit__(None, None, None)
            elif what == "spawn" and number + 1 < len(plans):
                tasks.append(asyncio.create_task(task(number + 1, top)))
            elif what == "thread":
                event = await asyncio.to_thread(lambda: kept.span().start())
                assert event.parent_id == top
            await asyncio.sleep(0)
        while there:
            there.pop().__exit__(None, None, None)
        await asyncio.gather(*tasks)

    current.set(None)
    asyncio.run(task(0, None))


def test_a_span_may_end_in_another_thread(kept):
    with kept.span() as outer:
        span = kept.span().__enter__()
        thread = threading.Thread(target=span.__exit__, args=(None, None, None))
        thread.start()
        thread.join()
        assert span.parent_id == outer.id
    assert [row[0] for row in kept.rows] == [span.id, outer.id]
    assert current.get() is None or current.get() is span


def test_a_span_that_ends_in_another_context_is_no_error_there(kept):
    """As one in an asynchronous generator that the loop closes elsewhere."""

    async def steps():
        with kept.span("inner"):
            yield 1
            yield 2

    async def everything():
        generator = steps()
        await anext(generator)
        task = asyncio.create_task(generator.aclose())  # another context
        with kept.span("beside"):
            await task

    asyncio.run(everything())
    assert sorted(row[3] for row in kept.rows) == ["beside", "inner"]
    with kept.span() as span:
        contextvars.copy_context().run(span.__exit__, None, None, None)
    assert len(kept.rows) == 3


def test_what_a_generator_left_open_where_it_was_broken_off_is_no_parent_of_what_follows(kept):
    async def steps():
        with kept.span("outer"), kept.span("inner"):
            yield 1
            yield 2

    async def later(started):
        await started.wait()
        with kept.span("task"):
            pass

    async def everything():
        started = asyncio.Event()
        with kept.span("whole") as whole:
            async for _ in steps():
                task = asyncio.create_task(later(started))  # which began within them
                break
            while current.get().end_time is None:
                await asyncio.sleep(0)  # until the loop has closed it
            with kept.span("after"):
                assert innermost().location_id == "after"
            assert innermost() is whole
            started.set()
            await task
        assert innermost() is None

    asyncio.run(everything())
    rows = {row[3]: (row[0], json.loads(row[6] or "{}").get("parent_id")) for row in kept.rows}
    assert rows["after"][1] == rows["outer"][1] == rows["whole"][0]
    assert rows["task"][1] == rows["inner"][0]


def test_tasks_that_beget_tasks_forever_keep_none_of_those_before(kept):
    """An agent that calls itself again within its span: only what is open is kept."""
    seen: list = []

    async def again(left: int) -> None:
        with kept.span() as span:
            span.data["thing"] = thing = Thing()
            seen.append(weakref.ref(thing))
            del thing
            kept.rows.clear()
            task = asyncio.create_task(again(left - 1)) if left else None
        if task:
            del span
            following.append(task)

    async def everything() -> None:
        await again(300)
        while following:
            await following.pop()
            gc.collect(0)

    following: list = []
    asyncio.run(everything())
    gc.collect()
    assert sum(thing() is not None for thing in seen) <= 2


def test_a_decorator_opens_a_span_for_each_call(kept):
    @kept.span("desk", n=1)
    def work():
        current.get().data["inside"] = True

    @kept.span("desk", label="said")
    async def later():
        await asyncio.sleep(0)

    class Agent:
        @kept.span("desk")
        def act(self):
            return self

    work()
    work()
    asyncio.run(later())
    agent = Agent()
    assert agent.act() is agent
    label = "test_a_decorator_opens_a_span_for_each_call.<locals>."
    assert kept.data() == [
        *[{"n": 1, "label": f"{label}work", "inside": True}] * 2,
        {"label": "said"},
        {"label": f"{label}Agent.act"},
    ]
