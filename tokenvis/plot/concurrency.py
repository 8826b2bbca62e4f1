"""Concurrency over time: how many spans run, in all or by group.

Ink only: the table is `tokenvis.analysis.concurrency`; where it has more steps than the picture has pixels, means and peaks of
each pixel come from `tokenvis.layout.raster`.
"""

from typing import Any, Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from tokenvis.analysis.concurrency import concurrency
from tokenvis.layout.raster import means_and_peaks
from tokenvis.layout.time_map import GapMode
from tokenvis.plot.artists.color_scales import Hues, Palette, hues_of
from tokenvis.plot.artists.figure import check_axes, draw_empty, new_axes, room_on
from tokenvis.plot.artists.legend import draw_legend, patch
from tokenvis.plot.artists.losses import draw_losses, lost_patch
from tokenvis.plot.artists.style import Look, dress, sizes_of, themed
from tokenvis.plot.artists.text import width_of
from tokenvis.plot.artists.time_axis import TimeAxis, time_axis
from tokenvis.plot.artists.title import describe, draw_note, draw_title, named, plain
from tokenvis.spans.columns import codes_of, require
from tokenvis.spans.integers import Floats, opens_run
from tokenvis.spans.losses import losses_of, work_of

HEIGHT_INCHES = 2.2
HEADROOM = 1.35  # above the peak, for its text
FILL = 0.85  # opacity
MOST_STEPS = 4  # for each pixel, until a pixel shows its mean and its peak


def plot_concurrency(
    spans: pd.DataFrame,
    *,
    by: str | None = None,
    palette: Palette = None,
    gaps: GapMode = "fold",
    time: Literal["elapsed", "clock"] = "elapsed",
    time_unit: Literal["auto", "step"] = "auto",
    tz: str = "UTC",
    legend: bool = True,
    ax: Axes | None = None,
) -> Axes:
    """Draw how many spans run at each moment, in all or stacked by group, with the peak marked.

    Parameters
    ----------
    spans
        A frame of spans of one trace.
    by
        The column whose values make the groups, such as "agent_id"; by default there is one.
    palette
        Colours of those values, as in `plot_timeline`.
    gaps, time, time_unit, tz
        The time axis, as in `plot_timeline`.
    legend
        Whether a legend is drawn, where there are groups.
    ax
        The Axes to draw on. By default a new figure.

    Returns
    -------
    Axes
        x is that of `plot_timeline`, y the ``running`` of `concurrency`. Where there are more steps than the picture could
        show, the areas are the mean of each pixel, a line is its maximum, and a note says so.

    Raises
    ------
    MissingColumn, BadSpan
        Where ``spans`` is not a frame of spans, lacks the column ``by``, or holds several traces.
    BadOption
        An argument is none of its choices, or does not fit the spans.

    Examples
    --------
    >>> import pandas as pd
    >>> spans = pd.DataFrame({
    ...     "id": ["a", "b"], "trace_id": "t", "agent_id": ["Ann", "Bob"], "location_id": "desk",
    ...     "start_time": [0, 2_000_000], "end_time": [5_000_000, 9_000_000],
    ... })
    >>> plot_concurrency(spans).get_label()
    'Spans running at once in t over time; the most is 2.'
    """
    require(spans, *([by] if by else []))
    check_axes(ax)
    axis = time_axis(spans, gaps=gaps, time=time, time_unit=time_unit, tz=tz)
    lost, spans = losses_of(spans), work_of(spans)
    total = concurrency(spans)
    with themed(ax) as look:
        columns = room_on(ax)[1]
        ax = new_axes(HEIGHT_INCHES) if ax is None else ax
        if not len(spans):
            return draw_empty(ax, look, *lost.sentences())
        dress(ax)
        axis.draw(ax, look)
        draw_losses(ax, lost, axis, look)
        table = total if by is None else concurrency(spans, by=by)
        hues = None if by is None else hues_of(table[by], palette, look)
        edges, exact = edges_of(table, axis, columns)
        x = axis.mapping.to_x(edges) if exact else pixels(axis, columns)
        layers = layers_of(table, hues, by or "", axis, x, edges if exact else None)
        draw_layers(ax, x, layers, hues, look)
        if not exact:
            peaks = levels(total, axis, x, None)[1]
            ax.plot(np.repeat(x, 2)[1:-1], np.repeat(peaks, 2), color=look.ink, linewidth=0.5, zorder=3, label="maximum")
        notes = [*lost.says(), *([] if exact else ["area: mean of each pixel, line: its maximum"])]
        if notes:
            draw_note(ax, lambda: notes, look)
        draw_peak(ax, total, axis, look)
        ax.yaxis.set_major_locator(MaxNLocator(4, integer=True, min_n_ticks=1))
        ax.tick_params(axis="y", length=0)
        peak = int(total["running"].max())
        ax.set_ylim(0, max(peak, 1) * HEADROOM)
        draw_title(ax, axis.name, "spans running at once" if by is None else f"spans running at once, by {plain(by)}", look)
        if legend:
            draw_legend(ax, [*(patch(*entry) for entry in (hues.legend if hues else [])), *lost_patch(lost, look)])
        describe(ax, f"Spans running at once in {named(axis.name)} over time; the most is {peak:,}.", *lost.sentences())
    return ax


