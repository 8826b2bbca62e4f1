"""Pending rows are counted at every moment, and taken once, in order."""

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenvis.record import queue
from tokenvis.record.queue import FlushRequest, RowQueue


def row(number: int, data: str | None = None) -> tuple:
    return f"t/{number}", "t", "ann", "desk", number, number, data


@given(st.lists(st.sampled_from(["put", "request", "take", "requeue", "clear"]), max_size=40))
def test_rows_are_pending_until_the_batch_is_cleared(steps):
    pending, queued, batch, requests, number = RowQueue(5), [], [], [], 0
    for step in steps:
        if step == "put":
            pending.items.append(row(number))
            queued.append(row(number))
            number += 1
        elif step == "request":
            requests.append(FlushRequest())
            pending.items.append(requests[-1])
        elif step == "take":
            pending.take()
            batch, queued = batch + queued, []
            assert pending.requests == requests
        elif step == "requeue":
            pending.requeue()
            queued, batch = batch + queued, []
        else:
            pending.clear_batch()
            batch = []
        assert pending.rows() == batch + queued
        assert pending.is_full(row(0)) == (len(pending.items) + len(pending.batch) > 5)
        assert len(pending.items) >= pending.high_watermark or not pending.is_full(row(0)), "no thread would check the limit"


def test_large_rows_count_by_their_bytes(monkeypatch):
    monkeypatch.setattr(queue, "MAX_UNSTORED_BYTES", 300_000)
    pending, long = RowQueue(100), row(0, "x" * 100_000)
    for _ in range(3):
        assert not pending.is_full(long)
        pending.items.append(long)
    pending.take()
    assert pending.is_full(long)
    assert not pending.is_full(row(0)), "the byte limit applies to large rows only"
    pending.clear_batch()
    assert not pending.is_full(long)


def test_a_thread_that_waits_for_room_is_woken():
    pending = RowQueue(1)
    pending.items.extend([row(0), row(1)])
    assert not pending.wait_for_room(0.001, row(1))
    found: list[bool] = []
    thread = threading.Thread(target=lambda: found.append(pending.wait_for_room(30, row(1))))
    thread.start()
    pending.take()
    pending.clear_batch()
    thread.join(30)
    assert found == [True]


def test_a_signal_handler_that_interrupts_a_wait_does_not_wait_too(monkeypatch):
    """Otherwise, handlers would pile up if signals arrive faster than rows are stored."""
    pending, inner = RowQueue(1), []
    pending.items.extend([row(0), row(1)])

    class Interrupted:
        def acquire(self, timeout):
            pending.yield_to_writer(30)
            inner.append(pending.wait_for_room(30, row(1)))
            pending.take()
            pending.clear_batch()

    monkeypatch.setattr(pending, "new_progress_lock", Interrupted)
    assert pending.wait_for_room(30, row(1))
    assert (inner, pending.blocked_threads) == ([True], set())


def test_an_interrupt_during_a_wait_leaves_no_state_behind(monkeypatch):
    pending = RowQueue(1)
    pending.items.extend([row(0), row(1)])

    class Interrupted:
        def acquire(self, timeout):
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(pending, "new_progress_lock", Interrupted)
        with pytest.raises(KeyboardInterrupt):
            pending.wait_for_room(30, row(1))
    assert pending.blocked_threads == set()
    assert not pending.wait_for_room(0.001, row(1))


def test_progress_before_the_wait_is_not_missed():
    pending = RowQueue(1)
    progress = pending.new_progress_lock()
    pending.take()
    assert progress.acquire(blocking=False)
    for _ in range(3):
        assert not pending.new_progress_lock().acquire(timeout=0.001)  # a timeout; the next progress releases these locks
    pending.clear_batch()
    assert not pending.progress_locks


def test_waiting_threads_get_the_result():
    pending, thread = RowQueue(1), threading.current_thread()
    stored, failed, closing = FlushRequest(), FlushRequest(), FlushRequest(is_closing=True)
    stored.complete(is_stored=True)
    failed.complete(is_stored=False)
    closing.complete(is_stored=True, thread=thread)
    assert [pending.wait_for(request, 30) for request in (stored, failed, closing)] == [True, False, True]
    assert closing.thread is thread
    assert not pending.wait_for(FlushRequest(), 0.001)


def test_completing_a_request_never_blocks():
    """Not even on a signal handler that interrupted the wait and waits for another request."""
    first, second, found = FlushRequest(), FlushRequest(), []
    pending = RowQueue(1)
    wait = first.wait

    def interrupted(timeout):
        found.append(pending.wait_for(second, 30))
        return wait(timeout)

    first.wait = interrupted
    thread = threading.Thread(target=lambda: (first.complete(is_stored=True), second.complete(is_stored=True)))
    thread.start()
    assert pending.wait_for(first, 30)
    thread.join(30)
    assert found == [True]


def test_threads_wait_while_the_store_makes_progress(monkeypatch):
    pending, request, clock = RowQueue(1), FlushRequest(), iter(range(100))
    monkeypatch.setattr(queue.time, "monotonic", lambda: float(next(clock)))
    timeouts = []

    def wait(timeout):
        timeouts.append(timeout)
        if len(timeouts) < 5:
            pending.mark_stored()
        return False

    request.wait = wait
    assert not pending.wait_for(request, 3)
    assert len(timeouts) > 5
