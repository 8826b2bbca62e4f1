"""Requests: the model call that asked for each tool call of a running program, by the id of the call in the model's answer.

A model call ends before the calls that it asks for, so its span arrives first. A call that arrives before the model call that
asked for it is recorded without it. The rules are those of `tokenvis.ingestion.requests`.

Memory is bounded: the oldest answers are forgotten.
"""

from collections import OrderedDict
from collections.abc import Callable
from typing import TypeAlias

MAX_ASKED_CALLS = 100_000
MAX_ENCLOSING_SPANS = 32  # looked up one after the other

Running: TypeAlias = "Callable[[str], tuple[str | None, str | None] | None]"  # by the id of a span: its call, and its parent


class Requests:
    """The model calls whose answers asked for each call, by trace and id of the call: the start and the id of each span."""

    def __init__(self, *, max_calls: int = MAX_ASKED_CALLS) -> None:
        self.max_calls = max_calls
        self.asked_by: OrderedDict[tuple[str, str], dict[str, int]] = OrderedDict()

    def add(self, trace: str, span: str, start: int, calls: tuple[str, ...]) -> None:
        """Remember the calls that a model call asked for, and forget the oldest beyond the limit."""
        for call in calls:
            self.asked_by.setdefault((trace, call), {})[span] = start
            self.asked_by.move_to_end((trace, call))
        while len(self.asked_by) > self.max_calls:
            self.asked_by.popitem(last=False)

    def requesting_span(self, trace: str, call: str, start: int, parent: str | None, find_running: Running) -> str | None:
        """The span of the last model call to start, up to a time, that asked for a call; None if there is none.

        A span inside a running span with the same call is a part of that call, and nothing asked for it.
        """
        started = [(time, span) for span, time in self.asked_by.get((trace, call), {}).items() if time <= start]
        if not started or self.is_part_of_call(call, parent, find_running):
            return None
        return max(started)[1]

    def is_part_of_call(self, call: str, parent: str | None, find_running: Running) -> bool:
        """Whether the nearest enclosing span that makes a call makes this one."""
        for _ in range(MAX_ENCLOSING_SPANS):
            enclosing = find_running(parent) if parent else None
            if enclosing is None:
                return False
            enclosing_call, parent = enclosing
            if enclosing_call is not None:
                return enclosing_call == call
        return False
