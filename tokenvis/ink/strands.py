"""Strands: lines through time, the rooms behind them, and the names of both, as far as there is room.

All lines are one collection, all rooms another. A line that moves passes over those that do not, with a halo; where names and
labels stand is found when the picture is drawn, so that none covers a line or another text.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backend_bases import RendererBase
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.colors import to_hex, to_rgb
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from tokenvis.layout.strands import Piece, Room, Strands
from tokenvis.lettering import Fitted, drawable, fitted, shortened, width_of
from tokenvis.style import Look
from tokenvis.weaving.curves import Course

PAD = 0.36  # of a room's border to its first and last line
TINT = 0.24  # of a room's colour; the rest is paper
PALE = 0.35  # of an agent's colour, where it has no span
LINE_SHARE = 0.16  # of the distance of two lines, that a line is thick
THINNEST, THICKEST = 0.9, 3.6  # points
THIN = 0.4  # of that, where an agent has no span
HALO = 2.4  # points, on both sides together,
HALO_MARGIN = 0.1  # but not in the first and last part of a way, where the line runs beside itself
NAME_POINTS = 130.0  # a name takes at most
LINE_HEIGHT = 1.2  # of a text, in letters
MOST_LABELS = 300  # rooms whose labels look for room, the widest
SHARES = (0.0, 0.5, 1.0)  # where a label may stand, of the room that it has
BORDER = 0.025  # of the width: a line that begins so near to the border has its name beside it
GRAIN = 2.0  # pixels


def mixed(color: Any, paper: str, share: float) -> str:
    """So much of a colour on paper."""
    return to_hex(tuple(np.array(to_rgb(color)) * share + np.array(to_rgb(paper)) * (1 - share)))


def shaded(color: str, step: int) -> str:
    """A colour, then a darker shade of it, then a paler one, and so on: for more names than there are colours."""
    return [color, mixed(color, "#000000", 0.6), mixed(color, "#ffffff", 0.55)][step % 3]


def thickness(ax: Axes, rows: float) -> float:
    """Points that a line is thick, where so many rows share the height of the Axes."""
    points = ax.bbox.height / ax.figure.dpi * 72 / max(rows, 1.0)
    return float(np.clip(LINE_SHARE * points, THINNEST, THICKEST))


def draw_rooms(ax: Axes, rooms: list[Room], colors: list[str], look: Look) -> None:
    """The rooms, in tints of their locations."""
    faces = [mixed(colors[room.location], look.paper, TINT) for room in rooms]
    shapes = [room.outline(PAD) for room in rooms]
    style: dict[str, Any] = {"facecolors": faces, "edgecolors": faces, "linewidths": 3.0, "joinstyle": "round"}
    ax.add_collection(PolyCollection(shapes, zorder=1.0, label="rooms", **style), autolim=False)


def draw_lines(ax: Axes, strands: Strands, colors: list[str], width: float, look: Look) -> None:
    """All lines; those that move pass over the others, with a halo."""

    def stroke(piece: Piece) -> tuple[Course, str, float]:
        color = colors[piece.agent]
        return (piece.course, color, width) if piece.is_here else (piece.course, mixed(color, look.paper, PALE), width * THIN)

    strokes = [stroke(piece) for piece in sorted(strands.runs(), key=lambda piece: piece.is_here)]
    for piece in sorted(strands.moves(), key=lambda piece: piece.is_here):
        course, color, own = stroke(piece)
        margin = HALO_MARGIN * (course.x[-1] - course.x[0])
        strokes.append((course.between(course.x[0] + margin, course.x[-1] - margin), look.paper, own + HALO))
        strokes.append((course, color, own))
    points = [np.column_stack([course.x, course.y]) for course, _, _ in strokes]
    style: dict[str, Any] = {"colors": [color for _, color, _ in strokes], "linewidths": [own for _, _, own in strokes]}
    ax.add_collection(LineCollection(points, zorder=2.0, label="lines", capstyle="round", **style), autolim=False)


def draw_branches(ax: Axes, courses: list[Course], colors: list[str], width: float) -> None:
    """Side branches: thin lines beside that of their agent."""
    points = [np.column_stack([course.x, course.y]) for course in courses]
    style: dict[str, Any] = {"colors": colors, "linewidths": max(width * THIN, THINNEST), "capstyle": "round"}
    ax.add_collection(LineCollection(points, zorder=1.9, label="branches", **style), autolim=False)


class Sheet:
    """Where lines and texts are, in pixels, while further texts look for room.

    ``y`` has a row for each agent and a column for each of ``x``; it is NaN where the agent has no line.
    """

    def __init__(self, axes: Any, strands: Strands) -> None:
        self.box = axes.bbox
        self.x = np.linspace(self.box.x0, self.box.x1, max(int(self.box.width / GRAIN), 2))
        back = axes.transData.inverted()
        places = back.transform(np.column_stack([self.x, np.full(len(self.x), self.box.y0)]))[:, 0]
        heights = np.full((len(strands.agents), len(places)), np.nan)
        for row, parts in zip(heights, strands.courses, strict=True):
            for part in parts:
                inside = (places >= part.x[0]) & (places <= part.x[-1])
                row[inside] = part.at(places[inside])
        self.to_pixels = axes.transData.transform
        self.y = self.to_pixels(np.column_stack([np.zeros(heights.size), heights.ravel()]))[:, 1].reshape(heights.shape)
        self.taken: list[Bbox] = []

    def is_free(self, box: Bbox) -> bool:
        """Whether a box lies inside of the Axes, off all lines and texts."""
        if box.x0 < self.box.x0 or box.x1 > self.box.x1 or box.y0 < self.box.y0 or box.y1 > self.box.y1:
            return False
        columns = slice(*np.searchsorted(self.x, [box.x0 - GRAIN, box.x1 + GRAIN]).tolist())
        crossed = (self.y[:, columns] >= box.y0 - 1) & (self.y[:, columns] <= box.y1 + 1)
        return not crossed.any() and not any(box.overlaps(other) for other in self.taken)

    def ends(self) -> Iterator[tuple[int, int, int]]:
        """Each agent that has a line here, and the columns in which it begins and ends."""
        for agent, there in enumerate(~np.isnan(self.y)):
            columns = np.flatnonzero(there)
            if len(columns):
                yield agent, int(columns[0]), int(columns[-1])


class StrandLabels(Fitted):
    """Names of agents where their lines begin, and end if ``both_ends``; names of locations at their rooms.

    A line that begins or ends at the border of the Axes has its name beside that. No text covers a line or another text: a name
    that has no room before its line stands above or below it, a label that has none is left out.
    """

    def __init__(
        self, strands: Strands, rooms: list[Room], colors: list[str], room_colors: list[str], *, size: float, both_ends: bool
    ) -> None:
        super().__init__(size=size, zorder=4)
        self.strands, self.colors, self.room_colors, self.both_ends = strands, colors, room_colors, both_ends
        self.rooms = sorted(rooms, key=lambda room: -max(x1 - x0 for x0, x1, _, _ in room.levels))[:MOST_LABELS]
        self.names = [shortened(drawable(name), NAME_POINTS, size) for name in strands.agents]
        self.locations = [drawable(name) for name in strands.locations]
        self.set_clip_on(False)

    def get_window_extent(self, renderer: Any = None) -> Bbox:
        """The box of the names beside the Axes, so that a layout makes room for them."""
        sheet = Sheet(self.axes, self.strands)
        beside = self.beside(sheet, renderer or self.figure._get_renderer())
        return Bbox.union([*sheet.taken, self.axes.bbox]) if beside else self.axes.bbox

    def width_at_right(self) -> float:
        """Points that the names at the right take, where there may be some."""
        last = self.strands.heights[-1] >= 0
        names = [name for name, there in zip(self.names, last.tolist(), strict=True) if there and self.both_ends]
        return max(width_of(name, self.size) for name in names) + self.size if names else 0.0

    def texts(self, renderer: RendererBase) -> list[Text]:
        """The texts, as they fit now."""
        sheet = Sheet(self.axes, self.strands)
        beside = self.beside(sheet, renderer)
        return [*beside.values(), *self.inside(sheet, renderer, beside), *self.labels(sheet, renderer)]

    def beside(self, sheet: Sheet, renderer: RendererBase) -> dict[tuple[int, str], Text]:
        """Names at the left and the right of the Axes, by agent and side."""
        letter: Any = renderer.points_to_pixels(self.size)
        near = int(BORDER * len(sheet.x))
        sides = {"left": [(agent, first) for agent, first, _ in sheet.ends() if first <= near]}
        if self.both_ends:
            sides["right"] = [(agent, last) for agent, _, last in sheet.ends() if last >= len(sheet.x) - 1 - near]
        shown = {}
        for side, ends in sides.items():
            at_left = side == "left"
            x = sheet.box.x0 - letter / 2 if at_left else sheet.box.x1 + letter / 2
            lowest = np.inf
            for y, agent in sorted(((float(sheet.y[agent, column]), agent) for agent, column in ends), reverse=True):
                if lowest - y >= LINE_HEIGHT * letter and sheet.box.y0 <= y <= sheet.box.y1:
                    lowest = y
                    shown[agent, side] = self.name_at(sheet, renderer, agent, x, y, "right" if at_left else "left")
        return shown

    def name_at(self, sheet: Sheet, renderer: RendererBase, agent: int, x: float, y: float, ha: str) -> Text:
        """An agent's name; its box is taken from now on."""
        sheet.taken.append(self.box_of(self.names[agent], x, y, ha, renderer))
        text = self.text_at(x, y, self.names[agent], color=self.colors[agent], ha=ha, va="center_baseline")
        text.set_clip_on(False)
        return text

    def box_of(self, text: str, x: float, y: float, ha: str, renderer: RendererBase) -> Bbox:
        """The box of a text in the middle of whose left or right side this is."""
        width = self.measure(text, renderer)
        half: Any = renderer.points_to_pixels(self.size) * LINE_HEIGHT / 2
        left = x - width if ha == "right" else x
        return Bbox([[left, y - half], [left + width, y + half]])

    def inside(self, sheet: Sheet, renderer: RendererBase, beside: dict[tuple[int, str], Text]) -> Iterator[Text]:
        """Names of lines that begin, or end, within the Axes."""
        letter: Any = renderer.points_to_pixels(self.size)
        for agent, first, last in sheet.ends():
            x, y = float(sheet.x[first]), float(sheet.y[agent, first])
            around = [(x - letter / 2, y, "right"), *((x, y + side * 0.9 * letter, "left") for side in (1, -1))]
            after = [(float(sheet.x[last]) + letter / 2, float(sheet.y[agent, last]), "left")]
            for side, places in (("left", around), ("right", after if self.both_ends else [])):
                free = (place for place in places if sheet.is_free(self.box_of(self.names[agent], *place, renderer)))
                place = next(free, None)
                if (agent, side) not in beside and place:
                    yield self.name_at(sheet, renderer, agent, *place)

    def labels(self, sheet: Sheet, renderer: RendererBase) -> Iterator[Text]:
        """Names of locations, above or below their rooms."""
        letter: Any = renderer.points_to_pixels(self.size)
        for room in self.rooms:
            x0, x1, top, bottom = max(room.levels, key=lambda level: level[1] - level[0])
            corners: list[list[float]] = sheet.to_pixels([(x0, top - PAD), (x1, bottom + PAD)]).tolist()
            (left, upper), (right, lower) = corners
            left, right = max(left, sheet.box.x0), min(right, sheet.box.x1)
            name = self.locations[room.location]
            text = fitted(name, right - left, lambda text: self.measure(text, renderer)) if right > left else ""
            spare = right - left - self.measure(text, renderer)
            places = [(left + spare * share, y) for y in (upper + 0.7 * letter, lower - 0.7 * letter) for share in SHARES]
            place = next((place for place in places if sheet.is_free(self.box_of(text, *place, "left", renderer))), None)
            if text and place:
                sheet.taken.append(self.box_of(text, *place, "left", renderer))
                yield self.text_at(*place, text, color=self.room_colors[room.location], ha="left", va="center_baseline")
