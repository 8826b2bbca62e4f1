"""Moves: an agent leaves one location and next works at another.

A row is the gap between two consecutive spans of one agent, in the frame's order, on `self_spans`: a parent is left and
entered again where its children run elsewhere. The gap is negative where the agent already works at the new place before it
leaves the old one.
"""

import numpy as np
import pandas as pd

from tokenvis.columns import codes_of, ordered, require
from tokenvis.nesting import self_spans


def moves(spans: pd.DataFrame) -> pd.DataFrame:
    """Each move of an agent between locations, in order of arrival.

    Parameters
    ----------
    spans
        A frame of spans.

    Returns
    -------
    DataFrame
        ``trace_id, agent_id, from_location, to_location`` (as in ``spans``), ``from_span, to_span`` (ids), ``left, arrived``
        (int64, µs: the end of the old span and the start of the new one), ``gap_us`` (int64: arrived - left, may be negative).
        Ordered by trace_id, arrived, left, agent_id, to_span.

    Raises
    ------
    MissingColumn, BadSpan
        Where ``spans`` is not a frame of spans.

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
    here = ordered(self_spans(spans), "trace_id", "agent_id")
    before, after = here.iloc[:-1], here.iloc[1:]
    keys = {name: codes_of(here[name])[0] for name in ("trace_id", "agent_id", "location_id")}
    same = {name: code[1:] == code[:-1] for name, code in keys.items()}
    moved = same["trace_id"] & same["agent_id"] & ~same["location_id"]
    before, after = before[moved], after[moved]
    left, arrived = before["end_time"].to_numpy(), after["start_time"].to_numpy()
    table = pd.DataFrame(
        {
            "trace_id": after["trace_id"].array,
            "agent_id": after["agent_id"].array,
            "from_location": before["location_id"].array,
            "to_location": after["location_id"].array,
            "from_span": before["id"].array,
            "to_span": after["id"].array,
            "left": left,
            "arrived": arrived,
            "gap_us": arrived - left,
        }
    )
    ranks = [codes_of(table[name])[0] for name in ("to_span", "agent_id")]
    order = np.lexsort((*ranks, left, arrived, codes_of(table["trace_id"])[0]))
    return table.iloc[order].reset_index(drop=True)
