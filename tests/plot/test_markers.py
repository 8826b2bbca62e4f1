import matplotlib.pyplot as plt
import numpy as np
from conftest import spans_of, with_data

from tokenvis import plot_agent_tree, plot_storyline
from tokenvis.plot.artists.markers import draw_markers, marked_rows, marker_handles
from tokenvis.plot.artists.notes import Note
from tokenvis.plot.artists.style import LIGHT


def test_instants_errors_and_open_spans_have_markers():
    spans = with_data(spans_of("ann 0 0 desk", "ann 1 2 desk", "ann 2 3 desk"), b={"status": "error"}, c={"status": "open"})
    assert {name: rows.tolist() for name, rows in marked_rows(spans).items()} == {"instant": [0], "error": [1], "open": [2]}


def test_the_legend_lists_the_markers_that_occur():
    marks = {"instant": np.array([3]), "error": np.array([], dtype=int), "open": np.array([1])}
    handles = marker_handles(marks, LIGHT, instant="dot")
    assert [(handle.get_label(), handle.get_marker()) for handle in handles] == [("instant", "o"), ("still open", ">")]


def test_markers_are_one_collection_or_none():
    ax = plt.subplots()[1]
    draw_markers(ax, np.array([]), np.array([]), "error", [], LIGHT.background)
    assert len(ax.collections) == 0
    draw_markers(ax, np.array([1.0, 2.0]), np.array([0.0, 0.0]), "dot", ["#000000"] * 2, LIGHT.background)
    assert [(len(found.get_offsets()), found.get_label()) for found in ax.collections] == [(2, "instant")]


def test_markers_that_are_hidden_are_counted_in_every_picture():
    crowded = spans_of(*(f"ann {n} {n} desk" for n in range(300)), "ann 0 3000 lab")
    story = plot_storyline(crowded, ax=plt.subplots(figsize=(6, 2))[1])
    agents = [f"agent{n:03} 0 10 desk" for n in range(60)]
    failed = spans_of(*agents).assign(status="error")
    tree = plot_agent_tree(failed, ax=plt.subplots(figsize=(8, 4))[1])
    tree.set_ylim(200, -1)  # zoomed out
    for ax, noun in ((story, "instants"), (tree, "errors")):
        ax.figure.canvas.draw()
        [note] = [text for text in ax.texts if isinstance(text, Note)]
        assert f"{noun} not marked" in note.get_text()


def test_markers_outside_the_view_are_not_counted_as_hidden():
    ax = plt.subplots()[1]
    [markers] = draw_markers(ax, np.array([1.0, 1.0, 5.0]), np.array([0.0, 4.0, 0.0]), "dot", "#000000", LIGHT.background)
    for xlim, ylim in (((0, 10), (-1, 2)), ((0, 10), (3, 5)), ((0, 2), (-1, 5))):
        ax.set(xlim=xlim, ylim=ylim)
        assert markers.messages() == []
