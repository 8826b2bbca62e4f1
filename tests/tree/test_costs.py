from conftest import spans_of, with_data

from tokenvis.tree.costs import costs_of
from tokenvis.tree.prices import price_lists_of
from tokenvis.tree.relations import relations_of
from tokenvis.tree.tokens import usage_of

PRICES = {"m": {"input": 1_000_000, "output": 0}}


def costs(*rows, parents, prices=None, **attributes):
    """The costs of spans with these attributes, by id."""
    names = {"input": "gen_ai.usage.input_tokens", "cost": "gen_ai.usage.cost"}
    given = {span: {names.get(key, key): value for key, value in values.items()} for span, values in attributes.items()}
    payloads = {span: {"attributes": {"gen_ai.request.model": "m", **values}} for span, values in given.items()}
    spans = with_data(spans_of(*rows, parents=parents), **payloads)
    parent = relations_of(spans).parents()
    return costs_of(spans, parent, usage_of(spans, parent), price_lists_of(prices))


def test_a_price_is_for_calls_that_no_cost_of_their_own_or_of_an_ancestor_covers():
    rows, parents = ("ann 0 9 desk", "ann 1 2 model:m", "ann 3 4 model:m", "bob 5 6 model:m"), {"b": "a", "c": "a"}
    given = {"b": {"input": 3}, "c": {"input": 4, "cost": 0.5}, "d": {"input": 5}}
    priced = costs(*rows, parents=parents, prices=PRICES, **given)
    assert priced.value.tolist() == [0, 3, 0.5, 5]
    assert priced.known.tolist() == [False, True, True, True]
    assert {name: found.tolist() for name, found in priced.sources.items()} == {
        "source": [False, False, True, False],
        "prices=": [False, True, False, True],
    }
    below_a_cost = costs(*rows, parents=parents, prices=PRICES, a={"cost": 2}, **given)
    assert below_a_cost.value.tolist() == [1.5, 0, 0.5, 5]
    assert below_a_cost.covered.tolist() == [True] * 4


def test_without_prices_only_the_source_gives_costs():
    rows = ("ann 0 9 model:m", "ann 10 11 model:m")
    unpriced = costs(*rows, parents={}, a={"input": 3}, b={"input": 4, "cost": 0.5})
    assert (unpriced.value.tolist(), unpriced.covered.tolist()) == ([0, 0.5], [False, True])
    assert unpriced.lists == ()
