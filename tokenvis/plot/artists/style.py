"""The style of pictures: the matplotlib theme in light and dark, durations as text, and the time axis."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgb, to_rgba
from matplotlib.ticker import Formatter, Locator

from tokenvis.errors import check_choice, plural
from tokenvis.plot.artists.fonts import FONT, TEXT_AS_TEXT, THEME_FAMILIES, keep_text

SMALL_FIGURE_INCHES = 7.5  # figures up to this width (a column or a page of a paper) have text of 7 to 8 points

MICROSECONDS_PER_UNIT = {"d": 86_400_000_000, "h": 3_600_000_000, "m": 60_000_000, "s": 1_000_000, "ms": 1_000, "µs": 1}
SECOND, MINUTE, HOUR, DAY = (MICROSECONDS_PER_UNIT[unit] for unit in ("s", "m", "h", "d"))
MIN_TICK_WIDTH_POINTS = 64.0  # of a tick's label
TimeDisplay: TypeAlias = Literal["elapsed", "clock", "step"]


@dataclass(frozen=True)
class ThemeColors:
    """The colours of a picture, except those of names."""

    text: str
    muted: str
    grid: str
    shading: str
    background: str
    error: str
    accent: str  # for parts without a name
    colormap: str  # of amounts


LIGHT = ThemeColors("#23262d", "#666d79", "#e3e6ea", "#f5f6f8", "#ffffff", "#c81e3a", "#7f9cc8", "YlGnBu")
DARK = ThemeColors("#eceef2", "#9aa2b1", "#343944", "#1f232b", "#16191f", "#ff5c72", "#5f7fb3", "YlGnBu_r")
THEMES = {"light": LIGHT, "dark": DARK}


@dataclass(frozen=True)
class FontSizes:
    """Font sizes, in points."""

    title: float
    text: float
    tick: float
    bar: float


NORMAL_SIZES = FontSizes(title=12, text=9, tick=8.5, bar=7.5)
SMALL_SIZES = FontSizes(title=8, text=7.5, tick=7, bar=7)


def theme(look: Literal["light", "dark"] = "light") -> Any:
    """The style of all pictures, as settings for `matplotlib.rc_context`.

    Parameters
    ----------
    look
        "light" or "dark". A picture is dark if its figure is: inside ``rc_context(theme("dark"))``, with a dark style of
        matplotlib, or on Axes of a dark figure.

    Returns
    -------
    dict
        Settings of matplotlib. Text remains text in PDF and SVG (font type 42).

    Raises
    ------
    BadOption
        ``look`` is neither "light" nor "dark".

    Examples
    --------
    >>> theme()["axes.spines.top"], theme("dark")["figure.facecolor"]
    (False, '#16191f')
    """
    check_choice("look", look, THEMES)
    return rc_settings(THEMES[look], NORMAL_SIZES)


def rc_settings(colors: ThemeColors, sizes: FontSizes) -> Any:
    """Colours and font sizes as matplotlib settings."""
    return {
        "axes.axisbelow": True,
        "axes.edgecolor": colors.grid,
        "axes.facecolor": colors.background,
        "axes.labelcolor": colors.muted,
        "axes.labelsize": sizes.text,
        "axes.linewidth": 0.8,
        "axes.spines.left": False,
        "axes.spines.right": False,
        "axes.spines.top": False,
        "axes.titlecolor": colors.text,
        "axes.titlelocation": "left",
        "axes.titlesize": sizes.title,
        "axes.titleweight": "bold",
        "figure.facecolor": colors.background,
        "font.family": list(THEME_FAMILIES),
        "font.sans-serif": [FONT],
        "font.size": sizes.text,
        "grid.color": colors.grid,
        "grid.linewidth": 0.8,
        "legend.fontsize": sizes.text,
        "legend.frameon": False,
        "legend.labelcolor": colors.text,
        "savefig.facecolor": colors.background,
        "text.color": colors.text,
        "text.parse_math": False,
        "xtick.color": colors.grid,
        "xtick.labelcolor": colors.muted,
        "xtick.labelsize": sizes.tick,
        "ytick.color": colors.grid,
        "ytick.labelcolor": colors.text,
        "ytick.labelsize": sizes.text,
    } | TEXT_AS_TEXT


def theme_colors(axes: Axes | None) -> ThemeColors:
    """Light or dark, by the figure's background; without Axes, by the background of a new figure."""
    background = mpl.rcParams["figure.facecolor"] if axes is None else axes.figure.figure.get_facecolor()
    red, green, blue, opacity = to_rgba(background)
    return DARK if opacity and luminance((red, green, blue)) < 0.2 else LIGHT


def luminance(color: Any) -> float:
    """Relative luminance of a colour as in WCAG 2: 0 is black, 1 is white."""
    channels = np.array(to_rgba(color)[:3])
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ (0.2126, 0.7152, 0.0722))


