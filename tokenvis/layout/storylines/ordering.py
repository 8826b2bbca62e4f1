"""Ordering: the order of the agents from top to bottom in each layer, with few crossings.

Agents that never share a block, and times with at most one agent in common, are ordered separately by a given function
(`search`, `proof`), and combined again. A search begins with barycentre sweeps.
"""

import math
from collections.abc import Callable

import numpy as np

from tokenvis.layout.storylines.blocks import ABSENT, LayerTable, count_crossings, count_inversions, layer_changes
from tokenvis.layout.storylines.deadline import NO_DEADLINE, Deadline

BARYCENTER_SWEEPS = 8


def order_in_parts(blocks: LayerTable, solve: Callable[[LayerTable], LayerTable]) -> LayerTable:
    """Ranks of all layers; ``solve`` returns the ranks of each connected part.

    Agents that are not connected by shared blocks need not cross: they are solved separately, and stacked. If two layers share
    fewer than two agents, no lines can cross between them, so the layers before and after are solved separately. Equal
    neighbouring layers are merged.
    """
    is_new = layer_changes(blocks)
    if not is_new.all():
        ranks: LayerTable = order_in_parts(blocks[is_new], solve)[np.cumsum(is_new) - 1]
        return ranks
    parts = connected_agents(blocks)
    if len(parts) > 1:
        return stack_components(blocks, parts, solve)
    cuts = np.flatnonzero(((blocks[1:] >= 0) & (blocks[:-1] >= 0)).sum(axis=1) < 2) + 1
    if len(cuts):
        return join_pieces([order_in_parts(piece, solve) for piece in np.split(blocks, cuts)])
    return orient_ranks(solve(blocks)) if blocks.shape[1] > 1 and len(blocks) > 1 else initial_ranks(blocks)


def model_layers(blocks: LayerTable) -> np.ndarray:
    """The layer whose order each layer can have, without more crossings of all layers; itself if there is none.

    That is a neighbour in which each order is an order of the layer as well, once layers between the two are left out. The
    crossings before and after the layer are then at least those between its neighbours: each agent of both must be in it.
    """
    model = np.arange(len(blocks))
    kept: list[int] = []
    for layer, row in enumerate(blocks):
        while (
            kept
            and fits_order(blocks[kept[-1]], row)
            and (len(kept) == 1 or is_between(blocks[kept[-2]], blocks[kept[-1]], row))
        ):
            model[kept.pop()] = layer
        following = blocks[layer + 1] if layer + 1 < len(blocks) else np.full_like(row, ABSENT)
        if kept and fits_order(row, blocks[kept[-1]]) and is_between(blocks[kept[-1]], row, following):
            model[layer] = kept[-1]
        else:
            kept.append(layer)
    while (model[model] != model).any():
        model = model[model]
    return model


def is_between(before: np.ndarray, row: np.ndarray, after: np.ndarray) -> bool:
    """Whether all agents of both other layers are in this one."""
    return bool((row[(before >= 0) & (after >= 0)] >= 0).all())


def fits_order(row: np.ndarray, other: np.ndarray) -> bool:
    """Whether each order of the other layer, reduced to the agents of this layer, splits no block of it."""
    (agents,) = np.nonzero(row >= 0)
    if (other[agents] < 0).any():
        return False
    block, other_block = row[agents], other[agents]
    size, other_size = np.bincount(block)[block], np.bincount(other_block)[other_block]
    is_shared = other_block == other[block]  # a block's number is one of its agents
    is_free = (size == 1) | (size == len(agents))
    return bool((is_free | (is_shared & (size == other_size))).all())


def copy_orders(blocks: LayerTable, ranks: LayerTable, model: np.ndarray) -> LayerTable:
    """The ranks of all layers, given those of the layers whose order they have."""
    place = np.where(blocks >= 0, ranks[np.searchsorted(np.unique(model), model)], np.iinfo(np.int32).max)
    dense = np.argsort(np.argsort(place, axis=1, kind="stable"), axis=1, kind="stable")
    return np.where(blocks >= 0, dense, ABSENT).astype(np.int32)


