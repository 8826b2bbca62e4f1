"""Pair: what changed from one run to the next, for each agent at each location. Times are the work in `self_spans`."""

from typing import Any

import numpy as np
import pandas as pd

from tokenvis.errors import BadSpan, listed
from tokenvis.runs.matching import BY_ROLE, Match, check_match, is_searched, roles_by_activity, roles_of
from tokenvis.spans.columns import as_categorical, codes_of, ranks_of, require
from tokenvis.spans.groups import groups_of
from tokenvis.spans.integers import Int64Array, counts, difference, sums
from tokenvis.spans.intervals import union
from tokenvis.spans.losses import recorded_spans
from tokenvis.tree.relations import Relations, relations_of
from tokenvis.tree.states import states_of
from tokenvis.tree.tokens import any_of, usage_of

MEASURE_SUFFIXES = {"n": "", "busy": "_us", "active": "_us", "tokens": ""}


def compare_pair(before: pd.DataFrame, after: pd.DataFrame, match: Match) -> pd.DataFrame:
    """The table of `compare` for two runs."""
    return pair_table(with_roles(before, after, match), role_column(match))


def role_column(match: Match) -> str:
    """The column of the agents' roles."""
    return match if isinstance(match, str) else BY_ROLE


def pair_table(pair: list[pd.DataFrame], role: str) -> pd.DataFrame:
    """The table of `compare` for two runs, of which each has a column ``role``."""
    sides = [pair_measures(spans, role) for spans in pair]
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


def with_roles(before: pd.DataFrame, after: pd.DataFrame, match: Match) -> list[pd.DataFrame]:
    """Both sides, with a column for the agent's role (`role_column`)."""
    check_match(match)
    sides = [before, after]
    if isinstance(match, str) and not is_searched(match, sides):
        return sides
    for side in sides:
        require(side)
    if not isinstance(match, str):
        return [side.assign(role=roles_of(side, match)) for side in sides]
    both = pd.concat([side.assign(trace_id=name) for side, name in zip(sides, ("0", "1"), strict=True)], ignore_index=True)
    roles = roles_by_activity(recorded_spans(both)).reindex(both.index)
    return [
        side.assign(role=roles.iloc[start : start + len(side)].array) for side, start in ((before, 0), (after, len(before)))
    ]


def pair_measures(spans: pd.DataFrame, role: str) -> pd.DataFrame:
    """The measures of one trace: a row for each role at each location, counts as Int64."""
    require(spans, role)
    spans = recorded_spans(spans)
    traces = codes_of(spans["trace_id"])[1]
    if len(traces) > 1:
        raise BadSpan(f"compare accepts one trace on each side, but a frame has {listed(traces)}. Filter by trace_id.")
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


def value_dtype(values: pd.Series) -> Any:
    """The dtype of a column's values, or of its categories, so that two frames can be merged."""
    return values.cat.categories.dtype if isinstance(values.dtype, pd.CategoricalDtype) else values.dtype
