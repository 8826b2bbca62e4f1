"""Swarm: dots on one axis, in rows, moved across the axis so that they do not cover each other.

Dots are intervals on the axis as wide as a dot. They are packed into lanes, from the left, and the lanes of a row lie around
its middle: the first on it, the next on one side, the next on the other. So the same values always give the same picture.
"""

import numpy as np

from tokenvis.layout.lanes import lowest_free_lanes
from tokenvis.spans.integers import Float64Array, Int64Array

STEPS_PER_PIXEL = 16


def swarm_offsets(row: Int64Array, x: Float64Array, diameter: float, height: float) -> Float64Array:
    """How far each dot is moved from the middle of its row, all in pixels; in no row by more than half of ``height``.

    If the lanes of a row are higher than that, they are closer to each other than a dot is wide.
    """
    left = np.round(x * STEPS_PER_PIXEL).astype(np.int64)
    lane = lowest_free_lanes(row, left, left + max(round(diameter * STEPS_PER_PIXEL), 1) - 1)
    level = np.where(lane % 2 == 1, (lane + 1) // 2, -(lane // 2))
    highest = np.zeros(int(row.max(initial=-1)) + 1, dtype=np.int64)
    np.maximum.at(highest, row, np.abs(level))
    free = max(height - diameter, 0.0) / 2
    offsets: Float64Array = level * np.minimum(diameter, free / np.maximum(highest, 1))[row]
    return offsets
