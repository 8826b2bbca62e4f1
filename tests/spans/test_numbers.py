import json

import pandas as pd
import pytest
from conftest import spans_with
from hypothesis import given
from hypothesis import strategies as st

from tokenvis.spans import payload
from tokenvis.spans.numbers import numbers_in


def test_numbers_come_from_mappings_too():
    spans = spans_with({"n": 3}, None, {"n": 0.5}, {"attributes": {"n": 2**62}})
    large = numbers_in(spans.assign(data=[{"n": 3}, None, {"n": 0.5}, {"n": 2**62 + 1}]), ["n"])["n"].column
    assert large.fillna(-1).tolist() == [3.0, -1.0, 0.5, 2.0**62]
    assert numbers_in(spans, ["n", "m"])["n"].column.fillna(-1).tolist() == [3.0, -1.0, 0.5, 2.0**62]
    assert numbers_in(spans, ["n", "m"])["m"].column.isna().all()


def test_other_values_are_returned_with_their_rows():
    spans = spans_with('{"n": 1}', '{"n": "2"}', None, '{"n": true}', '{"n": 4}', '{"n": 9223372036854775808}')
    column, rows, values = numbers_in(spans, ["n"])["n"]
    assert (column.tolist(), str(column.dtype)) == ([1, pd.NA, pd.NA, pd.NA, 4, pd.NA], "Int64")
    assert (rows.tolist(), values) == ([1, 3, 5], ["2", True, 2**63])


def test_a_float_beside_an_integer_beyond_64_bits_does_not_make_it_a_number():
    column, rows, values = numbers_in(spans_with('{"n": 0.5}', '{"n": 9223372036854775808}', '{"n": 1e300}'), ["n"])["n"]
    assert (column.tolist(), rows.tolist(), values) == ([0.5, pd.NA, 1e300], [1], [2**63])


def test_no_key_is_no_column():
    assert numbers_in(spans_with("not JSON"), []) == {}
    for spans in (spans_with(None), spans_with(None).drop(columns="data")):
        assert numbers_in(spans, ["n"])["n"].column.tolist() == [pd.NA]


@pytest.mark.laws
@given(
    st.lists(st.sampled_from([..., 1, 2**62 + 1, 0.5, True, "a", [1], 2**63]), max_size=6),
    st.integers(1, 3),
    st.sampled_from([1, 40, 1_000]),
)
def test_the_chunk_size_makes_no_difference(values, first, chunk):
    spans = spans_with(*(None if value is ... else json.dumps({"n": value}) for value in values))
    whole = numbers_in(spans, ["n"])["n"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(payload, "FIRST_PAYLOADS", first)
        patch.setattr(payload, "CHUNK_BYTES", chunk)
        part = numbers_in(spans, ["n"])["n"]
    pd.testing.assert_series_equal(part.column, whole.column)
    assert (part.invalid_rows.tolist(), part.invalid_values) == (whole.invalid_rows.tolist(), whole.invalid_values)
