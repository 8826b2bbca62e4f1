import json
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from conftest import spans_frames, spans_of, with_data
from hypothesis import given
from hypothesis import strategies as st
from waiting import nodes_of, oracle

from tokenvis.tree.relations import relations_of
from tokenvis.tree.tokens import COST, FIGURE_KEYS, TOKEN_KEYS, usage_of

INPUT, CACHED, CREATED, OUTPUT, REASONING = TOKEN_KEYS.values()


def using(spans, **attributes):
    """The spans with attributes, by id."""
    return with_data(spans, **{span: {"attributes": given} for span, given in attributes.items()})


def figures(spans):
    """The figures of a frame without duplicate ids."""
    return usage_of(spans, relations_of(spans, links=False).parents())


def counted(spans, name="input_tokens"):
    """What counts of one figure for each span."""
    return figures(spans)[name].counted.tolist()


run = spans_of("ann 0 9 desk", "ann 1 3 model:m", "ann 4 6 model:m", parents={"b": "a", "c": "a"})


def test_a_sum_that_a_parent_repeats_does_not_count():
    spans = using(run, a={INPUT: 30, OUTPUT: 5}, b={INPUT: 10, OUTPUT: 1}, c={INPUT: 20, OUTPUT: 4})
    usage = figures(spans)
    assert usage["input_tokens"].counted.tolist() == [0, 10, 20]
    assert usage["input_tokens"].repeated.tolist() == [30, 0, 0]
    assert usage["output_tokens"].values.tolist() == [5, 1, 4]
    assert not usage["cached_tokens"].present.any()


def test_a_parent_stands_for_the_calls_below_that_have_no_figure():
    spans = using(run, a={INPUT: 900, COST: 0.3}, b={INPUT: 300, COST: 0.1})
    assert counted(spans) == [600, 300, 0]
    assert counted(spans, "cost") == pytest.approx([0.2, 0.1, 0])
    assert figures(spans).silent.tolist() == [False, False, True]


def test_a_lower_figure_than_that_of_the_calls_below_is_unexplained():
    usage = figures(using(run, a={INPUT: 200}, b={INPUT: 300}))
    assert usage["input_tokens"].counted.tolist() == [0, 300, 0]
    assert usage["input_tokens"].unexplained.tolist() == [True, False, False]
    assert usage["input_tokens"].repeated.tolist() == [0, 0, 0]


def test_a_higher_figure_without_a_silent_call_below_is_a_surplus():
    usage = figures(using(run, a={INPUT: 900}, b={INPUT: 300}, c={INPUT: 10}))
    assert usage["input_tokens"].counted.tolist() == [0, 300, 10]
    assert usage["input_tokens"].surplus.tolist() == [True, False, False]


@pytest.mark.parametrize("ended", [{"status": "error"}, {"status": "cancelled"}, {"cancelled": True}])
def test_a_call_that_failed_or_was_cancelled_is_not_silent(ended):
    used = {span: {"attributes": {INPUT: count}} for span, count in (("a", 900), ("b", 300))}
    assert counted(with_data(run, **used, c=ended)) == [0, 300, 0]
    assert counted(with_data(run, **used, c={"status": "open"})) == [600, 300, 0]


def test_only_calls_of_models_are_silent():
    tool = run.assign(location_id=["desk", "model:m", "tool:search"])
    assert counted(using(tool, a={INPUT: 900}, b={INPUT: 300})) == [0, 300, 0]
    by_kind = run.assign(location_id=["desk", "model:m", "room"])
    used = {span: {"attributes": {INPUT: count}} for span, count in (("a", 900), ("b", 300))}
    assert counted(with_data(by_kind, **used, c={"kind": "model"})) == [600, 300, 0]


def test_each_level_counts_what_the_levels_below_do_not():
    chain = spans_of(
        "ann 0 9 desk", "bob 0 9 desk", "eve 0 9 model:m", "eve 1 2 model:m", parents={"b": "a", "c": "b", "d": "c"}
    )
    assert counted(using(chain, a={INPUT: 100}, b={INPUT: 60}, c={INPUT: 40})) == [40, 20, 40, 0]
    assert counted(using(chain, a={INPUT: 50}, b={INPUT: 60}, c={INPUT: 40})) == [0, 20, 40, 0]


