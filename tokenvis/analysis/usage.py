"""Usage: tokens and cost by agent, model, location or other group.

Key by key, a span counts only if no descendant has that key (`tree.tokens`), so sums that a source repeats on ancestors are
excluded, and reported as ``repeated_tokens``. A cost from the source is used unchanged; it covers all calls above and below it.
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
from tokenvis.spans.integers import Float64Array, Int64Array, Mask, counts, sums
from tokenvis.spans.losses import recorded_spans
from tokenvis.tree.relations import have_ancestor, have_descendant, relations_of
from tokenvis.tree.tokens import COST, TOKENS, TokenCounts, tokens_of

MODEL_COLUMN = "model"
MODEL_KEYS = ("gen_ai.response.model", "gen_ai.request.model")
PRICED_TOKENS = {
    "input": "input_tokens",
    "cached": "cached_tokens",
    "cache_creation": "cache_creation_tokens",
    "output": "output_tokens",
}
PRICE_KINDS = tuple(PRICED_TOKENS)
TOKENS_PER_PRICE = 1_000_000
USAGE_COLUMNS = ("n_calls", *TOKENS, "cost", "n_unpriced", "repeated_tokens")


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
        A column, or several, whose values form groups within each trace. ``"model"``, if the spans have no such column, is
        ``gen_ai.response.model``, else ``gen_ai.request.model``. ``"trace_id"`` returns one row per trace.
    prices
        For each model, the price of a million tokens: ``{"some-model": {"input": 3, "output": 15, "cached": 0.3}}``. ``cached``
        tokens (read from a cache) and ``cache_creation`` tokens (written to one) are subtracted from the input tokens; without
        a separate price they cost the same as input. A cost from the source takes precedence. There are no built-in prices.

    Returns
    -------
    DataFrame
        A row for each group, ordered by trace_id and the values of ``by``; a missing value has a row only if spans with
        tokens or a cost have it:

        ``trace_id`` (category), the columns of ``by`` (unchanged); ``n_calls`` (int64): spans that count;
        ``input_tokens, cached_tokens, output_tokens, reasoning_tokens`` (Int64; missing if no span has a count): input
        includes cached tokens, output includes reasoning tokens; ``cost`` (Float64; missing if unknown for all spans);
        ``n_unpriced`` (int64): calls of unknown cost; ``repeated_tokens`` (int64): input and output tokens that were excluded,
        because a descendant has them.

    Raises
    ------
    MissingColumn, BadSpan
        If ``spans`` is not a frame of spans, lacks a column of ``by``, or a token count is not an integer.
    BadOption
        If ``prices`` is not a mapping of this form, or ``by`` has the name of a column of the result.

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
    columns = by_columns(by, USAGE_COLUMNS)
    check_prices(prices)
    require(spans, *(column for column in columns if column != MODEL_COLUMN))
    spans = recorded_spans(spans)
    if MODEL_COLUMN in columns and MODEL_COLUMN not in spans:
        spans = spans.assign(model=models_of(spans))
    parent = relations_of(spans, links=False).parents()
    tokens = tokens_of(spans, parent)
    costs = costs_of(spans, parent, tokens, prices)
    calls = any_of(tokens_of_key.counted for tokens_of_key in tokens.values())
    with_tokens = any_of(tokens_of_key.present for tokens_of_key in tokens.values())
    calls |= costs.counted & ~with_tokens & ~have_descendant(parent, with_tokens)
    groups = groups_of(spans, *columns)
    group, count = groups.group, len(groups)
    unknown = counts(group[costs.counted], count) == 0
    table = pd.DataFrame(
        {
            **groups.names(spans),
            "n_calls": counts(group[calls], count),
            **{name: token_sum(tokens[name], group, count) for name in TOKENS},
            "cost": pd.Series(np.bincount(group, weights=costs.value, minlength=count), dtype="Float64").mask(unknown),
            "n_unpriced": counts(group[calls & ~costs.covered], count),
            "repeated_tokens": repeated_tokens(tokens, group, count),
        }
    )
    used = counts(group[with_tokens | costs.counted], count) > 0
    return table[used | table[columns].notna().all(axis=1)].reset_index(drop=True)


def models_of(spans: pd.DataFrame) -> pd.Series:
    """The model of each span, as ``str``: of the response, else of the request; missing if there is none."""
    rows = field_rows(spans, *MODEL_KEYS)
    model = np.full(len(spans), np.nan, dtype=object)
    if len(rows):
        response, request = (column.astype("str") for column in field_columns(spans, MODEL_KEYS, rows).values())
        model[rows] = response.fillna(request).to_numpy()
    return pd.Series(model, index=spans.index, dtype="str")


def any_of(masks: Iterable[Mask]) -> Mask:
    """The rows for which any of the masks is true."""
    union: Mask = np.logical_or.reduce(list(masks))
    return union


def token_sum(tokens_of_key: TokenCounts, group: Int64Array, count: int) -> pd.Series:
    """Sum of the counted values in each group; missing if none of its spans has the key."""
    total = pd.Series(sums(group[tokens_of_key.counted], tokens_of_key.values[tokens_of_key.counted], count), dtype="Int64")
    return total.mask(counts(group[tokens_of_key.present], count) == 0)


def repeated_tokens(tokens: dict[str, TokenCounts], group: Int64Array, count: int) -> Int64Array:
    """Sum of the input and output tokens in each group that are not counted."""
    repeated = [
        (tokens_of_key, tokens_of_key.present & ~tokens_of_key.counted)
        for tokens_of_key in (tokens["input_tokens"], tokens["output_tokens"])
    ]
    values = np.concatenate([tokens_of_key.values[rows] for tokens_of_key, rows in repeated])
    return sums(np.concatenate([group[rows] for _, rows in repeated]), values, count)


@dataclass(frozen=True)
class Costs:
    """The cost of each row (0 if unknown), and two masks.

    ``counted`` marks the rows whose cost is counted, ``covered`` the rows that a cost covers: its own, its ancestors', its
    descendants'.
    """

    value: Float64Array
    counted: Mask
    covered: Mask


def costs_of(
    spans: pd.DataFrame, parent: Int64Array, tokens: dict[str, TokenCounts], prices: Mapping[str, Mapping[str, float]] | None
) -> Costs:
    """Costs from the source; calls that these do not cover are priced with ``prices``."""
    column = field_numbers(spans, [COST])[COST]
    from_source = column.notna().to_numpy()
    counted = from_source & ~have_descendant(parent, from_source)
    value = np.where(counted, column.fillna(0).to_numpy(dtype=float), 0.0)
    covered = from_source | have_ancestor(parent, from_source) | have_descendant(parent, from_source)
    if not prices:
        return Costs(value, counted, covered)
    codes, models = pd.factorize(models_of(spans))
    priced = np.array([*(model in prices for model in models), False])[codes]
    priced &= ~covered & any_of(tokens_of_key.counted for tokens_of_key in tokens.values())
    rates = {kind: np.array([*(price_of(prices.get(model, {}), kind) for model in models), 0.0])[codes] for kind in PRICE_KINDS}
    billed = {kind: np.where(tokens[name].counted, tokens[name].values, 0) for kind, name in PRICED_TOKENS.items()}
    uncached = np.maximum(billed["input"] - billed["cached"] - billed["cache_creation"], 0)
    cost = sum((uncached if kind == "input" else billed[kind]) * rates[kind] for kind in PRICE_KINDS) / TOKENS_PER_PRICE
    return Costs(np.where(priced, cost, value), counted | priced, covered | priced)


def price_of(price: Mapping[str, float], kind: str) -> float:
    """The price of a million tokens of a kind; by default the price of input."""
    return float(price.get(kind, price.get("input", 0.0)))


def check_prices(prices: object) -> None:
    """Raise `BadOption` unless prices map models to prices of a million tokens."""
    if prices is None:
        return
    shape = '{"some-model": {"input": 3, "output": 15}}'
    if not isinstance(prices, Mapping):
        raise BadOption(f"prices={quoted(prices)} is not a mapping such as {shape}.")
    for model, price in prices.items():
        if not isinstance(price, Mapping) or not {"input", "output"} <= set(price) <= set(PRICE_KINDS):
            raise BadOption(
                f"prices[{quoted(model)}]={quoted(price)} must have input and output, and no keys except "
                f"{listed(PRICE_KINDS)}: {shape}."
            )
        for kind, amount in price.items():
            is_number = isinstance(amount, int | float | np.number) and not isinstance(amount, bool)
            if not is_number or not math.isfinite(amount) or amount < 0:
                raise BadOption(
                    f"prices[{quoted(model)}][{quoted(kind)}]={quoted(amount)} is not a price. "
                    "Pass a number of at least 0, per million tokens."
                )
