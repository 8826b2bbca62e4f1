import numpy as np
import pytest
import waiting
from conftest import spans_of, with_data
from hypothesis import given
from instances import Expected, instance_frames
from waiting import oracle

import tokenvis as tv
from tokenvis.layout.agent_rows import agent_rows
from tokenvis.tree.relations import relations_of
from tokenvis.tree.states import STATES, states_of


def rows_of(spans, max_rows=200, table=None):
    table = tv.agent_tree(spans) if table is None else table
    subtree_us = table["subtree_busy_us"].to_numpy()
    return agent_rows(spans, relations_of(spans, requests=False), states_of(spans), subtree_us, max_rows)


def stretches(rows):
    """The stretches as text: "row state start end"."""
    found = rows.stretches
    columns = (found.row.tolist(), found.state.tolist(), found.start.tolist(), found.end.tolist())
    return sorted(f"{row} {STATES[state]} {start} {end}" for row, state, start, end in zip(*columns, strict=True))


def test_work_comes_before_waits_and_a_wait_for_a_person_before_one_for_an_agent():
    spans = spans_of("ann 0 20 desk", "bob 2 12 lab", "ann 4 6 lab", "ann 8 10 ask", parents={"b": "a"})
    assert stretches(rows_of(with_data(spans, d={"waits_for": "user"}))) == [
        "0 agent 10 12",
        "0 agent 2 4",
        "0 agent 6 8",
        "0 person 8 10",
        "0 work 0 2",
        "0 work 12 20",
        "0 work 4 6",
        "1 work 2 12",
    ]


TEAM = ["lead 0 90 desk", "ann 1 9 lab", "bob 2 5 lab", "eve 10 40 lab", "dan 11 12 lab", "fay 60 62 lab"]
PARENTS = {"b": "a", "c": "b", "d": "a", "e": "d"}


def test_of_too_many_rows_those_with_the_most_work_in_their_subtrees_are_shown_with_their_parents():
    rows = rows_of(spans_of(*TEAM, parents=PARENTS), max_rows=3)  # lead, ann, bob, eve, dan, fay
    assert rows.shown.tolist() == [0, 1, 3]
    assert rows.parent.tolist() == [-1, 0, 0]
    assert rows.n_hidden.tolist() == [0, 1, 1]
    assert set(rows.stretches.row.tolist()) == {0, 1, 2}


def test_all_rows_are_shown_if_they_are_few():
    rows = rows_of(spans_of(*TEAM, parents=PARENTS))
    assert rows.shown.tolist() == list(range(6))
    assert rows.parent.tolist() == [-1, 0, 1, 0, 3, -1]
    assert not rows.n_hidden.any()


@pytest.mark.laws
@oracle
@given(instance_frames())
def test_each_row_has_the_state_of_its_spans_at_each_moment(spans):
    spans = spans[spans["trace_id"] == "t"]
    table = tv.agent_tree(spans)
    rows = rows_of(spans, table=table)
    expected = Expected(waiting.nodes_of(spans))
    numbers = {members[0].id: number for number, members in enumerate(expected.members)}
    states = waiting.states_of(spans)
    answer = {}
    for row, first in enumerate(table["id"]):
        for node in expected.members[numbers[first]]:
            for (_, span, time), state in states.items():
                if span == node.id:
                    answer.setdefault((row, time), set()).add(state)
    order = ("work", "person", "agent")
    found = rows.stretches
    at = zip(found.row.tolist(), found.state.tolist(), found.start.tolist(), found.end.tolist(), strict=True)
    shown = [((row, time), STATES[state]) for row, state, start, end in at for time in range(start, end)]
    assert len(dict(shown)) == len(shown)
    assert dict(shown) == {key: min(those, key=order.index) for key, those in answer.items()}


@pytest.mark.laws
@given(instance_frames())
def test_the_rows_with_the_most_work_are_shown_and_their_parents_too(spans):
    spans = spans[spans["trace_id"] == "t"]
    table = tv.agent_tree(spans)
    for max_rows in (1, 3):
        rows = rows_of(spans, max_rows, table)
        assert len(rows.shown) == min(max_rows, len(table))
        assert (table["depth"].to_numpy()[rows.shown] > 0).tolist() == (rows.parent >= 0).tolist()
        lowest = table["subtree_busy_us"].to_numpy()[rows.shown].min(initial=np.iinfo(np.int64).max)
        assert (table["subtree_busy_us"].drop(rows.shown) <= lowest).all()
