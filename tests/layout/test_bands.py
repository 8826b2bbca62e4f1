import numpy as np
import pytest
from hypothesis import given
from test_ordering import stories

from tokenvis.layout.storylines.bands import GAP, banded, stays_in


def table(*rows):
    return np.array(rows, dtype=np.int32)


def test_each_location_has_a_zone_by_first_visit():
    group = table([1, 0], [0, 0])
    assert banded(group, group >= 0).tolist() == [[3, 0], [1, 0]]
    assert banded(group[:1], group[:1] >= 0).tolist() == [[2, 0]]


def test_who_is_at_none_stays_in_the_zone_where_it_was_or_will_be():
    assert stays_in(table([-1, 0], [1, -1], [-1, 0])).tolist() == [[1, 0], [1, 0], [1, 0]]
    assert stays_in(table([-1, 0])).tolist() == [[1, 0]]


def test_an_agent_keeps_its_height_while_it_stays():
    group = table([0, 0], [0, 1], [0, 0], [1, 0])
    heights = banded(group, group >= 0)
    assert heights[:3, 0].tolist() == [0, 0, 0]
    assert heights[2:, 1].tolist() == [1, 1]


def test_who_is_absent_has_no_height():
    assert banded(table([0, -1], [0, 0]), table([1, 0], [1, 1]) > 0).tolist() == [[0, -1], [0, 1]]


@pytest.mark.laws
@given(stories(most_agents=6, most_layers=8))
def test_zones_are_apart_and_no_two_lines_have_one_height(blocks):
    present = blocks >= 0
    heights = banded(blocks, present)
    assert ((heights >= 0) == present).all()
    for row in heights:
        assert len(set(row[row >= 0].tolist())) == (row >= 0).sum()
    zone = stays_in(blocks)
    reach = [(heights[present & (zone == name)].min(), heights[present & (zone == name)].max()) for name in set(zone[present])]
    for (_, bottom), (top, _) in zip(sorted(reach), sorted(reach)[1:], strict=False):
        assert top - bottom >= GAP
