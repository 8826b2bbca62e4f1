import pandas as pd
from conftest import spans_of
from hypothesis import given
from hypothesis import strategies as st

from tokenvis.layout import name_order
from tokenvis.layout.name_order import busiest_names, natural_key


def test_numbers_in_names_count_as_numbers():
    names = ["9", "10", "a", "v1.9", "v1.10", "worker 1", "worker 2", "worker 10", "x007y", "x7y"]
    assert sorted(set(names), key=lambda name: (natural_key(name), name)) == names


@given(st.lists(st.integers(0, 10**9)), st.text(max_size=5), st.integers(0, 10_000))
def test_numbered_names_are_in_the_order_of_their_numbers(numbers, prefix, n_digits):
    prefix = prefix.rstrip("0123456789")
    names = [f"{prefix}{number} of many" for number in numbers]
    assert sorted(names, key=natural_key) == [f"{prefix}{number} of many" for number in sorted(numbers)]
    assert natural_key("1" * n_digits) < natural_key("2" * (n_digits + 1))  # Python converts no text of 5,000 digits


def test_the_busiest_are_those_with_the_most_work_and_all_if_there_are_few():
    spans = spans_of("ann 0 10 desk", "bob 0 20 desk", "eve 0 10 desk", "zoe 5 5 desk")
    agents = spans["agent_id"]
    assert busiest_names(spans, agents, 2) == ["ann", "bob"]
    assert busiest_names(spans, agents, 4) == ["ann", "bob", "eve", "zoe"]
    assert busiest_names(spans.iloc[:0], agents.iloc[:0], 1) == []
    teams = pd.Series(["red", None, "blue", "green"])
    assert busiest_names(spans, teams, 2) == ["blue", "red"]
    without_bob = pd.Series(["red", "green", None, "blue"])  # rows are in order of time: the third is Bob's
    assert busiest_names(spans, without_bob, 1) == ["green"]


def test_work_is_added_up_over_all_rows_however_many(monkeypatch):
    monkeypatch.setattr(name_order, "ROWS_AT_ONCE", 2)
    spans = spans_of("ann 0 10 desk", "bob 0 15 desk", "eve 0 1 desk", "ann 10 20 desk", "eve 5 6 desk")
    assert busiest_names(spans, spans["agent_id"], 1) == ["ann"]


def test_waiting_is_no_work():
    spans = spans_of("flow 0 100 desk", "ann 0 30 desk", "bob 30 100 lab", parents={"b": "a", "c": "a"})
    assert busiest_names(spans, spans["agent_id"], 2) == ["ann", "bob"]
