"""Layers: time cut where anybody comes, goes or moves, and who is where in each.

The elementary intervals of the sweep line are the layers of a storyline, neighbours in which all are where they were united.
Where there are more than a picture can show, boundaries are dropped: from the left, each one that is closer than ``shortest``
to the last one that was kept, unless a longer interval begins with it. So only intervals shorter than ``shortest`` are
merged, into layers shorter than twice that. In such a layer, an agent is where it is longest, if that is a tenth of the layer
or more, else nowhere; visits that are in no layer for that reason are counted.
"""

from bisect import bisect_left
from dataclasses import dataclass, replace
from itertools import count

import numpy as np

from tokenvis.layout.storylines.blocks import Present, Table, opens_layer
from tokenvis.spans.integers import INT64_MAX, Int64Array, opens_run
from tokenvis.spans.intervals import number_in_run

MOST_LAYERS = 400
MOST_CELLS = 200_000  # layers times agents; there are fewer layers where there are many agents,
FEWEST_LAYERS = 40  # but at least so many
LEAST_SHARE = 10  # an agent is at a place in a layer if it is there for one of so many parts of it


@dataclass(frozen=True)
class Visits:
    """Stretches in which an agent is at a place; those of one agent do not overlap. All int64: numbers from 0, and µs."""

    agent: Int64Array
    place: Int64Array
    start: Int64Array
    end: Int64Array

    @property
    def whereabouts(self) -> tuple[Int64Array, Int64Array, Int64Array]:
        """Place, start and end."""
        return self.place, self.start, self.end


@dataclass(frozen=True)
class Layers:
    """Who is where in each layer, a row a layer, a column an agent.

    ``edges`` (int64, µs) are the times between which layers lie, one more than there are layers. ``place`` is -1 where an
    agent is at none, ``present`` says where it has a line. ``n_hidden`` visits are in no layer. Intervals shorter than
    ``shortest`` (µs, 0 where none is) went into their neighbours; ``n_merged`` counts them.
    """

    edges: Int64Array
    place: Table
    present: Present
    shortest: int
    n_merged: int
    n_hidden: int

    def __len__(self) -> int:
        return len(self.place)


def layers_of(visits: Visits, instants: tuple[Int64Array, Int64Array], n_agents: int, *, broken: bool) -> Layers:
    """The layers of a trace.

    ``instants`` (agent, time) make no layers; an agent is present where it has one. ``broken``: an agent is present where it
    has a visit or an instant alone; else from the first of them to the last.
    """
    times = np.unique(np.concatenate([visits.start, visits.end]))
    edges, shortest = thinned(times.tolist(), max(min(MOST_LAYERS, MOST_CELLS // max(n_agents, 1)), FEWEST_LAYERS))
    n_merged = max(len(times) - len(edges), 0)
    edges = around(edges, instants[1])
    place, present, n_hidden = places_in(edges, visits, n_agents)
    present[np.clip(np.searchsorted(edges, instants[1], side="right") - 1, 0, len(place) - 1), instants[0]] = True
    if not broken:
        present = np.maximum.accumulate(present) & np.maximum.accumulate(present[::-1])[::-1]
    return united(Layers(edges, place, present, shortest, n_merged, n_hidden))


def thinned(times: list[int], most: int) -> tuple[Int64Array, int]:
    """The times that are kept, and ``shortest``: the first of 1, 2, 5, 10, ... µs that leaves at most so many layers."""
    if len(times) <= most + 1:
        return np.array(times, dtype=np.int64), 0
    for shortest in (step * 10**power for power in count() for step in (1, 2, 5)):
        kept = [0]
        while kept[-1] < len(times) - 1 and len(kept) <= most + 1:
            following = bisect_left(times, times[kept[-1]] + shortest)
            last = following - 1  # what is dropped ends there
            ends = following == len(times) or times[following] - times[last] >= shortest
            kept += [last] if ends and last > kept[-1] else [following]
        if len(kept) <= most + 1:
            return np.array(times, dtype=np.int64)[kept], shortest
    raise AssertionError("some step is longer than the trace")


def around(edges: Int64Array, instants: Int64Array) -> Int64Array:
    """The edges, with further ones where instants lie before the first or after the last."""
    if len(instants):
        first, last = int(instants.min()), int(instants.max())
        if not len(edges):
            return np.array([min(first, INT64_MAX - 1), min(last, INT64_MAX - 1) + 1], dtype=np.int64)
        early, late = ([first] if first < edges[0] else []), ([last] if last > edges[-1] else [])
        edges = np.concatenate([np.array(early, dtype=np.int64), edges, np.array(late, dtype=np.int64)])
    return edges


def places_in(edges: Int64Array, visits: Visits, n_agents: int) -> tuple[Table, Present, int]:
    """Where each agent is in each layer, -1 where it is nowhere; where it is anywhere for a moment; how many visits are hidden.

    Of places where an agent is as long, the lower number counts.
    """
    first = np.searchsorted(edges, visits.start, side="right") - 1
    n_layers = np.searchsorted(edges, visits.end, side="left") - first
    row = np.repeat(np.arange(len(first)), n_layers)
    layer = first[row] + number_in_run(n_layers)
    overlap = np.minimum(visits.end[row], edges[layer + 1]) - np.maximum(visits.start[row], edges[layer])
    cell, place = layer * n_agents + visits.agent[row], visits.place[row]
    order = np.lexsort((place, cell))
    cell, place = cell[order], place[order]
    opens = np.flatnonzero(opens_run(cell, place))
    time = np.add.reduceat(overlap[order], opens) if len(opens) else overlap
    best = opens[np.lexsort((-time, cell[opens]))]
    best = best[opens_run(cell[best])]
    length = np.diff(edges)[cell[best] // n_agents] if len(best) else time[best]
    best = best[time[np.searchsorted(opens, best)] >= -(-length // LEAST_SHARE)]
    table = np.full((len(edges) - 1) * n_agents, -1, dtype=np.int32)
    table[cell[best]] = place[best]
    touched = np.zeros(len(table), dtype=bool)
    touched[cell] = True
    seen = np.unique(row[order][table[cell] == place])
    return table.reshape(-1, n_agents), touched.reshape(-1, n_agents), len(first) - len(seen)


def united(layers: Layers) -> Layers:
    """Neighbours in which all are where they were, as one."""
    opens = opens_layer(np.concatenate([layers.place, layers.present], axis=1))
    edges = np.append(layers.edges[:-1][opens], layers.edges[-1])
    return replace(layers, edges=edges, place=layers.place[opens], present=layers.present[opens])
