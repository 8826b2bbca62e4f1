"""Laws for every question, and one example frame for all of them, with expected results computed by hand."""

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
    NAMES,
    SHIFTS,
    assert_bad_spans_are_refused,
    assert_dtype_of_names_makes_no_difference,
    assert_names_are_kept,
    assert_order_does_not_matter,
    assert_shift_moves_only,
    plain,
    with_own_columns,
)

import tokenvis as tv
from tokenvis.spans.columns import MAX_MASKED_CATEGORIES

EVERY_EVIDENCE = ("link", "parent", "location")
QUESTIONS = {
    "agent_tree": tv.agent_tree,
    "agent_tree prices": partial(tv.agent_tree, prices={"m": {"input": 1, "output": 2}}),
    "colocation": tv.colocation,
    "concurrency": tv.concurrency,
    "concurrency by": partial(tv.concurrency, by=["agent_id", "location_id"]),
    "critical_path": tv.critical_path,
    "critical_path location": partial(tv.critical_path, evidence=EVERY_EVIDENCE),
    "diagnose": tv.diagnose,
    "fanouts": tv.fanouts,
    "gaps": tv.gaps,
    "handoffs": tv.handoffs,
    "handoffs location": partial(tv.handoffs, evidence=EVERY_EVIDENCE, within_us=2),
    "moves": tv.moves,
    "occupancy": tv.occupancy,
    "rollup": partial(tv.rollup, every=3, values="gen_ai.usage.input_tokens"),
    "rollup by": partial(tv.rollup, every=3, by="agent_id"),
    "summary": tv.summary,
    "summary by": partial(tv.summary, by=["location_id", "agent_id"]),
    "time_spent": tv.time_spent,
    "time_spent by": partial(tv.time_spent, by=["trace_id", "location_id"]),
    "transitions": tv.transitions,
    "usage": tv.usage,
    "usage by": partial(tv.usage, by=["trace_id", "location_id"], prices={"m": {"input": 1, "output": 2}}),
    "waits": tv.waits,
}
OF_TWO = {"compare"}  # takes two frames; see its own tests
TIMES = ["time", "first", "last", "left", "arrived", "start", "end"]
some = settings(max_examples=settings.default.max_examples // 3)  # there are many questions, and each has separate oracles
every_question = pytest.mark.parametrize("ask", QUESTIONS.values(), ids=QUESTIONS)
most_questions = pytest.mark.parametrize(  # without their options in a quick run
    "ask", [pytest.param(ask, id=name, marks=pytest.mark.full if " " in name else ()) for name, ask in QUESTIONS.items()]
)


def test_every_question_is_tested_by_these_laws():
    questions = {
        name for name in tv.__all__ if str(getattr(getattr(tv, name), "__module__", "")).startswith("tokenvis.analysis.")
    }
    missing = questions - OF_TWO - {name.split()[0] for name in QUESTIONS}
    assert missing == set(), "each public question is to stand in QUESTIONS of this file"


@pytest.mark.laws
@every_question
@some
@given(spans=FRAMES)
def test_the_order_of_rows_does_not_matter_and_the_frame_is_not_changed(ask, spans):
    assert_order_does_not_matter(ask, spans)


@pytest.mark.laws
@every_question
@some
@given(spans=FRAMES, shift=st.sampled_from(SHIFTS))
def test_shifting_time_shifts_only_times(ask, spans, shift):
    assert_shift_moves_only(TIMES, ask, spans, shift)


@pytest.mark.laws
@every_question
@some
@given(spans=FRAMES)
def test_traces_are_independent(ask, spans):
    parts = [plain(ask(part)) for _, part in spans.groupby("trace_id", observed=True)]
    if parts:
        assert_frame_equal(plain(ask(spans)), pd.concat(parts, ignore_index=True), check_dtype="rollup" not in str(ask))


@pytest.mark.laws
@most_questions
@some
@given(spans=FRAMES)
def test_the_dtype_of_names_makes_no_difference(ask, spans):
    assert_dtype_of_names_makes_no_difference(ask, spans)


FLEET_NAMES = [f"{prefix}{number:04}" for prefix in ("an", "zo") for number in range(MAX_MASKED_CATEGORIES // 2 + 1)]


@pytest.mark.full
@pytest.mark.laws
@every_question
@some
@given(spans=FRAMES)
def test_the_names_of_other_traces_as_categories_make_no_difference(ask, spans):
    answer = ask(spans)
    fleet = spans.assign(
        **{name: pd.Categorical(spans[name], categories=sorted({*FLEET_NAMES, *spans[name].cat.categories})) for name in NAMES}
    )
    of_fleet = ask(fleet)
    assert_frame_equal(plain(of_fleet), plain(answer))
    assert {name: str(dtype) for name, dtype in of_fleet.dtypes.items()} == {n: str(d) for n, d in answer.dtypes.items()}
    for name in set(NAMES) & set(of_fleet):
        assert of_fleet[name].dtype == fleet[name].dtype  # colours depend on the categories, which survive filtering


@pytest.mark.laws
@most_questions
@some
@given(spans=FRAMES)
def test_fields_in_columns_or_data_make_no_difference(ask, spans):
    own = with_own_columns(spans)
    answer, middle = ask(spans), len(spans) // 2
    assert_frame_equal(ask(own), answer)
    assert_frame_equal(plain(ask(pd.concat([own.iloc[:middle], spans.iloc[middle:]]))), plain(answer))


@every_question
def test_an_empty_frame_gives_an_empty_result_with_the_same_columns_and_types(ask):
    spans = spans_of("ann 0 9 desk", "bob 2 5 desk", "ann 20 22 lab", "ann 21 22 lab", parents={"b": "a"})
    payload = {"links": ["b"], "requested_by": "a", "attributes": {"gen_ai.usage.input_tokens": 3}, "trigger": "user"}
    spans = with_data(spans, c=payload, d={"requested_by": "a"})
    full, empty = ask(spans), ask(spans.iloc[:0])
    assert len(full) > 0
    assert len(empty) == 0
    assert full.dtypes.astype(str).to_dict() == empty.dtypes.astype(str).to_dict()
    assert full.columns[0] == "trace_id"
    kinds = set(full.dtypes.astype(str))
    assert kinds <= {"category", "int64", "Int64", "Float64", "float64", "str", "object", "bool"}
    assert not [name for name in full if name.endswith("_us") and full[name].dtype not in ("int64", "Int64", "float64")]
    assert [name for name in full if full[name].dtype == "float64"] in ([], ["running"], ["mean_gap_us"])
    assert [name for name in full if full[name].dtype == "object"] in ([], ["span_ids"], ["branch_ids"], ["unpriced_models"])


@every_question
def test_other_objects_than_frames_of_spans_are_refused(ask):
    assert_bad_spans_are_refused(ask)


@most_questions
def test_names_may_contain_any_character(ask):
    names = HOSTILE_NAMES
    spans = spans_of(*(f"n{n} {n} {n + 5} p{n}" for n in range(len(names))))
    spans = spans.assign(agent_id=names, location_id=names[::-1], trace_id=names[0])
    assert_names_are_kept(ask(spans))


@pytest.fixture
def delegation():
    """Ann has a desk job from 0 to 20. Meanwhile she looks something up (2 to 6), and Bob works for her (8 to 15)."""
    spans = spans_of("ann 0 20 desk", "ann 2 6 shelf", "bob 8 15 lab", parents={"b": "a", "c": "a"})
    tokens = {"gen_ai.usage.input_tokens": 50, "gen_ai.usage.output_tokens": 8}
    return with_data(spans, a={"attributes": tokens}, c={"status": "error", "attributes": tokens})


def rows(table, *columns):
    """Some columns of a table as tuples; missing values are None."""
    return [tuple(None if pd.isna(value) else value for value in row) for row in table[list(columns)].itertuples(index=False)]


def test_delegation_summary_and_rollup(delegation):
    table = tv.summary(delegation)
    columns = ["n_spans", "n_agents", "n_locations", "wall_us", "active_us", "busy_us", "peak", "n_errors"]
    assert rows(table, *columns) == [(3, 2, 3, 20, 20, 20, 1, 1)]
    assert rows(table, "share_active", "share_parallel", "p50_us", "p95_us", "longest_us") == [(1.0, 0.0, 7, 20, 20)]
    table = tv.rollup(delegation, 10, values="gen_ai.usage.input_tokens")
    assert rows(table, *table.columns[1:]) == [(0, 10, 3, 1.0, 50), (10, 10, 0, 1.0, 0)]


def test_delegation_concurrency_and_gaps(delegation):
    assert rows(tv.concurrency(delegation), "time", "running") == [(0, 1), (20, 0)]
    assert rows(tv.concurrency(delegation, by="location_id"), "time", "location_id", "running") == [
        (0, "desk", 1),
        (2, "desk", 0),
        (2, "shelf", 1),
        (6, "desk", 1),
        (6, "shelf", 0),
        (8, "desk", 0),
        (8, "lab", 1),
        (15, "desk", 1),
        (15, "lab", 0),
        (20, "desk", 0),
    ]
    assert len(tv.gaps(delegation)) == 0


def test_delegation_locations(delegation):
    assert rows(tv.occupancy(delegation), *tv.occupancy(delegation).columns[1:]) == [
        ("ann", "desk", 2, 9, 9, 9 / 13),
        ("ann", "shelf", 1, 4, 4, 4 / 13),
        ("bob", "lab", 1, 7, 7, 1.0),
    ]
    assert len(tv.colocation(delegation)) == 0
    table = tv.moves(delegation)
    assert rows(table, *table.columns[1:]) == [
        ("ann", "desk", "shelf", "a", "b", 2, 2, 0),
        ("ann", "shelf", "desk", "b", "a", 6, 6, 0),
    ]
    table = tv.transitions(delegation)
    assert rows(table, *table.columns[1:]) == [("desk", "shelf", 1, 0.0, 0), ("shelf", "desk", 1, 0.0, 0)]


def test_delegation_who_waited_for_whom(delegation):
    table = tv.handoffs(delegation)
    assert rows(table, *table.columns[1:]) == [
        ("ann", "bob", "a", "c", "desk", "lab", "delegate", 6, 8, 2),
        ("bob", "ann", "c", "a", "lab", "desk", "return", 15, 20, 5),
    ]
    table = tv.critical_path(delegation)
    assert rows(table, *table.columns[1:]) == [
        ("a", "ann", "desk", "work", None, 0, 2, 2),
        ("b", "ann", "shelf", "work", "parent", 2, 6, 4),
        ("a", "ann", "desk", "work", "child", 6, 8, 2),
        ("c", "bob", "lab", "work", "parent", 8, 15, 7),
        ("a", "ann", "desk", "work", "child", 15, 20, 5),
    ]
    table = tv.waits(delegation)
    assert rows(table, *table.columns[1:]) == [
        ("a", "ann", "desk", "bob", "agent", "c", 8, 15, 7, 7, 7, "nested", False),
    ]
    assert len(tv.fanouts(delegation)) == 0


def test_delegation_who_started_whom(delegation):
    table = tv.agent_tree(delegation)
    assert rows(table, *table.columns[1:11]) == [
        ("ann", 0, "ann", "a", None, None, None, 0, 20, "ok"),
        ("ann / bob", 1, "bob", "c", "ann", "a", "parent", 8, 15, "error"),
    ]
    assert rows(table, *table.columns[11:18]) == [(2, 0, 13, 7, 0, 0, None), (1, 1, 7, 0, 50, 8, None)]
    assert rows(table, *table.columns[18:]) == [(3, 1, 20, 7, 50, 8, None), (1, 1, 7, 0, 50, 8, None)]


def test_delegation_where_the_time_went(delegation):
    table = tv.time_spent(delegation)
    assert rows(table, *table.columns[1:]) == [("ann", 0, 0, 13, 7, 0, 0, 20), ("bob", 0, 0, 7, 0, 0, 13, 20)]


def test_delegation_usage_compare_and_diagnose(delegation):
    table = tv.usage(delegation)
    columns = ("agent_id", "n_calls", "input_tokens", "cached_tokens", "output_tokens", "cost", "n_unpriced", "repeated_tokens")
    assert rows(table, *columns) == [("ann", 0, 0, None, 0, None, 0, 58), ("bob", 1, 50, None, 8, None, 1, 0)]
    table = tv.compare(delegation, delegation.iloc[:1])
    assert rows(table, *table.columns) == [
        ("ann", "desk", 1, 1, 0, 9, 20, 11, 9, 20, 11, 0, 58, 58),
        ("bob", "lab", 1, 0, -1, 7, 0, -7, 7, 0, -7, 58, 0, -58),
        ("ann", "shelf", 1, 0, -1, 4, 0, -4, 4, 0, -4, None, 0, None),
    ]
    assert rows(tv.diagnose(delegation), "kind", "n_spans", "time_us") == [("assumed wait", 1, 7)]


@every_question
def test_parents_that_are_only_in_data_are_refused_with_the_line_that_adds_them(ask):
    spans = spans_of("ann 0 20 desk", "bob 8 15 lab")
    raw = with_data(spans, b={"parent_id": "a"})
    with pytest.raises(
        tv.MissingColumn, match=r"^The spans have parents in data, but no column 'parent_id'\. Add it: "
    ) as error:
        ask(raw)
    scope = {"spans": raw, "tv": tv}
    exec(str(error.value).split("Add it: ")[1].split(". To ignore")[0], scope)
    assert_frame_equal(ask(scope["spans"]), ask(raw.assign(parent_id=spans["id"].map({"b": "a"}))))
    assert_frame_equal(plain(ask(raw.assign(parent_id=None))), plain(ask(spans)))
    assert_frame_equal(ask(with_data(spans, b={"attributes": {"parent_id": "a"}})), ask(spans))


@every_question
def test_a_group_of_apply_says_that_pandas_dropped_its_column(ask):
    spans = spans_of("ann 0 20 desk t", "bob 8 15 lab u")
    message = r" drops the column that it groups by\. Pass the whole frame: each trace is answered separately\.$"
    with pytest.raises(tv.MissingColumn, match=message):
        spans.groupby("trace_id").apply(ask)
