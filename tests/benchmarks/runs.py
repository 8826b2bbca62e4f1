"""Speed of the questions over many runs: ``npm run benchmarks:runs``.

Made runs of five agents (`made_runs`), each a root with one call after another, so that every span is on the critical path. The
table has the time of each question, and that time as a multiple of `summary` and `critical_path` of the same frame: the least
that any comparison of runs has to ask.
"""

import os
import platform
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter

import pandas as pd

sys.path.insert(0, str(Path(__file__).parents[1]))

from made_runs import STAGES, made_runs, renamed, slower

import tokenvis as tv

SIZES = ((100, 1_000), (500, 100), (500, 1_000))  # runs, spans in each
RUNS = 5


def seconds(question: Callable[[], object]) -> float:
    """The median time of several calls."""
    times = []
    for _ in range(RUNS):
        start = perf_counter()
        question()
        times.append(perf_counter() - start)
    return median(times)


def frame(n_runs: int, n_spans: int) -> pd.DataFrame:
    """Runs in which a tool is slow in every twentieth, and one agent has another name in half."""
    faults = [slower("researcher", "tool:search", 3, range(0, n_runs, 20)), renamed("writer", "author", range(n_runs // 2))]
    return made_runs(n_runs, faults=faults, n_rounds=n_spans // len(STAGES))


def main() -> None:
    """Print the table."""
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores; median of {RUNS} calls\n")
    print("| runs | spans of each | compare | contributions | both | times summary + critical_path |")
    print("| --- | --- | --- | --- | --- | --- |")
    for n_runs, n_spans in SIZES:
        spans = frame(n_runs, n_spans)
        least = seconds(partial(tv.summary, spans)) + seconds(partial(tv.critical_path, spans))
        compare, contributions = seconds(partial(tv.compare, spans, match="role")), seconds(partial(tv.contributions, spans))
        both = compare + contributions
        print(f"| {n_runs} | {n_spans:,} | {compare:.2f} s | {contributions:.2f} s | {both:.2f} s | {both / least:.1f} |")


if __name__ == "__main__":
    main()
