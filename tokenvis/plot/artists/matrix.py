"""The matrix: an amount for each pair of names, as colour and as text."""

from collections.abc import Callable, Collection
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backend_bases import RendererBase
from matplotlib.colors import Colormap, LinearSegmentedColormap, PowerNorm, to_hex
from matplotlib.patches import Rectangle
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from tokenvis.errors import plural
from tokenvis.layout.name_order import natural_key
from tokenvis.plot.artists.figure import new_axes
from tokenvis.plot.artists.names import MAX_VERTICAL_INCHES, NameTicks, draw_names
from tokenvis.plot.artists.notes import Note
from tokenvis.plot.artists.style import NORMAL_SIZES, ThemeColors, apply_theme, font_sizes
from tokenvis.plot.artists.text import CellLabels, FittedTexts, drawable, text_color_on, text_width
from tokenvis.plot.artists.title import described_name
from tokenvis.spans.columns import codes_of

CELL_HEIGHT_INCHES = 0.42  # in a new figure
CELL_WIDTH_RANGE_INCHES = (0.75, 1.4)  # minimum and maximum; a cell is as wide as the name of its column
MAX_NAME_INCHES = 2.5  # for a name at the left
MAX_MATRIX_INCHES = 10.0  # height of the matrix in a new figure
MAX_MATRIX_NAMES = 60  # rows, and columns
SCALE_STEPS = 4
PATCH_EMS, PATCH_GAP_EMS, STEP_GAP_EMS = 1.0, 0.35, 0.8  # in the scale: a patch, the gap after it, the gap after its text


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
        order.sort(key=lambda label: (name == "row" and label in last, natural_key(label)))
        order += [others] * (others in names)
        cells[name] = pd.Categorical([names[code] for code in codes.tolist()], order)
    groups = cells.groupby(["row", "column"], observed=True)
    single = groups["detail"].transform("size") == 1
    return (
        cells.assign(detail=cells["detail"].where(single, ""))
        .groupby(["row", "column"], observed=True, as_index=False)
        .agg(amount=("amount", "sum"), detail=("detail", "first"))
    )


def largest_pair(table: pd.DataFrame, row: str, column: str, amount: str) -> tuple[str, str, int]:
    """The pair of names with the largest amount, summed over the traces, and this amount; of equal ones the first."""
    pairs = table[[row, column, amount]].groupby([row, column], observed=True, sort=False)[amount].sum()
    one, other = pairs.index[int(pairs.to_numpy().argmax())]
    return described_name(one), described_name(other), int(pairs.max())


def summed(spans: pd.DataFrame) -> str:
    """What a title adds if the amounts of several traces are summed."""
    return ", summed" if codes_of(spans["trace_id"])[0].max(initial=0) else ""


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
    cell_width = min(max(bottom_inches + 0.15, CELL_WIDTH_RANGE_INCHES[0]), CELL_WIDTH_RANGE_INCHES[1])
    width = min(max(len(columns) * cell_width, 2.5), 11.0)
    height = min(max(len(rows) * CELL_HEIGHT_INCHES, 1.0), MAX_MATRIX_INCHES) + 0.3
    if bottom_inches > 0.95 * width / max(len(columns), 1):  # the names are vertical
        height += min(bottom_inches, MAX_VERTICAL_INCHES)
    return new_axes(height, width=max(width + min(left_inches, MAX_NAME_INCHES) + 0.6, 5.0))


