import json
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenvis.formats.files.structure import (
    StructureScanner,
    long_numbers,
    n_values_about,
    nesting_depth,
    plain_lines,
)

PART = st.sampled_from(['"', "\\", "\\\\", "[", "]", "{", "}", ",", "x", '"a"', '\\"'])


def marks_by_hand(text):
    """The marks of a text as (position, character, level), found character by character."""
    marks, depth, in_string, escaped = [], 0, False, False
    for position, character in enumerate(text):
        if escaped:
            escaped = False
        elif character == "\\":
            escaped = True
        elif character == '"':
            marks.append((position, character, depth))
            in_string = not in_string
        elif character in "[{" and not in_string:
            marks.append((position, character, depth))
            depth += 1
        elif character in "]}" and not in_string:
            depth -= 1
            marks.append((position, character, depth))
    return marks


@pytest.mark.laws
@given(st.lists(PART, max_size=30).map("".join), st.integers(1, 40), st.integers(-2, 4))
def test_marks_are_found_in_blocks_of_any_size(text, size, max_level):
    scanner, found = StructureScanner(), []
    for first in range(0, len(text), size):
        block = text[first : first + size]
        marks = scanner.marks(block.encode(), max_level)
        positions, codes, levels = (values.tolist() for values in marks[:3])
        found += [(first + position, chr(code), level) for position, code, level in zip(positions, codes, levels, strict=True)]
    assert found == [mark for mark in marks_by_hand(text) if mark[2] <= max_level]


def test_depth_counts_brackets_outside_of_strings():
    assert nesting_depth(b'[{"[[[": [1]}]') == 3
    assert nesting_depth(b'[{"x": [1]}]', 3) == 0
    assert nesting_depth(b"[]" * 300_000 + b"[[]]") == 2
    assert nesting_depth(b"") == 0


def test_values_are_counted_by_the_commas_between_them():
    assert n_values_about(json.dumps([1, "a,b", {"c": "\\", "d,": 2}]).encode()) == 3
    assert n_values_about(b"1," * 300_000) == 300_000


@pytest.mark.parametrize(
    ("text", "is_long", "is_long_if_exact"),
    [
        (b'{"a": 922337203685477580}', False, True),
        (b'{"a": 9223372036854775807}', True, True),
        (b'{"a": 18446744073709551616}', True, True),
        (b"[-9223372036854775809]", True, True),
        (b'{"id": "12345678901234567890123456789012", "b": 1}', False, False),
        (b"[0.12345678901234567]", False, True),
        (b"[123456789.12345]", False, False),
        (b"12345678901234567890", True, True),
    ],
)
def test_numbers_that_are_not_exact_as_a_float_or_in_64_bits(text, is_long, is_long_if_exact):
    codes = np.frombuffer(text, np.uint8)
    assert [bool(len(long_numbers(codes, exact=exact))) for exact in (False, True)] == [is_long, is_long_if_exact]


@pytest.mark.laws
@given(
    st.lists(st.sampled_from(["1", "1" * 7, "1" * 16, ".5", "-", '"', ":", "a", " "]), max_size=12).map("".join),
    st.integers(0, 20),
    st.booleans(),
)
def test_a_long_number_is_found_wherever_it_is(text, n_before, exact):
    text = " " * n_before + text
    digits = "[0-9.]{17}" if exact else "[0-9]{19}"
    found = [match.end() for match in re.finditer(rf"(?:^|[ :,])-?(?<![0-9.])(?={digits})", text)]
    assert long_numbers(np.frombuffer(text.encode(), np.uint8), exact=exact).tolist() == found


def test_digits_of_an_id_are_no_number():
    text = b'{"id": "00000000000000000000000000000001", "time": "1781293600000000000"}' * 100
    assert not len(long_numbers(np.frombuffer(text, np.uint8), exact=False))


def test_lines_that_are_safe_to_parse():
    deep, long = b"[" * 150 + b"{}" * 60, b"[12345678901234567890]"
    assert plain_lines([b"{}", deep, b"[1]\n", long, b""]) == [True, False, True, False, True]
    assert plain_lines([]) == []
