"""The writer: what was put is in the store soon, in its order, whatever the store, signals and other threads do meanwhile."""

import gc
import logging
import signal
import threading
import time
from contextlib import suppress
from pathlib import Path
from weakref import ref

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recordings import WITHIN, interrupted, locked, numbers, wait_until

from tokenvis import BadOption, StoreError, load_spans, load_traces
from tokenvis.record import delivery, overflow, writer
from tokenvis.record import lifecycle as endings
from tokenvis.record import queue as waiting
from tokenvis.record.delivery import Delivery
from tokenvis.record.writer import Writer


def row(number: int, end: int | None = None, data: str | None = None) -> tuple:
    return f"t/{number}", "t", "ann", "desk", number, number if end is None else end, data


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "tokenvis-writer"]


@pytest.fixture
def made(tmp_path):
    """A maker of writers, all closed afterwards, with no thread left."""
    writers = []

    def make(**options) -> Writer:
        writers.append(Writer(tmp_path / "t.db", **options))
        return writers[-1]

    yield make
    for one in writers:
        one.close()
    wait_until(lambda: not threads())


@pytest.fixture
def failing(monkeypatch):
    """Has all deliveries fail while it holds an error."""
    errors: list[Exception] = []
    deliver = Delivery.deliver

    def deliver_or_fail(self, rows):
        if errors:
            raise errors[0]
        return deliver(self, rows)

    monkeypatch.setattr(Delivery, "deliver", deliver_or_fail)
    return errors


@pytest.mark.parametrize("most", [0, -1, 2.5, "many", None])
def test_a_bound_that_is_none_is_refused(most):
    with pytest.raises(BadOption) as caught:
        Writer(max_spans=most)
    assert str(caught.value) == f"max_spans={most!r} is not a number of spans: a whole number from 1 on."
    with pytest.raises(BadOption) as caught:
        Writer(max_seconds=most if most != 2.5 else float("nan"))
    shown = "nan" if most == 2.5 else repr(most)
    assert str(caught.value) == f"max_seconds={shown} is not a time: a number of seconds above 0."


def test_rows_are_stored_by_themselves(made):
    own = made(max_seconds=0.01)
    own.put(row(1))
    wait_until(lambda: numbers(own.store) == [1])
    own.put(row(2))
    wait_until(lambda: numbers(own.store) == [1, 2])


def test_a_flush_stores_all_before_it(made):
    own = made(max_seconds=3_000)
    for number in range(700):
        own.put(row(number))
    own.flush()
    assert numbers(own.store) == [*range(700)]
    own.flush()


@pytest.mark.parametrize("n_taken", [0, 4])
def test_no_more_are_accepted_than_the_bound(n_taken, made, monkeypatch):
    """And one that is held up; with the store at a standstill, the count is exact, however many it was given before."""
    go, deliver, accepted = threading.Event(), Delivery.deliver, []

    def deliver_later(self, rows):
        assert go.wait(WITHIN)
        return deliver(self, rows)

    def work():
        for number in range(100):
            own.put(row(number))
            accepted.append(number)
            if number + 1 == n_taken:
                wait_until(lambda: len(own._waiting.taken) == n_taken)

    monkeypatch.setattr(Delivery, "deliver", deliver_later)
    monkeypatch.setattr(writer, "HELD_UP", WITHIN)
    own = made(max_spans=10, max_seconds=0.5 if n_taken else 3_000)
    thread = threading.Thread(target=work)
    thread.start()
    wait_until(lambda: len(own._waiting.rows()) == 11)
    assert len(accepted) == 10
    go.set()
    thread.join(WITHIN)
    own.flush()
    assert numbers(own.store) == [*range(100)]


def test_long_rows_count_by_their_bytes(made, monkeypatch):
    go, deliver, accepted = threading.Event(), Delivery.deliver, []

    def deliver_later(self, rows):
        assert go.wait(WITHIN)
        return deliver(self, rows)

    def work():
        for number in range(9):
            own.put(row(number, data='{"text":"' + "x" * 100_000 + '"}'))
            accepted.append(number)

    monkeypatch.setattr(Delivery, "deliver", deliver_later)
    monkeypatch.setattr(waiting, "MOST_IN_MEMORY", 500_000)
    monkeypatch.setattr(writer, "HELD_UP", WITHIN)
    own = made()
    thread = threading.Thread(target=work)
    thread.start()
    wait_until(lambda: len(own._waiting.rows()) == 5)
    assert len(accepted) == 4
    go.set()
    thread.join(WITHIN)
    own.flush()
    assert numbers(own.store) == [*range(9)]


