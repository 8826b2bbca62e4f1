"""Names in a storyline: of agents at their lines, in their colours, and of groups at their boxes, in neutral text.

They are placed each time the picture is drawn, so that they cover neither lines nor other texts. What is left out is reported.
"""

from collections.abc import Iterator
from typing import Any, TypeAlias

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backend_bases import RendererBase
from matplotlib.patheffects import withStroke
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from tokenvis.layout.storylines.geometry import GroupBox, StorylineGeometry
from tokenvis.plot.artists.colors import OTHERS_COLOR
from tokenvis.plot.artists.names import MAX_NAME_SHARE
from tokenvis.plot.artists.storylines.lines import HALO_POINTS
from tokenvis.plot.artists.storylines.pixels import OccupiedPixels
from tokenvis.plot.artists.style import ThemeColors, blend_colors, font_sizes, luminance
from tokenvis.plot.artists.text import FittedTexts, FoldLabels, drawable, fit_text, shorten_name, text_width
from tokenvis.plot.artists.title import column_title

TextAnchor: TypeAlias = tuple[float, float, str]

MIN_CONTRAST = 4.5  # of a name with the background, as WCAG 2 asks for
MAX_NAME_POINTS = 130.0
TEXT_HEIGHT_EMS = 1.2
MAX_NAME_SHIFT_EMS = 2.5  # between a name beside the Axes and its line
MAX_LABELLED_BOXES = 300  # only the widest are labelled
MIN_LABELLED_WIDTH_EMS = 0.9
LABEL_OFFSET_EMS = 1.0  # between the border of a box and the middle of its label
LABEL_DISTANCE_EMS = 2.0  # a box needs no label if another one of its group is labelled within this distance
LABEL_ALIGNMENTS = (0.0, 0.5, 1.0)  # tried positions of a label in the available width
BORDER_SHARE = 0.025  # of the width: lines that begin this close to the border have their name beside it


def contrast(color: Any, background: Any) -> float:
    """The contrast of two colours as in WCAG 2: 1 if they are equally light, 21 for black on white."""
    dark, light = sorted((luminance(color), luminance(background)))
    return (light + 0.05) / (dark + 0.05)


def readable_color(color: str, theme: ThemeColors) -> str:
    """A colour, blended with the text colour until a text in it is readable on the background."""
    blends = (blend_colors(color, theme.text, share) for share in np.linspace(1.0, 0.0, 21))
    return next(blend for blend in blends if contrast(blend, theme.background) >= MIN_CONTRAST)


def spread_out(positions: list[float], distance: float, low: float, high: float) -> list[float]:
    """Ascending positions, moved as little as possible (least squares), so that neighbours have this distance.

    All are between ``low`` and ``high``, if there is space for them.
    """
    blocks: list[tuple[float, int]] = []  # (mean of the positions of an evenly spaced block, as if it began at 0, and its size)
    for number, position in enumerate(positions):
        mean, size = position - number * distance, 1
        while blocks and blocks[-1][0] > mean:
            other_mean, other_size = blocks.pop()
            mean, size = (mean * size + other_mean * other_size) / (size + other_size), size + other_size
        blocks.append((mean, size))
    starts = [mean for mean, size in blocks for _ in range(size)]
    last = max(high - (len(positions) - 1) * distance, low)
    return [min(max(start, low), last) + number * distance for number, start in enumerate(starts)]


