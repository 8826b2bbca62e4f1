import numpy as np
from conftest import spans_of

from tokenvis import storyline
from tokenvis.layout.storylines.geometry import storyline_geometry
from tokenvis.layout.storylines.turns import Turns, turns_of


def turns(*rows):
    lines = storyline(spans_of(*rows), budget=0).lines
    return turns_of(storyline_geometry(lines, "location_id", lambda times: times.astype(float)))


def test_a_line_turns_where_it_moves():
    found = turns("ann 0 40 desk", "bob 0 20 lab", "bob 20 40 desk")
    assert (found.x.tolist(), found.count.tolist()) == ([20], [1])
    assert (found.x0.tolist(), found.x1.tolist()) == ([0, 0], [40, 40])
    assert found.mean_distance(0, 40) == 80
    assert found.mean_distance(10, 20) == 20
    assert found.mean_distance(21, 40) == np.inf


def test_two_lines_turn_where_they_cross():
    pairs = [("ann", "bob"), ("eve", "dan"), ("ann", "eve"), ("bob", "dan"), ("ann", "dan"), ("bob", "eve")] * 2
    rows = [
        f"{who} {n} {n + 1} {'desk' if who in pair else who}"
        for n, pair in enumerate(pairs)
        for who in ("ann", "bob", "dan", "eve")
    ]
    total = storyline(spans_of(*rows), budget=0).totals.iloc[0]
    assert total["crossings"] > 0
    assert turns(*rows).count.sum() == total["wiggles"] + 2 * total["crossings"]


def test_a_story_without_moves_has_no_turns():
    assert turns("ann 0 40 desk").mean_distance(0, 40) == np.inf
    assert Turns(np.array([5.0]), np.array([2]), np.array([0.0]), np.array([10.0])).mean_distance(0, 10) == 5
