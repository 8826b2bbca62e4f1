import json
import sys

import pytest
from files import problem_texts, reading_of
from hypothesis import given
from hypothesis import strategies as st

from tokenvis.formats.files.lenient_json import UNREADABLE, parse_damaged, parse_json

ANY_TEXT = st.text(st.characters(exclude_categories=[]), max_size=3)  # lone surrogates too
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | ANY_TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ANY_TEXT, inner, max_size=3),
    max_leaves=8,
)


def line(text):
    """The value of a line, and its problems."""
    reading = reading_of("x.jsonl", b"")
    return parse_damaged(text, 7, reading, reading.source), problem_texts(reading)


def test_repairable_lines_are_kept_and_reported():
    assert line(b'{"a": 1}') == ({"a": 1}, [])
    assert line(b'{"a": NaN, "b": [-Infinity]}') == (
        {"a": None, "b": [None]},
        [
            "x.jsonl, line 7: -Infinity is not valid JSON, replaced by null.",
            "x.jsonl, line 7: NaN is not valid JSON, replaced by null.",
        ],
    )
    assert line(b'"x\xff"') == ("x\ufffd", ["x.jsonl, line 7: invalid UTF-8 was replaced by U+FFFD."])
    assert line(b"[1e999]") == ([None], ["x.jsonl, line 7: 1e999 is too large, replaced by null."])
    assert line(b"9" * 5_000) == (None, ["x.jsonl, line 7: a number of 5,000 characters is too large, replaced by null."])
    assert line(b"-" + b"9" * 4_300) == (-(10**4_300 - 1), [])


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (b'{"a": 1', "not JSON from character 8 on"),
        (b"[" * 200 + b"[]," * 10_001 + b"1" + b"]" * 200, "cannot be read (nested more than 200 levels deep)"),
        (b"[" * 100_000, "cannot be read (nested more than 200 levels deep)"),
    ],
)
def test_unrepairable_lines_are_skipped_and_reported(text, problem):
    assert line(text) == (UNREADABLE, [f"x.jsonl, line 7: {problem}."])


def test_what_is_nested_too_deep_becomes_null():
    value, problems = line(b"[" * 200 + b'{"[": "]"}, 1, [[2]], "x"' + b"]" * 200)
    for _ in range(199):
        [value] = value
    assert value == [None, 1, None, "x"]
    assert problems == ["x.jsonl, line 7: nested more than 200 levels deep, replaced by null there."]
    assert line(b" " * 400_000 + b"[" * 300_000 + b"]" * 300_000)[1] == problems


def test_lone_surrogates_are_replaced_everywhere():
    assert parse_json(rb'{"a\ud800": ["\udfff", {"b": "\ud83d\ude42"}, 1]}') == {"a\ufffd": ["\ufffd", {"b": "🙂"}, 1]}


@pytest.mark.laws
@given(JSON)
def test_json_is_parsed_as_written_and_can_be_stored(value):
    text = json.dumps(value).encode()
    read = parse_json(text)
    assert json.dumps(read, ensure_ascii=False).encode()
    if "\\ud" not in text.decode():
        assert read == value


def test_brackets_are_nested_at_most_200_levels_deep():
    assert parse_json(b"[" * 200 + b"]" * 200)
    assert parse_json(b'["[[[[", "\\"[[[["' + b", []" * 300 + b"]")
    with pytest.raises(ValueError, match=r"^nested more than 200 levels deep$"):
        parse_json(b"[" * 201 + b"]" * 201)
    with pytest.raises(ValueError, match=r"^nested more than 200 levels deep$"):
        parse_json(b'{"\\ud800":' * 100_000)


def test_the_limit_of_digits_of_the_process_is_respected():
    before = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(1_000)
    try:
        assert line(b"[" + b"9" * 2_000 + b"]")[0] == [None]
    finally:
        sys.set_int_max_str_digits(before)
