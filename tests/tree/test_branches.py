from conftest import spans_of, with_data
from test_fanouts import MEASURES, rows, who

from tokenvis import fanouts


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


def test_a_request_within_an_agent_does_not_ask_for_the_agent():
    spans = spans_of("ann 0 9 desk", "bob 1 2 tool:t", "bob 2 6 model:m", "eve 1 3 lab", parents=dict.fromkeys("bcd", "a"))
    assert who(with_data(spans, b={"requested_by": "c"})) == ["ann a parent b+d parallel"]
    assert who(with_data(spans, b={"requested_by": "a"})) == []


def test_a_call_within_another_call_of_the_message_is_a_part_of_it():
    spans = spans_of("ann 0 1 model:m", "ann 1 9 tool:t", "ann 2 8 tool:t", "ann 3 7 tool:u", parents={"c": "b"})
    asked = {"requested_by": "a"}
    assert who(with_data(spans, b=asked, c=asked)) == []
    assert who(with_data(spans, b=asked, c=asked, d=asked)) == ["ann a message b+d parallel"]


def test_a_new_batch_begins_when_a_child_of_the_caller_starts():
    times = "bob 1 5 lab", "eve 2 6 lab", "ann 6 7 model:m", "bob 7 9 lab", "eve 7 9 lab", "dan 9 10 lab"
    spans = spans_of("ann 0 20 desk", *times, parents=dict.fromkeys("bcdefg", "a"))
    assert who(spans) == ["ann a parent b+c partly", "ann a parent e+f+g partly"]


def test_a_new_batch_begins_when_the_caller_works_for_more_than_a_twentieth_of_the_longer_branch():
    spans = spans_of("ann 0 900 desk", "bob 100 200 lab", "eve 205 300 lab", parents=dict.fromkeys("bc", "a"))
    assert who(spans) == ["ann a parent b+c serial"]
    assert who(spans.assign(start_time=[0, 100, 206])) == []
    assert who(with_data(spans.assign(start_time=[0, 100, 206]), a={"waits_for": "user"})) == ["ann a parent b+c serial"]
    first_is_short = spans.assign(end_time=[900, 101, 200])
    assert who(first_is_short.assign(start_time=[0, 100, 105])) == ["ann a parent b+c serial"]
    assert who(first_is_short.assign(start_time=[0, 100, 106])) == []


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


def test_agents_that_take_turns_do_not_run_at_once():
    turns = spans_of("ann 0 99 desk", "bob 0 10 lab", "eve 10 20 lab", "bob 20 90 lab", parents=dict.fromkeys("bcd", "a"))
    assert rows(fanouts(turns), *MEASURES) == ["0 90 90 90 90 80 0.00 1 1.00 1.12"]
    retry = spans_of("ann 0 99 desk", "bob 0 3 lab", "eve 0 10 lab", "bob 12 15 lab", parents=dict.fromkeys("bcd", "a"))
    assert rows(fanouts(retry), "sum_us", "union_us", "verdict") == ["25 15 parallel"]


def test_a_pause_is_the_turn_of_others_if_they_fill_nineteen_twentieths_of_it():
    spans = spans_of("ann 0 99 desk", "bob 0 10 lab", "eve 10 29 lab", "bob 30 40 lab", parents=dict.fromkeys("bcd", "a"))
    assert rows(fanouts(spans), "sum_us", "verdict") == ["39 serial"]
    assert rows(fanouts(spans.assign(end_time=[10, 99, 28, 40])), "sum_us", "verdict") == ["58 parallel"]