class LineLabels(FittedTexts):
    """Names of agents at the start of their lines, and at the end if ``both_ends``; names of groups at their boxes.

    If a line reaches the border of the Axes, its name is beside the border, on the left only if ``at_left``; grey names only if
    no other name needs the space. Texts do not cover each other: a name that does not fit before its line is above or below it,
    a label that does not fit above, below or in its box is left out.
    """

    def __init__(
        self,
        ax: Axes,
        geometry: StorylineGeometry,
        group_boxes: list[GroupBox],
        agent_colors: list[str],
        theme: ThemeColors,
        *,
        by: str,
        at_left: bool,
        both_ends: bool,
    ) -> None:
        super().__init__(size=font_sizes(ax).bar, zorder=4)
        self.geometry, self.agent_colors, self.theme = geometry, agent_colors, theme
        self.name_colors = [readable_color(color, theme) for color in agent_colors]
        self.by, self.at_left, self.both_ends = by, at_left, both_ends
        self.group_boxes = sorted(group_boxes, key=lambda group_box: -max(x1 - x0 for x0, x1, _, _ in group_box.levels))
        points = min(MAX_NAME_POINTS, MAX_NAME_SHARE * ax.figure.bbox.width / ax.figure.dpi * 72)
        self.names = [shorten_name(drawable(name), points, self.size) for name in geometry.agents]
        self.groups = [shorten_name(drawable(name), MAX_NAME_POINTS, self.size) for name in geometry.groups]
        self.left_out: list[str] = []
        self.fitted: tuple[Any, list[Text]] = (None, [])
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

    def messages(self) -> list[str]:
        """How many agents and groups are in the current view, but have no name there."""
        self.texts(self.figure._get_renderer())
        return self.left_out

    def measure(self, text: str, renderer: RendererBase) -> float:
        """The width of a text in this renderer; with a halo, a text is drawn as a path, and as wide as the font says."""
        path_width: Any = renderer.points_to_pixels(text_width(text, self.size))
        return max(super().measure(text, renderer), path_width)

    def texts(self, renderer: RendererBase) -> list[Text]:
        """The texts that fit in the current view; kept until the view changes, because a picture is drawn in several passes."""
        axes = self.axes
        view = (*axes.bbox.extents, *axes.get_xlim(), *axes.get_ylim(), self.figure.dpi)
        if self.fitted[0] != view:
            self.fitted = view, self.texts_that_fit(renderer)
        return self.fitted[1]

    def texts_that_fit(self, renderer: RendererBase) -> list[Text]:
        """Place all texts, and count those that are left out."""
        occupied = OccupiedPixels(self.axes, self.geometry)
        folds = [fold for fold in self.axes.get_children() if isinstance(fold, FoldLabels)]
        occupied.text_boxes += [text.get_window_extent(renderer) for fold in folds for text in fold.texts(renderer)]
        beside = self.names_beside(occupied, renderer)
        inside = dict(self.names_inside(occupied, renderer, beside))
        labels = list(self.box_labels(occupied, renderer))
        visible_agents = {agent for agent, _, _ in occupied.line_ends()}
        visible_groups = {box.group for box in self.group_boxes if occupied.visible_levels(box)}
        self.left_out = [
            f"{total - n_named} of {total} {kind} names left out"
            for kind, total, n_named in (
                ("agent", len(visible_agents), len({agent for agent, _ in {**beside, **inside}})),
                (column_title(self.by), len(visible_groups), len({group for group, _ in labels})),
            )
            if n_named < total
        ]
        return [*beside.values(), *inside.values(), *(text for _, text in labels)]

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
            heights = {agent: float(occupied.y[agent, column]) for agent, column in ends}
            for agent, y in self.heights_beside(heights, occupied.box, em).items():
                names[agent, side] = self.name_at(occupied, renderer, agent, x, y, "right" if at_left else "left")
        return names

    def heights_beside(self, heights: dict[int, float], box: Bbox, em: float) -> dict[int, float]:
        """The heights of names beside their lines, moved so that they do not touch; without those that would be far away."""
        distance = TEXT_HEIGHT_EMS * em
        visible = [agent for agent, y in heights.items() if box.y0 <= y <= box.y1]
        chosen: list[int] = []
        placed: dict[int, float] = {}
        for agent in sorted(visible, key=lambda agent: (self.agent_colors[agent] == OTHERS_COLOR, -heights[agent])):
            if (len(chosen) + 1) * distance > box.height + distance:
                break
            tried = sorted([*chosen, agent], key=lambda agent: heights[agent])
            spread = spread_out([heights[one] for one in tried], distance, box.y0, box.y1)
            shifts = [abs(y - heights[one]) for one, y in zip(tried, spread, strict=True)]
            if max(shifts) <= MAX_NAME_SHIFT_EMS * em:
                chosen, placed = tried, dict(zip(tried, spread, strict=True))
        return placed

    def name_at(self, occupied: OccupiedPixels, renderer: RendererBase, agent: int, x: float, y: float, ha: str) -> Text:
        """An agent's name; its box is occupied from then on."""
        occupied.text_boxes.append(self.text_box(self.names[agent], x, y, ha, renderer))
        text = self.text_at(x, y, self.names[agent], color=self.name_colors[agent], ha=ha, va="center_baseline")
        text.set_clip_on(False)
        text.set_path_effects([withStroke(linewidth=HALO_POINTS, foreground=self.theme.background)])
        return text

    def text_box(self, text: str, x: float, y: float, ha: str, renderer: RendererBase) -> Bbox:
        """The box of a text with this point in the middle of its left or right side."""
        width = self.measure(text, renderer)
        half: float = renderer.points_to_pixels(self.size) * TEXT_HEIGHT_EMS / 2  # type: ignore[operator, assignment]
        left = x - width if ha == "right" else x
        return Bbox([[left, y - half], [left + width, y + half]])

    def names_inside(
        self, occupied: OccupiedPixels, renderer: RendererBase, names_beside: dict[tuple[int, str], Text]
    ) -> Iterator[tuple[tuple[int, str], Text]]:
        """Names of lines that begin or end inside the Axes, by agent and side.

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
                    yield (agent, side), self.name_at(occupied, renderer, agent, *anchor)

    def box_labels(self, occupied: OccupiedPixels, renderer: RendererBase) -> Iterator[tuple[int, Text]]:
        """The group and the name of boxes, the widest first; of nearby boxes of one group, only one is labelled."""
        em: Any = renderer.points_to_pixels(self.size)
        levels = [level for group_box in self.group_boxes for level in occupied.visible_levels(group_box)]
        labelled_by_group: dict[int, list[Bbox]] = {}
        for group_box in self.group_boxes[:MAX_LABELLED_BOXES]:
            widest = max(occupied.visible_levels(group_box), key=lambda level: level.width, default=None)
            labelled = labelled_by_group.setdefault(group_box.group, [])
            if (
                widest is None
                or widest.width < MIN_LABELLED_WIDTH_EMS * em
                or any(are_near(widest, other, LABEL_DISTANCE_EMS * em) for other in labelled)
            ):
                continue
            for text in self.label_texts(group_box.group, widest.width, renderer):
                anchor = self.label_anchor(text, widest, levels, occupied, renderer)
                if anchor:
                    occupied.text_boxes.append(self.text_box(text, *anchor, "left", renderer))
                    labelled.append(widest)
                    yield group_box.group, self.text_at(*anchor, text, color=self.theme.muted, ha="left", va="center_baseline")
                    break

    def label_texts(self, group: int, width: float, renderer: RendererBase) -> list[str]:
        """The name of a group, and as much of it as fits into a width, if no other name begins like that."""
        name = self.groups[group]
        cut = fit_text(name, width, lambda text: self.measure(text, renderer))
        is_clear = bool(cut) and sum(other.startswith(cut.removesuffix("…")) for other in self.groups) == 1
        return list(dict.fromkeys([name, cut] if is_clear else [name]))

    def label_anchor(
        self, text: str, box: Bbox, levels: list[Bbox], occupied: OccupiedPixels, renderer: RendererBase
    ) -> tuple[float, float] | None:
        """Where a label is free: above its box, below it, or, if it is no wider than the box, between the lines in it."""
        em: Any = renderer.points_to_pixels(self.size)
        spare_width = box.width - self.measure(text, renderer)
        offset = LABEL_OFFSET_EMS * em
        places = [(y, False) for y in (box.y1 + offset, box.y0 - offset)]
        if spare_width >= 0:
            places += [(y, True) for y in np.arange(box.y1 - offset, box.y0 + offset, -em / 4).tolist()]
        for y, is_inside in places:
            for share in LABEL_ALIGNMENTS:
                anchor = box.x0 + max(spare_width, 0.0) * share, y
                label_box = self.text_box(text, *anchor, "left", renderer)
                if occupied.is_free(label_box) and (is_inside or not label_box.count_overlaps(levels)):
                    return anchor
        return None


def are_near(one: Bbox, other: Bbox, pixels: float) -> bool:
    """Whether the distance of two boxes is less than ``pixels``."""
    distance = max(one.x0 - other.x1, other.x0 - one.x1), max(one.y0 - other.y1, other.y0 - one.y1)
    return bool(max(distance) < pixels)
