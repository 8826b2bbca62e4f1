"""How fast the questions are, and how much memory they take: ``npm run benchmarks -- 1000000``, or more counts.

All ratios are taken on the same spans in one run: 50 agents, 20 locations, one trace, in the order of a loaded frame. First
each question against a sort of the same rows by trace, agent and start, as pandas does it, on rows in the order of a frame
(which suits the sort) and on shuffled ones; with the memory that it takes beyond the frame. Then `concurrency` and
`transitions` against the bare numpy of the same computation; then questions against the pandas that one would write; then,
where PM4Py is installed, against its directly-follows graph and its handover of work (a million spans take it minutes). All
answers that are compared are checked to be equal. By default, one million spans and ten; that takes half an hour.
"""

import gc
import os
import platform
import sys
import tracemalloc
from collections.abc import Callable
from functools import partial
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
import pandas as pd

import tokenvis as tv

COUNTS = (1_000_000, 10_000_000)
AGENTS, PLACES = 50, 20
LONG = 2.0  # seconds: a call that takes longer is timed once
PM4PY_MOST = 1_000_000
ORDER = ["trace_id", "agent_id", "start_time"]


def spans_of(count: int) -> pd.DataFrame:
    """Spans in the order of a loaded frame, the same at each call, with about half an agent's time in each location idle."""
    random = np.random.default_rng(count)
    start = np.sort(random.integers(0, 50 * count, count))
    names = {"agent_id": ("agent", AGENTS), "location_id": ("room", PLACES)}
    spans = {
        column: pd.Categorical.from_codes(random.integers(0, size, count), [f"{name} {n:02}" for n in range(size)])
        for column, (name, size) in names.items()
    }
    spans |= {"start_time": start, "end_time": start + random.integers(0, 1_000, count)}
    spans |= {"id": pd.array(np.char.mod("%x", np.arange(count)), dtype="str")}
    spans |= {"trace_id": pd.Categorical.from_codes(np.zeros(count, dtype=np.int8), ["t"])}
    return pd.DataFrame(spans).sort_values(["start_time", "end_time", "agent_id", "id"], ignore_index=True)


def with_relations(spans: pd.DataFrame) -> pd.DataFrame:
    """The spans where one in three has a parent, one in ten links to a span before it, and one in ten used tokens."""
    count = len(spans)
    random = np.random.default_rng(count + 1)
    earlier = spans["id"].to_numpy()[np.maximum(np.arange(count) - random.integers(1, 40, count), 0)]
    parent = pd.Series(earlier).where(random.random(count) < 1 / 3).astype("str")
    kind = random.integers(0, 10, count)
    links = '{"links": ["' + pd.Series(earlier, dtype="str") + '"]}'
    tokens = pd.Series(random.integers(1, 5_000, count)).astype("str")
    used = '{"attributes": {"gen_ai.request.model": "m", "gen_ai.usage.input_tokens": ' + tokens + "}}"
    return spans.assign(parent_id=parent, data=links.where(kind == 0, used.where(kind == 1)).astype("str"))


def seconds(call: Callable[[], Any]) -> float:
    """Median time of three calls, or the time of one that is long."""
    times: list[float] = []
    while len(times) < 3 and max(times, default=0.0) < LONG:
        gc.collect()
        begin = perf_counter()
        call()
        times.append(perf_counter() - begin)
    return median(times)


def bytes_a_span(call: Callable[[], Any], count: int) -> float:
    """The most memory that a call held at once, its answer included, beyond what was there before."""
    gc.collect()
    tracemalloc.start()
    call()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / count


