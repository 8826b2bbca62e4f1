"""A question through the adapter, from batches of any size, equals the question asked of each trace alone."""

import pickle
from functools import partial

import pandas as pd
import pyarrow as pa
import pytest
from conftest import spans_of, with_data
from fleets import alone, plain, table_of
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal
from question_laws import FRAMES
from test_questions import every_question, most_questions

import tokenvis as tv

SPANS = spans_of("ann 0 10 desk t", "bob 2 5 lab t", "ann 3 4 desk u", "eve 5 9 desk v")
some = settings(max_examples=settings.default.max_examples // 3)


def answer_of(mapper, batches):
    """The answers of a mapper as one frame."""
    return mapper.answer_schema.frame(mapper(batches))


@pytest.mark.laws
@most_questions
@pytest.mark.filterwarnings("ignore:Trace")
@some
@given(spans=FRAMES, size=st.integers(1, 6), batch_spans=st.integers(1, 9), parents=st.booleans())
def test_batches_of_any_size_give_the_answers_of_each_trace_alone(ask, spans, size, batch_spans, parents):
    parents = parents or has_only_column(spans)
    batches = table_of(spans, parents=parents).to_batches(size)
    answer = answer_of(tv.fleet.mapper(ask, batch_spans=batch_spans), batches)
    assert_frame_equal(plain(answer), alone(ask, spans), check_dtype="rollup" not in str(ask))


def has_only_column(spans):
    """Whether the parents are in the column only, so that an engine must not leave it out."""
    return "parent_id" in spans and spans["parent_id"].notna().any()


@pytest.mark.full
@pytest.mark.laws
@every_question
@some
@given(spans=FRAMES)
def test_a_frame_of_pandas_gives_the_answers_of_each_trace_alone(ask, spans):
    answer = tv.fleet.mapper(ask).frame(spans.sample(frac=1, random_state=0))
    assert_frame_equal(plain(answer), alone(ask, spans), check_dtype="rollup" not in str(ask))


def test_the_schema_is_that_of_the_answers():
    mapper = tv.fleet.mapper(partial(tv.moves))
    [batch] = mapper(table_of(spans_of("ann 0 1 desk", "ann 2 3 lab")).to_batches())
    assert batch.schema == mapper.arrow_schema
    assert mapper.schema == (
        "`trace_id` STRING, `agent_id` STRING, `from_location` STRING, `to_location` STRING, `from_span` STRING, "
        "`to_span` STRING, `left` BIGINT, `arrived` BIGINT, `gap_us` BIGINT"
    )
    assert_frame_equal(mapper.meta, tv.moves(SPANS.iloc[:0]), check_categorical=False)
    assert repr(mapper) == "mapper(moves)"


def test_no_batch_gives_no_answer():
    assert list(tv.fleet.mapper(tv.summary)([])) == []
    assert list(tv.fleet.mapper(tv.summary)(table_of(SPANS).slice(0, 0).to_batches())) == []


def test_a_mapper_can_be_sent_to_another_process():
    mapper = pickle.loads(pickle.dumps(tv.fleet.mapper(partial(tv.summary, by="agent_id"))))
    assert len(answer_of(mapper, table_of(SPANS).to_batches())) == 4


def bad_spans(n_traces=40, *bad):
    """A span in each of n traces; that of some ends before it starts."""
    spans = spans_of(*(f"ann 5 9 desk t{number:02}" for number in range(n_traces)))
    spans = spans.assign(id=[f"s{number}" for number in range(n_traces)])
    return spans.assign(end_time=spans["end_time"].mask(spans["trace_id"].isin(bad), 1))


def test_bad_traces_do_not_stop_the_others():
    table = table_of(bad_spans(40, "t07", "t08", "t31"))
    answer = pa.Table.from_batches(
        tv.fleet.mapper(tv.summary, errors="return", batch_spans=25)(table.to_batches(10))
    ).to_pandas()
    assert sorted(answer["trace_id"]) == [f"t{number:02}" for number in range(40)]
    failed = answer[answer["error"].notna()]
    assert failed["trace_id"].tolist() == ["t07", "t08", "t31"]
    assert failed["error"].tolist() == ["BadSpan"] * 3
    assert failed["message"].iloc[0].startswith("Span 's7'")
    assert failed["n_spans"].isna().all()
    assert answer[answer["error"].isna()]["n_spans"].tolist() == [1] * 37


def test_many_bad_traces_are_found_at_once():
    calls = []

    def counted(spans):
        calls.append(len(spans))
        return tv.summary(spans)

    bad = [f"t{number:02}" for number in range(0, 40, 3)]
    answers = tv.fleet.mapper(counted, errors="return")(table_of(bad_spans(40, *bad)).to_batches())
    answer = pa.Table.from_batches(answers).to_pandas()
    assert answer[answer["error"].notna()]["trace_id"].tolist() == bad
    assert calls == [0, 26, 1, 1, 1]  # for the columns, the good traces, and three of them alone


def test_bad_traces_are_counted_and_named_at_the_end():
    batches = tv.fleet.mapper(tv.summary, batch_spans=10)(table_of(bad_spans(40, "t07", "t08", "t09", "t31")).to_batches())
    answered = []
    with pytest.raises(tv.FleetError) as error:
        answered.extend(batches)
    assert sum(map(len, answered)) == 36
    message = str(error.value)
    assert message.startswith("summary has no answer for 4 traces, such as 't07': BadSpan: Span 's7'")
    assert "'t08': BadSpan" in message
    assert "'t09': BadSpan" in message
    assert "'t31'" not in message
    assert message.endswith(' errors="return" returns the answers to the others, and a table of these.')


def test_a_frame_returns_its_bad_traces_as_rows():
    mapper = tv.fleet.mapper(tv.summary, errors="return")
    answer = mapper.frame(bad_spans(4, "t02"))
    assert answer["error"].tolist()[2] == "BadSpan"
    assert answer["trace_id"].tolist() == ["t00", "t01", "t02", "t03"]
    assert answer.dtypes.to_dict().keys() == mapper.meta.dtypes.to_dict().keys()
    with pytest.raises(tv.FleetError, match=r"^summary has no answer for 1 trace, such as 't02': BadSpan: Span 's2'"):
        tv.fleet.mapper(tv.summary).frame(bad_spans(4, "t02"))


def test_a_missing_trace_id_is_named_and_costs_the_others_nothing():
    table = table_of(SPANS)
    table = table_of(SPANS, trace_id=pa.array([*table.column("trace_id").to_pylist()[:3], None]))
    answer = pa.Table.from_batches(tv.fleet.mapper(tv.summary, errors="return")(table.to_batches())).to_pandas()
    assert answer[answer["error"].isna()]["trace_id"].tolist() == ["t", "u"]
    [failed] = answer[answer["error"].notna()].to_dict("records")
    assert (pd.isna(failed["trace_id"]), failed["error"]) == (True, "BadSpan")


def test_a_span_delivered_twice_is_told_not_counted_twice():
    table = table_of(SPANS)
    twice = pa.concat_tables([table, table.slice(3, 1)])
    with pytest.raises(tv.FleetError) as error:
        answer_of(tv.fleet.mapper(tv.summary), twice.to_batches())
    message = "summary has no answer for 1 trace, such as 'v': BadSpan: Span 'd' of trace 'v' is in several rows. "
    assert str(error.value).startswith(message)


def test_a_function_that_mixes_traces_is_noticed():
    def longest(spans):
        return spans.nlargest(1, "end_time")[["trace_id", "id"]]

    with pytest.raises(tv.FleetError) as error:
        answer_of(tv.fleet.mapper(longest), table_of(SPANS).to_batches())
    assert str(error.value) == (
        "longest answers trace 'u' alone otherwise than among others. A function of a fleet gets many traces in one frame: "
        "group by trace_id in it."
    )


def rows_of_all(spans):
    """A function that mixes traces: the number of rows of all of them; some traces fail."""
    if set(spans["trace_id"]) & {"t00", "t03"}:
        raise ValueError("no")
    return spans[["trace_id"]].drop_duplicates().assign(n=len(spans))


def test_a_function_that_mixes_traces_is_noticed_though_some_traces_fail():
    with pytest.raises(tv.FleetError, match=r"^rows_of_all answers trace 't\d\d' alone otherwise than among others\. "):
        answer_of(tv.fleet.mapper(rows_of_all), table_of(bad_spans(40)).to_batches())


@pytest.mark.filterwarnings("ignore:Trace 's'")
def test_a_function_that_mixes_traces_is_noticed_though_the_first_trace_is_large():
    large = bad_spans(9).assign(trace_id="s")
    with pytest.raises(tv.FleetError, match=r"^rows_of_all answers trace 't10' alone otherwise than among others\. "):
        answer_of(tv.fleet.mapper(rows_of_all, batch_spans=5), table_of(pd.concat([large, bad_spans(20)[10:]])).to_batches())


class Unshown(Exception):
    def __str__(self):
        raise RuntimeError("no text")


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        (ValueError("half \ud800 <b>\0"), "ValueError: half \ufffd <b>\\x00"),
        (ValueError("x" * 3_000), f"ValueError: {'x' * 2_000}… (3,000 characters)"),
        (Unshown(), "Unshown: its message cannot be shown"),
        (MemoryError(), "MemoryError: "),
    ],
)
def test_any_error_of_a_function_can_be_told(error, shown):
    def failing(spans):
        if "t01" in set(spans["trace_id"]):
            raise error
        return tv.summary(spans)

    with pytest.raises(tv.FleetError) as caught:
        answer_of(tv.fleet.mapper(failing), table_of(bad_spans(3)).to_batches())
    assert str(caught.value) == (
        f"failing has no answer for 1 trace, such as 't01': {shown}. "
        'errors="return" returns the answers to the others, and a table of these.'
    )


