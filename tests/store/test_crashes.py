"""Many processes on one file, and killed processes: every acknowledged write is complete, and no write is partial."""

import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Collection
from contextlib import closing
from pathlib import Path

import pytest

import tokenvis as tv
from tokenvis import Store, load_spans, load_traces
from tokenvis.store import connections
from tokenvis.store.maintenance import verify

SECONDS = float(os.environ.get("TOKENVIS_CONCURRENT_SECONDS", "60"))
KILLS = int(os.environ.get("TOKENVIS_KILLS", "20"))
posix = pytest.mark.skipif(os.name != "posix", reason="kills of POSIX")
pytestmark = [pytest.mark.full, posix]

# Small writes add ten spans to a trace; bulk writes replace the trace of a slot, with a new mark in all its spans.
# Each write is acknowledged by a line after the call returns.
WRITER = """
import sys, time, tokenvis
path, slot, name, seconds = sys.argv[1], sys.argv[2], sys.argv[3], float(sys.argv[4])
store, number, until = tokenvis.Store(path), 0, time.monotonic() + seconds
one = {"agent_id": name, "location_id": "desk", "start_time": 0, "end_time": 5}
while time.monotonic() < until:
    number += 1
    if number % 4:
        store.add_spans(name, [{**one, "id": f"{name}/{number}/{part}"} for part in range(10)])
        print("small", number, flush=True)
    else:
        data = {"by": name, "mark": number, "text": "x" * 100}
        store.write_trace(f"{slot}/bulk", [{**one, "id": f"{slot}/bulk/{part}", "data": data} for part in range(3_000)])
        print("bulk", number, flush=True)
"""
READER = """
import sys, time, tokenvis
path, seconds = sys.argv[1], float(sys.argv[2])
until, count = time.monotonic() + seconds, 0
while time.monotonic() < until:
    spans = tokenvis.load_spans(store=path)
    for trace, rows in spans.groupby("trace_id", observed=True):
        if trace.endswith("/bulk"):
            assert len(rows) == 3_000 and rows["data"].nunique() == 1, f"half of {trace}: {len(rows)}, {rows['data'].nunique()}"
        else:
            assert len(rows) % 10 == 0, f"half of a write: {len(rows)}"
    tokenvis.load_traces(store=path)
    count += 1
print(count)
"""


def started(code: str, *arguments: object) -> subprocess.Popen:
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def acknowledged(output: str) -> dict[str, list[int]]:
    """The numbers of the acknowledged writes of each kind; a truncated last line is ignored."""
    lines = [line.split() for line in output.splitlines(keepends=True) if line.endswith("\n")]
    return {kind: [int(number) for name, number in lines if name == kind] for kind in ("small", "bulk")}


def check(path: Path, acknowledged_writes: dict[tuple[str, str], dict[str, list[int]]], later: Collection[str] = ()) -> None:
    """All acknowledged writes are complete, others complete or missing, and the file is undamaged.

    ``later`` are slots in which other writers have written since.
    """
    spans = load_spans(store=path)
    for (slot, name), writes in acknowledged_writes.items():
        small = spans[spans["trace_id"] == name]["id"].str.split("/").str[1].astype(int).value_counts()
        assert set(writes["small"]) <= set(small.index), "an acknowledged write is lost"
        assert set(small) <= {10}, "a small write is incomplete"
        bulk = tv.expand_data(spans[spans["trace_id"] == f"{slot}/bulk"], ["by", "mark"])
        assert len(bulk) in (0, 3_000)
        assert bulk["mark"].nunique() <= 1, "a bulk write is incomplete"
        if writes["bulk"] and slot not in later:
            assert bulk["by"].iloc[0] == name
            assert bulk["mark"].iloc[0] >= writes["bulk"][-1]
    assert verify(path).findings == []


def test_two_writers_and_four_readers_in_processes():
    store = Store()
    writers = {name: started(WRITER, store.path, name, name, SECONDS) for name in ("ann", "bob")}
    readers = [started(READER, store.path, SECONDS) for _ in range(4)]
    longest = 0
    while any(process.poll() is None for process in writers.values()):
        longest = max(longest, connections.wal_size(store.path))
        time.sleep(0.05)
    said = {name: process.communicate() for name, process in writers.items()}
    assert {name: error for name, (_, error) in said.items()} == {"ann": "", "bob": ""}
    for reader in readers:
        count, error = reader.communicate()
        assert (error, reader.returncode) == ("", 0)
        assert int(count) > 0
    check(store.path, {(name, name): acknowledged(out) for name, (out, _) in said.items()})
    assert longest < 3 * connections.CHECKPOINT_WAL_BYTES
    assert connections.wal_size(store.path) == 0


def test_threads_of_one_process():
    store, failures, until = Store(), [], time.monotonic() + SECONDS / 6

    def guarded(work) -> threading.Thread:
        def run() -> None:
            try:
                number = 0
                while time.monotonic() < until:
                    number += 1
                    work(number)
            except BaseException as error:
                failures.append(error)

        return threading.Thread(target=run)

    def write(name: str):
        one = {"agent_id": name, "location_id": "desk", "start_time": 0, "end_time": 5}
        return lambda number: store.add_spans(name, [{**one, "id": f"{name}/{number}/{part}"} for part in range(10)])

    def read(_: int) -> None:
        counts = load_spans(store=store)["trace_id"].value_counts()
        assert all(count % 10 == 0 for count in counts)
        load_traces(store=store)

    threads = [guarded(write("ann")), guarded(write("bob")), *(guarded(read) for _ in range(4))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(load_spans(store=store)) % 10 == 0
    assert verify(store.path).findings == []


def test_kills_at_random_moments(tmp_path):
    """Writers are killed at any moment while a reader loads; the next writers continue with the same file."""
    store, chance = Store(), random.Random(KILLS)
    told = {}
    for number in range(KILLS):
        outputs = {(slot, f"{slot}{number}"): tmp_path / f"{slot}{number}" for slot in ("a", "b")}
        writers = []
        for (slot, name), output in outputs.items():
            with output.open("w") as file:
                command = [sys.executable, "-c", WRITER, str(store.path), slot, name, "60"]
                writers.append(subprocess.Popen(command, stdout=file, stderr=subprocess.DEVNULL))
        reader = started(READER, store.path, 60)
        until = time.monotonic() + 30
        while not all(output.stat().st_size for output in outputs.values()) and time.monotonic() < until:
            time.sleep(0.01)
        time.sleep(chance.random())
        for process in (*writers, reader):
            process.send_signal(signal.SIGKILL)
        for process in writers:
            process.wait()
        assert "Error" not in reader.communicate()[1]
        now = {writer: acknowledged(output.read_text()) for writer, output in outputs.items()}
        assert all(writes["small"] for writes in now.values()), "the writers were killed before they wrote"
        with closing(sqlite3.connect(store.path)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        check(store.path, now)
        told |= now
    check(store.path, told, later=("a", "b"))
