"""The fleet: many traces in a folder of Parquet files, a bucket or a database, and the questions over all of them."""

import warnings
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, TypeAlias

import pandas as pd

from tokenvis.errors import BadOption, FleetError, check_choice, name_list, plural, quoted
from tokenvis.fleet.adapter import ERRORS, Errors
from tokenvis.fleet.answers import Question, Types, question_name, schema_of
from tokenvis.fleet.failures import MAX_FAILURES, Failure, failure_frame, raise_failures
from tokenvis.fleet.frames import spans_in
from tokenvis.fleet.processes import Answered, Job, answered_parts
from tokenvis.fleet.sources.opening import opened_source
from tokenvis.fleet.sources.source import PART_SPANS, Part
from tokenvis.spans.columns import in_frame_order, with_trace_names

Questions: TypeAlias = Question | Sequence[Question] | Mapping[str, Question]


class Fleet:
    """Many traces, outside of a store: in a folder of Parquet files, in a bucket, or in PostgreSQL.

    Nothing is kept in memory but the list of traces. A fleet is only read: `export` with ``format="fleet"`` writes one.

    Parameters
    ----------
    place
        A folder that `export` wrote, or its URI (``s3://bucket/spans``); the URL of a PostgreSQL database with the tables of
        docs/fleet.md; a `Store` or its file; or a frame of spans.
    filesystem
        The Arrow file system of the folder, if its path does not tell it, such as `pyarrow.fs.S3FileSystem` with its options.

    Attributes
    ----------
    source : FleetSource
        Where the traces are.

    Raises
    ------
    FleetError
        There is no fleet, or it cannot be read; the message says what is there.
    BadOption
        ``place`` is none of these.
    """

    def __init__(self, place: Any, *, filesystem: Any = None) -> None:
        self.source = opened_source(place, filesystem)

    def __repr__(self) -> str:
        n_traces, n_spans = self._size
        return f"Fleet({str(self.source)!r}): {plural(n_traces, 'trace')}, {plural(n_spans, 'span')}"

    @cached_property
    def _size(self) -> tuple[int, int]:
        """The number of traces and of spans."""
        traces = self.traces()
        return len(traces), int(traces["n_spans"].sum())

    def traces(self) -> pd.DataFrame:
        """List the traces, newest first, with the columns of ``load_traces(details=True)``.

        Returns
        -------
        DataFrame
            ``id, name`` (str), ``n_spans`` (int64), ``start_time, end_time`` (Int64, µs; missing if a trace has no spans),
            ``n_agents, n_locations`` (int64).
        """
        return self.source.traces()

    def load_spans(self, trace: str | Iterable[str]) -> pd.DataFrame:
        """Load the spans of one or several traces, given by id, as a frame like that of `tokenvis.load_spans`.

        Raises
        ------
        TraceNotFound
            There is no trace of that id.
        FleetError
            A trace is in several files.
        BadSpan
            A span breaks a rule; the message names it.
        """
        names = name_list("trace", trace)
        spans = with_trace_names(spans_in(self.source.table_of(names)), self.source.names_of(names))
        return spans if len(names) == 1 else in_frame_order(spans).reset_index(drop=True)

    def map(
        self,
        questions: Questions,
        *,
        types: Types | None = None,
        errors: Errors = "raise",
        workers: int | None = None,
    ) -> Any:
        """Ask a question of all traces, on several processes; each holds about 100,000 spans at a time.

        Parameters
        ----------
        questions
            A question of tokenvis, with its options by `functools.partial`; or a function of your own, that gets a frame of
            many traces, sorted by trace and then as by `load_spans`, and returns a frame with a column ``trace_id``. Several
            are a list or a dict: the traces are read once for all.
        types
            Types of columns of the answers, as for `tokenvis.fleet.mapper`.
        errors
            What happens to traces that have no answer: "raise", a `FleetError` at the end; "return", they are returned as a
            table.
        workers
            The number of processes, by default one for each core.

        Returns
        -------
        DataFrame, or a list or dict of them
            The answer to each question, sorted by trace; the same for any number of processes. With ``errors="return"`` a pair:
            the answers, and a table ``trace_id, error, message`` of the traces that have none (``question`` too if there are
            several).

        Raises
        ------
        FleetError
            Traces have no answer: the message counts them and gives the first three. The error has the other answers
            (``answers``) and the table (``failures``). Or a process was killed, or a trace is in several files.
        BadOption
            A question is not a function, or has no answer to an empty frame; an option has an invalid value.
        """
        check_choice("errors", errors, ERRORS)
        by_name = named_questions(questions)
        schemas = [schema_of(question, types) for question in by_name.values()]
        job = Job(self.source, list(by_name.values()), schemas, stop=errors == "raise")
        parts = self.source.parts()
        warn_of_large(parts)
        answers, failures = collected(job, answered_parts(job, parts, workers), stop=errors == "raise")
        frames = [schema.frame(batches) for schema, batches in zip(schemas, answers, strict=True)]
        result = shaped_like(questions, by_name, frames)
        table = failure_table(by_name, failures)
        if errors == "return":
            return result, table
        try:
            raise_failures([failure for failed in failures for failure in failed], " and ".join(by_name))
        except FleetError as error:
            error.answers, error.failures = result, table
            raise
        return result


