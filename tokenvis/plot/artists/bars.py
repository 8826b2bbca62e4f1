"""Bars: each span as a bar of its own while they are few, and as an exact raster where they are many.

Up to `MOST_BARS` spans are one collection of rectangles. Beyond that, and in folded bands, each pixel has the colour that runs
longest in it, the more opaque the more of it is taken; at every size and zoom, since it is counted anew when it is drawn.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.colors import to_rgb, to_rgba
from matplotlib.image import AxesImage

from tokenvis.layout.lanes import Placement
from tokenvis.layout.raster import MAX_RASTER_CELLS, RasterGrid, rasterize
from tokenvis.layout.time_map import TimeMap
from tokenvis.plot.artists.markers import scatter_marks
from tokenvis.plot.artists.style import Look
from tokenvis.plot.artists.text import BarLabels, drawable, ink_on
from tokenvis.spans.integers import Floats, Int64Array, Mask

BAR = 0.78  # height of a bar, of its row
MOST_BARS = 5_000
MOST_LABELS = 1_000
FAINTEST = 0.25  # opacity of a pixel in which hardly anything runs
CHUNK = 125_000  # spans that are mapped at once


@dataclass(frozen=True)
class Bars:
    """Spans as they are drawn: when, in which row, and in which colour.

    ``color`` is a position in ``colors``. A row's bars take `BAR` of its height.
    """

    start: Int64Array
    end: Int64Array
    placement: Placement
    color: Int64Array
    colors: list[str]
    mapping: TimeMap

    def ends(self, rows: Any = slice(None)) -> tuple[Floats, Floats]:
        """Places of the starts and ends of spans on the time axis."""
        return self.mapping.to_x(self.start[rows]), self.mapping.to_x(self.end[rows])

    def drawn(self) -> Mask:
        """Which spans are rectangles: those with a duration, in lanes, where these are not too many."""
        single: Mask = self.placement.rows["is_lane"].to_numpy()[self.placement.row] & (self.end > self.start)
        return single if np.count_nonzero(single) <= MOST_BARS else np.zeros(len(single), dtype=bool)

    def in_view(self, rows: Int64Array, low: float, high: float) -> int:
        """How many of these spans reach into a stretch of the axis."""
        ends = (self.ends(some) for some in chunks(rows))
        return sum(int(np.count_nonzero((x1 >= low) & (x0 <= high))) for x0, x1 in ends)

    def wide(self, rows: Int64Array, low: float, high: float, least: float) -> Int64Array:
        """Those of these spans that stand in lanes and take at least so much of a stretch of the axis."""
        found = [rows[:0]]
        is_lane = self.placement.rows["is_lane"].to_numpy()
        for some in chunks(rows):
            x0, x1 = self.ends(some)
            inside = np.minimum(x1, high) - np.maximum(x0, low)
            found.append(some[is_lane[self.placement.row[some]] & (inside >= least) & (x1 > x0)])
        return np.concatenate(found)


def chunks(rows: Int64Array) -> Iterator[Int64Array]:
    """Rows, some at a time."""
    return (rows[first : first + CHUNK] for first in range(0, len(rows), CHUNK))


def draw_bars(ax: Axes, bars: Bars, *, marked: Int64Array | None = None, zorder: float = 3) -> "Raster | None":
    """Draw all bars, but for spans that have a mark instead; returns the raster of those that are no rectangles, if any."""
    drawn = bars.drawn()
    few = np.flatnonzero(drawn)
    if len(few):
        faces = [bars.colors[code] for code in bars.color[few].tolist()]
        edges = {color: darker(color) for color in set(faces)}
        look = {"facecolors": faces, "edgecolors": [edges[color] for color in faces], "linewidths": 0.5}
        ax.add_collection(rectangles(bars, few, zorder=zorder, label="spans", **look), autolim=False)
    if marked is not None:
        drawn[marked] = True
    if drawn.all():
        return None
    raster = Raster(ax, bars, np.flatnonzero(~drawn), zorder=zorder - 0.1)
    ax.add_artist(raster)
    return raster


def draw_borders(ax: Axes, bars: Bars, rows: Int64Array, color: str) -> None:
    """A border of another colour round the rectangles of these spans."""
    rows = rows[bars.drawn()[rows]]
    if len(rows):
        look = {"facecolors": "none", "edgecolors": color, "linewidths": 1.6, "zorder": 3.2, "label": "error"}
        ax.add_collection(rectangles(bars, rows, **look), autolim=False)


def draw_marks(ax: Axes, bars: Bars, rows: Int64Array, shape: Literal["instant", "open", "error"], look: Look) -> None:
    """A mark for each of these spans: a diamond where it starts, an arrow at its end, a cross at the upper corner there."""
    is_error = shape == "error"
    colors = [look.error if is_error else bars.colors[code] for code in bars.color[rows].tolist()]
    row = bars.placement.row[rows]
    corner = bars.placement.rows["height"].to_numpy()[row] * BAR / 2 if is_error else 0
    x = bars.ends(rows)[0 if shape == "instant" else 1]
    scatter_marks(ax, x, bars.placement.middle[rows] - corner, shape, colors, look.paper)


def draw_ticks(ax: Axes, bars: Bars, rows: Int64Array, color: str) -> None:
    """A tick above the bar for each of these spans."""
    places = bars.placement.rows
    above = places.assign(top=places["top"] - 0.05 * places["height"], height=0.3 * places["height"])
    ticks = Bars(bars.start, bars.end, replace(bars.placement, rows=above), np.zeros_like(bars.color), [color], bars.mapping)
    ax.add_artist(Raster(ax, ticks, rows, faintest=1.0, zorder=3.6))


def label_bars(ax: Axes, bars: Bars, texts: Callable[[Int64Array], pd.DataFrame], *, size: float) -> None:
    """Label the bars as far as there is room; ``texts`` gives ``label`` and ``more`` of these spans."""

    def labelled(low: float, high: float, least: float) -> pd.DataFrame:
        rows = bars.wide(np.arange(len(bars.start)), low, high, least)
        x0, x1 = bars.ends(rows)
        if len(rows) > MOST_LABELS:
            widest = np.sort(np.argsort(x0 - x1, kind="stable")[:MOST_LABELS])
            rows, x0, x1 = rows[widest], x0[widest], x1[widest]
        shown = texts(rows)
        inks = [ink_on(bars.colors[code]) for code in bars.color[rows].tolist()]
        label = [drawable(str(text)) for text in shown["label"]]
        place = {"x0": x0, "x1": x1, "y": bars.placement.middle[rows]}
        return pd.DataFrame({**place, "label": label, "more": shown["more"].to_numpy(), "ink": inks})

    ax.add_artist(BarLabels(labelled, size=size, height=BAR))


def rectangles(bars: Bars, rows: Int64Array, **look: Any) -> PolyCollection:
    """One collection of these bars' rectangles."""
    x0, x1 = bars.ends(rows)
    place = bars.placement.rows.iloc[bars.placement.row[rows]]
    middle = (place["top"] + place["height"] / 2).to_numpy()
    half = place["height"].to_numpy() * BAR / 2
    low, high = middle - half, middle + half
    corners = np.stack([np.column_stack(corner) for corner in ((x0, low), (x1, low), (x1, high), (x0, high))], axis=1)
    return PolyCollection(list(corners), **look)


