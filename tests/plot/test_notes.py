import matplotlib.pyplot as plt

from tokenvis.plot.artists.notes import Note


def note_in(messages, figsize):
    """A note in a figure of this size, after its layout."""
    figure, ax = plt.subplots(figsize=figsize, layout="constrained")
    ax.set_xlabel("elapsed time", loc="left")
    note = Note(ax, messages, size=7, color="#000000")
    figure.canvas.draw()
    return note


def test_a_note_that_is_wider_than_the_figure_wraps_between_its_messages():
    messages = ["too dense: try agents=4", "9,418 intervals under 5 s merged", "at least 858 crossings needed"]
    note = note_in(messages, (3.5, 2))
    assert note.get_text().split("\n") == [" · ".join(messages[:2]), messages[2]]
    box, label = note.get_window_extent(), note.axes.xaxis.label.get_window_extent()
    assert box.x0 >= 0
    assert box.y0 >= 0
    assert box.y1 < label.y0


def test_a_note_does_not_cover_a_label_in_the_middle():
    figure, ax = plt.subplots(figsize=(3.5, 2), layout="constrained")
    ax.set_xlabel("tokens")
    note = Note(ax, ["1 call without a cost"], size=9, color="#000000")
    figure.canvas.draw()
    assert note.get_window_extent().y1 < ax.xaxis.label.get_window_extent().y0


def test_a_message_that_is_wider_than_the_figure_wraps_between_its_words():
    words = ["word"] * 30
    note = note_in([" ".join(words)], (3.5, 2))
    assert note.get_text().split() == words
    assert "\n" in note.get_text()
    assert note.get_window_extent().x0 >= 0


def test_a_note_of_one_of_several_pictures_does_not_cover_the_others():
    figure, (left, right) = plt.subplots(1, 2, figsize=(7, 2.6), layout="constrained")
    note = Note(
        right,
        ["too dense: try agents=4", "9,418 intervals under 5 s merged", "at least 858 crossings needed"],
        size=7,
        color="k",
    )
    figure.canvas.draw()
    assert note.get_text().endswith("needed")
    assert note.get_window_extent().x0 > left.bbox.x1


def test_a_note_that_would_take_the_height_of_the_picture_is_cut():
    note = note_in(["a long note about what is left out"] * 30, (3.5, 2))
    assert note.get_text().endswith("…")
    box = note.get_window_extent()
    assert box.x0 >= 0
    assert box.height < 0.25 * note.axes.figure.bbox.height
