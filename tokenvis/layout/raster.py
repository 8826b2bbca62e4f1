"""The raster: how long each colour runs in each pixel of each row, exactly.

A pixel is a stretch of the time axis. A span adds to the pixels in which it starts and ends the part of them that it takes,
and to all between a whole one; the whole ones are added by a difference array and its prefix sums, so that the time it takes
grows with the spans and the pixels, not with their product.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from tokenvis.spans.integers import Floats, Int64Array

MOST_CELLS = 750_000

Grid: TypeAlias = np.ndarray[tuple[int, int], np.dtype[np.float64]]
Marks: TypeAlias = np.ndarray[tuple[int, int], np.dtype[np.bool_]]
Parts: TypeAlias = Callable[[], Iterator[tuple[Floats, Floats, Int64Array, Int64Array]]]


@dataclass(frozen=True)
class Shades:
    """What runs in each pixel, as arrays of rows x pixels.

    ``busy`` is the share of the pixel in which spans run, more than 1 where several do; ``color`` the colour that runs longest
    (ties: the first), -1 where there is nothing.
    """

    busy: Grid
    color: np.ndarray[tuple[int, int], np.dtype[np.int64]]


def shades(spans: Parts, *, n_rows: int, n_colors: int, n_pixels: int, most_cells: int = MOST_CELLS) -> Shades:
    """Count what runs in each pixel of each row.

    Parameters
    ----------
    spans
        Gives the spans, some at a time, each time it is called: start and end in pixels from the left edge (what lies outside
        is cut off), row and colour as numbers from 0. A span without duration has a colour where nothing else runs, and adds
        no time.
    n_rows, n_colors, n_pixels
        How many there are.
    most_cells
        How many times are in memory at once, one for each pixel of each colour of each row. Where that is not enough for all
        rows, the spans are gone through once for some rows after the other.
    """
    busy = np.zeros((n_rows, n_pixels))
    longest = np.full((n_rows, n_pixels), -1, dtype=np.int64)
    pairs = pairs_in(spans, n_rows * n_colors, n_colors)
    first = np.searchsorted(pairs // n_colors, np.arange(n_rows + 1))
    for rows in blocks(first, max(most_cells // (n_pixels + 1), 1)):
        block = pairs[first[rows.start] : first[rows.stop]]
        time, seen = counted(spans, block, n_rows * n_colors, n_colors, n_pixels)
        for row in range(rows.start, rows.stop):
            of_row = slice(first[row] - first[rows.start], first[row + 1] - first[rows.start])
            if of_row.stop > of_row.start:
                busy[row] = time[of_row].sum(axis=0)
                winner = np.where(busy[row] > 0, time[of_row].argmax(axis=0), seen[of_row].argmax(axis=0))
                there = (busy[row] > 0) | seen[of_row].any(axis=0)
                longest[row] = np.where(there, block[of_row][winner] % n_colors, -1)
    return Shades(busy, longest)


def pairs_in(spans: Parts, n_pairs: int, n_colors: int) -> Int64Array:
    """The pairs of row and colour that occur, as ``row * n_colors + color``, in order."""
    occurs = np.zeros(n_pairs, dtype=bool)
    for _, _, row, color in spans():
        occurs[row * n_colors + color] = True
    return np.flatnonzero(occurs)


def blocks(first: Int64Array, most: int) -> Iterator[range]:
    """Rows, one after the other, that have so many pairs together at most, or are one; ``first`` is the first pair of each."""
    begin = 0
    while begin < len(first) - 1:
        end = max(int(np.searchsorted(first, first[begin] + most, side="right")) - 1, begin + 1)
        yield range(begin, end)
        begin = end


def counted(spans: Parts, pairs: Int64Array, n_pairs: int, n_colors: int, n_pixels: int) -> tuple[Grid, Marks]:
    """For some of the pairs of row and colour, and for each pixel: the time that spans run, and whether any starts there."""
    width = n_pixels + 1  # one pixel more, in which ends at the right edge are
    size = len(pairs) * width
    time, whole, seen = np.zeros(size), np.zeros(size), np.zeros(size, dtype=bool)
    place = np.full(n_pairs, -1, dtype=np.int64)
    place[pairs] = np.arange(len(pairs)) * width
    for x0, x1, row, color in spans():
        cell = place[row * n_colors + color]
        here = (cell >= 0) & (x1 >= 0) & (x0 <= n_pixels)
        cell, left, right = cell[here], np.clip(x0[here], 0, n_pixels), np.clip(x1[here], 0, n_pixels)
        opens, closes = left.astype(np.int64), right.astype(np.int64)
        seen[cell + np.minimum(opens, n_pixels - 1)] = True
        time += np.bincount(cell + opens, weights=np.minimum(opens + 1, right) - left, minlength=size)
        long = closes > opens
        cell, opens, closes = cell[long], opens[long], closes[long]
        time += np.bincount(cell + closes, weights=right[long] - closes, minlength=size)
        whole += np.bincount(cell + opens + 1, minlength=size)
        whole -= np.bincount(cell + closes, minlength=size)
    shape = (len(pairs), width)
    lanes = whole.reshape(shape)
    np.cumsum(lanes, axis=1, out=lanes)
    time += whole
    return time.reshape(shape)[:, :n_pixels], seen.reshape(shape)[:, :n_pixels]


def means_and_peaks(time: Floats, level: Floats, edges: Floats) -> tuple[Floats, Floats]:
    """Of a step function (``level`` from each time on, 0 before): mean and maximum between each two edges, which ascend."""
    if not len(time):
        return np.zeros(len(edges) - 1), np.zeros(len(edges) - 1)
    area = np.concatenate([[0.0], np.cumsum(level[:-1] * np.diff(time))])
    at = np.searchsorted(time, edges, side="right") - 1  # the step that holds at each edge
    held = np.where(at >= 0, level[np.maximum(at, 0)], 0.0)
    upto = np.where(at >= 0, area[np.maximum(at, 0)] + held * (edges - time[np.maximum(at, 0)]), 0.0)
    means = np.diff(upto) / np.diff(edges)
    first, last = np.searchsorted(time, edges[:-1], side="right"), np.searchsorted(time, edges[1:], side="left")
    peaks = held[:-1].copy()
    some = last > first
    bounds = np.column_stack([first[some], last[some]]).ravel()
    highest = np.maximum.reduceat(np.append(level, 0.0), bounds)[::2] if some.any() else np.zeros(0)
    peaks[some] = np.maximum(peaks[some], highest)
    return means, peaks
