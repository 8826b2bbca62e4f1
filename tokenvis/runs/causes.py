"""Causes: the parts of runs summed by what they are, by whom and where: a table of runs by causes, and the spans behind it."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from tokenvis.errors import BadSpan, plural
from tokenvis.runs.parts import CALLS, CAUSES, Parts
from tokenvis.runs.robust import Matrix
from tokenvis.spans.columns import ranks_of
from tokenvis.spans.integers import Int64Array, counts, run_ends
from tokenvis.tree.relations import NO_ROW

MAX_CAUSE_CELLS = 20_000_000


@dataclass(frozen=True)
class Causes:
    """The amounts and numbers of spans of each run (row) and cause (column); a cause has one agent and one location."""

    parts: Parts
    place: Int64Array  # a number for the agent and location of each part
    group: Int64Array  # the cause of each part
    first: Int64Array  # the first part of each cause
    amount: Matrix
    n_spans: Matrix

    def row(self, cause: int) -> int:
        """A row with the agent and the location of a cause, or `NO_ROW`."""
        return int(self.parts.row[self.first[cause]])

    def kind(self, cause: int) -> str:
        """What a cause is, of `CAUSES`."""
        return CAUSES[self.parts.cause[self.first[cause]]]

    @cached_property
    def largest_parts(self) -> tuple[Int64Array, Int64Array]:
        """The cells, cause and run, that have any part, sorted; and the row of the span with the largest part in each."""
        n_rows = int(self.parts.shown.max(initial=0)) + 2
        keys, position = np.unique(self.cells() * n_rows + self.parts.shown + 1, return_inverse=True)
        amount = np.bincount(position.reshape(-1), weights=self.parts.amount, minlength=len(keys))
        cell = keys // n_rows
        order = np.lexsort((-keys, amount, cell))  # ties: the first row
        last = order[run_ends(cell[order])]
        return cell[last], keys[last] % n_rows - 1

    def cells(self) -> Int64Array:
        """The number of each part's cause and run."""
        return self.group * len(self.amount) + self.parts.trace

    def largest_spans(self, runs: Int64Array, cause: int) -> Int64Array:
        """The row of the span with the largest part of a cause in each run, `NO_ROW` where it has none."""
        cells, rows = self.largest_parts
        wanted = cause * len(self.amount) + runs
        position = np.minimum(np.searchsorted(cells, wanted), len(cells) - 1)
        return np.where(cells[position] == wanted, rows[position], NO_ROW)

    @cached_property
    def parts_in_order(self) -> tuple[Int64Array, Int64Array]:
        """The parts sorted by cause, and where those of each cause begin."""
        order = np.argsort(self.group, kind="stable")
        return order, np.append(0, np.cumsum(counts(self.group, len(self.first))))

    def rows_in(self, runs: Int64Array, cause: int) -> Int64Array:
        """The rows of the spans of a cause in these runs, sorted."""
        order, begin = self.parts_in_order
        parts = order[begin[cause] : begin[cause + 1]]
        return np.unique(self.parts.row[parts[np.isin(self.parts.trace[parts], runs)]])

    def calls(self) -> Int64Array:
        """A number for each cause, the same for work, retries and errors of one agent at one location."""
        kind, place = self.parts.cause[self.first], self.place[self.first]
        is_call = np.isin(kind, CALLS)
        return np.unique(np.where(is_call, place, place.max(initial=0) + 1 + np.arange(len(kind))), return_inverse=True)[1]


def causes_of(spans: pd.DataFrame, parts: Parts) -> Causes:
    """The parts of all runs, by cause, agent and location, in this order."""
    n_runs, n_rows = len(parts.known), len(spans) + 1
    agent, location = (np.append(ranks_of(spans[name]), NO_ROW)[parts.row] + 1 for name in ("agent_id", "location_id"))
    n_agents, n_locations = (int(codes.max(initial=0)) + 1 for codes in (agent, location))
    place = agent * n_locations + location
    key = parts.cause * (n_agents * n_locations) + place
    _, first, group = np.unique(key, return_index=True, return_inverse=True)
    group, count = group.reshape(-1), len(first)
    if n_runs * count > MAX_CAUSE_CELLS:
        raise BadSpan(f"{plural(n_runs, 'run')} with {count:,} causes are too many. Pass fewer runs, or match agents by role.")
    cell = parts.trace * count + group
    cell_of_span = np.unique(cell * n_rows + parts.row + 1) // n_rows
    amount, n_spans = (
        np.bincount(cells, weights=weights, minlength=n_runs * count).astype(np.float64).reshape(n_runs, count)
        for cells, weights in ((cell, parts.amount), (cell_of_span, None))
    )
    return Causes(parts, place, group, first, amount, n_spans)
