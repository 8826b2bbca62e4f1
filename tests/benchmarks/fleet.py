"""Speed, memory and size of fleets: ``npm run benchmarks:fleet -- 4000``, by default with 4,000 traces.

Made traces have 20 to 2,000 spans (a heavy tail), nested five deep and more, of six agents; two of five spans are calls of a
model with tokens, parents repeat the tokens of their calls as a sum, and a tenth of the calls has a prompt and an answer of 1
to 9 kB. They are exported to a temporary folder. Each row of the table is a ratio of two measurements of one run, on the same
data:

- wall time × processes of `Fleet.map`, of Dask and of Spark (if installed), over the CPU time of the questions alone in one
  process, of frames that are in memory; processes are started before;
- the peak memory of `Fleet.map` in one process for ten times the spans, over that for the spans, both with a question whose
  answer is small;
- the time to open a fleet of 1,000 files and load one trace, over that with 10 files of the same traces, from one export, and
  from an export for each file (for a multiple of 1,000 traces);
- the bytes of a span in the files, over those of the seven columns of a frame in Parquet with zstd, in the same order;
- the time of a question of a small slice of a large frame, whose categories name all traces, over that of a frame with only the
  names of its rows: the median and the highest ratio over all questions (`slices.py`).

`npm run benchmarks:store` measures windows of a giant trace.
"""

import logging
import os
import platform
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import process_time
from typing import Any

import numpy as np
import orjson
import pandas as pd
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
from slices import SLICES, measure
from watching import measured

import tokenvis as tv
from tokenvis.fleet.frames import spans_in
from tokenvis.fleet.sources.folder import FolderSource
from tokenvis.fleet.writing import writer
from tokenvis.spans.columns import COLUMNS, spans_frame

N_TRACES = 4_000
PROCESSES = 2
ROUNDS = 3
START = 1_781_293_600_000_000
WORDS = (
    "plan",
    "search",
    "the",
    "kitchen",
    "result",
    "agent",
    "writes",
    "review",
    "because",
    "failed",
    "next",
    "step",
    "of",
    "a",
)
QUESTIONS: dict[str, list[Any]] = {"summary": [tv.summary], "summary, usage, waits": [tv.summary, tv.usage, tv.waits]}


