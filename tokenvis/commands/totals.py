"""Totals: the metrics of runs, of agents or of locations, and of the sides of a comparison.

A side is a set of runs of one kind, such as those before a change. Its total is the median of its runs, of errors and retries
the mean, for each metric on its own: it need not be the total of any one run. A total that is not known for one of the runs is
not known for the side.
"""

import statistics
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any, TypeAlias

import pandas as pd

from tokenvis.runs.compare import compare
from tokenvis.runs.rules import METRICS, Amount, MetricRule
from tokenvis.spans.losses import recorded_spans
from tokenvis.tree.calls import calls_of, retries_of
from tokenvis.tree.prices import Prices
from tokenvis.tree.relations import relations_of

METRIC_COLUMNS = {
    "time": "wall_us",
    "work": "busy_us",
    "waiting": "waiting_us",
    "tokens": "tokens",
    "cost": "cost",
    "errors": "n_errors",
    "retries": "n_retries",
    "spans": "n_spans",
}
FAILURES = ["n_errors", "n_retries"]
UNCOUNTED = {"tokens": "n_silent", "cost": "n_unpriced"}  # the calls without which a total is a lower bound

TOTAL_COLUMNS = (*METRIC_COLUMNS.values(), *UNCOUNTED.values())
Amounts: TypeAlias = dict[str, Amount]  # by metric


def totals_of(
    spans: pd.DataFrame, *, by: str = "trace_id", prices: Prices | None = None, retried: pd.DataFrame | None = None
) -> pd.DataFrame:
    """A row for each run, or for each run and each value of the column ``by`` in any run.

    ``trace_id`` (str), ``by``, and `TOTAL_COLUMNS`: measures as in `compare`; ``n_retries``, failed calls that were tried
    again; and calls without tokens, or without a cost. All are 0 for a value that does not occur in a run; tokens and cost are
    also 0 for an agent or location without calls in a run of which they are known. ``retried`` is that of `retried_spans`, if
    it is known.
    """
    keys, runs = list(dict.fromkeys(["trace_id", by])), spans["trace_id"].astype("str").unique()
    retried = retried_spans(spans) if retried is None else retried
    counts_of_retries = retried.groupby(keys, observed=True).size().rename("n_retries")
    table = compare(spans, by=by, prices=prices)
    table = table.assign(trace_id=table["trace_id"].astype("str")).set_index(keys).join(counts_of_retries)
    every = pd.Index(runs) if by == "trace_id" else pd.MultiIndex.from_product([runs, table.index.unique(1)])
    table = table.reindex(every.set_names(keys))[[*TOTAL_COLUMNS]].reset_index()  # also runs that have only losses
    for column in table.columns.drop(keys):
        missing = table[column].isna()
        if column in UNCOUNTED:
            known = (~missing & (table["n_spans"] > 0)).groupby(table["trace_id"]).transform("any")
            missing &= known & (table[UNCOUNTED[column]] == 0)
        table[column] = table[column].mask(missing, 0)
    return table.astype({column: "int64" for column in TOTAL_COLUMNS if column not in UNCOUNTED})


def retried_spans(spans: pd.DataFrame) -> pd.DataFrame:
    """The failed calls that were tried again."""
    spans = recorded_spans(spans)
    return spans.iloc[retries_of(spans, relations_of(spans, links=False), calls_of(spans)).failed]


def medians_of(totals: pd.DataFrame, sides: Mapping[str, str], *by: str) -> pd.DataFrame:
    """The totals of each side, and each value of ``by``; ``sides`` maps the id of each run to its side.

    Columns as in `totals_of`, Float64, with ``side`` instead of ``trace_id``. Errors and retries are the mean: a median of 0
    would hide that two of five runs failed. A metric that is missing for a run is missing for its side; ``n_silent,
    n_unpriced`` are the most that any run has.
    """
    groups = totals.assign(side=totals["trace_id"].map(dict(sides))).groupby(["side", *by], observed=True, sort=False)
    columns = list(METRIC_COLUMNS.values())
    medians = groups[columns].median().astype("Float64")
    medians[FAILURES] = groups[FAILURES].mean().astype("Float64")
    medians = medians.mask(groups[columns].count().lt(groups.size(), axis=0))
    return medians.join(groups[list(UNCOUNTED.values())].max()).reset_index()


def amounts_of(totals: Mapping[Any, Any]) -> dict[str, Amount]:
    """The metrics in a row of totals."""
    amounts = {}
    for metric in METRICS:
        value = totals[METRIC_COLUMNS[metric]]
        number = None if pd.isna(value) else int(value) if float(value).is_integer() and metric != "cost" else float(value)
        amounts[metric] = Amount(number, number is not None and metric in UNCOUNTED and bool(totals[UNCOUNTED[metric]]))
    return amounts


def median_amount(amounts: Iterable[Amount]) -> Amount:
    """The median of amounts: not known if one is not, a lower bound if one is.

    Examples
    --------
    >>> median_amount([Amount(1), Amount(5), Amount(2)]), median_amount([Amount(1), Amount(4, True)])
    (Amount(value=2, is_lower_bound=False), Amount(value=2.5, is_lower_bound=True))
    """
    values, bounds = zip(*amounts, strict=True)
    return Amount(None) if None in values else Amount(statistics.median(values), any(bounds))


class SideTotals:
    """The totals of each side, and of each agent and location in it, which are computed when they are first needed."""

    def __init__(
        self, spans: pd.DataFrame, sides: Mapping[str, str], prices: Prices | None, roles: Mapping[str, str] | None = None
    ) -> None:
        """``sides`` maps the id of each run to its side, ``roles`` the names of agents in runs to the ``agent_id`` in spans."""
        self.spans, self.sides, self.prices, self.roles = spans, sides, prices, roles or {}
        self.parts: dict[str, dict[str, dict[str, Amounts]]] = {}

    @cached_property
    def retried(self) -> pd.DataFrame:
        """The failed calls that were tried again, of all sides."""
        return retried_spans(self.spans)

    @cached_property
    def whole(self) -> dict[str, Amounts]:
        """The totals of each side, by its name."""
        totals = totals_of(self.spans, prices=self.prices, retried=self.retried)
        return {row["side"]: amounts_of(row) for row in medians_of(totals, self.sides).to_dict("records")}

    def by(self, column: str) -> dict[str, dict[str, Amounts]]:
        """The totals of each value of a column in each side, by the value, then by the side."""
        if column not in self.parts:
            totals = totals_of(self.spans, by=column, prices=self.prices, retried=self.retried)
            self.parts[column] = {}
            for row in medians_of(totals, self.sides, column).to_dict("records"):
                self.parts[column].setdefault(str(row[column]), {})[row["side"]] = amounts_of(row)
        return self.parts[column]

    def about(self, rule: MetricRule) -> dict[str, Amount]:
        """The value in each side of what a rule is about; `BadOption` if it names nothing there is, or two things."""
        if rule.name is None:
            amounts = self.whole
        elif rule.kind_of_name(self.by("agent_id").keys() | self.roles.keys(), self.by("location_id")) == "agent":
            amounts = self.by("agent_id")[rule.name if rule.name in self.by("agent_id") else self.roles[rule.name]]
        else:
            amounts = self.by("location_id")[rule.name]
        return {side: of_side[rule.metric] for side, of_side in amounts.items()}
