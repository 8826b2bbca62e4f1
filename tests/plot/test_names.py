import matplotlib.pyplot as plt
import numpy as np
import pytest
from conftest import spans_of
from hypothesis import given
from hypothesis import strategies as st

import tokenvis as tv
from tokenvis.plot.artists.names import LINE_EMS, draw_names, shortened_names
from tokenvis.plot.artists.notes import Note
from tokenvis.plot.artists.text import MIN_FONT_POINTS, shorten_name, text_width

SIZE = 9.0


def shown_names(ax):
    ax.figure.canvas.draw()
    return [text.get_text() for text in ax.get_yticklabels()]


def notes(ax):
    return [message for note in ax.texts if isinstance(note, Note) for message in note.messages()]


def test_a_name_alone_is_cut_in_the_middle():
    assert shortened_names(["model:claude-opus-4"], 60, 10) == [shorten_name("model:claude-opus-4", 60, 10)] == ["model:…s-4"]
    assert shortened_names(["desk", "lab", "desk"], 60, 10) == ["desk", "lab", "desk"]
    assert shortened_names([], 60, 10) == []


@pytest.mark.parametrize(
    ("names", "shown"),
    [
        (["search_documents_v11_of_all", "search_documents_v12_of_all"], ["searc…1…", "searc…2…"]),
        (["worker 11 of the first team", "worker 12 of the first team"], ["wor…11 …", "wor…12 …"]),
        (["Dorm for Oak Hill: Klaus's room", "Dorm for Oak Hill: Maria's room"], ["Dor…Kla…", "Dor…Ma…"]),
        (["a\nb", "a b", "a  b"], ["a b #1", "a b #3", "a  b #2"]),
    ],
)
def test_names_that_would_look_the_same_are_cut_where_they_differ(names, shown):
    assert shortened_names(names, 50, SIZE) == shown


def test_long_names_that_differ_anywhere_stay_different():
    for place in (0, 5_000, 9_990):
        names = [f"{'x' * place}{n:04}{'y' * (10_000 - place)}" for n in range(1_000)]
        texts = shortened_names(names, 120, SIZE)
        assert len(set(texts)) == 1_000
        assert max(text_width(text, SIZE) for text in texts) <= 120


few_letters = st.lists(st.text("ab 1", max_size=60), max_size=20)
any_letters = st.lists(st.text(max_size=60), max_size=8)


@pytest.mark.laws
@given(st.one_of(few_letters, any_letters), st.integers(1, 200), st.randoms())
def test_different_names_have_different_texts_in_any_order(names, points, random):
    texts = dict(zip(names, shortened_names(names, points, SIZE), strict=True))
    assert len({" ".join(text.split()) for text in texts.values()}) == len(texts)
    random.shuffle(names)
    assert dict(zip(names, shortened_names(names, points, SIZE), strict=True)) == texts


@pytest.mark.laws
@given(st.one_of(few_letters, any_letters), st.integers(60, 200))
def test_shortened_names_fit(names, points):
    assert all(text_width(text, SIZE) <= points for text in shortened_names(names, points, SIZE))


@pytest.mark.full
@pytest.mark.parametrize("by", ["agent_id", "location_id"])
def test_a_new_figure_has_room_for_all_names(by):
    names = [f"name-{n:03}" for n in range(150)]
    spans = spans_of(*(f"{name} {n} {n + 1} {name}" for n, name in enumerate(names)))
    ax = tv.plot_timeline(spans, by=by, legend=False)
    assert sorted(shown_names(ax)) == names
    assert "names" not in " ".join(notes(ax))


def test_the_font_gets_smaller_before_names_are_left_out_and_a_note_says_how_many():
    spans = spans_of(*(f"ann {n} {n + 1} place-{n:02}" for n in range(30)))
    ax = plt.subplots(figsize=(8, 3.5))[1]
    tv.plot_timeline(spans, ax=ax, legend=False)
    assert len(shown_names(ax)) == 30
    assert MIN_FONT_POINTS < ax.get_yticklabels()[0].get_fontsize() < 8
    assert notes(ax) == []
    ax.figure.set_size_inches(8, 1.5)
    n_shown = len(shown_names(ax))
    assert 5 < n_shown < 30
    assert ax.get_yticklabels()[0].get_fontsize() == MIN_FONT_POINTS
    assert notes(ax) == [f"{n_shown} of 30 names shown"]
    points = np.diff(ax.transData.transform([(0, y) for y in ax.get_yticks()])[:, 1]) / ax.figure.dpi * 72
    assert abs(points).min() >= LINE_EMS * MIN_FONT_POINTS - 0.1


def test_space_for_the_longest_name_does_not_depend_on_whether_it_is_shown():
    left = []
    for longest in range(4):
        figure, ax = plt.subplots(figsize=(3.3, 1.5), layout="constrained")
        ax.set_ylim(40, 0)
        names = ["a rather long name" if n == longest else f"{n}" for n in range(40)]
        draw_names(ax.yaxis, np.arange(40) + 0.5, names)
        assert len(shown_names(ax)) < 20
        left.append(ax.bbox.x0)
    assert max(left) - min(left) < 1


def test_zooming_in_shows_the_names_that_were_left_out():
    ax = plt.subplots(figsize=(8, 2))[1]
    ax.set_ylim(100, 0)
    draw_names(ax.yaxis, np.arange(100) + 0.5, [f"place-{n:03}" for n in range(100)])
    assert len(shown_names(ax)) < 100
    assert notes(ax) == [f"{len(shown_names(ax))} of 100 names shown"]
    ax.set_ylim(5, 0)
    assert shown_names(ax) == [f"place-{n:03}" for n in range(5)]
    assert ax.get_yticklabels()[0].get_fontsize() == 9
    assert notes(ax) == []


def test_bands_with_long_names_stay_different():
    names = [f"search_the_documents_of_the_team_{n}_and_all_others" for n in range(12)]
    ax = tv.plot_timeline(
        spans_of(*(f"ann {n} {n + 1} {name}" for n, name in enumerate(names))), ax=plt.figure(figsize=(4, 3)).subplots()
    )
    assert len(set(shown_names(ax))) == 12
    assert not set(shown_names(ax)) & set(names)
