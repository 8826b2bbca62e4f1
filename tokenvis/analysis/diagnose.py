"""Diagnose: what in the spans changes the meaning of the answers, or puts them in doubt.

A finding is no error: sessions with open spans and guessed starts are the rule. It says what to keep in mind.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd

from tokenvis.spans.columns import codes_of, order_of, require, rows_by, times_of, values_at
from tokenvis.spans.fields import field_values
from tokenvis.spans.groups import groups_of
from tokenvis.spans.integers import (
    Int64Array,
    Mask,
    closes_run,
    counts,
    difference,
    highest_of,
    lowest_of,
    opens_run,
    running_max,
    sort_order,
    sums,
)
from tokenvis.spans.intervals import overlaps, subtract, union
from tokenvis.spans.losses import losses_of, work_of
from tokenvis.spans.nesting import pieces_of
from tokenvis.spans.relations import Relations, identities, named_parents, relations_of

IDLE_SHARE = 0.5  # of the wall time
MEANING = {
    "lost": "These could not be recorded. Counts and times are lower bounds, and what was lost may have filled the gaps.",
    "duplicate id": "Several rows have this id: time and tokens count twice, and links to it are not clear.",
    "self-overlap": "An agent does several things at once. Busy time counts each of them, active time counts once.",
    "unknown parent": "The parent is not in the trace: these count as roots, and a span around them may repeat their tokens.",
    "unknown link": "A link names a span that is not in the trace. Handoffs and the critical path do without it.",
    "cycle": "These spans are their own ancestors. Their parents are ignored.",
    "outside parent": "The span runs before its parent starts or after it ends: work in the background, or two clocks.",
    "open": "The span still ran when it was last seen. Its end, and all that depends on it, is a lower bound.",
    "estimated": "The source did not give these times or parents. Durations, waits and gaps beside them are estimates.",
    "orphan": "Other agents are connected by links or parents, this one is not. Nothing tells who started it.",
    "unconnected": "No link or parent connects any two agents: handoffs are unknown, and the critical path is one agent's own.",
    "idle": "Nothing runs for most of the wall time. Look at active time, and at gaps; these spans are beside the longest.",
}


class Finding(NamedTuple):
    """Spans that one thing is true of; for how long each, or None; and how many each stands for, or None: itself."""

    kind: str
    rows: Int64Array
    time: Int64Array | None = None
    number: Int64Array | None = None


def diagnose(spans: pd.DataFrame) -> pd.DataFrame:
    """What to keep in mind when reading the answers about these spans.

    Parameters
    ----------
    spans
        A frame of spans.

    Returns
    -------
    DataFrame
        A row for each kind of finding in each trace, ordered by trace_id and kind as listed here; none where all is well:

        ``trace_id`` (category); ``kind`` (str): "lost" (spans that could not be recorded; marks stand in
        their place), "duplicate id", "self-overlap", "unknown parent", "unknown link", "cycle", "outside parent", "open"
        (``status``), "estimated" (``estimated``), "orphan" (an agent whose spans have no link or parent that leads to another
        agent, where others have; its first span), "unconnected" (no agent of several has; the first span of each), "idle"
        (nothing runs for more than half of the wall time);
        ``n_spans`` (int64), of "lost" those that were; ``time_us`` (Int64, µs): the time that marks cover, or how long spans
        overlap, run outside, or nothing runs; else missing;
        ``meaning`` (str): what it means for the answers; ``span_ids`` (a list of ids, in the order of a frame):
        ``diagnose(spans).explode("span_ids")`` has a row for each.

    Raises
    ------
    MissingColumn, BadSpan
        Where ``spans`` is not a frame of spans, or has times that do not fit into 63 bits.

    Examples
    --------
    >>> import pandas as pd
    >>> spans = pd.DataFrame({
    ...     "id": ["a", "b"], "trace_id": "t", "agent_id": "Ann", "location_id": "desk",
    ...     "start_time": [0, 5], "end_time": [10, 12], "data": [None, '{"status": "open"}'],
    ... })
    >>> diagnose(spans)[["kind", "n_spans", "time_us", "span_ids"]]
               kind  n_spans  time_us span_ids
    0  self-overlap        2        5   [a, b]
    1          open        1     <NA>      [b]
    """
    require(spans)
    trace, traces = codes_of(spans["trace_id"])
    found = sorted(
        (number, list(MEANING).index(finding.kind), rows, count, time)
        for finding in all_findings(spans, trace, len(traces))
        for number, rows, count, time in by_trace(spans, finding, trace)
    )
    kinds = [list(MEANING)[kind] for _, kind, *_ in found]
    return pd.DataFrame(
        {
            "trace_id": values_at(spans, "trace_id", np.array([rows[0] for _, _, rows, *_ in found], dtype=np.int64)),
            "kind": pd.array(kinds, dtype="str"),
            "n_spans": np.array([count for *_, count, _ in found], dtype=np.int64),
            "time_us": pd.array([time for *_, time in found], dtype="Int64"),
            "meaning": pd.array([MEANING[kind] for kind in kinds], dtype="str"),
            "span_ids": pd.Series([spans["id"].iloc[rows].tolist() for _, _, rows, *_ in found], dtype="object"),
        }
    )


def by_trace(spans: pd.DataFrame, finding: Finding, trace: Int64Array) -> Iterator[tuple[int, list[int], int, int | None]]:
    """A finding's rows trace by trace, each in the order of a frame, for how many they stand, and the sum of their times."""
    found = spans[["id", "trace_id", "agent_id", "start_time", "end_time"]].iloc[finding.rows]
    order = order_of(found, "trace_id")
    rows = finding.rows[order]
    numbers, first, part_of = np.unique(trace[rows], return_index=True, return_inverse=True)
    time, count = (
        None if values is None else sums(part_of.reshape(-1), values[order], len(numbers))
        for values in (finding.time, finding.number)
    )
    for part, number in enumerate(numbers.tolist()):
        its = rows[first[part] : first[part + 1] if part + 1 < len(first) else len(rows)].tolist()
        yield number, its, len(its) if count is None else int(count[part]), None if time is None else int(time[part])


