"""Batches of any size become tables of whole traces; traces that were cut or are apart are named."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenvis import FleetError
from tokenvis.fleet.rebatching import check_not_cut, runs_of, whole_traces


def batch(text, **columns):
    """A batch with a row for each letter, the id of its trace; "." is a missing id."""
    return pa.record_batch(
        {"trace_id": pa.array([None if letter == "." else letter for letter in text], pa.string()), **columns}
    )


def ids_of(tables):
    """The ids of each table as a text."""
    return ["".join(trace_id or "." for trace_id in table.column("trace_id").to_pylist()) for table in tables]


def test_a_trace_is_not_cut_at_the_border_of_a_batch():
    assert ids_of(whole_traces(map(batch, ["aab", "bb", "", "bc", "dd"]), 4)) == ["aabbbb", "cdd"]


def test_a_batch_may_begin_with_a_new_trace():
    assert ids_of(whole_traces(map(batch, ["aa", "bb", "cc"]), 2)) == ["aa", "bb", "cc"]


def test_large_batches_become_several_tables():
    assert ids_of(whole_traces([batch("aabbccddee")], 4)) == ["aabbcc", "ddee"]


@pytest.mark.laws
@given(sizes=st.lists(st.integers(1, 9), max_size=12), cuts=st.lists(st.integers(0, 30)), n_spans=st.integers(1, 12))
@pytest.mark.filterwarnings("ignore:Trace")
def test_each_trace_is_whole_in_one_table_and_no_row_is_lost(sizes, cuts, n_spans):
    text = "".join(chr(ord("A") + number) * size for number, size in enumerate(sizes))
    bounds = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    batches = [batch(text[first:last]) for first, last in zip(bounds, bounds[1:], strict=False)]
    tables = ids_of(whole_traces(batches, n_spans))
    assert "".join(tables) == text
    assert sum(len(set(table)) for table in tables) == len(sizes)
    largest = max(sizes, default=0)
    assert all(len(table) >= n_spans for table in tables[:-1])
    assert all(len(table) < 2 * n_spans + largest for table in tables)


@pytest.mark.filterwarnings("ignore:Trace")
def test_rows_apart_are_named_before_a_second_answer():
    message = (
        "The rows of trace 'a' are apart: they come again after those of trace 'b'. Sort the rows by trace_id first: in Spark, "
        'df.repartition("trace_id").sortWithinPartitions("trace_id"); in Dask, df.shuffle("trace_id"); '
        "in SQL, ORDER BY trace_id."
    )
    for texts in (["aab", "a"], ["aa", "b", "a"], ["aaba"]):
        with pytest.raises(FleetError) as error:
            list(whole_traces(map(batch, texts), 1))
        assert str(error.value) == message


@pytest.mark.filterwarnings("ignore:Trace")
def test_rows_without_a_trace_are_a_group_of_their_own():
    assert ids_of(whole_traces(map(batch, ["a.", ".b"]), 1)) == ["a", "..", "b"]
    assert runs_of(batch("a..b")).trace_ids == ["a", None, "b"]


def test_a_trace_that_is_larger_than_a_batch_is_whole_and_told():
    with pytest.warns(
        UserWarning, match=r"^Trace 'b' has 6 spans, more than the 3 of a batch\. It is answered whole, so "
    ) as warned:
        assert ids_of(whole_traces(map(batch, ["ab", "bbb", "bb", "c"]), 3)) == ["abbbbbb", "c"]
    assert len(warned) == 1


def test_a_trace_that_an_engine_has_cut_is_named():
    check_not_cut(pa.Table.from_batches([batch("aab", n_spans=np.array([2, 2, 1]))]))
    check_not_cut(pa.Table.from_batches([batch("aab")]))
    with pytest.raises(FleetError) as error:
        check_not_cut(pa.Table.from_batches([batch("aab", n_spans=np.array([2, 2, 3]))]))
    assert str(error.value) == (
        "Trace 'b' has 1 of its 3 spans here: it was cut. Sort the rows by trace_id first: in Spark, "
        'df.repartition("trace_id").sortWithinPartitions("trace_id"); in Dask, df.shuffle("trace_id"); '
        "in SQL, ORDER BY trace_id. If you left spans out on purpose, drop the column 'n_spans' too."
    )


def test_a_trace_in_two_files_is_named():
    with pytest.raises(FleetError) as error:
        check_not_cut(pa.Table.from_batches([batch("aaa", n_spans=np.array([2, 2, 1]))]))
    assert str(error.value) == (
        "Trace 'a' is in several files, which tell different numbers of its spans. Export it into one: "
        "tv.Fleet(...) names the files."
    )
