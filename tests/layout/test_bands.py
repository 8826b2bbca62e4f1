import numpy as np
import pytest
from hypothesis import given
from test_ordering import stories

from tokenvis.layout.storylines.bands import BAND_GAP_LINES, heights_in_bands, nearest_groups


def table(*rows):
    return np.array(rows, dtype=np.int32)


def test_each_location_has_a_band_in_order_of_first_stay():
    group = table([1, 0], [0, 0])
    assert heights_in_bands(group, group >= 0).tolist() == [[3, 0], [1, 0]]
    assert heights_in_bands(group[:1], group[:1] >= 0).tolist() == [[2, 0]]


def test_an_agent_without_a_location_stays_in_its_last_or_first_band():
    assert nearest_groups(table([-1, 0], [1, -1], [-1, 0])).tolist() == [[1, 0], [1, 0], [1, 0]]
    assert nearest_groups(table([-1, 0])).tolist() == [[1, 0]]


def test_an_agent_keeps_its_height_while_it_stays():
    group = table([0, 0], [0, 1], [0, 0], [1, 0])
    heights = heights_in_bands(group, group >= 0)
    assert heights[:3, 0].tolist() == [0, 0, 0]
    assert heights[2:, 1].tolist() == [1, 1]


def test_an_absent_agent_has_no_height():
    assert heights_in_bands(table([0, -1], [0, 0]), table([1, 0], [1, 1]) > 0).tolist() == [[0, -1], [0, 1]]


@pytest.mark.laws
@given(stories(most_agents=6, most_layers=8))
def test_bands_are_separate_and_each_line_has_its_own_height(blocks):
    present = blocks >= 0
    heights = heights_in_bands(blocks, present)
    assert ((heights >= 0) == present).all()
    for row in heights:
        assert len(set(row[row >= 0].tolist())) == (row >= 0).sum()
    band = nearest_groups(blocks)
    reach = [(heights[present & (band == name)].min(), heights[present & (band == name)].max()) for name in set(band[present])]
    for (_, bottom), (top, _) in zip(sorted(reach), sorted(reach)[1:], strict=False):
        assert top - bottom >= BAND_GAP_LINES
