import numpy as np
import pytest
from conftest import spans_of, with_data

from tokenvis.findings.basis import Basis
from tokenvis.findings.behaviour import costs_below, covered_time, outermost, shown, times_word
from tokenvis.tree.prices import price_lists_of

COST, TOKENS = "gen_ai.usage.cost", "gen_ai.usage.input_tokens"
PARENTS = {"b": "a", "c": "b", "d": "b", "e": "a"}
tree = spans_of("ann 0 9 desk", "ann 1 8 lab", "ann 2 3 model:m", "ann 4 5 model:m", "ann 8 9 desk", parents=PARENTS)


def cost_of(spans, *ids, prices=None):
    """The cost of some spans and of all below them, as one entry."""
    rows = np.flatnonzero(spans["id"].isin(ids))
    [cost] = costs_below(Basis(spans, price_lists_of(prices)), rows, np.zeros(len(rows), dtype=np.int64), 1)
    return cost


def test_what_several_intervals_cover_counts_once():
    columns = np.array([[0, 0, 0, 1], [0, 5, 20, 0], [10, 12, 25, 1]])
    assert covered_time(*columns, 3).tolist() == [17, 1, 0]


def test_spans_are_shown_by_place_and_time():
    spans = spans_of("bob 0 9 desk", "ann 5 9 lab", "ann 3 9 lab", "ann 3 8 lab", "ann 4 4 desk u")
    basis = Basis(spans.iloc[::-1])
    found = shown(basis, np.arange(5))
    assert [basis.spans["id"].iloc[row] for row in found.rows] == ["d", "c", "b", "a", "e"]
    assert found.first.tolist() == [0, 3, 4]
    assert found.sizes.tolist() == [3, 1, 1]
    assert found.names(basis) == [("'ann'", "'lab'"), ("'bob'", "'desk'"), ("'ann'", "'desk'")]


def test_outermost_spans_of_a_group():
    rows, group = np.array([0, 1, 2, 3, 4]), np.array([1, 0, 0, 1, 0])
    assert outermost(Basis(tree), rows, group).tolist() == [True, True, False, False, True]
    assert outermost(Basis(tree), rows[::-1], group[::-1]).tolist() == [True, False, False, True, True]


@pytest.mark.parametrize(
    ("figures", "ids", "cost"),
    [
        ({"c": {COST: 2}, "d": {COST: 3}}, "b", 5),
        ({"c": {COST: 2}, "d": {COST: 3}}, "c", 2),
        ({"c": {COST: 2}, "d": {COST: 3}}, "bc", 5),  # c is below b
        ({"c": {COST: 2}, "d": {COST: 3}}, "ce", 2),
        ({"c": {COST: 2}, "d": {COST: 3}}, "e", None),  # no call of a model
        ({"c": {COST: 2}, "d": {TOKENS: 5}}, "b", None),  # a call without a cost
        ({"c": {COST: 2}}, "b", None),  # a call without any figure
        ({"a": {COST: 9}, "c": {COST: 2}, "d": {TOKENS: 5}}, "b", None),  # a part of the sum of a, not known which
        ({"b": {COST: 9}, "c": {COST: 2}, "d": {TOKENS: 5}}, "b", 9),
        ({}, "b", None),
    ],
)
def test_the_cost_of_spans_and_of_all_below(figures, ids, cost):
    spans = with_data(tree, **{span: {"attributes": values} for span, values in figures.items()})
    assert cost_of(spans, *ids) == pytest.approx(np.nan if cost is None else cost, nan_ok=True)


def test_prices_fill_in_the_cost_of_calls():
    model = {"gen_ai.request.model": "m"}
    spans = with_data(tree, c={"attributes": {COST: 2}}, d={"attributes": {**model, TOKENS: 1_000_000}})
    assert cost_of(spans, "b", prices={"m": {"input": 3, "output": 15}}) == 5


def test_failed_calls_without_a_figure_lack_none():
    spans = with_data(tree, c={"attributes": {COST: 2}}, d={"status": "error"})
    assert cost_of(spans, "b") == 2


@pytest.mark.parametrize(("count", "word"), [(1, "once"), (2, "twice"), (3, "3 times"), (1234, "1,234 times")])
def test_how_often(count, word):
    assert times_word(count) == word
