"""Strands: lines through time, the rooms behind them, and the names of both, as far as there is room.

All lines are one collection, all rooms another. A line that moves passes over those that do not, with a halo; where names and
labels stand is found when the picture is drawn, so that none covers a line or another text.
"""

from collections.abc import Iterator
from typing import Any, TypeAlias

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backend_bases import RendererBase
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.colors import to_hex, to_rgb
from matplotlib.patheffects import withStroke
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from tokenvis.layout.storylines.curves import LineCurve
from tokenvis.layout.storylines.geometry import GroupBlock, LinePiece, StorylineGeometry
from tokenvis.plot.artists.colors import OTHERS
from tokenvis.plot.artists.names import draw_names
from tokenvis.plot.artists.style import Look, sizes_of
from tokenvis.plot.artists.text import Fitted, FoldLabels, drawable, fitted, shortened, width_of

Level: TypeAlias = tuple[float, float, float, float]
Place: TypeAlias = tuple[float, float, str]

PAD = 0.3  # of a room's border to its first and last line
CORNER = 5.0  # points, the width of that border, whose joins are round
TINT, TINT_ALONE = 0.28, 0.14  # of the colour of a room in which several are, and one is; the rest is paper
PALE = 0.5  # of an agent's colour, where it has no span
SHADES = 1.0, 0.62, 0.34  # of a colour, in the shades of it
LINE_SHARE = 0.16  # of the distance of two lines, that a line is thick
THINNEST, THICKEST = 0.9, 3.6  # points
THIN = 0.4  # of that, where an agent has no span
HALO = 2.4  # points, on both sides together,
HALO_MARGIN = 0.1  # but not in the first and last part of a way, where the line runs beside itself
ZONE_PAD = 0.55  # of a band's border to its first and last line
LABEL_TINT = 0.55  # of a location's colour in its name; the rest is ink
NAME_POINTS = 130.0  # a name takes at most
LINE_HEIGHT = 1.2  # of a text, in letters
MOST_LABELS = 300  # rooms whose labels look for room, the widest
NARROWEST = 1.5  # letters that a room is wide at least, to have a name
SHORTEST = 14  # characters of a label that is cut
AROUND = 6.0  # letters, in which a room needs no name where another one at the same location has one
SHARES = (0.0, 0.5, 1.0)  # where a label may stand, of the room that it has
BORDER = 0.025  # of the width: a line that begins so near to the border has its name beside it
GRAIN = 2.0  # pixels


def mixed(color: Any, paper: str, share: float) -> str:
    """So much of a colour on paper."""
    return to_hex(tuple(np.array(to_rgb(color)) * share + np.array(to_rgb(paper)) * (1 - share)))


def shaded(color: str, step: int, look: Look) -> str:
    """A colour, then shades of it nearer and nearer to that of letters, so that all are seen: for more names than colours."""
    return mixed(color, look.ink, SHADES[step % len(SHADES)])


def thickness(ax: Axes, rows: float) -> float:
    """Points that a line is thick, where so many rows share the height of the Axes."""
    points = ax.bbox.height / ax.figure.dpi * 72 / max(rows, 1.0)
    return float(np.clip(LINE_SHARE * points, THINNEST, THICKEST))


def draw_rooms(ax: Axes, rooms: list[GroupBlock], colors: list[str], look: Look) -> None:
    """The rooms, in tints of their locations."""
    faces = [mixed(colors[room.location], look.paper, TINT if room.is_meeting else TINT_ALONE) for room in rooms]
    shapes = [room.outline(PAD) for room in rooms]
    style: dict[str, Any] = {"facecolors": faces, "edgecolors": faces, "linewidths": CORNER, "joinstyle": "round"}
    ax.add_collection(PolyCollection(shapes, zorder=1.0, label="rooms", **style), autolim=False)


