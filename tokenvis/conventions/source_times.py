"""The times of one source: what their units and zones are, as far as the source leaves it open.

A number has no unit of its own. It fits a unit if it is then in the years 2000 to 2100, and fits at most one of s, ms, µs and
ns. A time in ISO 8601 without a zone is taken as UTC, which is a guess if other times of the source have a zone. What was
guessed is counted, and told once for a source.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from tokenvis.conventions.timestamps import UNITS, day_of, from_unit, is_number_text, iso_time
from tokenvis.errors import plural, quoted
from tokenvis.spans.columns import YEAR_2000, YEAR_2100

BOUNDS = {name: (YEAR_2000 / factor, YEAR_2100 / factor) for name, factor in UNITS.items()}
MIN_CLOSE, MIN_RATIO = 3, 100  # starts beside starts of 0; the least start through the time between the first and the last
RELATIVE_NS = 100 * 10**9


@dataclass
class SourceTimes:
    """The times of a source: how many have a zone, how many are numbers, and between which bounds; starts of 0 count apart.

    ``unit`` is that of numbers; the caller has given it if ``is_given``, and the format if ``has_format_unit``.
    """

    unit: str = "us"
    is_given: bool = False
    n_zoned: int = 0
    n_zoneless: int = 0
    n_numbers: int = 0
    n_zeros: int = 0
    lowest: Any = None
    highest: Any = None
    n_fractions: int = 0
    n_durations: int = 0
    has_format_unit: bool = False

    def time(self, value: Any) -> int:
        """A number of the unit, its digits, or an ISO 8601 time, in µs."""
        if isinstance(value, str) and not is_number_text(value):
            return self.iso(value)
        if not isinstance(value, int):
            self.n_fractions += has_fraction(value)
        return from_unit(value, self.unit)

    def start(self, value: Any) -> int:
        """A start time, whose number is evidence of its unit, in µs."""
        number = Decimal(value) if isinstance(value, str) and is_number_text(value) else value
        if isinstance(number, int | float | Decimal) and not isinstance(number, bool) and number == number:
            if number == 0:
                self.n_zeros += 1
                return self.time(value)
            self.n_numbers += 1
            self.lowest = number if self.lowest is None else min(self.lowest, number)
            self.highest = number if self.highest is None else max(self.highest, number)
        return self.time(value)

    def duration(self, value: Any, start: Any) -> int:
        """A duration as a number of the unit, in µs; its unit is open if the start is not a number."""
        self.n_durations += isinstance(start, str) and not is_number_text(start)
        return self.time(value)

    def iso(self, text: str) -> int:
        """An ISO 8601 time in µs."""
        time, is_zoned = iso_time(text)
        self.n_zoned += is_zoned
        self.n_zoneless += not is_zoned
        return time

    def epoch_start(self, value: Any, unit: str) -> int:
        """A start time in the unit of a format that has no other, or in ISO 8601, in µs."""
        self.unit, self.has_format_unit = unit, True
        return self.start(value)

    def early_start(self, value: Any) -> None:
        """Note a start time in nanoseconds, the only unit of a format, that is before the year 2000.

        Whole milliseconds of the first minutes are times of a clock that starts at 0.
        """
        number = int(value)
        if number >= RELATIVE_NS or number % 1_000_000:
            self.epoch_start(number, "ns")

    def other_unit(self) -> str | None:
        """The unit that all start times fit if it is not the unit in which they are read.

        Beside starts of 0, which may be missing ones or the begin of a simulation, several others that are close fit it.
        """
        unit = None if self.lowest is None else unit_of(self.lowest, self.highest)
        if self.n_zeros and unit and (self.n_numbers < MIN_CLOSE or (self.highest - self.lowest) * MIN_RATIO > self.lowest):
            return None
        return None if unit == self.unit else unit

    def comparison(self) -> str:
        """The lowest time in the unit in which it is read, and in the one that it fits, for a message."""
        other = self.other_unit() or self.unit
        fits = f"in {other!r} it is {day_of(from_unit(self.lowest, other))}"
        if self.lowest >= BOUNDS[self.unit][1]:
            return f"{quoted(str(self.lowest))} in {self.unit!r} would be after 2100; {fits}"
        return f"{quoted(str(self.lowest))} in {self.unit!r} would be {day_of(from_unit(self.lowest, self.unit))}; {fits}"

    def remarks(self) -> Iterator[str]:
        """What was guessed about the times, and how to say it."""
        if self.n_zoned and self.n_zoneless:
            have = "has" if self.n_zoneless == 1 else "have"
            yield (
                f"{self.n_zoneless:,} of {plural(self.n_zoned + self.n_zoneless, 'time')} {have} no zone, and "
                "UTC was assumed. Add the zone, such as +02:00"
            )
        if other := self.other_unit():
            hint = "" if self.has_format_unit else f". Pass unit={other!r} for that"
            yield f"{plural(self.n_numbers, 'time')} may be in another unit: {self.comparison()}{hint}"
        if self.is_given or self.has_format_unit:
            return
        hint = 'Pass unit="s" for seconds, "ms" for ms, "us" for µs'
        if self.n_fractions:
            yield f"{plural(self.n_fractions, 'number')} with a fraction counted as µs. {hint}"
        if self.n_durations:
            yield f"{plural(self.n_durations, 'duration')} beside dates counted as µs. {hint}"


def unit_of(lowest: Any, highest: Any) -> str | None:
    """The unit that all numbers between two fit, None if there is none."""
    return next((name for name, (first, end) in BOUNDS.items() if first <= lowest and highest < end), None)


def has_fraction(value: Any) -> bool:
    """Whether a number, or its digits, has a fraction."""
    if isinstance(value, float):
        return not value.is_integer()
    number = Decimal(value) if isinstance(value, str) else value
    return isinstance(number, Decimal) and number.is_finite() and abs(number) < 10**25 and number % 1 != 0
