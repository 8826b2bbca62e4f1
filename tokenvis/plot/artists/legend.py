"""The legend."""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.patches import Patch
from matplotlib.transforms import ScaledTranslation

from tokenvis.plot.artists.names import NAME_SHARE
from tokenvis.plot.artists.style import SMALL_FIGURE, sizes_of
from tokenvis.plot.artists.text import drawable, shortened, width_of


def patch(color: str, name: str) -> Patch:
    """A colour in a legend."""
    return Patch(color=color, label=name)


def draw_legend(ax: Axes, handles: list[Any], *, beside: bool = False, away: float = 0.0) -> None:
    """The legend: to the right, so many points away, or below where the figure is narrow, unless it must stand beside.

    Texts are set apart, since matplotlib hides a label that starts with "_".
    """
    if not handles:
        return
    figure = ax.figure
    width = figure.bbox.width / figure.dpi
    size = sizes_of(ax).text
    longest = NAME_SHARE * width * 72
    names = [shortened(drawable(str(handle.get_label())), longest, size) for handle in handles]
    look: dict[str, Any] = {"handlelength": 1.1, "handleheight": 1.0, "fontsize": size, "borderaxespad": 0.3}
    if width <= SMALL_FIGURE and not beside:
        entry = max(width_of(name, size) for name in names) + 4 * size
        look["ncols"] = min(max(int(ax.bbox.width / figure.dpi * 72 / entry), 1), len(names))
        below = ax.transAxes + ScaledTranslation(0, -(5.2 * size) / 72, figure.dpi_scale_trans)
        look |= {"loc": "upper left", "bbox_to_anchor": (0.0, 0.0), "bbox_transform": below, "columnspacing": 1.2}
    else:
        right = ax.transAxes + ScaledTranslation(away / 72, 0, figure.dpi_scale_trans)
        look |= {"loc": "upper left", "bbox_to_anchor": (1.0, 1.0), "bbox_transform": right}
    legend = ax.legend(handles, ["name"] * len(handles), **look)
    for text, name in zip(legend.get_texts(), names, strict=True):
        text.set_parse_math(False)
        text.set_text(name)
