"""Chrome's trace events, which ui.perfetto.dev and chrome://tracing open.

An agent is a process, a location is a thread of it, and a span is a complete event ("X"). Perfetto drops a slice that overlaps
another slice of its thread without being nested in it. So overlapping spans of one agent at one location go into several
threads of the same name. A link is a flow: an arrow ("s" to "f") from the source's last microsecond (earlier if the target
starts earlier) to the target's start. Flows come after all slices, since a flow is bound to the last slice that its thread
began. ``args.tokenvis`` contains the complete span; the arguments beside it are for human readers.

Source: "Trace Event Format", and the importer of JSON in Perfetto's trace processor.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import IO, Any

import numpy as np
import orjson
import pandas as pd

from tokenvis.formats.chunks import chunk_rows, data_in_json, export_chunks, payload_text
from tokenvis.layout.lanes import last_microseconds, lowest_free_lanes
from tokenvis.spans.columns import COLUMNS, order_with_ids, ranks_of, times_of
from tokenvis.spans.integers import Int64Array, run_starts, sort_order
from tokenvis.spans.payload import PAYLOADS_PER_CHUNK, look_up, parsed_payloads
from tokenvis.spans.redaction import Redactor
from tokenvis.spans.typed_columns import is_number
from tokenvis.tree.relations import relations_of

DOCUMENT_START = b'{"traceEvents":['
DOCUMENT_END = b'\n],"displayTimeUnit":"ms","otherData":{"writer":"tokenvis","version":1}}\n'
SHOWN_TOKENS = {"input": "gen_ai.usage.input_tokens", "output": "gen_ai.usage.output_tokens"}


def write_chrome_trace(spans: pd.DataFrame, file: IO[bytes], redactor: Redactor | None = None) -> None:
    """Write spans as trace events, one per line."""
    threads = thread_ids(spans)
    file.write(DOCUMENT_START)
    comma = b"\n"
    for events in (name_events(spans, threads), slice_events(spans, threads, redactor), flow_events(spans, threads)):
        for event in events:
            file.write(comma)
            file.write(orjson.dumps(event))
            comma = b",\n"
    file.write(DOCUMENT_END)


@dataclass(frozen=True)
class ThreadIds:
    """The process and thread ids of each span; no number is used twice."""

    pid: Int64Array
    tid: Int64Array


def thread_ids(spans: pd.DataFrame) -> ThreadIds:
    """Ids with a process for each agent of a trace, and for each location as many threads as its spans overlap."""
    trace, agent, location = (ranks_of(spans[name]) for name in ("trace_id", "agent_id", "location_id"))
    process = combination_ranks(trace, agent)
    band = combination_ranks(process, location)
    start, end = times_of(spans)
    order = order_with_ids(spans, band, start, end)
    lane = np.empty(len(order), dtype=np.int64)
    lane[order] = lowest_free_lanes(band[order], start[order], last_microseconds(start, end)[order])
    thread = combination_ranks(band, lane)
    return ThreadIds(process + 1, thread + int(process.max(initial=0)) + 2)


def combination_ranks(*keys: Int64Array) -> Int64Array:
    """The rank of each row among the combinations of the keys that occur."""
    order = sort_order(*keys)
    ranks = np.empty(len(order), dtype=np.int64)
    ranks[order] = np.cumsum(run_starts(*(key[order] for key in keys))) - 1
    return ranks


def name_events(spans: pd.DataFrame, threads: ThreadIds) -> Iterator[dict[str, Any]]:
    """The events that name processes and threads."""
    has_many_traces = ranks_of(spans["trace_id"]).max(initial=0) > 0
    for pid, row in zip(*np.unique(threads.pid, return_index=True), strict=True):
        agent = str(spans["agent_id"].iloc[row])
        name = f"{spans['trace_id'].iloc[row]} · {agent}" if has_many_traces else agent
        yield {"ph": "M", "pid": int(pid), "name": "process_name", "args": {"name": name}}
    for tid, row in zip(*np.unique(threads.tid, return_index=True), strict=True):
        name = str(spans["location_id"].iloc[row])
        yield {"ph": "M", "pid": int(threads.pid[row]), "tid": int(tid), "name": "thread_name", "args": {"name": name}}


def slice_events(spans: pd.DataFrame, threads: ThreadIds, redactor: Redactor | None) -> Iterator[dict[str, Any]]:
    """A complete event for each span."""
    columns = [*COLUMNS, *(["parent_id"] if "parent_id" in spans.columns else [])]
    with_ids = spans.assign(pid=threads.pid, tid=threads.tid)
    for chunk in export_chunks(with_ids, redactor):
        ids = zip(chunk["pid"].tolist(), chunk["tid"].tolist(), strict=True)
        rows = zip(ids, chunk_rows(chunk, *columns), data_in_json(chunk), parsed_payloads(chunk), strict=True)
        for pid_tid, row, data, payload in rows:
            span = dict(zip(columns, row, strict=True))
            span["data"] = data
            yield slice_event(pid_tid, span, payload)


def slice_event(pid_tid: tuple[int, int], span: dict[str, Any], payload: Mapping[str, Any]) -> dict[str, Any]:
    """A span as an event."""
    label, start = payload_text(payload, "label"), span["start_time"]
    shown = {"label": label, "status": payload_text(payload, "status"), "tokens": shown_tokens(payload)}
    return {
        "ph": "X",
        "pid": pid_tid[0],
        "tid": pid_tid[1],
        "ts": start,
        "dur": span["end_time"] - start,
        "name": label or span["location_id"],
        "cat": payload_text(payload, "kind") or "span",
        "args": {
            **{key: value for key, value in shown.items() if value},
            "tokenvis": span,
        },
    }


def shown_tokens(payload: Mapping[str, Any]) -> dict[str, Any]:
    """The token counts of a span, as far as it has them."""
    counts = {name: look_up(payload, key) for name, key in SHOWN_TOKENS.items()}
    return {name: count for name, count in counts.items() if count is not None and is_number(count)}


def flow_events(spans: pd.DataFrame, threads: ThreadIds) -> Iterator[dict[str, Any]]:
    """Two events for each link: its start and its end."""
    source, target = relations_of(spans, parents=False, requests=False).links()
    start, end = times_of(spans)
    departure = np.clip(start[target], start[source], last_microseconds(start, end)[source])
    for first in range(0, len(source), PAYLOADS_PER_CHUNK):
        rows = slice(first, first + PAYLOADS_PER_CHUNK)
        start_columns = (threads.pid[source[rows]], threads.tid[source[rows]], departure[rows])
        end_columns = (threads.pid[target[rows]], threads.tid[target[rows]], start[target[rows]])
        for number, values in enumerate(
            zip(*(column.tolist() for column in (*start_columns, *end_columns)), strict=True), start=first + 1
        ):
            flow = {"cat": "link", "name": "link", "id": number}
            yield {"ph": "s", **dict(zip(("pid", "tid", "ts"), values[:3], strict=True)), **flow}
            yield {"ph": "f", **dict(zip(("pid", "tid", "ts"), values[3:], strict=True)), **flow, "bp": "e"}
