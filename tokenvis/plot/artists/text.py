"""Text: names and labels from traces as text in a picture.

A label may contain any characters. It is drawn as text, never as markup, and on one line, with the fonts that have its
characters (see `fonts`). Texts that do not fit are cut: labels at the end, names in the middle, because they often differ only
at the end. Space depends on the size and the zoom, so texts are fitted when a picture is drawn.
"""

import unicodedata
from bisect import bisect_right
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.artist import Artist, allow_rasterization
from matplotlib.axes import Axes
from matplotlib.backend_bases import RendererBase
from matplotlib.font_manager import FontProperties
from matplotlib.text import Text

from tokenvis.errors import JOINERS
from tokenvis.plot.artists.fonts import THEME_FAMILIES, advance, families_of, warn_of_missing
from tokenvis.plot.artists.style import LIGHT, luminance

UNKNOWN = "\N{REPLACEMENT CHARACTER}"  # for what is not a character of Unicode, or not one that Python knows
MISSING_NAME = "none"  # for a missing value
MIN_CUT_LETTERS = 4
LABEL_PADDING_EMS = 0.35  # between the border of a bar and its label
LABEL_BOX_POINTS = 1.0  # around the text, in the box behind a label
CELL_PADDING_EMS, CELL_LINE_EMS = 0.8, 1.3  # beside the text of a cell of a matrix, and the height of a line
MIN_FONT_POINTS = 4.5  # that can be read
MAX_WIDTHS = 10_000  # of the texts of an artist that are kept


@lru_cache(maxsize=65_536)
def glyph(character: str) -> tuple[str, float]:
    """The drawn character, and its width in ems."""
    if character.isprintable() or character in JOINERS:
        return character, advance(character)
    return glyph(UNKNOWN if unicodedata.category(character) in ("Cn", "Co", "Cs") else " ")


def text_width(text: str, size: float) -> float:
    """The approximate width of a text at a font size, in points: the sum of the fonts' advances."""
    return size * sum(glyph(character)[1] for character in text)


def drawable(text: str, max_characters: int = 200) -> str:
    """A text as one line, cut after ``max_characters``; warns of characters that no font has."""
    cut = text if len(text) <= max_characters else text[: whole_characters(text, max_characters - 1)] + "…"
    line = "".join(glyph(character)[0] for character in cut)
    if not line.isascii():
        warn_of_missing(line)
    return line


def whole_characters(text: str, n_kept: int) -> int:
    """The largest number of characters up to ``n_kept`` after which a text can be cut: not before an accent or a joiner."""
    while 0 < n_kept < len(text) and (is_attached(text[n_kept]) or text[n_kept - 1] in JOINERS):
        n_kept -= 1
    return n_kept


def is_attached(character: str) -> bool:
    """Whether a character changes the one before it: an accent, a joiner, a colour of skin."""
    return not character.isascii() and (
        unicodedata.category(character).startswith("M") or character in JOINERS or "\U0001f3fb" <= character <= "\U0001f3ff"
    )


def fit_text(text: str, width: float, measure: Callable[[str], float]) -> str:
    """As much of a text as fits into a width, with an ellipsis; "" if not even a few letters fit."""
    full_width = measure(text)
    if full_width <= width:
        return text
    widths_so_far = np.cumsum([glyph(character)[1] for character in text])
    n_kept = min(int(np.searchsorted(widths_so_far * full_width / widths_so_far[-1], width)) + 1, len(text) - 1)
    while n_kept >= MIN_CUT_LETTERS:
        cut = text[: whole_characters(text, n_kept)].rstrip() + "…"
        if measure(cut) <= width:
            return cut
        n_kept -= 1
    return ""


def shorten_name(text: str, width: float, size: float) -> str:
    """A name at a font size, cut in the middle to a width in points."""
    if text_width(text, size) <= width:
        return text
    n_fitting = bisect_right(range(3, len(text)), width, key=lambda n_kept: text_width(cut_middle(text, n_kept), size))
    return cut_middle(text, 2 + n_fitting)


def cut_middle(text: str, n_kept: int) -> str:
    """The first and the last letters of a text, ``n_kept`` in total."""
    n_tail = n_kept // 3
    start = len(text) - n_tail
    while start < len(text) and (is_attached(text[start]) or text[start - 1] in JOINERS):
        start += 1
    return f"{text[: whole_characters(text, n_kept - n_tail)]}…{text[start:]}"


