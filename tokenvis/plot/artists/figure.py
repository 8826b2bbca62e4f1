"""The figure: its size, which fits its content, and its Axes."""

import matplotlib.pyplot as plt
from matplotlib.axes import Axes

from tokenvis.errors import BadOption, quoted
from tokenvis.plot.artists.style import Look, dress, sizes_of

WIDTH_INCHES = 11.0
PAGE_INCHES = 14.0  # the bands of a new figure are at most so high
LANE_POINTS = 3.0  # and a lane at least
LEGEND_INCHES = 0.2  # a line of the legend


def new_axes(inches: float, *, width: float = WIDTH_INCHES) -> Axes:
    """Axes of a new figure whose content is so high."""
    return plt.subplots(figsize=(width, inches + 0.95), layout="constrained")[1]


def check_axes(ax: object) -> None:
    """Raise `BadOption` unless this is an Axes, or nothing."""
    if ax is not None and not isinstance(ax, Axes):
        raise BadOption(f"ax={quoted(type(ax).__name__)} is no matplotlib Axes. plt.subplots() gives one, or an array of them.")


def room_on(ax: Axes | None) -> tuple[float, float]:
    """How many lanes fit onto the Axes, or the largest new figure, and how many pixels wide it is."""
    if ax is None:
        return PAGE_INCHES * 72 / LANE_POINTS, WIDTH_INCHES * 0.8 * plt.rcParams["figure.dpi"]
    return ax.bbox.height / ax.figure.dpi * 72 / LANE_POINTS, ax.bbox.width


def draw_empty(ax: Axes, look: Look, what: str = "This trace is empty.") -> Axes:
    """Say that there is nothing."""
    dress(ax)
    ax.text(0.5, 0.5, what, transform=ax.transAxes, ha="center", va="center", color=look.quiet, fontsize=sizes_of(ax).text + 2)
    ax.set_xticks([])
    ax.set_yticks([])
    ax.set_label(what)
    return ax


def height_of(lanes: float, n_handles: int) -> float:
    """Inches that so many lanes, and a legend, take in a new figure: lanes shrink from 7 inches on."""
    wanted = min(lanes * 0.28, max(7.0, lanes * 0.1))
    return min(max(wanted, n_handles * LEGEND_INCHES, 1.2), PAGE_INCHES)
