"""Timestamps: what sources write down, as whole microseconds since 1970, without a float in between.

Sources give seconds, milliseconds, microseconds or nanoseconds, as numbers or as their digits, or ISO 8601. What is finer than
a microsecond is floored, so that a start and an end keep their order. A time beyond the year 9999 is refused, with the unit
in which it would make sense.
"""

from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, Literal, TypeAlias

from tokenvis.errors import quoted
from tokenvis.spans.columns import EPOCH, YEAR_10000

Unit: TypeAlias = Literal["s", "ms", "us", "ns"]
UNITS: dict[str, Decimal] = {"s": Decimal(1_000_000), "ms": Decimal(1_000), "us": Decimal(1), "ns": Decimal("0.001")}
START = datetime(1970, 1, 1, tzinfo=UTC)
YEAR = Decimal(31_556_952_000_000)  # µs in a mean year of the calendar


def microseconds(timestamp: str) -> int:
    """An ISO 8601 time as µs since 1970; without a zone it is UTC.

    Examples
    --------
    >>> microseconds("2026-06-21T10:00:00.250Z")
    1782036000250000
    """
    moment = datetime.fromisoformat(timestamp)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - START) // timedelta(microseconds=1)


def of_nanoseconds(value: int | str) -> int:
    """Nanoseconds, as a whole number or as its digits, as µs; `ValueError` where it is none."""
    if type(value) is not int:
        if not isinstance(value, str):
            raise TypeError(f"a time is {type(value).__name__}")
        value = int(value)
    time = value // 1_000
    if not -YEAR_10000 < time < YEAR_10000:
        refuse(Decimal(value), "ns")
    return time


def in_unit(value: Any, unit: str) -> int:
    """A number of a unit, or its digits, or an ISO 8601 time, as µs; `ValueError` where it is no time."""
    if isinstance(value, str) and not is_digits(value):
        return microseconds(value)
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal | str):
        raise TypeError(f"a time is {type(value).__name__}")
    number = value if isinstance(value, Decimal) else Decimal(str(value))
    if not number.is_finite():
        raise ValueError(f"{value} is no time")
    if abs(number) * UNITS[unit] >= YEAR_10000:
        refuse(number, unit)
    time = number * UNITS[unit]
    return int(time // 1) if time >= 0 or time == int(time) else int(time) - 1


def is_digits(text: str) -> bool:
    """Whether a text is a number."""
    try:
        Decimal(text)
    except InvalidOperation:
        return False
    return True


def refuse(number: Decimal, unit: str) -> None:
    """Raise `ValueError` for a time beyond calendars, with the unit in which it would make sense."""
    sensible = (name for name, factor in UNITS.items() if EPOCH <= number * factor < YEAR_10000)
    other = max(sensible, key=lambda name: UNITS[name], default=None)
    year = f"{1970 + int(number * UNITS[unit] / YEAR):,}" if abs(number) < Decimal(10) ** 40 else "far beyond"
    hint = f"; in {other!r} it is {day_of(int(number * UNITS[other]))}" if other else ""
    raise ValueError(f"{quoted(str(number))} in {unit!r} would be in the year {year}{hint}")


def day_of(time: int) -> str:
    """The day of a time, for a message."""
    return f"{START + timedelta(microseconds=time):%Y-%m-%d}"
