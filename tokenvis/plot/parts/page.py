"""The page: what its parts draw from, what a part is, and the lines of text above each, which start at the page's left edge."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backend_bases import RendererBase
from matplotlib.font_manager import FontProperties
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from tokenvis.analysis.summary import summary
from tokenvis.analysis.usage import usage
from tokenvis.plot.artists.style import ThemeColors
from tokenvis.plot.artists.text import FittedTexts, drawable, fit_text
from tokenvis.plot.artists.times.time_axis import TimeAxis
from tokenvis.tree.states import States

PAGE_LEFT = 0.006  # of the figure's width: where titles and headings start
HEADING_POINTS = 10.5
LINE_POINTS = 16.0  # height of a line
DETAILS_POINTS = 9.0  # font size of what follows a bold beginning
GAP_ABOVE_POINTS, GAP_BELOW_POINTS = 7.0, 6.0  # of a heading
GAP_BETWEEN_POINTS = 9.0  # a heading and its details
MAX_CHARACTERS = 400  # of a text


@dataclass(frozen=True)
class DrawnTrace:
    """What the parts draw from: the recorded spans, their states and measures, the time axis, and colours."""

    spans: pd.DataFrame
    states: States
    measures: pd.DataFrame  # `measures_by_place`
    axis: TimeAxis
    theme: ThemeColors
    hue: str  # "agent_id", or "location_id" if there is one agent only
    colors: dict[str, str]  # of each value of it
    wrappers: set[str]  # agents that only wait

    def agent_color(self, name: str) -> str:
        """The colour of an agent: a neutral one if locations have colours."""
        return self.colors[name] if self.hue == "agent_id" else self.theme.accent


def measures_by_place(spans: pd.DataFrame) -> pd.DataFrame:
    """The spans, errors, work, tokens and cost of each agent at each location, which add up to those of either."""
    names = ["agent_id", "location_id"]
    sizes, used = (question(spans, by=names).drop(columns="trace_id") for question in (summary, usage))
    tokens = used[["input_tokens", "output_tokens"]].sum(axis=1, min_count=1)
    used = used[[*names, "cost"]].assign(tokens=tokens)
    return sizes[[*names, "n_spans", "n_errors", "busy_us"]].merge(used, on=names, how="left")


def sums_by(measures: pd.DataFrame, name: str) -> pd.DataFrame:
    """The sums of the measures of each agent, or location; missing where no measure is known."""
    columns = ["n_spans", "n_errors", "busy_us", "tokens", "cost"]
    return measures.groupby(name, observed=True)[columns].sum(min_count=1)


@dataclass(frozen=True)
class PagePart:
    """A part of the page: an Axes with a heading; ``inches`` is the height of what ``draw`` draws into the Axes."""

    name: str
    heading: str
    details: str
    inches: float
    draw: Callable[[Axes], object]
    is_over_time: bool = False


@dataclass(frozen=True)
class Line:
    """A line of text: a bold beginning, and the rest in a muted colour."""

    bold: str
    rest: str


class PageText(FittedTexts):
    """The heading of an Axes, and lines above it, from the left edge of the page; cut where the Axes, or the page, ends."""

    def __init__(self, lines: list[Line], heading: Line, theme: ThemeColors) -> None:
        super().__init__(size=HEADING_POINTS, zorder=4)
        self.lines = [Line(*(drawable(text, MAX_CHARACTERS) for text in (line.bold, line.rest))) for line in (*lines, heading)]
        self.theme = theme
        self.set_clip_on(False)

    def texts(self, renderer: RendererBase) -> list[Text]:
        """The texts of all lines."""
        pixels = self.figure.dpi / 72
        y = self.axes.bbox.y1 + GAP_BELOW_POINTS * pixels
        *lines, heading = self.lines
        texts = self.texts_of(heading, y, self.axes.bbox.x1, renderer)
        y += GAP_ABOVE_POINTS * pixels
        for line in reversed(lines):
            y += LINE_POINTS * pixels
            texts += self.texts_of(line, y, self.figure.bbox.width * (1 - PAGE_LEFT), renderer)
        return texts

    def texts_of(self, line: Line, y: float, right: float, renderer: RendererBase) -> list[Text]:
        """The texts of a line on a baseline, up to the right."""
        texts: list[Text] = []
        x = self.figure.bbox.width * PAGE_LEFT
        looks = (HEADING_POINTS, "bold", self.theme.text), (DETAILS_POINTS, "normal", self.theme.muted)
        for text, (size, weight, color) in zip((line.bold, line.rest), looks, strict=True):
            font = self.font_of(text).copy()
            font.set_size(size)
            font.set_weight(weight)
            shown = fit_text(text, right - x, partial(width_in, renderer, font))
            if shown:
                artist = self.text_at(x, y, shown, color=color, weight=weight, size=size, va="baseline")
                artist.set_clip_on(False)
                texts.append(artist)
                x += width_in(renderer, font, shown) + GAP_BETWEEN_POINTS * self.figure.dpi / 72
        return texts

    def get_window_extent(self, renderer: Any = None, dpi: Any = None) -> Bbox:
        """The box of the lines for the layout: its height above the Axes. The page's left edge does not move the Axes."""
        points = GAP_BELOW_POINTS + len(self.lines) * LINE_POINTS + (GAP_ABOVE_POINTS if len(self.lines) > 1 else 0.0)
        box = self.axes.bbox
        return Bbox.from_extents(box.x0, box.y1, box.x1, box.y1 + points * self.figure.dpi / 72)


def width_in(renderer: RendererBase, font: FontProperties, text: str) -> float:
    """The width of a text in pixels."""
    return float(renderer.get_text_width_height_descent(text, font, ismath=False)[0])
