import io

import matplotlib.pyplot as plt
import numpy as np

from tokenvis.plot.artists.style import LIGHT
from tokenvis.plot.comparisons.swarms import BASELINE, NOT_IN_RUN, OUTLYING, USUAL, DotNames, Dots, Swarms, overlaps_any


def swarms_of(x, row=None, look=None, names=None, lines=None):
    """Dots on an axis from 0 to 100 that is 500 pixels long, in rows of 100 pixels; and the texts of the names of all."""
    figure = plt.figure(figsize=(10, 4), dpi=72)
    row = row or [0] * len(x)
    n_rows = max(row) + 1
    ax = figure.add_axes((0.2, 0.1, 500 / 720, n_rows * 100 / 288))
    ax.set(xlim=(0, 100), ylim=(n_rows, 0))
    numbers = np.arange(len(x))
    dots = Dots(
        np.array(row), numbers, np.array(x, dtype=float), ["#3863aa"] * len(x), np.array(look or [USUAL] * len(x)), 10.0
    )
    ax.add_collection(swarms := Swarms(ax, dots, LIGHT), autolim=False)
    lines = np.full(n_rows, np.nan) if lines is None else np.array(lines, dtype=float)
    texts = DotNames(ax, swarms, numbers, names or [f"run {n}" for n in numbers], lines=lines, color="black")
    ax.add_artist(texts)
    figure.savefig(io.BytesIO())
    return ax, swarms, texts.texts(figure.canvas.get_renderer())


def test_dots_are_at_their_position_and_beside_each_other_in_their_row():
    ax, swarms, _ = swarms_of([10, 10, 50, 10], row=[0, 0, 0, 1])
    pixels = swarms.places() - ax.bbox.p0
    assert np.allclose(pixels, [[50, 150], [50, 160], [250, 150], [50, 50]])
    assert np.allclose(np.asarray(swarms.get_offsets()), swarms.places())
    ax.set_xlim(0, 50)
    assert np.allclose((swarms.places() - ax.bbox.p0)[2], [500, 150])


def test_each_look_has_its_own_shape_fill_and_border():
    _, swarms, _ = swarms_of([10, 30, 50, 70], look=[USUAL, NOT_IN_RUN, OUTLYING, BASELINE])
    assert [len(path.vertices) for path in swarms.get_paths()] == [26, 26, 26, 5]
    usual, absent, outlying, baseline = swarms.get_facecolors()
    assert usual[3] == 0.8
    assert absent.tolist() == [1, 1, 1, 1]
    assert outlying[:3].tolist() == usual[:3].tolist()
    assert baseline.tolist() == swarms.get_edgecolors()[2].tolist()


def test_names_are_beside_their_dots_and_cover_no_dot_line_or_other_name():
    names = ["first", "second", "third", "fourth"]
    ax, swarms, texts = swarms_of([50, 51, 99, 1], names=names, lines=[53])
    assert {text.get_text() for text in texts} == set(names)
    boxes = [text.get_window_extent().extents for text in texts]
    dots = np.column_stack([swarms.places() - 5, swarms.places() + 5])
    x = ax.transData.transform((53, 0))[0]
    line = np.array([[x - 1, ax.bbox.y0, x + 1, ax.bbox.y1]])
    for number, box in enumerate(boxes):
        others = np.array(boxes[:number] + boxes[number + 1 :])
        inner = box + np.array([1, 2, -1, -2])
        assert not overlaps_any(inner, np.vstack([dots, others, line]))
        assert ax.bbox.x0 <= box[0]
        assert box[2] <= ax.bbox.x1 + 1


def test_names_without_room_are_left_out_the_first_has_room():
    _, _, texts = swarms_of([50] * 30)
    shown = [text.get_text() for text in texts]
    assert shown[0] == "run 0"
    assert len(shown) < 30


def test_boxes_that_touch_do_not_overlap():
    boxes = np.array([[10.0, 0, 20, 5]])
    assert not overlaps_any(np.array([0.0, 0, 10, 5]), boxes)
    assert overlaps_any(np.array([0.0, 0, 11, 5]), boxes)
    assert not overlaps_any(np.array([0.0, 0, 11, 5]), np.empty((0, 4)))
