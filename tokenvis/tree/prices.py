"""Prices: the cost of calls whose cost no source gives.

``prices=`` names price lists in order of precedence: the user's own tables, and installed lists (`tree.price_lists`). The first
list that has the model of a call decides. A list is asked once for each model, provider and period of constant prices; the
cost of each call is arithmetic.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import TypeAlias

import numpy as np
import pandas as pd

from tokenvis.errors import BadOption, listed, quoted
from tokenvis.spans.columns import YEAR_2000, YEAR_10000, times_of
from tokenvis.spans.fields import field_columns, field_rows
from tokenvis.spans.groups import dense_ranks
from tokenvis.spans.integers import Float64Array, Int64Array, Mask, counts
from tokenvis.tree.price_lists import (
    GENAI_PRICES,
    TOKEN_KINDS,
    TOKENS_PER_PRICE,
    CalledModel,
    PriceChanges,
    PriceList,
    Tariff,
    genai_prices,
)

Prices: TypeAlias = Mapping[str, Mapping[str, float]] | str | Sequence[Mapping[str, Mapping[str, float]] | str]

MODEL_COLUMN = "model"
MODEL_KEYS = ("gen_ai.response.model", "gen_ai.request.model")
PROVIDER_KEY = "gen_ai.provider.name"
UNNAMED_MODEL = "unknown"
PRICE_KINDS = ("input", "cached", "cache_creation", "output")  # the kinds of tokens in a table of the user
PRICED_TOKENS = {  # the token counts that `cost_of_calls` takes for each kind; input and output are totals
    "input": "input_tokens",
    "cached": "cached_tokens",
    "cache_creation": "cache_creation_tokens",
    "output": "output_tokens",
    "reasoning": "reasoning_tokens",
}
FROM_SOURCE, FROM_TABLE = "source", "prices="
NO_TARIFF = Tariff(-1, np.nan, dict.fromkeys(TOKEN_KINDS, np.nan))
TABLE_SHAPE = '{"some-model": {"input": 3, "output": 15}}'


@dataclass(frozen=True)
class PricedCalls:
    """The cost of each row (0 if unknown), and the number of the list that it is from (``source``, -1 if unknown)."""

    cost: Float64Array
    source: Int64Array
    lists: tuple[PriceList, ...]

    @property
    def known(self) -> Mask:
        """The rows whose cost is known."""
        mask: Mask = self.source >= 0
        return mask

    def sources(self) -> dict[str, Mask]:
        """The rows whose cost is from each list, by the name of the list."""
        rows: dict[str, Mask] = {}
        for number, price_list in enumerate(self.lists):
            rows[price_list.name] = rows.get(price_list.name, False) | (self.source == number)
        return rows


@dataclass(frozen=True)
class PriceTable:
    """The user's own prices of a million tokens, by model."""

    prices: Mapping[str, Mapping[str, float]]
    name: str = FROM_TABLE
    newest: int = 0

    def changes(self, called: CalledModel) -> PriceChanges | None:
        """None: the prices of a table do not change."""
        return None

    def tariffs(self, called: CalledModel, moment: int) -> list[Tariff]:
        """The one tariff of a model; none if the table lacks it. Cached tokens cost the same as input by default."""
        price = self.prices.get(called.name)
        if price is None:
            return []
        tokens = {kind: float(price.get(kind, price["input"])) for kind in PRICE_KINDS}
        return [Tariff(-1, 0.0, {**tokens, "reasoning": tokens["output"]})]


def price_lists_of(prices: Prices | None) -> tuple[PriceList, ...]:
    """The lists that ``prices=`` names, in order of precedence; `BadOption` if it has another value or the list is missing."""
    if prices is None:
        return ()
    named = prices if isinstance(prices, Sequence) and not isinstance(prices, str) else [prices]
    lists = [price_list_of(prices) for prices in named]
    return tuple(price_list for number, price_list in enumerate(lists) if price_list not in lists[:number])


def price_list_of(prices: object) -> PriceList:
    """The list of one value of ``prices=``."""
    if isinstance(prices, Mapping):
        check_table(prices)
        return PriceTable(prices)
    if isinstance(prices, str) and prices == GENAI_PRICES:
        return genai_prices()
    raise BadOption(
        f"prices={quoted(prices)} is neither a mapping such as {TABLE_SHAPE}, nor {GENAI_PRICES!r}, nor a list of these."
    )


