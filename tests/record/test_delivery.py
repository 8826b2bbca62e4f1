"""Rows are stored, or go to the overflow; the store records how many were lost."""

import json
import os
import threading
from contextlib import closing
from pathlib import Path

import pytest
from recordings import locked, numbers

from tokenvis import Store, StoreError, load_spans, load_traces
from tokenvis.record import delivery as delivery_module
from tokenvis.record import overflow
from tokenvis.record.delivery import Delivery, save_to_overflow_file

posix = pytest.mark.skipif(os.name != "posix", reason="locks of POSIX")
LOCKED = "database is locked. Another program is writing to it. Close that program, or try again."


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


def test_names_are_stored_with_the_rows_and_a_newer_name_is_never_lost(store, delivery, monkeypatch):
    delivery.name_trace("t", "first")
    delivery.name_trace("t", None)  # keeps the name
    with locked(store.path), pytest.raises(StoreError, match="locked"):
        delivery.deliver(rows(1))
    assert delivery.trace_names == {"t": "first"}
    append = delivery.appender.append

    def append_meanwhile(*given):
        delivery.name_trace("t", "newer")
        return append(*given)

    monkeypatch.setattr(delivery.appender, "append", append_meanwhile)
    assert delivery.deliver(rows(1))
    monkeypatch.undo()
    assert delivery.deliver([])
    assert load_traces(store=store)["name"].tolist() == ["newer"]
    assert delivery.trace_names == {}


def test_the_backlog_is_stored_in_chunks_and_in_order(store, delivery, monkeypatch):
    monkeypatch.setattr(overflow, "MAX_OVERFLOW_CHUNK_ROWS", 2)
    monkeypatch.setattr(delivery_module, "CHUNKS_PER_DELIVERY", 2)
    delivery.overflow.add(rows(*range(10)))
    path = delivery.overflow.file.path
    steps = []
    while not delivery.deliver([]):
        steps.append(numbers(store))
    assert steps == [[*range(4)], [*range(8)]]
    assert numbers(store) == [*range(10)]
    assert not path.exists()


def test_rows_after_a_failure_stay_in_the_backlog(store, delivery, monkeypatch):
    monkeypatch.setattr(overflow, "MAX_OVERFLOW_CHUNK_ROWS", 2)
    delivery.overflow.add(rows(*range(6)))
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


def test_lost_rows_are_recorded_as_a_span_in_each_trace(store, delivery, caplog):
    for number in (5, 3, 9):
        delivery.count_lost(row(number))
    delivery.count_lost(row(7, "u"))
    with locked(store.path), pytest.raises(StoreError):
        delivery.deliver(rows(1))
    delivery.count_lost(row(2, "u"))
    assert delivery.deliver(rows(1))
    spans = load_spans(store=store)
    lost = spans[spans["location_id"] == "tokenvis.lost"].set_index("trace_id")
    assert {trace: (lost["start_time"][trace], lost["end_time"][trace]) for trace in "tu"} == {"t": (3, 10), "u": (2, 8)}
    assert json.loads(lost["data"]["t"]) == {"label": "3 spans lost", "kind": "tokenvis.lost", "status": "error", "n_lost": 3}
    assert lost["agent_id"].tolist() == ["tokenvis"] * 2
    assert [record.getMessage() for record in caplog.records] == [
        f"{store.path}: 5 spans lost while recording. Spans of kind 'tokenvis.lost' show where."
    ]
    assert delivery.deliver([])
    assert len(load_spans(store=store)) == 3, "it is recorded once"


def test_the_span_of_lost_rows_keeps_its_id_when_it_is_stored_again(store, delivery, monkeypatch):
    """If it is unknown whether the first attempt was stored, the span must not be in the store twice."""
    append = delivery.appender.append

    def append_and_fail(given, names):
        append(given, names)
        if given[0][3] == "tokenvis.lost":
            raise StoreError("unknown")
        return []

    delivery.count_lost(row(1))
    monkeypatch.setattr(delivery.appender, "append", append_and_fail)
    with pytest.raises(StoreError, match="unknown"):
        delivery.deliver(rows(1))
    monkeypatch.undo()
    assert delivery.deliver([])
    assert (load_spans(store=store)["location_id"] == "tokenvis.lost").sum() == 1


