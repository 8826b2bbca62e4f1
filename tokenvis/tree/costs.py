"""Costs: what counts of each span's cost, from the source, else from prices.

A cost from the source is used unchanged, and covers the calls below it. The price lists price the tokens of the other calls.
"""

from dataclasses import dataclass

import pandas as pd

from tokenvis.spans.integers import Float64Array, Int64Array, Mask
from tokenvis.tree.price_lists import PriceList
from tokenvis.tree.prices import FROM_SOURCE, PRICED_TOKENS, cost_of_calls
from tokenvis.tree.relations import have_ancestor, have_descendant
from tokenvis.tree.tokens import TOKENS, Usage, any_of


@dataclass(frozen=True)
class Costs:
    """The cost that counts for each row (0 if unknown), and masks.

    ``known`` marks the rows with a cost from the source or a price, ``covered`` the calls of which the cost is known: by a cost
    of the span, of an ancestor, or of the model calls below. ``sources`` are the known rows by where their cost is from,
    ``lists`` the price lists.
    """

    value: Float64Array
    known: Mask
    covered: Mask
    sources: dict[str, Mask]
    lists: tuple[PriceList, ...]


def costs_of(spans: pd.DataFrame, parent: Int64Array, figures: Usage, lists: tuple[PriceList, ...]) -> Costs:
    """Costs from the source; tokens that these do not cover are priced by the price lists."""
    cost, nested = figures["cost"], any_of(figures[name].nested for name in TOKENS)
    known = cost.present & (~cost.nested | (cost.counted > 0))
    covers = cost.present & ~cost.unexplained
    covered = covers | have_ancestor(parent, covers) | (have_descendant(parent, covers & figures.is_model) & ~nested)
    if not lists:
        return Costs(cost.counted, known, covered, {FROM_SOURCE: known}, lists)
    calls = ~covered & any_of(figures[name].counted > 0 for name in TOKENS)
    tokens = {kind: figures[name].counted for kind, name in PRICED_TOKENS.items()}
    priced = cost_of_calls(spans, calls, tokens, lists, single=figures.is_model & ~nested)
    covered |= priced.known | have_ancestor(parent, priced.known & nested)
    sources = {FROM_SOURCE: known, **priced.sources()}
    return Costs(cost.counted + priced.cost, known | priced.known, covered, sources, lists)


def calls_with_figures(figures: Usage, parent: Int64Array) -> Mask:
    """The spans with tokens that are not nested; or with such a cost, if neither they nor spans below have tokens."""
    tokens = [figures[name] for name in TOKENS]
    with_tokens = any_of(each.present & (each.values > 0) for each in tokens)
    calls = any_of((each.counted > 0) & ~each.nested for each in tokens)
    cost = figures["cost"]
    with_cost = cost.present & ~cost.nested
    return calls | (with_cost & ~with_tokens & ~have_descendant(parent, with_tokens))


def unpriced_rows(figures: Usage, calls: Mask, parent: Int64Array) -> Mask:
    """The spans that need a price, unless a cost covers them: calls; those that stand for silent calls, else these calls."""
    stand_for_others = any_of((each.counted > 0) & each.nested for each in figures.tokens())
    return calls | stand_for_others | (figures.silent & ~have_ancestor(parent, stand_for_others))
