"""Row texts: an indented tree of names at the left of the Axes, and columns of numbers at their right.

The font gets smaller with the rows, down to a size that can be read; then only as many rows have texts as fit.
"""

import math
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backend_bases import RendererBase
from matplotlib.collections import LineCollection
from matplotlib.text import Text
from matplotlib.transforms import Affine2D, Bbox, ScaledTranslation, blended_transform_factory

from tokenvis.plot.artists.style import ThemeColors, blend_colors
from tokenvis.plot.artists.text import MIN_FONT_POINTS, FittedTexts
from tokenvis.spans.integers import Float64Array, Int64Array

ROW_HEIGHT_EMS = 1.15  # of a row, relative to the font size
LINE_WIDTH, LINE_COLOR_SHARE = 0.8, 0.6
ELBOW_POINTS = 3.0  # from the left edge of a name to the line to its children


class RowTexts(FittedTexts):
    """A column of texts beside the Axes, one for each row, the first at y = 0.5; and a header above the rows.

    ``offsets`` are in points to the right of the left edge of the Axes, or of its right edge if ``beside`` is "right".
    ``width`` is how far the column reaches from this edge. The header has the offset of the first text.
    """

    def __init__(
        self,
        texts: list[str],
        offsets: Float64Array,
        *,
        width: float,
        size: float,
        colors: list[str],
        beside: Literal["left", "right"],
        align: Literal["left", "right"] = "left",
        header: str = "",
        header_color: str = "",
    ) -> None:
        super().__init__(size=size, zorder=4)
        self.row_texts, self.offsets, self.colors = texts, offsets, colors
        self.width, self.beside, self.align = width, beside, align
        self.header, self.header_color = header, header_color
        self.set_clip_on(False)

    def texts(self, renderer: RendererBase) -> list[Text]:
        """The texts that fit in the current view."""
        box = self.axes.bbox
        number = np.arange(-1, len(self.row_texts))
        y = self.axes.transData.transform(np.column_stack([np.zeros(len(number)), number + 0.5]))[:, 1]
        pixels_per_point = self.axes.figure.dpi / 72
        row_points = abs(y[-1] - y[0]) / (len(number) - 1) / pixels_per_point
        size = min(self.size, max(row_points / ROW_HEIGHT_EMS, MIN_FONT_POINTS))
        step = max(math.ceil(size * ROW_HEIGHT_EMS / row_points - 0.01), 1)
        self.font.set_size(size)
        x = (box.x1 if self.beside == "right" else box.x0) + self.offsets * pixels_per_point
        y[0] = y[1] + max(row_points, size * ROW_HEIGHT_EMS) * pixels_per_point
        rows = [row for row in range(0, len(self.row_texts), step) if self.row_texts[row] and box.y0 < y[row + 1] < box.y1]
        style: dict[str, Any] = {"ha": self.align, "va": "center_baseline"}
        header = [self.text_at(x[0], y[0], self.header, color=self.header_color, **style)] if self.header else []
        texts = [self.text_at(x[row], y[row + 1], self.row_texts[row], color=self.colors[row], **style) for row in rows]
        for text in (*header, *texts):
            text.set_clip_on(False)
        return [*header, *texts]

    def get_window_extent(self, renderer: Any = None, dpi: Any = None) -> Bbox:
        """The box of the column, for the layout."""
        box, width = self.axes.bbox, self.width * self.axes.figure.dpi / 72
        left, right = (box.x1, box.x1 + width) if self.beside == "right" else (box.x0 - width, box.x0)
        return Bbox.from_extents(left, box.y0, right, box.y1)


def beside_axes(ax: Axes, edge: Literal["left", "right"]) -> Any:
    """The transform of points to the right of an edge of the Axes, and of data along the y axis."""
    of_axes: Any = ax.transAxes
    from_edge = Affine2D().scale(1 / 72) + ax.figure.dpi_scale_trans + ScaledTranslation(float(edge == "right"), 0, of_axes)
    return blended_transform_factory(from_edge, ax.transData)


def draw_tree_lines(ax: Axes, offsets: Float64Array, parent: Int64Array, theme: ThemeColors) -> None:
    """Draw a line from below each name to its last child, with a branch to each; ``offsets`` are those of the names."""
    child = np.flatnonzero(parent >= 0)
    x, y = offsets[parent[child]] + ELBOW_POINTS, child + 0.5
    last = child[::-1][np.unique(parent[child][::-1], return_index=True)[1]]  # of each parent
    trunk = offsets[parent[last]] + ELBOW_POINTS
    pairs = [((trunk, parent[last] + 0.95), (trunk, last + 0.5)), ((x, y), (np.maximum(offsets[child] - 2, x), y))]
    lines = [line for ends in pairs for line in np.stack([np.column_stack(end) for end in ends], axis=1)]
    color = blend_colors(theme.muted, theme.background, LINE_COLOR_SHARE)
    style: dict[str, Any] = {"colors": color, "linewidths": LINE_WIDTH, "clip_on": False, "in_layout": False}
    ax.add_collection(LineCollection(lines, transform=beside_axes(ax, "left"), zorder=1, label="tree", **style), autolim=False)
