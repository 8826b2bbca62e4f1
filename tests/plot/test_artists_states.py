import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_hex

from tokenvis.plot.artists.colors import OTHERS_COLOR, QUALITATIVE_COLORS
from tokenvis.plot.artists.states import (
    LOOKS,
    Texture,
    area_style,
    draw_in_state,
    state_color,
    state_handles,
    texture_pixels,
)
from tokenvis.plot.artists.style import DARK, LIGHT, luminance

themes = pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])


def corners(*bars):
    """Bars from 0 to 1, as four corners each."""
    return np.array([[(x0, 0), (x1, 0), (x1, 1), (x0, 1)] for x0, x1 in bars], dtype=float)


def axes_of(low, high, n_pixels):
    return plt.figure(figsize=(n_pixels / 100, 1), dpi=100).add_axes((0, 0, 1, 1), xlim=(low, high), ylim=(0, 1))


def contrast(one, other):
    """The contrast of two colours as in WCAG 2."""
    dark, light = sorted([luminance(one), luminance(other)])
    return (light + 0.05) / (dark + 0.05)


@themes
@pytest.mark.parametrize("color", [*QUALITATIVE_COLORS, OTHERS_COLOR])
def test_work_is_full_and_the_less_a_state_is_work_the_nearer_it_is_to_the_background(color, theme):
    fills = [state_color(color, state, theme) for state in ("work", "agent", "person")]
    assert fills[0] == to_hex(color)
    distances = [abs(luminance(fill) - luminance(theme.background)) for fill in fills]
    assert distances == sorted(distances, reverse=True)
    assert len(set(fills)) == 3


@themes
@pytest.mark.parametrize("color", [*QUALITATIVE_COLORS, OTHERS_COLOR])
def test_a_texture_differs_from_the_fill_in_lightness(color, theme):
    for state in ("agent", "person"):
        assert contrast(theme.muted, state_color(color, state, theme)) > 1.9


def test_bars_of_a_state_are_two_collections_for_any_number():
    for count in (1, 300):
        ax = axes_of(0, 300, 300)
        draw_in_state(ax, corners(*((n, n + 1) for n in range(count))), ["#3863aa"] * count, "agent", LIGHT, zorder=3)
        assert [c.get_label() for c in ax.collections] == ["waits for an agent", "waits for an agent: texture"]
    ax = axes_of(0, 1, 100)
    draw_in_state(ax, corners(), [], "agent", LIGHT, zorder=3)
    assert list(ax.collections) == []


def test_an_unexplained_wait_has_a_dashed_border_and_no_texture():
    ax = axes_of(0, 10, 100)
    draw_in_state(ax, corners((0, 5)), ["#3863aa"], "unexplained", LIGHT, zorder=3)
    [bars] = ax.collections
    assert bars.get_linestyle()[0][1] is not None
    assert (to_hex(bars.get_facecolor()[0]), to_hex(bars.get_edgecolor()[0])) == (LIGHT.shading, LIGHT.muted)


def test_a_narrow_bar_has_no_texture_until_it_is_zoomed():
    ax = axes_of(0, 100, 200)
    draw_in_state(ax, corners((0, 3), (10, 14), (99, 120)), ["#3863aa"] * 3, "person", LIGHT, zorder=3)
    texture = next(c for c in ax.collections if isinstance(c, Texture))
    assert texture.is_wide().tolist() == [False, True, False]  # 6, 8, and 2 pixels in view
    ax.set_xlim(0, 10)
    assert texture.is_wide().tolist() == [True, False, False]
    ax.figure.canvas.draw()
    assert len(texture.get_paths()) == 1
    ax.set_xlim(100, 0)
    ax.figure.canvas.draw()
    assert len(texture.get_paths()) == 1


def test_the_legend_lists_states_only_if_a_span_waits():
    assert state_handles(["work"], LIGHT) == state_handles([], LIGHT) == []
    handles = state_handles(["unexplained", "person", "work"], LIGHT)
    assert [handle.get_label() for handle in handles] == ["works", "waits for a person", "unexplained"]
    assert [look.name for look in LOOKS.values()] == ["works", "waits for an agent", "waits for a person", "unexplained"]


def test_an_area_has_the_fill_and_the_texture_of_a_bar():
    style = area_style("#3863aa", "agent", LIGHT)
    assert (style["facecolor"], style["hatch"]) == (state_color("#3863aa", "agent", LIGHT), LOOKS["agent"].hatch)


@pytest.mark.parametrize("pixels_per_point", [0.5, 1, 1.4, 4])
def test_textures_of_images_are_lines_and_dots(pixels_per_point):
    lines, dots = (texture_pixels(state, (60, 90), pixels_per_point) for state in ("agent", "person"))
    assert (lines[1:, :-1] == lines[:-1, 1:]).all()  # diagonal
    assert dots.all(axis=1).sum() == dots.all(axis=0).sum() == 0
    assert 0.1 < lines.mean() <= 0.5
    assert 0.05 < dots.mean() <= 0.5
