"""The end of a process, and forks: whoever is known hears of them, whatever the others do."""

import gc
import importlib.util
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import warnings
from multiprocessing import util
from pathlib import Path

import pytest

from tokenvis import load_spans
from tokenvis.record import lifecycle as endings
from tokenvis.record.lifecycle import Ending, Process

fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="forks of POSIX")


class Told(Ending):
    """Writes down what it is told; ``fails`` are the errors of its `close`, one by one."""

    def __init__(self, name: str, heard: list[str], *fails: BaseException, pauses: bool = True) -> None:
        self.name, self.heard, self.fails, self.pauses = name, heard, list(fails), pauses
        endings.register(self)

    def __repr__(self) -> str:
        return self.name

    def close(self) -> None:
        self.heard.append(f"close {self.name}")
        if self.fails:
            raise self.fails.pop(0)

    def before_fork(self) -> bool:
        self.heard.append(f"before {self.name}")
        return self.pauses

    def after_fork(self) -> None:
        self.heard.append(f"after {self.name}")

    def begin_anew(self) -> None:
        self.heard.append(f"anew {self.name}")


@pytest.fixture(autouse=True)
def process(monkeypatch) -> Process:
    """A process of which nothing is known."""
    made = Process()
    monkeypatch.setattr(endings, "process", made)
    return made


def test_at_the_end_all_are_closed_the_last_that_came_first(process):
    heard: list[str] = []
    every = [Told(name, heard) for name in "abc"]
    endings.end()
    assert heard == ["close c", "close b", "close a"]
    assert process.is_ending
    assert len(every) == 3


def test_one_that_fails_keeps_no_other_from_being_closed(caplog):
    heard: list[str] = []
    every = [Told("a", heard), Told("b", heard, ValueError("told")), Told("c", heard, KeyboardInterrupt())]
    endings.end()
    assert heard == ["close c", "close c", "close b", "close a"], "a first Ctrl-C takes nothing"
    assert [record.getMessage() for record in caplog.records] == ["b could not be closed."]
    assert len(every) == 3


def test_whoever_is_gone_is_forgotten(process):
    heard: list[str] = []
    Told("a", heard)
    gc.collect()
    assert process.known == {}
    endings.end()
    assert heard == []


