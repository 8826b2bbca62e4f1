"""The writer: rows are stored soon and in order, despite store failures, signals and other threads."""

import gc
import logging
import os
import signal
import threading
import time
from contextlib import suppress
from pathlib import Path
from weakref import ref

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recordings import TIMEOUT_S, interrupted, locked, numbers, wait_until

from tokenvis import BadOption, StoreError, load_spans, load_traces
from tokenvis.record import delivery, lifecycle, overflow, queue, writer
from tokenvis.record.delivery import Delivery
from tokenvis.record.writer import Writer


def row(number: int, end: int | None = None, data: str | None = None) -> tuple:
    return f"t/{number}", "t", "ann", "desk", number, number if end is None else end, data


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "tokenvis-writer"]


@pytest.fixture
def made(tmp_path):
    """A factory of writers; all are closed afterwards, and no thread remains."""
    writers = []

    def make(**options) -> Writer:
        writers.append(Writer(tmp_path / "t.db", **options))
        return writers[-1]

    yield make
    for made_writer in writers:
        made_writer.close()
    wait_until(lambda: not threads())


@pytest.fixture
def failing(monkeypatch):
    """A list; while it contains an error, all deliveries raise it."""
    errors: list[Exception] = []
    deliver = Delivery.deliver

    def deliver_or_fail(self, rows):
        if errors:
            raise errors[0]
        return deliver(self, rows)

    monkeypatch.setattr(Delivery, "deliver", deliver_or_fail)
    return errors


@pytest.mark.parametrize("most", [0, -1, 2.5, "many", None])
def test_an_invalid_limit_is_refused(most):
    with pytest.raises(BadOption) as caught:
        Writer(max_spans=most)
    assert str(caught.value) == f"max_spans={most!r} is not a number of spans. Pass an integer of at least 1."
    with pytest.raises(BadOption) as caught:
        Writer(max_seconds=most if most != 2.5 else float("nan"))
    shown = "nan" if most == 2.5 else repr(most)
    assert str(caught.value) == f"max_seconds={shown} is not a duration. Pass a positive number of seconds."


def test_rows_are_stored_without_a_flush(made):
    own = made(max_seconds=0.01)
    own.put(row(1))
    wait_until(lambda: numbers(own.store) == [1])
    own.put(row(2))
    wait_until(lambda: numbers(own.store) == [1, 2])


def test_a_flush_stores_all_earlier_rows(made):
    own = made(max_seconds=3_000)
    for number in range(700):
        own.put(row(number))
    own.flush()
    assert numbers(own.store) == [*range(700)]
    own.flush()


@pytest.mark.parametrize("n_taken", [0, 4])
def test_no_more_rows_are_accepted_than_the_limit(n_taken, made, monkeypatch):
    """Plus one whose thread is blocked; while the store hangs, the count is exact, however many rows are in the batch."""
    go, deliver, accepted = threading.Event(), Delivery.deliver, []

    def deliver_later(self, rows):
        assert go.wait(TIMEOUT_S)
        return deliver(self, rows)

    def work():
        for number in range(100):
            own.put(row(number))
            accepted.append(number)
            if number + 1 == n_taken:
                wait_until(lambda: len(own._queue.batch) == n_taken)

    monkeypatch.setattr(Delivery, "deliver", deliver_later)
    monkeypatch.setattr(writer, "BLOCK_TIMEOUT_S", TIMEOUT_S)
    own = made(max_spans=10, max_seconds=0.5 if n_taken else 3_000)
    thread = threading.Thread(target=work)
    thread.start()
    wait_until(lambda: len(own._queue.rows()) == 11)
    assert len(accepted) == 10
    go.set()
    thread.join(TIMEOUT_S)
    own.flush()
    assert numbers(own.store) == [*range(100)]


def test_large_rows_count_by_their_bytes(made, monkeypatch):
    go, deliver, accepted = threading.Event(), Delivery.deliver, []

    def deliver_later(self, rows):
        assert go.wait(TIMEOUT_S)
        return deliver(self, rows)

    def work():
        for number in range(9):
            own.put(row(number, data='{"text":"' + "x" * 100_000 + '"}'))
            accepted.append(number)

    monkeypatch.setattr(Delivery, "deliver", deliver_later)
    monkeypatch.setattr(queue, "MAX_UNSTORED_BYTES", 500_000)
    monkeypatch.setattr(writer, "BLOCK_TIMEOUT_S", TIMEOUT_S)
    own = made()
    thread = threading.Thread(target=work)
    thread.start()
    wait_until(lambda: len(own._queue.rows()) == 5)
    assert len(accepted) == 4
    go.set()
    thread.join(TIMEOUT_S)
    own.flush()
    assert numbers(own.store) == [*range(9)]


