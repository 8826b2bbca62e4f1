"""The matplotlib look: the theme in light and dark, durations as text, and the time axis."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.ticker import Formatter, Locator

from tokenvis.errors import check_choice, plural

FONT = "DejaVu Sans"
SMALL_FIGURE = 7.5  # inches: up to this width, a column or a page of a paper, letters have 7 to 8 points

MICROSECONDS = {"d": 86_400_000_000, "h": 3_600_000_000, "m": 60_000_000, "s": 1_000_000, "ms": 1_000, "µs": 1}
SECOND, MINUTE, HOUR, DAY = (MICROSECONDS[unit] for unit in ("s", "m", "h", "d"))
TICK_WIDTH = 64.0  # points that a tick's label takes at the least
Clock: TypeAlias = Literal["elapsed", "clock", "step"]


@dataclass(frozen=True)
class Look:
    """The colours of a picture, apart from those that stand for names."""

    ink: str
    quiet: str
    rule: str
    shade: str
    paper: str
    error: str
    accent: str  # what has no name
    ramp: str  # the colormap of amounts


LIGHT = Look("#23262d", "#666d79", "#e3e6ea", "#f5f6f8", "#ffffff", "#c81e3a", "#7f9cc8", "YlGnBu")
DARK = Look("#eceef2", "#9aa2b1", "#343944", "#1f232b", "#16191f", "#ff5c72", "#5f7fb3", "YlGnBu_r")
LOOKS = {"light": LIGHT, "dark": DARK}


@dataclass(frozen=True)
class Sizes:
    """The sizes of letters, in points."""

    title: float
    text: float
    tick: float
    bar: float


NORMAL = Sizes(title=12, text=9, tick=8.5, bar=7.5)
SMALL = Sizes(title=8, text=7.5, tick=7, bar=7)


def theme(look: Literal["light", "dark"] = "light") -> Any:
    """The look of every picture, as settings for `matplotlib.rc_context`.

    Parameters
    ----------
    look
        "light" or "dark". A picture is dark where its figure is: inside ``rc_context(theme("dark"))``, under a dark style of
        matplotlib's, or on Axes of a dark figure.

    Returns
    -------
    dict
        Settings of matplotlib. Text stays text in PDF and SVG (font type 42).

    Raises
    ------
    BadOption
        Another look.

    Examples
    --------
    >>> theme()["axes.spines.top"], theme("dark")["figure.facecolor"]
    (False, '#16191f')
    """
    check_choice("look", look, LOOKS)
    return settings(LOOKS[look], NORMAL)


def settings(look: Look, sizes: Sizes) -> Any:
    """Colours and sizes as settings of matplotlib."""
    return {
        "axes.axisbelow": True,
        "axes.edgecolor": look.rule,
        "axes.facecolor": look.paper,
        "axes.labelcolor": look.quiet,
        "axes.labelsize": sizes.text,
        "axes.linewidth": 0.8,
        "axes.spines.left": False,
        "axes.spines.right": False,
        "axes.spines.top": False,
        "axes.titlecolor": look.ink,
        "axes.titlelocation": "left",
        "axes.titlesize": sizes.title,
        "axes.titleweight": "bold",
        "figure.facecolor": look.paper,
        "font.family": ["sans-serif"],
        "font.sans-serif": [FONT],
        "font.size": sizes.text,
        "grid.color": look.rule,
        "grid.linewidth": 0.8,
        "legend.fontsize": sizes.text,
        "legend.frameon": False,
        "legend.labelcolor": look.ink,
        "pdf.fonttype": 42,
        "savefig.facecolor": look.paper,
        "svg.fonttype": "none",
        "text.color": look.ink,
        "text.parse_math": False,
        "xtick.color": look.rule,
        "xtick.labelcolor": look.quiet,
        "xtick.labelsize": sizes.tick,
        "ytick.color": look.rule,
        "ytick.labelcolor": look.ink,
        "ytick.labelsize": sizes.text,
    }


def look_of(axes: Axes | None) -> Look:
    """Light or dark, as the figure is; before there is one, as matplotlib would make it."""
    paper = mpl.rcParams["figure.facecolor"] if axes is None else axes.figure.figure.get_facecolor()
    red, green, blue, opacity = to_rgba(paper)
    return DARK if opacity and luminance((red, green, blue)) < 0.2 else LIGHT


def luminance(color: Any) -> float:
    """Relative luminance of a colour as in WCAG 2: 0 is black, 1 is white."""
    channels = np.array(to_rgba(color)[:3])
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ (0.2126, 0.7152, 0.0722))


def sizes_of(axes: Axes) -> Sizes:
    """Sizes of letters that suit the width of the figure."""
    return SMALL if axes.figure.bbox.width / axes.figure.dpi <= SMALL_FIGURE else NORMAL


@contextmanager
def themed(axes: Axes | None) -> Iterator[Look]:
    """Draw in the look that fits these Axes, or a new figure; nothing global changes.

    The first pyplot call may set up a notebook's backend, which makes matplotlib interactive, which ``rc_context`` would take
    back, and every figure after the first would stay unseen.
    """
    plt.draw_if_interactive()  # type: ignore[no-untyped-call]
    look = look_of(axes)
    with mpl.rc_context(settings(look, NORMAL if axes is None else sizes_of(axes))):
        yield look


def dress(axes: Axes) -> None:
    """Give an Axes that was made under other settings the look of the theme."""
    look = settings(look_of(axes), sizes_of(axes))
    axes.set_facecolor(look["axes.facecolor"])
    axes.set_axisbelow(look["axes.axisbelow"])
    for side, spine in axes.spines.items():
        spine.set_visible(look.get(f"axes.spines.{side}", True))
        spine.set(color=look["axes.edgecolor"], linewidth=look["axes.linewidth"])
    for axis in ("x", "y"):
        colors = {"color": look[f"{axis}tick.color"], "labelcolor": look[f"{axis}tick.labelcolor"]}
        axes.tick_params(axis=axis, labelsize=look[f"{axis}tick.labelsize"], **colors)
    for label in (axes.xaxis.label, axes.yaxis.label):
        label.set(color=look["axes.labelcolor"], size=look["axes.labelsize"])
    axes.grid(color=look["grid.color"], linewidth=look["grid.linewidth"])


def duration_text(microseconds: float) -> str:
    """A duration in one or two units: "8 s", "1m 30s", "3h 12m", "250 ms"."""
    for large, small in (("d", "h"), ("h", "m"), ("m", "s")):
        whole, rest = divmod(round(microseconds / MICROSECONDS[small]), MICROSECONDS[large] // MICROSECONDS[small])
        if whole:
            return f"{whole}{large} {rest}{small}" if rest else f"{whole}{large}"
    for unit in ("s", "ms", "µs"):
        number = f"{microseconds / MICROSECONDS[unit]:.3g}"
        if float(number) >= 1:
            return f"{number} {unit}"
    return "0 s"


def steps_text(steps: int) -> str:
    """A duration in steps."""
    return plural(steps, "step")


def duration_of(time_unit: Literal["auto", "step"]) -> Callable[[int], str]:
    """How durations read in a unit of time."""
    check_choice("time_unit", time_unit, ("auto", "step"))
    return steps_text if time_unit == "step" else duration_text


def offset_text(microseconds: int) -> str:
    """A time since the origin, exact: "0", "1m 30s", "2.5 s", "3h 2m"."""
    sign, rest = ("−" if microseconds < 0 else ""), abs(microseconds)
    if rest < MINUTE:
        unit = next((unit for unit in ("s", "ms", "µs") if rest >= MICROSECONDS[unit]), "")
        return f"{sign}{rest / MICROSECONDS[unit]:.9g} {unit}" if unit else "0"
    parts = []
    for unit in ("d", "h", "m"):
        count, rest = divmod(rest, MICROSECONDS[unit])
        if count:
            parts.append(f"{count}{unit}")
    if rest:
        parts.append(f"{rest / SECOND:.9g}s")
    return sign + " ".join(parts)


def nice_step(least: float, *, decimal: bool = False) -> int:
    """The smallest step that reads well and is at least so long: 1, 2, 5 of a unit, then 15 and 30 s, 6 and 12 h, ..."""
    least = max(least, 1.0)
    steps = [] if decimal else [n * SECOND for n in (1, 2, 5, 10, 15, 30)] + [n * MINUTE for n in (1, 2, 5, 10, 15, 30)]
    steps += [] if decimal else [n * HOUR for n in (1, 2, 3, 6, 12)]
    base = 1 if decimal or least <= SECOND // 2 else DAY
    steps += [n * base * 10**power for power in range(19) for n in (1, 2, 5)]
    return min(step for step in steps if step >= least)


class TimeLocator(Locator):
    """Ticks at round times, in each stretch of time that the axis shows; none inside a fold."""

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
        """Tick places for the axis as it is now."""
        low, high = sorted(self.axis.get_view_interval())
        return self.tick_values(low, high)

    def tick_values(self, vmin: float, vmax: float) -> list[float]:
        """Tick places between two places."""
        if vmax <= vmin:
            return [vmin]
        points = 640.0 if self.axis is None else self.axis.axes.bbox.width * 72 / self.axis.axes.figure.dpi
        step = nice_step((vmax - vmin) * TICK_WIDTH / max(points, TICK_WIDTH), decimal=self.decimal)
        low, high = self.to_offset(np.array([vmin, vmax], dtype=float)).tolist()
        starts = [low, *(start for start, _ in self.segments[1:])]
        ends = [*(end for _, end in self.segments[:-1]), high]
        places: list[float] = []
        for start, end in zip(starts, ends, strict=True):
            first, last = max(start, low), min(end, high)
            if first <= last:
                places += self.round_times(first, last, step, places[-1] if places else -np.inf)
        return places

    def round_times(self, first: float, last: float, step: int, after: float) -> list[float]:
        """Places of the round times of a stretch that keep their distance from the tick before."""
        counts = np.arange(np.ceil((first + self.shift) / step), np.floor((last + self.shift) / step) + 1)
        places = self.to_x(counts * step - self.shift)
        return [place for place in places.tolist() if place - after >= 0.85 * step] if len(places) else []


class ElapsedFormatter(Formatter):
    """Labels of round times as time since the origin, or as plain step numbers."""

    def __init__(self, to_offset: Callable[[Any], Any], *, decimal: bool) -> None:
        self.to_offset, self.decimal = to_offset, decimal

    def __call__(self, x: float, pos: int | None = None) -> str:
        """Label at a place."""
        offset = round(float(self.to_offset(np.array([x]))[0]))
        return f"{offset:,}" if self.decimal else offset_text(offset)


class ClockFormatter(Formatter):
    """Labels as clock time in a time zone; the date stands under the first tick and where the day changes."""

    def __init__(self, to_offset: Callable[[Any], Any], *, origin: int, tz: str) -> None:
        self.to_offset, self.origin, self.tz = to_offset, origin, tz

    def __call__(self, x: float, pos: int | None = None) -> str:
        """Label at a place."""
        return self.format_ticks([x])[0]

    def format_ticks(self, values: Sequence[float]) -> list[str]:
        """Labels of all ticks."""
        offsets = np.round(self.to_offset(np.asarray(values, dtype=float))).astype(np.int64)
        moments = pd.to_datetime(offsets + self.origin, unit="us", utc=True).tz_convert(self.tz)
        form = "%H:%M:%S" if (moments.second + moments.microsecond).any() else "%H:%M"
        labels = []
        day = None
        for moment in moments:
            text = moment.strftime(form)
            if moment.microsecond:
                text += f".{moment.microsecond:06d}".rstrip("0")
            labels.append(text if moment.date() == day else f"{text}\n{moment.day} {moment.strftime('%b %Y')}")
            day = moment.date()
        return labels


def set_time_axis(axes: Axes, mapping: Any, *, time: Clock, tz: str) -> None:
    """Give an Axes the time axis of a time map (`tokenvis.layout.time_map.TimeMap`)."""
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
    axes.set_xlabel(f"{label}, idle gaps folded" if len(mapping.folds) else label)
