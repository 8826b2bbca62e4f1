import pytest
from conftest import spans_of, with_data
from hypothesis import given
from waiting import waiting_frames

from tokenvis import self_spans
from tokenvis.tree.states import states_of, wrapper_rows, wrappers_of


def wrappers(spans):
    return wrappers_of(spans, states_of(spans))


def test_an_agent_that_only_waits_is_a_wrapper():
    spans = spans_of("root 0 10 flow", "ann 0 10 desk", "bob 2 4 lab", parents={"b": "a", "c": "b"})
    assert wrappers(spans) == {"root"}
    assert wrappers(with_data(spans, b={"detached": True})) == set()


def test_an_agent_that_works_for_a_hundredth_of_its_wait_is_a_wrapper():
    assert wrappers(spans_of("root 0 202 flow", "ann 1 201 desk", parents={"b": "a"})) == {"root"}
    assert wrappers(spans_of("root 0 203 flow", "ann 1 201 desk", parents={"b": "a"})) == set()


def test_an_agent_without_time_is_no_wrapper_and_an_instant_is_no_work():
    rows = "root 0 10 flow", "ann 0 10 desk", "root 3 3 flow", "eve 5 5 lab"
    assert wrappers(spans_of(*rows, parents={"b": "a"})) == {"root"}
    assert wrappers(spans_of(*rows)) == set()


def test_an_agent_that_works_in_one_trace_is_a_wrapper_only_in_the_other():
    spans = spans_of("root 0 10 flow t", "ann 0 10 desk t", "root 0 10 flow u", parents={"b": "a"})
    assert spans["trace_id"][wrapper_rows(spans, states_of(spans))].tolist() == ["t"]
    assert wrappers(spans) == set()


@pytest.mark.laws
@given(waiting_frames())
def test_a_wrapper_has_a_wait_and_no_work(spans):
    pieces = self_spans(spans)
    pieces = pieces[pieces["end_time"] > pieces["start_time"]]
    states = {key: set(rows["state"]) for key, rows in pieces.groupby(["trace_id", "agent_id"], observed=True)}
    expected = [
        bool(found := states.get(key, set())) and "work" not in found
        for key in zip(spans["trace_id"], spans["agent_id"], strict=True)
    ]
    assert wrapper_rows(spans, states_of(spans)).tolist() == expected
