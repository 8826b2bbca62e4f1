"""Rows: names at the left of an Axes, a bar of several pieces for each, and columns of numbers at the right."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from tokenvis.errors import plural
from tokenvis.plot.artists.names import draw_names
from tokenvis.plot.artists.row_texts import RowTexts
from tokenvis.plot.artists.style import ThemeColors, apply_theme, font_sizes
from tokenvis.plot.artists.text import text_width
from tokenvis.spans.integers import Float64Array

MAX_PAGE_ROWS = 12
ROW_INCHES = 0.24
BAR_HEIGHT = 0.64  # of a row
NUMBER_GAP_POINTS, MIN_COLUMN_POINTS = 12.0, 36.0  # most columns are narrower: so those of different tables are aligned
MISSING = "–"
SIDE_MARGIN = 0.01  # of the width, as on the time axis
CUT_MARKER_SIZE = 30  # square points


@dataclass(frozen=True)
class Column:
    """A column of numbers, as texts with their colours."""

    header: str
    texts: list[str]
    colors: list[str]


def number_column(
    header: str, values: pd.Series, as_text: Callable[[Any], str], theme: ThemeColors, *, color: str = ""
) -> list[Column]:
    """The column of these numbers, in ``color`` or that of text, zeros and missing values paler; none if all are missing."""
    if not values.notna().any():
        return []
    texts = [MISSING if pd.isna(value) else as_text(value) if value else "0" for value in values]
    pale = [pd.isna(value) or not value for value in values]
    return [Column(header, texts, [theme.muted if is_pale else color or theme.text for is_pale in pale])]


def row_inches(n_rows: int) -> float:
    """The height of rows."""
    return n_rows * ROW_INCHES


def largest_rows(table: pd.DataFrame, name: str, amount: str, *, last: Collection[str] = frozenset()) -> pd.DataFrame:
    """The rows with the largest amounts, those named in ``last`` after the others; more than a dozen end in "n others".

    The numbers of others are added up, as floats: they are for a picture.
    """
    names, amounts = table[name].astype(str).tolist(), table[amount].tolist()
    order = sorted(range(len(table)), key=lambda row: (names[row] in last, -amounts[row]))
    measures = table.drop(columns=name).astype("Float64").iloc[order].reset_index(drop=True)
    rows = measures.assign(name=[names[row] for row in order], is_others=False)
    if len(rows) <= MAX_PAGE_ROWS:
        return rows
    kept = MAX_PAGE_ROWS - 1
    others = measures.iloc[kept:].sum(min_count=1).to_frame().T.astype("Float64")
    others = others.assign(name=plural(len(rows) - kept, "other"), is_others=True)
    return pd.concat([rows.iloc[:kept], others], ignore_index=True)


def draw_named_rows(ax: Axes, names: list[str], columns: list[Column], theme: ThemeColors) -> None:
    """Draw the names, a shade behind every second row, and the columns, with headers above the Axes; a row is 1 high."""
    apply_theme(ax)
    ax.set_ylim(len(names), 0)
    ax.grid(visible=False, axis="y")
    ax.spines["bottom"].set_visible(False)
    for row in range(0, len(names), 2):
        ax.axhspan(row, row + 1, color=theme.shading, linewidth=0, zorder=0)
    draw_names(ax.yaxis, np.arange(len(names)) + 0.5, names)
    size, right = font_sizes(ax).text, 0.0
    for column in columns:
        width = max(text_width(text, size) for text in (column.header, *column.texts))
        right += NUMBER_GAP_POINTS + max(width, MIN_COLUMN_POINTS)
        style: dict[str, Any] = {"header": column.header, "header_color": theme.muted, "align": "right", "beside": "right"}
        offsets = np.full(len(names), right)
        ax.add_artist(RowTexts(column.texts, offsets, width=right, size=size, colors=column.colors, **style))


def bar_corners(row: Any, x0: Float64Array, x1: Float64Array) -> Any:
    """The corners of bars in their rows, from the lower left (n x 4 x 2)."""
    low, high = row + 0.5 + BAR_HEIGHT / 2, row + 0.5 - BAR_HEIGHT / 2
    return np.stack([np.column_stack(corner) for corner in ((x0, low), (x1, low), (x1, high), (x0, high))], axis=1)


def stacked_ends(amounts: Any, limit: float) -> tuple[Any, Any]:
    """Where the pieces of stacked bars begin and end (rows x pieces), cut at a limit."""
    ends = np.cumsum(amounts, axis=1)
    return np.minimum(ends - amounts, limit), np.minimum(ends, limit)


def piece_amounts(table: pd.DataFrame, columns: list[str]) -> Any:
    """The amounts of the pieces (rows x pieces). Others have one piece.

    Their bar may be cut, and would then show the first pieces only.
    """
    amounts = table[columns].to_numpy(dtype=float, copy=True)
    is_others = table["is_others"].to_numpy()
    amounts[is_others, 0] = amounts[is_others].sum(axis=1)
    amounts[is_others, 1:] = 0
    return amounts


def draw_stack_axis(ax: Axes, totals: Float64Array, limit: float, theme: ThemeColors) -> None:
    """Set the limits of stacked bars, without ticks; a bar that is longer ends in an arrow."""
    ax.set_xlim(-SIDE_MARGIN * limit, (1 + SIDE_MARGIN) * limit)
    ax.set_xticks([])
    cut = np.flatnonzero(totals > limit)
    if len(cut):
        style: dict[str, Any] = {"marker": ">", "color": theme.text, "edgecolors": theme.background, "linewidths": 0.8}
        ax.scatter(np.full(len(cut), limit), cut + 0.5, s=CUT_MARKER_SIZE, zorder=3.5, clip_on=False, label="cut", **style)
