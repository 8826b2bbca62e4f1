import numpy as np
import pytest
from conftest import spans_of
from hypothesis import given
from hypothesis import strategies as st
from waiting import oracle

from tokenvis.spans.columns import YEAR_2000
from tokenvis.tree.price_lists import PriceChanges, Tariff
from tokenvis.tree.prices import cost_of_calls, models_of, price_lists_of

KINDS = ("input", "cached", "cache_creation", "output", "reasoning")
DAY = 86_400_000_000


class Discounted:
    """A list with one model, a price for each call that halves on a day in 2000, and doubles above 100 input tokens."""

    name = "discounted"
    newest = YEAR_2000 + 10 * DAY

    def changes(self, called):
        return PriceChanges(np.array([YEAR_2000 + DAY]), np.array([], dtype=np.int64)) if called.name == "m" else None

    def tariffs(self, called, moment):
        price = 500_000 if moment >= YEAR_2000 + DAY else 1_000_000
        output = dict.fromkeys(("output", "reasoning"), np.nan if called.provider == "mute" else 2 * price)
        steps = [Tariff(-1, 0.5, {**dict.fromkeys(KINDS, price), **output})]
        steps.append(Tariff(100, 0.5, {**dict.fromkeys(KINDS, 2 * price), **output}))
        return steps if called.name == "m" else []


def calls_of(*calls, start=None):
    """Spans of calls, each (model, provider, {kind: tokens}), and the tokens by kind."""
    spans = spans_of(*(f"ann {n} {n} desk" for n in range(len(calls))))
    spans = spans.assign(**{"gen_ai.request.model": [model for model, *_ in calls]})
    spans = spans.assign(**{"gen_ai.provider.name": [provider for _, provider, _ in calls]})
    tokens = {kind: np.array([given.get(kind, 0) for *_, given in calls], dtype=np.int64) for kind in KINDS}
    return spans if start is None else spans.assign(start_time=start, end_time=start), tokens


def cost(*calls, lists, start=None, single=True):
    """The cost of each call, None if unknown."""
    spans, tokens = calls_of(*calls, start=start)
    every = np.ones(len(calls), dtype=bool)
    priced = cost_of_calls(spans, every, tokens, lists, single=every & single)
    assert (priced.cost[~priced.known] == 0).all()
    return [cost if known else None for cost, known in zip(priced.cost.tolist(), priced.known.tolist(), strict=True)]


def numbers(costs):
    """Costs as floats, NaN if unknown."""
    return [np.nan if cost is None else cost for cost in costs]


def test_cached_tokens_are_part_of_the_input_and_reasoning_tokens_of_the_output():
    lists = price_lists_of({"m": {"input": 1_000_000, "output": 10_000_000, "cached": 100_000, "cache_creation": 2_000_000}})
    tokens = {"input": 10, "cached": 4, "cache_creation": 1, "output": 3, "reasoning": 2}
    assert cost(("m", None, tokens), lists=lists) == pytest.approx([5 + 0.4 + 2 + 30])
    more_cached_than_input = {"input": 1, "cached": 4, "reasoning": 2}
    assert cost(("m", None, more_cached_than_input), lists=lists) == pytest.approx([0.4 + 20])


def test_a_tariff_applies_above_its_number_of_input_tokens_to_all_of_them():
    calls = [("m", None, {"input": 100, "output": 1}), ("m", None, {"input": 101, "cached": 1, "output": 1})]
    assert cost(*calls, lists=(Discounted(),), start=YEAR_2000) == [0.5 + 100 + 2, 0.5 + 202 + 2]
    assert cost(*calls, lists=(Discounted(),), start=YEAR_2000, single=[True, False]) == [0.5 + 100 + 2, 0.5 + 101 + 2]


def test_the_price_is_that_of_the_start_and_the_newest_for_times_that_do_not_count_from_1970():
    calls = [("m", None, {"input": 1})] * 4
    start = np.array([YEAR_2000, YEAR_2000 + DAY - 1, YEAR_2000 + DAY, 5])
    assert cost(*calls, lists=(Discounted(),), start=start) == [1.5, 1.5, 1.0, 1.0]


def test_the_first_list_that_has_the_model_decides():
    table, lists = {"m": {"input": 7_000_000, "output": 0}, "n": {"input": 3_000_000, "output": 0}}, (Discounted(),)
    calls = [("m", None, {"input": 1}), ("n", None, {"input": 1}), ("o", None, {"input": 1}), (None, None, {"input": 1})]
    assert cost(*calls, lists=(*price_lists_of(table), *lists)) == [7, 3, None, None]
    assert cost(*calls, lists=(*lists, *price_lists_of([table, {"o": table["n"]}]))) == [1, 3, 3, None]
    assert cost(*calls, lists=()) == [None] * 4