def test_a_limit_of_one_row(made):
    own = made(max_spans=1)
    for number in range(30):
        own.put(row(number))
        assert len(own._queue.rows()) <= 1
    own.close()
    assert numbers(own.store) == [*range(30)]


def test_a_failing_store_blocks_the_program_once_and_then_rows_go_to_a_file(made, failing, monkeypatch, caplog, tmp_path):
    monkeypatch.setattr(writer, "BLOCK_TIMEOUT_S", 0.05)
    monkeypatch.setattr(writer, "RETRY_INTERVAL_S", 0.05)
    own = made(max_spans=8)
    own.put(row(0))
    own.flush()
    failing.append(StoreError("It is full."))
    results = []
    wait_for_room = own._queue.wait_for_room
    monkeypatch.setattr(own._queue, "wait_for_room", lambda *given: results.append(wait_for_room(*given)) or results[-1])
    assert own._queue.last_stored_at > 0
    for number in range(1, 500):
        own.put(row(number))
    assert results == [False]
    wait_until(lambda: list(tmp_path.glob("*.waiting.jsonl")))
    with pytest.raises(StoreError) as caught:
        own.flush(0.05)
    assert str(caught.value) == f"{own.store.path} stored no spans for 0.05 s: It is full. The spans stay queued."
    own.flush_or_stall()  # does not wait
    failing.clear()
    own.flush()
    assert numbers(own.store) == [*range(500)]
    assert list(tmp_path.glob("*.waiting.jsonl")) == []
    wait_until(lambda: "can be written again" in caplog.text)
    messages = [record.getMessage() for record in caplog.records if "buffered in" not in record.getMessage()]
    assert messages == [
        f"{own.store.path} cannot be written. Spans are buffered, and the program continues. It is full.",
        f"{own.store.path} can be written again. All buffered spans are stored.",
    ]


def test_rows_put_while_the_backlog_is_stored_are_not_lost(made, failing, monkeypatch):
    """The file is larger than the memory limit, and new rows arrive while it is being stored."""
    monkeypatch.setattr(writer, "BLOCK_TIMEOUT_S", 0.01)
    monkeypatch.setattr(writer, "RETRY_INTERVAL_S", 0.01)
    for module in (writer, overflow):
        monkeypatch.setattr(module, "MAX_UNSTORED_BYTES", 100_000)
    monkeypatch.setattr(overflow, "MAX_OVERFLOW_CHUNK_ROWS", 16)
    own = made(max_spans=8)
    failing.append(StoreError("full"))
    for number in range(2_000):
        own.put(row(number))
        if number % 100 == 0:
            wait_until(lambda: own._stalled_bytes < 50_000)
    failing.clear()
    for number in range(2_000, 4_000):
        own.put(row(number))
        if number % 50 == 0:
            wait_until(lambda: own._stalled_bytes < 50_000)
    own.flush()
    assert numbers(own.store) == [*range(4_000)]


def test_rows_beyond_all_limits_are_counted(made, failing, monkeypatch):
    monkeypatch.setattr(writer, "RETRY_INTERVAL_S", 0.05)
    monkeypatch.setattr(writer, "BLOCK_TIMEOUT_S", 0.01)
    for module in (writer, overflow):
        monkeypatch.setattr(module, "MAX_UNSTORED_BYTES", 20_000)
    monkeypatch.setattr(overflow.OverflowFile, "create", lambda path: None)
    own = made(max_spans=8)
    failing.append(StoreError("full"))
    for number in range(1_000):
        own.put(row(number))
    failing.clear()
    own.flush()
    stored = load_spans(store=own.store)
    lost = stored[stored["location_id"] == "tokenvis.lost"]
    n_lost = lost["data"].str.extract(r'"n_lost":(\d+)')[0].astype(int).sum()
    assert len(stored) - len(lost) + n_lost == 1_000
    assert 0 < n_lost < 1_000


