"""Answering: the answers of a function to the traces of a table, all at once.

A table that fails is halved, until the traces at fault are alone: one bad trace costs the others nothing but time. Traces with
rows that break a rule are found at once, since there may be thousands of them. A function that does not tell traces apart would
give an answer all the same, an untrue one: so some traces of the first table are also asked alone.
"""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from tokenvis.errors import FleetError, quoted
from tokenvis.fleet.answers import AnswerSchema, Question, question_name
from tokenvis.fleet.failures import MAX_FAILURES, Failure, failure_of
from tokenvis.fleet.frames import rows_at_fault, spans_in
from tokenvis.fleet.rebatching import check_not_cut, runs_of
from tokenvis.spans.integers import Int64Array

N_COMPARED = 3  # traces that are asked alone too
TOLERANCE = 1e-9  # of floats, relative


def answers_of(
    table: pa.Table,
    question: Question,
    schema: AnswerSchema,
    *,
    spans: pd.DataFrame | None = None,
    compare: bool = False,
    stop: bool = False,
) -> tuple[list[pa.RecordBatch], list[Failure]]:
    """The answers to the traces of a table, in their order, and the traces that have none.

    ``spans`` is the frame of the table, if there is one already; a function that changes its frame does not change this one.
    With ``compare``, traces of the first answer to several are asked alone too. With ``stop``, the rest is left out once
    `MAX_FAILURES` traces have failed.
    """
    try:
        check_not_cut(table)
        answer = schema.batch(question(spans_in(table) if spans is None else spans.copy(deep=False)))
    except Exception as error:
        failure = error
    else:
        if compare:
            check_closed(table, question, schema, answer)
        return [answer], []
    trace_ids, ends = runs_of(table)
    if len(trace_ids) == 1:
        return [], [failure_of(trace_ids[0], failure)]
    answers: list[pa.RecordBatch] = []
    failures: list[Failure] = []
    for piece in pieces_of_table(table, ends):
        compare_here = compare and not any(map(has_several_traces, answers))
        more, failed = answers_of(piece, question, schema, compare=compare_here, stop=stop)
        answers, failures = answers + more, failures + failed
        if stop and len(failures) >= MAX_FAILURES:
            break
    return answers, failures


def pieces_of_table(table: pa.Table, ends: Int64Array) -> list[pa.Table]:
    """A table of several traces in pieces: its halves; or the traces with rows that break a rule, each alone, and the rest."""
    begins = np.append(0, ends[:-1])
    is_bad = np.logical_or.reduceat(rows_at_fault(table), begins)
    if is_bad.all() or not is_bad.any():
        middle = int(ends[(len(ends) - 1) // 2])
        return [table.slice(0, middle), table.slice(middle)]
    good = table.filter(pa.array(np.repeat(~is_bad, ends - begins)))
    return [good, *(table.slice(begins[trace], ends[trace] - begins[trace]) for trace in np.flatnonzero(is_bad))]


def has_several_traces(rows: pa.Table | pa.RecordBatch) -> bool:
    """Whether these rows, of a table or an answer, are of more than one trace."""
    return bool(pc.count_distinct(rows.column("trace_id").cast(pa.large_string())).as_py() > 1)


def check_closed(table: pa.Table, question: Question, schema: AnswerSchema, answer: pa.RecordBatch) -> None:
    """Raise `FleetError` if the function answers some trace among others otherwise than alone.

    A trace alone is a frame of its rows of the table, because the function may have changed the frame of all, and so that the
    categories are its own names.
    """
    trace_ids, ends = runs_of(table)
    if len(trace_ids) <= 1:
        return
    begins = np.append(0, ends[:-1])
    for number in np.linspace(0, len(trace_ids) - 1, min(N_COMPARED, len(trace_ids))).astype(int):
        trace_id = trace_ids[number]
        alone = answer_alone(table.slice(begins[number], ends[number] - begins[number]), question, schema)
        among = answer.filter(pc.equal(answer.column("trace_id"), pa.scalar(trace_id)))
        if alone is None or not are_equal(alone, among):
            raise FleetError(
                f"{question_name(question)} answers trace {quoted(trace_id)} alone otherwise than among others. "
                "A function of a fleet gets many traces in one frame: group by trace_id in it."
            )


def answer_alone(table: pa.Table, question: Question, schema: AnswerSchema) -> pa.RecordBatch | None:
    """The answer to one trace that has one among others; None if it fails."""
    try:
        return schema.batch(question(spans_in(table)))
    except Exception:
        return None


def are_equal(first: pa.RecordBatch, second: pa.RecordBatch) -> bool:
    """Whether two answers are equal, up to the rounding of floats."""
    if len(first) != len(second):
        return False
    for one, other in zip(first.columns, second.columns, strict=True):
        if pa.types.is_floating(one.type):
            left, right = (column.to_numpy(zero_copy_only=False) for column in (one, other))
            if not np.allclose(left, right, rtol=TOLERANCE, atol=0, equal_nan=True):
                return False
        elif not one.equals(other):
            return False
    return True
