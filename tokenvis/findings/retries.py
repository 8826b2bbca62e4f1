"""Retries: attempts that failed and were tried again (`tree.calls`).

What they lose is their own time, and the pause after them until their agent does anything else. A pause in which another span
of the agent runs is not lost. Nor is a later one: an agent that has turned to other work may wait for something else.
"""

from collections.abc import Iterator

import numpy as np

from tokenvis.errors import plural
from tokenvis.findings.basis import Basis
from tokenvis.findings.behaviour import Behaviour, Shown, costs_below, covered_time, shown
from tokenvis.spans.integers import Int64Array, Mask, rank_in, sort_order, sums
from tokenvis.tree.calls import Retries, retries_of
from tokenvis.tree.relations import NO_ROW


def retries(basis: Basis) -> Iterator[Behaviour]:
    """The failed attempts that were tried again, if there are any."""
    if not len(basis.with_status("error")):
        return
    found = retries_of(basis.spans, basis.relations, basis.calls)
    if not len(found.failed):
        return
    again = np.full(len(basis.spans), NO_ROW)
    again[found.failed] = found.again
    attempts = shown(basis, found.failed)
    next_attempts, n_entries = again[attempts.rows], len(attempts.places)
    (start, end), pause_end = basis.times, pause_ends(basis, attempts.rows, next_attempts)
    edges = start[attempts.rows], end[attempts.rows], pause_end
    time = covered_time(np.concatenate([attempts.entry] * 2), np.concatenate(edges[:2]), np.concatenate(edges[1:]), n_entries)
    cost = costs_below(basis, attempts.rows, attempts.entry, n_entries)
    meanings = meanings_of(basis, attempts, Retries(attempts.rows, next_attempts))
    yield Behaviour("retry", attempts.places, attempts.rows, attempts.first, meanings, time, cost)


def pause_ends(basis: Basis, failed: Int64Array, again: Int64Array) -> Int64Array:
    """The end of the pause after each attempt: the agent's next start, or the attempt's own end if the agent does more then."""
    start, end = basis.times
    agent, time = basis.agents.group[failed], end[failed]
    following = basis.starts.first_at_or_after(agent, time)
    next_start = np.minimum(np.where(following == NO_ROW, start[again], start[following]), start[again])
    next_start = np.maximum(next_start, time)
    return np.where(is_idle(basis, failed, agent, time), next_start, time)


def is_idle(basis: Basis, failed: Int64Array, agent: Int64Array, time: Int64Array) -> Mask:
    """Whether the agent of each failed attempt does nothing at a time, except for the span that has made the attempt."""
    relations, states = basis.relations, basis.states
    involved = np.isin(basis.agents.group[states.row], agent)
    row, piece_start, piece_end = states.row[involved], states.start[involved], states.end[involved]
    agent_of_piece, span_of_piece = basis.agents.group[row], relations.identity[row]
    parent = relations.parent[failed]
    same_agent = relations.by_identity(basis.agents.group)[parent] == agent
    running = number_running(agent_of_piece, piece_start, piece_end, agent, time)
    of_parent = number_running(span_of_piece, piece_start, piece_end, parent, time)
    idle: Mask = running == np.where(same_agent, of_parent, 0)
    return idle


def number_running(group: Int64Array, start: Int64Array, end: Int64Array, of_group: Int64Array, time: Int64Array) -> Int64Array:
    """The number of intervals of a group that run at a time."""
    started, ended = (
        rank_in(group[order], edge[order], of_group, time, side="right")
        for edge, order in ((edge, sort_order(group, edge)) for edge in (start, end))
    )
    return started - ended


def meanings_of(basis: Basis, attempts: Shown, found: Retries) -> list[str]:
    """What happened at each place, and how it is known."""
    calls, entry, n_entries = basis.calls, attempts.entry, len(attempts.places)
    failed_again = sums(entry, calls.failed[found.again].astype(np.int64), n_entries).tolist()
    by_label = (calls.arguments[found.failed] < 0) | (calls.arguments[found.again] < 0)
    n_by_label = sums(entry, by_label.astype(np.int64), n_entries).tolist()
    return [
        f"{agent} tried {plural(size, 'failed attempt')} at {location} again, and {worse:,} of these failed again. The time is "
        f"that of these attempts, and of the pause until the agent does anything else.{label_sentence(unknown)}"
        for (agent, location), size, worse, unknown in zip(
            attempts.names(basis), attempts.sizes.tolist(), failed_again, n_by_label, strict=True
        )
    ]


def label_sentence(count: int) -> str:
    """What to know about retries whose arguments are not known."""
    return f" For {count:,} of them only the label is known to be the same, not the arguments." if count else ""
