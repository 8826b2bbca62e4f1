import json

import numpy as np
import pandas as pd
import pytest
from conftest import spans_of, spans_with
from hypothesis import given
from hypothesis import strategies as st
from pandas.testing import assert_series_equal

from tokenvis import BadOption, MissingColumn, expand_data
from tokenvis.spans import typed_columns
from tokenvis.spans.parents import parents_of


def column(key, *values):
    """The expanded column of a key with these values; `...` is a span without it."""
    payloads = [None if value is ... else json.dumps({key: value}) for value in values]
    return expand_data(spans_with(*payloads), key)[key]


@pytest.mark.parametrize(
    ("values", "dtype", "expected"),
    [
        ([1, ..., 3], "Int64", [1, pd.NA, 3]),
        ([1, 2.5, ...], "Float64", [1.0, 2.5, pd.NA]),
        ([2**60, 0.5], "Float64", [2.0**60, 0.5]),
        ([True, ..., False], "boolean", [True, pd.NA, False]),
        (["a", ..., ""], "str", ["a", np.nan, ""]),
        ([True, 1], "object", [True, 1]),
        ([1, "a"], "object", [1, "a"]),
        ([[1], {"b": 2}], "object", [[1], {"b": 2}]),
        ([2**63, 1], "object", [2**63, 1]),
        ([2**62 + 1, 0.5], "object", [2**62 + 1, 0.5]),
        ([-(2**63), 2**63 - 1], "Int64", [-(2**63), 2**63 - 1]),
        ([..., None], "object", [None, None]),
    ],
    ids=str,
)
def test_a_column_has_the_narrowest_type_for_all_its_values(values, dtype, expected):
    made = column("key", *values)
    assert str(made.dtype) == dtype
    assert [value for value in made if not np.any(pd.isna(value))] == [
        value for value in expected if not np.any(pd.isna(value))
    ]
    assert made.isna().tolist() == [value is None or value is pd.NA or value is np.nan for value in expected]


def test_columns_are_added_or_replaced():
    spans = spans_with('{"label": "new"}').assign(label="old")
    made = expand_data(spans, ["label", "phase"])
    assert made.columns.tolist() == [*spans.columns, "phase"]
    assert made["label"].tolist() == ["new"]
    assert spans["label"].tolist() == ["old"]


def test_a_lone_surrogate_is_read_as_the_replacement_character():
    made = expand_data(spans_with('{"label": "cut \\ud83d"}', '{"label": "\\ud83d\\ude00"}'), "label")["label"]
    assert (made.tolist(), str(made.dtype)) == (["cut \N{REPLACEMENT CHARACTER}", "\N{GRINNING FACE}"], "str")
    assert parents_of(spans_with('{"parent_id": "\\ud83d"}')["data"]).tolist() == ["\N{REPLACEMENT CHARACTER}"]


def test_a_required_column_is_not_replaced():
    with pytest.raises(BadOption, match=r"^keys= contains 'start_time', a column that every frame of spans needs\.$"):
        expand_data(spans_with("{}"), ["label", "start_time"])
    spans = spans_of("ann 0 1 desk").drop(columns="data")
    with pytest.raises(MissingColumn) as error:
        expand_data(spans, "label")
    assert str(error.value) == f"The spans have no column 'data'. They have: {', '.join(map(repr, spans.columns))}."


@pytest.mark.laws
@given(st.lists(st.sampled_from([..., 1, 2**62 + 1, 0.5, True, "a", [1], 2**63]), max_size=6), st.integers(1, 3))
def test_the_chunk_size_makes_no_difference(values, chunk):
    whole = column("key", *values)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(typed_columns, "PAYLOADS_PER_CHUNK", chunk)
        assert_series_equal(column("key", *values), whole)
