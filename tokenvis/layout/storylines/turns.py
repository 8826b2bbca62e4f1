"""Turns: where the lines of a storyline go up or down, or cross. The eye loses a line that turns too often."""

from dataclasses import dataclass

import numpy as np

from tokenvis.layout.storylines.blocks import count_crossings
from tokenvis.layout.storylines.curves import vertical_moves
from tokenvis.layout.storylines.geometry import StorylineGeometry
from tokenvis.spans.integers import Float64Array, Int64Array


@dataclass(frozen=True)
class Turns:
    """The turns of all lines.

    ``count`` is the number of turns at each position ``x`` of the axis: a line turns where it moves, and two lines where they
    cross. ``x0`` and ``x1`` are where each line begins and ends.
    """

    x: Float64Array
    count: Int64Array
    x0: Float64Array
    x1: Float64Array

    def mean_distance(self, low: float, high: float) -> float:
        """The length of all lines between two positions of the axis, for each turn there; infinite if nothing turns."""
        n_turns = int(self.count[(self.x >= low) & (self.x <= high)].sum())
        length = np.maximum(np.minimum(self.x1, high) - np.maximum(self.x0, low), 0.0).sum()
        return float(length) / n_turns if n_turns else np.inf


def turns_of(geometry: StorylineGeometry) -> Turns:
    """The turns of a story."""
    heights = geometry.heights
    moves = vertical_moves(heights, geometry.edges)
    layer, n_moves = np.unique(moves.layer, return_counts=True)
    n_crossings = np.array([count_crossings(heights[after - 1 : after + 1]) for after in layer.tolist()], dtype=np.int64)
    curves = [curve for curves_of_agent in geometry.curves for curve in curves_of_agent]
    x0, x1 = (np.array([curve.x[end] for curve in curves], dtype=float) for end in (0, -1))
    return Turns(geometry.edges[layer], n_moves + 2 * n_crossings, x0, x1)
