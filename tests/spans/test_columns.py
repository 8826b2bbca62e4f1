import re
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from conftest import spans_frames, spans_of
from hypothesis import given
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from tokenvis import BadSpan, MissingColumn
from tokenvis.spans.columns import (
    MAX_MASKED_CATEGORIES,
    REQUIRED,
    as_spans,
    codes_of,
    empty_spans,
    in_frame_order,
    order_of,
    ranks_of,
    require,
    times_of,
)

DTYPES = {
    "id": "str",
    "trace_id": "category",
    "agent_id": "category",
    "location_id": "category",
    "start_time": "int64",
    "end_time": "int64",
    "data": "str",
}
ONE = {"id": "s", "trace_id": "t", "agent_id": "ann", "location_id": "desk", "start_time": 0, "end_time": 5}


def test_the_spans_frame_has_these_columns_and_types():
    for frame in (as_spans([ONE]), as_spans([]), empty_spans(), as_spans(pd.DataFrame([ONE]))):
        assert {name: str(dtype) for name, dtype in frame.dtypes.items()} == DTYPES


def test_spans_may_be_mappings_or_a_frame_of_any_types():
    frame = pd.DataFrame([ONE, {**ONE, "id": "r", "agent_id": "bob"}])
    expected = as_spans(frame.to_dict("records"))
    for same in (
        frame.astype("object"),
        frame.astype({"agent_id": "category", "start_time": "int32", "end_time": "Int64"}),
        frame.astype({"id": "string", "location_id": "string"}),
        frame.astype({"start_time": "uint8"}),
        frame.set_index(pd.Index([7, 7])),
    ):
        assert_frame_equal(as_spans(same), expected)
    assert as_spans(row for row in [ONE])["end_time"].tolist() == [5]
    assert as_spans([{**ONE, "start_time": np.int64(3)}])["start_time"].tolist() == [3]


def test_categories_are_the_names_that_occur_in_lexical_order():
    frame = as_spans(
        [{**ONE, "id": str(n), "agent_id": name} for n, name in enumerate(["b", "a", "\N{LATIN SMALL LETTER E WITH ACUTE}"])]
    )
    assert frame["agent_id"].cat.categories.tolist() == ["a", "b", "\N{LATIN SMALL LETTER E WITH ACUTE}"]
    assert frame["agent_id"].tolist()[:2] == ["b", "a"]


def test_the_given_frame_is_not_changed():
    frame = pd.DataFrame([ONE]).astype("object")
    before = frame.copy(deep=True)
    as_spans(frame, trace_id="t")
    assert_frame_equal(frame, before)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (
            {"start_time": 0.5},
            r"^start_time has type float64, not integer microseconds\. "
            r"Convert it: \(seconds \* 1_000_000\)\.round\(\)\.astype\('int64'\)\.$",
        ),
        (
            {"end_time": pd.Timestamp(0)},
            r"^end_time has type datetime64\[.*\], not integer microseconds\. "
            r"Convert it: pd\.to_datetime\(times, utc=True\)\.dt\.as_unit\('us'\)\.astype\('int64'\)\.$",
        ),
        (
            {"end_time": pd.Timedelta(5)},
            r"^end_time has type timedelta64\[.*\], not integer microseconds\. "
            r"Convert it: pd\.to_timedelta\(times\)\.dt\.as_unit\('us'\)\.astype\('int64'\)\.$",
        ),
        ({"start_time": True}, r"^start_time has type bool, not integer microseconds\.$"),
        ({"start_time": "0"}, r"^start_time has type str, not integer microseconds\.$"),
        ({"start_time": 6}, r"^Span 's' of trace 't' ends at 5 before it starts at 6\.$"),
        (
            {"end_time": 2**63},
            r"^end_time of span 's' of trace 't' contains 9223372036854775808, which does not fit into a 64-bit integer\.$",
        ),
        (
            {"end_time": np.uint64(2**63)},
            r"^end_time of span 's' of trace 't' contains 9223372036854775808, which does not fit into a 64-bit integer\.$",
        ),
        (
            {"end_time": 2**70},
            r"^end_time of span 's' of trace 't' contains 1180591620717411303424, which does not fit into a 64-bit integer\.$",
        ),
        ({"agent_id": None}, r"^Span 's' of trace 't' has no agent_id\. Every span needs one\.$"),
        ({"id": None}, r"^Span of trace 't' in row 0 has no id\. Every span needs one\.$"),
        ({"agent_id": "\ud800"}, r"^agent_id of span 's' of trace 't' contains '\\ud800', which cannot be encoded as UTF-8\.$"),
        (
            {"label": "x"},
            r"^A span has no column 'label'\. Put it into data, or drop it\. Columns: 'id', 'trace_id', 'agent_id', "
            r"'location_id', 'start_time', 'end_time', 'data'\.$",
        ),
        (
            {"parent_id": "\ud800"},
            r"^parent_id of span 's' of trace 't' contains '\\ud800', which cannot be encoded as UTF-8\.$",
        ),
        ({"data": "\ud800"}, r"^data of span 's' of trace 't' contains '\\ud800', which cannot be encoded as UTF-8\.$"),
    ],
    ids=str,
)
def test_an_invalid_span_is_refused_and_its_value_is_shown(bad, message):
    with pytest.raises(BadSpan, match=message):
        as_spans([{**ONE, **bad}])


