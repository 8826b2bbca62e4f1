"""Fleet files made by tests."""

import io

from tokenvis.fleet.sources.stored import FrameSource
from tokenvis.fleet.writing.writer import files_of_traces, write_fleet_file
from tokenvis.formats.export import checked_spans


def fleet_bytes(spans, **names):
    """A file of a fleet with these spans, as bytes; traces may have other names than their ids."""
    source, file = FrameSource(checked_spans(spans)), io.BytesIO()
    sizes = source.sizes()
    sizes["name"] = [names.get(trace_id, trace_id) for trace_id in sizes["id"]]
    [traces] = list(files_of_traces(sizes)) or [[]]
    write_fleet_file(file, source, traces)
    return file.getvalue()
