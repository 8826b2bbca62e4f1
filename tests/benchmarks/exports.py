"""Time and memory of exporting a million spans: ``npm run benchmarks:exports -- 100``, or more sizes, in thousands of spans.

Each format is written from the same frame, as it is loaded from a store: one trace, 20 agents, 7 locations, 120 bytes of data a
span, and every tenth span has a link. Then a tenth as many spans with 8 kB of data each. Memory is the peak resident set of the
process above its size before the call; the frame's own columns are not in it. Each export runs in its own process.
"""

import json
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import pyarrow as pa
from watching import measured

import tokenvis as tv
from tokenvis.formats.registry import WRITERS
from tokenvis.spans.columns import as_spans

SIZES = (1_000,)
NUMERIC = ["trace_id", "agent_id", "location_id", "start_time", "end_time"]  # names are stored as codes


def frame(count: int, text: str) -> pd.DataFrame:
    """Spans in the order of a loaded frame; each has this text in its data."""
    rng = np.random.default_rng(1)
    start = np.sort(rng.integers(0, count * 100, count))
    tokens = {"gen_ai.usage.input_tokens": 1_000, "gen_ai.usage.output_tokens": 100}
    data = [{"label": f"step {row}", "kind": "model", "attributes": tokens, "text": text} for row in range(count)]
    links = [{"links": [f"run/{row - 1}"]} if row and not row % 10 else {} for row in range(count)]
    columns = {
        "id": [f"run/{row}" for row in range(count)],
        "trace_id": "run",
        "agent_id": [f"agent {row % 20}" for row in range(count)],
        "location_id": [f"tool:{row % 7}" for row in range(count)],
        "start_time": start,
        "end_time": start + rng.integers(0, 2_000, count),
        "data": [json.dumps(payload | link) for payload, link in zip(data, links, strict=True)],
    }
    return as_spans(pd.DataFrame(columns))


def measure(path: Path, kind: str) -> None:
    """Print a row of the table."""
    spans = as_spans(pd.read_parquet(path))
    pa.default_memory_pool().release_unused()
    seconds, memory = measured(lambda: tv.export(spans, path.with_suffix(f".{kind}"), format=kind))
    numeric = spans[NUMERIC].memory_usage(index=False).sum()
    rate = seconds / len(spans) * 1e6
    print(f"| {kind} | {seconds:.1f} s | {rate:.1f} µs | {memory / 1e6:,.0f} MB | {memory / numeric:.0f}x |", flush=True)


def compare(folder: Path, count: int, text: str) -> None:
    """Print the table of one frame."""
    path = folder / "spans.frame"
    frame(count, text).to_parquet(path)
    print(
        f"\n{count:,} spans, {len(text):,} characters of text each\n\n| | time | per span | memory | of the numeric columns |"
    )
    print("| --- | --- | --- | --- | --- |", flush=True)
    for kind in WRITERS:
        subprocess.run([sys.executable, __file__, str(path), kind], check=True)


def main() -> None:
    """Print the tables, or one row of one."""
    if len(sys.argv) == 3 and sys.argv[2] in WRITERS:
        measure(Path(sys.argv[1]), sys.argv[2])
        return
    for thousands in [int(size) for size in sys.argv[1:]] or SIZES:
        with TemporaryDirectory() as folder:
            compare(Path(folder), thousands * 1_000, "")
            compare(Path(folder), thousands * 100, "x" * 8_000)


if __name__ == "__main__":
    main()
