from decimal import Decimal

import pytest

from tokenvis.conventions.values import decode_json_text, int_or_none, is_missing, json_text_value


def test_json_in_a_text():
    assert [decode_json_text(value) for value in ('{"a": 1}', "[1]", "{x", "5", "", None, 5)] == [
        {"a": 1},
        [1],
        "{x",
        "5",
        "",
        None,
        5,
    ]


def test_integers_in_a_text_keep_all_their_digits():
    digits = "273475590164507581703505203264503192396"
    assert json_text_value(f'{{"id": {digits}, "b": [1e5, -9223372036854775809]}}') == {
        "id": int(digits),
        "b": [1e5, -(2**63) - 1],
    }
    for text in ("9" * 4_301, f"[{digits}, NaN]", f"[{digits}, 1e999]", f"[{digits}, {'[' * 5_000}", f"[{digits}", "[NaN]"):
        with pytest.raises(ValueError):  # noqa: PT011  (the text of the error is that of the parser)
            json_text_value(text)
        assert decode_json_text(text) == text


def test_whole_numbers():
    values = [5, "5", 5.0, "5.5", None, True, "x", [], 2**70, "1e400", float("nan"), Decimal("5.0")]
    assert [int_or_none(value) for value in values] == [5, 5, 5, None, None, None, None, None, 2**70, None, None, 5]


@pytest.mark.parametrize("value", [None, "", " \n", float("nan")])
def test_a_value_that_says_nothing(value):
    assert is_missing(value)


@pytest.mark.parametrize("value", [0, False, "0", "x", [], {}, 0.0])
def test_a_value_that_says_something(value):
    assert not is_missing(value)
