"""The transition matrix: how often agents went from each location to each other one.

Ink only: the table is `tokenvis.analysis.transitions`.
"""

import pandas as pd
from matplotlib.axes import Axes

from tokenvis.analysis.transitions import transitions
from tokenvis.errors import plural
from tokenvis.plot.artists.figure import check_axes, draw_empty
from tokenvis.plot.artists.matrix import cells_of, count_text, draw_matrix, matrix_axes
from tokenvis.plot.artists.style import themed
from tokenvis.plot.artists.title import describe, draw_title, named, trace_name
from tokenvis.spans.columns import require


def plot_transitions(spans: pd.DataFrame, *, legend: bool = True, ax: Axes | None = None) -> Axes:
    """Draw how often agents moved from one location to another: a row for each "from", a column for each "to".

    Parameters
    ----------
    spans
        A frame of spans; the moves of several traces are added up.
    legend
        Whether the colours have a legend where the cells have no room for their counts.
    ax
        The Axes to draw on. By default a new figure of a size that fits the matrix.

    Returns
    -------
    Axes
        A cell is 1 wide and 1 high, its count ``n_moves`` of `transitions`. Of more than 60 locations, those with the fewest
        moves are one row or column.

    Raises
    ------
    MissingColumn, BadSpan
        Where ``spans`` is not a frame of spans.

    Examples
    --------
    >>> import pandas as pd
    >>> spans = pd.DataFrame({
    ...     "id": ["a", "b"], "trace_id": "t", "agent_id": "Ann", "location_id": ["desk", "lab"],
    ...     "start_time": [0, 6_000_000], "end_time": [5_000_000, 9_000_000],
    ... })
    >>> plot_transitions(spans).get_label()
    '1 move between locations in t; the most go from desk to lab, 1.'
    """
    require(spans)
    check_axes(ax)
    table = transitions(spans)
    with themed(ax) as look:
        cells = cells_of(table, "from_location", "to_location", "n_moves")
        ax = matrix_axes(cells) if ax is None else ax
        if not len(table):
            return draw_empty(ax, look, "No agent moved." if len(spans) else "This trace is empty.")
        draw_matrix(ax, cells, count_text, look, names=("from", "to"), legend=legend)
        draw_title(ax, trace_name(spans), "moves between locations", look)
        most = cells.iloc[int(cells["amount"].argmax())]
        way = f"from {named(most['row'])} to {named(most['column'])}, {count_text(most['amount'])}"
        total = plural(int(table["n_moves"].sum()), "move")
        describe(ax, f"{total} between locations in {named(trace_name(spans))}; the most go {way}.")
    return ax
