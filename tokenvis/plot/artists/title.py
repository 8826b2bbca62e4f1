"""The title of a picture, the note below it, and its description for those who cannot see it."""

from collections.abc import Callable
from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from tokenvis.errors import plural
from tokenvis.plot.artists.style import Look, sizes_of
from tokenvis.plot.artists.text import Heading, Note, drawable, fitted, width_of
from tokenvis.spans.columns import codes_of

BOLD = 1.15  # how much wider bold letters are
LONGEST_TITLE = 80  # characters
DESCRIBED = 200  # characters of a name in a description


def describe(ax: Axes, *sentences: str) -> None:
    """Put a sentence or two, for those who cannot see the picture, where ``ax.get_label()`` finds them."""
    ax.set_label(" ".join(drawable(" ".join(sentences), 1_000).split()))


def trace_name(spans: pd.DataFrame) -> str:
    """The trace that spans are of, or how many."""
    traces = codes_of(spans["trace_id"])[1]
    return str(traces[0]) if len(traces) == 1 else plural(len(traces), "trace")


def named(text: object) -> str:
    """A name in a description."""
    return drawable(str(text), DESCRIBED)


def draw_title(ax: Axes, name: str, figures: str, look: Look) -> None:
    """A name, cut where there is no room, and figures where there is room for both."""
    sizes = sizes_of(ax)
    name = drawable(name, LONGEST_TITLE)
    points = ax.bbox.width / ax.figure.dpi * 72
    cut = fitted(name, points, lambda text: width_of(text, sizes.title) * BOLD)
    style: dict[str, Any] = {"pad": 10, "parse_math": False}
    left = ax.set_title(cut, loc="left", color=look.ink, fontsize=sizes.title, fontweight="bold", **style)
    right = ax.set_title(figures, loc="right", color=look.quiet, fontsize=sizes.text, fontweight="normal", **style)
    Heading(ax, left, right, name, figures)


def draw_note(ax: Axes, says: Callable[[], list[str]], look: Look) -> None:
    """A line under the picture that says what it leaves out."""
    Note(ax, says, size=sizes_of(ax).text, color=look.quiet)


def large(count: float, *, beside: float = 0) -> str:
    """A large number, short: "1,234", "12.9k", "12.9M"; in the unit of the number that it stands beside."""
    for unit, least, size in (("G", 10**9, 10**9), ("M", 10**6, 10**6), ("k", 10**4, 10**3)):
        if max(abs(count), abs(beside)) >= least:
            return f"{count / size:.3g}{unit}" if count else "0"
    return f"{round(count):,}"


def plain(column: str) -> str:
    """The name of a column in a title: "agent_id" is "agent"."""
    return column.removesuffix("_id")
