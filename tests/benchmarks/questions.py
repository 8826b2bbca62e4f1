"""Speed and memory of the questions: ``npm run benchmarks -- 1000000``, or several counts.

All ratios are measured on the same spans in one run: 50 agents, 20 locations, one trace, in the order of a loaded frame. The
first table compares each question with a pandas sort of the same rows by trace, agent and start, on rows in frame order
(already nearly sorted) and on shuffled rows, and shows the memory beyond the frame. The next tables compare `concurrency` and
`transitions` with plain numpy, some questions with plain pandas, and, if PM4Py is installed, with its directly-follows
graph and its handover of work (minutes for a million spans). Compared results are checked to be equal. Two tables are about
other spans: model calls with all tokens, a cost and some long texts, against parsing their JSON with orjson; and many small
traces in one frame, against a call for each of them. By default, it runs with one and ten million spans, in half an hour.
"""

import gc
import os
import platform
import sys
import tracemalloc
from collections.abc import Callable
from functools import partial
from itertools import islice
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
import orjson
import pandas as pd

import tokenvis as tv

COUNTS = (1_000_000, 10_000_000)
N_TRACES, SPANS_PER_TRACE = 10_000, 40
N_MEASURED_TRACES = 300  # the time of a call for each trace is measured on these, and scaled
TOKEN_LIMITS = {
    "input_tokens": 50_000,
    "cache_read.input_tokens": 20_000,
    "cache_creation.input_tokens": 5_000,
    "output_tokens": 4_000,
    "reasoning.output_tokens": 2_000,
}
AGENTS, PLACES = 50, 20
REPEAT_BELOW_S = 2.0  # a longer call is timed once
PM4PY_MAX_SPANS = 1_000_000
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
    """The spans; one in three has a parent, one in ten links to an earlier span, and one in ten used tokens."""
    count = len(spans)
    random = np.random.default_rng(count + 1)
    earlier = spans["id"].to_numpy()[np.maximum(np.arange(count) - random.integers(1, 40, count), 0)]
    parent = pd.Series(earlier).where(random.random(count) < 1 / 3).astype("str")
    kind = random.integers(0, 10, count)
    links = '{"links": ["' + pd.Series(earlier, dtype="str") + '"]}'
    tokens = pd.Series(random.integers(1, 5_000, count)).astype("str")
    used = '{"attributes": {"gen_ai.request.model": "m", "gen_ai.usage.input_tokens": ' + tokens + "}}"
    return spans.assign(parent_id=parent, data=links.where(kind == 0, used.where(kind == 1)).astype("str"))


def with_usage(spans: pd.DataFrame) -> pd.DataFrame:
    """The spans; every second one is a model call with all tokens and a cost, and one call in five has a text of 1 kB."""
    random = np.random.default_rng(len(spans) + 2)
    counts = {f"gen_ai.usage.{name}": random.integers(1, limit, len(spans)).tolist() for name, limit in TOKEN_LIMITS.items()}
    cost, is_long = (random.integers(1, 10**6, len(spans)) / 10**6).tolist(), (random.random(len(spans)) < 0.2).tolist()
    text = {"gen_ai.output.messages": "Some text of a model. " * 46}
    payloads: list[str | None] = [None] * len(spans)
    for row in range(0, len(spans), 2):
        attributes: dict[str, Any] = {"gen_ai.request.model": f"model-{row % 5}", "gen_ai.provider.name": "provider"}
        attributes |= {name: of_name[row] for name, of_name in counts.items()} | {"gen_ai.usage.cost": cost[row]}
        attributes |= text if is_long[row] else {}
        payload = {"label": f"call {row}", "kind": "model", "status": "ok", "attributes": attributes}
        payloads[row] = orjson.dumps(payload).decode()
    return spans.assign(data=pd.array(payloads, dtype="str"))


def many_traces() -> pd.DataFrame:
    """Small traces in the order of a loaded frame; nearly all spans have a parent, some a link, half of them tokens."""
    random = np.random.default_rng(N_TRACES)
    count = N_TRACES * SPANS_PER_TRACE
    trace, number = np.divmod(np.arange(count), SPANS_PER_TRACE)
    start = np.sort(random.integers(0, 100_000, (N_TRACES, SPANS_PER_TRACE)), axis=1).reshape(-1) + 10**6 * trace
    ids = pd.Series(trace).astype("str") + "/" + pd.Series(number).astype("str")
    parent, link = (ids[np.arange(count) - np.minimum(random.integers(1, 8, count), number)].array for _ in range(2))
    tokens = pd.Series(random.integers(1, 5_000, count)).astype("str")
    used = '{"attributes": {"gen_ai.request.model": "m", "gen_ai.usage.input_tokens": ' + tokens + "}}"
    links = '{"links": ["' + pd.Series(link, dtype="str") + '"]}'
    kind = np.where(number > 0, random.integers(0, 10, count), 9)
    names = {"agent_id": ("agent", 4), "location_id": ("room", 6)}
    spans = {
        column: pd.Categorical.from_codes(random.integers(0, size, count), [f"{name} {n}" for n in range(size)])
        for column, (name, size) in names.items()
    }
    spans |= {"id": ids, "trace_id": pd.Categorical.from_codes(trace, [f"trace {n:05}" for n in range(N_TRACES)])}
    spans |= {"start_time": start, "end_time": start + random.integers(0, 30_000, count)}
    spans |= {"parent_id": pd.Series(parent, dtype="str").where(kind < 9).astype("str")}
    spans |= {"data": links.where(kind < 2, used.where(kind < 7)).astype("str")}
    return pd.DataFrame(spans).sort_values(["start_time", "end_time", "agent_id", "id"], ignore_index=True)


