"""Callees: the work that a span delegates to another agent, and waits for.

The children of one other agent below one span are one piece of work as long as the span's agent starts nothing between them: a
delegation. A callee is a delegation to children that are not detached, from its first start to its last end; the span waits for
it. Agents are numbered for each trace, and spans by their identities (`relations`), so that an id in several rows is one span.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from tokenvis.spans.columns import order_with_ids, ranks_of, times_of
from tokenvis.spans.fields import several_field_values, truth_of
from tokenvis.spans.groups import dense_ranks
from tokenvis.spans.integers import (
    NO_ROWS,
    Int64Array,
    Mask,
    count_ranks,
    highest_of,
    inverse_permutation,
    packing_of,
    rank_in,
    run_ends,
    run_starts,
    running_max,
    sort_order,
)
from tokenvis.spans.intervals import Intervals, highest_covering
from tokenvis.tree.relations import NO_ROW, Relations


@dataclass(frozen=True)
class Delegations:
    """The rows of children, by delegation, then start; and the first child of each delegation."""

    child: Int64Array
    delegation: Int64Array  # the number of each child's delegation
    first: Int64Array  # the row of each delegation's first child


@dataclass(frozen=True)
class Callees:
    """The callees of all spans, by the identity of the waiting span, then start, end, agent and id."""

    parent: Int64Array  # identity of the span that waits
    start: Int64Array
    end: Int64Array
    first: Int64Array  # the row of the first child
    stated: Mask  # whether the source says of each child that the parent waits (`detached` is false)
    children: Intervals  # (number of the callee, start, end) of each child

    def selected(self) -> tuple[Intervals, Int64Array]:
        """Whom a span waits for at each moment: intervals by parent, then time, and the number of the callee.

        It is the callee that ends last (ties: the earlier start, then agent, id), of those of which a child runs at that
        moment, or, if none does, of all that have started and not ended.
        """
        only = run_starts(self.parent) & run_ends(self.parent)
        by_rank = np.lexsort((-np.arange(len(self.end)), self.end))
        rank = inverse_permutation(by_rank)
        callee, start, end = (column[~only[self.children[0]]] for column in self.children)
        others = np.flatnonzero(~only)
        group = np.concatenate([self.parent[callee], self.parent[others]])
        times = np.concatenate([start, self.start[others]]), np.concatenate([end, self.end[others]])
        *several, highest = highest_covering((group, *times), np.concatenate([rank[callee] + len(rank), rank[others]]))
        number = np.concatenate([np.flatnonzero(only), by_rank[highest % max(len(by_rank), 1)]])
        alone = self.parent[only], self.start[only], self.end[only]
        parent, start, end = (np.concatenate(columns) for columns in zip(alone, several, strict=True))
        order = sort_order(parent, start)
        order = order[end[order] > start[order]]
        return (parent[order], start[order], end[order]), number[order]


class Detachment(NamedTuple):
    """Masks of rows that have a parent."""

    waited_for: Mask  # the source says that the parent waits for this child
    detached: Mask  # the parent does not wait
    assumed: Mask  # detached only because the child ends after its parent


NO_CALLEES = Callees(NO_ROWS, NO_ROWS, NO_ROWS, NO_ROWS, np.empty(0, dtype=bool), (NO_ROWS, NO_ROWS, NO_ROWS))


class AgentStarts:
    """The spans of each agent, ordered by their starts, then ends and ids."""

    def __init__(self, spans: pd.DataFrame, agents: Int64Array) -> None:
        """Keep the spans; ``agents`` is the number of each row's agent and trace."""
        self.spans, self.agents = spans, agents

    @cached_property
    def in_order(self) -> tuple[Int64Array, Int64Array, Int64Array]:
        """The rows by agent, then start, with their agents and starts; sorted when first used."""
        start, end = times_of(self.spans)
        row = order_with_ids(self.spans, self.agents, start, end)
        return row, self.agents[row], start[row]

    @cached_property
    def times(self) -> tuple[Int64Array, Int64Array]:
        """The agents and starts of all spans, by agent, then start; sorted when first used, without the rows."""
        start = times_of(self.spans)[0]
        packing = packing_of(self.agents, start)
        if packing is None:
            return self.in_order[1:]
        key = packing.pack(self.agents, start)
        key.sort()
        agents, starts = packing.unpack(key)
        return agents, starts

    def any_between(self, agent: Int64Array, first: Int64Array, last: Int64Array) -> Mask:
        """Whether a span of the agent starts at one of these times, from the first to the last, both included."""
        if not len(agent):
            return np.empty(0, dtype=bool)
        before = rank_in(*self.times, agent, first, side="left")
        between: Mask = rank_in(*self.times, agent, last, side="right") > before
        return between

    def first_at_or_after(self, agent: Int64Array, time: Int64Array) -> Int64Array:
        """The row of the agent's first span to start at or after a time, or -1."""
        if not len(agent):
            return agent
        row, agents, starts = self.in_order
        position = rank_in(agents, starts, agent, time, side="left")
        found = np.append(agents, -1)[position] == agent
        return np.where(found, np.append(row, -1)[position], -1)


