"""Compare: what changed from one run to the next.

Agents of two runs are matched by name, or by their role where names differ from run to run. Times are those of `self_spans`.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from tokenvis.errors import BadOption, BadSpan, listed, quoted
from tokenvis.spans.columns import codes_of, names, require
from tokenvis.spans.groups import groups_of
from tokenvis.spans.integers import Int64Array, counts, difference, sums
from tokenvis.spans.intervals import union
from tokenvis.spans.losses import work_of
from tokenvis.spans.nesting import pieces_of
from tokenvis.spans.relations import relations_of
from tokenvis.spans.tokens import tokens_of

UNITS = {"n": "", "busy": "_us", "active": "_us", "tokens": ""}


def compare(before: pd.DataFrame, after: pd.DataFrame, *, match: str | Callable[[str], str] = "agent_id") -> pd.DataFrame:
    """What each agent did at each location in two traces, and the difference.

    Parameters
    ----------
    before, after
        Two frames of spans, of one trace each (an empty one will do).
    match
        What makes agents of the two traces the same: a column of both, ``"agent_id"`` or one with their role; or a function
        that gives the role for an agent's name, such as ``lambda agent: agent.split("-")[0]``.

    Returns
    -------
    DataFrame
        A row for each agent (or role) at each location in either trace, the largest change of busy time first (ties: by name):

        the column of ``match``, or ``role`` where that is a function, and ``location_id`` (category);
        ``n_before, n_after, n_change`` (int64): spans; ``busy_before_us, busy_after_us, busy_change_us``,
        ``active_before_us, active_after_us, active_change_us`` (int64, µs): all spans added up, and the time in which at least
        one runs; ``tokens_before, tokens_after, tokens_change`` (Int64): input and output, each counted once as in `usage`,
        missing where spans are there and none says. A change is after - before; what is not there counts as 0.

    Raises
    ------
    MissingColumn, BadSpan
        Where one is not a frame of spans, lacks the column ``match``, or has spans of several traces.
    BadOption
        Where ``match`` is neither a name nor a function.

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
        raise BadOption(f"match={quoted(match)} is neither the name of a column nor a function of an agent's name.")
    role = match if isinstance(match, str) else "role"
    sides = [measured(spans, match, role) for spans in (before, after)]
    both = sides[0].merge(sides[1], on=[role, "location_id"], how="outer", suffixes=("_before", "_after"))
    table = pd.DataFrame({role: both[role], "location_id": names(both["location_id"])})
    if role == "agent_id":
        table[role] = names(both[role])
    for measure, unit in UNITS.items():
        old, new = (both[f"{measure}_{side}"].mask(both[f"n_{side}"].isna(), 0) for side in ("before", "after"))
        values = {"before": old, "after": new, "change": new - old}
        for side, column in values.items():
            table[f"{measure}_{side}{unit}"] = column if measure == "tokens" else column.astype("int64")
    names_last = [codes_of(table[key])[0] for key in ("location_id", role)]
    order = np.lexsort((*names_last, -table["busy_change_us"].abs().to_numpy()))
    return table.iloc[order].reset_index(drop=True)


def measured(spans: pd.DataFrame, match: str | Callable[[str], str], role: str) -> pd.DataFrame:
    """The measures of one trace: a row for each role at each location, counts as Int64."""
    require(spans, *([match] if isinstance(match, str) else []))
    spans = work_of(spans)
    traces = codes_of(spans["trace_id"])[1]
    if len(traces) > 1:
        raise BadSpan(f"compare takes one trace on each side, and here are {listed(traces)}. Filter by trace_id.")
    if not isinstance(match, str):
        spans = spans.assign(role=roles_of(spans, match))
    groups = groups_of(spans, role, "location_id")
    group, count = groups.group, len(groups)
    row, start, end = pieces_of(spans)
    stretch, opens, closes = union(group[row], start, end)
    measures: dict[str, Int64Array | pd.Series] = {
        "n": counts(group, count),
        "busy": sums(group[row], difference(end, start), count),
        "active": sums(stretch, closes - opens, count),
        "tokens": tokens_in(spans, group, count),
    }
    table = pd.DataFrame(groups.names(spans)).astype({name: plain_type(spans[name]) for name in groups.columns})
    return table.assign(**{name: pd.Series(values, dtype="Int64") for name, values in measures.items()})


def tokens_in(spans: pd.DataFrame, group: Int64Array, count: int) -> pd.Series:
    """Input and output tokens of each group, each counted once; missing where no span says."""
    used = tokens_of(spans, relations_of(spans, links=False).parents(), ("input_tokens", "output_tokens")).values()
    values = np.concatenate([key.values[key.counted] for key in used])
    total = sums(np.concatenate([group[key.counted] for key in used]), values, count)
    said = counts(np.concatenate([group[key.known] for key in used]), count) > 0
    return pd.Series(total, dtype="Int64").where(said)


def roles_of(spans: pd.DataFrame, match: Callable[[str], str]) -> pd.Series:
    """What a function makes of each agent's name, as ``str``."""
    codes, agents = codes_of(spans["agent_id"])
    return pd.Series(pd.Index([str(match(agent)) for agent in agents], dtype="str").take(codes), index=spans.index)


def plain_type(values: pd.Series) -> Any:
    """The type of a column, or of its categories: what two frames have in common."""
    return values.cat.categories.dtype if isinstance(values.dtype, pd.CategoricalDtype) else values.dtype
