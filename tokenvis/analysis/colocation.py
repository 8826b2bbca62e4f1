"""Colocation: which agents were at the same location at the same time.

A meeting is a maximal interval in which two agents are both active at one location, on `self_spans`. The spans of each agent
at a location are united first, so each pair of overlapping intervals is one meeting.
"""

from itertools import pairwise

import numpy as np
import pandas as pd

from tokenvis.spans.columns import ranks_of, require, values_at
from tokenvis.spans.groups import groups_of
from tokenvis.spans.integers import Int64Array, difference, highest_of, lowest_of, order_by, packed, sort_order, sums
from tokenvis.spans.intervals import number_in_run, overlaps, union
from tokenvis.spans.losses import recorded_spans
from tokenvis.tree.nesting import pieces_of

MEETINGS_PER_CHUNK = 1_000_000  # in memory at once


def colocation(spans: pd.DataFrame) -> pd.DataFrame:
    """Which agents met at which location, how often and for how long.

    Parameters
    ----------
    spans
        A frame of spans.

    Returns
    -------
    DataFrame
        A row for each pair of agents that met at a location, ordered by trace_id, first, location_id, agent_id, other_agent_id:

        ``trace_id, location_id, agent_id, other_agent_id`` (category; agent_id is lexically first);
        ``n_meetings`` (int64); ``overlap_us`` (int64, µs): the time together;
        ``first, last`` (int64, µs): start of the first meeting, end of the last.

        Instants have no meetings.

    Raises
    ------
    MissingColumn, BadSpan
        If ``spans`` is not a frame of spans, or a duration or sum does not fit into a 64-bit integer.

    Examples
    --------
    >>> import pandas as pd
    >>> spans = pd.DataFrame({
    ...     "id": ["a", "b", "c"], "trace_id": "t", "agent_id": ["Ann", "Bob", "Bob"], "location_id": "desk",
    ...     "start_time": [0, 5, 18], "end_time": [20, 10, 30],
    ... })
    >>> colocation(spans).drop(columns="trace_id")
      location_id agent_id other_agent_id  n_meetings  overlap_us  first  last
    0        desk      Ann            Bob           2           7      5    20
    """
    require(spans)
    spans = recorded_spans(spans)
    row, start, end = pieces_of(spans)
    members = groups_of(spans, "trace_id", "location_id", "agent_id")
    member, start, end = union(members.group[row], start, end)
    of_member = spans.iloc[members.first]
    location = groups_of(of_member, "trace_id", "location_id").group
    order = sort_order(location[member], start)
    member, start, end = member[order], start[order], end[order]
    pairs = meetings(location[member], member, start, end)
    first_member, other_member = pairs["first_member"].to_numpy(), pairs["other_member"].to_numpy()
    names = {column: values_at(of_member, column, first_member) for column in ("trace_id", "location_id", "agent_id")}
    table = pd.DataFrame({**names, "other_agent_id": values_at(of_member, "agent_id", other_member), **pairs.iloc[:, 2:]})
    trace = ranks_of(of_member["trace_id"])[first_member]
    return table.iloc[order_by([trace, pairs["first"].to_numpy(), first_member, other_member])].reset_index(drop=True)


def meetings(location: Int64Array, member: Int64Array, start: Int64Array, end: Int64Array) -> pd.DataFrame:
    """Pairs of members that meet, from their intervals sorted by location and start; computed in chunks."""
    later = overlaps(location, start, end)
    chunk_ends = np.searchsorted(np.cumsum(later), np.arange(MEETINGS_PER_CHUNK, int(later.sum()), MEETINGS_PER_CHUNK)) + 1
    cuts = [0, *chunk_ends.tolist(), len(later)]
    parts = [merge_pairs(meetings_of_rows(np.arange(first, last), later, member, start, end)) for first, last in pairwise(cuts)]
    return merge_pairs(pd.concat(parts, ignore_index=True))


def meetings_of_rows(
    rows: Int64Array, later: Int64Array, member: Int64Array, start: Int64Array, end: Int64Array
) -> pd.DataFrame:
    """The meetings of these intervals with later intervals, a row for each."""
    left = np.repeat(rows, later[rows])
    right = left + 1 + number_in_run(later[rows])
    first, last = start[right], np.minimum(end[left], end[right])
    first_member, other_member = np.minimum(member[left], member[right]), np.maximum(member[left], member[right])
    together = {"n_meetings": np.ones(len(first), dtype=np.int64), "overlap_us": difference(last, first)}
    return pd.DataFrame({"first_member": first_member, "other_member": other_member, **together, "first": first, "last": last})


def merge_pairs(pairs: pd.DataFrame) -> pd.DataFrame:
    """One row for each pair of members: sums of counts and times, the first start and the last end."""
    first_member, other_member = pairs["first_member"].to_numpy(), pairs["other_member"].to_numpy()
    key = packed(first_member, other_member)
    assert key is not None, "two ranks fit into 63 bits"
    _, row, pair = np.unique(key, return_index=True, return_inverse=True)
    first = lowest_of(pair, pairs["first"].to_numpy(), len(row))
    last = highest_of(pair, pairs["last"].to_numpy(), len(row))
    totals = {column: sums(pair, pairs[column].to_numpy(), len(row)) for column in ("n_meetings", "overlap_us")}
    return pd.DataFrame(
        {"first_member": first_member[row], "other_member": other_member[row], **totals, "first": first, "last": last}
    )
