"""Lenient JSON: JSON as it is met in the wild, which is read where that loses less than leaving it out.

NaN and Infinity become null, and bytes that are no UTF-8 become U+FFFD, which the report says. So do, without a word,
halves of surrogate pairs, which JSON allows and no database takes. What is nested too deep to be stored is refused.
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

DEEPEST = 200  # levels of brackets in a value; SQLite stores 1,000, and Python's stack is shared with its caller
STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
BRACKET = re.compile(rb"[\[\]{}]")
NO_UTF8 = "bytes that are no UTF-8 became U+FFFD"
MISSING = object()


def parse_json(text: bytes) -> Any:
    """JSON as it is met in the wild: half a surrogate pair, which cannot be stored, becomes U+FFFD; else `ValueError`."""
    if text.count(b"[") + text.count(b"{") > DEEPEST:
        refuse_depth(text)
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        if b"\\u" not in text:
            raise
        value = json.loads(text, parse_constant=refuse_constant)
        return mended(value)


def refuse_depth(text: bytes) -> None:
    """Raise `ValueError` where brackets, other than those in strings, are nested too deep to be stored."""
    depth = 0
    for bracket in BRACKET.findall(STRING.sub(b"", text)):
        depth += 1 if bracket in b"[{" else -1
        if depth > DEEPEST:
            raise ValueError(f"nested more than {DEEPEST} deep")


def mended(value: Any) -> Any:
    """A JSON value without halves of surrogate pairs; a number beyond all floats is null."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, str):
        return without_surrogates(value)
    if isinstance(value, list):
        return [mended(item) for item in value]
    if isinstance(value, dict):
        return {mended(key): mended(item) for key, item in value.items()}
    return value


def mended_line(text: bytes, number: int, reading: Reading, source: Source) -> Any:
    """The value of a line that strict JSON refuses, with what was mended as a problem; `MISSING` where it cannot be."""
    try:
        return parse_json(text)
    except ValueError as error:
        first = error
    broken = set[str]()
    try:
        decoded = text.decode(errors="replace")
        if REPLACEMENT in decoded and REPLACEMENT.encode() not in text:
            broken.add(NO_UTF8)
        refuse_depth(text)
        value = json.loads(decoded, parse_constant=lambda name: broken.add(f"{name} is no number of JSON, and became null"))
        value = mended(value)
    except (ValueError, RecursionError):
        place = f" from character {first.pos + 1} on" if isinstance(first, json.JSONDecodeError) else f" ({first})"
        reading.problem(number, f"not JSON{place}", source)
        return MISSING
    for reason in sorted(broken):
        reading.problem(number, reason, source)
    return value
