"""The legend: to the right of the Axes, in narrow figures below them."""

from math import ceil
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.transforms import BboxBase, IdentityTransform, ScaledTranslation

from tokenvis.plot.artists.colors import OTHERS_COLOR
from tokenvis.plot.artists.fonts import families_of
from tokenvis.plot.artists.names import shortened_names
from tokenvis.plot.artists.notes import Note
from tokenvis.plot.artists.style import font_sizes, is_narrow, theme_colors
from tokenvis.plot.artists.text import drawable, left_edge, text_width

NAME = "name"  # the gid of handles whose labels are names from the spans
MAX_LEGEND_SHARE, MAX_OUTLIER_FACTOR = 0.18, 2.0  # of a name: of the figure's width; of the median name
MIN_NAME_EMS = 10.0  # names up to this width are whole
MAX_HEIGHT_SHARE = 0.28  # of the figure's height, for a legend below the Axes
NARROW_NAME_EMS = (12.0, 8.0, 6.0)  # limits of names in a legend below, tried until it is low enough
LAYOUT_PADDING_INCHES = 0.1  # left and right of the content of a figure, together
LEGEND_GAP_EMS = 0.3  # between the texts below the Axes and the legend
ENTRY_EMS, HANDLE_EMS = 1.55, 2.9  # of a line of the legend; of a handle and the space around it


def legend_patch(color: str, name: str) -> Patch:
    """A legend handle with this colour, for a name from the spans."""
    return Patch(color=color, label=name, gid=NAME)


def max_name_points(ax: Axes) -> float:
    """The largest width of a name in a legend, in points."""
    share_points = MAX_LEGEND_SHARE * ax.figure.bbox.width / ax.figure.dpi * 72
    return NARROW_NAME_EMS[0] * font_sizes(ax).text if is_narrow(ax) else float(share_points)


def lines_below(ax: Axes) -> int:
    """How many lines a legend below the Axes may have: it must not take the room of the picture."""
    height = ax.figure.bbox.height / ax.figure.dpi * 72
    return max(int(MAX_HEIGHT_SHARE * height / (ENTRY_EMS * font_sizes(ax).text)), 2)


class BelowTexts(BboxBase):
    """The point this many points below the texts of the x axis and the note, at the left edge of the names.

    The texts depend on the size and the zoom, so the point is computed again when these have changed.
    """

    pass_through = True  # every change, to the box that matplotlib derives from this one and keeps

    def __init__(self, ax: Axes, points: float) -> None:
        super().__init__()
        self.axes, self.points = ax, points
        self.set_children(ax.transData)

    def get_points(self) -> Any:
        """The point, as a box without a size."""
        axes: Any = self.axes
        renderer = axes.figure._get_renderer()
        notes = [text for text in axes.texts if isinstance(text, Note) and text.messages()]
        boxes = [axes.bbox, *filter(None, (part.get_tightbbox(renderer) for part in (axes.xaxis, *notes)))]
        corner = left_edge(axes, renderer), min(box.y0 for box in boxes) - renderer.points_to_pixels(self.points)
        return np.array([corner, corner])


def draw_legend(ax: Axes, handles: list[Any], *, title: str = "", offset_points: float = 0.0) -> None:
    """The legend: ``offset_points`` to the right of the Axes, in narrow figures below them.

    Long names are cut, but not other texts. If there is no room for all names, the last entry counts the others. The texts
    are set separately, because matplotlib hides a label that starts with "_".
    """
    if not handles:
        return
    figure, size = ax.figure, font_sizes(ax).text
    style: dict[str, Any] = {"handlelength": 1.1, "handleheight": 1.0, "fontsize": size, "borderaxespad": 0.3}
    if is_narrow(ax):
        handles, names, style["ncols"] = entries_below(ax, handles, size)
        style |= {
            "loc": "upper left",
            "bbox_to_anchor": BelowTexts(ax, LEGEND_GAP_EMS * size),
            "bbox_transform": IdentityTransform(),
        }
        style |= {"columnspacing": 1.0, "handletextpad": 0.5, "labelspacing": 0.35}
    else:
        handles, names = entries_at_right(ax, handles, size)
        anchor = ax.transAxes + ScaledTranslation(offset_points / 72, 0, figure.dpi_scale_trans)
        style |= {"loc": "upper left", "bbox_to_anchor": (1.0, 1.0), "bbox_transform": anchor}
    legend = ax.legend(handles, ["name"] * len(handles), alignment="left", **style)
    for text, name in zip(legend.get_texts(), names, strict=True):
        text.set_parse_math(False)
        text.set_text(name)
        text.set_fontfamily(families_of(name))
    if title:
        legend.set_title(title, FontProperties(size=size))
        legend.get_title().set_color(theme_colors(ax).muted)


