"""The transition matrix: how often agents moved from each location to each other location.

Drawing only: the table is `tokenvis.analysis.transitions`.
"""

import pandas as pd
from matplotlib.axes import Axes

from tokenvis.analysis.transitions import transitions
from tokenvis.errors import plural
from tokenvis.plot.artists.figure import check_axes, draw_empty
from tokenvis.plot.artists.matrix import draw_matrix, format_count, largest_pair, matrix_axes, matrix_cells, summed
from tokenvis.plot.artists.style import themed
from tokenvis.plot.artists.title import describe, described_name, draw_note, draw_title, trace_title
from tokenvis.spans.columns import require
from tokenvis.spans.losses import losses_of


def plot_transitions(spans: pd.DataFrame, *, legend: bool = True, ax: Axes | None = None) -> Axes:
    """Draw how often agents moved from one location to another: a row for each "from", a column for each "to".

    Parameters
    ----------
    spans
        A frame of spans; the moves of several traces are summed.
    legend
        Whether the colours have a scale while the cells are too small for their counts.
    ax
        The Axes to draw on. By default a new figure of a size that fits the matrix.

    Returns
    -------
    Axes
        A cell is 1 wide and 1 high, its count is ``n_moves`` of `transitions`. Of more than 60 locations, those with the fewest
        moves are merged into one row or column.

    Raises
    ------
    MissingColumn, BadSpan
        ``spans`` is not a frame of spans.

    Examples
    --------
    >>> import pandas as pd
    >>> spans = pd.DataFrame({
    ...     "id": ["a", "b"], "trace_id": "t", "agent_id": "Ann", "location_id": ["desk", "lab"],
    ...     "start_time": [0, 6_000_000], "end_time": [5_000_000, 9_000_000],
    ... })
    >>> plot_transitions(spans).get_label()
    '1 move between locations in t; most frequent: from desk to lab, 1.'
    """
    require(spans)
    check_axes(ax)
    losses, table = losses_of(spans), transitions(spans)
    with themed(ax) as theme:
        cells = matrix_cells(table, "from_location", "to_location", "n_moves")
        ax = matrix_axes(cells) if ax is None else ax
        if not len(table):
            return draw_empty(ax, theme, spans, losses, "No agent moved.")
        draw_matrix(ax, cells, format_count, theme, names=("from", "to"), legend=legend)
        total = plural(int(table["n_moves"].sum()), "move")
        draw_note(ax, [losses], theme)
        draw_title(ax, trace_title(spans), f"{total} between locations{summed(spans)}", theme)
        start, end, most = largest_pair(table, "from_location", "to_location", "n_moves")
        described = f"{total} between locations in {described_name(trace_title(spans))}{summed(spans)}"
        describe(ax, f"{described}; most frequent: from {start} to {end}, {format_count(most)}.", *losses.sentences())
    return ax
