"""Measures: the work, waits, visits, tokens, cost, errors and path time of each run and each value of a column, as a grid.

A value that does not occur in a run has no spans there, and 0 of everything. What a run does not tell (tokens, cost) is NaN.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from tokenvis.analysis.summary import measures_per_group
from tokenvis.analysis.usage import measures_of_groups
from tokenvis.errors import BadSpan, plural
from tokenvis.runs.robust import lower_medians
from tokenvis.runs.run_paths import run_paths
from tokenvis.spans.columns import ranks_of, times_of
from tokenvis.spans.groups import Groups, groups_of
from tokenvis.spans.integers import Int64Array, count_ranks, counts, difference, highest_of, lowest_of, run_starts, sums
from tokenvis.tree.costs import costs_of
from tokenvis.tree.nesting import paths_of
from tokenvis.tree.price_lists import PriceList
from tokenvis.tree.relations import NO_ROW, relations_of
from tokenvis.tree.tokens import usage_of

MAX_ROWS_OF_RUNS = 20_000_000
MEASURES: dict[str, Any] = {  # the type of each; the change of "busy_us" is "busy_change_us"
    "n_spans": "int64",
    "wall_us": "int64",
    "busy_us": "int64",
    "waiting_us": "int64",
    "n_visits": "int64",
    "tokens": "Int64",
    "cost": "Float64",
    "n_errors": "int64",
    "path_us": "int64",
    "share_path": "Float64",
}
UNKNOWNS: dict[str, Any] = {"n_silent": "int64", "n_unpriced": "int64"}


@dataclass(frozen=True)
class Grid:
    """The measures of all runs (rows) and values (columns); ``first`` is a row of the spans for each value."""

    n_runs: int
    first: Int64Array
    measures: dict[str, pd.Series]  # with n_runs * len(first) entries, run by run

    def at(self, name: str, run: int) -> pd.Series:
        """A measure of all values in one run."""
        return self.measures[name].iloc[run * len(self.first) : (run + 1) * len(self.first)].reset_index(drop=True)

    def median(self, name: str) -> pd.Series:
        """The median of a measure over the runs that tell it: of two in the middle the lower, so that it occurs."""
        values: Any = self.measures[name].astype("Float64").to_numpy(dtype=float, na_value=np.nan).reshape(self.n_runs, -1)
        medians: pd.Series = pd.Series(lower_medians(values), dtype="Float64").astype(MEASURES[name])
        return medians


def grid_of(spans: pd.DataFrame, columns: list[str], lists: tuple[PriceList, ...]) -> Grid:
    """The measures of each run and each combination of values of the columns; ``spans`` are recorded ones."""
    trace, values, groups = ranks_of(spans["trace_id"]), groups_of(spans, *columns), groups_of(spans, "trace_id", *columns)
    n_runs = count_ranks(trace)
    n_cells = n_runs * len(values)
    if n_cells > MAX_ROWS_OF_RUNS:
        raise BadSpan(f"{plural(n_runs, 'run')} with {len(values):,} values of {', '.join(columns)} are too many to compare.")
    cell = (trace * len(values) + values.group)[groups.first]
    measures = {}
    for name, column in measures_of(spans, groups, lists).items():
        dtype = (MEASURES | UNKNOWNS)[name]
        whole = pd.Series(np.zeros(n_cells), dtype="Float64" if dtype == "Float64" else "Int64")
        whole.iloc[cell] = column.array
        measures[name] = whole.astype(dtype)
    return Grid(n_runs, values.first, measures)


def measures_of(spans: pd.DataFrame, groups: Groups, lists: tuple[PriceList, ...]) -> dict[str, pd.Series]:
    """The measures of each group of spans of one run."""
    group, count = groups.group, len(groups)
    sizes = measures_per_group(spans, group, count)
    relations = relations_of(spans, links=False)
    paths = paths_of(spans, relations)
    figures = usage_of(spans, relations.parents())
    costs = costs_of(spans, relations.parents(), figures, lists)
    usage = measures_of_groups(spans, figures, costs, relations.parents(), groups)
    tokens = pd.DataFrame({name: usage[name] for name in ("input_tokens", "output_tokens")}).sum(axis=1, min_count=1)
    path, wall = times_on_paths(spans, group, count), wall_of_runs(spans, groups)
    integers = {name: sizes[name] for name in ("n_spans", "wall_us", "busy_us", "waiting_us", "n_errors")}
    integers |= {"n_visits": counts(group[paths.row][run_starts(paths.path, paths.location)], count), "path_us": path}
    integers |= {name: usage[name] for name in UNKNOWNS}
    columns = {name: pd.Series(values, dtype="Int64") for name, values in integers.items()}
    share = pd.Series(path / np.where(wall > 0, wall, 1), dtype="Float64").mask(wall == 0)
    columns |= {"tokens": tokens.astype("Int64"), "cost": usage["cost"], "share_path": share}
    return {name: columns[name] for name in (*MEASURES, *UNKNOWNS)}


def times_on_paths(spans: pd.DataFrame, group: Int64Array, count: int) -> Int64Array:
    """The time of each group's spans on the paths of the runs."""
    path = run_paths(spans)
    on_path = path.row != NO_ROW
    return sums(group[path.row[on_path]], (path.end - path.start)[on_path], count)


def wall_of_runs(spans: pd.DataFrame, groups: Groups) -> Int64Array:
    """The wall time of the run of each group."""
    trace, (start, end) = ranks_of(spans["trace_id"]), times_of(spans)
    n_runs = count_ranks(trace)
    return difference(highest_of(trace, end, n_runs), lowest_of(trace, start, n_runs))[trace[groups.first]]