def test_one_at_a_time(made):
    own = made(max_spans=1)
    for number in range(30):
        own.put(row(number))
        assert len(own._waiting.rows()) <= 1
    own.close()
    assert numbers(own.store) == [*range(30)]


def test_a_program_is_held_up_once_and_then_rows_wait_in_a_file(made, failing, monkeypatch, caplog, tmp_path):
    monkeypatch.setattr(writer, "HELD_UP", 0.05)
    monkeypatch.setattr(writer, "RETRY", 0.05)
    own = made(max_spans=8)
    own.put(row(0))
    own.flush()
    failing.append(StoreError("It is full."))
    held = []
    room = own._waiting.has_room_within
    monkeypatch.setattr(own._waiting, "has_room_within", lambda *given: held.append(room(*given)) or held[-1])
    assert own._waiting.stored_at > 0
    for number in range(1, 500):
        own.put(row(number))
    assert held == [False]
    wait_until(lambda: list(tmp_path.glob("*.waiting.jsonl")))
    with pytest.raises(StoreError) as caught:
        own.flush(0.05)
    assert str(caught.value) == f"{own.store.path} took no spans for 0.05 s: It is full. They wait to be stored."
    own.settle()  # does not wait
    failing.clear()
    own.flush()
    assert numbers(own.store) == [*range(500)]
    assert list(tmp_path.glob("*.waiting.jsonl")) == []
    said = [record.getMessage() for record in caplog.records if "wait in" not in record.getMessage()]
    assert said == [
        f"{own.store.path} takes no spans. They wait beside it, and the program goes on. It is full.",
        f"{own.store.path} takes spans again, and has all that waited.",
    ]


def test_what_is_put_while_much_is_stored_that_waited_is_not_lost(made, failing, monkeypatch):
    """The file is longer than what memory holds, and new rows come as it is being stored."""
    monkeypatch.setattr(writer, "HELD_UP", 0.01)
    monkeypatch.setattr(writer, "RETRY", 0.01)
    for module in (writer, overflow):
        monkeypatch.setattr(module, "MOST_IN_MEMORY", 100_000)
    monkeypatch.setattr(overflow, "CHUNK", 16)
    own = made(max_spans=8)
    failing.append(StoreError("full"))
    for number in range(2_000):
        own.put(row(number))
        if number % 100 == 0:
            wait_until(lambda: own._n_held < 50_000)
    failing.clear()
    for number in range(2_000, 4_000):
        own.put(row(number))
        if number % 50 == 0:
            wait_until(lambda: own._n_held < 50_000)
    own.flush()
    assert numbers(own.store) == [*range(4_000)]


def test_what_is_beyond_all_bounds_is_counted(made, failing, monkeypatch):
    monkeypatch.setattr(writer, "RETRY", 0.05)
    monkeypatch.setattr(writer, "HELD_UP", 0.01)
    for module in (writer, overflow):
        monkeypatch.setattr(module, "MOST_IN_MEMORY", 20_000)
    monkeypatch.setattr(overflow.Spill, "made", lambda path: None)
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
def test_an_error_that_nobody_thought_of_takes_nothing(error, made, failing, caplog):
    own = made(max_seconds=0.01)
    failing.append(error)
    own.put(row(1))
    wait_until(lambda: caplog.records)
    assert caplog.records[0].getMessage() == "Spans could not be stored."
    failing.clear()
    own.flush()
    assert numbers(own.store) == [1]


def test_an_error_in_the_pulse_takes_nothing(made, caplog):
    def pulse():
        raise ValueError("odd")

    own = made(pulse=pulse)
    own.put(row(1))
    own.flush()
    assert numbers(own.store) == [1]
    assert caplog.records[0].getMessage() == "The spans that are open could not be looked at."


def test_spans_that_are_open_are_stored_again_and_again(made):
    n_pulses = 0

    def pulse():
        nonlocal n_pulses
        n_pulses += 1
        return [row(1, end=n_pulses)] if n_pulses < 5 else []

    own = made(pulse=pulse, max_seconds=0.002)
    own.put(row(1))
    wait_until(lambda: n_pulses >= 5)
    own.flush()
    assert load_spans(store=own.store)["end_time"].tolist() == [4]


