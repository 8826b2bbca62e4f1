"""The end of a process, and forks: all hooks are called, even if some fail."""

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
from tokenvis.record import lifecycle
from tokenvis.record.lifecycle import ProcessHooks, ProcessState

fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="forks of POSIX")


class Recorded(ProcessHooks):
    """Logs the calls of its hooks; successive calls of `close` raise ``errors``."""

    def __init__(self, name: str, calls: list[str], *errors: BaseException, pauses: bool = True) -> None:
        self.name, self.calls, self.errors, self.pauses = name, calls, list(errors), pauses
        lifecycle.register(self)

    def __repr__(self) -> str:
        return self.name

    def close(self) -> None:
        self.calls.append(f"close {self.name}")
        if self.errors:
            raise self.errors.pop(0)

    def before_fork(self) -> bool:
        self.calls.append(f"before {self.name}")
        return self.pauses

    def after_fork_in_parent(self) -> None:
        self.calls.append(f"after {self.name}")

    def after_fork_in_child(self) -> None:
        self.calls.append(f"child {self.name}")


@pytest.fixture(autouse=True)
def process(monkeypatch) -> ProcessState:
    """A process without registered hooks."""
    made = ProcessState()
    monkeypatch.setattr(lifecycle, "process", made)
    return made


def test_at_the_end_all_are_closed_newest_first(process):
    calls: list[str] = []
    every = [Recorded(name, calls) for name in "abc"]
    lifecycle.close_all()
    assert calls == ["close c", "close b", "close a"]
    assert process.is_ending
    assert len(every) == 3


def test_a_failing_hook_does_not_keep_others_from_being_closed(caplog):
    calls: list[str] = []
    every = [Recorded("a", calls), Recorded("b", calls, ValueError("refused")), Recorded("c", calls, KeyboardInterrupt())]
    lifecycle.close_all()
    assert calls == ["close c", "close c", "close b", "close a"], "a first Ctrl-C loses nothing"
    assert [record.getMessage() for record in caplog.records] == ["b could not be closed."]
    assert len(every) == 3


def test_garbage_collected_objects_are_not_called(process):
    calls: list[str] = []
    Recorded("a", calls)
    gc.collect()
    assert process.registered == {}
    lifecycle.close_all()
    assert calls == []


def test_objects_may_register_while_hooks_are_called():
    """A set that changes during iteration would raise an error."""
    stop = threading.Event()

    def register():
        while not stop.is_set():
            Recorded("a", [])

    threads = [threading.Thread(target=register) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(300):
            lifecycle.before_fork()
            lifecycle.after_fork_in_parent()
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def test_only_paused_objects_are_resumed(process):
    calls: list[str] = []
    every = [Recorded("a", calls), Recorded("b", calls, pauses=False)]
    lifecycle.before_fork()
    lifecycle.after_fork_in_parent()
    assert calls == ["before b", "before a", "after a"]
    assert process.paused == {}
    assert len(every) == 2


class Interrupted(Recorded):
    """Interrupted while it pauses, and while it resumes."""

    def before_fork(self) -> bool:
        super().before_fork()
        raise KeyboardInterrupt

    def after_fork_in_parent(self) -> None:
        super().after_fork_in_parent()
        if self.calls.count("after a") == 1:
            raise KeyboardInterrupt


def test_all_objects_resume_after_an_interrupt_during_a_fork(process):
    calls: list[str] = []
    every = [Interrupted("a", calls), Recorded("b", calls)]
    lifecycle.before_fork()
    lifecycle.after_fork_in_parent()
    assert calls == ["before b", "before a", "after b", "after a", "after a"]
    assert process.paused == {}
    assert len(every) == 2


def test_two_threads_and_a_signal_handler_may_fork_at_once(process):
    """Each resumes the objects that it paused, and no others."""
    calls: list[str] = []
    every = [Recorded("a", calls)]
    lifecycle.before_fork()
    lifecycle.before_fork()  # a signal handler
    other = threading.Thread(target=lambda: (lifecycle.before_fork(), lifecycle.after_fork_in_parent()))
    other.start()
    other.join()
    assert calls == ["before a", "before a", "before a", "after a"]
    lifecycle.after_fork_in_parent()
    lifecycle.after_fork_in_parent()
    assert calls[4:] == ["after a", "after a"]
    assert process.paused == {}
    assert len(every) == 1


def test_a_child_is_reset(process):
    calls: list[str] = []
    every = [Recorded("a", calls), Recorded("b", calls)]
    lifecycle.before_fork()
    lifecycle.after_fork_in_child()
    assert calls == ["before b", "before a", "child b", "child a"]
    assert process.paused == {}
    assert len(every) == 2


def test_only_a_worker_gets_its_own_exit_handlers():
    assert multiprocessing.parent_process() is None
    finalizers = dict(util._finalizer_registry)
    lifecycle.register_worker()
    assert util._finalizer_registry == finalizers
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def in_a_worker(connection):
    calls = []
    hooks = Recorded("a", calls)
    util._exit_function()
    connection.send((calls, hooks.name))


@fork
def test_a_worker_is_closed_once():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # threads of other tests
        parent, child = multiprocessing.get_context("fork").Pipe()
        worker = multiprocessing.get_context("fork").Process(target=in_a_worker, args=(child,))
        worker.start()
        assert parent.recv() == (["close a"], "a")
        worker.join(30)
    assert worker.exitcode == 0


def ended(code: str, path: Path) -> tuple[int, str, str]:
    """The exit code, stdout and stderr of a program; Python's own warning about forks with threads is ignored."""
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
def test_threads_that_fork_at_once_record_in_all_processes(tmp_path):
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
def test_repeated_ctrl_c_loses_nothing(tmp_path):
    exit_code, printed, stderr = ended(INTERRUPTED, tmp_path / "t.db")
    assert exit_code in (-signal.SIGINT, 1), stderr
    n_accepted = 300 + printed.count("\n")
    assert len(load_spans("t", store=tmp_path / "t.db")) in (n_accepted, n_accepted + 1)


def test_a_platform_without_fork(monkeypatch):
    monkeypatch.delattr(os, "register_at_fork", raising=False)
    monkeypatch.setattr(lifecycle.atexit, "register", lambda call: None)
    spec = importlib.util.find_spec("tokenvis.record.lifecycle")
    spec.loader.exec_module(importlib.util.module_from_spec(spec))


LOCK_HELD = """
import os, sys, tempfile, threading, tokenvis as tv
slowly, started, go = tempfile._get_default_tempdir, threading.Event(), threading.Event()
def wait():
    started.set(); go.wait(0.3)
    return slowly()
tempfile._get_default_tempdir = wait
recorder = tv.Recorder("t", store=sys.argv[1])
recorder.event("parent", "desk")
assert started.wait(30)
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
def test_a_fork_waits_until_the_thread_holds_no_lock(tmp_path):
    """A child would wait forever for any lock that the thread held."""
    assert ended(LOCK_HELD, tmp_path / "t.db")[::2] == (0, "")
