import numpy as np
import pandas as pd
import pytest
from conftest import spans_frames, spans_of
from hypothesis import given

from tokenvis import BadOption
from tokenvis.spans.groups import by_columns, dense_ranks, groups_of, ratio


def test_groups_are_numbered_by_trace_then_value_and_a_missing_value_is_last():
    spans = spans_of("bob 0 1 desk u", "ann 1 2 desk t", "bob 2 3 desk t", "ann 3 4 lab u").assign(
        phase=pd.Series([None, "late", "early", None], dtype="str")
    )
    groups = groups_of(spans, "trace_id", "phase")
    assert groups.group.tolist() == [2, 1, 0, 2]
    assert len(groups) == 3
    names = groups.names(spans)
    assert list(names["trace_id"]) == ["t", "t", "u"]
    assert pd.Series(names["phase"]).fillna("none").tolist() == ["early", "late", "none"]


@pytest.mark.laws
@given(spans_frames())
def test_rows_share_a_group_when_they_share_the_values(spans):
    groups = groups_of(spans, "trace_id", "agent_id", "location_id")
    keys = list(zip(*(spans[column] for column in ("trace_id", "agent_id", "location_id")), strict=True))
    assert groups.group.tolist() == [sorted(set(keys)).index(key) for key in keys]
    assert [keys[row] for row in groups.first] == sorted(set(keys))


def test_sparse_combinations_are_ranked_too():
    assert dense_ranks(np.array([7, 10**12, 7]), 10**13)[0].tolist() == [0, 1, 0]
    assert dense_ranks(np.array([7, 1, 7]), 8)[0].tolist() == [1, 0, 1]


def test_the_trace_comes_first_and_columns_are_distinct():
    assert by_columns(None, ()) == ["trace_id"]
    assert by_columns("agent_id", ()) == ["trace_id", "agent_id"]
    assert by_columns(["agent_id", "trace_id", "agent_id"], ()) == ["trace_id", "agent_id"]
    with pytest.raises(BadOption, match=r"^by='time' is also a column of the result\. Rename it in the spans first\.$"):
        by_columns("time", ("time", "running"))
    with pytest.raises(BadOption, match=r"^by=3 is neither a name nor a list of names\.$"):
        by_columns(3, ())


def test_a_ratio_with_denominator_zero_is_missing():
    share = ratio(np.array([1, 0, 0]), np.array([4, 4, 0]))
    assert share.dtype == "Float64"
    assert share.fillna(-1).tolist() == [0.25, 0.0, -1.0]
