from decimal import Decimal

import pytest

from tokenvis.conventions.values import decode_json_text, int_or_none, is_missing


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


def test_whole_numbers():
    values = [5, "5", 5.0, "5.5", None, True, "x", [], 2**70, "1e400", float("nan"), Decimal("5.0")]
    assert [int_or_none(value) for value in values] == [5, 5, 5, None, None, None, None, None, 2**70, None, None, 5]


@pytest.mark.parametrize("value", [None, "", " \n", float("nan")])
def test_a_value_that_says_nothing(value):
    assert is_missing(value)


@pytest.mark.parametrize("value", [0, False, "0", "x", [], {}, 0.0])
def test_a_value_that_says_something(value):
    assert not is_missing(value)
