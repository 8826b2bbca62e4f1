"""Run rows: the order of the runs in a picture, which of too many have a row, and where names beside low rows are.

Rows that are lower than their names have names for some of them. Names that would overlap are moved apart, as little as
possible: the sum of the squared distances is least (isotonic regression, in SciPy; R. E. Barlow et al., "Statistical
inference under order restrictions", 1972).
"""

from typing import Literal, TypeAlias

import numpy as np
import pandas as pd

from tokenvis.layout.name_order import natural_key
from tokenvis.spans.integers import Float64Array, Int64Array, Mask

RunOrder: TypeAlias = Literal["time", "cost", "tokens", "errors", "start", "name"]
RUN_ORDERS: tuple[RunOrder, ...] = ("time", "cost", "tokens", "errors", "start", "name")
ORDER_COLUMNS = {"time": "wall_us", "cost": "cost", "tokens": "tokens", "errors": "n_errors", "start": "start"}


def ordered_runs(runs: pd.DataFrame, order: RunOrder) -> Int64Array:
    """The runs from the top: the highest of a measure first, unknown ones last; the earliest start; or by name.

    ``runs`` has ``name`` and the columns of `ORDER_COLUMNS`. Ties are in natural order of the names, then as in the table.
    """
    names = runs["name"].tolist()
    by_name = np.array(sorted(range(len(names)), key=lambda run: natural_key(names[run])), dtype=np.int64)
    if order == "name":
        return by_name
    measure = pd.Series(runs[ORDER_COLUMNS[order]].array[by_name])
    by_measure = measure.sort_values(ascending=order == "start", kind="stable", na_position="last")
    return by_name[by_measure.index.to_numpy(dtype=np.int64)]


def runs_with_rows(order: Int64Array, is_marked: Mask, max_rows: int) -> Int64Array:
    """At most ``max_rows`` of the runs, in their order: those that are marked, and others at even distances."""
    if len(order) <= max_rows:
        return order
    marked = is_marked[order]
    chosen = np.zeros(len(order), dtype=bool)
    for places in (np.flatnonzero(marked), np.flatnonzero(~marked)):
        chosen[evenly(places, max_rows - int(chosen.sum()))] = True
    return order[chosen]


def evenly(places: Int64Array, count: int) -> Int64Array:
    """At most so many of the places, at even distances, with the first and the last."""
    if len(places) <= count:
        return places
    return places[np.linspace(0, len(places) - 1, max(count, 0)).round().astype(np.int64)]


def named_rows(middle: Float64Array, is_marked: Mask, gap: float) -> tuple[Int64Array, Float64Array]:
    """The rows that have names, and where these are, at least ``gap`` apart: all rows, if they are high enough.

    Else those that are marked, moved apart, and between them further rows whose names stay where the rows are. ``middle`` is
    the middle of each row, ascending; names stay between the first and the last.
    """
    rows = np.arange(len(middle))
    if len(rows) < 2 or np.diff(middle).min() >= gap:
        return rows, middle
    capacity = int((middle[-1] - middle[0]) / gap) + 1
    rows = evenly(np.flatnonzero(is_marked), capacity)
    places = spread(middle[rows], gap, middle[0], middle[-1])
    further = []
    taken = places.tolist()
    for row in np.flatnonzero(~is_marked).tolist():
        position = float(middle[row])
        if all(abs(position - other) >= gap for other in taken):
            further.append(row)
            taken.append(position)
    rows, places = np.append(rows, further).astype(np.int64), np.append(places, middle[further])
    order = np.argsort(places, kind="stable")
    return rows[order], places[order]


def spread(positions: Float64Array, gap: float, low: float, high: float) -> Float64Array:
    """Ascending positions, moved so that they are at least ``gap`` apart and between two ends, which have room for them."""
    count = len(positions)
    if not count:
        return positions
    from scipy.optimize import isotonic_regression  # takes long to import

    steps = gap * np.arange(count)
    moved: Float64Array = np.clip(isotonic_regression(positions - steps).x, low, high - steps[-1]) + steps
    return moved
