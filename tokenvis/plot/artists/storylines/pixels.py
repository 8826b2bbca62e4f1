"""The pixels of a storyline that lines and texts take, to find free space for further texts."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from matplotlib.transforms import Bbox

from tokenvis.layout.storylines.geometry import GroupBox, StorylineGeometry
from tokenvis.plot.artists.storylines.rooms import BOX_PADDING

SAMPLE_PIXELS = 2.0


class OccupiedPixels:
    """The pixels of lines and texts, to find free space for further texts.

    ``y`` has a row for each agent and a column for each of ``x``; it is NaN where the agent has no line. ``low`` and ``high``
    are the lowest and the highest pixel of the line between neighbouring values of ``x``.
    """

    def __init__(self, axes: Any, geometry: StorylineGeometry) -> None:
        self.box = axes.bbox
        self.x = np.linspace(self.box.x0, self.box.x1, max(int(self.box.width / SAMPLE_PIXELS), 2))
        to_data = axes.transData.inverted()
        positions = to_data.transform(np.column_stack([self.x, np.full(len(self.x), self.box.y0)]))[:, 0]
        heights = np.full((len(geometry.agents), len(positions)), np.nan)
        for row, curves in zip(heights, geometry.curves, strict=True):
            for curve in curves:
                inside = (positions >= curve.x[0]) & (positions <= curve.x[-1])
                row[inside] = curve.y_at(positions[inside])
        self.to_pixels = axes.transData.transform
        self.y = self.to_pixels(np.column_stack([np.zeros(heights.size), heights.ravel()]))[:, 1].reshape(heights.shape)
        self.low, self.high = np.fmin(self.y[:, 1:], self.y[:, :-1]), np.fmax(self.y[:, 1:], self.y[:, :-1])
        for low, high, curves in zip(self.low, self.high, geometry.curves, strict=True):
            for curve in curves:
                x, y = self.to_pixels(np.column_stack([curve.x, curve.y])).T
                inside = (x >= self.x[0]) & (x < self.x[-1])
                column = np.searchsorted(self.x, x[inside], side="right") - 1
                np.fmin.at(low, column, y[inside])
                np.fmax.at(high, column, y[inside])
        self.text_boxes: list[Bbox] = []

    def visible_levels(self, group_box: GroupBox) -> list[Bbox]:
        """The rectangles of the level parts of a group box, as far as they are in the current view."""
        rectangles = (
            Bbox(self.to_pixels([(x0, bottom + BOX_PADDING), (x1, top - BOX_PADDING)]))
            for x0, x1, top, bottom in group_box.levels
        )
        visible = (Bbox.from_extents(max(one.x0, self.box.x0), one.y0, min(one.x1, self.box.x1), one.y1) for one in rectangles)
        return [one for one in visible if one.width >= 0 and one.y1 > self.box.y0 and one.y0 < self.box.y1]

    def is_free(self, box: Bbox, *, on_lines: bool = False) -> bool:
        """Whether a box is inside the Axes, overlaps no text, and overlaps no line unless ``on_lines``."""
        if box.x0 < self.box.x0 or box.x1 > self.box.x1 or box.y0 < self.box.y0 or box.y1 > self.box.y1:
            return False
        columns = slice(*np.searchsorted(self.x, [box.x0 - SAMPLE_PIXELS, box.x1 + SAMPLE_PIXELS]).tolist())
        overlaps = (self.high[:, columns] >= box.y0 - 1) & (self.low[:, columns] <= box.y1 + 1)
        return (on_lines or not overlaps.any()) and not any(box.overlaps(other) for other in self.text_boxes)

    def line_ends(self) -> Iterator[tuple[int, int, int]]:
        """Each agent with a visible line, and the columns in which the line begins and ends."""
        for agent, has_line in enumerate(~np.isnan(self.y)):
            columns = np.flatnonzero(has_line)
            if len(columns):
                yield agent, int(columns[0]), int(columns[-1])


def text_box(x: float, y: float, width: float, height: float, ha: str = "left") -> Bbox:
    """The box of a text with this point in the middle of its left or right side."""
    left = x - width if ha == "right" else x
    return Bbox([[left, y - height / 2], [left + width, y + height / 2]])