class AmountScale(FittedTexts):
    """The colours of a few amounts, beside or below the label of the x axis, while the cells have no texts.

    Its space is reserved also while the cells have texts, so that the size of the cells does not depend on it. ``steps`` are
    amounts as texts and their colours, the largest last.
    """

    def __init__(self, steps: list[tuple[str, str]], cell_texts: CellLabels, *, size: float, theme: ThemeColors) -> None:
        super().__init__(size=size, zorder=4)
        self.steps, self.cell_texts, self.theme = steps, cell_texts, theme
        self.set_clip_on(False)

    def width(self, steps: list[tuple[str, str]], renderer: RendererBase) -> float:
        """The width of these steps, in pixels."""
        em: Any = renderer.points_to_pixels(self.size)
        widths: float = sum(self.measure(text, renderer) for text, _ in steps)
        gaps: float = (len(steps) * (PATCH_EMS + PATCH_GAP_EMS + STEP_GAP_EMS) - STEP_GAP_EMS) * em
        return widths + gaps

    def placed(self, renderer: RendererBase) -> tuple[list[tuple[str, str]], float, float]:
        """The steps that fit, at least the largest of any; their left edge and the bottom of their line, in pixels."""
        em: Any = renderer.points_to_pixels(self.size)
        axes: Any = self.axes
        right, label = axes.bbox.x1, axes.xaxis.label.get_window_extent(renderer)
        notes = [note.get_window_extent(renderer) for note in self.notes()]
        n_steps = len(self.steps)
        if all(note.y1 < label.y0 for note in notes):
            for steps in (self.steps, self.steps[(n_steps + 1) % 2 :: 2]):
                if label.x1 + em + self.width(steps, renderer) <= right:
                    return steps, right - self.width(steps, renderer), label.y0
        below = min([label.y0, *(note.y0 for note in notes)]) - 1.5 * em
        fitting = [steps for start in range(n_steps) if self.width(steps := self.steps[start:], renderer) <= right]
        steps = fitting[0] if fitting else self.steps[-1:]
        return steps, right - self.width(steps, renderer), below

    def get_window_extent(self, renderer: Any = None, dpi: Any = None) -> Bbox:
        """The box of the scale, for the layout, with a line for the note that a little less space would make necessary."""
        renderer = renderer or self.figure._get_renderer()
        em = renderer.points_to_pixels(self.size)
        _, left, bottom = self.placed(renderer)
        ticks = [axis.get_major_locator() for axis in (self.axes.xaxis, self.axes.yaxis)]
        names = [locator.fit() for locator in ticks if isinstance(locator, NameTicks)]
        may_need_note = any(fitted.is_tight() for fitted in names) and not self.notes()
        return Bbox.from_extents(left, bottom - 1.5 * em * may_need_note, self.axes.bbox.x1, bottom + em)

    def notes(self) -> list[Note]:
        """The notes that are shown."""
        return [text for text in self.axes.texts if isinstance(text, Note) and text.messages()]

    def entries(self, renderer: RendererBase) -> list[tuple[Text, str]]:
        """The amounts with their colours, if the cells have no texts at this size and zoom."""
        if self.cell_texts.fit(renderer)[0]:
            return []
        em: Any = renderer.points_to_pixels(self.size)
        steps, left, bottom = self.placed(renderer)
        entries = []
        for amount, color in steps:
            x = left + (PATCH_EMS + PATCH_GAP_EMS) * em
            entries.append((self.text_at(x, bottom, amount, color=self.theme.text, va="bottom", clip_on=False), color))
            left += self.width([(amount, color)], renderer) + STEP_GAP_EMS * em
        return entries

    def texts(self, renderer: RendererBase) -> list[Text]:
        """The amounts, if the cells have no texts at this size and zoom."""
        return [text for text, _ in self.entries(renderer)]

    def draw(self, renderer: RendererBase) -> None:
        """Draw the amounts, each after a patch of its colour."""
        em: Any = renderer.points_to_pixels(self.size)
        for text, color in self.entries(renderer) if self.get_visible() else []:
            x, y = text.get_position()
            corner = x - (PATCH_EMS + PATCH_GAP_EMS) * em, y + 0.2 * em
            patch = Rectangle(corner, PATCH_EMS * em, 0.9 * em, facecolor=color, linewidth=0)
            patch.set_figure(self.figure)
            patch.draw(renderer)
        super().draw(renderer)


def draw_matrix(
    ax: Axes,
    cells: pd.DataFrame,
    format_amount: Callable[[Any], str],
    theme: ThemeColors,
    *,
    names: tuple[str, str],
    legend: bool,
) -> None:
    """Draw the cells with their texts, the names of rows and columns, and a scale that is shown if the texts do not fit."""
    apply_theme(ax)
    rows, columns = ([str(name) for name in cells[axis].cat.categories] for axis in ("row", "column"))
    texts, steps = draw_cells(ax, cells, format_amount, theme)
    draw_names(ax.yaxis, np.arange(len(rows)) + 0.5, rows)
    draw_names(ax.xaxis, np.arange(len(columns)) + 0.5, columns)
    ax.set_ylabel(names[0])
    ax.set_xlabel(names[1], loc="left")
    ax.add_artist(AmountScale(steps if legend else [], texts, size=font_sizes(ax).text, theme=theme))


def draw_cells(
    ax: Axes, cells: pd.DataFrame, format_amount: Callable[[Any], str], theme: ThemeColors
) -> tuple[CellLabels, list[tuple[str, str]]]:
    """Draw the cells and their texts; returns these texts, and a few amounts with their colours."""
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
    labels = {
        "x": columns + 0.5,
        "y": rows + 0.5,
        "first": [format_amount(amount) for amount in cells["amount"].tolist()],
        "second": cells["detail"].to_numpy(),
        "color": [text_color_on(colormap(norm(amount))) for amount in cells["amount"]],
    }
    texts = CellLabels(pd.DataFrame(labels), size=font_sizes(ax).bar)
    ax.add_artist(texts)
    steps = np.unique(np.round(np.linspace(0, 1, SCALE_STEPS + 1)[1:] ** 2 * highest))
    colors = {format_amount(int(step)): to_hex(colormap(norm(step))) for step in steps.tolist() if step}
    return texts, list(colors.items())