def seconds(call: Callable[[], Any]) -> float:
    """Median time of three calls, or the time of one long call."""
    times: list[float] = []
    while len(times) < 3 and max(times, default=0.0) < REPEAT_BELOW_S:
        gc.collect()
        begin = perf_counter()
        call()
        times.append(perf_counter() - begin)
    return median(times)


def bytes_per_span(call: Callable[[], Any], count: int) -> float:
    """Peak memory of a call, including its result, in bytes per span."""
    gc.collect()
    tracemalloc.start()
    call()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / count


def questions(spans: pd.DataFrame, related: pd.DataFrame) -> dict[str, Callable[[], pd.DataFrame]]:
    """The questions, as calls without arguments."""
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
        "agent_tree": tv.agent_tree,
        "critical_path": tv.critical_path,
        "waits": tv.waits,
        "time_spent": tv.time_spent,
        "gaps": tv.gaps,
        "fanouts": tv.fanouts,
        "usage": tv.usage,
        "diagnose": tv.diagnose,
    }
    calls = {name: partial(ask, spans) for name, ask in plain.items()}
    calls["compare"] = partial(tv.compare, spans, spans)
    for name in (
        *("summary", "occupancy", "transitions", "handoffs", "agent_tree", "critical_path", "waits", "fanouts"),
        *("time_spent", "usage", "diagnose"),
    ):
        calls[f"{name} (with relations)"] = partial(plain[name], related)
    return calls


def against_a_sort(spans: pd.DataFrame) -> None:
    """Compare each question with a sort."""
    count = len(spans)
    in_order = seconds(partial(spans.sort_values, ORDER))
    at_random = seconds(partial(spans.sample(frac=1, random_state=0).sort_values, ORDER))
    print(f"\n{count:,} spans; a sort by trace, agent, start takes {in_order:.3f} s, of shuffled rows {at_random:.3f} s")
    print(f"{'':32} {'time':>9} {'/ sort':>7} {'/ shuffled':>10} {'bytes per span':>14} {'rows':>12}")
    for name, call in questions(spans, with_relations(spans)).items():
        rows = len(call())
        took = seconds(call)
        memory = bytes_per_span(call, count)
        print(
            f"{name:32} {took:>7.2f} s {took / in_order:>7.1f} {took / at_random:>10.1f} {memory:>14.0f} {rows:>12,}",
            flush=True,
        )


def against_orjson(spans: pd.DataFrame) -> None:
    """Compare the usage of model calls with parsing their payloads."""
    calls = with_usage(spans)
    texts = calls["data"].dropna().tolist()
    keys = ["kind", "status", *(f"gen_ai.usage.{name}" for name in (*TOKEN_LIMITS, "cost"))]
    columns = tv.expand_data(calls, keys).drop(columns="data")
    assert tv.usage(columns).equals(tv.usage(calls))
    frames = {"usage": calls, "usage, from columns": columns}
    pairs = {
        name: (partial(tv.usage, frame), lambda: sum(map(len, map(orjson.loads, texts)))) for name, frame in frames.items()
    }
    table("orjson alone", pairs, len(spans))


def against_calls() -> None:
    """Compare questions about many traces at once with a call for each trace."""
    spans = many_traces()
    traces = [
        trace.assign(**{name: trace[name].cat.remove_unused_categories() for name in ("trace_id", "agent_id", "location_id")})
        for _, trace in islice(spans.groupby("trace_id", observed=True), N_MEASURED_TRACES)
    ]
    print(f"\n{N_TRACES:,} traces of {SPANS_PER_TRACE} spans; calls are measured on {N_MEASURED_TRACES} traces, and scaled")
    print(f"{'':32} {'at once':>9} {'a call for each':>16} {'one call':>9} {'ratio':>7}")
    for name in ("summary", "usage", "critical_path", "diagnose"):
        ask = getattr(tv, name)
        at_once, one = seconds(partial(ask, spans)), seconds(partial(lambda ask: [ask(trace) for trace in traces], ask))
        one /= len(traces)
        each = one * N_TRACES
        print(f"{name:32} {at_once:>7.2f} s {each:>14.1f} s {one * 1e3:>6.1f} ms {each / at_once:>7.0f}", flush=True)


