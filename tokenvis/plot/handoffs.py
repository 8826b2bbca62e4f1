"""The handoff matrix: how often work went from each agent to each other one, and how long it lay.

Ink only: the table is `tokenvis.analysis.handoffs`.
"""

from collections.abc import Iterable
from typing import Literal

import pandas as pd
from matplotlib.axes import Axes

from tokenvis.analysis.handoffs import handoffs
from tokenvis.errors import plural
from tokenvis.plot.artists.figure import check_axes, draw_empty
from tokenvis.plot.artists.matrix import cells_of, count_text, draw_matrix, matrix_axes
from tokenvis.plot.artists.style import duration_of, themed
from tokenvis.plot.artists.title import describe, draw_title, named, trace_name


def plot_handoffs(
    spans: pd.DataFrame,
    *,
    evidence: str | Iterable[str] = ("link", "parent"),
    within_us: int | None = None,
    time_unit: Literal["auto", "step"] = "auto",
    legend: bool = True,
    ax: Axes | None = None,
) -> Axes:
    """Draw who handed work to whom: a row for each agent that gave it, a column for each that took it.

    A cell says how often, and below it how long the work lay, by the median.

    Parameters
    ----------
    spans
        A frame of spans; the handoffs of several traces are added up.
    evidence
        Which evidence counts: ``"link"``, ``"parent"``, ``"location"``, one or several, as in `handoffs`.
    within_us
        The longest gap, in µs, for which a location is evidence; by default any.
    time_unit
        "auto": µs to days, as it fits. "step": times are step numbers.
    legend
        Whether the colours have a legend where the cells have no room for their counts.
    ax
        The Axes to draw on. By default a new figure of a size that fits the matrix.

    Returns
    -------
    Axes
        A cell is 1 wide and 1 high; its count is the number of rows of `handoffs`, its wait the lower median of their
        ``gap_us``. Of more than 60 agents, those with the fewest handoffs are one row or column.

    Raises
    ------
    MissingColumn, BadSpan
        Where ``spans`` is not a frame of spans, or an id that is asked for stands in two rows of a trace.
    BadOption
        Where ``evidence``, ``within_us`` or ``time_unit`` is none of the choices.

    Examples
    --------
    >>> import pandas as pd
    >>> spans = pd.DataFrame({
    ...     "id": ["write", "review"], "trace_id": "t", "agent_id": ["Ann", "Bob"], "location_id": "desk",
    ...     "start_time": [0, 15_000_000], "end_time": [10_000_000, 20_000_000], "data": [None, '{"links": ["write"]}'],
    ... })
    >>> plot_handoffs(spans).get_label()
    '1 handoff between agents of t; the most go from Ann to Bob, 1.'
    """
    table = handoffs(spans, evidence=evidence, within_us=within_us)
    check_axes(ax)
    duration = duration_of(time_unit)
    pairs = table.groupby(["from_agent", "to_agent"], observed=True)["gap_us"]
    waits = pairs.agg(n="size", wait=lambda gaps: gaps.sort_values().iloc[(len(gaps) - 1) // 2]).reset_index()
    with themed(ax) as look:
        detail = pd.Series([f"after {duration(wait)}" for wait in waits["wait"]], dtype="str")
        cells = cells_of(waits, "from_agent", "to_agent", "n", detail)
        ax = matrix_axes(cells) if ax is None else ax
        if not len(table):
            return draw_empty(ax, look, "No handoffs." if len(spans) else "This trace is empty.")
        draw_matrix(ax, cells, count_text, look, names=("from", "to"), legend=legend)
        draw_title(ax, trace_name(spans), "handoffs, and the median wait", look)
        most = cells.iloc[int(cells["amount"].argmax())]
        way = f"from {named(most['row'])} to {named(most['column'])}, {count_text(most['amount'])}"
        total = plural(len(table), "handoff")
        describe(ax, f"{total} between agents of {named(trace_name(spans))}; the most go {way}.")
    return ax