def questions(spans: pd.DataFrame, related: pd.DataFrame) -> dict[str, Callable[[], pd.DataFrame]]:
    """What is asked."""
    plain = {
        "summary": tv.summary,
        "summary by agent": partial(tv.summary, by="agent_id"),
        "concurrency": tv.concurrency,
        "concurrency by agent": partial(tv.concurrency, by="agent_id"),
        "rollup": partial(tv.rollup, every=50 * len(spans) // 10_000),
        "occupancy": tv.occupancy,
        "colocation": tv.colocation,
        "moves": tv.moves,
        "transitions": tv.transitions,
        "handoffs": tv.handoffs,
        "handoffs, location": partial(tv.handoffs, evidence="location"),
        "critical_path": tv.critical_path,
        "gaps": tv.gaps,
        "usage": tv.usage,
        "diagnose": tv.diagnose,
    }
    asked = {name: partial(ask, spans) for name, ask in plain.items()}
    asked["compare"] = partial(tv.compare, spans, spans)
    for name in ("summary", "occupancy", "transitions", "handoffs", "critical_path", "usage", "diagnose"):
        asked[f"{name} (with relations)"] = partial(plain[name], related)
    return asked


def against_a_sort(spans: pd.DataFrame) -> None:
    """The first table."""
    count = len(spans)
    in_order = seconds(partial(spans.sort_values, ORDER))
    at_random = seconds(partial(spans.sample(frac=1, random_state=0).sort_values, ORDER))
    print(f"\n{count:,} spans; a sort by trace, agent, start takes {in_order:.3f} s, of shuffled rows {at_random:.3f} s")
    print(f"{'':32} {'time':>9} {'/ sort':>7} {'/ shuffled':>10} {'bytes a span':>13} {'rows':>12}")
    for name, call in questions(spans, with_relations(spans)).items():
        rows = len(call())
        took = seconds(call)
        memory = bytes_a_span(call, count)
        print(
            f"{name:32} {took:>7.2f} s {took / in_order:>7.1f} {took / at_random:>10.1f} {memory:>13.0f} {rows:>12,}",
            flush=True,
        )


def numpy_concurrency(start: np.ndarray, end: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The step function, in bare numpy."""
    time = np.concatenate([start[end > start], end[end > start]])
    change = np.repeat([1, -1], len(time) // 2)
    order = np.argsort(time, kind="stable")
    time, running = time[order], np.cumsum(change[order])
    last = np.append(time[1:] != time[:-1], True)
    time, running = time[last], running[last]
    new = np.append(True, running[1:] != running[:-1])
    return time[new], running[new]


def numpy_transitions(agent: np.ndarray, place: np.ndarray, start: np.ndarray, end: np.ndarray) -> list[np.ndarray]:
    """Moves for each pair of places, with the mean and the median of their gaps, in bare numpy."""
    order = np.lexsort((end, start, agent))
    agent, place, start, end = agent[order], place[order], start[order], end[order]
    moved = (agent[1:] == agent[:-1]) & (place[1:] != place[:-1])
    pair, gap = (place[:-1] * PLACES + place[1:])[moved], (start[1:] - end[:-1])[moved]
    count = np.bincount(pair, minlength=PLACES * PLACES)
    total = np.bincount(pair, weights=gap, minlength=PLACES * PLACES)
    gap = gap[np.lexsort((gap, pair))]
    there = count > 0
    middle = (np.cumsum(count) - count + (count + 1) // 2 - 1)[there]
    return [count[there], total[there] / count[there], gap[middle]]


def against_numpy(spans: pd.DataFrame) -> None:
    """The second table."""
    count = len(spans)
    agent, place = (spans[name].cat.codes.to_numpy().astype(np.int64) for name in ("agent_id", "location_id"))
    start, end = (spans[name].to_numpy() for name in ("start_time", "end_time"))
    steps, ways = tv.concurrency(spans), tv.transitions(spans)
    for ours, theirs in zip((steps["time"], steps["running"]), numpy_concurrency(start, end), strict=True):
        assert np.array_equal(ours.to_numpy(), theirs)
    columns = (ways[name].to_numpy() for name in ("n_moves", "mean_gap_us", "p50_gap_us"))
    for ours, theirs in zip(columns, numpy_transitions(agent, place, start, end), strict=True):
        assert np.allclose(ours, theirs)
    pairs = {
        "concurrency": (lambda: tv.concurrency(spans), lambda: numpy_concurrency(start, end)),
        "transitions": (lambda: tv.transitions(spans), lambda: numpy_transitions(agent, place, start, end)),
    }
    table("bare numpy", pairs, count)


def table(peer: str, pairs: dict[str, tuple[Callable[[], Any], Callable[[], Any]]], count: int) -> None:
    """Times of questions and of a peer, and their ratios."""
    print(f"\n{count:,} spans against {peer}\n{'':32} {'tokenvis':>9} {peer:>12} {'ours / theirs':>14} {'theirs / ours':>14}")
    for name, (ask, compute) in pairs.items():
        ours, theirs = seconds(ask), seconds(compute)
        print(f"{name:32} {ours:>7.2f} s {theirs:>10.2f} s {ours / theirs:>14.2f} {theirs / ours:>14.1f}", flush=True)


def pandas_summary(spans: pd.DataFrame) -> pd.DataFrame:
    """Some of the summary: without active time, peak and the share that is parallel."""
    took = spans.assign(took=spans["end_time"] - spans["start_time"])
    named = {"n_spans": ("id", "size"), "n_agents": ("agent_id", "nunique"), "n_locations": ("location_id", "nunique")}
    return took.groupby("trace_id", observed=True).agg(**named, busy_us=("took", "sum"), longest_us=("took", "max"))


def pandas_concurrency(spans: pd.DataFrame) -> pd.Series:
    """The step function."""
    change = pd.concat([pd.Series(1, index=spans["start_time"]), pd.Series(-1, index=spans["end_time"])])
    running = change.groupby(level=0).sum().cumsum()
    return running[running.ne(running.shift())]


def pandas_occupancy(spans: pd.DataFrame) -> pd.Series:
    """Busy time of each agent at each location."""
    took = spans.assign(took=spans["end_time"] - spans["start_time"])
    return took.groupby(["trace_id", "agent_id", "location_id"], observed=True)["took"].sum()


def pandas_transitions(spans: pd.DataFrame) -> pd.Series:
    """Moves for each pair of places."""
    path = spans.sort_values(["trace_id", "agent_id", "start_time", "end_time", "id"])
    before = path.groupby(["trace_id", "agent_id"], observed=True)["location_id"].shift()
    moved = before.notna() & (before != path["location_id"])
    return pd.DataFrame({"before": before[moved], "after": path.loc[moved, "location_id"]}).value_counts(sort=False)


def against_pandas(spans: pd.DataFrame) -> None:
    """The third table."""
    theirs = pandas_summary(spans)
    assert np.array_equal(tv.summary(spans)[list(theirs)].to_numpy(), theirs.to_numpy())
    assert np.array_equal(tv.concurrency(spans)["running"], pandas_concurrency(spans))
    assert np.array_equal(tv.occupancy(spans)["busy_us"], pandas_occupancy(spans))
    counted = pandas_transitions(spans).sort_index()
    assert np.array_equal(tv.transitions(spans)["n_moves"], counted[counted > 0])
    peers = {
        "summary": pandas_summary,
        "concurrency": pandas_concurrency,
        "occupancy": pandas_occupancy,
        "transitions": pandas_transitions,
    }
    table(
        "plain pandas",
        {name: (partial(getattr(tv, name), spans), partial(do, spans)) for name, do in peers.items()},
        len(spans),
    )


def event_log(spans: pd.DataFrame, case: str) -> pd.DataFrame:
    """The spans as PM4Py wants them: an event for each start."""
    columns = {"case:concept:name": case, "concept:name": "location_id", "org:resource": "agent_id"}
    log = pd.DataFrame({name: spans[column].astype("str") for name, column in columns.items()})
    return log.assign(**{"time:timestamp": pd.to_datetime(spans["start_time"], unit="us", utc=True)})


def against_pm4py(spans: pd.DataFrame) -> None:
    """The fourth table: its graph counts staying at a place too, its handovers are shares for each pair of agents."""
    try:
        import pm4py
    except ImportError:
        print("\nPM4Py is not here: `pip install pm4py` into an environment of its own, with tokenvis, adds its table.")
        return
    paths, rooms = event_log(spans, "agent_id"), event_log(spans, "location_id")
    graph, _, _ = pm4py.discover_dfg(paths)
    moved = {pair: count for pair, count in graph.items() if pair[0] != pair[1]}
    ways = tv.transitions(spans).set_index(["from_location", "to_location"])["n_moves"].to_dict()
    assert moved.keys() == ways.keys()
    related = with_relations(spans).drop(columns="parent_id")
    handover = partial(pm4py.discover_handover_of_work_network, rooms)
    pairs = {
        "transitions": (partial(tv.transitions, spans), partial(pm4py.discover_dfg, paths)),
        "handoffs, by links": (partial(tv.handoffs, related), handover),
        "handoffs, by location": (partial(tv.handoffs, spans, evidence="location"), handover),
    }
    table("PM4Py", pairs, len(spans))


def main() -> None:
    """Print the tables."""
    versions = f"numpy {np.__version__}, pandas {pd.__version__}"
    print(f"Python {platform.python_version()}, {versions}, {platform.machine()}, {os.cpu_count()} processors")
    for count in [int(text) for text in sys.argv[1:]] or COUNTS:
        spans = spans_of(count)
        against_a_sort(spans)
        against_numpy(spans)
        against_pandas(spans)
        if count <= PM4PY_MOST:
            against_pm4py(spans)


if __name__ == "__main__":
    main()
