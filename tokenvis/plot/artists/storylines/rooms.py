"""Rooms: the boxes and the bands of groups behind the lines, in one neutral tint. Colours belong to the agents."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection

from tokenvis.layout.storylines.geometry import GroupBox, StorylineGeometry
from tokenvis.plot.artists.names import draw_names
from tokenvis.plot.artists.style import ThemeColors, blend_colors

BOX_PADDING = 0.3  # between the border of a group box and its first and last line
CORNER_POINTS = 3.2  # the width of a border with round joins, which makes round corners
OUTLINE_POINTS = 0.7
GAP_POINTS = 1.4  # between two boxes
MAX_CORNER_SHARE, MAX_OUTLINE_SHARE, MAX_GAP_SHARE = 0.3, 0.15, 0.2  # of the width of a narrow box
BAND_PADDING = 0.55  # between the border of a band and its first and last line
TINT_SHARE, OUTLINE_SHARE = 0.08, 0.3  # of the text colour


def room_color(theme: ThemeColors) -> str:
    """The tint of all boxes and bands."""
    return blend_colors(theme.text, theme.background, TINT_SHARE)


def draw_boxes(ax: Axes, boxes: list[GroupBox], theme: ThemeColors) -> None:
    """Draw the group boxes, each with an outline: all outlines are one collection, all faces another."""
    low, high = ax.get_xlim()
    per_point = (high - low) / max(ax.bbox.width / ax.figure.dpi * 72, 1.0)
    widths = np.array([box.levels[-1][1] - box.levels[0][0] for box in boxes]) / per_point
    corners = np.minimum(CORNER_POINTS, MAX_CORNER_SHARE * widths)
    outlines = np.minimum(OUTLINE_POINTS, MAX_OUTLINE_SHARE * widths)
    insets = (corners / 2 + outlines + np.minimum(GAP_POINTS, MAX_GAP_SHARE * widths) / 2) * per_point
    shapes = [box.outline(BOX_PADDING, inset) for box, inset in zip(boxes, insets.tolist(), strict=True)]
    for label, color, points in (
        ("box outlines", blend_colors(theme.text, theme.background, OUTLINE_SHARE), corners + 2 * outlines),
        ("boxes", room_color(theme), corners),
    ):
        style: dict[str, Any] = {"facecolors": color, "edgecolors": color, "linewidths": points, "joinstyle": "round"}
        ax.add_collection(PolyCollection(shapes, zorder=1.0, label=label, **style), autolim=False)


def draw_group_bands(ax: Axes, geometry: StorylineGeometry, theme: ThemeColors) -> None:
    """Draw the bands of groups, with the names on the left."""
    extents = geometry.group_extents()
    for _, top, bottom in extents:
        ax.axhspan(top - BAND_PADDING, bottom + BAND_PADDING, color=room_color(theme), linewidth=0, zorder=0.5)
    draw_names(
        ax.yaxis, [(top + bottom) / 2 for _, top, bottom in extents], [geometry.groups[group] for group, _, _ in extents]
    )
