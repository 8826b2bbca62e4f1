"""The adapter: a function of spans as a function of Arrow batches, which every engine can call.

An engine hands over batches of rows. The adapter makes tables of whole traces of them, and a proper frame of each table; the
function answers all traces of a frame at once. A table that fails is halved, until the traces at fault are alone.
"""

from collections.abc import Iterable, Iterator
from typing import Literal, TypeAlias

import pandas as pd
import pyarrow as pa

from tokenvis.errors import BadOption, check_choice, quoted
from tokenvis.fleet.answering import answers_of, has_several_traces
from tokenvis.fleet.answers import Question, Types, ddl_of, question_name, schema_of
from tokenvis.fleet.failures import FAILURE_COLUMNS, MAX_FAILURES, Failure, failure_frame, raise_failures
from tokenvis.fleet.frames import FRAME_COLUMNS, USED_COLUMNS, check_schema
from tokenvis.fleet.rebatching import whole_traces, with_traces_together
from tokenvis.fleet.sources.source import PART_SPANS
from tokenvis.spans.columns import as_spans

Errors: TypeAlias = Literal["raise", "return"]
ERRORS = ("raise", "return")
FAILURE_FIELDS = [pa.field(name, pa.string()) for name in FAILURE_COLUMNS[1:]]


class Mapper:
    """A function of spans for an engine: called with an iterator of Arrow batches, it yields batches of answers.

    Attributes
    ----------
    schema : str
        The columns of the answers, as Spark writes them.
    arrow_schema : pyarrow.Schema
        The same, for engines on Arrow.
    meta : DataFrame
        The same as an empty frame, for Dask.
    """

    def __init__(
        self, question: Question, *, types: Types | None = None, errors: Errors = "raise", batch_spans: int = PART_SPANS
    ) -> None:
        if not callable(question):
            raise BadOption(f"{quoted(question)} is not a function of spans, such as tv.summary.")
        check_choice("errors", errors, ERRORS)
        if not isinstance(batch_spans, int) or batch_spans < 1:
            raise BadOption(f"batch_spans={quoted(batch_spans)} is not a positive number of spans.")
        self.question = question
        self.errors = errors
        self.batch_spans = batch_spans
        self.answer_schema = schema_of(question, types)
        self.arrow_schema = self.answer_schema.arrow
        if errors == "return":
            clash = [name for name in FAILURE_COLUMNS[1:] if name in self.answer_schema.dtypes]
            if clash:
                raise BadOption(f'The answers have a column {quoted(clash[0])}, so errors="return" cannot add it.')
            self.arrow_schema = pa.schema([*self.arrow_schema, *FAILURE_FIELDS])

    def __repr__(self) -> str:
        return f"mapper({question_name(self.question)})"

    @property
    def schema(self) -> str:
        """The columns of the answers, as Spark writes them."""
        return ddl_of(self.arrow_schema)

    @property
    def meta(self) -> pd.DataFrame:
        """The answer of no trace."""
        return self._frame([], [])

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Answers to the traces of Arrow batches, in which the rows of each trace follow each other.

        Raises
        ------
        FleetError
            The rows of a trace are apart; or traces have no answer, at the end, unless ``errors="return"``.
        MissingColumn, BadSpan
            The batches lack a column of spans, or have one of another type.
        """
        failures: list[Failure] = []
        is_compared = False
        for table in whole_traces(checked_batches(batches), self.batch_spans):
            compare = not is_compared and has_several_traces(table)
            is_compared |= compare
            answers, failed = answers_of(table, self.question, self.answer_schema, compare=compare, stop=self.errors == "raise")
            for answer in answers:
                yield self._with_failures(answer)
            failures += failed
            if self.errors == "return":
                yield from self._failure_batches(failed)
                failures.clear()
            elif len(failures) >= MAX_FAILURES:
                break
        raise_failures(failures, question_name(self.question))

    def frame(self, spans: pd.DataFrame) -> pd.DataFrame:
        """The answer to a frame of whole traces, such as a partition of Dask, in rows of any order.

        Raises the errors of a call. A value that Arrow cannot have is a `BadSpan` for the frame: it names the span.
        """
        table = table_of_pandas(spans)
        check_schema(table.schema)
        answers, failures = answers_of(
            with_traces_together(table), self.question, self.answer_schema, compare=True, stop=self.errors == "raise"
        )
        if self.errors == "raise":
            raise_failures(failures, question_name(self.question))
        return self._frame(answers, failures)

    def _frame(self, answers: list[pa.RecordBatch], failures: list[Failure]) -> pd.DataFrame:
        """Answers as a frame, with the failures as rows if they are returned."""
        frame = self.answer_schema.frame(answers)
        if self.errors == "raise":
            return frame
        failed = failure_frame(failures)
        return pd.concat([frame.assign(error=None, message=None), failed]).sort_values("trace_id", kind="stable")

    def _with_failures(self, answer: pa.RecordBatch) -> pa.RecordBatch:
        """An answer with the columns of failures, if they are returned."""
        if self.errors == "raise":
            return answer
        empty = [pa.nulls(len(answer), pa.string())] * (len(self.arrow_schema) - answer.num_columns)
        return pa.RecordBatch.from_arrays([*answer.columns, *empty], schema=self.arrow_schema)

    def _failure_batches(self, failures: list[Failure]) -> Iterator[pa.RecordBatch]:
        """Failures as a batch of answers, in which only their own columns have values."""
        if failures:
            rows = [failure._asdict() for failure in failures]
            yield pa.RecordBatch.from_pylist(rows, schema=self.arrow_schema)


def mapper(
    question: Question, *, types: Types | None = None, errors: Errors = "raise", batch_spans: int = PART_SPANS
) -> Mapper:
    """A question for an engine that hands over Arrow batches: Spark, DuckDB, Dask, or any other.

    Engines cut a table of spans anywhere, and hand over each part alone. The mapper puts the parts together again, so that each
    trace is whole, and answers about 100,000 spans at once. The rows of a trace must follow each other: sort by ``trace_id``.

    Parameters
    ----------
    question
        A question of tokenvis, with its options by `functools.partial`; or a function of your own, that gets a frame of many
        traces, sorted by trace and then as by `load_spans`, and returns a frame with a column ``trace_id``.
    types
        Types of columns of the answer, as dtypes of pandas or types of pyarrow, where the answer to an empty frame does not
        tell them, as for columns of `expand_data`. A column of objects has lists of texts by default.
    errors
        What happens to traces that have no answer: "raise", a `FleetError` at the end; "return", a row with the columns
        ``error`` and ``message``.
    batch_spans
        The number of spans from which they are answered.

    Returns
    -------
    Mapper
        Call it with an iterator of `pyarrow.RecordBatch`: ``df.mapInArrow(mapper, schema=mapper.schema)`` in Spark.
        ``schema``, ``arrow_schema`` and ``meta`` are the columns of the answers for Spark, Arrow and Dask; ``frame`` answers a
        pandas frame.

    Raises
    ------
    BadOption
        ``question`` is not a function, or has no answer to an empty frame; an option has an invalid value.
    FleetError
        The function returns no frame, or one without ``trace_id``.
    """
    return Mapper(question, types=types, errors=errors, batch_spans=batch_spans)


def checked_batches(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The batches, of schemas that spans may have, with the columns that are needed only."""
    for batch in batches:
        check_schema(batch.schema)
        yield batch.select([name for name in USED_COLUMNS if name in batch.schema.names])


def table_of_pandas(spans: pd.DataFrame) -> pa.Table:
    """A frame as an Arrow table; `MissingColumn` or `BadSpan` for a value of a span that it cannot have."""
    try:
        return pa.Table.from_pandas(spans, preserve_index=False)
    except (pa.ArrowException, OverflowError, UnicodeError):
        known = as_spans(spans[[name for name in spans.columns if name in FRAME_COLUMNS]])
        counts = {"n_spans": spans["n_spans"].array} if "n_spans" in spans.columns else {}
        return pa.Table.from_pandas(known.assign(**counts), preserve_index=False)
