from datetime import UTC, datetime
from typing import Any

import pandas as pd
import pytest

from tokenvis import BadOption, BadSpan
from tokenvis.spans.conversion.clock import times_in_us

DAY = 1_767_225_600_000_000  # 2026-01-01 in UTC


def times(values: Any, step_us: int = 1) -> list[int]:
    return times_in_us(pd.Series(values, name="at", dtype=getattr(values, "dtype", object)), step_us, "events").tolist()


@pytest.mark.parametrize(
    "values",
    [
        ["2026-01-01", "2026-01-01T00:00:01.5"],
        ["2026-01-01T00:00:00Z", "2026-01-01T01:00:01.500+01:00"],
        pd.to_datetime(["2026-01-01 00:00:00.0", "2026-01-01 00:00:01.5"]),
        pd.to_datetime(["2026-01-01 00:00:00.0", "2026-01-01 00:00:01.5"], utc=True).tz_convert("Asia/Tokyo"),
        [datetime(2026, 1, 1, tzinfo=UTC), "2026-01-01 00:00:01.5Z"],
        pd.Categorical(["2026-01-01", "2026-01-01T00:00:01.5"]),
    ],
)
def test_dates_and_iso_texts_are_read_in_utc(values):
    assert times(values) == [DAY, DAY + 1_500_000]


def test_numbers_are_multiples_of_a_step():
    assert times([0, 3], 10) == [0, 30]
    assert times([0.1, 1.5], 1_000_000) == [100_000, 1_500_000]
    assert times(["0", "2"], 10) == [0, 20]
    assert times([1.0, 2.0]) == [1, 2]
    assert times(pd.array([1, 2], dtype="Int64")) == [1, 2]
    assert times(pd.to_timedelta([0, 1.5], unit="s")) == [0, 1_500_000]
    assert times([]) == []


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([0, None], "at is missing in row 1 of the events."),
        ([0.5, 1.5], "at contains 0.5, which is no whole number of µs. If the times are seconds: step_us=1_000_000."),
        ([float("inf")], "at contains inf, which is no whole number of µs. If the times are seconds: step_us=1_000_000."),
        (["2026-01-01", "noon"], "at contains 'noon' in row 1, which is no time."),
        (["2026-01-01", "\ud800"], "at contains '\\ud800' in row 1, which is no time."),
        (["2026-01-01", 5], "at contains 5 in row 1, which is no time."),
        ([True, False], "at has type bool, which is no time. Pass numbers, dates, or texts in ISO 8601."),
        (
            ["2026-01-01T00:00:00", "2026-01-01T00:00:00+02:00"],
            "at has a time zone in row 1, '2026-01-01T00:00:00+02:00', but none in row 0, '2026-01-01T00:00:00'. "
            "Give every time its zone.",
        ),
    ],
)
def test_what_is_no_time_is_an_error(values, message):
    with pytest.raises(BadSpan) as error:
        times(values)
    assert str(error.value) == message


def test_a_step_is_a_length_of_numbers_only():
    with pytest.raises(BadOption) as error:
        times(["2026-01-01"], 10)
    assert str(error.value) == "step_us=10 is the length of a step, but at contains dates. Leave step_us= out."


@pytest.mark.parametrize(("value", "step_us"), [(2**62, 4), (1e300, 4)])
def test_times_beyond_64_bits_are_an_error(value, step_us):
    with pytest.raises(BadSpan, match=r"^Step .* times step_us=4 does not fit into a 64-bit integer\.$"):
        times([0, value], step_us)


@pytest.mark.parametrize(
    ("second", "advice"),
    [
        (1, "read as µs or steps; in seconds it is the year 2026: step_us=1_000_000."),
        (1_000, "read as µs or steps; in milliseconds it is the year 2026: step_us=1_000."),
        (1_000_000_000, "read as µs or steps; in nanoseconds it is the year 2026: divide them by 1_000."),
    ],
)
def test_numbers_that_are_dates_in_another_unit_are_told(second, advice):
    stamps = [1_780_000_000 * second, 1_780_000_009 * second]
    with pytest.warns(UserWarning, match="^at contains") as warned:
        assert times(stamps) == stamps
    assert [str(one.message) for one in warned] == [f"at contains {stamps[0]}, {advice}"]
    assert times([DAY, DAY + 1]) == [DAY, DAY + 1]
