"""The terminal: a watch as a command. It looks again and again, and says which sessions grew, a line for each.

The last line is written over where its session goes on growing, if it stands in a terminal. Any other session gets a line every
half minute at most; what it grew by meanwhile is summed up.
"""

import shutil
import sys
import time
from typing import TextIO

from tokenvis.errors import StoreError, plural
from tokenvis.ingestion.watch.watch import Change, Watch
from tokenvis.output import one_line

CALM = 30.0  # seconds between two lines of one session
IMPATIENCE = 2.0  # seconds of a look after which what it found so far is told
EASE = 4  # so many times as long as a look took is the pause after it, at least
MOST = 12  # lines at once
NAME = 40  # characters of a name
OVER = "\r\x1b[K"


class Ticker:
    """The lines: ``sums`` are of what is still to be told, by trace; ``last`` is the trace whose line can be written over."""

    def __init__(self, *, rewrites: bool) -> None:
        self.rewrites = rewrites
        self.sums: dict[str, Change] = {}
        self.told_at: dict[str, float] = {}
        self.last: str | None = None

    def tell(self, changes: list[Change], *, now: bool = False) -> None:
        """Write the lines that are due; ``now``, all."""
        for change in changes:
            self.sums[change.trace_id] = summed(self.sums.get(change.trace_id), change)
        told = [change.trace_id for change in changes]
        told += [trace for trace in self.sums if trace not in told and trace != self.last]
        due = [
            trace for trace in told if now or trace == self.last or time.monotonic() - self.told_at.get(trace, -CALM) >= CALM
        ]
        for trace in due[:MOST]:
            self.write(trace)
        if rest := due[MOST:]:
            n_added = sum(self.sums.pop(trace).added for trace in rest)
            self.say(f"and {plural(len(rest), 'session')} more: {plural(n_added, 'span')} added")

    def write(self, trace: str) -> None:
        """Write the line of a session, over its last one where that is the last of all."""
        self.told_at[trace] = time.monotonic()
        if trace != self.last:
            self.end_line()
        if not self.rewrites:
            print(line_of(self.sums.pop(trace)), flush=True)
            return
        width = shutil.get_terminal_size().columns - 1
        print(f"{OVER}{line_of(self.sums[trace])[:width]}", end="", flush=True)
        self.last = trace

    def end_line(self) -> None:
        """Leave the last line as it is."""
        if self.last is not None:
            print(flush=True)
            self.sums.pop(self.last, None)
            self.last = None

    def say(self, text: str, file: TextIO | None = None) -> None:
        """Write a line of another kind."""
        self.end_line()
        print(text, file=file or sys.stdout, flush=True)


def summed(before: Change | None, change: Change) -> Change:
    """Two changes of one trace as one."""
    if before is None:
        return change
    return change._replace(
        added=before.added + change.added, updated=before.updated + change.updated, removed=before.removed + change.removed
    )


def line_of(change: Change) -> str:
    """What a session grew by, and what it has by now."""
    parts = [f"{plural(change.added, 'span')} added", f"{change.updated:,} updated"]
    parts += [f"{change.removed:,} taken back"] if change.removed else []
    parts += [f"{change.n_open:,} open"] if change.n_open else []
    return f"{one_line(change.name, NAME)}: {', '.join(parts)}; {change.n_spans:,} in all"


def follow(watch: Watch, *, every: float = 1.0, once: bool = False) -> None:
    """Look every so many seconds until Ctrl-C is pressed, or just once; a database that cannot be written is waited for."""
    ticker = Ticker(rewrites=sys.stdout.isatty() and not once)
    ticker.say(f"Database: {watch.store.path}")
    for place in watch.places:
        ticker.say(f"Watching: {one_line(str(place))}{'' if place.exists() else ' (not there yet)'}")
    try:
        if once:
            n_changes = look(ticker, watch)
            ticker.tell([], now=True)
            tell_problems(ticker, watch)
            if not n_changes:
                ticker.say("Nothing new.")
            return
        ticker.say("Ctrl-C ends it.")
        while True:
            look_again(ticker, watch, every)
    except KeyboardInterrupt:
        ticker.end_line()
        ticker.tell([], now=True)
        ticker.say("Stopped. The same command goes on from here.")


def look(ticker: Ticker, watch: Watch) -> int:
    """One look, and how much it changed; what one that takes long finds is told meanwhile."""
    found: list[Change] = []
    n_changes, told_at = 0, time.monotonic()
    try:
        for change in watch.changes():
            found.append(change)
            n_changes += 1
            if time.monotonic() - told_at >= IMPATIENCE:
                ticker.tell(found)
                found, told_at = [], time.monotonic()
    finally:
        ticker.tell(found)
    return n_changes


def look_again(ticker: Ticker, watch: Watch, every: float) -> None:
    """One look that succeeds, and the pause after it."""
    complaint = None
    while True:
        start = time.monotonic()
        try:
            look(ticker, watch)
        except StoreError as error:
            if complaint is None:
                ticker.say(f"tokenvis: {error} It is tried again until it works; nothing is missed.", sys.stderr)
            complaint = error
            time.sleep(every)
            continue
        if complaint is not None:
            ticker.say("It works again.", sys.stderr)
        tell_problems(ticker, watch)
        time.sleep(max(every, EASE * (time.monotonic() - start)))
        return


def tell_problems(ticker: Ticker, watch: Watch) -> None:
    """Say what could not be read."""
    for problem in watch.problems[:MOST]:
        ticker.say(f"Problem: {one_line(str(problem))}", sys.stderr)
    if len(watch.problems) > MOST:
        ticker.say(f"and {plural(len(watch.problems) - MOST, 'problem')} more", sys.stderr)
