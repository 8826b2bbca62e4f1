import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenvis import palette
from tokenvis.plot.artists.colors import MAX_COLORED_NAMES, OTHERS_COLOR, QUALITATIVE_COLORS
from tokenvis.plot.artists.style import DARK, LIGHT, luminance

# OKLab: B. Ottosson, "A perceptual color space for image processing", 2020
TO_CONES = np.array([[0.4122214708, 0.5363325363, 0.0514459929], [0.2119034982, 0.6806995451, 0.1073969566], [0.0883024619, 0.2817188376, 0.6299787005]])  # fmt: skip  # noqa: E501
TO_LAB = np.array([[0.2104542553, 0.7936177850, -0.0040720468], [1.9779984951, -2.4285922050, 0.4505937099], [0.0259040371, 0.7827717662, -0.8086757660]])  # fmt: skip  # noqa: E501
# G. M. Machado, M. M. Oliveira, L. A. F. Fernandes, 2009, severity 1.0, on linear RGB
EYES = {
    "normal": np.eye(3),
    "protanopia": np.array([[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanopia": np.array([[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]),
}


def linear(colors):
    """Linear RGB of colours."""
    channels = np.array([[int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)] for color in colors])
    return np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)


def nearest(points):
    """The least distance of any two points."""
    distance = np.linalg.norm(points[:, None] - points[None], axis=2)
    return distance[np.triu_indices(len(points), 1)].min()


@pytest.mark.parametrize(
    ("eyes", "least"), [("normal", 0.1), ("protanopia", 0.07), ("deuteranopia", 0.07), ("tritanopia", 0.07)]
)
def test_colours_are_distinct(eyes, least):
    assert len(QUALITATIVE_COLORS) == 12
    seen = np.clip(linear(QUALITATIVE_COLORS) @ EYES[eyes].T, 0, 1)
    assert nearest(np.cbrt(seen @ TO_CONES.T) @ TO_LAB.T) >= least  # 0.02 is just noticeable


def test_colours_are_distinct_in_greyscale():
    light = 116 * np.cbrt(linear(QUALITATIVE_COLORS) @ (0.2126, 0.7152, 0.0722)) - 16  # L* of CIELAB; 1 is just noticeable
    assert np.diff(np.sort(light)).min() >= 3.5


@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_colours_have_contrast_on_the_background(theme):
    background = luminance(theme.background)
    levels = [luminance(color) for color in (*QUALITATIVE_COLORS, OTHERS_COLOR)]
    contrasts = [(max(background, level) + 0.05) / (min(background, level) + 0.05) for level in levels]
    assert min(contrasts) >= 1.5


def test_a_colour_depends_only_on_the_set_of_names():
    assert palette(["b", "a", "b"]) == palette(("a", "b"))
    assert list(palette("fedcba")) == list("abcdef")
    assert palette([]) == {}


@pytest.mark.laws
@given(st.sets(st.text(), max_size=30))
def test_the_first_dozen_names_have_distinct_colours_and_the_others_share_one(names):
    colors = palette(names)
    assert list(colors) == sorted(names)
    own = list(colors.values())[:MAX_COLORED_NAMES]
    assert len(set(own)) == len(own)
    assert OTHERS_COLOR not in own
    assert set(list(colors.values())[MAX_COLORED_NAMES:]) <= {OTHERS_COLOR}
