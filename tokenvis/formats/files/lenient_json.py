"""Lenient JSON: parses any JSON text without a risk for the process, and invalid JSON where that loses less than skipping it.

NaN, Infinity and numbers that are too large become null, and invalid UTF-8 becomes U+FFFD; all of it is reported. Lone
surrogates, which JSON allows but no database accepts, become U+FFFD silently. Integers beyond 64 bits are kept. Values that are
nested too deep to be stored, or that would take much more memory than their text, are refused before they are parsed.
"""

import json
import math
import sys
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np
import orjson

from tokenvis.formats.files.encodings import INVALID_UTF8, READ_AS_LATIN
from tokenvis.formats.files.reading import Reading
from tokenvis.formats.files.sources import Source
from tokenvis.formats.files.structure import (
    JSON_BLOCK_BYTES,
    MAX_JSON_DEPTH,
    QUOTE,
    StructureScanner,
    blocks_of,
    long_numbers,
    n_values_about,
    nesting_depth,
)
from tokenvis.spans.payload import MAX_DIGITS
from tokenvis.spans.text import REPLACEMENT, without_surrogates

MAX_RECORD_BYTES = 128 << 20  # of a line, or of an item of a document
MAX_JSON_VALUES = 4_000_000  # in one record: a value takes up to 150 bytes, its text as few as 2
MAX_DEEP_VALUES = 10_000  # in one record; each is replaced by null
MAX_SHOWN_DIGITS = 20
UNREADABLE = object()

RepairReporter = Callable[[str], object]  # called with each reason for which a value differs from its text


def parse_json(text: bytes, *, exact: bool = False) -> Any:
    """The value of a JSON text; lone surrogates, which cannot be stored, become U+FFFD; `ValueError` if it is not JSON.

    If ``exact``, a number with a fraction and more than 15 digits is a `Decimal`.
    """
    check_record_size(text)
    if len(long_numbers(np.frombuffer(text, np.uint8), exact=exact)):
        return strict_value(text, exact=exact)
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        if b"\\u" not in text:
            raise
        return strict_value(text, exact=exact)


def check_record_size(text: bytes) -> None:
    """Raise `ValueError` if a JSON text is too long, nested too deep, or has too many values."""
    if len(text) > MAX_RECORD_BYTES:
        raise ValueError(f"longer than {MAX_RECORD_BYTES:,} bytes")
    if nesting_depth(text, MAX_JSON_DEPTH) > MAX_JSON_DEPTH:
        raise ValueError(f"nested more than {MAX_JSON_DEPTH} levels deep")
    if len(text) > MAX_JSON_VALUES and n_values_about(text) > MAX_JSON_VALUES:
        raise ValueError(f"of more than {MAX_JSON_VALUES:,} values")


def strict_value(text: bytes, *, exact: bool) -> Any:
    """The value of a JSON text with integers of any size; `ValueError` for a number that Python cannot represent."""
    problems: list[str] = []
    value = value_of(text.decode(), problems.append, exact=exact)
    if problems:
        raise ValueError(problems[0])
    return value


def value_of(text: str, report: RepairReporter, *, exact: bool) -> Any:
    """The value of a JSON text, in which NaN and numbers that are too large become null; each is reported."""
    integer_limit = min(MAX_DIGITS, sys.get_int_max_str_digits() or MAX_DIGITS)

    def integer(digits: str) -> int | None:
        if len(digits.lstrip("-")) <= integer_limit:
            return int(digits)
        report(too_large(digits))
        return None

    def number(digits: str) -> float | Decimal | None:
        if math.isfinite(value := float(digits)):
            return Decimal(digits) if exact else value
        report(too_large(digits))
        return None

    def constant(name: str) -> None:
        report(f"{name} is not valid JSON, replaced by null")

    value = json.loads(text, parse_int=integer, parse_float=number, parse_constant=constant)
    return without_lone_surrogates(value) if "\\u" in text else value


def too_large(digits: str) -> str:
    """Why a number is not kept."""
    name = digits if len(digits) <= MAX_SHOWN_DIGITS else f"a number of {len(digits):,} characters"
    return f"{name} is too large, replaced by null"


def without_lone_surrogates(value: Any) -> Any:
    """A JSON value with lone surrogates replaced by U+FFFD."""
    if isinstance(value, str):
        return without_surrogates(value)
    if isinstance(value, list):
        return [without_lone_surrogates(item) for item in value]
    if isinstance(value, dict):
        return {without_surrogates(key): without_lone_surrogates(item) for key, item in value.items()}
    return value


def without_deep_values(text: bytes, report: RepairReporter) -> bytes:
    """A JSON text with null in place of containers that are nested too deep; unchanged if these are too many, or not closed."""
    if len(text) > MAX_RECORD_BYTES or nesting_depth(text, MAX_JSON_DEPTH) <= MAX_JSON_DEPTH:
        return text
    scanner, brackets = StructureScanner(), list[int]()
    for number, block in enumerate(blocks_of(text)):
        marks = scanner.marks(block, MAX_JSON_DEPTH)
        is_deep = (marks.levels == MAX_JSON_DEPTH) & (marks.codes != QUOTE)
        brackets += (number * JSON_BLOCK_BYTES + marks.positions[is_deep]).tolist()
        if len(brackets) > 2 * MAX_DEEP_VALUES:
            return text
    if len(brackets) % 2:
        return text
    report(f"nested more than {MAX_JSON_DEPTH} levels deep, replaced by null there")
    ends = [0, *(closing + 1 for closing in brackets[1::2])]
    return b"null".join(text[end:opening] for end, opening in zip(ends, [*brackets[::2], len(text)], strict=True))


def lenient_value(text: bytes, report: RepairReporter) -> Any:
    """The value of a JSON text, repaired if necessary; `ValueError` if it cannot be repaired."""
    try:
        return parse_json(text)
    except ValueError:
        return repaired_value(text, report)


def in_utf_8(text: bytes, source: Source) -> bytes:
    """A text in UTF-8, if all of its source is in Windows-1252; else unchanged."""
    try:
        text.decode()
    except UnicodeDecodeError:
        return text.decode("cp1252", errors="replace").encode() if source.encoding == "cp1252" else text
    return text


def repaired_value(text: bytes, report: RepairReporter, *, exact: bool = False) -> Any:
    """The value of a text that may be invalid JSON; each repair is reported; `ValueError` if it cannot be repaired."""
    text = without_deep_values(text, report)
    check_record_size(text)
    decoded = text.decode(errors="replace")
    if REPLACEMENT in decoded and REPLACEMENT.encode() not in text:
        report(INVALID_UTF8)
    return value_of(decoded, report, exact=exact)


def ignore_repair(_: str) -> None:
    """Ignore that a value was repaired."""


def parse_damaged(text: bytes, number: int, reading: Reading, source: Source, *, exact: bool = False) -> Any:
    """The value of a record that is not valid JSON, with each repair as a problem; `UNREADABLE` if it cannot be repaired."""
    repairs: dict[str, None] = {}
    if (converted := in_utf_8(text, source)) is not text:
        reading.add_once(READ_AS_LATIN, source)
    try:
        value = repaired_value(converted, lambda reason: repairs.setdefault(reason), exact=exact)
    except json.JSONDecodeError as error:
        reading.add_problem(number, f"not JSON from character {error.pos + 1} on", source)
        return UNREADABLE
    except (ValueError, RecursionError) as error:
        reading.add_problem(number, f"cannot be read ({error})", source)
        return UNREADABLE
    for reason in sorted(repairs):
        reading.add_problem(number, reason, source)
    return value
