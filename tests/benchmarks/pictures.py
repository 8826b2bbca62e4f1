"""The time and memory of drawing a timeline: ``npm run benchmarks:pictures -- 1000000``, or more counts.

A PNG of 1600 x 800 pixels, 50 agents, 20 locations, from the frame to the file, against matplotlib's ``broken_barh`` on the
same spans, one row per location, in the same colours. Memory is the peak of allocations beyond the frame, by tracemalloc. By
default one million spans and ten million; ``broken_barh`` is skipped above a million, where it takes minutes.
"""

import io
import os
import platform
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from questions import bytes_per_span, seconds, spans_of

import tokenvis as tv

COUNTS = (1_000_000, 10_000_000)
MAX_PEER_SPANS = 1_000_000


def draw_and_save(draw: Callable[[Any], Any]) -> int:
    """Draw on a figure of 1600 x 800 pixels, save it, and return the size of the file."""
    file = io.BytesIO()
    figure, ax = plt.subplots(figsize=(16, 8), dpi=100, layout="constrained")
    draw(ax)
    figure.savefig(file)
    plt.close(figure)
    return file.tell()


def ours(spans: pd.DataFrame, by: str, ax: Any) -> None:
    """A timeline of tokenvis."""
    tv.plot_timeline(spans, by=by, ax=ax)


def peer(spans: pd.DataFrame, ax: Any) -> None:
    """The same with ``broken_barh``: one row per location."""
    colors = tv.palette(spans["agent_id"].cat.categories)
    for row, (_, part) in enumerate(spans.groupby("location_id", observed=True)):
        ranges = np.column_stack([part["start_time"], part["end_time"] - part["start_time"]])
        ax.broken_barh(ranges, (row - 0.4, 0.8), facecolors=part["agent_id"].map(colors).astype(object).to_numpy())


def main() -> None:
    """Print the table."""
    mpl.use("agg")
    print(
        f"Python {platform.python_version()}, matplotlib {mpl.__version__}, {platform.machine()}, {os.cpu_count()} processors"
    )
    print(f"{'spans':>12} {'bands':>10} {'timeline':>10} {'broken_barh':>12} {'times faster':>13} {'bytes per span':>13}")
    for count in [int(word) for word in sys.argv[1:]] or COUNTS:
        spans = spans_of(count)
        draw_and_save(partial(ours, spans.iloc[:100], "location_id"))  # fonts and imports
        theirs = seconds(partial(draw_and_save, partial(peer, spans))) if count <= MAX_PEER_SPANS else None
        for by in ("location_id", "agent_id"):
            draw = partial(draw_and_save, partial(ours, spans, by))
            took, memory = seconds(draw), bytes_per_span(draw, count)
            against = (f"{theirs:.2f} s", f"{theirs / took:.1f}") if theirs else ("-", "-")
            cells = f"{spans[by].nunique():>10} {took:>8.2f} s"
            print(f"{count:>12,} {cells} {against[0]:>12} {against[1]:>13} {memory:>13.1f}", flush=True)


if __name__ == "__main__":
    main()
