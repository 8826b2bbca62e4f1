"""Returns: an agent that comes back to a location where it was before, after work elsewhere.

A visit is a run of the agent's consecutive spans at one location, in the order of their starts. Only innermost spans count: a
span around others of the same agent is their frame, not a place between them. Nor do calls of models count, since an agent that
uses tools asks its model after each. A visit that begins while the agent is still there from before is no return.
"""

from collections.abc import Iterator

import numpy as np

from tokenvis.findings.basis import Basis
from tokenvis.findings.behaviour import Behaviour, shown, times_word
from tokenvis.spans.integers import Int64Array, Mask, counts, run_starts, running_max, sort_order
from tokenvis.tree.relations import NO_ROW

MIN_RETURNS = 5
MIN_SHARE_OF_VISITS = 1 / 3  # of all visits of the agent: fewer are usual for an agent that works at several places


def returns(basis: Basis) -> Iterator[Behaviour]:
    """The locations to which an agent comes back at least five times, if they have at least a third of its visits."""
    counted, row = is_counted(basis), basis.starts.in_order[0]
    row = row[counted[row]]
    agent, place = basis.agents.group[row], basis.places.group[row]
    visit = run_starts(place)
    n_visits, n_of_agent = counts(place[visit], len(basis.places)), counts(agent[visit], len(basis.agents))
    often = (n_visits > MIN_RETURNS)[place]
    often[often] = n_visits[place[often]] >= MIN_SHARE_OF_VISITS * n_of_agent[agent[often]]
    returned = row[often][is_return(basis, row[often], visit[often])]
    n_returns = counts(basis.places.group[returned], len(basis.places))
    returned = returned[n_returns[basis.places.group[returned]] >= MIN_RETURNS]
    if not len(returned):
        return
    found = shown(basis, returned)
    meanings = [
        f"{agent} came back to {location} {times_word(size)} after work elsewhere. Calls of models are not counted."
        for (agent, location), size in zip(found.names(basis), found.sizes.tolist(), strict=True)
    ]
    yield Behaviour("return", found.places, found.rows, found.first, meanings)


def is_counted(basis: Basis) -> Mask:
    """The first row of each span that is no call of a model and has no child of the same agent."""
    agent, child = basis.agents.group[basis.first], np.flatnonzero(basis.parent != NO_ROW)
    child = child[agent[basis.parent[child]] == agent[child]]
    is_counted = ~basis.figures.is_model
    is_counted[basis.parent[child]] = False
    result = np.zeros(len(basis.spans), dtype=bool)
    result[basis.first] = is_counted
    return result


def is_return(basis: Basis, row: Int64Array, visit: Mask) -> Mask:
    """Whether each row begins a visit, after all earlier spans of its agent there have ended; rows by agent, then start."""
    start, end = basis.times
    place, number = basis.places.group[row], np.arange(len(row))
    order = sort_order(place, number)
    in_order = row[order]
    last_end = running_max(place[order], end[in_order])
    came_back = ~run_starts(place[order])
    came_back[1:] &= start[in_order[1:]] >= last_end[:-1]
    result = np.empty(len(row), dtype=bool)
    result[order] = came_back
    return result & visit