def blend_colors(color: Any, background: str, share: float) -> str:
    """A colour with this share on a background."""
    return to_hex(tuple(np.array(to_rgb(color)) * share + np.array(to_rgb(background)) * (1 - share)))


def font_sizes(axes: Axes) -> FontSizes:
    """The font sizes for the width of the figure."""
    return SMALL_SIZES if axes.figure.bbox.width / axes.figure.dpi <= SMALL_FIGURE_INCHES else NORMAL_SIZES


@contextmanager
def themed(axes: Axes | None) -> Iterator[ThemeColors]:
    """Draw in the theme of these Axes, or of a new figure, without changing global settings.

    The first pyplot call may set up a notebook's backend, which makes matplotlib interactive. Inside ``rc_context`` that
    setting would be reverted, and every figure after the first would not be shown.
    """
    plt.draw_if_interactive()  # type: ignore[no-untyped-call]
    colors = theme_colors(axes)
    with mpl.rc_context(rc_settings(colors, NORMAL_SIZES if axes is None else font_sizes(axes))):
        yield colors


def apply_theme(axes: Axes) -> None:
    """Apply the theme to Axes that were created under other settings."""
    keep_text(axes.figure.figure)
    settings = rc_settings(theme_colors(axes), font_sizes(axes))
    axes.set_facecolor(settings["axes.facecolor"])
    axes.set_axisbelow(settings["axes.axisbelow"])
    for side, spine in axes.spines.items():
        spine.set_visible(settings.get(f"axes.spines.{side}", True))
        spine.set(color=settings["axes.edgecolor"], linewidth=settings["axes.linewidth"])
    for axis in ("x", "y"):
        tick_colors = {"color": settings[f"{axis}tick.color"], "labelcolor": settings[f"{axis}tick.labelcolor"]}
        axes.tick_params(axis=axis, labelsize=settings[f"{axis}tick.labelsize"], **tick_colors)
    for label in (axes.xaxis.label, axes.yaxis.label):
        label.set(color=settings["axes.labelcolor"], size=settings["axes.labelsize"])
    axes.grid(color=settings["grid.color"], linewidth=settings["grid.linewidth"])


def duration_text(microseconds: float) -> str:
    """A duration in one or two units: "8 s", "1m 30s", "3h 12m", "250 ms"."""
    for large, small in (("d", "h"), ("h", "m"), ("m", "s")):
        whole, rest = divmod(
            round(microseconds / MICROSECONDS_PER_UNIT[small]), MICROSECONDS_PER_UNIT[large] // MICROSECONDS_PER_UNIT[small]
        )
        if whole:
            return f"{whole}{large} {rest}{small}" if rest else f"{whole}{large}"
    for unit in ("s", "ms", "µs"):
        number = f"{microseconds / MICROSECONDS_PER_UNIT[unit]:.3g}"
        if float(number) >= 1:
            return f"{number} {unit}"
    return "0 s"


def steps_text(steps: int) -> str:
    """A duration in steps."""
    return plural(steps, "step")


def duration_formatter(time_unit: Literal["auto", "step"]) -> Callable[[int], str]:
    """The function that formats durations in a unit of time."""
    check_choice("time_unit", time_unit, ("auto", "step"))
    return steps_text if time_unit == "step" else duration_text


def offset_text(microseconds: int) -> str:
    """A time since the origin, exactly: "0", "1m 30s", "2.5 s", "3h 2m"."""
    sign, rest = ("−" if microseconds < 0 else ""), abs(microseconds)
    if rest < MINUTE:
        unit = next((unit for unit in ("s", "ms", "µs") if rest >= MICROSECONDS_PER_UNIT[unit]), "")
        return f"{sign}{rest / MICROSECONDS_PER_UNIT[unit]:.9g} {unit}" if unit else "0"
    parts = []
    for unit in ("d", "h", "m"):
        count, rest = divmod(rest, MICROSECONDS_PER_UNIT[unit])
        if count:
            parts.append(f"{count}{unit}")
    if rest:
        parts.append(f"{rest / SECOND:.9g}s")
    return sign + " ".join(parts)


def nice_step(min_step: float, *, decimal: bool = False) -> int:
    """The smallest round step that is at least ``min_step``: 1, 2, 5 of a unit, then 15 and 30 s, 6 and 12 h, ..."""
    min_step = max(min_step, 1.0)
    steps = [] if decimal else [n * SECOND for n in (1, 2, 5, 10, 15, 30)] + [n * MINUTE for n in (1, 2, 5, 10, 15, 30)]
    steps += [] if decimal else [n * HOUR for n in (1, 2, 3, 6, 12)]
    base = 1 if decimal or min_step <= SECOND // 2 else DAY
    steps += [n * base * 10**power for power in range(19) for n in (1, 2, 5)]
    return min(step for step in steps if step >= min_step)


