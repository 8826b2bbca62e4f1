"""Arguments: what each call was given, as a number that is the same for equal arguments.

Sources have the arguments of a call under several keys, as an object or as its JSON text. They are compared as JSON with sorted
keys, so neither the order of the keys nor the form of the value matters. A text that was cut when it was stored may equal the
beginning of another, so arguments with such a text are not known.
"""

import json
import re
from collections.abc import Iterator, Mapping
from hashlib import blake2b
from itertools import repeat
from typing import Any

import numpy as np
import orjson
import pandas as pd

from tokenvis.spans.fields import has_column, json_values
from tokenvis.spans.integers import Int64Array
from tokenvis.spans.payload import EMPTY_PAYLOAD, LONG_NUMBER, look_up, parse_exactly, parsed_payloads, rows_containing

ARGUMENT_KEYS = ("gen_ai.tool.call.arguments", "gen_ai.tool.args", "input.value", "tool.parameters", "input", "arguments")
NO_CODE = -1
DIGEST_BYTES = 16
CUT_TEXT = re.compile('…"|"✂ '.encode())  # by content="short", or by a recorder: in both, the text may be longer than it looks
ROUNDED = re.compile(rb"[0-9]e|[0-9]{19}")  # perhaps an integer that needs more than 64 bits


def argument_codes(spans: pd.DataFrame) -> Int64Array:
    """A number for the arguments of each row, the same for equal arguments in all traces; -1 if they are not known."""
    codes = np.full(len(spans), NO_CODE, dtype=np.int64)
    in_columns = {key: spans[key] for key in ARGUMENT_KEYS if has_column(spans, key)}
    may_have = np.zeros(len(spans), dtype=bool)
    may_have[rows_containing(spans, *(f'"{key}"' for key in ARGUMENT_KEYS))] = True
    for column in in_columns.values():
        may_have |= column.notna().to_numpy()
    rows = np.flatnonzero(may_have)
    numbers: dict[bytes, int] = {}
    for row, text in zip(rows.tolist(), argument_texts(spans, in_columns, rows), strict=True):
        if text is not None and not CUT_TEXT.search(text):
            digest = blake2b(text, digest_size=DIGEST_BYTES).digest()  # a prompt may have megabytes
            codes[row] = numbers.setdefault(digest, len(numbers))
    return codes


def argument_texts(spans: pd.DataFrame, in_columns: Mapping[str, pd.Series], rows: Int64Array) -> Iterator[bytes | None]:
    """The arguments of each of these rows as JSON text with sorted keys, None if a row has none."""
    payloads = parsed_payloads(spans, rows) if "data" in spans.columns else repeat(EMPTY_PAYLOAD, len(rows))
    given: list[dict[str, Any]] = [{} for _ in rows]
    for key, column in in_columns.items():
        present = np.flatnonzero(column.iloc[rows].notna().to_numpy())
        for position, value in zip(present.tolist(), json_values(column.iloc[rows[present]]), strict=True):
            given[position][key] = value
    for row, payload, values in zip(rows.tolist(), payloads, given, strict=True):
        text = sorted_text(arguments_in(payload, values))
        if text is not None and ROUNDED.search(text):
            text = sorted_text(arguments_in(exact_payload(spans, row), values))
        yield text


def exact_payload(spans: pd.DataFrame, row: int) -> Mapping[str, Any]:
    """The payload of a row with all digits of its integers; empty if an integer has too many."""
    try:
        return parse_exactly(spans["data"].iloc[row]) if "data" in spans.columns else EMPTY_PAYLOAD
    except ValueError:
        return EMPTY_PAYLOAD


def arguments_in(payload: Mapping[str, Any], in_columns: Mapping[str, Any]) -> Any:
    """The first arguments of a span, of its columns or payload, that are neither missing nor a blank text; else None."""
    for key in ARGUMENT_KEYS:
        value = in_columns[key] if key in in_columns else look_up(payload, key)
        if value is not None and not (isinstance(value, str) and not value.strip()):
            return value
    return None


def sorted_text(value: Any) -> bytes | None:
    """A value as JSON text with sorted keys; a text that is JSON as the value that it has. None if JSON cannot represent it.

    Examples
    --------
    >>> sorted_text({"b": 1, "a": "x"}), sorted_text('{"a": "x",  "b": 1}'), sorted_text("plain text")
    (b'{"a":"x","b":1}', b'{"a":"x","b":1}', b'"plain text"')
    """
    if value is None:
        return None
    value = value_of_text(value) if isinstance(value, str) else value
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except TypeError:  # an integer of more than 64 bits, half of a surrogate pair, or too many levels
        pass
    try:
        return json.dumps(value, sort_keys=True).encode()
    except (TypeError, ValueError, RecursionError):
        return None


def value_of_text(text: str) -> Any:
    """The value of a JSON text with all digits of its integers; any other text unchanged."""
    try:
        return json.loads(text) if LONG_NUMBER.search(text) else orjson.loads(text)
    except (ValueError, RecursionError):
        return text
