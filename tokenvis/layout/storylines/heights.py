"""Heights: how far from the top each line runs, so that it moves up and down as little as it can.

The order of the lines is given. Members of a block run 1 apart, two blocks at least `GAP`. Of all such heights a linear
program finds those with the least vertical movement (A. Dobler et al., "Optimizing wiggle in storylines", 2025), of these
ones with few bends, of these ones with little white space. Each condition bounds the difference of two heights, so its matrix
is totally unimodular, and the heights are whole numbers. Bends are counted by reweighting: a movement weighs the less the
larger it was (E. J. Candès, M. B. Wakin, S. P. Boyd, 2008), which leaves few large ones in place of many small ones. Long
stories are solved in windows, from the left. Very large ones, in which nobody could follow a line, are placed layer after
layer, each as near as can be to where its agents stood before.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np

from tokenvis.layout.storylines.blocks import ABSENT, Table, opens_layer
from tokenvis.spans.integers import Floats, Int64Array, opens_run

Links: TypeAlias = np.ndarray[tuple[int, int], np.dtype[np.int64]]

GAP = 2  # between blocks
MOVEMENT = 1_000_000.0  # what a step up or down costs,
BEND = 100.0  # what it costs beside that to have moved at all,
SPACE = 1.0  # and what a step of height costs
ROUNDS = 1  # of reweighting
MOST_LINKS = 6_000  # of which windows are solved
WINDOW = 300  # blocks that are placed at once; the later half is placed again with what follows


@dataclass(frozen=True)
class Nodes:
    """The blocks of all layers, from left to right and from top to bottom.

    ``layer`` and ``size`` of each; ``of`` (layers x agents) is the block that an agent is in, ``inner`` how many members stand
    above it there; -1 where it is absent. ``links`` are pairs of blocks that follow each other in time and share agents: (from,
    to, how much lower the agents stand in the second), and ``shared`` says how many agents.
    """

    layer: Int64Array
    size: Int64Array
    of: Table
    inner: Table
    links: Links
    shared: Int64Array


def heights_of(blocks: Table, ranks: Table) -> Table:
    """The height of each agent in each layer, 0 at the top; -1 where it is absent. Needs scipy."""
    opens = opens_layer(np.concatenate([blocks, ranks], axis=1))
    if not opens.all():
        heights: Table = heights_of(blocks[opens], ranks[opens])[np.cumsum(opens) - 1]
        return heights
    nodes = nodes_of(blocks, ranks)
    if not len(nodes.layer):
        return np.full_like(blocks, ABSENT)
    top = tops_in_windows(nodes) if len(nodes.links) <= MOST_LINKS else tops_by_layer(nodes)
    here = nodes.of >= 0
    found: Table = np.where(here, top[nodes.of] - top.min() + nodes.inner, ABSENT).astype(np.int32)
    return found


def tops_in_windows(nodes: Nodes) -> Int64Array:
    """The tops of all blocks, by linear programs, each of which goes on from the one before it."""
    top = np.zeros(len(nodes.layer), dtype=np.int64)
    n_layers = len(nodes.of)
    begins = np.searchsorted(nodes.layer, np.arange(n_layers + 1)).tolist()
    settled = 0  # layers whose heights are final
    while settled < n_layers:
        last = next((end for end in range(settled + 2, n_layers) if begins[end] - begins[settled] > WINDOW), n_layers)
        first = max(settled - 1, 0)
        window = slice(begins[first], begins[last])
        top[window] = placed(nodes, window, top[begins[first] : begins[settled]])
        settled = last if last == n_layers else (settled + last + 1) // 2
    return top


def tops_by_layer(nodes: Nodes) -> Int64Array:
    """The tops of all blocks, layer after layer: as near as can be, by squares, to where the agents of each stood before."""
    from scipy.optimize import isotonic_regression

    stood = np.full(nodes.of.shape[1], np.nan)
    top = np.zeros(len(nodes.layer), dtype=np.int64)
    begins = np.searchsorted(nodes.layer, np.arange(len(nodes.of) + 1)).tolist()
    for layer, (first, last) in enumerate(pairwise(begins)):
        (agents,) = np.nonzero(nodes.of[layer] >= 0)
        block = nodes.of[layer, agents] - first
        wish = stood[agents] - nodes.inner[layer, agents]
        known = ~np.isnan(wish)
        weight = np.bincount(block[known], minlength=last - first)
        wished = np.bincount(block[known], weights=wish[known], minlength=last - first)
        pitch = nodes.size[first:last] - 1 + GAP
        least = np.cumsum(pitch) - pitch  # where blocks stand that are as close together as may be
        mean = np.divide(wished, weight, out=least.astype(float), where=weight > 0) - least
        found = isotonic_regression(mean, weights=np.maximum(weight, 0.01)).x if len(mean) else mean
        top[first:last] = np.floor(found + 0.5).astype(np.int64) + least
        stood[agents] = top[first + block] + nodes.inner[layer, agents]
    return top


def nodes_of(blocks: Table, ranks: Table) -> Nodes:
    """The blocks of all layers, and their links."""
    layer, agent = np.nonzero(blocks >= 0)
    order = np.lexsort((ranks[layer, agent], layer))
    layer, agent = layer[order], agent[order]
    (first,) = np.nonzero(opens_run(layer, blocks[layer, agent]))
    size = np.diff(first, append=len(layer))
    node = np.repeat(np.arange(len(first)), size)
    of, inner = np.full_like(blocks, ABSENT), np.full_like(blocks, ABSENT)
    of[layer, agent], inner[layer, agent] = node, np.arange(len(node)) - first[node]
    step, both = np.nonzero((of[:-1] >= 0) & (of[1:] >= 0))
    lower = inner[step + 1, both] - inner[step, both]
    links, shared = np.unique(np.column_stack([of[step, both], of[step + 1, both], lower]), axis=0, return_counts=True)
    return Nodes(layer[first], size, of, inner, links.astype(np.int64), shared)


def placed(nodes: Nodes, window: slice, fixed: Int64Array) -> Int64Array:
    """The tops of the blocks of a window, the first of which have theirs already."""
    layer = nodes.layer[window]
    inside = (nodes.links[:, :2] >= window.start).all(axis=1) & (nodes.links[:, :2] < window.stop).all(axis=1)
    program = Program(layer, nodes.size[window], nodes.links[inside] - (window.start, window.start, 0), fixed)
    shared = nodes.shared[inside]
    bend = np.zeros(len(shared))
    for _ in range(1 + ROUNDS):
        top, moved = program.solve(shared * (MOVEMENT + BEND * bend))
        bend = 1 / (moved + 0.5)
    return top


class Program:
    """The linear program of some blocks.

    Its variables are the tops of the blocks, the top and the bottom of the whole, and how far each link goes down and goes up.
    """

    def __init__(self, layer: Int64Array, size: Int64Array, links: Links, fixed: Int64Array) -> None:
        from scipy.sparse import csr_array, eye_array, hstack

        n_links = len(links)
        self.n_heights = len(layer) + 2
        top, bottom = self.n_heights - 2, self.n_heights - 1
        opens = opens_run(layer)
        (first,), (last,), (below,) = np.nonzero(opens), np.nonzero(np.append(opens[1:], True)), np.nonzero(~opens)
        upper = np.concatenate([below - 1, np.full_like(first, top), last])
        lower = np.concatenate([below, first, np.full_like(last, bottom)])
        self.apart = np.concatenate([size[below - 1] - 1 + GAP, np.zeros_like(first), size[last] - 1])
        self.order = hstack([self.differences(lower, upper), csr_array((len(upper), 2 * n_links))])
        self.ways = hstack([self.differences(links[:, 1], links[:, 0]), -eye_array(n_links), eye_array(n_links)])
        self.shift = -links[:, 2]
        self.space = np.zeros(self.n_heights)
        self.space[np.append(last, bottom)] += SPACE
        self.space[np.append(first, top)] -= SPACE
        free = [(None, None)] * (self.n_heights - len(fixed))
        self.bounds = [*((at, at) for at in fixed.tolist()), *free, *[(0, None)] * (2 * n_links)]

    def differences(self, lower: Int64Array, upper: Int64Array) -> Any:
        """A matrix whose rows give how much lower one height is than another."""
        from scipy.sparse import coo_array

        rows, ones = np.arange(len(lower)), np.ones(len(lower))
        places = np.append(rows, rows), np.append(lower, upper)
        return coo_array((np.append(ones, -ones), places), shape=(len(lower), self.n_heights))

    def solve(self, weights: Floats) -> tuple[Int64Array, Floats]:
        """The tops of all blocks, and how far each link moves."""
        from scipy.optimize import linprog

        costs = np.concatenate([self.space, weights, weights])
        rules = {"A_ub": -self.order, "b_ub": -self.apart, "A_eq": self.ways, "b_eq": self.shift}
        found = linprog(costs, **rules, bounds=self.bounds, method="highs-ds")
        assert found.status == 0, found.message  # heights far enough apart always keep all conditions
        moved: Floats = found.x[self.n_heights :].reshape(2, -1).sum(axis=0)
        return np.round(found.x[: self.n_heights - 2]).astype(np.int64), moved
