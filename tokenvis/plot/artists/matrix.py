"""The matrix: an amount for each pair of names, as colour and as text."""

from collections.abc import Callable, Collection
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, LinearSegmentedColormap, PowerNorm

from tokenvis.errors import plural
from tokenvis.plot.artists.figure import new_axes
from tokenvis.plot.artists.legend import draw_legend, legend_patch
from tokenvis.plot.artists.names import MAX_VERTICAL_INCHES, are_vertical, draw_column_names, draw_names
from tokenvis.plot.artists.style import NORMAL_SIZES, ThemeColors, apply_theme, font_sizes
from tokenvis.plot.artists.text import CellLabels, drawable, text_color_on, text_width
from tokenvis.spans.columns import codes_of

CELL_HEIGHT_INCHES = 0.42  # in a new figure
CELL_WIDTH_RANGE_INCHES = (0.75, 1.4)  # minimum and maximum; a cell is as wide as the name of its column
MAX_NAME_INCHES = 2.5  # for a name at the left
MAX_MATRIX_INCHES = 10.0  # height of the matrix in a new figure
MAX_MATRIX_NAMES = 60  # rows, and columns
LEGEND_STEPS = 4


def matrix_cells(
    table: pd.DataFrame,
    row: str,
    column: str,
    amount: str,
    detail: pd.Series | None = None,
    *,
    last: Collection[str] = frozenset(),
) -> pd.DataFrame:
    """A cell for each pair of names: ``row, column`` (category, in lexical order), ``amount`` (summed), ``detail`` (a text).

    The rows of the names in ``last`` follow the others. If there are too many names, those with the smallest amounts are merged
    into "n others", without a detail.
    """
    details = detail if detail is not None else pd.Series("", index=table.index)
    cells = pd.DataFrame({"amount": table[amount].to_numpy(), "detail": details.to_numpy()})
    for name, source_column in (("row", row), ("column", column)):
        codes, labels = codes_of(table[source_column])
        names = [str(label) for label in labels]
        if len(names) > MAX_MATRIX_NAMES:
            total = np.bincount(codes, weights=cells["amount"], minlength=len(names))
            least = set(np.argsort(-total, kind="stable")[MAX_MATRIX_NAMES - 1 :].tolist())
            others = plural(len(least), "other")
            names = [others if code in least else label for code, label in enumerate(names)]
        else:
            others = ""
        order = [label for label in dict.fromkeys(names) if label != others]
        if name == "row":
            order.sort(key=lambda label: label in last)
        order += [others] * (others in names)
        cells[name] = pd.Categorical([names[code] for code in codes.tolist()], order)
    groups = cells.groupby(["row", "column"], observed=True)
    single = groups["detail"].transform("size") == 1
    return (
        cells.assign(detail=cells["detail"].where(single, ""))
        .groupby(["row", "column"], observed=True, as_index=False)
        .agg(amount=("amount", "sum"), detail=("detail", "first"))
    )


def amount_colormap(theme: ThemeColors) -> Colormap:
    """The colormap of amounts, from almost the background colour to a strong one."""
    return LinearSegmentedColormap.from_list("amounts", mpl.colormaps[theme.colormap](np.linspace(0.06, 0.78, 64)))


def format_count(count: float) -> str:
    """A count as text."""
    return f"{round(count):,}"


def matrix_axes(cells: pd.DataFrame) -> Axes:
    """Axes of a new figure that fits a matrix and its names."""
    rows, columns = ([str(name) for name in cells[axis].cat.categories] for axis in ("row", "column"))
    left_inches, bottom_inches = (
        max((text_width(drawable(name), NORMAL_SIZES.text) / 72 for name in names), default=0.0) for names in (rows, columns)
    )
    width = min(
        max(len(columns) * min(max(bottom_inches + 0.15, CELL_WIDTH_RANGE_INCHES[0]), CELL_WIDTH_RANGE_INCHES[1]), 2.5), 11.0
    )
    height = min(max(len(rows) * CELL_HEIGHT_INCHES, 1.0), MAX_MATRIX_INCHES) + 0.3
    if are_vertical(columns, width * 72, NORMAL_SIZES.text):
        height += min(bottom_inches, MAX_VERTICAL_INCHES)
    return new_axes(height, width=max(width + min(left_inches, MAX_NAME_INCHES) + 0.6, 5.0))


def draw_matrix(
    ax: Axes,
    cells: pd.DataFrame,
    format_amount: Callable[[Any], str],
    theme: ThemeColors,
    *,
    names: tuple[str, str],
    legend: bool,
) -> None:
    """Draw the cells with their texts, the names of rows and columns, and a legend if the texts do not fit."""
    apply_theme(ax)
    rows, columns = ([str(name) for name in cells[axis].cat.categories] for axis in ("row", "column"))
    legend_entries = draw_cells(ax, cells, format_amount, theme)
    draw_names(ax.yaxis, np.arange(len(rows)) + 0.5, rows)
    draw_column_names(ax, columns)
    ax.set_ylabel(names[0])
    ax.set_xlabel(names[1])
    cell_points = ax.bbox.width / ax.figure.dpi * 72 / len(columns) - 4
    widest = max(text_width(format_amount(amount), font_sizes(ax).bar) for amount in cells["amount"])
    if legend and widest > cell_points:
        # The names of the columns are below.
        draw_legend(ax, [legend_patch(color, entry) for color, entry in legend_entries], always_right=True)


def draw_cells(ax: Axes, cells: pd.DataFrame, format_amount: Callable[[Any], str], theme: ThemeColors) -> list[tuple[str, str]]:
    """Draw the cells; returns colours and texts of a few amounts, for the legend of a matrix without texts."""
    rows, columns = (cells[name].cat.codes.to_numpy() for name in ("row", "column"))
    shape = tuple(len(cells[name].cat.categories) for name in ("row", "column"))
    amounts = np.full(shape, np.nan)
    amounts[rows, columns] = cells["amount"]
    highest = float(cells["amount"].max()) or 1.0
    colormap, norm = amount_colormap(theme), PowerNorm(0.5, vmin=0, vmax=highest)
    ax.set_facecolor(theme.shading)
    ax.pcolormesh(
        np.ma.masked_invalid(amounts), cmap=colormap, norm=norm, edgecolors=theme.background, linewidth=1.0, label="cells"
    )
    ax.set_ylim(shape[0], 0)
    ax.set_xlim(0, shape[1])
    ax.grid(visible=False)
    ax.spines["bottom"].set_visible(False)
    first_lines = [format_amount(amount) for amount in cells["amount"].tolist()]
    text_colors = [text_color_on(colormap(norm(amount))) for amount in cells["amount"]]
    labels = {
        "x": columns + 0.5,
        "y": rows + 0.5,
        "first": first_lines,
        "second": cells["detail"].to_numpy(),
        "color": text_colors,
    }
    ax.add_artist(CellLabels(pd.DataFrame(labels), size=font_sizes(ax).bar))
    legend_amounts = np.linspace(0, 1, LEGEND_STEPS + 1)[1:] ** 2 * highest
    return [(mpl.colors.to_hex(colormap(norm(amount))), format_amount(amount)) for amount in legend_amounts.tolist()]