def test_a_function_that_counts_the_names_of_all_traces_is_noticed():
    def names(spans):
        return spans[["trace_id"]].drop_duplicates().assign(n_agents=len(spans["agent_id"].cat.categories))

    with pytest.raises(tv.FleetError, match=r"^names answers trace 't' alone otherwise than among others\."):
        answer_of(tv.fleet.mapper(names), table_of(SPANS).to_batches())


def test_a_function_may_change_its_frame():
    def first(spans):
        spans["trace"] = spans.pop("trace_id")
        return spans.groupby("trace", observed=True)["start_time"].min().rename_axis("trace_id").reset_index()

    answer = answer_of(tv.fleet.mapper(first), table_of(SPANS).to_batches())
    assert answer.to_dict("list") == {"trace_id": ["t", "u", "v"], "start_time": [0, 3, 5]}


def test_a_function_of_a_user_answers_many_traces():
    def ends(spans):
        return spans.groupby("trace_id", observed=True, as_index=False)["end_time"].max()

    answer = answer_of(tv.fleet.mapper(ends), table_of(SPANS).to_batches(1))
    assert answer.to_dict("list") == {"trace_id": ["t", "u", "v"], "end_time": [10, 4, 9]}


def test_columns_of_a_wrong_type_are_refused_before_any_answer():
    table = table_of(SPANS, start_time=pa.array([0.0, 2.0, 3.0, 5.0]))
    with pytest.raises(tv.BadSpan, match=r"^start_time has type double, not integer microseconds\. Convert it: CAST"):
        next(tv.fleet.mapper(tv.summary, errors="return")(table.to_batches()))
    with pytest.raises(tv.BadSpan, match=r"^start_time has type double"):
        tv.fleet.mapper(tv.summary).frame(table.to_pandas())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"question": "summary"}, "'summary' is not a function of spans, such as tv.summary."),
        ({"errors": "ignore"}, "errors='ignore' is not one of 'raise', 'return'."),
        ({"batch_spans": 0}, "batch_spans=0 is not a positive number of spans."),
        ({"batch_spans": "many"}, "batch_spans='many' is not a positive number of spans."),
        (
            {"question": lambda spans: tv.summary(spans).assign(error=""), "errors": "return"},
            "The answers have a column 'error', so errors=\"return\" cannot add it.",
        ),
    ],
    ids=["no function", "errors", "no spans", "no number", "clash"],
)
def test_options_are_checked(options, message):
    with pytest.raises(tv.BadOption) as error:
        tv.fleet.mapper(**{"question": tv.summary, **options})
    assert str(error.value) == message


