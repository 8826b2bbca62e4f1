"""The critical path on its timeline: the work that determined the end of the trace, in full colour over pale bars.

Drawing only: the steps and their states come from `tokenvis.analysis.critical_path`.
"""

from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from typing import Any, Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PolyCollection

from tokenvis.analysis.critical_path import critical_path
from tokenvis.layout.lanes import Placement, place_spans
from tokenvis.layout.name_order import busiest_names
from tokenvis.layout.segments import Segments
from tokenvis.layout.time_map import GapMode
from tokenvis.plot.artists.bars import Bars, BarWaits, draw_bars, rectangle_corners
from tokenvis.plot.artists.color_scales import ColorScale, Palette, color_scale, default_hue
from tokenvis.plot.artists.colors import MAX_COLORED_NAMES
from tokenvis.plot.artists.connectors import DensityLimited, rows_by_id
from tokenvis.plot.artists.critical_paths.labels import StepLabels, StepText
from tokenvis.plot.artists.critical_paths.shares import draw_shares, shares_of
from tokenvis.plot.artists.figure import available_lanes_and_pixels, check_axes, draw_empty, height_inches, new_axes
from tokenvis.plot.artists.losses import draw_losses, lost_handles
from tokenvis.plot.artists.names import draw_bands
from tokenvis.plot.artists.states import LOOKS, Texture, border_style, state_color
from tokenvis.plot.artists.style import ThemeColors, apply_theme, blend_colors, themed
from tokenvis.plot.artists.times.time_axis import TimeAxis, time_axis
from tokenvis.plot.artists.title import describe, draw_note, draw_title
from tokenvis.spans.columns import codes_of, require, times_of
from tokenvis.spans.fields import field_columns
from tokenvis.spans.integers import Int64Array
from tokenvis.spans.losses import losses_of, recorded_spans
from tokenvis.tree.states import STATES, states_of

OFF_PATH_COLOR_SHARE = 0.22  # of its colour, for a bar that is not on the path
GAP_HEIGHT_SHARE = 0.4  # of the row
MIN_GAP_PIXELS = 2.0  # a narrower gap is not drawn
MAX_CONNECTORS_PER_INCH = 15  # lines between steps, per inch of width


