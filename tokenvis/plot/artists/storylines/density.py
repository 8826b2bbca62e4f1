"""Whether the lines of a storyline can be followed in the current view, and what to do if not."""

from typing import Any

from tokenvis.layout.storylines.turns import Turns
from tokenvis.plot.artists.times.ticks import nice_step

MIN_TURN_POINTS = 8.0  # the mean length of a line between two turns: about the height of a letter
MIN_ROW_POINTS = 3.0  # between two lines
FEWER_AGENTS_DIVISOR = 3  # a third of the agents may be readable


class DensityReport:
    """Reports in the note of a storyline that its lines turn too often, or are too close, to follow them.

    It then names the options that help: fewer agents, a larger ``shortest_us`` than that of the picture, or another column.
    """

    def __init__(self, axes: Any, turns: Turns, *, n_agents: int, shortest_us: int) -> None:
        self.axes, self.turns, self.n_agents, self.shortest_us = axes, turns, n_agents, shortest_us

    def messages(self) -> list[str]:
        """One sentence if the lines are too dense in the current view, else none."""
        low, high = sorted(self.axes.get_xlim())
        width, height = (side / self.axes.figure.dpi * 72 for side in (self.axes.bbox.width, self.axes.bbox.height))
        per_point = (high - low) / max(width, 1.0)
        row_points = height / abs(float(self.axes.get_ylim()[1] - self.axes.get_ylim()[0]))
        if self.turns.mean_distance(low, high) >= MIN_TURN_POINTS * per_point and row_points >= MIN_ROW_POINTS:
            return []
        shortest_us = nice_step(max(MIN_TURN_POINTS * per_point, 2.0 * self.shortest_us))
        fewer = [f"agents={max(self.n_agents // FEWER_AGENTS_DIVISOR, 2)}"] if self.n_agents > 2 else []
        return ["too dense: try " + ", ".join([*fewer, f"shortest_us={shortest_us:_}", "or another by="])]