def test_payloads_that_are_no_objects_fail_in_their_trace_only():
    table = table_of(with_data(SPANS, a={"status": "error"}))
    data = [*table.column("data").to_pylist()[:2], '["status"]', None]
    answer = pa.Table.from_batches(
        tv.fleet.mapper(tv.summary, errors="return")(table_of(SPANS, data=pa.array(data)).to_batches())
    ).to_pandas()
    assert answer.set_index("trace_id")["error"].dropna().to_dict() == {"u": "BadSpan"}


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("start_time", "x", "start_time has type object, such as 'x' of span '{id}' of trace 'u', not integer microseconds."),
        (
            "end_time",
            2**64,
            "end_time of span '{id}' of trace 'u' contains 18446744073709551616, which does not fit into a 64-bit integer.",
        ),
        ("agent_id", "\ud800", r"agent_id of span '{id}' of trace 'u' contains '\ud800', which cannot be encoded as UTF-8."),
    ],
)
def test_a_value_of_a_frame_that_arrow_cannot_have_names_its_span(column, value, message):
    row = int((SPANS["trace_id"] == "u").to_numpy().argmax())
    values = SPANS[column].tolist()
    values[row] = value
    spans = SPANS.assign(**{column: pd.Series(values, dtype=object)})
    with pytest.raises(tv.BadSpan) as error:
        tv.fleet.mapper(tv.summary).frame(spans)
    assert str(error.value) == message.replace("{id}", SPANS["id"].iloc[row])


def test_a_column_that_is_none_of_a_span_may_have_any_values():
    mapper = tv.fleet.mapper(tv.summary)
    spans = SPANS.assign(other=pd.Series([1, "x", None, 2.5], dtype=object), n_spans=[2, 2, 1, 1])
    assert_frame_equal(mapper.frame(spans), mapper.frame(SPANS))
    with pytest.raises(tv.FleetError, match="'t' has 2 of its 3 spans here"):
        mapper.frame(spans.assign(n_spans=[3, 3, 1, 1]))
