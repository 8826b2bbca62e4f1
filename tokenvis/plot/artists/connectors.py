"""Connectors: lines from one bar to another, which are drawn only while they can be followed."""

from typing import Any

import numpy as np
import pandas as pd

from tokenvis.spans.integers import Floats, Int64Array


def rows_named(spans: pd.DataFrame, ids: pd.Series) -> Int64Array:
    """The row of the span that each id names, the first where there are several; -1 where there is none."""
    row_of = pd.Series(np.arange(len(spans)), index=spans["id"].array)
    rows = row_of[~row_of.index.duplicated()].reindex(ids.array)
    return rows.fillna(-1).to_numpy(dtype=np.int64)


class Followable:
    """What makes a collection of lines be drawn only while those in view are so few that they can be followed.

    ``low`` and ``high`` are the ends of each line on the time axis, ``most`` how many there may be for each inch.
    """

    axes: Any
    low: Floats
    high: Floats
    most: float

    def n_in_view(self) -> int:
        """How many are in view."""
        low, high = sorted(self.axes.get_xlim())
        return int(((self.high >= low) & (self.low <= high)).sum())

    def too_many(self) -> bool:
        """Whether nobody could follow them."""
        return bool(self.n_in_view() > self.most * self.axes.bbox.width / self.axes.figure.dpi)

    def draw(self, renderer: Any) -> None:
        """Draw them, unless they are too many."""
        if not self.too_many():
            super().draw(renderer)  # type: ignore[misc]
