"""Concurrency over time: how many spans work, in total or by group; and below the axis, how many wait.

Drawing only: the table of work is `tokenvis.analysis.concurrency`, those of waits come from `tokenvis.layout.segments`; if they
have more steps than the picture can show, `tokenvis.layout.steps` makes columns of them: a mean, and a band from the minimum to
the maximum.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from tokenvis.analysis.concurrency import concurrency
from tokenvis.layout.name_order import busiest_names
from tokenvis.layout.segments import states_that_occur, waiting_counts
from tokenvis.layout.steps import Levels, column_edges, exact_edges, level_at, levels_in_columns
from tokenvis.layout.time_map import GapMode
from tokenvis.plot.artists.color_scales import ColorScale, Palette, color_scale
from tokenvis.plot.artists.colors import MAX_COLORED_NAMES
from tokenvis.plot.artists.figure import LEGEND_LINE_INCHES, check_axes, draw_empty, new_axes
from tokenvis.plot.artists.legend import draw_legend, legend_patch
from tokenvis.plot.artists.losses import draw_losses, lost_handles
from tokenvis.plot.artists.states import LOOKS, area_style, state_handles
from tokenvis.plot.artists.style import ThemeColors, apply_theme, font_sizes, themed
from tokenvis.plot.artists.text import text_width
from tokenvis.plot.artists.times.time_axis import TimeAxis, time_axis
from tokenvis.plot.artists.title import column_title, describe, described_name, draw_note, draw_title
from tokenvis.spans.columns import ranks_of, require
from tokenvis.spans.integers import Float64Array
from tokenvis.spans.losses import losses_of, recorded_spans
from tokenvis.tree.states import states_of, wrappers_of

CONCURRENCY_HEIGHT_INCHES = 2.2
PEAK_HEADROOM = 1.35  # above the peak, for its text
WAITS_HEADROOM = 1.1  # below the most spans that wait
NOTHING_WORKS = "no span works for any time: instants are not counted"
AREA_ALPHA, BAND_ALPHA = 0.85, 0.18


@dataclass(frozen=True)
class StepGrid:
    """Where the steps of a picture are: the positions of all steps, or the edges of columns if it cannot show each of them."""

    axis: TimeAxis
    x: Float64Array
    is_exact: bool

    def levels(self, table: pd.DataFrame) -> Levels:
        """The levels of a table of steps between each two neighbouring positions."""
        x, running = self.axis.mapping.to_x(table["time"].to_numpy()), table["running"].to_numpy(dtype=float)
        if not self.is_exact:
            return levels_in_columns(x, running, self.x)
        level = level_at(x, running, self.x[:-1])
        return Levels(level, level, level)

    def messages(self) -> list[str]:
        """What the columns show, if there are any."""
        if self.is_exact:
            return []
        width = self.axis.duration(round(float(np.diff(self.x).max())))
        return [f"mean of every {width}, band: minimum to maximum"]


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
    """Draw how many spans work at each moment, in total or stacked by group, and mark the peak.

    Spans that wait (``state`` of `self_spans`) are counted downwards from 0: for an agent with lines, for a person with dots.

    Parameters
    ----------
    spans
        A frame of spans of one trace.
    by
        The column whose values define the groups, such as "agent_id"; by default there is one group.
    palette
        Colours of those values, as in `plot_timeline`.
    gaps, time, time_unit, tz
        The time axis, as in `plot_timeline`.
    legend
        Whether a legend is drawn, if there are groups.
    ax
        The Axes to draw on. By default a new figure.

    Returns
    -------
    Axes
        x is that of `plot_timeline`, y is ``running`` of `concurrency`, and below 0 the number of spans that wait. If there
        are more steps than the picture can show, areas and the line are the mean of short intervals, a band reaches from the
        minimum to the maximum of all groups together, and a note has the length of the intervals.

    Raises
    ------
    MissingColumn, BadSpan
        ``spans`` is not a frame of spans, has no column ``by``, or has several traces.
    BadOption
        An argument is invalid, or does not fit the spans.

    Examples
    --------
    >>> import pandas as pd
    >>> spans = pd.DataFrame({
    ...     "id": ["a", "b"], "trace_id": "t", "agent_id": ["Ann", "Bob"], "location_id": "desk",
    ...     "start_time": [0, 2_000_000], "end_time": [5_000_000, 9_000_000],
    ... })
    >>> plot_concurrency(spans).get_label()
    'Spans running at once in t over time; the maximum is 2.'
    """
    require(spans, *([by] if by else []))
    check_axes(ax)
    states = states_of(spans)
    axis = time_axis(spans, gaps=gaps, time=time, time_unit=time_unit, tz=tz, states=states)
    losses, spans = losses_of(spans), recorded_spans(spans)
    states = states_of(spans) if len(losses.rows) else states
    waits = waiting_counts(states)
    total = concurrency(spans)
    table = total if by is None else concurrency(spans, by=by)
    with themed(ax) as theme:
        last = wrappers_of(spans, states) if by == "agent_id" else ()
        busiest = busiest_names(spans, spans[by], MAX_COLORED_NAMES, states=states) if by else []
        scale = color_scale(table[by], palette, theme, busiest=busiest, last=last) if by else None
        names = [legend_patch(*entry) for entry in (scale.legend if scale else [])]
        looks = state_handles(states_that_occur(states), theme, color="" if scale else theme.accent)
        handles = [*names, *looks, *lost_handles(losses, theme)] if legend else []
        ax = new_axes(max(CONCURRENCY_HEIGHT_INCHES, (len(handles) - 2) * LEGEND_LINE_INCHES)) if ax is None else ax
        if not len(spans):
            return draw_empty(ax, theme, spans, losses)
        apply_theme(ax)
        axis.draw(ax, theme)
        draw_losses(ax, losses, axis, theme)
        steps = steps_of([table, *waits.values()], axis, ax)
        draw_areas(ax, steps, stacked_levels(table, scale, by or "", steps), scale, theme)
        draw_total_line(ax, steps, total, theme)
        draw_waiting_areas(ax, steps, waits, theme.muted if scale else theme.accent, theme)
        peak = int(total["running"].max())
        draw_note(ax, [*losses.messages(), *steps.messages(), *([] if peak else [NOTHING_WORKS])], theme)
        draw_peak(ax, total, axis, theme)
        ax.yaxis.set_major_locator(MaxNLocator(4, integer=True, min_n_ticks=1))
        ax.tick_params(axis="y", length=0)
        ax.set_ylim(ax.get_ylim()[0] if waits else 0, max(peak, 1) * PEAK_HEADROOM)
        draw_title(ax, axis.name, concurrency_title(by, waits), theme)
        draw_legend(ax, handles)
        verb = "working" if waits else "running"
        counted = f"Spans {verb} at once in {described_name(axis.name)} over time; the maximum is {peak:,}."
        describe(ax, counted, *waiting_sentences(waits), *losses.sentences())
    return ax


def concurrency_title(by: str | None, waits: Mapping[str, pd.DataFrame]) -> str:
    """What the picture counts."""
    counted = "spans working at once" if waits else "spans running at once"
    groups = "" if by is None else f", by {column_title(by)}"
    return f"{counted}{groups}; waiting below 0" if waits else f"{counted}{groups}"


def waiting_sentences(waits: Mapping[str, pd.DataFrame]) -> list[str]:
    """A sentence about the spans that wait, if any does."""
    maxima = [f"{int(table['running'].max()):,} {LOOKS[state].name.removeprefix('waits ')}" for state, table in waits.items()]
    return [f"Below 0 are the spans that wait: at most {' and '.join(maxima)}."] if maxima else []


def steps_of(tables: list[pd.DataFrame], axis: TimeAxis, ax: Axes) -> StepGrid:
    """The steps of these tables, exact if the Axes are wide enough to show each of them."""
    points = ax.bbox.width / ax.figure.dpi * 72
    exact = exact_edges([table["time"].to_numpy() for table in tables], axis.mapping, points)
    return StepGrid(axis, column_edges(axis.mapping, points) if exact is None else exact, exact is not None)


def stacked_levels(table: pd.DataFrame, scale: ColorScale | None, by: str, steps: StepGrid) -> list[tuple[str, Float64Array]]:
    """The colour and the stacked mean level of each layer, from below; groups that share a colour are one layer."""
    if scale is None:
        return [("", steps.levels(table).mean)]
    mean_by_color = np.zeros((len(scale.colors), len(steps.x) - 1))
    group = ranks_of(table[by])
    order = np.argsort(group, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(group[order])) + 1):
        mean_by_color[scale.code[rows[0]]] += steps.levels(table.iloc[rows]).mean
    stacked = np.cumsum(mean_by_color, axis=0)
    layers = zip(scale.colors, stacked, [*scale.colors[1:], None], strict=True)
    return [(color, level) for color, level, next_color in layers if color != next_color]


def step_area(ax: Axes, x: Float64Array, low: Float64Array, high: Float64Array, **style: Any) -> None:
    """Draw the area between two step functions, which have a level between each two neighbouring positions."""
    ax.fill_between(x, np.append(low, low[-1:]), np.append(high, high[-1:]), step="post", **style)


def draw_areas(
    ax: Axes, steps: StepGrid, layers: list[tuple[str, Float64Array]], scale: ColorScale | None, theme: ThemeColors
) -> None:
    """Draw the stacked areas."""
    below = np.zeros(len(steps.x) - 1)
    for color, level in layers:
        if (level > below).any():
            color = theme.accent if scale is None else color
            step_area(ax, steps.x, below, level, color=color, alpha=AREA_ALPHA, linewidth=0, zorder=2, label="running")
        below = level


def draw_total_line(ax: Axes, steps: StepGrid, total: pd.DataFrame, theme: ThemeColors) -> None:
    """Draw the total as a line, on which no step is too narrow to be visible; and in columns, its band."""
    levels = steps.levels(total)
    if not steps.is_exact:
        style: dict[str, Any] = {"color": theme.text, "alpha": BAND_ALPHA, "linewidth": 0}
        step_area(ax, steps.x, levels.lowest, levels.highest, zorder=2.2, label="minimum to maximum", **style)
    line: dict[str, Any] = {"color": theme.muted, "linewidth": 0.5, "label": "total"}
    if not steps.is_exact:
        line = {"color": theme.text, "linewidth": 0.8, "label": "mean"}
    ax.stairs(levels.mean, steps.x, zorder=3, **line)


def draw_waiting_areas(ax: Axes, steps: StepGrid, waits: Mapping[str, pd.DataFrame], color: str, theme: ThemeColors) -> None:
    """Draw the numbers of spans that wait, stacked downwards from 0."""
    if not waits:
        return
    above = np.zeros(len(steps.x) - 1)
    for state, table in waits.items():
        below = above - steps.levels(table).mean
        step_area(ax, steps.x, below, above, zorder=2, label=LOOKS[state].name, **area_style(color, state, theme))
        above = below
    ax.stairs(above, steps.x, color=theme.muted, linewidth=0.5, zorder=2.4, label="waits")
    ax.axhline(0, color=theme.muted, linewidth=0.8, zorder=2.5, label="none")
    ax.set_ylim(min(float(above.min()), -0.5) * WAITS_HEADROOM, 1)
    ax.yaxis.set_major_formatter(magnitude_text)


def magnitude_text(value: float, _: Any) -> str:
    """The label of a tick, without its sign."""
    return f"{abs(value):,.0f}"


def draw_peak(ax: Axes, total: pd.DataFrame, axis: TimeAxis, theme: ThemeColors) -> None:
    """Mark the first time at which the most spans run."""
    row = int(total["running"].argmax())
    peak, peak_time = int(total["running"].iloc[row]), total["time"].to_numpy()[[row]]
    if not peak:
        return
    position = float(axis.mapping.to_x(peak_time)[0])
    low, high = ax.get_xlim()
    size = font_sizes(ax).text
    text = f"peak {peak:,}"
    text_share = text_width(text, size) * 1.3 / (ax.bbox.width / ax.figure.dpi * 72)
    at_right = (position - low) / (high - low) > 1 - text_share
    ax.scatter([position], [peak], s=26, color=theme.text, zorder=4, label="peak", clip_on=False)
    offset = (-6 if at_right else 6, 4)
    style: dict[str, Any] = {
        "ha": "right" if at_right else "left",
        "va": "bottom",
        "color": theme.text,
        "fontsize": size,
        "zorder": 4,
    }
    ax.annotate(text, (position, peak), offset, textcoords="offset points", **style)
