"""Deadlines: when a search or a proof must stop and return the best that it has."""

import math
from dataclasses import dataclass
from time import monotonic


@dataclass(frozen=True)
class Deadline:
    """A moment of the monotonic clock, in seconds."""

    time: float

    @classmethod
    def after(cls, seconds: float) -> "Deadline":
        """The moment some seconds from now."""
        return cls(monotonic() + seconds)

    @property
    def seconds_left(self) -> float:
        """How long until then; negative afterwards."""
        return self.time - monotonic()

    @property
    def is_over(self) -> bool:
        """Whether nothing is left."""
        return self.seconds_left <= 0

    def share(self, share: float) -> "Deadline":
        """An earlier moment: when this share of the time left is used."""
        return Deadline.after(self.seconds_left * share)


NO_DEADLINE = Deadline(math.inf)
