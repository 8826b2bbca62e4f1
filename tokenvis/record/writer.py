"""The writer: a background thread that stores the rows that a program puts.

A row is *accepted* when `Writer.put` returns: it is in memory. It is *stored* when it is committed, at most ``max_seconds``
later. At most ``max_spans`` rows are accepted but not stored: a program that is faster than the disk waits.

A store that cannot be written (full disk, locked database) blocks the program once, for at most `BLOCK_TIMEOUT_S` seconds.
From then on rows go to the overflow until the store can be written again; a span records how many rows were lost. Only one
thread removes rows from the queue, so no signal, which only interrupts the main thread, can lose a row in between.
"""

import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from tokenvis.errors import BadOption, StoreError, escaped, plural, quoted
from tokenvis.record.delivery import Delivery, save_to_overflow_file
from tokenvis.record.lifecycle import ProcessHooks, process, register
from tokenvis.record.overflow import MAX_UNSTORED_BYTES, size_of
from tokenvis.record.queue import LARGE_ROW_CHARACTERS, FlushRequest, RowQueue
from tokenvis.store.append import SpanRow
from tokenvis.store.connections import BUSY_TIMEOUT_S
from tokenvis.store.database import Target
from tokenvis.store.store import Store, as_store

WRITER_THREAD_NAME = "tokenvis-writer"
MAX_SPANS = 512
MAX_SECONDS = 1.0
BLOCK_TIMEOUT_S = 1.0
YIELD_TIMEOUT_S = 0.001
RETRY_INTERVAL_S = 1.0  # while the store cannot be written
SHORT_RETRY_INTERVAL_S = 0.1  # the same, while a thread waits for a flush
CLOSE_TIMEOUT_S = 5.0  # while the store cannot be written

log = logging.getLogger("tokenvis")


