"""Speed of alignment: ``npm run benchmarks:alignment``.

Two runs of 5 agents at 11 locations, with labels and arguments in ``data``. "similar": one step in twenty is missing in the
second run, and as many are added; "random": only the names are common; "apart": no step of one run is one of the other. The
first table has the time of `alignment` and of its parts: the steps (reading fields, matching agents, sorting), the pairs (the
search for the longest common subsequence), and the table. The second compares the search with difflib's `SequenceMatcher`,
which looks for long common blocks first, so it may leave more steps alone than necessary.
"""

import os
import platform
import resource
from collections.abc import Callable
from difflib import SequenceMatcher
from functools import partial
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
import orjson
import pandas as pd

from tokenvis import alignment
from tokenvis.runs.alignment import aligned, alignment_table
from tokenvis.runs.steps.run_steps import run_steps_of
from tokenvis.runs.steps.subsequence import common_subsequence
from tokenvis.spans.integers import Int64Array

COUNTS = (1_000, 10_000, 100_000)
KINDS = ("similar", "random", "apart")
N_STEPS, AGENTS, PLACES = 385, 5, 11
BY = ("agent_id", "location_id", "label")
RUNS = 3
REPEAT_BELOW_S = 2.0  # a longer call is timed once


def step_numbers(count: int, kind: str) -> tuple[Int64Array, Int64Array]:
    """The steps of two runs as numbers, the same for each call."""
    random = np.random.default_rng(count)
    first = random.integers(0, N_STEPS, count)
    if kind == "random":
        return first, random.integers(0, N_STEPS, count)
    if kind == "apart":
        return first, first + N_STEPS
    kept = first[random.random(count) > 1 / 20]
    added = count - len(kept)
    return first, np.insert(kept, random.integers(0, len(kept), added), random.integers(0, N_STEPS, added))


def run_of(steps: Int64Array, trace: str) -> pd.DataFrame:
    """A run that takes these steps."""
    random = np.random.default_rng(len(steps))
    start = np.sort(random.integers(0, 50 * len(steps), len(steps)))
    data = [
        orjson.dumps({"label": f"call {step}", "attributes": {"gen_ai.tool.call.arguments": {"query": f"what is {step}?"}}})
        for step in steps.tolist()
    ]
    return pd.DataFrame(
        {
            "id": pd.array(np.char.add(trace, np.arange(len(steps)).astype(str)), dtype="str"),
            "trace_id": pd.Categorical([trace] * len(steps)),
            "agent_id": pd.Categorical(np.char.mod("agent %d", steps % AGENTS)),
            "location_id": pd.Categorical(np.char.mod("room %d", steps % PLACES)),
            "start_time": start,
            "end_time": start + random.integers(0, 1_000, len(steps)),
            "data": pd.array([payload.decode() for payload in data], dtype="str"),
        }
    )


def seconds(call: Callable[[], Any]) -> float:
    """Median time of several calls, or the time of one long call."""
    times: list[float] = []
    while len(times) < RUNS and max(times, default=0.0) < REPEAT_BELOW_S:
        begin = perf_counter()
        call()
        times.append(perf_counter() - begin)
    return median(times)


def print_times() -> None:
    """The table of the time of each part."""
    print(f"{'steps':>8} {'':8} {'order':>6} {'alignment':>10} {'steps':>9} {'pairs':>9} {'table':>9} {'alone':>8}")
    for count in COUNTS:
        for kind in KINDS:
            runs = [run_of(steps, name) for steps, name in zip(step_numbers(count, kind), "ab", strict=True)]
            for order in ("run", "agent"):
                found = alignment(*runs, order=order)
                alone = int(found["step"].str.startswith("only").sum())
                steps = run_steps_of(*runs, BY, "role")
                own = aligned(steps, by_agent=True)
                pairs = own if order == "agent" else aligned(steps, by_agent=False)
                calls = [
                    partial(alignment, *runs, order=order),
                    partial(run_steps_of, *runs, BY, "role"),
                    partial(aligned, steps, by_agent=order == "agent"),
                    partial(alignment_table, steps, pairs, own, 2.0),
                ]
                whole, *parts = (f"{seconds(call) * 1e3:,.0f} ms" for call in calls)
                row = " ".join(f"{part:>9}" for part in parts)
                print(f"{count:>8,} {kind:8} {order:>6} {whole:>10} {row} {alone:>8,}", flush=True)


def blocks(matcher: Callable[[], SequenceMatcher[int]]) -> list[Any]:
    """The common blocks that difflib finds."""
    return matcher().get_matching_blocks()


def print_peer() -> None:
    """The table of the search beside difflib's."""
    print(f"\n{'steps':>8} {'':8} {'tokenvis':>10} {'difflib':>12} {'ratio':>8} {'alone':>8} {'difflib':>8}")
    for count in (1_000, 2_000):
        for kind in KINDS:
            first, second = step_numbers(count, kind)
            matcher = partial(SequenceMatcher, None, first.tolist(), second.tolist(), autojunk=False)
            size = sum(block.size for block in blocks(matcher))
            alone = [2 * count - 2 * n_common for n_common in (len(common_subsequence(first, second)[0]), size)]
            assert alone[0] <= alone[1]
            ours, theirs = seconds(partial(common_subsequence, first, second)), seconds(partial(blocks, matcher))
            times = f"{ours * 1e3:>7.2f} ms {theirs * 1e3:>9.1f} ms {theirs / ours:>8,.0f}"
            print(f"{count:>8,} {kind:8} {times} {alone[0]:>8,} {alone[1]:>8,}")


def main() -> None:
    """Print the tables."""
    print(f"Python {platform.python_version()}, {platform.machine()}, {os.cpu_count()} processors; median of {RUNS} runs")
    print_times()
    print(f"most memory of the process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MB")
    print_peer()


if __name__ == "__main__":
    main()
