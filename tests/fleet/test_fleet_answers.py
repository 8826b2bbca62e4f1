"""The columns and types of answers: those of the answer to an empty frame, for any traces of a batch."""

from functools import partial

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from conftest import spans_of, with_data
from pandas.testing import assert_frame_equal
from test_questions import QUESTIONS

import tokenvis as tv
from tokenvis.fleet.answers import ddl_of, schema_of


def counts(spans):
    """A function of a user: spans of each trace."""
    return spans.groupby("trace_id", observed=True).size().rename("n").reset_index()


@pytest.mark.parametrize("question", QUESTIONS.values(), ids=QUESTIONS)
def test_an_answer_comes_back_as_the_function_gave_it(question):
    payload = {
        "links": ["b"],
        "requested_by": "a",
        "attributes": {"gen_ai.usage.input_tokens": 3},
        "trigger": "user",
        "status": "ok",
    }
    spans = spans_of("ann 0 9 desk", "bob 2 5 desk", "ann 20 22 lab", "ann 21 22 lab", "eve 30 31 lab u", parents={"b": "a"})
    answer, schema = question(with_data(spans, b=payload, c={"requested_by": "a"}, d=payload)), schema_of(question)
    assert len(answer)
    assert_frame_equal(schema.frame([schema.batch(answer)]), answer.assign(**sorted_categories(answer)))
    assert_frame_equal(schema.frame([]), question(spans.iloc[:0]), check_categorical=False)
    assert ddl_of(schema.arrow).startswith("`trace_id` STRING, ")


def sorted_categories(answer):
    """The categorical columns of an answer with only the categories that occur, sorted."""
    names = answer.select_dtypes("category").columns
    return {name: pd.Categorical(answer[name].astype("str"), dtype=category_of(answer[name])) for name in names}


def category_of(column):
    """The type of a column with the categories that occur."""
    return pd.CategoricalDtype(pd.Index(sorted(set(column.dropna())), dtype="str"))


def test_answers_of_several_batches_are_sorted_by_trace():
    schema = schema_of(tv.moves)
    frames = [tv.moves(spans_of(f"ann 0 1 desk {trace}", f"ann 2 3 lab {trace}")) for trace in "cab"]
    assert schema.frame(map(schema.batch, frames))["trace_id"].tolist() == ["a", "b", "c"]


def test_types_of_a_users_function():
    def typed(spans):
        table = counts(spans)
        return table.assign(
            share=table["n"] / 2,
            small=table["n"].astype("int32"),
            when=pd.to_datetime(table["n"], unit="us"),
            day=np.datetime64("2026-01-01", "us"),
            tags=pd.Series([["x"]] * len(table), dtype=object),
            many=table["n"] > 1,
        )

    schema, answer = schema_of(typed), typed(spans_of("ann 0 1 desk", "ann 2 3 lab"))
    assert_frame_equal(schema.frame([schema.batch(answer)]), answer)
    assert ddl_of(schema.arrow) == (
        "`trace_id` STRING, `n` BIGINT, `share` DOUBLE, `small` INT, `when` TIMESTAMP_NTZ, `day` TIMESTAMP_NTZ, "
        "`tags` ARRAY<STRING>, `many` BOOLEAN"
    )


def temperatures(spans):
    """A function whose column has a type only where there are values."""
    return tv.expand_data(spans, "temperature")[["trace_id", "id", "temperature"]]


def test_a_column_of_data_has_the_type_that_is_given_for_every_batch():
    spans = with_data(spans_of("ann 0 1 desk", "ann 2 3 lab"), a={"temperature": 1}, b={"temperature": 0.5})
    schema = schema_of(temperatures, {"temperature": "Float64"})
    parts = [spans.iloc[:1], spans.iloc[1:], spans]
    assert [temperatures(part)["temperature"].dtype for part in parts] == ["Int64", "Float64", "Float64"]
    frame = schema.frame(schema.batch(temperatures(part)) for part in parts)
    assert frame["temperature"].dtype == "Float64"
    assert frame["temperature"].tolist() == [1, 0.5, 1, 0.5]
    with pytest.raises(
        tv.FleetError, match=r"^The answer's column 'temperature' has type Int64, and values that are no list<"
    ) as error:
        schema_of(temperatures).batch(temperatures(spans.iloc[:1]))
    assert str(error.value).endswith("Its type must not depend on the traces of a batch: pass types={'temperature': ...}.")


def test_arrow_types_may_be_given():
    schema = schema_of(temperatures, {"temperature": pa.int64()})
    spans = with_data(spans_of("ann 0 1 desk", "ann 2 3 lab"), a={"temperature": 1})
    assert schema.frame([schema.batch(temperatures(spans))])["temperature"].dtype == "Int64"
    lists = schema_of(temperatures, {"temperature": pa.list_(pa.int64())})
    spans = with_data(spans_of("ann 0 1 desk", "ann 2 3 lab"), a={"temperature": [1, 2]})
    assert lists.frame([lists.batch(temperatures(spans))])["temperature"].tolist() == [[1, 2], None]
    assert ddl_of(lists.arrow).endswith("`temperature` ARRAY<BIGINT>")


