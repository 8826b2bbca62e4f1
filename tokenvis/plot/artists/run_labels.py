"""Run labels: beside the rows of many runs their names, a number for each, and signs of the runs that are slow or failed.

If the rows are lower than a name, the names are those of the runs with signs, with lines to their rows, and of others in
between. If they are lower than a sign, every row with the sign has a tick, and neighbouring ticks share one sign.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from matplotlib.artist import allow_rasterization
from matplotlib.axes import Axes
from matplotlib.backend_bases import RendererBase
from matplotlib.collections import LineCollection, PathCollection, PolyCollection
from matplotlib.lines import Line2D
from matplotlib.markers import MarkerStyle
from matplotlib.text import Text
from matplotlib.transforms import Bbox, IdentityTransform

from tokenvis.layout.run_rows import named_rows
from tokenvis.plot.artists.names import MAX_NAME_SHARE, shortened_names
from tokenvis.plot.artists.row_texts import LINE_COLOR_SHARE, LINE_WIDTH, ROW_HEIGHT_EMS
from tokenvis.plot.artists.style import ThemeColors, blend_colors, font_sizes
from tokenvis.plot.artists.text import MIN_FONT_POINTS, FittedTexts, text_extent, text_width
from tokenvis.spans.integers import Float64Array, Int64Array, Mask

SIGN_SHAPES = {"slow": "^", "failed": "X"}
SIGN_POINTS, TICK_POINTS, SIGN_GAP_POINTS = 6.0, 2.5, 3.5  # of a sign, of a tick and the gap before it, beside a column
TEXT_GAP_POINTS, LEADER_POINTS = 6.0, 12.0  # between names, numbers and signs; of the lines to low rows
LEADER_GAP_POINTS = 2.0  # between a text and its line
MAX_MEASURED = 5  # of the texts that may be the widest


@dataclass(frozen=True)
class RunTexts:
    """The texts and signs of the rows from the top: ``names``, ``numbers``, and which rows have each of the signs."""

    names: list[str]
    numbers: list[str]
    signs: dict[str, Mask]


class PlacedNames(NamedTuple):
    """The rows that have names in a view, the middle of each name in pixels, and the font size.

    ``n_in_view`` is the number of rows in view; ``name_pixels`` and ``number_pixels`` are the widths of the widest texts.
    """

    rows: Int64Array
    places: Float64Array
    size: float
    n_in_view: int
    name_pixels: float
    number_pixels: float

    @property
    def is_complete(self) -> bool:
        """Whether all rows in view have names, each beside its row."""
        return len(self.rows) == self.n_in_view


def sign_color(sign: str, theme: ThemeColors) -> str:
    """The colour of a sign."""
    return theme.error if sign == "failed" else theme.text


def sign_handle(sign: str, label: str, theme: ThemeColors) -> Line2D:
    """The legend handle of a sign."""
    style: dict[str, Any] = {"markersize": 7, "linestyle": "none", "markeredgecolor": theme.background}
    return Line2D([], [], marker=SIGN_SHAPES[sign], color=sign_color(sign, theme), label=label, **style)


class RunLabels(FittedTexts):
    """The texts and signs at the left of the Axes, whose rows are 1 high, the first from 0 to 1."""

    def __init__(self, ax: Axes, rows: RunTexts, theme: ThemeColors) -> None:
        super().__init__(size=font_sizes(ax).text, zorder=4)
        self.rows, self.theme = rows, theme
        self.signs = {sign: mask for sign, mask in rows.signs.items() if mask.any()}
        points = MAX_NAME_SHARE * ax.figure.bbox.width / ax.figure.dpi * 72
        self.names = shortened_names(rows.names, points, self.size)
        self.placed: tuple[Any, PlacedNames] | None = None
        self.set_clip_on(False)

    def pixels(self, points: float) -> float:
        """Points as pixels."""
        return float(points * self.axes.figure.dpi / 72)

    def middles(self) -> Float64Array:
        """The middle of each row, in pixels from the bottom of the figure."""
        number = np.arange(len(self.names)) + 0.5
        middles: Float64Array = self.axes.transData.transform(np.column_stack([np.zeros(len(number)), number]))[:, 1]
        return middles

    def row_pixels(self) -> float:
        """The height of a row, in pixels."""
        return float(abs(np.subtract(*self.axes.transData.transform([(0, 0), (0, 1)])[:, 1])))

    def rows_are_low(self) -> bool:
        """Whether the rows are lower than a sign."""
        return self.row_pixels() < self.pixels(SIGN_POINTS)

    def placement(self) -> PlacedNames:
        """The names in the current view."""
        axes = self.axes
        view = (*axes.bbox.extents, *axes.get_ylim(), axes.figure.dpi)
        if self.placed is None or self.placed[0] != view:
            self.placed = view, self.placed_again()
        return self.placed[1]

    def placed_again(self) -> PlacedNames:
        """The names in a view that has changed."""
        middle, box = self.middles(), self.axes.bbox
        in_view = np.flatnonzero((middle > box.y0) & (middle < box.y1))
        row_points = self.row_pixels() * 72 / self.axes.figure.dpi
        size = min(self.size, row_points / ROW_HEIGHT_EMS) if row_points >= MIN_FONT_POINTS * ROW_HEIGHT_EMS else self.size
        marked = np.any([*self.signs.values(), np.zeros(len(middle), dtype=bool)], axis=0)
        downwards = 1.0 if len(middle) < 2 or middle[-1] >= middle[0] else -1.0
        gap = self.pixels(ROW_HEIGHT_EMS * size) - 0.01
        rows, places = named_rows(downwards * middle[in_view], marked[in_view], gap)
        widths = (self.widest([texts[row] for row in in_view[rows]], size) for texts in (self.names, self.rows.numbers))
        return PlacedNames(in_view[rows], downwards * places, size, len(in_view), *widths)

    def widest(self, texts: list[str], size: float) -> float:
        """The width of the widest text at a font size, in pixels."""
        self.font.set_size(size)
        candidates = sorted(set(texts), key=lambda text: -text_width(text, size))[:MAX_MEASURED]
        renderer = self.axes.figure._get_renderer()
        return max((text_extent(text, self.font_of(text), renderer) for text in candidates), default=0.0)

    def messages(self) -> list[str]:
        """The note on names that are not shown."""
        placed = self.placement()
        return [] if placed.is_complete else [f"{len(placed.rows):,} of {placed.n_in_view:,} names shown"]

    def columns(self) -> dict[str, float]:
        """The right edge of each column, and the ``left`` edge of all, in pixels from the left of the figure."""
        placed = self.placement()
        x, edges = self.axes.bbox.x0 - self.pixels(SIGN_GAP_POINTS), {}
        for sign in self.signs:
            edges[sign] = x
            x -= self.pixels(SIGN_POINTS + SIGN_GAP_POINTS + (2 * TICK_POINTS if self.rows_are_low() else 0.0))
        edges["lines"] = x
        x -= self.pixels(TEXT_GAP_POINTS if placed.is_complete else LEADER_POINTS)
        edges["numbers"] = x
        x -= placed.number_pixels + self.pixels(TEXT_GAP_POINTS) if placed.number_pixels else 0.0
        return edges | {"names": x, "left": x - placed.name_pixels}

    def texts(self, renderer: RendererBase) -> list[Text]:
        """The names and numbers in the current view."""
        rows, places, size, *_ = self.placement()
        self.font.set_size(size)
        edges = self.columns()
        drawn = []
        for column, texts, color in (
            ("names", self.names, self.theme.text),
            ("numbers", self.rows.numbers, self.theme.muted),
        ):
            x, style = edges[column], {"ha": "right", "va": "center_baseline", "color": color}
            drawn += [
                self.text_at(x, y, texts[row], **style)
                for row, y in zip(rows.tolist(), places.tolist(), strict=True)
                if texts[row]
            ]
        for text in drawn:
            text.set_clip_on(False)
        return drawn

    @allow_rasterization  # type: ignore[untyped-decorator]
    def draw(self, renderer: RendererBase) -> None:
        """Draw the texts, the lines from names to their rows, and the signs."""
        if not self.get_visible():
            return
        for artist in (*self.texts(renderer), *self.lines(), *self.sign_artists()):
            artist.set_figure(self.figure)
            artist.draw(renderer)
        self.stale = False

    def lines(self) -> list[LineCollection]:
        """The lines from names to their rows, where not all rows have names."""
        rows, places, *_ = placed = self.placement()
        if placed.is_complete:
            return []
        right = self.columns()["lines"]
        x = np.linspace(right - self.pixels(LEADER_POINTS - LEADER_GAP_POINTS), right, 4)
        y = self.middles()[rows]
        corners = [np.column_stack([np.full(len(rows), x[k]), at]) for k, at in enumerate((places, places, y, y))]
        style: dict[str, Any] = {
            "colors": blend_colors(self.theme.muted, self.theme.background, LINE_COLOR_SHARE),
            "linewidths": LINE_WIDTH,
            "transform": IdentityTransform(),
        }
        return [LineCollection(list(np.stack(corners, axis=1)), **style)]

    def sign_artists(self) -> list[Any]:
        """The signs of the rows in view; of low rows, a tick for each, and a sign for neighbouring ones."""
        middle, box, height = self.middles(), self.axes.bbox, self.row_pixels()
        edges, low = self.columns(), self.rows_are_low()
        artists: list[Any] = []
        for sign, mask in self.signs.items():
            rows = np.flatnonzero(mask & (middle > box.y0) & (middle < box.y1))
            right, color = edges[sign], sign_color(sign, self.theme)
            places = middle[rows]
            if low:
                artists.append(ticks_at(right, places, max(height, 1.0), self.pixels(TICK_POINTS), color))
                places = middles_of_groups(rows, places, self.pixels(SIGN_POINTS))
                right -= self.pixels(2 * TICK_POINTS)
            artists.append(self.signs_at(right - self.pixels(SIGN_POINTS / 2), places, sign, color))
        return artists

    def signs_at(self, x: float, y: Float64Array, sign: str, color: str) -> PathCollection:
        """Signs at these heights."""
        marker = MarkerStyle(SIGN_SHAPES[sign])
        paths = [marker.get_path().transformed(marker.get_transform())]
        offsets = np.column_stack([np.full(len(y), x), y])
        style: dict[str, Any] = {"facecolors": color, "edgecolors": self.theme.background, "linewidths": 0.5}
        signs = PathCollection(paths, [SIGN_POINTS**2], offsets=offsets, offset_transform=IdentityTransform(), **style)
        signs.set_transform(IdentityTransform())
        return signs

    def get_window_extent(self, renderer: Any = None, dpi: Any = None) -> Bbox:
        """The box of texts and signs, for the layout."""
        box = self.axes.bbox
        return Bbox.from_extents(self.columns()["left"], box.y0, box.x0, box.y1)


def middles_of_groups(rows: Int64Array, places: Float64Array, size: float) -> Float64Array:
    """The middle of each group of neighbouring rows; groups whose signs would cover each other are one."""
    if not len(rows):
        return places
    begins = np.append(True, (np.diff(rows) > 1) & (np.abs(np.diff(places)) >= size))
    return np.bincount(np.cumsum(begins) - 1, places) / np.bincount(np.cumsum(begins) - 1)


def ticks_at(right: float, middle: Float64Array, height: float, width: float, color: str) -> PolyCollection:
    """Ticks of this size, to the left of ``right``, at these heights."""
    corners = [(-width, -height / 2), (0, -height / 2), (0, height / 2), (-width, height / 2)]
    boxes = [[(right + x, place + y) for x, y in corners] for place in middle.tolist()]
    return PolyCollection(boxes, facecolors=color, linewidths=0, transform=IdentityTransform())
