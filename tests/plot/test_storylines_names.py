import matplotlib.pyplot as plt
import numpy as np
import pytest
from conftest import spans_of
from hypothesis import given
from hypothesis import strategies as st
from pictures import collisions

from tokenvis import plot_storyline, theme
from tokenvis.plot.artists.colors import OTHERS_COLOR, QUALITATIVE_COLORS
from tokenvis.plot.artists.notes import Note
from tokenvis.plot.artists.storylines.lines import shaded_color
from tokenvis.plot.artists.storylines.names import LineLabels, contrast, readable_color, spread_out
from tokenvis.plot.artists.style import THEMES


def drawn(ax):
    """The names as they are drawn, and the messages about those that are not."""
    ax.figure.canvas.draw()
    [labels] = [artist for artist in ax.get_children() if isinstance(artist, LineLabels)]
    return labels.texts(ax.figure.canvas.get_renderer()), labels.messages()


def test_contrast_is_that_of_wcag():
    assert contrast("#000000", "#ffffff") == contrast("#ffffff", "#000000") == pytest.approx(21)
    assert contrast("#777777", "#777777") == 1
    assert contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.01)


@pytest.mark.parametrize("look", ["light", "dark"])
def test_every_name_is_legible_in_both_themes(look):
    colors = THEMES[look]
    for color in (*QUALITATIVE_COLORS, OTHERS_COLOR, "#000000", "#ffffff"):
        for step in range(3):
            assert contrast(readable_color(shaded_color(color, step, colors), colors), colors.background) >= 4.5
    legible = next(color for color in QUALITATIVE_COLORS if contrast(color, colors.background) >= 4.5)
    assert readable_color(legible, colors) == legible


@pytest.mark.parametrize("look", ["light", "dark"])
def test_the_names_in_the_picture_are_legible(look):
    spans = spans_of(*(f"agent{number:02} {number} 90 room{number}" for number in range(14)))
    with plt.rc_context(theme(look)):
        texts, _ = drawn(plot_storyline(spans))
    assert {f"agent{number:02}" for number in range(14)} < {text.get_text() for text in texts}
    assert all(contrast(text.get_color(), THEMES[look].background) >= 4.5 for text in texts)


def test_positions_are_spread_out_as_little_as_possible():
    assert spread_out([10, 20, 30], 5, 0, 100) == [10, 20, 30]
    assert spread_out([10, 10], 4, 0, 100) == [8, 12]
    assert spread_out([1, 1, 50], 4, 0, 100) == [0, 4, 50]
    assert spread_out([99, 100], 4, 0, 100) == [96, 100]
    assert spread_out([], 4, 0, 100) == []


@pytest.mark.laws
@given(st.lists(st.integers(0, 100), max_size=8), st.integers(1, 10))
def test_spread_positions_are_apart_and_in_order(positions, distance):
    found = np.array(spread_out(sorted(positions), distance, 0, 100))
    assert (np.diff(found) >= distance - 1e-9).all()
    assert len(found) == 0 or (found[0] >= 0 and found[-1] <= 100 + 1e-9)


def small(spans, **options):
    _, ax = plt.subplots(figsize=(3.3, 2.6), layout="constrained")
    return plot_storyline(spans, ax=ax, **options)


def test_names_beside_a_small_picture_do_not_collide_and_leave_space():
    spans = spans_of(*(f"researcher-number-{number} 0 90 room{number}" for number in range(9)))
    ax = small(spans)
    texts, messages = drawn(ax)
    beside = [text for text in texts if text.get_window_extent().x1 <= ax.bbox.x0]
    assert len(beside) == 9
    assert not [message for message in messages if "agent" in message]
    assert collisions(ax.figure) == []
    assert ax.bbox.width > 0.65 * ax.figure.bbox.width


def test_there_is_space_for_the_names_of_the_first_and_the_last_room_in_a_small_picture():
    spans = spans_of(*(f"agent{number} 0 90 room{number}" for number in range(7)))
    texts, _ = drawn(small(spans))
    assert {"room0", "room6"} <= {text.get_text() for text in texts}


def test_a_long_story_has_names_at_both_ends_if_there_is_space():
    rows = [f"ann {step} {step + 1} {'desk' if step % 2 else 'lab'}" for step in range(30)]
    assert [text.get_text() for text in drawn(plot_storyline(spans_of(*rows)))[0]].count("ann") == 2
    assert [text.get_text() for text in drawn(small(spans_of(*rows)))[0]].count("ann") == 1


def test_names_that_do_not_fit_are_counted():
    spans = spans_of(*(f"agent{number:02} 0 90 room{number:02}" for number in range(40)))
    texts, messages = drawn(small(spans))
    shown = {text.get_text() for text in texts}
    n_agents, n_rooms = (len([name for name in shown if name.startswith(kind)]) for kind in ("agent", "room"))
    assert 0 < n_agents < 40
    assert messages == [f"{40 - n_agents} of 40 agent names left out", f"{40 - n_rooms} of 40 location names left out"]


def test_the_note_of_the_picture_has_these_counts():
    spans = spans_of(*(f"ann {step} {step + 1} {'desk' if step % 2 else 'lab'}" for step in range(300)))
    ax = plot_storyline(spans)
    ax.figure.canvas.draw()
    [found] = [artist for artist in ax.get_children() if isinstance(artist, Note)]
    assert found.get_text() == "2 of 2 location names left out"
    assert found.get_window_extent().y0 >= 0
