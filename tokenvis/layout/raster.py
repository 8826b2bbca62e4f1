"""The raster: how long each colour runs in each pixel of each row, exactly.

A pixel is an interval of the time axis. A span adds its share to the pixels in which it starts and ends, and one whole pixel to
each pixel between them. The whole pixels are added by a difference array and its prefix sums, so that the running time grows
with the spans and the pixels, not with their product.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from tokenvis.spans.integers import Float64Array, Int64Array

MAX_RASTER_CELLS = 750_000

FloatGrid: TypeAlias = np.ndarray[tuple[int, int], np.dtype[np.float64]]
BoolGrid: TypeAlias = np.ndarray[tuple[int, int], np.dtype[np.bool_]]
SpanChunks: TypeAlias = Callable[[], Iterator[tuple[Float64Array, Float64Array, Int64Array, Int64Array]]]


@dataclass(frozen=True)
class RasterGrid:
    """The busy share and the colour of each pixel, as arrays of rows x pixels.

    ``busy`` is the share of the pixel in which spans run, more than 1 if several run at once; ``color`` is the colour that runs
    longest (ties: the first), -1 if the pixel is empty.
    """

    busy: FloatGrid
    color: np.ndarray[tuple[int, int], np.dtype[np.int64]]


def rasterize(spans: SpanChunks, *, n_rows: int, n_colors: int, n_pixels: int, max_cells: int = MAX_RASTER_CELLS) -> RasterGrid:
    """Compute the busy share and the dominant colour of each pixel of each row.

    Parameters
    ----------
    spans
        A function that returns an iterator over chunks of spans: start and end in pixels from the left edge (clipped to the
        image), row and colour as numbers from 0. A span without duration adds no time, and colours a pixel only if nothing
        else runs in it.
    n_rows, n_colors, n_pixels
        The numbers of rows, colours and pixels.
    max_cells
        The maximum number of durations in memory, one for each pixel of each colour of each row. If all rows need more, the
        rows are processed in blocks, with one pass over the spans for each block.
    """
    busy = np.zeros((n_rows, n_pixels))
    dominant = np.full((n_rows, n_pixels), -1, dtype=np.int64)
    pairs = row_color_pairs(spans, n_rows * n_colors, n_colors)
    first = np.searchsorted(pairs // n_colors, np.arange(n_rows + 1))
    for rows in row_ranges(first, max(max_cells // (n_pixels + 1), 1)):
        block_pairs = pairs[first[rows.start] : first[rows.stop]]
        durations, touched = time_per_pixel(spans, block_pairs, n_rows * n_colors, n_colors, n_pixels)
        for row in range(rows.start, rows.stop):
            pairs_of_row = slice(first[row] - first[rows.start], first[row + 1] - first[rows.start])
            if pairs_of_row.stop > pairs_of_row.start:
                busy[row] = durations[pairs_of_row].sum(axis=0)
                winner = np.where(busy[row] > 0, durations[pairs_of_row].argmax(axis=0), touched[pairs_of_row].argmax(axis=0))
                is_occupied = (busy[row] > 0) | touched[pairs_of_row].any(axis=0)
                dominant[row] = np.where(is_occupied, block_pairs[pairs_of_row][winner] % n_colors, -1)
    return RasterGrid(busy, dominant)


def row_color_pairs(spans: SpanChunks, n_pairs: int, n_colors: int) -> Int64Array:
    """The pairs of row and colour that occur, as ``row * n_colors + color``, in order."""
    occurs = np.zeros(n_pairs, dtype=bool)
    for _, _, row, color in spans():
        occurs[row * n_colors + color] = True
    return np.flatnonzero(occurs)


def row_ranges(first: Int64Array, max_pairs: int) -> Iterator[range]:
    """Consecutive ranges of rows, each a single row or at most ``max_pairs`` pairs; ``first`` is the first pair of each row."""
    first_row = 0
    while first_row < len(first) - 1:
        next_row = max(int(np.searchsorted(first, first[first_row] + max_pairs, side="right")) - 1, first_row + 1)
        yield range(first_row, next_row)
        first_row = next_row


def time_per_pixel(
    spans: SpanChunks, pairs: Int64Array, n_pairs: int, n_colors: int, n_pixels: int
) -> tuple[FloatGrid, BoolGrid]:
    """For the given pairs of row and colour: the time that spans run in each pixel, and whether a span starts there."""
    width = n_pixels + 1  # an additional pixel for ends at the right edge
    size = len(pairs) * width
    durations, whole, touched = np.zeros(size), np.zeros(size), np.zeros(size, dtype=bool)
    cell_of_pair = np.full(n_pairs, -1, dtype=np.int64)
    cell_of_pair[pairs] = np.arange(len(pairs)) * width
    for x0, x1, row, color in spans():
        cell = cell_of_pair[row * n_colors + color]
        visible = (cell >= 0) & (x1 >= 0) & (x0 <= n_pixels)
        cell, left, right = cell[visible], np.clip(x0[visible], 0, n_pixels), np.clip(x1[visible], 0, n_pixels)
        first_pixel, last_pixel = left.astype(np.int64), right.astype(np.int64)
        touched[cell + np.minimum(first_pixel, n_pixels - 1)] = True
        np.add.at(durations, cell + first_pixel, np.minimum(first_pixel + 1, right) - left)
        crosses_edge = last_pixel > first_pixel
        cell, first_pixel, last_pixel = cell[crosses_edge], first_pixel[crosses_edge], last_pixel[crosses_edge]
        np.add.at(durations, cell + last_pixel, right[crosses_edge] - last_pixel)
        np.add.at(whole, cell + first_pixel + 1, 1.0)
        np.add.at(whole, cell + last_pixel, -1.0)
    shape = (len(pairs), width)
    cumulative = whole.reshape(shape)
    np.cumsum(cumulative, axis=1, out=cumulative)
    durations += whole
    return durations.reshape(shape)[:, :n_pixels], touched.reshape(shape)[:, :n_pixels]
