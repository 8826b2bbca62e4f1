import pytest
from conftest import spans_of
from hypothesis import given
from waiting import waiting_frames

from tokenvis import moves, plot_transitions, transitions


def as_text(spans):
    """Rows as text: "from > to moves mean p50"."""
    table = transitions(spans)
    columns = ("from_location", "to_location", "n_moves", "mean_gap_us", "p50_gap_us")
    return [f"{old} > {new} {n} {mean} {p50}" for old, new, n, mean, p50 in zip(*(table[c] for c in columns), strict=True)]


def test_moves_between_two_locations_are_added_up():
    spans = spans_of("ann 0 10 desk", "ann 15 20 lab", "bob 0 9 desk", "bob 12 20 lab", "bob 20 21 desk", "eve 0 9 desk")
    assert as_text(spans) == ["desk > lab 2 4.0 3", "lab > desk 1 0.0 0"]


def test_staying_is_not_a_transition_and_gaps_may_be_negative():
    spans = spans_of("ann 0 10 desk", "ann 12 13 desk", "ann 11 20 lab")
    assert as_text(spans) == [
        "desk > lab 1 1.0 1",
        "lab > desk 1 -8.0 -8",
    ]


@pytest.mark.laws
@given(waiting_frames())
def test_they_are_the_moves_counted(spans):
    expected = []
    for key, rows in moves(spans).groupby(["trace_id", "from_location", "to_location"], observed=True):
        gaps = sorted(rows["gap_us"].tolist())
        expected.append((*key, len(gaps), sum(gaps) / len(gaps), gaps[(len(gaps) + 1) // 2 - 1]))
    table = transitions(spans)
    assert list(zip(*(table[column] for column in table), strict=True)) == expected


def test_the_picture_has_the_counts_of_the_table():
    ax = plot_transitions(spans_of("ann 0 1 desk", "ann 2 3 lab", "ann 4 5 desk", "ann 6 7 lab"))
    [mesh] = ax.collections
    assert mesh.get_array().filled(0).tolist() == [[0, 2], [1, 0]]
    assert plot_transitions(spans_of("ann 0 10 desk")).get_label() == "No agent moved."


def test_the_picture_of_many_locations_names_the_most_frequent_move_and_not_the_others():
    rows = [
        f"a{n} {2 * n + step} {2 * n + step + 1} {'desk' if step else f'room-{n:03}'}" for n in range(100) for step in (0, 1)
    ]
    ax = plot_transitions(spans_of(*rows, "bob 0 1 desk", "bob 2 3 room-000", "bob 4 5 desk", "bob 6 7 room-000"))
    assert ax.get_title(loc="right") == "103 moves between locations"
    assert ax.get_label() == "103 moves between locations in t; most frequent: from desk to room-000, 2."
