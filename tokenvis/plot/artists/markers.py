"""Markers: instants, errors and open spans, in pictures over time and in their legends."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from tokenvis.plot.artists.style import ThemeColors
from tokenvis.spans.columns import times_of
from tokenvis.spans.fields import field_values
from tokenvis.spans.integers import Float64Array, Int64Array

MARKER_NAMES = {"instant": "instant", "error": "error", "cancelled": "cancelled", "open": "still open"}
MARKER_SHAPES: dict[str, str] = {"instant": "D", "dot": "o", "error": "X", "cancelled": "X", "open": ">"}
MARKER_SIZES = {"instant": 52, "dot": 34, "error": 46, "cancelled": 46, "open": 34}  # square points


def marked_rows(spans: pd.DataFrame) -> dict[str, Int64Array]:
    """The rows of the spans that have a marker: instants, errors, and open spans."""
    start, end = times_of(spans)
    rows, status = field_values(spans, "status")
    marked = {name: rows[[value == name for value in status]] for name in ("error", "open")}
    return {"instant": np.flatnonzero(start == end), **marked}


def draw_markers(ax: Axes, x: Float64Array, y: Float64Array, shape: str, colors: Any, edge_color: str) -> None:
    """Markers of one kind."""
    if len(x):
        style: dict[str, Any] = {"edgecolors": edge_color, "linewidths": 0.8, "zorder": 3.5}
        name = "instant" if shape == "dot" else shape
        ax.scatter(x, y, s=MARKER_SIZES[shape], marker=MARKER_SHAPES[shape], c=colors, label=name, **style)


def marker_handles(rows_by_marker: Mapping[str, Int64Array], theme: ThemeColors, *, instant: str = "instant") -> list[Line2D]:
    """Legend handles of the markers that occur; ``instant`` is the shape of instants."""
    shapes = MARKER_SHAPES | {"instant": MARKER_SHAPES[instant]}
    colors = {"error": theme.error, "cancelled": theme.muted}
    style: dict[str, Any] = {"markersize": 7, "linestyle": "none", "markeredgecolor": theme.background}
    return [
        Line2D([], [], marker=shapes[name], color=colors.get(name, theme.text), label=MARKER_NAMES[name], **style)
        for name, rows in rows_by_marker.items()
        if len(rows)
    ]
