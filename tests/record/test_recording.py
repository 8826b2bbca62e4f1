"""Recording in complete programs: accepted spans are stored however the program ends, as docs/record.md guarantees."""

import asyncio
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from conftest import full_except
from recordings import locked, wait_until

from tokenvis import Recorder, Store, expand_data, load_spans, load_traces
from tokenvis.record.writer import MAX_SPANS
from tokenvis.store.maintenance import verify

KILLS = int(os.environ.get("TOKENVIS_KILLS", "20"))
posix = pytest.mark.skipif(os.name != "posix", reason="signals and forks of POSIX")

# The number of accepted spans is in a memory-mapped file, so it survives the program.
COUNTED = """
import mmap, os, sys, time, tokenvis as tv
path, counter = sys.argv[1], sys.argv[2]
with open(counter, "r+b") as file:
    accepted = mmap.mmap(file.fileno(), 8)
def count(number):
    accepted[:8] = number.to_bytes(8, "little")
"""


def program(code: str, *arguments: object, **options: object) -> subprocess.Popen:
    """A program in a separate process."""
    return subprocess.Popen([sys.executable, "-W", "error", "-c", code, *map(str, arguments)], **options)


def ended(code: str, *arguments: object, within: float = 30) -> tuple[int, str]:
    """The exit code of a program and its stderr; it must end in time."""
    started = program(code, *arguments, stderr=subprocess.PIPE, text=True)
    stderr = started.communicate(timeout=within)[1]
    return started.returncode, stderr


def counted(counter: Path) -> int:
    return int.from_bytes(counter.read_bytes()[:8], "little")


ENDS = {
    "the end of the code": ("", 0),
    "sys.exit": ("sys.exit(3)", 3),
    "an error": ("raise ValueError('refused')", 1),
    "Ctrl-C": ("import signal; signal.raise_signal(signal.SIGINT)", -signal.SIGINT),
    "an error in a block": ("with recorder.span('ann', 'desk'): raise ValueError('refused')", 1),
    "a thread that goes on": (
        "import threading\ndef late():\n    time.sleep(0.5); [recorder.event('ann', 'late') for _ in range(100)]\n"
        "threading.Thread(target=late).start()",
        0,
    ),
    "spans at the very end": ("import atexit; atexit.register(lambda: recorder.event('ann', 'late'))", 0),
    "a span that is open": ("span = recorder.span('ann', 'open').start()", 0),
    "a recorder that is deleted": ("del recorder", 0),
}
EARLIER = "import atexit; atexit.register(lambda: recorder.event('ann', 'late'))\n"


@posix
@pytest.mark.parametrize("end", full_except(ENDS, "sys.exit"))
@pytest.mark.parametrize("first", ["", pytest.param(EARLIER, marks=pytest.mark.full)], ids=["", "a later exit handler"])
def test_accepted_spans_are_stored_at_any_end_without_close(end, first, tmp_path):
    code, expected = ENDS[end]
    if first and end == "a recorder that is deleted":
        first = ""
    start = f"import sys, time\n{first}import tokenvis as tv\nrecorder = tv.Recorder('t', store=sys.argv[1])\n"
    spans = "for number in range(300): recorder.event('ann', 'desk', number=number)\n"
    exit_code, stderr = ended(start + spans + code, tmp_path / "t.db")
    assert exit_code == expected, stderr
    assert ("ValueError: refused" in stderr) == ("error" in end)
    stored = expand_data(load_spans("t", store=tmp_path / "t.db"), ["number", "status"])
    assert stored["number"].dropna().tolist() == list(range(300))
    late = {"a thread that goes on": 100, "spans at the very end": 1}.get(end, 0) + bool(first)
    assert (stored["location_id"] == "late").sum() == late
    assert (stored["status"] == "open").sum() == (end == "a span that is open")
    assert (stored["status"] == "error").sum() == (end == "an error in a block")
    assert verify(tmp_path / "t.db").findings == []
    assert [path.name for path in tmp_path.iterdir()] == ["t.db"]


