"""States: how a bar looks while its span works, waits for an agent, or waits for a person, in every picture.

Work has the full colour of the bar. A wait for an agent is paler, with diagonal lines. A wait for a person is almost empty,
with dots. Unexplained time has no colour, and a dashed border. So the states differ in lightness and in texture, which
remain in greyscale and with colour blindness. A texture needs some pixels: narrower bars are only paler.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.colors import to_hex, to_rgb
from matplotlib.patches import Patch

from tokenvis.plot.artists.style import ThemeColors, blend_colors
from tokenvis.spans.integers import Float64Array, Mask

MIN_HATCH_PIXELS = 8.0  # a narrower bar has no texture
BORDER_WIDTH = 0.5
DASHES = (0, (3.0, 2.0))
LINE_PERIOD_POINTS, LINE_WIDTH_POINTS = 6.0, 0.9  # of diagonal lines in images
DOT_PERIOD_POINTS, DOT_WIDTH_POINTS = 4.5, 1.8  # of dots in images


@dataclass(frozen=True)
class Look:
    """The look of a state: its name in legends, the share of the bar's colour, and the texture."""

    name: str
    color_share: float  # of the bar's colour; the rest is background
    hatch: str = ""  # as in matplotlib
    legend_hatch: str = ""  # finer lines, for the small patch of a legend
    hatch_width: float = 1.0


LOOKS: dict[str, Look] = {
    "work": Look("works", 1.0),
    "agent": Look("waits for an agent", 0.45, "///", "//////", LINE_WIDTH_POINTS),
    "person": Look("waits for a person", 0.16, "....", "...."),
    "unexplained": Look("unexplained", 0.0),
}
NAMES_OF_STATES = {look.name for look in LOOKS.values()}


def state_color(color: str, state: str, theme: ThemeColors) -> str:
    """The fill of a bar of this colour in a state."""
    if state == "unexplained":
        return theme.shading
    return to_hex(color) if state == "work" else blend_colors(color, theme.background, LOOKS[state].color_share)


def border_style(colors: list[str], state: str, theme: ThemeColors) -> dict[str, Any]:
    """The borders of bars of these colours in a state."""
    if state == "unexplained":
        return {"edgecolors": theme.muted, "linewidths": 2 * BORDER_WIDTH, "linestyles": [DASHES]}
    edges = {color: darker(color) if state == "work" else to_rgb(color) for color in set(colors)}
    return {"edgecolors": [edges[color] for color in colors], "linewidths": BORDER_WIDTH * (2 if state == "person" else 1)}


def darker(color: str) -> tuple[float, float, float]:
    """A darker shade of a colour, for the border of a bar."""
    red, green, blue = to_rgb(color)
    return 0.75 * red, 0.75 * green, 0.75 * blue


def draw_in_state(ax: Axes, corners: Any, colors: list[str], state: str, theme: ThemeColors, *, zorder: float) -> None:
    """Draw bars in the look of one state: a collection of their fills, and one of their textures.

    ``corners`` has the four corners of each bar, from the lower left (n x 4 x 2, data); ``colors`` are their colours in full.
    """
    if not len(corners):
        return
    fills = [state_color(color, state, theme) for color in colors]
    style = border_style(colors, state, theme)
    label = LOOKS[state].name
    ax.add_collection(PolyCollection(list(corners), facecolors=fills, zorder=zorder, label=label, **style), autolim=False)
    if LOOKS[state].hatch:
        ax.add_collection(Texture(corners, state, theme, zorder=zorder + 0.01), autolim=False)


class Texture(PolyCollection):
    """The texture of all bars in a state, without those that are too narrow for it in the current view."""

    axes: Any

    def __init__(self, corners: Any, state: str, theme: ThemeColors, *, zorder: float) -> None:
        look = LOOKS[state]
        style: dict[str, Any] = {"edgecolors": theme.muted, "linewidths": 0, "hatch": look.hatch}
        with mpl.rc_context({"hatch.linewidth": look.hatch_width}):
            super().__init__(list(corners), facecolors="none", zorder=zorder, label=f"{look.name}: texture", **style)
        self.corners = corners

    def is_wide(self) -> Mask:
        """Which bars are wide enough, as far as they are in view."""
        low, high = sorted(self.axes.get_xlim())
        inside: Float64Array = np.minimum(self.corners[:, 1, 0], high) - np.maximum(self.corners[:, 0, 0], low)
        wide: Mask = inside * self.axes.bbox.width >= MIN_HATCH_PIXELS * (high - low)
        return wide

    def draw(self, renderer: Any) -> None:
        """Draw the texture of the bars that are wide enough."""
        self.set_verts(list(self.corners[self.is_wide()]))
        if self.get_paths():
            super().draw(renderer)


def area_style(color: str, state: str, theme: ThemeColors) -> dict[str, Any]:
    """The style of an area of this colour in a state."""
    texture = {"hatch": LOOKS[state].hatch or None, "edgecolor": theme.muted}
    return {"facecolor": state_color(color, state, theme), "linewidth": 0, **texture}


def state_handles(states: Iterable[str], theme: ThemeColors, *, color: str = "") -> list[Patch]:
    """Legend handles of these states, by default in grey; none if all spans work."""
    shown = [state for state in LOOKS if state in set(states)]
    return [state_patch(state, theme, color=color) for state in shown] if shown not in ([], ["work"]) else []


def state_patch(state: str, theme: ThemeColors, *, color: str = "", label: str = "") -> Patch:
    """The legend handle of a state, by default in grey and with its name."""
    look = LOOKS[state]
    style: dict[str, Any] = {"facecolor": state_color(color or theme.muted, state, theme), "label": label or look.name}
    if state == "unexplained":
        return Patch(edgecolor=theme.muted, linewidth=2 * BORDER_WIDTH, linestyle=DASHES, **style)
    if not look.hatch:
        return Patch(edgecolor=darker(color or theme.muted), linewidth=BORDER_WIDTH, **style)
    with mpl.rc_context({"hatch.linewidth": look.hatch_width}):
        return Patch(edgecolor=theme.muted, linewidth=BORDER_WIDTH, hatch=look.legend_hatch, **style)


def texture_pixels(state: str, shape: tuple[int, ...], pixels_per_point: float) -> Mask:
    """Which pixels of an image of this shape (lines of pixels x pixels) the texture of a state colours."""
    line, pixel = np.arange(shape[0])[:, None], np.arange(shape[1])[None, :]
    if state == "agent":
        period, width = (max(round(points * pixels_per_point), 1) for points in (LINE_PERIOD_POINTS, LINE_WIDTH_POINTS))
        return (line + pixel) % max(period, 3 * width) < width
    period, width = (max(round(points * pixels_per_point), 1) for points in (DOT_PERIOD_POINTS, DOT_WIDTH_POINTS))
    period = max(period, 2 * width)
    is_second_row = line // period % 2
    return (line % period < width) & ((pixel + is_second_row * (period // 2)) % period < width)
