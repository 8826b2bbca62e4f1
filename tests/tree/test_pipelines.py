from conftest import spans_of, with_data
from test_fanouts import MEASURES, delegations, rows, who

from tokenvis import fanouts


def linked(spans, **links):
    """The spans, of which some link to others, by id."""
    return with_data(spans, **{span: {"links": list(names)} for span, names in links.items()})


def test_stages_that_link_to_each_other_are_no_fan_out():
    spans = spans_of("ann 0 9 desk", "bob 0 3 lab", "eve 3 6 lab", "dan 6 9 lab", parents=dict.fromkeys("bcd", "a"))
    assert who(spans) == ["ann a parent b+c+d serial"]
    assert who(linked(spans, c="b", d="c")) == []


def test_chains_of_stages_are_branches():
    times = "bob 0 3 lab", "eve 0 5 lab", "dan 3 6 lab", "fay 5 9 lab"
    spans = linked(spans_of("ann 0 9 desk", *times, parents=dict.fromkeys("bcde", "a")), d="b", e="c")
    assert rows(fanouts(spans), *MEASURES) == ["0 9 9 15 9 9 1.00 2 1.67 1.67"]
    assert rows(fanouts(spans), "branch_ids", "last_branch", "last_agent", "last_by_us") == ["b+c c eve 3"]


def test_workers_between_a_planner_and_a_reducer_are_a_fan_out():
    times = "bob 0 2 lab", "w0 2 6 lab", "w1 2 7 lab", "w2 2 5 lab", "eve 7 9 lab"
    spans = spans_of("ann 0 9 desk", *times, parents=dict.fromkeys("bcdef", "a"))
    assert who(linked(spans, c="b", d="b", e="b", f="cde")) == ["ann a parent e+c+d parallel"]


def test_a_link_of_any_span_within_a_branch_counts():
    spans = delegations("1 5", "5 11", "1 11")
    assert who(linked(spans, e="c")) == ["lead a parent b+f parallel"]
    assert who(linked(spans, e="a")) == ["lead a parent b+f+d parallel"]


def test_branches_that_run_at_once_are_no_pipeline():
    spans = delegations("1 11", "1 11", "1 11")
    assert who(linked(spans, e="c")) == ["lead a parent b+d+f parallel"]


def test_the_calls_of_a_message_may_be_a_pipeline_too():
    spans = spans_of("ann 0 2 model:m", "ann 2 4 tool:t", "ann 4 9 tool:t")
    asked = {"requested_by": "a"}
    assert who(with_data(spans, b=asked, c=asked | {"links": ["b"]})) == []


def test_calls_that_no_longer_overlap_are_no_fan_out():
    times = "ann 0 3 step", "ann 1 4 step", "ann 3 6 step", "ann 3 5 step"
    spans = spans_of("ann 0 9 desk", *times, parents=dict.fromkeys("bcde", "a"))
    assert who(spans) == ["ann a parent b+c+e+d partly"]
    assert who(linked(spans, d="b")) == ["ann a parent b+c+e parallel"]
    one_call = spans_of("ann 0 9 desk", *times[:1], *times[2:], parents=dict.fromkeys("bcd", "a"))
    assert who(linked(one_call, c="b", d="b")) == ["ann a parent d+c parallel"]
