from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_ordering import stories

from tokenvis.layout.storylines.blocks import count_crossings
from tokenvis.layout.storylines.curves import line_curves, vertical_moves
from tokenvis.layout.storylines.heights import heights_of
from tokenvis.layout.storylines.ordering import initial_ranks


def table(*rows):
    return np.array(rows, dtype=np.int32)


def moves(heights, edges):
    found = vertical_moves(heights, np.array(edges, dtype=float))
    return list(zip(*(column.tolist() for column in (found.agent, found.layer, found.x0, found.x1)), strict=True))


def test_a_move_takes_at_most_two_fifths_of_either_layer():
    assert moves(table([0], [9]), [0, 5, 100]) == [(0, 1, 3, 7)]


def test_a_longer_move_takes_longer():
    [(_, _, x0, x1)] = moves(table([0], [1]), [0, 500, 1000])
    [(_, _, far0, far1)] = moves(table([0], [4]), [0, 500, 1000])
    assert (x0 + x1, far0 + far1) == (1000, 1000)
    assert far1 - far0 == pytest.approx(2 * (x1 - x0))


def test_lines_that_move_together_stay_parallel():
    one, two = (course for [course] in line_curves(table([0, 1], [4, 5]), np.array([0.0, 50.0, 100.0])))
    assert (two.y - one.y).tolist() == [1.0] * len(one.y)


def test_a_move_ends_where_a_line_begins_within_its_range_and_begins_where_one_ends():
    assert moves(table([0, -1], [6000, 3000]), [0, 10, 20]) == [(0, 1, 6, 10)]
    assert moves(table([0, 3000], [6000, -1]), [0, 10, 20]) == [(0, 1, 10, 14)]
    assert moves(table([0, -1, 4000], [6000, 3000, -1]), [0, 10, 20]) == [(0, 1, 6, 14)]


def test_a_layer_without_moves_is_merged_with_the_next():
    assert moves(table([0], [0], [9000]), [0, 9, 10, 20]) == [(0, 2, 6, 14)]


def test_a_broken_line_has_several_curves():
    [first, second] = line_curves(table([2], [-1], [0]), np.array([0.0, 1.0, 2.0, 3.0]))[0]
    assert (first.x.tolist(), first.y.tolist()) == ([0, 1], [2, 2])
    assert (second.x.tolist(), second.y.tolist()) == ([2, 3], [0, 0])
    part = first.between(0.25, 0.5)
    assert (part.x.tolist(), part.y.tolist()) == ([0.25, 0.5], [2, 2])


def times_crossed(one, two):
    """How often the sign of the distance of two lines changes while both are present."""
    x = np.unique(np.concatenate([one.x, two.x]))
    x = x[(x >= max(one.x[0], two.x[0])) & (x <= min(one.x[-1], two.x[-1]))]
    sign = np.sign(np.round(one.y_at(x) - two.y_at(x), 9))
    sign = sign[sign != 0]
    return int((sign[1:] != sign[:-1]).sum())


@pytest.mark.laws
@given(stories(most_agents=5, most_layers=6).filter(lambda blocks: (blocks >= 0).all()), st.data())
def test_lines_cross_only_where_their_order_changes(blocks, data):
    ranks = initial_ranks(blocks)
    lengths = data.draw(st.lists(st.integers(1, 50), min_size=len(blocks), max_size=len(blocks)))
    edges = np.cumsum([0.0, *lengths])
    lines = line_curves(heights_of(blocks, ranks), edges)
    assert sum(times_crossed(one, two) for [one], [two] in combinations(lines, 2)) == count_crossings(ranks)


@pytest.mark.laws
@given(stories(most_agents=5, most_layers=6), st.data())
def test_curves_stay_within_their_time_and_reach_their_heights(blocks, data):
    lengths = data.draw(st.lists(st.integers(1, 50), min_size=len(blocks), max_size=len(blocks)))
    edges = np.cumsum([0.0, *lengths])
    heights = heights_of(blocks, initial_ranks(blocks))
    (stays,) = np.nonzero((heights[1:] == heights[:-1]).all(axis=1))
    alone = set(range(len(heights))) - set(stays.tolist()) - set((stays + 1).tolist())  # layers with no equal neighbour
    for height, parts in zip(heights.T, line_curves(heights, edges), strict=True):
        (here,) = np.nonzero(height >= 0)
        assert [(part.x[0], part.x[-1]) for part in parts] == [
            (edges[run[0]], edges[run[-1] + 1]) for run in np.split(here, np.flatnonzero(np.diff(here) > 1) + 1) if len(run)
        ]
        for part in parts:
            assert (np.diff(part.x) >= 0).all()
            for layer in alone & set(here.tolist()):
                if part.x[0] <= edges[layer] < part.x[-1]:
                    assert part.y_at(edges[[layer]] + lengths[layer] / 2)[0] == height[layer]
