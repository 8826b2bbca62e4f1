"""Gaps: the time in which nothing runs, between the first start and the last end of a trace.

All gaps of a trace and its active time add up to its wall time. An instant takes no time, so it does not end a gap.
"""

import numpy as np
import pandas as pd

from tokenvis.errors import BadOption, quoted
from tokenvis.spans.columns import codes_of, is_integer, order_with_ids, require, times_of, values_at
from tokenvis.spans.fields import field_values
from tokenvis.spans.integers import Int64Array, difference, rank_in
from tokenvis.spans.intervals import subtract, union
from tokenvis.spans.losses import recorded_spans
from tokenvis.spans.text import text_column


def gaps(spans: pd.DataFrame, *, min_us: int = 0) -> pd.DataFrame:
    """The intervals in which nothing runs.

    Parameters
    ----------
    spans
        A frame of spans.
    min_us
        The shortest gap to return, in µs.

    Returns
    -------
    DataFrame
        A row for each gap, ordered by trace_id and start:

        ``trace_id`` (category); ``start, end`` (int64, µs), ``gap_us`` (int64, µs: end - start);
        ``span_before``: the last span to end before it (ties: the latest start, then agent_id, id);
        ``span_after``: the first span to start after it (ties: the earliest end, then agent_id, id), as ``id``;
        ``cause`` (str): what started the work after it, from ``trigger`` in ``data``: "user" if the work begins with a user's
        message; missing if unknown.

    Raises
    ------
    MissingColumn, BadSpan
        If ``spans`` is not a frame of spans, or a duration or sum does not fit into a 64-bit integer.
    BadOption
        If ``min_us`` is not a non-negative integer.

    Examples
    --------
    >>> import pandas as pd
    >>> spans = pd.DataFrame({
    ...     "id": ["a", "b", "c"], "trace_id": "t", "agent_id": "Ann", "location_id": "desk",
    ...     "start_time": [0, 15, 21], "end_time": [10, 20, 30], "data": [None, '{"trigger": "user"}', None],
    ... })
    >>> gaps(spans)
      trace_id  start  end  gap_us span_before span_after cause
    0        t     10   15       5           a          b  user
    1        t     20   21       1           b          c   NaN
    """
    if not (is_integer(min_us) and min_us >= 0):
        raise BadOption(f"min_us={quoted(min_us)} is not a non-negative integer of µs.")
    require(spans)
    spans = recorded_spans(spans)
    start, end = times_of(spans)
    trace, traces = codes_of(spans["trace_id"])
    agent = codes_of(spans["agent_id"])[0]
    by_start, by_end = order_with_ids(spans, trace, start, end, agent), order_with_ids(spans, trace, end, start, agent)
    trace_codes = np.arange(len(traces))
    first = by_start[np.searchsorted(trace[by_start], trace_codes)]
    last = by_end[np.searchsorted(trace[by_end], trace_codes, side="right") - 1]
    wall = trace_codes, start[first], end[last]
    of_trace, gap_start, gap_end = subtract(wall, union(trace, start, end))
    duration = difference(gap_end, gap_start)
    kept = (duration > 0) & (duration >= min_us)
    of_trace, gap_start, gap_end, duration = of_trace[kept], gap_start[kept], gap_end[kept], duration[kept]
    before = by_end[rank_in(trace[by_end], end[by_end], of_trace, gap_start, side="right") - 1]
    after = by_start[rank_in(trace[by_start], start[by_start], of_trace, gap_end, side="left")]
    return pd.DataFrame(
        {
            "trace_id": values_at(spans, "trace_id", before),
            "start": gap_start,
            "end": gap_end,
            "gap_us": duration,
            "span_before": values_at(spans, "id", before),
            "span_after": values_at(spans, "id", after),
            "cause": causes(spans, trace[by_start], start[by_start], by_start, of_trace, gap_end),
        }
    )


def causes(
    spans: pd.DataFrame, trace: Int64Array, start: Int64Array, row: Int64Array, of_trace: Int64Array, gap_end: Int64Array
) -> pd.Series:
    """The trigger of the first span with a trigger that starts at the end of each gap; rows are sorted by trace and start."""
    with_trigger, triggers = field_values(spans, "trigger")
    text = np.full(len(spans), None, dtype=object)
    text[with_trigger] = triggers
    valid = np.zeros(len(spans), dtype=bool)
    valid[with_trigger] = [isinstance(trigger, str) for trigger in triggers]
    valid = valid[row]
    trace, start, row = trace[valid], start[valid], row[valid]
    position = rank_in(trace, start, of_trace, gap_end, side="left")
    found = position < rank_in(trace, start, of_trace, gap_end, side="right")
    cause = np.full(len(gap_end), None, dtype=object)
    cause[found] = text[row[position[found]]]
    return text_column(cause.tolist(), pd.RangeIndex(len(cause)))
