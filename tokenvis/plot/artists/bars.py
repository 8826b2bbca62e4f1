"""Bars: each span as a rectangle if there are few, and as an exact raster if there are many.

Up to `MAX_BARS` spans are one collection of rectangles. Beyond that, and in folded bands, each pixel has the colour that runs
longest in it; its opacity is the busy share of the pixel. The raster is computed when it is drawn, so it is exact at every size
and zoom. The stretches in which spans wait have the looks of `tokenvis.plot.artists.states`, in rectangles and in the raster.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.colors import to_rgba
from matplotlib.image import AxesImage

from tokenvis.layout.lanes import Placement
from tokenvis.layout.raster import MAX_RASTER_CELLS, RasterGrid, rasterize
from tokenvis.layout.segments import Segments
from tokenvis.layout.time_map import TimeMap
from tokenvis.plot.artists.markers import Markers, draw_markers
from tokenvis.plot.artists.states import (
    MIN_HATCH_PIXELS,
    darker,
    draw_in_state,
    state_color,
    texture_pixels,
)
from tokenvis.plot.artists.style import ThemeColors
from tokenvis.plot.artists.text import BarLabels, drawable, text_color_on
from tokenvis.spans.integers import Float64Array, Int64Array, Mask, run_starts
from tokenvis.tree.states import STATES, WORK

BAR_HEIGHT_SHARE = 0.78  # of the row
MAX_BARS = 5_000
MAX_BAR_LABELS = 1_000
MIN_PIXEL_ALPHA = 0.25  # of a pixel that is almost empty
MAPPED_CHUNK_SPANS = 125_000  # spans that are mapped to the axis at once


@dataclass(frozen=True)
class BarWaits:
    """The segments of the bars whose spans wait, and the theme in which they are drawn."""

    segments: Segments
    theme: ThemeColors


@dataclass(frozen=True)
class Bars:
    """Spans as they are drawn: start, end, row and colour; and where they wait, if any does.

    ``color`` is a position in ``colors``. The bars of a row take `BAR_HEIGHT_SHARE` of its height.
    """

    start: Int64Array
    end: Int64Array
    placement: Placement
    color: Int64Array
    colors: list[str]
    mapping: TimeMap
    waits: BarWaits | None = None

    def x_ends(self, rows: Any = slice(None)) -> tuple[Float64Array, Float64Array]:
        """Positions of the starts and ends of spans on the time axis."""
        return self.mapping.to_x(self.start[rows]), self.mapping.to_x(self.end[rows])

    def is_rectangle(self) -> Mask:
        """Which spans are rectangles: those with a duration, in lanes, unless there are too many."""
        single: Mask = self.placement.rows["is_lane"].to_numpy()[self.placement.row] & (self.end > self.start)
        return single if np.count_nonzero(single) <= MAX_BARS else np.zeros(len(single), dtype=bool)

    def count_in_view(self, rows: Int64Array, low: float, high: float) -> int:
        """How many of these spans overlap an interval of the axis."""
        chunk_ends = (self.x_ends(chunk) for chunk in row_chunks(rows))
        return sum(int(np.count_nonzero((x1 >= low) & (x0 <= high))) for x0, x1 in chunk_ends)

    def wide_and_all(self, rows: Int64Array, low: float, high: float, min_width: float) -> tuple[int, int]:
        """How many of these spans overlap an interval, instants left out: those in lanes at least this wide, and all."""
        n_wide = n_in_view = 0
        is_lane = self.placement.rows["is_lane"].to_numpy()
        for chunk in row_chunks(rows):
            x0, x1 = self.x_ends(chunk)
            in_view = (x1 >= low) & (x0 <= high) & (x1 > x0)
            n_in_view += int(np.count_nonzero(in_view))
            if is_lane.any():
                n_wide += int(np.count_nonzero(in_view & is_lane[self.placement.row[chunk]] & (x1 - x0 >= min_width)))
        return n_wide, n_in_view

    def wide_rows(self, rows: Int64Array, low: float, high: float, min_width: float) -> Int64Array:
        """Those of these spans that are in lanes and take at least ``min_width`` of an interval of the axis."""
        wide = [rows[:0]]
        is_lane = self.placement.rows["is_lane"].to_numpy()
        for chunk in row_chunks(rows):
            x0, x1 = self.x_ends(chunk)
            inside = np.minimum(x1, high) - np.maximum(x0, low)
            wide.append(chunk[is_lane[self.placement.row[chunk]] & (inside >= min_width) & (x1 > x0)])
        return np.concatenate(wide)

    def segment_bars(self) -> "Bars":
        """The segments of the spans that wait, as bars."""
        assert self.waits is not None, "no span waits"
        segments = self.waits.segments
        placement = replace(self.placement, row=self.placement.row[segments.row])
        return Bars(segments.start, segments.end, placement, self.color[segments.row], self.colors, self.mapping)


def row_chunks(rows: Int64Array) -> Iterator[Int64Array]:
    """Rows, in chunks."""
    return (rows[first : first + MAPPED_CHUNK_SPANS] for first in range(0, len(rows), MAPPED_CHUNK_SPANS))


def draw_bars(ax: Axes, bars: Bars, *, marked: Int64Array | None = None, zorder: float = 3) -> "Raster | None":
    """Draw all bars, except spans with a marker; returns the raster of the spans that are not rectangles, if any."""
    is_rectangle = bars.is_rectangle()
    rectangle_rows = np.flatnonzero(is_rectangle)
    if len(rectangle_rows):
        faces = [bars.colors[code] for code in bars.color[rectangle_rows].tolist()]
        edges = {color: darker(color) for color in set(faces)}
        style = {"facecolors": faces, "edgecolors": [edges[color] for color in faces], "linewidths": 0.5}
        ax.add_collection(rectangles(bars, rectangle_rows, zorder=zorder, label="spans", **style), autolim=False)
        draw_waits(ax, bars, is_rectangle, zorder=zorder + 0.05)
    if marked is not None:
        is_rectangle[marked] = True
    if is_rectangle.all():
        return None
    raster = Raster(ax, bars, np.flatnonzero(~is_rectangle), zorder=zorder - 0.1)
    ax.add_artist(raster)
    return raster


def draw_waits(ax: Axes, bars: Bars, is_rectangle: Mask, *, zorder: float) -> None:
    """Draw the stretches in which spans wait over the rectangles of these spans."""
    if bars.waits is None:
        return
    segments, segment_bars = bars.waits.segments, bars.segment_bars()
    for code, state in enumerate(STATES):
        rows = np.flatnonzero((segments.state == code) & is_rectangle[segments.row])
        if code != WORK:
            draw_bars_in_state(ax, segment_bars, rows, state, bars.waits.theme, zorder=zorder)


def draw_bars_in_state(ax: Axes, bars: Bars, rows: Int64Array, state: str, theme: ThemeColors, *, zorder: float) -> None:
    """Draw these bars in the look of a state."""
    colors = [bars.colors[code] for code in bars.color[rows].tolist()]
    draw_in_state(ax, rectangle_corners(bars, rows), colors, state, theme, zorder=zorder)


def draw_bar_borders(ax: Axes, bars: Bars, rows: Int64Array, color: str) -> None:
    """Draw a border around the rectangles of these spans."""
    rows = rows[bars.is_rectangle()[rows]]
    if len(rows):
        style = {"facecolors": "none", "edgecolors": color, "linewidths": 1.6, "zorder": 3.2, "label": "error"}
        ax.add_collection(rectangles(bars, rows, **style), autolim=False)


def draw_bar_markers(
    ax: Axes, bars: Bars, rows: Int64Array, kind: Literal["instant", "open", "error", "cancelled"], theme: ThemeColors
) -> list[Markers]:
    """Draw markers for these spans: a diamond at the start, an arrow at the end, a cross at the upper right corner."""
    color = {"error": theme.error, "cancelled": theme.muted}.get(kind)
    colors = [color or bars.colors[code] for code in bars.color[rows].tolist()]
    row = bars.placement.row[rows]
    corner = bars.placement.rows["height"].to_numpy()[row] * BAR_HEIGHT_SHARE / 2 if color else 0
    x = bars.x_ends(rows)[0 if kind == "instant" else 1]
    return draw_markers(ax, x, bars.placement.middle[rows] - corner, kind, colors, theme.background)


def draw_bar_ticks(ax: Axes, bars: Bars, rows: Int64Array, color: str) -> None:
    """Draw a tick above the bar of each of these spans."""
    band_rows = bars.placement.rows
    tick_rows = band_rows.assign(top=band_rows["top"] - 0.05 * band_rows["height"], height=0.3 * band_rows["height"])
    ticks = Bars(
        bars.start, bars.end, replace(bars.placement, rows=tick_rows), np.zeros_like(bars.color), [color], bars.mapping
    )
    ax.add_artist(Raster(ax, ticks, rows, min_alpha=1.0, zorder=3.6))


def label_bars(ax: Axes, bars: Bars, texts: Callable[[Int64Array], pd.DataFrame], *, size: float) -> None:
    """Label the bars where the labels fit; ``texts`` returns ``label`` and ``suffix`` for rows."""
    ax.add_artist(BarLabels(partial(labelled_bars, bars, texts), size=size, height=BAR_HEIGHT_SHARE))


def labelled_bars(
    bars: Bars, texts: Callable[[Int64Array], pd.DataFrame], low: float, high: float, min_width: float
) -> pd.DataFrame:
    """The bars that take at least ``min_width`` of an interval of the axis, with their labels: a row each, for `BarLabels`."""
    rows = bars.wide_rows(np.arange(len(bars.start)), low, high, min_width)
    x0, x1 = bars.x_ends(rows)
    if len(rows) > MAX_BAR_LABELS:
        widest = np.sort(np.argsort(x0 - x1, kind="stable")[:MAX_BAR_LABELS])
        rows, x0, x1 = rows[widest], x0[widest], x1[widest]
    shown = texts(rows)
    fills = np.array([bars.colors[code] for code in bars.color[rows].tolist()], dtype=object)
    backgrounds = np.full(len(rows), "", dtype=object)
    if bars.waits is not None:
        places = label_places(bars, rows, low, high)
        at = places.index
        x0[at], x1[at], fills[at], backgrounds[at] = places["x0"], places["x1"], places["fill"], places["background"]
    text_colors = [text_color_on(fill) for fill in fills]
    label = [drawable(str(text)) for text in shown["label"]]
    position = {"x0": x0, "x1": x1, "y": bars.placement.middle[rows]}
    texts_of_bars = {"label": label, "suffix": shown["suffix"].to_numpy()}
    return pd.DataFrame({**position, **texts_of_bars, "color": text_colors, "background": backgrounds})


def label_places(bars: Bars, rows: Int64Array, low: float, high: float) -> pd.DataFrame:
    """Where the labels of those of these spans that wait are: in the widest segment in view, the first of several.

    The index is the position in ``rows``, which ascend; ``x0, x1, fill``, and ``background``, "" unless there is a texture.
    """
    assert bars.waits is not None, "no span waits"
    segments, theme = bars.waits.segments, bars.waits.theme
    shown = np.flatnonzero(np.isin(segments.row, rows))
    segment_bars = bars.segment_bars()
    x0, x1 = segment_bars.x_ends(shown)
    inside = np.minimum(x1, high) - np.maximum(x0, low)
    order = np.lexsort((-inside, segments.row[shown]))
    widest = order[run_starts(segments.row[shown][order])]
    shown, x0, x1 = shown[widest], x0[widest], x1[widest]
    states = [STATES[code] for code in segments.state[shown].tolist()]
    colors = [bars.colors[code] for code in segment_bars.color[shown].tolist()]
    fills = [state_color(color, state, theme) for color, state in zip(colors, states, strict=True)]
    backgrounds = ["" if state == "work" else fill for fill, state in zip(fills, states, strict=True)]
    at = np.searchsorted(rows, segments.row[shown])
    return pd.DataFrame({"x0": x0, "x1": x1, "fill": fills, "background": backgrounds}, index=at, dtype=object)


def rectangles(bars: Bars, rows: Int64Array, **style: Any) -> PolyCollection:
    """The rectangles of these bars, as one collection."""
    return PolyCollection(list(rectangle_corners(bars, rows)), **style)


def rectangle_corners(bars: Bars, rows: Int64Array) -> np.ndarray:
    """The corners of the rectangles of these bars, from the lower left (n x 4 x 2)."""
    x0, x1 = bars.x_ends(rows)
    row_bounds = bars.placement.rows.iloc[bars.placement.row[rows]]
    middle = (row_bounds["top"] + row_bounds["height"] / 2).to_numpy()
    half = row_bounds["height"].to_numpy() * BAR_HEIGHT_SHARE / 2
    low, high = middle - half, middle + half
    return np.stack([np.column_stack(corner) for corner in ((x0, low), (x1, low), (x1, high), (x0, high))], axis=1)


class Raster(AxesImage):
    """Spans as an image that is computed for each view.

    A pixel has the colour that runs longest in it, and its busy share as opacity. In a lane, a pixel is full if a span runs
    throughout; in a folded band, if it is the busiest pixel of the band in view. Time in which a span waits has a colour in the
    look of its state, and a texture if it is wide enough.
    """

    def __init__(
        self, ax: Axes, bars: Bars, rows: Int64Array, *, min_alpha: float = MIN_PIXEL_ALPHA, zorder: float = 2.9
    ) -> None:
        super().__init__(ax, interpolation="nearest")
        self.bars, self.rows, self.min_alpha = bars, rows, min_alpha
        is_other = np.ones(len(bars.start), dtype=bool)
        is_other[rows] = False
        self.other_rows = np.flatnonzero(is_other)
        self.colors = bars.colors
        self.has_segments = np.zeros(len(bars.start), dtype=bool)
        if bars.waits is not None:
            self.has_segments[bars.waits.segments.row] = True
            self.segment_bars = bars.segment_bars()
            self.segments = np.flatnonzero(~is_other[bars.waits.segments.row])
            self.colors = [state_color(color, state, bars.waits.theme) for state in STATES for color in bars.colors]
        self.set_zorder(zorder)
        self.set_data(np.zeros((1, 1)))
        self.set_clip_path(ax.patch)
        self.cached: tuple[tuple[float, float, int], RasterGrid] | None = None
        self.counted: tuple[tuple[float, float, int], tuple[int, int]] | None = None
        self.set_label("raster")

    def get_window_extent(self, renderer: Any = None) -> Any:
        """The box of the Axes: the image fills it."""
        return self.axes.bbox

    def contains(self, mouseevent: Any) -> tuple[bool, dict[str, Any]]:
        """Never hit by the mouse: the image has no data to show."""
        return False, {}

    def view(self, magnification: float = 1.0) -> tuple[float, float, int]:
        """Left and right end of the axis, and the number of pixels between them."""
        low, high = sorted(self.axes.get_xlim())
        return low, high, max(round(self.axes.bbox.width * magnification), 1)

    def grid(self, magnification: float = 1.0) -> RasterGrid:
        """The busy share and the colour of each pixel of each row, in the current view."""
        view = self.view(magnification)
        if self.cached is None or self.cached[0] != view:
            grid = rasterize(
                lambda: self.pixel_spans(*view),
                n_rows=len(self.bars.placement.rows),
                n_colors=len(self.colors),
                n_pixels=view[2],
                max_cells=max(MAX_RASTER_CELLS, len(self.rows) // 2),
            )
            self.cached = view, grid
        return self.cached[1]

    def counts(self) -> tuple[int, int]:
        """How many spans in the current view are drawn one by one, and how many there are; kept until the view changes."""
        view = self.view()  # a layout asks for several sizes: counting is faster than a grid for each
        if self.counted is None or self.counted[0] != view:
            low, high, n_pixels = view
            n_others = self.bars.count_in_view(self.other_rows, low, high)
            n_wide, n_in_view = self.bars.wide_and_all(self.rows, low, high, (high - low) / n_pixels)
            self.counted = view, (n_others + n_wide, n_others + n_in_view)
        return self.counted[1]

    def messages(self) -> list[str]:
        """How many spans in view are drawn one by one: outside the raster, or at least a pixel wide in a lane of it.

        Instants are not counted: they are markers or ticks.
        """
        n_drawn, n_in_view = self.counts()
        return [f"{n_drawn:,} of {n_in_view:,} spans drawn as bars"] if n_drawn < n_in_view else []

    def pixel_spans(
        self, low: float, high: float, n_pixels: int
    ) -> Iterator[tuple[Float64Array, Float64Array, Int64Array, Int64Array]]:
        """The spans in pixels, in chunks."""
        scale = n_pixels / (high - low)
        for rows in row_chunks(self.rows):
            x0, x1 = ((x - low) * scale for x in self.bars.x_ends(rows))
            row = self.bars.placement.row[rows]
            unsegmented = ~self.has_segments[rows] if self.bars.waits is not None else slice(None)
            yield x0[unsegmented], x1[unsegmented], row[unsegmented], self.bars.color[rows][unsegmented]
        if self.bars.waits is not None:
            segments = self.bars.waits.segments
            for rows in row_chunks(self.segments):
                x0, x1 = ((x - low) * scale for x in self.segment_bars.x_ends(rows))
                color = self.segment_bars.color[rows] + segments.state[rows] * len(self.bars.colors)
                yield x0, x1, self.segment_bars.placement.row[rows], color

    def make_image(self, renderer: Any, magnification: float = 1.0, unsampled: bool = False) -> Any:
        """The image, its left and lower edge, and no further transform: the interface of `AxesImage.draw`."""
        grid = self.grid(magnification)
        box = self.axes.bbox
        row_of_pixel = self.row_of_pixels(max(round(box.height * magnification), 1))
        image = self.row_colors(grid)[row_of_pixel]
        if self.bars.waits is not None:
            self.draw_textures(image, self.wide_states(grid, magnification)[row_of_pixel], magnification)
        low, high = self.axes.get_xlim()
        return image[::-1, :: 1 if low < high else -1], box.x0, box.y0, None

    def row_colors(self, grid: RasterGrid) -> np.ndarray:
        """Colour and opacity of each pixel of each row, and an additional empty row."""
        palette = np.array([*(to_rgba(color) for color in self.colors), (0, 0, 0, 0)])
        full_share = np.where(self.bars.placement.rows["is_lane"], 1.0, grid.busy.max(axis=1, initial=0))[:, None]
        share = np.divide(grid.busy, full_share, out=np.zeros_like(grid.busy), where=full_share > 0)
        colors = palette[grid.color]
        only_instants = grid.busy == 0  # ticks of full colour
        colors[..., 3] *= np.where(only_instants, 1.0, self.min_alpha + (1 - self.min_alpha) * np.minimum(share, 1.0))
        return np.concatenate([np.round(colors * 255).astype(np.uint8), np.zeros((1, colors.shape[1], 4), dtype=np.uint8)])

    def wide_states(self, grid: RasterGrid, magnification: float) -> np.ndarray:
        """The state of each pixel of each row, work where it has no texture; and an additional row of work.

        A pixel has a texture if at least half of the pixels around it are in its state, so that fine patterns have one, but
        not a single narrow wait.
        """
        state = np.where(grid.color >= 0, grid.color // len(self.bars.colors), WORK)
        state = np.concatenate([state, np.full((1, state.shape[1]), WORK)])
        reach = max(round(MIN_HATCH_PIXELS * magnification), 1)
        pixel = np.arange(state.shape[1])
        low, high = np.maximum(pixel - reach, 0), np.minimum(pixel + reach + 1, len(pixel))
        shown = np.full_like(state, WORK)
        for code in range(WORK + 1, len(STATES)):
            total = np.cumsum(np.pad(state == code, ((0, 0), (1, 0))), axis=1)
            shown[(state == code) & (2 * (total[:, high] - total[:, low]) >= high - low)] = code
        return shown

    def draw_textures(self, image: np.ndarray, states: np.ndarray, magnification: float) -> None:
        """Draw the textures of the states of pixels onto an image."""
        assert self.bars.waits is not None, "no span waits"
        pixels_per_point = self.axes.figure.dpi / 72 * magnification
        for code, state in enumerate(STATES):
            if code == WORK or not (states == code).any():
                continue
            colored = (states == code) & texture_pixels(state, states.shape, pixels_per_point)
            image[colored] = np.round(np.array(to_rgba(self.bars.waits.theme.muted)) * 255)

    def row_of_pixels(self, n_pixels: int) -> Int64Array:
        """The row that each line of pixels shows, from the top; -1 for none."""
        bottom, top = self.axes.get_ylim()
        rows = self.bars.placement.rows
        middle = (rows["top"] + rows["height"] / 2).to_numpy()
        half = rows["height"].to_numpy() * BAR_HEIGHT_SHARE / 2
        low, high = (np.round((y - top) / (bottom - top) * n_pixels).astype(np.int64) for y in (middle - half, middle + half))
        row_of_pixel = np.full(n_pixels, -1, dtype=np.int64)
        for row, (first, last) in enumerate(zip(low.tolist(), high.tolist(), strict=True)):
            upper, lower = min(first, last), max(first, last)
            row_of_pixel[max(upper, 0) : max(lower, upper + 1, 0)] = row
        return row_of_pixel
