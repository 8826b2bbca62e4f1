import numpy as np
import pytest
from conftest import spans_of

from tokenvis import BadSpan
from tokenvis.explorer.places import (
    agents_again,
    agents_of,
    part_said,
    place_again,
    rows_again,
    rows_of,
    say_the_same,
    whole_of,
    window_again,
)

BEFORE = spans_of("bob 10 20 lab", "eve 12 15 desk")
AFTER = spans_of("bob 10 25 lab", "eve 12 15 desk", "ann 5 30 desk")
NOTHING = BEFORE.iloc[:0]


def test_all_of_a_trace_is_at_least_a_microsecond():
    assert [whole_of(spans) for spans in (BEFORE, AFTER, NOTHING, spans_of("ann 7 7 desk"))] == [
        (10, 20),
        (5, 30),
        (0, 1),
        (7, 8),
    ]


@pytest.mark.parametrize(
    ("window", "again"),
    [((10, 20), (5, 30)), ((8, 22), (5, 30)), ((11, 20), (11, 20)), ((10, 19), (10, 19)), ((40, 50), (40, 50))],
)
def test_a_window_stays_unless_it_showed_all(window, again):
    assert window_again(window, BEFORE, AFTER) == again
    assert window_again(window, BEFORE, BEFORE) == window


def test_agents_stay_unless_all_were_shown():
    assert agents_again(["bob", "eve"], BEFORE, AFTER) == ["ann", "bob", "eve"]
    assert agents_again(["eve"], BEFORE, AFTER) == ["eve"]
    assert agents_again(["ann", "eve"], AFTER, BEFORE) == ["eve"]
    assert agents_again([], BEFORE, AFTER) == []
    assert agents_again([], NOTHING, AFTER) == agents_of(AFTER)


def test_spans_are_found_again_by_their_ids():
    assert rows_again(BEFORE, AFTER).tolist() == [1, 2]
    assert rows_again(AFTER.iloc[[2, 0]], BEFORE).tolist() == [1]
    assert rows_again(NOTHING, AFTER).tolist() == []
    assert rows_of(AFTER.iloc[[2, 1]], AFTER, "t").tolist() == [1, 2]
    with pytest.raises(BadSpan, match=r"^The selection holds 'c', which trace 't' does not\.$"):
        rows_of(AFTER, BEFORE, "t")
    with pytest.raises(BadSpan, match=r"^The selection holds 'a', 'b', which trace None does not\.$"):
        rows_of(BEFORE, NOTHING, None)


def test_spans_say_the_same_wherever_they_stand():
    assert say_the_same(BEFORE.iloc[1:], AFTER.iloc[2:])
    assert not say_the_same(BEFORE.iloc[:1], AFTER.iloc[1:2])  # it ends later
    assert say_the_same(BEFORE.iloc[:0], AFTER.iloc[:0])


def test_a_place_is_told_of_a_selection_only_where_that_has_changed():
    whole = {"window": (5, 30), "agents": ["ann", "bob", "eve"]}
    assert place_again((10, 20), ["bob", "eve"], BEFORE.iloc[1:], BEFORE, AFTER) == whole
    changed = place_again((11, 12), ["bob"], BEFORE, BEFORE, AFTER)
    assert (changed["window"], changed["agents"]) == ((11, 12), ["bob"])
    assert changed["selection"]["end_time"].tolist() == [25, 15]


def test_what_a_page_says_of_the_trace_as_it_was_holds_for_it_as_it_is():
    def said(part, before=BEFORE):
        return part_said(part, [np.array([0, 1], "<u4").tobytes()], 10, before, AFTER)

    assert said({"window": [1.4, 5.6]}) == (11, 16)
    assert said({"window": [0, 10]}) == (5, 30)
    assert said({"agents": [1]}) == ["eve"]
    assert said({"selection": True, "as": "rows"})["end_time"].tolist() == [25, 15]
    assert said({"selection": True, "as": "rows"}, AFTER)["id"].tolist() == ["c", "a"]
