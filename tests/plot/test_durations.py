import pytest

from tokenvis.plot.artists.times.durations import DAY, HOUR, MINUTE, SECOND, duration_text, offset_text


@pytest.mark.parametrize(
    ("microseconds", "text"),
    [
        (0, "0 s"),
        (7, "7 µs"),
        (1_500, "1.5 ms"),
        (800_000, "800 ms"),
        (999_999, "1 s"),
        (8_000_000, "8 s"),
        (59_600_000, "59.6 s"),
        (59_960_000, "1m"),
        (90_000_000, "1m 30s"),
        (2 * HOUR, "2h"),
        (3 * HOUR + 12 * MINUTE, "3h 12m"),
        (59 * MINUTE + 40 * SECOND, "59m 40s"),
        (HOUR - 1, "1h"),
        (23 * HOUR + 36 * MINUTE, "23h 36m"),
        (DAY - SECOND, "1d"),
        (2 * DAY + 4 * HOUR, "2d 4h"),
        (20_000 * DAY, "20,000d"),
        (-8 * SECOND, "−8 s"),
        (-500_000, "−500 ms"),
        (-112 * SECOND, "−1m 52s"),
        (-0.25, "0 s"),
    ],
)
def test_a_duration_reads_in_one_or_two_units(microseconds, text):
    assert duration_text(microseconds) == text


@pytest.mark.parametrize(
    ("microseconds", "text"),
    [
        (0, "0"),
        (250, "250 µs"),
        (2_500, "2.5 ms"),
        (2_500_000, "2.5 s"),
        (90 * SECOND, "1m 30s"),
        (HOUR + 2 * MINUTE + 3_000_120, "1h 2m 3.00012s"),
        (2 * DAY, "2d"),
        (-5 * SECOND, "−5 s"),
    ],
)
def test_a_time_since_the_origin_is_exact(microseconds, text):
    assert offset_text(microseconds) == text
