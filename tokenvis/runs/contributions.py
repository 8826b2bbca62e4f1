"""Contributions: which agents, places, waits, retries and errors make runs slow, dear or failed.

Each run is cut into parts that add up to its outcome (`parts`): its time along its path, its cost or tokens by span,
its errors by where they began. The parts of one cause, agent and location have a usual value among all runs, the median, and a
usual spread, the MAD (`robust`). Of the runs to explain, each part that is further from its usual value than the spread allows
contributes the distance. All that is left is one more row, ordinary variation, so the contributions add up exactly. A failed
call takes time that it would have taken anyway: only what it takes beyond that contributes.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from tokenvis.errors import BadOption, check_choice, quoted
from tokenvis.runs.baseline import MEDIAN, run_ids, runs_named
from tokenvis.runs.causes import Causes, causes_of
from tokenvis.runs.matching import Match, matched
from tokenvis.runs.outcomes import RUN_OUTCOMES, Outcome
from tokenvis.runs.parts import outcome_parts
from tokenvis.runs.robust import MAX_SPREADS, MIN_RUNS, Matrix, above_usual, medians, spreads
from tokenvis.spans.columns import in_frame_order, require, values_at
from tokenvis.spans.integers import NO_ROWS, Float64Array, Int64Array, Mask
from tokenvis.spans.losses import recorded_spans
from tokenvis.tree.prices import Prices, price_lists_of
from tokenvis.tree.relations import NO_ROW

Baseline: TypeAlias = str | Iterable[str]

MIN_SHARE_OF_EXCESS = 0.01  # of a run's difference: less does not explain it
FAR_SPREADS, FAR_SHARE = 5.0, 0.02  # a cause this far above its usual value, and by this share of the sum, makes a run slow
MIN_RUNS_OF_CAUSES = 10  # of fewer runs, one cause is often far above usual by chance; of so many, twice the spreads are asked
MIN_RUNS_OF_SPREAD = 5  # fewer runs beside a named one say little of what is usual
ORDINARY, NOT_KNOWN = "ordinary variation", "not known"
HOW_TO_KNOW = {
    "cost": "Pass prices=, or choose another outcome.",
    "tokens": "The source gives no token counts: choose another outcome.",
}
DTYPES = {
    "cause": "str",
    "contribution": "Float64",
    "n_runs": "int64",
    **dict.fromkeys(("usual", "unusual", "n_usual", "n_unusual"), "Float64"),
    **dict.fromkeys(("names", "trace_ids", "span_ids"), "object"),
}

CONTRIBUTION_COLUMNS = (
    *("cause", "agent_id", "location_id", "contribution", "share_of_difference", "n_runs"),
    *("usual", "unusual", "n_usual", "n_unusual", "names", "trace_ids", "span_ids"),
)


def contributions(
    runs: pd.DataFrame,
    *,
    outcome: Outcome = "time",
    baseline: Baseline = MEDIAN,
    match: Match = "role",
    prices: Prices | None = None,
) -> pd.DataFrame:
    """What makes runs slow, dear or failed: the causes, with contributions that add up to the difference from the others.

    Parameters
    ----------
    runs
        A frame of spans; each trace is a run.
    outcome
        What to explain: ``"time"`` (wall), ``"cost"``, ``"tokens"`` (input and output) or ``"errors"`` (failed spans).
    baseline
        ``"median"``: explain the runs that are above usual, against the medians of all runs: those whose sum is (by three times
        the MAD, and 5%), and among ten runs or more those above the median in which one cause is far above its usual value (by
        five to ten times the MAD, and 2% of the sum). Of errors: explain the runs with errors against those without, if there
        are any. Among fewer than three runs nothing is usual. Or the id or name of a run, or several: explain all other runs
        above this one, or above the median of these.
    match
        Which agents of different runs are the same one, as in `compare`; by default by name, else by what they do.
    prices
        Prices of calls without a cost, as in `usage`.

    Returns
    -------
    DataFrame
        A row for each cause, the largest contribution first; empty if no run is to be explained:

        ``cause`` (str): "work", "wait for an agent", "wait for a person", "idle" (nothing runs), "retry" (what belongs to
        attempts that failed and were tried again), "error" (to others that failed), "ordinary variation" (all differences that
        are usual among the runs), "not known" (runs that cannot be explained, because a call has no figure);
        ``agent_id, location_id`` (category): of the spans, missing for time between spans and for the last two;
        ``contribution`` (Float64; µs for "time"): the mean, over the explained runs, of what it adds to the outcome, beyond
        what is usual of all calls of the agent at the location, however they end; all add up to the mean outcome of the
        explained runs minus the median (or baseline's) outcome; negative if it subtracts;
        ``share_of_difference`` (Float64): contribution / that difference;
        ``n_runs`` (int64): explained runs in which it is unusual; for the last two rows: all explained, or not known runs;
        ``usual`` (Float64): its median (or the baseline's) value; ``unusual`` (Float64): its median in those ``n_runs``;
        ``n_usual, n_unusual`` (Float64): the same of the number of its spans, so that more calls and longer calls differ;
        ``names`` (object): the list of the agent's names in those runs; ``trace_ids, span_ids`` (object): lists of those runs,
        the most unusual first, and of the span with the largest part of it in each (of time between spans: the span after
        it): ``contributions(runs).explode(["trace_ids", "span_ids"])`` has a row for each.

    Raises
    ------
    MissingColumn, BadSpan
        If ``runs`` is not a frame of spans, or lacks the column ``match``, or the runs have too many causes for the memory.
    BadOption
        If an option has another value, no run has the id or name ``baseline``, or the outcome is not known for any run.

    Examples
    --------
    >>> import pandas as pd
    >>> spans = pd.DataFrame({
    ...     "id": ["a", "b", "c", "d"], "trace_id": ["1", "2", "3", "4"], "agent_id": "Ann",
    ...     "location_id": "tool:search", "start_time": 0, "end_time": [10, 11, 30, 9],
    ... })
    >>> table = contributions(spans)
    >>> table[["cause", "agent_id", "location_id", "contribution", "n_runs", "trace_ids"]]
                    cause agent_id  location_id  contribution  n_runs trace_ids
    0                work      Ann  tool:search          19.5       1       [3]
    1  ordinary variation      NaN          NaN           0.0       1        []
    """
    check_choice("outcome", outcome, RUN_OUTCOMES)
    lists = price_lists_of(prices)
    require(runs)
    runs = in_frame_order(recorded_spans(runs))  # ties between spans do not depend on the order of the rows
    spans = matched(runs, match).spans
    parts = outcome_parts(spans, outcome, lists)
    if len(parts.known) and not parts.known.any():
        raise BadOption(f"outcome={quoted(outcome)} is not known for any run. {HOW_TO_KNOW[outcome]}")
    causes = causes_of(spans, parts)
    found = explanation_of(spans, causes, parts.known, baseline, outcome)
    return contribution_table(spans, runs["agent_id"], causes, found)


@dataclass(frozen=True)
class Explanation:
    """The runs to explain, what is usual, and for each explained run and cause the difference that is not usual, else 0."""

    explained: Int64Array
    not_known: Int64Array
    total: float  # the mean difference of the explained runs
    usual: Float64Array
    n_usual: Float64Array
    difference: Matrix

    @cached_property
    def contributions(self) -> Float64Array:
        """What each cause adds to the outcome, as a mean over the explained runs."""
        added: Float64Array = self.difference.sum(axis=0)
        return added / max(len(self.explained), 1)


@dataclass(frozen=True)
class Usual:
    """The usual values of runs: of their outcome, of each cause, and the spreads; and the runs to explain."""

    outcome: float
    amount: Float64Array
    n_spans: Float64Array
    spread: Float64Array
    explained: Int64Array


def explanation_of(spans: pd.DataFrame, causes: Causes, known: Mask, baseline: Baseline, outcome: Outcome) -> Explanation:
    """The runs to explain, against the medians of the known runs, or against some of them."""
    totals = np.where(known, causes.amount.sum(axis=1), np.nan)
    if isinstance(baseline, str) and baseline == MEDIAN:
        usual = usual_of_all(causes, totals, outcome)
    else:
        usual = usual_of_some(causes, totals, runs_named(spans, baseline))
    excess = totals[usual.explained] - usual.outcome
    difference = netted(causes, causes.amount[usual.explained] - usual.amount, outcome)
    least = np.maximum(MAX_SPREADS * usual.spread, MIN_SHARE_OF_EXCESS * np.abs(excess)[:, None])
    unusual = np.where(np.abs(difference) > least, difference, 0.0)
    total = float(excess.sum()) / max(len(usual.explained), 1)
    return Explanation(usual.explained, np.flatnonzero(~known), total, usual.amount, usual.n_spans, unusual)


def usual_of_all(causes: Causes, totals: Float64Array, outcome: Outcome) -> Usual:
    """What is usual among all runs of known outcome; of errors, among those without any, if there are such runs."""
    runs = np.flatnonzero(totals == 0) if outcome == "errors" else NO_ROWS
    runs = runs if len(runs) else np.flatnonzero(~np.isnan(totals))
    amount, [usual_total] = medians(causes.amount[runs]), medians(totals[runs, None])
    spread = call_spreads(causes, runs)
    n_runs = int((~np.isnan(totals)).sum())
    is_far = np.zeros(len(totals), dtype=bool)
    if n_runs >= MIN_RUNS_OF_CAUSES:
        excess = netted(causes, causes.amount - amount, outcome)
        far = FAR_SPREADS * (1 + MIN_RUNS_OF_CAUSES / n_runs) * spread
        is_far = np.asarray(((excess > far) & (excess > FAR_SHARE * abs(usual_total))).any(axis=1))
    above = totals > usual_total if outcome == "errors" and not usual_total else above_usual(totals) | is_far
    explained = np.flatnonzero(above & (totals > usual_total) & (n_runs >= MIN_RUNS))
    return Usual(float(usual_total), amount, medians(causes.n_spans[runs]), spread, explained)


def usual_of_some(causes: Causes, totals: Float64Array, runs: Int64Array) -> Usual:
    """What is usual among some runs; all runs above their median are explained, apart from these."""
    if np.isnan(totals[runs]).any():
        raise BadOption("The outcome of a run in baseline= is not known: a call has no figure.")
    [usual_total] = medians(totals[runs, None])
    alike = runs if len(runs) > 1 else np.flatnonzero(~np.isnan(totals))
    spread = call_spreads(causes, alike if len(alike) >= MIN_RUNS_OF_SPREAD else NO_ROWS)
    explained = np.setdiff1d(np.flatnonzero(totals > usual_total), runs)
    return Usual(float(usual_total), medians(causes.amount[runs]), medians(causes.n_spans[runs]), spread, explained)


def call_spreads(causes: Causes, runs: Int64Array) -> Float64Array:
    """The spread of each cause among these runs; of work, retries and errors that of their sum."""
    calls = causes.calls()
    sums = np.zeros((int(calls.max(initial=-1)) + 1, len(runs)))
    np.add.at(sums, calls, causes.amount[runs].T)
    return spreads(sums.T)[calls]


def netted(causes: Causes, difference: Matrix, outcome: Outcome) -> Matrix:
    """The differences, where work, retries and errors of one agent at one location count as one, as the largest of them.

    A call that fails takes time that the same call would have taken otherwise. Numbers of errors stay as they are.
    """
    if outcome == "errors":
        return difference
    calls, result = causes.calls(), difference.copy()
    order = np.argsort(calls, kind="stable")
    for members in np.split(order, np.flatnonzero(np.diff(calls[order])) + 1):
        if len(members) > 1:
            sums = difference[:, members].sum(axis=1)
            largest = members[(difference[:, members] * np.sign(sums)[:, None]).argmax(axis=1)]
            result[:, members] = 0.0
            result[np.arange(len(sums)), largest] = sums
    return result


def contribution_table(spans: pd.DataFrame, names: pd.Series, causes: Causes, found: Explanation) -> pd.DataFrame:
    """The result of `contributions`; ``names`` are those of the agents in their runs."""
    contribution = found.contributions
    reported = np.flatnonzero(found.difference.any(axis=0))
    reported = reported[np.argsort(-contribution[reported], kind="stable")]
    ids = run_ids(spans)
    rows = [row_of_cause(spans, names, ids, causes, found, cause) for cause in reported.tolist()]
    if len(found.explained):
        rows.append(RowOfTable(ORDINARY, found.total - float(contribution[reported].sum()), len(found.explained)))
    if len(found.not_known):
        trace_ids = [ids[run] for run in found.not_known.tolist()]
        rows.append(RowOfTable(NOT_KNOWN, 0.0, len(found.not_known), trace_ids=trace_ids))
    columns: dict[str, list[Any]] = {
        name: [getattr(row, name) for row in rows] for name in (each.name for each in fields(RowOfTable))
    }
    table = {name: pd.Series(columns[name], dtype=dtype) for name, dtype in DTYPES.items()}
    place = np.array(columns["row"], dtype=np.int64)
    for name in ("agent_id", "location_id"):
        table[name] = pd.Series(values_at(spans, name, np.maximum(place, 0))).mask(place == NO_ROW)
    table["share_of_difference"] = table["contribution"] / (found.total or np.nan)
    return pd.DataFrame({name: table[name] for name in CONTRIBUTION_COLUMNS})


@dataclass(frozen=True)
class RowOfTable:
    """A row of the result; ``row`` is a span's row with the agent and location, or `NO_ROW`."""

    cause: str
    contribution: float
    n_runs: int
    row: int = NO_ROW
    usual: float | None = None
    unusual: float | None = None
    n_usual: float | None = None
    n_unusual: float | None = None
    names: list[str] = field(default_factory=list)
    trace_ids: list[str] = field(default_factory=list)
    span_ids: list[Any] = field(default_factory=list)


def row_of_cause(
    spans: pd.DataFrame, names: pd.Series, ids: list[str], causes: Causes, found: Explanation, cause: int
) -> RowOfTable:
    """The row of one cause; ``ids`` are those of the runs."""
    positions = np.flatnonzero(found.difference[:, cause])
    runs = found.explained[positions]
    in_order = runs[np.argsort(-np.abs(found.difference[positions, cause]), kind="stable")]
    shown, rows = causes.largest_spans(in_order, cause), causes.rows_in(runs, cause)
    return RowOfTable(
        cause=causes.kind(cause),
        contribution=float(found.contributions[cause]),
        n_runs=len(runs),
        row=causes.row(cause),
        usual=float(found.usual[cause]),
        unusual=float(np.median(causes.amount[runs, cause])),
        n_usual=float(found.n_usual[cause]),
        n_unusual=float(np.median(causes.n_spans[runs, cause])),
        names=sorted(set(map(str, names.iloc[rows[rows != NO_ROW]].unique()))),
        trace_ids=[ids[run] for run in in_order.tolist()],
        span_ids=[spans["id"].iloc[row] if row != NO_ROW else None for row in shown.tolist()],
    )
