from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenvis.layout.storylines import layers as layers_module
from tokenvis.layout.storylines.layers import Stays, cut_layers, thin_edges


def layers(*stays, instants=(), n_agents=3, broken=False):
    """Layers of stays (agent, location, start, end) and instants (agent, time)."""
    columns = np.array(stays, dtype=np.int64).reshape(-1, 4).T
    return cut_layers(Stays(*columns), tuple(np.array(instants, dtype=np.int64).reshape(-1, 2).T), n_agents, broken=broken)


def test_a_layer_ends_where_an_agent_arrives_or_leaves():
    found = layers((0, 0, 0, 10), (1, 0, 5, 20), n_agents=2)
    assert found.edges.tolist() == [0, 5, 10, 20]
    assert found.location.tolist() == [[0, -1], [0, 0], [-1, 0]]
    assert found.present.tolist() == [[True, False], [True, True], [False, True]]


def test_a_line_continues_between_stays_unless_it_is_broken():
    stays = (0, 0, 0, 2), (0, 0, 8, 10), (1, 0, 0, 10)
    assert layers(*stays, n_agents=2).present.tolist() == [[True, True]] * 3
    assert layers(*stays, n_agents=2, broken=True).present.tolist() == [[True, True], [False, True], [True, True]]


def test_an_instant_makes_no_layer_but_its_agent_is_present():
    found = layers((0, 0, 0, 10), instants=[(1, 4)], n_agents=2)
    assert (found.edges.tolist(), found.location.tolist(), found.present.tolist()) == ([0, 10], [[0, -1]], [[True, True]])


def test_instants_outside_all_stays_are_in_separate_layers():
    found = layers((0, 0, 5, 10), instants=[(1, 0), (2, 30)])
    assert found.edges.tolist() == [0, 5, 10, 30]
    assert found.present.tolist() == [[False, True, False], [True, False, False], [False, False, True]]
    assert layers(instants=[(0, 7)], n_agents=1).edges.tolist() == [7, 8]


def test_equal_neighbours_are_merged():
    assert layers((0, 0, 0, 5), (0, 0, 5, 10), n_agents=1).edges.tolist() == [0, 10]


def test_short_intervals_are_merged_and_the_longest_stay_counts(monkeypatch):
    monkeypatch.setattr(layers_module, "MAX_LAYERS", 3)
    monkeypatch.setattr(layers_module, "MIN_LAYER_LIMIT", 3)
    found = layers((0, 0, 0, 100), (0, 1, 100, 103), (0, 2, 103, 108), (0, 1, 108, 200), (1, 0, 101, 102), n_agents=2)
    assert (found.edges.tolist(), found.shortest_us, found.n_merged) == ([0, 100, 108, 200], 10, 3)
    assert found.location.tolist() == [[0, -1], [2, 0], [1, -1]]


def test_a_short_stay_before_a_long_pause_remains_short(monkeypatch):
    monkeypatch.setattr(layers_module, "MAX_LAYERS", 8)
    monkeypatch.setattr(layers_module, "MIN_LAYER_LIMIT", 8)
    stays = [stay for n in range(4) for stay in ((0, 0, 100 * n, 100 * n + 1), (1, 0, 100 * n + 2, 100 * n + 3))]
    found = layers(*stays, n_agents=2)
    assert found.edges.tolist() == [0, 3, 100, 103, 200, 203, 300, 303]
    assert found.location.tolist() == [[0, 0], [-1, -1]] * 3 + [[0, 0]]


def test_stays_that_are_too_short_for_a_layer_are_hidden_and_counted(monkeypatch):
    monkeypatch.setattr(layers_module, "MAX_LAYERS", 2)
    monkeypatch.setattr(layers_module, "MIN_LAYER_LIMIT", 2)
    found = layers(*((0, 0, 100 * n, 100 * n + 1) for n in range(9)), (1, 0, 0, 801), n_agents=2)
    assert (found.location[:, 0].tolist(), found.location[:, 1].tolist()) == ([-1], [0])
    assert (found.present.all(), found.n_hidden) == (True, 9)
    assert layers((0, 0, 0, 5), (0, 1, 5, 9), n_agents=1).n_hidden == 0


def test_an_instant_may_be_at_the_limit_of_int64():
    assert layers(instants=[(0, 2**63 - 1)], n_agents=1).edges.tolist() == [2**63 - 2, 2**63 - 1]


@pytest.mark.laws
@given(st.lists(st.integers(0, 300), min_size=2, max_size=60, unique=True).map(sorted), st.integers(1, 30))
def test_only_short_intervals_are_merged_into_short_layers(times, most):
    kept, shortest_us = thin_edges(times, most)
    assert set(kept.tolist()) <= set(times)
    assert (kept[0], kept[-1]) == (times[0], times[-1])
    assert len(kept) <= most + 1
    assert (shortest_us == 0) == (len(times) <= most + 1)
    for low, high in pairwise(kept.tolist()):
        within = [time for time in times if low <= time <= high]
        if len(within) > 2:
            assert high - low < 2 * shortest_us
            assert all(two - one < shortest_us for one, two in pairwise(within))


@pytest.mark.laws
@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(0, 12), st.integers(1, 6)), min_size=1, max_size=8),
    st.integers(1, 6),
    st.booleans(),
)
def test_layers_agree_with_the_stays_at_every_moment(rows, most, broken):
    stays, free = [], {}
    for agent, location, start, length in sorted(rows, key=lambda row: row[2]):
        begin = max(start, free.get(agent, 0))  # those of one agent do not overlap
        stays.append((agent, location, begin, begin + length))
        free[agent] = begin + length
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(layers_module, "MAX_LAYERS", most)
        patch.setattr(layers_module, "MIN_LAYER_LIMIT", most)
        found = layers(*stays, broken=broken)
    assert len(found) <= most or not found.shortest_us
    for layer, (low, high) in enumerate(zip(found.edges[:-1].tolist(), found.edges[1:].tolist(), strict=True)):
        for agent in range(3):
            time = {}
            for visitor, location, start, end in stays:
                if visitor == agent and (shared := min(end, high) - max(start, low)) > 0:
                    time[location] = time.get(location, 0) + shared
            longest = min((location for location in time if time[location] == max(time.values())), default=-1)
            longest = longest if time and 10 * max(time.values()) >= high - low else -1
            assert found.location[layer, agent] == longest
            own = [(start, end) for visitor, _, start, end in stays if visitor == agent]
            inside = bool(own) and min(own)[0] < high and max(end for _, end in own) > low
            assert found.present[layer, agent] == (bool(time) if broken else inside)
