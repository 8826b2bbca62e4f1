"""Branches: the work that an agent starts together, in batches.

A branch is a call, or an instance of another agent (`instances`), with all that runs below it: it lasts from its start to the
last end below it. The calls that one message asked for are a batch. Below a span, the instances that it started, the calls that
run an agent, and the calls that run at once are a batch as long as the caller does not work in between. Spans and instances
are the nodes of one tree: a span is below its parent, or below its instance, which is below the span that started it.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from tokenvis.spans.columns import order_with_ids, ranks_of, times_of
from tokenvis.spans.groups import dense_ranks, groups_of
from tokenvis.spans.integers import (
    Int64Array,
    Mask,
    counts,
    difference,
    highest_of,
    run_starts,
    running_max,
    sort_order,
)
from tokenvis.spans.intervals import Intervals, covered, overlaps, subtract, union
from tokenvis.spans.kinds import KINDS_OF_WORK, TOOL, kinds_of
from tokenvis.tree.callees import AgentStarts
from tokenvis.tree.instances import BY_PARENT, Instances, instances_of
from tokenvis.tree.relations import NO_ROW, Relations, nearest_marked, requests_in
from tokenvis.tree.states import states_of

MIN_FILLED = 0.95  # of a pause that is the turn of others: they take some milliseconds to begin
MAX_WORK_BETWEEN = 0.05  # of the time of the longer of two branches: a loop takes some milliseconds to start each worker


@dataclass(frozen=True)
class Nodes:
    """The spans and the instances of a frame: node r is row r, and node n + i is instance i, for n rows."""

    spans: pd.DataFrame
    relations: Relations
    instances: Instances
    row_parent: Int64Array  # the row of each row's parent, or -1
    agent: Int64Array  # the code of each row's agent
    starts: AgentStarts
    parent: Int64Array  # the node above each node, or -1
    first: Int64Array  # the row of each node's first span
    start: Int64Array
    end: Int64Array  # the last end of all that is below the node


class Branches(NamedTuple):
    """The branches of batches, by batch, then start, end, agent, id of their first spans."""

    batch: Int64Array
    node: Int64Array
    start: Int64Array
    end: Int64Array
    caller: Int64Array  # the row of the span that asked for the branch, or contains it
    is_asked: Mask  # a message asked for it
    is_call: Mask  # it is a branch only because it runs beside other calls

    def where(self, kept: Mask) -> "Branches":
        """These branches, with new numbers for their batches."""
        columns: list[Any] = [column[kept] for column in self]
        return Branches(*columns)._replace(batch=np.cumsum(run_starts(columns[0])) - 1)

    def of_several(self) -> "Branches":
        """The branches of batches that have two or more."""
        return self.where(counts(self.batch, int(self.batch.max(initial=-1)) + 1)[self.batch] > 1)

    def followed_by(self, others: "Branches") -> "Branches":
        """These branches and the others."""
        columns: list[Any] = [np.concatenate(pair) for pair in zip(self, others, strict=True)]
        columns[0][len(self.batch) :] += int(self.batch.max(initial=-1)) + 1
        return Branches(*columns)


def nodes_of(spans: pd.DataFrame, relations: Relations) -> Nodes:
    """The nodes of all spans and instances; `BadSpan` if a parent or linked id is in several rows of a trace."""
    starts = AgentStarts(spans, groups_of(spans, "trace_id", "agent_id").group)
    instances, row_parent = instances_of(spans, relations, starts), relations.parents()
    agent, (start, end) = ranks_of(spans["agent_id"]), times_of(spans)
    is_top = (row_parent == NO_ROW) | (agent[row_parent] != agent)
    end = last_ends(end, row_parent)
    caller = np.where(instances.evidence == BY_PARENT, instances.caller, NO_ROW)
    return Nodes(
        spans,
        relations,
        instances,
        row_parent,
        agent,
        starts,
        parent=np.concatenate([np.where(is_top, len(spans) + instances.of_row, row_parent), caller]),
        first=np.concatenate([np.arange(len(spans)), instances.first]),
        start=np.concatenate([start, start[instances.first]]),
        end=np.concatenate([end, highest_of(instances.of_row, end, len(instances))]),
    )


def last_ends(end: Int64Array, parent: Int64Array) -> Int64Array:
    """The last end of each row and of all rows below it, by pointer doubling."""
    last, ancestor = end.copy(), np.append(parent, NO_ROW)
    below = np.flatnonzero(parent != NO_ROW)
    while len(below):
        np.maximum.at(last, ancestor[below], last[below])
        ancestor = ancestor[ancestor]
        below = below[ancestor[below] != NO_ROW]
    return last


def last_requests(nodes: Nodes) -> tuple[Int64Array, Int64Array]:
    """The calls that spans asked for, and of the spans that asked for each, the one that ends last.

    Ties go to the last start, then the first id.
    """
    call, asked_by = requests_in(nodes.spans, nodes.relations)
    start, end = times_of(nodes.spans)
    order = order_with_ids(nodes.spans, call, ~end[asked_by], ~start[asked_by], row=asked_by)
    order = order[run_starts(call[order])]
    return call[order], asked_by[order]


def message_branches(nodes: Nodes) -> Branches:
    """The calls that one span asked for, if there are several.

    The first span of an instance of another agent stands for the instance. A call below another one of the same message is a
    part of that one.
    """
    spans, instances = nodes.spans, nodes.instances
    call, asked_by = last_requests(nodes)
    start, end = times_of(spans)
    order = order_with_ids(spans, asked_by, start[call], end[call], nodes.agent[call], row=call)
    call, asked_by = call[order], asked_by[order]
    instance = instances.of_row[call]
    is_instance = (instances.first[instance] == call) & (nodes.agent[call] != nodes.agent[asked_by])
    node = np.where(is_instance, len(spans) + instance, call)
    batch, (asked, beside) = np.cumsum(run_starts(asked_by)) - 1, (np.full(len(call), value) for value in (True, False))
    branches = Branches(batch, node, nodes.start[node], nodes.end[node], asked_by, asked, beside)
    return branches.where(~within_same_batch(nodes, branches)).of_several()


def enclosing_branches(nodes: Nodes, branches: Branches) -> tuple[Int64Array, Int64Array]:
    """The innermost branch of each row, and the branch that encloses each branch; -1 without one."""
    branch_of = np.full(len(nodes.parent) + 1, NO_ROW)
    if not len(branches.node):
        return branch_of[: len(nodes.spans)], branches.node
    branch_of[branches.node] = np.arange(len(branches.node))
    innermost = branch_of[np.append(nearest_marked(nodes.parent, branch_of[:-1] != NO_ROW), NO_ROW)]
    return innermost[: len(nodes.spans)], innermost[nodes.parent[branches.node]]


def within_same_batch(nodes: Nodes, branches: Branches) -> Mask:
    """Mark the branches that are below another branch of their batch."""
    above = enclosing_branches(nodes, branches)[1]
    within, branch, outer = np.zeros(len(above), dtype=bool), np.arange(len(above)), above
    while len(branch):
        branch, outer = branch[outer != NO_ROW], outer[outer != NO_ROW]
        within[branch] |= branches.batch[outer] == branches.batch[branch]
        outer = above[outer]
    return within


class Children(NamedTuple):
    """The children of spans that are branches, or the caller's own work."""

    row: Int64Array
    node: Int64Array
    caller: Int64Array
    is_branch: Mask
    is_call: Mask

    def at(self, kept: Mask | Int64Array) -> "Children":
        """These children, in this order."""
        columns: list[Any] = [column[kept] for column in self]
        return Children(*columns)


