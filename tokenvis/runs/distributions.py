"""Distributions: one measure of `compare` in many runs, value by value, for a picture with a row for each value.

A value is an agent, a location or another one by which runs are compared. An outlying run is further above or below the median
of its value than is usual.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from tokenvis.runs.baseline import distinct_run_names
from tokenvis.runs.robust import Matrix, above_usual, lower_medians
from tokenvis.spans.integers import Float64Array, Int64Array

WHOLE_RUN = "whole run"  # the value of all runs, if nothing else is compared
VALUE_SEPARATOR = " · "  # between the values of several columns
NO_VALUE = "none"


@dataclass(frozen=True)
class Distributions:
    """A measure of each value (rows, from the top) in each run (columns, by trace_id), as arrays of values x runs.

    ``rows`` has ``name`` and ``first`` (str): the values of all columns, and of the first; ``median, baseline, change``
    (float64; NaN if not known): the median of the runs other than the baseline, and the change from the baseline to it.
    ``measure`` is NaN where it is not known. ``baseline`` is the number of the run with which others are compared, None for the
    median of all. The largest changes come first; if the baseline is the median, the values with the most distant runs; of one
    run, the largest amounts. Whether a run is outlying depends on all runs, also on the baseline.
    """

    rows: pd.DataFrame
    runs: list[str]
    baseline: int | None
    measure: Matrix
    occurs: np.ndarray[tuple[int, int], np.dtype[np.bool_]]
    is_outlying: np.ndarray[tuple[int, int], np.dtype[np.bool_]]

    def known_rows(self) -> Int64Array:
        """The values whose measure is known in a run in which they occur."""
        return np.flatnonzero((self.occurs & ~np.isnan(self.measure)).any(axis=1))

    def of_rows(self, rows: Int64Array | slice) -> "Distributions":
        """Some of the values, in this order."""
        table = self.rows.iloc[rows].reset_index(drop=True)
        return Distributions(table, self.runs, self.baseline, self.measure[rows], self.occurs[rows], self.is_outlying[rows])


def distributions_of(
    table: pd.DataFrame, columns: list[str], measure: str, spans: pd.DataFrame, baseline: int | None
) -> Distributions:
    """The distributions of a measure in a table of `compare`, of runs whose spans these are."""
    runs = distinct_run_names(spans)
    cells = table[measure].astype("Float64").to_numpy(dtype=float, na_value=np.nan)
    values = matrix_of(cells, len(runs))
    if baseline is None:
        median = compared = lower_medians(values.T)
    else:
        compared = values[:, baseline]
        median = medians_of_known(np.delete(values, baseline, axis=1) if len(runs) > 1 else values)
    change = median - compared
    rows = names_of_values(table.iloc[: len(values)], columns).assign(median=median, baseline=compared, change=change)
    outlying = np.array([above_usual(row) | above_usual(-row) for row in values], dtype=bool).reshape(values.shape)
    all_rows = Distributions(rows, runs, baseline, values, matrix_of(table["n_spans"].to_numpy() > 0, len(runs)), outlying)
    distance = np.nanmax(np.abs(values - median[:, None]), axis=1, initial=0.0)
    size = np.nan_to_num(values[:, 0] if len(runs) == 1 else distance if baseline is None else np.abs(change))
    return all_rows.of_rows(np.argsort(-size, kind="stable"))


def matrix_of(cells: Any, n_runs: int) -> Any:
    """A column of a table of `compare` as values x runs."""
    return cells.reshape(n_runs, -1).T if n_runs else np.empty((0, 0), dtype=cells.dtype)


def medians_of_known(values: Matrix) -> Float64Array:
    """The median of each row over its known values; NaN if none is known."""
    medians = np.full(len(values), np.nan)
    known = ~np.isnan(values).all(axis=1)
    medians[known] = np.nanmedian(values[known], axis=1)
    return medians


def names_of_values(rows: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    """The name of each value, and that of its first column."""
    texts = [rows[column].astype(object).map(str, na_action="ignore").fillna(NO_VALUE).tolist() for column in columns]
    texts = texts or [[WHOLE_RUN] * len(rows)]
    names = [VALUE_SEPARATOR.join(parts) for parts in zip(*texts, strict=True)]
    return pd.DataFrame({"name": names, "first": texts[0]}, dtype="str")
