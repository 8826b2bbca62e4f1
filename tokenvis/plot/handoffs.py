"""The handoff matrix: how often work went from each agent to each other agent, and after what gap.

Drawing only: the table is `tokenvis.analysis.handoffs`.
"""

from collections.abc import Callable, Iterable
from typing import Literal

import pandas as pd
from matplotlib.axes import Axes

from tokenvis.analysis.handoffs import handoffs
from tokenvis.errors import plural
from tokenvis.plot.artists.figure import check_axes, draw_empty
from tokenvis.plot.artists.matrix import draw_matrix, format_count, matrix_axes, matrix_cells
from tokenvis.plot.artists.style import themed
from tokenvis.plot.artists.times.durations import duration_formatter
from tokenvis.plot.artists.title import describe, described_name, draw_title, trace_title


def plot_handoffs(
    spans: pd.DataFrame,
    *,
    evidence: str | Iterable[str] = ("link", "parent"),
    within_us: int | None = None,
    time_unit: Literal["auto", "step"] = "auto",
    legend: bool = True,
    ax: Axes | None = None,
) -> Axes:
    """Draw who handed work to whom: a row for each agent that handed it off, a column for each that received it.

    A cell shows the number of handoffs, and below it the median gap between the moments at which the work left the one agent
    and arrived at the other: "5 s after", or "5 s before" if it arrived before the other had ended its span.

    Parameters
    ----------
    spans
        A frame of spans; the handoffs of several traces are summed.
    evidence
        Which evidence counts: ``"link"``, ``"parent"``, ``"location"``, one or several, as in `handoffs`.
    within_us
        The longest gap, in µs, for which a location is evidence; unlimited by default.
    time_unit
        "auto": from µs to days. "step": times are step numbers.
    legend
        Whether the colours have a scale while the cells are too small for their counts.
    ax
        The Axes to draw on. By default a new figure of a size that fits the matrix.

    Returns
    -------
    Axes
        A cell is 1 wide and 1 high; its count is the number of rows of `handoffs`, its gap the lower median of their
        ``gap_us``, which may be negative. Of more than 60 agents, those with the fewest handoffs are merged into one row or
        column.

    Raises
    ------
    MissingColumn, BadSpan
        ``spans`` is not a frame of spans, or a referenced id is in two rows of a trace.
    BadOption
        ``evidence``, ``within_us`` or ``time_unit`` is invalid.

    Examples
    --------
    >>> import pandas as pd
    >>> spans = pd.DataFrame({
    ...     "id": ["write", "review"], "trace_id": "t", "agent_id": ["Ann", "Bob"], "location_id": "desk",
    ...     "start_time": [0, 15_000_000], "end_time": [10_000_000, 20_000_000], "data": [None, '{"links": ["write"]}'],
    ... })
    >>> plot_handoffs(spans).get_label()
    '1 handoff between agents of t; most frequent: from Ann to Bob, 1.'
    """
    table = handoffs(spans, evidence=evidence, within_us=within_us)
    check_axes(ax)
    duration = duration_formatter(time_unit)
    pairs = table.groupby(["from_agent", "to_agent"], observed=True)["gap_us"]
    counted = pairs.agg(n="size", gap=lambda gaps: gaps.sort_values().iloc[(len(gaps) - 1) // 2]).reset_index()
    with themed(ax) as theme:
        detail = pd.Series([gap_text(gap, duration) for gap in counted["gap"].tolist()], dtype="str")
        cells = matrix_cells(counted, "from_agent", "to_agent", "n", detail)
        ax = matrix_axes(cells) if ax is None else ax
        if not len(table):
            return draw_empty(ax, theme, spans, reason="No handoffs.")
        draw_matrix(ax, cells, format_count, theme, names=("from", "to"), legend=legend)
        draw_title(ax, trace_title(spans), "handoffs, and the median gap", theme)
        largest = cells.iloc[int(cells["amount"].argmax())]
        top_handoff = (
            f"from {described_name(largest['row'])} to {described_name(largest['column'])}, {format_count(largest['amount'])}"
        )
        total = plural(len(table), "handoff")
        describe(ax, f"{total} between agents of {described_name(trace_title(spans))}; most frequent: {top_handoff}.")
    return ax


def gap_text(gap_us: int, duration: Callable[[int], str]) -> str:
    """A gap as text: how long after the work left it arrived, or before."""
    if not gap_us:
        return "at once"
    return f"{duration(abs(gap_us))} {'after' if gap_us > 0 else 'before'}"