def made_traces(n_traces: int, seed: int = 0, first: int = 0) -> pd.DataFrame:
    """Spans of made traces, as described at the top."""
    rng = np.random.default_rng(seed)
    sizes = np.clip((rng.pareto(1.1, n_traces) * 20 + 20).astype(int), 20, 2_000)
    trace = np.repeat(np.arange(n_traces), sizes)
    number = np.arange(len(trace)) - (np.cumsum(sizes) - sizes)[trace]
    parent = np.where(number, (number - 1) // 4, -1)
    start = START + trace * 7_000_000 + number * 40_000 + rng.integers(0, 30_000, len(trace))
    end = start + rng.lognormal(12, 1.5, len(trace)).astype(np.int64)
    is_call = rng.random(len(trace)) < 0.4
    tokens = np.where(is_call[:, None], rng.integers(50, 4_000, (len(trace), 2)), 0)
    has_text = is_call & (rng.random(len(trace)) < 0.1)
    sums = tokens.copy()
    for row in range(len(trace) - 1, -1, -1):  # a parent repeats the tokens of its calls
        if parent[row] >= 0:
            sums[row - number[row] + parent[row]] += sums[row]
    names = [f"trace-{first + each:07d}" for each in range(n_traces)]
    ids = [f"{names[one]}/{each:x}" for one, each in zip(trace, number, strict=True)]
    parents = [f"{names[one]}/{each:x}" if each >= 0 else None for one, each in zip(trace, parent, strict=True)]
    data = [
        payload(each, bool(call), has, above, numbers.tolist(), rng)
        for each, call, has, above, numbers in zip(number, is_call, has_text, parents, sums, strict=True)
    ]
    return spans_frame(
        id=ids,
        trace_id=np.array(names)[trace],
        agent_id=[f"agent-{each}" for each in rng.integers(0, 6, len(trace))],
        location_id=np.where(
            is_call, "model:large", np.array([f"tool:{each}" for each in range(9)])[rng.integers(0, 9, len(trace))]
        ),
        start_time=start,
        end_time=end,
        data=pd.array(data, dtype="str"),
    )


def payload(number: int, is_call: bool, has_text: bool, parent: str | None, tokens: list[int], rng: Any) -> str:
    """The data of a span."""
    data: dict[str, Any] = {"label": f"step {number}", "kind": "model" if is_call else "tool", "status": "ok"}
    attributes: dict[str, Any] = {}
    if is_call:
        attributes["gen_ai.request.model"] = "large"
    if any(tokens):
        attributes |= {"gen_ai.usage.input_tokens": tokens[0], "gen_ai.usage.output_tokens": tokens[1]}
    if has_text:
        for key in ("gen_ai.input.messages", "gen_ai.output.messages"):
            attributes[key] = " ".join(rng.choice(WORDS, int(rng.integers(200, 1_600))))
    data |= {"attributes": attributes} if attributes else {}
    return orjson.dumps(data | ({"parent_id": parent} if parent else {})).decode()


def own_cpu(folder: Path, questions: list[Any]) -> float:
    """The CPU seconds of the questions alone, of each part's frame, in one thread."""
    source, seconds = FolderSource(folder), 0.0
    for part in source.parts():
        spans = spans_in(source.read(part))
        begin = process_time()
        for question in questions:
            question(spans)
        seconds += process_time() - begin
    return seconds


def by_fleet(folder: Path, questions: list[Any]) -> Callable[[], Any]:
    """A call of `Fleet.map`, whose processes have started."""
    fleet = tv.Fleet(folder)
    fleet.map(tv.summary, workers=PROCESSES)
    return lambda: fleet.map(questions, workers=PROCESSES)


def by_dask(folder: Path, questions: list[Any]) -> Callable[[], Any]:
    """A call of Dask's processes, for each question, with a file as a partition."""
    import dask.dataframe as dd
    from distributed import Client

    client = Client(n_workers=PROCESSES, threads_per_worker=1, dashboard_address=None, silence_logs=logging.ERROR)
    mappers = [tv.fleet.mapper(question) for question in questions]
    files = sorted(folder.glob("*.parquet"))
    client.run(import_module, "tokenvis")
    return lambda: [dd.from_map(pd.read_parquet, files).map_partitions(one.frame, meta=one.meta).compute() for one in mappers]


def by_spark(folder: Path, questions: list[Any]) -> Callable[[], Any]:
    """A call of Spark's local mode, for each question."""
    from pyspark.sql import SparkSession

    os.environ["PYSPARK_PYTHON"] = sys.executable
    spark = SparkSession.builder.master(f"local[{PROCESSES}]").config("spark.ui.enabled", "false").getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    mappers = [tv.fleet.mapper(question) for question in questions]

    def ask() -> None:
        for one in mappers:
            spark.read.parquet(str(folder)).mapInArrow(one, schema=one.schema).toPandas()

    ask()
    return ask


def compare_engines(folder: Path) -> None:
    """Compare engines with the CPU time of the questions."""
    for name, questions in QUESTIONS.items():
        own = min(own_cpu(folder, questions) for _ in range(ROUNDS))
        for engine, start in (("Fleet.map", by_fleet), ("Dask", by_dask), ("Spark", by_spark)):
            try:
                call = start(folder, questions)
            except ImportError:
                print(f"| {name}, {engine} | not installed | | |")
                continue
            wall = min(measured(call)[0] for _ in range(ROUNDS))
            goal = "reported" if engine == "Spark" else "1.2"
            print_row(f"{name}: wall × {PROCESSES}, {engine}", wall * PROCESSES, "CPU of the questions", own, goal)


def compare_memory(folder: Path, larger: Path) -> None:
    """Compare the peak memory of a call for the spans and for ten times as many, each in a new process."""
    peaks = [
        int(subprocess.run([sys.executable, __file__, "memory", path], check=True, capture_output=True, text=True).stdout)
        for path in map(str, (folder, larger))
    ]
    megabytes = [peak / 1e6 for peak in peaks]
    print(
        f"| peak memory of 10x the spans | {megabytes[1]:.0f} MB | 1x {megabytes[0]:.0f} MB: {peaks[1] / peaks[0]:.2f} | 1.15 |"
    )


def n_agents(spans: pd.DataFrame) -> pd.DataFrame:
    """A question with a small answer: the traces of more than six agents, none of which there are."""
    summary = tv.summary(spans)
    return summary.loc[summary["n_agents"] > 6, ["trace_id"]]


def print_peak(folder: str) -> None:
    """Print the resident set of this process at the peak of a call."""
    before = psutil.Process().memory_info().rss
    print(before + measured(lambda: tv.Fleet(folder).map(n_agents, workers=1))[1])


def compare_files(spans: pd.DataFrame, folder: Path) -> None:
    """Compare loading one trace from 1,000 files and from 10, which have the same traces."""
    ids = spans["trace_id"].cat.categories
    for case in ("one export", "many exports"):
        seconds = []
        for n_files in (10, 1_000):
            place = folder / f"{case} {n_files}"
            per_file = -(-len(ids) // n_files)
            groups = [ids[first : first + per_file] for first in range(0, len(ids), per_file)]
            writer.FILE_TRACES = per_file
            for group in [ids] if case == "one export" else groups:
                tv.export(spans[spans["trace_id"].isin(group)], place, format="fleet")
            assert len(list(place.iterdir())) == n_files
            seconds.append(min(measured(lambda place=place: tv.Fleet(place).load_spans(ids[3]))[0] for _ in range(9)))
        print_row(f"one trace of 1,000 files of {case}", seconds[1], "of 10", seconds[0], "2")
    writer.FILE_TRACES = 100_000


def compare_bytes(spans: pd.DataFrame, folder: Path) -> None:
    """Compare the size of the files with that of the seven columns of a frame in Parquet."""
    table = pa.Table.from_pandas(spans.sort_values(["trace_id", "start_time"])[list(COLUMNS)], preserve_index=False)
    bare = folder / "bare.parquet"
    pq.write_table(table, bare, compression="zstd", compression_level=3, row_group_size=writer.GROUP_SPANS)
    size = sum(path.stat().st_size for path in (folder / "spans").glob("*.parquet"))
    print(
        f"| bytes of a span | {size / len(spans):.1f} | seven columns {bare.stat().st_size / len(spans):.1f}: "
        f"{size / bare.stat().st_size:.2f} | 1.2 |"
    )


def compare_slices() -> None:
    """Compare small slices of a fleet's frame with fresh frames."""
    for n_traces in SLICES:
        rows = measure((n_traces,))
        highest = max(rows, key=lambda row: row.ratio)
        middle = median(row.ratio for row in rows)
        print(
            f"| a slice of {n_traces:,} traces | highest {highest.ratio:.2f} ({highest.question}) | median {middle:.2f} | 1.1 |"
        )


def print_row(name: str, value: float, against: str, baseline: float, goal: str) -> None:
    """Print a row of the table."""
    print(f"| {name} | {value:.3f} s | {against} {baseline:.3f} s: {value / baseline:.2f} | {goal} |", flush=True)


def main() -> None:
    """Print the table."""
    if sys.argv[1:2] == ["memory"]:
        print_peak(sys.argv[2])
        return
    n_traces = int(sys.argv[1]) if sys.argv[1:] else N_TRACES
    spans = made_traces(n_traces)
    print(f"Python {platform.python_version()}, pyarrow {pa.__version__}, pandas {pd.__version__}, {os.cpu_count()} cores")
    print(f"{n_traces:,} traces, {len(spans):,} spans, {spans['data'].str.len().mean():.0f} characters of data a span")
    print("\n| | | against | goal |\n| --- | --- | --- | --- |")
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        tv.export(spans, folder / "spans", format="fleet")
        for first in range(10):
            more = spans if not first else made_traces(n_traces, seed=first, first=first * n_traces)
            tv.export(more, folder / "larger", format="fleet")
        compare_bytes(spans, folder)
        compare_engines(folder / "larger")
        compare_memory(folder / "spans", folder / "larger")
        compare_files(spans, folder)
    compare_slices()


if __name__ == "__main__":
    main()
