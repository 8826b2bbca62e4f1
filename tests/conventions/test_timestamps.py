from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenvis.conventions.timestamps import UNITS, from_nanoseconds, from_unit, is_number_text, microseconds


@pytest.mark.parametrize(
    ("timestamp", "time"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T00:00:00.000001+00:00", 1),
        ("1969-12-31T23:59:59.999999", -1),
        ("1970-01-01T01:00:00+01:00", 0),
        ("1970-01-01T00:00:00.123456789Z", 123_456),
        ("0001-01-01T00:00:00+23:59", -62_135_596_800_000_000 - 86_340_000_000),
        ("9999-12-31T23:59:59.999999Z", 253_402_300_799_999_999),
    ],
)
def test_a_timestamp_as_microseconds(timestamp, time):
    assert microseconds(timestamp) == time


@pytest.mark.parametrize("timestamp", ["", "noon", "2026-13-01", "1782036000"])
def test_a_text_that_is_not_a_timestamp(timestamp):
    with pytest.raises(ValueError, match=r"^(Invalid isoformat string|month must be in 1\.\.12)"):
        microseconds(timestamp)


@pytest.mark.parametrize(
    ("value", "unit", "time"),
    [
        (5, "s", 5_000_000),
        ("5", "ms", 5_000),
        (1.5, "us", 1),
        (-1.5, "us", -2),
        (1_781_293_600_123_456_789, "ns", 1_781_293_600_123_456),
        ("-1", "ns", -1),
        (Decimal("81995849580.999"), "us", 81_995_849_580),
        ("0.1", "s", 100_000),
        ("2026-06-21T10:00:00.25Z", "ns", 1_782_036_000_250_000),
    ],
)
def test_a_number_of_a_unit(value, unit, time):
    assert from_unit(value, unit) == time


def test_nanoseconds_are_floored():
    assert [from_nanoseconds(value) for value in ("1999", 1999, 0, -1)] == [1, 1, 0, -1]
    with pytest.raises(TypeError, match=r"^a time is of type float$"):
        from_nanoseconds(1.5)


@pytest.mark.parametrize(
    ("value", "unit", "message"),
    [
        (
            1_781_293_600_000_000_000,
            "us",
            "'1781293600000000000' in 'us' would be in the year 58,416; in 'ns' it is 2026-06-12",
        ),
        (1_781_293_600_000_000, "ms", "'1781293600000000' in 'ms' would be in the year 58,416; in 'us' it is 2026-06-12"),
        (1_781_293_600_000, "s", "'1781293600000' in 's' would be in the year 58,416; in 'ms' it is 2026-06-12"),
        (10**30, "s", f"'{10**30}' in 's' would be in the year 31,688,738,506,811,430,966,532"),
        (10**60, "s", f"'{str(10**60)[:60]}'… (61 characters) in 's' would be in a distant year"),
    ],
)
def test_a_time_in_the_wrong_unit_is_refused_with_the_right_one(value, unit, message):
    with pytest.raises(ValueError, match=r"would be in ") as caught:
        from_unit(value, unit)
    assert str(caught.value) == message


@pytest.mark.parametrize("value", [True, None, [], {}])
def test_a_value_that_is_not_a_time(value):
    with pytest.raises(TypeError, match=r"^a time is "):
        from_unit(value, "s")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "NaN", "-Infinity"])
def test_a_number_that_is_not_finite_is_not_a_time(value):
    with pytest.raises(ValueError, match=r" is not a time$"):
        from_unit(value, "s")


@pytest.mark.laws
@given(st.integers(-(10**17), 10**17), st.integers(0, 10**6), st.sampled_from(sorted(UNITS)))
def test_times_keep_their_order_and_are_floored(value, more, unit):
    one, other = (from_unit(number, unit) for number in (value, value + more)) if unit in ("us", "ns") else (0, 0)
    assert one <= other
    if unit == "ns":
        assert one == value // 1_000 == from_nanoseconds(value)


def test_digits():
    assert [is_number_text(text) for text in ("5", "-1.5", "1e3", "", "5 s", "2026-01-01")] == [
        True,
        True,
        True,
        False,
        False,
        False,
    ]