def delegations(
    spans: pd.DataFrame,
    child: Int64Array,
    parent: Int64Array,
    parent_agent: Int64Array,
    starts: AgentStarts,
    detached: Mask | None = None,
) -> Delegations:
    """The delegations to these children of another agent.

    ``parent`` is the number of each child's parent, ``parent_agent`` the number of that parent's agent in its trace. Rows in
    ``detached`` are left out; a delegation ends where the parent starts one of them.
    """
    start, end = times_of(spans)
    agent = ranks_of(spans["agent_id"])
    n_agents = count_ranks(agent)
    pair = dense_ranks(parent * n_agents + agent[child], count_ranks(parent) * n_agents)[0]
    order = order_with_ids(spans, pair, start[child], end[child], row=child)
    child, pair, parent_agent = child[order], pair[order], parent_agent[order]
    n_detached = np.zeros(len(child), dtype=np.int64)
    if detached is not None and detached[child].any():
        n_detached, waited = np.cumsum(detached[child]), ~detached[child]
        child, pair, parent_agent, n_detached = child[waited], pair[waited], parent_agent[waited], n_detached[waited]
    previous_end = np.append(start[:1], running_max(pair, end[child])[:-1])[: len(child)]
    is_first = run_starts(pair, n_detached)
    after_pause = np.flatnonzero(~is_first & (previous_end <= start[child]))
    pause = previous_end[after_pause], start[child[after_pause]]
    is_first[after_pause] = starts.any_between(parent_agent[after_pause], *pause)
    return Delegations(child, np.cumsum(is_first) - 1, child[is_first])


def callees_of(
    spans: pd.DataFrame,
    relations: Relations,
    rows: Int64Array | None = None,
    detachment: Detachment | None = None,
    starts: AgentStarts | None = None,
) -> Callees:
    """The callees of all spans, or of those in ``rows``.

    ``detachment`` is the result of `detachment_of`, ``starts`` are those of all spans, by agent and trace, if known.
    """
    if not (relations.parent != NO_ROW).any():
        return NO_CALLEES
    start, end = times_of(spans)
    agent = ranks_of(spans["agent_id"])
    agent_of = relations.by_identity(agent)
    is_child = (agent_of[relations.parent] != agent) & (relations.parent != NO_ROW)
    if rows is not None:
        is_wanted = np.zeros(len(agent_of), dtype=bool)
        is_wanted[relations.identity[rows]] = True
        is_child &= is_wanted[relations.parent]
    if not is_child.any():
        return NO_CALLEES
    detachment = detachment_of(spans, relations, is_child) if detachment is None else detachment
    if starts is None:
        starts = AgentStarts(spans, ranks_of(spans["trace_id"]) * (int(agent.max()) + 1) + agent)
    child, parent = np.flatnonzero(is_child), relations.parent[is_child]
    parent_agent = relations.by_identity(starts.agents)[parent]
    parts = delegations(spans, child, parent, parent_agent, starts, detachment.detached)
    child, delegation, first = parts.child, parts.delegation, parts.first
    last_end = highest_of(delegation, end[child], len(first))
    not_stated = np.zeros(len(first), dtype=bool)
    not_stated[delegation[~detachment.waited_for[child]]] = True
    order = order_with_ids(spans, relations.parent[first], start[first], last_end, agent[first], row=first)
    first = first[order]
    children = inverse_permutation(order)[delegation], start[child], end[child]
    return Callees(relations.parent[first], start[first], last_end[order], first, ~not_stated[order], children)