@pytest.mark.parametrize("error", [MemoryError(), ValueError("odd"), OSError("odd")])
def test_an_unexpected_error_loses_nothing(error, made, failing, caplog):
    own = made(max_seconds=0.01)
    failing.append(error)
    own.put(row(1))
    wait_until(lambda: caplog.records)
    assert caplog.records[0].getMessage() == "Spans could not be stored."
    failing.clear()
    own.flush()
    assert numbers(own.store) == [1]


def test_an_error_in_open_rows_loses_nothing(made, caplog):
    def open_rows():
        raise ValueError("odd")

    own = made(open_rows=open_rows)
    own.put(row(1))
    own.flush()
    assert numbers(own.store) == [1]
    assert caplog.records[0].getMessage() == "Open spans could not be read."


def test_open_spans_are_stored_with_each_batch(made):
    n_calls = 0

    def open_rows():
        nonlocal n_calls
        n_calls += 1
        return [row(1, end=n_calls)] if n_calls < 5 else []

    own = made(open_rows=open_rows, max_seconds=0.002)
    own.put(row(1))
    wait_until(lambda: n_calls >= 5)
    own.flush()
    assert load_spans(store=own.store)["end_time"].tolist() == [4]


def test_many_open_spans_block_no_thread(made, failing, monkeypatch):
    """They are not queued rows: a failed batch does not put them back into the queue."""
    own = made(open_rows=lambda: [row(number) for number in range(1_000, 1_050)], max_spans=10, max_seconds=0.01)
    failing.append(StoreError("full"))
    own.put(row(1))
    wait_until(lambda: own._last_error)
    assert len(own._queue.rows()) <= 1
    own.put(row(2))
    assert not own._is_stalled
    failing.clear()


STEPS = st.lists(
    st.one_of(st.tuples(st.just("put"), st.integers(0, 5)), st.tuples(st.sampled_from(["flush", "close", "fail", "work"]))),
    max_size=40,
)


@given(STEPS, st.sampled_from([1, 3, 512]))
def test_the_last_row_of_each_id_is_stored_in_the_end(tmp_path_factory, steps, most):
    """For any sequence of failures and closes in between."""
    path, model, errors = tmp_path_factory.mktemp("law") / "t.db", {}, []
    deliver = Delivery.deliver

    def deliver_or_fail(self, rows):
        if errors:
            raise StoreError("full")
        return deliver(self, rows)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Delivery, "deliver", deliver_or_fail)
        for name, value in {
            "BLOCK_TIMEOUT_S": 0.002,
            "CLOSE_TIMEOUT_S": 0.002,
            "SHORT_RETRY_INTERVAL_S": 0.001,
            "RETRY_INTERVAL_S": 0.001,
        }.items():
            patch.setattr(writer, name, value)
        own = Writer(path, max_spans=most, max_seconds=0.002)
        for number, (step, *values) in enumerate(steps):
            if step == "put":
                model[values[0]] = number + 10
                own.put(row(values[0], end=number + 10))
            elif step == "flush":
                with suppress(StoreError):
                    own.flush(0.02)
            elif step == "close":
                own.close()
            else:
                errors[:] = [1] if step == "fail" else []
        errors.clear()
        patch.setattr(writer, "CLOSE_TIMEOUT_S", TIMEOUT_S)
        own.put(row(6))
        own.flush()
        wait_until(lambda: not own._has_backlog)
        own.close()
    stored = load_spans(store=path)
    assert dict(zip(stored["start_time"], stored["end_time"], strict=True)) == model | {6: 6}
    assert [entry.name for entry in path.parent.iterdir()] == ["t.db"]


def n_open_files() -> int:
    """The number of files that this process has open, on systems with /proc; else 0."""
    folder = Path("/proc/self/fd")
    return len(list(folder.iterdir())) if folder.is_dir() else 0


def test_closing_closes_the_file_and_later_rows_open_it_again(made, tmp_path):
    own = made()
    before = n_open_files()
    for number in range(20):
        own.put(row(number))
        own.close()
        assert not threads()
        assert [entry.name for entry in tmp_path.iterdir()] == ["t.db"]
    assert numbers(own.store) == [*range(20)]
    own.close()
    assert n_open_files() == before


def test_closing_stores_a_trace_without_spans(made):
    own = made()
    own.name_trace("t", "Trace")
    own.close()
    assert load_traces(store=own.store)["name"].tolist() == ["Trace"]


def test_closing_an_unused_writer_starts_no_thread(made):
    made().close()
    assert not threads()