class TimeLocator(Locator):
    """Ticks at round times in each visible stretch of time, none inside a fold."""

    axis: Any

    def __init__(
        self,
        segments: Sequence[tuple[float, float]],
        to_offset: Callable[[Any], Any],
        to_x: Callable[[Any], Any],
        *,
        decimal: bool = False,
        shift: int = 0,
    ) -> None:
        self.segments, self.to_offset, self.to_x = list(segments), to_offset, to_x
        self.decimal, self.shift = decimal, shift

    def __call__(self) -> list[float]:
        """Tick positions for the current view."""
        low, high = sorted(self.axis.get_view_interval())
        return self.tick_values(low, high)

    def tick_values(self, vmin: float, vmax: float) -> list[float]:
        """Tick positions between two positions."""
        if vmax <= vmin:
            return [vmin]
        points = 640.0 if self.axis is None else self.axis.axes.bbox.width * 72 / self.axis.axes.figure.dpi
        step = nice_step((vmax - vmin) * MIN_TICK_WIDTH_POINTS / max(points, MIN_TICK_WIDTH_POINTS), decimal=self.decimal)
        low, high = self.to_offset(np.array([vmin, vmax], dtype=float)).tolist()
        starts = [low, *(start for start, _ in self.segments[1:])]
        ends = [*(end for _, end in self.segments[:-1]), high]
        positions: list[float] = []
        for start, end in zip(starts, ends, strict=True):
            first, last = max(start, low), min(end, high)
            if first <= last:
                positions += self.round_times(first, last, step, positions[-1] if positions else -np.inf)
        return positions

    def round_times(self, first: float, last: float, step: int, after: float) -> list[float]:
        """Positions of the round times of a stretch that are far enough from the previous tick."""
        counts = np.arange(np.ceil((first + self.shift) / step), np.floor((last + self.shift) / step) + 1)
        positions = self.to_x(counts * step - self.shift)
        return [position for position in positions.tolist() if position - after >= 0.85 * step] if len(positions) else []


class ElapsedFormatter(Formatter):
    """Labels of round times as time since the origin, or as plain step numbers."""

    def __init__(self, to_offset: Callable[[Any], Any], *, decimal: bool) -> None:
        self.to_offset, self.decimal = to_offset, decimal

    def __call__(self, x: float, pos: int | None = None) -> str:
        """The label at a position."""
        offset = round(float(self.to_offset(np.array([x]))[0]))
        return f"{offset:,}" if self.decimal else offset_text(offset)


class ClockFormatter(Formatter):
    """Labels as clock time in a time zone, with the date under the first tick and at each change of day."""

    def __init__(self, to_offset: Callable[[Any], Any], *, origin: int, tz: str) -> None:
        self.to_offset, self.origin, self.tz = to_offset, origin, tz

    def __call__(self, x: float, pos: int | None = None) -> str:
        """The label at a position."""
        return self.format_ticks([x])[0]

    def format_ticks(self, values: Sequence[float]) -> list[str]:
        """The labels of all ticks."""
        offsets = np.round(self.to_offset(np.asarray(values, dtype=float))).astype(np.int64)
        timestamps = pd.to_datetime(offsets + self.origin, unit="us", utc=True).tz_convert(self.tz)
        time_format = "%H:%M:%S" if (timestamps.second + timestamps.microsecond).any() else "%H:%M"
        labels = []
        day = None
        for timestamp in timestamps:
            text = timestamp.strftime(time_format)
            if timestamp.microsecond:
                text += f".{timestamp.microsecond:06d}".rstrip("0")
            labels.append(text if timestamp.date() == day else f"{text}\n{timestamp.day} {timestamp.strftime('%b %Y')}")
            day = timestamp.date()
        return labels


def set_time_axis(axes: Axes, mapping: Any, *, time: TimeDisplay, tz: str) -> None:
    """Set the locator, formatter and label of a time axis for a time map (`tokenvis.layout.time_map.TimeMap`)."""
    decimal = time == "step"
    shift = 0
    formatter: Formatter = ElapsedFormatter(mapping.to_offset, decimal=decimal)
    if time == "clock":
        start = pd.Timestamp(mapping.origin, unit="us", tz="UTC").tz_convert(tz)
        shift = mapping.origin + int((start.tz_localize(None) - start.tz_convert(None)).total_seconds()) * SECOND
        formatter = ClockFormatter(mapping.to_offset, origin=mapping.origin, tz=tz)
    axes.xaxis.set_major_locator(
        TimeLocator(mapping.segments, mapping.to_offset, mapping.offset_to_x, decimal=decimal, shift=shift)
    )
    axes.xaxis.set_major_formatter(formatter)
    label = {"elapsed": "elapsed time", "clock": f"time ({tz})", "step": "step"}[time]
    folded = "gaps without work folded" if mapping.folds_waits else "idle gaps folded"
    axes.set_xlabel(f"{label}, {folded}" if len(mapping.folds) else label)
