import numpy as np
import pandas as pd
import pytest
from conftest import spans_of
from hypothesis import given
from hypothesis import strategies as st

import tokenvis as tv
from tokenvis.spans.bad_rows import first_bad, span_at


@pytest.mark.parametrize(
    ("name", "trace", "shown"),
    [
        ("b", "t", "'b' of trace 't'"),
        (None, "t", "of trace 't' in row 1"),
        ("b", None, "'b' in row 1"),
        (float("nan"), pd.NA, "in row 1"),
        (7, 8, "7 of trace 8"),
        ("<b>\n\x00", "\ud800", r"'<b>\n\x00' of trace '\ud800'"),
        ("x" * 10_000, "", f"'{'x' * 60}'… (10,000 characters) of trace ''"),
        ([1], {}, "[1] of trace {}"),
    ],
)
def test_a_span_is_named_by_its_id_and_its_trace_and_else_by_its_row(name, trace, shown):
    spans = pd.DataFrame({"id": ["a", name], "trace_id": ["t", trace]}, dtype=object).set_axis([5, 5])
    assert span_at(spans, 1) == shown


def test_a_frame_without_ids_or_with_several_columns_of_them_has_rows_only():
    spans = spans_of("ann 0 1 desk")
    assert span_at(spans[["id", "agent_id"]], 0) == "'a' in row 0"
    assert span_at(spans[["agent_id"]], 0) == "in row 0"
    assert span_at(pd.concat([spans, spans[["id"]]], axis=1), 0) == "of trace 't' in row 0"


@pytest.mark.laws
@given(st.lists(st.booleans(), min_size=1).filter(any))
def test_the_first_bad_row_is_named_and_the_others_are_counted(marks):
    row, others = first_bad(np.array(marks))
    assert (row, others) == first_bad(pd.Series(marks, dtype="boolean"))
    assert row == marks.index(True)
    n_others = marks.count(True) - 1
    assert others == ("" if not n_others else f" The same holds for {n_others} more span{'s' if n_others > 1 else ''}.")


MANY = spans_of(*(f"ann {n} {n + 1} desk t{n // 3}" for n in range(9))).assign(id=["a", "b", "c"] * 3)


def changed(column, *values):
    """Nine spans of three traces with the same ids; in the second one, values of a column are replaced from its second row."""
    column_values = MANY[column].astype(object).tolist()
    column_values[4 : 4 + len(values)] = values
    return MANY.assign(**{column: pd.Series(column_values, dtype=object)})


@pytest.mark.parametrize(
    ("spans", "message"),
    [
        (changed("agent_id", None), "Span 'b' of trace 't1' has no agent_id. Every span needs one."),
        (
            changed("location_id", None, None),
            "Span 'b' of trace 't1' has no location_id. The same holds for 1 more span. Every span needs one.",
        ),
        (changed("id", None), "Span of trace 't1' in row 4 has no id. Every span needs one."),
        (changed("trace_id", None), "Span 'b' in row 4 has no trace_id. Every span needs one."),
        (
            changed("end_time", None, None),
            "Span 'b' of trace 't1' has no end_time. The same holds for 1 more span. Every span needs one.",
        ),
        (
            changed("end_time", 1, 1, 1).astype({"end_time": "int64"}),
            "Span 'b' of trace 't1' ends at 1 before it starts at 4. The same holds for 2 more spans.",
        ),
        (
            changed("start_time", 2**63, 2**64 - 1).astype({"start_time": "uint64"}),
            "start_time of span 'b' of trace 't1' contains 9223372036854775808, which does not fit into a 64-bit integer. "
            "The same holds for 1 more span.",
        ),
        (
            changed("start_time", pd.Timestamp(0)),
            "start_time has type object, such as Timestamp('1970-01-01 00:00:00') of span 'b' of trace 't1', not integer "
            "microseconds.",
        ),
        (
            changed("start_time", 0.5),
            "start_time has type object, such as 0.5 of span 'b' of trace 't1', not integer microseconds. Convert it: "
            "(seconds * 1_000_000).round().astype('int64').",
        ),
    ],
)
def test_a_question_about_many_traces_names_the_span_at_fault_and_its_trace(spans, message):
    with pytest.raises(tv.BadSpan) as error:
        tv.summary(spans)
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        (
            "end_time",
            2**63,
            "end_time of span 'b' of trace 't1' contains 9223372036854775808, which does not fit into a 64-bit integer.",
        ),
        ("agent_id", "\ud800", r"agent_id of span 'b' of trace 't1' contains '\ud800', which cannot be encoded as UTF-8."),
        ("parent_id", "\ud800", r"parent_id of span 'b' of trace 't1' contains '\ud800', which cannot be encoded as UTF-8."),
        ("data", "\ud800", r"data of span 'b' of trace 't1' contains '\ud800', which cannot be encoded as UTF-8."),
        ("data", "{", "data of span 'b' of trace 't1' is not a JSON object: '{' (Expecting property name enclosed in double "),
        ("trace_id", "t2", "Span 'a' of trace 't0' does not belong to trace 't1'. The same holds for 6 more spans."),
        ("id", "a", "Span 'a' of trace 't1' is given twice. Every span needs a unique id."),
    ],
)
def test_writing_names_the_span_at_fault_and_its_trace(column, value, message):
    spans = (
        changed(column, value)
        if column in MANY
        else MANY.assign(**{column: pd.Series([None] * 4 + [value] + [None] * 4, dtype=object)})
    )
    with pytest.raises(tv.BadSpan) as error:
        tv.Store().write_trace("t1", spans if column == "trace_id" else spans[3:6].reset_index(drop=True))
    assert str(error.value).startswith(message)