def check_table(prices: Mapping[str, Mapping[str, float]]) -> None:
    """Raise `BadOption` unless a mapping maps models to prices of a million tokens."""
    for model, price in prices.items():
        if not isinstance(price, Mapping) or not {"input", "output"} <= set(price) <= set(PRICE_KINDS):
            raise BadOption(
                f"prices[{quoted(model)}]={quoted(price)} must have input and output, and no keys except "
                f"{listed(PRICE_KINDS)}: {TABLE_SHAPE}."
            )
        for kind, amount in price.items():
            is_number = isinstance(amount, int | float | np.number) and not isinstance(amount, bool)
            if not is_number or not math.isfinite(amount) or amount < 0:
                raise BadOption(
                    f"prices[{quoted(model)}][{quoted(kind)}]={quoted(amount)} is not a price. "
                    "Pass a number of at least 0, per million tokens."
                )


def models_of(spans: pd.DataFrame) -> pd.Series:
    """The model of each span, as ``str``: of the response, else of the request; missing if there is none."""
    rows = field_rows(spans, *MODEL_KEYS)
    model = np.full(len(spans), np.nan, dtype=object)
    if len(rows):
        model[rows] = response_else_request(field_columns(spans, MODEL_KEYS, rows)).to_numpy()
    return pd.Series(model, index=spans.index, dtype="str")


def response_else_request(columns: Mapping[str, pd.Series]) -> pd.Series:
    """The model in the columns of `MODEL_KEYS`."""
    response, request = (columns[key].astype("str") for key in MODEL_KEYS)
    return response.fillna(request)


def cost_of_calls(
    spans: pd.DataFrame, calls: Mask, tokens: Mapping[str, Int64Array], lists: tuple[PriceList, ...], *, single: Mask
) -> PricedCalls:
    """The cost of the rows in ``calls`` by the first list that has their model.

    ``tokens`` are counts of each row, by the kinds of `PRICED_TOKENS`: input includes cached tokens, output includes
    reasoning tokens. A cost is unknown if no list has the model, or the list has no price for a kind of token of the call.
    The price is that of the call's start, or the newest one for times that do not count from 1970 (as in `spans.columns`).
    Prices for many input tokens apply to ``single`` calls only: other rows, such as agents, add up calls of unknown size.
    """
    cost, source = np.zeros(len(spans)), np.full(len(spans), -1, dtype=np.int64)
    rows = np.flatnonzero(calls)
    if not lists or not len(rows):
        return PricedCalls(cost, source, lists)
    models, model = models_called(spans, rows)
    moment = moments_of(spans, rows, lists)
    period, first = price_periods(models, model, moment, lists)
    tariffs = [tariffs_of(models[model[row]], int(moment[row]), lists) for row in first]
    amounts = billed_tokens({kind: tokens[kind][rows] for kind in TOKEN_KINDS}, single[rows])
    costs = costs_at(amounts, period, [of_period for _, of_period in tariffs])
    source[rows] = np.where(np.isnan(costs), -1, np.array([number for number, _ in tariffs])[period])
    cost[rows] = np.where(source[rows] >= 0, costs, 0.0)
    return PricedCalls(cost, source, lists)


def models_called(spans: pd.DataFrame, rows: Int64Array) -> tuple[list[CalledModel | None], Int64Array]:
    """The distinct models and providers of these rows, None for calls without a model, and the number of each row's."""
    columns = field_columns(spans, (*MODEL_KEYS, PROVIDER_KEY), rows)
    model, models = pd.factorize(response_else_request(columns))
    provider, providers = pd.factorize(columns[PROVIDER_KEY].astype("str"))
    names = [*providers, None]
    pair, first = ranks_and_first((model + 1) * len(names) + provider % len(names), (len(models) + 1) * len(names))
    return [CalledModel(models[model[row]], names[provider[row]]) if model[row] >= 0 else None for row in first], pair


def ranks_and_first(codes: Int64Array, size: int) -> tuple[Int64Array, Int64Array]:
    """Codes below ``size`` as ranks among those that occur, and the first position of each."""
    rank, n_ranks = dense_ranks(codes.astype(np.int64, copy=False), size)
    first = np.zeros(n_ranks, dtype=np.int64)
    first[rank[::-1]] = np.arange(len(rank))[::-1]
    return rank, first


def moments_of(spans: pd.DataFrame, rows: Int64Array, lists: tuple[PriceList, ...]) -> Int64Array:
    """The start of each row, in µs since 1970; that of the newest prices if its times do not count from 1970."""
    start = times_of(spans)[0][rows]
    return np.where((start >= YEAR_2000) & (start < YEAR_10000), start, max(price_list.newest for price_list in lists))


