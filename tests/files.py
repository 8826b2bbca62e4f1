"""Files made by tests, and spans as text."""

import json
from pathlib import Path

from tokenvis.formats.files.reading import Reading, ReadOptions
from tokenvis.formats.files.sources import Source, origin_of


def write_file(path, *parts):
    """A file of lines: objects as JSON, texts and bytes unchanged; a .csv of texts ends with a line break."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    texts = [
        part if isinstance(part, bytes) else (part if isinstance(part, str) else json.dumps(part)).encode() for part in parts
    ]
    end = b"\n" if path.suffix == ".csv" and isinstance(parts[-1] if parts else b"", str) else b""
    path.write_bytes(b"\n".join(texts) + end)
    return path


def source_of(path):
    path = Path(path)
    return Source(path, path.name, origin_of(path))


def reading_of(path, *parts, **options):
    """A reading of a file, which is written first if there are parts."""
    return Reading(source_of(write_file(path, *parts) if parts else path), ReadOptions(**options))


def problem_texts(reading):
    return [str(problem) for problem in reading.problems]


def span_text(span, unit=1_000_000):
    """A span as text: "agent location start-end", its status unless it is ok, "^" and its parent."""
    end = "?" if span.end is None else f"{span.end / unit:g}"
    status = span.data.get("status")
    status = f" {status}" if status not in (None, "ok") else ""
    parent = f" ^{span.parent.removeprefix(span.trace_id + '/')}" if span.parent else ""
    return f"{span.agent or '-'} {span.location} {span.start / unit:g}-{end}{status}{parent}"
