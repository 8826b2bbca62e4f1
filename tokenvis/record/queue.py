"""The queue: rows that were accepted and are not stored, and those who wait until they are.

Any thread adds to it, and a signal's handler may do so in the midst of it; one thread alone takes out. What that one takes is
at no moment counted neither here nor there.
"""

import threading
import time
from collections import deque
from contextlib import suppress

from tokenvis.record.overflow import MOST_IN_MEMORY, size_of
from tokenvis.store.append import Row

LONG = 1 << 16  # characters of a row's data, from which on bytes count too
LOOK = 0.1  # seconds


class Stored:
    """Somebody who waits until all before it is stored; the ``last`` one wants the file let go of too.

    Who waits holds nothing, and who tells it waits for nothing: a signal's handler may come in between, and wait for another.
    """

    def __init__(self, *, is_last: bool = False) -> None:
        self.is_last = is_last
        self.is_stored = False
        self.thread: threading.Thread | None = None  # which ends now
        self.waits = threading.Lock()
        self.waits.acquire()

    def tell(self, *, is_stored: bool, thread: threading.Thread | None = None) -> None:
        """It need not wait any more."""
        self.is_stored, self.thread = is_stored, thread
        self.waits.release()

    def is_told(self, within: float) -> bool:
        """Wait for so many seconds; whether it need not wait any more."""
        return self.waits.acquire(timeout=within)


class Waiting:
    """What waits to be taken (``items``), what was taken and is being stored, and who waits for that.

    Who waits for room has a lock of its own, and holds none that others need: an interrupt may come at any moment.

    Parameters
    ----------
    most
        How many rows there may be at once.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.crowded = most // 2  # so many items are much, beside what was taken
        self.items: deque[Row | Stored] = deque()
        self.taken: list[Row] = []
        self.pending: list[Stored] = []
        self.waiters: deque[threading.Lock] = deque()
        self.held_up: set[int] = set()  # threads that wait
        self.stored_at = 0.0  # when the store took something last

    def take(self) -> None:
        """Take all that waits now."""
        n_items = len(self.items)
        self.crowded = min(self.most // 2, max(self.most - len(self.taken) - n_items, 0))
        for _ in range(n_items):
            item = self.items[0]
            if isinstance(item, Stored):
                self.pending.append(item)
            else:
                self.taken.append(item)
            self.items.popleft()
        self.tell_progress()

    def put_back(self) -> None:
        """Put what was taken before all that waits."""
        self.items.extendleft(reversed(self.taken))
        self.be_done()

    def be_stored(self) -> None:
        """What was taken is stored."""
        self.stored_at = time.monotonic()
        self.be_done()

    def be_done(self) -> None:
        """What was taken is stored, or waits elsewhere."""
        self.taken = []
        self.crowded = self.most // 2
        self.tell_progress()

    def is_stalled(self, since: float, patience: float) -> bool:
        """Whether the store has taken nothing for so many seconds, since then."""
        return time.monotonic() - max(since, self.stored_at) >= patience

    def rows(self) -> list[Row]:
        """All rows that are not stored."""
        return [*self.taken, *(one for one in self.items.copy() if not isinstance(one, Stored))]

    def is_full(self, row: Row) -> bool:
        """Whether there are too many rows, this new one among them, or, where it is a long one, too many bytes."""
        if len(self.items) + len(self.taken) > self.most:
            return True
        return len(row[6] or "") > LONG and sum(map(size_of, self.rows())) > MOST_IN_MEMORY

    def has_room_within(self, patience: float, row: Row) -> bool:
        """Wait until there is room for this row, for so many seconds in which the store takes nothing; whether there is."""
        begun, thread = time.monotonic(), threading.get_ident()
        if thread in self.held_up:  # a signal's handler, in the midst of a wait: those that come faster would pile up
            return True
        try:
            self.held_up.add(thread)
            while True:
                progress = self.progress()  # which may come while we look
                if not self.is_full(row):
                    return True
                if self.is_stalled(begun, patience):
                    return False
                progress.acquire(timeout=min(patience, LOOK))
        finally:
            self.held_up.discard(thread)

    def is_over(self, stored: Stored, patience: float) -> bool:
        """Wait until somebody is told, for so many seconds in which the store takes nothing; whether all is stored."""
        begun = time.monotonic()
        while not stored.is_told(min(patience, LOOK)):
            if self.is_stalled(begun, patience):
                return False
        return stored.is_stored

    def let_begin(self, moment: float) -> None:
        """Let the thread have Python's lock at once, so that the disk works while this one goes on."""
        progress = self.progress()
        if not self.taken and threading.get_ident() not in self.held_up:
            progress.acquire(timeout=moment)

    def progress(self) -> threading.Lock:
        """A lock that can be acquired once something was taken, or stored."""
        progress = threading.Lock()
        progress.acquire()
        self.waiters.append(progress)
        return progress

    def tell_progress(self) -> None:
        """Wake those who wait for it."""
        with suppress(IndexError):  # there are no more
            while True:
                self.waiters.popleft().release()
