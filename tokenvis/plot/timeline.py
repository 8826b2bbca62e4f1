"""The timeline: a band for each location, time to the right, a bar for each span.

Ink only: lanes and bands come from `tokenvis.layout.lanes`, places on the time axis from `tokenvis.layout.time_map`, moves from
`tokenvis.analysis.moves`.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.path import Path

from tokenvis.analysis.moves import moves
from tokenvis.errors import plural
from tokenvis.layout.lanes import place_spans
from tokenvis.layout.time_map import GapMode
from tokenvis.plot.artists.bars import MOST_BARS, Bars, draw_bars, draw_borders, draw_marks, draw_ticks, label_bars
from tokenvis.plot.artists.color_scales import Hues, Palette, hues_of
from tokenvis.plot.artists.connectors import Followable, rows_named
from tokenvis.plot.artists.figure import check_axes, draw_empty, height_of, new_axes, room_on
from tokenvis.plot.artists.labels import labels_of
from tokenvis.plot.artists.legend import draw_legend, patch
from tokenvis.plot.artists.losses import draw_losses, lost_patch
from tokenvis.plot.artists.markers import handles_of, marks_of
from tokenvis.plot.artists.names import draw_bands
from tokenvis.plot.artists.style import Look, dress, sizes_of, themed
from tokenvis.plot.artists.time_axis import TimeAxis, time_axis
from tokenvis.plot.artists.title import describe, draw_note, draw_title, named
from tokenvis.spans.columns import require, times_of
from tokenvis.spans.integers import Int64Array
from tokenvis.spans.losses import losses_of, work_of

MOST_MOVES = 25  # moves drawn, for each inch of width
MOST_MARKS = 500  # marks of a kind


def plot_timeline(
    spans: pd.DataFrame,
    *,
    by: str = "location_id",
    hue: str = "agent_id",
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

    Spans that overlap stand in lanes of their own. A span without duration is a diamond, one with ``status`` "error" has a red
    border and a cross, an open one ends in an arrow. Where an agent goes from one location to the next, a line follows it, in
    its colour (grey where colours are not agents). A bar is labelled with ``label`` from ``data`` (else its agent) and its
    duration, as far as there is room.

    More than 5,000 spans are drawn as time per pixel: the colour that runs longest in a pixel, the more opaque the fuller it
    is. A band whose lanes there is no room for, or whose spans get less than a pixel each, is folded into one strip. The
    picture then says how many spans are bars. Time in which spans were lost while recording is hatched, here as in every
    picture over time, and a note says how many.

    Parameters
    ----------
    spans
        A frame of spans of one trace.
    by
        The column whose values make the bands. Moves are drawn for "location_id".
    hue
        The column whose values give the colours; of more than twelve numbers, a scale.
    palette
        Colours of those values: a mapping (values that it leaves out share a grey), or a list for the values in lexical order.
        By default `tokenvis.palette`.
    order
        Bands that come first, from the top; the others follow by first start.
    gaps
        "fold": where idle time is more than half of the wall time, long gaps become marked breaks. "keep": time is linear.
    time
        "elapsed": time since the start; times that do not count from 1970 are shown as they are. "clock": time of day.
    time_unit
        "auto": µs to days, as it fits. "step": times are step numbers.
    tz
        The time zone of ``time="clock"``.
    legend
        Whether a legend is drawn.
    ax
        The Axes to draw on. By default a new figure of a size that fits the bands.

    Returns
    -------
    Axes
        x is the place on the time map: µs since the start, less what is folded. y counts lanes from the top. Where there are
        more than 25 moves for each inch of width, they are left out, and a note says so. ``get_label()`` describes the
        picture in a sentence.

    Raises
    ------
    MissingColumn, BadSpan
        Where ``spans`` is not a frame of spans, or holds several traces.
    BadOption
        An argument is none of its choices, or does not fit the spans.

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
    require(spans, by, hue)
    check_axes(ax)
    spans = spans.copy(deep=False)  # what is done to the frame afterwards does not change the picture
    axis = time_axis(spans, gaps=gaps, time=time, time_unit=time_unit, tz=tz)
    lost, spans = losses_of(spans), work_of(spans)
    with themed(ax) as look:
        hues = hues_of(spans[hue], palette, look)
        max_lanes, width_px = room_on(ax)
        placement = place_spans(spans, by=by, order=order, max_lanes=max_lanes, width_px=width_px)
        bars = Bars(*times_of(spans), placement, hues.code, hues.colors, axis.mapping)
        marks = marks_of(spans)
        told = [*(patch(*entry) for entry in hues.legend), *handles_of(marks, look), *lost_patch(lost, look)]
        handles = told if legend else []
        ax = new_axes(height_of(placement.height, len(handles))) if ax is None else ax
        if not len(spans):
            return draw_empty(ax, look, *lost.sentences())
        dress(ax)
        draw_bands(ax, placement, look)
        axis.draw(ax, look)
        draw_losses(ax, lost, axis, look)
        follow = draw_moves(ax, spans, bars, hues, look, colored=hue == "agent_id") if by == "location_id" else None
        raster = draw_bars(ax, bars, marked=marks["instant"] if len(marks["instant"]) <= MOST_MARKS else None)
        draw_all_marks(ax, bars, marks, look)
        other = "location_id" if by == "agent_id" else "agent_id"
        label_bars(ax, bars, lambda rows: labels_of(spans.iloc[rows], other, axis), size=sizes_of(ax).bar)
        unmarked = [f"{plural(n_open, 'open end')} not marked"] if (n_open := len(marks["open"])) > MOST_MARKS else []
        parts = [part for part in (lost, raster, follow) if part]
        draw_note(ax, lambda: [*(text for part in parts for text in part.says()), *unmarked], look)
        draw_title(ax, axis.name, figures_of(spans, axis), look)
        draw_legend(ax, handles)
        describe(ax, sentence_of(spans, by, axis), *lost.sentences())
    return ax


def figures_of(spans: pd.DataFrame, axis: TimeAxis) -> str:
    """The trace in figures: spans, agents, locations, wall time."""
    counts = {"span": len(spans)} | {name: spans[f"{name}_id"].nunique() for name in ("agent", "location")}
    start, end = times_of(spans)
    figures = [plural(count, name) for name, count in counts.items()]
    return " · ".join([*figures, axis.duration(int(end.max()) - int(start.min()))])


def sentence_of(spans: pd.DataFrame, by: str, axis: TimeAxis) -> str:
    """What the picture shows."""
    rows = {"location_id": "location", "agent_id": "agent"}.get(by, by)
    return f"Timeline of {named(axis.name)}, a band for each {rows}: {figures_of(spans, axis)}."


class Moves(Followable, PathCollection):
    """Curves of moves, drawn where those in view are no more than anybody could follow."""

    most = MOST_MOVES

    def __init__(self, x0: Any, x1: Any, y0: Any, y1: Any, **look: Any) -> None:
        middle = (x0 + x1) / 2
        points = np.stack([np.column_stack(pair) for pair in ((x0, y0), (middle, y0), (middle, y1), (x1, y1))], axis=1)
        codes = [Path.MOVETO, Path.CURVE4, Path.CURVE4, Path.CURVE4]
        super().__init__([Path(curve, codes) for curve in points], facecolors="none", zorder=2, label="moves", **look)
        self.low, self.high = np.minimum(x0, x1), np.maximum(x0, x1)

    def says(self) -> list[str]:
        """What is left out."""
        return [f"{plural(self.n_in_view(), 'move')} not drawn"] if self.too_many() else []


class NoMoves:
    """Moves that were not looked for, since nobody could follow them."""

    def says(self) -> list[str]:
        """What is left out."""
        return ["moves not drawn"]


def draw_moves(ax: Axes, spans: pd.DataFrame, bars: Bars, hues: Hues, look: Look, *, colored: bool) -> Moves | NoMoves:
    """A curve from where an agent leaves one band to where it arrives in the next."""
    if len(spans) > 4 * MOST_BARS:
        return NoMoves()
    table = moves(spans)
    left, came = (rows_named(spans, table[column]) for column in ("from_span", "to_span"))
    middle = bars.placement.middle
    x0, x1 = (bars.mapping.to_x(table[column].to_numpy()) for column in ("left", "arrived"))
    edges = hues.of(came) if colored else [look.quiet] * len(table)
    drawn = Moves(x0, x1, middle[left], middle[came], edgecolors=edges, linewidths=1.3, alpha=0.55)
    ax.add_collection(drawn, autolim=False)
    return drawn


def draw_all_marks(ax: Axes, bars: Bars, marks: Mapping[str, Int64Array], look: Look) -> None:
    """Diamonds, arrows, and red crosses; where those are too many, red ticks."""
    instants, errors, still_open = marks["instant"], marks["error"], marks["open"]
    if len(instants) <= MOST_MARKS:
        draw_marks(ax, bars, instants, "instant", look)
    if len(still_open) <= MOST_MARKS:
        draw_marks(ax, bars, still_open, "open", look)
    if len(errors) <= MOST_MARKS:
        draw_borders(ax, bars, errors, look.error)
        draw_marks(ax, bars, errors, "error", look)
    else:
        draw_ticks(ax, bars, errors, look.error)
