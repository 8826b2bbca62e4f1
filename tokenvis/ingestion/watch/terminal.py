"""The terminal: `tokenvis watch` polls the sessions, and prints a line for each that has grown.

In a terminal, the last line is overwritten while its session keeps growing. Every other session gets at most one line per half
minute, with the sum of its changes since the last one.
"""

import shutil
import sys
import time
from typing import TextIO

from tokenvis.errors import StoreError, escaped, plural
from tokenvis.ingestion.watch.watch import Change, Watch
from tokenvis.output import one_line

LINE_INTERVAL_S = 30.0  # minimum time between two lines of one session
PROGRESS_INTERVAL_S = 2.0  # a poll that takes longer prints the changes found so far
PAUSE_PER_POLL = 4  # the pause after a poll is at least this multiple of its duration
MAX_LINES_AT_ONCE = 12  # of one poll; the rest is summed up
MAX_NAME_LENGTH = 40  # characters
CLEAR_LINE = "\r\x1b[K"


class Terminal:
    """Prints the lines. ``sums`` are the changes to print, by trace; ``last`` is the trace whose line can be overwritten."""

    def __init__(self, *, rewrites: bool) -> None:
        self.rewrites = rewrites
        self.sums: dict[str, Change] = {}
        self.printed_at: dict[str, float] = {}
        self.last: str | None = None

    def print_changes(self, changes: list[Change], *, force: bool = False) -> None:
        """Print the lines that are due; all of them if ``force``."""
        for change in changes:
            self.sums[change.trace_id] = combined(self.sums.get(change.trace_id), change)
        traces = [change.trace_id for change in changes]
        traces += [trace for trace in self.sums if trace not in traces and trace != self.last]
        due = [
            trace
            for trace in traces
            if force or trace == self.last or time.monotonic() - self.printed_at.get(trace, -LINE_INTERVAL_S) >= LINE_INTERVAL_S
        ]
        for trace in due[:MAX_LINES_AT_ONCE]:
            self.print_line(trace)
        if rest := due[MAX_LINES_AT_ONCE:]:
            n_added = sum(self.sums.pop(trace).added for trace in rest)
            self.print_text(f"and {plural(len(rest), 'more session')}: {plural(n_added, 'span')} added")

    def print_line(self, trace: str) -> None:
        """Print the line of a session, over its previous one if that is the last line."""
        self.printed_at[trace] = time.monotonic()
        if trace != self.last:
            self.end_line()
        if not self.rewrites:
            print(change_line(self.sums.pop(trace)), flush=True)
            return
        width = shutil.get_terminal_size().columns - 1
        print(f"{CLEAR_LINE}{change_line(self.sums[trace])[:width]}", end="", flush=True)
        self.last = trace

    def end_line(self) -> None:
        """End the last line, so that it is not overwritten."""
        if self.last is not None:
            print(flush=True)
            self.sums.pop(self.last, None)
            self.last = None

    def print_text(self, text: str, file: TextIO | None = None) -> None:
        """Print any other line."""
        self.end_line()
        print(text, file=file or sys.stdout, flush=True)


def combined(earlier: Change | None, change: Change) -> Change:
    """Two changes of one trace added up."""
    if earlier is None:
        return change
    return change._replace(
        added=earlier.added + change.added, updated=earlier.updated + change.updated, removed=earlier.removed + change.removed
    )


def change_line(change: Change) -> str:
    """The line of a change: what was added to a session, and its size now."""
    parts = [f"{plural(change.added, 'span')} added", f"{change.updated:,} updated"]
    parts += [f"{change.removed:,} removed"] if change.removed else []
    parts += [f"{change.n_open:,} open"] if change.n_open else []
    return f"{one_line(change.name, MAX_NAME_LENGTH)}: {', '.join(parts)}; {change.n_spans:,} in all"


def follow_in_terminal(watch: Watch, *, every: float = 1.0, once: bool = False) -> None:
    """Poll every ``every`` seconds until Ctrl-C is pressed, or just ``once``; failed writes to the database are retried."""
    terminal = Terminal(rewrites=sys.stdout.isatty() and not once)
    terminal.print_text(f"Database: {escaped(watch.store.path)}")
    for path in watch.paths:
        terminal.print_text(f"Watching: {escaped(path)}{'' if path.exists() else ' (does not exist yet)'}")
    try:
        if once:
            n_changes = poll_once(terminal, watch)
            terminal.print_changes([], force=True)
            print_problems(terminal, watch)
            if not n_changes:
                terminal.print_text("Nothing new.")
            return
        terminal.print_text("Press Ctrl-C to stop.")
        while True:
            poll_until_stored(terminal, watch, every)
    except KeyboardInterrupt:
        terminal.end_line()
        terminal.print_changes([], force=True)
        terminal.print_text("Stopped. Run the same command to continue.")


def poll_once(terminal: Terminal, watch: Watch) -> int:
    """Poll once; returns the number of changes. A long poll prints its changes as it finds them."""
    unprinted: list[Change] = []
    n_changes, printed_at = 0, time.monotonic()
    try:
        for change in watch.changes():
            unprinted.append(change)
            n_changes += 1
            if time.monotonic() - printed_at >= PROGRESS_INTERVAL_S:
                terminal.print_changes(unprinted)
                unprinted, printed_at = [], time.monotonic()
    finally:
        terminal.print_changes(unprinted)
    return n_changes


def poll_until_stored(terminal: Terminal, watch: Watch, every: float) -> None:
    """Poll until the database accepts the changes, then pause."""
    failure = None
    while True:
        start = time.monotonic()
        try:
            poll_once(terminal, watch)
        except StoreError as error:
            if failure is None:
                terminal.print_text(f"tokenvis: {error} Retrying until it works; no span is lost.", sys.stderr)
            failure = error
            time.sleep(every)
            continue
        if failure is not None:
            terminal.print_text("The database can be written again.", sys.stderr)
        print_problems(terminal, watch)
        time.sleep(max(every, PAUSE_PER_POLL * (time.monotonic() - start)))
        return


def print_problems(terminal: Terminal, watch: Watch) -> None:
    """Print the problems of the last poll."""
    for problem in watch.problems[:MAX_LINES_AT_ONCE]:
        terminal.print_text(f"Problem: {problem}", sys.stderr)
    if len(watch.problems) > MAX_LINES_AT_ONCE:
        terminal.print_text(f"and {plural(len(watch.problems) - MAX_LINES_AT_ONCE, 'more problem')}", sys.stderr)
