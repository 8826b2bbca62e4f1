"""Storyline lines: the lines of agents, the group boxes behind them, and the names of both as far as they fit.

All lines are one collection, all boxes another. A moving line passes over the other lines, with a halo. Names and labels are
placed when the picture is drawn, so that they cover neither lines nor other texts.
"""

from collections.abc import Iterator
from typing import Any, TypeAlias

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backend_bases import RendererBase
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.patheffects import withStroke
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from tokenvis.layout.storylines.curves import LineCurve
from tokenvis.layout.storylines.geometry import GroupBox, LinePiece, StorylineGeometry
from tokenvis.plot.artists.colors import OTHERS_COLOR
from tokenvis.plot.artists.names import draw_names
from tokenvis.plot.artists.style import ThemeColors, blend_colors, font_sizes
from tokenvis.plot.artists.text import FittedTexts, FoldLabels, drawable, fit_text, shorten_name, text_width

LevelBounds: TypeAlias = tuple[float, float, float, float]
TextAnchor: TypeAlias = tuple[float, float, str]

BOX_PADDING = 0.3  # between the border of a group box and its first and last line
BOX_EDGE_POINTS = 5.0  # width of that border, which has round joins
MEETING_TINT_SHARE, SINGLE_TINT_SHARE = 0.28, 0.14  # of the location's colour, for several agents and for one
ABSENT_COLOR_SHARE = 0.5  # of an agent's colour, while it has no span
SHADE_SHARES = 1.0, 0.62, 0.34  # of a colour, in its shades
LINE_WIDTH_SHARE = 0.16  # width of a line, relative to the distance of two lines
MIN_LINE_POINTS, MAX_LINE_POINTS = 0.9, 3.6
THIN_WIDTH_SHARE = 0.4  # of the width of a line, while its agent has no span
HALO_POINTS = 2.4  # both sides together
HALO_MARGIN_SHARE = 0.1  # of a move, at each end, without a halo: it would cover the line's own level part
BAND_PADDING = 0.55  # between the border of a band and its first and last line
LABEL_TINT_SHARE = 0.55  # of a location's colour in its name; the rest is the text colour
MAX_NAME_POINTS = 130.0
TEXT_HEIGHT_EMS = 1.2
MAX_LABELLED_BOXES = 300  # only the widest are labelled
MIN_LABELLED_WIDTH_EMS = 1.5
MIN_CUT_CHARACTERS = 14  # shorter cut labels are left out
LABEL_DISTANCE_EMS = 6.0  # a box needs no label if another one of its location is labelled within this distance
LABEL_ALIGNMENTS = (0.0, 0.5, 1.0)  # tried positions of a label in the available width
BORDER_SHARE = 0.025  # of the width: lines that begin this close to the border have their name beside it
SAMPLE_PIXELS = 2.0


def shaded_color(color: str, step: int, theme: ThemeColors) -> str:
    """The shades of a colour, each closer to the text colour: for more names than colours."""
    return blend_colors(color, theme.text, SHADE_SHARES[step % len(SHADE_SHARES)])


def line_width(ax: Axes, rows: float) -> float:
    """The width of a line in points, for this number of rows on the height of the Axes."""
    points = ax.bbox.height / ax.figure.dpi * 72 / max(rows, 1.0)
    return float(np.clip(LINE_WIDTH_SHARE * points, MIN_LINE_POINTS, MAX_LINE_POINTS))


def draw_boxes(ax: Axes, boxes: list[GroupBox], colors: list[str], theme: ThemeColors) -> None:
    """Draw the group boxes, in tints of their locations."""
    faces = [
        blend_colors(colors[box.location], theme.background, MEETING_TINT_SHARE if box.is_meeting else SINGLE_TINT_SHARE)
        for box in boxes
    ]
    shapes = [box.outline(BOX_PADDING) for box in boxes]
    style: dict[str, Any] = {"facecolors": faces, "edgecolors": faces, "linewidths": BOX_EDGE_POINTS, "joinstyle": "round"}
    ax.add_collection(PolyCollection(shapes, zorder=1.0, label="boxes", **style), autolim=False)


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

    def level_box(self, level: LevelBounds) -> Bbox:
        """The rectangle of a level part of a group box."""
        x0, x1, top, bottom = level
        return Bbox(self.to_pixels([(x0, bottom + BOX_PADDING), (x1, top - BOX_PADDING)]))

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