def named_questions(questions: Questions) -> dict[str, Question]:
    """The questions by name; `BadOption` if one of them is not a function, or if there is none."""
    if callable(questions):
        return {question_name(questions): questions}
    if isinstance(questions, Mapping):
        by_name = {str(name): question for name, question in questions.items()}
    elif isinstance(questions, Sequence) and not isinstance(questions, str):
        by_name = {f"{number}. {question_name(question)}": question for number, question in enumerate(questions, 1)}
    else:
        by_name = {}
    if not by_name or not all(map(callable, by_name.values())):
        raise BadOption(f"questions={quoted(questions)} is no function of spans, nor a list or dict of them. Pass tv.summary.")
    return by_name


def warn_of_large(parts: Sequence[Part]) -> None:
    """Warn of traces that are larger than a part should be."""
    large = [part for part in parts if len(part.trace_ids) == 1 and part.n_spans > PART_SPANS]
    if large:
        largest = max(large, key=lambda part: part.n_spans)
        verb = "has" if len(large) == 1 else "have"
        warnings.warn(
            f"{plural(len(large), 'trace')} of this fleet {verb} more than {PART_SPANS:,} spans, up to {largest.n_spans:,} "
            f"({quoted(largest.trace_ids[0])}). Each is answered whole, so a process needs memory for all of them.",
            stacklevel=3,
        )


def collected(job: Job, answered: Iterable[Answered], *, stop: bool) -> tuple[list[list[Any]], list[list[Failure]]]:
    """The batches and the failures of all parts, for each question; ends early after many failures if ``stop``."""
    batches: list[list[Any]] = [[] for _ in job.questions]
    failures: list[list[Failure]] = [[] for _ in job.questions]
    for part in answered:
        for number in range(len(job.questions)):
            batches[number] += part.batches[number]
            failures[number] += part.failures[number]
        if stop and sum(map(len, failures)) >= MAX_FAILURES:
            break
    return batches, [sorted(failed, key=lambda failure: failure.trace_id or "") for failed in failures]


def shaped_like(questions: Questions, by_name: dict[str, Question], frames: list[pd.DataFrame]) -> Any:
    """The answers in the shape of the questions: one, a list or a dict."""
    if callable(questions):
        return frames[0]
    return dict(zip(by_name, frames, strict=True)) if isinstance(questions, Mapping) else frames


def failure_table(by_name: dict[str, Question], failures: list[list[Failure]]) -> pd.DataFrame:
    """The traces without an answer; with the names of the questions if there are several."""
    tables = [failure_frame(failed) for failed in failures]
    if len(tables) == 1:
        return tables[0]
    named = [table.assign(question=name) for name, table in zip(by_name, tables, strict=True)]
    return pd.concat(named).sort_values("trace_id", kind="stable", ignore_index=True)
