"""Delivery: rows into the store; where it takes none, beside it, until it does; and a word on what was lost.

What recordings before left beside the database is taken in too, once it takes what is new.
"""

import logging
import os
import secrets
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress

from tokenvis.errors import plural
from tokenvis.record.overflow import Lost, Overflow, Spill, left_behind
from tokenvis.record.snapshot import json_text
from tokenvis.spans.losses import LOST, NUMBER
from tokenvis.store.append import Appender, Row
from tokenvis.store.store import Store

LOST_AGENT = "tokenvis"
AT_A_TIME = 8  # chunks of what waited, before a look at what is new

log = logging.getLogger("tokenvis")


class Delivery:
    """Brings rows to a store; used by one thread, which holds ``writing``, but for `name_trace`, `lose`, and the forks.

    ``overflow`` holds what waits beside the store.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self.names: dict[str, str | None] = {}  # of traces, to be stored
        self.appender = Appender(store)
        self.overflow = self._empty_overflow()
        self.writing = threading.RLock()  # held while the thread does anything: a child would keep what others hold in between
        self.lost_rows: list[Row] = []  # which say what was lost, to be stored
        self.own_left: Spill | None = None  # the file that was left at the last `close`
        self.left: Iterator[Spill] | None = None  # what others left; None before a look
        self.spill: Spill | None = None  # the one of these that is being taken in
        self.has_looked = False  # all that others left is in the store

    def _empty_overflow(self) -> Overflow:
        return Overflow(self.store.path, f"{os.getpid()}-{secrets.token_hex(4)}")

    def name_trace(self, trace_id: str, name: str | None) -> None:
        """Make a trace, with the next rows, and give it a name; without one it keeps its own."""
        if name is None:
            self.names.setdefault(trace_id, None)
        else:
            self.names[trace_id] = name

    def lose(self, row: Row) -> None:
        """Count a row that is lost."""
        self.overflow.losses.count(row)

    def take_up(self) -> None:
        """Go on with the file that was left at the last `close`: what is in it is older than all that follows."""
        if self.own_left:
            self.overflow.file, self.own_left = self.own_left.reopened(), None

    def deliver(self, rows: Sequence[Row]) -> bool:
        """Store rows, how many were lost, and some of what waits beside; whether all of this recording is stored.

        Raises
        ------
        StoreError
            The store takes none. All can be delivered again.
        """
        self._store(rows)
        for _ in range(AT_A_TIME):
            if not self.overflow:
                break
            self._store(chunk := self.overflow.oldest())
            self.overflow.done(chunk)
        self._store_lost()
        if not (self.overflow or self.has_looked):
            self._take_over()
        return not self.overflow

    def _store(self, rows: Sequence[Row]) -> None:
        """Put rows into the store, and names; rows that it refuses are lost."""
        names = {trace: self.names.pop(trace) for trace in list(self.names)}
        if not rows and not names:
            return
        try:
            refused = self.appender.append(rows, names)
        except BaseException:
            for trace, name in names.items():
                if self.names.get(trace) is None:  # no newer one has come
                    self.names[trace] = name
            raise
        for row in refused:
            if row[3] != LOST:
                self.lose(row)

    def _store_lost(self) -> None:
        """Put a span for what was lost, with how many, into each trace."""
        if lost := self.overflow.losses.taken():
            self.lost_rows += rows_for(lost)
            count = plural(sum(told[0] for told in lost.values()), "span")
            log.error("%s: %s lost in recording. Spans of the kind %r say where.", self.store.path, count, LOST)
        self._store(self.lost_rows)
        self.lost_rows = []

    def _take_over(self) -> None:
        """Store some of what recordings into this database left that are gone."""
        self.left = left_behind(self.store.path) if self.left is None else self.left
        for _ in range(AT_A_TIME):
            self.spill = self.spill or next(self.left, None)
            if self.spill is None:
                self.has_looked = True
                return
            self._store(self.spill.oldest())
            self.spill.done()
            if self.spill.is_empty:
                self.spill.remove()
                self.spill = None

    def close(self) -> None:
        """Let go of the file; what the store did not take stays beside it, and the log says where."""
        with self.writing:
            self.appender.close()
            if self.spill:
                self.spill.leave()
            self.left, self.spill, self.has_looked = None, None, False
            if self.overflow or self.overflow.losses or self.lost_rows:
                self._leave()

    def _leave(self) -> None:
        """Leave what waits in a file, with a word on what was lost; without one, remember how much that was."""
        overflow, self.overflow = self.overflow, self._empty_overflow()
        for row in overflow.memory:
            overflow.losses.count(row)
        lost = overflow.losses.taken()
        if lost:
            count = plural(sum(told[0] for told in lost.values()), "span")
            log.error("%s took nothing, nor did a file: %s lost.", self.store.path, count)
            self.lost_rows += rows_for(lost)
        if file := overflow.file:
            if file.write(self.lost_rows, beyond=True):
                self.lost_rows = []
            log.error(
                "%s took nothing. %s holds %s for it: the next recording takes that in, or `tokenvis ingest`.",
                *(self.store.path, file.path, plural(file.n_rows, "span")),
            )
            file.leave()
            self.own_left = file

    # Forks

    def pause(self, patience: float) -> bool:
        """Close the connection, and keep it closed; False where it could not be in time."""
        if not self.writing.acquire(timeout=patience):
            return False
        self.appender.close()
        return True

    def resume(self) -> None:
        """Go on after a pause, if there was one; an interrupt may have come before it, or in it."""
        with suppress(RuntimeError):  # it is not ours
            self.writing.release()

    def disown(self) -> None:
        """Leave all to the parent, in a child: its files, and what waits in its memory."""
        for file in (self.overflow.file, self.spill):
            if file:
                file.close()
        self.overflow = self._empty_overflow()


def leave(store: Store, rows: Sequence[Row]) -> None:
    """Leave rows beside a store that answers nothing, as the process ends."""
    delivery = Delivery(store)
    delivery.overflow.take(rows)
    delivery.close()


def rows_for(lost: Lost) -> list[Row]:
    """A span for each trace that says how many of it were lost."""
    rows: list[Row] = []
    for trace, (count, start, end) in lost.items():
        data = {"label": f"{plural(count, 'span')} lost", "kind": LOST, "status": "error", NUMBER: count}
        span = f"{trace}/lost-{secrets.token_hex(6)}"
        rows.append((span, trace, LOST_AGENT, LOST, start, end, json_text(data)))
    return rows
