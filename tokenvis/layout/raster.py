"""The raster: how long each colour runs in each pixel of each row, exactly.

A pixel is a stretch of the time axis. A span adds to the pixels in which it starts and ends the part of them that it takes,
and to all between a whole one; the whole ones are added by a difference array and its prefix sums, so that the time it takes
grows with the spans and the pixels, not with their product.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from tokenvis.arrays import Floats, Int64Array, Mask

MOST_CELLS = 2_000_000  # rows x colours x pixels that are in memory at once

Grid: TypeAlias = np.ndarray[tuple[int, int], np.dtype[np.float64]]
Parts: TypeAlias = Callable[[], Iterator[tuple[Floats, Floats, Int64Array, Int64Array]]]


@dataclass(frozen=True)
class Shades:
    """What runs in each pixel, as arrays of rows x pixels.

    ``busy`` is the share of the pixel in which spans run, more than 1 where several do; ``color`` the colour that runs longest
    (ties: the first), -1 where there is nothing.
    """

    busy: Grid
    color: np.ndarray[tuple[int, int], np.dtype[np.int64]]


def shades(spans: Parts, *, n_rows: int, n_colors: int, n_pixels: int) -> Shades:
    """Count what runs in each pixel of each row.

    Parameters
    ----------
    spans
        Gives the spans, some at a time, each time it is called: start and end in pixels from the left edge (what lies outside
        is cut off), row and colour as numbers from 0. A span without duration has a colour where nothing else runs, and adds
        no time.
    n_rows, n_colors, n_pixels
        How many there are.
    """
    busy = np.zeros((n_rows, n_pixels))
    longest = np.full((n_rows, n_pixels), -1, dtype=np.int64)
    step = max(MOST_CELLS // max(n_colors * n_pixels, 1), 1)
    for first in range(0, n_rows, step):
        block = slice(first, min(first + step, n_rows))
        time, seen = counted(spans, block, n_colors, n_pixels)
        busy[block] = time.sum(axis=1)
        winner = np.where(busy[block] > 0, time.argmax(axis=1), seen.argmax(axis=1))
        longest[block] = np.where((busy[block] > 0) | seen.any(axis=1), winner, -1)
    return Shades(busy, longest)


def counted(spans: Parts, block: slice, n_colors: int, n_pixels: int) -> tuple[Floats, Mask]:
    """For rows of a block, colours and pixels: the time that spans run, and whether any is there."""
    shape = (block.stop - block.start, n_colors, n_pixels + 1)  # one pixel more, in which ends at the right edge are
    size = int(np.prod(shape))
    time, whole, seen = np.zeros(size), np.zeros(size), np.zeros(size, dtype=bool)
    for x0, x1, row, color in spans():
        here = (row >= block.start) & (row < block.stop) & (x1 >= 0) & (x0 <= n_pixels)
        left, right = np.clip(x0[here], 0, n_pixels), np.clip(x1[here], 0, n_pixels)
        cell = ((row[here] - block.start) * n_colors + color[here]) * (n_pixels + 1)
        opens, closes = left.astype(np.int64), right.astype(np.int64)
        seen[cell + np.minimum(opens, n_pixels - 1)] = True
        time += np.bincount(cell + opens, weights=np.minimum(opens + 1, right) - left, minlength=size)
        long = closes > opens
        cell, opens, closes = cell[long], opens[long], closes[long]
        time += np.bincount(cell + closes, weights=right[long] - closes, minlength=size)
        whole += np.bincount(cell + opens + 1, minlength=size)
        whole -= np.bincount(cell + closes, minlength=size)
    every = time.reshape(shape) + np.cumsum(whole.reshape(shape), axis=2)
    return every[:, :, :n_pixels], seen.reshape(shape)[:, :, :n_pixels]


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
