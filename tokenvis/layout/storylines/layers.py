"""Layers: time intervals in which no agent arrives, leaves or moves, and the location of each agent in each layer.

The elementary intervals of the sweep line are the layers of a storyline; neighbours with identical locations are merged. If
there are more layers than a picture can show, boundaries are dropped: from the left, each boundary closer than ``shortest_us``
to the last kept one, unless a longer interval begins there. So only intervals shorter than ``shortest_us`` are merged, into
layers shorter than twice that. In a merged layer, an agent is at the location where it stays longest, if that is at least a
tenth of the layer, else at none; stays that appear in no layer for this reason are counted.
"""

from bisect import bisect_left
from dataclasses import dataclass, replace
from itertools import chain, count

import numpy as np

from tokenvis.errors import BadOption, quoted
from tokenvis.layout.storylines.blocks import LayerTable, PresenceTable, layer_changes
from tokenvis.spans.columns import is_integer
from tokenvis.spans.integers import INT64_MAX, Int64Array, run_starts
from tokenvis.spans.intervals import number_in_run

MAX_LAYERS = 400
MAX_LAYER_CELLS = 200_000  # layers times agents: with more than 500 agents, fewer layers are allowed
MIN_LAYER_LIMIT = 40  # the lowest limit, for any number of agents
MIN_STAY_DIVISOR = 10  # an agent is at a location in a layer if it stays there for at least 1/10 of the layer


@dataclass(frozen=True)
class Stays:
    """The stays of agents at locations; the stays of one agent do not overlap. All int64: numbers from 0, and µs."""

    agent: Int64Array
    location: Int64Array
    start: Int64Array
    end: Int64Array

    @property
    def location_intervals(self) -> tuple[Int64Array, Int64Array, Int64Array]:
        """Location, start and end."""
        return self.location, self.start, self.end

    def with_instants(self, agent: Int64Array, location: Int64Array, time: Int64Array) -> "Stays":
        """These stays, and instants as stays without a duration."""
        columns = (self.agent, agent), (self.location, location), (self.start, time), (self.end, time)
        return Stays(*(np.concatenate(pair) for pair in columns))


@dataclass(frozen=True)
class Layers:
    """The location of each agent in each layer: a row for each layer, a column for each agent.

    ``edges`` (int64, µs) are the boundaries of the layers, one more than there are layers. ``location`` is -1 if an agent has
    none, ``present`` is whether it has a line. ``n_hidden`` stays are in no layer. Intervals shorter than ``shortest_us`` (0 if
    there are none) were merged with their neighbours; ``n_merged`` counts them.
    """

    edges: Int64Array
    location: LayerTable
    present: PresenceTable
    shortest_us: int
    n_merged: int
    n_hidden: int

    def __len__(self) -> int:
        return len(self.location)


def checked_shortest(shortest_us: object) -> int:
    """The length of the shortest layer as an option; `BadOption` if it is not a number of µs."""
    if not is_integer(shortest_us) or not 0 <= int(shortest_us) <= INT64_MAX:  # type: ignore[call-overload]
        raise BadOption(f"shortest_us={quoted(shortest_us)} is not a number of µs, such as 5_000_000 for 5 s.")
    return int(shortest_us)  # type: ignore[call-overload, no-any-return]


