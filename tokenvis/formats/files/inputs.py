"""Inputs: what a caller gives to `ingest`, as sources.

A folder stands for all files below it, an open stream is copied into the temporary folder, archives are unpacked there, and a
DataFrame is a source without a file.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from tokenvis.errors import IngestError, quoted
from tokenvis.formats.files.archives import ProblemReporter, Unpacker
from tokenvis.formats.files.sources import DATABASE_NAME, Source, existing_path, origin_of
from tokenvis.private import touch_private

COPY_CHUNK_BYTES = 1 << 20


def sources_in(source_input: Any, folder: Path, report_problem: ProblemReporter) -> Iterator[Source]:
    """The sources in a caller's input; unpacked and copied files go into ``folder``."""
    unpacker = Unpacker(folder, report_problem)
    if isinstance(source_input, pd.DataFrame):
        yield Source(folder, "the DataFrame", "DataFrame", frame=source_input)
    elif hasattr(source_input, "read"):
        yield from unpacker.sources(copied_stream(source_input, folder))
    elif isinstance(source_input, str | os.PathLike):
        yield from files_at(existing_path(source_input), unpacker)
    else:
        raise IngestError(f"{quoted(source_input)} is not a path, an open file or a DataFrame.")


def files_at(path: Path, unpacker: Unpacker) -> Iterator[Source]:
    """A file, or all files below a folder.

    Databases are never opened, not even to inspect them: see `store.connections`.
    """
    if path.is_file():
        if DATABASE_NAME.search(path.name):
            raise IngestError(
                f"{path.name} is a SQLite database. If tokenvis wrote it, read it with load_spans(store={str(path)!r})."
            )
        yield from unpacker.sources(Source(path.absolute(), path.name, origin_of(path)))
        return
    for file in sorted(path.rglob("*")):
        if file.is_file() and not DATABASE_NAME.search(file.name):
            try:
                yield from unpacker.sources(Source(file.absolute(), file.name, origin_of(file)))
            except IngestError as error:
                unpacker.report_problem(file.name, str(error).removesuffix("."))


def copied_stream(stream: Any, folder: Path) -> Source:
    """A copy of an open file, from its current position to its end."""
    name = getattr(stream, "name", None)
    name = Path(name).name if isinstance(name, str) and name else "stream"
    path = folder / "stream"
    touch_private(path)
    with path.open("wb") as file:
        while piece := stream.read(COPY_CHUNK_BYTES):
            file.write(piece.encode() if isinstance(piece, str) else piece)
    return Source(path, name, f"stream {name}")
