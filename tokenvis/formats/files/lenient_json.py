"""Lenient JSON: parses invalid JSON where that loses less than skipping it.

NaN and Infinity become null, and invalid UTF-8 becomes U+FFFD; both are reported. Lone surrogates, which JSON allows but no
database accepts, become U+FFFD silently. Values nested too deep to be stored are refused.
"""

import json
import math
import re
from typing import Any

import orjson

from tokenvis.formats.files.reading import Reading
from tokenvis.formats.files.sources import Source
from tokenvis.spans.payload import refuse_constant
from tokenvis.spans.text import REPLACEMENT, without_surrogates

MAX_JSON_DEPTH = 200  # nested brackets; SQLite stores 1,000, and Python's stack is shared with the caller
JSON_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
JSON_BRACKET = re.compile(rb"[\[\]{}]")
INVALID_UTF8 = "invalid UTF-8 was replaced by U+FFFD"
UNREADABLE = object()


def parse_json(text: bytes) -> Any:
    """The value of a JSON text; lone surrogates, which cannot be stored, become U+FFFD; `ValueError` if it is not JSON."""
    if text.count(b"[") + text.count(b"{") > MAX_JSON_DEPTH:
        check_depth(text)
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        if b"\\u" not in text:
            raise
        value = json.loads(text, parse_constant=refuse_constant)
        return repaired_value(value)


def check_depth(text: bytes) -> None:
    """Raise `ValueError` if brackets outside of strings are nested too deep to be stored."""
    depth = 0
    for bracket in JSON_BRACKET.findall(JSON_STRING.sub(b"", text)):
        depth += 1 if bracket in b"[{" else -1
        if depth > MAX_JSON_DEPTH:
            raise ValueError(f"nested more than {MAX_JSON_DEPTH} levels deep")


def repaired_value(value: Any) -> Any:
    """A JSON value with lone surrogates replaced by U+FFFD, and infinite numbers by null."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, str):
        return without_surrogates(value)
    if isinstance(value, list):
        return [repaired_value(item) for item in value]
    if isinstance(value, dict):
        return {repaired_value(key): repaired_value(item) for key, item in value.items()}
    return value


def parse_damaged_line(text: bytes, number: int, reading: Reading, source: Source) -> Any:
    """The value of a line that is not valid JSON, with each repair as a problem; `UNREADABLE` if it cannot be repaired."""
    try:
        return parse_json(text)
    except ValueError as error:
        strict_error = error
    repairs = set[str]()
    try:
        decoded = text.decode(errors="replace")
        if REPLACEMENT in decoded and REPLACEMENT.encode() not in text:
            repairs.add(INVALID_UTF8)
        check_depth(text)
        value = json.loads(decoded, parse_constant=lambda name: repairs.add(f"{name} is not valid JSON, replaced by null"))
        value = repaired_value(value)
    except (ValueError, RecursionError):
        detail = (
            f" from character {strict_error.pos + 1} on"
            if isinstance(strict_error, json.JSONDecodeError)
            else f" ({strict_error})"
        )
        reading.add_problem(number, f"not JSON{detail}", source)
        return UNREADABLE
    for reason in sorted(repairs):
        reading.add_problem(number, reason, source)
    return value
