"""Delivery: write rows to the store, or to the overflow while the store fails; record how many rows were lost.

Overflow files that earlier recordings left for this database are stored too, after the new rows.
"""

import logging
import os
import secrets
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress

from tokenvis.errors import escaped, plural
from tokenvis.record.overflow import LossesByTrace, Overflow, OverflowFile, abandoned_files
from tokenvis.record.snapshot import json_text
from tokenvis.spans.losses import LOST_COUNT_KEY, LOST_LOCATION
from tokenvis.store.append import Appender, SpanRow
from tokenvis.store.store import Store

LOST_AGENT = "tokenvis"
CHUNKS_PER_DELIVERY = 8  # of the backlog, after each batch of new rows

log = logging.getLogger("tokenvis")


class Delivery:
    """Writes rows to a store, on the thread that holds ``lock``; any thread may call `name_trace` and `count_lost`, or fork.

    ``overflow`` contains the rows that the store has not accepted yet.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self.trace_names: dict[str, str | None] = {}  # not stored yet
        self.appender = Appender(store)
        self.overflow = self._empty_overflow()
        self.lock = threading.RLock()  # no fork happens while the thread works: the child would inherit held locks
        self.loss_rows: list[SpanRow] = []  # not stored yet
        self.released_file: OverflowFile | None = None  # our own, since the last `close`
        self.abandoned: Iterator[OverflowFile] | None = None  # files of other processes; None before the search
        self.abandoned_file: OverflowFile | None = None  # the one that is being stored
        self.is_recovered = False  # whether all abandoned files are in the store

    def _empty_overflow(self) -> Overflow:
        return Overflow(self.store.path, f"{os.getpid()}-{secrets.token_hex(4)}")

    def name_trace(self, trace_id: str, name: str | None) -> None:
        """Create a trace with the next rows and set its name; None keeps the name that it has."""
        if name is None:
            self.trace_names.setdefault(trace_id, None)
        else:
            self.trace_names[trace_id] = name

    def count_lost(self, row: SpanRow) -> None:
        """Count a lost row."""
        self.overflow.losses.count(row)

    def reopen_file(self) -> None:
        """Continue with the file that the last `close` released: its rows are older than all new rows."""
        if self.released_file:
            self.overflow.file, self.released_file = self.released_file.reopen(), None

    def deliver(self, rows: Sequence[SpanRow]) -> bool:
        """Store rows, part of the backlog, and the counts of lost rows; return whether this recording's backlog is empty.

        Raises
        ------
        StoreError
            The store cannot be written. Delivering the same rows again is safe.
        """
        self._store(rows)
        for _ in range(CHUNKS_PER_DELIVERY):
            if not self.overflow:
                break
            self._store(chunk := self.overflow.oldest())
            self.overflow.discard(chunk)
        self._store_losses()
        if not (self.overflow or self.is_recovered):
            self._recover()
        return not self.overflow

    def _store(self, rows: Sequence[SpanRow]) -> None:
        """Append rows and trace names to the store; count the rows that it refuses as lost."""
        names = {trace: self.trace_names.pop(trace) for trace in list(self.trace_names)}
        if not rows and not names:
            return
        try:
            refused = self.appender.append(rows, names)
        except BaseException:
            for trace, name in names.items():
                if self.trace_names.get(trace) is None:  # no newer name was set meanwhile
                    self.trace_names[trace] = name
            raise
        for row in refused:
            if row[3] != LOST_LOCATION:
                self.count_lost(row)

    def _store_losses(self) -> None:
        """Store one span with the number of lost rows in each affected trace."""
        if losses := self.overflow.losses.drain():
            self.loss_rows += rows_of_losses(losses)
            count = plural(sum(loss[0] for loss in losses.values()), "span")
            log.error(
                "%s: %s lost while recording. Spans of kind %r show where.", escaped(self.store.path), count, LOST_LOCATION
            )
        self._store(self.loss_rows)
        self.loss_rows = []

    def _recover(self) -> None:
        """Store part of the files that finished recordings left for this database."""
        self.abandoned = abandoned_files(self.store.path) if self.abandoned is None else self.abandoned
        for _ in range(CHUNKS_PER_DELIVERY):
            self.abandoned_file = self.abandoned_file or next(self.abandoned, None)
            if self.abandoned_file is None:
                self.is_recovered = True
                return
            self._store(self.abandoned_file.oldest())
            self.abandoned_file.advance()
            if self.abandoned_file.is_empty:
                self.abandoned_file.remove()
                self.abandoned_file = None

    def close(self) -> None:
        """Close the database; leave the backlog in an overflow file and log its path."""
        with self.lock:
            self.appender.close()
            if self.abandoned_file:
                self.abandoned_file.release()
            self.abandoned, self.abandoned_file, self.is_recovered = None, None, False
            if self.overflow or self.overflow.losses or self.loss_rows:
                self._release_overflow()

    def _release_overflow(self) -> None:
        """Leave the backlog and the loss counts in the overflow file; without a file, keep only the loss counts in memory."""
        overflow, self.overflow = self.overflow, self._empty_overflow()
        for row in overflow.memory:
            overflow.losses.count(row)
        losses = overflow.losses.drain()
        if losses:
            count = plural(sum(loss[0] for loss in losses.values()), "span")
            log.error("Neither %s nor an overflow file could be written: %s lost.", escaped(self.store.path), count)
            self.loss_rows += rows_of_losses(losses)
        if file := overflow.file:
            if file.write(self.loss_rows, ignore_limit=True):
                self.loss_rows = []
            log.error(
                "%s could not be written. %s contains %s. The next recording, or `tokenvis ingest`, stores that file.",
                *(escaped(self.store.path), escaped(file.path), plural(file.n_rows, "span")),
            )
            file.release()
            self.released_file = file

    # Fork handlers

    def pause(self, timeout: float) -> bool:
        """Close the connection and keep it closed; return False if that was impossible within the timeout."""
        if not self.lock.acquire(timeout=timeout):
            return False
        self.appender.close()
        return True

    def resume(self) -> None:
        """Continue after a pause; without a pause, which an interrupt may have prevented, do nothing."""
        with suppress(RuntimeError):  # this thread does not hold the lock
            self.lock.release()

    def detach(self) -> None:
        """In a forked child: leave the files and the backlog in memory to the parent."""
        for file in (self.overflow.file, self.abandoned_file):
            if file:
                file.close()
        self.overflow = self._empty_overflow()


def save_to_overflow_file(store: Store, rows: Sequence[SpanRow]) -> None:
    """Save rows next to a store that does not respond, as the process ends."""
    delivery = Delivery(store)
    delivery.overflow.add(rows)
    delivery.close()


def rows_of_losses(losses: LossesByTrace) -> list[SpanRow]:
    """One span per trace with the number of its lost rows."""
    rows: list[SpanRow] = []
    for trace, (count, start, end) in losses.items():
        data = {"label": f"{plural(count, 'span')} lost", "kind": LOST_LOCATION, "status": "error", LOST_COUNT_KEY: count}
        span = f"{trace}/lost-{secrets.token_hex(6)}"
        rows.append((span, trace, LOST_AGENT, LOST_LOCATION, start, end, json_text(data)))
    return rows
