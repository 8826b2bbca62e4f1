"""Checks: validate values that Python sets in the state of an explorer; `BadOption` for invalid ones."""

from collections.abc import Iterable, Sequence
from typing import Any

from tokenvis.errors import BadOption, listed, name_list, nearest, quoted
from tokenvis.spans.columns import is_integer


def checked_trace(trace: Any, traces: Iterable[str]) -> str | None:
    """The id of a trace, or None if no trace is left, after the followed one was deleted."""
    trace_ids = list(traces)
    if trace is None and not trace_ids:
        return None
    if not isinstance(trace, str):
        raise BadOption(f"trace={quoted(trace)} is not a trace id. These spans have: {listed(trace_ids)}.")
    return trace


def checked_window(ends: Any) -> tuple[int, int]:
    """A start and an end, in µs."""
    if not isinstance(ends, Sequence) or len(ends) != 2 or not all(map(is_integer, ends)) or ends[0] >= ends[1]:
        raise BadOption(f"window={quoted(ends)} is not (start, end): two integers in µs, the second one larger.")
    return int(ends[0]), int(ends[1])


def checked_agents(names: Any, names_in_trace: Iterable[str]) -> tuple[str, ...]:
    """Names of agents of the trace, sorted, without duplicates."""
    valid, agents = list(names_in_trace), set(name_list("agents", names))
    unknown = sorted(agents - set(valid))
    if unknown:
        similar = [agent for name in unknown for agent in nearest(name, valid)]
        raise BadOption(f"The trace has no agents {listed(unknown)}. It has: {listed(dict.fromkeys([*similar, *valid]))}.")
    return tuple(sorted(agents))


def checked_key(option: str, key: Any) -> str:
    """The name of a column, or of a key of ``data``."""
    if not isinstance(key, str):
        raise BadOption(f"{option}={quoted(key)} is neither a column nor a key of data.")
    return key


def checked_follow(follow: Any, refusal: str | None) -> bool:
    """Whether to follow; ``refusal`` is the reason if the explorer cannot follow, else None."""
    if not isinstance(follow, bool):
        raise BadOption(f"follow={quoted(follow)} is neither True nor False.")
    if follow and refusal is not None:
        raise BadOption(refusal)
    return follow
