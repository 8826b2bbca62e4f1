"""Concurrency: how many spans work at each moment, as a step function.

It counts the pieces of `self_spans` in state "work": a parent does not work while a child of the same agent runs, or while it
waits. The number in a row applies until the next row.
"""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from tokenvis.spans.columns import ranks_of, require, times_of
from tokenvis.spans.groups import by_columns, groups_of
from tokenvis.spans.integers import lowest_of, order_by
from tokenvis.spans.intervals import running_counts
from tokenvis.spans.losses import recorded_spans
from tokenvis.tree.states import states_of


def concurrency(spans: pd.DataFrame, *, by: str | Iterable[str] | None = None) -> pd.DataFrame:
    """Number of spans that work at once, with a row for each time at which it changes.

    Parameters
    ----------
    spans
        A frame of spans.
    by
        A column, or several, whose values form groups within each trace, each with a separate step function.

    Returns
    -------
    DataFrame
        ``trace_id`` (category), ``time`` (int64, µs), the columns of ``by`` (unchanged), ``running`` (int64): spans that work
        from this time until the next row of the trace or group. Changes at one time are one row; a time at which the number
        stays the same has no row. The last row is 0. Instants are not counted; a trace or group without work has one row: its
        first start, with 0. Ordered by trace_id, time, and the values of ``by``.

    Raises
    ------
    MissingColumn, BadSpan
        If ``spans`` is not a frame of spans, or lacks a column of ``by``.
    BadOption
        If ``by`` has the name of a column of the result.

    Examples
    --------
    >>> import pandas as pd
    >>> spans = pd.DataFrame({
    ...     "id": ["a", "b", "c"], "trace_id": "t", "agent_id": ["Ann", "Bob", "Ann"], "location_id": "desk",
    ...     "start_time": [0, 5, 10], "end_time": [10, 20, 15],
    ... })
    >>> concurrency(spans)
      trace_id  time  running
    0        t     0        1
    1        t     5        2
    2        t    15        1
    3        t    20        0
    """
    columns = by_columns(by, ("time", "running"))
    require(spans, *columns)
    spans = recorded_spans(spans)
    groups = groups_of(spans, *columns)
    row, start, end = states_of(spans).work()
    group, time, running = running_counts(groups.group[row], start, end)
    without_work = np.ones(len(groups), dtype=bool)
    without_work[group] = False
    if without_work.any():
        first = lowest_of(groups.group, times_of(spans)[0], len(groups))
        added = np.flatnonzero(without_work)
        group, time = np.concatenate([group, added]), np.concatenate([time, first[added]])
        running = np.concatenate([running, np.zeros(len(added), dtype=np.int64)])
    if without_work.any() or len(columns) > 1:
        trace = ranks_of(spans["trace_id"].iloc[groups.first])
        order = order_by([trace[group], time, group])
        group, time, running = group[order], time[order], running[order]
    names = groups.names(spans, group)
    return pd.DataFrame({"trace_id": names.pop("trace_id"), "time": time, **names, "running": running})
