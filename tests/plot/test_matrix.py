import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from conftest import full_except
from matplotlib.collections import QuadMesh
from matplotlib.colors import to_hex
from pictures import collisions

from tokenvis.plot.artists.matrix import MAX_MATRIX_NAMES, AmountScale, draw_matrix, format_count, matrix_axes, matrix_cells
from tokenvis.plot.artists.notes import Note
from tokenvis.plot.artists.style import LIGHT
from tokenvis.plot.artists.text import CellLabels


def table_of(*rows):
    return pd.DataFrame([row.split() for row in rows], columns=["who", "where", "n"]).astype({"n": "int64"})


def drawn(ax):
    """Amounts of the cells as they are drawn, a list for each row; None for a missing cell."""
    [mesh] = [artist for artist in ax.collections if isinstance(artist, QuadMesh)]
    return [[None if cell is np.ma.masked else float(cell) for cell in row] for row in mesh.get_array()]


def texts(ax):
    ax.figure.canvas.draw()
    [labels] = [artist for artist in ax.get_children() if isinstance(artist, CellLabels)]
    return [text.get_text() for text in labels.texts(ax.figure.canvas.get_renderer())]


def draw(cells, figsize=(6, 3)):
    ax = plt.subplots(figsize=figsize, layout="constrained")[1]
    draw_matrix(ax, cells, format_count, LIGHT, names=("who", "where"), legend=True)
    return ax


def test_a_cell_is_the_amount_of_a_pair_of_names():
    ax = draw(matrix_cells(table_of("bob lab 7", "ann desk 1", "ann desk 2"), "who", "where", "n"))
    assert drawn(ax) == [[3, None], [None, 7]]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["ann", "bob"]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["desk", "lab"]
    assert texts(ax) == ["3", "7"]
    assert ax.get_legend() is None


def test_the_smallest_of_too_many_names_are_merged():
    table = pd.DataFrame({"who": [f"agent {n:03}" for n in range(100)], "where": "desk", "n": range(1, 101)})
    cells = matrix_cells(table, "who", "where", "n")
    rows = cells["row"].cat.categories.tolist()
    assert (len(rows), rows[0], rows[-1]) == (MAX_MATRIX_NAMES, "agent 041", "41 others")
    assert cells["amount"].sum() == sum(range(1, 101))
    assert cells.set_index("row")["amount"]["41 others"] == sum(range(1, 42))


def test_details_are_a_second_line_if_they_fit_and_no_cells_are_merged():
    table = table_of("ann desk 1", "bob desk 2", "bob desk 3")
    cells = matrix_cells(table, "who", "where", "n", pd.Series(["after a second or so", "after 2 s", "after 3 s"]))
    assert cells["detail"].tolist() == ["after a second or so", ""]
    assert texts(draw(cells)) == ["1\nafter a second or so", "5"]
    assert texts(draw(cells, (0.9, 3))) == ["1", "5"]


def scale(ax):
    ax.figure.canvas.draw()
    [amounts] = [artist for artist in ax.get_children() if isinstance(artist, AmountScale)]
    return [text.get_text() for text in amounts.texts(ax.figure.canvas.get_renderer())]


def numbers(n_rows, n_columns):
    row, column = np.divmod(np.arange(n_rows * n_columns), n_columns)
    table = pd.DataFrame({"who": row, "where": column, "n": 1 + 9_973 * row % 4_001 + 31 * column})
    return matrix_cells(table.astype({"who": "str", "where": "str"}), "who", "where", "n")


def test_there_is_a_scale_if_the_texts_do_not_fit():
    table = pd.DataFrame({"who": "ann", "where": [f"room {n:02}" for n in range(50)], "n": range(100_000, 5_100_000, 100_000)})
    ax = draw(matrix_cells(table, "who", "where", "n"), (4, 3))
    assert texts(ax) == []
    assert scale(ax) == ["312,500", "1,250,000", "2,812,500", "5,000,000"]
    ax.set_xlim(0, 5)
    assert len(texts(ax)) == 50
    assert scale(ax) == []


@pytest.mark.parametrize("figsize", full_except([(2.2, 1.6), (3.3, 6), (11, 9)], (3.3, 6)))
@pytest.mark.parametrize("shape", full_except([(1, 1), (3, 18), (18, 18), (60, 4), (2, 60)], (3, 18)))
def test_a_matrix_of_any_size_has_texts_or_a_scale(figsize, shape):
    ax = draw(numbers(*shape), figsize)
    for size in (figsize, (3.3, 2.6), figsize):
        ax.figure.set_size_inches(size)
        assert bool(texts(ax)) != bool(scale(ax)), size


