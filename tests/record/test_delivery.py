"""Rows are brought into the store, or wait beside it, and what is lost is said in the store."""

import json
import os
import threading
from contextlib import closing
from pathlib import Path

import pytest
from recordings import locked, numbers

from tokenvis import Store, StoreError, load_spans, load_traces
from tokenvis.record import delivery as room
from tokenvis.record import overflow
from tokenvis.record.delivery import Delivery, leave

posix = pytest.mark.skipif(overflow.fcntl is None, reason="locks of POSIX")
LOCKED = "database is locked. Another program is writing to it. Close that one, or try again."


def row(number: int, trace: str = "t") -> tuple:
    return f"{trace}/{number}", trace, "ann", "desk", number, number + 1, None


def rows(*numbers: int) -> list[tuple]:
    return [row(number) for number in numbers]


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch) -> Path:
    """The folder for temporary files."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(overflow.tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def store() -> Store:
    return Store("t.db", create=True)


@pytest.fixture
def delivery(store):
    made = Delivery(store)
    yield made
    made.close()


def test_names_are_stored_with_the_rows_and_a_newer_one_is_never_forgotten(store, delivery, monkeypatch):
    delivery.name_trace("t", "first")
    delivery.name_trace("t", None)  # takes no name away
    with locked(store.path), pytest.raises(StoreError, match="locked"):
        delivery.deliver(rows(1))
    assert delivery.names == {"t": "first"}
    append = delivery.appender.append

    def append_meanwhile(*given):
        delivery.name_trace("t", "newer")
        return append(*given)

    monkeypatch.setattr(delivery.appender, "append", append_meanwhile)
    assert delivery.deliver(rows(1))
    monkeypatch.undo()
    assert delivery.deliver([])
    assert load_traces(store=store)["name"].tolist() == ["newer"]
    assert delivery.names == {}


def test_what_waited_is_stored_some_at_a_time_in_its_order(store, delivery, monkeypatch):
    monkeypatch.setattr(overflow, "CHUNK", 2)
    monkeypatch.setattr(room, "AT_A_TIME", 2)
    delivery.overflow.take(rows(*range(10)))
    path = delivery.overflow.file.path
    steps = []
    while not delivery.deliver([]):
        steps.append(numbers(store))
    assert steps == [[*range(4)], [*range(8)]]
    assert numbers(store) == [*range(10)]
    assert not path.exists()


def test_what_the_store_takes_no_more_in_the_midst_stays(store, delivery, monkeypatch):
    monkeypatch.setattr(overflow, "CHUNK", 2)
    delivery.overflow.take(rows(*range(6)))
    append = delivery.appender.append
    n_calls = iter(range(9))

    def append_at_first(*given):
        if next(n_calls) > 0:
            raise StoreError("full")
        return append(*given)

    monkeypatch.setattr(delivery.appender, "append", append_at_first)
    with pytest.raises(StoreError, match="full"):
        delivery.deliver([])
    assert numbers(store) == [0, 1]
    monkeypatch.undo()
    assert delivery.deliver([])
    assert numbers(store) == [*range(6)]


def test_what_is_lost_is_stored_as_a_span_of_each_trace(store, delivery, caplog):
    for number in (5, 3, 9):
        delivery.lose(row(number))
    delivery.lose(row(7, "u"))
    with locked(store.path), pytest.raises(StoreError):
        delivery.deliver(rows(1))
    delivery.lose(row(2, "u"))
    assert delivery.deliver(rows(1))
    spans = load_spans(store=store)
    lost = spans[spans["location_id"] == "tokenvis.lost"].set_index("trace_id")
    assert {trace: (lost["start_time"][trace], lost["end_time"][trace]) for trace in "tu"} == {"t": (3, 10), "u": (2, 8)}
    assert json.loads(lost["data"]["t"]) == {"label": "3 spans lost", "kind": "tokenvis.lost", "status": "error", "n_lost": 3}
    assert lost["agent_id"].tolist() == ["tokenvis"] * 2
    assert [record.getMessage() for record in caplog.records] == [
        f"{store.path}: 5 spans lost in recording. Spans of the kind 'tokenvis.lost' say where."
    ]
    assert delivery.deliver([])
    assert len(load_spans(store=store)) == 3, "it is said once"


def test_a_word_on_what_was_lost_is_put_again_as_the_same_span(store, delivery, monkeypatch):
    """Where nobody knows whether it was stored, it must not be there twice."""
    append = delivery.appender.append

    def append_and_fail(given, names):
        append(given, names)
        if given[0][3] == "tokenvis.lost":
            raise StoreError("nobody knows")
        return []

    delivery.lose(row(1))
    monkeypatch.setattr(delivery.appender, "append", append_and_fail)
    with pytest.raises(StoreError, match="nobody knows"):
        delivery.deliver(rows(1))
    monkeypatch.undo()
    assert delivery.deliver([])
    assert (load_spans(store=store)["location_id"] == "tokenvis.lost").sum() == 1


def test_a_row_that_the_store_refuses_is_lost_and_said_to_be(store, delivery):
    assert delivery.deliver([row(1), ("t/w", "t", "ann", "desk", 9, 3, None), ("t/x", "t", "ann", "desk", 0, 2**70, None)])
    spans = load_spans(store=store).set_index("location_id")
    assert sorted(spans.index) == ["desk", "tokenvis.lost"]
    lost = spans.loc["tokenvis.lost"]
    assert (json.loads(lost["data"])["n_lost"], lost["start_time"], lost["end_time"]) == (2, 0, 2**63 - 1)


def test_closing_leaves_what_waits_in_a_file_and_says_where(store, delivery, tmp_path, caplog):
    assert delivery.deliver(rows(1))
    delivery.overflow.take(rows(2, 3))
    delivery.lose(row(4))
    delivery.close()
    [path] = tmp_path.glob("*.waiting.jsonl")
    assert [record.getMessage() for record in caplog.records][1:] == [
        f"{store.path} took nothing, nor did a file: 1 span lost.",
        f"{store.path} took nothing. {path} holds 3 spans for it: the next recording takes that in, or `tokenvis ingest`.",
    ]
    delivery.take_up()
    assert delivery.overflow
    assert delivery.overflow.file.n_rows == 3
    assert delivery.deliver([]), "it takes its own file in again"
    assert not path.exists()
    assert sorted(load_spans(store=store)["location_id"]) == ["desk", "desk", "desk", "tokenvis.lost"]


def test_closing_without_a_file_remembers_what_was_lost(store, delivery, monkeypatch, caplog):
    monkeypatch.setattr(overflow.Spill, "made", lambda path: None)
    delivery.overflow.take(rows(1, 2))
    delivery.close()
    assert caplog.records[-1].getMessage() == f"{store.path} took nothing, nor did a file: 2 spans lost."
    assert delivery.deliver([])
    assert json.loads(load_spans(store=store)["data"].item())["n_lost"] == 2


@posix
def test_what_others_left_is_taken_in_after_what_is_new(store, monkeypatch, tmp_path):
    monkeypatch.setattr(overflow, "CHUNK", 2)
    monkeypatch.setattr(room, "AT_A_TIME", 2)
    leave(store, rows(*range(5)))
    leave(store, rows(*range(5, 8)))
    with closing(Delivery(store)) as delivery:
        assert delivery.deliver(rows(9)), "what is new is stored, whatever others left"
        assert (delivery.has_looked, len(numbers(store))) in ((False, 5), (False, 4))  # two chunks of whichever file
        while not delivery.has_looked:
            assert delivery.deliver([])
    assert numbers(store) == [*range(8), 9]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["t.db", "temporary"]


@posix
def test_what_others_left_and_nobody_has_time_for_stays(store, monkeypatch, tmp_path):
    monkeypatch.setattr(overflow, "CHUNK", 2)
    monkeypatch.setattr(room, "AT_A_TIME", 1)
    leave(store, rows(*range(5)))
    with closing(Delivery(store)) as delivery:
        assert delivery.deliver(rows(9))
    assert numbers(store) == [0, 1, 9]
    assert len(list(tmp_path.glob("*.waiting.jsonl"))) == 1
    with closing(Delivery(store)) as delivery:
        while not delivery.has_looked:
            assert delivery.deliver([])
    assert numbers(store) == [*range(5), 9]


@posix
def test_a_recording_takes_nothing_from_one_that_lives(store, delivery):
    delivery.overflow.take(rows(1))
    with closing(Delivery(store)) as other:
        assert other.deliver(rows(2))
        assert other.has_looked
    assert numbers(store) == [2]
    assert delivery.deliver([])
    assert numbers(store) == [1, 2]


def test_a_pause_closes_the_connection_and_holds_the_thread(store, delivery):
    assert delivery.deliver(rows(1))
    assert delivery.pause(1)
    assert delivery.appender.connection is None
    paused: list[bool] = []
    thread = threading.Thread(target=lambda: paused.append(delivery.pause(0.01)))
    thread.start()
    thread.join(30)
    assert paused == [False], "one thread at a time"
    thread = threading.Thread(target=delivery.close)
    thread.start()
    thread.join(0.05)
    assert thread.is_alive()
    delivery.resume()
    delivery.resume()  # an interrupt may have come in between, and have it done again
    thread.join(30)
    assert not thread.is_alive()


def test_a_child_leaves_all_to_its_parent(store, delivery, monkeypatch):
    delivery.overflow.take(rows(1))
    path, descriptor = delivery.overflow.file.path, delivery.overflow.file.descriptor
    delivery.disown()
    assert not delivery.overflow
    assert path.exists()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)
    path.unlink()
