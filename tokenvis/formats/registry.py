"""The registry: every format by its short name; the first that recognises a source reads it.

A format is a module, or a folder of one inner shape: ``reader``, where it is read, ``writer``, where it is written, and what
these need. It offers ``NAME``, ``recognises`` and ``read``; where it is written, ``WRITERS``, by the names that `export` takes.
"""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, Protocol, TypeAlias

import pandas as pd

from tokenvis.conventions.span import SpanRead
from tokenvis.formats import table
from tokenvis.formats.evaluations import inspect_log
from tokenvis.formats.files.head import Head
from tokenvis.formats.files.reading import Reading
from tokenvis.formats.sessions import claude_code, codex
from tokenvis.formats.simulations import smallville
from tokenvis.formats.telemetry import chrome_trace, langfuse, mlflow, otlp, phoenix, python_sdk

Writer: TypeAlias = Callable[[pd.DataFrame, IO[bytes]], None]  # takes a checked frame, its names Categorical


class Reader(Protocol):
    """What every format offers that is read."""

    NAME: str

    def recognises(self, head: Head) -> bool:
        """Whether a source is of this format, by how it begins."""

    def read(self, reading: Reading) -> Iterator[SpanRead]:
        """The spans of ``reading.source``; what it cannot use, it notes in ``reading``."""


class Follower(Protocol):
    """A session whose files are read while they grow."""

    readings: list[Reading]

    def follow(self, reading: Reading) -> None:
        """Take another file of the session."""

    def advance(self, *, growing: bool = True) -> bool:
        """Read what is new in the files; whether one was replaced, so that all was read anew."""

    def spans(self) -> Iterator[SpanRead]:
        """All spans of the session, as far as they are known; names of traces go into the readings."""

    def paths(self) -> list[Path]:
        """The files on which the spans depend, some of which may not be there."""


class GrowingFormat(Protocol):
    """What a format offers whose files grow while an agent works."""

    NAME: str
    Following: Any

    def recognises(self, head: Head) -> bool:
        """Whether a source is of this format, by how it begins."""

    def family_of(self, path: Path) -> tuple[str, str | None]:
        """What a file has in common with the others that are read together with it; and, where it is in one, the one above."""

    def mains_of(self, path: Path, line: dict[str, Any]) -> Iterator[Path]:
        """Where the session's own file would be, of a file that is only a part of it, and begins with this line."""

    def is_fork(self, line: dict[str, Any]) -> bool:
        """Whether a file, by its first line, is a copy of the one above with which somebody goes on."""


FORMATS: dict[str, Reader] = {
    "claude_code": claude_code,
    "codex": codex,
    "chrome_trace": chrome_trace,
    "inspect_log": inspect_log,
    "langfuse": langfuse,
    "mlflow": mlflow,
    "otlp": otlp,
    "phoenix": phoenix,
    "python_sdk": python_sdk,
    "smallville": smallville,
    "table": table,
}
GROWING: dict[str, GrowingFormat] = {"claude_code": claude_code, "codex": codex}
WRITERS: Mapping[str, Writer] = chrome_trace.WRITERS | otlp.WRITERS | table.WRITERS
SUFFIXES = {  # the ending of a file's name that means a writer; the first that fits counts
    ".parquet": "parquet",
    ".csv": "csv",
    ".jsonl": "jsonl",
    ".otlp.json": "otlp",
    ".json": "chrome",
}
