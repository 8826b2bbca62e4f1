import pytest
import waiting
from conftest import spans_of, with_data
from hypothesis import given
from instances import Expected, instance_frames
from waiting import oracle

import tokenvis as tv
from tokenvis.tree.instances import EVIDENCE, NO_EVIDENCE, instances_of
from tokenvis.tree.relations import relations_of


def instances(spans):
    """The instances as text: "ids of its spans < caller evidence", the first top span first."""
    spans = spans.reset_index(drop=True)
    found, ids = instances_of(spans, relations_of(spans)), spans["id"].tolist()
    texts = []
    for number, first in enumerate(found.first.tolist()):
        others = [name for row, name in enumerate(ids) if found.of_row[row] == number and row != first]
        by = "" if found.caller[number] < 0 else f" < {ids[found.caller[number]]} {EVIDENCE[found.evidence[number]]}"
        texts.append(" ".join([ids[first], *sorted(others)]) + by)
    return sorted(texts)


def test_all_spans_of_an_agent_without_a_parent_are_one_instance():
    assert instances(spans_of("ann 0 9 desk", "bob 1 2 desk", "ann 20 30 lab", parents={})) == ["a c", "b"]


def test_children_of_another_agent_are_one_instance_until_the_parents_agent_starts_something():
    rows = "ann 0 90 desk", "bob 1 9 lab", "bob 10 20 lab", "ann 30 31 desk", "bob 40 50 lab"
    spans = spans_of(*rows, parents=dict.fromkeys("bcde", "a"))
    assert instances(spans) == ["a d", "b c < a parent", "e < a parent"]
    assert instances(with_data(spans, c={"detached": True})) == ["a d", "b c < a parent", "e < a parent"]


def test_a_span_of_the_same_agent_belongs_to_the_instance_of_its_parent():
    rows = "ann 0 90 desk", "bob 1 9 lab", "bob 2 5 lab", "ann 3 4 desk"
    assert instances(spans_of(*rows, parents={"b": "a", "c": "b", "d": "c"})) == ["a", "b c < a parent", "d < c parent"]


def test_equal_names_that_run_at_once_are_told_apart():
    rows = "ann 0 90 desk", "bob 1 9 lab", "bob 8 20 lab", "bob 30 40 lab"
    assert instances(spans_of(*rows, parents=dict.fromkeys("bcd", "a"))) == [
        "a",
        "b < a parent",
        "c < a parent",
        "d < a parent",
    ]


def test_an_instant_overlaps_no_run():
    rows = "ann 0 90 desk", "bob 1 9 lab", "bob 8 8 lab", "bob 9 20 lab"
    assert instances(spans_of(*rows, parents=dict.fromkeys("bcd", "a"))) == ["a", "b c d < a parent"]


def test_runs_that_the_source_marks_as_agents_are_told_apart_also_one_after_another():
    spans = spans_of("ann 0 90 desk", "bob 1 9 lab", "bob 10 20 lab", parents=dict.fromkeys("bc", "a"))
    assert instances(with_data(spans, b={"kind": "agent"})) == ["a", "b < a parent", "c < a parent"]
    assert instances(with_data(spans, b={"kind": "chain"})) == ["a", "b c < a parent"]


def test_calls_belong_to_the_last_run_that_started_by_then_else_to_the_first():
    rows = "ann 0 90 desk", "bob 1 2 tool:t", "bob 3 9 lab", "bob 5 20 lab", "bob 5 6 model:m", "bob 6 7 desk"
    spans = spans_of(*rows, parents=dict.fromkeys("bcdef", "a"))
    assert instances(with_data(spans, f={"kind": "tool"})) == ["a", "b c < a parent", "e d f < a parent"]


def test_parallel_calls_are_no_runs():
    rows = "ann 0 90 desk", "bob 1 9 model:m", "bob 1 9 tool:t", "bob 10 20 lab"
    assert instances(spans_of(*rows, parents=dict.fromkeys("bcd", "a"))) == ["a", "b c d < a parent"]


def test_an_instance_without_a_parent_is_started_by_the_linked_span_that_ends_last():
    spans = spans_of("ann 0 9 desk", "ann 1 20 desk", "bob 10 30 lab", "bob 31 40 lab")
    assert instances(with_data(spans, c={"links": ["a", "b", "unknown"]}, d={"links": ["a"]})) == ["a b", "c d < b link"]


def test_a_link_to_a_later_span_or_to_the_same_instance_is_no_evidence():
    spans = spans_of("ann 0 9 desk", "ann 1 20 desk", "bob 0 30 lab")
    assert instances(with_data(spans, a={"links": ["b"]}, c={"links": ["a", "b"]})) == ["a b", "c"]


def test_a_link_that_would_close_a_cycle_is_no_evidence():
    spans = with_data(spans_of("ann 5 9 desk", "bob 0 8 lab", parents={"b": "a"}), a={"links": ["b"]})
    assert instances(spans) == ["a", "b < a parent"]


def test_a_span_that_is_its_own_ancestor_has_no_caller():
    assert instances(spans_of("ann 0 9 desk", "bob 1 2 lab", parents={"a": "b", "b": "a"})) == ["a", "b"]


def test_an_empty_frame_has_no_instances():
    spans = spans_of("ann 0 9 desk", parents={}).iloc[:0]
    found = instances_of(spans, relations_of(spans))
    assert len(found) == 0
    assert found.of_row.tolist() == found.parent.tolist() == []


def test_a_parent_or_linked_id_in_several_rows_of_a_trace_is_refused():
    spans = spans_of("ann 0 9 desk", "bob 1 2 lab", "bob 3 4 lab", parents=dict.fromkeys("bc", "a"))
    twice = spans.assign(id=["a", "b", "b"])
    message = r"^Span 'b' is in several rows of trace 't'\. Pass each span once, uncut: not the pieces of self_spans\(\)\.$"
    with pytest.raises(tv.BadSpan, match=message):
        instances_of(twice, relations_of(twice))
    linked = with_data(twice.assign(parent_id=None), a={"links": ["b"]})
    with pytest.raises(tv.BadSpan, match=message):
        instances_of(linked, relations_of(linked))


@pytest.mark.laws
@oracle
@given(instance_frames())
def test_instances_are_those_of_the_rules(spans):
    found = instances_of(spans, relations_of(spans))
    names = list(zip(spans["trace_id"], spans["id"], strict=True))
    answer = {}
    for number in range(len(found)):
        rows = [row for row in range(len(spans)) if found.of_row[row] == number]
        caller, evidence = int(found.caller[number]), int(found.evidence[number])
        assert found.parent[number] == (-1 if caller < 0 else found.of_row[caller])
        answer[frozenset(names[row] for row in rows)] = (
            names[found.first[number]],
            None if caller < 0 else names[caller],
            None if evidence == NO_EVIDENCE else EVIDENCE[evidence],
            int(found.start[number]),
            int(found.end[number]),
        )
    expected = Expected(waiting.nodes_of(spans))
    named = [None if node is None else (node.trace, node.id) for node in expected.caller]
    assert answer == {
        frozenset((node.trace, node.id) for node in members): (
            (members[0].trace, members[0].id),
            caller,
            evidence,
            min(node.start for node in members),
            max(node.end for node in members),
        )
        for members, caller, evidence in zip(expected.members, named, expected.evidence, strict=True)
    }


@pytest.mark.laws
@given(instance_frames())
def test_no_instance_is_its_own_ancestor(spans):
    parent = instances_of(spans, relations_of(spans)).parent.tolist()
    for number in range(len(parent)):
        for _ in parent:
            number = parent[number] if number >= 0 else number
        assert number < 0
