"""Values of attributes: numbers and JSON, which some sources write as texts."""

import json
import math
from contextlib import suppress
from typing import Any

import orjson

from tokenvis.spans.payload import LONG_NUMBER


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
        with suppress(ValueError):
            return json_text_value(value)
    return value


def json_text_value(text: str) -> Any:
    """The value of a JSON text with all digits of its integers; `ValueError` if it has none, or none that can be kept."""
    if not LONG_NUMBER.search(text):
        return orjson.loads(text)
    try:
        return json.loads(text, parse_float=finite_number, parse_constant=finite_number)
    except RecursionError:
        raise ValueError("nested too deep") from None


def finite_number(text: str) -> float:
    """A number with a fraction or an exponent; `ValueError` if it is too large, or not a number."""
    if math.isfinite(number := float(text)):
        return number
    raise ValueError(f"{text[:20]} is not a number of JSON")
