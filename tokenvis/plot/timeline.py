"""The timeline: a band for each location, time to the right, a bar for each span.

Drawing only: lanes and bands come from `tokenvis.layout.lanes`, positions on the time axis from `tokenvis.layout.time_map`,
moves from `tokenvis.analysis.moves`.
"""

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any, Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.lines import Line2D
from matplotlib.path import Path

from tokenvis.analysis.moves import moves
from tokenvis.errors import plural
from tokenvis.layout.lanes import place_spans
from tokenvis.layout.name_order import busiest_names
from tokenvis.layout.segments import segments_of, states_that_occur
from tokenvis.layout.time_map import GapMode
from tokenvis.plot.artists.bars import (
    MAX_BARS,
    Bars,
    BarWaits,
    draw_bar_borders,
    draw_bar_markers,
    draw_bar_ticks,
    draw_bars,
    label_bars,
)
from tokenvis.plot.artists.color_scales import ColorScale, Palette, color_scale, default_hue
from tokenvis.plot.artists.colors import MAX_COLORED_NAMES
from tokenvis.plot.artists.connectors import DensityLimited, rows_by_id
from tokenvis.plot.artists.figure import available_lanes_and_pixels, check_axes, draw_empty, height_inches, new_axes
from tokenvis.plot.artists.labels import bar_label_texts
from tokenvis.plot.artists.legend import draw_legend, legend_patch
from tokenvis.plot.artists.losses import draw_losses, lost_handles
from tokenvis.plot.artists.markers import Markers, marked_rows, marker_handles
from tokenvis.plot.artists.names import draw_bands
from tokenvis.plot.artists.states import state_handles
from tokenvis.plot.artists.style import ThemeColors, apply_theme, font_sizes, themed
from tokenvis.plot.artists.times.time_axis import TimeAxis, time_axis
from tokenvis.plot.artists.title import describe, described_name, draw_note, draw_title
from tokenvis.spans.columns import require, times_of
from tokenvis.spans.integers import Int64Array, Mask
from tokenvis.spans.losses import losses_of, recorded_spans
from tokenvis.tree.states import States, has_pieces, states_of, wrapper_names, wrapper_rows

MAX_MOVES_PER_INCH = 25  # per inch of width
MAX_MARKERS = 500  # of one kind
MAX_FLIGHT_SHARE = 0.06  # of the time in view: of a longer move, only the ends are drawn
STUB_POINTS = 7.0  # of an end, along both axes
MOVE_WIDTH, MOVE_ALPHA = 1.3, 0.55
CURVE_CODES = [Path.MOVETO, Path.CURVE4, Path.CURVE4, Path.CURVE4]
WAITED_FOR = {"agent": "an agent", "person": "a person"}


