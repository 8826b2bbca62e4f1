"""Speed of the store against SQLite alone: ``npm run benchmarks:store -- 1 10``, with sizes in millions of spans.

Databases are created in a temporary folder with the schema of tokenvis: ids of 16 hex digits, about 100 bytes of data, 20
agents, 50 locations. Their rows are in order of time, or shuffled; in one trace, or in a thousand. Each row of the table
compares a time with that of a baseline on the same rows, in the same run, the best of three alternating rounds. Baselines:
``fetchall`` of Python's sqlite3 by a plain scan, which makes no frame; `pandas.read_sql` through SQLAlchemy; ``executemany`` of
prepared tuples with the same PRAGMAs and constraints; orjson on the same texts, discarding the results. Memory is measured in a
separate process, in bytes per span: the frame, and the peak resident set beyond the process's initial size and the frame.
"""

import os
import platform
import random
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import orjson
import pandas as pd
from watching import measured

import tokenvis as tv
from tokenvis.store import add_window_index
from tokenvis.store.connections import connect, uri_of

COLUMNS = "id, trace_id, agent_id, location_id, start_time, end_time, data"
INSERT = "INSERT INTO spans VALUES (?, ?, ?, ?, ?, ?, ?)"
START = 1_781_293_600_000_000
KEYS = ["label", "status", "gen_ai.usage.input_tokens"]
WRITTEN = 300_000


def row_of(number: int, trace: int, rng: random.Random) -> tuple[Any, ...]:
    """A span."""
    start = START + number * 1_000 + rng.randrange(900)
    data = '{"label":"step %06d","status":"ok","kind":"tool","attributes":{"gen_ai.usage.input_tokens":%d}}'
    names = (f"trace-{trace:04d}", f"agent-{rng.randrange(20):02d}", f"tool:{rng.randrange(50):03d}")
    return (f"{rng.getrandbits(64):016x}", *names, start, start + rng.randrange(5_000), data % (number, number % 1_000))