def edges_of(table: pd.DataFrame, axis: TimeAxis, columns: float) -> tuple[np.ndarray, bool]:
    """The times of all steps, and whether the picture can show them one by one."""
    times = table["time"].to_numpy()
    edges = times[opens_run(times)]
    return edges, len(edges) <= MOST_STEPS * columns


def pixels(axis: TimeAxis, columns: float) -> Floats:
    """Edges of the pixels on the axis."""
    low, high = axis.mapping.positions[[0, -1]]
    return np.linspace(low, high, max(int(columns), 1) + 1)


def layers_of(table: pd.DataFrame, hues: Hues | None, by: str, axis: TimeAxis, x: Floats, edges: np.ndarray | None) -> Any:
    """The level of each colour (a row) between each two places (a column), one upon the other."""
    if hues is None:
        return levels(table, axis, x, edges)[0][None, :]
    rows = np.zeros((len(hues.colors), len(x) - 1))
    group = codes_of(table[by])[0]
    for code in np.unique(group).tolist():
        part = np.flatnonzero(group == code)
        rows[hues.code[part[0]]] += levels(table.iloc[part], axis, x, edges)[0]
    return np.cumsum(rows, axis=0)


def levels(table: pd.DataFrame, axis: TimeAxis, x: Floats, edges: np.ndarray | None) -> tuple[Floats, Floats]:
    """How many spans run between each two places, by the mean and at most; exact at the times of the steps."""
    running = table["running"].to_numpy(dtype=float)
    if edges is None:
        return means_and_peaks(axis.mapping.to_x(table["time"].to_numpy()), running, x)
    held = np.searchsorted(table["time"].to_numpy(), edges[:-1], side="right") - 1
    level = np.where(held >= 0, running[held], 0.0)
    return level, level


def draw_layers(ax: Axes, x: Floats, layers: Any, hues: Hues | None, look: Look) -> None:
    """Areas, one upon the other."""
    below = np.zeros(layers.shape[1])
    for number, level in enumerate(layers):
        if (level > below).any():
            color = look.accent if hues is None else hues.colors[number]
            low, high = (np.append(edge, edge[-1:]) for edge in (below, level))
            ax.fill_between(x, low, high, step="post", color=color, alpha=FILL, linewidth=0, zorder=2, label="running")
        below = level


def draw_peak(ax: Axes, total: pd.DataFrame, axis: TimeAxis, look: Look) -> None:
    """Mark the first time at which the most spans run."""
    row = int(total["running"].argmax())
    peak, at = int(total["running"].iloc[row]), total["time"].to_numpy()[[row]]
    if not peak:
        return
    place = float(axis.mapping.to_x(at)[0])
    low, high = ax.get_xlim()
    size = sizes_of(ax).text
    text = f"peak {peak:,}"
    wide = width_of(text, size) * 1.3 / (ax.bbox.width / ax.figure.dpi * 72)
    at_right = (place - low) / (high - low) > 1 - wide
    ax.scatter([place], [peak], s=26, color=look.ink, zorder=4, label="peak", clip_on=False)
    offset = (-6 if at_right else 6, 4)
    style: dict[str, Any] = {
        "ha": "right" if at_right else "left",
        "va": "bottom",
        "color": look.ink,
        "fontsize": size,
        "zorder": 4,
    }
    ax.annotate(text, (place, peak), offset, textcoords="offset points", **style)
