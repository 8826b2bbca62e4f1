"""The table of formats: a name, and the module that recognises and reads it."""

from pathlib import Path
from typing import Protocol

from tokenvis.readers import claude_code
from tokenvis.reading import Content, Reading


class Reader(Protocol):
    """What a module of this folder offers."""

    NAME: str

    def recognises(self, path: Path) -> bool:
        """Whether a file is of this format, by its content."""

    def read(self, path: Path, *, content: Content = "full") -> Reading:
        """Read a file and what belongs to it."""


FORMATS: tuple[Reader, ...] = (claude_code,)
