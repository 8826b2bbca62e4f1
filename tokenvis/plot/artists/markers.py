"""Markers: instants, errors and open spans, in pictures over time and in their legends."""

from collections.abc import Mapping
from itertools import takewhile
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.lines import Line2D
from matplotlib.markers import MarkerStyle
from matplotlib.transforms import IdentityTransform

from tokenvis.errors import plural
from tokenvis.plot.artists.style import NORMAL_SIZES, ThemeColors, font_sizes
from tokenvis.spans.columns import times_of
from tokenvis.spans.fields import field_values
from tokenvis.spans.integers import Float64Array, Int64Array

MARKER_NAMES = {"instant": "instant", "error": "error", "cancelled": "cancelled", "open": "still open"}
MARKER_SHAPES: dict[str, str] = {"instant": "D", "dot": "o", "error": "X", "cancelled": "X", "open": ">"}
MARKER_LABELS = {"dot": "instant"}
HIDDEN_NOUNS = {"instant": "instant", "error": "error", "cancelled": "cancelled agent", "open": "open end"}
MARKER_SIZES = {"instant": 52, "dot": 34, "error": 46, "cancelled": 46, "open": 34}  # square points


def marked_rows(spans: pd.DataFrame) -> dict[str, Int64Array]:
    """The rows of the spans that have a marker: instants, errors, and open spans."""
    start, end = times_of(spans)
    rows, status = field_values(spans, "status")
    marked = {name: rows[[value == name for value in status]] for name in ("error", "open")}
    return {"instant": np.flatnonzero(start == end), **marked}


class Markers(PathCollection):
    """Markers of one kind: in each view, from the left, those that cover no other one."""

    axes: Any

    def __init__(self, ax: Axes, x: Float64Array, y: Float64Array, shape: str, size: float, **style: Any) -> None:
        marker = MarkerStyle(MARKER_SHAPES[shape])
        super().__init__(
            [marker.get_path().transformed(marker.get_transform())],
            [size],
            offsets=np.column_stack([x, y]),
            offset_transform=ax.transData,
            label=MARKER_LABELS.get(shape, shape),
            zorder=3.5,
            **style,
        )
        self.set_transform(IdentityTransform())
        self.set_clip_on(False)  # those at the ends of the trace are whole
        self.places: Any = self.get_offsets()
        self.faces: Any = self.get_facecolor()
        self.chosen: tuple[Any, Int64Array] | None = None

    def shown(self) -> Int64Array:
        """The markers that are drawn in the current view; kept until it changes: drawing takes several passes."""
        axes = self.axes
        view = (*axes.bbox.extents, *axes.get_xlim(), *axes.get_ylim(), axes.figure.dpi)
        if self.chosen is None or self.chosen[0] != view:
            self.chosen = view, self.not_covering()
        return self.chosen[1]

    def in_view(self) -> tuple[Float64Array, Int64Array]:
        """The places of all markers in pixels, and those of them that are in the current view."""
        places: Float64Array = self.axes.transData.transform(self.places)
        box = self.axes.bbox
        return places, np.flatnonzero((places >= box.min - 1).all(axis=1) & (places <= box.max + 1).all(axis=1))

    def not_covering(self) -> Int64Array:
        """From the left, the markers in the current view that cover no other one."""
        places, in_view = self.in_view()
        width = self.get_sizes()[0] ** 0.5 * self.axes.figure.dpi / 72
        shown: list[tuple[float, float, int]] = []
        for marker in in_view[np.argsort(places[in_view, 0], kind="stable")].tolist():
            x, y = places[marker].tolist()
            near = takewhile(lambda other: x - other[0] < width, reversed(shown))  # noqa: B023  (used at once)
            if all(abs(y - other) >= width for _, other, _ in near):
                shown.append((x, y, marker))
        return np.sort(np.array([marker for _, _, marker in shown], dtype=np.int64))

    def messages(self) -> list[str]:
        """The note on markers that are not drawn."""
        n_hidden = len(self.in_view()[1]) - len(self.shown())
        return [f"{plural(n_hidden, HIDDEN_NOUNS[str(self.get_label())])} not marked"] if n_hidden else []

    def draw(self, renderer: Any) -> None:
        """Draw the markers that do not cover others."""
        shown = self.shown()
        self.set_offsets(self.places[shown])
        self.set_facecolor(self.faces[shown] if len(self.faces) > 1 else self.faces)
        super().draw(renderer)
        self.set_offsets(self.places)
        self.set_facecolor(self.faces)


def draw_markers(ax: Axes, x: Float64Array, y: Float64Array, shape: str, colors: Any, edge_color: str) -> list[Markers]:
    """Draw markers of one kind, smaller in narrow figures; returns their artist, if there are any."""
    if not len(x):
        return []
    size = MARKER_SIZES[shape] * (font_sizes(ax).text / NORMAL_SIZES.text) ** 2
    markers = Markers(ax, x, y, shape, size, facecolors=colors, edgecolors=edge_color, linewidths=0.8)
    ax.add_collection(markers, autolim=False)
    return [markers]


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