def test_a_row_that_the_store_refuses_is_recorded_as_lost(store, delivery):
    assert delivery.deliver([row(1), ("t/w", "t", "ann", "desk", 9, 3, None), ("t/x", "t", "ann", "desk", 0, 2**70, None)])
    spans = load_spans(store=store).set_index("location_id")
    assert sorted(spans.index) == ["desk", "tokenvis.lost"]
    lost = spans.loc["tokenvis.lost"]
    assert (json.loads(lost["data"])["n_lost"], lost["start_time"], lost["end_time"]) == (2, 0, 2**63 - 1)


def test_closing_leaves_the_backlog_in_a_file_and_logs_its_path(store, delivery, tmp_path, caplog):
    assert delivery.deliver(rows(1))
    delivery.overflow.add(rows(2, 3))
    delivery.count_lost(row(4))
    delivery.close()
    [path] = tmp_path.glob("*.waiting.jsonl")
    assert [record.getMessage() for record in caplog.records][1:] == [
        f"Neither {store.path} nor an overflow file could be written: 1 span lost.",
        f"{store.path} could not be written. {path} contains 3 spans. "
        "The next recording, or `tokenvis ingest`, stores that file.",
    ]
    delivery.reopen_file()
    assert delivery.overflow
    assert delivery.overflow.file.n_rows == 3
    assert delivery.deliver([]), "it stores its own file"
    assert not path.exists()
    assert sorted(load_spans(store=store)["location_id"]) == ["desk", "desk", "desk", "tokenvis.lost"]


def test_closing_without_a_file_remembers_the_loss_counts(store, delivery, monkeypatch, caplog):
    monkeypatch.setattr(overflow.OverflowFile, "create", lambda path: None)
    delivery.overflow.add(rows(1, 2))
    delivery.close()
    assert caplog.records[-1].getMessage() == f"Neither {store.path} nor an overflow file could be written: 2 spans lost."
    assert delivery.deliver([])
    assert json.loads(load_spans(store=store)["data"].item())["n_lost"] == 2


@posix
def test_abandoned_files_are_stored_after_new_rows(store, monkeypatch, tmp_path):
    monkeypatch.setattr(overflow, "MAX_OVERFLOW_CHUNK_ROWS", 2)
    monkeypatch.setattr(delivery_module, "CHUNKS_PER_DELIVERY", 2)
    save_to_overflow_file(store, rows(*range(5)))
    save_to_overflow_file(store, rows(*range(5, 8)))
    with closing(Delivery(store)) as delivery:
        assert delivery.deliver(rows(9)), "new rows do not wait for abandoned files"
        assert (delivery.is_recovered, len(numbers(store))) in ((False, 5), (False, 4))  # two chunks of either file
        while not delivery.is_recovered:
            assert delivery.deliver([])
    assert numbers(store) == [*range(8), 9]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["t.db", "temporary"]


@posix
def test_abandoned_files_stay_if_the_recording_ends_too_early(store, monkeypatch, tmp_path):
    monkeypatch.setattr(overflow, "MAX_OVERFLOW_CHUNK_ROWS", 2)
    monkeypatch.setattr(delivery_module, "CHUNKS_PER_DELIVERY", 1)
    save_to_overflow_file(store, rows(*range(5)))
    with closing(Delivery(store)) as delivery:
        assert delivery.deliver(rows(9))
    assert numbers(store) == [0, 1, 9]
    assert len(list(tmp_path.glob("*.waiting.jsonl"))) == 1
    with closing(Delivery(store)) as delivery:
        while not delivery.is_recovered:
            assert delivery.deliver([])
    assert numbers(store) == [*range(5), 9]


@posix
def test_a_recording_does_not_claim_the_file_of_a_running_one(store, delivery):
    delivery.overflow.add(rows(1))
    with closing(Delivery(store)) as other:
        assert other.deliver(rows(2))
        assert other.is_recovered
    assert numbers(store) == [2]
    assert delivery.deliver([])
    assert numbers(store) == [1, 2]


def test_a_pause_closes_the_connection_and_blocks_the_thread(store, delivery):
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
    delivery.resume()  # after an interrupt, it is called again
    thread.join(30)
    assert not thread.is_alive()


def test_a_child_leaves_the_backlog_to_its_parent(store, delivery, monkeypatch):
    delivery.overflow.add(rows(1))
    path, descriptor = delivery.overflow.file.path, delivery.overflow.file.descriptor
    delivery.detach()
    assert not delivery.overflow
    assert path.exists()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)
    path.unlink()
