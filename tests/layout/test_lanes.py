import numpy as np
import pandas as pd
import pytest
from conftest import spans_frames, spans_of
from hypothesis import given
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from tokenvis import BadOption, MissingColumn, pack_lanes
from tokenvis.layout.lanes import BAND_GAP, place_spans


def lanes(spans, **options):
    packed = pack_lanes(spans, **options)
    return dict(zip(packed["id"], packed["lane"], strict=True))


def test_a_span_takes_the_lowest_lane_that_is_free():
    spans = spans_of("ann 0 10 desk", "bob 2 4 desk", "eve 3 8 desk", "bob 4 6 desk", "ann 10 12 desk")
    assert lanes(spans) == {"a": 0, "b": 1, "c": 2, "d": 1, "e": 0}


def test_bands_and_traces_are_packed_separately():
    spans = spans_of("ann 0 9 desk", "bob 0 9 lab", "ann 0 9 desk u", "eve 0 9 desk")
    assert lanes(spans) == {"a": 0, "b": 0, "c": 0, "d": 1}
    assert lanes(spans, by="agent_id") == {"a": 0, "b": 0, "c": 0, "d": 0}


def test_an_instant_occupies_its_own_microsecond():
    assert lanes(spans_of("ann 3 3 desk", "bob 3 3 desk", "eve 4 4 desk")) == {"a": 0, "b": 1, "c": 0}
    assert lanes(spans_of("ann 0 3 desk", "bob 3 3 desk", "eve 3 5 desk")) == {"a": 0, "b": 0, "c": 1}


def test_ties_go_by_start_end_agent_id():
    spans = spans_of("bob 0 5 desk", "ann 0 5 desk", "ann 0 5 desk", "eve 0 4 desk")
    assert lanes(spans) == {"d": 0, "b": 1, "c": 2, "a": 3}


def test_the_index_of_the_frame_is_kept():
    spans = spans_of("ann 0 5 desk", "bob 1 2 desk", "eve 7 8 desk")
    assert spans.iloc[::-1].assign(lane=pack_lanes(spans)["lane"])["lane"].tolist() == [0, 1, 0]


def test_the_limits_of_int64_are_valid_times():
    low, high = -(2**63), 2**63 - 1
    spans = spans_of(f"ann {low} {low} desk", f"bob {low} {high} desk", f"eve {high} {high} desk", f"eve {high} {high} desk")
    assert lanes(spans) == {"a": 0, "b": 1, "c": 0, "d": 1}


def greedy(spans):
    """The sweep line by its definition."""
    placed = []
    for row in sorted(spans.itertuples(), key=lambda r: (r.start_time, r.end_time, r.agent_id, r.id)):
        last = max(row.end_time - 1, row.start_time)
        busy = {lane for band, end, lane, _ in placed if band == (row.trace_id, row.location_id) and end >= row.start_time}
        lane = next(number for number in range(len(spans)) if number not in busy)
        placed.append(((row.trace_id, row.location_id), last, lane, row.id))
    return {span: lane for _, _, lane, span in placed}


@pytest.mark.laws
@given(spans_frames(max_spans=20))
def test_lanes_are_those_of_the_greedy_sweep(spans):
    before = spans.copy(deep=True)
    assert lanes(spans) == greedy(spans)
    assert_frame_equal(pack_lanes(spans), pack_lanes(spans.iloc[::-1]))
    assert_frame_equal(spans, before)


@pytest.mark.laws
@given(spans_frames(max_spans=20))
def test_a_band_has_as_many_lanes_as_spans_run_at_once(spans):
    packed = pack_lanes(spans)
    for (trace, band), part in packed.groupby(["trace_id", "band"], observed=True):
        members = spans[(spans["trace_id"] == trace) & (spans["location_id"] == band)]
        start, end = members["start_time"].to_numpy(), members["end_time"].to_numpy()
        end = np.where(end > start, end, start + 1)
        peak = max(int(((start <= time) & (time < end)).sum()) for time in start)
        assert part["lane"].max() + 1 == peak


def test_an_empty_frame_is_packed_into_an_empty_table():
    packed = pack_lanes(spans_of("ann 0 1 desk").iloc[:0])
    assert packed.columns.tolist() == ["trace_id", "id", "band", "lane"]
    assert (len(packed), packed["lane"].dtype) == (0, "int64")


def bands_of(spans, **options):
    """Each band from the top: (value, top, height, spans, whether it is folded)."""
    return [tuple(band) for band in place_spans(spans, **options).bands.itertuples(index=False)]


def test_bands_are_in_order_of_first_start_with_a_gap_between():
    spans = spans_of("ann 4 9 attic", "ann 0 3 lab", "bob 0 3 desk", "eve 1 3 lab", "bob 5 6 attic")
    placed = place_spans(spans)
    assert bands_of(spans) == [
        ("lab", 0, 2, 2, False),
        ("desk", 2 + BAND_GAP, 1, 1, False),
        ("attic", 3 + 2 * BAND_GAP, 2, 2, False),
    ]
    assert dict(zip(spans["id"], placed.middle, strict=True)) == {
        "a": 3.5 + 2 * BAND_GAP,
        "b": 0.5,
        "c": 2.5 + BAND_GAP,
        "d": 1.5,
        "e": 4.5 + 2 * BAND_GAP,
    }
    assert placed.height == 5 + 2 * BAND_GAP