def darker(color: str) -> tuple[float, ...]:
    """A shade of a colour for the border of a bar."""
    return tuple(0.75 * channel for channel in to_rgb(color))


class Raster(AxesImage):
    """Spans as an image that is counted anew for each view: what runs longest in a pixel, as opaque as the pixel is full.

    In a lane a full pixel is one in which a span runs throughout; in a folded band, the fullest of the band in view.
    """

    def __init__(self, ax: Axes, bars: Bars, rows: Int64Array, *, faintest: float = FAINTEST, zorder: float = 2.9) -> None:
        super().__init__(ax, interpolation="nearest")
        self.bars, self.rows, self.faintest = bars, rows, faintest
        others = np.ones(len(bars.start), dtype=bool)
        others[rows] = False
        self.others = np.flatnonzero(others)
        self.n_wide = self.n_seen = 0
        self.set_zorder(zorder)
        self.set_data(np.zeros((1, 1)))
        self.set_clip_path(ax.patch)
        self.counted: tuple[tuple[float, float, int], RasterGrid] | None = None
        self.set_label("raster")

    def get_window_extent(self, renderer: Any = None) -> Any:
        """The box of the Axes: the image fills it."""
        return self.axes.bbox

    def contains(self, mouseevent: Any) -> tuple[bool, dict[str, Any]]:
        """No mouse hits it: it has no data of its own to show."""
        return False, {}

    def view(self, magnification: float = 1.0) -> tuple[float, float, int]:
        """Left and right end of the axis, and how many pixels lie between."""
        low, high = sorted(self.axes.get_xlim())
        return low, high, max(round(self.axes.bbox.width * magnification), 1)

    def shades(self, magnification: float = 1.0) -> RasterGrid:
        """What runs in each pixel of each row, as it is drawn now."""
        view = self.view(magnification)
        if self.counted is None or self.counted[0] != view:
            found = rasterize(
                lambda: self.parts(*view),
                n_rows=len(self.bars.placement.rows),
                n_colors=len(self.bars.colors),
                n_pixels=view[2],
                max_cells=max(MAX_RASTER_CELLS, len(self.rows) // 2),
            )
            self.counted = view, found
        return self.counted[1]

    def says(self) -> list[str]:
        """How many spans in view are drawn one by one: outside of the raster, or in a lane of it at least a pixel wide.

        Instants are drawn one by one in any case: as a mark, or as a tick.
        """
        self.shades()
        low, high, _ = self.view()
        n_others = self.bars.in_view(self.others, low, high)
        n_drawn, n_seen = n_others + self.n_wide, n_others + self.n_seen
        return [f"{n_drawn:,} of {n_seen:,} spans drawn as bars"] if n_drawn < n_seen else []

    def parts(self, low: float, high: float, n_pixels: int) -> Iterator[tuple[Floats, Floats, Int64Array, Int64Array]]:
        """The spans in pixels, some at a time; those in view are counted on the way."""
        self.n_wide = self.n_seen = 0
        scale = n_pixels / (high - low)
        is_lane = self.bars.placement.rows["is_lane"].to_numpy()
        for rows in chunks(self.rows):
            x0, x1 = ((x - low) * scale for x in self.bars.ends(rows))
            row = self.bars.placement.row[rows]
            seen = (x1 >= 0) & (x0 <= n_pixels) & (x1 > x0)
            self.n_seen += int(np.count_nonzero(seen))
            if is_lane.any():
                self.n_wide += int(np.count_nonzero(seen & is_lane[row] & (x1 - x0 >= 1)))
            yield x0, x1, row, self.bars.color[rows]

    def make_image(self, renderer: Any, magnification: float = 1.0, unsampled: bool = False) -> Any:
        """The image, its left and lower edge, and no further transform: what `AxesImage.draw` asks for."""
        found = self.shades(magnification)
        box = self.axes.bbox
        image = self.colored(found)[self.row_at(max(round(box.height * magnification), 1))]
        low, high = self.axes.get_xlim()
        return image[::-1, :: 1 if low < high else -1], box.x0, box.y0, None

    def colored(self, found: RasterGrid) -> np.ndarray:
        """Colour and opacity of each pixel of each row, and one row more, in which nothing is."""
        palette = np.array([*(to_rgba(color) for color in self.bars.colors), (0, 0, 0, 0)])
        full = np.where(self.bars.placement.rows["is_lane"], 1.0, found.busy.max(axis=1, initial=0))[:, None]
        share = np.divide(found.busy, full, out=np.zeros_like(found.busy), where=full > 0)
        colors = palette[found.color]
        alone = found.busy == 0  # nothing but instants: they are ticks
        colors[..., 3] *= np.where(alone, 1.0, self.faintest + (1 - self.faintest) * np.minimum(share, 1.0))
        return np.concatenate([np.round(colors * 255).astype(np.uint8), np.zeros((1, colors.shape[1], 4), dtype=np.uint8)])

    def row_at(self, n_pixels: int) -> Int64Array:
        """For each line of pixels from the top: the row that it shows; -1 where there is none."""
        bottom, top = self.axes.get_ylim()
        rows = self.bars.placement.rows
        middle = (rows["top"] + rows["height"] / 2).to_numpy()
        half = rows["height"].to_numpy() * BAR / 2
        low, high = (np.round((y - top) / (bottom - top) * n_pixels).astype(np.int64) for y in (middle - half, middle + half))
        lines = np.full(n_pixels, -1, dtype=np.int64)
        for row, (first, last) in enumerate(zip(low.tolist(), high.tolist(), strict=True)):
            upper, lower = min(first, last), max(first, last)
            lines[max(upper, 0) : max(lower, upper + 1, 0)] = row
        return lines
