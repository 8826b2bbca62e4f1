"""The follower: a thread that looks about once a second whether a trace has grown, and hands on what it has become.

Looks, and all that is done because of them, take a tenth of the time at most: what takes long is done less often. The thread
holds what it hands things to by weak references, so it keeps nothing alive, and ends once that is gone.
"""

import threading
import weakref
from collections.abc import Callable
from contextlib import suppress
from time import perf_counter

import pandas as pd

from tokenvis.errors import TokenvisError
from tokenvis.store.follow import Following

LEAST_PAUSE = 1.0  # seconds between looks
TIMES_AS_LONG = 10  # as its work takes a pause lasts, at least
NOT_FOLLOWED = "follow=True is for a trace of a store, as in explore('name', follow=True): a frame does not grow."


class Follower:
    """Follows a trace for who shows it, whose method ``tell`` is given its spans when they have changed, and problems.

    That is ``tell(spans, problem)``, each None where there is nothing to tell; after a problem there is "". Who is told adds to
    ``spent`` how long they worked for it, in seconds.
    """

    def __init__(self, following: Following, tell: Callable[[pd.DataFrame | None, str | None], None]) -> None:
        self._following = following
        self._tell = weakref.WeakMethod(tell)
        self._looking = threading.Lock()  # one that was stopped may be at its last look still
        self._is_due = False
        self._problem = ""
        self._ended: threading.Event | None = None
        self.spent = 0.0

    def start(self) -> None:
        """Follow, unless it does."""
        if self._ended is None:
            self._ended = threading.Event()
            threading.Thread(target=self._run, args=[self._ended], name="tokenvis follower", daemon=True).start()

    def stop(self) -> None:
        """Follow no longer; a look that has begun is the last one."""
        if self._ended is not None:
            self._ended.set()
            self._ended = None

    def _run(self, ended: threading.Event) -> None:
        """Look until the end, in a thread of its own."""
        pause = LEAST_PAUSE
        while not ended.wait(pause):
            began, self.spent = perf_counter() - self.spent, 0.0  # what was done since the last look is of that one
            with self._looking:
                if not ended.is_set() and not self.look():
                    return
            pause = max(LEAST_PAUSE, TIMES_AS_LONG * (perf_counter() - began))

    def look(self) -> bool:
        """Look once; whether there is anybody left to tell. An error ends nothing: a file may come back."""
        problem = ""
        try:
            self._is_due |= self._following.look()
            tell = self._tell()
            if tell is not None and self._is_due:
                tell(self._following.spans, None)
                self._is_due = False
        except Exception as error:
            problem = str(error) if isinstance(error, TokenvisError) else f"{type(error).__name__}: {error}"
        tell = self._tell()
        if tell is not None and problem != self._problem:
            with suppress(Exception):  # who cannot hear it now is told at the next look
                tell(None, problem)
                self._problem = problem
        return tell is not None
