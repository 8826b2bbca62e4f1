"""The style of pictures: the matplotlib theme, in light and dark."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgb, to_rgba

from tokenvis.errors import check_choice
from tokenvis.plot.artists.fonts import FONT, TEXT_AS_TEXT, THEME_FAMILIES, keep_text

SMALL_FIGURE_INCHES = 7.5  # figures up to this width (a column or a page of a paper) have text of 7 to 8 points


@dataclass(frozen=True)
class ThemeColors:
    """The colours of a picture, except those of names."""

    text: str
    muted: str
    grid: str
    shading: str
    background: str
    error: str
    accent: str  # for parts without a name
    colormap: str  # of amounts


LIGHT = ThemeColors("#23262d", "#666d79", "#e3e6ea", "#f5f6f8", "#ffffff", "#c81e3a", "#7f9cc8", "YlGnBu")
DARK = ThemeColors("#eceef2", "#9aa2b1", "#343944", "#1f232b", "#16191f", "#ff5c72", "#5f7fb3", "YlGnBu_r")
THEMES = {"light": LIGHT, "dark": DARK}


@dataclass(frozen=True)
class FontSizes:
    """Font sizes, in points."""

    title: float
    text: float
    tick: float
    bar: float


NORMAL_SIZES = FontSizes(title=12, text=9, tick=8.5, bar=7.5)
SMALL_SIZES = FontSizes(title=8, text=7.5, tick=7, bar=7)


def theme(look: Literal["light", "dark"] = "light") -> Any:
    """The style of all pictures, as settings for `matplotlib.rc_context`.

    Parameters
    ----------
    look
        "light" or "dark". A picture is dark if its figure is: inside ``rc_context(theme("dark"))``, with a dark style of
        matplotlib, or on Axes of a dark figure.

    Returns
    -------
    dict
        Settings of matplotlib. Text remains text in PDF and SVG (font type 42).

    Raises
    ------
    BadOption
        ``look`` is neither "light" nor "dark".

    Examples
    --------
    >>> theme()["axes.spines.top"], theme("dark")["figure.facecolor"]
    (False, '#16191f')
    """
    check_choice("look", look, THEMES)
    return rc_settings(THEMES[look], NORMAL_SIZES)


def rc_settings(colors: ThemeColors, sizes: FontSizes) -> Any:
    """Colours and font sizes as matplotlib settings."""
    return {
        "axes.axisbelow": True,
        "axes.edgecolor": colors.grid,
        "axes.facecolor": colors.background,
        "axes.labelcolor": colors.muted,
        "axes.labelsize": sizes.text,
        "axes.linewidth": 0.8,
        "axes.spines.left": False,
        "axes.spines.right": False,
        "axes.spines.top": False,
        "axes.titlecolor": colors.text,
        "axes.titlelocation": "left",
        "axes.titlesize": sizes.title,
        "axes.titleweight": "bold",
        "figure.facecolor": colors.background,
        "font.family": list(THEME_FAMILIES),
        "font.sans-serif": [FONT],
        "font.size": sizes.text,
        "grid.color": colors.grid,
        "grid.linewidth": 0.8,
        "legend.fontsize": sizes.text,
        "legend.frameon": False,
        "legend.labelcolor": colors.text,
        "savefig.facecolor": colors.background,
        "text.color": colors.text,
        "text.parse_math": False,
        "xtick.color": colors.grid,
        "xtick.labelcolor": colors.muted,
        "xtick.labelsize": sizes.tick,
        "ytick.color": colors.grid,
        "ytick.labelcolor": colors.text,
        "ytick.labelsize": sizes.text,
    } | TEXT_AS_TEXT


def theme_colors(axes: Axes | None) -> ThemeColors:
    """Light or dark, by the figure's background; without Axes, by the background of a new figure."""
    background = mpl.rcParams["figure.facecolor"] if axes is None else axes.figure.figure.get_facecolor()
    red, green, blue, opacity = to_rgba(background)
    return DARK if opacity and luminance((red, green, blue)) < 0.2 else LIGHT


def luminance(color: Any) -> float:
    """Relative luminance of a colour as in WCAG 2: 0 is black, 1 is white."""
    channels = np.array(to_rgba(color)[:3])
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ (0.2126, 0.7152, 0.0722))


def blend_colors(color: Any, background: str, share: float) -> str:
    """A colour with this share on a background."""
    return to_hex(tuple(np.array(to_rgb(color)) * share + np.array(to_rgb(background)) * (1 - share)))


def is_narrow(axes: Axes) -> bool:
    """Whether the figure is so narrow that texts are small, and the legend is below the Axes."""
    return bool(axes.figure.bbox.width / axes.figure.dpi <= SMALL_FIGURE_INCHES)


def font_sizes(axes: Axes) -> FontSizes:
    """The font sizes for the width of the figure."""
    return SMALL_SIZES if is_narrow(axes) else NORMAL_SIZES


@contextmanager
def themed(axes: Axes | None) -> Iterator[ThemeColors]:
    """Draw in the theme of these Axes, or of a new figure, without changing global settings.

    The first pyplot call may set up a notebook's backend, which makes matplotlib interactive. Inside ``rc_context`` that
    setting would be reverted, and every figure after the first would not be shown.
    """
    plt.draw_if_interactive()  # type: ignore[no-untyped-call]
    colors = theme_colors(axes)
    with mpl.rc_context(rc_settings(colors, NORMAL_SIZES if axes is None else font_sizes(axes))):
        yield colors


def apply_theme(axes: Axes) -> None:
    """Apply the theme to Axes that were created under other settings."""
    keep_text(axes.figure.figure)
    settings = rc_settings(theme_colors(axes), font_sizes(axes))
    axes.set_facecolor(settings["axes.facecolor"])
    axes.set_axisbelow(settings["axes.axisbelow"])
    for side, spine in axes.spines.items():
        spine.set_visible(settings.get(f"axes.spines.{side}", True))
        spine.set(color=settings["axes.edgecolor"], linewidth=settings["axes.linewidth"])
    for axis in ("x", "y"):
        tick_colors = {"color": settings[f"{axis}tick.color"], "labelcolor": settings[f"{axis}tick.labelcolor"]}
        axes.tick_params(axis=axis, labelsize=settings[f"{axis}tick.labelsize"], **tick_colors)
    for label in (axes.xaxis.label, axes.yaxis.label):
        label.set(color=settings["axes.labelcolor"], size=settings["axes.labelsize"])
    axes.grid(color=settings["grid.color"], linewidth=settings["grid.linewidth"])
