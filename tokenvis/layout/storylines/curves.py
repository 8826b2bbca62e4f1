"""Curves: how lines get from their height in one layer to that in the next.

At a boundary, lines whose ways overlap take the same time for them, the more the further the longest of these ways is, but at
most two fifths of either layer, so that a line is level in each of them for a while. Between two lines that take the same time,
the distance shrinks and grows in one direction alone; so they cross where their orders differ, once, and nowhere else, and
those that move together stay parallel. A way ends at the boundary where a line begins in its midst, and begins there where one
ends; where one ends and another begins, it passes through the middle, over the end of the one or the beginning of the other.
"""

from dataclasses import dataclass

import numpy as np

from tokenvis.layout.storylines.blocks import Table
from tokenvis.spans.integers import Floats, Int64Array, opens_run, running_max

SLOWNESS = 0.013  # half of what a way of height 1 takes, of the width of the whole; one of height 4 takes twice as long
SHARE = 0.4  # of a layer, that the ways at either side of it take at most
SAMPLES = 17  # points of a way


@dataclass(frozen=True)
class Ways:
    """The moves of all lines: the agent, the layer after it, the heights before and after, and from where to where it goes."""

    agent: Int64Array
    layer: Int64Array
    before: Int64Array
    after: Int64Array
    x0: Floats
    x1: Floats


def ways_of(heights: Table, edges: Floats) -> Ways:
    """The ways of all lines, by layer, then agent.

    ``edges`` are the places of the boundaries on the axis, in ascending order, one more than there are layers.
    """
    changed = np.flatnonzero((heights[1:] != heights[:-1]).any(axis=1)) + 1
    before, after = heights[changed - 1], heights[changed]
    both = (before >= 0) & (after >= 0)
    comes, goes = (before < 0) & (after >= 0), (before >= 0) & (after < 0)
    top = np.where(both, np.minimum(before, after), np.maximum(before, after))
    bottom = np.maximum(before, after)
    step, agent = np.nonzero(both & (before != after) | comes | goes)
    cluster = clusters(step, top[step, agent], bottom[step, agent])
    n_clusters = int(cluster.max(initial=-1)) + 1
    longest = np.zeros(n_clusters, dtype=np.int64)
    np.maximum.at(longest, cluster, (bottom - top)[step, agent])
    begins, ends = np.zeros(n_clusters, dtype=bool), np.zeros(n_clusters, dtype=bool)
    begins[cluster[comes[step, agent]]] = True
    ends[cluster[goes[step, agent]]] = True
    at = edges[changed]
    room = SHARE * np.minimum(at - edges[np.append(0, changed[:-1])], edges[np.append(changed[1:], len(heights))] - at)
    moving = both[step, agent]
    step, agent, cluster = step[moving], agent[moving], cluster[moving]
    side = ends[cluster].astype(int) - begins[cluster]
    room = np.where(side == 0, room[step], room[step] / 2)  # on one side alone
    width = np.minimum(SLOWNESS * (edges[-1] - edges[0]) * np.sqrt(longest[cluster]), room)
    shift = width * side
    x0, x1 = at[step] - width + shift, at[step] + width + shift
    return Ways(agent, changed[step], before[step, agent].astype(np.int64), after[step, agent].astype(np.int64), x0, x1)


def clusters(step: Int64Array, top: Int64Array, bottom: Int64Array) -> Int64Array:
    """Number the rows of which, at the same step, one reaches as far down as the next begins; each number is of one step."""
    order = np.lexsort((top, step))
    step, top = step[order], top[order]
    reach = running_max(step, bottom[order])
    opens = opens_run(step)
    opens[1:] |= top[1:] > reach[:-1]
    cluster = np.empty(len(order), dtype=np.int64)
    cluster[order] = np.cumsum(opens) - 1
    return cluster


@dataclass(frozen=True)
class Course:
    """How one line runs: places on the axis, and its height at each."""

    x: Floats
    y: Floats

    def at(self, x: Floats) -> Floats:
        """Its height at these places."""
        height: Floats = np.interp(x, self.x, self.y)
        return height

    def between(self, x0: float, x1: float) -> "Course":
        """The part of it between two places."""
        inner = (self.x > x0) & (self.x < x1)
        x = np.concatenate([[x0], self.x[inner], [x1]])
        return Course(x, self.at(x))


def courses(heights: Table, edges: Floats) -> list[list[Course]]:
    """The courses of each agent, from left to right: one for each stretch in which it is present without a break."""
    ways = ways_of(heights, edges)
    order = np.argsort(ways.agent, kind="stable")
    of_agent = np.searchsorted(ways.agent[order], np.arange(heights.shape[1] + 1))
    found = []
    for agent, here in enumerate((heights >= 0).T):
        own = order[of_agent[agent] : of_agent[agent + 1]]
        change = np.flatnonzero(np.diff(here, prepend=False, append=False))
        found.append([course(heights[:, agent], edges, ways, own, *stretch) for stretch in change.reshape(-1, 2).tolist()])
    return found


def course(height: Table, edges: Floats, ways: Ways, own: Int64Array, first: int, stop: int) -> Course:
    """The course of an agent from the layer ``first`` to the one before ``stop``; ``own`` are its ways, from left to right."""
    own = own[(ways.layer[own] > first) & (ways.layer[own] < stop)]
    way_x, way_y = eased(ways.x0[own], ways.x1[own], ways.before[own].astype(float), ways.after[own].astype(float))
    x = np.concatenate([edges[[first]], way_x, edges[[stop]]])
    y = np.concatenate([height[[first]], way_y, height[[stop - 1]]])
    return Course(x, y)


def eased(x0: Floats, x1: Floats, before: Floats, after: Floats) -> tuple[Floats, Floats]:
    """Points of smooth ways from (x0, before) to (x1, after), one way after the other."""
    share = np.linspace(0.0, 1.0, SAMPLES)
    smooth = share * share * (3.0 - 2.0 * share)
    x, y = (one[:, None] + (two - one)[:, None] * part for one, two, part in ((x0, x1, share), (before, after, smooth)))
    return x.ravel(), y.ravel()
