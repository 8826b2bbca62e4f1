"""The table of formats: a short name, and the module that recognises and reads it; the first that recognises a file does."""

from collections.abc import Iterator
from typing import Protocol

from tokenvis.readers import (
    chrome_trace,
    claude_code,
    codex,
    inspect_log,
    langfuse,
    mlflow,
    otlp,
    phoenix,
    python_sdk,
    smallville,
    table,
)
from tokenvis.reading import Reading, SpanRead
from tokenvis.records import Head


class Reader(Protocol):
    """What a module of this folder offers."""

    NAME: str

    def recognises(self, head: Head) -> bool:
        """Whether a source is of this format, by how it begins."""

    def read(self, reading: Reading) -> Iterator[SpanRead]:
        """The spans of ``reading.source``; what it cannot use, it notes in ``reading``."""


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
