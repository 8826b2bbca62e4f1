"""Where two runs part, if steps are within others: `first_divergence` of `alignment`."""

import numpy as np
from conftest import spans_of, with_data

from tokenvis.runs.alignment import alignment
from tokenvis.runs.steps.step_differences import first_marked, joined_names, occurrences

TEAM = {"b": "a", "c": "b"}  # c is below b, b below a


def divergent(a, b):
    """The differences of the steps that changed, and the id in the first run of the first divergence."""
    table = alignment(a, b, match="agent_id")
    changed = table[table["step"] == "changed"]
    differences = dict(zip(changed["id_a"], changed["difference"], strict=True))
    [first] = table.loc[table["first_divergence"], "id_a"].fillna("").tolist() or [None]
    return differences, first


def test_runs_part_where_a_failure_began():
    a = spans_of("lead 0 100 desk", "lead 10 90 web", "bob 20 30 lab", "lead 100 110 desk", parents=TEAM)
    failed = with_data(a, a={"status": "error"}, b={"status": "error"}, c={"status": "error"}, d={"status": "error"})
    assert divergent(a, failed) == ({"a": "failed", "b": "failed", "c": "failed", "d": "failed"}, "c")
    assert divergent(failed, a) == ({"a": "succeeded", "b": "succeeded", "c": "succeeded", "d": "succeeded"}, "c")
    assert divergent(a, with_data(a, a={"status": "error"})) == ({"a": "failed"}, "a")


def test_a_failure_below_that_both_runs_have_explains_nothing():
    a = spans_of("lead 0 100 desk", "lead 10 90 web", "bob 20 30 lab", parents=TEAM)
    handled = with_data(a, c={"status": "error"})
    assert divergent(handled, with_data(a, b={"status": "error"}, c={"status": "error"})) == ({"b": "failed"}, "b")


def test_a_failure_below_that_only_one_run_has_is_where_they_part():
    a = spans_of("lead 0 100 desk", "lead 10 90 web", "bob 20 30 lab", parents=TEAM)
    b = with_data(
        spans_of("lead 0 100 desk", "lead 10 90 web", "eve 20 30 lab", parents=TEAM),
        a={"status": "error"},
        c={"status": "error"},
    )
    assert divergent(a, b) == ({"a": "failed"}, "c")


def test_runs_part_at_the_innermost_step_that_took_longer():
    a = spans_of("lead 0 100 desk", "lead 10 20 web", "bob 15 17 lab", "lead 100 110 desk", parents=TEAM)
    b = spans_of("lead 0 300 desk", "lead 10 290 web", "bob 15 280 lab", "lead 300 330 desk", parents=TEAM)
    assert divergent(a, b) == ({"a": "slower", "b": "slower", "c": "slower", "d": "slower"}, "c")
    assert divergent(b, a) == ({"a": "faster", "b": "faster", "c": "faster", "d": "faster"}, "c")
    slow_outside = spans_of("lead 0 300 desk", "lead 10 290 web", "bob 15 16 lab", "lead 100 110 desk", parents=TEAM)
    assert divergent(a, slow_outside) == ({"a": "slower", "b": "slower"}, "b")


def test_the_names_of_differences_are_joined():
    assert [joined_names(code) for code in (0, 1, 0b1101, 0b100000)] == [None, "failed", "failed, arguments, slower", "order"]


def test_occurrences_are_counted():
    assert occurrences(np.array([3, 1, 3, 3, 1])).tolist() == [0, 0, 1, 2, 1]
    assert occurrences(np.array([], dtype=np.int64)).tolist() == []


def test_the_first_mark_that_a_row_has_counts():
    none, late, early = (np.array(marks, dtype=bool) for marks in ([0, 0, 0], [0, 1, 1], [1, 0, 0]))
    assert first_marked(none, late, early).tolist() == [False, True, False]
    assert not first_marked(none, none).any()


def test_of_a_step_alone_in_both_runs_as_many_are_out_of_order_as_each_has():
    a = spans_of("ann 0 1 web", "ann 1 2 web", "ann 2 3 desk", "ann 3 4 lab", "ann 4 5 hall")
    b = spans_of("ann 0 1 desk", "ann 1 2 lab", "ann 2 3 hall", "ann 3 4 web").assign(trace_id="u")
    table = alignment(a, b)[["step", "location_id", "difference"]]
    assert table.fillna("").to_numpy().tolist() == [
        ["only in a", "web", "order"],
        ["only in a", "web", ""],
        ["same", "desk", ""],
        ["same", "lab", ""],
        ["same", "hall", ""],
        ["only in b", "web", "order"],
    ]
