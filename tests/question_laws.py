"""Laws that the answer of every question keeps, for spans that a test draws."""

import pandas as pd
import pytest
from conftest import spans_of
from pandas.testing import assert_frame_equal
from waiting import MARKS, waiting_frames

import tokenvis as tv

NAMES = ["trace_id", "agent_id", "location_id"]
FRAMES = waiting_frames(n_traces=3)
SHIFTS = [100, -7, 1_700_000_000_000_000, 2**62, -(2**62)]
HOSTILE_NAMES = ["$\\frac{", "<script>alert(1)</script>", "a\nb", "\N{PILE OF POO}", "x" * 10_000, "nan", ""]


def with_types(table, types):
    """A table with other types of some columns. `DataFrame.astype` takes several times longer, and as long as a question."""
    return table.assign(
        **{name: table[name].array.astype(dtype) for name, dtype in types.items() if table[name].dtype != dtype}
    )


def plain(table):
    """A table with its categorical columns as plain texts."""
    return with_types(table, {name: "str" for name, dtype in table.dtypes.items() if dtype == "category"})


def with_own_columns(spans):
    """The fields that questions read, in columns and no longer in ``data``."""
    tokens = [f"gen_ai.usage.{key}" for key in ("input_tokens", "output_tokens", "cost")]
    return tv.expand_data(spans, ["links", "requested_by", *MARKS, *tokens]).assign(data=None)


def assert_order_does_not_matter(ask, spans):
    """The order of the rows does not change the answer, and the answer does not change the frame."""
    before = spans.copy(deep=True)
    answer = ask(spans)
    assert_frame_equal(spans, before)
    assert_frame_equal(ask(spans.iloc[::-1]), answer)


def assert_shift_moves_only(times, ask, spans, shift):
    """Spans that are later by ``shift`` have the same answer but for its times."""
    answer = ask(spans)
    later = ask(spans.assign(start_time=spans["start_time"] + shift, end_time=spans["end_time"] + shift))
    assert_frame_equal(later, answer.assign(**{name: answer[name] + shift for name in times if name in answer}))


def assert_dtype_of_names_makes_no_difference(ask, spans):
    """Names as texts, objects or categories in any order, also of halves with unlike categories, have the same answer."""
    answer = plain(ask(spans))
    objects = with_types(spans, dict.fromkeys([*NAMES, "id", "data"], "object"))
    backwards = spans.assign(
        **{name: pd.Categorical(spans[name], categories=["zoe", *sorted(set(spans[name]))[::-1], "adam"]) for name in NAMES}
    )
    middle = len(spans) // 2
    halves = [
        part.assign(**{name: part[name].cat.remove_unused_categories() for name in NAMES})
        for part in (spans.iloc[:middle], spans.iloc[middle:])
    ]
    for same in (plain(spans), objects, backwards, pd.concat(halves)):
        assert_frame_equal(with_types(plain(ask(same)), answer.dtypes), answer)


def assert_bad_spans_are_refused(ask):
    """No frame, a frame without a column that is needed, and a span that ends before it starts are errors that say so."""
    with pytest.raises(tv.MissingColumn, match=r"^The spans have no column 'location_id'\. They have: 'id', 'trace_id', "):
        ask(spans_of("ann 0 1 desk").drop(columns="location_id"))
    with pytest.raises(tv.BadSpan, match=r"^Spans must be a DataFrame, not list\. load_spans\(\) returns one\.$"):
        ask([])
    with pytest.raises(tv.BadSpan, match=r"^Span 'a' of trace 't' ends at 1 before it starts at 5\.$"):
        ask(spans_of("ann 0 1 desk").assign(start_time=5))


def assert_names_are_kept(answer):
    """The names of an answer are those of `HOSTILE_NAMES`, unchanged."""
    for column in answer.select_dtypes("category"):
        assert set(answer[column].dropna()) <= set(HOSTILE_NAMES)
