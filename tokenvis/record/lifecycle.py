"""The lifecycle: close recorders when the process ends, and prepare them for forks.

When the interpreter exits (normally, by sys.exit, an exception or Ctrl-C), all accepted spans are stored; os._exit, SIGKILL
and SIGTERM without a handler skip this. A worker of `multiprocessing` never runs the interpreter's exit handlers, so two are
installed here: one for its regular end, and one for SIGTERM, which the ``with`` block of a pool sends to its workers.
Connections are closed before a fork: SQLite's locks belong to a process, and a child that uses or even closes its parent's
connection corrupts both. The child starts with new connections and an empty queue.
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

RESEND_INTERVAL_S = 0.1  # a handler runs within this time unless the main thread is blocked


class ProcessHooks:
    """Hooks of an object that must act when its process ends or is forked."""

    def close(self) -> None:
        """The process is ending."""

    def before_fork(self) -> bool:
        """The process is about to fork; return whether `after_fork_in_parent` must be called."""
        return False

    def after_fork_in_parent(self) -> None:
        """The process has forked, and this is the parent."""

    def after_fork_in_child(self) -> None:
        """The process has forked, and this is the child."""


class ProcessState:
    """State of the current process."""

    def __init__(self) -> None:
        self.is_ending = False
        self.is_terminated = False
        self.waker: MainThreadWaker | None = None
        self.registered: dict[ref[ProcessHooks], None] = {}  # a dict is copied atomically while other threads add to it
        self.paused: dict[int, list[list[ProcessHooks]]] = {}  # by thread; a list per fork: signal handlers may fork too

    def hooks(self) -> list[ProcessHooks]:
        """All registered objects, newest first: later ones may use earlier ones."""
        return [hooks for reference in reversed(list(self.registered)) if (hooks := reference()) is not None]


process = ProcessState()


class MainThreadWaker(Thread):
    """Sends SIGTERM to the main thread of a worker again, if that is blocked in C code and cannot run our handler.

    Python runs signal handlers between two bytecode instructions of the main thread. If the signal arrives after the last
    instruction but before the main thread blocks on a lock, for example on the lock of a pool's queue, the handler never runs,
    and the process that joins the worker hangs too. A second signal interrupts the blocking call. It is sent until our handler
    has run or was replaced. Programs that set the signal wakeup descriptor themselves, as asyncio's signal handlers do, get no
    waker.
    """

    def __init__(self) -> None:
        super().__init__(daemon=True, name="tokenvis-waker")
        self.read_end, self.write_end = os.pipe()
        os.set_blocking(self.write_end, False)
        signal.set_wakeup_fd(self.write_end, warn_on_full_buffer=False)
        self.start()

    def run(self) -> None:
        """Read signal numbers, one byte each, and resend SIGTERM while needed."""
        while number := os.read(self.read_end, 1):
            while number[0] == signal.SIGTERM and self.is_needed():
                time.sleep(RESEND_INTERVAL_S)
                if self.is_needed():
                    signal.pthread_kill(cast(int, main_thread().ident), signal.SIGTERM)

    def is_needed(self) -> bool:
        """Whether our SIGTERM handler is installed and has not run."""
        return not process.is_terminated and signal.getsignal(signal.SIGTERM) is handle_sigterm

    def close(self) -> None:
        """Close the pipe in a forked child: its signals must not reach the parent's waker thread."""
        signal.set_wakeup_fd(-1)
        os.close(self.read_end)
        os.close(self.write_end)


def register(hooks: ProcessHooks) -> None:
    """Call these hooks when the process ends or forks, as long as the object is alive."""
    process.registered[ref(hooks, lambda gone: process.registered.pop(gone, None))] = None


def start_waker() -> None:
    """Start the waker, unless the program uses the signal wakeup descriptor itself."""
    if not hasattr(signal, "pthread_kill"):
        return
    previous_descriptor = signal.set_wakeup_fd(-1)
    if previous_descriptor == -1:
        process.waker = MainThreadWaker()
    else:
        signal.set_wakeup_fd(previous_descriptor)


def register_worker(_: ProcessState = process) -> None:
    """Install exit handlers if this process is a `multiprocessing` worker; the program's own SIGTERM handler stays."""
    if parent_process() is None and not getattr(current_process(), "_inheriting", False):  # a spawned worker imports first
        return
    util.Finalize(None, close_all, exitpriority=0)
    if current_thread() is main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, handle_sigterm)
        start_waker()


def handle_sigterm(signum: int, frame: object) -> None:
    """Close everything, then terminate the worker with the default action of the signal."""
    if process.is_terminated:  # the first call is still closing
        return
    process.is_terminated = True
    close_all()
    signal.signal(signum, signal.SIG_DFL)
    signal.raise_signal(signum)


def close_all() -> None:
    """Close all registered objects, even if one fails or is interrupted once by Ctrl-C."""
    process.is_ending = True
    for hooks in process.hooks():
        try:
            hooks.close()
        except KeyboardInterrupt:
            hooks.close()
        except Exception:
            log.exception("%r could not be closed.", hooks)


def before_fork() -> None:
    """Pause all registered objects; Ctrl-C cannot stop a fork handler, it only cuts one pause short."""
    paused: list[ProcessHooks] = []
    process.paused.setdefault(get_ident(), []).append(paused)
    for hooks in process.hooks():
        paused.append(hooks)
        with suppress(KeyboardInterrupt):
            if not hooks.before_fork():
                paused.pop()


def after_fork_in_parent() -> None:
    """Resume the objects that this thread paused."""
    paused_by_thread = process.paused[get_ident()]
    for hooks in paused_by_thread.pop():
        try:
            hooks.after_fork_in_parent()
        except KeyboardInterrupt:
            hooks.after_fork_in_parent()
    if not paused_by_thread:
        del process.paused[get_ident()]


def after_fork_in_child() -> None:
    """Reset the state of the process and of all registered objects in the child."""
    process.paused = {}
    process.is_terminated = False
    if process.waker is not None:
        process.waker.close()
        process.waker = None
        start_waker()
    for hooks in process.hooks():
        hooks.after_fork_in_child()


atexit.register(close_all)
register_worker()  # for a worker that runs already,
util.register_after_fork(process, register_worker)  # and for one that starts now, with any start method
with suppress(AttributeError):  # on platforms without fork
    os.register_at_fork(before=before_fork, after_in_parent=after_fork_in_parent, after_in_child=after_fork_in_child)