def database(path: Path, count: int, n_traces: int = 1, *, shuffled: bool = False) -> Path:
    """A database of ``count`` spans."""
    rng, order = random.Random(count), range(count)
    if shuffled:
        order = list(order)
        rng.shuffle(order)
    write(path, n_traces, (row_of(number, number * n_traces // count, rng) for number in order))
    return path


def write(path: Path, n_traces: int, rows: Iterator[tuple[Any, ...]]) -> None:
    """Write rows in the given order."""
    tv.Store(path).close()
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("BEGIN")
        connection.executemany("INSERT INTO traces VALUES (?, ?)", ((f"trace-{t:04d}", f"Trace {t}") for t in range(n_traces)))
        connection.executemany(INSERT, rows)
        connection.execute("COMMIT")


def timed(work: Callable[[], Any]) -> float:
    """Seconds of one call; its result is freed afterwards."""
    start = perf_counter()
    result = work()
    seconds = perf_counter() - start
    del result
    return seconds


def best(*calls: Callable[[], Any], times: int = 3) -> list[float]:
    """The shortest time of each, measured in alternating rounds."""
    rounds = [[timed(call) for call in calls] for _ in range(times)]
    return [min(column) for column in zip(*rounds, strict=True)]


def print_row(case: str, seconds: float, baseline: str = "", baseline_seconds: float = 0.0, goal: str = "") -> None:
    """Print a row of the table."""
    ratio = f"{seconds / baseline_seconds:.2f}x of {baseline} ({baseline_seconds:,.3f} s)" if baseline_seconds else ""
    print(f"| {case} | {seconds:,.3f} s | {ratio} | {goal} |", flush=True)


def fetch(path: Path) -> list[Any]:
    """All rows, as tuples."""
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(f"SELECT {COLUMNS} FROM spans").fetchall()


def read_sql(path: Path) -> pd.DataFrame:
    """All rows, read by pandas."""
    return pd.read_sql(f"SELECT {COLUMNS} FROM spans ORDER BY start_time, end_time, agent_id, id", f"sqlite:///{path}")


def compare_loads(folder: Path, millions: int) -> None:
    """Compare loads of ``millions`` of spans."""
    for n_traces in (1, 1_000):
        for shuffled in (False, True):
            path = database(folder / "loads.db", millions * 10**6, n_traces, shuffled=shuffled)
            case = f"{millions}M spans, {'shuffled' if shuffled else 'in order'}, {n_traces:,} trace{'s' * (n_traces > 1)}"
            times = 3 if millions < 5 else 2
            loaded, bare = best(lambda path=path: tv.load_spans(store=path), lambda path=path: fetch(path), times=times)
            print_row(
                f"load_spans, {case}", loaded, "fetchall", bare, "1.2x" if millions > 1 else "1.3x" if shuffled else "1.1x"
            )
            if millions == 1 and n_traces == 1:
                alone, bare = best(lambda path=path: tv.load_spans("trace-0000", store=path), lambda path=path: fetch(path))
                print_row(f"the same, by its id, {case}", alone, "fetchall", bare)
                times_faster = timed(lambda path=path: read_sql(path)) / loaded
                print(f"| the same | | {times_faster:.1f}x faster than pandas.read_sql | 2.5x |")
            frame, peak = memory(path)
            print(f"| its memory | | {frame:.0f} bytes per span, {peak:.0f} more at the peak | 150, 150 |", flush=True)
            if n_traces > 1:
                print_row(f"load_traces, {case}", *best(lambda path=path: tv.load_traces(store=path)), goal="0.5 s with 10M")
                print_row(
                    f"load_spans of one of them, {case}", *best(lambda path=path: tv.load_spans("trace-0500", store=path))
                )
            path.unlink()


def memory(path: Path) -> tuple[float, float]:
    """Bytes per span of the frame, and of the peak beyond it, in a separate process."""
    done = subprocess.run([sys.executable, __file__, "memory", str(path)], capture_output=True, text=True, check=True)
    frame, peak = map(float, done.stdout.split())
    return frame, peak


def print_memory(path: str) -> None:
    """Load in this process, after a small load that imports the libraries, and print the memory used."""
    tv.load_spans(start=0, end=1, store=path)
    loaded: list[pd.DataFrame] = []
    _, highest = measured(lambda: loaded.append(tv.load_spans(store=path)))
    frame, count = int(loaded[0].memory_usage(deep=True).sum()), len(loaded[0])
    print(frame / count, max(0, highest - frame) / count)


def compare_one_of_many(folder: Path) -> None:
    """Load one trace of a thousand spans among a hundred thousand traces of ten."""
    rng, path = random.Random(1), folder / "many.db"
    sizes = {trace: 1_000 if trace == 50_000 else 10 for trace in range(100_000)}
    write(path, 100_000, (row_of(number, trace, rng) for trace, size in sizes.items() for number in range(size)))
    store = tv.Store(path)
    for kind, given in (("a path", path), ("a Store", store)):
        print_row(f"load_spans of a trace of 1,000 among 100,000 traces, by {kind}",
             *best(lambda given=given: tv.load_spans("trace-50000", store=given), times=9), goal="0.010 s")  # fmt: skip
    path.unlink()


def compare_writes(folder: Path) -> None:
    """Compare writing a trace and replacing it."""
    rng = random.Random(2)
    rows = [row_of(number, 0, rng) for number in range(WRITTEN)]
    spans = tv.load_spans(store=fill(folder / "frame.db", rows))

    def bare(path: Path) -> None:
        fill(path, rows)

    def ours(path: Path) -> None:
        tv.Store(path).write_trace("trace-0000", spans)

    seconds: dict[str, list[float]] = {}
    for number in range(3):
        paths = {"bare": folder / f"bare{number}.db", "ours": folder / f"ours{number}.db"}
        for path in paths.values():
            tv.Store(path).close()
        seconds.setdefault("bare", []).append(timed(lambda paths=paths: bare(paths["bare"])))
        seconds.setdefault("ours", []).append(timed(lambda paths=paths: ours(paths["ours"])))
        seconds.setdefault("replaced", []).append(timed(lambda paths=paths: ours(paths["ours"])))
    least = {name: min(values) for name, values in seconds.items()}
    print_row(f"write_trace of {WRITTEN:,} spans", least["ours"], "executemany", least["bare"], "1.3x")
    print_row("replacing it", least["replaced"], "executemany", least["bare"], "2x")


def fill(path: Path, rows: list[tuple[Any, ...]]) -> Path:
    """Write prepared tuples with the PRAGMAs of tokenvis."""
    if not path.exists():
        tv.Store(path).close()
    with closing(connect(uri_of(path, "rw"))) as connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("INSERT INTO traces VALUES ('trace-0000', 'trace-0000')")
        connection.executemany(INSERT, rows)
        connection.execute("COMMIT")
    return path


def compare_windows(folder: Path, millions: int) -> None:
    """Compare windows of 0.001% and 80% of a giant trace with a full load, without and with the index of long spans."""
    path, count = folder / "windows.db", millions * 10**6
    rng, root = random.Random(3), (f"{'root':16}", "trace-0000", "agent-00", "root", START, START + count * 1_000, None)
    write(path, 1, (root if number == 0 else row_of(number, 0, rng) for number in range(count)))
    [middle, tiny, wide] = [START + count * 500, max(1, count // 100), count * 400]
    for case, goals in (("by a scan", ("", "")), ("by the index", ("0.5%", "as by a scan"))):
        if goals[0]:
            print_row("adding the index", timed(lambda: add_window_index(path)))
        windows = [{"start": middle, "end": middle + tiny}, {"start": middle - wide, "end": middle + wide}]
        calls = [lambda window=window: tv.load_spans("trace-0000", **window, store=path) for window in windows]
        *times, full = best(*calls, lambda: tv.load_spans("trace-0000", store=path), times=2)
        for share, seconds, goal in zip(("0.001%", "80%"), times, goals, strict=True):
            print_row(f"a window of {share} of {millions}M spans, {case}", seconds, "a full load", full, goal)
            print(f"| the same | | {seconds / full:.2%} of a full load | |")
    path.unlink()


def compare_keys(folder: Path) -> None:
    """Compare expanding three keys of a million payloads."""
    spans = tv.load_spans(store=database(folder / "keys.db", 10**6))
    texts = spans["data"].tolist()

    def parse() -> None:
        for text in texts:
            orjson.loads(text)

    expanded, bare = best(lambda: tv.expand_data(spans, KEYS), parse)
    print_row("expand_data of 3 keys, 1M spans", expanded, "orjson, results discarded", bare, "1.5x")
    print_row("the same", expanded, "orjson, results kept", *best(lambda: [orjson.loads(text) for text in texts]))


def main() -> None:
    """Print the table."""
    if sys.argv[1:2] == ["memory"]:
        print_memory(sys.argv[2])
        return
    print(
        f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, pandas {pd.__version__}, {os.cpu_count()} cores"
    )
    print("\n| | time | against | goal |\n| --- | --- | --- | --- |")
    with TemporaryDirectory() as folder:
        compare_writes(Path(folder))
        compare_keys(Path(folder))
        compare_one_of_many(Path(folder))
        for millions in [int(size) for size in sys.argv[1:]] or [1, 10]:
            compare_windows(Path(folder), millions)
            compare_loads(Path(folder), millions)


if __name__ == "__main__":
    main()
