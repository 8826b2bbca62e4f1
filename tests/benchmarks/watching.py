"""The duration and the memory of a call: the peak resident set of the process, minus the resident set before the call."""

from collections.abc import Callable
from threading import Event, Thread
from time import perf_counter
from typing import Any

import psutil


def measured(call: Callable[[], Any]) -> tuple[float, int]:
    """The seconds that a call takes, and the bytes by which the resident set grows at its peak."""
    process, done = psutil.Process(), Event()
    before = highest = process.memory_info().rss

    def watch() -> None:
        nonlocal highest
        while not done.wait(0.005):
            highest = max(highest, process.memory_info().rss)

    watcher = Thread(target=watch, daemon=True)
    watcher.start()
    start = perf_counter()
    call()
    seconds = perf_counter() - start
    done.set()
    watcher.join()
    return seconds, highest - before
