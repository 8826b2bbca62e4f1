"""Rooms: the boxes and the bands of groups behind the lines, in one neutral tint. Colours belong to the agents."""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection

from tokenvis.layout.storylines.geometry import GroupBox, StorylineGeometry
from tokenvis.plot.artists.names import draw_names
from tokenvis.plot.artists.style import ThemeColors, blend_colors

BOX_PADDING = 0.3  # between the border of a group box and its first and last line
BOX_CORNER_POINTS = 3.2  # the width of a border with round joins, which makes round corners
BOX_OUTLINE_POINTS = 0.7
BOX_INSET_POINTS = 3.0  # at both ends: half a border, and half the gap between two boxes
BAND_PADDING = 0.55  # between the border of a band and its first and last line
TINT_SHARE, OUTLINE_SHARE = 0.08, 0.3  # of the text colour


def room_color(theme: ThemeColors) -> str:
    """The tint of all boxes and bands."""
    return blend_colors(theme.text, theme.background, TINT_SHARE)


def draw_boxes(ax: Axes, boxes: list[GroupBox], theme: ThemeColors) -> None:
    """Draw the group boxes, each with an outline: all outlines are one collection, all faces another."""
    low, high = ax.get_xlim()
    inset = BOX_INSET_POINTS * (high - low) / max(ax.bbox.width / ax.figure.dpi * 72, 1.0)
    shapes = [box.outline(BOX_PADDING, inset) for box in boxes]
    outline = blend_colors(theme.text, theme.background, OUTLINE_SHARE)
    for label, color, width in (
        ("box outlines", outline, BOX_CORNER_POINTS + 2 * BOX_OUTLINE_POINTS),
        ("boxes", room_color(theme), BOX_CORNER_POINTS),
    ):
        style: dict[str, Any] = {"facecolors": color, "edgecolors": color, "linewidths": width, "joinstyle": "round"}
        ax.add_collection(PolyCollection(shapes, zorder=1.0, label=label, **style), autolim=False)


def draw_group_bands(ax: Axes, geometry: StorylineGeometry, theme: ThemeColors) -> None:
    """Draw the bands of groups, with the names on the left."""
    extents = geometry.group_extents()
    for _, top, bottom in extents:
        ax.axhspan(top - BAND_PADDING, bottom + BAND_PADDING, color=room_color(theme), linewidth=0, zorder=0.5)
    draw_names(
        ax.yaxis, [(top + bottom) / 2 for _, top, bottom in extents], [geometry.groups[group] for group, _, _ in extents]
    )