@pytest.mark.parametrize(
    ("odd", "shown"), [("9", "'9'"), (True, "True"), (pd.Timestamp(0), r"Timestamp\('1970-01-01 00:00:00'\)")], ids=repr
)
def test_the_first_time_that_is_not_an_integer_is_shown(odd, shown):
    with pytest.raises(
        BadSpan, match=rf"^end_time has type object, such as {shown} of span 'r' of trace 't', not integer microseconds\.$"
    ):
        as_spans([ONE, {**ONE, "id": "r", "end_time": odd}])


def test_a_time_is_refused_in_a_frame_too():
    with pytest.raises(
        BadSpan,
        match=r"^end_time of span 's' of trace 't' contains 9223372036854775808, which does not fit into a 64-bit integer\.$",
    ):
        as_spans(pd.DataFrame([ONE]).astype({"end_time": "uint64"}).assign(end_time=np.uint64(2**63)))
    with pytest.raises(
        BadSpan, match=r"^start_time has type category, not integer microseconds\. Convert it: times\.astype\('int64'\)\.$"
    ):
        as_spans(pd.DataFrame([ONE]).astype({"start_time": "category"}))


NOON = pd.Series(pd.to_datetime(["2026-06-21T12:00:00.25", "2026-06-21T12:00:01"], format="ISO8601"))
NOON_US = [1_782_043_200_250_000, 1_782_043_201_000_000]
SPENT = pd.Series(pd.to_timedelta([1.25, 2], unit="s"))
IN_BERLIN = NOON.dt.tz_localize("UTC").dt.tz_convert("Europe/Berlin")
TIMES_OF_OTHER_TYPES = [
    *((times.dt.as_unit(unit), NOON_US) for unit in ("ms", "us", "ns") for times in (NOON, IN_BERLIN)),
    *((times.dt.as_unit("ns").astype(f"{name}[pyarrow]"), NOON_US) for times, name in (
        (NOON, "timestamp[ns]"), (NOON, "timestamp[us]"), (IN_BERLIN, "timestamp[ms, tz=Europe/Berlin]"),
    )),
    (IN_BERLIN.dt.floor("s").dt.as_unit("s"), [1_782_043_200_000_000, 1_782_043_201_000_000]),
    (NOON.dt.date, [1_782_000_000_000_000] * 2),
    (NOON.dt.date.astype("date32[pyarrow]"), [1_782_000_000_000_000] * 2),
    (NOON.astype(object), NOON_US),
    (IN_BERLIN.astype(object), NOON_US),
    (NOON.astype("category"), NOON_US),
    (pd.Series(["2026-06-21T12:00:00.25Z", "2026-06-21T14:00:01+02:00"]), NOON_US),
    (pd.Series(["2026-06-21T12:00:00.25", "2026-06-21 12:00:01"], dtype=object), NOON_US),
    (pd.Series(["2026-06-21T12:00:00.25", "2026-06-21T12:00:01"], dtype="string[pyarrow]"), NOON_US),
    *((SPENT.dt.as_unit(unit), [1_250_000, 2_000_000]) for unit in ("ms", "us", "ns")),
    (SPENT.dt.as_unit("ms").astype("duration[ms][pyarrow]"), [1_250_000, 2_000_000]),
    (SPENT.astype(object), [1_250_000, 2_000_000]),
    *((pd.Series([1.25, 2.0], dtype=name), [1_250_000, 2_000_000]) for name in (
        "float64", "float32", "Float64", "double[pyarrow]", "object",
    )),
    (pd.Series([Decimal("1.25"), Decimal(2)]), [1_250_000, 2_000_000]),
    (pd.Series([5, 6], dtype=object), [5, 6]),
    (pd.Series([5, 6]).astype("category"), [5, 6]),
]  # fmt: skip


