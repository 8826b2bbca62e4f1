"""The lines of a storyline: one collection for all lines, one for all side branches.

A moving line passes over the other lines, with a halo. A line is thin and pale while its agent has no span.
"""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection

from tokenvis.layout.storylines.curves import LineCurve
from tokenvis.layout.storylines.geometry import LinePiece, StorylineGeometry
from tokenvis.plot.artists.colors import OTHERS_COLOR
from tokenvis.plot.artists.style import ThemeColors, blend_colors

ABSENT_COLOR_SHARE = 0.5  # of an agent's colour, while it has no span
SHADE_SHARES = 1.0, 0.62, 0.34  # of a colour, in its shades
LINE_WIDTH_SHARE = 0.16  # width of a line, relative to the distance of two lines
MIN_LINE_POINTS, MAX_LINE_POINTS = 0.9, 3.6
THIN_WIDTH_SHARE = 0.4  # of the width of a line, while its agent has no span
HALO_POINTS = 2.4  # both sides together
HALO_MARGIN_SHARE = 0.1  # of a move, at each end, without a halo: it would cover the line's own level part


def shaded_color(color: str, step: int, theme: ThemeColors) -> str:
    """The shades of a colour, each closer to the text colour: for more names than colours."""
    return blend_colors(color, theme.text, SHADE_SHARES[step % len(SHADE_SHARES)])


def line_width(ax: Axes, rows: float) -> float:
    """The width of a line in points, for this number of rows on the height of the Axes."""
    points = ax.bbox.height / ax.figure.dpi * 72 / max(rows, 1.0)
    return float(np.clip(LINE_WIDTH_SHARE * points, MIN_LINE_POINTS, MAX_LINE_POINTS))


def draw_lines(ax: Axes, geometry: StorylineGeometry, colors: list[str], width: float, theme: ThemeColors) -> None:
    """Draw all lines; moving lines pass over the others, with a halo."""

    def draw_order(piece: LinePiece) -> tuple[bool, bool]:
        return colors[piece.agent] != OTHERS_COLOR, piece.has_span

    def stroke(piece: LinePiece) -> tuple[LineCurve, str, float]:
        color = colors[piece.agent]
        return (
            (piece.curve, color, width)
            if piece.has_span
            else (piece.curve, blend_colors(color, theme.background, ABSENT_COLOR_SHARE), width * THIN_WIDTH_SHARE)
        )

    strokes = [stroke(piece) for piece in sorted(geometry.pieces(), key=draw_order)]
    for piece in sorted(geometry.moving_pieces(), key=draw_order):
        curve, color, stroke_width = stroke(piece)
        margin = HALO_MARGIN_SHARE * (curve.x[-1] - curve.x[0])
        strokes.append(
            (
                curve.between(curve.x[0] + margin, curve.x[-1] - margin),
                theme.background,
                stroke_width + min(HALO_POINTS, stroke_width),
            )
        )
        strokes.append((curve, color, stroke_width))
    points = [np.column_stack([curve.x, curve.y]) for curve, _, _ in strokes]
    style: dict[str, Any] = {
        "colors": [color for _, color, _ in strokes],
        "linewidths": [stroke_width for _, _, stroke_width in strokes],
    }
    ax.add_collection(LineCollection(points, zorder=2.0, label="lines", capstyle="round", **style), autolim=False)


def draw_branches(ax: Axes, branches: list[tuple[int, LineCurve]], colors: list[str], width: float) -> None:
    """Draw side branches: thin lines beside the line of their agent."""
    points = [np.column_stack([curve.x, curve.y]) for _, curve in branches]
    style: dict[str, Any] = {
        "colors": [colors[agent] for agent, _ in branches],
        "linewidths": max(width * THIN_WIDTH_SHARE, MIN_LINE_POINTS),
        "capstyle": "round",
    }
    ax.add_collection(LineCollection(points, zorder=1.9, label="branches", **style), autolim=False)
