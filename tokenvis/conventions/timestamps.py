"""Timestamps of sources as whole microseconds since 1970, converted without floats.

Sources give seconds, milliseconds, microseconds or nanoseconds, as numbers or digits, or ISO 8601. Fractions of a microsecond
are floored, so that a start and an end keep their order. A time beyond the year 9999 is refused, and the error names the unit
in which it would make sense.
"""

from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, Literal, TypeAlias

from tokenvis.errors import quoted
from tokenvis.spans.columns import YEAR_2000, YEAR_10000

Unit: TypeAlias = Literal["s", "ms", "us", "ns"]
UNITS: dict[str, Decimal] = {"s": Decimal(1_000_000), "ms": Decimal(1_000), "us": Decimal(1), "ns": Decimal("0.001")}
UNIX_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
YEAR_US = Decimal(31_556_952_000_000)  # µs in a mean year of the calendar


def microseconds(timestamp: str) -> int:
    """An ISO 8601 time as µs since 1970; a time without a zone is UTC.

    Examples
    --------
    >>> microseconds("2026-06-21T10:00:00.250Z")
    1782036000250000
    """
    return iso_time(timestamp)[0]


def iso_time(timestamp: str) -> tuple[int, bool]:
    """An ISO 8601 time as µs since 1970, and whether it has a zone; without one it is UTC."""
    moment = datetime.fromisoformat(timestamp)
    is_zoned = moment.tzinfo is not None
    moment = moment if is_zoned else moment.replace(tzinfo=UTC)
    return (moment - UNIX_EPOCH) // timedelta(microseconds=1), is_zoned


def from_nanoseconds(value: int | str) -> int:
    """Nanoseconds, as an integer or its digits, in µs; `ValueError` if it is not a time."""
    if type(value) is not int:
        if not isinstance(value, str):
            raise TypeError(f"a time is of type {type(value).__name__}")
        value = int(value)
    time = value // 1_000
    if not -YEAR_10000 < time < YEAR_10000:
        refuse_time(Decimal(value), "ns")
    return time


def from_unit(value: Any, unit: str) -> int:
    """A number in a unit, its digits, or an ISO 8601 time, in µs; `ValueError` if it is not a time."""
    if isinstance(value, str) and not is_number_text(value):
        return microseconds(value)
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal | str):
        raise TypeError(f"a time is of type {type(value).__name__}")
    number = value if isinstance(value, Decimal) else Decimal(str(value))
    if not number.is_finite():
        raise ValueError(f"{value} is not a time")
    if abs(number) * UNITS[unit] >= YEAR_10000:
        refuse_time(number, unit)
    time = number * UNITS[unit]
    return int(time // 1) if time >= 0 or time == int(time) else int(time) - 1


def is_number_text(text: str) -> bool:
    """Whether a text contains one number."""
    try:
        Decimal(text)
    except InvalidOperation:
        return False
    return True


def refuse_time(number: Decimal, unit: str) -> None:
    """Raise `ValueError` for a time beyond the calendar, naming the unit in which it would make sense."""
    plausible_units = (name for name, factor in UNITS.items() if YEAR_2000 <= number * factor < YEAR_10000)
    plausible_unit = max(plausible_units, key=lambda name: UNITS[name], default=None)
    year = f"the year {1970 + int(number * UNITS[unit] / YEAR_US):,}" if abs(number) < Decimal(10) ** 40 else "a distant year"
    hint = f"; in {plausible_unit!r} it is {day_of(int(number * UNITS[plausible_unit]))}" if plausible_unit else ""
    raise ValueError(f"{quoted(str(number))} in {unit!r} would be in {year}{hint}")


def day_of(time: int) -> str:
    """The date of a time, for a message."""
    return f"{UNIX_EPOCH + timedelta(microseconds=time):%Y-%m-%d}"
