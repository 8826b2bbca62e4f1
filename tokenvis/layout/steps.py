"""Step functions in columns: their mean, minimum and maximum in each interval of a time axis.

A column is an interval between two edges. A step function has more steps than a picture can show if a step takes less than
`MIN_STEP_POINTS` on average: then the picture shows columns, else the steps themselves.
"""

from dataclasses import dataclass

import numpy as np

from tokenvis.layout.time_map import TimeMap
from tokenvis.spans.integers import Float64Array, Int64Array, run_starts

MIN_STEP_POINTS = 1.5  # average width from which steps are drawn one by one
COLUMN_POINTS = 3.0  # width of a column


@dataclass(frozen=True)
class Levels:
    """Mean, minimum and maximum of a step function in each column."""

    mean: Float64Array
    lowest: Float64Array
    highest: Float64Array


def levels_in_columns(x: Float64Array, level: Float64Array, edges: Float64Array) -> Levels:
    """The levels of a step function between each two neighbouring edges, which ascend.

    The function is 0 before the first of the positions ``x``, which ascend, and ``level`` from each of them on. A level that
    applies at a single moment between the edges, or that ends at the left one, is no minimum and no maximum.
    """
    if not len(x):
        nothing = np.zeros(len(edges) - 1)
        return Levels(nothing, nothing, nothing)
    area = np.concatenate([[0.0], np.cumsum(level[:-1] * np.diff(x))])
    at_edge = level_at(x, level, edges)
    step = np.maximum(np.searchsorted(x, edges, side="right") - 1, 0)
    integral = np.where(edges >= x[0], area[step] + at_edge * (edges - x[step]), 0.0)
    lowest, highest = at_edge[:-1].copy(), at_edge[:-1].copy()
    first, last = np.searchsorted(x, edges[:-1], side="right"), np.searchsorted(x, edges[1:], side="left")
    changes = last > first
    if changes.any():
        bounds = np.column_stack([first[changes], last[changes]]).ravel()
        padded = np.append(level, level[-1:])  # a bound may be behind the last step
        lowest[changes] = np.minimum(lowest[changes], np.minimum.reduceat(padded, bounds)[::2])
        highest[changes] = np.maximum(highest[changes], np.maximum.reduceat(padded, bounds)[::2])
    mean = np.clip(np.diff(integral) / np.diff(edges), lowest, highest)  # rounding cannot leave the band
    return Levels(mean, lowest, highest)


def level_at(x: Float64Array, level: Float64Array, positions: Float64Array) -> Float64Array:
    """The level of a step function at positions: 0 before the first of ``x``, and ``level`` from each of them on."""
    step = np.searchsorted(x, positions, side="right") - 1
    return np.where(step >= 0, level[np.maximum(step, 0)], 0.0) if len(x) else np.zeros(len(positions))


def exact_edges(times: list[Int64Array], mapping: TimeMap, width_points: float) -> Float64Array | None:
    """The positions of all steps, in order, each once; None if a picture of this width cannot show each of them."""
    merged = np.sort(np.concatenate(times), kind="stable")
    merged = merged[run_starts(merged)]
    return mapping.to_x(merged) if len(merged) <= max(width_points / MIN_STEP_POINTS, 2) else None


def column_edges(mapping: TimeMap, width_points: float) -> Float64Array:
    """The edges of columns on a time axis of this width; no column is partly in a break."""
    low, high = mapping.positions[[0, -1]].tolist()
    edges = np.linspace(low, high, max(int(width_points / COLUMN_POINTS), 1) + 1)
    return np.union1d(edges, mapping.positions)


def last_in_columns(x: Float64Array, ends: tuple[float, float], width_points: float) -> tuple[Float64Array, Int64Array]:
    """The steps of a growing sum that a picture of this width can show: their positions, and their rows.

    Of many steps at ascending ``x``, the last in each quarter of a point: it has the sum of those before it.
    """
    low, high = ends
    column = np.floor((x - low) * (4 * width_points / ((high - low) or 1.0)))
    rows = np.flatnonzero(np.append(column[1:] != column[:-1], True)) if len(x) else np.zeros(0, dtype=np.int64)
    return x[rows], rows