def parent_branches(nodes: Nodes, asked: Branches) -> Branches:
    """The branches below one span, in batches; ``asked`` are those of messages, which are no branches here."""
    children = branches_below(nodes, asked)
    branch = np.flatnonzero(children.is_branch)
    node, caller, is_call = children.node[branch], children.caller[branch], children.is_call[branch]
    is_first = (run_starts(children.caller) | ~np.append(False, children.is_branch[:-1]))[branch]
    start, end = nodes.start[node], nodes.end[node]
    took = difference(end, start)
    limit = MAX_WORK_BETWEEN * np.maximum(took, np.append(took[:1], took[:-1]))
    later = np.flatnonzero(~is_first & (np.diff(start, prepend=start[:1]) > limit))
    is_first[later] = work_between(nodes, caller[later], start[later - 1], start[later]) > limit[later]
    last_end = running_max(np.cumsum(is_first), end)
    after_all = np.append(False, last_end[:-1] <= start[1:])
    is_first |= after_all & (is_call | np.append(False, is_call[:-1]))
    is_asked = np.zeros(len(node), dtype=bool)
    return Branches(np.cumsum(is_first) - 1, node, start, end, caller, is_asked, is_call).of_several()


def branches_below(nodes: Nodes, asked: Branches) -> Children:
    """The children of each span that has two or more branches, by caller, then start, end, agent, id.

    Branches are instances of other agents; calls of the span's agent that run another agent; and calls that run at once.
    """
    spans, instances, parent = nodes.spans, nodes.instances, nodes.row_parent
    call, asked_by = last_requests(nodes)
    is_asked, by_other = (np.zeros(len(spans), dtype=bool) for _ in range(2))
    is_asked[call], by_other[call] = True, nodes.agent[call] != nodes.agent[asked_by]
    started = np.flatnonzero((instances.evidence == BY_PARENT) & ~by_other[instances.first])
    own = np.flatnonzero((parent != NO_ROW) & (nodes.agent[parent] == nodes.agent))
    runs_agent, at_once = calls_of_agents(nodes, own), calls_at_once(nodes, own[~is_asked[own]])
    is_branch = (runs_agent | at_once) & ~is_asked
    is_branch[wrappers(nodes, asked, is_branch)] = False
    children = Children(
        row=np.concatenate([instances.first[started], own]),
        node=np.concatenate([len(spans) + started, own]),
        caller=np.concatenate([instances.caller[started], parent[own]]),
        is_branch=np.concatenate([np.ones(len(started), dtype=bool), is_branch[own]]),
        is_call=np.concatenate([np.zeros(len(started), dtype=bool), (is_branch & ~runs_agent)[own]]),
    )
    several = counts(children.caller[children.is_branch], len(spans))[children.caller] > 1
    children = children.at(several)
    start, end = (times[children.row] for times in times_of(spans))
    order = order_with_ids(spans, children.caller, start, end, nodes.agent[children.row], row=children.row)
    return children.at(order)


