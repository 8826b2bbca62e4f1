"""Blocks: who stands together, layer after layer, and how often an order of the agents makes their lines cross.

A table of blocks has a row a layer and a column an agent: the lowest number of an agent that stands with this one, which may
be its own; -1 where the agent is absent. So two layers with the same company have the same row. A table of ranks has the same
shape: the position of each agent in its layer, from the top; -1 where it is absent. Members of a block have ranks that follow
one another.
"""

import itertools
from bisect import bisect_right, insort
from typing import TypeAlias

import numpy as np

Table: TypeAlias = np.ndarray[tuple[int, int], np.dtype[np.int32]]
Present: TypeAlias = np.ndarray[tuple[int, int], np.dtype[np.bool_]]

ABSENT = -1


def blocks_of(place: Table, present: Present) -> Table:
    """The blocks of layers in which each agent is at a place, a number from 0; an agent at none (-1) stands alone."""
    n_layers, n_agents = place.shape
    lowest = np.full((n_layers, int(place.max(initial=0)) + 1), n_agents, dtype=np.int32)
    layer, agent = np.nonzero(present & (place >= 0))
    np.minimum.at(lowest, (layer, place[layer, agent]), agent.astype(np.int32))
    blocks = np.where(present, np.arange(n_agents, dtype=np.int32), np.int32(ABSENT))
    blocks[layer, agent] = lowest[layer, place[layer, agent]]
    return blocks


def opens_layer(table: Table) -> "np.ndarray[tuple[int], np.dtype[np.bool_]]":
    """Mark each layer that differs from the one before it; the first one does."""
    return np.append(True, (table[1:] != table[:-1]).any(axis=1))[: len(table)]


def crossings(ranks: Table) -> int:
    """How many pairs of agents change their order from a layer to the next, over all layers in which both stand."""
    total = 0
    for upper, lower in itertools.pairwise(ranks):
        both = (upper >= 0) & (lower >= 0)
        total += inversions(lower[both][np.argsort(upper[both])].tolist())
    return total


def inversions(values: list[int]) -> int:
    """How many pairs of numbers stand in the wrong order."""
    seen: list[int] = []
    passed = 0
    for value in values:
        passed += len(seen) - bisect_right(seen, value)
        insort(seen, value)
    return passed
