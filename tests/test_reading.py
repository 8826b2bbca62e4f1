from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenvis.reading import Problem, Reading, json_lines, microseconds, parse_json


def lines_of(text):
    Path("x.jsonl").write_bytes(text)
    reading = Reading()
    return list(json_lines(Path("x.jsonl"), reading)), [str(problem) for problem in reading.problems]


def test_each_line_with_its_number():
    assert lines_of(b'{"a": 1}\n\n  {"b": 2}\r\n{"c": 3}') == ([(1, {"a": 1}), (3, {"b": 2}), (4, {"c": 3})], [])


def test_an_empty_file_has_no_lines():
    assert lines_of(b"") == ([], [])
    assert lines_of(b"\xef\xbb\xbf\n \n") == ([], [])


def test_a_line_that_is_no_object_is_a_problem_and_the_rest_goes_on():
    assert lines_of(b'5\n{"a": 1}\n"x\n{"b": 2') == (
        [(2, {"a": 1})],
        [
            "x.jsonl, line 1: not an object, but int.",
            "x.jsonl, line 3: not JSON from character 3 on.",
            "x.jsonl, line 4: not JSON from character 8 on.",
        ],
    )


def test_a_problem_with_a_file_has_no_line():
    assert str(Problem(Path("in/x.jsonl"), None, "cannot be read")) == "x.jsonl: cannot be read."


def test_halves_of_surrogate_pairs_are_replaced_wherever_they_stand():
    assert parse_json(rb'{"a\ud800": ["\udfff", {"b": "\ud83d\ude42"}, 1]}') == {"a\ufffd": ["\ufffd", {"b": "🙂"}, 1]}


@pytest.mark.parametrize("text", [rb'["\ud800", NaN]', rb'["\ud800", -Infinity]', rb'["\ud800", 1e999]', b"[NaN]", b"[1e999]"])
def test_numbers_that_are_none_of_json_are_refused(text):
    with pytest.raises(ValueError, match=r"is not a number of JSON$|: line 1 column \d+"):
        parse_json(text)


def test_brackets_are_nested_at_most_200_deep():
    assert parse_json(b"[" * 200 + b"]" * 200)
    assert parse_json(b'["[[[[", "\\"[[[["' + b", []" * 300 + b"]")
    with pytest.raises(ValueError, match=r"^nested more than 200 deep$"):
        parse_json(b"[" * 201 + b"]" * 201)
    with pytest.raises(ValueError, match=r"^nested more than 200 deep$"):
        parse_json(b'{"\\ud800":' * 100_000)


@pytest.mark.parametrize(
    ("timestamp", "time"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T00:00:00.000001+00:00", 1),
        ("1969-12-31T23:59:59.999999", -1),
        ("1970-01-01T01:00:00+01:00", 0),
        ("0001-01-01T00:00:00+23:59", -62_135_596_800_000_000 - 86_340_000_000),
        ("9999-12-31T23:59:59.999999Z", 253_402_300_799_999_999),
    ],
)
def test_a_timestamp_as_microseconds(timestamp, time):
    assert microseconds(timestamp) == time


@pytest.mark.parametrize("timestamp", ["", "noon", "2026-13-01", "1782036000"])
def test_a_timestamp_that_is_none(timestamp):
    with pytest.raises(ValueError, match=r"^(Invalid isoformat string|month must be in 1\.\.12)"):
        microseconds(timestamp)


@pytest.mark.parametrize(
    ("content", "kept", "n_cut"),
    [
        ("full", {"a": ["x" * 201, "y"], "b": 5}, 0),
        ("short", {"a": ["x" * 200 + "…", "y"], "b": 5}, 1),
        ("none", None, 1),
    ],
)
def test_as_much_of_a_text_as_is_wanted(content, kept, n_cut):
    reading = Reading(content)
    assert reading.kept({"a": ["x" * 201, "y"], "b": 5}) == kept
    assert reading.n_cut == n_cut


def test_nothing_is_not_cut():
    reading = Reading("none")
    assert (reading.kept(""), reading.kept([]), reading.n_cut) == (None, None, 0)


TEXTS = st.text(alphabet="xé🙂", max_size=3).map(lambda text: text * 90)
VALUES = st.recursive(st.none() | st.integers() | TEXTS, lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner))


@pytest.mark.laws
@given(VALUES)
def test_texts_that_are_cut_are_cut_once(value):
    once, again = Reading("short"), Reading("full")
    cut = once.kept(value)
    assert again.kept(cut) == cut
    assert (cut == value) == (once.n_cut == 0)
