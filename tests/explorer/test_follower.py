import gc
import threading

import pytest
from conftest import spans_of
from databases import ONE_SPAN
from explorers import eventually

from tokenvis import Store
from tokenvis.explorer import follower as module
from tokenvis.explorer.follower import TraceFollower
from tokenvis.store.follow import Following


class Receiver:
    """Records what the follower reports."""

    def __init__(self):
        self.reports = []
        self.fails = False

    def report(self, spans, problem):
        if self.fails:
            raise ZeroDivisionError("no page")
        self.reports.append(problem if spans is None else spans["id"].tolist())


@pytest.fixture
def store() -> Store:
    made = Store()
    made.write_trace("t", spans_of("ann 0 10 desk"))
    return made


@pytest.fixture
def receiver() -> Receiver:
    return Receiver()


@pytest.fixture
def follower(store, receiver):
    made = TraceFollower(Following("t", store), receiver.report)
    yield made
    made.stop()


@pytest.fixture
def followers():
    """The number of follower threads of this test."""
    others = threading.enumerate()
    return lambda: sum(thread.name == "tokenvis follower" and thread not in others for thread in threading.enumerate())


def test_a_poll_reports_new_spans_and_nothing_else(store, follower, receiver):
    assert follower.poll()
    store.add_spans("t", [{**ONE_SPAN, "id": "b"}])
    assert follower.poll()
    assert follower.poll()
    assert receiver.reports == [["b", "a"]]


def test_a_problem_and_its_end_are_each_reported_once(store, follower, receiver):
    spans = spans_of("ann 0 10 desk")
    store.delete_trace("t")
    for _ in range(3):
        assert follower.poll()
    store.write_trace("t", spans)
    for _ in range(3):
        assert follower.poll()
    assert receiver.reports == ["No trace 't'. This store has: none.", ""]


def test_a_failed_callback_is_retried_at_the_next_poll(store, follower, receiver):
    store.add_spans("t", [{**ONE_SPAN, "id": "b"}])
    receiver.fails = True
    assert follower.poll()
    assert follower.poll()
    receiver.fails = False
    assert follower.poll()
    assert receiver.reports == [["b", "a"]]


def test_a_deleted_receiver_ends_polling(store):
    receiver = Receiver()
    follower = TraceFollower(Following("t", store), receiver.report)
    del receiver
    gc.collect()
    assert not follower.poll()


def test_a_thread_polls_until_it_is_stopped(store, follower, receiver, followers, monkeypatch):
    monkeypatch.setattr(module, "MIN_POLL_INTERVAL_S", 0.01)
    follower.start()
    follower.start()
    assert followers() == 1
    store.add_spans("t", [{**ONE_SPAN, "id": "b"}])
    eventually(lambda: receiver.reports, [["b", "a"]])
    follower.stop()
    follower.stop()
    eventually(followers, 0)
    store.add_spans("t", [{**ONE_SPAN, "id": "c"}])
    follower.start()
    eventually(lambda: receiver.reports, [["b", "a"], ["b", "c", "a"]])


def test_a_thread_ends_with_its_receiver(store, followers, monkeypatch):
    monkeypatch.setattr(module, "MIN_POLL_INTERVAL_S", 0.01)
    receiver = Receiver()
    follower = TraceFollower(Following("t", store), receiver.report)
    follower.start()
    assert followers() == 1
    del receiver
    gc.collect()
    eventually(followers, 0)


def test_polls_take_at_most_a_tenth_of_the_time(store, receiver, monkeypatch):
    pauses = []

    class StopEvent:
        def wait(self, pause):
            pauses.append(pause)
            return len(pauses) > 4

        def is_set(self):
            return False

    follower = TraceFollower(Following("t", store), receiver.report)
    clock = iter(range(0, 100, 2))  # each poll takes 2 s
    monkeypatch.setattr(module, "perf_counter", lambda: next(clock))
    polls = []
    monkeypatch.setattr(follower, "poll", lambda: polls.append(1) or True)
    follower.callback_seconds = 3.0  # by the receiver, before the first poll
    follower._run(StopEvent())
    assert (pauses, len(polls)) == ([1.0, 50.0, 20.0, 20.0, 20.0], 4)
