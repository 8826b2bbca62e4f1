"""Chrome's trace events, which ui.perfetto.dev and chrome://tracing open.

An agent is a process, a location is a thread of it, and a span is a complete event ("X"). Perfetto drops a slice that overlaps
another one of its thread without lying in it. So spans of one agent at one location that overlap at all stand in several
threads of the same name. A link is a flow: an arrow ("s" to "f") from the source's last microsecond (earlier where the target
starts earlier) to the target's start. Flows come after all slices, since a flow is bound to the last slice that its thread
began. ``args.tokenvis`` holds each span whole; what stands beside it is there to be read.

Source: "Trace Event Format", and the importer of JSON in Perfetto's trace processor.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import IO, Any

import numpy as np
import orjson
import pandas as pd

from tokenvis.formats.chunks import chunks_of, fragment, rows_of, said
from tokenvis.layout.lanes import last_microseconds, pack_lanes
from tokenvis.spans.columns import COLUMNS, REQUIRED, codes_of, times_of
from tokenvis.spans.integers import Int64Array, opens_run, sort_order
from tokenvis.spans.payload import CHUNK, look_up, parsed
from tokenvis.spans.relations import relations_of
from tokenvis.spans.typed_columns import is_number

START = b'{"traceEvents":['
END = b'\n],"displayTimeUnit":"ms","otherData":{"writer":"tokenvis","version":1}}\n'
TOKENS = {"input": "gen_ai.usage.input_tokens", "output": "gen_ai.usage.output_tokens"}


def write(spans: pd.DataFrame, file: IO[bytes]) -> None:
    """Write spans as trace events, one a line."""
    threads = threads_of(spans)
    file.write(START)
    comma = b"\n"
    for events in (names_of(spans, threads), slices_of(spans, threads), flows_of(spans, threads)):
        for event in events:
            file.write(comma)
            file.write(orjson.dumps(event))
            comma = b",\n"
    file.write(END)


@dataclass(frozen=True)
class Threads:
    """The process and the thread of each span, numbered so that no number is used for two things."""

    pid: Int64Array
    tid: Int64Array


def threads_of(spans: pd.DataFrame) -> Threads:
    """A process for each agent of a trace; in it, for each location, as many threads as its spans overlap."""
    trace, agent, location = (codes_of(spans[name])[0] for name in ("trace_id", "agent_id", "location_id"))
    process = ranks_of(trace, agent)
    band = ranks_of(process, location)
    lanes = pack_lanes(spans[[*REQUIRED]].reset_index(drop=True).assign(band=band), by="band")["lane"]
    thread = ranks_of(band, lanes.sort_index().to_numpy())
    return Threads(process + 1, thread + int(process.max(initial=0)) + 2)


def ranks_of(*keys: Int64Array) -> Int64Array:
    """The rank of each row among the combinations of the keys that occur."""
    order = sort_order(*keys)
    ranks = np.empty(len(order), dtype=np.int64)
    ranks[order] = np.cumsum(opens_run(*(key[order] for key in keys))) - 1
    return ranks


def names_of(spans: pd.DataFrame, threads: Threads) -> Iterator[dict[str, Any]]:
    """The names of processes and threads."""
    several = codes_of(spans["trace_id"])[0].max(initial=0) > 0
    for pid, row in zip(*np.unique(threads.pid, return_index=True), strict=True):
        agent = str(spans["agent_id"].iloc[row])
        name = f"{spans['trace_id'].iloc[row]} · {agent}" if several else agent
        yield {"ph": "M", "pid": int(pid), "name": "process_name", "args": {"name": name}}
    for tid, row in zip(*np.unique(threads.tid, return_index=True), strict=True):
        name = str(spans["location_id"].iloc[row])
        yield {"ph": "M", "pid": int(threads.pid[row]), "tid": int(tid), "name": "thread_name", "args": {"name": name}}


def slices_of(spans: pd.DataFrame, threads: Threads) -> Iterator[dict[str, Any]]:
    """A complete event for each span."""
    columns = [*COLUMNS, *(["parent_id"] if "parent_id" in spans.columns else [])]
    placed = spans.assign(pid=threads.pid, tid=threads.tid)
    for chunk in chunks_of(placed):
        places = zip(chunk["pid"].tolist(), chunk["tid"].tolist(), strict=True)
        for place, row, payload in zip(places, rows_of(chunk, *columns), parsed(chunk), strict=True):
            yield slice_of(place, dict(zip(columns, row, strict=True)), payload)


def slice_of(place: tuple[int, int], span: dict[str, Any], payload: Mapping[str, Any]) -> dict[str, Any]:
    """A span as an event."""
    label, start = said(payload, "label"), span["start_time"]
    read = {"label": label, "status": said(payload, "status"), "tokens": tokens_of(payload)}
    return {
        "ph": "X",
        "pid": place[0],
        "tid": place[1],
        "ts": start,
        "dur": span["end_time"] - start,
        "name": label or span["location_id"],
        "cat": said(payload, "kind") or "span",
        "args": {
            **{key: value for key, value in read.items() if value},
            "tokenvis": {**span, "data": fragment(span["data"])},
        },
    }


def tokens_of(payload: Mapping[str, Any]) -> dict[str, Any]:
    """How many tokens a span used, where it says so."""
    counts = {name: look_up(payload, key) for name, key in TOKENS.items()}
    return {name: count for name, count in counts.items() if count is not None and is_number(count)}


def flows_of(spans: pd.DataFrame, threads: Threads) -> Iterator[dict[str, Any]]:
    """Two events for each link: where it starts, and where it ends."""
    source, target = relations_of(spans, parents=False).links()
    start, end = times_of(spans)
    leaves = np.clip(start[target], start[source], last_microseconds(start, end)[source])
    for first in range(0, len(source), CHUNK):
        rows = slice(first, first + CHUNK)
        out = (threads.pid[source[rows]], threads.tid[source[rows]], leaves[rows])
        into = (threads.pid[target[rows]], threads.tid[target[rows]], start[target[rows]])
        for number, values in enumerate(zip(*(column.tolist() for column in (*out, *into)), strict=True), start=first + 1):
            flow = {"cat": "link", "name": "link", "id": number}
            yield {"ph": "s", **dict(zip(("pid", "tid", "ts"), values[:3], strict=True)), **flow}
            yield {"ph": "f", **dict(zip(("pid", "tid", "ts"), values[3:], strict=True)), **flow, "bp": "e"}
