"""The matrix: an amount for each pair of names, as colour and as text."""

from collections.abc import Callable
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, LinearSegmentedColormap, PowerNorm

from tokenvis.errors import plural
from tokenvis.plot.artists.figure import new_axes
from tokenvis.plot.artists.legend import draw_legend, patch
from tokenvis.plot.artists.names import UPRIGHT_INCHES, are_upright, draw_names, draw_names_below
from tokenvis.plot.artists.style import NORMAL, Look, dress, sizes_of
from tokenvis.plot.artists.text import CellLabels, drawable, ink_on, width_of
from tokenvis.spans.columns import codes_of

CELL_HEIGHT = 0.42  # inches, in a new figure
CELL_WIDTHS = (0.75, 1.4)  # at least and at most, as wide as its name
MOST_NAME = 2.5  # inches for a name beside or below it
MATRIX_INCHES = 10.0  # a new figure's matrix is at most so high
MOST_NAMES = 60  # rows, and columns
N_STEPS = 4  # of the scale in the legend


def cells_of(table: pd.DataFrame, row: str, column: str, amount: str, detail: pd.Series | None = None) -> pd.DataFrame:
    """A cell for each pair of names: ``row, column`` (category, in lexical order), ``amount`` (added up), ``detail`` (a text).

    Where there are too many names, those with the least amounts are one, "n others", which has no detail.
    """
    told = detail if detail is not None else pd.Series("", index=table.index)
    cells = pd.DataFrame({"amount": table[amount].to_numpy(), "detail": told.to_numpy()})
    for name, of in (("row", row), ("column", column)):
        codes, labels = codes_of(table[of])
        names = [str(label) for label in labels]
        if len(names) > MOST_NAMES:
            total = np.bincount(codes, weights=cells["amount"], minlength=len(names))
            least = set(np.argsort(-total, kind="stable")[MOST_NAMES - 1 :].tolist())
            others = plural(len(least), "other")
            names = [others if code in least else label for code, label in enumerate(names)]
        else:
            others = ""
        order = [label for label in dict.fromkeys(names) if label != others] + [others] * (others in names)
        cells[name] = pd.Categorical([names[code] for code in codes.tolist()], order)
    groups = cells.groupby(["row", "column"], observed=True)
    single = groups["detail"].transform("size") == 1
    return (
        cells.assign(detail=cells["detail"].where(single, ""))
        .groupby(["row", "column"], observed=True, as_index=False)
        .agg(amount=("amount", "sum"), detail=("detail", "first"))
    )


def ramp_of(look: Look) -> Colormap:
    """The colours of amounts, from almost the paper's to strong."""
    return LinearSegmentedColormap.from_list("amounts", mpl.colormaps[look.ramp](np.linspace(0.06, 0.78, 64)))


def count_text(count: float) -> str:
    """A count as text."""
    return f"{round(count):,}"


def matrix_axes(cells: pd.DataFrame) -> Axes:
    """Axes of a new figure that fits a matrix and the names beside and below it."""
    rows, columns = ([str(name) for name in cells[axis].cat.categories] for axis in ("row", "column"))
    beside, below = (
        max((width_of(drawable(name), NORMAL.text) / 72 for name in names), default=0.0) for names in (rows, columns)
    )
    width = min(max(len(columns) * min(max(below + 0.15, CELL_WIDTHS[0]), CELL_WIDTHS[1]), 2.5), 11.0)
    height = min(max(len(rows) * CELL_HEIGHT, 1.0), MATRIX_INCHES) + 0.3
    if are_upright(columns, width * 72, NORMAL.text):
        height += min(below, UPRIGHT_INCHES)
    return new_axes(height, width=max(width + min(beside, MOST_NAME) + 0.6, 5.0))


def draw_matrix(
    ax: Axes, cells: pd.DataFrame, text: Callable[[Any], str], look: Look, *, names: tuple[str, str], legend: bool
) -> None:
    """The cells with their texts, the names of rows and columns, and a scale where there is no room for the texts."""
    dress(ax)
    rows, columns = ([str(name) for name in cells[axis].cat.categories] for axis in ("row", "column"))
    scale = draw_cells(ax, cells, text, look)
    draw_names(ax.yaxis, np.arange(len(rows)) + 0.5, rows)
    draw_names_below(ax, columns)
    ax.set_ylabel(names[0])
    ax.set_xlabel(names[1])
    room = ax.bbox.width / ax.figure.dpi * 72 / len(columns) - 4
    widest = max(width_of(text(amount), sizes_of(ax).bar) for amount in cells["amount"])
    if legend and widest > room:
        draw_legend(ax, [patch(color, told) for color, told in scale], beside=True)  # below stand names


def draw_cells(ax: Axes, cells: pd.DataFrame, text: Callable[[Any], str], look: Look) -> list[tuple[str, str]]:
    """Draw the cells; returns colours and texts of a few amounts, for the legend of a matrix without texts."""
    rows, columns = (cells[name].cat.codes.to_numpy() for name in ("row", "column"))
    shape = tuple(len(cells[name].cat.categories) for name in ("row", "column"))
    amounts = np.full(shape, np.nan)
    amounts[rows, columns] = cells["amount"]
    highest = float(cells["amount"].max()) or 1.0
    ramp, norm = ramp_of(look), PowerNorm(0.5, vmin=0, vmax=highest)
    ax.set_facecolor(look.shade)
    ax.pcolormesh(np.ma.masked_invalid(amounts), cmap=ramp, norm=norm, edgecolors=look.paper, linewidth=1.0, label="cells")
    ax.set_ylim(shape[0], 0)
    ax.set_xlim(0, shape[1])
    ax.grid(visible=False)
    ax.spines["bottom"].set_visible(False)
    first = [text(amount) for amount in cells["amount"].tolist()]
    inks = [ink_on(ramp(norm(amount))) for amount in cells["amount"]]
    labels = {"x": columns + 0.5, "y": rows + 0.5, "first": first, "second": cells["detail"].to_numpy(), "ink": inks}
    ax.add_artist(CellLabels(pd.DataFrame(labels), size=sizes_of(ax).bar))
    steps = np.linspace(0, 1, N_STEPS + 1)[1:] ** 2 * highest
    return [(mpl.colors.to_hex(ramp(norm(amount))), text(amount)) for amount in steps.tolist()]
