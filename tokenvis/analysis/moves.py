"""Moves: an agent leaves one location and next works at another.

A row is the gap between two consecutive spans of one agent, in the frame's order, on `self_spans`: a parent is left and
entered again where its children run elsewhere. The gap is negative where the agent already works at the new place before it
leaves the old one.
"""

import numpy as np
import pandas as pd

from tokenvis.spans.columns import codes_of, require, rows_by, values_at
from tokenvis.spans.integers import difference
from tokenvis.spans.losses import work_of
from tokenvis.spans.nesting import paths_of


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
        Where ``spans`` is not a frame of spans, or has times that do not fit into 63 bits.

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
    spans = work_of(spans)
    paths = paths_of(spans)
    before = np.flatnonzero(paths.moves())
    trace, agent = (codes_of(spans[column])[0] for column in ("trace_id", "agent_id"))
    came = paths.row[before + 1]
    order = rows_by(spans, trace[came], paths.start[before + 1], paths.end[before], agent[came], row=came)
    before = before[order]
    after = before + 1
    came, gone = paths.row[after], paths.row[before]
    left, arrived = paths.end[before], paths.start[after]
    return pd.DataFrame(
        {
            "trace_id": values_at(spans, "trace_id", came),
            "agent_id": values_at(spans, "agent_id", came),
            "from_location": values_at(spans, "location_id", gone),
            "to_location": values_at(spans, "location_id", came),
            "from_span": values_at(spans, "id", gone),
            "to_span": values_at(spans, "id", came),
            "left": left,
            "arrived": arrived,
            "gap_us": difference(arrived, left),
        }
    )
