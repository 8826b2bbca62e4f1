"""Requests: the model call that asked for each tool call of a running program, by the id of the call in the model's answer.

A model call ends before the calls that it asks for, so its span arrives first. A call that arrives before the model call that
asked for it is recorded without it. The rules are those of `tokenvis.ingestion.requests`, as far as a running program shows
what they need: of the ancestors, the parent counts.

Memory is bounded: the oldest answers are forgotten.
"""

from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple, TypeAlias

MAX_ASKED_CALLS = 100_000
MAX_ENCLOSING_SPANS = 32  # looked up one after the other

Running: TypeAlias = "Callable[[str], tuple[str | None, str | None] | None]"  # by the id of a span: its call, and its parent


class Asker(NamedTuple):
    """A model call, or a call that it may have asked for: its start, its parent, and its agent as far as it is known."""

    start: int
    parent: str | None = None
    agent: str | None = None


class Requests:
    """The model calls whose answers asked for each call, by trace and id of the call."""

    def __init__(self, *, max_calls: int = MAX_ASKED_CALLS) -> None:
        self.max_calls = max_calls
        self.asked_by: OrderedDict[tuple[str, str], dict[str, Asker]] = OrderedDict()

    def add(self, trace: str, span: str, asker: Asker, calls: tuple[str, ...]) -> None:
        """Remember the calls that a model call asked for, and forget the oldest beyond the limit."""
        for call in calls:
            self.asked_by.setdefault((trace, call), {})[span] = asker
            self.asked_by.move_to_end((trace, call))
        while len(self.asked_by) > self.max_calls:
            self.asked_by.popitem(last=False)

    def requesting_span(self, trace: str, call: str, made: Asker, find_running: Running) -> str | None:
        """The span of the model call that asked for a call; None if there is none, or only some of several other agents.

        A model call with the parent of the call goes first, then one of its agent, then the last to start. A span inside a
        running span with the same call is a part of that call, and nothing asked for it.
        """
        started = [(asker, span) for span, asker in self.asked_by.get((trace, call), {}).items() if asker.start <= made.start]
        if not started or self.is_part_of_call(call, made.parent, find_running):
            return None

        def rank(candidate: tuple[Asker, str]) -> tuple[bool, bool, int, str]:
            asker, span = candidate
            has_parent = asker.parent is not None and asker.parent == made.parent
            return has_parent, asker.agent == made.agent, asker.start, span

        best = max(started, key=rank)
        is_near = any(rank(best)[:2]) or len({asker.agent for asker, _ in started}) == 1
        return best[1] if is_near else None

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
