"""Lettering: names and labels from traces as text in a picture.

A label may hold anything. It is drawn as text, never as markup; on one line; a box stands for a character that the font lacks;
and it is cut where there is no room. Widths are sums of the font's own advances.
"""

from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.artist import Artist, allow_rasterization
from matplotlib.backend_bases import RendererBase
from matplotlib.colors import to_rgb
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.text import Text

from tokenvis.style import FONT, INK, PAPER

BOX = "\N{WHITE SQUARE}"
FEWEST_LETTERS = 3


@lru_cache(maxsize=1)
def font() -> Any:
    """The font of the theme, at 100 points, a point a pixel."""
    loaded = get_font(findfont(FontProperties(family=FONT)))
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


def drawable(text: str, longest: int = 200) -> str:
    """A text as one line that the font can draw, cut where it is longer than ``longest`` characters."""
    cut = text if len(text) <= longest else text[: longest - 1] + "…"
    return "".join(glyph(character)[0] for character in cut)


def fitted(text: str, width: float, size: float) -> str:
    """As much of a text as fits into ``width`` points at that size, with an ellipsis; "" where not even three letters do."""
    reach = np.cumsum([glyph(character)[1] * size for character in text])
    if not len(reach) or reach[-1] <= width:
        return text
    room = int(np.searchsorted(reach, width - glyph("…")[1] * size, side="right"))
    return text[:room].rstrip() + "…" if room >= FEWEST_LETTERS else ""


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
        self.set_zorder(4)

    def texts(self) -> list[Text]:
        """The texts, as they fit now."""
        points = 72 / self.figure.dpi
        low, high = sorted(self.axes.get_xlim())
        left, right = self.bars["x0"].clip(low, high), self.bars["x1"].clip(low, high)
        to_pixels = self.axes.transData.transform
        x0, y = to_pixels(np.column_stack([left, self.bars["y"]])).T
        x1 = to_pixels(np.column_stack([right, self.bars["y"]]))[:, 0]
        tall = abs(float(np.diff(to_pixels([(low, 0), (low, self.height)])[:, 1])[0])) * points
        if tall < self.size:
            return []
        pad = 0.35 * self.size
        room = (x1 - x0) * points - 2 * pad
        wide = np.flatnonzero(room > FEWEST_LETTERS * 0.5 * self.size)
        columns = (self.bars[name].to_numpy() for name in ("label", "more", "ink"))
        texts = []
        for label, more, ink, width, x, at in zip(*(c[wide] for c in columns), room[wide], x0[wide], y[wide], strict=True):
            text = label + more if fitted(label + more, width, self.size) == label + more else fitted(label, width, self.size)
            if text:
                texts.append(self.text_at(x + pad / points, at, text, ink))
        return texts

    def text_at(self, x: float, y: float, text: str, ink: str) -> Text:
        """One text at a place in pixels."""
        made = Text(
            x,
            y,
            text,
            color=ink,
            fontsize=self.size,
            fontfamily=FONT,
            va="center_baseline",
            ha="left",
            parse_math=False,
        )
        made.set_figure(self.figure)
        made.set_clip_box(self.axes.bbox)
        return made

    @allow_rasterization  # type: ignore[untyped-decorator]
    def draw(self, renderer: RendererBase) -> None:
        """Draw the texts that fit."""
        if self.get_visible():
            for text in self.texts():
                text.draw(renderer)
        self.stale = False