def test_an_estimated_figure_does_not_count():
    for name in (INPUT, "input_tokens", "usage"):
        spans = with_data(
            run,
            a={"attributes": {INPUT: 900}},
            b={"attributes": {INPUT: 300}, "estimated": ["start_time", name]},
            c={"attributes": {INPUT: 100}},
        )
        assert counted(spans) == [800, 0, 100]
        assert figures(spans)["input_tokens"].estimated.tolist() == [False, True, False]


def test_figures_that_are_all_zero_are_none():
    spans = using(run, a={INPUT: 900, OUTPUT: 10}, b={INPUT: 0, OUTPUT: 0, COST: 0}, c={INPUT: 300, OUTPUT: 0})
    assert counted(spans) == [600, 0, 300]
    assert counted(spans, "output_tokens") == [10, 0, 0]
    assert figures(spans).silent.tolist() == [False, True, False]
    assert figures(spans)["input_tokens"].present.tolist() == [True, False, True]


def test_a_part_of_nothing_is_no_figure():
    usage = figures(using(run, a={INPUT: 9}, b={INPUT: 0, CACHED: 4}, c={INPUT: 5}))
    assert (usage["input_tokens"].counted.tolist(), usage.silent.tolist()) == ([4, 0, 5], [False, True, False])
    assert usage["cached_tokens"].invalid.tolist() == [False, True, False]


def test_a_cost_of_0_is_not_a_cost():
    spans = using(run, a={COST: 0.3}, b={INPUT: 4, COST: 0.1}, c={INPUT: 5, COST: 0})
    assert counted(spans, "cost") == pytest.approx([0.2, 0.1, 0])
    assert figures(spans)["cost"].present.tolist() == [True, True, False]
    assert not figures(spans)["cost"].invalid.any()


def test_a_part_is_at_most_its_whole():
    spans = using(run, a={INPUT: 10, CACHED: 8, CREATED: 5, OUTPUT: 3, REASONING: 4}, b={CACHED: 7}, c={INPUT: 9, CACHED: 9})
    usage = figures(spans.drop(columns="parent_id"))
    assert usage["cached_tokens"].counted.tolist() == [8, 7, 9]
    assert usage["cache_creation_tokens"].counted.tolist() == [2, 0, 0]
    assert usage["reasoning_tokens"].counted.tolist() == [3, 0, 0]
    assert [usage[name].invalid[0] for name in TOKEN_KEYS] == [False, False, True, False, True]


@pytest.mark.parametrize("value", [1.5, 1e30, "40", "many", [4], True, 2**63, -1, {"a": 1}])
def test_a_count_that_is_not_a_number_is_left_out(value):
    usage = figures(using(run, b={INPUT: value, OUTPUT: 2}, c={INPUT: 10, OUTPUT: 3}))
    assert usage["input_tokens"].counted.tolist() == [0, 0, 10]
    assert usage["input_tokens"].invalid.tolist() == [False, True, False]
    assert usage["output_tokens"].counted.tolist() == [0, 2, 3]


def test_a_count_may_be_an_integral_float_and_a_column_of_any_numbers():
    assert counted(using(run, b={INPUT: 10.0}, c={INPUT: 3})) == [0, 10, 3]
    for dtype in ("int64", "uint64", "float32", "Int32", "Float64", "object", "double[pyarrow]"):
        assert counted(run.assign(**{INPUT: pd.Series([0, 7, 3], dtype=dtype)})) == [0, 7, 3]
    assert counted(run.assign(**{INPUT: np.array([1, 2**64 - 1, 5], dtype=np.uint64)})) == [0, 0, 5]
    assert counted(run.assign(**{COST: [np.nan, np.inf, 0.5]}), "cost") == [0, 0, 0.5]


def test_sums_below_a_span_may_be_larger_than_64_bits():
    spans = using(run, a={INPUT: 5}, b={INPUT: 2**63 - 1}, c={INPUT: 2**63 - 1})
    assert counted(spans) == [0, 2**63 - 1, 2**63 - 1]


def test_rounding_of_costs_is_not_a_difference():
    spans = using(run, a={COST: 0.3}, b={COST: 0.1}, c={COST: 0.2})
    usage = figures(spans)
    assert (0.1 + 0.2, usage["cost"].counted.tolist()) == (0.30000000000000004, [0, 0.1, 0.2])
    assert not (usage["cost"].unexplained | usage["cost"].surplus).any()


