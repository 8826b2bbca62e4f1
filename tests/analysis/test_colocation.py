import pytest
from conftest import spans_frames, spans_of
from hypothesis import given
from waiting import presence_of, waiting_frames

import tokenvis.analysis.colocation as module
from tokenvis import BadSpan, colocation, plot_colocation


def as_text(spans):
    """Rows as text: "location agent other meetings overlap first last"."""
    table = colocation(spans)
    return [" ".join(map(str, row)) for row in zip(*(table[column] for column in table.columns[1:]), strict=True)]


def test_two_agents_active_at_one_location_meet():
    spans = spans_of("bob 0 10 desk", "ann 5 20 desk", "bob 15 30 desk", "eve 5 6 lab")
    assert as_text(spans) == ["desk ann bob 2 10 5 20"]


def test_spans_of_one_agent_are_united_first():
    assert as_text(spans_of("ann 0 5 desk", "ann 5 9 desk", "ann 2 7 desk", "bob 1 8 desk")) == ["desk ann bob 1 7 1 8"]


def test_touching_spans_and_instants_have_no_meetings():
    assert as_text(spans_of("ann 0 5 desk", "bob 5 9 desk", "eve 2 2 desk")) == []


def test_a_parent_is_elsewhere_while_its_child_runs():
    assert as_text(spans_of("ann 0 9 desk", "ann 2 7 lab", "bob 3 6 desk", parents={"b": "a"})) == []


def brute_force(spans):
    """Meetings counted at every microsecond."""
    pieces, expected = presence_of(spans), []
    for (trace, place), rows in pieces.groupby(["trace_id", "location_id"], observed=True):
        agents = sorted(rows["agent_id"].unique())
        there = {
            agent: {t for s, e in zip(mine["start_time"], mine["end_time"], strict=True) for t in range(s, e)}
            for agent, mine in rows.groupby("agent_id", observed=True)
        }
        for one, other in ((a, b) for a in agents for b in agents if a < b):
            both = there[one] & there[other]
            if both:
                meetings = sum(t - 1 not in both for t in both)
                expected.append((trace, min(both), place, one, other, meetings, len(both), max(both) + 1))
    return sorted(expected)


COLUMNS = ["trace_id", "first", "location_id", "agent_id", "other_agent_id", "n_meetings", "overlap_us", "last"]


@pytest.mark.laws
@given(waiting_frames())
def test_it_equals_brute_force(spans):
    table = colocation(spans)
    assert list(zip(*(table[column] for column in COLUMNS), strict=True)) == brute_force(spans)


@pytest.mark.laws
@given(spans_frames(max_spans=20))
def test_the_chunk_size_makes_no_difference(spans):
    whole, chunk = colocation(spans), module.MEETINGS_PER_CHUNK
    try:
        for module.MEETINGS_PER_CHUNK in (1, 3):
            assert colocation(spans).equals(whole)
    finally:
        module.MEETINGS_PER_CHUNK = chunk


def test_a_meeting_that_does_not_fit_is_refused():
    spans = spans_of("ann 0 1 desk", "ann 0 1 desk", "bob 0 1 desk", "bob 0 1 desk")
    far = spans.assign(start_time=[-(2**62) - 1, -1] * 2, end_time=[0, 2**62] * 2)
    with pytest.raises(BadSpan, match=r"^The time from -\d+ to \d+ does not fit into a 64-bit integer\.$"):
        colocation(far)


def test_the_picture_has_the_time_of_each_pair_twice():
    ax = plot_colocation(spans_of("ann 0 10 desk", "bob 5 20 desk", "eve 8 9 desk"))
    [mesh] = ax.collections
    assert mesh.get_array().filled(-1).tolist() == [[-1, 5, 1], [5, -1, 1], [1, 1, -1]]
    assert plot_colocation(spans_of("ann 0 10 desk")).get_label() == "No two agents met."


def test_the_picture_of_several_traces_names_the_pair_with_the_largest_sum():
    spans = spans_of("ann 0 9 lab t", "bob 0 6 lab t", "bob 0 5 lab u", "ann 0 5 lab u", "eve 0 9 desk t", "ann 0 9 desk t")
    ax = plot_colocation(spans)
    assert ax.get_title(loc="right") == "time that agents spent together, summed"
    assert ax.get_label() == "Time that agents of 2 traces were together, summed; the maximum is ann and bob, 11 µs."
