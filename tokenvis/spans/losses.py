"""Losses: spans that could not be recorded.

A recorder that has to drop spans writes a loss marker instead: one span at the location `LOST_LOCATION`, from their first
start to their last end, with their number under ``n_lost``. A loss marker is not work. So questions and pictures use only the
other spans (`recorded_spans`); `summary`, `diagnose` and the pictures over time report how many were lost.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from tokenvis.errors import plural, quoted
from tokenvis.spans.columns import times_of
from tokenvis.spans.fields import field_values
from tokenvis.spans.integers import Int64Array
from tokenvis.spans.intervals import union

LOST_LOCATION = "tokenvis.lost"
LOST_COUNT_KEY = "n_lost"


@dataclass(frozen=True)
class Losses:
    """The loss markers of a frame: their rows, how many spans each one replaces, and the time that each covers."""

    rows: Int64Array
    n_spans: Int64Array
    start: Int64Array
    end: Int64Array

    def intervals(self) -> tuple[Int64Array, Int64Array]:
        """Starts and ends of the union of the markers' times, in µs, for markers of one trace; an instant covers 1 µs."""
        end = np.maximum(self.end, self.start + 1)  # start + 1 overflows at the largest int64; then the maximum is `end`
        return union(np.zeros_like(self.start), self.start, end)[1:]

    @property
    def total(self) -> int:
        """Number of lost spans."""
        return sum(self.n_spans.tolist())

    def messages(self) -> list[str]:
        """A note with the number of lost spans; empty if there are none."""
        verb = "was" if self.total == 1 else "were"
        return [f"{plural(self.total, 'span')} {verb} lost while recording"] if self.total else []

    def sentences(self) -> list[str]:
        """The notes of `messages`, each with a full stop."""
        return [f"{text}." for text in self.messages()]


def losses_of(spans: pd.DataFrame) -> Losses:
    """The loss markers in these spans; one without a count replaces one span."""
    rows = loss_markers_in(spans)
    start, end = times_of(spans)
    n_spans = np.ones(len(rows), dtype=np.int64)
    if len(rows):
        with_count, values = field_values(spans.iloc[rows], LOST_COUNT_KEY)
        n_spans[with_count] = [lost_count_of(value) for value in values]
    return Losses(rows, n_spans, start[rows], end[rows])


def no_spans_sentence(spans: pd.DataFrame, losses: Losses | None = None) -> str:
    """Why there are no spans in a frame of none, or of loss markers: they were lost, or left out by a filter, or never there.

    A filter is known by the categories that it leaves: a frame without rows has names of agents only if it had rows before.
    """
    losses = losses or losses_of(spans)
    if losses.total:
        return losses.sentences()[0]
    names = {column: names_in_categories(spans[column]) for column in ("trace_id", "agent_id", "location_id")}
    traces = names["trace_id"]
    if names["agent_id"] or names["location_id"]:
        of_traces = f" of {trace_phrase(traces)}" if traces else ""
        return f"No span is left{of_traces}: the frame is empty after a filter."
    return f"There are no spans in {trace_phrase(traces)}." if traces else "There are no spans."


def names_in_categories(values: pd.Series) -> list[str]:
    """The categories of a Categorical column, also those that do not occur."""
    return values.cat.categories.tolist() if isinstance(values.dtype, pd.CategoricalDtype) else []


def trace_phrase(traces: list[str]) -> str:
    """A trace by its name, or the number of several traces."""
    return f"trace {quoted(traces[0])}" if len(traces) == 1 else plural(len(traces), "trace")


def lost_count_of(value: object) -> int:
    """The number of lost spans in a value of ``n_lost``; 1 if it is not a positive integer."""
    value = int(value) if isinstance(value, float) and value.is_integer() else value
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**63 else 1


def recorded_spans(spans: pd.DataFrame) -> pd.DataFrame:
    """The spans without loss markers; the frame itself if it has none."""
    rows = loss_markers_in(spans)
    if not len(rows):
        return spans
    kept = np.ones(len(spans), dtype=bool)
    kept[rows] = False
    return spans[kept]


def loss_markers_in(spans: pd.DataFrame) -> Int64Array:
    """The rows that are loss markers."""
    locations = spans["location_id"]
    if isinstance(locations.dtype, pd.CategoricalDtype) and LOST_LOCATION not in locations.cat.categories:
        return np.empty(0, dtype=np.int64)  # no need to read the rows
    return np.flatnonzero((locations == LOST_LOCATION).to_numpy(dtype=bool))
