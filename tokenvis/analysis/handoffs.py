"""Handoffs: work goes from one agent to another.

Explicit ``links`` of the source are the strongest evidence; next is a child of another agent: its parent delegates work to it,
and the work returns; last, and only on request, an agent starts at a location where another was the last to end. The last kind
is the handover of work in process mining (W. M. P. van der Aalst, H. A. Reijers, M. Song, "Discovering social networks from
event logs", 2005), with a location as the case.
"""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from tokenvis.errors import BadOption, quoted
from tokenvis.spans.columns import is_integer, order_of, order_with_ids, ranks_of, require, times_of, values_at
from tokenvis.spans.groups import groups_of
from tokenvis.spans.integers import Int64Array, difference, inverse_permutation, rank_in, run_ends, run_starts, sort_order
from tokenvis.spans.losses import recorded_spans
from tokenvis.tree.callees import AgentStarts, delegations
from tokenvis.tree.nesting import pieces_of
from tokenvis.tree.relations import evidence_of, relations_of

EVIDENCE_BY_STRENGTH = ("link", "delegate", "return", "location")


def handoffs(
    spans: pd.DataFrame, *, evidence: str | Iterable[str] = ("link", "parent"), within_us: int | None = None
) -> pd.DataFrame:
    """Each handoff of work between two agents, and how long the work waited.

    Parameters
    ----------
    spans
        A frame of spans.
    evidence
        Which evidence counts, one or several: ``"link"``, a span links to a span of another agent in ``links``; ``"parent"``,
        a span has a child of another agent; ``"location"``, an agent starts at a location where another was the last to end.
    within_us
        The longest gap, in µs, for which a location is evidence; by default unlimited.

    Returns
    -------
    DataFrame
        A row for each pair of spans, with its strongest evidence, ordered by trace_id, arrived, and the two spans in the
        order of a frame:

        ``trace_id, from_agent, to_agent`` (category); ``from_span, to_span`` (as ``id``); ``from_location, to_location``
        (category); ``evidence`` (str); ``left, arrived`` (int64, µs); ``gap_us`` (int64, µs: arrived - left).

        "link": from the end of the linked span to the start of the span with the link; the gap may be negative. "delegate":
        from the parent to the child; it leaves at the parent's start or, if later, the last end of an earlier child, and
        arrives at the child's start. "return": from the child's end to the next start of a span of the parent's agent, or to
        the parent's end if there is none. Children of one parent and one agent are one delegation as long as the parent's
        agent starts nothing between them: the work goes to the first child and returns from the child that ends last.
        "location": from the end of the last of `self_spans` there to the start of the next, if it has another agent and no
        stronger requested evidence leads to that span.

    Raises
    ------
    MissingColumn, BadSpan
        If ``spans`` is not a frame of spans, a parent or linked id is in two rows of a trace, or a gap does not fit into a
        64-bit integer.
    BadOption
        If ``evidence`` is not one of the choices, or ``within_us`` is not a non-negative integer.

    Examples
    --------
    >>> import pandas as pd
    >>> spans = pd.DataFrame({
    ...     "id": ["write", "review"], "trace_id": "t", "agent_id": ["Ann", "Bob"], "location_id": "desk",
    ...     "start_time": [0, 15], "end_time": [10, 20], "data": [None, '{"links": ["write"]}'],
    ... })
    >>> handoffs(spans)[["from_agent", "to_agent", "from_span", "to_span", "evidence", "gap_us"]]
      from_agent to_agent from_span to_span evidence  gap_us
    0        Ann      Bob     write  review     link       5
    """
    kinds = evidence_of(evidence)
    if within_us is not None and not (is_integer(within_us) and within_us >= 0):
        raise BadOption(f"within_us={quoted(within_us)} is neither None nor a non-negative integer of µs.")
    require(spans)
    spans = recorded_spans(spans)
    found = link_and_parent_handoffs(spans, kinds)
    if "location" in kinds:
        rows_with_evidence = (
            np.unique(np.concatenate([pairs["to"].to_numpy() for pairs in found])) if found else np.empty(0, np.int64)
        )
        found.append(location_handoffs(spans, rows_with_evidence, within_us))
    pairs = pd.concat(found, ignore_index=True) if found else candidate_handoffs("link", *[np.empty(0, dtype=np.int64)] * 4)
    return handoff_table(spans, strongest(spans, pairs))


def candidate_handoffs(
    kind: str, source: Int64Array, target: Int64Array, left: Int64Array, arrived: Int64Array
) -> pd.DataFrame:
    """Possible handoffs of one kind, as a table of rows and times."""
    strength = np.full(len(source), EVIDENCE_BY_STRENGTH.index(kind), dtype=np.int8)
    return pd.DataFrame({"from": source, "to": target, "strength": strength, "left": left, "arrived": arrived})


def link_and_parent_handoffs(spans: pd.DataFrame, kinds: set[str]) -> list[pd.DataFrame]:
    """The handoffs by links and parents, for the requested kinds of evidence."""
    relations = relations_of(spans, parents="parent" in kinds, links="link" in kinds, requests=False)
    found, parent = [link_handoffs(spans, *relations.links())], relations.parents()
    if (parent >= 0).any():
        found += delegation_handoffs(spans, parent)
    return [pairs for pairs in found if len(pairs)]


