"""Failures: traces that have no answer, counted and named, while all others have theirs."""

from typing import NamedTuple

import pandas as pd

from tokenvis.errors import FleetError, plural, quoted
from tokenvis.spans.text import without_surrogates

FAILURE_COLUMNS = ("trace_id", "error", "message")
MAX_FAILURES = 1_000  # after which a call that raises an error at its end ends
MAX_MESSAGE_LENGTH = 2_000  # of the error of a trace: a function of a user may put all its spans into it


class Failure(NamedTuple):
    """A trace that has no answer: its id (None for rows without one), the class of the error, and its message."""

    trace_id: str | None
    error: str
    message: str


def failure_of(trace_id: str | None, error: Exception) -> Failure:
    """A failure, with a message that can be shown and stored: cut, and without halves of surrogate pairs."""
    try:
        message = without_surrogates(str(error))
    except Exception:
        message = "its message cannot be shown"
    if len(message) > MAX_MESSAGE_LENGTH:
        message = f"{message[:MAX_MESSAGE_LENGTH]}… ({len(message):,} characters)"
    return Failure(trace_id, type(error).__name__, message)


def failure_frame(failures: list[Failure]) -> pd.DataFrame:
    """Failures as a table: ``trace_id, error, message``."""
    table = pd.DataFrame(failures, columns=list(FAILURE_COLUMNS)).astype("str")
    return table.sort_values("trace_id", kind="stable", ignore_index=True)


def raise_failures(failures: list[Failure], question: str) -> None:
    """Raise `FleetError` with the number of traces without an answer and the first three, if there are any."""
    if not failures:
        return
    first = "; ".join(
        f"{quoted(failure.trace_id)}: {failure.error}: {failure.message.removesuffix('.')}" for failure in failures[:3]
    )
    stopped = " It stopped there." if len(failures) >= MAX_FAILURES else ""
    raise FleetError(
        f"{question} has no answer for {plural(len(failures), 'trace')}, such as {first}.{stopped} "
        'errors="return" returns the answers to the others, and a table of these.'
    )
