"""Usage: tokens and cost by agent, model, location or other group.

What counts of each figure is decided for the whole trace (`tree.tokens`): sums that a source repeats on ancestors do not count,
and figures of an agent stand for calls without their own. So all groups add up to the same totals. A cost from the source
is used unchanged. It covers the span and all calls below it, which `prices` leaves out.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from tokenvis.spans.columns import require
from tokenvis.spans.groups import Groups, by_columns, groups_of
from tokenvis.spans.integers import Int64Array, Mask, counts, sums
from tokenvis.spans.losses import recorded_spans
from tokenvis.tree.costs import Costs, calls_with_figures, costs_of, unpriced_rows
from tokenvis.tree.prices import MODEL_COLUMN, Prices, models_of, price_lists_of, source_names, unpriced_models
from tokenvis.tree.relations import relations_of
from tokenvis.tree.tokens import TOKENS, Figures, Numbers, Usage, any_of, usage_of

USAGE_COLUMNS = (
    *("n_calls", "n_silent", *TOKENS, "cost", "price_source", "n_unpriced", "unpriced_models"),
    *("repeated_tokens", "unexplained_tokens", "unexplained_cost", "estimated_tokens", "n_invalid"),
)


def usage(
    spans: pd.DataFrame,
    *,
    by: str | Iterable[str] = "agent_id",
    prices: Prices | None = None,
) -> pd.DataFrame:
    """Calls, tokens and cost of each agent, model, location, or other group.

    Parameters
    ----------
    spans
        A frame of spans; tokens are columns, or keys of ``data``, with OpenTelemetry's names: ``gen_ai.usage.input_tokens``,
        ``.cache_read.input_tokens``, ``.cache_creation.input_tokens``, ``.output_tokens``, ``.reasoning.output_tokens``, and
        ``gen_ai.usage.cost``. ``estimated`` may name them (or "usage" for all).
    by
        A column, or several, whose values form groups within each trace. ``"model"``, if the spans have no such column, is
        ``gen_ai.response.model``, else ``gen_ai.request.model``. ``"trace_id"`` returns one row per trace.
    prices
        Prices of calls without a cost. Either a mapping from models to prices of a million tokens, ``{"some-model": {"input":
        3, "output": 15, "cached": 0.3}}``: ``cached`` tokens (read from a cache) and ``cache_creation`` tokens (written to
        one) are subtracted from the input tokens; without a separate price they cost the same as input. Or
        ``"genai-prices"``: the prices in US dollars in this package (extra ``tokenvis[prices]``), as at the start of the call.
        Or a list of these: the first that has the model decides. A cost from the source takes precedence.

    Returns
    -------
    DataFrame
        A row for each group, ordered by trace_id and the values of ``by``; a missing value has a row only if spans with
        tokens or a cost have it:

        ``trace_id`` (category), the columns of ``by`` (unchanged);
        ``n_calls`` (int64): spans with a figure that is not zero, and none of this kind below; ``n_silent`` (int64): model
        calls that did not fail, without any figure;
        ``input_tokens, cached_tokens, cache_creation_tokens, output_tokens, reasoning_tokens`` (Int64; missing if no span has
        a count): input includes tokens read from a cache and written to one, output includes reasoning tokens; ``cost``
        (Float64; missing if unknown for all spans). A figure of a parent counts only for the part by which it is larger than
        what counts below it, and only if a model call below has none;
        ``price_source`` (str; missing without a cost): where the cost is from, several joined by ", ": "source", "prices="
        (your mapping), the package with its version and newest price;
        ``n_unpriced`` (int64): calls of unknown cost, also silent ones, or the span that stands for these;
        ``unpriced_models`` (object; missing without ``prices``): the sorted list of their models, "unknown" for calls without;
        ``repeated_tokens`` (int64): input and output tokens that do not count, because they count below;
        ``unexplained_tokens`` (int64), ``unexplained_cost`` (Float64; missing without a cost in the source): figures that do
        not count, because they are lower than what counts below, though a call below has none; ``estimated_tokens`` (int64):
        input and output tokens that the source marks as estimated, which do not count;
        ``n_invalid`` (int64): spans with a figure that is not a number of at least 0, or not whole, and was left out; or that
        is a part and larger than its whole (cached and input, reasoning and output), and was cut to it.

    Raises
    ------
    MissingColumn, BadSpan
        If ``spans`` is not a frame of spans, lacks a column of ``by``, or a sum does not fit into a 64-bit integer.
    BadOption
        If ``prices`` has another form, its package is not installed, or ``by`` has the name of a column of the result.

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
    lists = price_lists_of(prices)
    require(spans, *(column for column in columns if column != MODEL_COLUMN))
    spans = recorded_spans(spans)
    if MODEL_COLUMN in columns and MODEL_COLUMN not in spans:
        spans = spans.assign(model=models_of(spans))
    parent = relations_of(spans, links=False).parents()
    figures = usage_of(spans, parent)
    costs = costs_of(spans, parent, figures, lists)
    groups = groups_of(spans, *columns)
    table = pd.DataFrame({**groups.names(spans), **measures_of_groups(spans, figures, costs, parent, groups)})
    used = counts(groups.group[costs.known | figures.silent | any_of(map(is_mentioned, figures.figures.values()))], len(groups))
    return table[(used > 0) | table[columns].notna().all(axis=1)].reset_index(drop=True)


