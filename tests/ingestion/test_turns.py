"""Ingests into one database merge their spans one after the other."""

import json
import threading
import time
from pathlib import Path
from tempfile import gettempdir

import pytest

from tokenvis import Store, ingest
from tokenvis.ingestion.turns import turn


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


def locks():
    return list(Path(gettempdir()).glob("*.lock"))


def in_threads(*calls):
    threads = [threading.Thread(target=call) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_turns_of_one_database_do_not_overlap_and_leave_no_file():
    events = []

    def take(name):
        for _ in range(20):
            with turn("x.db"):
                events.append(name)
                time.sleep(0.001)
                events.append(name)

    in_threads(*(lambda name=name: take(name) for name in "abc"))
    assert len(events) == 120
    assert events[::2] == events[1::2]
    assert not locks()


def test_another_database_does_not_wait():
    with turn("x.db"), turn("y.db"):
        assert len(locks()) == 2


def test_a_turn_ends_with_an_error():
    for _ in range(2):
        with pytest.raises(ZeroDivisionError), turn("x.db"):
            raise ZeroDivisionError
    assert not locks()


@pytest.mark.parametrize("attempt", range(5))
def test_ingests_side_by_side_replace_no_ended_span_by_its_snapshot(tmp_path, attempt):
    for name, end in (("open", {}), ("ended", {"endTimeUnixNano": 5000})):
        spans = [
            {"traceId": "aa" * 16, "spanId": f"{span:016x}", "name": "work", "startTimeUnixNano": 1000, **end}
            for span in range(1, 200)
        ]
        (tmp_path / f"{name}.json").write_text(json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}))
    store = Store(tmp_path / "side-by-side.db")
    in_threads(*(lambda name=name: ingest(tmp_path / name, store=store) for name in ("open.json", "ended.json")))
    with store.engine.connect() as connection:
        assert set(connection.exec_driver_sql("SELECT end_time FROM spans").scalars()) == {5}
