"""Text: names and labels from traces as text in a picture.

A label may hold anything. It is drawn as text, never as markup; on one line; a box stands for a character that the font lacks;
and it is cut where there is no room: a label at its end, a name, which often differs from others only at its end, in the
middle. What fits depends on the size and the zoom, so it is found when a picture is drawn.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.artist import Artist, allow_rasterization
from matplotlib.axes import Axes
from matplotlib.backend_bases import RendererBase
from matplotlib.font_manager import FontProperties, findfont
from matplotlib.ft2font import FT2Font
from matplotlib.text import Text
from matplotlib.transforms import IdentityTransform

from tokenvis.plot.artists.style import FONT, LIGHT, luminance

BOX = "\N{WHITE SQUARE}"
NOTHING = "none"  # what stands for a missing value
FEWEST_LETTERS = 4
PAD = 0.35  # of the size: between the border of a bar and its label


@lru_cache(maxsize=1)
def font() -> Any:
    """The font of the theme, at 100 points, a point a pixel; our own, since matplotlib resizes those that it shares."""
    loaded = FT2Font(findfont(FontProperties(family=FONT)))
    loaded.set_size(100, 72)
    return loaded


@lru_cache(maxsize=65_536)
def glyph(character: str) -> tuple[str, float]:
    """What is drawn for a character, and its width in ems."""
    if not character.isprintable():
        return glyph(" ")
    if not font().get_char_index(ord(character)):
        return glyph(BOX)
    return character, font().load_char(ord(character)).linearHoriAdvance / 65536 / 100


def width_of(text: str, size: float) -> float:
    """About how wide a text is at a size, in points: the sum of the font's own advances."""
    return size * sum(glyph(character)[1] for character in text)


def drawable(text: str, longest: int = 200) -> str:
    """A text as one line that the font can draw, cut where it is longer than ``longest`` characters."""
    cut = text if len(text) <= longest else text[: longest - 1] + "…"
    return "".join(glyph(character)[0] for character in cut)


def fitted(text: str, width: float, measure: Callable[[str], float]) -> str:
    """As much of a text as fits into a width, with an ellipsis; "" where not even a few letters do."""
    whole = measure(text)
    if whole <= width:
        return text
    reach = np.cumsum([glyph(character)[1] for character in text])
    room = min(int(np.searchsorted(reach * whole / reach[-1], width)) + 1, len(text) - 1)
    while room >= FEWEST_LETTERS:
        cut = text[:room].rstrip() + "…"
        if measure(cut) <= width:
            return cut
        room -= 1
    return ""


