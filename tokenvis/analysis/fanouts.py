"""Fan-outs: how much of the work overlapped that an agent started together, in other agents or in calls.

A row is a batch of branches (`branches`), without pipelines (`pipelines`). Branches of 6, 8 and 10 s take 24 s one after
another, and 10 s if they start at once. The verdict is given by how much of these 14 s overlapped.
"""

from typing import Any

import numpy as np
import pandas as pd

from tokenvis.errors import BadSpan
from tokenvis.spans.columns import id_lists, ranks_of, require, values_at
from tokenvis.spans.groups import ratio
from tokenvis.spans.integers import (
    Int64Array,
    counts,
    difference,
    highest_of,
    inverse_permutation,
    lowest_of,
    order_by,
    run_ends,
    run_starts,
    sort_order,
    sums,
)
from tokenvis.spans.intervals import running_counts, union
from tokenvis.spans.losses import recorded_spans
from tokenvis.tree.branches import Branches, Nodes, branch_times, message_branches, nodes_of, parent_branches, workers_of
from tokenvis.tree.pipelines import without_pipelines
from tokenvis.tree.relations import relations_of
from tokenvis.tree.states import has_pieces

MAX_SERIAL, MAX_PARTLY = 0.05, 0.8  # of share_overlapped
VERDICTS = ("serial", "partly", "parallel")


def fanouts(spans: pd.DataFrame) -> pd.DataFrame:
    """Each time an agent starts two or more others, or parallel calls, and how much they ran at once.

    Parameters
    ----------
    spans
        A frame of spans.

    Returns
    -------
    DataFrame
        A row for each fan-out of two or more branches, ordered by trace_id, start, end, agent_id, id:

        ``trace_id, agent_id`` (category), ``id, location_id`` (category): the span that asked for the branches or started them;
        ``evidence`` (str): "message", it is the model call that asked for all of them (``requested_by``), or "parent", they
        are below it: other agents, calls that run another agent, and calls of one kind that overlap. A new batch begins when
        the agent works in between: when another child of the agent starts, or when the span itself works for more than 5% of
        the time of the longer of two branches. Linked branches that run one after the other are a pipeline: a chain of them is
        one branch, and at any other link a new batch begins;
        ``n_branches`` (int64);
        ``start, end`` (int64, µs): the first start, and the last end, of the branches and of all that runs below them;
        ``elapsed_us`` (int64): end - start; ``sum_us``, ``union_us``, ``longest_us`` (int64): of the times of the branches,
        each from its start to its end, without pauses of its agent that the other branches fill;
        ``share_overlapped`` (Float64): (sum - union) / (sum - longest): 0 if no two branches run at once, 1 if all the time of
        the others is within that of the longest; missing for 0 / 0;
        ``peak`` (int64): the most branches at once;
        ``speedup``, ``max_speedup`` (Float64): sum / elapsed, and sum / longest, which would be reached if all branches started
        at once; missing if the divisor is 0;
        ``last_branch`` (as ``id``): the first span of the branch that ends last, of several the one that starts last;
        ``last_agent`` (category): the agent that works in it; ``last_by_us`` (int64): how much later it ends than all others;
        ``verdict`` (str): "serial" for a share below 0.05, "parallel" above 0.8, else "partly"; missing if the share is;
        ``branch_ids`` (a list of ids): the first span of each branch, in the order of their starts.

    Raises
    ------
    MissingColumn, BadSpan
        If ``spans`` is not a frame of spans, contains the pieces of `self_spans`, an id is in two rows of a trace with parents,
        links or requests, or a duration or a sum does not fit into a 64-bit integer.

    Examples
    --------
    >>> import pandas as pd
    >>> spans = pd.DataFrame({
    ...     "id": ["plan", "search", "code"], "trace_id": "t", "agent_id": ["Ann", "Bob", "Eve"],
    ...     "location_id": "desk", "start_time": [0, 2, 4], "end_time": [10, 6, 9], "parent_id": [None, "plan", "plan"],
    ... })
    >>> table = fanouts(spans)
    >>> table[["n_branches", "elapsed_us", "sum_us", "longest_us", "share_overlapped", "verdict"]]
       n_branches  elapsed_us  sum_us  longest_us  share_overlapped verdict
    0           2           7       9           5               0.5  partly
    >>> table[["max_speedup", "last_branch", "last_agent", "last_by_us", "branch_ids"]]
       max_speedup last_branch last_agent  last_by_us      branch_ids
    0          1.8        code        Eve           3  [search, code]
    """
    require(spans)
    if has_pieces(spans):
        raise BadSpan("The spans are pieces of self_spans(), which are not whole branches. Pass the uncut spans.")
    spans = recorded_spans(spans)
    nodes = nodes_of(spans, relations_of(spans))
    asked = message_branches(nodes)
    return fanout_table(nodes, without_pipelines(nodes, asked.followed_by(parent_branches(nodes, asked))))


