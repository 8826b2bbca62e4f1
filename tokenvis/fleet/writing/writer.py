"""Writer: traces of any source into fleet files, a row group in memory at a time.

The traces are divided by the hashes of their ids into files of limited size. A file has its traces sorted by id, and a row
group has about 50,000 spans, or fewer if their data are large, or one larger trace.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import IO, Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from tokenvis.fleet.sources.source import FleetSource
from tokenvis.fleet.sources.stored import FrameSource, name_array
from tokenvis.fleet.writing.promoted import promoted_columns
from tokenvis.formats.chunks import export_chunks
from tokenvis.formats.export import checked_spans
from tokenvis.formats.fleet.schema import FLEET_SCHEMA, LABEL_TYPE, TRACES_SCHEMA, index_metadata, packed_index, trace_hash
from tokenvis.spans.columns import NAMES, TIMES, arrow_texts, as_spans, codes_of, order_of, times_of
from tokenvis.spans.integers import run_starts
from tokenvis.spans.parents import parents_of
from tokenvis.spans.payload import PAYLOADS_PER_CHUNK
from tokenvis.spans.redaction import Redactor

GROUP_SPANS, GROUP_BYTES = 50_000, 64 << 20
FILE_SPANS, FILE_TRACES, FILE_CHARACTERS = 1_000_000, 100_000, 16 << 20  # characters of ids and names, which the index has
USUAL_SPAN_BYTES = 1_000
LABELS = [field.name for field in FLEET_SCHEMA if field.type == LABEL_TYPE]
WRITE_OPTIONS: dict[str, Any] = {
    "compression": "zstd",
    "compression_level": 3,
    "use_dictionary": [*LABELS, "n_spans"],
    "column_encoding": dict.fromkeys(TIMES, "DELTA_BINARY_PACKED") | dict.fromkeys(["id", "parent_id"], "DELTA_BYTE_ARRAY"),
    "write_page_checksum": True,
}


class ListedTrace(NamedTuple):
    """A trace to write: its id, its name, and the number of its spans as it was listed."""

    id: str
    name: str
    n_spans: int


def files_of_traces(sizes: pd.DataFrame) -> Iterator[list[ListedTrace]]:
    """The traces of each file, sorted by id: files have ranges of hashes, and limited numbers of spans and traces."""
    listed = map(ListedTrace._make, zip(*(sizes[name].tolist() for name in ("id", "name", "n_spans")), strict=True))
    traces = sorted(listed, key=lambda trace: (trace_hash(trace.id), trace.id))
    file: list[ListedTrace] = []
    n_spans = n_characters = 0
    for trace in traces:
        length = len(trace.id) + len(trace.name)
        if file and (
            n_spans + trace.n_spans > FILE_SPANS or len(file) == FILE_TRACES or n_characters + length > FILE_CHARACTERS
        ):
            yield sorted(file)
            file, n_spans, n_characters = [], 0, 0
        file.append(trace)
        n_spans, n_characters = n_spans + trace.n_spans, n_characters + length
    if file:
        yield sorted(file)


def write_fleet_file(
    file: IO[bytes],
    source: FleetSource,
    traces: list[ListedTrace],
    redactor: Redactor | None = None,
    progress: Callable[[int], object] = id,
) -> int:
    """Write a file of these traces, which are sorted by id; returns the number of spans."""
    index: dict[str, tuple[Any, ...]] = {trace.id: (0, None, None, 0, 0, -1) for trace in traces}
    n_written = number = 0
    with pq.ParquetWriter(file, FLEET_SCHEMA, **WRITE_OPTIONS) as writer:
        for spans in groups_of_traces(source, traces):
            table = fleet_table(spans, redactor)
            if len(table):
                writer.write_table(table, row_group_size=len(table))
                index |= index_rows(table, number)
                number += 1
            n_written += len(table)
            progress(len(table))
        names = {trace.id: trace.name for trace in traces}
        writer.add_key_value_metadata(index_metadata(packed_index(index_table(index, names))))
    return n_written


def groups_of_traces(source: FleetSource, traces: list[ListedTrace]) -> Iterator[pd.DataFrame]:
    """The spans of the traces as checked frames: a row group each, fewer spans after spans that were large."""
    bytes_of_span = USUAL_SPAN_BYTES
    group: list[str] = []
    n_spans = 0
    for trace in [*(trace for trace in traces if trace.n_spans), None]:
        limit = max(1, min(GROUP_SPANS, GROUP_BYTES // bytes_of_span))
        if group and (trace is None or n_spans + trace.n_spans > limit):
            spans = frame_of_traces(source, group)
            yield spans
            if len(spans):
                bytes_of_span = max(int(spans["data"].memory_usage(index=False)) // len(spans), USUAL_SPAN_BYTES // 2)
            group, n_spans = [], 0
        if trace is not None:
            group.append(trace.id)
            n_spans += trace.n_spans


def frame_of_traces(source: FleetSource, trace_ids: list[str]) -> pd.DataFrame:
    """The spans of traces of a source, checked."""
    if isinstance(source, FrameSource):
        spans = source.frame_of_traces(trace_ids)
        return spans if "data" in spans else spans.assign(data=pd.Series(None, index=spans.index, dtype="str"))
    table = source.table_of(trace_ids)
    columns = {name: table[name].to_pandas() for name in table.schema.names}
    return checked_spans(as_spans(pd.DataFrame(columns)))


def fleet_table(spans: pd.DataFrame, redactor: Redactor | None = None) -> pa.Table:
    """Whole traces as the rows of a file."""
    spans = spans.iloc[order_of(spans, "trace_id")].reset_index(drop=True)
    chunks = [chunk["data"] for chunk in export_chunks(spans, redactor, rows_per_chunk=PAYLOADS_PER_CHUNK)]
    data = pd.concat(chunks) if chunks else pd.Series([], dtype="str")
    parents = parents_of(data)
    spans = spans.drop(columns="parent_id", errors="ignore").assign(data=data)
    if parents is not None:
        spans = spans.assign(parent_id=parents)
    trace = codes_of(spans["trace_id"])[0]
    columns: dict[str, Any] = {name: arrow_texts(spans[name].array) for name in ("id", "data")}
    columns |= {name: name_array(spans[name]) for name in NAMES}
    columns |= dict(zip(TIMES, times_of(spans), strict=True))
    columns["parent_id"] = pa.nulls(len(spans), pa.large_string()) if parents is None else arrow_texts(spans["parent_id"].array)
    columns["n_spans"] = np.bincount(trace)[trace] if len(trace) else trace
    columns |= promoted_columns(spans)
    return pa.Table.from_arrays([typed_array(columns[field.name], field.type) for field in FLEET_SCHEMA], schema=FLEET_SCHEMA)


def typed_array(values: Any, kind: pa.DataType) -> pa.Array:
    """A column as an Arrow array of a type of the schema."""
    array = values if isinstance(values, pa.Array) else pa.array(values)
    if kind == LABEL_TYPE and not pa.types.is_dictionary(array.type):
        return array.cast(pa.string()).dictionary_encode()
    return array if array.type == kind else array.cast(kind)


def index_rows(table: pa.Table, row_group: int) -> dict[str, tuple[Any, ...]]:
    """The rows of the index for the traces of a row group."""
    names = table["trace_id"].combine_chunks()
    trace = names.indices.to_numpy().astype(np.int64)
    first = np.flatnonzero(run_starts(trace))
    sizes = np.diff(np.append(first, len(trace)))
    start = np.minimum.reduceat(table["start_time"].to_numpy(), first)
    end = np.maximum.reduceat(table["end_time"].to_numpy(), first)
    counts = [distinct_in_traces(trace, table[name].combine_chunks()) for name in ("agent_id", "location_id")]
    rows = zip(*(values.tolist() for values in (sizes, start, end, *counts)), strict=True)
    ids = names.dictionary.take(pa.array(trace[first])).to_pylist()
    return {trace_id: (*row, row_group) for trace_id, row in zip(ids, rows, strict=True)}


def distinct_in_traces(trace: Any, names: pa.DictionaryArray) -> Any:
    """The number of different names in each trace."""
    pairs = np.unique(trace * len(names.dictionary) + names.indices.to_numpy())
    return np.bincount(pairs // len(names.dictionary))


def index_table(rows: Mapping[str, tuple[Any, ...]], names: Mapping[str, str]) -> pa.Table:
    """The index of a file, sorted by trace as its rows are."""
    ids = sorted(rows)
    columns = list(zip(*(rows[trace_id] for trace_id in ids), strict=True)) or [()] * 6
    arrays = [ids, [names[trace_id] for trace_id in ids], *columns]
    return pa.Table.from_arrays(
        [pa.array(values, field.type) for values, field in zip(arrays, TRACES_SCHEMA, strict=True)], schema=TRACES_SCHEMA
    )