def shortened(text: str, width: float, size: float) -> str:
    """A name that is drawn at a size, cut in the middle to a width in points."""
    if width_of(text, size) <= width:
        return text
    kept = max(len(text) - 1, 2)
    while kept > 2 and width_of(middle_cut(text, kept), size) > width:
        kept -= max((kept - 2) // 16, 1)
    return middle_cut(text, kept)


def middle_cut(text: str, kept: int) -> str:
    """The first and the last letters of a text, so many in all."""
    tail = kept // 3
    return f"{text[: kept - tail]}…{text[len(text) - tail :]}"


def ink_on(color: Any) -> str:
    """Dark or white, whichever reads better on a colour."""
    return LIGHT.ink if luminance(color) > 0.3 else LIGHT.paper


class Fitted(Artist):
    """Texts that are chosen and cut each time they are drawn, so that they fit at every size and zoom."""

    axes: Any
    figure: Any

    def __init__(self, *, size: float, zorder: float) -> None:
        super().__init__()
        self.size = size
        self.font = FontProperties(family=FONT, size=size)
        self.set_zorder(zorder)

    def texts(self, renderer: RendererBase) -> list[Text]:
        """The texts, as they fit now."""
        raise NotImplementedError

    def measure(self, text: str, renderer: RendererBase) -> float:
        """Width of a text, as this renderer draws it."""
        return renderer.get_text_width_height_descent(text, self.font, ismath=False)[0]

    def text_at(self, x: float, y: float, text: str, **look: Any) -> Text:
        """One text at a place in pixels."""
        made = Text(x, y, text, fontproperties=self.font, parse_math=False, **look)
        made.set_figure(self.figure)
        made.set_clip_box(self.axes.bbox)
        return made

    @allow_rasterization  # type: ignore[untyped-decorator]
    def draw(self, renderer: RendererBase) -> None:
        """Draw the texts that fit."""
        if self.get_visible():
            for text in self.texts(renderer):
                text.draw(renderer)
        self.stale = False


class BarLabels(Fitted):
    """The labels of bars.

    Parameters
    ----------
    bars
        Gives the bars that reach into a stretch of the axis and take at least so much of it (low, high, least), a row each:
        ``x0, x1, y`` (data), ``label`` (what must be shown, then cut), ``more`` (added where there is room for all of it),
        ``ink`` (the text's colour).
    size
        Size of the text in points.
    height
        Height of a bar, in data units; where that is less than the text needs, there is none.
    """

    def __init__(self, bars: Callable[[float, float, float], pd.DataFrame], *, size: float, height: float) -> None:
        super().__init__(size=size, zorder=4)
        self.bars, self.height = bars, height

    def texts(self, renderer: RendererBase) -> list[Text]:
        """The texts, as they fit now."""
        low, high = sorted(self.axes.get_xlim())
        letter: Any = renderer.points_to_pixels(self.size)
        least = (FEWEST_LETTERS * 0.4 + 2 * PAD) * letter * (high - low) / self.axes.bbox.width
        to_pixels = self.axes.transData.transform
        if abs(np.subtract(*to_pixels([(low, 0), (low, self.height)])[:, 1])) <= letter:
            return []
        bars = self.bars(low, high, least)
        left, right = (to_pixels(np.column_stack([bars[x].clip(low, high), bars["y"]])) for x in ("x0", "x1"))
        room = right[:, 0] - left[:, 0] - 2 * PAD * letter
        texts = []
        for label, rest, ink, (x, y), width in zip(bars["label"], bars["more"], bars["ink"], left, room, strict=True):
            text = label + rest
            if self.measure(text, renderer) > width:
                text = fitted(label, width, lambda cut: self.measure(cut, renderer))
            if text:
                texts.append(self.text_at(x + PAD * letter, y, text, color=ink, va="center_baseline", ha="left"))
        return texts


class FoldLabels(Fitted):
    """How long each folded gap is, upright in its break, where the break is wide and high enough."""

    def __init__(self, folds: pd.DataFrame, texts: list[str], *, size: float, color: str, paper: str) -> None:
        super().__init__(size=size, zorder=1.6)
        self.middle = ((folds["x0"] + folds["x1"]) / 2).to_numpy()
        self.width = (folds["x1"] - folds["x0"]).to_numpy()
        self.labels, self.color, self.paper = texts, color, paper

    def texts(self, renderer: RendererBase) -> list[Text]:
        """The texts, as they fit now."""
        box = self.axes.bbox
        low, high = sorted(self.axes.get_xlim())
        letter: Any = renderer.points_to_pixels(self.size)
        wide = self.width * box.width / (high - low) >= 1.1 * letter
        places = self.axes.transData.transform(np.column_stack([self.middle, np.zeros_like(self.middle)]))[:, 0]
        look: dict[str, Any] = {"color": self.color, "rotation": 90, "ha": "center", "va": "center"}
        background = {"facecolor": self.paper, "edgecolor": "none", "pad": 1.5}
        return [
            self.text_at(place, (box.y0 + box.y1) / 2, text, bbox=background, **look)
            for place, text, fits, middle in zip(places, self.labels, wide, self.middle, strict=True)
            if fits and low < middle < high and self.measure(text, renderer) <= box.height
        ]


class CellLabels(Fitted):
    """What stands in the cells of a matrix, where all of them have room for it: two lines, one, or none.

    ``cells`` has ``x, y`` (the middle of a cell, data), ``first``, ``second`` (texts), ``ink``; a cell is 1 wide and high.
    """

    def __init__(self, cells: pd.DataFrame, *, size: float) -> None:
        super().__init__(size=size, zorder=4)
        self.cells = cells

    def texts(self, renderer: RendererBase) -> list[Text]:
        """The texts, as they fit now."""
        cells = self.cells
        letter: Any = renderer.points_to_pixels(self.size)
        corner, opposite = self.axes.transData.transform([(0, 0), (1, 1)])
        width, height = abs(opposite - corner)
        n_lines = min(2 if cells["second"].any() else 1, int(height / (1.3 * letter)))
        room = width - 0.4 * letter
        wide = [
            max((self.measure(text, renderer) for text in set(cells[line])), default=0.0) > room for line in ("first", "second")
        ]
        if not n_lines or wide[0]:
            return []
        if wide[1]:
            n_lines = 1
        places = self.axes.transData.transform(cells[["x", "y"]].to_numpy())
        look: dict[str, Any] = {"ha": "center", "va": "center", "linespacing": 1.15}
        return [
            self.text_at(x, y, f"{first}\n{second}" if n_lines == 2 and second else first, color=ink, **look)
            for (x, y), first, second, ink in zip(places, cells["first"], cells["second"], cells["ink"], strict=True)
        ]


class Heading(Artist):
    """Fits the title at the left of an Axes into its width, and leaves out the one at the right where it would touch it.

    A title that somebody else has set since then stays as it is.
    """

    axes: Any

    def __init__(self, ax: Axes, left: Text, right: Text, name: str, figures: str) -> None:
        super().__init__()
        self.titles = left, right
        self.whole = name, figures
        self.shown: list[str | None] = [left.get_text(), right.get_text()]  # None: somebody else's
        self.set_zorder(-10)  # before the titles are drawn
        self.set_in_layout(False)
        ax.add_artist(self)

    def draw(self, renderer: RendererBase) -> None:
        """Fit the titles; nothing is drawn here."""
        left, right = self.titles
        name, figures = self.whole
        width = self.axes.bbox.width
        self.shown = [own if title.get_text() == own else None for title, own in zip(self.titles, self.shown, strict=True)]
        if self.shown[0] is not None:
            self.shown[0] = fitted(name, width, lambda text: self.measure(left, text, renderer))
            left.set_text(self.shown[0])
        if self.shown[1] is not None:
            gap: Any = renderer.points_to_pixels(2 * left.get_fontsize())
            taken = self.measure(left, left.get_text(), renderer) + gap + self.measure(right, figures, renderer)
            self.shown[1] = figures if taken <= width else ""
            right.set_text(self.shown[1])
        self.stale = False

    @staticmethod
    def measure(title: Text, text: str, renderer: RendererBase) -> float:
        """Width of a text in the letters of a title."""
        return renderer.get_text_width_height_descent(text, title.get_fontproperties(), ismath=False)[0]


class Note(Text):
    """A line under an Axes, at its right end, that says what the picture leaves out; it is found when it is drawn.

    It stands beside the label of the x axis, or below it where there is no room for both. Where it is wider than the figure, it
    is cut.
    """

    def __init__(self, ax: Axes, says: Callable[[], list[str]], *, size: float, color: str) -> None:
        super().__init__(1.0, 0.0, "", fontsize=size, color=color, ha="right", va="bottom", parse_math=False)
        self.says = says
        self.set_figure(ax.figure)
        self.axes = ax
        ax.add_artist(self)
        self.set_clip_on(False)

    def place(self, renderer: RendererBase) -> None:
        """Find what is said, and where."""
        axes: Any = self.axes
        font = self.get_fontproperties()
        text = " · ".join(self.says())
        self.set_text(
            fitted(text, axes.bbox.x1, lambda cut: renderer.get_text_width_height_descent(cut, font, ismath=False)[0])
        )
        label, box = axes.xaxis.label.get_window_extent(renderer), axes.bbox
        self.set_transform(IdentityTransform())
        size: Any = renderer.points_to_pixels(self.get_fontsize())
        wide = super().get_window_extent(renderer).width + label.width + size > box.width
        self.set_position((box.x1, label.y0 - 1.5 * size if wide else label.y0))

    def get_window_extent(self, renderer: Any = None, dpi: Any = None) -> Any:
        """The box that the text takes."""
        self.place(renderer or self.axes.figure._get_renderer())  # type: ignore[union-attr]
        return super().get_window_extent(renderer, dpi)

    def draw(self, renderer: RendererBase) -> None:
        """Draw what is said."""
        self.place(renderer)
        super().draw(renderer)
