"""Small slices of a fleet's frame, against the same rows with fresh categories: ``python tests/benchmarks/slices.py``.

A fleet's frame has the names of all its traces as categories, and each of its slices keeps them. The ratio is that of the CPU
times of a question, about 1, 10 and 1,000 traces of 100 spans, with the categories of 200,000 traces and with only those of the
rows: the least of many runs of both, which take turns. The answers are checked to be equal.
"""

import platform
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from time import process_time
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from pandas.testing import assert_frame_equal

import tokenvis as tv

sys.path[:0] = [str(Path(__file__).parents[1] / folder) for folder in (".", "analysis", "tree")]
from question_laws import plain  # noqa: E402  (the folder of tests is no package)
from test_questions import QUESTIONS  # noqa: E402

SLICES = (1, 10, 1_000)  # traces
SPANS_PER_TRACE = 100
FLEET_TRACES = 200_000
USED_NAMES = {"trace_id": 1, "agent_id": 4, "location_id": 6}
SECONDS_PER_ROW = 0.3
MIN_TURNS = 5
BUCKET_US = 10_000


class SliceRow(NamedTuple):
    """The least CPU seconds of a question about some traces, with all categories and with fresh ones."""

    question: str
    n_traces: int
    all_categories_s: float
    fresh_s: float

    @property
    def ratio(self) -> float:
        """The first time over the second."""
        return self.all_categories_s / self.fresh_s


def fleet_frame(n_traces: int) -> pd.DataFrame:
    """Traces in the order of a loaded frame, with the categories of `FLEET_TRACES` traces."""
    random = np.random.default_rng(n_traces)
    count = n_traces * SPANS_PER_TRACE
    trace, number = np.divmod(np.arange(count), SPANS_PER_TRACE)
    start = np.sort(random.integers(0, 100_000, (n_traces, SPANS_PER_TRACE)), axis=1).reshape(-1)
    ids = pd.Series(trace).astype("str") + "/" + pd.Series(number).astype("str")
    parent, link = (ids[np.arange(count) - np.minimum(random.integers(1, 8, count), number)].array for _ in range(2))
    tokens = pd.Series(random.integers(1, 5_000, count)).astype("str")
    used = '{"attributes": {"gen_ai.request.model": "m", "gen_ai.usage.input_tokens": ' + tokens + "}}"
    links = '{"links": ["' + pd.Series(link, dtype="str") + '"]}'
    kind = np.where(number > 0, random.integers(0, 10, count), 9)
    place = np.linspace(0, FLEET_TRACES - max(USED_NAMES.values()), n_traces).astype(np.int64)[trace]
    spans: dict[str, Any] = {"id": ids}
    for column, n_names in USED_NAMES.items():
        categories = pd.Index([f"{column} {name:07}" for name in range(FLEET_TRACES)], dtype="str")
        spans[column] = pd.Categorical.from_codes(place + random.integers(0, n_names, count), categories)
    spans |= {"start_time": start, "end_time": start + random.integers(0, 30_000, count)}
    marks = pd.Series('{"waits_for": "user"}', index=range(count), dtype="str")
    spans |= {"data": links.where(kind < 2, used.where(kind < 7, marks.where(number == 9))).astype("str")}
    spans |= {"parent_id": pd.Series(parent, dtype="str").where(kind < 9).astype("str")}
    return pd.DataFrame(spans).sort_values(["trace_id", "start_time", "end_time", "agent_id", "id"], ignore_index=True)


def least_seconds(calls: list[Callable[[], Any]]) -> list[float]:
    """The least CPU time of each call, which take turns."""
    times: list[list[float]] = [[] for _ in calls]
    stop = process_time() + SECONDS_PER_ROW
    while len(times[0]) < MIN_TURNS or process_time() < stop:
        for call, of_call in zip(calls, times, strict=True):
            begin = process_time()
            call()
            of_call.append(process_time() - begin)
    return [min(of_call) for of_call in times]


def the_questions() -> dict[str, Callable[[pd.DataFrame], pd.DataFrame]]:
    """The questions of the laws, with buckets that fit, and `compare`."""
    rollups = {name: partial(ask, every=BUCKET_US) for name, ask in QUESTIONS.items() if name.startswith("rollup")}
    return {**QUESTIONS, **rollups, "compare": lambda spans: tv.compare(spans, spans)}


def measure(slices: tuple[int, ...] = SLICES, questions: dict[str, Callable[..., Any]] | None = None) -> list[SliceRow]:
    """The times of each question about each slice."""
    asked = the_questions() if questions is None else questions
    fleet, rows = fleet_frame(max(slices)), []
    for n_traces in slices:
        part = fleet.iloc[: n_traces * SPANS_PER_TRACE]
        fresh = part.assign(**{name: part[name].cat.remove_unused_categories() for name in USED_NAMES})
        for name, ask in asked.items():
            if name == "compare" and n_traces > 1:
                continue
            assert_frame_equal(plain(ask(part)), plain(ask(fresh)))
            rows.append(SliceRow(name, n_traces, *least_seconds([partial(ask, part), partial(ask, fresh)])))
    return rows


def main() -> None:
    """Print the ratios, and the largest one."""
    print(f"Python {platform.python_version()}, pandas {pd.__version__}, {platform.machine()}")
    print(f"{'question':26} {'traces':>7} {'all categories':>15} {'fresh':>10} {'ratio':>7}")
    rows = measure(tuple(map(int, sys.argv[1:])) or SLICES)
    for row in rows:
        print(
            f"{row.question:26} {row.n_traces:>7,} {row.all_categories_s * 1e3:>12.2f} ms {row.fresh_s * 1e3:>7.2f} ms "
            f"{row.ratio:>7.2f}",
            flush=True,
        )
    print(f"the largest ratio: {max(row.ratio for row in rows):.2f}")


if __name__ == "__main__":
    main()