def link_handoffs(spans: pd.DataFrame, source: Int64Array, target: Int64Array) -> pd.DataFrame:
    """Handoffs from the linked span to the span with the link."""
    agent = ranks_of(spans["agent_id"])
    other = agent[source] != agent[target]
    source, target = source[other], target[other]
    start, end = times_of(spans)
    return candidate_handoffs("link", source, target, end[source], start[target])


def delegation_handoffs(spans: pd.DataFrame, parent: Int64Array) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Handoffs from a parent to a child of another agent, and back to the parent's agent.

    Children of one parent and one agent are one delegation, with one return, as long as the parent's agent starts nothing
    between them.
    """
    start, end = times_of(spans)
    agents = groups_of(spans, "trace_id", "agent_id").group
    child = np.flatnonzero(parent >= 0)
    child = child[agents[child] != agents[parent[child]]]
    starts = AgentStarts(spans, agents)
    parts = delegations(spans, child, parent[child], agents[parent[child]], starts)
    child, delegation, first = parts.child, parts.delegation, parts.first
    last = child[order_with_ids(spans, delegation, end[child], start[child], row=child)]
    last = last[run_ends(delegation)]
    next_start_row = starts.first_at_or_after(agents[parent[last]], end[last])
    target, arrived = (
        np.where(next_start_row < 0, parent[last], next_start_row),
        np.where(next_start_row < 0, end[parent[last]], start[next_start_row]),
    )
    delegated = candidate_handoffs("delegate", parent[first], first, earliest_delegation(spans, parent, first), start[first])
    return delegated, candidate_handoffs("return", last, target, end[last], arrived)


def earliest_delegation(spans: pd.DataFrame, parent: Int64Array, child: Int64Array) -> Int64Array:
    """The earliest time at which each child's parent could delegate its work: the parent's start, or an earlier child's end."""
    start, end = times_of(spans)
    siblings = np.flatnonzero(parent >= 0)
    siblings = siblings[sort_order(parent[siblings], end[siblings])]
    earlier = rank_in(parent[siblings], end[siblings], parent[child], start[child], side="right") - 1
    earlier -= start[child] == end[child]  # an instant does not end before itself
    found = (earlier >= 0) & (parent[siblings[earlier]] == parent[child])
    parent_start = start[parent[child]]
    return np.where(found, np.maximum(parent_start, end[siblings[earlier]]), parent_start)


def location_handoffs(spans: pd.DataFrame, rows_with_evidence: Int64Array, within_us: int | None) -> pd.DataFrame:
    """Handoffs from the last piece to end at a location to the next that starts there, if the agents differ."""
    row, start, end = pieces_of(spans)
    agent = ranks_of(spans["agent_id"])[row]
    location = groups_of(spans, "trace_id", "location_id").group[row]
    order = order_with_ids(spans, location, end, start, agent, row=row)
    row, start, end, agent, location = row[order], start[order], end[order], agent[order], location[order]
    before = rank_in(location, end, location, start, side="right") - 1
    instant = start == end
    before[instant] = np.flatnonzero(instant) - 1
    target = np.flatnonzero((before >= 0) & (location[before] == location) & (agent[before] != agent))
    source = before[target]
    new = ~np.isin(row[target], rows_with_evidence)
    if within_us is not None:
        new &= difference(start[target], end[source]) <= within_us
    source, target = source[new], target[new]
    return candidate_handoffs("location", row[source], row[target], end[source], start[target])


def strongest(spans: pd.DataFrame, pairs: pd.DataFrame) -> pd.DataFrame:
    """One row for each pair of spans: its strongest evidence, and of that the first to arrive; in the order of the result."""
    source, target, arrived = (pairs[column].to_numpy() for column in ("from", "to", "arrived"))
    order = np.lexsort((arrived, pairs["strength"].to_numpy(), target, source))
    order = order[run_starts(source[order], target[order])]
    source, target, arrived = source[order], target[order], arrived[order]
    rank = inverse_permutation(order_of(spans))
    trace = ranks_of(spans["trace_id"])
    return pairs.iloc[order[np.lexsort((rank[target], rank[source], arrived, trace[target]))]]


def handoff_table(spans: pd.DataFrame, pairs: pd.DataFrame) -> pd.DataFrame:
    """The result of `handoffs` from pairs of rows."""
    source, target, left, arrived = (pairs[column].to_numpy() for column in ("from", "to", "left", "arrived"))
    return pd.DataFrame(
        {
            "trace_id": values_at(spans, "trace_id", target),
            "from_agent": values_at(spans, "agent_id", source),
            "to_agent": values_at(spans, "agent_id", target),
            "from_span": values_at(spans, "id", source),
            "to_span": values_at(spans, "id", target),
            "from_location": values_at(spans, "location_id", source),
            "to_location": values_at(spans, "location_id", target),
            "evidence": pd.array(np.array(EVIDENCE_BY_STRENGTH, dtype=object)[pairs["strength"].to_numpy()], dtype="str"),
            "left": left,
            "arrived": arrived,
            "gap_us": difference(arrived, left),
        }
    )
