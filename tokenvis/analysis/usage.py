"""Usage: where the tokens went, and the money.

Key by key, a span counts only where no descendant carries that key (`spans.tokens`), so sums that a source repeats further
up are left out, and said to be. A cost that the source gives is taken as it is; it covers the calls above and below it.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from tokenvis.errors import BadOption, listed, quoted
from tokenvis.spans.columns import require
from tokenvis.spans.fields import field_columns, field_numbers, field_rows
from tokenvis.spans.groups import by_columns, groups_of
from tokenvis.spans.integers import Floats, Int64Array, Mask, counts, sums
from tokenvis.spans.losses import work_of
from tokenvis.spans.relations import have_ancestor, have_descendant, relations_of
from tokenvis.spans.tokens import COST, TOKENS, Tokens, tokens_of

MODEL = "model"
MODELS = ("gen_ai.response.model", "gen_ai.request.model")
PAID = {
    "input": "input_tokens",
    "cached": "cached_tokens",
    "cache_creation": "cache_creation_tokens",
    "output": "output_tokens",
}
PRICES = tuple(PAID)
A_MILLION = 1_000_000
ANSWER = ("n_calls", *TOKENS, "cost", "n_unpriced", "repeated_tokens")


def usage(
    spans: pd.DataFrame,
    *,
    by: str | Iterable[str] = "agent_id",
    prices: Mapping[str, Mapping[str, float]] | None = None,
) -> pd.DataFrame:
    """Calls, tokens and cost of each agent, model, location, or other group.

    Parameters
    ----------
    spans
        A frame of spans; tokens are columns, or keys of ``data``, with OpenTelemetry's names: ``gen_ai.usage.input_tokens``,
        ``.cache_read.input_tokens``, ``.output_tokens``, ``.reasoning.output_tokens``, and ``gen_ai.usage.cost``.
    by
        A column, or several, whose values make groups within each trace. ``"model"``, where the spans have no such column, is
        ``gen_ai.response.model``, else ``gen_ai.request.model``. ``"trace_id"`` makes one row a trace.
    prices
        For each model, what a million tokens cost: ``{"some-model": {"input": 3, "output": 15, "cached": 0.3}}``. ``cached``
        (read from a cache) and ``cache_creation`` (written to one) are taken from the input tokens; without a price of
        their own they cost what input costs. A cost that the source gives wins. There are no prices built in.

    Returns
    -------
    DataFrame
        A row for each group, ordered by trace_id and the values of ``by``; a missing value has a row where a call has it:

        ``trace_id`` (category), the columns of ``by`` (as they are); ``n_calls`` (int64): spans that count;
        ``input_tokens, cached_tokens, output_tokens, reasoning_tokens`` (Int64; missing where no span says): cached ones are
        among the input, those of reasoning among the output; ``cost`` (Float64; missing where none is known);
        ``n_unpriced`` (int64): calls for which it is not; ``repeated_tokens`` (int64): input and output tokens that were left
        out, since a descendant carries them.

    Raises
    ------
    MissingColumn, BadSpan
        Where ``spans`` is not a frame of spans, lacks a column of ``by``, or holds a count that is no whole number.
    BadOption
        Where ``prices`` is not such a mapping, or ``by`` has the name of a column of the answer.

    Examples
    --------
    >>> import pandas as pd
    >>> spans = pd.DataFrame({
    ...     "id": ["run", "call"], "trace_id": "t", "agent_id": ["Ann", "Bob"], "location_id": ["desk", "model:m"],
    ...     "start_time": [0, 2], "end_time": [9, 7], "parent_id": [None, "run"],
    ...     "data": ['{"attributes": {"gen_ai.usage.input_tokens": 40}}',
    ...              '{"attributes": {"gen_ai.usage.input_tokens": 40, "gen_ai.request.model": "m"}}'],
    ... })
    >>> table = usage(spans, prices={"m": {"input": 3, "output": 15}})
    >>> table[["agent_id", "n_calls", "input_tokens", "cost", "repeated_tokens"]]
      agent_id  n_calls  input_tokens     cost  repeated_tokens
    0      Ann        0             0     <NA>               40
    1      Bob        1            40  0.00012                0
    """
    columns = by_columns(by, ANSWER)
    check_prices(prices)
    require(spans, *(column for column in columns if column != MODEL))
    spans = work_of(spans)
    if MODEL in columns and MODEL not in spans:
        spans = spans.assign(model=models_of(spans))
    parent = relations_of(spans, links=False).parents()
    tokens = tokens_of(spans, parent)
    costs = costs_of(spans, parent, tokens, prices)
    calls = any_of(key.counted for key in tokens.values())
    told = any_of(key.known for key in tokens.values())
    calls |= costs.known & ~told & ~have_descendant(parent, told)
    groups = groups_of(spans, *columns)
    group, count = groups.group, len(groups)
    unknown = counts(group[costs.known], count) == 0
    table = pd.DataFrame(
        {
            **groups.names(spans),
            "n_calls": counts(group[calls], count),
            **{name: total(tokens[name], group, count) for name in TOKENS},
            "cost": pd.Series(np.bincount(group, weights=costs.value, minlength=count), dtype="Float64").mask(unknown),
            "n_unpriced": counts(group[calls & ~costs.covered], count),
            "repeated_tokens": left_out(tokens, group, count),
        }
    )
    said = counts(group[told | costs.known], count) > 0
    return table[said | table[columns].notna().all(axis=1)].reset_index(drop=True)


def models_of(spans: pd.DataFrame) -> pd.Series:
    """The model of each span, as ``str``: the one that answered, else the one that was asked; missing where none is named."""
    rows = field_rows(spans, *MODELS)
    model = np.full(len(spans), np.nan, dtype=object)
    if len(rows):
        answered, asked = (column.astype("str") for column in field_columns(spans, MODELS, rows).values())
        model[rows] = answered.fillna(asked).to_numpy()
    return pd.Series(model, index=spans.index, dtype="str")


def any_of(marks: Iterable[Mask]) -> Mask:
    """Rows that are marked in any of these."""
    together: Mask = np.logical_or.reduce(list(marks))
    return together


def total(key: Tokens, group: Int64Array, count: int) -> pd.Series:
    """Sum of what counts in each group; missing where no span of it has the key."""
    table = pd.Series(sums(group[key.counted], key.values[key.counted], count), dtype="Int64")
    return table.mask(counts(group[key.known], count) == 0)


def left_out(tokens: dict[str, Tokens], group: Int64Array, count: int) -> Int64Array:
    """Sum of the input and output tokens in each group that do not count."""
    repeated = [(key, key.known & ~key.counted) for key in (tokens["input_tokens"], tokens["output_tokens"])]
    values = np.concatenate([key.values[rows] for key, rows in repeated])
    return sums(np.concatenate([group[rows] for _, rows in repeated]), values, count)


@dataclass(frozen=True)
class Costs:
    """What each row costs (0 where nobody knows), where that is ``known``, and the rows whose cost is in one of these."""

    value: Floats
    known: Mask
    covered: Mask


def costs_of(
    spans: pd.DataFrame, parent: Int64Array, tokens: dict[str, Tokens], prices: Mapping[str, Mapping[str, float]] | None
) -> Costs:
    """Costs as the source gives them; of the calls that these do not cover, by the prices."""
    column = field_numbers(spans, [COST])[COST]
    given = column.notna().to_numpy()
    known = given & ~have_descendant(parent, given)
    value = np.where(known, column.fillna(0).to_numpy(dtype=float), 0.0)
    covered = given | have_ancestor(parent, given) | have_descendant(parent, given)
    if not prices:
        return Costs(value, known, covered)
    codes, models = pd.factorize(models_of(spans))
    priced = np.array([*(model in prices for model in models), False])[codes]
    priced &= ~covered & any_of(key.counted for key in tokens.values())
    rates = {kind: np.array([*(rate(prices.get(model, {}), kind) for model in models), 0.0])[codes] for kind in PRICES}
    paid = {kind: np.where(tokens[name].counted, tokens[name].values, 0) for kind, name in PAID.items()}
    plain = np.maximum(paid["input"] - paid["cached"] - paid["cache_creation"], 0)
    bill = sum((plain if kind == "input" else paid[kind]) * rates[kind] for kind in PRICES) / A_MILLION
    return Costs(np.where(priced, bill, value), known | priced, covered | priced)


def rate(price: Mapping[str, float], kind: str) -> float:
    """What a million tokens of a kind cost; of a kind without a price, what input costs."""
    return float(price.get(kind, price.get("input", 0.0)))


def check_prices(prices: object) -> None:
    """Raise `BadOption` unless prices are a mapping of models to what a million tokens cost."""
    if prices is None:
        return
    shape = '{"some-model": {"input": 3, "output": 15}}'
    if not isinstance(prices, Mapping):
        raise BadOption(f"prices={quoted(prices)} is no mapping such as {shape}.")
    for model, price in prices.items():
        if not isinstance(price, Mapping) or not {"input", "output"} <= set(price) <= set(PRICES):
            raise BadOption(f"prices[{quoted(model)}]={quoted(price)} has other keys than {listed(PRICES)}: {shape}.")
        for kind, amount in price.items():
            number = isinstance(amount, int | float | np.number) and not isinstance(amount, bool)
            if not number or not math.isfinite(amount) or amount < 0:
                raise BadOption(
                    f"prices[{quoted(model)}][{quoted(kind)}]={quoted(amount)} is not the price of a million tokens."
                )
