"""Contributions: which agents, places, waits, retries and errors make runs slow, dear or failed.

Each run is cut into parts that add up to its outcome (`parts`): its time along its path, its cost or tokens by span,
its errors by where they began. The parts of one cause, agent and location have a usual value among all runs, the median, and a
usual spread, the MAD (`robust`). Of the runs to explain, each part that is further from its usual value than the spread allows
contributes the distance. All that is left is one more row, ordinary variation, so the contributions add up exactly.
"""

from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from tokenvis.errors import BadOption, check_choice, quoted
from tokenvis.runs.baseline import run_ids, run_named
from tokenvis.runs.causes import Causes, causes_of
from tokenvis.runs.matching import Match, matched
from tokenvis.runs.outcomes import RUN_OUTCOMES
from tokenvis.runs.parts import Outcome, parts_of
from tokenvis.runs.robust import MAX_SPREADS, MIN_RUNS, Matrix, above_usual, medians, spreads
from tokenvis.spans.columns import in_frame_order, require, values_at
from tokenvis.spans.integers import Float64Array, Int64Array, Mask
from tokenvis.spans.losses import recorded_spans
from tokenvis.tree.prices import Prices, price_lists_of
from tokenvis.tree.relations import NO_ROW

Masks: TypeAlias = np.ndarray[tuple[int, int], np.dtype[np.bool_]]

MIN_SHARE_OF_EXCESS = 0.01  # of a run's difference: less does not explain it
FAR_SPREADS, FAR_SHARE = 5.0, 0.02  # a cause this far above its usual value, and by this share of the sum, makes a run slow
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
    *("cause", "agent_id", "location_id", "contribution", "share", "n_runs", "usual", "unusual", "n_usual", "n_unusual"),
    *("names", "trace_ids", "span_ids"),
)


def contributions(
    runs: pd.DataFrame,
    *,
    outcome: Outcome = "time",
    baseline: str = "median",
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
        the MAD, and 5%), and those above the median in which one cause is far above its usual value (by five times the MAD, and
        2% of the sum). Among fewer than three runs nothing is usual. Or the id or name of a run: explain all runs above it.
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
        ``contribution`` (Float64; µs for "time"): the mean, over the explained runs, of what it adds to the outcome; all add
        up to the mean outcome of the explained runs minus the median (or baseline's) outcome; negative if it subtracts;
        ``share`` (Float64): contribution / that difference;
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
    parts = parts_of(spans, outcome, lists)
    if len(parts.known) and not parts.known.any():
        raise BadOption(f"outcome={quoted(outcome)} is not known for any run. {HOW_TO_KNOW[outcome]}")
    causes = causes_of(spans, parts)
    return contribution_table(spans, runs["agent_id"], causes, explanation_of(spans, causes, parts.known, baseline))


@dataclass(frozen=True)
class Explanation:
    """The runs to explain, what is usual, and for each explained run and cause the difference, and whether it is unusual."""

    explained: Int64Array
    not_known: Int64Array
    total: float  # the mean difference of the explained runs
    usual: Float64Array
    n_usual: Float64Array
    difference: Matrix
    unusual: Masks

    @cached_property
    def contributions(self) -> Float64Array:
        """What each cause adds to the outcome, as a mean over the explained runs."""
        added: Float64Array = np.where(self.unusual, self.difference, 0.0).sum(axis=0)
        return added / max(len(self.explained), 1)


def explanation_of(spans: pd.DataFrame, causes: Causes, known: Mask, baseline: str) -> Explanation:
    """The runs to explain, against the medians of the known runs, or against one run."""
    outcome = np.where(known, causes.amount.sum(axis=1), np.nan)
    others = np.flatnonzero(known)
    spread = spreads(causes.amount[others])
    if baseline == "median":
        [usual_outcome] = medians(outcome[others, None])
        usual, n_usual = medians(causes.amount[others]), medians(causes.n_spans[others])
        has_cause = is_far_above(causes.amount - usual, spread, usual_outcome) & (len(others) >= MIN_RUNS)
        explained = np.flatnonzero(above_usual(outcome) | (has_cause & (outcome > usual_outcome)))
    else:
        run = run_named(spans, baseline, "neither 'median', nor ")
        if not known[run]:
            raise BadOption(f"baseline={quoted(baseline)} is a run whose outcome is not known: a call has no figure.")
        explained = np.flatnonzero(outcome > outcome[run])
        usual_outcome, usual, n_usual = outcome[run], causes.amount[run], causes.n_spans[run]
        spread = spread if len(others) >= MIN_RUNS_OF_SPREAD else np.zeros_like(spread)
    difference = causes.amount[explained] - usual
    excess = outcome[explained] - usual_outcome
    size = np.abs(difference)
    unusual = (size > MAX_SPREADS * spread) & (size > MIN_SHARE_OF_EXCESS * np.abs(excess)[:, None])
    total = float(excess.sum()) / max(len(explained), 1)
    return Explanation(explained, np.flatnonzero(~known), total, usual, n_usual, difference, unusual)


def is_far_above(excess: Matrix, spread: Float64Array, usual_outcome: float) -> Mask:
    """The runs in which the excess of any cause is far more than usual."""
    is_far: Masks = (excess > FAR_SPREADS * spread) & (excess > FAR_SHARE * abs(usual_outcome))
    return np.asarray(is_far.any(axis=1))


def contribution_table(spans: pd.DataFrame, names: pd.Series, causes: Causes, found: Explanation) -> pd.DataFrame:
    """The result of `contributions`; ``names`` are those of the agents in their runs."""
    contribution = found.contributions
    reported = np.flatnonzero(found.unusual.any(axis=0))
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
    table["share"] = table["contribution"] / (found.total or np.nan)
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
    positions = np.flatnonzero(found.unusual[:, cause])
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
