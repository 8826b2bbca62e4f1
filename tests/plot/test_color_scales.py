import pandas as pd
import pytest
from matplotlib.colors import to_hex

from tokenvis import BadOption, palette
from tokenvis.plot.artists.color_scales import MAX_DISTINCT_OTHERS, color_scale
from tokenvis.plot.artists.colors import OTHERS_COLOR
from tokenvis.plot.artists.style import LIGHT
from tokenvis.spans.columns import MAX_MASKED_CATEGORIES

AGENTS = [f"agent {n:02}" for n in range(15)]


def colors_of(values, given=None):
    """The colour of each value."""
    scale = color_scale(pd.Series(values), given, LIGHT)
    return [scale.colors[code] for code in scale.code]


def test_names_have_the_colours_of_the_palette_and_a_missing_one_is_grey():
    assert colors_of(["b", "a", None]) == [palette("ab")["b"], palette("ab")["a"], LIGHT.muted]
    assert color_scale(pd.Series(["b", None]), None, LIGHT).legend == [(palette("b")["b"], "b"), (LIGHT.muted, "none")]


def test_a_colour_survives_filtering():
    values = pd.Series(["ann", "bob"], dtype="category")
    assert colors_of(values[values == "bob"]) == [palette(["ann", "bob"])["bob"]]


def test_a_small_slice_of_many_traces_has_the_colours_of_its_own_names():
    others = [f"agent {n:04}" for n in range(MAX_MASKED_CATEGORIES)]
    values = pd.Series(pd.Categorical(["zoe", "bob", None], categories=sorted([*others, "bob", "zoe"])))
    assert colors_of(values) == colors_of(["zoe", "bob", None])
    assert color_scale(values, None, LIGHT).legend[:2] == [(palette(["bob", "zoe"])[name], name) for name in ("bob", "zoe")]


def test_names_beyond_the_palette_are_others_and_counted_in_the_legend():
    scale = color_scale(pd.Series(AGENTS), None, LIGHT)
    assert scale.legend[-1] == (OTHERS_COLOR, "3 others")
    assert [name for _, name in scale.legend[:-1]] == AGENTS[:12]
    assert colors_of(AGENTS)[12:] == [OTHERS_COLOR] * 3
    assert len(set(scale.code)) == 15  # separate, so that all together do not outweigh each name
    many = color_scale(pd.Series([f"agent {n:04}" for n in range(12 + MAX_DISTINCT_OTHERS + 1)]), None, LIGHT)
    assert len(set(many.code)) == 13
    assert many.legend[-1] == (OTHERS_COLOR, f"{MAX_DISTINCT_OTHERS + 1} others")


def test_a_mapping_may_name_some():
    assert colors_of(["a", "b", "c"], {"b": "red"}) == [OTHERS_COLOR, "#ff0000", OTHERS_COLOR]
    assert colors_of([1, 2], {1: "red", 2: "blue"}) == ["#ff0000", "#0000ff"]


def test_two_names_may_share_a_colour():
    scale = color_scale(pd.Series(["a", "b"]), {"a": "red", "b": "red"}, LIGHT)
    assert scale.legend == [("#ff0000", "a"), ("#ff0000", "b")]


def test_many_numbers_are_a_scale():
    scale = color_scale(pd.Series([*range(0, 1200, 10)]), None, LIGHT)
    assert [name for _, name in scale.legend] == [
        "0 to 200",
        "200 to 400",
        "400 to 600",
        "600 to 800",
        "800 to 1,000",
        "1,000 to 1,200",
    ]
    assert scale.code[[0, 19, 20, -1]].tolist() == [0, 0, 1, 5]
    with_missing = color_scale(pd.Series([*range(0, 1200, 10), None], dtype="Int64"), None, LIGHT)
    assert with_missing.legend[-1] == (LIGHT.muted, "none")
    assert with_missing.colors[with_missing.code[-1]] == LIGHT.muted
    few = color_scale(pd.Series([3, 1, 2]), None, LIGHT)
    assert [name for _, name in few.legend] == ["1", "2", "3"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("tab10", r"^palette='tab10' is neither a mapping from name to colour nor a list of colours\.$"),
        (7, r"^palette=7 is neither"),
        (["red", "blood"], r"^palette has values that are not colours: 'blood'\. Use for example '#3b6fb6'\.$"),
        ({"a": "blood"}, r"^palette has values that are not colours: 'blood'"),
        (["red"], r"^palette has no colour for 'b'\. Add one for each name\.$"),
    ],
)
def test_an_invalid_palette_is_refused(given, message):
    with pytest.raises(BadOption, match=message):
        color_scale(pd.Series(["a", "b"]), given, LIGHT)


def test_colours_are_hexadecimal():
    assert colors_of(["a"], ["rebeccapurple"]) == [to_hex("rebeccapurple")]


def test_names_that_are_last_are_last_in_the_legend_and_keep_their_colours():
    values = pd.Series(["root", "ann", "bob"])
    plain, ordered = color_scale(values, None, LIGHT), color_scale(values, None, LIGHT, last={"ann"})
    assert [name for _, name in ordered.legend] == ["bob", "root", "ann"]
    assert (dict(ordered.legend), ordered.colors) == (dict(plain.legend), plain.colors)
    assert ordered.code.tolist() == plain.code.tolist()
