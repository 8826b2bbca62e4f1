"""Compare: what changed from one run to the next.

Agents of two runs are matched by name, or by role if names differ between runs. Times are the work in `self_spans`.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from tokenvis.errors import BadOption, BadSpan, listed, quoted
from tokenvis.spans.columns import as_categorical, codes_of, ranks_of, require
from tokenvis.spans.groups import groups_of
from tokenvis.spans.integers import Int64Array, counts, difference, sums
from tokenvis.spans.intervals import union
from tokenvis.spans.losses import recorded_spans
from tokenvis.tree.relations import Relations, relations_of
from tokenvis.tree.states import states_of
from tokenvis.tree.tokens import any_of, usage_of

MEASURE_SUFFIXES = {"n": "", "busy": "_us", "active": "_us", "tokens": ""}


def compare(before: pd.DataFrame, after: pd.DataFrame, *, match: str | Callable[[str], str] = "agent_id") -> pd.DataFrame:
    """Spans, times and tokens of each agent at each location in two traces, and the differences.

    Parameters
    ----------
    before, after
        Two frames of spans, of one trace each; a frame may be empty.
    match
        How agents of the two traces are matched: a column of both frames, ``"agent_id"`` or one with the role; or a function
        from an agent's name to its role, such as ``lambda agent: agent.split("-")[0]``.

    Returns
    -------
    DataFrame
        A row for each agent (or role) at each location in either trace, the largest change of busy time first (ties: by name):

        the column of ``match``, or ``role`` if that is a function, and ``location_id`` (category);
        ``n_before, n_after, n_change`` (int64): number of spans; ``busy_before_us, busy_after_us, busy_change_us``,
        ``active_before_us, active_after_us, active_change_us`` (int64, µs): the sum of all work, and the time in which at
        least one span works; ``tokens_before, tokens_after, tokens_change`` (Int64): input and output, each counted once as in
        `usage`, missing if there are spans but none has a token count. A change is after - before; a side without spans
        counts as 0.

    Raises
    ------
    MissingColumn, BadSpan
        If an argument is not a frame of spans, lacks the column ``match``, or has spans of several traces.
    BadOption
        If ``match`` is neither a name nor a function.

    Examples
    --------
    >>> import pandas as pd
    >>> before = pd.DataFrame({
    ...     "id": ["a", "b"], "trace_id": "monday", "agent_id": ["coder-1", "coder-2"], "location_id": "desk",
    ...     "start_time": [0, 5], "end_time": [10, 20],
    ... })
    >>> after = before.iloc[:1].assign(trace_id="tuesday", end_time=30)
    >>> table = compare(before, after, match=lambda agent: agent.split("-")[0])
    >>> table[["role", "location_id", "n_change", "busy_before_us", "busy_after_us", "busy_change_us"]]
        role location_id  n_change  busy_before_us  busy_after_us  busy_change_us
    0  coder        desk        -1              25             30               5
    """
    if not isinstance(match, str) and not callable(match):
        raise BadOption(f"match={quoted(match)} is neither a column name nor a function of an agent's name.")
    role = match if isinstance(match, str) else "role"
    sides = [measures_of(spans, match, role) for spans in (before, after)]
    both = sides[0].merge(sides[1], on=[role, "location_id"], how="outer", suffixes=("_before", "_after"))
    table = pd.DataFrame({role: both[role], "location_id": as_categorical(both["location_id"])})
    if role == "agent_id":
        table[role] = as_categorical(both[role])
    for measure, unit in MEASURE_SUFFIXES.items():
        old, new = (both[f"{measure}_{side}"].mask(both[f"n_{side}"].isna(), 0) for side in ("before", "after"))
        values = {"before": old, "after": new, "change": new - old}
        for side, column in values.items():
            table[f"{measure}_{side}{unit}"] = column if measure == "tokens" else column.astype("int64")
    ties = [ranks_of(table[key]) for key in ("location_id", role)]
    order = np.lexsort((*ties, -table["busy_change_us"].abs().to_numpy()))
    return table.iloc[order].reset_index(drop=True)


def measures_of(spans: pd.DataFrame, match: str | Callable[[str], str], role: str) -> pd.DataFrame:
    """The measures of one trace: a row for each role at each location, counts as Int64."""
    require(spans, *([match] if isinstance(match, str) else []))
    spans = recorded_spans(spans)
    traces = codes_of(spans["trace_id"])[1]
    if len(traces) > 1:
        raise BadSpan(f"compare accepts one trace on each side, but a frame has {listed(traces)}. Filter by trace_id.")
    if not isinstance(match, str):
        spans = spans.assign(role=roles_of(spans, match))
    groups = groups_of(spans, role, "location_id")
    group, count = groups.group, len(groups)
    relations = relations_of(spans, links=False)
    row, start, end = states_of(spans, relations).work()
    active_group, union_start, union_end = union(group[row], start, end)
    measures: dict[str, Int64Array | pd.Series] = {
        "n": counts(group, count),
        "busy": sums(group[row], difference(end, start), count),
        "active": sums(active_group, union_end - union_start, count),
        "tokens": tokens_in(spans, relations, group, count),
    }
    table = pd.DataFrame(groups.names(spans)).astype({name: value_dtype(spans[name]) for name in groups.columns})
    return table.assign(**{name: pd.Series(values, dtype="Int64") for name, values in measures.items()})


def tokens_in(spans: pd.DataFrame, relations: Relations, group: Int64Array, count: int) -> pd.Series:
    """Input and output tokens of each group, each counted once; missing if no span has a count."""
    tokens = usage_of(spans, relations.parents()).tokens()
    total = sums(np.tile(group, len(tokens)), np.concatenate([each.counted for each in tokens]), count)
    present = counts(group[any_of(each.present for each in tokens)], count) > 0
    return pd.Series(total, dtype="Int64").where(present)


def roles_of(spans: pd.DataFrame, match: Callable[[str], str]) -> pd.Series:
    """The role of each span's agent, by a function of its name, as ``str``."""
    codes, agents = codes_of(spans["agent_id"])
    return pd.Series(pd.Index([str(match(agent)) for agent in agents], dtype="str").take(codes), index=spans.index)


def value_dtype(values: pd.Series) -> Any:
    """The dtype of a column's values, or of its categories, so that two frames can be merged."""
    return values.cat.categories.dtype if isinstance(values.dtype, pd.CategoricalDtype) else values.dtype
