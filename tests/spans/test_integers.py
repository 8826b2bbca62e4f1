import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenvis import BadSpan
from tokenvis.spans import integers
from tokenvis.spans.integers import (
    count_ranks,
    difference,
    order_by,
    packed,
    percentiles,
    rank_in,
    ranks_among,
    run_ends,
    run_starts,
    running_max,
    sort_order,
    sums,
)

INT64 = st.integers(-(2**63), 2**63 - 1)
WIDE = st.one_of(st.integers(-3, 3), INT64)
PAIRS = st.lists(st.tuples(st.integers(0, 2), WIDE), max_size=8)


def columns(rows, width=2):
    """Rows as arrays, one for each column."""
    return list(np.array(rows, dtype=np.int64).reshape(-1, width).T)


@pytest.mark.laws
@given(st.lists(st.tuples(WIDE, st.integers(-2, 2), WIDE), max_size=10))
def test_packed_keys_keep_their_order(rows):
    keys = columns(rows, 3)
    assert [rows[place] for place in sort_order(*keys)] == sorted(rows)
    for together in (packed(*keys), packed(keys[1], keys[1])):
        if together is not None:
            assert (together >= 0).all()
    spread = [max(column) - min(column) for column in zip(*rows, strict=True)]
    assert (packed(*keys) is None) == (sum(width.bit_length() for width in spread) > 63)


@pytest.mark.laws
@pytest.mark.parametrize("min_hashed", [0, integers.MIN_HASHED_VALUES])
@given(st.lists(WIDE, max_size=10))
def test_values_are_ranked_among_the_distinct_ones(min_hashed, values):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(integers, "MIN_HASHED_VALUES", min_hashed)
        ranks, distinct = ranks_among(np.array(values, dtype=np.int64))
    assert distinct.tolist() == sorted(set(values))
    assert [distinct[rank] for rank in ranks] == values
    assert count_ranks(ranks) == len(distinct)


@pytest.mark.laws
@given(st.lists(st.tuples(WIDE, WIDE, st.integers(0, 1), st.integers(0, 9)), max_size=10))
def test_ties_are_broken_by_further_keys(rows):
    *keys, last = columns(rows, 4)
    asked = []

    def ties(tied):
        asked.extend(tied.tolist())
        return [last[tied]]

    order = order_by(keys, ties)
    assert [rows[place] for place in order] == sorted(rows)
    assert sorted(asked) == [n for n, row in enumerate(rows) if sum(row[:3] == other[:3] for other in rows) > 1]


def test_a_run_starts_where_any_key_changes():
    assert run_starts(np.array([1, 1, 1, 2]), np.array([5, 5, 6, 6])).tolist() == [True, False, True, True]
    assert run_starts(np.array([], dtype=np.int64)).tolist() == []
    assert run_ends(np.array([1, 1, 1, 2])).tolist() == [False, False, True, True]
    assert run_ends(np.array([], dtype=np.int64)).tolist() == []


@pytest.mark.laws
@given(PAIRS.map(sorted), PAIRS, st.sampled_from(["left", "right"]))
def test_rank_in_counts_the_pairs_before(pairs, asked, side):
    expected = [sum(pair < one or (side == "right" and pair == one) for pair in pairs) for one in asked]
    assert rank_in(*columns(pairs), *columns(asked), side=side).tolist() == expected


def test_values_too_far_apart_for_one_key_are_ranked():
    group, value = columns([(0, -(2**63)), (0, 2**63 - 1), (1, 0)])
    assert rank_in(group, value, *columns([(0, 0), (1, 0), (1, -(2**63))]), side="right").tolist() == [1, 3, 2]
    assert sort_order(*columns([(1, 0), (0, 2**63 - 1), (0, -(2**63))])).tolist() == [2, 1, 0]
    assert running_max(group, value).tolist() == [-(2**63), 2**63 - 1, 0]
    assert percentiles(group, value, 2, (50,))[0].tolist() == [-(2**63), 0]


@pytest.mark.laws
@given(PAIRS)
def test_sums_are_exact_or_refused(pairs):
    group, values = columns(pairs)
    expected = [sum(value for g, value in pairs if g == number) for number in range(3)]
    if all(-(2**63) <= total < 2**63 for total in expected):
        assert sums(group, values, 3).tolist() == expected
    else:
        hint = r"Check the unit of the times, and the token counts\."
        with pytest.raises(BadSpan, match=rf"^A sum over the spans does not fit into a 64-bit integer\. {hint}$"):
            sums(group, values, 3)


@pytest.mark.laws
@given(INT64, INT64)
def test_a_difference_is_exact_or_refused(later, earlier):
    arrays = np.array([later, 0]), np.array([earlier, 0])
    if -(2**63) <= later - earlier < 2**63:
        assert difference(*arrays).tolist() == [later - earlier, 0]
    else:
        with pytest.raises(BadSpan, match=f"^The time from {earlier} to {later} does not fit into a 64-bit integer\\.$"):
            difference(*arrays)


@pytest.mark.laws
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(-5, 5)), max_size=12).map(sorted))
def test_running_max_is_the_largest_so_far_of_its_group(pairs):
    expected = [max(v for g, v in pairs[: i + 1] if g == pairs[i][0]) for i in range(len(pairs))]
    assert running_max(*columns(pairs)).tolist() == expected


@pytest.mark.laws
@given(st.lists(WIDE, min_size=1, max_size=25), st.lists(WIDE, min_size=1, max_size=3), st.integers(1, 100))
def test_a_percentile_is_the_smallest_value_that_the_percentage_does_not_exceed(some, others, percent):
    group = np.repeat([0, 1], [len(some), len(others)])
    [found] = percentiles(group, np.array(some + others), 2, (percent,))
    for values, value in zip((some, others), found.tolist(), strict=True):
        enough = [v for v in values if 100 * sum(w <= v for w in values) >= percent * len(values)]
        assert value == min(enough)