def text_color_on(color: Any) -> str:
    """The text colour on a background: dark on light colours, white on dark ones."""
    return LIGHT.text if luminance(color) > 0.3 else LIGHT.background


class FittedTexts(Artist):
    """Texts that are chosen and cut each time they are drawn, so that they fit at every size and zoom."""

    axes: Any
    figure: Any

    def __init__(self, *, size: float, zorder: float) -> None:
        super().__init__()
        self.size = size
        self.font = FontProperties(family=THEME_FAMILIES, size=size)
        self.widths: dict[tuple[type, float, str], float] = {}
        self.set_zorder(zorder)

    def texts(self, renderer: RendererBase) -> list[Text]:
        """The texts that fit in the current view."""
        raise NotImplementedError

    def measure(self, text: str, renderer: RendererBase) -> float:
        """The width of a text in this renderer; kept, because a figure is drawn several times, and shaping a text is slow."""
        em: Any = renderer.points_to_pixels(self.size)
        key = type(renderer), em, text
        if key not in self.widths:
            if len(self.widths) >= MAX_WIDTHS:
                self.widths.clear()
            self.widths[key] = renderer.get_text_width_height_descent(text, self.font_of(text), ismath=False)[0]
        return self.widths[key]

    def font_of(self, text: str) -> FontProperties:
        """The font of a text at the current size, with the families that have its characters."""
        font = self.font.copy()
        font.set_family(families_of(text))
        return font

    def text_at(self, x: float, y: float, text: str, **style: Any) -> Text:
        """One text at a position in pixels."""
        artist = Text(x, y, text, fontproperties=self.font_of(text), parse_math=False, **style)
        artist.set_figure(self.figure)
        artist.set_clip_box(self.axes.bbox)
        return artist

    @allow_rasterization  # type: ignore[untyped-decorator]
    def draw(self, renderer: RendererBase) -> None:
        """Draw the texts that fit."""
        if self.get_visible():
            for text in self.texts(renderer):
                text.draw(renderer)
        self.stale = False


class BarLabels(FittedTexts):
    """The labels of bars.

    Parameters
    ----------
    bars
        A function of (low, high, min_width) that returns the bars that take at least ``min_width`` of the interval, a row each:
        ``x0, x1, y`` (data), ``label`` (cut if necessary), ``suffix`` (added if it fits completely), ``color`` (of the text),
        ``background`` (the colour of a box behind the text, "" for none).
    size
        The font size in points.
    height
        The height of a bar, in data units; if the text is higher, there is none.
    """

    def __init__(self, bars: Callable[[float, float, float], pd.DataFrame], *, size: float, height: float) -> None:
        super().__init__(size=size, zorder=4)
        self.bars, self.height = bars, height

    def texts(self, renderer: RendererBase) -> list[Text]:
        """The texts that fit in the current view."""
        low, high = sorted(self.axes.get_xlim())
        em: Any = renderer.points_to_pixels(self.size)
        min_width = (MIN_CUT_LETTERS * 0.4 + 2 * LABEL_PADDING_EMS) * em * (high - low) / self.axes.bbox.width
        to_pixels = self.axes.transData.transform
        if abs(np.subtract(*to_pixels([(low, 0), (low, self.height)])[:, 1])) <= em:
            return []
        bars = self.bars(low, high, min_width)
        left, right = (to_pixels(np.column_stack([bars[x].clip(low, high), bars["y"]])) for x in ("x0", "x1"))
        available = right[:, 0] - left[:, 0] - 2 * LABEL_PADDING_EMS * em
        texts = []
        for label, suffix, color, background, (x, y), width in zip(
            bars["label"], bars["suffix"], bars["color"], bars["background"], left, available, strict=True
        ):
            text = label + suffix
            if self.measure(text, renderer) > width:
                text = fit_text(label, width, lambda cut: self.measure(cut, renderer))
            if text:
                box = {"facecolor": background, "edgecolor": "none", "pad": LABEL_BOX_POINTS} if background else None
                style = {"color": color, "va": "center_baseline", "ha": "left", "bbox": box}
                texts.append(self.text_at(x + LABEL_PADDING_EMS * em, y, text, **style))
        return texts


