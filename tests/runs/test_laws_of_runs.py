"""Laws for every question over many runs; `test_questions` has those for questions that answer each trace by itself."""

from functools import partial

import pandas as pd
import pytest
from conftest import spans_of, with_data
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal
from test_questions import FRAMES, NAMES, plain, with_types
from waiting import MARKS

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
    before = spans.copy(deep=True)
    answer = ask(spans)
    assert_frame_equal(spans, before)
    assert_frame_equal(ask(spans.iloc[::-1]), answer)


@pytest.mark.laws
@every_question
@few
@given(spans=FRAMES, shift=st.sampled_from([100, -7, 1_700_000_000_000_000, 2**62, -(2**62)]))
def test_shifting_time_shifts_only_times(ask, spans, shift):
    answer = ask(spans)
    later = ask(spans.assign(start_time=spans["start_time"] + shift, end_time=spans["end_time"] + shift))
    assert_frame_equal(
        later, answer.assign(**{name: answer[name] + shift for name in ("start_a", "start_b") if name in answer})
    )


@pytest.mark.laws
@every_question
@few
@given(spans=FRAMES)
def test_the_dtype_of_names_makes_no_difference(ask, spans):
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


@pytest.mark.laws
@every_question
@few
@given(spans=FRAMES)
def test_fields_in_columns_or_data_make_no_difference(ask, spans):
    tokens = [f"gen_ai.usage.{key}" for key in ("input_tokens", "output_tokens", "cost")]
    own = tv.expand_data(spans, ["links", "requested_by", *MARKS, *tokens]).assign(data=None)
    assert_frame_equal(ask(own), ask(spans))


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
    if ask is alignment_of_two:
        ask = partial(tv.alignment, spans_of("ann 0 1 desk"))
    with pytest.raises(tv.MissingColumn, match=r"^The spans have no column 'location_id'\. They have: 'id', 'trace_id', "):
        ask(spans_of("ann 0 1 desk").drop(columns="location_id"))
    with pytest.raises(tv.BadSpan, match=r"^Spans must be a DataFrame, not list\. load_spans\(\) returns one\.$"):
        ask([])
    with pytest.raises(tv.BadSpan, match=r"^Span 'a' of trace 't' ends at 1 before it starts at 5\.$"):
        ask(spans_of("ann 0 1 desk").assign(start_time=5))


@every_question
def test_names_may_contain_any_character(ask):
    names = ["$\\frac{", "<script>alert(1)</script>", "a\nb", "\N{PILE OF POO}", "x" * 10_000, "nan", ""]
    spans = spans_of(*(f"n{n} {n} {n + 5 * (n == 6) + 1} p{n}" for n in range(len(names))))
    answer = ask(spans.assign(agent_id=names, location_id=names[::-1], trace_id=names))
    for column in answer.select_dtypes("category"):
        assert set(answer[column].dropna()) <= set(names)


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
