"""Instances: the spans of one agent that one span started together.

A top span has no parent, or its parent has another agent. All top spans of an agent without a parent are one instance. Below a
span, an instance is a delegation (`callees`), unless that would merge several agents of one name. A run is a child that is no
call of a model or tool (`kinds_of`): if two runs of a delegation overlap, or the source marks a run as an agent (``kind``),
each run is an instance. All other spans belong to the instance of their parent.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from tokenvis.spans.columns import order_with_ids, ranks_of, times_of
from tokenvis.spans.fields import field_values
from tokenvis.spans.groups import dense_ranks, groups_of
from tokenvis.spans.integers import (
    Int64Array,
    Mask,
    counts,
    highest_of,
    inverse_permutation,
    lowest_of,
    rank_in,
    run_starts,
    running_max,
)
from tokenvis.spans.kinds import OTHER, kinds_of
from tokenvis.tree.callees import AgentStarts, Delegations, delegations
from tokenvis.tree.forest import Forest, forest_of
from tokenvis.tree.relations import NO_ROW, Relations, cyclic, nearest_marked

EVIDENCE = ("parent", "link")
BY_PARENT, BY_LINK = range(len(EVIDENCE))
NO_EVIDENCE = -1
AGENT_KIND = "agent"

EvidenceCodes = np.ndarray[tuple[int], np.dtype[np.int8]]


@dataclass(frozen=True)
class Instances:
    """The instance of each row, and for each instance its first span, times, and the span that started it."""

    of_row: Int64Array
    is_top: Mask  # the rows of spans that were started from outside the instance
    first: Int64Array  # the row of the first top span, by start, end, id
    caller: Int64Array  # the row of the span that started it, or -1
    parent: Int64Array  # the instance of the caller, or -1; never a cycle
    start: Int64Array  # the first start of its spans
    end: Int64Array  # the last end of its spans
    evidence: EvidenceCodes  # how the caller is known: a position in `EVIDENCE`, or -1

    def __len__(self) -> int:
        return len(self.first)


def instances_of(spans: pd.DataFrame, relations: Relations, starts: AgentStarts | None = None) -> Instances:
    """The instances of all spans; `BadSpan` if an id that is a parent or linked is in several rows of its trace.

    A span without a parent is started by the span that it links to, if it is the first of its instance: by the span of another
    instance that started earlier, of several the one that ends last (ties: the earlier start, then agent, id). Links that would
    close a cycle are ignored. ``starts`` are those of all spans, by agent and trace, if known.
    """
    parent = relations.parents()
    starts = AgentStarts(spans, groups_of(spans, "trace_id", "agent_id").group) if starts is None else starts
    agent = starts.agents
    is_root = parent == NO_ROW
    is_top = is_root | (agent[parent] != agent)
    root, child = np.flatnonzero(is_root), np.flatnonzero(is_top & ~is_root)
    number, n_roots = dense_ranks(agent[root], int(agent.max(initial=-1)) + 1)
    child, started = started_together(spans, child, parent, starts)
    of_top = np.full(len(spans), NO_ROW)
    of_top[root], of_top[child] = number, started + n_roots
    n_instances = n_roots + int(started.max(initial=-1)) + 1
    of_row = of_top if is_top.all() else of_top[nearest_marked(parent, is_top)]
    first = np.full(n_instances, NO_ROW)
    first[n_roots + started[::-1]] = child[::-1]
    first[:n_roots] = first_rows(spans, root, number, n_roots)
    caller, evidence = callers_of(spans, relations, of_row, first, parent[first])
    start, end = times_of(spans)
    start, end = lowest_of(of_row, start, n_instances), highest_of(of_row, end, n_instances)
    return Instances(of_row, is_top, first, caller, np.append(of_row, NO_ROW)[caller], start, end, evidence)


def first_rows(spans: pd.DataFrame, rows: Int64Array, number: Int64Array, n_groups: int) -> Int64Array:
    """The first of these rows in each group, by start, end, id; only rows with the lowest start are sorted."""
    start, end = times_of(spans)
    lowest = start[rows] == lowest_of(number, start[rows], n_groups)[number]
    rows, number = rows[lowest], number[lowest]
    order = order_with_ids(spans, number, end[rows], row=rows)
    first: Int64Array = rows[order[run_starts(number[order])]]
    return first


def started_together(
    spans: pd.DataFrame, child: Int64Array, parent: Int64Array, starts: AgentStarts
) -> tuple[Int64Array, Int64Array]:
    """Children of another agent, by parent, agent and start, and the number of the instance of each; detached ones too."""
    if not len(child):
        return child, child
    parts = delegations(spans, child, parent[child], starts.agents[parent[child]], starts)
    several = np.flatnonzero(counts(parts.delegation, len(parts.first))[parts.delegation] > 1)
    if not len(several):
        return parts.child, parts.delegation
    number = parts.delegation.copy()
    number[several] = runs_apart(spans, Delegations(parts.child[several], parts.delegation[several], parts.first))
    return parts.child, dense_ranks(number, int(number.max()) + 1)[0]


def runs_apart(spans: pd.DataFrame, parts: Delegations) -> Int64Array:
    """A number for the instance of each child: that of its delegation, or a higher one if its runs are told apart.

    A call belongs to the last run that started by then, or to the first run.
    """
    start = times_of(spans)[0][parts.child]
    children = spans.iloc[parts.child]
    is_run = kinds_of(children) == OTHER
    apart = np.zeros(len(parts.first), dtype=bool)
    apart[parts.delegation[is_run & is_marked_agent(children)]] = True
    apart[overlapping_runs(spans, parts, is_run)] = True
    in_apart = apart[parts.delegation]
    run, others = np.flatnonzero(in_apart & is_run), np.flatnonzero(in_apart & ~is_run)
    last_run = rank_in(parts.delegation[run], start[run], parts.delegation[others], start[others], side="right") - 1
    is_before_runs = np.append(parts.delegation[run], NO_ROW)[last_run] != parts.delegation[others]
    number = parts.delegation.copy()
    number[run] = len(parts.first) + np.arange(len(run))
    number[others] = len(parts.first) + last_run + is_before_runs
    return number


def is_marked_agent(spans: pd.DataFrame) -> Mask:
    """Mark the rows whose ``kind`` is "agent"."""
    rows, values = field_values(spans, "kind")
    marked = np.zeros(len(spans), dtype=bool)
    marked[rows[[value == AGENT_KIND for value in values]]] = True
    return marked


def overlapping_runs(spans: pd.DataFrame, parts: Delegations, is_run: Mask) -> Int64Array:
    """The delegations, perhaps repeated, in which two runs overlap; an instant overlaps nothing."""
    start, end = (times[parts.child] for times in times_of(spans))
    run = np.flatnonzero(is_run & (end > start))
    delegation, start = parts.delegation[run], start[run]
    last_end = running_max(delegation, end[run])
    overlaps = ~run_starts(delegation)[1:] & (last_end[:-1] > start[1:])
    overlapping: Int64Array = delegation[1:][overlaps]
    return overlapping


def callers_of(
    spans: pd.DataFrame, relations: Relations, of_row: Int64Array, first: Int64Array, parent: Int64Array
) -> tuple[Int64Array, EvidenceCodes]:
    """The row of the span that started each instance, or -1, and the evidence; ``parent`` is that of each first span."""
    evidence = np.where(parent != NO_ROW, BY_PARENT, NO_EVIDENCE).astype(np.int8)
    source, target = relations.links()
    instance = of_row[target]
    start, end = times_of(spans)
    leads = (first[instance] == target) & (parent[instance] == NO_ROW)
    leads &= (of_row[source] != instance) & (start[source] < start[target])
    source, instance = source[leads], instance[leads]
    if not len(source):
        return parent, evidence
    agent = ranks_of(spans["agent_id"])
    order = order_with_ids(spans, instance, ~end[source], start[source], agent[source], row=source)
    order = order[run_starts(instance[order])]
    caller = parent.copy()
    caller[instance[order]], evidence[instance[order]] = source[order], BY_LINK
    in_cycle = cyclic(np.arange(len(first)), np.append(of_row, NO_ROW)[caller]) & (evidence == BY_LINK)
    caller[in_cycle], evidence[in_cycle] = NO_ROW, NO_EVIDENCE
    return caller, evidence


@dataclass(frozen=True)
class InstanceTree:
    """The instances in depth-first order by trace: siblings, and the roots of a trace, by start, end, agent and id."""

    instance: Int64Array  # the number of the instance in each row
    row_of: Int64Array  # the row of each instance
    parent: Int64Array  # the row of each row's parent, or -1
    forest: Forest


def tree_of(spans: pd.DataFrame, instances: Instances) -> InstanceTree:
    """The tree of the instances, over all traces."""
    trace, agent = (ranks_of(spans[name])[instances.first] for name in ("trace_id", "agent_id"))
    siblings = order_with_ids(spans, trace, instances.start, instances.end, agent, row=instances.first)
    number = np.append(inverse_permutation(siblings), NO_ROW)
    forest = forest_of(number[instances.parent[siblings]])
    instance = siblings[forest.node]
    row_of = inverse_permutation(instance)
    return InstanceTree(instance, row_of, np.append(row_of, NO_ROW)[instances.parent[instance]], forest)