@pytest.mark.parametrize(("times", "expected"), TIMES_OF_OTHER_TYPES, ids=lambda value: str(getattr(value, "dtype", "")))
def test_the_advice_on_times_of_another_type_is_right_when_it_is_followed(times, expected):
    spans = spans_of("ann 0 1 desk", "ann 1 2 desk").assign(start_time=times.array)
    with pytest.raises(BadSpan) as caught:
        times_of(spans)
    advice = re.fullmatch(r"start_time has type .*, not integer microseconds\. Convert it: (.*)\.", str(caught.value))[1]
    converted = eval(advice, {"pd": pd, "times": times, "seconds": times})
    assert (converted.dtype, converted.tolist()) == ("int64", expected)


@pytest.mark.parametrize("times", [["9", "x"], [True, 5], ["5", 5], [NOON[0], 5], pd.period_range("2026", periods=2, freq="D")])
def test_times_of_several_types_or_of_none_have_no_advice(times):
    spans = spans_of("ann 0 1 desk", "ann 1 2 desk").assign(start_time=pd.Series(times, dtype=getattr(times, "dtype", object)))
    with pytest.raises(BadSpan, match=r"^start_time has type .*, not integer microseconds\.$"):
        times_of(spans)


@pytest.mark.parametrize("times", [NOON, IN_BERLIN, SPENT, pd.Series([1.5, 2]), pd.Series(["2026-06-21", "2026-06-22"])])
def test_a_missing_time_is_told_before_its_type(times):
    spans = spans_of("ann 0 1 desk", "ann 1 2 desk").assign(start_time=times.where([True, False]).array)
    with pytest.raises(BadSpan, match=r"^Span 'b' of trace 't' has no start_time\. Every span needs one\.$"):
        times_of(spans)


def test_a_parent_is_a_text_or_missing():
    spans = as_spans([{**ONE, "parent_id": parent, "id": str(n)} for n, parent in enumerate(["p", None, float("nan"), 7])])
    assert (spans["parent_id"].fillna("-").tolist(), str(spans["parent_id"].dtype)) == (["p", "-", "-", "7"], "str")


def test_a_span_is_a_mapping():
    with pytest.raises(BadSpan, match=r"^A span must be a mapping, not str: 'id'\. Or pass a DataFrame\.$"):
        as_spans(ONE)
    with pytest.raises(BadSpan, match=r"^Spans must be a DataFrame or mappings, not NoneType\.$"):
        as_spans(None)


def test_a_missing_key_is_named():
    with pytest.raises(
        MissingColumn,
        match=r"^The spans have no column 'agent_id', 'end_time'\. They have: 'id', 'trace_id', 'location_id', 'start_time'\.$",
    ):
        as_spans([{key: value for key, value in ONE.items() if key not in ("agent_id", "end_time")}])


def test_a_time_is_missing_in_the_spans_that_lack_it():
    with pytest.raises(BadSpan, match=r"^Span 's' of trace 't' has no end_time\. Every span needs one\.$"):
        as_spans([ONE, {key: value for key, value in ONE.items() if key != "end_time"}])


def test_a_given_trace_id_applies_to_all_spans():
    assert as_spans([{key: value for key, value in ONE.items() if key != "trace_id"}], trace_id="u")["trace_id"].tolist() == [
        "u"
    ]
    with pytest.raises(BadSpan, match=r"^Span 's' of trace 't' does not belong to trace 'u'\.$"):
        as_spans([ONE], trace_id="u")


def test_more_columns_can_be_required():
    spans = spans_of("ann 0 1 desk")
    require(spans, "agent_id")
    with pytest.raises(MissingColumn) as error:
        require(spans, "phase")
    assert str(error.value) == f"The spans have no column 'phase'. They have: {', '.join(map(repr, spans.columns))}."
    with pytest.raises(BadSpan, match=r"^Spans must be a DataFrame, not list\. load_spans\(\) returns one\.$"):
        require([ONE])


def test_a_duplicate_column_is_refused():
    twice = pd.concat([spans_of("ann 0 1 desk"), spans_of("bob 0 1 desk")[["agent_id"]]], axis=1)
    with pytest.raises(BadSpan, match=r"^The spans have several columns 'agent_id'\. Drop all but one\.$"):
        require(twice)


