"""Parts: the time, the cost, the tokens or the errors of runs, cut into parts that add up, each with its cause.

The time of a run is cut along its path (`run_paths`), as only that makes a run longer: each part of it is work of a span, a
wait, or idle. Cost and tokens are those of each span, counted once. An error is one of the span where the failure
began, though spans around it failed with it. What belongs to an attempt that failed counts as "retry" if it was tried again,
else as "error".
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

from tokenvis.runs.outcomes import Outcome
from tokenvis.runs.run_paths import IDLE, run_paths
from tokenvis.spans.columns import order_with_ids, ranks_of, times_of
from tokenvis.spans.integers import Float64Array, Int64Array, Mask, count_ranks, counts
from tokenvis.tree.calls import Calls, calls_of, failures_of, retries_of
from tokenvis.tree.costs import calls_with_figures, costs_of, unpriced_rows
from tokenvis.tree.price_lists import PriceList
from tokenvis.tree.relations import NO_ROW, Relations, have_ancestor, relations_of
from tokenvis.tree.states import AGENT, PERSON, WORK
from tokenvis.tree.tokens import any_of, usage_of

CAUSES = ("work", "wait for an agent", "wait for a person", "idle", "retry", "error")
RETRY_CAUSE, ERROR_CAUSE = CAUSES.index("retry"), CAUSES.index("error")
CALLS = (CAUSES.index("work"), RETRY_CAUSE, ERROR_CAUSE)  # what calls are, by how they end
CAUSE_BY_STATE = {WORK: "work", AGENT: "wait for an agent", PERSON: "wait for a person", IDLE: "idle"}
CAUSE_OF_STATE = np.array([CAUSES.index(CAUSE_BY_STATE[state]) for state in sorted(CAUSE_BY_STATE)])


@dataclass(frozen=True)
class Parts:
    """The parts of all runs: of each the run, the cause, the span that has the agent and location, and the amount.

    ``row`` is `NO_ROW` for time between spans; ``shown`` is then the span after it.
    """

    trace: Int64Array  # the code of the run (`ranks_of`)
    cause: Int64Array  # the position in `CAUSES`
    row: Int64Array
    shown: Int64Array
    amount: Float64Array
    known: Mask  # for each run, whether its sum is known


class Failures(NamedTuple):
    """The spans that belong to attempts which failed: as a retry, or as an error."""

    retried: Mask
    failed: Mask

    def causes(self, cause: Int64Array, row: Int64Array) -> Int64Array:
        """The causes of parts of these rows, where what failed has its own."""
        found = row != NO_ROW
        own = np.where(self.failed[row] & (cause == CAUSES.index("work")), ERROR_CAUSE, cause)
        return np.where(found, np.where(self.retried[row], RETRY_CAUSE, own), cause)


def outcome_parts(spans: pd.DataFrame, outcome: Outcome, lists: tuple[PriceList, ...]) -> Parts:
    """The parts of one outcome; ``spans`` are recorded ones."""
    relations = relations_of(spans, links=outcome == "time")
    calls = calls_of(spans)
    failures = failed_attempts(spans, relations, calls)
    if outcome == "time":
        return parts_of_time(spans, failures)
    if outcome == "errors":
        return parts_of_errors(spans, relations, calls, failures)
    return parts_of_usage(spans, outcome, lists, relations, failures)


def failed_attempts(spans: pd.DataFrame, relations: Relations, calls: Calls) -> Failures:
    """The spans below or at attempts that failed; a span counts as an error only where the failure began."""
    parent = relations.parents()
    retried, began = (np.zeros(len(spans), dtype=bool) for _ in range(2))
    retried[retries_of(spans, relations, calls).failed] = True
    began[failures_of(spans, relations, calls)] = True
    return Failures(retried | have_ancestor(parent, retried), began | have_ancestor(parent, began))


def parts_of_time(spans: pd.DataFrame, failures: Failures) -> Parts:
    """The parts of the critical path; time between spans shows the one that comes after it."""
    path = run_paths(spans)
    shown = np.where(path.row == NO_ROW, np.append(path.row[1:], NO_ROW), path.row)
    amount = (path.end - path.start).astype(np.float64)
    cause = failures.causes(CAUSE_OF_STATE[path.state], path.row)
    return Parts(path.run, cause, path.row, shown, amount, np.ones(count_ranks(ranks_of(spans["trace_id"])), dtype=bool))


def parts_of_errors(spans: pd.DataFrame, relations: Relations, calls: Calls, failures: Failures) -> Parts:
    """An error for each span that failed, at the span where its failure began: in its failed child that ended last."""
    trace, agent, (start, end) = ranks_of(spans["trace_id"]), ranks_of(spans["agent_id"]), times_of(spans)
    failed = np.flatnonzero(calls.failed)
    by_end = failed[order_with_ids(spans, end[failed], start[failed], agent[failed], row=failed)]
    parent = relations.parents()[by_end]
    origin = np.arange(len(spans))
    origin[parent[parent != NO_ROW]] = by_end[parent != NO_ROW]
    while not np.array_equal(deeper := origin[origin], origin):
        origin = deeper
    row = origin[failed]
    cause = np.where(failures.retried[row], RETRY_CAUSE, ERROR_CAUSE)
    return Parts(trace[failed], cause, row, row, np.ones(len(row)), np.ones(count_ranks(trace), dtype=bool))


def parts_of_usage(
    spans: pd.DataFrame, outcome: Outcome, lists: tuple[PriceList, ...], relations: Relations, failures: Failures
) -> Parts:
    """The cost or the tokens that count for each span; the sum of a run is not known if any of its calls lacks its part."""
    trace, parent = ranks_of(spans["trace_id"]), relations.parents()
    figures = usage_of(spans, parent)
    if outcome == "cost":
        costs = costs_of(spans, parent, figures, lists)
        amount, present = costs.value, costs.known
        lacking = unpriced_rows(figures, calls_with_figures(figures, parent), parent) & ~costs.covered
    else:
        tokens = figures.tokens()
        amount = np.sum([each.counted for each in tokens], axis=0, dtype=np.float64)
        present, lacking = any_of(each.present for each in tokens), figures.silent
    n_traces = count_ranks(trace)
    known = (counts(trace[present], n_traces) > 0) & (counts(trace[lacking], n_traces) == 0)
    row = np.flatnonzero(amount != 0)
    cause = failures.causes(np.full(len(row), CAUSES.index("work")), row)
    return Parts(trace[row], cause, row, row, amount[row], known)
