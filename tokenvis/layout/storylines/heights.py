"""Heights: how far each line is from the top, so that it moves up and down as little as possible.

The order of the lines is given. The lines of a block are 1 apart, two blocks at least `BLOCK_GAP`. Among all such heights a
linear program finds those with the least vertical movement (A. Dobler et al., "Optimizing wiggle in storylines", 2025); among
these it prefers few bends, then little white space. Each constraint bounds the difference of two heights, so the matrix is
totally unimodular, and the heights are whole numbers. Bends are reduced by reweighting: the larger a movement was, the less it
weighs (E. J. Candès, M. B. Wakin, S. P. Boyd, 2008), which leaves few large movements instead of many small ones. Long traces
are solved in windows, from the left. In very large traces, where lines cannot be followed by eye, each layer is placed as
close as possible to the previous heights of its agents.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np

from tokenvis.layout.storylines.blocks import ABSENT, LayerTable, layer_changes
from tokenvis.spans.integers import Float64Array, Int64Array, run_starts

LinkTable: TypeAlias = np.ndarray[tuple[int, int], np.dtype[np.int64]]

BLOCK_GAP = 2  # between the lines of two blocks
MOVEMENT_COST = 1_000_000.0  # for each step up or down
BEND_COST = 100.0  # for moving at all
WHITE_SPACE_COST = 1.0  # for each unit of height
REWEIGHTING_ROUNDS = 1
MAX_PROGRAM_LINKS = 6_000  # traces with more links are placed layer by layer
WINDOW_BLOCKS = 300  # blocks solved at once; the later half is solved again with the next window


@dataclass(frozen=True)
class BlockGraph:
    """The blocks of all layers, from left to right and from top to bottom.

    ``layer`` and ``size`` of each; ``block_at`` (layers x agents) is the block of each agent, ``offset`` the number of lines
    above it in the block; -1 if it is absent. ``links`` are pairs of blocks in neighbouring layers that share agents: (from,
    to, how much lower the agents are in the second block), and ``n_shared`` is the number of these agents.
    """

    layer: Int64Array
    size: Int64Array
    block_at: LayerTable
    offset: LayerTable
    links: LinkTable
    n_shared: Int64Array


def heights_of(blocks: LayerTable, ranks: LayerTable) -> LayerTable:
    """The height of each agent in each layer, 0 at the top; -1 if it is absent. Needs scipy."""
    is_new = layer_changes(np.concatenate([blocks, ranks], axis=1))
    if not is_new.all():
        heights: LayerTable = heights_of(blocks[is_new], ranks[is_new])[np.cumsum(is_new) - 1]
        return heights
    graph = block_graph(blocks, ranks)
    if not len(graph.layer):
        return np.full_like(blocks, ABSENT)
    top = tops_in_windows(graph) if len(graph.links) <= MAX_PROGRAM_LINKS else tops_by_layer(graph)
    is_present = graph.block_at >= 0
    line_height: LayerTable = np.where(is_present, top[graph.block_at] - top.min() + graph.offset, ABSENT).astype(np.int32)
    return line_height


def tops_in_windows(graph: BlockGraph) -> Int64Array:
    """The tops of all blocks, by a sequence of linear programs, each of which continues from the previous one."""
    top = np.zeros(len(graph.layer), dtype=np.int64)
    n_layers = len(graph.block_at)
    first_block = np.searchsorted(graph.layer, np.arange(n_layers + 1)).tolist()
    n_settled = 0  # number of layers whose heights are final
    while n_settled < n_layers:
        stop = next(
            (end for end in range(n_settled + 2, n_layers) if first_block[end] - first_block[n_settled] > WINDOW_BLOCKS),
            n_layers,
        )
        first = max(n_settled - 1, 0)
        window = slice(first_block[first], first_block[stop])
        top[window] = solve_window(graph, window, top[first_block[first] : first_block[n_settled]])
        n_settled = stop if stop == n_layers else (n_settled + stop + 1) // 2
    return top


def tops_by_layer(graph: BlockGraph) -> Int64Array:
    """The tops of all blocks, layer after layer: the least-squares fit to the previous heights of each block's agents."""
    from scipy.optimize import isotonic_regression

    last_height = np.full(graph.block_at.shape[1], np.nan)
    top = np.zeros(len(graph.layer), dtype=np.int64)
    first_block = np.searchsorted(graph.layer, np.arange(len(graph.block_at) + 1)).tolist()
    for layer, (first, last) in enumerate(pairwise(first_block)):
        (agents,) = np.nonzero(graph.block_at[layer] >= 0)
        block = graph.block_at[layer, agents] - first
        target = last_height[agents] - graph.offset[layer, agents]
        is_known = ~np.isnan(target)
        weight = np.bincount(block[is_known], minlength=last - first)
        target_sum = np.bincount(block[is_known], weights=target[is_known], minlength=last - first)
        spacing = graph.size[first:last] - 1 + BLOCK_GAP
        min_top = np.cumsum(spacing) - spacing  # of blocks that are as close together as possible
        mean = np.divide(target_sum, weight, out=min_top.astype(float), where=weight > 0) - min_top
        fitted_top = isotonic_regression(mean, weights=np.maximum(weight, 0.01)).x if len(mean) else mean
        top[first:last] = np.floor(fitted_top + 0.5).astype(np.int64) + min_top
        last_height[agents] = top[first + block] + graph.offset[layer, agents]
    return top


