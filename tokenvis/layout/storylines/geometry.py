"""Geometry: the lines of a storyline as they are drawn, in pieces, and the boxes of groups behind them.

A group box shows a group over time: it continues as long as one of its agents stays, also in a short pause. Where its lines
move, and where agents come and go, its borders move with them. It begins when the last of its first lines has arrived, and ends
when the first of its last lines leaves.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from tokenvis.layout.storylines.blocks import ABSENT, LayerTable
from tokenvis.layout.storylines.curves import LineCurve, line_curves, smoothstep_points, vertical_moves
from tokenvis.spans.columns import codes_of
from tokenvis.spans.integers import Float64Array, Int64Array

PointArray = np.ndarray[tuple[int, int], np.dtype[np.float64]]

FIRST_BRANCH_OFFSET, BRANCH_LANE_HEIGHT = 0.2, 0.1  # distance of side branches from their line, and from each other
MAX_BRANCH_LANES = 3  # further lanes overlap
MAX_BRANCHES = 2_000  # only the longest are drawn
MAX_INSET_SHARE = 0.45


@dataclass(frozen=True)
class LinePiece:
    """A part of an agent's line; ``has_span`` is whether the agent has a span during it."""

    agent: int
    curve: LineCurve
    has_span: bool


@dataclass(frozen=True)
class GroupBox:
    """The box of a group; ``levels`` are the parts in which its lines are level: (x0, x1, top, bottom)."""

    group: int
    levels: list[tuple[float, float, float, float]] = field(default_factory=list)

    def outline(self, pad: float, inset: float = 0.0) -> PointArray:
        """The border as a polygon, ``pad`` above the first line and below the last one, without ``inset`` at both ends.

        The first and the last level lose at most `MAX_INSET_SHARE` of their width.
        """
        x0, x1, top, bottom = np.array(self.levels).T
        first, last = x1[0] - x0[0], x1[-1] - x0[-1]
        x0[0] += min(inset, MAX_INSET_SHARE * first)
        x1[-1] -= min(inset, MAX_INSET_SHARE * last)
        return np.concatenate([smooth_edge(x0, x1, top - pad), smooth_edge(x0, x1, bottom + pad)[::-1]])


def smooth_edge(x0: Float64Array, x1: Float64Array, level: Float64Array) -> PointArray:
    """Points along levels, with smooth transitions between them."""
    x, y = smoothstep_points(x1[:-1], x0[1:], level[:-1], level[1:])
    return np.column_stack([np.concatenate([x0[:1], x, x1[-1:]]), np.concatenate([level[:1], y, level[-1:]])])