def test_many_that_are_open_hold_nobody_up(made, failing, monkeypatch):
    """They are no rows that wait: a batch that failed is not the longer for them."""
    own = made(pulse=lambda: [row(number) for number in range(1_000, 1_050)], max_spans=10, max_seconds=0.01)
    failing.append(StoreError("full"))
    own.put(row(1))
    wait_until(lambda: own._error)
    assert len(own._waiting.rows()) <= 1
    own.put(row(2))
    assert not own._stuck
    failing.clear()


STEPS = st.lists(
    st.one_of(st.tuples(st.just("put"), st.integers(0, 5)), st.tuples(st.sampled_from(["flush", "close", "fail", "work"]))),
    max_size=40,
)


@given(STEPS, st.sampled_from([1, 3, 512]))
def test_the_last_row_of_each_id_is_what_is_there_in_the_end(tmp_path_factory, steps, most):
    """Whatever fails in between, and whenever it is closed."""
    path, model, errors = tmp_path_factory.mktemp("law") / "t.db", {}, []
    deliver = Delivery.deliver

    def deliver_or_fail(self, rows):
        if errors:
            raise StoreError("full")
        return deliver(self, rows)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Delivery, "deliver", deliver_or_fail)
        for name, value in {"HELD_UP": 0.002, "LAST_TRY": 0.002, "BRIEFLY": 0.001, "RETRY": 0.001}.items():
            patch.setattr(writer, name, value)
        own = Writer(path, max_spans=most, max_seconds=0.002)
        for number, (what, *given) in enumerate(steps):
            if what == "put":
                model[given[0]] = number + 10
                own.put(row(given[0], end=number + 10))
            elif what == "flush":
                with suppress(StoreError):
                    own.flush(0.02)
            elif what == "close":
                own.close()
            else:
                errors[:] = [1] if what == "fail" else []
        errors.clear()
        patch.setattr(writer, "LAST_TRY", WITHIN)
        own.put(row(6))
        own.flush()
        wait_until(lambda: not own._has_more)
        own.close()
    stored = load_spans(store=path)
    assert dict(zip(stored["start_time"], stored["end_time"], strict=True)) == model | {6: 6}
    assert [one.name for one in path.parent.iterdir()] == ["t.db"]


def n_open_files() -> int:
    """How many files this process has open, where the system tells that."""
    there = Path("/proc/self/fd")
    return len(list(there.iterdir())) if there.is_dir() else 0


def test_closing_lets_go_of_the_file_and_what_is_put_later_starts_anew(made, tmp_path):
    own = made()
    before = n_open_files()
    for number in range(20):
        own.put(row(number))
        own.close()
        assert not threads()
        assert [one.name for one in tmp_path.iterdir()] == ["t.db"]
    assert numbers(own.store) == [*range(20)]
    own.close()
    assert n_open_files() == before


def test_closing_stores_a_trace_that_has_no_spans(made):
    own = made()
    own.name_trace("t", "Trace")
    own.close()
    assert load_traces(store=own.store)["name"].tolist() == ["Trace"]


def test_a_writer_that_nobody_used_needs_no_thread_to_close(made):
    made().close()
    assert not threads()


def test_closing_while_others_record_waits_for_what_was_put_before(made):
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


def test_a_writer_that_is_forgotten_stores_all_and_ends(made):
    own = Writer("t.db", max_seconds=3_000)
    own.put(row(1))
    own.retire()
    weakly, store = ref(own), own.store
    del own
    wait_until(lambda: not threads())
    gc.collect()
    assert weakly() is None
    assert numbers(store) == [1]


