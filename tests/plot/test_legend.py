import matplotlib.pyplot as plt
import pytest
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from tokenvis.plot.artists.legend import draw_legend, legend_patch


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
    ax, legend = legend_of(["ann", "bob"], figsize=(3.3, 2.6), title="shares", left_points=20)
    assert legend.get_title().get_text() == "shares"
    assert legend.get_window_extent().y1 < ax.bbox.y0
    assert legend.get_window_extent().x0 < ax.bbox.x0 - 15 * ax.figure.dpi / 72
