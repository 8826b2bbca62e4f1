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
def test_rows_are_unstored_until_the_batch_is_cleared(steps):
    row_queue, queued, batch, requests, number = RowQueue(5), [], [], [], 0
    for step in steps:
        if step == "put":
            row_queue.items.append(row(number))
            queued.append(row(number))
            number += 1
        elif step == "request":
            requests.append(FlushRequest())
            row_queue.items.append(requests[-1])
        elif step == "take":
            row_queue.fill_batch()
            batch, queued = batch + queued, []
            assert row_queue.requests == requests
        elif step == "requeue":
            row_queue.requeue()
            queued, batch = batch + queued, []
        else:
            row_queue.clear_batch()
            batch = []
        assert row_queue.rows() == batch + queued
        assert row_queue.is_full(row(0)) == (len(row_queue.items) + len(row_queue.batch) > 5)
        assert len(row_queue.items) >= row_queue.high_watermark or not row_queue.is_full(row(0)), (
            "no thread would check the limit"
        )


def test_large_rows_count_by_their_bytes(monkeypatch):
    monkeypatch.setattr(queue, "MAX_UNSTORED_BYTES", 300_000)
    row_queue, long = RowQueue(100), row(0, "x" * 100_000)
    for _ in range(3):
        assert not row_queue.is_full(long)
        row_queue.items.append(long)
    row_queue.fill_batch()
    assert row_queue.is_full(long)
    assert not row_queue.is_full(row(0)), "the byte limit applies to large rows only"
    row_queue.clear_batch()
    assert not row_queue.is_full(long)


def test_a_thread_that_waits_for_room_is_woken():
    row_queue = RowQueue(1)
    row_queue.items.extend([row(0), row(1)])
    assert not row_queue.wait_for_room(0.001, row(1))
    found: list[bool] = []
    thread = threading.Thread(target=lambda: found.append(row_queue.wait_for_room(30, row(1))))
    thread.start()
    row_queue.fill_batch()
    row_queue.clear_batch()
    thread.join(30)
    assert found == [True]


def test_a_signal_handler_that_interrupts_a_wait_does_not_wait_too(monkeypatch):
    """Otherwise, handlers would pile up if signals arrive faster than rows are stored."""
    row_queue, inner = RowQueue(1), []
    row_queue.items.extend([row(0), row(1)])

    class Interrupted:
        def acquire(self, timeout):
            row_queue.yield_to_writer(30)
            inner.append(row_queue.wait_for_room(30, row(1)))
            row_queue.fill_batch()
            row_queue.clear_batch()

    monkeypatch.setattr(row_queue, "new_progress_lock", Interrupted)
    assert row_queue.wait_for_room(30, row(1))
    assert (inner, row_queue.blocked_threads) == ([True], set())


def test_an_interrupt_during_a_wait_leaves_no_state_behind(monkeypatch):
    row_queue = RowQueue(1)
    row_queue.items.extend([row(0), row(1)])

    class Interrupted:
        def acquire(self, timeout):
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(row_queue, "new_progress_lock", Interrupted)
        with pytest.raises(KeyboardInterrupt):
            row_queue.wait_for_room(30, row(1))
    assert row_queue.blocked_threads == set()
    assert not row_queue.wait_for_room(0.001, row(1))


def test_progress_before_the_wait_is_not_missed():
    row_queue = RowQueue(1)
    progress = row_queue.new_progress_lock()
    row_queue.fill_batch()
    assert progress.acquire(blocking=False)
    for _ in range(3):
        assert not row_queue.new_progress_lock().acquire(timeout=0.001)  # a timeout; the next progress releases these locks
    row_queue.clear_batch()
    assert not row_queue.progress_locks


def test_waiting_threads_get_the_result():
    row_queue, thread = RowQueue(1), threading.current_thread()
    stored, failed, closing = FlushRequest(), FlushRequest(), FlushRequest(is_closing=True)
    stored.complete(is_stored=True)
    failed.complete(is_stored=False)
    closing.complete(is_stored=True, thread=thread)
    assert [row_queue.wait_for(request, 30) for request in (stored, failed, closing)] == [True, False, True]
    assert closing.thread is thread
    assert not row_queue.wait_for(FlushRequest(), 0.001)


def test_completing_a_request_never_blocks():
    """Not even on a signal handler that interrupted the wait and waits for another request."""
    first, second, found = FlushRequest(), FlushRequest(), []
    row_queue = RowQueue(1)
    wait = first.wait

    def interrupted(timeout):
        found.append(row_queue.wait_for(second, 30))
        return wait(timeout)

    first.wait = interrupted
    thread = threading.Thread(target=lambda: (first.complete(is_stored=True), second.complete(is_stored=True)))
    thread.start()
    assert row_queue.wait_for(first, 30)
    thread.join(30)
    assert found == [True]


def test_threads_wait_while_the_store_makes_progress(monkeypatch):
    row_queue, request, clock = RowQueue(1), FlushRequest(), iter(range(100))
    monkeypatch.setattr(queue.time, "monotonic", lambda: float(next(clock)))
    timeouts = []

    def wait(timeout):
        timeouts.append(timeout)
        if len(timeouts) < 5:
            row_queue.mark_stored()
        return False

    request.wait = wait
    assert not row_queue.wait_for(request, 3)
    assert len(timeouts) > 5
