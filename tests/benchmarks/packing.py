"""How the running time of packing grows: ``npm run benchmarks``.

`pack_lanes` against the textbook sweep line (a heap of busy lanes, a heap of free lanes, and a loop over spans), on the same
spans in one run: 50 agents, 20 locations, about ten spans at once in each. The textbook version gets the columns as sorted
lists, and only its loop is timed.
"""

import heapq
import os
import platform
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from statistics import median
from time import perf_counter

import numpy as np
import pandas as pd

from tokenvis import pack_lanes
from tokenvis.spans.columns import in_frame_order

RUNS = 5


def spans_of(count: int) -> pd.DataFrame:
    """Spans in order of time, the same for each call."""
    random = np.random.default_rng(count)
    start = np.sort(random.integers(0, 50 * count, count))
    spans = pd.DataFrame(
        {
            "id": np.char.mod("%x", np.arange(count)),
            "trace_id": pd.Categorical(["t"] * count),
            "agent_id": pd.Categorical(np.char.mod("agent %d", random.integers(0, 50, count))),
            "location_id": pd.Categorical(np.char.mod("room %d", random.integers(0, 20, count))),
            "start_time": start,
            "end_time": start + random.integers(0, 20_000, count),
        }
    )
    return in_frame_order(spans)


def textbook(bands: list[int], starts: list[int], ends: list[int]) -> list[int]:
    """The lowest free lane of each span, with two heaps for each band."""
    busy: dict[int, list[tuple[int, int]]] = defaultdict(list)
    free: dict[int, list[int]] = defaultdict(list)
    lanes = []
    for band, start, end in zip(bands, starts, ends, strict=True):
        while busy[band] and busy[band][0][0] <= start:
            heapq.heappush(free[band], heapq.heappop(busy[band])[1])
        lane = heapq.heappop(free[band]) if free[band] else len(busy[band])
        heapq.heappush(busy[band], (max(end, start + 1), lane))
        lanes.append(lane)
    return lanes


def seconds(call: Callable[[], object]) -> float:
    """The median time of `RUNS` runs."""
    times = []
    for _ in range(RUNS):
        begin = perf_counter()
        call()
        times.append(perf_counter() - begin)
    return median(times)


def main() -> None:
    """Print the table."""
    print(f"Python {platform.python_version()}, {platform.machine()}, {os.cpu_count()} processors; median of {RUNS} runs")
    print(f"{'spans':>10} {'pack_lanes':>12} {'µs per span':>11} {'textbook':>12} {'ratio':>6}")
    for count in (1_000, 10_000, 100_000, 1_000_000):
        spans = spans_of(count)
        columns = spans["location_id"].cat.codes.tolist(), spans["start_time"].tolist(), spans["end_time"].tolist()
        assert textbook(*columns) == pack_lanes(spans)["lane"].tolist()
        ours, theirs = seconds(partial(pack_lanes, spans)), seconds(partial(textbook, *columns))
        print(f"{count:>10,} {ours * 1e3:>9.1f} ms {ours / count * 1e6:>10.2f} {theirs * 1e3:>9.1f} ms {ours / theirs:>6.2f}")


if __name__ == "__main__":
    main()
