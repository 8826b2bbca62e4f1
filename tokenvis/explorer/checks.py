"""Checks: what Python may set an explorer's state to; anything else is a `BadOption` that says what is there."""

from collections.abc import Iterable, Sequence
from typing import Any

from tokenvis.errors import BadOption, listed, name_list, quoted
from tokenvis.spans.columns import is_integer


def checked_trace(trace: Any, traces: Iterable[str]) -> str | None:
    """The id of a trace, or None where there is none any more, since what was followed is gone."""
    every = list(traces)
    if trace is None and not every:
        return None
    if not isinstance(trace, str):
        raise BadOption(f"trace={quoted(trace)} is no id of a trace. These spans have: {listed(every)}.")
    return trace


def checked_window(ends: Any) -> tuple[int, int]:
    """A start and an end, in µs."""
    if not isinstance(ends, Sequence) or len(ends) != 2 or not all(map(is_integer, ends)) or ends[0] >= ends[1]:
        raise BadOption(f"window={quoted(ends)} is not (start, end): two whole numbers of µs, the second one larger.")
    return int(ends[0]), int(ends[1])


def checked_agents(names: Any, there: Iterable[str]) -> tuple[str, ...]:
    """Names of agents that are there, sorted, each once."""
    every, agents = list(there), set(name_list("agents", names))
    strange = sorted(agents - set(every))
    if strange:
        raise BadOption(f"agents={listed(strange)} are not in the trace. It has: {listed(every)}.")
    return tuple(sorted(agents))


def checked_key(option: str, key: Any) -> str:
    """The name of a column, or of a key of ``data``."""
    if not isinstance(key, str):
        raise BadOption(f"{option}={quoted(key)} is no column of the spans, nor a key of their data.")
    return key


def checked_follow(follow: Any, refusal: str | None) -> bool:
    """Whether to follow; ``refusal`` says why it cannot be done, where it cannot."""
    if not isinstance(follow, bool):
        raise BadOption(f"follow={quoted(follow)} is neither True nor False.")
    if follow and refusal is not None:
        raise BadOption(refusal)
    return follow
