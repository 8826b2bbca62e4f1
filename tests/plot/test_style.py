import matplotlib as mpl
import numpy as np
import pytest
from conftest import spans_of
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure

from tokenvis import theme
from tokenvis.layout.time_map import time_map
from tokenvis.plot.artists.style import DAY, HOUR, MINUTE, SECOND, duration_text, nice_step, offset_text, set_time_axis


@pytest.mark.parametrize(
    ("microseconds", "text"),
    [
        (0, "0 s"),
        (7, "7 µs"),
        (1_500, "1.5 ms"),
        (800_000, "800 ms"),
        (999_999, "1 s"),
        (8_000_000, "8 s"),
        (59_600_000, "1m"),
        (90_000_000, "1m 30s"),
        (2 * HOUR, "2h"),
        (3 * HOUR + 12 * MINUTE, "3h 12m"),
        (2 * DAY + 4 * HOUR, "2d 4h"),
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


def test_a_theme_has_settings_for_matplotlib():
    before = dict(mpl.rcParams)
    with mpl.rc_context(theme()):
        assert mpl.rcParams["text.parse_math"] is False
    assert dict(mpl.rcParams) == before
