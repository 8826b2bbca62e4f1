import json

import pandas as pd
import pytest
from branching import fanouts_of
from conftest import spans_of, with_data
from hypothesis import given
from hypothesis import strategies as st
from test_instances import instance_frames
from waiting import oracle

from tokenvis import BadSpan, fanouts, self_spans

MEASURES = ["start", "end", "elapsed_us", "sum_us", "union_us", "longest_us", "share_overlapped", "peak", "speedup", "max_speedup"]


def rows(table, *columns):
    """Rows as text, with these columns; a missing value is "-"."""
    return [
        " ".join(text_of(value) for value in row) for row in table[list(columns)].itertuples(index=False)
    ]


def text_of(value):
    """A value as text: a list without brackets, a float with two digits, "-" for a missing value."""
    if isinstance(value, list):
        return "+".join(map(str, value))
    if pd.isna(value):
        return "-"
    return f"{value:.2f}" if isinstance(value, float) else str(value)


def who(spans):
    """The fan-outs as text: caller, the span, the evidence, the branches, the verdict."""
    return rows(fanouts(spans), "agent_id", "id", "evidence", "branch_ids", "verdict")


def delegations(*times):
    """A lead delegates to w0, w1, ..., each in a call of its own: spans b and c, d and e, ..."""
    calls = [row for number, time in enumerate(times) for row in (f"lead {time} call", f"w{number} {time} work")]
    ids = [chr(ord("b") + number) for number in range(len(calls))]
    parents = {name: "a" if number % 2 == 0 else ids[number - 1] for number, name in enumerate(ids)}
    return spans_of(f"lead 0 {max(int(time.split()[1]) for time in times) + 1} desk", *calls, parents=parents)


def test_serial_delegations():
    table = fanouts(delegations("1 11", "11 21"))
    assert rows(table, "id", "location_id", "evidence", "n_branches") == ["a desk parent 2"]
    assert rows(table, *MEASURES) == ["1 21 20 20 20 10 0.00 1 1.00 2.00"]
    assert rows(table, "last_branch", "last_agent", "last_by_us", "verdict", "branch_ids") == ["d w1 10 serial b+d"]


def test_parallel_delegations():
    table = fanouts(delegations("1 11", "1 11"))
    assert rows(table, *MEASURES) == ["1 11 10 20 10 10 1.00 2 2.00 2.00"]
    assert rows(table, "last_branch", "last_agent", "last_by_us", "verdict") == ["d w1 0 parallel"]


def test_delegations_that_overlap_in_part():
    table = fanouts(delegations("0 6", "2 10", "9 19"))
    assert rows(table, *MEASURES) == ["0 19 19 24 19 10 0.36 2 1.26 2.40"]
    assert rows(table, "last_branch", "last_agent", "last_by_us", "verdict") == ["f w2 9 partly"]


@pytest.mark.parametrize(
    ("overlap", "verdict"), [(4, "serial"), (5, "partly"), (80, "partly"), (81, "parallel"), (100, "parallel"), (0, "serial")]
)
def test_the_verdict_is_given_by_the_share_of_overlap(overlap, verdict):
    assert fanouts(delegations("0 100", f"{100 - overlap} {200 - overlap}"))["verdict"].tolist() == [verdict]


def test_the_time_between_branches_counts_as_elapsed():
    spans = spans_of("ann 0 9 desk", "bob 1 3 lab", "eve 7 9 lab", parents=dict.fromkeys("bc", "a"))
    spans = with_data(spans, a={"waits_for": "user"})
    assert rows(fanouts(spans), "elapsed_us", "sum_us", "share_overlapped", "speedup") == ["8 4 0.00 0.50"]


def test_ratios_of_nothing_are_missing():
    spans = spans_of("ann 0 9 desk", "bob 3 3 lab", "eve 3 3 lab", parents=dict.fromkeys("bc", "a"))
    assert rows(fanouts(spans), *MEASURES, "verdict") == ["3 3 0 0 0 0 - 0 - - -"]
    longer = spans.assign(end_time=[9, 3, 5])
    assert rows(fanouts(longer), *MEASURES, "verdict") == ["3 5 2 2 2 2 - 1 1.00 1.00 -"]


def test_equal_names_are_told_apart():
    spans = spans_of("ann 0 9 desk", "bob 1 8 lab", "bob 2 8 lab", "bob 3 8 lab", parents=dict.fromkeys("bcd", "a"))
    assert who(spans) == ["ann a parent b+c+d parallel"]
    one_after_another = spans.assign(start_time=[0, 1, 3, 5], end_time=[9, 3, 5, 7])
    assert who(one_after_another) == []
    assert who(with_data(one_after_another, b={"kind": "agent"})) == ["ann a parent b+c+d serial"]


# Which branches belong together


