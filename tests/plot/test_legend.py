import matplotlib.pyplot as plt
import pytest
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from tokenvis.plot.artists.legend import draw_legend, legend_patch
from tokenvis.plot.artists.style import LIGHT
from tokenvis.plot.artists.title import draw_note


def legend_of(names, *, figsize, others=(), **options):
    """The legend of these names, and of other handles, in a figure of this size."""
    ax = plt.subplots(figsize=figsize, layout="constrained")[1]
    draw_legend(ax, [*(legend_patch("#123456", name) for name in names), *others], **options)
    ax.figure.draw_without_rendering()
    return ax, ax.get_legend()


def texts_of(legend):
    return [text.get_text() for text in legend.get_texts()]


def test_a_long_name_does_not_take_the_width_of_the_others():
    names = ["ann", "bob", "the reviewer with a name that goes on and on and on and on"]
    ax, legend = legend_of(names, figsize=(11, 3))
    assert texts_of(legend)[:2] == ["ann", "bob"]
    assert legend.get_window_extent().width < 0.17 * ax.figure.bbox.width


def test_cut_names_stay_different():
    names = [f"tool:search_documents_in_the_archive_v{n}_of_the_northern_campus" for n in range(12)]
    texts = texts_of(legend_of(names, figsize=(11, 4))[1])
    assert len(set(texts)) == 12


@pytest.mark.parametrize("n_names", [3, 13, 60])
def test_a_legend_below_a_narrow_picture_leaves_room_for_the_picture(n_names):
    state = Patch(label="waits for an agent")
    ax, legend = legend_of([f"agent {n}" for n in range(n_names)], figsize=(3.3, 2.6), others=[state])
    assert legend.get_window_extent().height < 0.36 * ax.figure.bbox.height
    assert "waits for an agent" in texts_of(legend)
    names = [text for text in texts_of(legend) if text.startswith("agent")]
    n_more = sum(int(text.split()[0]) for text in texts_of(legend) if text.endswith(" more"))
    assert len(names) + n_more == n_names


def test_a_legend_at_the_right_counts_the_names_that_do_not_fit():
    ax, legend = legend_of([f"agent {n}" for n in range(40)], figsize=(11, 2), others=[Line2D([], [], label="error")])
    texts = texts_of(legend)
    assert texts[-2:] == [f"{40 - len(texts) + 2} more", "error"]
    assert legend.get_window_extent().y0 > 0


def test_names_that_begin_with_an_underscore_or_look_like_markup_are_texts():
    assert texts_of(legend_of(["_x", "$\\frac{"], figsize=(8, 2))[1]) == ["_x", "$\\frac{"]


def test_a_narrow_picture_has_the_legend_below_with_its_title():
    ax, legend = legend_of(["ann", "bob"], figsize=(3.3, 2.6), title="shares")
    assert legend.get_title().get_text() == "shares"
    assert legend.get_window_extent().y1 < ax.bbox.y0


def narrow_picture(notes=(), *, layout="constrained", figsize=(3.3, 2.6)):
    """A picture with names at the left, a note and a legend, after its layout."""
    ax = plt.subplots(figsize=figsize, layout=layout)[1]
    ax.set_yticks([0.5], ["a name of a location"])
    ax.set_xlabel("elapsed time", loc="left")
    draw_note(ax, notes, LIGHT)
    draw_legend(ax, [legend_patch("#123456", f"worker {n}") for n in range(8)])
    ax.figure.draw_without_rendering()
    return ax


@pytest.mark.parametrize("notes", [[], ["2 moves not drawn"], ["2 moves not drawn"] * 9])
@pytest.mark.parametrize("layout", ["constrained", "tight"])
def test_a_legend_below_is_just_below_the_note_however_many_lines_it_has(notes, layout):
    ax = narrow_picture(notes, layout=layout)
    texts = [ax.xaxis.label, *(text for text in ax.texts if text.get_text())]
    gap = min(text.get_window_extent().y0 for text in texts) - ax.get_legend().get_window_extent().y1
    assert 0 <= gap < 0.12 * ax.figure.dpi
    assert ax.get_legend().get_window_extent().y0 >= -0.03 * ax.figure.dpi  # its box, whose border is empty


def test_a_legend_below_moves_when_the_note_gets_longer():
    notes = ["2 moves not drawn"]
    ax = narrow_picture(notes)
    draw_note(ax, ["20 errors not marked"] * 9, LIGHT)
    ax.figure.draw_without_rendering()
    [note] = ax.texts
    assert ax.get_legend().get_window_extent().y1 <= note.get_window_extent().y0


def test_a_legend_below_begins_where_the_names_at_the_left_do_and_uses_the_width_of_the_figure():
    ax = narrow_picture()
    [name] = ax.get_yticklabels()
    box = ax.get_legend().get_window_extent()
    assert abs(box.x0 - name.get_window_extent().x0) < 0.1 * ax.figure.dpi
    assert box.x1 <= ax.figure.bbox.width
    assert texts_of(ax.get_legend()) == [f"worker {n}" for n in range(8)]
    assert len({round(text.get_window_extent().x0) for text in ax.get_legend().get_texts()}) == 4  # columns
