"""Ticks of the time axis."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from conftest import spans_of
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure

import tokenvis as tv
from tokenvis.layout.time_map import time_map
from tokenvis.plot.artists.times.durations import DAY, HOUR, MINUTE, SECOND
from tokenvis.plot.artists.times.ticks import nice_step, set_time_axis


@pytest.mark.parametrize(
    ("least", "step"),
    [
        (0, 1),
        (3, 5),
        (300_000, 500_000),
        (7 * SECOND, 10 * SECOND),
        (40 * SECOND, MINUTE),
        (4 * HOUR, 6 * HOUR),
        (3 * DAY, 5 * DAY),
    ],
)
def test_steps_read_well(least, step):
    assert nice_step(least) == step


def test_steps_of_a_simulation_are_decimal():
    assert [nice_step(least, decimal=True) for least in (1, 7, 60)] == [1, 10, 100]


@pytest.mark.laws
@given(st.floats(0.01, 1e18))
def test_a_step_is_long_enough_and_not_much_longer(least):
    step = nice_step(least)
    assert max(least, 1) <= step <= max(3 * least, 1)


def labels_of(spans, **options):
    """Tick labels of an Axes of 12 inches that shows a trace."""
    ax = Figure(figsize=(12, 2)).subplots()
    mapping = time_map(spans)
    ends = mapping.to_x(np.array([spans["start_time"].min(), spans["end_time"].max()]))
    ax.set_xlim(*ends)
    set_time_axis(ax, mapping, **{"time": "elapsed", "tz": "UTC", **options})
    ax.figure.canvas.draw()
    return [tick.get_text() for tick in ax.get_xticklabels()], ax


def test_elapsed_time_has_round_ticks():
    assert labels_of(spans_of("ann 0 60000000 desk"))[0] == ["0", "10 s", "20 s", "30 s", "40 s", "50 s", "1m"]


def test_ticks_next_to_a_fold_have_the_right_times():
    labels, ax = labels_of(spans_of("ann 0 60000000 desk", "ann 3600000000 3660000000 desk"))
    assert labels == ["0", "15 s", "30 s", "45 s", "1m", "1h 15s", "1h 30s", "1h 45s", "1h 1m"]
    assert ax.get_xlabel() == "elapsed time, idle gaps folded"


def test_clock_time_has_the_date_where_the_day_changes():
    start = 1_782_081_000_000_000  # 2026-06-21 22:30 UTC
    labels, ax = labels_of(spans_of(f"ann {start} {start + 3 * HOUR} desk"), time="clock", tz="Europe/Berlin")
    assert labels == ["00:30\n22 Jun 2026", "01:00", "01:30", "02:00", "02:30", "03:00", "03:30"]
    assert ax.get_xlabel() == "time (Europe/Berlin)"
    assert labels_of(spans_of(f"ann {start} {start + 3 * HOUR} desk"), time="clock")[0][3] == "00:00\n22 Jun 2026"


def test_clock_ticks_are_round_whenever_the_trace_began():
    start = 1_782_036_007_250_000  # 2026-06-21 10:00:07.25 UTC
    labels, _ = labels_of(spans_of(f"ann {start} {start + 2 * MINUTE} desk"), time="clock", tz="Asia/Kolkata")
    assert labels == [
        "15:30:15\n21 Jun 2026",
        "15:30:30",
        "15:30:45",
        "15:31:00",
        "15:31:15",
        "15:31:30",
        "15:31:45",
        "15:32:00",
    ]


def test_steps_are_plain_numbers():
    labels, ax = labels_of(spans_of("ann 0 4000 desk"), time="step")
    assert labels == ["0", "500", "1,000", "1,500", "2,000", "2,500", "3,000", "3,500", "4,000"]
    assert ax.get_xlabel() == "step"


@pytest.mark.laws
@given(st.integers(-(10**12), 10**15), st.integers(1, 10**13), st.booleans())
def test_ticks_are_few_and_inside(start, length, decimal):
    _, ax = labels_of(spans_of(f"ann {start} {start + length} desk"), time="step" if decimal else "elapsed")
    low, high = ax.get_xlim()
    ticks = ax.xaxis.get_majorticklocs()
    assert len(ticks) <= 16
    assert all(low - 1 <= tick <= high + 1 for tick in ticks)


def test_elapsed_time_starts_at_zero_whatever_the_times_count_from():
    start = 81_995_849_579  # µs since the machine started
    labels, _ = labels_of(spans_of(f"ann {start} {start + 2_440} desk"))
    assert labels == ["0", "500 µs", "1 ms", "1.5 ms", "2 ms"]


def test_step_numbers_are_those_of_the_spans():
    labels, _ = labels_of(spans_of("ann 4007 4031 desk"), time="step")
    assert labels[:3] == ["4,010", "4,015", "4,020"]


def clock_labels(start, hours, tz, width=11.0, **size):
    """The labels of the ticks for a span that starts at this local time."""
    first = pd.Timestamp(start, tz=tz).value // 1_000
    spans = spans_of(f"ann {first} {first + int(hours * 3_600_000_000)} desk")
    ax = tv.plot_timeline(spans, time="clock", tz=tz, ax=plt.subplots(figsize=(width, 2))[1])
    ax.figure.canvas.draw()
    low, high = ax.get_xlim()
    return [text.get_text() for x, text in zip(ax.get_xticks(), ax.get_xticklabels(), strict=True) if low <= x <= high]


def test_an_hour_that_a_changed_clock_repeats_is_told_apart():
    labels = clock_labels("2026-10-25 00:00", 6, "Europe/Berlin")
    assert labels == ["00:00\n25 Oct 2026", "01:00", "02:00", "02:00\nUTC+1", "03:00", "04:00", "05:00"]
    assert clock_labels("2026-03-29 00:00", 3, "Europe/Berlin", 5) == ["00:00\n29 Mar 2026", "01:00", "03:00\nUTC+2", "04:00"]


@pytest.mark.parametrize("start", ["2026-03-25", "2026-10-21"])
def test_days_begin_at_midnight_after_a_change_of_the_clock(start):
    labels = clock_labels(start, 10 * 24, "Europe/Berlin")
    assert len(labels) >= 5
    assert {label.split("\n")[0] for label in labels} == {"00:00"}


def test_hours_are_round_after_a_change_of_half_an_hour():
    labels = clock_labels("2026-04-04 22:00", 8.5, "Australia/Lord_Howe")
    assert labels[-5:] == ["02:00\nUTC+10:30", "03:00", "04:00", "05:00", "06:00"]


def test_times_outside_the_calendar_have_no_label():
    ax = tv.plot_timeline(spans_of("ann 1770000000000000 1770000009000000 desk"), time="clock")
    ax.set_xlim(-(10**18), 10**18)
    ax.figure.canvas.draw()
    labels = [text.get_text() for text in ax.get_xticklabels()]
    assert labels[0] == labels[-1] == ""
    assert any(labels)


@pytest.mark.parametrize(("start", "end"), [(2**63 - 11, 2**63 - 1), (-(2**63), -(2**63) + 10), (-(2**63), 2**63 - 1)])
@pytest.mark.parametrize("width", [1.5, 11])
def test_step_numbers_near_the_limits_have_ticks(start, end, width):
    ax = tv.plot_timeline(spans_of(f"ann {start} {end} desk"), time_unit="step", ax=plt.subplots(figsize=(width, 2))[1])
    ax.figure.canvas.draw()
    steps = [int(text.get_text().replace(",", "")) for text in ax.get_xticklabels()]
    assert steps
    assert all(start - 1 <= step <= end + 1 for step in steps[1:-1])