def test_all_spans_of_many_threads_are_stored():
    record_in_threads(8, 500)


@pytest.mark.full
def test_all_spans_of_32_threads_are_stored():
    record_in_threads(32, 10_000)


def record_in_threads(n_threads: int, n_spans: int) -> None:
    def work(number: int) -> None:
        for step in range(n_spans):
            with recorder.span(f"agent {number:02}", "desk", step=step):
                pass

    with Recorder("t") as recorder:
        threads = [threading.Thread(target=work, args=[number]) for number in range(n_threads)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    spans = expand_data(load_spans("t"), "step")
    assert "parent_id" not in spans
    for _, own in spans.groupby("agent_id", observed=True):
        assert own["step"].tolist() == list(range(n_spans))
    assert len(spans) == n_threads * n_spans


@pytest.mark.full
def test_parents_follow_a_thousand_interleaved_tasks():
    async def task(number: int) -> None:
        with recorder.span("ann", "outer", number=number):
            await asyncio.sleep(random.random() / 100)
            async with recorder.span("ann", "inner", number=number):
                await asyncio.sleep(random.random() / 100)
                await asyncio.to_thread(recorder.event, "ann", "event", number=number)

    async def everything() -> None:
        await asyncio.gather(*map(task, range(1_000)))

    with Recorder("t") as recorder, recorder.span("ann", "all"):
        asyncio.run(everything())
    spans = expand_data(load_spans("t"), "number").set_index("id")
    assert len(spans) == 3_001
    for place, above in {"outer": "all", "inner": "outer", "event": "inner"}.items():
        own = spans[spans["location_id"] == place]
        parents = spans.loc[own["parent_id"]]
        assert len(own) == 1_000
        assert set(parents["location_id"]) == {above}
        assert above == "all" or (parents["number"].to_numpy() == own["number"].to_numpy()).all()


FORKS = """
import os, sys, tokenvis as tv
recorder = tv.Recorder("t", store=sys.argv[1])
for number in range(400): recorder.event("parent", "before", number=number)
with recorder.span("parent", "around"):
    child = os.fork()
    for number in range(1_000): recorder.event("child" if child == 0 else "parent", "after", number=number)
if child:
    _, status = os.waitpid(child, 0)
    assert status == 0, status
"""


@posix
def test_a_fork_records_in_both_processes_and_nothing_twice(tmp_path):
    assert ended(FORKS, tmp_path / "t.db") == (0, "")
    spans = load_spans("t", store=tmp_path / "t.db")
    counts = spans.groupby(["agent_id", "location_id"], observed=True).size().to_dict()
    assert counts == {("parent", "before"): 400, ("parent", "around"): 1, ("parent", "after"): 1_000, ("child", "after"): 1_000}
    around = spans.loc[spans["location_id"] == "around", "id"].item()
    assert set(spans.loc[spans["location_id"] == "after", "parent_id"]) == {around}
    assert verify(tmp_path / "t.db").findings == []


POOLS = """
import multiprocessing, sys, tokenvis as tv
from concurrent.futures import ProcessPoolExecutor
path, method = sys.argv[1:]
def work(number):
    global recorder
    if "recorder" not in globals():
        recorder = tv.Recorder("t", store=path)
    for step in range(500): recorder.event(f"worker {number}", "desk", step=step)
    return recorder
def run(number): work(number)
if __name__ == "__main__":
    if method == "inherited":
        recorder = tv.Recorder("t", store=path)
        recorder.event("parent", "desk")
        method = "fork"
    with ProcessPoolExecutor(4, mp_context=multiprocessing.get_context(method)) as pool:
        list(pool.map(run, range(8)))
"""


@posix
@pytest.mark.parametrize("method", full_except(["fork", "inherited", "spawn"], "fork"))
def test_pool_workers_store_their_spans(method, tmp_path):
    script = tmp_path / "pools.py"
    script.write_text(POOLS)
    done = subprocess.run(
        [sys.executable, script, tmp_path / "t.db", method], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    counts = load_spans("t", store=tmp_path / "t.db")["agent_id"].value_counts().to_dict()
    assert counts == {f"worker {number}": 500 for number in range(8)} | ({"parent": 1} if method == "inherited" else {})


TERMINATED = """
import multiprocessing, sys, time, tokenvis as tv
recorder = tv.Recorder("t", store=sys.argv[1])
def work(number):
    recorder.span(f"worker {number}", "open").start()
    with recorder.span(f"worker {number}", "desk"): time.sleep(0.01)
if __name__ == "__main__":
    with multiprocessing.get_context(sys.argv[2]).Pool(4) as pool:
        pool.map(work, range(20))
    assert {worker.exitcode for worker in pool._pool} <= {0, -15}
"""


@pytest.mark.full
@posix
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_terminated_pool_workers_store_their_spans(method, tmp_path):
    script = tmp_path / "pools.py"
    script.write_text(TERMINATED)
    command = [sys.executable, script, tmp_path / "t.db", method]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    counts = load_spans("t", store=tmp_path / "t.db").groupby(["location_id", "agent_id"], observed=True).size()
    assert counts.to_dict() == {(place, f"worker {number}"): 1 for place in ("open", "desk") for number in range(20)}


WORKER = """
import multiprocessing, sys, tokenvis as tv
recorder = tv.Recorder("t", store=sys.argv[1])
def work(): recorder.span("worker", "open").start()
multiprocessing.set_start_method("fork")
worker = multiprocessing.Process(target=work)
worker.start()
worker.join()
"""


@pytest.mark.full
@posix
def test_a_worker_with_nothing_but_an_open_span_stores_it(tmp_path):
    assert ended(WORKER, tmp_path / "t.db") == (0, "")
    [data] = load_spans("t", store=tmp_path / "t.db")["data"]
    assert json.loads(data) == {"status": "open"}


BLOCKED = """
import multiprocessing, os, signal, sys, threading, time, tokenvis as tv
def terminate():
    time.sleep(0.3)
    signal.pthread_kill(threading.get_ident(), signal.SIGTERM)  # to this thread, so it does not interrupt the main thread
def wait():
    threading.Thread(target=terminate, daemon=True).start()
    multiprocessing.get_context("fork").Semaphore(0).acquire()
def record():
    global recorder
    recorder = tv.Recorder("t", store=sys.argv[1])
    recorder.span("worker", "open").start()
def main(): record(); wait()
def without(): wait()
def thread():
    maker = threading.Thread(target=record)
    maker.start(); maker.join(); wait()
def forked():
    child = os.fork()
    if child: os._exit(128 + -os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    record(); wait()
if __name__ == "__main__":
    start, work = sys.argv[2:]
    worker = multiprocessing.get_context(start).Process(target=globals()[work])
    worker.start()
    worker.join(20)
    assert worker.exitcode == (128 + signal.SIGTERM if work == "forked" else -signal.SIGTERM), worker.exitcode
"""


@pytest.mark.full
@posix
@pytest.mark.parametrize("work", ["main", "without", "thread", "forked"])
@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_a_worker_that_is_blocked_in_c_code_handles_sigterm(start, work, tmp_path):
    script = tmp_path / "blocked.py"
    script.write_text(BLOCKED)
    command = [sys.executable, script, tmp_path / "t.db", start, work]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert work == "without" or load_spans("t", store=tmp_path / "t.db")["agent_id"].tolist() == ["worker"]


OWN_HANDLERS = """
import multiprocessing, os, pathlib, signal, sys, time, tokenvis as tv
notes = pathlib.Path(sys.argv[1]).with_suffix(".txt")
def note(text): notes.open("a").write(text)
def restoring(*_):
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    time.sleep(0.5)
    note("saved")
    os._exit(0)
def counting(*_): note("counted")
def leaving(*_): raise SystemExit
def work(handler):
    recorder = tv.Recorder("t", store=sys.argv[1])
    signal.signal(signal.SIGTERM, globals()[handler])
    note("ready")
    try: time.sleep(1)
    finally:
        time.sleep(0.5)
        note("cleaned")
if __name__ == "__main__":
    worker = multiprocessing.get_context("fork").Process(target=work, args=sys.argv[2:])
    worker.start()
    while not notes.exists(): time.sleep(0.01)
    worker.terminate()
    worker.join(20)
"""


@posix
@pytest.mark.full
@pytest.mark.parametrize(("handler", "notes"), [("restoring", "saved"), ("counting", "countedcleaned"), ("leaving", "cleaned")])
def test_the_programs_own_handler_is_kept(handler, notes, tmp_path):
    done = subprocess.run([sys.executable, "-c", OWN_HANDLERS, tmp_path / "t.db", handler], timeout=60, check=True)
    assert done.returncode == 0
    assert (tmp_path / "t.txt").read_text() == f"ready{notes}"


MANY = """
import sys, tokenvis as tv
with tv.Recorder("t", name="Many", store=sys.argv[1]) as recorder:
    for number in range(int(sys.argv[3])):
        with recorder.span(sys.argv[2], "desk", number=number): pass
"""


@pytest.mark.full
def test_four_processes_record_into_one_trace(tmp_path):
    path = tmp_path / "t.db"
    programs = [program(MANY, path, f"agent {number}", 50_000) for number in range(4)]
    assert [each.wait(timeout=120) for each in programs] == [0, 0, 0, 0]
    assert load_traces(store=path)["name"].tolist() == ["Many"]
    spans = expand_data(load_spans("t", store=path), "number")
    for number in range(4):
        assert spans.loc[spans["agent_id"] == f"agent {number}", "number"].tolist() == list(range(50_000))
    assert verify(path).findings == []


# Kills

KILLED = (
    COUNTED
    + """
recorder = tv.Recorder("t", store=path, open_spans=sys.argv[4] == "open")
first, pause = int(sys.argv[3]), float(sys.argv[5])
for number in range(first, first + 10**9):
    with recorder.span("ann", "desk", number=number, text="x" * 100): pass
    count(number + 1)
    if pause: time.sleep(pause)
"""
)


@posix
@pytest.mark.full
@pytest.mark.parametrize(("spans", "pause"), [("ended", 0), ("open", 0), ("ended", 0.002)])
def test_kills_at_random_moments_lose_no_more_than_the_limit(spans, pause, tmp_path):
    """All accepted spans but the last ones are stored, complete and once; no span is missing after about a second."""
    path, counter, chance = tmp_path / "t.db", tmp_path / "accepted", random.Random(KILLS)
    counter.write_bytes(bytes(8))
    first, worst = 0, 0
    for _ in range(max(KILLS // 3, 1)):
        recording = program(KILLED, path, counter, first, spans, pause)
        wait_until(lambda start=first: counted(counter) > start)
        time.sleep(chance.random())
        recording.send_signal(signal.SIGKILL)
        recording.wait()
        last = counted(counter)
        stored = expand_data(load_spans("t", store=path), ["number", "status", "text"])
        numbers = stored.loc[stored["number"] >= first, "number"]
        assert numbers.is_unique
        ended_there = stored.loc[(stored["number"] >= first) & stored["status"].isna(), "number"]
        assert ended_there.tolist() == list(range(first, first + len(ended_there))), "a span before the last is missing"
        assert set(stored["text"]) == {"x" * 100}
        lost = last - first - len(ended_there)
        assert lost <= MAX_SPANS
        assert pause == 0 or lost <= 1.5 / pause
        worst, first = max(worst, lost), last + 1
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert verify(path).findings == []


@pytest.mark.full
@posix
def test_a_kill_loses_no_durable_spans(tmp_path):
    path, counter = tmp_path / "t.db", tmp_path / "accepted"
    counter.write_bytes(bytes(8))
    code = KILLED.replace('open_spans=sys.argv[4] == "open"', "durable=True")
    recording = program(code, path, counter, 0, "ended", 0)
    wait_until(lambda: counted(counter) > 50)
    recording.send_signal(signal.SIGKILL)
    recording.wait()
    numbers = expand_data(load_spans("t", store=path), "number")["number"].tolist()
    assert numbers == list(range(len(numbers)))
    assert len(numbers) in (counted(counter), counted(counter) + 1)


# A store that cannot be written

LOCKED = (
    COUNTED
    + """
import logging
logging.basicConfig(level=logging.WARNING)
longest, n_long = 0.0, 0
recorder = tv.Recorder("t", store=path)
recorder.event("ann", "first"); recorder.flush()
count(1)
while not os.path.exists(path + ".go"): time.sleep(0.01)
for number in range(int(sys.argv[3])):
    start = time.perf_counter()
    recorder.event("ann", "desk", number=number)
    took = time.perf_counter() - start
    longest, n_long = max(longest, took), n_long + (took > 0.3)
    count(number + 2)
print(longest, n_long, flush=True)
while os.path.exists(path + ".go"): time.sleep(0.01)
"""
)


@contextmanager
def recording_while_locked(folder: Path, n_spans: int) -> Iterator[tuple[subprocess.Popen, list[float]]]:
    """A program that records ``n_spans`` while its database is locked, with its longest call and the number of long calls."""
    path, counter, go = folder / "t.db", folder / "accepted", folder / "t.db.go"
    counter.write_bytes(bytes(8))
    recording = program(LOCKED, path, counter, n_spans, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_until(lambda: counted(counter) == 1)
    with locked(path):
        go.touch()
        yield recording, list(map(float, recording.stdout.readline().split()))
        go.unlink(missing_ok=True)


def overflow_files(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.name.endswith(".waiting.jsonl")]


@pytest.mark.full
@posix
def test_a_locked_database_blocks_a_program_once(tmp_path):
    """Spans are buffered in a file next to the database; then all are stored."""
    with recording_while_locked(tmp_path, 20_000) as (recording, (longest, n_long)):
        assert len(overflow_files(tmp_path)) == 1
    stderr = recording.communicate(timeout=30)[1]
    assert recording.returncode == 0, stderr
    assert longest < 3
    assert n_long <= 1
    assert "cannot be written" in stderr
    assert "can be written again" in stderr
    numbers = expand_data(load_spans("t", store=tmp_path / "t.db"), "number")["number"].dropna().tolist()
    assert numbers == list(range(20_000))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["accepted", "t.db"]


@posix
@pytest.mark.full
@pytest.mark.parametrize("end", ["ends", "is killed"])
def test_the_next_recording_stores_an_abandoned_file(end, tmp_path):
    path = tmp_path / "t.db"
    with recording_while_locked(tmp_path, 3_000) as (recording, _):
        wait_until(lambda: overflow_files(tmp_path))
        [abandoned] = overflow_files(tmp_path)
        wait_until(lambda: abandoned.read_bytes().count(b"\n") == 3_000)
        if end == "ends":
            (tmp_path / "t.db.go").unlink()
        else:
            recording.kill()
        stderr = recording.communicate(timeout=30)[1]
    if end == "ends":
        assert recording.returncode == 0
        assert f"{abandoned} contains 3,000 spans. The next recording, or `tokenvis ingest`, stores that file." in stderr
    assert len(load_spans("t", store=path)) == 1
    with Recorder("t", store=path) as recorder:
        recorder.event("bob", "desk")
    numbers = expand_data(load_spans("t", store=path), "number")["number"].dropna().tolist()
    assert numbers == list(range(3_000))
    assert not abandoned.exists()


FULL = """
import logging, resource, signal, sys, time, tokenvis as tv
from tokenvis.record import overflow, writer
logging.disable(logging.CRITICAL)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
overflow.MAX_UNSTORED_BYTES = writer.MAX_UNSTORED_BYTES = 400_000
path = sys.argv[1]
longest, n_long = 0.0, 0
with tv.Recorder("t", store=path) as recorder:
    recorder.event("ann", "first"); recorder.flush()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    for number in range(20_000):
        start = time.perf_counter()
        recorder.event("ann", "desk", number=number, text="x" * 200)
        took = time.perf_counter() - start
        longest, n_long = max(longest, took), n_long + (took > 0.3)
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
print(longest, n_long)
"""


@posix
@pytest.mark.full
def test_a_full_disk_loses_spans_beyond_the_limits_and_records_how_many(tmp_path):
    """A limit on file sizes simulates a full disk: neither the database nor an overflow file can grow."""
    path = tmp_path / "t.db"
    done = subprocess.run([sys.executable, "-c", FULL, path], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    longest, n_long = map(float, done.stdout.split())
    assert longest < 3
    assert n_long <= 1
    spans = expand_data(load_spans("t", store=path), ["kind", "n_lost", "number"])
    lost = spans[spans["kind"] == "tokenvis.lost"]
    stored = spans.loc[spans["location_id"] == "desk", "number"]
    assert stored.is_unique
    assert lost["n_lost"].sum() > 10_000
    assert lost["n_lost"].sum() + len(stored) == 20_000
    assert verify(path).findings == []
    assert [path.name for path in tmp_path.iterdir()] == ["t.db"]


def test_a_replaced_database_gets_the_later_spans(tmp_path):
    path = tmp_path / "t.db"
    with Recorder("t", store=path) as recorder:
        recorder.event("ann", "desk")
        recorder.flush()
        Store(tmp_path / "new.db").write_trace("other", [])
        for name in ("t.db-wal", "t.db-shm"):
            (tmp_path / name).unlink(missing_ok=True)
        (tmp_path / "new.db").rename(path)
        recorder.event("bob", "desk")
    assert load_spans(store=path)["agent_id"].tolist() == ["bob"]
    assert sorted(load_traces(store=path)["id"]) == ["other", "t"]


IN_A_KERNEL = """
import os, sys, time, tokenvis as tv
recorder = tv.Recorder("t", store={path!r})
for number in range(300):
    recorder.event("ann", "desk", number=number)
"""
BUSY = """
try:
    with recorder.span("ann", "busy"):
        open({path!r} + ".busy", "w").close()
        time.sleep(60)
finally:
    recorder.event("ann", "after")
"""


@posix
@pytest.mark.full
@pytest.mark.parametrize("is_busy", [False, True], ids=["idle", "busy"])
def test_a_restarted_kernel_loses_nothing(is_busy, tmp_path):
    from jupyter_client.manager import KernelManager

    path = str(tmp_path / "t.db")
    manager = KernelManager(kernel_name="python3")  # of this environment
    manager.start_kernel(stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        client = manager.client()
        client.start_channels()
        client.wait_for_ready(timeout=60)
        client.execute_interactive(IN_A_KERNEL.format(path=path), timeout=60, allow_stdin=False)
        if is_busy:
            client.execute(BUSY.format(path=path))
            wait_until(lambda: Path(f"{path}.busy").exists())
        client.stop_channels()
        manager.restart_kernel(now=False)
        spans = expand_data(load_spans("t", store=path), ["number", "status"])
    finally:
        manager.shutdown_kernel(now=True)
    assert spans["number"].dropna().tolist() == list(range(300))
    assert spans.loc[spans["location_id"] == "busy", "status"].tolist() == ["error"] * is_busy
    assert (spans["location_id"] == "after").sum() == is_busy