def entries_at_right(ax: Axes, handles: list[Any], size: float) -> tuple[list[Any], list[str]]:
    """The handles that fit beside and below the Axes, and their names: a few long ones do not take the width of the rest."""
    widths = sorted(text_width(label_of(handle), size) for handle in handles if handle.get_gid() == NAME)
    usual = widths[len(widths) // 2] if widths else 0.0
    handles = with_room(handles, int(ax.bbox.y1 / ax.figure.dpi * 72 / (ENTRY_EMS * size)))
    return handles, entry_names(handles, min(max_name_points(ax), max(MAX_OUTLIER_FACTOR * usual, MIN_NAME_EMS * size)), size)


def entries_below(ax: Axes, handles: list[Any], size: float) -> tuple[list[Any], list[str], int]:
    """The handles that fit into the part of the figure for a legend below the Axes, their names, and the number of columns."""
    width, max_lines = width_below(ax) / ax.figure.dpi * 72, lines_below(ax)
    for ems in NARROW_NAME_EMS:
        names = entry_names(handles, ems * size, size)
        n_columns = columns_that_fit(names, width, size)
        if ceil(len(handles) / n_columns) <= max_lines:
            return handles, names, n_columns
    handles = with_room(handles, max_lines * n_columns)
    names = entry_names(handles, NARROW_NAME_EMS[-1] * size, size)
    return handles, names, columns_that_fit(names, width, size)


def width_below(ax: Axes) -> float:
    """The width for a legend below the Axes, in pixels: with the names at the left, after the layout if there will be one."""
    figure: Any = ax.figure
    if figure.get_layout_engine() is None:
        return float(ax.bbox.x1 - left_edge(ax, figure._get_renderer()))
    margins = figure.subplotpars
    share = ax.get_position(original=True).width / (margins.right - margins.left)
    return float(share * figure.bbox.width - LAYOUT_PADDING_INCHES * figure.dpi)


def columns_that_fit(names: list[str], width: float, size: float) -> int:
    """The largest number of columns for these names, filled one after the other, that fit into a width in points."""
    widths = [text_width(name, size) + HANDLE_EMS * size for name in names]
    fitting = (n for n in range(len(names), 1, -1) if sum(map(max, np.array_split(widths, n))) <= width)
    return next(fitting, 1)


def with_room(handles: list[Any], n_entries: int) -> list[Any]:
    """The handles; if there are more than this number, without the last names, and with an entry that counts these."""
    n_dropped = len(handles) - n_entries + 1
    named = [number for number, handle in enumerate(handles) if handle.get_gid() == NAME]
    if named and to_hex(handles[named[-1]].get_facecolor()) == OTHERS_COLOR:  # it counts others already
        named.pop()
    if n_dropped < 2 or len(named) <= n_dropped:
        return handles
    dropped = named[-n_dropped:]
    more = Line2D([], [], linestyle="none", label=f"{n_dropped:,} more")
    return [*handles[: dropped[0]], more, *handles[dropped[-1] + 1 :]]


def entry_names(handles: list[Any], points: float, size: float) -> list[str]:
    """The texts of the entries: names cut to this width so that they stay different, other texts whole."""
    names = iter(shortened_names([label_of(handle) for handle in handles if handle.get_gid() == NAME], points, size))
    return [next(names) if handle.get_gid() == NAME else label_of(handle) for handle in handles]


def label_of(handle: Any) -> str:
    """The label of a handle, as it is drawn."""
    return drawable(str(handle.get_label()))