@dataclass(frozen=True)
class StorylineGeometry:
    """The lines of one trace on a time axis.

    ``agents`` are in order of appearance, ``groups`` in lexical order. ``heights``, ``location_codes`` and ``group_codes`` have
    a row for each layer and a column for each agent, -1 if there is none; an agent in a short pause has a group, but no
    location. ``edges`` are the positions of the layer boundaries on the axis, and ``curves`` are the curves of each agent's
    line.
    """

    agents: list[str]
    groups: list[str]
    heights: LayerTable
    location_codes: LayerTable
    group_codes: LayerTable
    edges: Float64Array
    curves: list[list[LineCurve]]

    @property
    def bottom(self) -> int:
        """The height of the lowest line."""
        return int(self.heights.max(initial=0))

    @cached_property
    def agent_numbers(self) -> dict[str, int]:
        """The number of each agent."""
        return {name: agent for agent, name in enumerate(self.agents)}

    def heights_at(self, agent: Int64Array, x: Float64Array) -> Float64Array:
        """The heights of agents' lines at positions on the axis; outside a line, the height of its nearest point."""
        y = np.empty(len(x))
        for agent_number in np.unique(agent).tolist():
            is_agent = agent == agent_number
            curves = self.curves[agent_number]
            whole_curve = LineCurve(*(np.concatenate([getattr(curve, axis) for curve in curves]) for axis in ("x", "y")))
            y[is_agent] = whole_curve.y_at(x[is_agent])
        return y

    def pieces(self) -> list[LinePiece]:
        """The lines in pieces, split where an agent's spans begin and end."""
        return [
            LinePiece(agent, curve.between(x0, x1), self.has_span(agent, x0, x1))
            for agent, curves in enumerate(self.curves)
            for curve in curves
            for x0, x1 in self.split_interval(agent, curve.x[0], curve.x[-1])
        ]

    def moving_pieces(self) -> list[LinePiece]:
        """The parts of the lines that go up or down, split in the same way."""
        moves = vertical_moves(self.heights, self.edges)
        pieces = []
        for agent, layer, start, end in zip(moves.agent.tolist(), moves.layer.tolist(), moves.x0, moves.x1, strict=True):
            curve = self.curve_at(agent, self.edges[layer])
            pieces += [
                LinePiece(agent, curve.between(x0, x1), self.has_span(agent, x0, x1))
                for x0, x1 in self.split_interval(agent, start, end)
            ]
        return pieces

    def curve_at(self, agent: int, x: float) -> LineCurve:
        """The curve of an agent at a position on the axis, or the last one before it."""
        curves = self.curves[agent]
        return curves[max(bisect_right([curve.x[0] for curve in curves], x) - 1, 0)]

    def split_interval(self, agent: int, start: float, end: float) -> Iterator[tuple[float, float]]:
        """An interval of the axis, split where an agent's spans begin and end."""
        has_span = self.location_codes[:, agent] >= 0
        changes = self.edges[1:-1][has_span[1:] != has_span[:-1]]
        return pairwise([start, *changes[(changes > start) & (changes < end)].tolist(), end])

    def has_span(self, agent: int, start: float, end: float) -> bool:
        """Whether an agent has a span in the middle of an interval."""
        layer = int(np.searchsorted(self.edges, (start + end) / 2, side="right")) - 1
        return bool(self.location_codes[min(layer, len(self.location_codes) - 1), agent] >= 0)

    def group_boxes(self) -> list[GroupBox]:
        """The boxes of all groups, by first appearance."""
        arrivals, departures = self.level_times()
        all_boxes: list[GroupBox] = []
        current_boxes: dict[int, tuple[GroupBox, list[int]]] = {}
        for layer in range(len(self.heights)):
            continued: dict[int, tuple[GroupBox, list[int]]] = {}
            for group, agents in self.groups_in_layer(layer).items():
                box, previous_agents = current_boxes.get(group, (None, []))
                if box is None or not set(previous_agents) & set(agents):
                    box = GroupBox(group)
                    all_boxes.append(box)
                x0, x1 = float(arrivals[layer, agents].max()), float(departures[layer, agents].min())
                if x0 > x1:
                    x0 = x1 = (x0 + x1) / 2
                heights = self.heights[layer, agents].tolist()
                extend_levels(box.levels, (x0, x1, min(heights), max(heights)))
                continued[group] = box, agents
            current_boxes = continued
        return all_boxes

    def groups_in_layer(self, layer: int) -> dict[int, list[int]]:
        """The agents of each group of a layer, by group code."""
        groups: dict[int, list[int]] = {}
        (agents,) = np.nonzero(self.group_codes[layer] >= 0)
        for agent, group in zip(agents.tolist(), self.group_codes[layer, agents].tolist(), strict=True):
            groups.setdefault(group, []).append(agent)
        return groups

    def group_extents(self) -> list[tuple[int, int, int]]:
        """The highest and the lowest line of each group, from the top: (group code, top, bottom)."""
        extents = []
        for group in np.unique(self.group_codes[self.group_codes >= 0]).tolist():
            heights = self.heights[self.group_codes == group]
            extents.append((group, int(heights.min()), int(heights.max())))
        return sorted(extents, key=lambda extent: extent[1])

    def level_times(self) -> tuple[PointArray, PointArray]:
        """The start and the end of the level part of each line in each layer."""
        moves = vertical_moves(self.heights, self.edges)
        arrivals = np.repeat(self.edges[:-1, None], len(self.agents), axis=1)
        departures = np.repeat(self.edges[1:, None], len(self.agents), axis=1)
        arrivals[moves.layer, moves.agent] = np.clip(moves.x1, self.edges[moves.layer], self.edges[moves.layer + 1])
        departures[moves.layer - 1, moves.agent] = np.clip(moves.x0, self.edges[moves.layer - 1], self.edges[moves.layer])
        return arrivals, departures


