"""Blocks: the agents that run side by side in each layer, and the crossings of an order of the agents.

A table of blocks has a row for each layer and a column for each agent: the lowest agent number in the agent's block, which may
be its own; -1 if the agent is absent. So two layers with the same groups of agents have equal rows. A table of ranks has the
same shape: the position of each agent in its layer, from the top; -1 if it is absent. The agents of a block have consecutive
ranks.
"""

import itertools
from bisect import bisect_right, insort
from typing import TypeAlias

import numpy as np

LayerTable: TypeAlias = np.ndarray[tuple[int, int], np.dtype[np.int32]]
PresenceTable: TypeAlias = np.ndarray[tuple[int, int], np.dtype[np.bool_]]

ABSENT = -1


def blocks_by_group(group: LayerTable, present: PresenceTable) -> LayerTable:
    """The blocks of layers, given each agent's group, a number from 0; an agent without a group (-1) is a block alone."""
    n_layers, n_agents = group.shape
    lowest = np.full((n_layers, int(group.max(initial=0)) + 1), n_agents, dtype=np.int32)
    layer, agent = np.nonzero(present & (group >= 0))
    np.minimum.at(lowest, (layer, group[layer, agent]), agent.astype(np.int32))
    blocks = np.where(present, np.arange(n_agents, dtype=np.int32), np.int32(ABSENT))
    blocks[layer, agent] = lowest[layer, group[layer, agent]]
    return blocks


def layer_changes(table: LayerTable) -> "np.ndarray[tuple[int], np.dtype[np.bool_]]":
    """Mark each layer that differs from the one before it, and the first layer."""
    return np.append(True, (table[1:] != table[:-1]).any(axis=1))[: len(table)]


def count_crossings(ranks: LayerTable) -> int:
    """The number of pairs of agents that change their order between neighbouring layers in which both are present."""
    total = 0
    for upper, lower in itertools.pairwise(ranks):
        in_both = (upper >= 0) & (lower >= 0)
        total += count_inversions(lower[in_both][np.argsort(upper[in_both])].tolist())
    return total


def count_inversions(values: list[int]) -> int:
    """The number of pairs of values in the wrong order."""
    sorted_values: list[int] = []
    n_inversions = 0
    for value in values:
        n_inversions += len(sorted_values) - bisect_right(sorted_values, value)
        insort(sorted_values, value)
    return n_inversions
