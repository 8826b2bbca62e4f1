import matplotlib.pyplot as plt
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.colors import to_hex

from tokenvis.plot.artists import text as text_artists
from tokenvis.plot.artists.fonts import families_of
from tokenvis.plot.artists.style import LIGHT
from tokenvis.plot.artists.text import (
    BarLabels,
    cut_middle,
    drawable,
    fit_text,
    glyph,
    shorten_name,
    text_color_on,
    text_width,
)


def test_a_text_is_drawn_on_one_line_and_cut():
    assert drawable("two\nlines\tand\x00more") == "two lines and more"
    assert drawable("x" * 10_000, 5) == "xxxx…"
    assert drawable("$\\frac{x}$ <b>") == "$\\frac{x}$ <b>"


def test_the_characters_of_a_text_stay():
    for text in ("漢字 \N{GRINNING FACE}", "e\u0301cole", "می\u200cخواهم", "\N{WOMAN}\u200d\N{PERSONAL COMPUTER}"):
        assert drawable(text) == text
    assert drawable("a\u202egnp.exe \u2028 \u200b") == "a gnp.exe    "
    assert drawable("\ud800\uffff\ue000") == "\N{REPLACEMENT CHARACTER}" * 3


@pytest.mark.parametrize(
    "text", ["e\u0301" * 9, "\N{WOMAN}\u200d\N{PERSONAL COMPUTER}" * 9, "\N{THUMBS UP SIGN}\U0001f3fd" * 9]
)
def test_no_accent_or_part_of_an_emoji_is_cut_off(text):
    letter = text[: len(text) // 9]
    for n_kept in range(1, len(text)):
        for cut in (drawable(text, n_kept + 1), cut_middle(text, n_kept), fit_text(text, n_kept, len)):
            head, _, tail = cut.partition("…")
            assert (head, tail) == (letter * head.count(letter[0]), letter * tail.count(letter[0]))


@pytest.mark.laws
@given(st.text(max_size=300))
def test_any_text_can_be_drawn_without_a_warning(text):
    figure = plt.figure()
    figure.text(0.5, 0.5, drawable(text), parse_math=False, fontfamily=families_of(drawable(text)))
    figure.canvas.draw()
    plt.close(figure)


@pytest.mark.parametrize(
    ("width", "text"),
    [(11, "Plan it all"), (10, "Plan it a…"), (9, "Plan it…"), (6, "Plan…"), (5, "Plan…"), (4, "")],
)
def test_a_text_is_cut_to_a_width(width, text):
    assert fit_text("Plan it all", width, len) == text


@pytest.mark.laws
@given(st.text(min_size=1, max_size=40), st.floats(0, 50))
def test_a_fitted_text_fits(text, width):
    cut = fit_text(text, width, len)
    assert len(cut) <= width or not cut
    assert cut in (text, "") or (cut.endswith("…") and text.startswith(cut[:-1]))


@pytest.mark.parametrize(("width", "name"), [(100, "model:claude-opus-4"), (10, "model:…s-4"), (7, "mod…4"), (0.1, "mo…")])
def test_a_name_is_cut_in_the_middle(width, name):
    assert shorten_name("model:claude-opus-4", width * 6, 10) == name


@pytest.mark.laws
@given(st.text(min_size=1, max_size=60), st.integers(20, 400))
def test_a_shortened_name_fits(text, width):
    cut = shorten_name(text, width, 10)
    assert text_width(cut, 10) <= width or len(cut) <= 3


def test_widths_do_not_depend_on_earlier_drawing():
    glyph.cache_clear()
    before = text_width("mmmm", 10)
    figure = plt.figure()
    figure.text(0.5, 0.5, "drawn", fontsize=40)
    figure.canvas.draw()
    glyph.cache_clear()
    assert text_width("mmmm", 10) == before
    assert 20 < before < 60


def test_text_has_contrast_on_its_colour():
    assert [text_color_on(color) for color in ("white", "#caa92c", "#3b6fb6", "black")] == [
        LIGHT.text,
        LIGHT.text,
        LIGHT.background,
        LIGHT.background,
    ]


def labels_of(table):
    """Labels of the bars in a table that are in the view and are wide enough."""

    def bars(low, high, min_width):
        return table[table["x1"].clip(low, high) - table["x0"].clip(low, high) >= min_width]

    return BarLabels(bars, size=8, height=0.8)


def labels_on(ax, *bars):
    """The labels of bars (x0, x1, label, suffix) as they are drawn now."""
    labels = labels_of(pd.DataFrame(bars, columns=["x0", "x1", "label", "suffix"]).assign(y=0.5, color="black", background=""))
    ax.add_artist(labels)
    renderer = ax.figure.canvas.get_renderer()
    texts = labels.texts(renderer)
    for text, bar in zip(texts, [bar for bar in bars if any(t.get_text()[:3] == bar[2][:3] for t in texts)], strict=True):
        box = text.get_window_extent(renderer).transformed(ax.transData.inverted())
        assert bar[0] <= box.x0, text
        assert box.x1 <= bar[1], text
    return [text.get_text() for text in texts]


def test_a_label_is_whole_then_cut_then_dropped():
    ax = plt.figure(figsize=(10, 1)).add_axes((0, 0, 1, 1), xlim=(0, 1000), ylim=(0, 1))
    bars = ((0, 200, "Plan the release", " · 8 s"), (200, 320, "Survey the field", " · 9 s"), (320, 345, "Write", " · 2 s"))
    assert labels_on(ax, *bars) == ["Plan the release · 8 s", "Survey the field"]
    assert labels_on(ax, (0, 70, "Survey the field", " · 9 s")) == ["Survey t…"]


def test_zooming_in_shows_more_labels():
    ax = plt.figure(figsize=(10, 1)).add_axes((0, 0, 1, 1), xlim=(0, 1000), ylim=(0, 1))
    assert labels_on(ax, (500, 510, "Write", " · 2 s")) == []
    ax.set_xlim(490, 520)
    assert labels_on(ax, (500, 510, "Write", " · 2 s")) == ["Write · 2 s"]


def test_a_bar_that_begins_outside_has_its_label_inside():
    ax = plt.figure(figsize=(10, 1)).add_axes((0, 0, 1, 1), xlim=(500, 1000), ylim=(0, 1))
    table = pd.DataFrame({"x0": [0], "x1": [2000], "y": [0.5], "label": ["Write"], "suffix": [" · 2 s"], "color": ["black"]})
    labels = labels_of(table.assign(background=""))
    ax.add_artist(labels)
    [text] = labels.texts(ax.figure.canvas.get_renderer())
    assert 0 < text.get_position()[0] < 10


def test_a_low_bar_has_no_label():
    ax = plt.figure(figsize=(10, 1)).add_axes((0, 0, 1, 1), xlim=(0, 1000), ylim=(0, 20))
    assert labels_on(ax, (0, 1000, "Write", " · 2 s")) == []


def test_a_label_on_a_texture_has_a_box_of_the_colour_of_the_bar():
    ax = plt.figure(figsize=(10, 1)).add_axes((0, 0, 1, 1), xlim=(0, 1000), ylim=(0, 1))
    bars = {"x0": [0, 500], "x1": [400, 900], "y": 0.5, "label": ["Write", "Read"], "suffix": "", "color": "black"}
    labels = labels_of(pd.DataFrame(bars).assign(background=["", "#ffeecc"]))
    ax.add_artist(labels)
    plain, boxed = labels.texts(ax.figure.canvas.get_renderer())
    assert plain.get_bbox_patch() is None
    assert to_hex(boxed.get_bbox_patch().get_facecolor()) == "#ffeecc"


def test_a_text_is_measured_again_at_another_resolution_and_if_many_were_measured(monkeypatch):
    monkeypatch.setattr(text_artists, "MAX_WIDTHS", 2)
    ax = plt.figure(figsize=(10, 1), dpi=100).add_axes((0, 0, 1, 1))
    labels = labels_of(pd.DataFrame(columns=["x0", "x1", "y", "label", "suffix", "color", "background"]))
    ax.add_artist(labels)
    small = labels.measure("Write", ax.figure.canvas.get_renderer())
    ax.figure.set_dpi(200)
    large = labels.measure("Write", ax.figure.canvas.get_renderer())
    assert large == pytest.approx(2 * small, rel=0.1)
    assert labels.measure("Write" * 2, ax.figure.canvas.get_renderer()) > large
    assert len(labels.widths) == 1
