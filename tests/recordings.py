"""Helpers of the recording tests: wait for a condition, lock a database, send signals."""

import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from tokenvis import Store, load_spans, load_traces

TIMEOUT_S = 30  # of every wait


def wait_until(condition: Callable[[], object]) -> None:
    """Wait until the condition is true."""
    deadline = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < deadline, "the condition did not become true"
        time.sleep(0.002)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Another connection keeps the database locked."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("COMMIT")


@contextmanager
def interrupted(action: Callable[[], object]) -> Iterator[None]:
    """A signal arrives every millisecond, even inside its own handler, which runs the action."""
    depth = 0

    def handle(signum: int, frame: object) -> None:
        nonlocal depth
        if depth > 9:  # on a busy machine, the handler is slower than the timer
            return
        depth += 1
        action()
        depth -= 1

    previous = signal.signal(signal.SIGALRM, handle)
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


def numbers(store: Store) -> list[int]:
    """The start times of all spans, which are their numbers in these tests."""
    return load_spans(store=store)["start_time"].tolist() if load_traces(store=store)["n_spans"].sum() else []
