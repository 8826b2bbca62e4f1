import numpy as np
import pytest
import waiting
from conftest import spans_of, with_data
from hypothesis import given
from waiting import oracle, waiting_frames

from tokenvis.tree.callees import callees_of
from tokenvis.tree.relations import relations_of


def callees(spans):
    """The callees as text: "parent agent start end", and the time in which each is the one that is waited for."""
    spans = spans.reset_index(drop=True)
    relations = relations_of(spans, links=False)
    found, ids = callees_of(spans, relations), spans["id"]
    parents = ids.iloc[relations.rows()[found.parent]]
    (_, starts, ends), number = found.selected()
    times = zip(number.tolist(), starts.tolist(), ends.tolist(), strict=True)
    selected: list[list[str]] = [[] for _ in parents]
    for callee, start, end in times:
        selected[callee].append(f"{start}-{end}")
    columns = zip(parents, spans["agent_id"].iloc[found.first], found.start, found.end, map(",".join, selected), strict=True)
    return [" ".join(map(str, row)).strip() for row in columns]


def test_the_wait_passes_to_the_callee_that_ends_later():
    spans = spans_of("ann 0 20 desk", "bob 1 6 lab", "eve 4 9 lab", "dan 5 8 lab", parents=dict.fromkeys("bcd", "a"))
    assert callees(spans) == ["a bob 1 6 1-4", "a eve 4 9 4-9", "a dan 5 8"]


def test_the_earlier_start_then_the_agent_has_the_wait_if_both_end_at_once():
    spans = spans_of("ann 0 20 desk", "eve 1 6 lab", "bob 2 6 lab", "dan 1 6 lab", parents=dict.fromkeys("bcd", "a"))
    assert callees(spans) == ["a dan 1 6 1-6", "a eve 1 6", "a bob 2 6"]


def test_the_parents_agent_ends_a_callee_by_a_start_at_the_same_time_as_the_next_child():
    spans = spans_of("ann 0 9 desk", "bob 1 2 lab", "ann 3 3 hall", "bob 3 4 lab", parents={"b": "a", "d": "a"})
    assert callees(spans) == ["a bob 1 2 1-2", "a bob 3 4 3-4"]


def test_in_a_loop_of_two_agents_each_has_the_wait_in_which_it_works():
    rows = "lead 0 100 desk", "bob 1 10 lab", "eve 11 20 lab", "bob 21 30 lab", "eve 31 40 lab"
    spans = spans_of(*rows, parents=dict.fromkeys("bcde", "a"))
    assert callees(spans) == ["a bob 1 30 1-10,10-11,21-30", "a eve 11 40 11-20,20-21,30-31,31-40"]


def test_a_detached_child_ends_a_callee():
    spans = spans_of("ann 0 90 desk", "bob 1 3 lab", "bob 3 50 lab", "bob 60 70 lab", parents=dict.fromkeys("bcd", "a"))
    assert callees(with_data(spans, c={"detached": True})) == ["a bob 1 3 1-3", "a bob 60 70 60-70"]


def waited_for(node, nodes):
    """The callee that each microsecond of a span's wait goes to, by the oracle."""
    found = waiting.callees_of(node, nodes)
    for time in range(min((callee.start for callee in found), default=0), max((callee.end for callee in found), default=0)):
        running = [callee for callee in found if callee.runs_at(time)]
        if running:
            yield time, min(running, key=lambda callee: callee.waited_for(time))


@pytest.mark.laws
@oracle
@given(waiting_frames())
def test_callees_are_those_of_the_rules(spans):
    spans = spans.reset_index(drop=True)
    relations = relations_of(spans, links=False)
    found, rows = callees_of(spans, relations), relations.rows()
    names = list(zip(spans["trace_id"], spans["id"], strict=True))
    answer, selected = {}, {}
    (_, starts, ends), numbers = found.selected()
    for number, start, end in zip(numbers.tolist(), starts.tolist(), ends.tolist(), strict=True):
        selected.setdefault(number, []).extend(range(start, end))
    for number in range(len(found.parent)):
        callee = names[found.first[number]]
        answer[names[rows[found.parent[number]]], callee] = (
            (int(found.start[number]), int(found.end[number])),
            bool(found.stated[number]),
            selected.get(number, []),
        )
    nodes, expected = waiting.nodes_of(spans), {}
    for node in nodes:
        times = list(waited_for(node, nodes))
        for callee in waiting.callees_of(node, nodes):
            stated = all(child.data.get("detached") is False for child in callee.children)
            first = callee.children[0]
            selected = [time for time, chosen in times if chosen.children[0] is first]
            expected[(node.trace, node.id), (first.trace, first.id)] = (callee.start, callee.end), stated, selected
    assert answer == expected
    assert np.all(np.diff(found.parent) >= 0)
