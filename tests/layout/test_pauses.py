import numpy as np
import pytest
from conftest import spans_frames, spans_of
from hypothesis import given
from hypothesis import strategies as st

from tokenvis import self_spans, storyline


def pauses(*rows, **options):
    """The short pauses of a story: agent, start, end."""
    lines = storyline(spans_of(*rows), budget=0, **options).lines
    lines = lines[lines["is_pause"]]
    return [(str(agent), start, end) for agent, start, end in lines[["agent_id", "start", "end"]].itertuples(index=False)]


def test_a_pause_is_short_if_it_is_no_longer_than_the_stays_around_it():
    assert pauses("ann 0 10 desk", "ann 20 30 desk") == [("ann", 10, 20)]
    assert pauses("ann 0 10 desk", "ann 21 31 desk") == []
    assert pauses("ann 0 9 desk", "ann 19 30 desk") == []
    assert pauses("ann 0 11 desk", "ann 21 30 desk") == []


def test_stays_at_one_group_are_added_up_around_a_pause():
    spans = spans_of("ann 0 5 desk", "ann 5 10 lab", "ann 20 30 lab").assign(phase="plan")
    assert storyline(spans, by="phase").lines["is_pause"].tolist() == [False, False, True, False]
    assert not storyline(spans).lines["is_pause"].any()


def test_a_pause_too_narrow_to_see_is_short():
    rows = "ann 0 1 desk", "ann 10 11 desk"
    assert pauses(*rows, "bob 0 1000 lab") == [("ann", 1, 10)]
    assert pauses(*rows, "bob 0 900 lab") == []
    assert pauses(*rows, "bob 0 450 lab", "bob 99550 100000 lab") == []  # the time without any span is not counted


def test_an_agent_that_pauses_stays_beside_the_others():
    drawn = storyline(spans_of("ann 0 10 desk", "ann 14 24 desk", "bob 0 24 desk"))
    assert drawn.lines["group"].tolist() == [0] * 6
    assert drawn.lines["y"].tolist() == [0, 1] * 3
    assert drawn.totals[["movement", "wiggles"]].values.tolist() == [[0, 0]]


@pytest.mark.parametrize("elsewhere", ["ann 11 12 lab", "ann 12 12 lab"])
def test_something_else_in_between_is_no_pause(elsewhere):
    assert pauses("ann 0 10 desk", elsewhere, "ann 14 24 desk") == []
    assert pauses("ann 0 10 desk", elsewhere.replace("lab", "desk"), "ann 14 24 desk") != []
    assert pauses("ann 0 10 desk", elsewhere.replace("ann", "bob"), "ann 14 24 desk") != []


def test_a_stay_too_short_to_show_is_something_else_too():
    rows = "ann 0 100 desk", "ann 120 220 desk"
    assert pauses(*rows, shortest_us=5) == [("ann", 100, 120)]
    assert pauses(*rows, "ann 110 111 lab", shortest_us=15) == []


def test_no_group_is_no_pause():
    spans = spans_of("ann 0 10 desk", "ann 10 14 lab", "ann 14 24 desk").assign(phase=["plan", None, "plan"])
    assert not storyline(spans, by="phase").lines["is_pause"].any()


def test_a_broken_line_has_no_pauses():
    assert pauses("ann 0 10 desk", "ann 14 24 desk", absent="break") == []


def short_pauses(spans):
    """Brute force: the microseconds in which each agent is in a short pause."""
    pieces = [row for row in self_spans(spans).itertuples() if row.end_time > row.start_time]
    seen = list(self_spans(spans).itertuples())
    busy = {time for row in pieces for time in range(row.start_time, row.end_time)}
    found = set()
    for agent in {row.agent_id for row in pieces}:
        own = {time for row in pieces if row.agent_id == agent for time in range(row.start_time, row.end_time)}
        for first in own:
            last = next((time for time in sorted(own) if time > first), None)
            places = {
                row.location_id
                for row in seen
                if row.agent_id == agent and last and row.start_time <= last and row.end_time >= first
            }
            if not last or last == first + 1 or len(places) > 1:
                continue
            before = next(n for n in range(100) if first - n not in own)
            after = next(n for n in range(100) if last + n not in own)
            pause = last - first - 1
            if pause <= min(before, after) or pause < len(busy) // 100:
                found |= {(agent, time) for time in range(first + 1, last)}
    return found


@pytest.mark.laws
@given(spans_frames(n_traces=1), st.booleans())
def test_pauses_agree_with_brute_force(spans, has_one_location):
    if has_one_location:
        spans = spans.assign(location_id="desk")
    lines = storyline(spans, budget=0).lines.query("is_pause")
    times = {(row.agent_id, time) for row in lines.itertuples() for time in range(row.start, row.end)}
    assert times <= short_pauses(spans) or not has_one_location
    if has_one_location:
        assert times == short_pauses(spans)
    assert np.isin(lines["location_id"].isna(), [True]).all()