def test_the_calls_of_one_message_are_a_fan_out_even_one_after_another():
    spans = spans_of("ann 0 2 model:m", "ann 2 4 tool:t", "ann 6 9 tool:t", "ann 9 11 model:m", "ann 11 12 tool:t")
    spans = with_data(spans, b={"requested_by": "a"}, c={"requested_by": "a"}, e={"requested_by": ["d", "unknown"]})
    assert who(spans) == ["ann a message b+c serial"]


def test_a_call_of_several_messages_belongs_to_the_last():
    spans = spans_of("ann 0 2 model:m", "ann 2 4 model:m", *["ann 5 9 tool:t"] * 3)
    spans = with_data(spans, c={"requested_by": ["a", "b"]}, d={"requested_by": ["b", "a"]}, e={"requested_by": "a"})
    assert who(spans) == ["ann b message c+d parallel"]


def test_a_call_lasts_until_the_end_of_the_agent_that_it_starts_in_the_background():
    rows_of_spans = "ann 0 1 model:m", "ann 1 2 tool:t", "ann 2 3 tool:t", "bob 2 9 lab", "bob 3 30 lab", "eve 8 12 lab"
    spans = spans_of(*rows_of_spans, parents={"d": "b", "e": "d", "f": "c"})
    spans = with_data(spans, b={"requested_by": "a"}, c={"requested_by": "a"}, d={"detached": True})
    assert rows(fanouts(spans), "start", "end", "sum_us", "last_branch", "last_agent") == ["1 30 39 b bob"]


def test_the_first_span_of_another_agent_stands_for_the_agent():
    spans = spans_of("ann 0 9 model:m", "bob 1 2 lab", "bob 4 6 lab", "eve 1 3 lab", parents=dict.fromkeys("bcd", "a"))
    asked = {"requested_by": "a"}
    assert who(with_data(spans, b=asked, d=asked)) == ["ann a message b+d parallel"]
    assert fanouts(with_data(spans, b=asked, d=asked))["end"].tolist() == [6]


def test_a_call_within_another_call_of_the_message_is_a_part_of_it():
    spans = spans_of("ann 0 1 model:m", "ann 1 9 tool:t", "ann 2 8 tool:t", "ann 3 7 tool:u", parents={"c": "b"})
    asked = {"requested_by": "a"}
    assert who(with_data(spans, b=asked, c=asked)) == []
    assert who(with_data(spans, b=asked, c=asked, d=asked)) == ["ann a message b+d parallel"]


def test_a_new_batch_begins_when_a_child_of_the_caller_starts():
    times = "bob 1 5 lab", "eve 2 6 lab", "ann 6 7 model:m", "bob 7 9 lab", "eve 7 9 lab", "dan 9 10 lab"
    spans = spans_of("ann 0 20 desk", *times, parents=dict.fromkeys("bcdefg", "a"))
    assert who(spans) == ["ann a parent b+c partly", "ann a parent e+f+g partly"]


def test_a_new_batch_begins_when_the_caller_works_for_more_than_a_twentieth_of_the_branch_before():
    spans = spans_of("ann 0 900 desk", "bob 100 200 lab", "eve 205 300 lab", parents=dict.fromkeys("bc", "a"))
    assert who(spans) == ["ann a parent b+c serial"]
    assert who(spans.assign(start_time=[0, 100, 206])) == []
    assert who(with_data(spans.assign(start_time=[0, 100, 206]), a={"waits_for": "user"})) == ["ann a parent b+c serial"]


def test_workers_in_the_background_are_one_batch_if_they_start_at_once():
    spans = spans_of("ann 0 20 desk", "bob 1 90 lab", "eve 2 80 lab", "dan 9 70 lab", parents=dict.fromkeys("bcd", "a"))
    assert who(spans) == ["ann a parent b+c parallel"]


def test_model_calls_at_once_are_a_fan_out_and_the_call_after_them_is_not_in_it():
    times = "ann 0 4 model:m", "ann 1 5 model:m", "ann 5 8 model:m", "ann 9 12 model:m", "ann 9 11 model:m"
    spans = spans_of("ann 0 20 desk", *times, parents=dict.fromkeys("bcdef", "a"))
    assert who(spans) == ["ann a parent b+c partly", "ann a parent f+e parallel"]


def test_a_tool_call_beside_a_model_call_is_no_fan_out():
    spans = spans_of("ann 0 9 desk", "ann 0 4 model:m", "ann 3 5 tool:t", "ann 2 9 cache", parents=dict.fromkeys("bcd", "a"))
    assert who(spans) == []


def test_calls_of_a_message_are_no_calls_of_the_parent():
    spans = spans_of("ann 0 9 desk", "ann 0 2 model:m", "ann 2 6 tool:t", "ann 3 7 tool:t", parents=dict.fromkeys("bcd", "a"))
    assert who(spans) == ["ann a parent c+d partly"]
    assert who(with_data(spans, c={"requested_by": "b"}, d={"requested_by": "b"})) == ["ann b message c+d partly"]