def measures_of_groups(spans: pd.DataFrame, figures: Usage, costs: Costs, parent: Int64Array, groups: Groups) -> dict[str, Any]:
    """The columns of measures, with a row for each group."""
    group, count, cost = groups.group, len(groups), figures["cost"]
    calls = calls_with_figures(figures, parent)
    unknown, without_cost = (counts(group[rows], count) == 0 for rows in (costs.known, cost.present))
    unpriced, tokens = unpriced_rows(figures, calls, parent) & ~costs.covered, figures.tokens()
    measures = {
        "n_calls": counts(group[calls], count),
        "n_silent": counts(group[figures.silent], count),
        **{name: token_sum(figures[name], group, count) for name in TOKENS},
        "cost": cost_sum(costs.value, group, count).mask(unknown),
        "price_source": source_names(costs.sources, group, count),
        "n_unpriced": counts(group[unpriced], count),
        "unpriced_models": unpriced_models(spans, unpriced, group, count) if costs.lists else None,
        "repeated_tokens": total_of([each.repeated for each in tokens], group, count),
        "unexplained_tokens": total_of([each.values * each.unexplained for each in tokens], group, count),
        "unexplained_cost": cost_sum(cost.values * cost.unexplained, group, count).mask(without_cost),
        "estimated_tokens": total_of([each.values * each.estimated for each in tokens], group, count),
        "n_invalid": counts(group[any_of(each.invalid for each in figures.figures.values())], count),
    }
    return {name: measures[name] for name in USAGE_COLUMNS}


def is_mentioned(figures: Figures) -> Mask:
    """The rows for which the source gives a figure, of any use."""
    return any_of([figures.present, figures.estimated, figures.invalid])


def token_sum(figures: Figures, group: Int64Array, count: int) -> pd.Series:
    """Sum of what counts in each group; missing if none of its spans has the key."""
    total = pd.Series(total_of([figures.counted], group, count), dtype="Int64")
    return total.mask(counts(group[figures.present], count) == 0)


def total_of(amounts: list[Numbers], group: Int64Array, count: int) -> Int64Array:
    """Sum of several amounts of each span in each group."""
    rows = [np.flatnonzero(amount) for amount in amounts]
    values = [amount[found] for amount, found in zip(amounts, rows, strict=True)]
    return sums(group[np.concatenate(rows)], np.concatenate(values), count)


def cost_sum(amounts: Numbers, group: Int64Array, count: int) -> pd.Series:
    """Sum of amounts of money in each group."""
    return pd.Series(np.bincount(group, weights=amounts, minlength=count), dtype="Float64")
