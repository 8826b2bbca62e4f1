"""Which of several rows of a span counts."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tokenvis.ingestion.tellings import Tellings, winners_of

STORE = -1


def told(*rows):
    """Rows as (span, file, is_open, content, marks); marks of a stored row are "replaced", "disputed", "mixed"."""
    span, file, is_open, content, marks = zip(*rows, strict=True) if rows else ((),) * 5
    has = {name: np.array([name in row for row in marks], dtype=bool) for name in ("replaced", "disputed", "mixed")}
    numbers = (np.array(column, dtype=np.int64) for column in (span, file, content))
    spans, files, contents = numbers
    masks = (np.array(is_open, dtype=bool), has["replaced"], has["disputed"], has["mixed"])
    return Tellings(np.arange(len(rows)) + 10, spans, files, *masks, (contents,))


def winner(*rows):
    """The position of the row that counts for the only span."""
    return int(winners_of(told(*((0, *row) for row in rows))).winner[0]) - 10


def test_an_ended_row_replaces_snapshots_in_any_order():
    ended, snapshot = (0, False, 1, ""), (1, True, 9, "")
    assert winner(ended, snapshot) == 0
    assert winner(snapshot, ended) == 1
    assert winner((STORE, False, 1, "replaced"), snapshot) == 0
    found = winners_of(told((0, *snapshot), (0, *ended)))
    assert [rows.tolist() for rows in found.snapshots] == [[11], [10]]
    assert not len(found.disputed)


def test_the_last_row_of_a_file_corrects_the_earlier_ones():
    found = winners_of(told((0, 3, False, 5, ""), (0, 3, False, 4, ""), (1, 3, False, 5, ""), (1, 3, False, 5, "")))
    assert found.winner.tolist() == [11, 11, 13, 13]
    assert (found.corrected.tolist(), found.identical.tolist()) == ([10], [12])


def test_a_file_that_is_read_again_replaces_what_it_told():
    assert winner((STORE, False, 9, "replaced"), (0, False, 1, "")) == 1
    assert not len(winners_of(told((0, STORE, False, 9, "replaced"), (0, 0, False, 1, ""))).disputed)


def test_of_files_that_differ_the_greater_content_counts_and_is_disputed():
    for rows in ([(0, 0, False, 9, ""), (0, 1, False, 1, "")], [(0, 1, False, 1, ""), (0, STORE, False, 9, "")]):
        found = winners_of(told(*rows))
        assert set(found.winner.tolist()) == {10 + [row[3] for row in rows].index(9)}
        assert found.disputed.tolist() == [found.winner[0]]
        assert len(found.overruled) == 1
    assert winner((STORE, False, 9, "replaced disputed"), (0, False, 1, "")) == 0
    assert not len(winners_of(told((0, 0, False, 9, ""), (0, STORE, False, 9, ""))).disputed)


def test_files_that_say_the_same_are_duplicates():
    found = winners_of(told((0, 0, False, 9, ""), (0, 1, False, 9, ""), (0, STORE, False, 9, "")))
    assert (found.identical.tolist(), found.disputed.tolist()) in (([10], []), ([11], []))


ROWS = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 2), st.booleans(), st.integers(0, 3), st.just("")), min_size=1, max_size=10
)


@given(ROWS, st.data())
def test_the_order_of_the_files_does_not_matter(rows, data):
    files = data.draw(st.permutations(range(3)))
    moved = sorted(rows, key=lambda row: files[row[1]])  # the rows of a file keep their order

    def contents(given_rows):
        found = winners_of(told(*given_rows))
        best = {row[0]: given_rows[number - 10] for row, number in zip(given_rows, found.winner.tolist(), strict=True)}
        disputed = {given_rows[number - 10][0] for number in found.disputed.tolist()}
        return {span: (row[2], row[3], span in disputed) for span, row in best.items()}

    assert contents(moved) == contents(rows)