def cut_layers(
    stays: Stays, instants: tuple[Int64Array, Int64Array], n_agents: int, *, broken: bool, shortest_us: int = 0
) -> Layers:
    """The layers of a trace.

    ``instants`` (agent, time) make no layers; an agent is present in the layer of its instant. If ``broken``, an agent is
    present only during its stays and instants; else from the first of them to the last. Neighbouring intervals that are all
    shorter than ``shortest_us`` are merged in any case.
    """
    times = np.unique(np.concatenate([stays.start, stays.end]))
    max_layers = max(min(MAX_LAYERS, MAX_LAYER_CELLS // max(n_agents, 1)), MIN_LAYER_LIMIT)
    edges, shortest_us = thin_edges(times.tolist(), max_layers, shortest_us)
    n_merged = max(len(times) - len(edges), 0)
    edges = extend_edges(edges, instants[1])
    location, present, n_hidden = longest_stays(edges, stays, n_agents)
    row, layer = layers_of(edges, instants[1], instants[1])
    present[layer, instants[0][row]] = True
    if not broken:
        present = np.maximum.accumulate(present) & np.maximum.accumulate(present[::-1])[::-1]
    return merge_equal_layers(Layers(edges, location, present, shortest_us, n_merged, n_hidden))


def thin_edges(times: list[int], max_layers: int, min_us: int = 0) -> tuple[Int64Array, int]:
    """The kept times, and ``shortest_us``, 0 if all times are kept.

    It is ``min_us``, or the first of 1, 2, 5, 10, ... µs above it that leaves at most ``max_layers`` layers.
    """
    if not times or (len(times) <= max_layers + 1 and not min_us):
        return np.array(times, dtype=np.int64), 0
    round_us = (step * 10**power for power in count() for step in (1, 2, 5))
    for shortest_us in chain([min_us] if min_us else [], (step for step in round_us if step > min_us)):
        kept = [0]
        while kept[-1] < len(times) - 1 and len(kept) <= max_layers + 1:
            following = bisect_left(times, times[kept[-1]] + shortest_us)
            last = following - 1  # the end of the dropped intervals
            ends = following == len(times) or times[following] - times[last] >= shortest_us
            kept += [last] if ends and last > kept[-1] else [following]
        if len(kept) <= max_layers + 1:
            return np.array(times, dtype=np.int64)[kept], shortest_us if len(kept) < len(times) else 0
    raise AssertionError("a step is longer than the trace")


def extend_edges(edges: Int64Array, instants: Int64Array) -> Int64Array:
    """The edges, extended to instants before the first or after the last edge."""
    if len(instants):
        first, last = int(instants.min()), int(instants.max())
        if not len(edges):
            return np.array([min(first, INT64_MAX - 1), min(last, INT64_MAX - 1) + 1], dtype=np.int64)
        before, after = ([first] if first < edges[0] else []), ([last] if last > edges[-1] else [])
        edges = np.concatenate([np.array(before, dtype=np.int64), edges, np.array(after, dtype=np.int64)])
    return edges


def layers_of(edges: Int64Array, start: Int64Array, end: Int64Array) -> tuple[Int64Array, Int64Array]:
    """The row of each interval and each layer that it overlaps; an instant is in the layer that begins at or before it."""
    first = np.clip(np.searchsorted(edges, start, side="right") - 1, 0, max(len(edges) - 2, 0))
    n_layers = np.maximum(np.searchsorted(edges, end, side="left") - first, 1)
    row = np.repeat(np.arange(len(first)), n_layers)
    return row, first[row] + number_in_run(n_layers)


def longest_stays(edges: Int64Array, stays: Stays, n_agents: int) -> tuple[LayerTable, PresenceTable, int]:
    """The location of each agent in each layer (-1: none), where it is present at all, and the number of hidden stays.

    Of locations with equally long stays, the lowest number counts.
    """
    row, layer = layers_of(edges, stays.start, stays.end)
    overlap_us = np.minimum(stays.end[row], edges[layer + 1]) - np.maximum(stays.start[row], edges[layer])
    cell, location = layer * n_agents + stays.agent[row], stays.location[row]
    order = np.lexsort((location, cell))
    cell, location = cell[order], location[order]
    first_rows = np.flatnonzero(run_starts(cell, location))
    stay_us = np.add.reduceat(overlap_us[order], first_rows) if len(first_rows) else overlap_us
    longest = first_rows[np.lexsort((-stay_us, cell[first_rows]))]
    longest = longest[run_starts(cell[longest])]
    length = np.diff(edges)[cell[longest] // n_agents] if len(longest) else stay_us[longest]
    longest = longest[stay_us[np.searchsorted(first_rows, longest)] >= -(-length // MIN_STAY_DIVISOR)]
    locations = np.full((len(edges) - 1) * n_agents, -1, dtype=np.int32)
    locations[cell[longest]] = location[longest]
    is_present = np.zeros(len(locations), dtype=bool)
    is_present[cell] = True
    shown_stays = np.unique(row[order][locations[cell] == location])
    return locations.reshape(-1, n_agents), is_present.reshape(-1, n_agents), len(stays.agent) - len(shown_stays)


def merge_equal_layers(layers: Layers) -> Layers:
    """The layers, with equal neighbours merged."""
    is_new = layer_changes(np.concatenate([layers.location, layers.present], axis=1))
    edges = np.append(layers.edges[:-1][is_new], layers.edges[-1])
    return replace(layers, edges=edges, location=layers.location[is_new], present=layers.present[is_new])
