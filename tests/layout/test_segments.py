import numpy as np
import pytest
from conftest import spans_of, with_data
from hypothesis import given
from waiting import waiting_frames

from tokenvis import self_spans
from tokenvis.layout.segments import segments_of, states_that_occur, waiting_counts
from tokenvis.tree.states import STATES, states_of


def segments(spans):
    """Segments as text: "id start end state"."""
    found = segments_of(spans, states_of(spans))
    columns = spans["id"].iloc[found.row], found.start, found.end, [STATES[code] for code in found.state]
    return [" ".join(map(str, segment)) for segment in zip(*columns, strict=True)]


def test_the_bar_of_a_span_that_waits_has_segments():
    spans = spans_of("ann 0 10 desk", "bob 2 4 lab", parents={"b": "a"})
    assert segments(spans) == ["a 0 2 work", "a 2 4 agent", "a 4 10 work"]
    assert segments(spans_of("ann 0 10 desk", "bob 2 4 lab")) == []
    assert segments(spans.iloc[:0]) == []


def test_the_time_of_children_of_the_same_agent_is_no_wait():
    spans = spans_of("ann 0 10 desk", "ann 2 6 lab", "bob 3 8 lab", parents={"b": "a", "c": "a"})
    assert segments(spans) == ["a 0 6 work", "a 6 8 agent", "a 8 10 work"]


def test_a_marked_span_is_one_segment_and_an_instant_has_none():
    spans = with_data(spans_of("ann 0 10 desk", "bob 4 4 lab"), a={"waits_for": True}, b={"waits_for": True})
    assert segments(spans) == ["a 0 10 person"]
    assert states_that_occur(states_of(spans)) == ["person"]


def test_waiting_spans_are_counted_by_state():
    spans = spans_of("ann 0 10 desk", "bob 2 8 lab", "eve 4 6 lab", parents={"b": "a", "c": "b"})
    counts = waiting_counts(states_of(with_data(spans, c={"waits_for": "user"})))
    assert {state: table.to_numpy().tolist() for state, table in counts.items()} == {
        "agent": [[2, 1], [4, 2], [6, 1], [8, 0]],
        "person": [[4, 1], [6, 0]],
    }


@pytest.mark.laws
@given(waiting_frames())
def test_segments_cover_their_span_and_have_the_states_of_its_pieces(spans):
    found = segments_of(spans, states_of(spans))
    pieces = states_of(spans)
    for row in np.unique(pieces.row[pieces.state != 0]):
        own = found.row == row
        start, end = spans["start_time"].iloc[row], spans["end_time"].iloc[row]
        if start < end:
            assert [start, *found.end[own]] == [*found.start[own], end]
            waits = [(a, b, s) for a, b, s in zip(found.start[own], found.end[own], found.state[own], strict=True) if s]
            mine = (pieces.row == row) & (pieces.state != 0)
            assert waits == list(zip(pieces.start[mine], pieces.end[mine], pieces.state[mine], strict=True))
    assert set(found.row) <= set(pieces.row[pieces.state != 0])


@pytest.mark.laws
@given(waiting_frames())
def test_counts_are_those_of_every_moment(spans):
    spans = spans[spans["trace_id"] == "t"]
    pieces = self_spans(spans)
    counts = waiting_counts(states_of(spans))
    for state in ("agent", "person"):
        own = pieces[(pieces["state"] == state) & (pieces["end_time"] > pieces["start_time"])]
        at = [int((own["start_time"].le(t) & own["end_time"].gt(t)).sum()) for t in range(-1, 30)]
        changes = [[t, at[t + 1]] for t in range(29) if at[t + 1] != at[t]]
        assert (counts[state].to_numpy().tolist() if state in counts else []) == changes
