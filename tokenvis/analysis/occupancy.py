"""Occupancy: where each agent spent its time.

A visit is a maximal run of an agent's consecutive spans at one location, where a parent counts without its children of the same
agent: an agent that leaves for another location and returns has two visits; a pause does not end a visit. An agent that waits
is where it waits, so that visits count every state of `self_spans`; busy and active time count work only.
"""

import pandas as pd

from tokenvis.spans.columns import require
from tokenvis.spans.groups import groups_of, ratio
from tokenvis.spans.integers import counts, difference, run_starts, sums
from tokenvis.spans.intervals import union
from tokenvis.spans.losses import recorded_spans
from tokenvis.tree.nesting import paths_of
from tokenvis.tree.relations import relations_of
from tokenvis.tree.states import states_of


def occupancy(spans: pd.DataFrame) -> pd.DataFrame:
    """How often and for how long each agent was at each location.

    Parameters
    ----------
    spans
        A frame of spans.

    Returns
    -------
    DataFrame
        A row for each agent at each location where it was, ordered by trace_id, agent_id, location_id:

        ``trace_id, agent_id, location_id`` (category);
        ``n_visits`` (int64): runs of consecutive spans there; an instant is a visit;
        ``busy_us`` (int64, µs): sum of its work there; ``active_us`` (int64, µs): time in which one of its spans works there;
        ``share_of_agent`` (Float64): busy here / busy anywhere; missing for an agent that is never busy.

    Raises
    ------
    MissingColumn, BadSpan
        If ``spans`` is not a frame of spans, or a duration or sum does not fit into a 64-bit integer.

    Examples
    --------
    >>> import pandas as pd
    >>> spans = pd.DataFrame({
    ...     "id": ["a", "b", "c"], "trace_id": "t", "agent_id": "Ann", "location_id": ["desk", "lab", "desk"],
    ...     "start_time": [0, 10, 15], "end_time": [10, 15, 20],
    ... })
    >>> occupancy(spans)
      trace_id agent_id location_id  n_visits  busy_us  active_us  share_of_agent
    0        t      Ann        desk         2       15         15            0.75
    1        t      Ann         lab         1        5          5            0.25
    """
    require(spans)
    spans = recorded_spans(spans)
    relations = relations_of(spans, links=False)
    paths = paths_of(spans, relations)
    groups = groups_of(spans, "trace_id", "agent_id", "location_id")
    count = len(groups)
    row, start, end = states_of(spans, relations).work()
    busy = sums(groups.group[row], difference(end, start), count)
    active_group, union_start, union_end = union(groups.group[row], start, end)
    visits = counts(groups.group[paths.row][run_starts(paths.path, paths.location)], count)
    agents = groups_of(spans.iloc[groups.first], "trace_id", "agent_id")
    busy_of_agent = sums(agents.group, busy, len(agents))[agents.group]
    table = pd.DataFrame(
        {
            **groups.names(spans),
            "n_visits": visits,
            "busy_us": busy,
            "active_us": sums(active_group, union_end - union_start, count),
            "share_of_agent": ratio(busy, busy_of_agent),
        }
    )
    return table[visits > 0].reset_index(drop=True)  # without groups of parents that their children cover completely