def draw_lines(ax: Axes, geometry: StorylineGeometry, colors: list[str], width: float, look: Look) -> None:
    """All lines; those that move pass over the others, with a halo."""

    def layer(piece: LinePiece) -> tuple[bool, bool]:
        return colors[piece.agent] != OTHERS, piece.has_span

    def stroke(piece: LinePiece) -> tuple[LineCurve, str, float]:
        color = colors[piece.agent]
        return (piece.curve, color, width) if piece.has_span else (piece.curve, mixed(color, look.paper, PALE), width * THIN)

    strokes = [stroke(piece) for piece in sorted(geometry.pieces(), key=layer)]
    for piece in sorted(geometry.moving_pieces(), key=layer):
        course, color, own = stroke(piece)
        margin = HALO_MARGIN * (course.x[-1] - course.x[0])
        strokes.append((course.between(course.x[0] + margin, course.x[-1] - margin), look.paper, own + min(HALO, own)))
        strokes.append((course, color, own))
    points = [np.column_stack([course.x, course.y]) for course, _, _ in strokes]
    style: dict[str, Any] = {"colors": [color for _, color, _ in strokes], "linewidths": [own for _, _, own in strokes]}
    ax.add_collection(LineCollection(points, zorder=2.0, label="lines", capstyle="round", **style), autolim=False)


def draw_branches(ax: Axes, branches: list[tuple[int, LineCurve]], colors: list[str], width: float) -> None:
    """Side branches: thin lines beside that of their agent."""
    points = [np.column_stack([course.x, course.y]) for _, course in branches]
    style: dict[str, Any] = {
        "colors": [colors[agent] for agent, _ in branches],
        "linewidths": max(width * THIN, THINNEST),
        "capstyle": "round",
    }
    ax.add_collection(LineCollection(points, zorder=1.9, label="branches", **style), autolim=False)


class Sheet:
    """Where lines and texts are, in pixels, while further texts look for room.

    ``y`` has a row for each agent and a column for each of ``x``; it is NaN where the agent has no line. ``low`` and ``high``
    are how far the line reaches down and up from one of ``x`` to the next, however steep it is.
    """

    def __init__(self, axes: Any, geometry: StorylineGeometry) -> None:
        self.box = axes.bbox
        self.x = np.linspace(self.box.x0, self.box.x1, max(int(self.box.width / GRAIN), 2))
        back = axes.transData.inverted()
        places = back.transform(np.column_stack([self.x, np.full(len(self.x), self.box.y0)]))[:, 0]
        heights = np.full((len(geometry.agents), len(places)), np.nan)
        for row, parts in zip(heights, geometry.curves, strict=True):
            for part in parts:
                inside = (places >= part.x[0]) & (places <= part.x[-1])
                row[inside] = part.y_at(places[inside])
        self.to_pixels = axes.transData.transform
        self.y = self.to_pixels(np.column_stack([np.zeros(heights.size), heights.ravel()]))[:, 1].reshape(heights.shape)
        self.low, self.high = np.fmin(self.y[:, 1:], self.y[:, :-1]), np.fmax(self.y[:, 1:], self.y[:, :-1])
        for low, high, parts in zip(self.low, self.high, geometry.curves, strict=True):
            for part in parts:
                x, y = self.to_pixels(np.column_stack([part.x, part.y])).T
                inside = (x >= self.x[0]) & (x < self.x[-1])
                column = np.searchsorted(self.x, x[inside], side="right") - 1
                np.fmin.at(low, column, y[inside])
                np.fmax.at(high, column, y[inside])
        self.taken: list[Bbox] = []

    def box_of_level(self, level: Level) -> Bbox:
        """The box of a room while it is level."""
        x0, x1, top, bottom = level
        return Bbox(self.to_pixels([(x0, bottom + PAD), (x1, top - PAD)]))

    def is_free(self, box: Bbox, *, on_lines: bool = False) -> bool:
        """Whether a box lies inside of the Axes, off all texts, and off all lines unless it may stand on these."""
        if box.x0 < self.box.x0 or box.x1 > self.box.x1 or box.y0 < self.box.y0 or box.y1 > self.box.y1:
            return False
        columns = slice(*np.searchsorted(self.x, [box.x0 - GRAIN, box.x1 + GRAIN]).tolist())
        crossed = (self.high[:, columns] >= box.y0 - 1) & (self.low[:, columns] <= box.y1 + 1)
        return (on_lines or not crossed.any()) and not any(box.overlaps(other) for other in self.taken)

    def ends(self) -> Iterator[tuple[int, int, int]]:
        """Each agent that has a line here, and the columns in which it begins and ends."""
        for agent, there in enumerate(~np.isnan(self.y)):
            columns = np.flatnonzero(there)
            if len(columns):
                yield agent, int(columns[0]), int(columns[-1])


