"""The agent tree: who started whom, with the measures of each agent instance and of everything below it.

A row is an instance (`tree.instances`): the spans of one agent that one span started together. Rows are in depth-first order,
in which a subtree is contiguous; so sums over subtrees are differences of cumulative sums, at any depth (`tree.forest`).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from tokenvis.errors import BadSpan
from tokenvis.spans.columns import codes_of, ids_at, ranks_of, require, times_of, values_at
from tokenvis.spans.endings import Endings, endings_of
from tokenvis.spans.integers import (
    Int64Array,
    Mask,
    counts,
    difference,
    highest_of,
    run_starts,
    sort_order,
    sums,
)
from tokenvis.spans.kinds import OTHER, kinds_of
from tokenvis.spans.losses import recorded_spans
from tokenvis.tree.costs import costs_of
from tokenvis.tree.forest import Forest
from tokenvis.tree.instances import EVIDENCE, Instances, InstanceTree, instances_of, tree_of
from tokenvis.tree.price_lists import PriceList
from tokenvis.tree.prices import Prices, price_lists_of
from tokenvis.tree.relations import NO_ROW, relations_of
from tokenvis.tree.states import AGENT, PERSON, States, has_pieces, states_of
from tokenvis.tree.tokens import usage_of

USAGE_TOKENS = ("input_tokens", "output_tokens")
PATH_SEPARATOR = " / "  # between the names of a path
MAX_PATH_NAMES = 16  # of a longer path, the names in the middle are only counted
N_LAST_NAMES = 12  # of a longer path
OUTCOMES = ("ok", "cancelled", "error", "open")
OUTCOME_NAMES = np.array(OUTCOMES, dtype=object)
OK, CANCELLED, ERROR, OPEN = range(len(OUTCOMES))


@dataclass(frozen=True)
class Measure:
    """A number for each row of the table; ``known`` is how many spans it is from, if it is missing without any."""

    values: Any  # int64, or float64
    known: Int64Array | None = None

    def column(self) -> Any:
        """A column of the table: int64, or Int64 or Float64 with missing values."""
        if self.known is None:
            return self.values
        is_float = self.values.dtype.kind == "f"
        return pd.Series(self.values, dtype="Float64" if is_float else "Int64").mask(self.known == 0)

    def of_subtrees(self, forest: Forest) -> "Measure":
        """The sums over subtrees."""
        add = forest.subtree_sums_of_floats if self.values.dtype.kind == "f" else forest.subtree_sums
        return Measure(add(self.values), None if self.known is None else forest.subtree_sums(self.known))


def agent_tree(spans: pd.DataFrame, *, prices: Prices | None = None) -> pd.DataFrame:
    """Who started whom: each agent instance, with the measures of itself and of its subtree.

    An instance is the spans of one agent that one span of another agent started together: a delegation, or one of several
    agents of one name that run side by side. All spans of an agent that no other agent started are one instance, the root of
    a tree; unless the first of them links to an earlier span of another instance, which then started it.

    Parameters
    ----------
    spans
        A frame of spans.
    prices
        Prices of calls without a cost, as in `usage`.

    Returns
    -------
    DataFrame
        A row for each instance, ordered by trace_id, then depth-first, siblings by start, end, agent_id and id:

        ``trace_id`` (category); ``path`` (str): the names from the root on, joined by " / ", different for all rows of a trace:
        the second sibling of a name is "name #2", and the middle of more than 16 names is only counted; ``depth`` (int64): 0
        for a root;
        ``agent_id`` (category); ``id`` (as in the frame): the first of its spans that was started from outside;
        ``started_by`` (category), ``caller`` (as ``id``, Int64 for integers): the agent and the span that started it, missing
        for a root; ``evidence`` (str): "parent" or "link", missing for a root;
        ``start, end`` (int64, µs): first start and last end of its spans;
        ``outcome`` (str), by the spans that were started from outside: "open" if one is still open; else "error" if one that
        ends last failed, or if the call failed that started this instance and no other; else "cancelled" if one that ends
        last was cancelled; else "ok";
        ``n_spans, n_errors`` (int64); ``busy_us, wait_us`` (int64, µs): the sums of the work of its spans, and of the time for
        which they wait for agents or persons; ``input_tokens, output_tokens`` (Int64; missing if no span has a count), ``cost``
        (Float64; missing if unknown for all spans): as in `usage`;
        the same measures with the prefix ``subtree_``: of the instance and of all instances below it.

    Raises
    ------
    MissingColumn, BadSpan
        If ``spans`` is not a frame of spans, contains the pieces of `self_spans`, a parent or linked id is in two rows of a
        trace, or a sum does not fit into a 64-bit integer.
    BadOption
        If ``prices`` is not as in `usage`.

    Examples
    --------
    >>> import pandas as pd
    >>> spans = pd.DataFrame({
    ...     "id": ["plan", "search", "find", "code"], "trace_id": "t", "agent_id": ["Ann", "Bob", "Bob", "Bob"],
    ...     "location_id": "desk", "start_time": [0, 2, 4, 2], "end_time": [10, 8, 5, 6],
    ...     "parent_id": [None, "plan", "search", "plan"],
    ... })
    >>> agent_tree(spans)[["path", "caller", "start", "end", "n_spans", "busy_us", "wait_us", "subtree_busy_us"]]
               path caller  start  end  n_spans  busy_us  wait_us  subtree_busy_us
    0           Ann    NaN      0   10        1        4        6               14
    1     Ann / Bob   plan      2    6        1        4        0                4
    2  Ann / Bob #2   plan      2    8        2        6        0                6
    """
    lists = price_lists_of(prices)
    require(spans)
    if has_pieces(spans):
        raise BadSpan("The spans are pieces of self_spans(), which lack the times of callees. Pass the uncut spans.")
    spans = recorded_spans(spans)
    relations = relations_of(spans, requests=False)
    instances = instances_of(spans, relations)
    tree = tree_of(spans, instances)
    row, parent = tree.row_of[instances.of_row], relations.parents()
    endings = endings_of(spans)
    measures = instance_measures(states_of(spans, relations), endings, row, len(instances))
    measures |= usage_measures(spans, parent, row, len(instances), lists)
    below = {f"subtree_{name}": measure.of_subtrees(tree.forest) for name, measure in measures.items()}
    return pd.DataFrame(
        {
            **name_columns(spans, instances, tree),
            "start": instances.start[tree.instance],
            "end": instances.end[tree.instance],
            "outcome": pd.array(OUTCOME_NAMES[outcomes(spans, instances, endings)[tree.instance]], dtype="str"),
            **{name: measure.column() for name, measure in (measures | below).items()},
        }
    )


def name_columns(spans: pd.DataFrame, instances: Instances, tree: InstanceTree) -> dict[str, Any]:
    """The columns of names."""
    first, caller = instances.first[tree.instance], instances.caller[tree.instance]
    agents = values_at(spans, "agent_id", np.arange(len(spans)))
    starter = np.append(agents.codes, NO_ROW)[caller]
    evidence = np.array([*EVIDENCE, np.nan], dtype=object)[instances.evidence[tree.instance]]
    return {
        "trace_id": values_at(spans, "trace_id", first),
        "path": pd.array(instance_paths(spans, first, tree.parent, tree.forest.depth), dtype="str"),
        "depth": tree.forest.depth,
        "agent_id": values_at(spans, "agent_id", first),
        "id": values_at(spans, "id", first),
        "started_by": pd.Categorical.from_codes(starter, agents.categories),
        "caller": ids_at(spans, caller),
        "evidence": pd.array(evidence, dtype="str"),
    }


def instance_paths(spans: pd.DataFrame, first: Int64Array, parent: Int64Array, depth: Int64Array) -> Any:
    """The path of each row as text; ``first`` is the row of its first span."""
    agent, labels = codes_of(spans["agent_id"])
    agent, names = agent[first], labels.astype("str").to_numpy(dtype=object)
    own_names, number_clashes = numbered_names(names, agent, ordinals(parent, agent))
    paths = own_names.copy()
    by_depth = np.argsort(depth, kind="stable")
    levels = np.searchsorted(depth[by_depth], np.arange(1, MAX_PATH_NAMES + 1))
    for low, after in zip(levels[:-1].tolist(), levels[1:].tolist(), strict=True):
        rows = by_depth[low:after]
        paths[rows] = paths[parent[rows]] + PATH_SEPARATOR + own_names[rows]
    deep = by_depth[levels[-1] :]
    if len(deep):
        paths[deep] = long_paths(own_names, parent, depth, deep)
    if len(deep) or number_clashes or any(PATH_SEPARATOR.strip() in name for name in names):
        paths = told_apart(paths, ranks_of(spans["trace_id"])[first])
    return paths


def ordinals(parent: Int64Array, agent: Int64Array) -> Int64Array:
    """The number of each row among its siblings of the same agent, from 1; roots of one trace have different agents."""
    child = np.flatnonzero(parent != NO_ROW)
    order = child[sort_order(parent[child], agent[child], child)]
    is_first = np.flatnonzero(run_starts(parent[order], agent[order]))
    length = np.diff(np.append(is_first, len(order)))
    number = np.ones(len(parent), dtype=np.int64)
    number[order] += np.arange(len(order)) - np.repeat(is_first, length)
    return number


def numbered_names(names: Any, agent: Int64Array, number: Int64Array) -> tuple[Any, bool]:
    """The name of each row, with its number from 2 on, and whether such a name is also that of an agent."""
    agent_and_number, pairs = pd.factorize(agent * (int(number.max(initial=0)) + 1) + number)
    pair_agent, pair_number = np.divmod(pairs, int(number.max(initial=0)) + 1)
    texts = np.empty(len(pairs), dtype=object)
    texts[:] = [
        names[code] if count == 1 else f"{names[code]} #{count}"
        for code, count in zip(pair_agent.tolist(), pair_number.tolist(), strict=True)
    ]
    return texts[agent_and_number], not set(names).isdisjoint(texts[pair_number > 1])


def long_paths(own_names: Any, parent: Int64Array, depth: Int64Array, rows: Int64Array) -> Any:
    """The paths of these rows, which are deep: the root, the number of names that are left out, and the last names."""
    text, ancestor = own_names[rows], parent[rows]
    for _ in range(N_LAST_NAMES - 1):
        text, ancestor = own_names[ancestor] + PATH_SEPARATOR + text, parent[ancestor]
    left_out = np.array([f"… {count:,} …" for count in (depth[rows] - N_LAST_NAMES).tolist()], dtype=object)
    root = np.where(parent == NO_ROW, np.arange(len(parent)), parent)
    while (root[root] != root).any():
        root = root[root]
    return own_names[root[rows]] + PATH_SEPARATOR + left_out + PATH_SEPARATOR + text


def told_apart(paths: Any, trace: Int64Array) -> Any:
    """The paths, where those that are equal in a trace are numbered, until all are different."""
    while True:
        number = pd.Series(paths).groupby([trace, paths]).cumcount().to_numpy()
        again = np.flatnonzero(number)
        if not len(again):
            return paths
        paths[again] = [f"{path} #{count + 1}" for path, count in zip(paths[again], number[again].tolist(), strict=True)]


def instance_measures(states: States, endings: Endings, row: Int64Array, n_rows: int) -> dict[str, Measure]:
    """The counts and times of each row of the table; ``row`` is that of each span."""
    pieces = {"busy_us": states.work(), "wait_us": states.pieces(AGENT, PERSON)}
    times = {name: sums(row[span], difference(end, start), n_rows) for name, (span, start, end) in pieces.items()}
    measures = {"n_spans": counts(row, n_rows), "n_errors": counts(row[endings.failed], n_rows), **times}
    return {name: Measure(values) for name, values in measures.items()}


def usage_measures(
    spans: pd.DataFrame, parent: Int64Array, row: Int64Array, n_rows: int, lists: tuple[PriceList, ...]
) -> dict[str, Measure]:
    """The tokens and the cost of each row of the table."""
    figures = usage_of(spans, parent)
    costs = costs_of(spans, parent, figures, lists)
    amounts = np.bincount(row, weights=costs.value, minlength=n_rows).astype(np.float64)
    tokens = {
        name: Measure(sums(row, figures[name].counted, n_rows), counts(row[figures[name].present], n_rows))
        for name in USAGE_TOKENS
    }
    return {**tokens, "cost": Measure(amounts, counts(row[costs.known], n_rows))}


def outcomes(spans: pd.DataFrame, instances: Instances, endings: Endings) -> Int64Array:
    """How each instance ended, as a position in `OUTCOMES`: the highest of what its top spans, and its call, say."""
    end, of_row = times_of(spans)[1], instances.of_row
    top = np.flatnonzero(instances.is_top)
    last_end = highest_of(of_row[top], end[top], len(instances))
    last = top[end[top] == last_end[of_row[top]]]
    outcome = np.full(len(instances), OK)
    outcome[of_row[last[endings.cancelled[last]]]] = CANCELLED
    outcome[of_row[last[endings.failed[last]]]] = ERROR
    outcome[failed_starts(spans, instances, endings.failed)] = ERROR
    outcome[of_row[top[endings.is_open[top]]]] = OPEN
    return outcome


def failed_starts(spans: pd.DataFrame, instances: Instances, failed: Mask) -> Int64Array:
    """The instances that are the only ones that a call of a tool or model started, and this call failed."""
    started = np.flatnonzero(instances.caller != NO_ROW)
    caller = instances.caller[started]
    n_started = counts(caller, len(spans))
    suspects = failed[caller] & (n_started[caller] == 1)
    caller, started = caller[suspects], started[suspects]
    by_call: Int64Array = started[kinds_of(spans.iloc[caller]) != OTHER]
    return by_call