def calls_of_agents(nodes: Nodes, own: Int64Array) -> Mask:
    """Mark the rows, of those whose parent has the same agent, that directly contain an instance of another agent.

    A tool call, or a span without children of its agent: the turn of an agent, which contains its model calls, is no call.
    """
    instances = nodes.instances
    contains, has_own_child = (np.zeros(len(nodes.agent), dtype=bool) for _ in range(2))
    contains[instances.caller[instances.evidence == BY_PARENT]] = True
    has_own_child[nodes.row_parent[own]] = True
    marked = np.zeros(len(nodes.agent), dtype=bool)
    marked[own] = contains[own]
    undecided = np.flatnonzero(marked & has_own_child)
    marked[undecided] = kinds_of(nodes.spans.iloc[undecided]) == TOOL
    return marked


def calls_at_once(nodes: Nodes, own: Int64Array) -> Mask:
    """Mark the rows that overlap another one with the same parent and of the same kind: model calls, tool calls, others.

    A tool call may overlap the model call that asked for it, whose answer is still being sent.
    """
    start, end = times_of(nodes.spans)
    own = own[end[own] > start[own]]
    parent = nodes.row_parent[own]
    own = own[overlapped(parent, start[own], end[own])]
    kind = nodes.row_parent[own] * len(KINDS_OF_WORK) + kinds_of(nodes.spans.iloc[own])
    marked = np.zeros(len(nodes.agent), dtype=bool)
    marked[own[overlapped(kind, start[own], end[own])]] = True
    return marked