class StrandLabels(Fitted):
    """Names of agents where their lines begin, and end if ``both_ends``; names of locations at their rooms.

    A line that reaches the border of the Axes has its name beside it, at the left only if ``at_left``; a grey one only where
    no other needs the room. Texts do not cover each other, nor lines: a name that has no room before its line stands above or
    below it, a label that has none is left out.
    """

    def __init__(
        self,
        ax: Axes,
        geometry: StorylineGeometry,
        rooms: list[GroupBlock],
        inks: list[str],
        tints: list[str],
        look: Look,
        *,
        at_left: bool,
        both_ends: bool,
    ) -> None:
        super().__init__(size=sizes_of(ax).bar, zorder=4)
        self.geometry, self.inks, self.tints = geometry, inks, [mixed(tint, look.ink, LABEL_TINT) for tint in tints]
        self.at_left, self.both_ends, self.paper = at_left, both_ends, look.paper
        self.rooms = sorted(rooms, key=lambda room: -max(x1 - x0 for x0, x1, _, _ in room.levels))[:MOST_LABELS]
        self.names = [shortened(drawable(name), NAME_POINTS, self.size) for name in geometry.agents]
        self.locations = [drawable(name) for name in geometry.locations]
        self.set_clip_on(False)

    def get_window_extent(self, renderer: Any = None) -> Bbox:
        """The box of the names beside the Axes, so that a layout makes room for them."""
        sheet = Sheet(self.axes, self.geometry)
        beside = self.beside(sheet, renderer or self.figure._get_renderer())
        return Bbox.union([*sheet.taken, self.axes.bbox]) if beside else self.axes.bbox

    def width_at_right(self) -> float:
        """Points that the names at the right take, where there may be some."""
        last = self.geometry.heights[-1] >= 0
        names = [name for name, there in zip(self.names, last.tolist(), strict=True) if there and self.both_ends]
        return max(width_of(name, self.size) for name in names) + self.size if names else 0.0

    def texts(self, renderer: RendererBase) -> list[Text]:
        """The texts, as they fit now."""
        sheet = Sheet(self.axes, self.geometry)
        folds = [fold for fold in self.axes.get_children() if isinstance(fold, FoldLabels)]
        sheet.taken += [text.get_window_extent(renderer) for fold in folds for text in fold.texts(renderer)]
        beside = self.beside(sheet, renderer)
        return [*beside.values(), *self.inside(sheet, renderer, beside), *self.labels(sheet, renderer)]

    def beside(self, sheet: Sheet, renderer: RendererBase) -> dict[tuple[int, str], Text]:
        """Names at the left and the right of the Axes, by agent and side."""
        letter: Any = renderer.points_to_pixels(self.size)
        near = int(BORDER * len(sheet.x))
        sides = {"left": [(agent, first) for agent, first, _ in sheet.ends() if first <= near]} if self.at_left else {}
        if self.both_ends:
            sides["right"] = [(agent, last) for agent, _, last in sheet.ends() if last >= len(sheet.x) - 1 - near]
        shown = {}
        for side, ends in sides.items():
            at_left = side == "left"
            x = sheet.box.x0 - letter / 2 if at_left else sheet.box.x1 + letter / 2
            named: list[float] = []
            heights = {agent: float(sheet.y[agent, column]) for agent, column in ends}
            for agent in sorted(heights, key=lambda agent: (self.inks[agent] == OTHERS, -heights[agent])):
                y = heights[agent]
                if sheet.box.y0 <= y <= sheet.box.y1 and all(abs(y - other) >= LINE_HEIGHT * letter for other in named):
                    named.append(y)
                    shown[agent, side] = self.name_at(sheet, renderer, agent, x, y, "right" if at_left else "left")
        return shown

    def name_at(self, sheet: Sheet, renderer: RendererBase, agent: int, x: float, y: float, ha: str) -> Text:
        """An agent's name; its box is taken from now on."""
        sheet.taken.append(self.box_of(self.names[agent], x, y, ha, renderer))
        text = self.text_at(x, y, self.names[agent], color=self.inks[agent], ha=ha, va="center_baseline")
        text.set_clip_on(False)
        text.set_path_effects([withStroke(linewidth=HALO, foreground=self.paper)])
        return text

    def box_of(self, text: str, x: float, y: float, ha: str, renderer: RendererBase) -> Bbox:
        """The box of a text in the middle of whose left or right side this is."""
        width = self.measure(text, renderer)
        half: float = renderer.points_to_pixels(self.size) * LINE_HEIGHT / 2  # type: ignore[operator, assignment]
        left = x - width if ha == "right" else x
        return Bbox([[left, y - half], [left + width, y + half]])

    def inside(self, sheet: Sheet, renderer: RendererBase, beside: dict[tuple[int, str], Text]) -> Iterator[Text]:
        """Names of lines that begin, or end, within the Axes; one without room stands on other lines, a grey line has none."""
        letter: float = renderer.points_to_pixels(self.size)  # type: ignore[assignment]
        for agent, first, last in sheet.ends():
            x, y, end = (float(value) for value in (sheet.x[first], sheet.y[agent, first], sheet.x[last]))
            before: list[Place] = [(x - letter / 2, y, "right")]
            before += [(x + along * letter, y + side * letter, "left") for along in (0, 2, 5, 10) for side in (0.9, -0.9)]
            after: list[Place] = [(end + letter / 2, float(sheet.y[agent, last]), "left")]
            if self.inks[agent] == OTHERS:
                continue
            ends = {"left": [(place, on_lines) for on_lines in (False, True) for place in before]}
            ends["right"] = [(place, False) for place in after if self.both_ends]
            for side, places in ends.items():
                boxes = ((place, self.box_of(self.names[agent], *place, renderer), on_lines) for place, on_lines in places)
                place = next((place for place, box, on_lines in boxes if sheet.is_free(box, on_lines=on_lines)), None)
                if (agent, side) not in beside and place:
                    yield self.name_at(sheet, renderer, agent, *place)

    def labels(self, sheet: Sheet, renderer: RendererBase) -> Iterator[Text]:
        """Names of locations, above or below their rooms; of rooms near each other, at one location, one has its name."""
        letter: Any = renderer.points_to_pixels(self.size)
        levels = [sheet.box_of_level(level) for room in self.rooms for level in room.levels]
        named: dict[int, list[Bbox]] = {}
        for room in self.rooms:
            box = sheet.box_of_level(max(room.levels, key=lambda level: level[1] - level[0]))
            left, right = max(box.x0, sheet.box.x0), min(box.x1, sheet.box.x1)
            others = named.setdefault(room.location, [])
            if right - left < NARROWEST * letter or any(near(box, other, AROUND * letter) for other in others):
                continue
            name = self.locations[room.location]
            cut = fitted(name, right - left, lambda text: self.measure(text, renderer))
            for text in dict.fromkeys([name, cut] if len(cut) >= SHORTEST else [name]):
                spare = max(right - left - self.measure(text, renderer), 0.0)
                places = [(left + spare * share, y) for y in (box.y1 + 0.7 * letter, box.y0 - 0.7 * letter) for share in SHARES]
                boxes = {place: self.box_of(text, *place, "left", renderer) for place in places}
                free = (place for place, own in boxes.items() if sheet.is_free(own) and not own.count_overlaps(levels))
                place = next(free, None)
                if place:
                    sheet.taken.append(boxes[place])
                    others.append(box)
                    yield self.text_at(*place, text, color=self.tints[room.location], ha="left", va="center_baseline")
                    break


def near(one: Bbox, other: Bbox, pixels: float) -> bool:
    """Whether two boxes are so near to each other."""
    apart = max(one.x0 - other.x1, other.x0 - one.x1), max(one.y0 - other.y1, other.y0 - one.y1)
    return bool(max(apart) < pixels)


def draw_zones(ax: Axes, geometry: StorylineGeometry, tints: list[str], look: Look) -> None:
    """The zones of bands, in the colours of their groups, with their names at the left."""
    zones = geometry.group_extents()
    for name, top, bottom in zones:
        ax.axhspan(top - ZONE_PAD, bottom + ZONE_PAD, color=mixed(tints[name], look.paper, TINT_ALONE), linewidth=0, zorder=0.5)
    draw_names(ax.yaxis, [(top + bottom) / 2 for _, top, bottom in zones], [geometry.groups[name] for name, _, _ in zones])
