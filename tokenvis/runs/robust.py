"""Robust statistics: what is usual among many runs, though some of them are not.

The centre is the median, the spread the median absolute deviation from it (MAD), scaled so that it estimates the standard
deviation of a normal distribution, as in F. R. Hampel, "The influence curve and its role in robust estimation" (1974). Up to
half of the runs may have any value without moving either far.
"""

from typing import TypeAlias

import numpy as np

from tokenvis.spans.integers import MAD_SCALE, Float64Array, Mask

Matrix: TypeAlias = np.ndarray[tuple[int, int], np.dtype[np.float64]]

MAX_SPREADS = 3.0  # a value further from the median is not usual
MIN_EXCESS = 0.05  # of the median: runs that are all but equal have no spread, and the smallest difference would stand out
MIN_RUNS = 3


def medians(values: Matrix) -> Float64Array:
    """The median of each column; 0 without rows."""
    return np.asarray(np.median(values, axis=0)) if len(values) else np.zeros(values.shape[1])


def lower_medians(values: Matrix) -> Float64Array:
    """The median of each column over its known values, of two in the middle the lower; NaN if none is known."""
    if not len(values):
        return np.full(values.shape[1], np.nan)
    known = (~np.isnan(values)).sum(axis=0)
    in_middle: Float64Array = np.sort(values, axis=0)[np.maximum(known - 1, 0) // 2, np.arange(values.shape[1])]
    return in_middle


def spreads(values: Matrix) -> Float64Array:
    """The scaled MAD of each column; 0 without rows."""
    return MAD_SCALE * medians(np.abs(values - medians(values)))


def above_usual(values: Float64Array) -> Mask:
    """The values that are higher than usual: none of fewer than three; NaN, a value that is not known, never is."""
    known = values[~np.isnan(values)].reshape(-1, 1)
    if len(known) < MIN_RUNS:
        return np.zeros(len(values), dtype=bool)
    [median], [spread] = medians(known), spreads(known)
    limit = median + max(MAX_SPREADS * spread, MIN_EXCESS * abs(median))
    above: Mask = values > limit
    return above
