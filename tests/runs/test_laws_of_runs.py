"""Laws for every question over many runs; `test_questions` has those for questions that answer each trace by itself."""

from functools import partial

import pandas as pd
import pytest
from conftest import spans_of, with_data
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal
from question_laws import (
    FRAMES,
    HOSTILE_NAMES,
    SHIFTS,
    assert_bad_spans_are_refused,
    assert_dtype_of_names_makes_no_difference,
    assert_names_are_kept,
    assert_order_does_not_matter,
    assert_shift_moves_only,
    with_own_columns,
)

import tokenvis as tv

few = settings(max_examples=max(settings.default.max_examples // 10, 1))  # each example asks a question several times
PRICES = {"m": {"input": 1, "output": 2}}


def tokens_told(spans):
    """What makes runs take many tokens; nothing if no run tells its tokens, which is an error."""
    told = tv.usage(spans, by="trace_id")[["input_tokens", "output_tokens"]].notna().any(axis=None)
    if not len(spans) or (told and not tv.usage(spans, by="trace_id")["n_silent"].any()):
        return tv.contributions(spans, outcome="tokens")
    return pd.DataFrame()


def alignment_of_two(spans):
    """The alignment of the first two runs."""
    names = [*sorted(spans["trace_id"].astype("str").unique()), "", ""]
    return tv.alignment(*(spans[spans["trace_id"] == name] for name in names[:2]))


QUESTIONS_OVER_RUNS = {
    "alignment": alignment_of_two,
    "compare": partial(tv.compare, by="agent_id"),
    "compare role": partial(tv.compare, by=["location_id", "agent_id"], match="role", baseline="median", prices=PRICES),
    "compare runs": partial(tv.compare, by="trace_id"),
    "contributions": tv.contributions,
    "contributions errors": partial(tv.contributions, outcome="errors", match="agent_id"),
    "contributions tokens": tokens_told,
}
every_question = pytest.mark.parametrize("ask", QUESTIONS_OVER_RUNS.values(), ids=QUESTIONS_OVER_RUNS)


def test_every_question_over_runs_is_tested_by_these_laws():
    public = {name for name in tv.__all__ if str(getattr(getattr(tv, name), "__module__", "")).startswith("tokenvis.runs.")}
    assert public == {name.split()[0] for name in QUESTIONS_OVER_RUNS}


@pytest.mark.laws
@every_question
@few
@given(spans=FRAMES)
def test_the_order_of_rows_does_not_matter_and_the_frame_is_not_changed(ask, spans):
    assert_order_does_not_matter(ask, spans)


@pytest.mark.laws
@every_question
@few
@given(spans=FRAMES, shift=st.sampled_from(SHIFTS))
def test_shifting_time_shifts_only_times(ask, spans, shift):
    assert_shift_moves_only(("start_a", "start_b"), ask, spans, shift)


@pytest.mark.laws
@every_question
@few
@given(spans=FRAMES)
def test_the_dtype_of_names_makes_no_difference(ask, spans):
    assert_dtype_of_names_makes_no_difference(ask, spans)


@pytest.mark.laws
@every_question
@few
@given(spans=FRAMES)
def test_fields_in_columns_or_data_make_no_difference(ask, spans):
    assert_frame_equal(ask(with_own_columns(spans)), ask(spans))


@every_question
def test_an_empty_frame_gives_an_empty_result_with_the_same_columns_and_types(ask):
    payload = {"status": "error", "attributes": {"gen_ai.usage.input_tokens": 3}}
    spans = spans_of(
        *(f"ann {start} {start + 9} desk {run}" for run, start in zip("abcd", (0, 10, 20, 30), strict=True)), "bob 40 99 lab d"
    )
    spans = with_data(spans, a=payload, b=payload, c=payload, d=payload, e={"status": "error"})
    full, empty = ask(spans), ask(spans.iloc[:0])
    assert len(full) > 0 or ask is tokens_told
    assert len(empty) == 0
    assert full.dtypes.astype(str).to_dict() == empty.dtypes.astype(str).to_dict()
    kinds = set(full.dtypes.astype(str))
    assert kinds <= {"category", "int64", "Int64", "Float64", "str", "object", "bool"}


@every_question
def test_other_objects_than_frames_of_spans_are_refused(ask):
    assert_bad_spans_are_refused(partial(tv.alignment, spans_of("ann 0 1 desk")) if ask is alignment_of_two else ask)


@every_question
def test_names_may_contain_any_character(ask):
    names = HOSTILE_NAMES
    spans = spans_of(*(f"n{n} {n} {n + 5 * (n == 6) + 1} p{n}" for n in range(len(names))))
    assert_names_are_kept(ask(spans.assign(agent_id=names, location_id=names[::-1], trace_id=names)))


@every_question
def test_parents_that_are_only_in_data_are_refused_with_the_line_that_adds_them(ask):
    raw = with_data(spans_of("ann 0 20 desk", "bob 8 15 lab"), b={"parent_id": "a"})
    with pytest.raises(tv.MissingColumn, match=r"^The spans have parents in data, but no column 'parent_id'\. Add it: "):
        ask(raw)


def test_repeated_ids_are_answered_and_pieces_are_refused():
    repeated = pd.concat([spans_of("ann 0 9 desk a", "bob 0 5 lab a").assign(id="x"), spans_of("ann 0 20 desk b")])
    assert tv.compare(repeated, by="trace_id")["path_us"].tolist() == [9, 20]
    assert tv.contributions(repeated, baseline="a")["contribution"].sum() == 11
    spans = spans_of("ann 0 20 desk a", "ann 5 9 lab a", parents={"b": "a"})
    for ask in (partial(tv.compare, by="agent_id"), tv.contributions, alignment_of_two):
        with pytest.raises(tv.BadSpan, match=r"^Span 'a' is in several rows of trace 'a'\. Pass each span once, uncut"):
            ask(tv.self_spans(spans))
