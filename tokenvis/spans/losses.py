"""Losses: spans that were there, and could not be recorded.

A recorder that has to drop spans leaves a mark in their place: one span at the location `LOST`, from their first start to their
last end, with their number under ``n_lost``. A mark is no work. So the questions and the pictures are about the other spans,
`work_of`, with marks as if they were not there; `summary`, `diagnose` and the pictures over time say how many were lost.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from tokenvis.errors import plural
from tokenvis.spans.columns import times_of
from tokenvis.spans.fields import field_values
from tokenvis.spans.integers import Int64Array
from tokenvis.spans.intervals import union

LOST = "tokenvis.lost"
NUMBER = "n_lost"


@dataclass(frozen=True)
class Losses:
    """The marks of a frame: their rows, how many spans each stands for, and when these were."""

    rows: Int64Array
    number: Int64Array
    start: Int64Array
    end: Int64Array

    def stretches(self) -> tuple[Int64Array, Int64Array]:
        """Starts and ends of the stretches that marks of one trace cover; that of an instant is a microsecond."""
        end = np.maximum(self.end, self.start + 1)  # which the last instant there can be wraps, and keeps
        return union(np.zeros_like(self.start), self.start, end)[1:]

    @property
    def total(self) -> int:
        """How many spans were lost."""
        return sum(self.number.tolist())

    def messages(self) -> list[str]:
        """How many spans were lost, where any were."""
        verb = "was" if self.total == 1 else "were"
        return [f"{plural(self.total, 'span')} {verb} lost while recording"] if self.total else []

    def sentences(self) -> list[str]:
        """The same, with a full stop."""
        return [f"{text}." for text in self.messages()]


def losses_of(spans: pd.DataFrame) -> Losses:
    """The marks among these spans; one that does not say how many it stands for is one."""
    rows = marks_in(spans)
    start, end = times_of(spans)
    number = np.ones(len(rows), dtype=np.int64)
    if len(rows):
        told, values = field_values(spans.iloc[rows], NUMBER)
        number[told] = [number_of(value) for value in values]
    return Losses(rows, number, start[rows], end[rows])


def number_of(said: object) -> int:
    """How many spans a mark stands for, as it says; one where that is no number."""
    said = int(said) if isinstance(said, float) and said.is_integer() else said
    return said if isinstance(said, int) and not isinstance(said, bool) and 0 < said < 2**63 else 1


def work_of(spans: pd.DataFrame) -> pd.DataFrame:
    """The spans without marks: the frame itself, where it has none."""
    rows = marks_in(spans)
    if not len(rows):
        return spans
    kept = np.ones(len(spans), dtype=bool)
    kept[rows] = False
    return spans[kept]


def marks_in(spans: pd.DataFrame) -> Int64Array:
    """The rows that are marks."""
    places = spans["location_id"]
    if isinstance(places.dtype, pd.CategoricalDtype) and LOST not in places.cat.categories:
        return np.empty(0, dtype=np.int64)  # without a look at the rows
    return np.flatnonzero((places == LOST).to_numpy(dtype=bool))
