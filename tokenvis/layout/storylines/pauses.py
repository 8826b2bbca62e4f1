"""Pauses: an agent of a group has no span for a while, and is in the same group again.

An agent in a short pause stays in its group: its line stays beside the others, and their box does not break. A pause is short
if nothing else happens in it, and one of two holds:

- It is no longer than the stay before it, and no longer than the stay after it. So the agent has a span for at least two thirds
  of that time.
- It is shorter than a hundredth of the time in which any agent has a span, which is about what a picture shows: too narrow to
  be seen as a gap between two boxes.
"""

from typing import TypeAlias

import numpy as np

from tokenvis.layout.storylines.blocks import ABSENT, LayerTable
from tokenvis.layout.storylines.layers import Layers, Stays, layers_of
from tokenvis.spans.integers import run_starts

GroupTable: TypeAlias = np.ndarray[tuple[int, int], np.dtype[np.int64]]

MIN_VISIBLE_DIVISOR = 100  # a pause below 1/100 of the time in which any agent has a span is too narrow to see


def fill_short_pauses(group: LayerTable, layers: Layers, seen: Stays) -> LayerTable:
    """The group of each agent in each layer, with agents in short pauses in their groups; -1 if there is none.

    ``seen`` are all stays and instants, also those that are in no layer, with numbers of groups as locations: a pause with any
    of them in another group is not filled.
    """
    n_layers, n_agents = group.shape
    has_span = layers.location >= 0
    lowest, highest = (table.T.ravel() for table in seen_groups(layers, seen, n_agents))
    is_pause = (layers.present & ~has_span).T.ravel()
    agent = np.repeat(np.arange(n_agents), n_layers)
    own_group = np.where(is_pause, ABSENT, np.where(group >= 0, group, ABSENT - 1).T.ravel())
    first = np.flatnonzero(run_starts(agent, own_group, is_pause))
    if len(first) < 3:
        return group
    run_agent, run_group, layer = agent[first], own_group[first], first % n_layers
    length_us = layers.edges[np.append(first[1:] - 1, len(agent) - 1) % n_layers + 1] - layers.edges[layer]
    before, pause, after = slice(None, -2), slice(1, -1), slice(2, None)
    returns = is_pause[first][pause] & (run_agent[before] == run_agent[after])
    returns &= (run_group[before] == run_group[after]) & (run_group[before] >= 0)
    low, high = np.minimum.reduceat(lowest, first), np.maximum.reduceat(highest, first)
    returns &= (low[pause] >= run_group[before]) & (high[pause] <= run_group[before])
    busy_us = int(np.diff(layers.edges)[has_span.any(axis=1)].sum())
    is_short = length_us[pause] <= np.minimum(length_us[before], length_us[after])
    is_short |= length_us[pause] < busy_us // MIN_VISIBLE_DIVISOR
    filled_group = np.where(np.concatenate([[False], returns & is_short, [False]]), np.roll(run_group, 1), ABSENT)
    filled = np.repeat(filled_group, np.diff(first, append=len(agent))).reshape(n_agents, n_layers).T
    result: LayerTable = np.where(filled >= 0, filled, group).astype(np.int32)
    return result


def seen_groups(layers: Layers, seen: Stays, n_agents: int) -> tuple[GroupTable, GroupTable]:
    """The lowest and the highest group that each agent has in each layer, at any time.

    Without any, the lowest is above all numbers of groups, and the highest is below them. No group at all is another group.
    """
    none = int(seen.location.max(initial=0)) + 2
    groups = np.where(seen.location >= 0, seen.location, none - 1)
    lowest, highest = (np.full((len(layers), n_agents), number, dtype=np.int64) for number in (none, ABSENT))
    row, layer = layers_of(layers.edges, seen.start, seen.end)
    np.minimum.at(lowest, (layer, seen.agent[row]), groups[row])
    np.maximum.at(highest, (layer, seen.agent[row]), groups[row])
    return lowest, highest
