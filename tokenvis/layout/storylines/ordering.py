"""Ordering: which agent stands above which in each layer, so that their lines cross rarely.

Agents that never stand together, and times that no two agents share, are ordered apart, each as a caller's function finds it
(`search`, `proof`), and put together again. Sweeps of barycentres are what a search begins
with.
"""

import math
from collections.abc import Callable

import numpy as np

from tokenvis.layout.storylines.blocks import ABSENT, Table, crossings, inversions, opens_layer

SWEEPS = 8  # of barycentres


def in_parts(blocks: Table, solve: Callable[[Table], Table]) -> Table:
    """Ranks of all layers, where ``solve`` gives those of blocks that hang together.

    Agents that never stand together, over any others, need not cross: they are solved apart, and stand one above the other.
    Where two layers share less than two agents, nothing can cross: before and after are solved apart. Equal neighbours are one.
    """
    opens = opens_layer(blocks)
    if not opens.all():
        ranks: Table = in_parts(blocks[opens], solve)[np.cumsum(opens) - 1]
        return ranks
    parts = families(blocks)
    if len(parts) > 1:
        return stacked(blocks, parts, solve)
    cuts = np.flatnonzero(((blocks[1:] >= 0) & (blocks[:-1] >= 0)).sum(axis=1) < 2) + 1
    if len(cuts):
        return joined([in_parts(piece, solve) for piece in np.split(blocks, cuts)])
    return upright(solve(blocks)) if blocks.shape[1] > 1 and len(blocks) > 1 else plain(blocks)


def plain(blocks: Table) -> Table:
    """Ranks of one layer, or of one agent: by block, then by number."""
    names = np.where(blocks >= 0, blocks, np.iinfo(np.int32).max)
    ranks = np.argsort(np.argsort(names, axis=1, kind="stable"), axis=1, kind="stable")
    return np.where(blocks >= 0, ranks, ABSENT).astype(np.int32)


def families(blocks: Table) -> list[np.ndarray]:
    """The agents that stand together in any layer, over any others: lists of numbers, by the lowest of each."""
    family = np.arange(blocks.shape[1])
    layer, agent = np.nonzero(blocks >= 0)
    links = np.unique(np.column_stack([agent, blocks[layer, agent]]), axis=0)
    while True:
        before = family.copy()
        np.minimum.at(family, links[:, 0], family[links[:, 1]])
        np.minimum.at(family, links[:, 1], family[links[:, 0]])
        if (family == before).all():
            return [np.flatnonzero(family == first) for first in np.unique(family)]


def stacked(blocks: Table, parts: list[np.ndarray], solve: Callable[[Table], Table]) -> Table:
    """Ranks of families that stand one above the other."""
    ranks = np.full_like(blocks, ABSENT)
    above = np.zeros((len(blocks), 1), dtype=np.int32)
    for part in parts:
        own = blocks[:, part]
        own = np.where(own >= 0, np.searchsorted(part, own), ABSENT).astype(np.int32)
        found = in_parts(own, solve)
        ranks[:, part] = np.where(found >= 0, found + above, ABSENT)
        above += (own >= 0).sum(axis=1, keepdims=True, dtype=np.int32)
    return ranks


def flipped(ranks: Table) -> Table:
    """The same from below, which has as many crossings."""
    return np.where(ranks >= 0, (ranks >= 0).sum(axis=1, keepdims=True) - 1 - ranks, ABSENT).astype(np.int32)


def upright(ranks: Table) -> Table:
    """The one of both ways up that has the lower numbers above in the first layer where that differs.

    Agents are numbered as they appear, so what is added at the end of a story does not turn over its beginning.
    """
    for row in ranks:
        wrong = 2 * inversions(row[row >= 0].tolist()) - math.comb(int((row >= 0).sum()), 2)
        if wrong:
            return flipped(ranks) if wrong > 0 else ranks
    return ranks


def joined(pieces: list[Table]) -> Table:
    """Pieces of time one after the other, turned over where the agent that goes on has a shorter way then."""
    turned = pieces[:1]
    for piece in pieces[1:]:
        before = turned[-1][-1]
        both = (before >= 0) & (piece[0] >= 0)
        ways = [np.abs(way[0, both] - before[both]).sum() for way in (piece, flipped(piece))]
        turned.append(flipped(piece) if ways[1] < ways[0] else piece)
    return np.concatenate(turned)


def barycentres(blocks: Table) -> Table:
    """Ranks by sweeps to and fro; a block stands at the mean of where its agents stood last (K. Sugiyama et al., 1981)."""
    stood = np.arange(blocks.shape[1], dtype=float)
    best, fewest = plain(blocks), crossings(plain(blocks))
    for sweep in range(SWEEPS):
        ranks = np.full_like(blocks, ABSENT)
        for layer in range(len(blocks))[:: -1 if sweep % 2 else 1]:
            (agents,) = np.nonzero(blocks[layer] >= 0)
            block = blocks[layer, agents]
            mean = np.bincount(block, weights=stood[agents])[block] / np.bincount(block)[block]
            order = np.lexsort((stood[agents], block, mean))
            ranks[layer, agents[order]] = stood[agents[order]] = np.arange(len(agents))
        found = crossings(ranks)
        if found < fewest:
            best, fewest = ranks, found
    return best