class Writer(ProcessHooks):
    """Stores rows with a short delay; any number of threads may use it.

    Parameters
    ----------
    store
        A `Store`, a path or URL, or None for the default database, which is created if it does not exist.
    max_spans, max_seconds
        The limits of rows that are accepted but not stored: how many, and for how long.
    open_rows
        Returns the rows of spans that are still open, to store with each batch; while there are any, a batch is written at
        least every ``max_seconds``.

    Raises
    ------
    StoreError
        The database cannot be used.
    BadOption
        A limit is not a positive number.
    """

    def __init__(
        self,
        store: Store | Target = None,
        *,
        max_spans: int = MAX_SPANS,
        max_seconds: float = MAX_SECONDS,
        open_rows: Callable[[], list[SpanRow]] | None = None,
    ) -> None:
        if not isinstance(max_spans, int) or max_spans < 1:
            raise BadOption(f"max_spans={quoted(max_spans)} is not a number of spans. Pass an integer of at least 1.")
        if not isinstance(max_seconds, int | float) or not 0 < max_seconds < threading.TIMEOUT_MAX:
            raise BadOption(f"max_seconds={quoted(max_seconds)} is not a duration. Pass a positive number of seconds.")
        self.store = as_store(store, create=True)
        self.max_spans, self.max_seconds, self._open_rows = max_spans, max_seconds, open_rows
        self._inherited: list[Delivery] = []
        self._reset()
        register(self)

    def _reset(self) -> None:
        """Start with an empty queue and no thread, in a new process or a forked child."""
        self._queue = RowQueue(self.max_spans)
        self._items = self._queue.items
        self._delivery = Delivery(self.store)
        self._run_lock = threading.Lock()  # held by the thread that removes rows from the queue
        self._thread: threading.Thread | None = None
        self._wakeup = threading.Lock()  # released to wake the thread; a lock, because signal handlers may release it too
        self._wakeup.acquire()
        self._is_idle = True  # the queue is empty, or there is no thread
        self._is_batch_requested = self._is_stalled = self._has_open_rows = self._has_backlog = self._is_inline = False
        self._stalled_bytes = 0  # of unstored rows while the store cannot be written
        self._next_retry = 0.0
        self._last_error = ""

    # Called by the program

    def put(self, row: SpanRow) -> None:
        """Accept a row; it replaces an earlier row with the same id."""
        if self._is_stalled:
            self._put_while_stalled(row)
            return
        self._items.append(row)
        if self._is_idle:
            self._wake_thread()
        if len(self._items) >= self._queue.high_watermark or len(row[6] or "") > LARGE_ROW_CHARACTERS:
            self._apply_backpressure(row)

    def name_trace(self, trace_id: str, name: str | None) -> None:
        """Create a trace with the next batch and set its name; None keeps its name, or uses its id."""
        self._delivery.name_trace(trace_id, name)

    def flush(self, timeout: float = BUSY_TIMEOUT_S) -> None:
        """Wait until all accepted rows are stored; on the writer thread, which may record its own log, return at once.

        Raises
        ------
        StoreError
            Nothing was stored for ``timeout`` seconds. The rows stay queued.
        """
        if self._is_writer_thread():
            return
        request = FlushRequest()
        self._send(request)
        if not self._queue.wait_for(request, timeout):
            reason = self._last_error or "The write is still running."
            raise StoreError(f"{self.store.path} stored no spans for {timeout:g} s: {reason} The spans stay queued.")

    def flush_within(self, timeout: float) -> bool:
        """Return whether all accepted rows are stored within the timeout; on the writer thread, return True at once."""
        if self._is_writer_thread():
            return True
        request = FlushRequest()
        self._send(request)
        return request.wait(timeout) and request.is_stored

    def request_flush(self) -> None:
        """Make the thread store all unstored rows now, without waiting for it."""
        self._send(FlushRequest())

    def flush_or_stall(self) -> None:
        """Wait until all accepted rows are stored, at most as long as a program may be blocked; then stop blocking."""
        if not self._is_stalled:
            try:
                self.flush(BLOCK_TIMEOUT_S)
            except StoreError:
                self._stop_blocking()

    def close(self) -> None:
        """Store all accepted rows and close the database; the next row opens it again.

        If the store cannot be written, this stops waiting after some seconds: the rows stay in an overflow file for the next
        recording into this database, and the log contains its path. While other threads continue to record, the database stays
        open.
        """
        if self._is_writer_thread() or not (self._run_lock.locked() or self._items or self._delivery.trace_names):
            return
        request = FlushRequest(is_closing=True)
        self._send(request)
        if not self._queue.wait_for(request, 2 * CLOSE_TIMEOUT_S):
            self._abandon_thread()
        elif request.thread is not None:
            request.thread.join(BLOCK_TIMEOUT_S)

    def request_close(self) -> None:
        """Make the thread store all unstored rows and end, without waiting for it."""
        if self._run_lock.locked() or self._items:  # with items, a thread may be about to start
            self._items.append(FlushRequest(is_closing=True))
            self._is_batch_requested = True
            self._release_wakeup()

    # Fork handlers

    def before_fork(self) -> bool:
        """Close the connection and keep it closed during the fork."""
        return self._delivery.pause(BLOCK_TIMEOUT_S)

    def after_fork_in_parent(self) -> None:
        """Continue."""
        self._delivery.resume()

    def after_fork_in_child(self) -> None:
        """Start with an empty queue; the parent's objects are neither used nor closed (see `lifecycle`)."""
        self._delivery.detach()
        self._inherited.append(self._delivery)
        self._reset()

    # Queueing

    def _is_writer_thread(self) -> bool:
        """Whether the caller is the thread that removes rows, which must never wait for itself."""
        return self._thread is threading.current_thread()

    def _send(self, request: FlushRequest) -> None:
        """Queue a flush request and wake the thread."""
        self._items.append(request)
        self._is_batch_requested = True
        self._wake_thread()

    def _wake_thread(self) -> None:
        """Wake the thread; start one if there is none; if none can start, write the rows in the calling thread."""
        if not self._run_lock.locked():
            try:
                if process.is_ending:
                    raise RuntimeError
                threading.Thread(target=self._run, name=WRITER_THREAD_NAME, daemon=True).start()  # a second one ends at once
            except RuntimeError:  # also raised by Python while the interpreter ends
                self._run(inline=True)
        self._release_wakeup()

    def _release_wakeup(self) -> None:
        """Wake the thread, or make its next wait return at once."""
        with suppress(RuntimeError):  # already released
            self._wakeup.release()

    def _apply_backpressure(self, row: SpanRow) -> None:
        """Request a batch, and wait if the queue is full; after a timeout, no thread waits any more."""
        is_full = self._queue.is_full(row)
        if (self._is_batch_requested and not is_full) or self._is_writer_thread():
            return
        if not self._is_batch_requested:
            self._is_batch_requested = True
            self._release_wakeup()
            self._queue.yield_to_writer(YIELD_TIMEOUT_S)
        if is_full and not self._queue.wait_for_room(BLOCK_TIMEOUT_S, row):
            self._stop_blocking()

    def _stop_blocking(self) -> None:
        """Block no thread until the store can be written again."""
        was_stalled, self._is_stalled = self._is_stalled, True
        if not was_stalled:
            message = "%s cannot be written. Spans are buffered, and the program continues. %s"
            log.warning(message, escaped(self.store.path), self._last_error)

    def _put_while_stalled(self, row: SpanRow) -> None:
        """Accept a row without blocking; if there is no room, count it as lost."""
        if self._stalled_bytes > MAX_UNSTORED_BYTES:
            self._delivery.count_lost(row)
            return
        self._stalled_bytes += size_of(row)
        self._items.append(row)
        if self._is_idle:
            self._wake_thread()
        elif len(self._items) >= self.max_spans:
            self._release_wakeup()

    def _abandon_thread(self) -> None:
        """Stop waiting for a thread that hangs in the store; at the end of the process, save its rows to an overflow file."""
        rows = self._queue.rows()
        log.error("%s does not respond. Not stored: %s.", escaped(self.store.path), plural(len(rows), "span"))
        if process.is_ending and rows:
            save_to_overflow_file(self.store, rows)

    # The writer thread

    def _run(self, *, inline: bool = False) -> None:
        """Write batches until a closing request; ``inline`` writes only the unstored rows. One thread runs at a time."""
        deadline = time.monotonic() + CLOSE_TIMEOUT_S
        while self._run_lock.acquire(blocking=False):
            try:
                self._thread, self._is_inline = threading.current_thread(), inline
                self._write_batches()
            finally:
                self._is_idle, self._thread = True, None
                self._run_lock.release()
            if not self._items or (inline and time.monotonic() > deadline):  # rows that came meanwhile started no thread
                return

    def _write_batches(self) -> None:
        """Write batches until the thread ends."""
        start = 0.0
        timeout = 0.0 if self._is_inline and self._last_error else CLOSE_TIMEOUT_S
        while True:
            if not self._is_ending():
                self._wait_for_rows()
            self._is_batch_requested = False
            is_done = self._write_batch()
            if not self._is_ending():
                continue
            start = start or time.monotonic()
            is_late = time.monotonic() - start >= timeout if is_done else self._queue.has_no_progress(start, timeout)
            if is_late or (is_done and not self._has_backlog):
                if self._finish(is_late=is_late):
                    return
                start = 0.0
            elif not is_done and not self._has_backlog:
                time.sleep(SHORT_RETRY_INTERVAL_S)

    def _is_ending(self) -> bool:
        """Whether the thread ends once all rows are stored."""
        return self._is_inline or process.is_ending or any(request.is_closing for request in self._queue.requests)

    def _wait_for_rows(self) -> None:
        """Sleep until rows are queued, and then until the next batch is due."""
        if self._has_backlog:
            return
        if not (self._items or self._queue.requests or self._is_stalled or self._has_open_rows):
            self._is_idle = True
            if not self._items:
                self._wakeup.acquire()
            self._is_idle = False
        if not self._is_batch_requested:
            interval = RETRY_INTERVAL_S if self._is_stalled else self.max_seconds / 2  # the other half is for writing
            self._wakeup.acquire(timeout=min(interval, SHORT_RETRY_INTERVAL_S) if self._queue.requests else interval)

    def _write_batch(self) -> bool:
        """Write all unstored rows and return whether all are stored. No fork happens in between."""
        with self._delivery.lock:
            open_rows = self._read_open_rows()  # before the rows of spans that have ended, which must override them
            self._queue.fill_batch()
            self._delivery.reopen_file()
            self._has_open_rows = bool(open_rows)
            if self._is_backing_off():
                self._move_to_overflow()
                return False
            if self._delivery.overflow:
                self._move_to_overflow()  # behind the older rows
            try:
                is_done = self._delivery.deliver([*open_rows, *self._queue.batch])
            except Exception as error:  # even an unexpected error must not stop later batches
                self._handle_failure(error)
                return False
            self._queue.mark_stored()
            self._has_backlog = not is_done or not self._delivery.is_recovered
            if is_done:
                self._handle_success()
            return is_done

    def _is_backing_off(self) -> bool:
        """Whether a write failed too recently to retry; at the end of the process, each late row would cost a timeout."""
        may_wait = self._is_inline if self._is_ending() else self._is_stalled
        return may_wait and time.monotonic() < self._next_retry

    def _read_open_rows(self) -> list[SpanRow]:
        """The rows of open spans; none while the store cannot be written."""
        if self._open_rows is None or self._is_stalled:
            return []
        try:
            return self._open_rows()
        except Exception:
            log.exception("Open spans could not be read.")
            return []

    def _handle_failure(self, error: Exception) -> None:
        """Keep the rows of a failed batch for the next retry."""
        message = str(error) if isinstance(error, StoreError) else f"{error!r}."
        if not isinstance(error, StoreError) and message != self._last_error:
            log.error("Spans could not be stored.", exc_info=error)
        self._last_error, self._next_retry, self._has_backlog = message, time.monotonic() + RETRY_INTERVAL_S, False
        if self._is_stalled or self._is_ending() or self._delivery.overflow:
            self._move_to_overflow()
        else:
            self._queue.requeue()

    def _move_to_overflow(self) -> None:
        """Move the batch to the overflow."""
        overflow = self._delivery.overflow
        overflow.add(self._queue.batch)
        self._stalled_bytes = overflow.n_bytes
        self._queue.clear_batch()

    def _handle_success(self) -> None:
        """Everything is stored: complete the flush requests, except closing ones."""
        was_stalled, self._is_stalled, self._last_error, self._stalled_bytes = self._is_stalled, False, "", 0
        completed = [request for request in self._queue.requests if not request.is_closing]
        self._queue.requests = [request for request in self._queue.requests if request.is_closing]
        for request in completed:
            request.complete(is_stored=True)
        if was_stalled:
            log.warning("%s can be written again. All buffered spans are stored.", escaped(self.store.path))

    def _finish(self, *, is_late: bool) -> bool:
        """Close the database, complete all requests, and return whether the thread ends: not if rows came meanwhile."""
        self._is_idle = True  # from here on, `put` checks whether there is a thread
        if is_late:
            self._write_batch()
        self._delivery.close()
        self._is_idle = is_last = is_late or self._is_inline or not self._items
        completed, self._queue.requests = self._queue.requests, []
        thread = threading.current_thread() if is_last and not self._is_inline else None
        for request in completed:
            request.complete(is_stored=request.is_closing, thread=thread)
        return is_last