def test_closing_while_other_threads_record_stores_all_earlier_rows(made):
    own, stop, counts = made(), threading.Event(), [0] * 3

    def work(agent):
        while not stop.is_set():
            own.put((f"t/{agent}/{counts[agent]}", "t", f"{agent}", "desk", counts[agent], counts[agent], None))
            counts[agent] += 1

    others = [threading.Thread(target=work, args=[agent]) for agent in range(3)]
    for thread in others:
        thread.start()
    try:
        for number in range(6):
            own.put(row(10**6 + number))
            own.close()
            assert (load_spans(store=own.store)["id"] == f"t/{10**6 + number}").sum() == 1
    finally:
        stop.set()
        for thread in others:
            thread.join()
    own.close()
    own_spans = load_spans(store=own.store).groupby("agent_id", observed=True)["start_time"].agg(list).to_dict()
    assert {agent: own_spans[f"{agent}"] for agent in range(3)} == {agent: [*range(counts[agent])] for agent in range(3)}


def test_a_garbage_collected_writer_stores_all_rows_and_its_thread_ends(made):
    own = Writer("t.db", max_seconds=3_000)
    own.put(row(1))
    own.request_close()
    weakly, store = ref(own), own.store
    del own
    wait_until(lambda: not threads())
    gc.collect()
    assert weakly() is None
    assert numbers(store) == [1]


