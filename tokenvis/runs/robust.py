"""Robust statistics: what is usual among many runs, though some of them are not.

The centre is the median, the spread the median absolute deviation from it (MAD), scaled so that it estimates the standard
deviation of a normal distribution, as in F. R. Hampel, "The influence curve and its role in robust estimation" (1974). Up to
half of the runs may have any value without moving either far.
"""

import numpy as np

from tokenvis.spans.integers import Float64Array, Mask

MAD_SCALE = 1.4826  # 1 / the 75th percentile of the standard normal distribution
MAX_SPREADS = 3.0  # a value further from the median is not usual
MIN_EXCESS = 0.05  # of the median: runs that are all but equal have no spread, and the smallest difference would stand out
MIN_RUNS = 3


def spread_of(values: Float64Array) -> Float64Array:
    """The scaled MAD of each column of an array; 0 without rows."""
    if not len(values):
        return np.zeros(values.shape[1:])
    scaled: Float64Array = MAD_SCALE * np.median(np.abs(values - np.median(values, axis=0)), axis=0)
    return scaled


def above_usual(values: Float64Array) -> Mask:
    """The values that are higher than usual: none of fewer than three; NaN, a value that is not known, never is."""
    known = values[~np.isnan(values)]
    if len(known) < MIN_RUNS:
        return np.zeros(len(values), dtype=bool)
    median = float(np.median(known))
    limit = median + max(MAX_SPREADS * float(spread_of(known)), MIN_EXCESS * abs(median))
    above: Mask = values > limit
    return above