def plot_critical_path(
    spans: pd.DataFrame,
    *,
    evidence: str | Iterable[str] = ("link", "parent"),
    by: str = "location_id",
    hue: str | None = None,
    palette: Palette = None,
    gaps: GapMode = "fold",
    time: Literal["elapsed", "clock"] = "elapsed",
    time_unit: Literal["auto", "step"] = "auto",
    tz: str = "UTC",
    legend: bool = True,
    ax: Axes | None = None,
) -> Axes:
    """Draw the chain of work that determined the end of the trace, over its timeline in pale colours.

    Steps of the path have the colours of their agents, and waits the looks of their states. A gap is a narrow bar before the
    step that follows it. A line leads from each step to the next. The longest steps are labelled with agent, label and
    duration, where the labels do not overlap. The legend lists the share of each agent's work, the largest first, then of
    waits, and of unexplained time.

    Parameters
    ----------
    spans
        A frame of spans of one trace.
    evidence
        What explains a start, as in `critical_path`.
    by
        The column whose values define the bands.
    hue
        The column whose values define the colours, and the shares in the legend; by default as in `plot_timeline`.
    palette
        Colours of the values of ``hue``, as in `plot_timeline`.
    gaps, time, time_unit, tz
        The time axis, as in `plot_timeline`.
    legend
        Whether the shares are listed.
    ax
        The Axes to draw on. By default a new figure of a size that fits the bands.

    Returns
    -------
    Axes
        x and y are as in `plot_timeline`; the steps and gaps are the rows of `critical_path`. The shares add up to 100% of the
        wall time without ``idle_us`` of `summary`, the time in which nothing works and no span waits for a person; the legend
        has its duration instead, at the state that the path has in it. Of more than eight values of ``hue``, those with the
        least work on the path are "others".

    Raises
    ------
    MissingColumn, BadSpan
        ``spans`` is not a frame of spans, a referenced id is in two rows, or there are several traces.
    BadOption
        An argument is invalid, or does not fit the spans.

    Examples
    --------
    >>> import pandas as pd
    >>> spans = pd.DataFrame({
    ...     "id": ["plan", "search", "review"], "trace_id": "t", "agent_id": ["Ann", "Bob", "Eve"], "location_id": "desk",
    ...     "start_time": [0, 3_000_000, 12_000_000], "end_time": [10_000_000, 12_000_000, 20_000_000],
    ...     "data": [None, None, '{"links": ["plan"]}'],
    ... })
    >>> plot_critical_path(spans).get_label()
    'Critical path of t: 2 steps in 20 s, work for 90% of it (Ann 50%, Eve 40%), waiting for an agent for 10% of it.'
    """
    require(spans, by, *([] if hue is None else [hue]))
    hue = default_hue(spans, palette) if hue is None else hue
    check_axes(ax)
    spans = spans.copy(deep=False)  # later changes of the frame do not change the picture
    states = states_of(spans)
    axis = time_axis(spans, gaps=gaps, time=time, time_unit=time_unit, tz=tz, states=states)
    losses, spans = losses_of(spans), recorded_spans(spans)
    states = states_of(spans) if len(losses.rows) else states
    path = critical_path(spans, evidence=evidence)
    with themed(ax) as theme:
        busiest = busiest_names(spans, spans[hue], MAX_COLORED_NAMES, states=states)
        scale = color_scale(spans[hue], palette, theme, busiest=busiest)
        max_lanes, width_px = available_lanes_and_pixels(ax)
        placement = place_spans(spans, by=by, max_lanes=max_lanes, width_px=width_px)
        steps = rows_by_id(spans, path["id"])
        shares = shares_of(path, steps, spans[hue], scale, states)
        n_handles = len(shares.groups) + len(shares.states()) if legend else 0
        ax = new_axes(height_inches(placement.height, n_handles)) if ax is None else ax
        if not len(spans):
            return draw_empty(ax, theme, spans, losses)
        apply_theme(ax)
        draw_bands(ax, placement, theme)
        axis.draw(ax, theme)
        draw_losses(ax, losses, axis, theme)
        pale_colors = [blend_colors(color, theme.background, OFF_PATH_COLOR_SHARE) for color in scale.colors]
        raster = draw_bars(ax, Bars(*times_of(spans), placement, scale.code, pale_colors, axis.mapping))
        path_bars = bars_of_path(path, steps, placement, scale, axis)
        draw_steps(ax, path, steps, path_bars, theme)
        label_steps(ax, path, steps, path_bars, spans, axis, theme)
        draw_gaps(ax, path, path_bars, theme)
        lines = draw_connectors(ax, path_bars, theme)
        draw_note(ax, [losses, *([raster] if raster else []), lines], theme)
        durations = shares.durations(axis)
        draw_title(ax, axis.name, f"critical path: {durations}" if durations else "critical path", theme)
        if legend:
            draw_shares(ax, shares, axis, lost_handles(losses, theme), theme)
        describe(ax, shares.description(path, axis), *losses.sentences())
    return ax


def bars_of_path(path: pd.DataFrame, steps: Int64Array, placement: Placement, scale: ColorScale, axis: TimeAxis) -> Bars:
    """The rows of the path as bars; a gap has the place and the colour of the step after it."""
    rows = np.where(steps < 0, np.append(steps[1:], 0)[: len(steps)], steps)
    start, end = (path[column].to_numpy() for column in ("start", "end"))
    return Bars(start, end, replace(placement, row=placement.row[rows]), scale.code[rows], scale.colors, axis.mapping)


def draw_steps(ax: Axes, path: pd.DataFrame, steps: Int64Array, path_bars: Bars, theme: ThemeColors) -> None:
    """Draw the parts of spans on the path in the looks of their states."""
    shown = np.flatnonzero(steps >= 0)
    state = pd.Index(STATES).get_indexer(pd.Index(path["state"].iloc[shown])).astype(np.int8)
    bars = selected_bars(path_bars, shown)
    waiting = np.flatnonzero((state > 0) & (bars.end > bars.start))
    segments = Segments(waiting, bars.start[waiting], bars.end[waiting], state[waiting])
    draw_bars(ax, replace(bars, waits=BarWaits(segments, theme) if len(waiting) else None), zorder=3.4)


def label_steps(
    ax: Axes, path: pd.DataFrame, steps: Int64Array, path_bars: Bars, spans: pd.DataFrame, axis: TimeAxis, theme: ThemeColors
) -> None:
    """Label the longest parts of spans on the path: agent, unless it is the only one, label and duration."""
    alone = len(codes_of(spans["agent_id"])[1]) == 1
    texts = partial(step_texts, spans, steps, path["part_us"], axis, with_agent=not alone)
    fills = partial(step_fills, path["state"], path_bars, theme)
    ax.add_artist(StepLabels(ax, path_bars, np.flatnonzero(steps >= 0), texts, fills, theme))


