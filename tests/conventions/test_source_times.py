from decimal import Decimal

import pytest
from files import write_file
from hypothesis import given
from hypothesis import strategies as st

from tokenvis import ingest
from tokenvis.conventions.source_times import SourceTimes, unit_of
from tokenvis.conventions.timestamps import UNITS
from tokenvis.spans.columns import YEAR_2000, YEAR_2100

SECONDS = 1_772_442_000  # 2026-03-02


def remarks_of(starts, ends=(), **options):
    times = SourceTimes(**options)
    for value in starts:
        times.start(value)
    for value in ends:
        times.time(value)
    return list(times.remarks())


@pytest.mark.parametrize(
    ("values", "remarks"),
    [
        (["2026-07-23T10:00", "2026-07-23"], []),
        (["2026-07-23T10:00Z", "2026-07-23T10:00+02:00"], []),
        (["2026-07-23T10:00"], []),
        (
            ["2026-07-23T10:00", "2026-07-23T10:00Z"],
            ["1 of 2 times has no zone, and UTC was assumed. Add the zone, such as +02:00"],
        ),
        (
            ["2026-07-23T10:00", "2026-07-23T10:00", 5, "2026-07-23T10:00+02:00"],
            ["2 of 3 times have no zone, and UTC was assumed. Add the zone, such as +02:00"],
        ),
    ],
)
def test_times_without_a_zone_are_told_beside_times_with_one(values, remarks):
    assert remarks_of(values) == remarks
    assert remarks_of(values[:1], values[1:]) == remarks


@pytest.mark.parametrize(
    ("values", "unit"),
    [
        ([SECONDS, SECONDS + 5.5], "s"),
        ([f"{SECONDS}.25"], "s"),
        ([Decimal(SECONDS * 1_000)], "ms"),
        ([SECONDS * 10**9], "ns"),
        ([SECONDS * 10**6], None),
        ([0, 10, 20], None),
        ([0, SECONDS], None),
        ([SECONDS, SECONDS * 1_000], None),
        ([float("nan"), SECONDS], "s"),
        (["2026-07-23T10:00"], None),
        ([], None),
    ],
)
def test_the_unit_that_all_starts_fit(values, unit):
    times = SourceTimes()
    for value in values:
        try:
            times.start(value)
        except ValueError:
            assert value != value or unit == "ns"
    assert times.other_unit() == unit


def test_a_given_unit_that_does_not_fit_is_told():
    told = "1 time may be in another unit: '1772442000' in 'ms' would be 1970-01-21; in 's' it is 2026-03-02."
    assert remarks_of([SECONDS], unit="ms", is_given=True) == [f"{told} Pass unit='s' for that"]
    assert remarks_of([SECONDS], unit="s", is_given=True) == []


def test_starts_of_zero_do_not_hide_another_unit():
    read = "'1772442000' in 'us' would be 1970-01-01; in 's' it is 2026-03-02"
    told = f"3 times may be in another unit: {read}. Pass unit='s' for that"
    close = [SECONDS, SECONDS + 1, SECONDS + 3_600]
    for starts in ([0, *close], [*close, "0.0"]):
        assert remarks_of(starts) == [told]
    for simulated in ([0, SECONDS], [0, 10**9, 2 * 10**9, 3 * 10**9], [0, 0, 0]):
        assert remarks_of(simulated) == []


def test_numbers_with_a_fraction_and_durations_beside_dates_are_told_once():
    told = ['2 numbers with a fraction counted as µs. Pass unit="s" for seconds, "ms" for ms, "us" for µs']
    assert remarks_of([0.0, 1.5, "2.25", Decimal(3)]) == told
    assert remarks_of([0.0, 1.5], unit="us", is_given=True) == []
    assert remarks_of([0.0, 1.0, "2.0", 10**30 - 10**30]) == []
    times = SourceTimes()
    assert times.duration(5, "2026-07-23") + times.duration(5, 7) == 10
    assert list(times.remarks()) == [
        '1 duration beside dates counted as µs. Pass unit="s" for seconds, "ms" for ms, "us" for µs'
    ]


