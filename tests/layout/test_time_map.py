import numpy as np
import pytest
from conftest import spans_frames, spans_of, with_data
from hypothesis import given
from hypothesis import strategies as st
from waiting import waiting_frames

from tokenvis import BadOption
from tokenvis.layout.time_map import BREAK_WIDTH_SHARE, time_map
from tokenvis.spans.columns import YEAR_2000
from tokenvis.tree.states import states_of

IDLE = ("ann 0 100 desk", "bob 50 120 lab", "ann 900 980 desk")  # 200 µs of work, then 780 µs idle


def positions(mapping, *times):
    return mapping.to_x(np.array(times, dtype=np.int64)).tolist()


def test_a_busy_trace_is_linear():
    mapping = time_map(spans_of("ann 0 100 desk", "bob 150 200 lab"))
    assert positions(mapping, 0, 100, 150, 200) == [0, 100, 150, 200]
    assert mapping.folds.empty


def test_a_long_gap_in_an_idle_trace_becomes_a_break():
    mapping = time_map(spans_of(*IDLE))
    width = 200 * BREAK_WIDTH_SHARE
    assert mapping.folds.to_dict("list") == {"start": [120], "end": [900], "x0": [120], "x1": [120 + width]}
    assert positions(mapping, 0, 100, 120, 900, 980) == [0, 100, 120, 120 + width, 200 + width]
    assert mapping.segments == [(0, 120), (900, 980)]


@pytest.mark.parametrize(
    ("spans", "n_folds"),
    [
        (("ann 0 100 desk", "ann 200 300 desk"), 0),  # idle for 100 of 300
        (("ann 0 100 desk", "ann 300 400 desk"), 0),  # idle for half
        (("ann 0 100 desk", "ann 301 401 desk"), 1),  # and for more than half
        (("ann 0 100 desk", "ann 110 210 desk", "ann 810 910 desk"), 1),  # a gap of 10, beside 300 of work
        (("ann 0 100 desk", "ann 115 215 desk", "ann 815 915 desk"), 1),  # of 15: no longer than 5%
        (("ann 0 100 desk", "ann 116 216 desk", "ann 816 916 desk"), 2),
    ],
)
def test_gaps_are_folded_if_the_trace_is_mostly_idle_and_they_are_long(spans, n_folds):
    assert len(time_map(spans_of(*spans)).folds) == n_folds


def test_instants_alone_are_not_folded_and_folds_are_not_too_many():
    assert time_map(spans_of("ann 0 0 desk", "ann 50 50 desk", "ann 1000 1000 desk")).folds.empty
    spans = spans_of(*(f"ann {n * n * 100} {n * n * 100 + 1} desk" for n in range(60)))
    folds = time_map(spans).folds
    assert len(folds) == 40
    assert folds["end"].max() == spans["start_time"].max()


def test_gaps_are_kept_when_asked():
    mapping = time_map(spans_of(*IDLE), gaps="keep")
    assert positions(mapping, 0, 120, 900, 980) == [0, 120, 900, 980]


def test_times_are_counted_from_the_first_start_whatever_the_clock():
    mapping = time_map(spans_of(f"ann {YEAR_2000 + 5} {YEAR_2000 + 9} desk"))
    assert (mapping.origin, positions(mapping, YEAR_2000 + 5, YEAR_2000 + 9)) == (YEAR_2000 + 5, [0, 4])
    assert time_map(spans_of("ann 5 9 desk")).origin == 5


def test_instants_and_an_empty_frame_have_a_map():
    assert positions(time_map(spans_of("ann 7 7 desk")), 7, 8) == [0, 1]
    assert positions(time_map(spans_of("ann 0 1 desk").iloc[:0]), 0) == [0]


def test_the_limits_of_int64_are_valid_times():
    low, high = -(2**63), 2**63 - 1
    mapping = time_map(spans_of(f"ann {low} {low + 10} desk", f"bob {high - 10} {high} desk"), gaps="keep")
    assert np.isfinite(positions(mapping, low, high)).all()
    assert positions(mapping, high)[0] - positions(mapping, low)[0] == 2.0**64


@pytest.mark.laws
@given(spans_frames(n_traces=1, max_spans=6), st.integers(1, 200))
def test_time_is_linear_while_spans_run_and_always_increases(spans, stretch):
    spans = spans.assign(start_time=spans["start_time"] * stretch, end_time=spans["start_time"] * stretch + 3)
    mapping = time_map(spans)
    start, end = mapping.to_x(spans["start_time"].to_numpy()), mapping.to_x(spans["end_time"].to_numpy())
    assert np.allclose(end - start, 3)
    times = np.arange(-5, 9 * stretch + 5)
    x = mapping.to_x(times)
    assert (np.diff(x) > 0).all()
    assert np.allclose(mapping.to_offset(x) + mapping.origin, times)
    for fold in mapping.folds.itertuples():
        assert not ((spans["start_time"] < fold.end) & (spans["end_time"] > fold.start)).any()


def test_an_invalid_choice_is_refused():
    with pytest.raises(BadOption, match=r"^gaps='hide' is not one of 'fold', 'keep'\.$"):
        time_map(spans_of(*IDLE), gaps="hide")


def test_time_in_which_spans_only_wait_is_a_gap():
    spans = spans_of("ann 0 100 desk", "ann 100 900 ask", "ann 900 980 desk")
    marked = with_data(spans, b={"waits_for": "user"})
    assert time_map(marked).folds.empty
    mapping = time_map(marked, states=states_of(marked))
    assert (mapping.folds["start"].tolist(), mapping.folds["end"].tolist(), mapping.folds_waits) == ([100], [900], True)
    mapping = time_map(spans_of(*IDLE), states=states_of(spans_of(*IDLE)))
    assert mapping.folds.equals(time_map(spans_of(*IDLE)).folds)
    assert not mapping.folds_waits


def test_a_wait_at_either_end_is_a_gap_too():
    spans = with_data(spans_of("ann 0 800 ask", "ann 800 900 desk", "ann 900 1700 ask"), a={"waits_for": 1}, c={"waits_for": 1})
    mapping = time_map(spans, states=states_of(spans))
    assert (mapping.folds["start"].tolist(), mapping.folds["end"].tolist()) == ([1, 900], [800, 1700])


def test_a_fold_with_waits_elsewhere_is_idle():
    spans = spans_of("ann 0 100 desk", "bob 20 50 lab", "ann 900 980 desk", parents={"b": "a"})
    mapping = time_map(spans, states=states_of(spans))
    assert (len(mapping.folds), mapping.folds_waits) == (1, False)


@pytest.mark.laws
@given(waiting_frames())
def test_a_fold_has_no_work(spans):
    spans = spans[spans["trace_id"] == "t"]
    states = states_of(spans)
    mapping = time_map(spans, states=states)
    pieces = list(zip(states.start, states.end, states.state, strict=True))
    folded = [
        any(a < end and start < b for start, end, state in pieces if (state == 0) == works)
        for works in (True, False)
        for a, b in zip(mapping.folds["start"], mapping.folds["end"], strict=True)
    ]
    n_folds = len(mapping.folds)
    assert not any(folded[:n_folds])
    assert any(folded[n_folds:]) == mapping.folds_waits
