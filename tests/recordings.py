"""What the tests of recording share: waiting for what must come, a database that somebody keeps locked, signals."""

import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from tokenvis import Store, load_spans, load_traces

WITHIN = 30  # seconds, within which everything comes that must come


def wait_until(condition: Callable[[], object]) -> None:
    """Wait until that is so."""
    until = time.monotonic() + WITHIN
    while not condition():
        assert time.monotonic() < until, "it never came to that"
        time.sleep(0.002)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Somebody else keeps the database locked."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("COMMIT")


@contextmanager
def interrupted(act: Callable[[], object]) -> Iterator[None]:
    """A signal's handler comes in between each millisecond, in the midst of itself too, and does that."""
    depth = 0

    def handle(signum: int, frame: object) -> None:
        nonlocal depth
        if depth > 9:  # a busy machine is slower than the clock
            return
        depth += 1
        act()
        depth -= 1

    before = signal.signal(signal.SIGALRM, handle)
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def numbers(store: Store) -> list[int]:
    """The starts of all spans, which number them."""
    return load_spans(store=store)["start_time"].tolist() if load_traces(store=store)["n_spans"].sum() else []
