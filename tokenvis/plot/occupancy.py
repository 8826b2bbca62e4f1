"""The occupancy matrix: how long each agent was at each location.

Drawing only: the table is `tokenvis.analysis.occupancy`.
"""

from typing import Literal

import pandas as pd
from matplotlib.axes import Axes

from tokenvis.analysis.occupancy import occupancy
from tokenvis.errors import plural
from tokenvis.plot.artists.figure import check_axes, draw_empty
from tokenvis.plot.artists.matrix import draw_matrix, largest_pair, matrix_axes, matrix_cells, summed
from tokenvis.plot.artists.style import themed
from tokenvis.plot.artists.times.durations import duration_formatter
from tokenvis.plot.artists.title import describe, described_name, draw_note, draw_title, trace_title
from tokenvis.spans.columns import require
from tokenvis.spans.losses import losses_of
from tokenvis.tree.states import states_of, wrappers_of


def plot_occupancy(
    spans: pd.DataFrame, *, time_unit: Literal["auto", "step"] = "auto", legend: bool = True, ax: Axes | None = None
) -> Axes:
    """Draw how long each agent was at each location: a row for each agent, a column for each location, colour is time.

    Parameters
    ----------
    spans
        A frame of spans; the times of several traces are summed.
    time_unit
        "auto": from µs to days. "step": times are step numbers.
    legend
        Whether the colours have a scale while the cells are too small for their times.
    ax
        The Axes to draw on. By default a new figure of a size that fits the matrix.

    Returns
    -------
    Axes
        A cell is 1 wide and 1 high, its time is ``busy_us`` of `occupancy`, which counts work, not waiting. If an agent was
        never at a location, there is no cell. Agents that only wait are last. Of more than 60 names, those with the least time
        are merged into one row or column.

    Raises
    ------
    MissingColumn, BadSpan
        ``spans`` is not a frame of spans.
    BadOption
        ``time_unit`` is invalid, or ``ax`` is not an Axes.

    Examples
    --------
    >>> import pandas as pd
    >>> spans = pd.DataFrame({
    ...     "id": ["a", "b"], "trace_id": "t", "agent_id": ["Ann", "Bob"], "location_id": "desk",
    ...     "start_time": [0, 2_000_000], "end_time": [5_000_000, 9_000_000],
    ... })
    >>> plot_occupancy(spans).get_label()
    'Time of 2 agents at 1 location in t; the maximum is Bob at desk, 7 s.'
    """
    require(spans)
    check_axes(ax)
    duration = duration_formatter(time_unit)
    losses, table = losses_of(spans), occupancy(spans)
    states = states_of(spans)
    counted = "working time" if states.state.any() else "time"
    with themed(ax) as theme:
        cells = matrix_cells(table, "agent_id", "location_id", "busy_us", last=wrappers_of(spans, states))
        ax = matrix_axes(cells) if ax is None else ax
        if not len(table):
            return draw_empty(ax, theme, spans, losses)
        draw_matrix(ax, cells, duration, theme, names=("agent", "location"), legend=legend)
        draw_note(ax, [losses], theme)
        draw_title(ax, trace_title(spans), f"{counted} of each agent at each location{summed(spans)}", theme)
        agent, location, longest = largest_pair(table, "agent_id", "location_id", "busy_us")
        counts = [plural(table[f"{name}_id"].nunique(), name) for name in ("agent", "location")]
        described = (
            f"{counted.capitalize()} of {counts[0]} at {counts[1]} in {described_name(trace_title(spans))}{summed(spans)}"
        )
        describe(ax, f"{described}; the maximum is {agent} at {location}, {duration(longest)}.", *losses.sentences())
    return ax