def all_findings(spans: pd.DataFrame, trace: Int64Array, n_traces: int) -> Iterator[Finding]:
    """What was lost, and all that is found among the other spans."""
    lost = losses_of(spans)
    stretch, opens, closes = union(trace[lost.rows], lost.start, lost.end)
    lasts = sums(stretch, difference(closes, opens), n_traces)
    yield Finding("lost", lost.rows, once(trace[lost.rows], lasts), lost.number)
    kept = np.delete(np.arange(len(spans)), lost.rows)
    for finding in findings(work_of(spans)):
        yield finding._replace(rows=kept[finding.rows])


def findings(spans: pd.DataFrame) -> Iterator[Finding]:
    """All findings among spans that are no marks."""
    own = identities(spans)[0]
    twice = np.flatnonzero(counts(own, len(spans))[own] > 1)
    yield Finding("duplicate id", twice)
    yield self_overlaps(spans)
    first = np.unique(own, return_index=True)[1] if len(twice) else np.arange(len(spans))
    whole = spans.iloc[first] if len(twice) else spans
    named = relations_of(whole)
    for finding in (*parent_findings(whole, named), *link_findings(whole, named)):
        yield finding._replace(rows=first[finding.rows])
    rows, status = field_values(spans, "status")
    yield Finding("open", rows[[value == "open" for value in status]])
    rows, estimated = field_values(spans, "estimated")
    yield Finding("estimated", rows[[bool(value) for value in estimated]])
    yield idleness(spans)


