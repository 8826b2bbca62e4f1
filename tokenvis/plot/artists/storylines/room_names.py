"""The names of rooms: where the names of groups are free at their boxes.

A name is above or below its box, or, if it is no wider than a level part of the box, between the lines there. It is nearer to
its own box than to any other, because boxes have no colours that could tell whose name it is.
"""

from collections.abc import Callable, Iterator
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple

import numpy as np
from matplotlib.transforms import Bbox

from tokenvis.layout.storylines.geometry import GroupBox
from tokenvis.plot.artists.storylines.pixels import OccupiedPixels, text_box
from tokenvis.plot.artists.text import shorten_name

TEXT_HEIGHT_EMS, INSIDE_HEIGHT_EMS = 1.2, 1.0  # between two lines, a name has less space
MAX_LABELLED_BOXES = 300  # only the widest are labelled
MIN_LABELLED_WIDTH_EMS = 0.9
MIN_CUT_CHARACTERS = 6  # of a name that is cut to the width of its box
LABEL_OFFSET_EMS = 1.0  # between the border of a box and the middle of its name
MIN_DISTANCE_EMS = 0.6  # of a name from the border of other boxes: it is only 0.4 from its own
LABEL_DISTANCE_EMS = 2.0  # a box needs no name if another one of its group has one within this distance
MAX_PLACES = 3  # above a box, and below it: at the widest straight parts
ALIGNMENTS = (0.0, 0.5, 1.0, 0.25, 0.75)  # tried positions of a name in the available width


class LabelPlace(NamedTuple):
    """A place for the name of a box: from ``x0`` to ``x1`` at the height ``y``, in pixels, outside the box or in it."""

    x0: float
    x1: float
    y: float
    is_inside: bool

    @property
    def width(self) -> float:
        """The width in pixels."""
        return self.x1 - self.x0


class RoomLabel(NamedTuple):
    """The name of a group at a position in pixels: the middle of its left side."""

    group: int
    text: str
    x: float
    y: float


class RoomLabels:
    """Chooses the names at boxes.

    ``boxes`` come in the order in which they are labelled, ``names`` are those of the groups, ``measure`` is the width of a
    text in pixels, ``em`` and ``size`` are the font size in pixels and in points.
    """

    def __init__(
        self,
        boxes: list[GroupBox],
        names: list[str],
        occupied: OccupiedPixels,
        measure: Callable[[str], float],
        *,
        em: float,
        size: float,
    ) -> None:
        self.names, self.occupied, self.measure, self.em, self.size = names, occupied, measure, em, size
        self.groups = [box.group for box in boxes]
        self.levels = [occupied.visible_levels(box) for box in boxes]
        self.box_number = np.repeat(np.arange(len(boxes)), [len(levels) for levels in self.levels])
        self.extents = np.array([level.extents for levels in self.levels for level in levels]).reshape(-1, 4)

    def chosen(self) -> Iterator[RoomLabel]:
        """The names that fit; of nearby boxes of one group, only one has a name."""
        labelled_by_group: dict[int, list[Bbox]] = {}
        for number, (group, levels) in enumerate(zip(self.groups[:MAX_LABELLED_BOXES], self.levels, strict=False)):
            labelled = labelled_by_group.setdefault(group, [])
            places = places_at_box(levels, LABEL_OFFSET_EMS * self.em)
            width = max((place.width for place in places), default=0.0)
            if width < MIN_LABELLED_WIDTH_EMS * self.em or any(
                are_near(level, other, LABEL_DISTANCE_EMS * self.em) for level in levels for other in labelled
            ):
                continue
            found = (self.label_at(number, text, place) for text in self.texts(group, width) for place in places)
            label = next((label for label in found if label), None)
            if label:
                labelled += levels
                yield label

    def texts(self, group: int, width: float) -> list[str]:
        """The name of a group, and the name cut to a width, if enough of it is left, and no other name is cut like that."""
        name = self.names[group]
        cut = shorten_name(name, width / self.em * self.size, self.size)
        start, end = cut.split("…", 1) if cut != name else (name, "")
        is_clear = sum(other.startswith(start) and other.endswith(end) for other in self.names) == 1
        return [name, cut] if cut != name and is_clear and len(cut) >= MIN_CUT_CHARACTERS else [name]

    def label_at(self, number: int, text: str, place: LabelPlace) -> RoomLabel | None:
        """The name of a box at a place, if it is free there; its box is occupied from then on."""
        width = self.measure(text)
        if place.is_inside and width > place.width:
            return None
        height = self.em * (INSIDE_HEIGHT_EMS if place.is_inside else TEXT_HEIGHT_EMS)
        for share in ALIGNMENTS:
            x = place.x0 + (place.width - width) * share
            label_box = text_box(x, place.y, width, height)
            if self.occupied.is_free(label_box) and (place.is_inside or self.is_nearest(number, label_box)):
                self.occupied.text_boxes.append(label_box)
                return RoomLabel(self.groups[number], text, x, place.y)
        return None

    def is_nearest(self, number: int, label_box: Bbox) -> bool:
        """Whether a name above or below a box overlaps no box, and is not above or below another one that is as near."""
        reach = np.where(self.box_number == number, 0.0, MIN_DISTANCE_EMS * self.em)
        x0, y0, x1, y1 = self.extents.T
        overlaps = (x0 < label_box.x1) & (x1 > label_box.x0)
        overlaps &= (y0 < label_box.y1 + reach) & (y1 > label_box.y0 - reach)
        return not overlaps.any()


def places_at_box(levels: list[Bbox], offset: float) -> list[LabelPlace]:
    """The places for the name of a box: above the straight parts of its top, below those of its bottom, then inside it.

    ``levels`` are its level parts; the middle of a name is ``offset`` away from the border.
    """
    if not levels:
        return []
    places = []
    for edge, direction in (("y1", 1), ("y0", -1)):
        runs = [list(run) for _, run in groupby(levels, key=attrgetter(edge))]
        straight = [LabelPlace(run[0].x0, run[-1].x1, getattr(run[0], edge) + direction * offset, False) for run in runs]
        places += sorted(straight, key=lambda place: -place.width)[:MAX_PLACES]
    widest = max(levels, key=lambda level: level.width)
    heights = np.arange(widest.y1 - offset / 2, widest.y0 + offset / 2, -offset / 8).tolist()
    return places + [LabelPlace(widest.x0, widest.x1, y, True) for y in heights]


def are_near(one: Bbox, other: Bbox, pixels: float) -> bool:
    """Whether the distance of two boxes is less than ``pixels``."""
    distance = max(one.x0 - other.x1, other.x0 - one.x1), max(one.y0 - other.y1, other.y0 - one.y1)
    return bool(max(distance) < pixels)
