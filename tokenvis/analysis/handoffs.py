"""Handoffs: work goes from one agent to another.

What a source says outright (``links``) is the strongest evidence; then that a span has a child of another agent, to which
work is delegated and from which it returns; then, only if asked for, that an agent starts where another has just ended. The
last is the handover of work of process mining (W. M. P. van der Aalst, H. A. Reijers, M. Song, "Discovering social networks
from event logs", 2005), with a location as the case.
"""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from tokenvis.errors import BadOption, quoted
from tokenvis.spans.columns import codes_of, is_integer, order_of, require, rows_by, times_of, values_at
from tokenvis.spans.groups import dense, groups_of
from tokenvis.spans.integers import Int64Array, closes_run, difference, opens_run, rank_in, running_max, sort_order
from tokenvis.spans.losses import work_of
from tokenvis.spans.nesting import pieces_of
from tokenvis.spans.relations import evidence_of, relations_of

STRENGTH = ("link", "delegate", "return", "location")


def handoffs(
    spans: pd.DataFrame, *, evidence: str | Iterable[str] = ("link", "parent"), within_us: int | None = None
) -> pd.DataFrame:
    """Each handoff of work between two agents, and how long the work lay.

    Parameters
    ----------
    spans
        A frame of spans.
    evidence
        Which evidence counts, one or several: ``"link"``, a span names in ``links`` one of another agent; ``"parent"``, a
        span has a child of another agent; ``"location"``, an agent starts at a location where another was the last to end.
    within_us
        The longest gap, in µs, for which a location is evidence; by default any.

    Returns
    -------
    DataFrame
        A row for each pair of spans, with its strongest evidence, ordered by trace_id, arrived, and the two spans in the
        order of a frame:

        ``trace_id, from_agent, to_agent`` (category); ``from_span, to_span`` (as ``id``); ``from_location, to_location``
        (category); ``evidence`` (str); ``left, arrived`` (int64, µs); ``gap_us`` (int64, µs: arrived - left).

        "link": from the end of the span named to the start of the one that names it; the gap may be negative. "delegate":
        from the parent to the child, from the parent's start or, if later, the last end of one of its children before that,
        to the child's start. "return": from the child's end to the next start of a span of its parent's agent, or the
        parent's own end where there is none. Children of one parent and one agent are one piece of work, as long as the
        parent's agent starts nothing between them: it is delegated to the first and returns from the one that ends last.
        "location": from the end of the last of `self_spans` there to the start of the next, of another agent, where no
        stronger evidence that was asked for leads to that span.

    Raises
    ------
    MissingColumn, BadSpan
        Where ``spans`` is not a frame of spans, an id that is asked for stands in two rows of a trace, or a gap does not fit
        into 63 bits.
    BadOption
        Where ``evidence`` or ``within_us`` is none of the choices.

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
        raise BadOption(f"within_us={quoted(within_us)} is not a whole number of µs from 0 on, nor None.")
    require(spans)
    spans = work_of(spans)
    found = stated(spans, kinds)
    if "location" in kinds:
        explained = np.unique(np.concatenate([known["to"].to_numpy() for known in found])) if found else np.empty(0, np.int64)
        found.append(relayed(spans, explained, within_us))
    pairs = pd.concat(found, ignore_index=True) if found else candidates("link", *[np.empty(0, dtype=np.int64)] * 4)
    return told(spans, strongest(spans, pairs))


def candidates(kind: str, source: Int64Array, target: Int64Array, left: Int64Array, arrived: Int64Array) -> pd.DataFrame:
    """Handoffs of one kind as a table of rows and times."""
    strength = np.full(len(source), STRENGTH.index(kind), dtype=np.int8)
    return pd.DataFrame({"from": source, "to": target, "strength": strength, "left": left, "arrived": arrived})


def stated(spans: pd.DataFrame, kinds: set[str]) -> list[pd.DataFrame]:
    """The handoffs that links and parents tell of, as far as these are asked for."""
    named = relations_of(spans, parents="parent" in kinds, links="link" in kinds)
    found, parent = [linked(spans, *named.links())], named.parents()
    if (parent >= 0).any():
        found += delegated(spans, parent)
    return [pairs for pairs in found if len(pairs)]


def linked(spans: pd.DataFrame, source: Int64Array, target: Int64Array) -> pd.DataFrame:
    """From the span that is named to the one that names it."""
    agent = codes_of(spans["agent_id"])[0]
    other = agent[source] != agent[target]
    source, target = source[other], target[other]
    start, end = times_of(spans)
    return candidates("link", source, target, end[source], start[target])


def delegated(spans: pd.DataFrame, parent: Int64Array) -> tuple[pd.DataFrame, pd.DataFrame]:
    """From a parent to a child of another agent, and from there back to the parent's agent.

    Children of one parent and one agent are one piece of work, given out once and brought back once, as long as the parent's
    agent starts nothing between them.
    """
    start, end = times_of(spans)
    agents = groups_of(spans, "trace_id", "agent_id").group
    child = np.flatnonzero(parent >= 0)
    child = child[agents[child] != agents[parent[child]]]
    work = dense(parent[child] * (int(agents.max(initial=0)) + 1) + agents[child], 2**63 - 1)[0]
    order = rows_by(spans, work, start[child], end[child], row=child)
    child, work = child[order], work[order]
    own = Starts(spans, agents)
    reach = np.append(start[:1], running_max(work, end[child])[:-1])[: len(child)]
    asked = own.next(agents[parent[child]], reach)
    goes_on = (asked < 0) | (start[asked] > start[child])
    piece = np.cumsum(opens_run(work) | ~goes_on)
    first = child[opens_run(piece)]
    last = child[rows_by(spans, piece, end[child], start[child], row=child)]
    last = last[closes_run(piece)]
    back = own.next(agents[parent[last]], end[last])
    target, arrived = np.where(back < 0, parent[last], back), np.where(back < 0, end[parent[last]], start[back])
    given = candidates("delegate", parent[first], first, free_since(spans, parent, first), start[first])
    return given, candidates("return", last, target, end[last], arrived)


def free_since(spans: pd.DataFrame, parent: Int64Array, child: Int64Array) -> Int64Array:
    """From when on each child's parent could have given out that work: its start, or the last end of a child before."""
    start, end = times_of(spans)
    siblings = np.flatnonzero(parent >= 0)
    siblings = siblings[sort_order(parent[siblings], end[siblings])]
    earlier = rank_in(parent[siblings], end[siblings], parent[child], start[child], side="right") - 1
    earlier -= start[child] == end[child]  # an instant does not end before itself
    there = (earlier >= 0) & (parent[siblings[earlier]] == parent[child])
    begin = start[parent[child]]
    return np.where(there, np.maximum(begin, end[siblings[earlier]]), begin)


