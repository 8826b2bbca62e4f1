"""Names along an axis: of bands, and of the rows and columns of a matrix."""

from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator

from tokenvis.layout.lanes import Placement
from tokenvis.plot.artists.fonts import families_of
from tokenvis.plot.artists.style import ThemeColors, font_sizes, theme_colors
from tokenvis.plot.artists.text import MISSING_NAME, drawable, shorten_name, text_width

MAX_NAME_SHARE = 0.22  # of the figure's width, for names at the left
MAX_VERTICAL_SHARE, MAX_VERTICAL_INCHES = 0.35, 1.6  # of the figure's height, for vertical names below


class NameLocator(FixedLocator):
    """Ticks for names: all of them, or as many as fit."""

    def __init__(self, positions: list[float]) -> None:
        super().__init__(positions)
        self.positions = positions

    def __call__(self) -> Any:
        """Positions whose names do not touch in the current view."""
        axes = self.axis.axes  # type: ignore[union-attr]
        vertical = self.axis is axes.yaxis
        low, high = self.axis.get_view_interval()  # type: ignore[union-attr]
        points = (axes.bbox.height if vertical else axes.bbox.width) / axes.figure.dpi * 72
        min_distance = 1.25 * font_sizes(axes).text * abs(high - low) / max(points, 1.0)
        shown: list[float] = []
        for position in self.positions:
            if not shown or position - shown[-1] >= min_distance:
                shown.append(position)
        return np.array(shown)


def draw_names(axis: Any, positions: Any, names: list[str], *, points: float | None = None) -> None:
    """Draw names along an axis, cut in the middle if they are long; names that do not fit are left out."""
    ax = axis.axes
    size = font_sizes(ax).text
    points = points or MAX_NAME_SHARE * ax.figure.bbox.width / ax.figure.dpi * 72
    texts = {
        float(position): shorten_name(drawable(name), points, size) for position, name in zip(positions, names, strict=True)
    }
    axis.set_major_locator(NameLocator(sorted(texts)))
    axis.set_major_formatter(partial(name_at, texts))
    axis.set_tick_params(length=0, pad=8, labelfontfamily=families_of("".join(texts.values())))
    for label in axis.get_ticklabels():
        label.set_parse_math(False)


def name_at(texts: dict[float, str], position: float, _: Any) -> str:
    """The name at a position of an axis, empty if there is none."""
    return texts.get(float(position), "")


def draw_bands(ax: Axes, placement: Placement, theme: ThemeColors) -> None:
    """Shade every second band, and draw all names on the left."""
    bands = placement.bands
    for top, height in zip(bands["top"][::2], bands["height"][::2], strict=True):
        ax.axhspan(top - 0.2, top + height + 0.2, color=theme.shading, linewidth=0, zorder=0)
    names = [MISSING_NAME if pd.isna(name) else str(name) for name in bands["band"]]
    draw_names(ax.yaxis, bands["top"] + bands["height"] / 2, names)
    ax.set_ylim(placement.height + 0.2, -0.2)


def draw_column_names(ax: Axes, names: list[str]) -> None:
    """Draw the names of the columns of a matrix, vertically if they are wider than the columns."""
    vertical = are_vertical(names, ax.bbox.width / ax.figure.dpi * 72, font_sizes(ax).text)
    points = min(MAX_VERTICAL_SHARE * ax.figure.bbox.height / ax.figure.dpi, MAX_VERTICAL_INCHES) * 72
    draw_names(ax.xaxis, np.arange(len(names)) + 0.5, names, points=points if vertical else None)
    ax.tick_params(axis="x", labelrotation=90 if vertical else 0, labelcolor=theme_colors(ax).text)


def are_vertical(names: list[str], points: float, size: float) -> bool:
    """Whether names are too wide to be next to each other on this width."""
    return max((text_width(drawable(name), size) for name in names), default=0.0) > 0.95 * points / max(len(names), 1)