class LineLabels(FittedTexts):
    """Names of agents at the start of their lines, and at the end if ``both_ends``; names of locations at their boxes.

    If a line reaches the border of the Axes, its name is beside the border, on the left only if ``at_left``; grey names only if
    no other name needs the space. Texts cover neither each other nor lines: a name that does not fit before its line is above
    or below it, a label that does not fit is left out.
    """

    def __init__(
        self,
        ax: Axes,
        geometry: StorylineGeometry,
        group_boxes: list[GroupBox],
        agent_colors: list[str],
        location_colors: list[str],
        theme: ThemeColors,
        *,
        at_left: bool,
        both_ends: bool,
    ) -> None:
        super().__init__(size=font_sizes(ax).bar, zorder=4)
        self.geometry, self.agent_colors, self.location_colors = (
            geometry,
            agent_colors,
            [blend_colors(tint, theme.text, LABEL_TINT_SHARE) for tint in location_colors],
        )
        self.at_left, self.both_ends, self.background = at_left, both_ends, theme.background
        self.group_boxes = sorted(group_boxes, key=lambda group_box: -max(x1 - x0 for x0, x1, _, _ in group_box.levels))[
            :MAX_LABELLED_BOXES
        ]
        self.names = [shorten_name(drawable(name), MAX_NAME_POINTS, self.size) for name in geometry.agents]
        self.locations = [drawable(name) for name in geometry.locations]
        self.set_clip_on(False)

    def get_window_extent(self, renderer: Any = None) -> Bbox:
        """The box including the names beside the Axes, so that a layout reserves space for them."""
        occupied = OccupiedPixels(self.axes, self.geometry)
        names_beside = self.names_beside(occupied, renderer or self.figure._get_renderer())
        return Bbox.union([*occupied.text_boxes, self.axes.bbox]) if names_beside else self.axes.bbox

    def right_width_points(self) -> float:
        """The width of the names on the right, in points, if there are any."""
        last = self.geometry.heights[-1] >= 0
        names = [name for name, has_line in zip(self.names, last.tolist(), strict=True) if has_line and self.both_ends]
        return max(text_width(name, self.size) for name in names) + self.size if names else 0.0

    def texts(self, renderer: RendererBase) -> list[Text]:
        """The texts that fit in the current view."""
        occupied = OccupiedPixels(self.axes, self.geometry)
        folds = [fold for fold in self.axes.get_children() if isinstance(fold, FoldLabels)]
        occupied.text_boxes += [text.get_window_extent(renderer) for fold in folds for text in fold.texts(renderer)]
        names_beside = self.names_beside(occupied, renderer)
        return [
            *names_beside.values(),
            *self.names_inside(occupied, renderer, names_beside),
            *self.box_labels(occupied, renderer),
        ]

    def names_beside(self, occupied: OccupiedPixels, renderer: RendererBase) -> dict[tuple[int, str], Text]:
        """Names on the left and the right of the Axes, by agent and side."""
        em: Any = renderer.points_to_pixels(self.size)
        margin = int(BORDER_SHARE * len(occupied.x))
        sides = (
            {"left": [(agent, first) for agent, first, _ in occupied.line_ends() if first <= margin]} if self.at_left else {}
        )
        if self.both_ends:
            sides["right"] = [(agent, last) for agent, _, last in occupied.line_ends() if last >= len(occupied.x) - 1 - margin]
        names = {}
        for side, ends in sides.items():
            at_left = side == "left"
            x = occupied.box.x0 - em / 2 if at_left else occupied.box.x1 + em / 2
            named_heights: list[float] = []
            heights = {agent: float(occupied.y[agent, column]) for agent, column in ends}
            for agent in sorted(heights, key=lambda agent: (self.agent_colors[agent] == OTHERS_COLOR, -heights[agent])):
                y = heights[agent]
                if occupied.box.y0 <= y <= occupied.box.y1 and all(
                    abs(y - other) >= TEXT_HEIGHT_EMS * em for other in named_heights
                ):
                    named_heights.append(y)
                    names[agent, side] = self.name_at(occupied, renderer, agent, x, y, "right" if at_left else "left")
        return names

    def name_at(self, occupied: OccupiedPixels, renderer: RendererBase, agent: int, x: float, y: float, ha: str) -> Text:
        """An agent's name; its box is occupied from then on."""
        occupied.text_boxes.append(self.text_box(self.names[agent], x, y, ha, renderer))
        text = self.text_at(x, y, self.names[agent], color=self.agent_colors[agent], ha=ha, va="center_baseline")
        text.set_clip_on(False)
        text.set_path_effects([withStroke(linewidth=HALO_POINTS, foreground=self.background)])
        return text

    def text_box(self, text: str, x: float, y: float, ha: str, renderer: RendererBase) -> Bbox:
        """The box of a text with this point in the middle of its left or right side."""
        width = self.measure(text, renderer)
        half: float = renderer.points_to_pixels(self.size) * TEXT_HEIGHT_EMS / 2  # type: ignore[operator, assignment]
        left = x - width if ha == "right" else x
        return Bbox([[left, y - half], [left + width, y + half]])

    def names_inside(
        self, occupied: OccupiedPixels, renderer: RendererBase, names_beside: dict[tuple[int, str], Text]
    ) -> Iterator[Text]:
        """Names of lines that begin or end inside the Axes.

        Without free space, a name is drawn over other lines; grey lines have no name.
        """
        em: float = renderer.points_to_pixels(self.size)  # type: ignore[assignment]
        for agent, first, last in occupied.line_ends():
            x, y, end = (float(value) for value in (occupied.x[first], occupied.y[agent, first], occupied.x[last]))
            before: list[TextAnchor] = [(x - em / 2, y, "right")]
            before += [(x + along * em, y + side * em, "left") for along in (0, 2, 5, 10) for side in (0.9, -0.9)]
            after: list[TextAnchor] = [(end + em / 2, float(occupied.y[agent, last]), "left")]
            if self.agent_colors[agent] == OTHERS_COLOR:
                continue
            ends = {"left": [(anchor, on_lines) for on_lines in (False, True) for anchor in before]}
            ends["right"] = [(anchor, False) for anchor in after if self.both_ends]
            for side, anchors in ends.items():
                boxes = (
                    (anchor, self.text_box(self.names[agent], *anchor, renderer), on_lines) for anchor, on_lines in anchors
                )
                anchor = next((anchor for anchor, box, on_lines in boxes if occupied.is_free(box, on_lines=on_lines)), None)
                if (agent, side) not in names_beside and anchor:
                    yield self.name_at(occupied, renderer, agent, *anchor)

    def box_labels(self, occupied: OccupiedPixels, renderer: RendererBase) -> Iterator[Text]:
        """Names of locations, above or below their boxes; of nearby boxes at one location, only one is labelled."""
        em: Any = renderer.points_to_pixels(self.size)
        levels = [occupied.level_box(level) for group_box in self.group_boxes for level in group_box.levels]
        labelled_by_location: dict[int, list[Bbox]] = {}
        for group_box in self.group_boxes:
            widest = occupied.level_box(max(group_box.levels, key=lambda level: level[1] - level[0]))
            left, right = max(widest.x0, occupied.box.x0), min(widest.x1, occupied.box.x1)
            labelled = labelled_by_location.setdefault(group_box.location, [])
            if right - left < MIN_LABELLED_WIDTH_EMS * em or any(
                are_near(widest, other, LABEL_DISTANCE_EMS * em) for other in labelled
            ):
                continue
            name = self.locations[group_box.location]
            cut = fit_text(name, right - left, lambda text: self.measure(text, renderer))
            for text in dict.fromkeys([name, cut] if len(cut) >= MIN_CUT_CHARACTERS else [name]):
                spare_width = max(right - left - self.measure(text, renderer), 0.0)
                anchors = [
                    (left + spare_width * share, y)
                    for y in (widest.y1 + 0.7 * em, widest.y0 - 0.7 * em)
                    for share in LABEL_ALIGNMENTS
                ]
                boxes = {anchor: self.text_box(text, *anchor, "left", renderer) for anchor in anchors}
                free_anchors = (
                    anchor
                    for anchor, label_box in boxes.items()
                    if occupied.is_free(label_box) and not label_box.count_overlaps(levels)
                )
                anchor = next(free_anchors, None)
                if anchor:
                    occupied.text_boxes.append(boxes[anchor])
                    labelled.append(widest)
                    yield self.text_at(
                        *anchor, text, color=self.location_colors[group_box.location], ha="left", va="center_baseline"
                    )
                    break


def are_near(one: Bbox, other: Bbox, pixels: float) -> bool:
    """Whether the distance of two boxes is less than ``pixels``."""
    distance = max(one.x0 - other.x1, other.x0 - one.x1), max(one.y0 - other.y1, other.y0 - one.y1)
    return bool(max(distance) < pixels)


def draw_group_bands(ax: Axes, geometry: StorylineGeometry, band_colors: list[str], theme: ThemeColors) -> None:
    """Draw the bands of groups in their colours, with the names on the left."""
    extents = geometry.group_extents()
    for group, top, bottom in extents:
        ax.axhspan(
            top - BAND_PADDING,
            bottom + BAND_PADDING,
            color=blend_colors(band_colors[group], theme.background, SINGLE_TINT_SHARE),
            linewidth=0,
            zorder=0.5,
        )
    draw_names(
        ax.yaxis, [(top + bottom) / 2 for _, top, bottom in extents], [geometry.groups[group] for group, _, _ in extents]
    )