def test_spans_around_the_calls_of_a_message_are_no_second_fan_out():
    times = "ann 0 2 model:m", "ann 2 8 step", "ann 3 7 tool:t", "ann 2 8 step", "ann 3 6 tool:t"
    spans = spans_of("ann 0 9 desk", *times, parents={"b": "a", "c": "a", "d": "c", "e": "a", "f": "e"})
    assert who(spans) == ["ann a parent c+e parallel"]
    assert who(with_data(spans, d={"requested_by": "b"}, f={"requested_by": "b"})) == ["ann b message f+d parallel"]


def test_turns_that_contain_model_calls_are_no_calls_of_agents():
    times = "ann 0 5 turn", "ann 0 1 model:m", "bob 1 5 lab", "ann 5 9 turn", "ann 5 6 model:m", "eve 6 9 lab"
    spans = spans_of("ann 0 9 desk", *times, parents={"b": "a", "c": "b", "d": "b", "e": "a", "f": "e", "g": "e"})
    assert who(spans) == []
    tools = spans["location_id"].astype("str").replace("turn", "tool:t")
    assert who(spans.assign(location_id=tools)) == ["ann a parent b+e serial"]


def test_many_calls_of_a_subagent_are_no_fan_out_of_the_caller():
    calls = [f"bob {time} {time + 1} {place}" for time in range(1, 20, 2) for place in ("model:m", "tool:t")]
    spans = spans_of("ann 0 30 tool:Task", *calls, parents=dict.fromkeys("bcdefghijklmnopqrstu", "a"))
    assert who(spans) == []
    assert who(with_data(spans, c={"requested_by": "b"}, e={"requested_by": "b"})) == ["bob b message c+e serial"]


def test_nested_fan_outs():
    times = "bob 1 9 lab", "eve 1 8 lab", "dan 2 4 lab", "fay 2 5 lab"
    spans = spans_of("ann 0 9 desk", *times, parents={"b": "a", "c": "a", "d": "b", "e": "b"})
    assert who(spans) == ["ann a parent c+b parallel", "bob b parent d+e parallel"]


# Pipelines


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
    spans = delegations("1 11", "1 11", "1 11")
    assert who(linked(spans, e="c")) == ["lead a parent b+f parallel"]
    assert who(linked(spans, e="a")) == ["lead a parent b+d+f parallel"]


def test_the_calls_of_a_message_may_be_a_pipeline_too():
    spans = spans_of("ann 0 2 model:m", "ann 2 4 tool:t", "ann 4 9 tool:t")
    asked = {"requested_by": "a"}
    assert who(with_data(spans, b=asked, c=asked | {"links": ["b"]})) == []


# Laws


def tuples(table):
    """A table as tuples; missing values are None, and lists are tuples."""
    return [
        tuple(tuple(value) if isinstance(value, list) else None if pd.isna(value) else value for value in row)
        for row in table.itertuples(index=False)
    ]


@st.composite
def fanning_frames(draw):
    """Frames in which most spans have one of three parents, and some are linked, asked for by one of two, marked or detached."""
    names, count = "abcdefghijklmn", draw(st.integers(3, 14))
    agents = st.sampled_from(draw(st.sampled_from([["ann"], ["ann", "ann", "bob", "eve"]])))
    places, lengths = st.sampled_from(["desk", "desk", "model:m", "tool:t"]), st.integers(0, 8)
    rows = [f"{draw(agents)} {start} {start + draw(lengths)} {draw(places)}" for start in draw(starts(count))]
    common = draw(st.sampled_from(["a", "acd"]))  # of the first spans as children, most others are children of these
    parents = {name: draw(st.sampled_from([*common * 2, *names[:4]] if at > 3 else "a")) for at, name in enumerate(names[:count])}
    parents.pop("a")
    ids, askers = st.sampled_from(names[:count]), st.sampled_from("ab")
    keys = {
        "links": st.lists(ids, max_size=2),
        "requested_by": askers | st.lists(askers, max_size=2),
        "kind": st.just("agent"),
        "detached": st.booleans(),
        "waits_for": st.just("user"),
    }
    often = draw(st.sampled_from([[], ["links"], ["requested_by"]]))
    required = {key: keys.pop(key) for key in often}
    payload = st.fixed_dictionaries(required, optional=keys if draw(st.booleans()) else None)
    marked = [name for name in names[:count] if draw(st.booleans())]
    return with_data(spans_of(*rows, parents=parents), **{name: draw(payload) for name in marked})


def starts(count):
    """Start times, the first 0."""
    return st.lists(st.integers(0, 16), min_size=count - 1, max_size=count - 1).map(lambda times: [0, *times])


@pytest.mark.laws
@oracle
@given(fanning_frames() | instance_frames())
def test_it_equals_brute_force(spans):
    assert tuples(fanouts(spans)) == fanouts_of(spans)
