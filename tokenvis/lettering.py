"""Lettering: names and labels from traces as text in a picture.

A label may hold anything. It is drawn as text, never as markup; on one line; a box stands for a character that the font lacks;
and it is cut where there is no room.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.artist import Artist, allow_rasterization
from matplotlib.backend_bases import RendererBase
from matplotlib.colors import to_rgb
from matplotlib.font_manager import FontProperties, findfont
from matplotlib.ft2font import FT2Font
from matplotlib.text import Text

from tokenvis.style import FONT, INK, PAPER

BOX = "\N{WHITE SQUARE}"
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


def ink_on(color: Any) -> str:
    """Dark or white, whichever reads better on a colour (relative luminance as in WCAG 2)."""
    channels = np.array(to_rgb(color))
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return INK if linear @ (0.2126, 0.7152, 0.0722) > 0.3 else PAPER


class BarLabels(Artist):
    """The labels of all bars, as one artist that fits them to the bars each time it is drawn, so at every size and zoom.

    Parameters
    ----------
    bars
        A row for each bar: ``x0, x1, y`` (data), ``label`` (what must be shown, then cut), ``more`` (added where there is room
        for all of it), ``ink`` (the text's colour).
    size
        Size of the text in points.
    height
        Height of a bar in data units: where that is less than the text needs, nothing is drawn.
    """

    axes: Any
    figure: Any

    def __init__(self, bars: pd.DataFrame, *, size: float, height: float) -> None:
        super().__init__()
        self.bars, self.size, self.height = bars, size, height
        self.font = FontProperties(family=FONT, size=size)
        self.set_zorder(4)

    def texts(self, renderer: RendererBase) -> list[Text]:
        """The texts, as they fit now."""
        low, high = sorted(self.axes.get_xlim())
        to_pixels = self.axes.transData.transform
        left, right = (to_pixels(np.column_stack([self.bars[x].clip(low, high), self.bars["y"]])) for x in ("x0", "x1"))
        tall = np.ptp(to_pixels([(low, 0), (low, self.height)])[:, 1])
        letter: Any = renderer.points_to_pixels(self.size)
        room = right[:, 0] - left[:, 0] - 2 * PAD * letter
        wide = np.flatnonzero((room > FEWEST_LETTERS * 0.4 * letter) & (tall > letter))
        texts = []
        labels, more, inks = (self.bars[name].to_numpy()[wide] for name in ("label", "more", "ink"))
        for label, rest, ink, (x, y), width in zip(labels, more, inks, left[wide], room[wide], strict=True):
            text = label + rest
            if self.measure(text, renderer) > width:
                text = fitted(label, width, lambda cut: self.measure(cut, renderer))
            if text:
                texts.append(self.text_at(x + PAD * letter, y, text, ink))
        return texts

    def measure(self, text: str, renderer: RendererBase) -> float:
        """Width of a text, as this renderer draws it."""
        return renderer.get_text_width_height_descent(text, self.font, ismath=False)[0]

    def text_at(self, x: float, y: float, text: str, ink: str) -> Text:
        """One text at a place in pixels."""
        made = Text(x, y, text, color=ink, fontproperties=self.font, va="center_baseline", ha="left", parse_math=False)
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