def test_a_time_that_does_not_fit_the_unit_of_a_format_is_told():
    times = SourceTimes()
    assert times.epoch_start(SECONDS, "ms") == SECONDS * 1_000
    assert list(times.remarks()) == [
        "1 time may be in another unit: '1772442000' in 'ms' would be 1970-01-21; in 's' it is 2026-03-02"
    ]
    assert times.epoch_start(5, "ms") == 5_000
    assert list(times.remarks()) == []


def test_only_early_times_in_nanoseconds_are_evidence_of_another_unit():
    times = SourceTimes()
    for relative in (0, 1_000_000_000, "4000000000"):
        times.early_start(relative)
    assert list(times.remarks()) == []
    times.early_start(SECONDS * 1_000)
    assert list(times.remarks()) == [
        "1 time may be in another unit: '1772442000000' in 'ns' would be 1970-01-01; in 'ms' it is 2026-03-02"
    ]


@pytest.mark.parametrize("time", [SECONDS + 1, SECONDS * 1_000, SECONDS * 1_000_000])
@pytest.mark.parametrize("written", ["otlp", "sdk", "mlflow"])
def test_nanoseconds_that_are_epoch_times_in_another_unit_are_told(written, time):
    ids = {"trace_id": "a" * 32, "span_id": "b" * 16}
    otlp = {"traceId": "a" * 32, "spanId": "b" * 16, "name": "x", "startTimeUnixNano": str(time), "endTimeUnixNano": str(time)}
    record = {
        "otlp": {"resourceSpans": [{"scopeSpans": [{"spans": [otlp]}]}]},
        "sdk": {"name": "x", "context": ids, "kind": "internal", "start_time": time, "end_time": time},
        "mlflow": {
            "info": {"trace_location": {}},
            "data": {"spans": [{**ids, "name": "x", "start_time_unix_nano": time, "end_time_unix_nano": time}]},
        },
    }[written]
    [told] = [problem.reason for problem in ingest(write_file("x.json", record)).problems]
    assert told.startswith(f"1 time may be in another unit: '{time}' in 'ns' would be 1970-01-")


@pytest.mark.laws
@given(st.integers(YEAR_2000, YEAR_2100 - 1), st.sampled_from(sorted(UNITS)))
def test_a_number_between_2000_and_2100_fits_one_unit(time, unit):
    number = Decimal(time) / UNITS[unit]
    fits = [name for name, factor in UNITS.items() if YEAR_2000 <= number * factor < YEAR_2100]
    assert fits == [unit] == [unit_of(number, number)]


ZONELESS, ZONED = "2026-07-23T10:00:00", "2026-07-23T12:00:01Z"


@pytest.mark.parametrize(
    "record",
    [
        {"id": "a", "traceId": "t", "type": "SPAN", "startTime": ZONELESS, "endTime": ZONED},
        {"context": {"trace_id": "1" * 32, "span_id": "2" * 16}, "start_time": ZONELESS, "end_time": ZONED, "name": "x"},
        {"context.trace_id": "1", "context.span_id": "2", "span_kind": "LLM", "start_time": ZONELESS, "end_time": ZONED},
    ],
    ids=["langfuse", "python_sdk", "phoenix"],
)
def test_every_reader_of_dates_tells_times_without_a_zone(record):
    report = ingest(write_file("x.json", [record]))
    assert [str(problem) for problem in report.problems] == [
        "x.json: 1 of 2 times has no zone, and UTC was assumed. Add the zone, such as +02:00."
    ]


def test_numeric_times_of_langfuse_in_another_unit_are_told():
    records = [{"id": name, "traceId": "t", "type": "SPAN", "startTime": SECONDS, "endTime": SECONDS + 1} for name in "ab"]
    assert [str(problem) for problem in ingest(write_file("x.json", records)).problems] == [
        "x.json: 2 times may be in another unit: '1772442000' in 'ms' would be 1970-01-21; in 's' it is 2026-03-02."
    ]
