import io

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.collections import PathCollection, PolyCollection

from tokenvis.plot.artists.run_labels import RunLabels, RunTexts
from tokenvis.plot.artists.style import LIGHT


def labels_of(n_rows, inches, slow=(), failed=(), numbers=None):
    """The labels of rows in Axes of this height; the rows ``slow`` and ``failed`` have signs."""
    figure = plt.figure(figsize=(11, inches + 1), dpi=72)
    ax = figure.add_axes((0.4, 0.1, 0.4, inches / (inches + 1)))
    ax.set_ylim(n_rows, 0)
    signs = {"slow": np.isin(np.arange(n_rows), slow), "failed": np.isin(np.arange(n_rows), failed)}
    texts = RunTexts([f"run {row}" for row in range(n_rows)], numbers or [""] * n_rows, signs)
    ax.add_artist(labels := RunLabels(ax, texts, LIGHT))
    figure.savefig(io.BytesIO())
    return ax, labels


def texts_in(ax, labels):
    return labels.texts(ax.figure.canvas.get_renderer())


def signs_in(labels):
    """The heights of signs and of ticks, in rows from the top, for each kind of sign."""
    found = {}
    to_rows = labels.axes.transData.inverted().transform
    artists = labels.sign_artists()
    for name, artist in zip(
        [name for name in labels.signs for _ in range(len(artists) // len(labels.signs))], artists, strict=True
    ):
        places = (
            artist.get_offsets()
            if isinstance(artist, PathCollection)
            else [np.mean(path.vertices[:4], axis=0) for path in artist.get_paths()]
        )
        kind = {PathCollection: "signs", PolyCollection: "ticks"}[type(artist)]
        found[name, kind] = [round(float(y), 2) for _, y in to_rows(np.array(places).reshape(-1, 2))]
    return found


def test_high_rows_all_have_a_name_a_number_and_signs():
    ax, labels = labels_of(3, 2.0, slow=[0, 2], failed=[2], numbers=["9 s", "8 s", "–"])
    assert [text.get_text() for text in texts_in(ax, labels)] == ["run 0", "run 1", "run 2", "9 s", "8 s", "–"]
    rows = ax.transData.transform([(0, y) for y in (0.5, 1.5, 2.5)])[:, 1]
    assert np.allclose([text.get_position()[1] for text in texts_in(ax, labels)], [*rows, *rows])
    assert signs_in(labels) == {("slow", "signs"): [0.5, 2.5], ("failed", "signs"): [2.5]}
    assert (labels.messages(), labels.lines()) == ([], [])
    assert labels.get_window_extent().x1 == ax.bbox.x0
    assert labels.get_window_extent().x0 < min(text.get_window_extent().x0 for text in texts_in(ax, labels)) + 3


def test_without_signs_and_numbers_names_are_next_to_the_axes():
    ax, labels = labels_of(3, 2.0)
    assert {round(text.get_position()[0] - ax.bbox.x0, 1) for text in texts_in(ax, labels)} == {-9.5}


def test_lower_rows_have_smaller_names():
    ax, labels = labels_of(30, 2.9)
    texts = texts_in(ax, labels)
    assert (len(texts), labels.messages()) == (30, [])
    assert 4.5 < texts[0].get_fontsize() < 7


def test_rows_lower_than_a_name_have_names_for_marked_runs_and_lines_to_their_rows():
    ax, labels = labels_of(300, 3.0, slow=[10, 11, 12], failed=[200])
    texts = texts_in(ax, labels)
    names = [text.get_text() for text in texts]
    assert {"run 10", "run 11", "run 12", "run 200"} < set(names)
    assert labels.messages() == [f"{len(names)} of 300 names shown"]
    heights = [text.get_position()[1] for text in texts]
    assert min(-np.diff(heights)) >= 9 * 1.15 - 0.1
    ends = [segment[-1][1] for segment in labels.lines()[0].get_segments()]
    rows = ax.transData.transform([(0, int(name.split()[1]) + 0.5) for name in names])[:, 1]
    assert np.allclose(ends, rows)


def test_every_marked_low_row_has_a_tick_and_neighbours_share_a_sign():
    _, labels = labels_of(300, 3.0, slow=[0, 1, 2, 100], failed=[200])
    assert signs_in(labels) == {
        ("slow", "ticks"): [0.5, 1.5, 2.5, 100.5],
        ("slow", "signs"): [1.5, 100.5],
        ("failed", "ticks"): [200.5],
        ("failed", "signs"): [200.5],
    }


def test_only_rows_in_view_have_labels():
    ax, labels = labels_of(300, 3.0, slow=[10, 290])
    ax.set_ylim(20, 0)
    assert len(texts_in(ax, labels)) == 20
    assert labels.messages() == []
    assert signs_in(labels) == {("slow", "signs"): [10.5]}
    assert labels.lines() == []
    ax.set_ylim(0, 20)
    lowest = min(texts_in(ax, labels), key=lambda text: text.get_position()[1])
    assert (len(texts_in(ax, labels)), lowest.get_text()) == (20, "run 0")


def test_hidden_labels_are_not_drawn():
    ax, labels = labels_of(3, 2.0, slow=[0])
    labels.set_visible(False)
    ax.figure.savefig(io.BytesIO())