def plot_timeline(
    spans: pd.DataFrame,
    *,
    by: str = "location_id",
    hue: str | None = None,
    palette: Palette = None,
    order: Iterable[str] | None = None,
    gaps: GapMode = "fold",
    time: Literal["elapsed", "clock"] = "elapsed",
    time_unit: Literal["auto", "step"] = "auto",
    tz: str = "UTC",
    legend: bool = True,
    ax: Axes | None = None,
) -> Axes:
    """Draw who was where, and when: a band for each location, and in it a bar for each span.

    Spans that overlap are in separate lanes. A span without duration is a diamond, a span with ``status`` "error" has a red
    border and a cross, an open span ends in an arrow; of markers that would cover each other, a note counts those left out.
    When an agent moves between locations, a line connects the two bars, in the agent's colour (grey if colours are not agents).
    A move that takes longer than 6% of the time in view has only its ends. A bar is labelled with ``label`` from ``data`` (else
    its agent) and its duration, if they fit.

    The parts of a bar in which its span waits (``state`` of `self_spans`) are paler: with lines while it waits for an agent,
    with dots while it waits for a person. Bands in which all agents only wait are last.

    More than 5,000 spans are drawn as time per pixel: the colour that runs longest in a pixel, with the busy share as opacity;
    work and waits of an agent have different colours. A band is folded into one strip if its lanes do not fit, or if its spans
    get less than a pixel each. A note then shows how many spans are drawn as bars. Time in which spans were lost while
    recording is hatched, as in every picture over time, and a note shows how many.

    Parameters
    ----------
    spans
        A frame of spans of one trace.
    by
        The column whose values define the bands. Moves are drawn for "location_id".
    hue
        The column whose values define the colours; more than twelve numbers get a scale. By default "agent_id", or
        "location_id" if there is one agent only.
    palette
        Colours of those values: a mapping (missing values share a grey), or a list for the values in lexical order. By default
        `tokenvis.palette`; of more than twelve values, the twelve with the most work have colours.
    order
        Bands that come first, from the top; the others follow by first start.
    gaps
        "fold": if nothing works for more than half of the wall time, long gaps become marked breaks, with the waits in them.
        "keep": time is linear.
    time
        "elapsed": time since the first start. "clock": date and time of day.
    time_unit
        "auto": from µs to days. "step": times are step numbers.
    tz
        The time zone of ``time="clock"``.
    legend
        Whether a legend is drawn.
    ax
        The Axes to draw on. By default a new figure of a size that fits the bands.

    Returns
    -------
    Axes
        x is the position on the time map: µs since the start, without folded time. y counts lanes from the top. If there are
        more than 25 moves per inch of width, they are left out, and a note shows their number. ``get_label()`` describes the
        picture in a sentence.

    Raises
    ------
    MissingColumn, BadSpan
        ``spans`` is not a frame of spans, or has several traces.
    BadOption
        An argument is invalid, or does not fit the spans.

    Examples
    --------
    >>> import pandas as pd
    >>> spans = pd.DataFrame({
    ...     "id": ["a", "b"], "trace_id": "t", "agent_id": ["Ann", "Bob"], "location_id": "desk",
    ...     "start_time": [0, 2_000_000], "end_time": [5_000_000, 9_000_000],
    ... })
    >>> ax = plot_timeline(spans)
    >>> ax.get_title(loc="left"), ax.get_xlabel()
    ('t', 'elapsed time')
    """
    require(spans, by, *([] if hue is None else [hue]))
    hue = default_hue(spans, palette) if hue is None else hue
    check_axes(ax)
    spans = spans.copy(deep=False)  # later changes of the frame do not change the picture
    states = states_of(spans)
    axis = time_axis(spans, gaps=gaps, time=time, time_unit=time_unit, tz=tz, states=states)
    losses, spans = losses_of(spans), recorded_spans(spans)
    states = states_of(spans) if len(losses.rows) else states
    wrappers, segments = wrapper_rows(spans, states), segments_of(spans, states)
    with themed(ax) as theme:
        last = wrapper_names(spans, wrappers) if hue == "agent_id" else ()
        busiest = busiest_names(spans, spans[hue], MAX_COLORED_NAMES, states=states)
        scale = color_scale(spans[hue], palette, theme, busiest=busiest, last=last)
        max_lanes, width_px = available_lanes_and_pixels(ax)
        placement = place_spans(spans, by=by, order=order, max_lanes=max_lanes, width_px=width_px, wrappers=wrappers)
        waits = BarWaits(segments, theme) if len(segments.row) else None
        bars = Bars(*times_of(spans), placement, scale.code, scale.colors, axis.mapping, waits)
        marker_rows = marked_rows(spans)
        names = [legend_patch(*entry) for entry in scale.legend] if hue != by else []  # else the bands have them
        looks = [*state_handles(states_that_occur(states), theme), *marker_handles(marker_rows, theme)]
        handles = [*names, *looks, *lost_handles(losses, theme)] if legend else []
        ax = new_axes(height_inches(placement.height, len(handles))) if ax is None else ax
        if not len(spans):
            return draw_empty(ax, theme, spans, losses)
        apply_theme(ax)
        draw_bands(ax, placement, theme)
        axis.draw(ax, theme)
        draw_losses(ax, losses, axis, theme)
        colored = hue == "agent_id"
        move_curves = draw_moves(ax, spans, bars, scale, theme, colored=colored) if by == "location_id" else None
        raster = draw_bars(ax, bars, marked=marker_rows["instant"] if len(marker_rows["instant"]) <= MAX_MARKERS else None)
        markers = draw_span_markers(ax, bars, marker_rows, theme)
        label_column = "location_id" if by == "agent_id" else "agent_id"
        label_bars(ax, bars, partial(bar_label_texts, spans, label_column, axis), size=font_sizes(ax).bar)
        unmarked = [f"{plural(n_open, 'open end')} not marked"] if (n_open := len(marker_rows["open"])) > MAX_MARKERS else []
        reporting = [reporter for reporter in (losses, raster, move_curves, *markers) if reporter]
        draw_note(ax, [*reporting, *unmarked], theme)
        draw_title(ax, axis.name, timeline_counts(spans, axis), theme)
        draw_legend(ax, [*handles, *(move_handles(move_curves, theme) if legend else [])])
        describe(ax, timeline_description(spans, by, axis), *pale_part_sentences(states), *losses.sentences())
    return ax


