"""Swarms: the dots of many runs in rows, none on another while there is room, and names beside those that stand out."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backend_bases import RendererBase
from matplotlib.collections import PathCollection
from matplotlib.markers import MarkerStyle
from matplotlib.text import Text
from matplotlib.transforms import IdentityTransform

from tokenvis.layout.swarm import swarm_offsets
from tokenvis.plot.artists.style import ThemeColors, font_sizes
from tokenvis.plot.artists.text import FittedTexts
from tokenvis.spans.integers import Float64Array, Int64Array

USUAL, NOT_IN_RUN, OUTLYING, BASELINE = range(4)  # the looks of dots; later ones are drawn over earlier ones
SHAPES = {USUAL: "o", NOT_IN_RUN: "o", OUTLYING: "o", BASELINE: "D"}
BASELINE_SCALE, MIN_BASELINE_POINTS = 1.15, 5.5  # of the diameter; of the diamond
USUAL_OPACITY = 0.8
SWARM_SHARE = 0.9  # of the height of a row
DOT_NAME_GAP_POINTS, NAME_HEIGHT_EMS = 1.5, 1.1
MAX_CONSIDERED_NAMES = 150


@dataclass(frozen=True)
class Dots:
    """Dots: the row and the run of each, its position on the axis, its colour and its look; and a diameter in points."""

    row: Int64Array
    run: Int64Array
    x: Float64Array
    colors: list[str]
    look: Int64Array
    diameter: float

    def styles(self, theme: ThemeColors) -> dict[str, Any]:
        """The fills and borders."""
        faces, edges, widths = [], [], []
        for color, look in zip(self.colors, self.look.tolist(), strict=True):
            face, edge, width = look_style(color, look, theme)
            faces.append(face)
            edges.append(edge)
            widths.append(width)
        return {"facecolors": faces, "edgecolors": edges, "linewidths": widths}


def look_style(color: str, look: int, theme: ThemeColors) -> tuple[Any, Any, float]:
    """Fill, border and width of the border of a dot."""
    if look == NOT_IN_RUN:
        return theme.background, theme.muted, 0.8
    if look == BASELINE:
        return theme.text, theme.background, 0.8
    if look == OUTLYING:
        return color, theme.text, 1.1
    return (color, USUAL_OPACITY), (theme.background, USUAL_OPACITY), 0.4


class Swarms(PathCollection):
    """Dots in rows that are 1 high, the first from 0 to 1; where they are depends on the view."""

    axes: Any
    figure: Any

    def __init__(self, ax: Axes, dots: Dots, theme: ThemeColors) -> None:
        self.dots = dots
        markers = {look: MarkerStyle(shape) for look, shape in SHAPES.items()}
        paths = {look: marker.get_path().transformed(marker.get_transform()) for look, marker in markers.items()}
        diamond = max(BASELINE_SCALE * dots.diameter, MIN_BASELINE_POINTS)
        sizes = [(diamond if look == BASELINE else dots.diameter) ** 2 for look in dots.look.tolist()]
        shapes = [paths[look] for look in dots.look.tolist()]
        none = np.zeros((len(shapes), 2))
        style = dots.styles(theme)
        super().__init__(shapes, sizes, offsets=none, offset_transform=IdentityTransform(), zorder=3, label="runs", **style)
        self.set_transform(IdentityTransform())
        self.set_in_layout(False)
        self.placed: tuple[Any, Float64Array] | None = None

    def places(self) -> Any:
        """The middle of each dot in the current view, in pixels (n x 2); kept until the view changes."""
        axes = self.axes
        view = (*axes.bbox.extents, *axes.get_xlim(), *axes.get_ylim(), axes.figure.dpi)
        if self.placed is None or self.placed[0] != view:
            middle = axes.transData.transform(np.column_stack([self.dots.x, self.dots.row + 0.5]))
            height = SWARM_SHARE * abs(np.subtract(*axes.transData.transform([(0, 0), (0, 1)])[:, 1]))
            offsets = swarm_offsets(self.dots.row, middle[:, 0], self.pixels(), height)
            self.placed = view, np.column_stack([middle[:, 0], middle[:, 1] + offsets])
        return self.placed[1]

    def pixels(self) -> float:
        """The diameter of a dot, in pixels."""
        return float(self.dots.diameter * self.figure.dpi / 72)

    def draw(self, renderer: RendererBase) -> None:
        """Draw the dots where they are in the current view."""
        self.set_offsets(self.places())
        super().draw(renderer)


class DotNames(FittedTexts):
    """Names beside some dots, where no dot, no line across a row and no other name is.

    ``dots`` are those with names, the most important first; ``lines`` has the position of the line of each row, NaN for none.
    """

    def __init__(
        self, ax: Axes, swarms: Swarms, dots: Int64Array, names: list[str], *, lines: Float64Array, color: str
    ) -> None:
        super().__init__(size=font_sizes(ax).bar, zorder=4.2)
        self.swarms, self.named, self.names = swarms, dots[:MAX_CONSIDERED_NAMES], names
        self.lines, self.color = lines, color

    def texts(self, renderer: RendererBase) -> list[Text]:
        """The names that have room in the current view."""
        places, radius = self.swarms.places(), self.swarms.pixels() / 2
        boxes = np.vstack([np.column_stack([places - radius, places + radius]), self.line_boxes()])
        height: Any = renderer.points_to_pixels(NAME_HEIGHT_EMS * self.size)
        gap, view = radius + self.figure.dpi / 72 * DOT_NAME_GAP_POINTS, self.axes.bbox
        shown = []
        for dot, name in zip(self.named.tolist(), self.names, strict=False):
            width, (x, y) = self.measure(name, renderer), places[dot].tolist()
            centered = min(max(x - width / 2, view.x0), view.x1 - width)
            aside = ((x + gap, y), (x - gap - width, y), (centered, y + gap + height / 2), (centered, y - gap - height / 2))
            for left, middle in aside:
                box = np.array([left, middle - height / 2, left + width, middle + height / 2])
                inside = view.x0 <= box[0] and box[2] <= view.x1 and view.y0 <= box[1] and box[3] <= view.y1
                if inside and not overlaps_any(box, boxes):
                    boxes = np.vstack([boxes, box])
                    shown.append(self.text_at(left, middle, name, ha="left", va="center_baseline", color=self.color))
                    break
        return shown

    def line_boxes(self) -> Any:
        """The boxes of the lines across rows, in pixels."""
        rows = np.flatnonzero(~np.isnan(self.lines))
        ends = [self.axes.transData.transform(np.column_stack([self.lines[rows], rows + end])) for end in (0, 1)]
        margin = np.array([self.figure.dpi / 72 * DOT_NAME_GAP_POINTS, 0])
        return np.column_stack([np.minimum(*ends) - margin, np.maximum(*ends) + margin])


def overlaps_any(box: Float64Array, boxes: Any) -> bool:
    """Whether a box (left, lower, right, upper) overlaps one of the others."""
    apart = (boxes[:, 0] >= box[2]) | (boxes[:, 2] <= box[0]) | (boxes[:, 1] >= box[3]) | (boxes[:, 3] <= box[1])
    return not apart.all()