def test_a_writer_may_record_its_own_log(made, failing, monkeypatch):
    """With a handler that stores each record at once, on the writer thread too."""
    monkeypatch.setattr(writer, "RETRY_INTERVAL_S", 0.05)
    monkeypatch.setattr(writer, "BLOCK_TIMEOUT_S", 0.05)
    own, messages = made(max_spans=4), []

    class Recording(logging.Handler):
        def emit(self, record):
            messages.append(record.getMessage())
            own.put(row(100 + len(messages)))
            own.flush(TIMEOUT_S if not own._is_stalled else 0.01)
            own.flush_or_stall()

        def handleError(self, record):  # noqa: N802
            pass

        def handle(self, record):
            with suppress(StoreError):
                super().handle(record)

    handler = Recording()
    logging.getLogger("tokenvis").addHandler(handler)
    try:
        own.put(("t/w", "t", "ann", "desk", 9, 3, None))  # the store refuses it, and the writer thread logs that
        own.flush()
        failing.append(StoreError("full"))
        for number in range(20):
            own.put(row(number))
        failing.clear()
        own.flush()
    finally:
        logging.getLogger("tokenvis").removeHandler(handler)
    own.close()
    assert {*range(20), *range(101, 101 + len(messages))} <= set(numbers(own.store))
    assert len(messages) >= 3


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="signals of POSIX")
@pytest.mark.parametrize("most", [512, 4])
def test_signals_may_interrupt_any_step(made, most):
    """A signal every millisecond, with a handler that records too, and sometimes flushes."""
    own, n_handled = made(max_spans=most), 0

    def handle():
        nonlocal n_handled
        n_handled += 1
        own.put(row(10**6 + n_handled))
        if n_handled % 50 == 0:
            own.flush()

    n_rows = 20_000 if most == 512 else 1_000
    with interrupted(handle):
        for number in range(n_rows):
            own.put(row(number))
            if number % (n_rows // 20) == 0:
                own.flush()
            if number % (n_rows // 10) == 0:
                own.close()
    own.close()
    assert n_handled
    assert numbers(own.store) == [*range(n_rows), *range(10**6 + 1, 10**6 + n_handled + 1)]


def test_an_interrupt_while_the_thread_starts_loses_nothing(made, monkeypatch):
    own, start, n_starts = made(max_seconds=0.01), threading.Thread.start, iter(range(99))

    def start_later(thread):
        if next(n_starts) == 0:
            raise KeyboardInterrupt
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", start_later)
    with pytest.raises(KeyboardInterrupt):
        own.put(row(1))
    own.put(row(2))
    own.close()
    assert numbers(own.store) == [1, 2]


def test_if_no_thread_can_start_each_row_is_stored_at_once(made, monkeypatch):
    own = made()

    def refuse(thread):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    for number in range(3):
        own.put(row(number))
        assert numbers(own.store) == [*range(number + 1)]
    monkeypatch.undo()
    own.put(row(3))
    own.flush()
    assert numbers(own.store) == [*range(4)]


@pytest.fixture
def at_the_end(monkeypatch):
    """The interpreter is ending."""
    monkeypatch.setattr(lifecycle.process, "is_ending", True)


def test_at_the_end_each_row_is_stored_at_once(made, at_the_end):
    own = made()
    for number in range(3):
        own.put(row(number))
        assert numbers(own.store) == [*range(number + 1)]
        assert not threads()


@pytest.mark.skipif(os.name != "posix", reason="locks of POSIX")
def test_at_the_end_a_failing_store_costs_one_timeout(made, failing, at_the_end, monkeypatch):
    tries = []
    monkeypatch.setattr(writer, "CLOSE_TIMEOUT_S", 0.05)
    monkeypatch.setattr(writer, "RETRY_INTERVAL_S", TIMEOUT_S)
    own, wait = made(), time.sleep
    monkeypatch.setattr(writer.time, "sleep", lambda seconds: tries.append(seconds) or wait(0.01))
    failing.append(StoreError("full"))
    own.put(row(0))
    n_tries = len(tries)
    assert n_tries > 0
    for number in range(1, 10):
        own.put(row(number))
    assert len(tries) == n_tries
    failing.clear()
    other = made()
    other.put(row(10))
    other.close()
    assert numbers(own.store) == [*range(11)]


@pytest.mark.skipif(os.name != "posix", reason="locks of POSIX")
def test_at_the_end_the_rows_of_a_hanging_thread_are_logged_and_saved(made, monkeypatch, caplog):
    go, own, started = threading.Event(), made(), threading.Event()
    deliver = Delivery.deliver

    def hang(self, rows):
        started.set()
        assert go.wait(TIMEOUT_S)
        return deliver(self, rows)

    monkeypatch.setattr(Delivery, "deliver", hang)
    monkeypatch.setattr(writer, "CLOSE_TIMEOUT_S", 0.02)
    own.put(row(1))
    own.request_flush()
    assert started.wait(TIMEOUT_S)
    monkeypatch.setattr(lifecycle.process, "is_ending", True)
    own.put(row(2))
    own.close()
    assert caplog.records[0].getMessage() == f"{own.store.path} does not respond. Not stored: 2 spans."
    assert "contains 2 spans." in caplog.records[-1].getMessage()
    monkeypatch.setattr(Delivery, "deliver", deliver)
    monkeypatch.setattr(lifecycle.process, "is_ending", False)
    other = made()
    other.put(row(3))
    other.close()
    assert numbers(own.store) == [1, 2, 3]
    go.set()


def test_threads_wait_for_a_store_that_is_slow_but_makes_progress(made, monkeypatch):
    """Blocked threads, a flush and a close: none stops waiting, and no row goes to the overflow."""
    monkeypatch.setattr(writer, "BLOCK_TIMEOUT_S", 0.1)
    monkeypatch.setattr(writer, "CLOSE_TIMEOUT_S", 0.1)
    deliver = Delivery.deliver

    def deliver_slowly(self, rows):
        time.sleep(0.03)
        return deliver(self, rows)

    monkeypatch.setattr(Delivery, "deliver", deliver_slowly)
    own = made(max_spans=2)

    def work(first):
        for number in range(first, first + 4):
            own.put(row(number))

    others = [threading.Thread(target=work, args=[first]) for first in range(0, 16, 4)]
    for thread in others:
        thread.start()
    for thread in others:
        thread.join()
    assert not own._is_stalled
    own._delivery.overflow.add([row(number) for number in range(16, 22)])
    monkeypatch.setattr(overflow, "MAX_OVERFLOW_CHUNK_ROWS", 1)
    monkeypatch.setattr(delivery, "CHUNKS_PER_DELIVERY", 1)
    own.close()
    assert numbers(own.store) == [*range(22)]


def test_a_flush_error_names_the_locked_database(made):
    own = made()
    with locked(own.store.path):
        own.put(row(1))
        with pytest.raises(StoreError) as caught:
            own.flush(0.5)
    message = "database is locked. Another program is writing to it. Close that program, or try again."
    path = own.store.path
    assert str(caught.value) == f"{path} stored no spans for 0.5 s: {path}: {message} The spans stay queued."
    own.flush()
    assert numbers(own.store) == [1]


def test_the_connection_is_closed_before_a_fork(made):
    own = made()
    own.put(row(1))
    own.flush()
    assert own.before_fork()
    assert own._delivery.appender.connection is None
    own.after_fork_in_parent()
    own.put(row(2))
    own.flush()
    assert numbers(own.store) == [1, 2]
