import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenvis.sweep import rank_in, running_max, subtract, union

INTERVALS = st.lists(st.tuples(st.integers(0, 2), st.integers(-3, 6), st.integers(0, 5)), max_size=10)


def arrays(intervals):
    """(group, start, length) triples as three arrays: group, start, end."""
    group, start, length = np.array(intervals, dtype=np.int64).reshape(-1, 3).T
    return group, start, start + length


def cells(group, start, end):
    """The microseconds that intervals cover, by brute force."""
    return {(g, t) for g, s, e in zip(group.tolist(), start.tolist(), end.tolist(), strict=True) for t in range(s, e)}


def test_union_joins_what_overlaps_or_touches():
    group, start, end = union(*arrays([(0, 0, 4), (0, 2, 4), (0, 6, 1), (0, 9, 1), (1, 3, 2), (1, 5, 0)]))
    assert list(zip(group, start, end, strict=True)) == [(0, 0, 7), (0, 9, 10), (1, 3, 5)]


@pytest.mark.laws
@given(INTERVALS)
def test_union_covers_the_same_microseconds_in_the_fewest_stretches(intervals):
    group, start, end = union(*arrays(intervals))
    assert cells(group, start, end) == cells(*arrays(intervals))
    assert (end > start).all()
    assert ((group[1:] > group[:-1]) | (start[1:] > end[:-1])).all()


def test_subtract_leaves_what_no_hole_of_the_group_covers():
    owner, holes = arrays([(0, 0, 10), (1, 0, 10), (0, 2, 2), (0, 3, 0)]), arrays([(0, 2, 2), (0, 8, 5)])
    row, start, end = subtract(owner, holes)
    assert list(zip(row, start, end, strict=True)) == [(0, 0, 2), (0, 4, 8), (1, 0, 10), (3, 3, 3)]


@pytest.mark.laws
@given(INTERVALS, INTERVALS)
def test_subtract_is_the_difference_of_sets(owners, holes):
    owner, hole = arrays(owners), union(*arrays(holes))
    row, start, end = subtract(owner, hole)
    for number in range(len(owners)):
        one = tuple(column[number : number + 1] for column in owner)
        left = cells(one[0].repeat((row == number).sum()), start[row == number], end[row == number])
        assert left == cells(*one) - cells(*hole)
        if owners[number][2] == 0:
            assert (row == number).sum() == 1
    assert (np.diff(row) >= 0).all()


@pytest.mark.laws
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(-5, 5)), max_size=12))
def test_running_max_is_the_largest_so_far_of_its_group(pairs):
    pairs = sorted(pairs, key=lambda pair: pair[0])
    group, values = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    expected = [max(v for g, v in pairs[: i + 1] if g == pairs[i][0]) for i in range(len(pairs))]
    assert running_max(group, values).tolist() == expected


@pytest.mark.laws
@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 4)), max_size=8).map(sorted),
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 4)), max_size=8),
    st.sampled_from(["left", "right"]),
)
def test_rank_in_counts_the_pairs_before(pairs, asked, side):
    columns = [np.array(rows, dtype=np.int64).reshape(-1, 2).T for rows in (pairs, asked)]
    before = {"left": lambda pair, one: pair < one, "right": lambda pair, one: pair <= one}[side]
    expected = [sum(before(pair, one) for pair in pairs) for one in asked]
    assert rank_in(*columns[0], *columns[1], side=side).tolist() == expected


def test_the_ends_of_int64_are_times_like_others():
    low, high = -(2**63), 2**63 - 1
    group, start, end = union(*(np.array([value], dtype=np.int64) for value in (0, low, high)))
    assert (start.tolist(), end.tolist()) == ([low], [high])
