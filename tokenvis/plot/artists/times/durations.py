"""Durations as text: of spans and gaps, and times since the origin of an axis."""

from collections.abc import Callable
from typing import Literal

from tokenvis.errors import check_choice, plural

MICROSECONDS_PER_UNIT = {"d": 86_400_000_000, "h": 3_600_000_000, "m": 60_000_000, "s": 1_000_000, "ms": 1_000, "µs": 1}
SECOND, MINUTE, HOUR, DAY = (MICROSECONDS_PER_UNIT[unit] for unit in ("s", "m", "h", "d"))
LARGE_UNITS = ("d", "h", MINUTE), ("h", "m", SECOND), ("m", "s", SECOND // 10)  # each with the next, and the precision below it
MINUS = "−"  # of negative times


def duration_text(microseconds: float) -> str:
    """A duration in one or two units: "8 s", "1m 30s", "3h 12m", "250 ms"; a negative one as "−8 s"."""
    if microseconds < 0:
        text = duration_text(-microseconds)
        return text if text == "0 s" else f"{MINUS}{text}"
    for large, small, precision in LARGE_UNITS:
        large_us, small_us = MICROSECONDS_PER_UNIT[large], MICROSECONDS_PER_UNIT[small]
        if round(microseconds / precision) * precision >= large_us:
            whole, rest = divmod(round(microseconds / small_us), large_us // small_us)
            return f"{whole:,}{large} {rest}{small}" if rest else f"{whole:,}{large}"
    for unit in ("s", "ms", "µs"):
        number = f"{microseconds / MICROSECONDS_PER_UNIT[unit]:.3g}"
        if float(number) >= 1:
            return f"{number} {unit}"
    return "0 s"


def steps_text(steps: int) -> str:
    """A duration in steps."""
    return f"{MINUS if steps < 0 else ''}{plural(abs(steps), 'step')}"


def duration_formatter(time_unit: Literal["auto", "step"]) -> Callable[[int], str]:
    """The function that formats durations in a unit of time."""
    check_choice("time_unit", time_unit, ("auto", "step"))
    return steps_text if time_unit == "step" else duration_text


def offset_text(microseconds: int) -> str:
    """A time since the origin, exactly: "0", "1m 30s", "2.5 s", "3h 2m"."""
    sign, rest = (MINUS if microseconds < 0 else ""), abs(microseconds)
    if rest < MINUTE:
        unit = next((unit for unit in ("s", "ms", "µs") if rest >= MICROSECONDS_PER_UNIT[unit]), "")
        return f"{sign}{rest / MICROSECONDS_PER_UNIT[unit]:.9g} {unit}" if unit else "0"
    parts = []
    for unit in ("d", "h", "m"):
        count, rest = divmod(rest, MICROSECONDS_PER_UNIT[unit])
        if count:
            parts.append(f"{count:,}{unit}")
    if rest:
        parts.append(f"{rest / SECOND:.9g}s")
    return sign + " ".join(parts)
