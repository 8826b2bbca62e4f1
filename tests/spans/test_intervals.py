import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenvis.spans.intervals import (
    covered,
    highest_covering,
    number_in_run,
    overlaps,
    running_counts,
    selected_ends,
    subtract,
    union,
)

FAR = 2**62
INTERVALS = st.lists(st.tuples(st.integers(0, 2), st.integers(-3, 6), st.integers(0, 5)), max_size=10)


def arrays(intervals):
    """(group, start, length) triples as three arrays: group, start, end."""
    group, start, length = np.array(intervals, dtype=np.int64).reshape(-1, 3).T
    return group, start, start + length


def cells(group, start, end):
    """The microseconds that intervals cover, by brute force."""
    return {(g, t) for g, s, e in zip(group.tolist(), start.tolist(), end.tolist(), strict=True) for t in range(s, e)}


def test_union_joins_overlapping_and_touching_intervals():
    group, start, end = union(*arrays([(0, 0, 4), (0, 2, 4), (0, 6, 1), (0, 9, 1), (1, 3, 2), (1, 5, 0)]))
    assert list(zip(group, start, end, strict=True)) == [(0, 0, 7), (0, 9, 10), (1, 3, 5)]


@pytest.mark.laws
@given(INTERVALS)
def test_union_covers_the_same_microseconds_with_the_fewest_intervals(intervals):
    group, start, end = union(*arrays(intervals))
    assert cells(group, start, end) == cells(*arrays(intervals))
    assert (end > start).all()
    assert ((group[1:] > group[:-1]) | (start[1:] > end[:-1])).all()


def test_subtract_removes_the_holes_of_the_group():
    owner, holes = arrays([(0, 0, 10), (1, 0, 10), (0, 2, 2), (0, 3, 0)]), arrays([(0, 2, 2), (0, 8, 5)])
    row, start, end = subtract(owner, holes)
    assert list(zip(row, start, end, strict=True)) == [(0, 0, 2), (0, 4, 8), (1, 0, 10), (3, 3, 3)]


@pytest.mark.laws
@given(INTERVALS, INTERVALS)
def test_subtract_equals_the_set_difference(owners, holes):
    owner, hole = arrays(owners), union(*arrays(holes))
    row, start, end = subtract(owner, hole)
    for number in range(len(owners)):
        one = tuple(column[number : number + 1] for column in owner)
        left = cells(one[0].repeat((row == number).sum()), start[row == number], end[row == number])
        assert left == cells(*one) - cells(*hole)
        if owners[number][2] == 0:
            assert (row == number).sum() == 1
    assert (np.diff(row) >= 0).all()


def test_covered_is_the_time_in_the_others_of_the_group():
    others = union(*arrays([(0, 0, 4), (0, 6, 2), (1, 3, 2)]))
    assert covered(arrays([(0, 2, 5), (0, 4, 2), (1, 0, 9), (2, 0, 9), (0, 1, 0)]), others).tolist() == [3, 0, 2, 0, 0]


@pytest.mark.laws
@given(INTERVALS, INTERVALS, st.sampled_from([1, FAR // 10]))
def test_covered_counts_the_microseconds_in_both(intervals, others, scale):
    both = [len(cells(*arrays([one])) & cells(*arrays(others))) for one in intervals]
    scaled = [(group, start * scale, length * scale) for group, start, length in intervals]
    covers = union(*arrays([(group, start * scale, length * scale) for group, start, length in others]))
    assert covered(arrays(scaled), covers).tolist() == [time * scale for time in both]


def test_running_counts_merge_equal_times():
    group, time, running = running_counts(*arrays([(0, 0, 10), (0, 5, 5), (0, 10, 2), (0, 3, 0), (1, 4, 1)]))
    assert list(zip(group, time, running, strict=True)) == [(0, 0, 1), (0, 5, 2), (0, 10, 1), (0, 12, 0), (1, 4, 1), (1, 5, 0)]


@pytest.mark.laws
@given(INTERVALS, st.sampled_from([1, FAR // 10]))
def test_running_counts_are_the_number_of_intervals_at_each_moment(intervals, scale):
    group, start, end = arrays(intervals)
    rows = list(zip(*(column.tolist() for column in running_counts(group, start * scale, end * scale)), strict=True))
    assert rows == sorted(rows)
    for number in range(3):
        mine = [(time // scale, running) for g, time, running in rows if g == number]
        at = {t: sum(g == number and s <= t < s + n for g, s, n in intervals) for t in range(-4, 13)}
        changes = [(t, at[t]) for t in range(-3, 13) if at[t] != at[t - 1]]
        assert mine == changes


def test_intervals_too_far_apart_for_one_key_are_supported():
    group, start, end = np.array([0, 0, 1]), np.array([-FAR, 0, -FAR]), np.array([0, FAR, FAR])
    assert [column.tolist() for column in union(group, start, end)] == [[0, 1], [-FAR, -FAR], [FAR, FAR]]


@pytest.mark.laws
@given(INTERVALS)
def test_overlaps_counts_each_pair_once(intervals):
    solid = sorted(interval for interval in intervals if interval[2])
    group, start, end = arrays(solid)
    found = {(i, i + 1 + n) for i, count in enumerate(overlaps(group, start, end).tolist()) for n in range(count)}
    both = list(enumerate(zip(group.tolist(), start.tolist(), end.tolist(), strict=True)))
    assert found == {(i, j) for i, (g, s, e) in both for j, (h, t, f) in both if i < j and g == h and max(s, t) < min(e, f)}


@pytest.mark.laws
@given(INTERVALS)
def test_the_running_interval_that_ends_last_is_selected(intervals):
    group, start, end = arrays(sorted(intervals))
    rows = list(enumerate(zip(group.tolist(), start.tolist(), end.tolist(), strict=True)))
    selected = {}
    for g, t in cells(group, start, end):
        running = [(e, -row) for row, (h, s, e) in rows if h == g and s <= t < e]
        selected[g, t] = -max(running)[1]
    until = selected_ends(group, start, end).tolist()
    assert {(g, t): row for row, (g, s, _) in rows for t in range(s, until[row])} == selected


def test_number_in_run():
    assert number_in_run(np.array([2, 0, 3])).tolist() == [0, 1, 0, 1, 2]


def test_the_limits_of_int64_are_valid_times():
    low, high = -(2**63), 2**63 - 1
    group, start, end = union(*(np.array([value], dtype=np.int64) for value in (0, low, high)))
    assert (start.tolist(), end.tolist()) == ([low], [high])


@pytest.mark.laws
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 12), st.integers(0, 9)), max_size=12), st.randoms())
def test_the_highest_value_covers_each_moment(rows, random):
    values = list(range(len(rows)))
    random.shuffle(values)
    group, start, length = np.array(rows, dtype=np.int64).reshape(-1, 3).T
    found = highest_covering((group, start, start + length), np.array(values, dtype=np.int64))
    answer = {}
    for number, first, last, value in zip(*(column.tolist() for column in found), strict=True):
        answer |= {(number, time): value for time in range(first, last)}
    expected = {}
    for (number, first, n_times), value in zip(rows, values, strict=True):
        for time in range(first, first + n_times):
            expected[number, time] = max(value, expected.get((number, time), -1))
    assert answer == expected
    assert all(first < last for first, last in zip(found[1].tolist(), found[2].tolist(), strict=True))
