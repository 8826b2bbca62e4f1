"""Doubts: properties of the data that change the meaning of the results, or make them uncertain.

A doubt is not an error: sessions with open spans and estimated starts are normal. It describes a limit of the results.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from tokenvis.errors import quoted
from tokenvis.findings.basis import Basis
from tokenvis.findings.finding import Finding, at_first_row, time_by_row
from tokenvis.spans.columns import order_with_ids, ranks_of, times_of
from tokenvis.spans.groups import groups_of
from tokenvis.spans.integers import (
    NO_ROWS,
    Int64Array,
    Mask,
    count_ranks,
    counts,
    difference,
    highest_of,
    lowest_of,
    run_ends,
    run_starts,
    running_max,
    sort_order,
    sums,
)
from tokenvis.spans.intervals import intersect, overlaps, subtract, union
from tokenvis.spans.losses import losses_of
from tokenvis.spans.parents import rows_with_ignored_parent
from tokenvis.tree.clocks import clock_offsets
from tokenvis.tree.relations import Relations, parent_references
from tokenvis.tree.states import AGENT, PERSON, WORK, States
from tokenvis.tree.tokens import Usage, any_of

MIN_IDLE_SHARE = 0.5  # of the wall time
MEANING_OF_DOUBT = {
    "lost": "These spans could not be recorded. Counts and times are lower bounds, and lost spans may have filled the gaps.",
    "duplicate id": "Several rows have this id: its time counts twice, and questions about parents or links refuse the trace.",
    "self-overlap": "An agent does several things at once. Busy time counts each of them, active time counts once.",
    "unknown parent": "The parent is not in the trace: these count as roots, and a span around them may repeat their tokens.",
    "unknown link": "A span in links or requested_by is not in the trace. Handoffs and the critical path ignore it.",
    "cycle": "These spans are their own ancestors. Their parents are ignored.",
    "outside parent": "The span runs before its parent starts or after it ends: background work, for which the parent does not "
    "wait, or different clocks.",
    "clock offset": "The clocks of two hosts contradict each other: a span on one runs outside its parent on the other.",
    "assumed wait": "Only nesting shows that these spans wait for a child of another agent; it may have run in the background. "
    "Set detached to true or false in the child's data to override this.",
    "assumed background": "These children of another agent end after their parent, so it is assumed not to wait for them. "
    "Set detached to true or false to confirm or override this.",
    "unknown wait": "waits_for names no other agent of the trace. Unless waits_for_kind is agent, it counts as a person.",
    "ignored parent": "data names a parent, but the column parent_id is empty here: the span counts as a root.",
    "invalid usage": "A token count or cost is not a number of at least 0, and is left out; or it is a part that is larger "
    "than its whole, as cached and input tokens, and is cut to it.",
    "silent call": "These calls of a model have no token count and no cost, and did not fail. Unless a span above has the sum, "
    "the totals are lower bounds.",
    "unexplained usage": "A token count or cost is lower than that of the calls below, though one of these has none. It does "
    "not count: the totals are those of the calls.",
    "surplus usage": "A token count or cost is higher than that of the calls below, though none of these lacks it. The totals "
    "are those of the calls, so calls may be missing from the trace.",
    "open": "The span was still running when it was last seen. Its end, and all results that use it, are lower bounds.",
    "estimated": "The source did not give these times, parents or figures. Adjacent durations, waits and gaps are estimates; "
    "estimated token counts and costs do not count.",
    "disputed": "Files say different things about these spans. What has more data counts, in any order of reading.",
    "orphan": "Other agents are connected by links or parents, this one is not. It is unknown who started it.",
    "unconnected": "No link or parent connects any two agents: handoffs are unknown, and the critical path has only one agent.",
    "idle": "Nothing works or waits for a person for most of the wall time. See gaps; these spans are next to the longest.",
}


def losses(spans: pd.DataFrame) -> Finding:
    """The loss markers; the time is that which they cover."""
    lost, trace = losses_of(spans), ranks_of(spans["trace_id"])
    lost_trace, union_start, union_end = union(trace[lost.rows], lost.start, lost.end)
    duration = sums(lost_trace, difference(union_end, union_start), count_ranks(trace))
    return Finding("lost", lost.rows, at_first_row(trace[lost.rows], duration), lost.n_spans)


def doubts(basis: Basis) -> Iterator[Finding]:
    """All doubts about spans without loss markers."""
    yield Finding("duplicate id", duplicates(basis))
    yield self_overlaps(basis)
    yield from wait_findings(basis.relations, basis.states)
    yield background(basis.spans, basis.relations, basis.detachment.assumed)
    yield Finding("ignored parent", rows_with_ignored_parent(basis.spans))
    distinct, relations = basis.distinct, basis.distinct_relations
    for finding in (
        *parent_findings(distinct, relations),
        *clock_findings(distinct, relations),
        *link_findings(distinct, relations),
        *usage_findings(basis.figures),
    ):
        yield finding._replace(rows=basis.first[finding.rows])
    yield Finding("open", basis.with_status("open"))
    rows, estimated = basis.fields["estimated"]
    yield Finding("estimated", rows[[bool(value) for value in estimated]])
    rows, disputed = basis.fields["disputed"]
    yield Finding("disputed", rows[[value is True for value in disputed]])
    yield idleness(basis.spans, basis.states)


def duplicates(basis: Basis) -> Int64Array:
    """The rows of spans that are in several rows."""
    return np.flatnonzero(counts(basis.identity, len(basis.spans))[basis.identity] > 1) if basis.has_duplicates else NO_ROWS


def self_overlaps(basis: Basis) -> Finding:
    """Spans that work while another of the same agent does; the time is the excess of busy over active time."""
    row, start, end = basis.states.work()
    non_empty = end > start
    row, start, end = row[non_empty], start[non_empty], end[non_empty]
    agents = basis.agents.group
    order = sort_order(agents[row], start)
    row, start, end = row[order], start[order], end[order]
    agent = agents[row]
    previous_end = np.append(start[:1], running_max(agent, end)[:-1])
    previous_end[run_starts(agent)] = start[run_starts(agent)]
    overlap = np.maximum(np.minimum(previous_end, end) - start, 0)
    involved = (overlap > 0) | (overlaps(agent, start, end) > 0)
    return time_by_row("self-overlap", row[involved], overlap[involved])


def wait_findings(relations: Relations, states: States) -> Iterator[Finding]:
    """Waits that only nesting shows, and waits for unknown names."""
    (parent, start, end), callee = states.callees.selected()
    assumed = ~states.callees.stated[callee]
    others = parent[assumed], start[assumed], end[assumed]
    row, start, end = states.pieces(AGENT)
    nested = ~np.isin(row, states.marks.rows)
    row, start, end = row[nested], start[nested], end[nested]
    piece, wait_start, wait_end = intersect((relations.identity[row], start, end), others)
    yield time_by_row("assumed wait", row[piece], wait_end - wait_start)
    yield Finding("unknown wait", states.marks.rows[~states.marks.is_known])


def background(spans: pd.DataFrame, relations: Relations, assumed: Mask) -> Finding:
    """Children of another agent that are assumed to be detached; the time is that in which both run."""
    (start, end), agent = times_of(spans), ranks_of(spans["agent_id"])
    rows = np.flatnonzero(assumed & (relations.by_identity(agent)[relations.parent] != agent))
    parent = relations.parent[rows]
    begin = np.maximum(start[rows], relations.by_identity(start)[parent])
    return Finding("assumed background", rows, np.maximum(difference(relations.by_identity(end)[parent], begin), 0))


def parent_findings(spans: pd.DataFrame, relations: Relations) -> Iterator[Finding]:
    """Unknown parents, cycles, and spans outside their parent."""
    child, parent = parent_references(spans)[0], relations.parents()
    yield Finding("unknown parent", child[(parent[child] < 0) & ~relations.cyclic[child]])
    yield Finding("cycle", np.flatnonzero(relations.cyclic))
    child = np.flatnonzero(parent >= 0)
    start, end = times_of(spans)
    parent_start, parent_end = start[parent[child]], end[parent[child]]
    inside = np.maximum(np.minimum(end[child], parent_end) - np.maximum(start[child], parent_start), 0)
    outside = (start[child] < parent_start) | (end[child] > parent_end)
    yield Finding("outside parent", child[outside], (difference(end[child], start[child]) - inside)[outside])


def clock_findings(spans: pd.DataFrame, relations: Relations) -> Iterator[Finding]:
    """Hosts whose clocks contradict each other; the time is the estimate of what to add to those of one."""
    for offset in clock_offsets(spans, relations):
        estimate, host = offset.estimate(), quoted(offset.host)
        if estimate is None:
            detail = (
                f" No offset between {host} and {quoted(offset.reference)} fits all: a clock was set, or spans are detached."
            )
            yield Finding("clock offset", offset.rows, detail=detail)
            continue
        bounds = [("at least", offset.lowest), ("at most", offset.highest)]
        needed = " and ".join(f"{word} {bound:,}" for word, bound in bounds if bound is not None)
        detail = f" Add {needed} µs to the times of {host}, to fit {quoted(offset.reference)}: "
        detail += f"ingest(..., clock_offsets={{{host}: {estimate}}})."
        time = np.zeros(len(offset.rows), dtype=np.int64)
        time[:1] = estimate
        yield Finding("clock offset", offset.rows, time, detail=detail)


def usage_findings(usage: Usage) -> Iterator[Finding]:
    """Token counts and costs that do not count as they stand, and calls without any."""
    figures = usage.figures.values()
    yield Finding("invalid usage", np.flatnonzero(any_of(each.invalid for each in figures)))
    yield Finding("silent call", np.flatnonzero(usage.silent))
    yield Finding("unexplained usage", np.flatnonzero(any_of(each.unexplained for each in figures)))
    yield Finding("surplus usage", np.flatnonzero(any_of(each.surplus for each in figures)))


def link_findings(spans: pd.DataFrame, relations: Relations) -> Iterator[Finding]:
    """Unknown links and requests, and agents without a link or parent to another agent."""
    links = relations.link_row, relations.link_target
    requests = relations.request_row, relations.request_target
    row, named = (np.concatenate(columns) for columns in zip(links, requests, strict=True))
    yield Finding("unknown link", np.unique(row[named < 0]))
    parent = relations.parents()
    child = np.flatnonzero(parent >= 0)
    source, target = (np.concatenate(rows) for rows in zip(relations.links(), (parent[child], child), strict=True))
    agents = groups_of(spans, "trace_id", "agent_id")
    traces = groups_of(spans, "trace_id").group
    across = agents.group[source] != agents.group[target]
    connected = np.zeros(len(agents), dtype=bool)
    connected[agents.group[source[across]]] = connected[agents.group[target[across]]] = True
    trace_of = traces[agents.first]
    linked = np.isin(trace_of, traces[source[across]])  # the agents of traces in which any agents are connected
    yield Finding("orphan", first_spans(spans, agents.group, linked & ~connected))
    yield Finding("unconnected", first_spans(spans, agents.group, ~linked & (counts(trace_of, len(agents))[trace_of] > 1)))


def first_spans(spans: pd.DataFrame, agents: Int64Array, wanted: Mask) -> Int64Array:
    """The first span of each wanted agent, in the order of a frame."""
    start, end = times_of(spans)
    first = lowest_of(agents, start, len(wanted))
    rows = np.flatnonzero(wanted[agents] & (start == first[agents]))
    rows = rows[order_with_ids(spans, agents[rows], end[rows], row=rows)]
    return rows[run_starts(agents[rows])]


def idleness(spans: pd.DataFrame, states: States) -> Finding:
    """Traces in which nothing works, or waits for a person, most of the time: the spans next to the longest gap of each."""
    trace = ranks_of(spans["trace_id"])
    n_traces = count_ranks(trace)
    start, end = times_of(spans)
    first, last = lowest_of(trace, start, n_traces), highest_of(trace, end, n_traces)
    row, piece_start, piece_end = states.pieces(WORK, PERSON)
    of_trace, gap_start, gap_end = subtract((np.arange(n_traces), first, last), union(trace[row], piece_start, piece_end))
    duration = difference(gap_end, gap_start)
    idle = sums(of_trace, duration, n_traces)
    longest = np.lexsort((-gap_start, duration, of_trace))
    longest = longest[run_ends(of_trace[longest])]
    mostly_idle = idle > MIN_IDLE_SHARE * difference(last, first)
    longest_start, longest_end = (highest_of(of_trace[longest], edge[longest], n_traces) for edge in (gap_start, gap_end))
    adjacent = mostly_idle[trace[row]] & ((piece_end == longest_start[trace[row]]) | (piece_start == longest_end[trace[row]]))
    rows = row[adjacent]
    never_works = np.flatnonzero((mostly_idle & (counts(trace[row], n_traces) == 0))[trace])  # the gap is the whole trace
    rows = np.unique(np.append(rows, never_works))
    return Finding("idle", rows, at_first_row(trace[rows], idle))
