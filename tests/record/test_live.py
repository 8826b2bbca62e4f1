"""Live spans: their parents, in interleaved code too, and the data of the errors that end them."""

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
from tokenvis.record.live import LiveSpan, current_span, innermost


class FakeRecorder:
    """A recorder that keeps rows, with a simulated clock."""

    trace_id = "t"

    def __init__(self) -> None:
        self.rows: list[tuple] = []
        self.now, self.n_ids, self._process_token = 0, 0, object()

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

    def _on_start(self, span: LiveSpan) -> None:
        pass

    def _on_end(self, span: LiveSpan) -> None:
        self.rows.append(span.row(0))


@pytest.fixture
def recorder() -> FakeRecorder:
    return FakeRecorder()


@pytest.fixture(autouse=True)
def nothing_open():
    current_span.set(None)
    yield
    current_span.set(None)


def test_a_span_shows_its_state(recorder):
    span = recorder.span("desk", label="plan")
    assert (repr(span), span.id, span.start_time) == ("<LiveSpan of 'ann' at 'desk', not started>", "", None)
    span.end()
    assert recorder.rows == [], "it has not started"
    with span as same:
        assert same is span
        assert repr(span) == "<LiveSpan of 'ann' at 'desk', open>"
        span.data["n"] = 1
    assert repr(span) == "<LiveSpan of 'ann' at 'desk', ended>"
    span.end()
    assert recorder.rows == [("1", "t", "ann", "desk", 1, 2, '{"label":"plan","n":1}')]
    with pytest.raises(BadOption) as caught, span:
        pass
    assert str(caught.value) == (
        "<LiveSpan of 'ann' at 'desk', ended> has already started. Call recorder.span(...) for each span."
    )
    assert current_span.get() is None


def test_a_span_without_data_has_none(recorder):
    with recorder.span():
        pass
    with recorder.span() as span:
        span.data = None
    with recorder.span() as span:
        span.data = [1, 2]
    with recorder.span() as outer, recorder.span() as span:
        span.data = "text"
    assert recorder.data()[:4] == [None, None, {"value": [1, 2]}, {"value": "text", "parent_id": outer.id}]


def test_the_parent_is_the_enclosing_span_unless_it_is_given(recorder):
    with recorder.span() as outer, recorder.span() as inner:
        recorder.span().start().end()
        with recorder.span(parent_id="elsewhere"):
            pass
    assert recorder.data() == [{"parent_id": inner.id}, {"parent_id": "elsewhere"}, {"parent_id": outer.id}, None]


class OddError(Exception):
    def __str__(self):
        raise ValueError


class Meta(type):
    def __getattribute__(cls, name):
        return 1 / 0 if name in ("__qualname__", "__module__", "__name__") else super().__getattribute__(name)


class HiddenError(Exception, metaclass=Meta):
    pass


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ValueError("refused"), {"status": "error", "status_message": "refused", "error.type": "ValueError"}),
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
def test_an_error_is_recorded_and_raised_again(error, expected, recorder):
    if isinstance(error, OddError):
        error.__class__.__repr__ = error.__class__.__str__
    with pytest.raises(type(error)) as caught, recorder.span():
        raise error
    assert caught.value is error
    [data] = recorder.data()
    stack = data.pop("exception.stacktrace", "") if data else ""
    assert data == expected
    assert ("raise error\n" in stack) == (expected is not None and "status" in expected and type(error) is not HiddenError)


def test_an_error_overrides_the_status_of_the_program(recorder):
    with pytest.raises(ValueError, match="refused"), recorder.span(status="ok", n=1):
        raise ValueError("refused")
    [data] = recorder.data()
    assert data.pop("exception.stacktrace").endswith('raise ValueError("refused")\nValueError: refused\n')
    assert data == {"status": "error", "n": 1, "status_message": "refused", "error.type": "ValueError"}


def test_the_stack_trace_has_causes_and_groups_within_limits(recorder):
    def fail(depth):
        if depth:
            fail(depth - 1)
        raise ValueError("x" * 9_000)

    with suppress(Exception), recorder.span():
        try:
            fail(100)
        except ValueError as error:
            raise ExceptionGroup("several", [KeyError("inner")]) from error
    [data] = recorder.data()
    stack = data["exception.stacktrace"]
    assert len(stack) <= 8_001
    assert stack.startswith("Traceback (most recent call last):\n")
    assert ["The above exception was the direct cause", "ExceptionGroup: several", "KeyError: 'inner'"] == [
        part
        for part in ("The above exception was the direct cause", "ExceptionGroup: several", "KeyError: 'inner'")
        if part in stack
    ]


@pytest.mark.parametrize("odd", [None, "x", 1.5, float("nan"), 2**80, True, b"x", np.int64(7), object()], ids=range(9))
def test_names_and_times_that_the_program_sets_are_made_storable(odd, recorder):
    for name in ("agent_id", "location_id", "start_time", "end_time"):
        span = recorder.span().start()
        setattr(span, name, odd)
        span.row(5)
        span.end()
        span.row(5)
    with recorder.span() as span:
        span.start_time = 2**63
    for _, _, agent, location, start, end, _ in recorder.rows:
        assert type(agent) is type(location) is str
        assert type(start) is type(end) is int
        assert -(2**63) <= start <= end < 2**63


class Thing:
    pass


def test_a_span_that_failed_keeps_nothing_alive(recorder):
    def fail():
        thing = Thing()
        seen.append(weakref.ref(thing))
        with recorder.span() as span:
            spans.append(span)
            raise ValueError

    seen: list = []
    spans: list = []
    with suppress(ValueError):
        fail()
    assert seen[0]() is None
    assert recorder.data()[0]["error.type"] == "ValueError"