def test_many_may_come_while_others_are_told():
    """Without an error that a set which changes would raise."""
    stop = threading.Event()

    def come():
        while not stop.is_set():
            Told("a", [])

    threads = [threading.Thread(target=come) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(300):
            endings.before_fork()
            endings.after_fork()
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def test_only_those_that_paused_go_on(process):
    heard: list[str] = []
    every = [Told("a", heard), Told("b", heard, pauses=False)]
    endings.before_fork()
    endings.after_fork()
    assert heard == ["before b", "before a", "after a"]
    assert process.forking == {}
    assert len(every) == 2


class Interrupted(Told):
    """Whoever is interrupted as it pauses, and as it goes on."""

    def before_fork(self) -> bool:
        super().before_fork()
        raise KeyboardInterrupt

    def after_fork(self) -> None:
        super().after_fork()
        if self.heard.count("after a") == 1:
            raise KeyboardInterrupt


def test_all_go_on_after_an_interrupt_in_the_midst_of_a_fork(process):
    heard: list[str] = []
    every = [Interrupted("a", heard), Told("b", heard)]
    endings.before_fork()
    endings.after_fork()
    assert heard == ["before b", "before a", "after b", "after a", "after a"]
    assert process.forking == {}
    assert len(every) == 2


def test_two_threads_may_fork_at_once_and_a_handler_in_between(process):
    """Each lets those go on that it paused, and no others."""
    heard: list[str] = []
    every = [Told("a", heard)]
    endings.before_fork()
    endings.before_fork()  # a handler of a signal
    other = threading.Thread(target=lambda: (endings.before_fork(), endings.after_fork()))
    other.start()
    other.join()
    assert heard == ["before a", "before a", "before a", "after a"]
    endings.after_fork()
    endings.after_fork()
    assert heard[4:] == ["after a", "after a"]
    assert process.forking == {}
    assert len(every) == 1


def test_a_child_begins_anew(process):
    heard: list[str] = []
    every = [Told("a", heard), Told("b", heard)]
    endings.before_fork()
    endings.begin_anew()
    assert heard == ["before b", "before a", "anew b", "anew a"]
    assert process.forking == {}
    assert len(every) == 2


def test_only_a_worker_has_ends_of_its_own():
    assert multiprocessing.parent_process() is None
    known = dict(util._finalizer_registry)
    endings.register_worker()
    assert util._finalizer_registry == known
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def in_a_worker(ends):
    heard = []
    told = Told("a", heard)
    util._exit_function()
    ends.send((heard, told.name))


@fork
def test_a_worker_hears_of_its_end_once():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # threads of other tests
        here, there = multiprocessing.get_context("fork").Pipe()
        worker = multiprocessing.get_context("fork").Process(target=in_a_worker, args=(there,))
        worker.start()
        assert here.recv() == (["close a"], "a")
        worker.join(30)
    assert worker.exitcode == 0


def ended(code: str, path: Path) -> tuple[int, str, str]:
    """How a program ends, and what it prints and says; Python itself warns of forks where there are threads."""
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", code, path]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout, done.stderr


FORKING = """
import os, sys, threading, tokenvis as tv
recorder = tv.Recorder("t", store=sys.argv[1])
recorder.event("parent", "desk")
recorder.flush()
def forking():
    for _ in range(5):
        child = os.fork()
        recorder.event("child" if child == 0 else "parent", "desk")
        if child == 0:
            recorder.close()
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
threads = [threading.Thread(target=forking) for _ in range(3)]
for thread in threads: thread.start()
for thread in threads: thread.join()
recorder.close()
counts = tv.load_spans("t", store=sys.argv[1])["agent_id"].value_counts().to_dict()
assert counts == {"parent": 16, "child": 15}, counts
"""


@fork
@pytest.mark.full
def test_threads_that_fork_at_once_record_on_all_sides(tmp_path):
    assert ended(FORKING, tmp_path / "t.db")[::2] == (0, "")
    assert [path.name for path in tmp_path.iterdir()] == ["t.db"]


INTERRUPTED = """
import os, signal, sys, threading, time, tokenvis as tv
recorder = tv.Recorder("t", store=sys.argv[1])
for number in range(300): recorder.event("ann", "desk")
def press():
    for _ in range(2):
        time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)
threading.Thread(target=press, daemon=True).start()
while True: recorder.event("ann", "desk"); print(flush=True)
"""


@fork
@pytest.mark.full
def test_ctrl_c_again_and_again_takes_nothing(tmp_path):
    exit_code, printed, said = ended(INTERRUPTED, tmp_path / "t.db")
    assert exit_code in (-signal.SIGINT, 1), said
    n_accepted = 300 + printed.count("\n")
    assert len(load_spans("t", store=tmp_path / "t.db")) in (n_accepted, n_accepted + 1)


def test_a_platform_without_forks_is_fine(monkeypatch):
    monkeypatch.delattr(os, "register_at_fork", raising=False)
    monkeypatch.setattr(endings.atexit, "register", lambda call: None)
    spec = importlib.util.find_spec("tokenvis.record.lifecycle")
    spec.loader.exec_module(importlib.util.module_from_spec(spec))


MIDST = """
import os, sys, tempfile, threading, tokenvis as tv
slowly, begun, go = tempfile._get_default_tempdir, threading.Event(), threading.Event()
def wait():
    begun.set(); go.wait(0.3)
    return slowly()
tempfile._get_default_tempdir = wait
recorder = tv.Recorder("t", store=sys.argv[1])
recorder.event("parent", "desk")
assert begun.wait(30)
child = os.fork()  # while the thread holds a lock of another library
if child == 0:
    tempfile._get_default_tempdir = slowly
    recorder.event("child", "desk")
    recorder.close()
    os._exit(0)
go.set()
assert os.waitpid(child, 0)[1] == 0
recorder.close()
assert sorted(tv.load_spans("t", store=sys.argv[1])["agent_id"]) == ["child", "parent"]
"""


@fork
def test_a_fork_waits_until_the_thread_holds_nothing(tmp_path):
    """What it held then, whoever's it were, a child would wait for forever."""
    assert ended(MIDST, tmp_path / "t.db")[::2] == (0, "")
