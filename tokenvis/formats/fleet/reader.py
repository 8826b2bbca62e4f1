"""Fleet files: Parquet files of whole traces, which `export(..., format="fleet")` writes; ingesting them gives equal traces.

The spans are kept as they are: the columns besides those of a frame repeat values that are in ``data``. The index of the file
has the names of traces, and the traces without spans.
"""

from collections.abc import Iterator

from tokenvis.conventions.span import SpanRead
from tokenvis.errors import IngestError
from tokenvis.formats.files.head import Head
from tokenvis.formats.files.parquet import FLEET_KEY, parquet_metadata, parquet_rows
from tokenvis.formats.files.reading import Reading, spans_of_records
from tokenvis.formats.fleet.schema import FLEET_VERSION, unpacked_index, version_in
from tokenvis.formats.restored import restored_span
from tokenvis.spans.integers import INT64_MIN

NAME = "files of a fleet"


def recognises(head: Head) -> bool:
    """Whether a Parquet file has the mark of a fleet in its metadata."""
    return FLEET_KEY in head.metadata


def read(reading: Reading) -> Iterator[SpanRead]:
    """A span for each row."""
    metadata = parquet_metadata(reading.source)
    version = version_in(metadata)
    if version is not None and version > FLEET_VERSION:
        raise IngestError(
            f"{reading.source.name} is a file of a fleet of version {version}; this tokenvis reads version {FLEET_VERSION}. "
            "Update tokenvis."
        )
    reading.keeps_names = True
    read_index(reading, metadata)
    yield from spans_of_records(parquet_rows(reading), reading, lambda row: [restored_span(row)])


def read_index(reading: Reading, metadata: dict[bytes, bytes]) -> None:
    """Add the names of the traces, and the traces without spans, to the reading."""
    try:
        index = unpacked_index(metadata)
    except ValueError as error:
        reading.add_problem(None, f"its index of traces cannot be read ({error}); the names of traces are lost")
        return
    ids, names, n_spans = (index[name].to_pylist() for name in ("id", "name", "n_spans"))
    reading.empty_traces = [trace_id for trace_id, count in zip(ids, n_spans, strict=True) if trace_id and not count]
    if not reading.without_texts:
        reading.names |= {trace_id: (INT64_MIN, name) for trace_id, name in zip(ids, names, strict=True)}
