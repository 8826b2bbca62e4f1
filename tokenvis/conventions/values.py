"""Values of attributes: numbers and JSON, which some sources write as texts."""

from typing import Any

import orjson


def int_or_none(value: Any) -> int | None:
    """A count as an integer, None if it is not one: some sources write counts as strings or floats."""
    if type(value) is int:
        return value
    number = float_or_none(value)
    return int(number) if number is not None and number == int(number) else None


def float_or_none(value: Any) -> float | None:
    """A number, or a string that contains one, as a float; None for anything else, NaN and magnitudes of 2^63 or more."""
    if isinstance(value, bool) or value is None or isinstance(value, list | dict):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if abs(number) < 2.0**63 else None


def is_missing(value: Any) -> bool:
    """Whether a value says nothing: None, a blank text, NaN."""
    return value is None or (isinstance(value, str) and not value.strip()) or (isinstance(value, float) and value != value)


def decode_json_text(value: Any) -> Any:
    """The value of a string that contains a JSON object or list; any other value unchanged."""
    if isinstance(value, str) and value[:1] in "{[" and value:
        try:
            return orjson.loads(value)
        except orjson.JSONDecodeError:
            return value
    return value
