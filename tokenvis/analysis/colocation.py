"""Colocation: who was with whom, and where.

A meeting is a maximal stretch in which two agents are both active at one location, on `self_spans`. An agent's own spans at
the location are united first, so each pair of stretches that overlap is one meeting.
"""

from itertools import pairwise

import numpy as np
import pandas as pd

from tokenvis.spans.columns import codes_of, require, values_at
from tokenvis.spans.groups import groups_of
from tokenvis.spans.integers import Int64Array, difference, highest_of, lowest_of, order_by, packed, sort_order, sums
from tokenvis.spans.intervals import number_in_run, overlaps, union
from tokenvis.spans.losses import work_of
from tokenvis.spans.nesting import pieces_of

CHUNK = 1_000_000  # meetings that are in memory at once


def colocation(spans: pd.DataFrame) -> pd.DataFrame:
    """Which agents met at which location, how often and how long.

    Parameters
    ----------
    spans
        A frame of spans.

    Returns
    -------
    DataFrame
        A row for each pair of agents that met at a location, ordered by trace_id, first, location_id, agent_id, other_agent_id:

        ``trace_id, location_id, agent_id, other_agent_id`` (category; agent_id comes first in the alphabet);
        ``n_meetings`` (int64); ``overlap_us`` (int64, µs): the time together;
        ``first, last`` (int64, µs): start of the first meeting, end of the last one.

        Instants meet nobody.

    Raises
    ------
    MissingColumn, BadSpan
        Where ``spans`` is not a frame of spans, or has times that do not fit into 63 bits.

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
    spans = work_of(spans)
    row, start, end = pieces_of(spans)
    members = groups_of(spans, "trace_id", "location_id", "agent_id")
    member, start, end = union(members.group[row], start, end)
    of_member = spans.iloc[members.first]
    place = groups_of(of_member, "trace_id", "location_id").group
    order = sort_order(place[member], start)
    member, start, end = member[order], start[order], end[order]
    pairs = meetings(place[member], member, start, end)
    one, other = pairs["one"].to_numpy(), pairs["other"].to_numpy()
    names = {column: values_at(of_member, column, one) for column in ("trace_id", "location_id", "agent_id")}
    table = pd.DataFrame({**names, "other_agent_id": values_at(of_member, "agent_id", other), **pairs.iloc[:, 2:]})
    trace = codes_of(of_member["trace_id"])[0][one]
    return table.iloc[order_by([trace, pairs["first"].to_numpy(), one, other])].reset_index(drop=True)


def meetings(place: Int64Array, member: Int64Array, start: Int64Array, end: Int64Array) -> pd.DataFrame:
    """Pairs of members that meet, from their stretches sorted by place and start; so many meetings at a time."""
    later = overlaps(place, start, end)
    full = np.searchsorted(np.cumsum(later), np.arange(CHUNK, int(later.sum()), CHUNK)) + 1
    cuts = [0, *full.tolist(), len(later)]
    parts = [merged(met(np.arange(first, last), later, member, start, end)) for first, last in pairwise(cuts)]
    return merged(pd.concat(parts, ignore_index=True))


def met(rows: Int64Array, later: Int64Array, member: Int64Array, start: Int64Array, end: Int64Array) -> pd.DataFrame:
    """The meetings of these stretches with later ones, a row for each."""
    left = np.repeat(rows, later[rows])
    right = left + 1 + number_in_run(later[rows])
    first, last = start[right], np.minimum(end[left], end[right])
    one, other = np.minimum(member[left], member[right]), np.maximum(member[left], member[right])
    together = {"n_meetings": np.ones(len(first), dtype=np.int64), "overlap_us": difference(last, first)}
    return pd.DataFrame({"one": one, "other": other, **together, "first": first, "last": last})


def merged(pairs: pd.DataFrame) -> pd.DataFrame:
    """One row for each pair of members: counts and times added up, the first start and the last end."""
    one, other = pairs["one"].to_numpy(), pairs["other"].to_numpy()
    both = packed(one, other)
    assert both is not None, "two ranks fit into 63 bits"
    _, row, pair = np.unique(both, return_index=True, return_inverse=True)
    first = lowest_of(pair, pairs["first"].to_numpy(), len(row))
    last = highest_of(pair, pairs["last"].to_numpy(), len(row))
    added = {column: sums(pair, pairs[column].to_numpy(), len(row)) for column in ("n_meetings", "overlap_us")}
    return pd.DataFrame({"one": one[row], "other": other[row], **added, "first": first, "last": last})
