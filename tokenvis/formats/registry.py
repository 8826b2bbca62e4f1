"""The registry: every format by its short name; the first format that recognises a source reads it.

A format is a module, or a folder with a ``reader`` and, for a format that is also written, a ``writer``. Every format has
``NAME``, ``recognises`` and ``read``; a written format also has ``WRITERS``, by the names that `export` accepts. A format whose
files grow while an agent works also has ``session_key_of``, ``main_file_candidates``, ``is_fork`` and ``SessionFollower``.
"""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, Protocol, TypeAlias

import pandas as pd

from tokenvis.conventions.span import SpanRead
from tokenvis.formats import fleet, table
from tokenvis.formats.evaluations import inspect_log
from tokenvis.formats.files.head import Head
from tokenvis.formats.files.reading import Reading
from tokenvis.formats.sessions import claude_code, codex
from tokenvis.formats.simulations import smallville
from tokenvis.formats.telemetry import chrome_trace, langfuse, mlflow, otlp, phoenix, python_sdk
from tokenvis.spans.redaction import Redactor

SpanWriter: TypeAlias = Callable[[pd.DataFrame, IO[bytes], Redactor | None], None]  # of a checked frame, its names Categorical


class FormatReader(Protocol):
    """The interface of every format."""

    NAME: str

    def recognises(self, head: Head) -> bool:
        """Whether a source has this format, judged by its beginning."""

    def read(self, reading: Reading) -> Iterator[SpanRead]:
        """The spans of ``reading.source``; problems and skipped records go into ``reading``."""


class SessionFollower(Protocol):
    """Reads the files of a session while they grow, only new lines each time."""

    readings: list[Reading]

    def add_file(self, reading: Reading) -> None:
        """Follow another file of the session."""

    def advance(self, *, growing: bool = True) -> bool:
        """Read the new lines of the files; returns whether a file was replaced, so that it was read again from the start."""

    def spans(self) -> Iterator[SpanRead]:
        """All spans of the session so far; names of traces go into the readings."""

    def paths(self) -> list[Path]:
        """The files on which the spans depend; some of them may not exist."""


class GrowingFormat(Protocol):
    """The additional interface of a format whose files grow while an agent works."""

    NAME: str
    SessionFollower: Any

    def recognises(self, head: Head) -> bool:
        """Whether a source has this format, judged by its beginning."""

    def session_key_of(self, path: Path) -> tuple[str, str | None]:
        """The key of the session that a file belongs to, shared by all its files, and the key of the parent session, if any."""

    def main_file_candidates(self, path: Path, line: dict[str, Any]) -> Iterator[Path]:
        """The possible paths of the session's main file, for a file that is only a part of it and has this first line."""

    def is_fork(self, line: dict[str, Any]) -> bool:
        """Whether a file, judged by its first line, continues a copy of another session."""


FORMATS: dict[str, FormatReader] = {
    "claude_code": claude_code,
    "codex": codex,
    "chrome_trace": chrome_trace,
    "fleet": fleet,
    "inspect_log": inspect_log,
    "langfuse": langfuse,
    "mlflow": mlflow,
    "otlp": otlp,
    "phoenix": phoenix,
    "python_sdk": python_sdk,
    "smallville": smallville,
    "table": table,
}
GROWING_FORMATS: dict[str, GrowingFormat] = {"claude_code": claude_code, "codex": codex}
WRITERS: Mapping[str, SpanWriter] = chrome_trace.WRITERS | otlp.WRITERS | table.WRITERS
SUFFIXES = {  # file suffixes and their writers; the first match counts
    ".parquet": "parquet",
    ".csv": "csv",
    ".jsonl": "jsonl",
    ".otlp.json": "otlp",
    ".json": "chrome",
}
