"""Markers: instants, errors and spans that are still open, in pictures over time and in their legends."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from tokenvis.plot.artists.style import Look
from tokenvis.spans.columns import times_of
from tokenvis.spans.fields import field_values
from tokenvis.spans.integers import Floats, Int64Array

NAMES = {"instant": "instant", "error": "error", "open": "still open"}
SHAPES: dict[str, str] = {"instant": "D", "dot": "o", "error": "X", "open": ">"}
SIZES = {"instant": 52, "dot": 34, "error": 46, "open": 34}  # square points


def marks_of(spans: pd.DataFrame) -> dict[str, Int64Array]:
    """Rows of the spans that have a mark: instants, errors, and open ones."""
    start, end = times_of(spans)
    rows, status = field_values(spans, "status")
    marked = {name: rows[[value == name for value in status]] for name in ("error", "open")}
    return {"instant": np.flatnonzero(start == end), **marked}


def scatter_marks(ax: Axes, x: Floats, y: Floats, shape: str, colors: Any, paper: str) -> None:
    """Marks of one kind."""
    if len(x):
        style: dict[str, Any] = {"edgecolors": paper, "linewidths": 0.8, "zorder": 3.5}
        name = "instant" if shape == "dot" else shape
        ax.scatter(x, y, s=SIZES[shape], marker=SHAPES[shape], c=colors, label=name, **style)


def handles_of(marks: Mapping[str, Int64Array], look: Look, *, instant: str = "instant") -> list[Line2D]:
    """What marks mean, those that occur, for a legend; ``instant`` is the shape of instants."""
    shapes = SHAPES | {"instant": SHAPES[instant]}
    colors = {"error": look.error}
    style: dict[str, Any] = {"markersize": 7, "linestyle": "none", "markeredgecolor": look.paper}
    return [
        Line2D([], [], marker=shapes[name], color=colors.get(name, look.ink), label=NAMES[name], **style)
        for name, rows in marks.items()
        if len(rows)
    ]