def fanout_table(nodes: Nodes, branches: Branches) -> pd.DataFrame:
    """The result of `fanouts`."""
    spans, batch = nodes.spans, branches.batch
    first = np.flatnonzero(run_starts(batch))
    caller, last = branches.caller[first], last_of_each(branches)
    measures = batch_measures(nodes, branches, len(first))
    table = pd.DataFrame(
        {
            **{name: values_at(spans, name, caller) for name in ("trace_id", "agent_id", "id", "location_id")},
            "evidence": pd.array(np.where(branches.is_asked[first], "message", "parent"), dtype="str"),
            "n_branches": counts(batch, len(first)),
            **measures,
            "last_branch": values_at(spans, "id", nodes.first[branches.node[last]]),
            "last_agent": values_at(spans, "agent_id", workers_of(nodes, branches.node[last])),
            "last_by_us": ahead(branches, last),
            "verdict": verdicts(measures["share_overlapped"]),
            "branch_ids": id_lists(spans, nodes.first[branches.node], first),
        }
    )
    return table.iloc[rows_in_order(table, first)].reset_index(drop=True)


def batch_measures(nodes: Nodes, branches: Branches, n_batches: int) -> dict[str, Any]:
    """The times of each batch, and what follows from them."""
    batch, (branch, start, end) = branches.batch, branch_times(nodes, branches)
    took = sums(branch, difference(end, start), len(batch))
    first, last = lowest_of(batch, branches.start, n_batches), highest_of(batch, branches.end, n_batches)
    elapsed, total, longest = difference(last, first), sums(batch, took, n_batches), highest_of(batch, took, n_batches)
    of_union, union_start, union_end = union(batch[branch], start, end)
    merged = sums(of_union, union_end - union_start, n_batches)
    group, _, running = running_counts(batch[branch], start, end)
    peak = np.zeros(n_batches, dtype=np.int64)
    np.maximum.at(peak, group, running)
    return {
        "start": first,
        "end": last,
        "elapsed_us": elapsed,
        "sum_us": total,
        "union_us": merged,
        "longest_us": longest,
        "share_overlapped": ratio(total - merged, total - longest),
        "peak": peak,
        "speedup": ratio(total, elapsed),
        "max_speedup": ratio(total, longest),
    }


def by_end(branches: Branches) -> Int64Array:
    """Positions of the branches by batch, then end, then start."""
    return sort_order(branches.batch, branches.end, np.arange(len(branches.batch)))


def last_of_each(branches: Branches) -> Int64Array:
    """The branch of each batch that ends last, of several the one that starts last."""
    order = by_end(branches)
    return order[run_ends(branches.batch[order])]


def ahead(branches: Branches, last: Int64Array) -> Int64Array:
    """How much later the last branch of each batch ends than the second latest."""
    order = by_end(branches)
    second = order[inverse_permutation(order)[last] - 1]
    return difference(branches.end[last], branches.end[second])


def verdicts(share: pd.Series) -> Any:
    """The verdict for each share of overlap, missing if the share is."""
    known = share.fillna(0).to_numpy(dtype=np.float64)
    number = np.where(known < MAX_SERIAL, 0, np.where(known <= MAX_PARTLY, 1, 2))
    return pd.Series(pd.array(np.array(VERDICTS, dtype=object)[number], dtype="str")).mask(share.isna())


def rows_in_order(table: pd.DataFrame, first: Int64Array) -> Int64Array:
    """Positions of the rows in the order of the result; batches of one span with equal times stay in their order."""
    keys = ranks_of(table["trace_id"]), table["start"].to_numpy(), table["end"].to_numpy(), ranks_of(table["agent_id"])
    return order_by(keys, lambda tied: [ranks_of(table["id"].iloc[tied]), first[tied]])
