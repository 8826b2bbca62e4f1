"""The figure: its Axes, and its size, which fits the content."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tokenvis.errors import BadOption, quoted
from tokenvis.plot.artists.fonts import families_of
from tokenvis.plot.artists.style import ThemeColors, apply_theme, font_sizes
from tokenvis.plot.artists.text import drawable
from tokenvis.spans.losses import Losses, losses_of, no_spans_sentence, recorded_spans

FIGURE_WIDTH_INCHES = 11.0
MAX_BANDS_INCHES = 14.0  # height of the bands of a new figure
MIN_LANE_POINTS = 3.0  # height of a lane
LEGEND_LINE_INCHES = 0.2  # height of a line of the legend

is_hidden: ContextVar[bool] = ContextVar("is_hidden", default=False)


@contextmanager
def hidden_figures() -> Iterator[None]:
    """Create figures that pyplot does not know.

    A notebook shows the figures that pyplot knows after each cell, and after each message of a widget, which another thread
    may handle while a figure is drawn.
    """
    token = is_hidden.set(True)
    try:
        yield
    finally:
        is_hidden.reset(token)


def new_axes(inches: float, *, width: float = FIGURE_WIDTH_INCHES) -> Axes:
    """The Axes of a new figure for content of this height."""
    create = Figure if is_hidden.get() else plt.figure
    axes: Axes = create(figsize=(width, inches + 0.95), layout="constrained").subplots()
    return axes


def check_axes(ax: object) -> None:
    """Raise `BadOption` unless ``ax`` is an Axes or None."""
    if ax is not None and not isinstance(ax, Axes):
        raise BadOption(
            f"ax={quoted(type(ax).__name__)} is not a matplotlib Axes. plt.subplots() returns one, or an array of them."
        )


def available_lanes_and_pixels(ax: Axes | None) -> tuple[float, float]:
    """The number of lanes that fit onto the Axes, or onto the largest new figure, and the width in pixels."""
    if ax is None:
        return MAX_BANDS_INCHES * 72 / MIN_LANE_POINTS, FIGURE_WIDTH_INCHES * 0.8 * plt.rcParams["figure.dpi"]
    return ax.bbox.height / ax.figure.dpi * 72 / MIN_LANE_POINTS, ax.bbox.width


def draw_empty(ax: Axes, theme: ThemeColors, spans: pd.DataFrame, losses: Losses | None = None, reason: str = "") -> Axes:
    """Show why there is no content: ``reason``, or if there are no spans, why not.

    ``losses`` are the loss markers of the frame; by default they are looked up in ``spans``.
    """
    losses = losses or losses_of(spans)
    sentences = [reason, *losses.sentences()] if len(recorded_spans(spans)) else [no_spans_sentence(spans, losses)]
    return draw_message(ax, theme, " ".join(sentences))


def draw_message(ax: Axes, theme: ThemeColors, message: str) -> Axes:
    """Show a message instead of content."""
    apply_theme(ax)
    style: dict[str, Any] = {"color": theme.muted, "fontsize": font_sizes(ax).text + 2, "parse_math": False}
    shown = drawable(message, len(message))
    style |= {"transform": ax.transAxes, "ha": "center", "va": "center", "wrap": True, "fontfamily": families_of(shown)}
    text = ax.text(0.5, 0.5, shown, **style)
    text.set_in_layout(False)
    ax.set_xticks([])
    ax.set_yticks([])
    ax.spines[:].set_visible(False)
    ax.set_label(text.get_text())
    return ax


def height_inches(lanes: float, n_handles: int) -> float:
    """The height of lanes and a legend in a new figure, in inches: above 7 inches, lanes shrink."""
    inches = min(lanes * 0.28, max(7.0, lanes * 0.1))
    return min(max(inches, n_handles * LEGEND_LINE_INCHES, 1.2), MAX_BANDS_INCHES)
