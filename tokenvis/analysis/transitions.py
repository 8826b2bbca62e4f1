"""Transitions: the moves of all agents added up, from which location to which.

This is the directly-follows graph of process mining (W. M. P. van der Aalst, "Process Mining", 2nd ed. 2016, 5.2), with an
agent's path as the case and the location as the activity; staying at a location is not a transition.
"""

import numpy as np
import pandas as pd

from tokenvis.spans.columns import ranks_of, require, values_at
from tokenvis.spans.groups import dense_ranks
from tokenvis.spans.integers import count_ranks, counts, difference, percentiles, sums
from tokenvis.spans.losses import recorded_spans
from tokenvis.tree.nesting import paths_of


def transitions(spans: pd.DataFrame) -> pd.DataFrame:
    """How often agents moved from one location to another, and how long that took.

    Parameters
    ----------
    spans
        A frame of spans.

    Returns
    -------
    DataFrame
        A row for each pair of locations between which an agent moved, ordered by trace_id, from_location, to_location:

        ``trace_id, from_location, to_location`` (category); ``n_moves`` (int64);
        ``mean_gap_us`` (float64, µs), ``p50_gap_us`` (int64, µs, by nearest rank): time from leaving the first location to
        the start at the second; negative if agents already worked there. `moves` lists each move.

    Raises
    ------
    MissingColumn, BadSpan
        If ``spans`` is not a frame of spans, or a gap does not fit into a 64-bit integer.

    Examples
    --------
    >>> import pandas as pd
    >>> spans = pd.DataFrame({
    ...     "id": ["a", "b", "c", "d"], "trace_id": "t", "agent_id": ["Ann", "Ann", "Bob", "Bob"],
    ...     "location_id": ["desk", "lab", "desk", "lab"], "start_time": [0, 15, 0, 12], "end_time": [10, 20, 9, 20],
    ... })
    >>> transitions(spans)
      trace_id from_location to_location  n_moves  mean_gap_us  p50_gap_us
    0        t          desk         lab        2          4.0           3
    """
    require(spans)
    spans = recorded_spans(spans)
    paths = paths_of(spans)
    before = np.flatnonzero(paths.moves())
    after = before + 1
    gap = difference(paths.start[after], paths.end[before])
    trace = ranks_of(spans["trace_id"])
    n_locations = int(paths.location.max(initial=-1)) + 1
    route, n_routes = dense_ranks(paths.location[before] * n_locations + paths.location[after], n_locations * n_locations)
    pair, count = dense_ranks(trace[paths.row[after]] * n_routes + route, count_ranks(trace) * n_routes)
    example_row = np.zeros(count, dtype=np.int64)
    example_row[pair] = before
    n_moves = counts(pair, count)
    return pd.DataFrame(
        {
            "trace_id": values_at(spans, "trace_id", paths.row[example_row]),
            "from_location": values_at(spans, "location_id", paths.row[example_row]),
            "to_location": values_at(spans, "location_id", paths.row[example_row + 1]),
            "n_moves": n_moves,
            "mean_gap_us": sums(pair, gap, count) / n_moves,
            "p50_gap_us": percentiles(pair, gap, count, (50,))[0],
        }
    )
