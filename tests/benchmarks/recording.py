"""The cost of recording for a program: ``npm run benchmarks:recording -- 60``, with the duration of the long run in seconds.

The first table measures an empty span with a label, in a loop without pauses, and in bursts of 100 spans with pauses (10,000 a
second; only the bursts are timed). It shows microseconds per span in the recorded thread: wall time, including all waits, and
the thread's CPU time; the best of three alternating rounds. Peers: OpenTelemetry's SDK with its batch processor and its
in-memory exporter, and a list to which a tuple is appended. The recorder stores every span in a database; the batch processor
drops the spans that exceed its queue. The column "kept" shows the share of spans that each has at the end.

The second table records 30,000 spans a second into a file. Memory is that of the whole process, the median of the first and the
last quarter of the run; the size of the log is its maximum.
"""

import os
import platform
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from threading import Event, Thread
from time import perf_counter, sleep, thread_time
from typing import Any

import psutil
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import tokenvis as tv
from tokenvis.store.connections import wal_size

COUNT = 50_000
BURST, PAUSE = 100, 0.01
RATE = 30_000  # spans a second

Round = tuple[float, float, int]  # µs per span of wall time and of CPU time; number of spans kept


def time_loop(record_span: Callable[[], Any], count: int, *, bursts: bool) -> tuple[float, float]:
    """µs per span, of wall time and of CPU time."""
    wall = cpu = 0.0
    for _ in range(count // BURST):
        start, cpu_start = perf_counter(), thread_time()
        for _ in range(BURST):
            record_span()
        wall, cpu = wall + perf_counter() - start, cpu + thread_time() - cpu_start
        if bursts:
            sleep(PAUSE)
    return wall / count * 1e6, cpu / count * 1e6


def by_list(count: int, *, bursts: bool) -> Round:
    """A list."""
    spans: list[Any] = []
    return *time_loop(lambda: spans.append(("agent", "desk", perf_counter())), count, bursts=bursts), len(spans)


def by_opentelemetry(count: int, *, bursts: bool) -> Round:
    """OpenTelemetry's SDK."""
    exporter, provider = InMemorySpanExporter(), TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    tracer = provider.get_tracer("benchmark")
    attributes = {"gen_ai.agent.name": "agent", "location": "desk", "label": "hello"}

    def record_span() -> None:
        with tracer.start_as_current_span("hello", attributes=attributes):
            pass

    times = time_loop(record_span, count, bursts=bursts)
    provider.shutdown()
    return *times, len(exporter.get_finished_spans())


def by_tokenvis(count: int, *, bursts: bool, **options: Any) -> Round:
    """The recorder."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "sqlite.db"
        with tv.Recorder("t", store=path, **options) as recorder:

            def record_span() -> None:
                with recorder.span("agent", "desk", label="hello"):
                    pass

            times = time_loop(record_span, count, bursts=bursts)
        return *times, len(tv.load_spans("t", store=path))


def overhead() -> None:
    """The first table."""
    print(f"{'µs per span':34} {'loop':>8} {'CPU':>8} {'kept':>8} {'bursts':>9} {'CPU':>8} {'kept':>8}")
    measurements = {"list.append": by_list, "OpenTelemetry, batch, in memory": by_opentelemetry}
    measurements |= {"tokenvis.Recorder, stored": by_tokenvis}
    rounds: dict[str, list[tuple[Round, Round]]] = {name: [] for name in measurements}
    for _ in range(3):
        for name, measure in measurements.items():
            rounds[name].append((measure(COUNT, bursts=False), measure(COUNT // 5, bursts=True)))
    best = {name: [min(column) for column in zip(*results, strict=True)] for name, results in rounds.items()}
    for name, (loop, bursts) in best.items():
        columns = f"{loop[2] / COUNT:7.0%} {bursts[0]:10.2f} {bursts[1]:8.2f} {bursts[2] / (COUNT // 5):8.0%}"
        print(f"{name:34} {loop[0]:8.2f} {loop[1]:8.2f} {columns}")
    ours, theirs = (best[name] for name in list(measurements)[:0:-1])
    ratios = [ours[part][column] / theirs[part][column] for part in (0, 1) for column in (0, 1)]
    print(f"{'tokenvis / OpenTelemetry':34} {ratios[0]:8.2f} {ratios[1]:8.2f} {ratios[2]:18.2f} {ratios[3]:8.2f}")


def long_run(seconds: float) -> None:
    """The second table."""
    process, done = psutil.Process(), Event()
    memory: list[int] = []
    logs: list[int] = []
    with TemporaryDirectory() as folder:
        path = Path(folder) / "sqlite.db"

        def watch() -> None:
            while not done.wait(0.1):
                memory.append(process.memory_info().rss)
                logs.append(wal_size(path))

        with tv.Recorder("t", store=path) as recorder:
            watcher = Thread(target=watch, daemon=True)
            watcher.start()
            start, count, late = perf_counter(), 0, 0.0
            while count < seconds * RATE:
                for _ in range(RATE // 100):
                    with recorder.span("agent", "desk", label="hello", number=count):
                        count += 1
                ahead = start + count / RATE - perf_counter()
                late = max(late, -ahead)
                sleep(max(ahead, 0))
            took = perf_counter() - start
            done.set()
            watcher.join()
        quarter = max(len(memory) // 4, 1)
        first, last = (median(part) / 2**20 for part in (memory[:quarter], memory[-quarter:]))
        with suppress(tv.TokenvisError):
            stored = int(tv.load_traces(store=path)["n_spans"].sum())
        print(f"{count:,} spans in {took:.1f} s: {count / took:,.0f} a second; at most {late * 1e3:.0f} ms behind schedule")
        print(f"stored {stored:,}; memory {first:.0f} MB, then {last:.0f} MB; log at most {max(logs) / 2**20:.1f} MB")


if __name__ == "__main__":
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores, tokenvis {tv.__version__}\n")
    overhead()
    print()
    long_run(float(sys.argv[1]) if len(sys.argv) > 1 else 60)
