"""What waits is counted at every moment, and given out once, in its order."""

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenvis.record import queue as room
from tokenvis.record.queue import Stored, Waiting


def row(number: int, data: str | None = None) -> tuple:
    return f"t/{number}", "t", "ann", "desk", number, number, data


@given(st.lists(st.sampled_from(["put", "ask", "take", "put back", "done"]), max_size=40))
def test_rows_wait_until_they_are_done(steps):
    waiting, there, taken, asked, number = Waiting(5), [], [], [], 0
    for step in steps:
        if step == "put":
            waiting.items.append(row(number))
            there.append(row(number))
            number += 1
        elif step == "ask":
            asked.append(Stored())
            waiting.items.append(asked[-1])
        elif step == "take":
            waiting.take()
            taken, there = taken + there, []
            assert waiting.pending == asked
        elif step == "put back":
            waiting.put_back()
            there, taken = taken + there, []
        else:
            waiting.be_done()
            taken = []
        assert waiting.rows() == taken + there
        assert waiting.is_full(row(0)) == (len(waiting.items) + len(waiting.taken) > 5)
        assert len(waiting.items) >= waiting.crowded or not waiting.is_full(row(0)), "nobody would look"


def test_long_rows_count_by_their_bytes(monkeypatch):
    monkeypatch.setattr(room, "MOST_IN_MEMORY", 300_000)
    waiting, long = Waiting(100), row(0, "x" * 100_000)
    for _ in range(3):
        assert not waiting.is_full(long)
        waiting.items.append(long)
    waiting.take()
    assert waiting.is_full(long)
    assert not waiting.is_full(row(0)), "a short one is let through"
    waiting.be_done()
    assert not waiting.is_full(long)


def test_who_waits_for_room_is_told_of_it():
    waiting = Waiting(1)
    waiting.items.extend([row(0), row(1)])
    assert not waiting.has_room_within(0.001, row(1))
    found: list[bool] = []
    thread = threading.Thread(target=lambda: found.append(waiting.has_room_within(30, row(1))))
    thread.start()
    waiting.take()
    waiting.be_done()
    thread.join(30)
    assert found == [True]


def test_a_handler_that_comes_in_the_midst_of_a_wait_does_not_wait_too(monkeypatch):
    """Where it did, handlers that come faster than the store takes would pile up."""
    waiting, inner = Waiting(1), []
    waiting.items.extend([row(0), row(1)])

    class Interrupted:
        def acquire(self, timeout):
            waiting.let_begin(30)
            inner.append(waiting.has_room_within(30, row(1)))
            waiting.take()
            waiting.be_done()

    monkeypatch.setattr(waiting, "progress", Interrupted)
    assert waiting.has_room_within(30, row(1))
    assert (inner, waiting.held_up) == ([True], set())


def test_an_interrupt_in_the_midst_of_a_wait_leaves_nothing_behind(monkeypatch):
    waiting = Waiting(1)
    waiting.items.extend([row(0), row(1)])

    class Interrupted:
        def acquire(self, timeout):
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(waiting, "progress", Interrupted)
        with pytest.raises(KeyboardInterrupt):
            waiting.has_room_within(30, row(1))
    assert waiting.held_up == set()
    assert not waiting.has_room_within(0.001, row(1))


def test_progress_that_comes_before_the_wait_is_not_missed():
    waiting = Waiting(1)
    progress = waiting.progress()
    waiting.take()
    assert progress.acquire(blocking=False)
    for _ in range(3):
        assert not waiting.progress().acquire(timeout=0.001)  # it waited in vain, and is let go with the next
    waiting.be_done()
    assert not waiting.waiters


def test_those_who_wait_are_told():
    waiting, thread = Waiting(1), threading.current_thread()
    told, in_vain, last = Stored(), Stored(), Stored(is_last=True)
    told.tell(is_stored=True)
    in_vain.tell(is_stored=False)
    last.tell(is_stored=True, thread=thread)
    assert [waiting.is_over(one, 30) for one in (told, in_vain, last)] == [True, False, True]
    assert last.thread is thread
    assert not waiting.is_over(Stored(), 0.001)


def test_who_tells_waits_for_nobody():
    """Not for a handler of a signal either, which came in the midst of that one's wait, and waits for another."""
    one, other, found = Stored(), Stored(), []
    waiting = Waiting(1)
    wait = one.is_told

    def interrupted(within):
        found.append(waiting.is_over(other, 30))
        return wait(within)

    one.is_told = interrupted
    thread = threading.Thread(target=lambda: (one.tell(is_stored=True), other.tell(is_stored=True)))
    thread.start()
    assert waiting.is_over(one, 30)
    thread.join(30)
    assert found == [True]


def test_a_store_that_takes_something_is_waited_for(monkeypatch):
    waiting, stored, clock = Waiting(1), Stored(), iter(range(100))
    monkeypatch.setattr(room.time, "monotonic", lambda: float(next(clock)))
    looks = []

    def look(within):
        looks.append(within)
        if len(looks) < 5:
            waiting.be_stored()
        return False

    stored.is_told = look
    assert not waiting.is_over(stored, 3)
    assert len(looks) > 5
