import pandas as pd
import pytest
from conftest import spans_of
from hypothesis import given
from pandas.testing import assert_frame_equal
from waiting import presence_of, waiting_frames

from tokenvis import moves


def as_text(spans):
    """Moves as text: "agent from > to left arrived gap"."""
    table = moves(spans)
    columns = zip(*(table[c] for c in ("agent_id", "from_location", "to_location", "left", "arrived", "gap_us")), strict=True)
    return [f"{agent} {old} > {new} {left} {arrived} {gap}" for agent, old, new, left, arrived, gap in columns]


def test_a_move_is_the_gap_between_two_locations():
    assert as_text(spans_of("ann 0 10 desk", "ann 15 20 lab")) == ["ann desk > lab 10 15 5"]


def test_staying_is_not_a_move_and_agents_move_separately():
    assert as_text(spans_of("ann 0 4 desk", "bob 1 2 lab", "ann 5 6 desk", "bob 9 9 desk")) == ["bob lab > desk 2 9 7"]


def test_an_agent_at_two_locations_at_once_has_a_negative_gap():
    assert as_text(spans_of("ann 0 10 desk", "ann 4 6 lab")) == ["ann desk > lab 10 4 -6"]


def test_an_agent_leaves_a_parent_and_returns_if_a_child_runs_elsewhere():
    spans = spans_of("ann 0 10 desk", "ann 4 6 lab", parents={"b": "a"})
    assert as_text(spans) == ["ann desk > lab 4 4 0", "ann lab > desk 6 6 0"]
    assert moves(spans)["from_span"].tolist() == ["a", "b"]


def brute_force(spans: pd.DataFrame) -> list[tuple]:
    rows = sorted(
        presence_of(spans).itertuples(), key=lambda r: (r.trace_id, r.agent_id, r.start_time, r.end_time, r.id, r.piece)
    )
    found = [
        (a.trace_id, b.start_time, a.end_time, a.agent_id, b.id, a.id, a.location_id, b.location_id)
        for a, b in zip(rows, rows[1:], strict=False)
        if (a.trace_id, a.agent_id) == (b.trace_id, b.agent_id) and a.location_id != b.location_id
    ]
    return sorted(found)


@pytest.mark.laws
@given(waiting_frames())
def test_moves_are_the_steps_between_consecutive_spans(spans):
    before = spans.copy(deep=True)
    table = moves(spans)
    columns = ("trace_id", "arrived", "left", "agent_id", "to_span", "from_span", "from_location", "to_location")
    rows = list(zip(*(table[column] for column in columns), strict=True))
    assert sorted(rows) == brute_force(spans)
    assert [row[:5] for row in rows] == [row[:5] for row in brute_force(spans)]
    assert (table["gap_us"] == table["arrived"] - table["left"]).all()
    assert_frame_equal(spans, before)


@pytest.mark.laws
@given(waiting_frames())
def test_shifting_time_shifts_only_times(spans):
    later = spans.assign(start_time=spans["start_time"] + 100, end_time=spans["end_time"] + 100)
    table = moves(later)
    assert_frame_equal(table.assign(left=table["left"] - 100, arrived=table["arrived"] - 100), moves(spans))


def test_an_empty_frame_has_no_moves():
    table = moves(spans_of("ann 0 1 desk").iloc[:0])
    assert len(table) == 0
    assert table[["left", "arrived", "gap_us"]].dtypes.tolist() == ["int64"] * 3