def timeline_counts(spans: pd.DataFrame, axis: TimeAxis) -> str:
    """The counts of the trace, as one line: spans, agents, locations, wall time."""
    n_spans = spans["id"].nunique() if has_pieces(spans) else len(spans)
    counts = {"span": n_spans} | {name: spans[f"{name}_id"].nunique() for name in ("agent", "location")}
    start, end = times_of(spans)
    parts = [plural(count, name) for name, count in counts.items()]
    return " · ".join([*parts, axis.duration(int(end.max()) - int(start.min()))])


def pale_part_sentences(states: States) -> list[str]:
    """A sentence about the parts of bars in which spans wait, if there are any."""
    waited_for = [f"for {noun}" for state, noun in WAITED_FOR.items() if state in states_that_occur(states)]
    return [f"The paler parts of bars are waits {' and '.join(waited_for)}."] if waited_for else []


def timeline_description(spans: pd.DataFrame, by: str, axis: TimeAxis) -> str:
    """A description of the picture."""
    band_noun = {"location_id": "location", "agent_id": "agent"}.get(by, by)
    return f"Timeline of {described_name(axis.name)}, a band for each {band_noun}: {timeline_counts(spans, axis)}."


class MoveCurves(DensityLimited, PathCollection):
    """Curves of moves, drawn only if there are few enough to follow; of a long move, only its ends.

    ``ends`` are the positions of the ends: (x0, x1, y0, y1), an array each.
    """

    max_per_inch = MAX_MOVES_PER_INCH

    def __init__(self, *ends: Any, **style: Any) -> None:
        x0, x1, _, _ = ends
        self.curves = [Path(points, CURVE_CODES) for points in curve_points(*ends)]
        super().__init__(self.curves, facecolors="none", zorder=2, label="moves", **style)
        self.ends = ends
        self.low, self.high = np.minimum(x0, x1), np.maximum(x0, x1)

    def is_long(self) -> Mask:
        """Which moves take so much of the time in view that their curves would cross everything in between."""
        low, high = sorted(self.axes.get_xlim())
        long: Mask = self.high - self.low > MAX_FLIGHT_SHARE * (high - low)
        return long

    def messages(self) -> list[str]:
        """The note on moves that are not drawn."""
        return [f"{plural(self.n_in_view(), 'move')} not drawn"] if self.too_many() else []

    def draw(self, renderer: Any) -> None:
        """Draw the curves, and the ends of long moves."""
        if self.too_many():
            return
        long = np.flatnonzero(self.is_long()).tolist()
        paths = list(self.curves)
        for move, path in zip(long, self.stubs(long), strict=True):
            paths[move] = path
        self.set_paths(paths)
        super().draw(renderer)
        self.set_paths(self.curves)

    def stubs(self, rows: list[int]) -> list[Path]:
        """The two ends of these moves: short lines that leave and arrive in the direction of the other end."""
        x0, x1, y0, y1 = (values[rows] for values in self.ends)
        (left, bottom), (right, top) = self.axes.transData.inverted().transform(self.axes.bbox.get_points())
        points = self.axes.bbox.size / self.axes.figure.dpi * 72
        width, height = np.abs([right - left, top - bottom]) * STUB_POINTS / points
        side, step = np.sign(x1 - x0) * width, np.sign(y1 - y0) * np.minimum(height, np.abs(y1 - y0) / 2)
        corners = (x0, y0), (x0 + side, y0 + step), (x1 - side, y1 - step), (x1, y1)
        points = np.stack([np.column_stack(corner) for corner in corners], axis=1)
        return [Path(lines, [Path.MOVETO, Path.LINETO, Path.MOVETO, Path.LINETO]) for lines in points]


