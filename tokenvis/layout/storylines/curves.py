"""Curves: how lines move from their height in one layer to their height in the next.

At a boundary, lines whose vertical ranges overlap move during the same time interval. It grows with the longest of these moves,
but takes at most two fifths of either layer, so that each line is level for a while in each layer. During a shared interval the
distance of two lines changes monotonically, so they cross exactly once if their order changes, and never otherwise; lines that
move together stay parallel. A move ends at the boundary if a line begins within its range, and begins there if a line ends; if
both happen, it is centred on the boundary, and passes over the end of one line or the beginning of the other.
"""

from dataclasses import dataclass

import numpy as np

from tokenvis.layout.storylines.blocks import LayerTable
from tokenvis.spans.integers import Float64Array, Int64Array, run_starts, running_max

MOVE_HALF_WIDTH = 0.013  # of the total width, for a move of height 1; a move of height 4 takes twice as long
MAX_MOVE_SHARE = 0.4  # of a layer, for the moves at each of its edges
POINTS_PER_MOVE = 17


@dataclass(frozen=True)
class VerticalMoves:
    """The moves of all lines: agent, layer after the move, height before and after it, and its interval on the axis."""

    agent: Int64Array
    layer: Int64Array
    before: Int64Array
    after: Int64Array
    x0: Float64Array
    x1: Float64Array


def vertical_moves(heights: LayerTable, edges: Float64Array) -> VerticalMoves:
    """The moves of all lines, by layer, then agent.

    ``edges`` are the positions of the layer boundaries on the axis, in ascending order, one more than there are layers.
    """
    changed = np.flatnonzero((heights[1:] != heights[:-1]).any(axis=1)) + 1
    before, after = heights[changed - 1], heights[changed]
    in_both = (before >= 0) & (after >= 0)
    begins, ends = (before < 0) & (after >= 0), (before >= 0) & (after < 0)
    top = np.where(in_both, np.minimum(before, after), np.maximum(before, after))
    bottom = np.maximum(before, after)
    step, agent = np.nonzero(in_both & (before != after) | begins | ends)
    cluster = overlap_clusters(step, top[step, agent], bottom[step, agent])
    n_clusters = int(cluster.max(initial=-1)) + 1
    longest = np.zeros(n_clusters, dtype=np.int64)
    np.maximum.at(longest, cluster, (bottom - top)[step, agent])
    cluster_has_begin, cluster_has_end = np.zeros(n_clusters, dtype=bool), np.zeros(n_clusters, dtype=bool)
    cluster_has_begin[cluster[begins[step, agent]]] = True
    cluster_has_end[cluster[ends[step, agent]]] = True
    boundary = edges[changed]
    max_half_width = MAX_MOVE_SHARE * np.minimum(
        boundary - edges[np.append(0, changed[:-1])], edges[np.append(changed[1:], len(heights))] - boundary
    )
    is_move = in_both[step, agent]
    step, agent, cluster = step[is_move], agent[is_move], cluster[is_move]
    side = cluster_has_end[cluster].astype(int) - cluster_has_begin[cluster]
    max_half_width = np.where(side == 0, max_half_width[step], max_half_width[step] / 2)  # the move is on one side only
    half_width = np.minimum(MOVE_HALF_WIDTH * (edges[-1] - edges[0]) * np.sqrt(longest[cluster]), max_half_width)
    shift = half_width * side
    x0, x1 = boundary[step] - half_width + shift, boundary[step] + half_width + shift
    return VerticalMoves(
        agent, changed[step], before[step, agent].astype(np.int64), after[step, agent].astype(np.int64), x0, x1
    )


def overlap_clusters(step: Int64Array, top: Int64Array, bottom: Int64Array) -> Int64Array:
    """Number the rows by clusters: rows of one step whose ranges, from top to bottom, overlap or touch."""
    order = np.lexsort((top, step))
    step, top = step[order], top[order]
    lowest = running_max(step, bottom[order])
    opens_cluster = run_starts(step)
    opens_cluster[1:] |= top[1:] > lowest[:-1]
    cluster = np.empty(len(order), dtype=np.int64)
    cluster[order] = np.cumsum(opens_cluster) - 1
    return cluster


@dataclass(frozen=True)
class LineCurve:
    """The curve of one line: positions on the axis, and the height of the line at each of them."""

    x: Float64Array
    y: Float64Array

    def y_at(self, x: Float64Array) -> Float64Array:
        """The height at these positions."""
        height: Float64Array = np.interp(x, self.x, self.y)
        return height

    def between(self, x0: float, x1: float) -> "LineCurve":
        """The part of the curve between two positions."""
        inner = (self.x > x0) & (self.x < x1)
        x = np.concatenate([[x0], self.x[inner], [x1]])
        return LineCurve(x, self.y_at(x))


def line_curves(heights: LayerTable, edges: Float64Array) -> list[list[LineCurve]]:
    """The curves of each agent, from left to right: one for each stretch in which it is present without a break."""
    moves = vertical_moves(heights, edges)
    order = np.argsort(moves.agent, kind="stable")
    of_agent = np.searchsorted(moves.agent[order], np.arange(heights.shape[1] + 1))
    curves = []
    for agent, is_present in enumerate((heights >= 0).T):
        own_moves = order[of_agent[agent] : of_agent[agent + 1]]
        stretch_edges = np.flatnonzero(np.diff(is_present, prepend=False, append=False))
        curves.append(
            [
                line_curve(heights[:, agent], edges, moves, own_moves, *stretch)
                for stretch in stretch_edges.reshape(-1, 2).tolist()
            ]
        )
    return curves


def line_curve(
    height: LayerTable, edges: Float64Array, moves: VerticalMoves, own_moves: Int64Array, first: int, stop: int
) -> LineCurve:
    """The curve of an agent from the layer ``first`` to the one before ``stop``.

    ``own_moves`` are its moves, from left to right.
    """
    own_moves = own_moves[(moves.layer[own_moves] > first) & (moves.layer[own_moves] < stop)]
    move_x, move_y = smoothstep_points(
        moves.x0[own_moves], moves.x1[own_moves], moves.before[own_moves].astype(float), moves.after[own_moves].astype(float)
    )
    x = np.concatenate([edges[[first]], move_x, edges[[stop]]])
    y = np.concatenate([height[[first]], move_y, height[[stop - 1]]])
    return LineCurve(x, y)


def smoothstep_points(
    x0: Float64Array, x1: Float64Array, before: Float64Array, after: Float64Array
) -> tuple[Float64Array, Float64Array]:
    """Points of smoothstep curves from (x0, before) to (x1, after), one curve after the other."""
    share = np.linspace(0.0, 1.0, POINTS_PER_MOVE)
    smoothstep = share * share * (3.0 - 2.0 * share)
    x, y = (
        begin[:, None] + (end - begin)[:, None] * progress
        for begin, end, progress in ((x0, x1, share), (before, after, smoothstep))
    )
    return x.ravel(), y.ravel()