def block_graph(blocks: LayerTable, ranks: LayerTable) -> BlockGraph:
    """The blocks of all layers, and their links."""
    layer, agent = np.nonzero(blocks >= 0)
    order = np.lexsort((ranks[layer, agent], layer))
    layer, agent = layer[order], agent[order]
    (first,) = np.nonzero(run_starts(layer, blocks[layer, agent]))
    size = np.diff(first, append=len(layer))
    node = np.repeat(np.arange(len(first)), size)
    block_at, offset = np.full_like(blocks, ABSENT), np.full_like(blocks, ABSENT)
    block_at[layer, agent], offset[layer, agent] = node, np.arange(len(node)) - first[node]
    step, agent = np.nonzero((block_at[:-1] >= 0) & (block_at[1:] >= 0))
    offset_change = offset[step + 1, agent] - offset[step, agent]
    links, n_shared = np.unique(
        np.column_stack([block_at[step, agent], block_at[step + 1, agent], offset_change]), axis=0, return_counts=True
    )
    return BlockGraph(layer[first], size, block_at, offset, links.astype(np.int64), n_shared)


def solve_window(graph: BlockGraph, window: slice, fixed: Int64Array) -> Int64Array:
    """The tops of the blocks of a window; ``fixed`` are the known tops of the first blocks."""
    layer = graph.layer[window]
    in_window = (graph.links[:, :2] >= window.start).all(axis=1) & (graph.links[:, :2] < window.stop).all(axis=1)
    program = HeightProgram(layer, graph.size[window], graph.links[in_window] - (window.start, window.start, 0), fixed)
    n_shared = graph.n_shared[in_window]
    bend_weight = np.zeros(len(n_shared))
    for _ in range(1 + REWEIGHTING_ROUNDS):
        top, movement = program.solve(n_shared * (MOVEMENT_COST + BEND_COST * bend_weight))
        bend_weight = 1 / (movement + 0.5)
    return top


class HeightProgram:
    """The linear program for the heights of some blocks.

    Its variables are the tops of the blocks, the top and the bottom of the picture, and how far each link moves down and up.
    """

    def __init__(self, layer: Int64Array, size: Int64Array, links: LinkTable, fixed: Int64Array) -> None:
        from scipy.sparse import csr_array, eye_array, hstack

        n_links = len(links)
        self.n_heights = len(layer) + 2
        top, bottom = self.n_heights - 2, self.n_heights - 1
        is_new = run_starts(layer)
        (first,), (last,), (below,) = np.nonzero(is_new), np.nonzero(np.append(is_new[1:], True)), np.nonzero(~is_new)
        upper = np.concatenate([below - 1, np.full_like(first, top), last])
        lower = np.concatenate([below, first, np.full_like(last, bottom)])
        self.separation = np.concatenate([size[below - 1] - 1 + BLOCK_GAP, np.zeros_like(first), size[last] - 1])
        self.order_matrix = hstack([self.differences(lower, upper), csr_array((len(upper), 2 * n_links))])
        self.movement_matrix = hstack([self.differences(links[:, 1], links[:, 0]), -eye_array(n_links), eye_array(n_links)])
        self.offset_changes = -links[:, 2]
        self.space_costs = np.zeros(self.n_heights)
        self.space_costs[np.append(last, bottom)] += WHITE_SPACE_COST
        self.space_costs[np.append(first, top)] -= WHITE_SPACE_COST
        free = [(None, None)] * (self.n_heights - len(fixed))
        self.bounds = [*((at, at) for at in fixed.tolist()), *free, *[(0, None)] * (2 * n_links)]

    def differences(self, lower: Int64Array, upper: Int64Array) -> Any:
        """A matrix with one row for each pair: the height of ``lower`` minus the height of ``upper``."""
        from scipy.sparse import coo_array

        rows, ones = np.arange(len(lower)), np.ones(len(lower))
        coordinates = np.append(rows, rows), np.append(lower, upper)
        return coo_array((np.append(ones, -ones), coordinates), shape=(len(lower), self.n_heights))

    def solve(self, weights: Float64Array) -> tuple[Int64Array, Float64Array]:
        """The tops of all blocks, and the distance that each link moves."""
        from scipy.optimize import linprog

        costs = np.concatenate([self.space_costs, weights, weights])
        constraints = {
            "A_ub": -self.order_matrix,
            "b_ub": -self.separation,
            "A_eq": self.movement_matrix,
            "b_eq": self.offset_changes,
        }
        solution = linprog(costs, **constraints, bounds=self.bounds, method="highs-ds")
        assert solution.status == 0, solution.message  # feasible: heights that are far enough apart satisfy all constraints
        movement: Float64Array = solution.x[self.n_heights :].reshape(2, -1).sum(axis=0)
        return np.round(solution.x[: self.n_heights - 2]).astype(np.int64), movement
