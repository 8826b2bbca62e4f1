"""Steps: the spans of two runs, each run in order, and which of them are the same step.

A run is in order of start. Spans that start at once have the order of their nesting, end, agent, location, label and arguments,
which two runs share; ids and the order of rows, which they do not share, come last. Two spans are the same step if they have
the same values in the columns that make a step.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from tokenvis.errors import BadSpan, MissingColumn, listed, quoted
from tokenvis.runs.matching import Match, matched
from tokenvis.spans.columns import KNOWN_COLUMNS, codes_of, in_frame_order, parent_ids, ranks_of, require, times_of
from tokenvis.spans.fields import field_columns
from tokenvis.spans.groups import groups_of
from tokenvis.spans.integers import Int64Array, Mask, inverse_permutation, order_by
from tokenvis.spans.losses import recorded_spans
from tokenvis.spans.parents import check_parents
from tokenvis.tree.calls import calls_of
from tokenvis.tree.relations import NO_ROW, depths, relations_of


@dataclass(frozen=True)
class RunSteps:
    """The steps of two runs, in order: those of the first run, then those of the second."""

    spans: pd.DataFrame  # with roles as agents
    n_first: int  # the number of steps of the first run
    columns: pd.DataFrame  # those that make a step
    key: Int64Array  # the same number for the same step, from 0
    arguments: Int64Array  # as in `calls_of`
    failed: Mask
    parent: Int64Array  # the row of the parent of each step, -1 without one


def run_steps_of(a: pd.DataFrame, b: pd.DataFrame, by: Iterable[str], match: Match) -> RunSteps:
    """The steps of two runs; ``by`` has the columns, or keys of data, that make a step."""
    runs = [run_in(spans) for spans in (a, b)]
    pooled = pooled_runs(runs)
    if isinstance(match, str) and match in pooled.columns:
        for spans in runs:
            require(spans, match)
    pooled = matched(pooled, match).spans
    columns = step_columns(pooled, [*by, "label"])
    key, calls = groups_of(columns, *by).group, calls_of(pooled)
    parent, (start, end) = relations_of(pooled, links=False).parents(), times_of(pooled)
    run, places = np.repeat([0, 1], [len(spans) for spans in runs]), np.arange(len(pooled))
    names = [ranks_of(column) for column in (pooled["agent_id"], pooled["location_id"], columns["label"])]
    ties = [key, calls.arguments, calls.failed.astype(np.int64), places]
    order = order_by([run, start, depths_at_start(parent, start), end, *names, *ties])
    return RunSteps(
        pooled.iloc[order],
        len(runs[0]),
        columns[list(by)].iloc[order],
        key[order],
        calls.arguments[order],
        calls.failed[order],
        np.append(inverse_permutation(order), NO_ROW)[parent[order]],
    )


def run_in(spans: pd.DataFrame) -> pd.DataFrame:
    """The recorded spans of a run in frame order; `BadSpan` if they are of several traces."""
    require(spans)
    require(spans, *spans.columns)  # frames with two columns of one name cannot be joined
    check_parents(spans)
    spans = recorded_spans(spans)
    if "parent_id" in spans.columns:
        spans = spans.assign(parent_id=parent_ids(spans["parent_id"], spans))
    traces = codes_of(spans["trace_id"])[1]
    if len(traces) > 1:
        raise BadSpan(f"alignment accepts one trace on each side, but a frame has {listed(traces)}. Filter by trace_id.")
    return in_frame_order(spans)


def pooled_runs(runs: list[pd.DataFrame]) -> pd.DataFrame:
    """The runs in one frame, as two traces; empty frames do not change the types of its columns."""
    a, b = runs
    if len(a) and len(b) and str(a["trace_id"].iloc[0]) == str(b["trace_id"].iloc[0]):
        b = b.assign(trace_id=f"{b['trace_id'].iloc[0]} (b)")
    return pd.concat([spans for spans in (a, b) if len(spans)] or [a], ignore_index=True)


def step_columns(spans: pd.DataFrame, names: Iterable[str]) -> pd.DataFrame:
    """The columns, or keys of data, that make a step; `MissingColumn` if no span has one, apart from ``label``."""
    given = {name: spans[name] for name in names if name in KNOWN_COLUMNS and name in spans.columns}
    found = given | field_columns(spans, [name for name in names if name not in given])
    for name, column in found.items():
        if len(spans) and name != "label" and name not in spans.columns and column.isna().all():
            columns = listed(spans.columns)
            raise MissingColumn(f"The spans have no column {quoted(name)}, and no such key in data. The columns: {columns}.")
    return pd.DataFrame({name: found[name] for name in names})


def depths_at_start(parent: Int64Array, start: Int64Array) -> Int64Array:
    """For each span, how many of the spans around it start with it: its parent, the parent of that, ..."""
    return depths(np.where((parent != NO_ROW) & (start[parent] == start), parent, NO_ROW))
