import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenvis.layout.raster import rasterize

N_ROWS, N_COLORS, N_PIXELS = 3, 2, 6

quarters = st.integers(-8, 40).map(lambda n: n / 4)
bars = st.lists(st.tuples(quarters, st.integers(0, 20), st.integers(0, N_ROWS - 1), st.integers(0, N_COLORS - 1)), max_size=14)


def counted(rows, parts=1, **options):
    """The raster of bars (start, length in quarters, row, colour), which come in a number of chunks."""
    x0, length, row, color = (np.array(column) for column in zip(*rows, strict=True)) if rows else (np.zeros(0, dtype=int),) * 4
    columns = x0.astype(float), x0 + length / 4, row, color
    pieces = [tuple(column[part::parts] for column in columns) for part in range(parts)]
    return rasterize(lambda: iter(pieces), n_rows=N_ROWS, n_colors=N_COLORS, n_pixels=N_PIXELS, **options)


def test_a_span_adds_its_share_to_each_pixel():
    found = counted([(0.5, 10, 0, 1), (4.25, 1, 1, 0)])
    assert found.busy.tolist() == [[0.5, 1, 1, 0, 0, 0], [0, 0, 0, 0, 0.25, 0], [0] * 6]
    assert found.color.tolist() == [[1, 1, 1, -1, -1, -1], [-1, -1, -1, -1, 0, -1], [-1] * 6]


def test_the_colour_is_the_one_that_runs_longest():
    assert counted([(0.0, 1, 0, 0), (0.5, 2, 0, 1), (3.0, 1, 0, 0), (3.25, 1, 0, 1)]).color[0].tolist() == [
        1,
        -1,
        -1,
        0,
        -1,
        -1,
    ]


def test_an_instant_is_visible_where_nothing_else_runs():
    found = counted([(2.0, 0, 0, 1), (6.0, 0, 0, 1), (3.0, 4, 0, 0), (3.5, 0, 0, 1)])
    assert found.color[0].tolist() == [-1, -1, 1, 0, -1, 1]
    assert found.busy[0].tolist() == [0, 0, 0, 1, 0, 0]


@pytest.mark.laws
@given(bars, st.sampled_from([1, 3]), st.sampled_from([1, 24, 10_000]))
def test_the_raster_agrees_with_its_definition(rows, parts, max_cells):
    times = np.zeros((N_ROWS, N_COLORS, N_PIXELS))
    for x0, length, row, color in rows:
        for pixel in range(N_PIXELS):
            times[row, color, pixel] += max(min(x0 + length / 4, pixel + 1) - max(x0, pixel), 0)
    found = counted(rows, parts, max_cells=max_cells)
    assert np.array_equal(found.busy, times.sum(axis=1))
    some = found.busy > 0
    assert np.array_equal(found.color[some], times.argmax(axis=1)[some])
