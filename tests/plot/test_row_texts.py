import matplotlib.pyplot as plt
import numpy as np

from tokenvis.plot.artists.row_texts import RowTexts


def texts_of(n_rows, inches, **options):
    """The texts of rows in Axes of this height, with their heights in pixels from the top."""
    figure = plt.figure(figsize=(5, inches + 1), dpi=72)
    ax = figure.add_axes((0.4, 0.1, 0.4, inches / (inches + 1)))
    ax.set_ylim(n_rows, -1)
    names = [f"name {row}" for row in range(n_rows)]
    style = {"width": 60.0, "size": 9.0, "colors": ["black"] * n_rows, "header_color": "grey"}
    column = RowTexts(names, np.full(n_rows, -50.0), **style, beside="left", **options)
    ax.add_artist(column)
    return ax, column, column.texts(figure.canvas.get_renderer())


def test_a_row_has_its_text_beside_the_axes_and_the_header_is_above():
    ax, column, texts = texts_of(3, 2.0, header="names")
    assert [text.get_text() for text in texts] == ["names", "name 0", "name 1", "name 2"]
    assert {text.get_position()[0] for text in texts} == {ax.bbox.x0 - 50}
    rows = ax.transData.transform([(0, y) for y in (-0.5, 0.5, 1.5, 2.5)])[:, 1]
    assert np.allclose([text.get_position()[1] for text in texts], rows)
    assert (column.get_window_extent().x0, column.get_window_extent().x1) == (ax.bbox.x0 - 60, ax.bbox.x0)


def test_low_rows_have_small_texts_and_lower_rows_only_as_many_as_fit():
    _, _, texts = texts_of(40, 4.0)
    assert len(texts) == 40
    assert 4.5 < texts[0].get_fontsize() < 6.2
    _, _, texts = texts_of(200, 4.0, header="names")
    assert 40 < len(texts) < 80
    assert texts[1].get_fontsize() == 4.5
    heights = [text.get_position()[1] for text in texts]
    assert min(-np.diff(heights)) >= 4.5 * 1.1
