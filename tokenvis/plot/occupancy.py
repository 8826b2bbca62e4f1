"""The occupancy matrix: how long each agent was at each location.

Ink only: the table is `tokenvis.analysis.occupancy`.
"""

from typing import Literal

import pandas as pd
from matplotlib.axes import Axes

from tokenvis.analysis.occupancy import occupancy
from tokenvis.errors import plural
from tokenvis.plot.artists.figure import check_axes, draw_empty
from tokenvis.plot.artists.matrix import cells_of, draw_matrix, matrix_axes
from tokenvis.plot.artists.style import duration_of, themed
from tokenvis.plot.artists.title import describe, draw_title, named, trace_name
from tokenvis.spans.columns import require


def plot_occupancy(
    spans: pd.DataFrame, *, time_unit: Literal["auto", "step"] = "auto", legend: bool = True, ax: Axes | None = None
) -> Axes:
    """Draw how long each agent was at each location: a row for each agent, a column for each location, time as colour.

    Parameters
    ----------
    spans
        A frame of spans; the times of several traces are added up.
    time_unit
        "auto": µs to days, as it fits. "step": times are step numbers.
    legend
        Whether the colours have a legend where the cells have no room for their times.
    ax
        The Axes to draw on. By default a new figure of a size that fits the matrix.

    Returns
    -------
    Axes
        A cell is 1 wide and 1 high, its time ``busy_us`` of `occupancy`. Where an agent never was is no cell. Of more than 60
        names, those with the least time are one row or column.

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
    >>> plot_occupancy(spans).get_label()
    'Time of 2 agents at 1 location in t; the most is Bob at desk, 7 s.'
    """
    require(spans)
    check_axes(ax)
    duration = duration_of(time_unit)
    table = occupancy(spans)
    with themed(ax) as look:
        cells = cells_of(table, "agent_id", "location_id", "busy_us")
        ax = matrix_axes(cells) if ax is None else ax
        if not len(table):
            return draw_empty(ax, look)
        draw_matrix(ax, cells, duration, look, names=("agent", "location"), legend=legend)
        draw_title(ax, trace_name(spans), "time of each agent at each location", look)
        most = table.iloc[int(table["busy_us"].argmax())]
        counts = [plural(table[f"{name}_id"].nunique(), name) for name in ("agent", "location")]
        where = f"{named(most['agent_id'])} at {named(most['location_id'])}, {duration(most['busy_us'])}"
        describe(ax, f"Time of {counts[0]} at {counts[1]} in {named(trace_name(spans))}; the most is {where}.")
    return ax
