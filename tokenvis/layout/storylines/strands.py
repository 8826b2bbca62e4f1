"""Strands: the lines of a storyline as they are drawn, piece by piece, and the rooms that they run through.

A room is a group through time: it goes on while the same agents stay together at one location. Where they move, its borders
move with them; it begins where the last of its lines has arrived, and ends where the first one leaves.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from tokenvis.layout.storylines.blocks import ABSENT, Table
from tokenvis.layout.storylines.curves import Course, courses, eased, ways_of
from tokenvis.spans.columns import codes_of
from tokenvis.spans.integers import Floats, Int64Array

Points = np.ndarray[tuple[int, int], np.dtype[np.float64]]

FIRST_LANE, LANE = 0.2, 0.1  # how far side branches are from their line, and from each other
MOST_LANES = 3  # that are told apart
MOST_BRANCHES = 2_000  # that are drawn, the longest


@dataclass(frozen=True)
class Piece:
    """A part of an agent's line, ``is_here`` where the agent has a span."""

    agent: int
    course: Course
    is_here: bool


@dataclass(frozen=True)
class Room:
    """A group through time, at a location; ``levels`` are where its lines are level: (x0, x1, top, bottom)."""

    location: int
    is_meeting: bool
    levels: list[tuple[float, float, float, float]] = field(default_factory=list)

    def outline(self, pad: float) -> Points:
        """Its border, so far above its first line and below its last one, as a polygon."""
        x0, x1, top, bottom = np.array(self.levels).T
        return np.concatenate([border(x0, x1, top - pad), border(x0, x1, bottom + pad)[::-1]])


def border(x0: Floats, x1: Floats, level: Floats) -> Points:
    """Points along levels, with smooth ways between them."""
    x, y = eased(x1[:-1], x0[1:], level[:-1], level[1:])
    return np.column_stack([np.concatenate([x0[:1], x, x1[-1:]]), np.concatenate([level[:1], y, level[-1:]])])


@dataclass(frozen=True)
class Strands:
    """The lines of one trace on a time axis.

    ``agents`` are in the order in which they appear, ``locations`` and ``groups`` in lexical order. ``heights``, ``places`` (a
    number of a location) and ``names`` (that of a group) have a row a layer and a column an agent, -1 where there is none;
    ``edges`` are where the borders of the layers stand on the axis, and ``courses`` how each agent's line runs.
    """

    agents: list[str]
    locations: list[str]
    groups: list[str]
    heights: Table
    places: Table
    names: Table
    edges: Floats
    courses: list[list[Course]]

    @property
    def bottom(self) -> int:
        """The height of the lowest line."""
        return int(self.heights.max(initial=0))

    @cached_property
    def number(self) -> dict[str, int]:
        """The number of each agent."""
        return {name: agent for agent, name in enumerate(self.agents)}

    def at(self, agent: Int64Array, x: Floats) -> Floats:
        """The height of agents' lines at places on the axis; where an agent has none, that of its nearest one."""
        y = np.empty(len(x))
        for number in np.unique(agent).tolist():
            own = agent == number
            parts = self.courses[number]
            every = Course(*(np.concatenate([getattr(part, axis) for part in parts]) for axis in ("x", "y")))
            y[own] = every.at(x[own])
        return y

    def runs(self) -> list[Piece]:
        """The lines in pieces, cut where an agent comes to a span, or has none any more."""
        return [
            Piece(agent, part.between(x0, x1), self.is_here(agent, x0, x1))
            for agent, parts in enumerate(self.courses)
            for part in parts
            for x0, x1 in self.cut(agent, part.x[0], part.x[-1])
        ]

    def moves(self) -> list[Piece]:
        """The parts of the lines that go up or down, cut in the same places."""
        ways = ways_of(self.heights, self.edges)
        found = []
        for agent, layer, start, end in zip(ways.agent.tolist(), ways.layer.tolist(), ways.x0, ways.x1, strict=True):
            part = self.part_at(agent, self.edges[layer])
            found += [Piece(agent, part.between(x0, x1), self.is_here(agent, x0, x1)) for x0, x1 in self.cut(agent, start, end)]
        return found

    def part_at(self, agent: int, x: float) -> Course:
        """The course of an agent at a place on the axis, or the last one before it."""
        parts = self.courses[agent]
        return parts[max(bisect_right([part.x[0] for part in parts], x) - 1, 0)]

    def cut(self, agent: int, start: float, end: float) -> Iterator[tuple[float, float]]:
        """A stretch of the axis, cut where an agent comes to a span or has none any more."""
        here = self.places[:, agent] >= 0
        changes = self.edges[1:-1][here[1:] != here[:-1]]
        return pairwise([start, *changes[(changes > start) & (changes < end)].tolist(), end])

    def is_here(self, agent: int, start: float, end: float) -> bool:
        """Whether an agent has a span in the middle of a stretch."""
        layer = int(np.searchsorted(self.edges, (start + end) / 2, side="right")) - 1
        return bool(self.places[min(layer, len(self.places) - 1), agent] >= 0)

    def rooms(self) -> list[Room]:
        """The groups that are at a location, through time, by first appearance."""
        arrive, leave = self.level_times()
        found: list[Room] = []
        going: dict[int, tuple[Room, set[int]]] = {}
        for layer in range(len(self.heights)):
            still: dict[int, tuple[Room, set[int]]] = {}
            for name, members in self.members(layer).items():
                room, before = going.get(name, (None, set()))
                if room is None or before != set(members):
                    room = Room(int(self.places[layer, members[0]]), len(members) > 1)
                    found.append(room)
                x0, x1 = float(arrive[layer, members].max()), float(leave[layer, members].min())
                if x0 > x1:
                    x0 = x1 = (x0 + x1) / 2
                heights = self.heights[layer, members].tolist()
                extend(room.levels, (x0, x1, min(heights), max(heights)))
                still[name] = room, set(members)
            going = still
        return found

    def members(self, layer: int) -> dict[int, list[int]]:
        """The agents of each group of a layer that is at a location, by the number of its name; one without runs alone."""
        groups: dict[int, list[int]] = {}
        (agents,) = np.nonzero(self.places[layer] >= 0)
        for agent, name in zip(agents.tolist(), self.names[layer, agents].tolist(), strict=True):
            groups.setdefault(name if name >= 0 else ABSENT - agent - 1, []).append(agent)
        return groups

    def zones(self) -> list[tuple[int, int, int]]:
        """The first and the last height of each group, from the top: (number of its name, first, last)."""
        found = []
        for name in np.unique(self.names[self.names >= 0]).tolist():
            heights = self.heights[self.names == name]
            found.append((name, int(heights.min()), int(heights.max())))
        return sorted(found, key=lambda zone: zone[1])

    def level_times(self) -> tuple[Points, Points]:
        """From when to when each line is level in each layer."""
        ways = ways_of(self.heights, self.edges)
        arrive = np.repeat(self.edges[:-1, None], len(self.agents), axis=1)
        leave = np.repeat(self.edges[1:, None], len(self.agents), axis=1)
        arrive[ways.layer, ways.agent] = np.clip(ways.x1, self.edges[ways.layer], self.edges[ways.layer + 1])
        leave[ways.layer - 1, ways.agent] = np.clip(ways.x0, self.edges[ways.layer - 1], self.edges[ways.layer])
        return arrive, leave


