"""The writer: rows that a program puts, into the store, by a thread of its own.

*Accepted* is a row when `Writer.put` is back: it is in memory. *Stored* is it when it is committed: ``max_seconds`` later at
the latest, and never are more than ``max_spans`` accepted and not stored: there a program waits that is faster than the disk.

A store that takes nothing (a full disk, a database that is kept locked) holds the program up once, for `HELD_UP` seconds at the
most. From then on rows wait in the overflow, until the store takes them again; what was lost is stored as a span that says so.
One thread alone takes rows out, so that no signal, which only ever interrupts the main thread, can lose one in between.
"""

import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from tokenvis.errors import BadOption, StoreError, plural, quoted
from tokenvis.record.delivery import Delivery, leave
from tokenvis.record.lifecycle import Ending, process, register
from tokenvis.record.overflow import MOST_IN_MEMORY, size_of
from tokenvis.record.queue import LONG, Stored, Waiting
from tokenvis.store.append import Row
from tokenvis.store.connections import PATIENCE
from tokenvis.store.database import Target
from tokenvis.store.store import Store, opened

THREAD = "tokenvis-writer"
MAX_SPANS = 512
MAX_SECONDS = 1.0
HELD_UP = 1.0  # seconds
AT_ONCE = 0.001
RETRY = 1.0  # seconds between two tries of a store that takes nothing
BRIEFLY = 0.1  # the same, while somebody waits for it
LAST_TRY = 5.0  # seconds that closing takes at the most where the store takes nothing

log = logging.getLogger("tokenvis")