def test_the_row_of_an_open_span_has_that_status(recorder):
    with recorder.span(status="ok") as span:
        assert span.row(7)[5:] == (7, '{"status":"open"}')
        assert span.row(-7)[5] == span.start_time, "a clock that goes back ends no span before its start"


# Parents, against a list of the open spans

STEPS = st.lists(st.tuples(st.sampled_from(["open", "close", "event"]), st.integers(0, 9), st.integers(0, 1)), max_size=40)


@given(STEPS)
def test_parents_are_right_in_any_order_of_ends(steps):
    """The parent is the last span of the same recorder that was opened here and is still open."""
    recorders = [FakeRecorder(), FakeRecorder()]
    opened: list[LiveSpan] = []
    current_span.set(None)
    for step, which, number in steps:
        recorder = recorders[number]
        around = [span for span in opened if span.recorder is recorder]
        if step == "close":
            if opened:
                opened.pop(which % len(opened)).__exit__(None, None, None)
            assert current_span.get() is (opened[-1] if opened else None)
            continue
        span = recorder.span()
        if step == "open":
            opened.append(span.__enter__())
        else:
            span.start().end()
        assert span.parent_id == (around[-1].id if around else None)
    while opened:
        opened.pop(0).__exit__(None, None, None)
    assert current_span.get() is None


@given(st.lists(st.lists(st.sampled_from(["open", "close", "wait", "spawn", "thread"]), max_size=8), min_size=1, max_size=5))
def test_parents_follow_interleaved_tasks_and_threads(plans):
    """A task inherits the span that was open where it started; so does a thread started by `asyncio.to_thread`."""
    recorder = FakeRecorder()

    async def task(number: int, above: str | None) -> None:
        opened: list[LiveSpan] = []
        tasks = []
        for step in plans[number]:
            top = opened[-1].id if opened else above
            if step == "open":
                opened.append(recorder.span().__enter__())
                assert opened[-1].parent_id == top
            elif step == "close" and opened:
                await opened.pop().__aexit__(None, None, None)
            elif step == "spawn" and number + 1 < len(plans):
                tasks.append(asyncio.create_task(task(number + 1, top)))
            elif step == "thread":
                event = await asyncio.to_thread(lambda: recorder.span().start())
                assert event.parent_id == top
            await asyncio.sleep(0)
        while opened:
            opened.pop().__exit__(None, None, None)
        await asyncio.gather(*tasks)

    current_span.set(None)
    asyncio.run(task(0, None))


def test_a_span_may_end_in_another_thread(recorder):
    with recorder.span() as outer:
        span = recorder.span().__enter__()
        thread = threading.Thread(target=span.__exit__, args=(None, None, None))
        thread.start()
        thread.join()
        assert span.parent_id == outer.id
    assert [row[0] for row in recorder.rows] == [span.id, outer.id]
    assert current_span.get() is None or current_span.get() is span


def test_a_span_may_end_in_another_context(recorder):
    """For example a span in an asynchronous generator that the loop closes in another task."""

    async def steps():
        with recorder.span("inner"):
            yield 1
            yield 2

    async def everything():
        generator = steps()
        await anext(generator)
        task = asyncio.create_task(generator.aclose())  # another context
        with recorder.span("beside"):
            await task

    asyncio.run(everything())
    assert sorted(row[3] for row in recorder.rows) == ["beside", "inner"]
    with recorder.span() as span:
        contextvars.copy_context().run(span.__exit__, None, None, None)
    assert len(recorder.rows) == 3


def test_the_open_spans_of_an_abandoned_generator_are_no_parents_of_later_spans(recorder):
    async def steps():
        with recorder.span("outer"), recorder.span("inner"):
            yield 1
            yield 2

    async def later(started):
        await started.wait()
        with recorder.span("task"):
            pass

    async def everything():
        started = asyncio.Event()
        with recorder.span("whole") as whole:
            async for _ in steps():
                task = asyncio.create_task(later(started))  # starts inside the spans of the generator
                break
            while current_span.get().end_time is None:
                await asyncio.sleep(0)  # until the loop has closed it
            with recorder.span("after"):
                assert innermost().location_id == "after"
            assert innermost() is whole
            started.set()
            await task
        assert innermost() is None

    asyncio.run(everything())
    rows = {row[3]: (row[0], json.loads(row[6] or "{}").get("parent_id")) for row in recorder.rows}
    assert rows["after"][1] == rows["outer"][1] == rows["whole"][0]
    assert rows["task"][1] == rows["inner"][0]


def test_an_endless_chain_of_tasks_keeps_no_ended_spans_alive(recorder):
    """An agent that starts its next task inside its span: only open spans stay in memory."""
    seen: list = []

    async def again(left: int) -> None:
        with recorder.span() as span:
            span.data["thing"] = thing = Thing()
            seen.append(weakref.ref(thing))
            del thing
            recorder.rows.clear()
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


def test_a_decorator_opens_a_span_for_each_call(recorder):
    @recorder.span("desk", n=1)
    def work():
        current_span.get().data["inside"] = True

    @recorder.span("desk", label="later")
    async def later():
        await asyncio.sleep(0)

    class Agent:
        @recorder.span("desk")
        def act(self):
            return self

    work()
    work()
    asyncio.run(later())
    agent = Agent()
    assert agent.act() is agent
    label = "test_a_decorator_opens_a_span_for_each_call.<locals>."
    assert recorder.data() == [
        *[{"n": 1, "label": f"{label}work", "inside": True}] * 2,
        {"label": "later"},
        {"label": f"{label}Agent.act"},
    ]
