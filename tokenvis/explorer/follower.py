"""The follower: a thread that polls a trace about once a second, and passes on its spans when they have changed.

Polling and the callbacks take at most a tenth of the time: slow polls run less often. The thread has only a weak reference to
its callback, so it keeps nothing alive, and ends when the callback's object is gone.
"""

import threading
import weakref
from collections.abc import Callable
from contextlib import suppress
from time import perf_counter

import pandas as pd

from tokenvis.errors import TokenvisError
from tokenvis.store.follow import Following

MIN_POLL_INTERVAL_S = 1.0  # shortest pause between polls
PAUSE_PER_WORK = 10  # a pause lasts at least this many times as long as the poll before it
FRAME_NOT_FOLLOWED = (
    "follow=True needs the id or name of a stored trace, as in explore('name', follow=True): a frame does not grow."
)


class TraceFollower:
    """Polls a trace, and calls ``callback(spans, problem)`` with its changed spans, or with an error message.

    The other argument is None; after an error is resolved, the message is "". The object of the callback adds the seconds that
    it spends on related work to ``callback_seconds``.
    """

    def __init__(self, following: Following, callback: Callable[[pd.DataFrame | None, str | None], None]) -> None:
        self._following = following
        self._callback = weakref.WeakMethod(callback)
        self._poll_lock = threading.Lock()  # a stopped thread may still be in its last poll
        self._is_pending = False
        self._problem = ""
        self._stopped: threading.Event | None = None
        self.callback_seconds = 0.0

    def start(self) -> None:
        """Start polling, unless it is running."""
        if self._stopped is None:
            self._stopped = threading.Event()
            threading.Thread(target=self._run, args=[self._stopped], name="tokenvis follower", daemon=True).start()

    def stop(self) -> None:
        """Stop polling, after a poll in progress."""
        if self._stopped is not None:
            self._stopped.set()
            self._stopped = None

    def _run(self, stopped: threading.Event) -> None:
        """Poll until stopped, in the thread."""
        pause = MIN_POLL_INTERVAL_S
        while not stopped.wait(pause):
            # Work since the last poll counts as part of this one
            started_at, self.callback_seconds = perf_counter() - self.callback_seconds, 0.0
            with self._poll_lock:
                if not stopped.is_set() and not self.poll():
                    return
            pause = max(MIN_POLL_INTERVAL_S, PAUSE_PER_WORK * (perf_counter() - started_at))

    def poll(self) -> bool:
        """Poll once; returns whether the callback still exists. Errors do not end the thread: a missing file may come back."""
        problem = ""
        try:
            self._is_pending |= self._following.look()
            callback = self._callback()
            if callback is not None and self._is_pending:
                callback(self._following.spans, None)
                self._is_pending = False
        except Exception as error:
            problem = str(error) if isinstance(error, TokenvisError) else f"{type(error).__name__}: {error}"
        callback = self._callback()
        if callback is not None and problem != self._problem:
            with suppress(Exception):  # retried at the next poll
                callback(None, problem)
                self._problem = problem
        return callback is not None
