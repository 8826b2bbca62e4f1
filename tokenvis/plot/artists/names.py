"""Names along an axis: those of bands, and of the rows and columns of a matrix."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator

from tokenvis.layout.lanes import Placement
from tokenvis.plot.artists.style import Look, look_of, sizes_of
from tokenvis.plot.artists.text import NOTHING, drawable, shortened, width_of

NAME_SHARE = 0.22  # of the figure's width, for the names at its left
UPRIGHT_SHARE, UPRIGHT_INCHES = 0.35, 1.6  # of the figure's height, and at most, for upright names below it


class NameLocator(FixedLocator):
    """Ticks for names: all of them where there is room, else as many as there is room for."""

    def __init__(self, places: list[float]) -> None:
        super().__init__(places)
        self.places = places

    def __call__(self) -> Any:
        """Places whose names do not touch, for the axis as it is now."""
        axes = self.axis.axes  # type: ignore[union-attr]
        vertical = self.axis is axes.yaxis
        low, high = self.axis.get_view_interval()  # type: ignore[union-attr]
        points = (axes.bbox.height if vertical else axes.bbox.width) / axes.figure.dpi * 72
        line = 1.25 * sizes_of(axes).text * abs(high - low) / max(points, 1.0)
        shown: list[float] = []
        for place in self.places:
            if not shown or place - shown[-1] >= line:
                shown.append(place)
        return np.array(shown)


def draw_names(axis: Any, places: Any, names: list[str], *, points: float | None = None) -> None:
    """Names along an axis, cut in the middle where they are long; some are left out where there is no room for all."""
    ax = axis.axes
    size = sizes_of(ax).text
    points = points or NAME_SHARE * ax.figure.bbox.width / ax.figure.dpi * 72
    texts = {float(place): shortened(drawable(name), points, size) for place, name in zip(places, names, strict=True)}
    axis.set_major_locator(NameLocator(sorted(texts)))
    axis.set_major_formatter(lambda place, _: texts.get(float(place), ""))
    axis.set_tick_params(length=0, pad=8)
    for label in axis.get_ticklabels():
        label.set_parse_math(False)


def draw_bands(ax: Axes, placement: Placement, look: Look) -> None:
    """Shade every second band, and name them all on the left."""
    bands = placement.bands
    for top, height in zip(bands["top"][::2], bands["height"][::2], strict=True):
        ax.axhspan(top - 0.2, top + height + 0.2, color=look.shade, linewidth=0, zorder=0)
    names = [NOTHING if pd.isna(name) else str(name) for name in bands["band"]]
    draw_names(ax.yaxis, bands["top"] + bands["height"] / 2, names)
    ax.set_ylim(placement.height + 0.2, -0.2)


def draw_names_below(ax: Axes, names: list[str]) -> None:
    """Names of the columns of a matrix, upright where they are wider than these."""
    upright = are_upright(names, ax.bbox.width / ax.figure.dpi * 72, sizes_of(ax).text)
    points = min(UPRIGHT_SHARE * ax.figure.bbox.height / ax.figure.dpi, UPRIGHT_INCHES) * 72
    draw_names(ax.xaxis, np.arange(len(names)) + 0.5, names, points=points if upright else None)
    ax.tick_params(axis="x", labelrotation=90 if upright else 0, labelcolor=look_of(ax).ink)


def are_upright(names: list[str], points: float, size: float) -> bool:
    """Whether names are too wide to stand beside each other on so many points."""
    return max((width_of(drawable(name), size) for name in names), default=0.0) > 0.95 * points / max(len(names), 1)