def price_periods(
    models: list[CalledModel | None], model: Int64Array, moment: Int64Array, lists: tuple[PriceList, ...]
) -> tuple[Int64Array, Int64Array]:
    """A number for each row, the same for rows with equal prices, and the first position of each number."""
    period, n_periods = np.zeros(len(model), dtype=np.int64), 1
    for number, called in enumerate(models):
        changes = None if called is None else next(filter(None, (price_list.changes(called) for price_list in lists)), None)
        if changes is not None:
            rows = np.flatnonzero(model == number)
            period[rows] = changes.periods(moment[rows])
            n_periods = max(n_periods, len(changes))
    return ranks_and_first(model * n_periods + period, len(models) * n_periods)


def tariffs_of(called: CalledModel | None, moment: int, lists: tuple[PriceList, ...]) -> tuple[int, list[Tariff]]:
    """The tariffs of the first list that has the model, and the number of that list; -1 and none if no list has it."""
    if called is not None:
        for number, price_list in enumerate(lists):
            if tariffs := price_list.tariffs(called, moment):
                return number, tariffs
    return -1, []


def billed_tokens(tokens: Mapping[str, Int64Array], single: Mask) -> dict[str, Float64Array]:
    """Token counts as amounts that do not overlap, by kind, and the ``size`` of each single call: all its input tokens."""
    given = {kind: np.maximum(count, 0).astype(np.float64) for kind, count in tokens.items()}
    from_cache, reasoning = given["cached"] + given["cache_creation"], given["reasoning"]
    uncached, answer = np.maximum(given["input"] - from_cache, 0), np.maximum(given["output"] - reasoning, 0)
    return {**given, "input": uncached, "output": answer, "size": np.where(single, uncached + from_cache, 0)}


def costs_at(amounts: Mapping[str, Float64Array], period: Int64Array, tariffs: list[list[Tariff]]) -> Float64Array:
    """The cost of each row at the tariffs of its period; NaN without a price."""
    steps = [of_period or [NO_TARIFF] for of_period in tariffs]
    above = [[float(tariff.above) for tariff in of_period] for of_period in steps]
    n_steps = np.array([len(of_period) for of_period in steps])
    tariff = (np.cumsum(n_steps) - n_steps)[period]
    for limits in list(zip_longest(*above, fillvalue=np.inf))[1:]:
        tariff += amounts["size"] > np.array(limits)[period]
    in_order = [one for of_period in steps for one in of_period]
    cost = np.zeros(len(period))
    for kind in TOKEN_KINDS:
        price = np.array([one.tokens[kind] for one in in_order])[tariff]
        cost += np.where(amounts[kind] > 0, amounts[kind] * price, 0.0)
    total: Float64Array = cost / TOKENS_PER_PRICE + np.array([one.call for one in in_order])[tariff]
    return total


def source_names(rows_by_source: Mapping[str, Mask], group: Int64Array, n_groups: int) -> pd.Series:
    """The sources of the costs of each group, joined in the order of the mapping; missing if the group has no cost."""
    found = np.zeros(n_groups, dtype=np.int64)
    for number, rows in enumerate(rows_by_source.values()):
        found |= (counts(group[rows], n_groups) > 0).astype(np.int64) << number
    sets, position = np.unique(found, return_inverse=True)
    texts = [
        ", ".join(name for number, name in enumerate(rows_by_source) if one >> number & 1) or None for one in sets.tolist()
    ]
    return pd.Series(texts, dtype="str").iloc[position].reset_index(drop=True)


def unpriced_models(spans: pd.DataFrame, unpriced: Mask, group: Int64Array, n_groups: int) -> pd.Series:
    """The distinct models of the rows marked in each group, sorted; "unknown" for rows without a model."""
    rows = np.flatnonzero(unpriced)
    names = response_else_request(field_columns(spans, MODEL_KEYS, rows)).fillna(UNNAMED_MODEL)
    model, models = pd.factorize(names, sort=True)
    pairs = np.unique(group[rows] * max(len(models), 1) + model)
    in_order = models[pairs % max(len(models), 1)].tolist()
    ends = np.cumsum(counts(pairs // max(len(models), 1), n_groups)).tolist()
    return pd.Series([in_order[start:end] for start, end in zip([0, *ends], ends, strict=False)], dtype="object")
