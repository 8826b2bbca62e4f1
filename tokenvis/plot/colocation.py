"""The colocation matrix: how long each pair of agents was together.

Drawing only: the table is `tokenvis.analysis.colocation`.
"""

from typing import Literal

import pandas as pd
from matplotlib.axes import Axes

from tokenvis.analysis.colocation import colocation
from tokenvis.plot.artists.figure import check_axes, draw_empty
from tokenvis.plot.artists.matrix import draw_matrix, largest_pair, matrix_axes, matrix_cells, summed
from tokenvis.plot.artists.style import themed
from tokenvis.plot.artists.times.durations import duration_formatter
from tokenvis.plot.artists.title import describe, described_name, draw_note, draw_title, trace_title
from tokenvis.spans.columns import require
from tokenvis.spans.losses import losses_of


def plot_colocation(
    spans: pd.DataFrame, *, time_unit: Literal["auto", "step"] = "auto", legend: bool = True, ax: Axes | None = None
) -> Axes:
    """Draw how long each pair of agents was active at the same location: rows and columns are agents, colour is time.

    Parameters
    ----------
    spans
        A frame of spans; the times of all locations, and of several traces, are summed. Filter it to see one location.
    time_unit
        "auto": from µs to days. "step": times are step numbers.
    legend
        Whether the colours have a scale while the cells are too small for their times.
    ax
        The Axes to draw on. By default a new figure of a size that fits the matrix.

    Returns
    -------
    Axes
        A cell is 1 wide and 1 high; each pair of agents has two cells with its time, ``overlap_us`` of `colocation`. Of more
        than 60 agents, those with the least time are merged.

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
    >>> plot_colocation(spans).get_label()
    'Time that agents of t were together; the maximum is Ann and Bob, 3 s.'
    """
    require(spans)
    check_axes(ax)
    duration = duration_formatter(time_unit)
    losses, table = losses_of(spans), colocation(spans)
    pairs = ["agent_id", "other_agent_id"]
    table = table.groupby(pairs, observed=True, as_index=False)[["overlap_us"]].sum().astype(dict.fromkeys(pairs, "str"))
    both = pd.concat([table, table.rename(columns=dict(zip(pairs, pairs[::-1], strict=True)))], ignore_index=True)
    with themed(ax) as theme:
        cells = matrix_cells(both, "agent_id", "other_agent_id", "overlap_us")
        ax = matrix_axes(cells) if ax is None else ax
        if not len(table):
            return draw_empty(ax, theme, spans, losses, "No two agents met.")
        draw_matrix(ax, cells, duration, theme, names=("agent", "with agent"), legend=legend)
        draw_note(ax, [losses], theme)
        draw_title(ax, trace_title(spans), f"time that agents spent together{summed(spans)}", theme)
        one, other, longest = largest_pair(table, "agent_id", "other_agent_id", "overlap_us")
        described = f"Time that agents of {described_name(trace_title(spans))} were together{summed(spans)}"
        describe(ax, f"{described}; the maximum is {one} and {other}, {duration(longest)}.", *losses.sentences())
    return ax
