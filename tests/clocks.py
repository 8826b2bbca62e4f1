"""A clock for tests of deadlines: each look at it takes a second."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tokenvis.layout.storylines import deadline


class FakeClock:
    """The monotonic clock of deadlines, which stands still between two looks."""

    def __init__(self) -> None:
        self.seconds = 0

    def __call__(self) -> float:
        self.seconds += 1
        return self.seconds

    @classmethod
    @contextmanager
    def patched(cls) -> Iterator["FakeClock"]:
        """Deadlines look at this clock."""
        clock = cls()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(deadline, "monotonic", clock)
            yield clock