def detachment_of(spans: pd.DataFrame, relations: Relations, wanted: Mask | None = None) -> Detachment:
    """Which children are detached, of all or of those in ``wanted``.

    A child is detached if ``detached`` is true; or if it is not set, and the child is a consumer of its parent or ends later.
    """
    is_child = relations.parent != NO_ROW if wanted is None else wanted
    fields = several_field_values(spans, "detached", "span_kind")
    rows, values = fields["detached"]
    stated_detached, stated_waited = np.zeros(len(spans), dtype=bool), np.zeros(len(spans), dtype=bool)
    stated_detached[rows[[truth_of(value) is True for value in values]]] = True
    stated_waited[rows[[truth_of(value) is False for value in values]]] = True
    stated_detached |= consumers(relations, *fields["span_kind"]) & ~stated_waited
    assumed = ended_later(spans, relations, is_child) & ~stated_waited & ~stated_detached
    return Detachment(stated_waited & is_child, (stated_detached | assumed) & is_child, assumed)


def consumers(relations: Relations, rows: Int64Array, kinds: list[Any]) -> Mask:
    """Rows that consume a message of their parent: OpenTelemetry's kind CONSUMER below PRODUCER; ``rows`` have these kinds.

    https://opentelemetry.io/docs/specs/otel/trace/api/#spankind
    """
    consumer, producer = np.zeros(len(relations.parent), dtype=bool), np.zeros(len(relations.parent), dtype=bool)
    consumer[rows[[kind == "consumer" for kind in kinds]]] = True
    producer[rows[[kind == "producer" for kind in kinds]]] = True
    below_producer: Mask = consumer & relations.by_identity(producer)[relations.parent]
    return below_producer


def ended_later(spans: pd.DataFrame, relations: Relations, is_child: Mask) -> Mask:
    """The children that end after their parent, where both have ended and both ends are from the source."""
    end = times_of(spans)[1]
    end_of = relations.by_identity(end)
    later: Mask = is_child & (end > end_of[relations.parent])
    if not later.any():
        return later
    is_parent = np.zeros(len(end_of), dtype=bool)
    is_parent[relations.parent[later]] = True
    involved = np.flatnonzero(later | is_parent[relations.identity])
    uncertain = np.zeros(len(spans), dtype=bool)
    uncertain[involved[uncertain_ends(spans.iloc[involved])]] = True
    result: Mask = later & ~uncertain & ~relations.by_identity(uncertain)[relations.parent]
    return result


def uncertain_ends(spans: pd.DataFrame) -> Int64Array:
    """Rows whose end is not the end of the work: open spans, and estimated ends."""
    fields = several_field_values(spans, "status", "estimated")
    (open_rows, statuses), (estimated_rows, estimated) = fields["status"], fields["estimated"]
    is_open = open_rows[[status == "open" for status in statuses]]
    is_estimated = estimated_rows[[isinstance(names, list | str) and "end_time" in names for names in estimated]]
    return np.concatenate([is_open, is_estimated])
