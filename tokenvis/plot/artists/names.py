"""Names along an axis: of bands, and of the rows and columns of a matrix. They are shortened so that they stay different.

Space depends on the size and the zoom, so the font, the cuts and the choice of the names are computed when they are drawn.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator
from matplotlib.transforms import Bbox

from tokenvis.layout.lanes import Placement
from tokenvis.plot.artists.fonts import families_of
from tokenvis.plot.artists.style import ThemeColors, font_sizes, theme_colors
from tokenvis.plot.artists.text import MIN_FONT_POINTS, MISSING_NAME, drawable, glyph, shorten_name, text_width
from tokenvis.plot.artists.title import draw_note

MAX_NAME_SHARE = 0.22  # of the figure's width, for names at the left
MAX_VERTICAL_INCHES, MIN_VERTICAL_INCHES = 1.6, 0.4  # for vertical names below
OTHER_INCHES = 1.2  # of the figure's height, for the title and the lines below; vertical names take up to half of the rest
LINE_EMS = 1.15  # from a name to the next
MAX_END_LETTERS = 200  # of a long name, those that are looked at: the first, and the last
MAX_ROUNDS = 3  # of names that look the same
MAX_WORD_LETTERS = 8  # of a word, those before the first different one


def shortened_names(names: Sequence[str], points: float, size: float) -> list[str]:
    """The names as drawable texts at a font size, cut to a width in points; different names are different texts.

    A name is cut in the middle. If names look the same then, they are cut where they differ; if they still do, they get
    numbers. The texts do not depend on the order of the names. If there is space for a few letters only, a text that has to
    differ from others may be wider.
    """
    texts = {name: shorten_name(ends_of(name), points, size) for name in sorted(set(names))}
    for _ in range(MAX_ROUNDS):
        for group in names_that_look_the_same(texts):
            first = first_difference(group[0], group[-1])
            texts |= {name: cut_around(name, first, points / size) for name in group}
    taken = {look_of(text) for text in texts.values()}
    for group in names_that_look_the_same(texts):
        number = 0
        for name in group:
            while look_of(text := with_number(name, number := number + 1, points / size)) in taken:
                pass
            texts[name] = text
            taken.add(look_of(text))
    return [texts[name] for name in names]


def ends_of(name: str) -> str:
    """A name as a drawable text, without the middle of a very long one."""
    if len(name) <= 2 * MAX_END_LETTERS:
        return drawable(name, len(name))
    return f"{drawable(name[:MAX_END_LETTERS])}…{drawable(name[-MAX_END_LETTERS:])}"


def look_of(text: str) -> str:
    """What can be seen of a text: the number of blanks cannot."""
    return " ".join(text.split())


def names_that_look_the_same(texts: Mapping[str, str]) -> list[list[str]]:
    """The groups of names, in their order, that have the same text."""
    groups: dict[str, list[str]] = {}
    for name, text in texts.items():
        groups.setdefault(look_of(text), []).append(name)
    return [group for group in groups.values() if len(group) > 1]


def first_difference(one: str, other: str) -> int:
    """The number of letters that two texts have in common at the start."""
    return bisect_left(range(1, min(len(one), len(other)) + 1), 1, key=lambda n: one[:n] != other[:n])


def n_fitting(text: str, ems: float) -> int:
    """How many letters of a text fit into a width in ems."""
    return bisect_right(list(accumulate(glyph(letter)[1] for letter in text)), ems)


def cut_around(name: str, first: int, ems: float) -> str:
    """A name cut to a width in ems, so that the letter at the position ``first`` is shown."""
    if text_width(ends_of(name), 1.0) <= ems:
        return ends_of(name)
    ellipsis = glyph("…")[1]
    word = first
    while word and first - word < MAX_WORD_LETTERS and name[word - 1].isalnum():
        word -= 1
    n_shown = n_fitting(name[word : first + MAX_END_LETTERS], ems * 2 / 3 - 2 * ellipsis)
    if n_shown <= first - word:
        word, n_shown = first, 1
    rest = drawable(name[word : word + n_shown]) + "…" * (word + n_shown < len(name))
    before = name[:word] if word <= MAX_END_LETTERS else name[:MAX_END_LETTERS]
    n_before = n_fitting(before, ems - text_width(rest, 1.0) - ellipsis)
    return drawable(name[:n_before]) + "…" * (n_before < word) + rest


def with_number(name: str, number: int, ems: float) -> str:
    """A name with a number, cut to a width in ems."""
    text, suffix = ends_of(name), f" #{number}"
    room = ems - text_width(suffix, 1.0)
    if text_width(text, 1.0) <= room:
        return text + suffix
    return f"{text[: n_fitting(text, room - glyph('…')[1])]}…{suffix}"


class FittedNames(NamedTuple):
    """How the names of an axis fit into the current view."""

    size: float
    rotation: int
    points: float  # the maximum width of a name
    shown: Any  # positions
    n_in_view: int

    def is_tight(self) -> bool:
        """Whether a little less space would leave names out."""
        return self.size < 1.25 * MIN_FONT_POINTS


class NameTicks(FixedLocator):
    """Ticks with names: all in the view, in a font that may be smaller; if even the smallest is too large, as many as fit.

    The names of columns are vertical if they are wider than the columns.
    """

    axis: Any

    def __init__(self, positions: Any, names: Sequence[str]) -> None:
        order = np.argsort(positions, kind="stable")
        self.positions = np.asarray(positions, dtype=float)[order]
        super().__init__(self.positions.tolist())
        self.names = [names[place] for place in order]
        self.full_ems = max((text_width(ends_of(name), 1.0) for name in names), default=0.0)
        self.fitted: tuple[Any, FittedNames] | None = None
        self.texts: tuple[Any, dict[float, str]] = None, {}

    def __call__(self) -> Any:
        """Positions of the names that are shown in the current view."""
        fitted = self.fit()
        for tick in self.axis.get_major_ticks(len(fitted.shown)):
            tick.label1.set_parse_math(False)
        return fitted.shown

    def fit(self) -> FittedNames:
        """Fit the names into the current view."""
        ax = self.axis.axes
        key = (*self.axis.get_view_interval(), *ax.bbox.size, *ax.figure.bbox.size, ax.figure.dpi)
        if self.fitted is None or self.fitted[0] != key:
            self.fitted = key, (fitted := self.fit_again())
            self.axis.set_tick_params(labelsize=fitted.size, labelrotation=fitted.rotation)
        return self.fitted[1]

    def fit_again(self) -> FittedNames:
        """Fit the names into the current view, which has changed."""
        ax = self.axis.axes
        is_row = self.axis is ax.yaxis
        width, height = (inches / ax.figure.dpi * 72 for inches in ax.figure.bbox.size)
        low, high = sorted(self.axis.get_view_interval())
        in_view = self.positions[(self.positions >= low) & (self.positions <= high)]
        points_per_unit = (ax.bbox.height if is_row else ax.bbox.width) / ax.figure.dpi * 72 / ((high - low) or 1.0)
        gap = float(np.diff(in_view).min(initial=np.inf)) * points_per_unit
        normal = font_sizes(ax).text
        widest = min(gap, (high - low) * points_per_unit)
        if not is_row and self.full_ems * normal <= 0.95 * widest:
            return FittedNames(normal, 0, widest, in_view, len(in_view))
        size = min(normal, max(gap / LINE_EMS, MIN_FONT_POINTS))
        shown: list[float] = []
        for position in in_view.tolist():
            if not shown or (position - shown[-1]) * points_per_unit >= LINE_EMS * size - 0.01:
                shown.append(position)
        inches = min(max((height / 72 - OTHER_INCHES) / 2, MIN_VERTICAL_INCHES), MAX_VERTICAL_INCHES)
        points = MAX_NAME_SHARE * width if is_row else inches * 72
        return FittedNames(size, 0 if is_row else 90, points, np.array(shown), len(in_view))

    def name_at(self, position: float, _: Any) -> str:
        """The name at a position of the axis, empty if there is none."""
        fitted = self.fit()
        key = fitted.points, fitted.size
        if self.texts[0] != key:
            self.texts = key, dict(zip(self.positions.tolist(), shortened_names(self.names, *key), strict=True))
        return self.texts[1].get(float(position), "")

    def messages(self) -> list[str]:
        """The note on names that are not shown."""
        if self.axis.get_major_locator() is not self:
            return []  # other code has set its own ticks
        fitted = self.fit()
        noun = "names" if self.axis is self.axis.axes.yaxis else "names of columns"
        n_shown = len(fitted.shown)
        return [f"{n_shown:,} of {fitted.n_in_view:,} {noun} shown"] if n_shown < fitted.n_in_view else []


class NameSpace(Artist):
    """The space for all names of an axis where some may be left out: which are shown depends on the layout."""

    axes: Any

    def __init__(self, ticks: NameTicks) -> None:
        super().__init__()
        self.ticks = ticks
        self.set_clip_on(False)

    def get_window_extent(self, renderer: Any = None) -> Bbox:
        """The box of the widest name, for the layout."""
        ticks, box = self.ticks, self.axes.bbox
        if ticks.axis.get_major_locator() is not ticks or not (fitted := ticks.fit()).is_tight():
            return Bbox(box.get_points())
        names = [ticks.name_at(position, None) for position in ticks.positions.tolist()]
        points = max(text_width(name, fitted.size) for name in names) + ticks.axis.get_major_ticks(1)[0].get_pad()
        pixels = points * self.axes.figure.dpi / 72
        if ticks.axis is self.axes.yaxis:
            return Bbox.from_extents(box.x0 - pixels, box.y0, box.x1, box.y1)
        return Bbox.from_extents(box.x0, box.y0 - pixels, box.x1, box.y1)


def draw_names(axis: Any, positions: Any, names: Sequence[str]) -> None:
    """Draw names along an axis, cut if they are long; a note says how many do not fit."""
    ax = axis.axes
    ticks = NameTicks(positions, names)
    axis.set_major_locator(ticks)
    axis.set_major_formatter(ticks.name_at)
    families = families_of("".join(map(ends_of, names)))
    axis.set_tick_params(length=0, pad=8, labelcolor=theme_colors(ax).text, labelfontfamily=families)
    ax.add_artist(NameSpace(ticks))
    draw_note(ax, [ticks], theme_colors(ax))


def draw_bands(ax: Axes, placement: Placement, theme: ThemeColors) -> None:
    """Shade every second band, and draw all names on the left."""
    bands = placement.bands
    for top, height in zip(bands["top"][::2], bands["height"][::2], strict=True):
        ax.axhspan(top - 0.2, top + height + 0.2, color=theme.shading, linewidth=0, zorder=0)
    names = [MISSING_NAME if pd.isna(name) else str(name) for name in bands["band"]]
    draw_names(ax.yaxis, bands["top"] + bands["height"] / 2, names)
    ax.set_ylim(placement.height + 0.2, -0.2)
