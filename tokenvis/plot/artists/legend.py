"""The legend."""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.patches import Patch
from matplotlib.transforms import ScaledTranslation

from tokenvis.plot.artists.fonts import families_of
from tokenvis.plot.artists.names import MAX_NAME_SHARE
from tokenvis.plot.artists.states import NAMES_OF_STATES
from tokenvis.plot.artists.style import SMALL_FIGURE_INCHES, font_sizes
from tokenvis.plot.artists.text import drawable, shorten_name, text_width


def legend_patch(color: str, name: str) -> Patch:
    """A legend handle with this colour."""
    return Patch(color=color, label=name)


def draw_legend(ax: Axes, handles: list[Any], *, always_right: bool = False, offset_points: float = 0.0) -> None:
    """The legend: to the right of the Axes, or below in narrow figures, unless ``always_right``.

    Long names are cut, but not those of states. The texts are set separately, because matplotlib hides a label that starts
    with "_".
    """
    if not handles:
        return
    figure = ax.figure
    width = figure.bbox.width / figure.dpi
    size = font_sizes(ax).text
    max_points = MAX_NAME_SHARE * width * 72
    labels = [drawable(str(handle.get_label())) for handle in handles]
    names = [label if label in NAMES_OF_STATES else shorten_name(label, max_points, size) for label in labels]
    style: dict[str, Any] = {"handlelength": 1.1, "handleheight": 1.0, "fontsize": size, "borderaxespad": 0.3}
    if width <= SMALL_FIGURE_INCHES and not always_right:
        entry_points = max(text_width(name, size) for name in names) + 4 * size
        style["ncols"] = min(max(int(ax.bbox.width / figure.dpi * 72 / entry_points), 1), len(names))
        anchor = ax.transAxes + ScaledTranslation(0, -(5.2 * size) / 72, figure.dpi_scale_trans)
        style |= {"loc": "upper left", "bbox_to_anchor": (0.0, 0.0), "bbox_transform": anchor, "columnspacing": 1.2}
    else:
        anchor = ax.transAxes + ScaledTranslation(offset_points / 72, 0, figure.dpi_scale_trans)
        style |= {"loc": "upper left", "bbox_to_anchor": (1.0, 1.0), "bbox_transform": anchor}
    legend = ax.legend(handles, ["name"] * len(handles), **style)
    for text, name in zip(legend.get_texts(), names, strict=True):
        text.set_parse_math(False)
        text.set_text(name)
        text.set_fontfamily(families_of(name))