class FoldLabels(FittedTexts):
    """The duration of each folded gap, vertical, inside its break, if the break is wide and high enough."""

    def __init__(
        self, folds: pd.DataFrame, texts: list[str], *, size: float, color: str, background: str, zorder: float
    ) -> None:
        super().__init__(size=size, zorder=zorder)
        self.middle = ((folds["x0"] + folds["x1"]) / 2).to_numpy()
        self.width = (folds["x1"] - folds["x0"]).to_numpy()
        self.labels, self.color, self.background = texts, color, background

    def texts(self, renderer: RendererBase) -> list[Text]:
        """The texts that fit in the current view."""
        box = self.axes.bbox
        low, high = sorted(self.axes.get_xlim())
        em: Any = renderer.points_to_pixels(self.size)
        is_wide_enough = self.width * box.width / (high - low) >= 1.1 * em
        positions = self.axes.transData.transform(np.column_stack([self.middle, np.zeros_like(self.middle)]))[:, 0]
        style: dict[str, Any] = {"color": self.color, "rotation": 90, "ha": "center", "va": "center"}
        background = {"facecolor": self.background, "edgecolor": "none", "pad": 1.5}
        return [
            self.text_at(position, (box.y0 + box.y1) / 2, text, bbox=background, **style)
            for position, text, fits, middle in zip(positions, self.labels, is_wide_enough, self.middle, strict=True)
            if fits and low < middle < high and self.measure(text, renderer) <= box.height
        ]


class CellLabels(FittedTexts):
    """The texts in the cells of a matrix: two lines, one, one upwards, or none, in a font that may be smaller, so that all fit.

    ``cells`` has ``x, y`` (the middle of a cell, data), ``first``, ``second`` (texts), ``color``; a cell is 1 wide and 1 high.
    """

    def __init__(self, cells: pd.DataFrame, *, size: float) -> None:
        super().__init__(size=size, zorder=4)
        self.cells = cells

    def fit(self, renderer: RendererBase) -> tuple[int, float, int]:
        """The number of lines, the font size and the rotation that fit every cell at this size and zoom; 0 lines if none do."""
        em: Any = renderer.points_to_pixels(self.size)
        corners = self.axes.transData.transform([(0, 0), (1, 1)])
        width, height = np.abs(corners[1] - corners[0])
        lines = [set(self.cells[line]) for line in ("first", "second")]
        widths = [max((self.measure(text, renderer) for text in line), default=0.0) for line in lines]
        for n_lines, rotation in ((2, 0), (1, 0), (1, 90))[not any(lines[1]) :]:
            along, across = (height, width) if rotation else (width, height)
            needed = max(widths[:n_lines]) + CELL_PADDING_EMS * em, n_lines * CELL_LINE_EMS * em
            size = self.size * min(1.0, along / needed[0], across / needed[1])
            if size >= MIN_FONT_POINTS:
                return n_lines, size, rotation
        return 0, self.size, 0

    def texts(self, renderer: RendererBase) -> list[Text]:
        """The texts that fit at this size and zoom."""
        n_lines, size, rotation = self.fit(renderer)
        if not n_lines:
            return []
        style: dict[str, Any] = {"ha": "center", "va": "center", "linespacing": 1.15, "size": size, "rotation": rotation}
        positions = self.axes.transData.transform(self.cells[["x", "y"]].to_numpy())
        columns = (self.cells[column] for column in ("first", "second", "color"))
        return [
            self.text_at(x, y, f"{first}\n{second}" if n_lines == 2 and second else first, color=color, **style)
            for (x, y), first, second, color in zip(positions, *columns, strict=True)
        ]


def text_extent(text: str, font: FontProperties, renderer: RendererBase) -> float:
    """The width of a text in this renderer."""
    return renderer.get_text_width_height_descent(text, font, ismath=False)[0]


def left_edge(ax: Axes, renderer: RendererBase) -> float:
    """The left edge of Axes with the names at their left, in pixels."""
    outside = [artist for artist in ax.get_children() if isinstance(artist, FittedTexts) and not artist.get_clip_on()]
    boxes = filter(None, (artist.get_tightbbox(renderer) for artist in (ax.yaxis, *outside)))
    return float(max(min([ax.bbox.x0, *(box.x0 for box in boxes if box.width > 0)]), ax.figure.bbox.x0))