def extend_levels(levels: list[tuple[float, float, float, float]], level: tuple[float, float, float, float]) -> None:
    """Append a level, or extend the last one if its top and bottom are the same."""
    if levels and levels[-1][2:] == level[2:]:
        level = (levels.pop()[0], *level[1:])
    levels.append(level)


def storyline_geometry(lines: pd.DataFrame, by: str, to_x: Callable[[Int64Array], Float64Array]) -> StorylineGeometry:
    """The geometry of one trace's lines, from the table of `tokenvis.storyline`.

    ``to_x`` maps times to positions on the axis.
    """
    layer, agent_code = lines["layer"].to_numpy(), codes_of(lines["agent_id"])
    agent, first_agents = pd.factorize(agent_code[0])
    location_codes = codes_of(lines["location_id"])[0]
    group_codes, groups = codes_of(lines[by])
    shape = int(layer.max()) + 1, len(first_agents)

    def table(values: Any) -> LayerTable:
        filled = np.full(shape, ABSENT, dtype=np.int32)
        filled[layer, agent] = values
        return filled

    heights = table(lines["y"])
    starts, ends = np.zeros(shape[0], dtype=np.int64), np.zeros(shape[0], dtype=np.int64)
    starts[layer], ends[layer] = lines["start"], lines["end"]
    edges = to_x(layer_edges(starts, ends, np.isin(np.arange(shape[0]), layer)))
    group_table, is_pause = table(group_codes), table(lines["is_pause"]) > 0
    for after in range(1, shape[0]):
        group_table[after] = np.where(is_pause[after], group_table[after - 1], group_table[after])
    agent_names, group_names = ([str(value) for value in values] for values in (agent_code[1][first_agents], groups))
    return StorylineGeometry(
        agent_names, group_names, heights, table(location_codes), group_table, edges, line_curves(heights, edges)
    )


def layer_edges(start: Int64Array, end: Int64Array, has_lines: "np.ndarray[tuple[int], np.dtype[np.bool_]]") -> Int64Array:
    """The edges of all layers; a layer without lines extends from its predecessor to its successor."""
    edges = np.append(start, end[-1:])
    edges[1:][has_lines] = end[has_lines]
    edges[:-1][has_lines] = start[has_lines]
    return edges


def branch_curves(
    geometry: StorylineGeometry, branches: pd.DataFrame, to_x: Callable[[Int64Array], Float64Array]
) -> list[tuple[int, LineCurve]]:
    """The agent and the curve of each side branch, at a distance from the agent's line that grows with the lane.

    If there are more than `MAX_BRANCHES`, only the longest.
    """
    longest = np.argsort((branches["start"] - branches["end"]).to_numpy(), kind="stable")[:MAX_BRANCHES]
    branches = branches.iloc[np.sort(longest)]
    x0, x1 = (to_x(branches[column].to_numpy()).tolist() for column in ("start", "end"))
    offsets = (FIRST_BRANCH_OFFSET + BRANCH_LANE_HEIGHT * np.minimum(branches["lane"], MAX_BRANCH_LANES - 1)).tolist()
    curves = []
    for name, start, end, offset in zip(branches["agent_id"].astype(str), x0, x1, offsets, strict=True):
        agent = geometry.agent_numbers[name]
        curve = geometry.curve_at(agent, start)
        beside = curve.between(start, max(min(end, float(curve.x[-1])), start))
        curves.append((agent, LineCurve(beside.x, beside.y + offset)))
    return curves