@pytest.mark.parametrize("n", full_except([1, 9, 20, MAX_MATRIX_NAMES], 1, 20))
def test_a_new_figure_has_texts_or_a_scale_and_all_names(n):
    cells = numbers(n, n)
    ax = matrix_axes(cells)
    draw_matrix(ax, cells, format_count, LIGHT, names=("who", "where"), legend=True)
    assert bool(texts(ax)) != bool(scale(ax))
    assert (len(ax.get_yticklabels()), len(ax.get_xticklabels())) == (n, n)


def test_the_scale_is_whole_amounts_in_the_colours_of_the_cells():
    ax = draw(numbers(30, 30).assign(amount=3), (3.3, 1.4))
    assert scale(ax) == ["1", "2", "3"]
    [amounts] = [artist for artist in ax.get_children() if isinstance(artist, AmountScale)]
    [mesh] = [artist for artist in ax.collections if isinstance(artist, QuadMesh)]
    assert amounts.steps == [(str(n), to_hex(mesh.cmap(mesh.norm(n)))) for n in (1, 2, 3)]


def test_the_texts_of_cells_that_are_high_and_narrow_are_vertical():
    wide, narrow = draw(numbers(1, 4).assign(amount=1_234_567), (5, 2)), draw(numbers(1, 12).assign(amount=1_234_567), (4, 2))
    for ax, rotation in ((wide, 0), (narrow, 90)):
        [labels] = [artist for artist in ax.get_children() if isinstance(artist, CellLabels)]
        drawn = labels.texts(ax.figure.canvas.get_renderer())
        assert {(text.get_text(), text.get_rotation()) for text in drawn} == {("1,234,567", rotation)}
        assert collisions(ax.figure) == []
    assert scale(narrow) == []


def test_a_scale_that_is_not_wanted_is_not_drawn():
    ax = plt.subplots(figsize=(3, 2))[1]
    draw_matrix(ax, numbers(50, 50), format_count, LIGHT, names=("who", "where"), legend=False)
    assert (texts(ax), scale(ax)) == ([], [])


@pytest.mark.parametrize("figsize", [(3.3, 2.6), (5, 4)])
def test_long_names_leave_room_for_the_cells_and_no_text_touches_another(figsize):
    table = pd.DataFrame(
        {"who": [f"{n} {'x' * n * 40}" for n in range(12)], "where": [f"{'y' * n * 40} {n}" for n in range(12)], "n": 7}
    )
    ax = draw(matrix_cells(table, "who", "where", "n"), figsize)
    ax.set_title("t")
    assert collisions(ax.figure) == []
    assert ax.bbox.width > 0.55 * ax.figure.bbox.width
    assert ax.bbox.height > 0.35 * ax.figure.bbox.height


def test_names_that_do_not_fit_are_told_in_the_figure():
    ax = draw(numbers(45, 60), (3.3, 2.6))
    ax.figure.canvas.draw()
    [note] = [text for text in ax.texts if isinstance(text, Note)]
    n_rows, n_columns = len(ax.get_yticklabels()), len(ax.get_xticklabels())
    assert n_rows < 45
    assert n_columns < 60
    assert note.get_text() == f"{n_rows} of 45 names shown · {n_columns} of 60 names of columns shown"
    assert note.get_window_extent().y0 >= 0
    assert collisions(ax.figure) == []


def test_names_that_are_wider_than_their_columns_are_vertical():
    table = pd.DataFrame({"who": "ann", "where": [f"a rather long name {n}" for n in range(8)], "n": 1})
    cells = matrix_cells(table, "who", "where", "n")
    ax = draw(cells)
    assert {label.get_rotation() for label in ax.get_xticklabels()} == {90.0}
    short = draw(matrix_cells(table.assign(where=table["n"].astype(str)), "who", "where", "n"))
    assert {label.get_rotation() for label in short.get_xticklabels()} == {0.0}


def test_a_new_figure_fits_the_matrix():
    small, large = (
        matrix_axes(
            matrix_cells(pd.DataFrame({"who": range(n), "where": range(n), "n": 1}), "who", "where", "n")
        ).figure.get_size_inches()
        for n in (2, 20)
    )
    assert (small < large).all()
    assert large[0] < 16


def test_a_matrix_of_zeros_can_be_drawn():
    assert drawn(draw(matrix_cells(table_of("ann desk 0"), "who", "where", "n"))) == [[0]]


def test_some_rows_are_last():
    table = pd.DataFrame({"from": ["a", "b", "c"], "to": ["c", "a", "b"], "n": [1, 2, 3]})
    cells = matrix_cells(table, "from", "to", "n", last={"a"})
    assert cells["row"].cat.categories.tolist() == ["b", "c", "a"]
    assert cells["column"].cat.categories.tolist() == ["a", "b", "c"]
