"""Moves: an agent leaves one location and next works at another.

A row is the gap between two consecutive spans of one agent, in the frame's order, on `self_spans`: an agent leaves a parent's
location and returns to it if children run elsewhere. The gap is negative if the agent starts at the new location before it
leaves the old one.
"""

import numpy as np
import pandas as pd

from tokenvis.spans.columns import order_with_ids, ranks_of, require, values_at
from tokenvis.spans.integers import difference
from tokenvis.spans.losses import recorded_spans
from tokenvis.tree.nesting import paths_of


def moves(spans: pd.DataFrame) -> pd.DataFrame:
    """Each move of an agent between locations, in order of arrival.

    Parameters
    ----------
    spans
        A frame of spans.

    Returns
    -------
    DataFrame
        ``trace_id, agent_id, from_location, to_location`` (category), ``from_span, to_span`` (as ``id`` in ``spans``),
        ``left, arrived`` (int64, µs: the end of the old span and the start of the new one), ``gap_us`` (int64, µs: arrived -
        left, may be negative). Ordered by trace_id, arrived, left, agent_id, to_span.

    Raises
    ------
    MissingColumn, BadSpan
        If ``spans`` is not a frame of spans, or a gap does not fit into a 64-bit integer.

    Examples
    --------
    >>> import pandas as pd
    >>> spans = pd.DataFrame({
    ...     "id": ["a", "b"], "trace_id": "t", "agent_id": "Ann", "location_id": ["desk", "lab"],
    ...     "start_time": [0, 15], "end_time": [10, 20],
    ... })
    >>> moves(spans)[["agent_id", "from_location", "to_location", "left", "arrived", "gap_us"]]
      agent_id from_location to_location  left  arrived  gap_us
    0      Ann          desk         lab    10       15       5
    """
    require(spans)
    spans = recorded_spans(spans)
    paths = paths_of(spans)
    before = np.flatnonzero(paths.moves())
    trace, agent = (ranks_of(spans[column]) for column in ("trace_id", "agent_id"))
    to_row = paths.row[before + 1]
    order = order_with_ids(spans, trace[to_row], paths.start[before + 1], paths.end[before], agent[to_row], row=to_row)
    before = before[order]
    after = before + 1
    to_row, from_row = paths.row[after], paths.row[before]
    left, arrived = paths.end[before], paths.start[after]
    return pd.DataFrame(
        {
            "trace_id": values_at(spans, "trace_id", to_row),
            "agent_id": values_at(spans, "agent_id", to_row),
            "from_location": values_at(spans, "location_id", from_row),
            "to_location": values_at(spans, "location_id", to_row),
            "from_span": values_at(spans, "id", from_row),
            "to_span": values_at(spans, "id", to_row),
            "left": left,
            "arrived": arrived,
            "gap_us": difference(arrived, left),
        }
    )