def overlapped(group: Int64Array, start: Int64Array, end: Int64Array) -> Mask:
    """Mark the intervals, none of them empty, that overlap another one of their group."""
    order = sort_order(group, start)
    group, start, end = group[order], start[order], end[order]
    overlaps_later = overlaps(group, start, end) > 0
    overlaps_earlier = ~run_starts(group) & np.append(False, running_max(group, end)[:-1] > start[1:])
    marked = np.zeros(len(group), dtype=bool)
    marked[order] = overlaps_later | overlaps_earlier[: len(group)]
    return marked


def wrappers(nodes: Nodes, asked: Branches, is_branch: Mask) -> Int64Array:
    """The rows, of those marked, that contain a call each of one message, below one span: they are that message's fan-out."""
    marked = np.append(is_branch, np.zeros(len(nodes.instances), dtype=bool))
    if not is_branch.any() or not len(asked.node):
        return asked.node[:0]
    wrapper = np.append(nearest_marked(nodes.parent, marked), NO_ROW)[nodes.parent[asked.node]]
    inside = wrapper != NO_ROW
    wrapper, batch = wrapper[inside], asked.batch[inside]
    place = dense_ranks(batch * len(is_branch) + nodes.row_parent[wrapper], (int(batch.max(initial=0)) + 1) * len(is_branch))[0]
    order = sort_order(place, wrapper)
    place, wrapper = place[order], wrapper[order]
    distinct = run_starts(place, wrapper)
    place, wrapper = place[distinct], wrapper[distinct]
    several: Int64Array = wrapper[counts(place, len(place))[place] > 1]
    return several


def work_between(nodes: Nodes, caller: Int64Array, start: Int64Array, end: Int64Array) -> Int64Array:
    """For how long each caller works from ``start`` to ``end``."""
    if not len(caller):
        return caller
    states = states_of(nodes.spans, nodes.relations, np.unique(caller), starts=nodes.starts)
    row, work_start, work_end = states.work()
    takes_time = work_end > work_start
    return covered((caller, start, end), (row[takes_time], work_start[takes_time], work_end[takes_time]))


def branch_times(nodes: Nodes, branches: Branches) -> Intervals:
    """When each branch runs: (position of the branch, start, end), by branch, then time.

    An instance may pause between two spans that were started from outside. A pause is time of the branch, unless other branches
    of the batch fill it: two agents that take turns do not run at once. A chain of branches has no pause.
    """
    n_rows, instances = len(nodes.spans), nodes.instances
    is_whole = (branches.node < n_rows) | (branches.end != nodes.end[branches.node])
    branch_of = np.full(len(instances), NO_ROW)
    branch_of[branches.node[~is_whole] - n_rows] = np.flatnonzero(~is_whole)
    top = np.flatnonzero(instances.is_top & (branch_of[instances.of_row] != NO_ROW))
    branch = np.concatenate([np.flatnonzero(is_whole), branch_of[instances.of_row[top]]])
    start = np.concatenate([branches.start[is_whole], nodes.start[top]])
    end = np.concatenate([branches.end[is_whole], nodes.end[top]])
    extents = np.arange(len(is_whole)), branches.start, branches.end
    owner, pause_start, pause_end = subtract(extents, union(branch, start, end))
    filled = covered((branches.batch[owner], pause_start, pause_end), union(branches.batch[branch], start, end))
    counts_too = filled < MIN_FILLED * difference(pause_end, pause_start)
    parts = zip((branch, start, end), (column[counts_too] for column in (owner, pause_start, pause_end)), strict=True)
    return union(*(np.concatenate(columns) for columns in parts))


def workers_of(nodes: Nodes, branch: Int64Array) -> Int64Array:
    """A row of the agent that works in each of these nodes: of the first instance that a call runs, else of the node itself."""
    instances = nodes.instances
    wanted = np.zeros(len(nodes.parent), dtype=bool)
    wanted[branch] = True
    started = np.flatnonzero((instances.evidence == BY_PARENT) & wanted[instances.caller])
    caller, first = instances.caller[started], instances.first[started]
    start, end = times_of(nodes.spans)
    order = order_with_ids(nodes.spans, caller, start[first], end[first], nodes.agent[first], row=first)
    worker = nodes.first.copy()
    worker[caller[order[::-1]]] = first[order[::-1]]
    result: Int64Array = worker[branch]
    return result