def test_times_are_int64_for_any_integer_column():
    start, end = times_of(spans_of("ann 0 1 desk").astype({"start_time": "Int32", "end_time": "uint16"}))
    assert (start.dtype, end.dtype) == ("int64", "int64")
    with pytest.raises(BadSpan, match=r"^Span in row 0 has no start_time\. Every span needs one\.$"):
        times_of(pd.DataFrame({"start_time": pd.array([None], dtype="Int64"), "end_time": [1]}))


NAMES = st.lists(st.sampled_from(["b", "a", "C", "\U0001f600", "é", "", "~"]), max_size=8)


OTHER_NAMES = [f"name {number}" for number in range(MAX_MASKED_CATEGORIES)]


@pytest.mark.laws
@given(NAMES, st.permutations(["b", "a", "C", "\U0001f600", "é", "", "~", "unused"]))
def test_codes_are_ranks_of_the_values_for_any_column_type(names, categories):
    ranks = {name: rank for rank, name in enumerate(sorted(set(names)))}
    many = [*categories, *OTHER_NAMES]
    columns = [
        pd.Series(names, dtype="str"),
        pd.Series(names, dtype="object"),
        *(pd.Series(pd.Categorical(names, categories=of_column)) for of_column in (categories, sorted(categories))),
        *(pd.Series(pd.Categorical(names, categories=of_column)) for of_column in (many, sorted(many))),
        pd.concat([pd.Series(pd.Categorical(part)) for part in (names[:3], names[3:])]),
    ]
    for column in columns:
        codes, labels = codes_of(column)
        assert codes.tolist() == [ranks[name] for name in names]
        assert labels.tolist() == list(ranks)
        assert ranks_of(column).tolist() == codes.tolist()
        assert codes.dtype == "int64"


def test_a_missing_value_has_the_code_minus_one():
    for dtype in ("str", "object", "category"):
        codes, labels = codes_of(pd.Series(["b", None, "a"], dtype=dtype))
        assert (codes.tolist(), labels.tolist()) == ([1, -1, 0], ["a", "b"])
    for categories in (["a", "b", "c"], ["a", "b", *OTHER_NAMES], ["b", "a", *OTHER_NAMES]):
        for values, expected in ((["b", None, "a"], [1, -1, 0]), ([None], [-1]), ([], [])):
            column = pd.Series(pd.Categorical(values, categories=categories))
            assert codes_of(column)[0].tolist() == ranks_of(column).tolist() == expected
            assert codes_of(column)[1].tolist() == sorted(filter(None, values))


def test_numbers_are_ranked_as_numbers_and_mixed_types_as_text():
    assert codes_of(pd.Series([10, 9, 10]))[0].tolist() == [1, 0, 1]
    assert codes_of(pd.Series([10, "b", 9], dtype="object"))[1].tolist() == ["10", "9", "b"]


@pytest.mark.laws
@given(spans_frames(max_spans=20))
def test_the_order_equals_that_of_row_tuples(spans):
    for first in ((), ("trace_id",), ("trace_id", "agent_id")):
        keys = [*first, "start_time", "end_time", "agent_id", "id", "trace_id"]
        expected = sorted(spans[keys].itertuples(index=False, name=None))
        assert list(in_frame_order(spans, *first)[keys].itertuples(index=False, name=None)) == expected
    assert sorted(order_of(spans)) == list(range(len(spans)))


@pytest.mark.laws
@given(spans_frames(parents=True, data=True))
def test_plain_columns_get_the_types_and_the_order_of_a_spans_frame(spans):
    plain = spans.astype(dict.fromkeys(REQUIRED, "object"))
    assert_frame_equal(in_frame_order(as_spans(plain)).reset_index(drop=True), spans.sort_index())


def test_equal_ids_in_two_traces_have_an_order():
    spans = spans_of("ann 0 1 desk u", "ann 0 1 desk t").assign(id="same")
    assert in_frame_order(spans)["trace_id"].tolist() == ["t", "u"]


def test_a_time_with_half_of_a_surrogate_pair_is_no_integer():
    span = {"id": "1", "trace_id": "t", "agent_id": "a", "location_id": "x", "start_time": "\ud800", "end_time": 1}
    with pytest.raises(BadSpan) as error:
        as_spans([span])
    assert (
        str(error.value) == r"start_time has type object, such as '\ud800' of span '1' of trace 't', not integer microseconds."
    )


def test_bytes_that_are_no_text_name_their_span():
    spans = spans_of("ann 0 1 desk").assign(agent_id=pd.Series([b"\xff"], dtype=object))
    with pytest.raises(BadSpan) as error:
        as_spans(spans)
    assert str(error.value) == r"agent_id of span 'a' of trace 't' contains b'\xff', which cannot be encoded as UTF-8."
