import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenvis import palette


def test_a_colour_depends_on_the_set_of_names_alone():
    assert palette(["b", "a", "b"]) == palette(("a", "b"))
    assert list(palette("fedcba")) == list("abcdef")
    assert palette([]) == {}


@pytest.mark.laws
@given(st.sets(st.text(), max_size=60))
def test_every_name_has_a_colour_of_its_own(names):
    colors = palette(names)
    assert set(colors) == names
    assert len(set(colors.values())) == len(names)
    assert all(len(color) == 7 and int(color[1:], 16) >= 0 for color in colors.values())
