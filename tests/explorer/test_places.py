import numpy as np
import pytest
from conftest import spans_of

from tokenvis import BadSpan
from tokenvis.explorer.places import (
    agents_of,
    are_same_spans,
    full_window,
    rows_with_ids,
    selected_rows,
    state_from_page,
    updated_agents,
    updated_view,
    updated_window,
)

BEFORE = spans_of("bob 10 20 lab", "eve 12 15 desk")
AFTER = spans_of("bob 10 25 lab", "eve 12 15 desk", "ann 5 30 desk")
NOTHING = BEFORE.iloc[:0]


def test_a_full_window_is_at_least_a_microsecond():
    assert [full_window(spans) for spans in (BEFORE, AFTER, NOTHING, spans_of("ann 7 7 desk"))] == [
        (10, 20),
        (5, 30),
        (0, 1),
        (7, 8),
    ]


@pytest.mark.parametrize(
    ("window", "again"),
    [((10, 20), (5, 30)), ((8, 22), (5, 30)), ((11, 20), (11, 20)), ((10, 19), (10, 19)), ((40, 50), (40, 50))],
)
def test_a_window_stays_unless_it_showed_the_whole_trace(window, again):
    assert updated_window(window, BEFORE, AFTER) == again
    assert updated_window(window, BEFORE, BEFORE) == window


def test_agents_stay_unless_all_were_shown():
    assert updated_agents(["bob", "eve"], BEFORE, AFTER) == ["ann", "bob", "eve"]
    assert updated_agents(["eve"], BEFORE, AFTER) == ["eve"]
    assert updated_agents(["ann", "eve"], AFTER, BEFORE) == ["eve"]
    assert updated_agents([], BEFORE, AFTER) == []
    assert updated_agents([], NOTHING, AFTER) == agents_of(AFTER)


def test_spans_are_matched_by_their_ids():
    assert rows_with_ids(BEFORE, AFTER).tolist() == [1, 2]
    assert rows_with_ids(AFTER.iloc[[2, 0]], BEFORE).tolist() == [1]
    assert rows_with_ids(NOTHING, AFTER).tolist() == []
    assert selected_rows(AFTER.iloc[[2, 1]], AFTER, "t").tolist() == [1, 2]
    with pytest.raises(BadSpan, match=r"^The selection contains 'c', which are not in trace 't'\.$"):
        selected_rows(AFTER, BEFORE, "t")
    with pytest.raises(BadSpan, match=r"^The selection contains 'a', 'b', which are not in trace None\.$"):
        selected_rows(BEFORE, NOTHING, None)


def test_equal_spans_may_have_different_rows():
    assert are_same_spans(BEFORE.iloc[1:], AFTER.iloc[2:])
    assert not are_same_spans(BEFORE.iloc[:1], AFTER.iloc[1:2])  # it ends later
    assert are_same_spans(BEFORE.iloc[:0], AFTER.iloc[:0])


def test_a_selection_is_updated_only_if_its_spans_have_changed():
    whole = {"window": (5, 30), "agents": ["ann", "bob", "eve"]}
    assert updated_view((10, 20), ["bob", "eve"], BEFORE.iloc[1:], BEFORE, AFTER) == whole
    changed = updated_view((11, 12), ["bob"], BEFORE, BEFORE, AFTER)
    assert (changed["window"], changed["agents"]) == ((11, 12), ["bob"])
    assert changed["selection"]["end_time"].tolist() == [25, 15]


def test_state_from_an_older_version_applies_to_the_current_one():
    def applied(part, before=BEFORE):
        return state_from_page(part, [np.array([0, 1], "<u4").tobytes()], 10, before, AFTER)

    assert applied({"window": [1.4, 5.6]}) == (11, 16)
    assert applied({"window": [0, 10]}) == (5, 30)
    assert applied({"agents": [1]}) == ["eve"]
    assert applied({"selection": True, "as": "rows"})["end_time"].tolist() == [25, 15]
    assert applied({"selection": True, "as": "rows"}, AFTER)["id"].tolist() == ["c", "a"]