def test_other_columns_than_those_of_an_empty_frame_are_an_error():
    def irregular(spans):
        return counts(spans).assign(**({"extra": 1} if len(spans) else {}))

    with pytest.raises(tv.FleetError) as error:
        schema_of(irregular).batch(irregular(spans_of("ann 0 1 desk")))
    assert str(error.value) == (
        "The answer has the columns 'trace_id', 'n', 'extra'; expected 'trace_id', 'n', as in the answer to an empty frame. "
        "Pass types= with the types of all columns."
    )
    assert schema_of(irregular, {"extra": "int64"}).batch(irregular(spans_of("ann 0 1 desk"))).num_columns == 3


@pytest.mark.parametrize(
    ("question", "kind", "message"),
    [
        (lambda spans: len(spans), tv.FleetError, "<lambda> returned int, not a DataFrame."),
        (
            lambda spans: pd.DataFrame({"n": [len(spans)]}),
            tv.FleetError,
            "The answer of <lambda> has no column 'trace_id'. A function of a fleet gets many traces in one frame, and its "
            "answer tells the trace of each row: group by trace_id in it. It has: 'n'.",
        ),
        (
            lambda spans: counts(spans).set_index("trace_id"),
            tv.FleetError,
            "The answer of <lambda> has no column 'trace_id'. A function of a fleet gets many traces in one frame, and its "
            "answer tells the trace of each row: group by trace_id in it. It has: 'n'. The index has it: add .reset_index().",
        ),
        (
            lambda spans: pd.DataFrame([{"trace_id": trace_id} for trace_id in spans["trace_id"]]),
            tv.FleetError,
            "The answer of <lambda> to an empty frame of spans has no columns. Name them, as in pd.DataFrame(rows, "
            "columns=[...]), and pass types= with their types; or pass types= with those of all columns.",
        ),
        (
            lambda spans: counts(spans).rename(columns={"n": 5}),
            tv.FleetError,
            "The answer of <lambda> has columns whose names are not texts: 5. Rename them.",
        ),
        (
            lambda spans: counts(spans).assign(n=1j),
            tv.BadOption,
            "Column 'n' has the type complex128, which Arrow does not have. Pass types=.",
        ),
        (
            lambda spans: pd.concat([counts(spans), counts(spans)], axis=1),
            tv.FleetError,
            "The answer of <lambda> has several columns 'trace_id', 'n'.",
        ),
        (
            lambda spans: spans.iloc[0],
            tv.BadOption,
            "<lambda> has no answer to an empty frame of spans, which tells the columns of its answers: "
            "IndexError: single positional indexer is out-of-bounds",
        ),
    ],
    ids=["number", "no trace", "index", "no columns", "names", "type", "columns twice", "fails"],
)
def test_a_function_that_cannot_answer_a_fleet_is_refused_at_once(question, kind, message):
    with pytest.raises(kind) as error:
        schema_of(question)
    assert str(error.value) == message


def test_a_type_that_does_not_exist_is_refused():
    with pytest.raises(tv.BadOption) as error:
        schema_of(counts, {"n": "whole"})
    assert str(error.value) == "types= has no type for column 'n': 'whole'. Pass a dtype of pandas or a type of pyarrow."
    with pytest.raises(tv.BadOption) as error:
        ddl_of(schema_of(counts, {"n": pa.decimal128(5, 2)}).arrow)
    assert str(error.value) == "Column 'n' has the type decimal128(5, 2), which Spark does not have. Pass types=."


def test_a_table_made_of_rows_needs_types_of_its_columns_only():
    def rows_of(spans):
        return [{"trace_id": name, "n": len(part)} for name, part in spans.groupby("trace_id", observed=True)]

    spans, types = spans_of("ann 0 1 desk t", "ann 2 3 lab u"), {"n": "int64"}
    named = schema_of(lambda spans: pd.DataFrame(rows_of(spans), columns=["trace_id", "n"]), types)
    unnamed = schema_of(lambda spans: pd.DataFrame(rows_of(spans)), {"trace_id": "str", **types})
    for schema in (named, unnamed):
        answers = [schema.batch(pd.DataFrame(rows_of(part))) for part in (spans.iloc[:0], spans)]
        assert schema.frame(answers).to_dict("list") == {"trace_id": ["t", "u"], "n": [1, 1]}
        assert schema.frame(answers).dtypes.astype("str").tolist() == ["str", "int64"]


def test_a_text_in_a_column_of_objects_is_no_list_of_its_characters():
    schema = schema_of(lambda spans: counts(spans).assign(tag=pd.Series([], dtype=object)))
    answer = counts(spans_of("ann 0 1 desk")).assign(tag=pd.Series(["ab"], dtype=object))
    with pytest.raises(tv.FleetError) as error:
        schema.batch(answer)
    assert str(error.value) == (
        "The answer's column 'tag' has type object, and values that are no list<item: string> ('ab' is a text). "
        "Its type must not depend on the traces of a batch: pass types={'tag': ...}."
    )


def test_numbers_in_categories_stay_numbers():
    schema = schema_of(lambda spans: counts(spans).astype({"n": "category"}))
    answer = counts(spans_of("ann 0 1 desk", "ann 2 3 lab")).astype({"n": "category"})
    assert schema.frame([schema.batch(answer)])["n"].tolist() == [2]
    assert ddl_of(schema.arrow) == "`trace_id` STRING, `n` BIGINT"


def test_hostile_names_of_columns_are_escaped_for_spark():
    schema = schema_of(partial(tv.summary, by="agent_id"))
    assert ddl_of(pa.schema([("a`b, c INT", pa.int64())])) == "`a``b, c INT` BIGINT"
    assert "`agent_id` STRING" in ddl_of(schema.arrow)
