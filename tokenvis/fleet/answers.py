"""Answers: the columns of a function's answer and their types, which do not depend on the traces of a batch.

The types are those of the answer to an empty frame, since each question gives the same columns for any spans. A column of
objects has lists of texts, as those of the questions. A function whose answer has other types tells them.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import pandas as pd
import pyarrow as pa

from tokenvis.errors import BadOption, FleetError, listed, quoted
from tokenvis.fleet.sources.source import sorted_by_trace
from tokenvis.spans.columns import as_categorical, empty_spans

Question: TypeAlias = Callable[[pd.DataFrame], pd.DataFrame]  # closed over traces, as all questions of tokenvis are
Types: TypeAlias = Mapping[str, Any]  # columns of an answer, as pandas dtypes or Arrow types

TEXT_LISTS = pa.list_(pa.string())
SPARK_TYPES = {
    pa.string(): "STRING",
    pa.large_string(): "STRING",
    pa.bool_(): "BOOLEAN",
    pa.int8(): "TINYINT",
    pa.int16(): "SMALLINT",
    pa.int32(): "INT",
    pa.int64(): "BIGINT",
    pa.float32(): "FLOAT",
    pa.float64(): "DOUBLE",
    pa.date32(): "DATE",
    pa.timestamp("us"): "TIMESTAMP_NTZ",
    pa.timestamp("us", "UTC"): "TIMESTAMP",
    TEXT_LISTS: "ARRAY<STRING>",
    pa.list_(pa.int64()): "ARRAY<BIGINT>",
    pa.list_(pa.float64()): "ARRAY<DOUBLE>",
}


@dataclass(frozen=True)
class AnswerSchema:
    """The columns of an answer: their types in Arrow, and in the frame that the function returns."""

    arrow: pa.Schema
    dtypes: dict[str, Any]

    def batch(self, answer: pd.DataFrame) -> pa.RecordBatch:
        """An answer as a batch of this schema; `FleetError` if it has other columns, or values of another type."""
        if is_empty_without_columns(answer):
            return pa.RecordBatch.from_pylist([], schema=self.arrow)
        check_is_answer(answer)
        extra = [name for name in answer.columns if name not in self.dtypes]
        missing = [name for name in self.dtypes if name not in answer.columns]
        if extra or missing:
            raise FleetError(
                f"The answer has the columns {listed(answer.columns)}; expected {listed(self.dtypes)}, as in the answer to an "
                "empty frame. Pass types= with the types of all columns."
            )
        columns = [arrow_column(answer[field.name], field) for field in self.arrow]
        return pa.RecordBatch.from_arrays(columns, schema=self.arrow)

    def frame(self, batches: Iterable[pa.RecordBatch]) -> pd.DataFrame:
        """Answers as one frame, sorted by trace, with the types of the function's own answers."""
        table = sorted_by_trace(pa.Table.from_batches(batches, self.arrow))
        return pd.DataFrame({name: pandas_column(table.column(name), dtype) for name, dtype in self.dtypes.items()})


def schema_of(question: Question, types: Types | None = None) -> AnswerSchema:
    """The schema of a function's answers: of its answer to an empty frame, and of the columns in ``types``."""
    try:
        answer = question(empty_spans())
    except Exception as error:
        raise BadOption(
            f"{question_name(question)} has no answer to an empty frame of spans, which tells the columns of its answers: "
            f"{type(error).__name__}: {error}"
        ) from error
    types = dict(types or {})
    if not (is_empty_without_columns(answer) and "trace_id" in types):
        check_is_answer(answer, question_name(question))
    dtypes = {name: dtype_of_column(name, answer[name]) for name in answer.columns} | types
    fields = [pa.field(name, arrow_type(name, dtype)) for name, dtype in dtypes.items()]
    return AnswerSchema(pa.schema(fields), {name: pandas_type(dtype) for name, dtype in dtypes.items()})


def question_name(question: Question) -> str:
    """The name of a function, for messages."""
    function = getattr(question, "func", question)  # of a partial
    return str(getattr(function, "__name__", type(function).__name__))


def is_empty_without_columns(answer: Any) -> bool:
    """Whether an answer is a frame made of no rows, such as ``pd.DataFrame([])``, which does not tell its columns."""
    return isinstance(answer, pd.DataFrame) and answer.empty and not len(answer.columns)


def check_is_answer(answer: Any, name: str = "The function") -> None:
    """Raise `FleetError` unless a function returned a frame that tells the trace of each row."""
    if not isinstance(answer, pd.DataFrame):
        raise FleetError(f"{name} returned {type(answer).__name__}, not a DataFrame.")
    if is_empty_without_columns(answer):
        raise FleetError(
            f"The answer of {name} to an empty frame of spans has no columns. Name them, as in "
            "pd.DataFrame(rows, columns=[...]), and pass types= with their types; or pass types= with those of all columns."
        )
    others = [column for column in answer.columns if not isinstance(column, str)]
    if others:
        raise FleetError(f"The answer of {name} has columns whose names are not texts: {listed(others)}. Rename them.")
    if "trace_id" not in answer.columns:
        hint = " The index has it: add .reset_index()." if "trace_id" in answer.index.names else ""
        raise FleetError(
            f"The answer of {name} has no column 'trace_id'. A function of a fleet gets many traces in one frame, and its "
            f"answer tells the trace of each row: group by trace_id in it. It has: {listed(answer.columns)}.{hint}"
        )
    if not answer.columns.is_unique:
        raise FleetError(f"The answer of {name} has several columns {listed(answer.columns[answer.columns.duplicated()])}.")


