"""Bands: heights for lines when each location keeps a zone of its own, and lines travel between them.

An agent stays in the zone of the location where it was last, and keeps its lane in it until it goes to another one. Zones are
stacked by first visit.
"""

import numpy as np

from tokenvis.layout.lanes import lowest_free_lanes
from tokenvis.layout.storylines.blocks import ABSENT, Present, Table
from tokenvis.spans.integers import opens_run

GAP = 2  # between the lines of two zones


def banded(group: Table, present: Present) -> Table:
    """The height of each agent in each layer, 0 at the top; -1 where it is absent.

    ``group`` is the number of the location where each agent is, -1 where it is at none. One that never was at any has a zone
    below all others.
    """
    n_layers, n_agents = group.shape
    zone = np.where(present, stays_in(group), ABSENT)
    agent = np.repeat(np.arange(n_agents), n_layers)
    whole = zone.T.ravel().astype(np.int64)
    first = np.flatnonzero(opens_run(agent, whole))
    last = np.append(first[1:], len(whole)) - 1
    there = whole[first] >= 0
    first, last = first[there], last[there]
    zones, rank = np.unique(whole[first], return_inverse=True)
    begins = np.full(len(zones), n_layers)
    np.minimum.at(begins, rank, first % n_layers)
    place = np.argsort(np.lexsort((zones, begins)))[rank]
    order = np.lexsort((agent[first], first % n_layers, place))
    lane = np.empty(len(first), dtype=np.int64)
    lane[order] = lowest_free_lanes(place[order], first[order] % n_layers, last[order] % n_layers)
    deepest = np.zeros(len(zones), dtype=np.int64)
    np.maximum.at(deepest, place, lane)
    top = np.cumsum(deepest + GAP) - deepest - GAP
    heights = np.full(len(whole), ABSENT, dtype=np.int32)
    heights[whole >= 0] = np.repeat(top[place] + lane, last - first + 1)
    return heights.reshape(n_agents, n_layers).T


def stays_in(group: Table) -> Table:
    """Where each agent is, or was last, or will be first; a number above all others where it never is anywhere."""
    layers = np.arange(len(group))[:, None]
    known = group >= 0
    before = np.maximum.accumulate(np.where(known, layers, -1))
    after = np.minimum.accumulate(np.where(known, layers, len(group))[::-1])[::-1]
    nearest = np.where(before >= 0, before, after)
    found = np.take_along_axis(group, np.minimum(nearest, len(group) - 1), axis=0)
    return np.where(nearest < len(group), found, group.max(initial=ABSENT) + 1).astype(np.int32)