def test_a_cost_is_unknown_if_a_kind_of_token_has_no_price():
    calls = [("m", "mute", {"input": 1}), ("m", "mute", {"input": 1, "output": 1}), ("m", "x", {"input": 1, "output": 1})]
    assert cost(*calls, lists=(Discounted(),)) == [1, None, 2]


def test_other_rows_have_no_cost_and_sources_have_one_name_each():
    spans, tokens = calls_of(("m", None, {"input": 1}), ("m", None, {"input": 1}), ("n", None, {"input": 1}))
    tables = price_lists_of([{"m": {"input": 1, "output": 1}}, {"n": {"input": 1, "output": 1}}])
    single = np.ones(3, dtype=bool)
    priced = cost_of_calls(spans, np.array([True, False, True]), tokens, tables, single=single)
    assert priced.known.tolist() == [True, False, True]
    assert {name: rows.tolist() for name, rows in priced.sources().items()} == {"prices=": [True, False, True]}
    none = {kind: tokens[kind][:0] for kind in KINDS}
    nothing = cost_of_calls(spans.iloc[:0], single[:0], none, tables, single=single[:0])
    assert len(nothing.cost) == len(nothing.known) == 0


def test_a_list_that_is_given_twice_counts_once():
    table = {"m": {"input": 1, "output": 1}}
    assert len(price_lists_of([table, dict(table), {}])) == 2
    assert price_lists_of([]) == price_lists_of(None) == ()


def test_the_model_is_from_the_response_else_from_the_request():
    spans = spans_of("ann 0 1 desk", "ann 1 2 desk", "ann 2 3 desk")
    spans["gen_ai.request.model"], spans["gen_ai.response.model"] = ["m", "n", None], ["m-1", None, None]
    assert models_of(spans).fillna("missing").tolist() == ["m-1", "n", "missing"]


counts = st.integers(0, 150)
calls = st.lists(
    st.tuples(
        st.sampled_from(["m", "n", "", "$\\frac{", None]),
        st.sampled_from([None, "x", "mute"]),
        st.fixed_dictionaries(dict.fromkeys(KINDS, counts)),
        st.sampled_from([0, 7, YEAR_2000 - 1, YEAR_2000, YEAR_2000 + DAY - 1, YEAR_2000 + DAY, YEAR_2000 + 99 * DAY]),
    ),
    max_size=8,
)
table_prices = st.fixed_dictionaries({"input": counts, "output": counts}, optional={"cached": counts, "cache_creation": counts})
tables = st.lists(st.dictionaries(st.sampled_from(["m", "n", ""]), table_prices), max_size=2)


def cost_by_table(price, uncached, output, tokens):
    """The cost at a table's prices of a million tokens."""
    amounts = {"input": uncached, "cached": tokens["cached"], "cache_creation": tokens["cache_creation"], "output": output}
    return sum(amount * price.get(kind, price["input"]) for kind, amount in amounts.items()) / 1_000_000


def cost_by_list(provider, start, input_tokens, output):
    """The cost by `Discounted`."""
    moment = start if start >= YEAR_2000 else Discounted.newest
    price = (0.5 if moment >= YEAR_2000 + DAY else 1) * (2 if input_tokens > 100 else 1)
    of_output = (0.5 if moment >= YEAR_2000 + DAY else 1) * 2
    return None if provider == "mute" and output else 0.5 + input_tokens * price + output * of_output


@pytest.mark.laws
@oracle
@given(calls, tables, st.booleans())
def test_it_equals_brute_force(calls, tables, table_first):
    expected = []
    for model, provider, tokens, start in calls:
        from_cache = tokens["cached"] + tokens["cache_creation"]
        uncached, output = max(tokens["input"] - from_cache, 0), max(tokens["output"], tokens["reasoning"])
        costs = [cost_by_table(table[model], uncached, output, tokens) for table in tables if model in table]
        from_list = [cost_by_list(provider, start, uncached + from_cache, output)] if model == "m" else []
        expected.append(next(iter(costs + from_list if table_first else from_list + costs), None))
    start = np.array([start for *_, start in calls], dtype=np.int64)
    lists = price_lists_of(tables)
    lists = (*lists, Discounted()) if table_first else (Discounted(), *lists)
    costs = cost(*(call[:3] for call in calls), lists=lists, start=start)
    assert numbers(costs) == pytest.approx(numbers(expected), rel=1e-9, nan_ok=True)