def step_texts(
    spans: pd.DataFrame, steps: Int64Array, part_us: pd.Series, axis: TimeAxis, rows: Int64Array, *, with_agent: bool
) -> list[StepText]:
    """The texts for some rows of the path; the agent is left out of those with a label, unless ``with_agent``."""
    agents = spans["agent_id"].iloc[steps[rows]].astype("str")
    given = field_columns(spans.iloc[steps[rows]], ["label"])["label"].astype("object")
    labels = given.where(given.notna(), "").astype("str")
    durations = [axis.duration(duration_us) for duration_us in part_us.iloc[rows].tolist()]
    return [
        StepText.of(agent if with_agent or not label else "", label, duration)
        for agent, label, duration in zip(agents, labels, durations, strict=True)
    ]


def step_fills(states: pd.Series, path_bars: Bars, theme: ThemeColors, rows: Int64Array) -> list[tuple[str, bool]]:
    """The colour of some rows of the path, and whether each has a texture."""
    colors = [path_bars.colors[code] for code in path_bars.color[rows].tolist()]
    return [
        (state_color(color, state, theme), bool(LOOKS[state].hatch))
        for color, state in zip(colors, states.iloc[rows], strict=True)
    ]


def draw_gaps(ax: Axes, path: pd.DataFrame, path_bars: Bars, theme: ThemeColors) -> None:
    """Draw the gaps as narrow bars in the looks of their states."""
    rows = path_bars.placement.rows
    top = rows["top"] + rows["height"] * (1 - GAP_HEIGHT_SHARE) / 2
    narrow = rows.assign(top=top, height=rows["height"] * GAP_HEIGHT_SHARE)
    bars = replace(path_bars, placement=replace(path_bars.placement, rows=narrow))
    for state in LOOKS:
        gaps = np.flatnonzero((path["id"].isna() & (path["state"] == state)).to_numpy())
        if len(gaps):
            colors = [bars.colors[code] for code in bars.color[gaps].tolist()]
            corners = rectangle_corners(bars, gaps)
            ax.add_collection(GapBars(corners, colors, state, theme), autolim=False)
            if LOOKS[state].hatch:
                ax.add_collection(Texture(corners, state, theme, zorder=3.36), autolim=False)


def draw_connectors(ax: Axes, path_bars: Bars, theme: ThemeColors) -> "StepConnectors":
    """Draw a line from each row of the path to the next, where these are in different rows of the picture."""
    x, y = path_bars.x_ends()[0][1:], path_bars.placement.middle
    moved = y[1:] != y[:-1]
    begins, ends = (np.column_stack([x[moved], height[moved]]) for height in (y[:-1], y[1:]))
    connectors = StepConnectors(begins, ends, theme)
    ax.add_collection(connectors, autolim=False)
    return connectors


def selected_bars(bars: Bars, rows: Int64Array) -> Bars:
    """Some of the bars."""
    placement = replace(bars.placement, row=bars.placement.row[rows])
    return replace(bars, start=bars.start[rows], end=bars.end[rows], placement=placement, color=bars.color[rows])


class GapBars(PolyCollection):
    """Gaps in the look of one state, without those that are too narrow to see in the current view."""

    axes: Any

    def __init__(self, corners: Any, colors: list[str], state: str, theme: ThemeColors) -> None:
        style = border_style(colors, state, theme)
        fills = [state_color(color, state, theme) for color in colors]
        super().__init__(list(corners), facecolors=fills, zorder=3.35, label=LOOKS[state].name, **style)
        self.corners = corners
        self.fills: Any = self.get_facecolor()
        self.borders: Any = self.get_edgecolor()

    def draw(self, renderer: Any) -> None:
        """Draw the gaps that are wide enough."""
        low, high = sorted(self.axes.get_xlim())
        width = self.corners[:, 1, 0] - self.corners[:, 0, 0]
        shown = width * self.axes.bbox.width >= MIN_GAP_PIXELS * (high - low)
        self.set_verts(list(self.corners[shown]))
        self.set_facecolor(self.fills[shown])
        self.set_edgecolor(self.borders[shown] if len(self.borders) > 1 else self.borders)
        super().draw(renderer)


class StepConnectors(DensityLimited, LineCollection):
    """A line from each step to the next; drawn only if there are few enough to follow."""

    max_per_inch = MAX_CONNECTORS_PER_INCH

    def __init__(self, begins: Any, ends: Any, theme: ThemeColors) -> None:
        style: dict[str, Any] = {"colors": theme.text, "linewidths": 0.9, "alpha": 0.75}
        super().__init__(list(np.stack([begins, ends], axis=1)), zorder=3.3, label="follows", **style)
        self.low, self.high = begins[:, 0], ends[:, 0]

    def messages(self) -> list[str]:
        """The note on lines that are not drawn."""
        return ["lines between steps not drawn"] if self.too_many() else []