def dtype_of_column(name: str, values: pd.Series) -> Any:
    """The type of a column of the answer to an empty frame: ids of traces are texts, numbers in categories are numbers."""
    dtype = values.dtype
    if name == "trace_id" and pd.api.types.is_object_dtype(dtype):
        return "str"
    if isinstance(dtype, pd.CategoricalDtype) and (
        pd.api.types.is_numeric_dtype(dtype.categories.dtype) or pd.api.types.is_datetime64_any_dtype(dtype.categories.dtype)
    ):
        return dtype.categories.dtype
    return dtype


def arrow_type(name: str, dtype: Any) -> pa.DataType:
    """The Arrow type of a column of an answer."""
    if isinstance(dtype, pa.DataType):
        return dtype
    dtype = checked_dtype(name, dtype)
    if isinstance(dtype, pd.CategoricalDtype | pd.StringDtype):
        return pa.string()
    if pd.api.types.is_object_dtype(dtype):
        return TEXT_LISTS
    try:
        return pa.Array.from_pandas(pd.Series([], dtype=dtype)).type
    except pa.ArrowException:
        raise BadOption(f"Column {quoted(name)} has the type {dtype}, which Arrow does not have. Pass types=.") from None


def checked_dtype(name: str, dtype: Any) -> Any:
    """A dtype of pandas; `BadOption` if there is none of that name."""
    try:
        return pd.api.types.pandas_dtype(dtype)
    except TypeError:
        raise BadOption(
            f"types= has no type for column {quoted(name)}: {quoted(dtype)}. Pass a dtype of pandas or a type of pyarrow."
        ) from None


def pandas_type(dtype: Any) -> Any:
    """The dtype of a column in the frame of answers."""
    if not isinstance(dtype, pa.DataType):
        return pd.api.types.pandas_dtype(dtype)
    if pa.types.is_nested(dtype):
        return pd.api.types.pandas_dtype(object)
    if pa.types.is_string(dtype) or pa.types.is_large_string(dtype):
        return pd.api.types.pandas_dtype("str")
    return pa.array([], dtype).to_pandas(types_mapper=nullable_type).dtype


NULLABLE_TYPES = {
    pa.bool_(): pd.BooleanDtype(),
    pa.int64(): pd.Int64Dtype(),
    pa.int32(): pd.Int32Dtype(),
    pa.float64(): pd.Float64Dtype(),
}
nullable_type = NULLABLE_TYPES.get


def arrow_column(values: pd.Series, field: pa.Field) -> pa.Array:
    """A column of an answer as an Arrow array of a type; `FleetError` if a value has another one."""
    name = quoted(values.name)
    try:
        if isinstance(values.dtype, pd.CategoricalDtype):
            values = values.astype("str" if pa.types.is_string(field.type) else values.dtype.categories.dtype)
        if pa.types.is_nested(field.type):
            lists = [None if is_missing_value(value) else value for value in values.tolist()]
            text = next((value for value in lists if isinstance(value, str | bytes)), None)
            if text is not None:  # Arrow would make a list of its characters
                raise TypeError(f"{quoted(text)} is a text")
            return pa.array(lists, field.type)
        column = pa.array(values, from_pandas=True).cast(field.type)
        return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise FleetError(
            f"The answer's column {name} has type {values.dtype}, and values that are no {field.type} ({error}). "
            f"Its type must not depend on the traces of a batch: pass types={{{name}: ...}}."
        ) from None


def is_missing_value(value: Any) -> bool:
    """Whether a value of a column of objects is missing."""
    return value is None or value is pd.NA or (isinstance(value, float) and value != value)


def pandas_column(column: pa.ChunkedArray, dtype: Any) -> Any:
    """A column of answers with the dtype of the function's own answers."""
    if isinstance(dtype, pd.CategoricalDtype):
        return as_categorical(column.to_pandas())
    if pd.api.types.is_object_dtype(dtype):
        return pd.Series(column.to_pylist(), dtype=object)
    if isinstance(dtype, pd.StringDtype):
        return pd.array(column, dtype=dtype)
    if hasattr(dtype, "__from_arrow__"):
        return dtype.__from_arrow__(column)
    if column.null_count and dtype.kind in "iub":
        return column.to_pandas(types_mapper=nullable_type)
    return column.to_numpy().astype(dtype, copy=False)


def ddl_of(schema: pa.Schema) -> str:
    """A schema as Spark writes it; `BadOption` for a type that it does not have."""
    columns = []
    for field in schema:
        if field.type not in SPARK_TYPES:
            raise BadOption(f"Column {quoted(field.name)} has the type {field.type}, which Spark does not have. Pass types=.")
        escaped_name = field.name.replace("`", "``")
        columns.append(f"`{escaped_name}` {SPARK_TYPES[field.type]}")
    return ", ".join(columns)
