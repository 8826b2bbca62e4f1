"""Connectors: lines between bars, which are drawn only if there are few enough to follow."""

from typing import Any

import numpy as np
import pandas as pd

from tokenvis.spans.integers import Float64Array, Int64Array


def rows_by_id(spans: pd.DataFrame, ids: pd.Series) -> Int64Array:
    """The row of the span with each id, the first if there are several; -1 if there is none."""
    row_of = pd.Series(np.arange(len(spans)), index=spans["id"].array)
    rows = row_of[~row_of.index.duplicated()].reindex(ids.array)
    return rows.fillna(-1).to_numpy(dtype=np.int64)


class DensityLimited:
    """A mixin for collections of lines, which draws them only if those in view are few enough to follow.

    ``low`` and ``high`` are the ends of each line on the time axis, ``max_per_inch`` is the limit.
    """

    axes: Any
    low: Float64Array
    high: Float64Array
    max_per_inch: float

    def n_in_view(self) -> int:
        """The number of lines in view."""
        low, high = sorted(self.axes.get_xlim())
        return int(((self.high >= low) & (self.low <= high)).sum())

    def too_many(self) -> bool:
        """Whether there are too many lines to follow."""
        return bool(self.n_in_view() > self.max_per_inch * self.axes.bbox.width / self.axes.figure.dpi)

    def draw(self, renderer: Any) -> None:
        """Draw the lines, unless there are too many."""
        if not self.too_many():
            super().draw(renderer)  # type: ignore[misc]