def extend(levels: list[tuple[float, float, float, float]], level: tuple[float, float, float, float]) -> None:
    """Add a level, or lengthen the last one where it is the same."""
    if levels and levels[-1][2:] == level[2:]:
        level = (levels.pop()[0], *level[1:])
    levels.append(level)


def strands_of(lines: pd.DataFrame, by: str, to_x: Callable[[Int64Array], Floats]) -> Strands:
    """The strands of one trace's lines, as `tokenvis.storyline` gives them; ``to_x`` gives places on the axis of times."""
    layer, agent_code = lines["layer"].to_numpy(), codes_of(lines["agent_id"])
    agent, appear = pd.factorize(agent_code[0])
    (place, locations), (name, groups) = codes_of(lines["location_id"]), codes_of(lines[by])
    shape = int(layer.max()) + 1, len(appear)

    def table(values: Any) -> Table:
        whole = np.full(shape, ABSENT, dtype=np.int32)
        whole[layer, agent] = values
        return whole

    heights = table(lines["y"])
    starts, ends = np.zeros(shape[0], dtype=np.int64), np.zeros(shape[0], dtype=np.int64)
    starts[layer], ends[layer] = lines["start"], lines["end"]
    edges = to_x(edges_of(starts, ends, np.isin(np.arange(shape[0]), layer)))
    agents, places, names = ([str(value) for value in values] for values in (agent_code[1][appear], locations, groups))
    return Strands(agents, places, names, heights, table(place), table(name), edges, courses(heights, edges))


def edges_of(start: Int64Array, end: Int64Array, known: "np.ndarray[tuple[int], np.dtype[np.bool_]]") -> Int64Array:
    """The borders of all layers; one in which nobody is lies between its neighbours."""
    edges = np.append(start, end[-1:])
    edges[1:][known] = end[known]
    edges[:-1][known] = start[known]
    return edges


def branch_courses(strands: Strands, branches: pd.DataFrame, to_x: Callable[[Int64Array], Floats]) -> list[tuple[int, Course]]:
    """The course of each side branch, and its agent: beside the agent's own line, further away the higher its lane.

    Of very many, the longest ones.
    """
    longest = np.argsort((branches["start"] - branches["end"]).to_numpy(), kind="stable")[:MOST_BRANCHES]
    branches = branches.iloc[np.sort(longest)]
    x0, x1 = (to_x(branches[column].to_numpy()).tolist() for column in ("start", "end"))
    away = (FIRST_LANE + LANE * np.minimum(branches["lane"], MOST_LANES - 1)).tolist()
    found = []
    for name, start, end, lane in zip(branches["agent_id"].astype(str), x0, x1, away, strict=True):
        agent = strands.number[name]
        part = strands.part_at(agent, start)
        beside = part.between(start, max(min(end, float(part.x[-1])), start))
        found.append((agent, Course(beside.x, beside.y + lane)))
    return found


def time_together(strands: Strands) -> Floats:
    """How long each agent shares a location, on the axis."""
    together = np.zeros(len(strands.agents))
    for layer, width in enumerate(np.diff(strands.edges).tolist()):
        for members in strands.members(layer).values():
            together[members] += width * (len(members) > 1)
    return together