def test_its_own_log_may_be_recorded_by_itself(made, failing, monkeypatch):
    """By a handler that stores each record at once, in the thread itself too."""
    monkeypatch.setattr(writer, "RETRY", 0.05)
    monkeypatch.setattr(writer, "HELD_UP", 0.05)
    own, said = made(max_spans=4), []

    class Recording(logging.Handler):
        def emit(self, record):
            said.append(record.getMessage())
            own.put(row(100 + len(said)))
            own.flush(WITHIN if not own._stuck else 0.01)
            own.settle()

        def handleError(self, record):  # noqa: N802
            pass

        def handle(self, record):
            with suppress(StoreError):
                super().handle(record)

    handler = Recording()
    logging.getLogger("tokenvis").addHandler(handler)
    try:
        own.put(("t/w", "t", "ann", "desk", 9, 3, None))  # which is refused, and that is logged by the thread
        own.flush()
        failing.append(StoreError("full"))
        for number in range(20):
            own.put(row(number))
        failing.clear()
        own.flush()
    finally:
        logging.getLogger("tokenvis").removeHandler(handler)
    own.close()
    assert {*range(20), *range(101, 101 + len(said))} <= set(numbers(own.store))
    assert len(said) >= 3


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="signals of POSIX")
@pytest.mark.parametrize("most", [512, 4])
def test_signals_may_come_in_between_anything(made, most):
    """Each millisecond, and the handler records too, and flushes now and then."""
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


def test_an_interrupt_as_the_thread_starts_takes_nothing(made, monkeypatch):
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


def test_where_no_thread_can_start_each_row_is_stored_at_once(made, monkeypatch):
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
    """The interpreter ends."""
    monkeypatch.setattr(endings.process, "is_ending", True)


def test_at_the_end_each_row_is_stored_at_once(made, at_the_end):
    own = made()
    for number in range(3):
        own.put(row(number))
        assert numbers(own.store) == [*range(number + 1)]
        assert not threads()


@pytest.mark.skipif(overflow.fcntl is None, reason="locks of POSIX")
def test_at_the_end_a_store_that_takes_nothing_takes_its_time_once(made, failing, at_the_end, monkeypatch):
    tries = []
    monkeypatch.setattr(writer, "LAST_TRY", 0.05)
    monkeypatch.setattr(writer, "RETRY", WITHIN)
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


@pytest.mark.skipif(overflow.fcntl is None, reason="locks of POSIX")
def test_at_the_end_a_thread_that_never_comes_back_leaves_nothing_unsaid(made, monkeypatch, caplog):
    go, own, begun = threading.Event(), made(), threading.Event()
    deliver = Delivery.deliver

    def hang(self, rows):
        begun.set()
        assert go.wait(WITHIN)
        return deliver(self, rows)

    monkeypatch.setattr(Delivery, "deliver", hang)
    monkeypatch.setattr(writer, "LAST_TRY", 0.02)
    own.put(row(1))
    monkeypatch.setattr(endings.process, "is_ending", True)
    own.put(row(2))
    own.close()
    assert caplog.records[0].getMessage() == f"{own.store.path} does not answer, and is to get 2 spans."
    assert "holds 2 spans for it" in caplog.records[-1].getMessage()
    monkeypatch.setattr(Delivery, "deliver", deliver)
    monkeypatch.setattr(endings.process, "is_ending", False)
    other = made()
    other.put(row(3))
    other.close()
    assert numbers(own.store) == [1, 2, 3]
    go.set()


def test_a_store_that_is_slow_but_takes_what_it_can_is_waited_for(made, monkeypatch):
    """By those who are held up, by a flush, and by a close: none of them gives up, and nothing goes beside the store."""
    monkeypatch.setattr(writer, "HELD_UP", 0.1)
    monkeypatch.setattr(writer, "LAST_TRY", 0.1)
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
    assert not own._stuck
    own._delivery.overflow.take([row(number) for number in range(16, 22)])
    monkeypatch.setattr(overflow, "CHUNK", 1)
    monkeypatch.setattr(delivery, "AT_A_TIME", 1)
    own.close()
    assert numbers(own.store) == [*range(22)]


def test_a_database_that_is_locked_is_named_by_a_flush(made):
    own = made()
    with locked(own.store.path):
        own.put(row(1))
        with pytest.raises(StoreError) as caught:
            own.flush(0.5)
    said = "database is locked. Another program is writing to it. Close that one, or try again."
    path = own.store.path
    assert str(caught.value) == f"{path} took no spans for 0.5 s: {path}: {said} They wait to be stored."
    own.flush()
    assert numbers(own.store) == [1]


def test_a_fork_closes_the_connection_before_it(made):
    own = made()
    own.put(row(1))
    own.flush()
    assert own.before_fork()
    assert own._delivery.appender.connection is None
    own.after_fork()
    own.put(row(2))
    own.flush()
    assert numbers(own.store) == [1, 2]