class Starts:
    """The spans of each agent in the order in which they start."""

    def __init__(self, spans: pd.DataFrame, agents: Int64Array) -> None:
        """Sort the spans of the agents, which are numbered for each trace."""
        start, end = times_of(spans)
        self.row = rows_by(spans, agents, start, end)
        self.agent, self.start = agents[self.row], start[self.row]

    def next(self, agent: Int64Array, time: Int64Array) -> Int64Array:
        """The row of the agent's first span to start at or after a time, or -1."""
        place = rank_in(self.agent, self.start, agent, time, side="left")
        mine = np.append(self.agent, -1)[place] == agent
        return np.where(mine, np.append(self.row, -1)[place], -1)


def relayed(spans: pd.DataFrame, explained: Int64Array, within_us: int | None) -> pd.DataFrame:
    """From the last piece to end at a location to one that starts there, where another agent's."""
    row, start, end = pieces_of(spans)
    agent = codes_of(spans["agent_id"])[0][row]
    place = groups_of(spans, "trace_id", "location_id").group[row]
    order = rows_by(spans, place, end, start, agent, row=row)
    row, start, end, agent, place = row[order], start[order], end[order], agent[order], place[order]
    before = rank_in(place, end, place, start, side="right") - 1
    instant = start == end
    before[instant] = np.flatnonzero(instant) - 1
    target = np.flatnonzero((before >= 0) & (place[before] == place) & (agent[before] != agent))
    source = before[target]
    new = ~np.isin(row[target], explained)
    if within_us is not None:
        new &= difference(start[target], end[source]) <= within_us
    source, target = source[new], target[new]
    return candidates("location", row[source], row[target], end[source], start[target])


def strongest(spans: pd.DataFrame, pairs: pd.DataFrame) -> pd.DataFrame:
    """One row for each pair of spans: its strongest evidence, and of that the first; in the order of the answer."""
    source, target, arrived = (pairs[column].to_numpy() for column in ("from", "to", "arrived"))
    order = np.lexsort((arrived, pairs["strength"].to_numpy(), target, source))
    order = order[opens_run(source[order], target[order])]
    source, target, arrived = source[order], target[order], arrived[order]
    place = np.empty(len(spans), dtype=np.int64)
    place[order_of(spans)] = np.arange(len(spans))
    trace = codes_of(spans["trace_id"])[0]
    return pairs.iloc[order[np.lexsort((place[target], place[source], arrived, trace[target]))]]


def told(spans: pd.DataFrame, pairs: pd.DataFrame) -> pd.DataFrame:
    """The table, with names for rows."""
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
            "evidence": pd.array(np.array(STRENGTH, dtype=object)[pairs["strength"].to_numpy()], dtype="str"),
            "left": left,
            "arrived": arrived,
            "gap_us": difference(arrived, left),
        }
    )
