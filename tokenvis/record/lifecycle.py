"""The lifecycle: what a process does to whoever writes for it, when it ends, and when it is forked.

At the interpreter's end all that was accepted is stored, however it comes to that end. A worker of `multiprocessing` never
comes to it, so it has ends of its own: one when it is done, and one when it is terminated, which is how the ``with`` block of a
pool ends. Before a fork connections are closed: SQLite's locks belong to a process, and a child
that uses, or even closes, its parent's connection damages both. The child begins anew, with nothing of its parent's.
"""

import atexit
import logging
import os
import signal
import time
from contextlib import suppress
from multiprocessing import current_process, parent_process, util
from threading import Thread, current_thread, get_ident, main_thread
from typing import cast
from weakref import ref

log = logging.getLogger("tokenvis")

WAKING = 0.1  # seconds in which a handler has run, where nothing holds it up


class Ending:
    """Whoever has something to do when its process ends, or is forked."""

    def close(self) -> None:
        """The process ends."""

    def before_fork(self) -> bool:
        """It is about to be forked; whether `after_fork` has something to do."""
        return False

    def after_fork(self) -> None:
        """It was forked, and goes on."""

    def begin_anew(self) -> None:
        """It is the child."""


class Process:
    """What is known of this process."""

    def __init__(self) -> None:
        self.is_ending = False
        self.is_terminated = False
        self.waker: Waker | None = None
        self.known: dict[ref[Ending], None] = {}  # a dict is copied in one step, while other threads add to it
        self.forking: dict[int, list[list[Ending]]] = {}  # by thread, and a signal's handler may fork too

    def there(self) -> list[Ending]:
        """All that are known, from the last that came on: who came later uses who came before."""
        return [ending for weakly in reversed(list(self.known)) if (ending := weakly()) is not None]


process = Process()


class Waker(Thread):
    """Wakes the main thread of a worker that is terminated, where it waits in C and would not hear of it.

    Python runs a handler between two steps of the main thread. Where the signal comes after the last of them and before the
    main thread waits for a lock, such as that of a pool's queue, the handler never runs, and who joins the worker waits with
    it. So the signal is sent to the main thread once more, which ends the wait; until the handler runs, or is another one.
    A program that takes the wakeup descriptor of signals for itself, as asyncio's signal handlers do, does without.
    """

    def __init__(self) -> None:
        super().__init__(daemon=True, name="tokenvis-waker")
        self.heard, self.told = os.pipe()
        os.set_blocking(self.told, False)
        signal.set_wakeup_fd(self.told, warn_on_full_buffer=False)
        self.start()

    def run(self) -> None:
        """Wait for the signal, which is told as a byte."""
        while number := os.read(self.heard, 1):
            while number[0] == signal.SIGTERM and self.is_needed():
                time.sleep(WAKING)
                if self.is_needed():
                    signal.pthread_kill(cast(int, main_thread().ident), signal.SIGTERM)

    def is_needed(self) -> bool:
        """Whether our handler is to run, and has not."""
        return not process.is_terminated and signal.getsignal(signal.SIGTERM) is end_terminated

    def forget(self) -> None:
        """It stayed in the parent, which is not to hear of the signals of its child."""
        signal.set_wakeup_fd(-1)
        os.close(self.heard)
        os.close(self.told)


def register(ending: Ending) -> None:
    """Tell whoever this is of the end of the process, and of forks, as long as it lives."""
    process.known[ref(ending, lambda gone: process.known.pop(gone, None))] = None


def wake_when_terminated() -> None:
    """Have the main thread wake where our handler waits for it, unless the program itself hears of signals this way."""
    if not hasattr(signal, "pthread_kill"):
        return
    taken = signal.set_wakeup_fd(-1)
    if taken == -1:
        process.waker = Waker()
    else:
        signal.set_wakeup_fd(taken)


def register_worker(_: Process = process) -> None:
    """Hear of the ends of this process where it is a worker of `multiprocessing`; a handler of the program's own stays."""
    if parent_process() is None and not getattr(current_process(), "_inheriting", False):  # one that is spawned imports first
        return
    util.Finalize(None, end, exitpriority=0)
    if current_thread() is main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, end_terminated)
        wake_when_terminated()


def end_terminated(signum: int, frame: object) -> None:
    """The worker is terminated: close all, and go as it would have gone."""
    if process.is_terminated:  # it is about to
        return
    process.is_terminated = True
    end()
    signal.signal(signum, signal.SIG_DFL)
    signal.raise_signal(signum)


def end() -> None:
    """The interpreter ends: close all, also where one fails, or somebody presses Ctrl-C a first time meanwhile."""
    process.is_ending = True
    for ending in process.there():
        try:
            ending.close()
        except KeyboardInterrupt:
            ending.close()
        except Exception:
            log.exception("%r could not be closed.", ending)


def before_fork() -> None:
    """The process is about to be forked; what Python calls here, Ctrl-C cannot end, but cut short."""
    paused: list[Ending] = []
    process.forking.setdefault(get_ident(), []).append(paused)
    for ending in process.there():
        paused.append(ending)
        with suppress(KeyboardInterrupt):
            if not ending.before_fork():
                paused.pop()


def after_fork() -> None:
    """The process goes on, beside its child."""
    mine = process.forking[get_ident()]
    for ending in mine.pop():
        try:
            ending.after_fork()
        except KeyboardInterrupt:
            ending.after_fork()
    if not mine:
        del process.forking[get_ident()]


def begin_anew() -> None:
    """The process is the child."""
    process.forking = {}
    process.is_terminated = False
    if process.waker is not None:
        process.waker.forget()
        process.waker = None
        wake_when_terminated()
    for ending in process.there():
        ending.begin_anew()


atexit.register(end)
register_worker()  # one that has begun already,
util.register_after_fork(process, register_worker)  # and one that begins now, however it was started
with suppress(AttributeError):  # where there is no fork
    os.register_at_fork(before=before_fork, after_in_parent=after_fork, after_in_child=begin_anew)