def numpy_concurrency(start: np.ndarray, end: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The step function, in plain numpy."""
    time = np.concatenate([start[end > start], end[end > start]])
    change = np.repeat([1, -1], len(time) // 2)
    order = np.argsort(time, kind="stable")
    time, running = time[order], np.cumsum(change[order])
    last = np.append(time[1:] != time[:-1], True)
    time, running = time[last], running[last]
    new = np.append(True, running[1:] != running[:-1])
    return time[new], running[new]


def numpy_transitions(agent: np.ndarray, place: np.ndarray, start: np.ndarray, end: np.ndarray) -> list[np.ndarray]:
    """Moves for each pair of places, with the mean and the median of their gaps, in plain numpy."""
    order = np.lexsort((end, start, agent))
    agent, place, start, end = agent[order], place[order], start[order], end[order]
    moved = (agent[1:] == agent[:-1]) & (place[1:] != place[:-1])
    pair, gap = (place[:-1] * PLACES + place[1:])[moved], (start[1:] - end[:-1])[moved]
    count = np.bincount(pair, minlength=PLACES * PLACES)
    total = np.bincount(pair, weights=gap, minlength=PLACES * PLACES)
    gap = gap[np.lexsort((gap, pair))]
    used = count > 0
    middle = (np.cumsum(count) - count + (count + 1) // 2 - 1)[used]
    return [count[used], total[used] / count[used], gap[middle]]


def against_numpy(spans: pd.DataFrame) -> None:
    """Compare with plain numpy."""
    count = len(spans)
    agent, place = (spans[name].cat.codes.to_numpy().astype(np.int64) for name in ("agent_id", "location_id"))
    start, end = (spans[name].to_numpy() for name in ("start_time", "end_time"))
    steps, transitions = tv.concurrency(spans), tv.transitions(spans)
    for ours, theirs in zip((steps["time"], steps["running"]), numpy_concurrency(start, end), strict=True):
        assert np.array_equal(ours.to_numpy(), theirs)
    columns = (transitions[name].to_numpy() for name in ("n_moves", "mean_gap_us", "p50_gap_us"))
    for ours, theirs in zip(columns, numpy_transitions(agent, place, start, end), strict=True):
        assert np.allclose(ours, theirs)
    pairs = {
        "concurrency": (lambda: tv.concurrency(spans), lambda: numpy_concurrency(start, end)),
        "transitions": (lambda: tv.transitions(spans), lambda: numpy_transitions(agent, place, start, end)),
    }
    table("plain numpy", pairs, count)


def table(baseline: str, pairs: dict[str, tuple[Callable[[], Any], Callable[[], Any]]], count: int) -> None:
    """Print the times of questions and of a baseline, and their ratios."""
    print(f"\n{count:,} spans against {baseline}")
    print(f"{'':32} {'tokenvis':>9} {baseline:>12} {'ours / theirs':>14} {'theirs / ours':>14}")
    for name, (ask, compute) in pairs.items():
        ours, theirs = seconds(ask), seconds(compute)
        print(f"{name:32} {ours:>7.2f} s {theirs:>10.2f} s {ours / theirs:>14.2f} {theirs / ours:>14.1f}", flush=True)


def pandas_summary(spans: pd.DataFrame) -> pd.DataFrame:
    """Part of the summary: without active time, peak and share_parallel."""
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
    """Compare with plain pandas."""
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
    """The spans as an event log for PM4Py: an event for each start."""
    columns = {"case:concept:name": case, "concept:name": "location_id", "org:resource": "agent_id"}
    log = pd.DataFrame({name: spans[column].astype("str") for name, column in columns.items()})
    return log.assign(**{"time:timestamp": pd.to_datetime(spans["start_time"], unit="us", utc=True)})


def against_pm4py(spans: pd.DataFrame) -> None:
    """Compare with PM4Py: its graph also counts staying at a place, its handovers are shares for each pair of agents."""
    try:
        import pm4py
    except ImportError:
        print("\nPM4Py is not installed: `pip install pm4py` in a separate environment with tokenvis adds its table.")
        return
    paths, rooms = event_log(spans, "agent_id"), event_log(spans, "location_id")
    graph, _, _ = pm4py.discover_dfg(paths)
    moved = {pair: count for pair, count in graph.items() if pair[0] != pair[1]}
    transitions = tv.transitions(spans).set_index(["from_location", "to_location"])["n_moves"].to_dict()
    assert moved.keys() == transitions.keys()
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
        against_orjson(spans)
        if count <= PM4PY_MAX_SPANS:
            against_pm4py(spans)
    against_calls()


if __name__ == "__main__":
    main()
