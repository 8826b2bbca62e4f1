import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenvis.runs.steps import subsequence
from tokenvis.runs.steps.subsequence import common_subsequence, lengths

SEQUENCES = st.integers(1, 6).flatmap(lambda n_kinds: st.lists(st.integers(0, n_kinds - 1), max_size=14))


def common(first, second):
    """The steps in common, and their positions in both sequences."""
    sequences = np.array(first, dtype=np.int64), np.array(second, dtype=np.int64)
    positions = common_subsequence(*sequences)
    for position in positions:
        assert (np.diff(position) > 0).all()
    shared, other = (sequence[position].tolist() for sequence, position in zip(sequences, positions, strict=True))
    assert shared == other
    return shared, *(position.tolist() for position in positions)


def table_of_lengths(first, second):
    """The length of the longest common subsequence of each beginning of both sequences: dynamic programming."""
    table = [[0] * (len(second) + 1) for _ in range(len(first) + 1)]
    for row, step in enumerate(first):
        for column, other in enumerate(second):
            without_one = max(table[row][column + 1], table[row + 1][column])
            table[row + 1][column + 1] = table[row][column] + 1 if step == other else without_one
    return table


def test_the_common_beginning_and_end_are_part_of_it():
    assert common([1, 2, 3, 9, 5], [1, 2, 7, 3, 5]) == ([1, 2, 3, 5], [0, 1, 2, 4], [0, 1, 3, 4])
    assert common([4, 4], [4, 4, 4]) == ([4, 4], [0, 1], [0, 1])
    assert common([8, 4], [4, 4, 4]) == ([4], [1], [0])
    assert common([], []) == common([1], []) == common([1], [2]) == ([], [], [])
    assert common([3, 3, 3], [3, 3, 3]) == ([3, 3, 3], [0, 1, 2], [0, 1, 2])


@pytest.mark.laws
@given(SEQUENCES, SEQUENCES)
def test_it_is_as_long_as_dynamic_programming_finds(first, second):
    assert len(common(first, second)[0]) == table_of_lengths(first, second)[-1][-1]
    assert len(common(first[::-1], second[::-1])[0]) == len(common(second, first)[0]) == len(common(first, second)[0])
    assert common(first, first)[1] == list(range(len(first)))


@pytest.mark.laws
@given(SEQUENCES, SEQUENCES, st.sampled_from([1, 9, 40]))
def test_it_is_as_long_if_it_is_searched_in_parts(first, second, max_pairs):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(subsequence, "MAX_PAIRS", max_pairs)
        patch.setattr(subsequence, "CACHED_BYTES", 3)
        assert len(common(first, second)[0]) == table_of_lengths(first, second)[-1][-1]


@pytest.mark.laws
@given(SEQUENCES, SEQUENCES)
def test_the_lengths_are_the_last_row_of_dynamic_programming(first, second):
    found = lengths(np.array(first, dtype=np.int64), np.array(second, dtype=np.int64))
    assert found.tolist() == table_of_lengths(first, second)[-1]


def test_of_1_000_random_pairs_none_has_more_in_common():
    random = np.random.default_rng(3)
    for _ in range(1_000):
        first, second = (random.integers(0, random.integers(1, 8), random.integers(0, 20)).tolist() for _ in range(2))
        assert len(common(first, second)[0]) == table_of_lengths(first, second)[-1][-1]


def test_long_sequences_are_searched_in_parts():
    random = np.random.default_rng(5)
    steps = random.integers(0, 40, 40_000)
    other = np.delete(steps, random.integers(0, len(steps), 50))
    positions = common_subsequence(steps, other)
    assert len(positions[0]) == len(other)
    assert (steps[positions[0]] == other[positions[1]]).all()
