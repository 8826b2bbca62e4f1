from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given
from test_ordering import stories

from tokenvis.layout.storylines import heights as heights_module
from tokenvis.layout.storylines.heights import BLOCK_GAP, heights_of
from tokenvis.layout.storylines.ordering import initial_ranks


def table(*rows):
    return np.array(rows, dtype=np.int32)


def movement(heights):
    both = (heights[1:] >= 0) & (heights[:-1] >= 0)
    return int(np.abs(heights[1:] - heights[:-1])[both].sum())


def check_heights(blocks, ranks, heights):
    """Lines of a block are 1 apart, blocks at least the gap, all in the given order."""
    assert ((heights >= 0) == (blocks >= 0)).all()
    for block, rank, height in zip(blocks, ranks, heights, strict=True):
        order = np.argsort(rank[rank >= 0])
        block, height = block[rank >= 0][order].tolist(), height[rank >= 0][order].tolist()
        for (one, upper), (two, lower) in pairwise(zip(block, height, strict=True)):
            assert lower - upper == 1 if one == two else lower - upper >= BLOCK_GAP


def least_movement(blocks, ranks):
    """By trying all heights up to twice what the lines need."""
    highest = int((blocks >= 0).sum(axis=1).max()) * BLOCK_GAP + 2
    layers = []
    for block, rank in zip(blocks.tolist(), ranks.tolist(), strict=True):
        order = sorted((place, agent) for agent, place in enumerate(rank) if place >= 0)
        agents = [agent for _, agent in order]
        places = product(range(highest), repeat=len({block[agent] for agent in agents}))
        found = []
        for tops in places:
            heights_of_agent, number, height = {}, -1, 0
            for before, agent in zip([None, *agents], agents, strict=False):
                starts = before is None or block[before] != block[agent]
                number, height = (number + 1, tops[number + 1]) if starts else (number, height + 1)
                if before is not None and starts and height - heights_of_agent[before] < BLOCK_GAP:
                    break
                heights_of_agent[agent] = height
            else:
                found.append(heights_of_agent)
        layers.append(found)
    best = [0] * len(layers[0])
    for before, after in pairwise(layers):
        best = [
            min(
                total + sum(abs(way[agent] - old[agent]) for agent in way if agent in old)
                for total, old in zip(best, before, strict=True)
            )
            for way in after
        ]
    return min(best)


def test_lines_that_meet_move_and_no_other_does():
    blocks = table([0, 1, 2], [0, 0, 2], [0, 1, 2])
    heights = heights_of(blocks, initial_ranks(blocks))
    assert movement(heights) == 2
    assert heights[1].tolist() in ([0, 1, 4], [1, 2, 4])


def test_an_absent_agent_has_no_height():
    assert heights_of(table([0, -1], [0, 1]), table([0, -1], [0, 1])).tolist() == [[0, -1], [0, 2]]


def test_a_layer_may_be_empty():
    assert heights_of(table([0], [-1], [0]), table([0], [-1], [0])).tolist() == [[0], [-1], [0]]


@pytest.mark.laws
@given(stories(most_agents=6, most_layers=8))
def test_heights_keep_order_and_distance(blocks):
    ranks = initial_ranks(blocks)
    heights = heights_of(blocks, ranks)
    check_heights(blocks, ranks, heights)
    assert heights.max() < 0 or heights[heights >= 0].min() == 0
    assert (heights == heights_of(blocks, ranks)).all()


@pytest.mark.laws
@given(stories(most_agents=2, most_layers=4))
def test_no_heights_move_less(blocks):
    ranks = initial_ranks(blocks)
    assert movement(heights_of(blocks, ranks)) == least_movement(blocks, ranks)


@pytest.mark.laws
@given(stories(most_agents=6, most_layers=12))
def test_windows_keep_order_and_distance(blocks):
    ranks = initial_ranks(blocks)
    whole = movement(heights_of(blocks, ranks))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(heights_module, "WINDOW_BLOCKS", 8)
        heights = heights_of(blocks, ranks)
    check_heights(blocks, ranks, heights)
    assert movement(heights) >= whole


@pytest.mark.laws
@given(stories(most_agents=6, most_layers=12))
def test_very_large_stories_keep_order_and_distance(blocks):
    ranks = initial_ranks(blocks)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(heights_module, "MAX_PROGRAM_LINKS", -1)
        heights = heights_of(blocks, ranks)
    check_heights(blocks, ranks, heights)
    assert movement(heights) >= movement(heights_of(blocks, ranks))


def test_bends_and_space_never_cost_movement(monkeypatch):
    random = np.random.default_rng(7)
    place = random.integers(0, 4, (30, 8)).astype(np.int32)
    from tokenvis.layout.storylines.blocks import blocks_by_group

    blocks = blocks_by_group(place, place >= 0)
    heights = heights_of(blocks, initial_ranks(blocks))
    monkeypatch.setattr(heights_module, "BEND_COST", 0.0)
    monkeypatch.setattr(heights_module, "WHITE_SPACE_COST", 0.0)
    assert movement(heights) == movement(heights_of(blocks, initial_ranks(blocks)))
