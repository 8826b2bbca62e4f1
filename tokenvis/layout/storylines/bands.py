"""Bands: line heights if each group has its own band, and lines move between bands.

An agent stays in the band of its last group, and keeps its lane there until it joins another group. Bands are stacked in the
order in which agents join them.
"""

import numpy as np

from tokenvis.layout.lanes import lowest_free_lanes
from tokenvis.layout.storylines.blocks import ABSENT, LayerTable, PresenceTable
from tokenvis.spans.integers import run_starts

BAND_GAP_LINES = 2  # between the lines of two bands


def heights_in_bands(group: LayerTable, present: PresenceTable) -> LayerTable:
    """The height of each agent in each layer, 0 at the top; -1 if it is absent.

    ``group`` is the number of the group of each agent, -1 if it has none. Agents that never have a group share a band below all
    others.
    """
    n_layers, n_agents = group.shape
    band = np.where(present, nearest_groups(group), ABSENT)
    agent = np.repeat(np.arange(n_agents), n_layers)
    bands = band.T.ravel().astype(np.int64)
    first = np.flatnonzero(run_starts(agent, bands))
    last = np.append(first[1:], len(bands)) - 1
    has_band = bands[first] >= 0
    first, last = first[has_band], last[has_band]
    band_codes, rank = np.unique(bands[first], return_inverse=True)
    first_layer = np.full(len(band_codes), n_layers)
    np.minimum.at(first_layer, rank, first % n_layers)
    band_rank = np.argsort(np.lexsort((band_codes, first_layer)))[rank]
    order = np.lexsort((agent[first], first % n_layers, band_rank))
    lane = np.empty(len(first), dtype=np.int64)
    lane[order] = lowest_free_lanes(band_rank[order], first[order] % n_layers, last[order] % n_layers)
    deepest = np.zeros(len(band_codes), dtype=np.int64)
    np.maximum.at(deepest, band_rank, lane)
    top = np.cumsum(deepest + BAND_GAP_LINES) - deepest - BAND_GAP_LINES
    heights = np.full(len(bands), ABSENT, dtype=np.int32)
    heights[bands >= 0] = np.repeat(top[band_rank] + lane, last - first + 1)
    return heights.reshape(n_agents, n_layers).T


def nearest_groups(group: LayerTable) -> LayerTable:
    """The current, else the last, else the first group of each agent; a number above all others if it never has one."""
    layers = np.arange(len(group))[:, None]
    has_group = group >= 0
    before = np.maximum.accumulate(np.where(has_group, layers, -1))
    after = np.minimum.accumulate(np.where(has_group, layers, len(group))[::-1])[::-1]
    nearest = np.where(before >= 0, before, after)
    found = np.take_along_axis(group, np.minimum(nearest, len(group) - 1), axis=0)
    return np.where(nearest < len(group), found, group.max(initial=ABSENT) + 1).astype(np.int32)