def self_overlaps(spans: pd.DataFrame) -> Finding:
    """Spans that run while another of the same agent does; the time is what busy counts more than active."""
    row, start, end = pieces_of(spans)
    solid = end > start
    row, start, end = row[solid], start[solid], end[solid]
    agents = groups_of(spans, "trace_id", "agent_id").group
    order = sort_order(agents[row], start)
    row, start, end = row[order], start[order], end[order]
    agent = agents[row]
    reach = np.append(start[:1], running_max(agent, end)[:-1])
    reach[opens_run(agent)] = start[opens_run(agent)]
    again = np.maximum(np.minimum(reach, end) - start, 0)
    involved = (again > 0) | (overlaps(agent, start, end) > 0)
    rows, which = np.unique(row[involved], return_inverse=True)
    return Finding("self-overlap", rows, sums(which.reshape(-1), again[involved], len(rows)))


def parent_findings(spans: pd.DataFrame, named: Relations) -> Iterator[Finding]:
    """What is odd about parents."""
    child, above = named_parents(spans)[0], named.parents()
    yield Finding("unknown parent", child[(above[child] < 0) & ~named.cyclic[child]])
    yield Finding("cycle", np.flatnonzero(named.cyclic))
    child = np.flatnonzero(above >= 0)
    start, end = times_of(spans)
    begins, stops = start[above[child]], end[above[child]]
    inside = np.maximum(np.minimum(end[child], stops) - np.maximum(start[child], begins), 0)
    out = (start[child] < begins) | (end[child] > stops)
    yield Finding("outside parent", child[out], (difference(end[child], start[child]) - inside)[out])


def link_findings(spans: pd.DataFrame, named: Relations) -> Iterator[Finding]:
    """What is odd about links, and the agents that neither links nor parents lead to."""
    yield Finding("unknown link", np.unique(named.by[named.link < 0]))
    parent = named.parents()
    child = np.flatnonzero(parent >= 0)
    source, target = (np.concatenate(rows) for rows in zip(named.links(), (parent[child], child), strict=True))
    agents = groups_of(spans, "trace_id", "agent_id")
    traces = groups_of(spans, "trace_id").group
    across = agents.group[source] != agents.group[target]
    connected = np.zeros(len(agents), dtype=bool)
    connected[agents.group[source[across]]] = connected[agents.group[target[across]]] = True
    trace_of = traces[agents.first]
    told = np.isin(trace_of, traces[source[across]])
    yield Finding("orphan", first_spans(spans, agents.group, told & ~connected))
    yield Finding("unconnected", first_spans(spans, agents.group, ~told & (counts(trace_of, len(agents))[trace_of] > 1)))


def first_spans(spans: pd.DataFrame, agents: Int64Array, wanted: Mask) -> Int64Array:
    """The first span of each agent that is wanted, in the order of a frame."""
    start, end = times_of(spans)
    first = lowest_of(agents, start, len(wanted))
    rows = np.flatnonzero(wanted[agents] & (start == first[agents]))
    rows = rows[rows_by(spans, agents[rows], end[rows], row=rows)]
    return rows[opens_run(agents[rows])]


def idleness(spans: pd.DataFrame) -> Finding:
    """Traces in which nothing runs for most of the time: the spans next to the longest gap of each."""
    trace, traces = codes_of(spans["trace_id"])
    n_traces = len(traces)
    start, end = times_of(spans)
    first, last = lowest_of(trace, start, n_traces), highest_of(trace, end, n_traces)
    of_trace, opens, closes = subtract((np.arange(n_traces), first, last), union(trace, start, end))
    lasts = difference(closes, opens)
    idle = sums(of_trace, lasts, n_traces)
    longest = np.lexsort((-opens, lasts, of_trace))
    longest = longest[closes_run(of_trace[longest])]
    hidden = idle > IDLE_SHARE * difference(last, first)
    before, after = (highest_of(of_trace[longest], edge[longest], n_traces) for edge in (opens, closes))
    beside = hidden[trace] & ((end == before[trace]) | (start == after[trace]))
    rows = np.flatnonzero(beside)
    return Finding("idle", rows, once(trace[rows], idle))


def once(trace: Int64Array, values: Int64Array) -> Int64Array:
    """The value of each trace at the first of its rows, 0 at the others: they add up to it."""
    at_first = np.zeros(len(trace), dtype=np.int64)
    first = np.unique(trace, return_index=True)[1]
    at_first[first] = values[trace[first]]
    return at_first
