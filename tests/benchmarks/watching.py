"""How long a work takes, and how much memory: the highest resident set of the process, above what it had before."""

from collections.abc import Callable
from threading import Event, Thread
from time import perf_counter
from typing import Any

import psutil


def measured(work: Callable[[], Any]) -> tuple[float, int]:
    """Seconds, and bytes of memory above what the process had."""
    process, done = psutil.Process(), Event()
    before = highest = process.memory_info().rss

    def watch() -> None:
        nonlocal highest
        while not done.wait(0.005):
            highest = max(highest, process.memory_info().rss)

    watcher = Thread(target=watch, daemon=True)
    watcher.start()
    start = perf_counter()
    work()
    seconds = perf_counter() - start
    done.set()
    watcher.join()
    return seconds, highest - before
