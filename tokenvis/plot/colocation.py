"""The colocation matrix: how long each two agents were together.

Ink only: the table is `tokenvis.analysis.colocation`.
"""

from typing import Literal

import pandas as pd
from matplotlib.axes import Axes

from tokenvis.analysis.colocation import colocation
from tokenvis.plot.artists.figure import check_axes, draw_empty
from tokenvis.plot.artists.matrix import cells_of, draw_matrix, matrix_axes
from tokenvis.plot.artists.style import duration_of, themed
from tokenvis.plot.artists.title import describe, draw_title, named, trace_name
from tokenvis.spans.columns import require


def plot_colocation(
    spans: pd.DataFrame, *, time_unit: Literal["auto", "step"] = "auto", legend: bool = True, ax: Axes | None = None
) -> Axes:
    """Draw how long each two agents were active at the same location: rows and columns are agents, time is colour.

    Parameters
    ----------
    spans
        A frame of spans; the times of all locations, and of several traces, are added up. Filter it to see one location.
    time_unit
        "auto": µs to days, as it fits. "step": times are step numbers.
    legend
        Whether the colours have a legend where the cells have no room for their times.
    ax
        The Axes to draw on. By default a new figure of a size that fits the matrix.

    Returns
    -------
    Axes
        A cell is 1 wide and 1 high; each pair of agents has two, its time ``overlap_us`` of `colocation`. Of more than 60
        agents, those with the least time are one.

    Raises
    ------
    MissingColumn, BadSpan
        Where ``spans`` is not a frame of spans.
    BadOption
        ``time_unit`` is none of its choices, or ``ax`` no Axes.

    Examples
    --------
    >>> import pandas as pd
    >>> spans = pd.DataFrame({
    ...     "id": ["a", "b"], "trace_id": "t", "agent_id": ["Ann", "Bob"], "location_id": "desk",
    ...     "start_time": [0, 2_000_000], "end_time": [5_000_000, 9_000_000],
    ... })
    >>> plot_colocation(spans).get_label()
    'Time that agents of t were together; the most is Ann and Bob, 3 s.'
    """
    require(spans)
    check_axes(ax)
    duration = duration_of(time_unit)
    table = colocation(spans)
    pairs = ["agent_id", "other_agent_id"]
    table = table.groupby(pairs, observed=True, as_index=False)[["overlap_us"]].sum().astype(dict.fromkeys(pairs, "str"))
    both = pd.concat([table, table.rename(columns=dict(zip(pairs, pairs[::-1], strict=True)))], ignore_index=True)
    with themed(ax) as look:
        cells = cells_of(both, "agent_id", "other_agent_id", "overlap_us")
        ax = matrix_axes(cells) if ax is None else ax
        if not len(table):
            return draw_empty(ax, look, "No two agents met." if len(spans) else "This trace is empty.")
        draw_matrix(ax, cells, duration, look, names=("agent", "with agent"), legend=legend)
        draw_title(ax, trace_name(spans), "time of each two agents together", look)
        most = table.iloc[int(table["overlap_us"].argmax())]
        who = f"{named(most['agent_id'])} and {named(most['other_agent_id'])}, {duration(most['overlap_us'])}"
        describe(ax, f"Time that agents of {named(trace_name(spans))} were together; the most is {who}.")
    return ax