class Writer(Ending):
    """Puts rows into a store, soon; used by any number of threads.

    Parameters
    ----------
    store
        A `Store`, a path or URL, or None for the default database, which is created if it is not there.
    max_spans, max_seconds
        How many rows are accepted and not stored at the most, and for how long.
    pulse
        Gives rows to store with each batch: of spans that are still open; while there are any, there is a batch at least every
        ``max_seconds``.

    Raises
    ------
    StoreError
        The database cannot be used.
    BadOption
        A bound is no number above 0.
    """

    def __init__(
        self,
        store: Store | Target = None,
        *,
        max_spans: int = MAX_SPANS,
        max_seconds: float = MAX_SECONDS,
        pulse: Callable[[], list[Row]] | None = None,
    ) -> None:
        if not isinstance(max_spans, int) or max_spans < 1:
            raise BadOption(f"max_spans={quoted(max_spans)} is not a number of spans: a whole number from 1 on.")
        if not isinstance(max_seconds, int | float) or not 0 < max_seconds < threading.TIMEOUT_MAX:
            raise BadOption(f"max_seconds={quoted(max_seconds)} is not a time: a number of seconds above 0.")
        self.store = opened(store, create=True)
        self.max_spans, self.max_seconds, self._pulse = max_spans, max_seconds, pulse
        self._inherited: list[Delivery] = []
        self._begin()
        register(self)

    def _begin(self) -> None:
        """Begin with nothing, as a process does, and a child that was forked."""
        self._waiting = Waiting(self.max_spans)
        self._items = self._waiting.items
        self._delivery = Delivery(self.store)
        self._alive = threading.Lock()  # held by the thread as long as it takes rows out
        self._thread: threading.Thread | None = None
        self._gate = threading.Lock()  # open where the thread has something to do; a lock, since signals may come in between
        self._gate.acquire()
        self._asleep = True  # nothing waits, or there is no thread
        self._called = self._stuck = self._has_open = self._has_more = self._is_brief = False
        self._n_held = 0  # bytes of rows that wait while nothing is taken
        self._next_try = 0.0
        self._error = ""

    # What a program calls

    def put(self, row: Row) -> None:
        """Accept a row; one with the same id replaces the one before."""
        if self._stuck:
            self._put_beside(row)
            return
        self._items.append(row)
        if self._asleep:
            self._rouse()
        if len(self._items) >= self._waiting.crowded or len(row[6] or "") > LONG:
            self._crowd(row)

    def name_trace(self, trace_id: str, name: str | None) -> None:
        """Make a trace, with the next batch, and give it a name; without one it keeps its own, else is called by its id."""
        self._delivery.name_trace(trace_id, name)

    def flush(self, patience: float = PATIENCE) -> None:
        """Wait until all that was accepted is stored; the thread itself, whose log somebody records, waits for nothing.

        Raises
        ------
        StoreError
            The store took nothing for so many seconds. It waits on.
        """
        if self._is_thread():
            return
        stored = Stored()
        self._ask(stored)
        if not self._waiting.is_over(stored, patience):
            reason = self._error or "It is slow."
            raise StoreError(f"{self.store.path} took no spans for {patience:g} s: {reason} They wait to be stored.")

    def is_stored_within(self, seconds: float) -> bool:
        """Whether all that was accepted is stored so many seconds later at the latest; the thread itself waits for nothing."""
        if self._is_thread():
            return True
        stored = Stored()
        self._ask(stored)
        return stored.is_told(seconds) and stored.is_stored

    def hasten(self) -> None:
        """Have what waits stored at once, and wait for nothing."""
        self._ask(Stored())

    def settle(self) -> None:
        """Wait until all that was accepted is stored, for as long as a program may be held up; then it waits beside."""
        if not self._stuck:
            try:
                self.flush(HELD_UP)
            except StoreError:
                self._give_up()

    def close(self) -> None:
        """Store all that was accepted, and let go of the file; what is put later starts anew.

        Where the store takes nothing, this gives up after some seconds: the rows stay in a file that the next recording into
        this database takes in, and the log says so. Where other threads go on recording, the file is not let go of.
        """
        if self._is_thread() or not (self._alive.locked() or self._items or self._delivery.names):
            return
        last = Stored(is_last=True)
        self._ask(last)
        if not self._waiting.is_over(last, 2 * LAST_TRY):
            self._abandon()
        elif last.thread is not None:
            last.thread.join(HELD_UP)

    def retire(self) -> None:
        """Have the thread store what waits, and end; this does not wait for it."""
        if self._alive.locked() or self._items:  # it may be about to begin
            self._items.append(Stored(is_last=True))
            self._called = True
            self._open_gate()

    # Forks

    def before_fork(self) -> bool:
        """Close the connection, and keep it closed until the child is there."""
        return self._delivery.pause(HELD_UP)

    def after_fork(self) -> None:
        """Go on."""
        self._delivery.resume()

    def begin_anew(self) -> None:
        """Begin with nothing, in the child; what is the parent's is neither used again nor closed (see `lifecycle`)."""
        self._delivery.disown()
        self._inherited.append(self._delivery)
        self._begin()

    # Waiting

    def _is_thread(self) -> bool:
        """Whether the caller is the one who takes rows out, who must never wait for itself."""
        return self._thread is threading.current_thread()

    def _ask(self, stored: Stored) -> None:
        """Have all that waits stored now."""
        self._items.append(stored)
        self._called = True
        self._rouse()

    def _rouse(self) -> None:
        """Let the thread know that something waits; start it where there is none, and where none can start, do its work."""
        if not self._alive.locked():
            try:
                if process.is_ending:
                    raise RuntimeError
                threading.Thread(target=self._run, name=THREAD, daemon=True).start()  # one too many ends at once
            except RuntimeError:  # which threads that are started too late raise too
                self._run(briefly=True)
        self._open_gate()

    def _open_gate(self) -> None:
        """Let the thread go on where it sleeps, or the next time that it would."""
        with suppress(RuntimeError):  # it is open
            self._gate.release()

    def _crowd(self, row: Row) -> None:
        """Much waits: have it written now, and wait where it is too much; who waits in vain does so for all others too."""
        is_full = self._waiting.is_full(row)
        if (self._called and not is_full) or self._is_thread():
            return
        if not self._called:
            self._called = True
            self._open_gate()
            self._waiting.let_begin(AT_ONCE)
        if is_full and not self._waiting.has_room_within(HELD_UP, row):
            self._give_up()

    def _give_up(self) -> None:
        """Hold nobody up any more until the store takes something."""
        was_stuck, self._stuck = self._stuck, True
        if not was_stuck:
            log.warning("%s takes no spans. They wait beside it, and the program goes on. %s", self.store.path, self._error)

    def _put_beside(self, row: Row) -> None:
        """Accept a row while the store takes nothing, as long as there is room."""
        if self._n_held > MOST_IN_MEMORY:
            self._delivery.lose(row)
            return
        self._n_held += size_of(row)
        self._items.append(row)
        if self._asleep:
            self._rouse()
        elif len(self._items) >= self.max_spans:
            self._open_gate()

    def _abandon(self) -> None:
        """The thread does not come back from the store: at the end of the process, leave beside it what would end with it."""
        rows = self._waiting.rows()
        log.error("%s does not answer, and is to get %s.", self.store.path, plural(len(rows), "span"))
        if process.is_ending and rows:
            leave(self.store, rows)

    # The thread

    def _run(self, *, briefly: bool = False) -> None:
        """Write what waits; ``briefly`` what waits now, else until somebody is the last. One thread at a time does so."""
        until = time.monotonic() + LAST_TRY
        while self._alive.acquire(blocking=False):
            try:
                self._thread, self._is_brief = threading.current_thread(), briefly
                self._work()
            finally:
                self._asleep, self._thread = True, None
                self._alive.release()
            if not self._items or (briefly and time.monotonic() > until):  # nobody was roused by what came meanwhile
                return

    def _work(self) -> None:
        """Write what waits, until that was the last."""
        begun = 0.0
        patience = 0.0 if self._is_brief and self._error else LAST_TRY
        while True:
            if not self._is_ending():
                self._sleep()
            self._called = False
            is_done = self._write()
            if not self._is_ending():
                continue
            begun = begun or time.monotonic()
            is_late = time.monotonic() - begun >= patience if is_done else self._waiting.is_stalled(begun, patience)
            if is_late or (is_done and not self._has_more):
                if self._end(is_late=is_late):
                    return
                begun = 0.0
            elif not is_done and not self._has_more:
                time.sleep(BRIEFLY)

    def _is_ending(self) -> bool:
        """Whether the thread ends once nothing waits."""
        return self._is_brief or process.is_ending or any(one.is_last for one in self._waiting.pending)

    def _sleep(self) -> None:
        """Sleep until something waits, and then for as long as that may."""
        if self._has_more:
            return
        if not (self._items or self._waiting.pending or self._stuck or self._has_open):
            self._asleep = True
            if not self._items:
                self._gate.acquire()
            self._asleep = False
        if not self._called:
            usual = RETRY if self._stuck else self.max_seconds / 2  # the other half is for writing
            self._gate.acquire(timeout=min(usual, BRIEFLY) if self._waiting.pending else usual)

    def _write(self) -> bool:
        """Write all that waits now; whether all is stored. No fork comes in between."""
        with self._delivery.writing:
            running = self._still_open()  # before the ends, which follow them
            self._waiting.take()
            self._delivery.take_up()
            self._has_open = bool(running)
            if self._is_waiting_for_store():
                self._put_aside()
                return False
            if self._delivery.overflow:
                self._put_aside()  # after what is older
            try:
                is_done = self._delivery.deliver([*running, *self._waiting.taken])
            except Exception as error:  # one that nobody thought of keeps nothing from being stored later
                self._fail(error)
                return False
            self._waiting.be_stored()
            self._has_more = not is_done or not self._delivery.has_looked
            if is_done:
                self._be_done()
            return is_done

    def _is_waiting_for_store(self) -> bool:
        """Whether the store took nothing just now; at the end of the process each row that comes so late would take long."""
        holds_nobody_up = self._is_brief if self._is_ending() else self._stuck
        return holds_nobody_up and time.monotonic() < self._next_try

    def _still_open(self) -> list[Row]:
        """The rows of spans that are open; while the store takes nothing, they are not asked for."""
        if self._pulse is None or self._stuck:
            return []
        try:
            return self._pulse()
        except Exception:
            log.exception("The spans that are open could not be looked at.")
            return []

    def _fail(self, error: Exception) -> None:
        """Nothing was stored: keep it, and try again later."""
        said = str(error) if isinstance(error, StoreError) else f"{error!r}."
        if not isinstance(error, StoreError) and said != self._error:
            log.error("Spans could not be stored.", exc_info=error)
        self._error, self._next_try, self._has_more = said, time.monotonic() + RETRY, False
        if self._stuck or self._is_ending() or self._delivery.overflow:
            self._put_aside()
        else:
            self._waiting.put_back()

    def _put_aside(self) -> None:
        """Keep what was taken beside the store."""
        overflow = self._delivery.overflow
        overflow.take(self._waiting.taken)
        self._n_held = overflow.n_bytes
        self._waiting.be_done()

    def _be_done(self) -> None:
        """All is stored: say so to those who wait."""
        was_stuck, self._stuck, self._error, self._n_held = self._stuck, False, "", 0
        waited = [one for one in self._waiting.pending if not one.is_last]
        self._waiting.pending = [one for one in self._waiting.pending if one.is_last]
        for one in waited:
            one.tell(is_stored=True)
        if was_stuck:
            log.warning("%s takes spans again, and has all that waited.", self.store.path)

    def _end(self, *, is_late: bool) -> bool:
        """Let go of the file, and tell those who wait for that; whether the thread ends: not where more was put meanwhile."""
        self._asleep = True  # whoever puts something from here on looks whether there is a thread
        if is_late:
            self._write()
        self._delivery.close()
        self._asleep = is_last = is_late or self._is_brief or not self._items
        waited, self._waiting.pending = self._waiting.pending, []
        ends = threading.current_thread() if is_last and not self._is_brief else None
        for one in waited:
            one.tell(is_stored=one.is_last, thread=ends)
        return is_last
