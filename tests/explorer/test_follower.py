import gc
import threading

import pytest
from conftest import spans_of
from databases import ONE
from explorers import eventually

from tokenvis import Store
from tokenvis.explorer import follower as module
from tokenvis.explorer.follower import Follower
from tokenvis.store.follow import Following


class Heard:
    """Who shows a trace: what it was told."""

    def __init__(self):
        self.told = []
        self.fails = False

    def tell(self, spans, problem):
        if self.fails:
            raise ZeroDivisionError("no page")
        self.told.append(problem if spans is None else spans["id"].tolist())


@pytest.fixture
def store() -> Store:
    made = Store()
    made.write_trace("t", spans_of("ann 0 10 desk"))
    return made


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def follower(store, heard):
    made = Follower(Following("t", store), heard.tell)
    yield made
    made.stop()


@pytest.fixture
def followers():
    """How many threads follow, beside those of other tests."""
    others = threading.enumerate()
    return lambda: sum(thread.name == "tokenvis follower" and thread not in others for thread in threading.enumerate())


def test_a_look_tells_what_is_new_and_nothing_else(store, follower, heard):
    assert follower.look()
    store.add_spans("t", [{**ONE, "id": "b"}])
    assert follower.look()
    assert follower.look()
    assert heard.told == [["b", "a"]]


def test_a_problem_is_told_once_and_so_is_its_end(store, follower, heard):
    spans = spans_of("ann 0 10 desk")
    store.delete_trace("t")
    for _ in range(3):
        assert follower.look()
    store.write_trace("t", spans)
    for _ in range(3):
        assert follower.look()
    assert heard.told == ["No trace 't'. This store has: none.", ""]


def test_what_could_not_be_told_is_told_at_the_next_look(store, follower, heard):
    store.add_spans("t", [{**ONE, "id": "b"}])
    heard.fails = True
    assert follower.look()
    assert follower.look()
    heard.fails = False
    assert follower.look()
    assert heard.told == [["b", "a"]]


def test_who_is_gone_is_told_nothing(store):
    heard = Heard()
    follower = Follower(Following("t", store), heard.tell)
    del heard
    gc.collect()
    assert not follower.look()


def test_a_thread_looks_until_it_is_stopped(store, follower, heard, followers, monkeypatch):
    monkeypatch.setattr(module, "LEAST_PAUSE", 0.01)
    follower.start()
    follower.start()
    assert followers() == 1
    store.add_spans("t", [{**ONE, "id": "b"}])
    eventually(lambda: heard.told, [["b", "a"]])
    follower.stop()
    follower.stop()
    eventually(followers, 0)
    store.add_spans("t", [{**ONE, "id": "c"}])
    follower.start()
    eventually(lambda: heard.told, [["b", "a"], ["b", "c", "a"]])


def test_a_thread_ends_with_who_is_told(store, followers, monkeypatch):
    monkeypatch.setattr(module, "LEAST_PAUSE", 0.01)
    heard = Heard()
    follower = Follower(Following("t", store), heard.tell)
    follower.start()
    assert followers() == 1
    del heard
    gc.collect()
    eventually(followers, 0)


def test_looks_take_a_tenth_of_the_time_at_most(store, heard, monkeypatch):
    pauses = []

    class Ended:
        def wait(self, pause):
            pauses.append(pause)
            return len(pauses) > 4

        def is_set(self):
            return False

    follower = Follower(Following("t", store), heard.tell)
    clock = iter(range(0, 100, 2))  # each look takes 2 s
    monkeypatch.setattr(module, "perf_counter", lambda: next(clock))
    looked = []
    monkeypatch.setattr(follower, "look", lambda: looked.append(1) or True)
    follower.spent = 3.0  # by who was told, before the first look
    follower._run(Ended())
    assert (pauses, len(looked)) == ([1.0, 50.0, 20.0, 20.0, 20.0], 4)