def initial_ranks(blocks: LayerTable) -> LayerTable:
    """Ranks by block, then by agent number."""
    names = np.where(blocks >= 0, blocks, np.iinfo(np.int32).max)
    ranks = np.argsort(np.argsort(names, axis=1, kind="stable"), axis=1, kind="stable")
    return np.where(blocks >= 0, ranks, ABSENT).astype(np.int32)


def connected_agents(blocks: LayerTable) -> list[np.ndarray]:
    """The connected components of agents that share blocks: lists of numbers, ordered by the lowest of each."""
    component = np.arange(blocks.shape[1])
    layer, agent = np.nonzero(blocks >= 0)
    links = np.unique(np.column_stack([agent, blocks[layer, agent]]), axis=0)
    while True:
        previous = component.copy()
        np.minimum.at(component, links[:, 0], component[links[:, 1]])
        np.minimum.at(component, links[:, 1], component[links[:, 0]])
        if (component == previous).all():
            return [np.flatnonzero(component == first) for first in np.unique(component)]


def stack_components(blocks: LayerTable, parts: list[np.ndarray], solve: Callable[[LayerTable], LayerTable]) -> LayerTable:
    """Ranks of components that are stacked from top to bottom."""
    ranks = np.full_like(blocks, ABSENT)
    n_above = np.zeros((len(blocks), 1), dtype=np.int32)
    for part in parts:
        part_blocks = blocks[:, part]
        part_blocks = np.where(part_blocks >= 0, np.searchsorted(part, part_blocks), ABSENT).astype(np.int32)
        part_ranks = order_in_parts(part_blocks, solve)
        ranks[:, part] = np.where(part_ranks >= 0, part_ranks + n_above, ABSENT)
        n_above += (part_blocks >= 0).sum(axis=1, keepdims=True, dtype=np.int32)
    return ranks


def flip_ranks(ranks: LayerTable) -> LayerTable:
    """The ranks from the bottom; the number of crossings stays the same."""
    return np.where(ranks >= 0, (ranks >= 0).sum(axis=1, keepdims=True) - 1 - ranks, ABSENT).astype(np.int32)


def orient_ranks(ranks: LayerTable) -> LayerTable:
    """The ranks or their mirror image: lower agent numbers are above in the first layer where the two differ.

    Agents are numbered in order of appearance, so layers added at the end of a trace do not flip its beginning.
    """
    for row in ranks:
        excess = 2 * count_inversions(row[row >= 0].tolist()) - math.comb(int((row >= 0).sum()), 2)
        if excess:
            return flip_ranks(ranks) if excess > 0 else ranks
    return ranks


def join_pieces(pieces: list[LayerTable]) -> LayerTable:
    """Consecutive pieces of time, each flipped if that shortens the move of the agent that continues."""
    oriented = pieces[:1]
    for piece in pieces[1:]:
        last_ranks = oriented[-1][-1]
        in_both = (last_ranks >= 0) & (piece[0] >= 0)
        movements = [np.abs(candidate[0, in_both] - last_ranks[in_both]).sum() for candidate in (piece, flip_ranks(piece))]
        oriented.append(flip_ranks(piece) if movements[1] < movements[0] else piece)
    return np.concatenate(oriented)


def barycenter_ranks(blocks: LayerTable, deadline: Deadline = NO_DEADLINE) -> LayerTable:
    """Ranks by alternating sweeps: each block at the mean of its agents' last positions (K. Sugiyama et al., 1981)."""
    position = np.arange(blocks.shape[1], dtype=float)
    best_ranks, fewest = initial_ranks(blocks), count_crossings(initial_ranks(blocks))
    for sweep in range(BARYCENTER_SWEEPS):
        if not fewest or (sweep and deadline.is_over):
            break
        ranks = np.full_like(blocks, ABSENT)
        for layer in range(len(blocks))[:: -1 if sweep % 2 else 1]:
            (agents,) = np.nonzero(blocks[layer] >= 0)
            block = blocks[layer, agents]
            mean = np.bincount(block, weights=position[agents])[block] / np.bincount(block)[block]
            order = np.lexsort((position[agents], block, mean))
            ranks[layer, agents[order]] = position[agents[order]] = np.arange(len(agents))
        n_crossings = count_crossings(ranks)
        if n_crossings < fewest:
            best_ranks, fewest = ranks, n_crossings
    return best_ranks