def test_named_bands_come_first():
    spans = spans_of("ann 0 1 desk", "ann 2 3 lab", "ann 4 5 attic")
    for order in (["attic"], "attic"):
        assert [band for band, *_ in bands_of(spans, order=order)] == ["attic", "desk", "lab"]


def test_missing_values_have_a_separate_band():
    spans = spans_of("ann 0 5 desk", "bob 1 2 desk", "eve 0 9 lab").assign(phase=[None, "plan", None])
    assert [(pd.isna(band), height) for band, _, height, *_ in bands_of(spans, by="phase")] == [(True, 2), (False, 1)]


def test_the_deepest_bands_are_folded_if_their_lanes_do_not_fit():
    deep = [f"ann {n} 50 desk" for n in range(12)]
    spans = spans_of(*deep, "bob 0 9 lab", "bob 5 9 lab", "eve 0 9 attic")
    folded = {band: folded for band, *_, folded in bands_of(spans, max_lanes=10)}
    assert folded == {"desk": True, "lab": False, "attic": False}
    placed = place_spans(spans, max_lanes=10)
    [row] = set(placed.row[(spans["location_id"] == "desk").to_numpy()])
    assert not placed.rows["is_lane"].iloc[row]
    assert placed.height == 3 + 2 + 1 + 2 * BAND_GAP
    assert not place_spans(spans, max_lanes=16).bands["is_folded"].any()


def test_a_band_is_folded_if_its_spans_get_less_than_a_pixel_each():
    spans = spans_of(*(f"ann {n} {n + 2} desk" for n in range(50)), *(f"bob {n} {n + 1} lab" for n in range(50)))
    assert [folded for *_, folded in bands_of(spans, width_px=24)] == [False, True]  # a single lane is not folded
    assert [folded for *_, folded in bands_of(spans, width_px=25)] == [False, False]


def test_bands_that_do_not_fit_are_merged_and_none_is_dropped():
    spans = spans_of(*(f"ann {n} {n + 1} room-{n:03}" for n in range(100)))
    placed = place_spans(spans, max_lanes=14)
    assert placed.bands["band"].tolist() == [*(f"room-{n:03}" for n in range(9)), "91 others"]
    assert placed.bands["n_spans"].tolist() == [1] * 9 + [91]
    assert (placed.middle < placed.height).all()


@pytest.mark.parametrize("order", [["cellar"], ["desk", "desk"]])
def test_an_order_with_an_unknown_or_repeated_band_is_refused(order):
    with pytest.raises(BadOption, match=r"^order=.* does not fit: name each band at most once, from 'desk', 'lab'\.$"):
        place_spans(spans_of("ann 0 1 desk", "ann 2 3 lab"), order=order)


def test_a_missing_column_is_named():
    with pytest.raises(MissingColumn, match=r"^The spans have no column 'phase'\. They have: 'id', "):
        pack_lanes(spans_of("ann 0 1 desk"), by="phase")


@pytest.mark.laws
@given(spans_frames(n_traces=1), st.sampled_from(["location_id", "agent_id"]), st.sampled_from([2.0, 5.0, np.inf]))
def test_spans_of_a_lane_never_overlap_and_are_in_their_band(spans, by, max_lanes):
    placed = place_spans(spans, by=by, max_lanes=max_lanes)
    is_lane = placed.rows["is_lane"].to_numpy()[placed.row]
    for _, row in spans[is_lane].groupby(placed.row[is_lane]):
        times = sorted((start, max(end, start + 1)) for start, end in zip(row["start_time"], row["end_time"], strict=True))
        assert all(one[1] <= other[0] for one, other in zip(times, times[1:], strict=False))
    if max_lanes == np.inf:
        lanes_of = dict(zip(pack_lanes(spans, by=by)["id"], pack_lanes(spans, by=by)["lane"], strict=True))
        tops = placed.bands.set_index("band")["top"]
        assert placed.middle.tolist() == [
            tops[band] + lanes_of[span] + 0.5 for span, band in zip(spans["id"], spans[by].astype(str), strict=True)
        ]
    assert placed.bands["n_spans"].sum() == len(spans)


def test_bands_in_which_all_agents_only_wait_are_last_unless_they_are_named():
    spans = spans_of("root 0 9 flow", "ann 1 5 desk", "root 2 9 hall", "bob 2 9 hall", "eve 6 9 lab")
    wrappers = (spans["agent_id"] == "root").to_numpy()
    assert place_spans(spans, wrappers=wrappers).bands["band"].tolist() == ["desk", "hall", "lab", "flow"]
    assert place_spans(spans, by="agent_id", wrappers=wrappers).bands["band"].tolist() == ["ann", "bob", "eve", "root"]
    assert place_spans(spans, order=["flow"], wrappers=wrappers).bands["band"].tolist() == ["flow", "desk", "hall", "lab"]
    assert place_spans(spans).bands["band"].tolist() == ["flow", "desk", "hall", "lab"]