def curve_points(x0: Any, x1: Any, y0: Any, y1: Any) -> np.ndarray:
    """The points of a curve for each move, which leaves and arrives along the time axis (n x 4 x 2)."""
    middle = (x0 + x1) / 2
    return np.stack([np.column_stack(pair) for pair in ((x0, y0), (middle, y0), (middle, y1), (x1, y1))], axis=1)


def move_handles(drawn: "MoveCurves | MovesNotDrawn | None", theme: ThemeColors) -> list[Line2D]:
    """The legend handle that explains the ends of long moves, if there are any."""
    if not isinstance(drawn, MoveCurves) or drawn.too_many() or not drawn.is_long().any():
        return []
    return [Line2D([], [], color=theme.muted, linewidth=MOVE_WIDTH, alpha=MOVE_ALPHA, label="ends of a long move")]


class MovesNotDrawn:
    """Moves that are too many to compute and draw."""

    def messages(self) -> list[str]:
        """The note on moves that are not drawn."""
        return ["moves not drawn"]


def draw_moves(
    ax: Axes, spans: pd.DataFrame, bars: Bars, scale: ColorScale, theme: ThemeColors, *, colored: bool
) -> MoveCurves | MovesNotDrawn:
    """Draw a curve from the bar that an agent leaves to the bar where it arrives."""
    if len(spans) > 4 * MAX_BARS:
        return MovesNotDrawn()
    table = moves(spans)
    from_rows, to_rows = (rows_by_id(spans, table[column]) for column in ("from_span", "to_span"))
    middle = bars.placement.middle
    x0, x1 = (bars.mapping.to_x(table[column].to_numpy()) for column in ("left", "arrived"))
    edges = scale.colors_of(to_rows) if colored else [theme.muted] * len(table)
    style: dict[str, Any] = {"edgecolors": edges, "linewidths": MOVE_WIDTH, "alpha": MOVE_ALPHA}
    drawn = MoveCurves(x0, x1, middle[from_rows], middle[to_rows], **style)
    ax.add_collection(drawn, autolim=False)
    return drawn


def draw_span_markers(ax: Axes, bars: Bars, marker_rows: Mapping[str, Int64Array], theme: ThemeColors) -> list[Markers]:
    """Draw diamonds, arrows, and red crosses; red ticks if there are too many crosses."""
    error_rows = marker_rows["error"]
    drawn = []
    for kind in ("instant", "open"):
        if len(marker_rows[kind]) <= MAX_MARKERS:
            drawn += draw_bar_markers(ax, bars, marker_rows[kind], kind, theme)
    if len(error_rows) > MAX_MARKERS:
        draw_bar_ticks(ax, bars, error_rows, theme.error)
        return drawn
    draw_bar_borders(ax, bars, error_rows, theme.error)
    return drawn + draw_bar_markers(ax, bars, error_rows, "error", theme)
