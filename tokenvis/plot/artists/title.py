"""The title of a picture, the note below it, and its description for people who cannot see it."""

from collections.abc import Iterable
from functools import partial
from typing import Any

import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backend_bases import RendererBase
from matplotlib.text import Text

from tokenvis.errors import plural
from tokenvis.plot.artists.fonts import families_of
from tokenvis.plot.artists.notes import Note, Reporter
from tokenvis.plot.artists.style import ThemeColors, font_sizes
from tokenvis.plot.artists.text import drawable, fit_text, left_edge, text_extent, text_width
from tokenvis.spans.columns import codes_of, trace_names_in

BOLD_WIDTH_FACTOR = 1.15  # width of bold text, relative to regular text
MAX_TITLE_CHARACTERS = 80
MAX_DESCRIBED_CHARACTERS = 200  # of a name in a description
SHORT_UNITS = ("G", 999_500_000, 10**9), ("M", 999_500, 10**6), ("k", 10_000, 1_000)  # from which number, and how large


def describe(ax: Axes, *sentences: str) -> None:
    """Set a description of a sentence or two, for people who cannot see the picture, as ``ax.get_label()``."""
    ax.set_label(" ".join(drawable(" ".join(sentences), 1_000).split()))


def trace_title(spans: pd.DataFrame) -> str:
    """The name of the trace of the spans, else its id; of several traces, their number."""
    traces = codes_of(spans["trace_id"])[1]
    if len(traces) != 1:
        return plural(len(traces), "trace")
    trace_id = str(traces[0])
    name = trace_names_in(spans).get(trace_id, "")
    return trace_id if name.isspace() or not name else name


def described_name(text: object) -> str:
    """A name for a description."""
    return drawable(str(text), MAX_DESCRIBED_CHARACTERS)


def draw_title(ax: Axes, name: str, details: str, theme: ThemeColors) -> None:
    """Draw a name, cut if necessary, and details if both fit."""
    sizes = font_sizes(ax)
    name = drawable(name, MAX_TITLE_CHARACTERS)
    points = ax.bbox.width / ax.figure.dpi * 72
    cut = fit_text(name, points, lambda text: text_width(text, sizes.title) * BOLD_WIDTH_FACTOR)
    style: dict[str, Any] = {"pad": 10, "parse_math": False}
    left = ax.set_title(cut, loc="left", color=theme.text, fontsize=sizes.title, fontweight="bold", **style)
    right = ax.set_title(details, loc="right", color=theme.muted, fontsize=sizes.text, fontweight="normal", **style)
    TitleFitter(ax, left, right, name, details)


def draw_note(ax: Axes, parts: Iterable[str | Reporter], theme: ThemeColors) -> None:
    """Draw a line below the picture about what it leaves out; it replaces an earlier one, and continues it."""
    earlier = [text for text in ax.texts if isinstance(text, Note)]
    for note in earlier:
        note.remove()
    said = [part for note in earlier for part in note.parts]
    Note(ax, [*said, *parts], size=font_sizes(ax).text, color=theme.muted)


def short_number(count: float, *, reference: float = 0) -> str:
    """A large number, short: "1,234", "12.9k", "12.9M"; in the unit of the larger of the number and ``reference``."""
    for unit, min_value, divisor in SHORT_UNITS:
        if max(abs(count), abs(reference)) >= min_value:
            number = count / divisor
            return (f"{number:,.0f}{unit}" if abs(number) >= 999.5 else f"{number:.3g}{unit}") if count else "0"
    return f"{round(count):,}"


def share_text(share: float) -> str:
    """A share as whole percents; only nothing is "0%", and only all is "100%"."""
    text = f"{share:.0%}"
    if text == "0%" and share > 0:
        return "<1%"
    return ">99%" if text == "100%" and share < 1 else text


def tick_number(value: float, _: Any, *, reference: float) -> str:
    """The label of a tick, in the unit of ``reference``."""
    return short_number(value, reference=reference)


def cost_text(cost: float) -> str:
    """A cost with two decimal places, or, if that would be 0.00, with two digits."""
    return f"{cost:,.2f}" if cost >= 0.01 or not cost else f"{cost:.2g}"


def column_title(column: str) -> str:
    """The name of a column in a title: "agent" for "agent_id"."""
    return column.removesuffix("_id")


class TitleFitter(Artist):
    """Fits the left title of Axes into their width, and hides the right title if the two would touch.

    A long title begins above the names at the left. A title that other code has changed stays as it is.
    """

    axes: Any

    def __init__(self, ax: Axes, left: Text, right: Text, name: str, details: str) -> None:
        super().__init__()
        self.titles = left, right
        self.full_texts = name, details
        for title, text in zip(self.titles, self.full_texts, strict=True):
            title.set_fontfamily(families_of(text))
        self.shown: list[str | None] = [left.get_text(), right.get_text()]  # None: set by other code
        self.set_zorder(-10)  # before the titles are drawn
        self.set_in_layout(False)
        ax.add_artist(self)

    def draw(self, renderer: RendererBase) -> None:
        """Fit the titles; the fitter itself draws nothing."""
        left, right = self.titles
        name, details = self.full_texts
        box = self.axes.bbox
        self.shown = [
            own_text if title.get_text() == own_text else None for title, own_text in zip(self.titles, self.shown, strict=True)
        ]
        if self.shown[0] is not None:
            is_wide = self.measure(left, name, renderer) > box.width
            start = left_edge(self.axes, renderer) if is_wide else box.x0
            self.shown[0] = fit_text(name, box.x1 - start, partial(self.measure, left, renderer=renderer))
            left.set(text=self.shown[0], x=(start - box.x0) / box.width)
        if self.shown[1] is not None:
            gap: Any = renderer.points_to_pixels(2 * left.get_fontsize())
            needed_width = self.measure(left, left.get_text(), renderer) + gap + self.measure(right, details, renderer)
            self.shown[1] = details if needed_width <= box.width else ""
            right.set_text(self.shown[1])
        self.stale = False

    @staticmethod
    def measure(title: Text, text: str, renderer: RendererBase) -> float:
        """The width of a text in the font of a title."""
        return text_extent(text, title.get_fontproperties(), renderer)
