"""Names in a storyline: of agents at their lines, in their colours, and of groups at their boxes, in neutral text.

They are placed each time the picture is drawn, so that they cover neither lines nor other texts. What is left out is reported.
"""

from collections.abc import Iterator
from functools import partial
from typing import Any, TypeAlias

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backend_bases import RendererBase
from matplotlib.patheffects import withStroke
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from tokenvis.layout.storylines.geometry import GroupBox, StorylineGeometry
from tokenvis.plot.artists.colors import OTHERS_COLOR
from tokenvis.plot.artists.names import MAX_NAME_SHARE, shortened_names
from tokenvis.plot.artists.storylines.lines import HALO_POINTS
from tokenvis.plot.artists.storylines.pixels import OccupiedPixels, text_box
from tokenvis.plot.artists.storylines.room_names import TEXT_HEIGHT_EMS, RoomLabels
from tokenvis.plot.artists.style import ThemeColors, blend_colors, font_sizes, luminance
from tokenvis.plot.artists.text import FittedTexts, FoldLabels, text_width
from tokenvis.plot.artists.title import column_title

TextAnchor: TypeAlias = tuple[float, float, str]

MIN_CONTRAST = 4.5  # of a name with the background, as WCAG 2 asks for
MAX_NAME_POINTS = 130.0
MAX_NAME_SHIFT_EMS = 2.5  # between a name beside the Axes and its line
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
        self.names = shortened_names(geometry.agents, points, self.size)
        self.groups = shortened_names(geometry.groups, MAX_NAME_POINTS, self.size)
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
        return max(super().measure(text, renderer), float(path_width))

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
        em: Any = renderer.points_to_pixels(self.size)
        options = {"measure": partial(self.measure, renderer=renderer), "em": em, "size": self.size}
        labels = list(RoomLabels(self.group_boxes, self.groups, occupied, **options).chosen())
        visible_agents = {agent for agent, _, _ in occupied.line_ends()}
        visible_groups = {box.group for box in self.group_boxes if occupied.visible_levels(box)}
        self.left_out = [
            f"{total - n_named} of {total} {kind} names left out"
            for kind, total, n_named in (
                ("agent", len(visible_agents), len({agent for agent, _ in {**beside, **inside}})),
                (column_title(self.by), len(visible_groups), len({label.group for label in labels})),
            )
            if n_named < total
        ]
        return [
            *beside.values(),
            *inside.values(),
            *(self.text_at(label.x, label.y, label.text, color=self.theme.muted, va="center_baseline") for label in labels),
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
            if len(chosen) * distance > box.height:
                break
            tried = sorted([*chosen, agent], key=lambda agent: heights[agent])
            spread = spread_out([heights[one] for one in tried], distance, box.y0, box.y1)
            shifts = [abs(y - heights[one]) for one, y in zip(tried, spread, strict=True)]
            if max(shifts) <= MAX_NAME_SHIFT_EMS * em:
                chosen, placed = tried, dict(zip(tried, spread, strict=True))
        return placed

    def name_at(self, occupied: OccupiedPixels, renderer: RendererBase, agent: int, x: float, y: float, ha: str) -> Text:
        """An agent's name; its box is occupied from then on."""
        occupied.text_boxes.append(self.name_box(agent, x, y, ha, renderer))
        text = self.text_at(x, y, self.names[agent], color=self.name_colors[agent], ha=ha, va="center_baseline")
        text.set_clip_on(False)
        text.set_path_effects([withStroke(linewidth=HALO_POINTS, foreground=self.theme.background)])
        return text

    def name_box(self, agent: int, x: float, y: float, ha: str, renderer: RendererBase) -> Bbox:
        """The box of an agent's name with this point in the middle of its left or right side."""
        height: Any = renderer.points_to_pixels(self.size * TEXT_HEIGHT_EMS)
        return text_box(x, y, self.measure(self.names[agent], renderer), height, ha)

    def names_inside(
        self, occupied: OccupiedPixels, renderer: RendererBase, names_beside: dict[tuple[int, str], Text]
    ) -> Iterator[tuple[tuple[int, str], Text]]:
        """Names of lines that begin or end inside the Axes, by agent and side.

        Without free space, a name is drawn over other lines; grey lines have no name.
        """
        em: float = renderer.points_to_pixels(self.size)  # type: ignore[assignment]
        for agent, first, last in occupied.line_ends():
            if self.agent_colors[agent] == OTHERS_COLOR:
                continue
            x, y, end = (float(value) for value in (occupied.x[first], occupied.y[agent, first], occupied.x[last]))
            before: list[TextAnchor] = [(x - em / 2, y, "right")]
            before += [(x + along * em, y + side * em, "left") for along in (0, 2, 5, 10) for side in (0.9, -0.9)]
            after: list[TextAnchor] = [(end + em / 2, float(occupied.y[agent, last]), "left")]
            ends = {"left": [(anchor, on_lines) for on_lines in (False, True) for anchor in before]}
            ends["right"] = [(anchor, False) for anchor in after if self.both_ends]
            for side, anchors in ends.items():
                if (agent, side) in names_beside:
                    continue
                boxes = ((anchor, self.name_box(agent, *anchor, renderer), on_lines) for anchor, on_lines in anchors)
                anchor = next((anchor for anchor, box, on_lines in boxes if occupied.is_free(box, on_lines=on_lines)), None)
                if anchor:
                    yield (agent, side), self.name_at(occupied, renderer, agent, *anchor)