amounts = st.sampled_from([0, 0, 1, 2, 5, 9, 20])
ATTRIBUTES = dict.fromkeys(TOKEN_KEYS.values(), amounts) | {
    COST: st.sampled_from([0, 0.5, 2, 8.25]),
    "gen_ai.request.model": st.just("m"),
}


@st.composite
def frames_with_figures(draw):
    """Small traces in which any span may be a call, be told, silent, estimated or failed, and calls may be nested."""
    spans = draw(spans_frames(parents=True, n_traces=2))
    optional = {
        "kind": st.sampled_from(["model", "tool", "agent"]),
        "status": st.sampled_from(["ok", "error", "open", "cancelled"]),
        "estimated": st.sampled_from([["usage"], ["input_tokens"], ["start_time"], [COST]]),
    }
    attributes = st.fixed_dictionaries({}, optional=ATTRIBUTES)
    data = {span: draw(st.fixed_dictionaries({"attributes": attributes}, optional=optional)) for span in spans["id"]}
    return with_data(spans, **data)


def own_figures(node):
    """The figures of a span that may count: not estimated, parts cut to their wholes, and not all of them zero."""
    estimated = node.data.get("estimated", [])
    given = {
        name: Fraction(node.data["attributes"][key])
        for name, key in FIGURE_KEYS.items()
        if key in node.data["attributes"] and not {name, key, "usage"} & set(estimated)
    }
    given["cached_tokens"] = min(given.get("cached_tokens", 0), given.get("input_tokens", 10**9))
    rest = given.get("input_tokens", 10**9) - given["cached_tokens"]
    given["cache_creation_tokens"] = min(given.get("cache_creation_tokens", 0), rest)
    given["reasoning_tokens"] = min(given.get("reasoning_tokens", 0), given.get("output_tokens", 10**9))
    return given


@pytest.mark.laws
@oracle
@given(frames_with_figures())
def test_it_equals_brute_force(spans):
    usage = figures(spans)
    rows = {(trace, span): row for row, (trace, span) in enumerate(zip(spans["trace_id"], spans["id"], strict=True))}
    for name, key in FIGURE_KEYS.items():
        for node in nodes_of(spans):
            if node.parent is None:
                check_subtree(node, name, key, usage, rows)


def told_figure(node, name, key):
    """The figure of a span that may count, None if it has none."""
    given = own_figures(node)
    has_any = any(given.values()) and (given[name] > 0 or name != "cost") if name in given else False
    is_given = key in node.data["attributes"] and not {name, key, "usage"} & set(node.data.get("estimated", []))
    return given[name] if has_any and is_given else None


def check_subtree(node, name, key, usage, rows):
    """Compare the spans of a subtree; returns what counts in it, and whether it has a figure and a silent call."""
    below = [check_subtree(child, name, key, usage, rows) for child in node.children]
    total, told, silent = sum(each[0] for each in below), any(each[1] for each in below), any(each[2] for each in below)
    figure, row = told_figure(node, name, key), rows[node.trace, node.id]
    expected = Fraction(0)
    if figure is not None:
        expected = figure if not told else max(figure - total, Fraction(0)) if silent else Fraction(0)
        assert usage[name].unexplained[row] == (told and silent and figure < total)
        assert usage[name].surplus[row] == (told and not silent and figure > total)
    assert Fraction(usage[name].counted[row].item()) == expected
    is_call = node.location.startswith("model:") or node.data.get("kind") == "model"
    is_silent = is_call and figure is None and node.data.get("status") not in ("error", "cancelled")
    return total + expected, told or figure is not None, silent or is_silent


@pytest.mark.laws
@given(frames_with_figures())
def test_each_figure_counts_is_repeated_or_is_reported(spans):
    for each in figures(spans).figures.values():
        left_out = each.values * (each.unexplained | each.estimated)
        assert np.allclose(each.counted + each.repeated + left_out, each.values, rtol=1e-12)
        assert (each.counted >= 0).all()


def test_a_deep_chain_of_figures_is_added_up():
    count = 3_000
    ids = [str(number) for number in range(count)]
    chain = pd.DataFrame(
        {"id": ids, "trace_id": "t", "agent_id": "ann", "location_id": "model:m", "start_time": 0, "end_time": 9}
    )
    chain["parent_id"] = [None, *ids[:-1]]
    chain["data"] = [json.dumps({"attributes": {INPUT: count - number}}) for number in range(count - 1)] + [None]
    assert counted(chain) == [1] * (count - 2) + [2, 0]
