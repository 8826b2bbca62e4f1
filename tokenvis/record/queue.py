"""The queue: rows that are accepted but not stored, and the flush requests between them.

Any thread may append to the queue, and a signal handler may do so in the middle of any step; only the writer thread removes
rows. A row that moves from the queue to the batch is counted at every moment.
"""

import threading
import time
from collections import deque
from contextlib import suppress

from tokenvis.record.overflow import MAX_UNSTORED_BYTES, size_of
from tokenvis.store.append import SpanRow

LARGE_ROW_CHARACTERS = 1 << 16  # of data; for a larger row, the size of all unstored rows is checked too
PROGRESS_POLL_S = 0.1


class FlushRequest:
    """A request to store all rows before it in the queue; with ``is_closing``, to close the database too.

    The waiting thread holds no lock, and completing the request never blocks: a signal handler may interrupt either one and
    wait for another request.
    """

    def __init__(self, *, is_closing: bool = False) -> None:
        self.is_closing = is_closing
        self.is_stored = False
        self.thread: threading.Thread | None = None  # the writer thread, if it ends now
        self.completion = threading.Lock()
        self.completion.acquire()

    def complete(self, *, is_stored: bool, thread: threading.Thread | None = None) -> None:
        """Set the result and release the waiting thread."""
        self.is_stored, self.thread = is_stored, thread
        self.completion.release()

    def wait(self, timeout: float) -> bool:
        """Wait for completion; return False after ``timeout`` seconds."""
        return self.completion.acquire(timeout=timeout)


class RowQueue:
    """Queued rows and requests (``items``), the rows that are being stored (``batch``), and the requests that wait for these.

    Each thread that waits for room has a separate lock, which no other thread acquires: an interrupt may come at any moment.

    Parameters
    ----------
    max_rows
        The limit of accepted rows that are not stored.
    """

    def __init__(self, max_rows: int) -> None:
        self.max_rows = max_rows
        self.high_watermark = max_rows // 2  # from this many items on, the limits are checked
        self.items: deque[SpanRow | FlushRequest] = deque()
        self.batch: list[SpanRow] = []
        self.requests: list[FlushRequest] = []
        self.progress_locks: deque[threading.Lock] = deque()
        self.blocked_threads: set[int] = set()
        self.last_stored_at = 0.0

    def fill_batch(self) -> None:
        """Move all items that are queued now to the batch."""
        n_items = len(self.items)
        self.high_watermark = min(self.max_rows // 2, max(self.max_rows - len(self.batch) - n_items, 0))
        for _ in range(n_items):
            item = self.items[0]
            if isinstance(item, FlushRequest):
                self.requests.append(item)
            else:
                self.batch.append(item)
            self.items.popleft()
        self.notify_progress()

    def requeue(self) -> None:
        """Put the batch back at the front of the queue."""
        self.items.extendleft(reversed(self.batch))
        self.clear_batch()

    def mark_stored(self) -> None:
        """Clear the batch after it was stored."""
        self.last_stored_at = time.monotonic()
        self.clear_batch()

    def clear_batch(self) -> None:
        """Clear the batch after its rows were stored or moved elsewhere."""
        self.batch = []
        self.high_watermark = self.max_rows // 2
        self.notify_progress()

    def has_no_progress(self, since: float, timeout: float) -> bool:
        """Whether nothing was stored for ``timeout`` seconds, counted from ``since`` at the earliest."""
        return time.monotonic() - max(since, self.last_stored_at) >= timeout

    def rows(self) -> list[SpanRow]:
        """All rows that are not stored."""
        return [*self.batch, *(item for item in self.items.copy() if not isinstance(item, FlushRequest))]

    def is_full(self, row: SpanRow) -> bool:
        """Whether there are too many rows, including this new one, or, if it is a large row, too many bytes."""
        if len(self.items) + len(self.batch) > self.max_rows:
            return True
        return len(row[6] or "") > LARGE_ROW_CHARACTERS and sum(map(size_of, self.rows())) > MAX_UNSTORED_BYTES

    def wait_for_room(self, timeout: float, row: SpanRow) -> bool:
        """Wait until the queue has room for this row; return False once nothing was stored for ``timeout`` seconds."""
        start, thread = time.monotonic(), threading.get_ident()
        if thread in self.blocked_threads:  # a signal handler that interrupted a wait: nested waits would pile up
            return True
        try:
            self.blocked_threads.add(thread)
            while True:
                progress = self.new_progress_lock()  # before the check: progress may happen during it
                if not self.is_full(row):
                    return True
                if self.has_no_progress(start, timeout):
                    return False
                progress.acquire(timeout=min(timeout, PROGRESS_POLL_S))
        finally:
            self.blocked_threads.discard(thread)

    def wait_for(self, request: FlushRequest, timeout: float) -> bool:
        """Wait for the request and return whether all is stored; stop once nothing was stored for ``timeout`` seconds."""
        start = time.monotonic()
        while not request.wait(min(timeout, PROGRESS_POLL_S)):
            if self.has_no_progress(start, timeout):
                return False
        return request.is_stored

    def yield_to_writer(self, timeout: float) -> None:
        """Release the GIL for a moment, so that the writer thread starts its disk access while this thread continues."""
        progress = self.new_progress_lock()
        if not self.batch and threading.get_ident() not in self.blocked_threads:
            progress.acquire(timeout=timeout)

    def new_progress_lock(self) -> threading.Lock:
        """A lock that can be acquired once rows were taken or stored."""
        progress = threading.Lock()
        progress.acquire()
        self.progress_locks.append(progress)
        return progress

    def notify_progress(self) -> None:
        """Release all progress locks."""
        with suppress(IndexError):  # no more locks
            while True:
                self.progress_locks.popleft().release()
