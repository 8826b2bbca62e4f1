import matplotlib.pyplot as plt
import pandas as pd
import pytest
from conftest import spans_of, with_data
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.patches import Rectangle
from test_tokens import frames_with_figures

from tokenvis import BadOption, BadSpan, plot_usage, usage

INPUT, OUTPUT, COST = "gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens", "gen_ai.usage.cost"
CACHED, CREATED = "gen_ai.usage.cache_read.input_tokens", "gen_ai.usage.cache_creation.input_tokens"
MODEL, ANSWERED = "gen_ai.request.model", "gen_ai.response.model"


def using(spans, **attributes):
    """The spans with attributes, by id."""
    return with_data(spans, **{span: {"attributes": given} for span, given in attributes.items()})


def as_text(spans, *columns, **options):
    """Some columns of the table as rows; missing values are None."""
    table = usage(spans, **options)
    return [tuple(None if pd.isna(value) else value for value in row) for row in table[list(columns)].itertuples(index=False)]


def test_tokens_count_at_the_descendant_and_are_reported_as_repeated():
    spans = spans_of("ann 0 9 desk", "bob 1 5 lab", "bob 5 8 lab", parents={"b": "a", "c": "a"})
    spans = using(spans, a={INPUT: 30, OUTPUT: 7}, b={INPUT: 10}, c={INPUT: 20, "gen_ai.usage.reasoning.output_tokens": 3})
    columns = ("agent_id", "n_calls", "input_tokens", "output_tokens", "reasoning_tokens", "repeated_tokens")
    assert as_text(spans, *columns) == [("ann", 1, 0, 7, None, 30), ("bob", 2, 30, None, 3, 0)]
    assert as_text(spans, "n_calls", "input_tokens", by="trace_id") == [(3, 30)]


def test_a_count_that_no_span_has_is_missing_and_a_span_with_zeros_is_not_a_call():
    spans = using(spans_of("ann 0 9 desk", "bob 1 5 lab", "eve 1 5 lab"), b={INPUT: 0}, c={INPUT: 0, OUTPUT: 2})
    columns = ("agent_id", "n_calls", "input_tokens", "output_tokens", "cost", "n_unpriced")
    used = [("ann", 0, None, None, None, 0), ("bob", 0, None, None, None, 0), ("eve", 1, 0, 2, None, 1)]
    assert as_text(spans, *columns) == used


def test_the_model_is_from_the_response_else_from_the_request():
    spans = spans_of("ann 0 1 desk", "ann 1 2 desk", "ann 2 3 desk", "ann 3 4 desk")
    spans = using(spans, a={MODEL: "m", ANSWERED: "m-1", INPUT: 1}, b={MODEL: "m", INPUT: 2}, c={MODEL: "n"})
    assert as_text(spans, "model", "n_calls", "input_tokens", by="model") == [("m", 1, 2), ("m-1", 1, 1), ("n", 0, None)]
    nameless = using(spans, a={INPUT: 5})
    assert as_text(nameless, "model", "input_tokens", by="model") == [(None, 5)]
    assert as_text(spans.assign(model="mine"), "model", "input_tokens", by="model") == [("mine", 3)]
    assert as_text(spans.drop(columns="data"), "model", by="model") == []


def test_prices_are_per_million_tokens_and_cached_tokens_may_cost_less():
    spans = using(spans_of("ann 0 1 desk", "bob 1 2 desk"), a={MODEL: "m", INPUT: 100, CACHED: 60, CREATED: 30, OUTPUT: 5})
    plain = {"m": {"input": 1_000_000, "output": 2_000_000}}
    assert as_text(spans, "cost", "n_unpriced", prices=plain) == [(110.0, 0), (None, 0)]
    cheap = {"m": {**plain["m"], "cached": 100_000, "cache_creation": 1_500_000}}
    assert as_text(spans, "cost", prices=cheap) == [(10 + 6 + 45 + 10,), (None,)]
    assert as_text(spans, "cost", "n_unpriced", prices={"n": plain["m"]}) == [(None, 1), (None, 0)]


def test_a_cost_from_the_source_takes_precedence_and_covers_descendants_and_the_tokens_of_an_agent():
    spans = spans_of("ann 0 9 desk", "ann 1 5 desk", "bob 2 3 model:m", "eve 5 6 lab", parents={"b": "a", "c": "b"})
    call = {MODEL: "m", INPUT: 1}
    prices = {"m": {"input": 1_000_000, "output": 0}}
    given_in_the_middle = using(spans, b={COST: 8}, c=call, d=call)
    assert as_text(given_in_the_middle, "agent_id", "n_calls", "cost", "n_unpriced", prices=prices) == [
        ("ann", 0, 8.0, 0),
        ("bob", 1, None, 0),
        ("eve", 1, 1.0, 0),
    ]
    given_twice = using(spans, a={COST: 9.5}, c={**call, COST: 9.5})
    assert as_text(given_twice, "agent_id", "cost", prices=prices) == [("ann", None), ("bob", 9.5), ("eve", None)]
    of_the_call = using(spans, a=call, c={COST: 9.5})
    assert as_text(of_the_call, "agent_id", "cost", "n_unpriced", prices=prices) == [
        ("ann", None, 0),
        ("bob", 9.5, 0),
        ("eve", None, 0),
    ]
    alone = using(spans, d={COST: 2})
    assert as_text(alone, "agent_id", "n_calls", "cost")[-1] == ("eve", 1, 2.0)


def test_the_source_of_costs_and_the_models_without_a_price_are_told():
    spans = spans_of(*(f"ann {n} {n + 1} model:m" for n in range(6)), "bob 6 7 desk", "eve 7 8 desk")
    calls = dict(zip("abcde", [{MODEL: "m"}, {MODEL: "y"}, {MODEL: "x"}, {MODEL: "y"}, {}], strict=True))
    spans = using(spans, **{span: {**call, INPUT: 1} for span, call in calls.items()}, f={MODEL: "silent"}, g={COST: 2})
    prices = {"m": {"input": 1, "output": 1}}
    table = usage(spans, prices=prices)[["agent_id", "price_source", "n_unpriced", "unpriced_models"]]
    assert table.astype(object).where(table.notna(), None).to_numpy().tolist() == [
        ["ann", "prices=", 5, ["silent", "unknown", "x", "y"]],
        ["bob", "source", 0, []],
        ["eve", None, 0, []],
    ]
    assert usage(spans, by="trace_id", prices=prices)["price_source"].tolist() == ["source, prices="]
    assert usage(spans, by="trace_id", prices={})["unpriced_models"].tolist() == [["m", "silent", "unknown", "x", "y"]]
    assert usage(spans, by="trace_id")["unpriced_models"].tolist() == [None]


@pytest.mark.parametrize(
    ("prices", "message"),
    [
        (
            3,
            r"prices=3 is neither a mapping such as \{\"some-model\": \{\"input\": 3, \"output\": 15\}\}, nor 'genai-prices', "
            r"nor a list of these\.$",
        ),
        (["openai"], r"prices='openai' is neither a mapping such as .*, nor 'genai-prices', nor a list of these\.$"),
        (
            {"m": 3},
            r"prices\['m'\]=3 must have input and output, and no keys except 'input', 'cached', 'cache_creation', ",
        ),
        ({"m": {"input": 1}}, r"prices\['m'\]=\{'input': 1\} must have input and output, and no keys except "),
        ({"m": {"input": 1, "output": 2, "in": 3}}, r"prices\['m'\]=.* must have input and output, and no keys except "),
        (
            {"m": {"input": -1, "output": 2}},
            r"prices\['m'\]\['input'\]=-1 is not a price\. Pass a number of at least 0, per million tokens\.$",
        ),
        (
            {"m": {"input": 1, "output": "2"}},
            r"prices\['m'\]\['output'\]='2' is not a price\. Pass a number of at least 0, per million tokens\.$",
        ),
        (
            {"m": {"input": float("nan"), "output": 2}},
            r"prices\['m'\]\['input'\]=nan is not a price\. Pass a number of at least 0, per million tokens\.$",
        ),
    ],
)
def test_invalid_prices_are_refused(prices, message):
    with pytest.raises(BadOption, match=f"^{message}"):
        usage(spans_of("ann 0 1 desk"), prices=prices)


def test_the_calls_without_usage_are_counted_and_the_agent_stands_for_them():
    spans = spans_of("desk 0 10 agent", "desk 1 4 model:big", "desk 5 9 model:big", parents={"b": "a", "c": "a"})
    spans = using(spans, a={INPUT: 900, OUTPUT: 90, COST: 0.3}, b={INPUT: 300, OUTPUT: 30, COST: 0.1})
    columns = ("location_id", "n_calls", "n_silent", "input_tokens", "output_tokens", "n_unpriced", "repeated_tokens")
    assert as_text(spans, *columns, by="location_id") == [("agent", 0, 0, 600, 60, 0, 330), ("model:big", 1, 1, 300, 30, 0, 0)]
    without_cost = spans.assign(data=spans["data"].str.replace("usage.cost", "other"))
    assert usage(without_cost, by="location_id")["n_unpriced"].tolist() == [1, 1]
    assert usage(spans)["cost"].tolist() == pytest.approx([0.3])


def test_what_does_not_count_is_reported():
    spans = spans_of("ann 0 9 desk", "bob 1 3 model:m", "bob 4 6 model:m", "eve 7 8 model:m", parents={"b": "a", "c": "a"})
    spans = with_data(
        spans,
        a={"attributes": {INPUT: 200, COST: 0.01}},
        b={"attributes": {INPUT: 300, CACHED: 400, OUTPUT: "many", COST: 0.02}},
        d={"attributes": {INPUT: 70, OUTPUT: 3}, "estimated": ["usage"]},
    )
    columns = ("n_calls", "n_silent", "input_tokens", "cached_tokens", "unexplained_tokens", "estimated_tokens", "n_invalid")
    assert as_text(spans, "agent_id", *columns) == [
        ("ann", 0, 0, 0, None, 200, 0, 0),
        ("bob", 1, 1, 300, 300, 0, 0, 1),
        ("eve", 0, 1, None, None, 0, 73, 0),
    ]
    assert as_text(spans, "cost", "unexplained_cost") == [(None, 0.01), (0.02, 0), (None, None)]


def test_prices_are_for_calls_that_no_cost_covers():
    spans = spans_of("ann 0 9 desk", "bob 1 3 model:m", "bob 4 6 model:m", parents={"b": "a", "c": "a"})
    prices = {"m": {"input": 1_000_000, "output": 0}}
    call = {MODEL: "m", INPUT: 3}
    covered = using(spans, a={COST: 9}, b=call, c={**call, COST: 2})
    assert as_text(covered, "agent_id", "cost", "n_unpriced", prices=prices) == [("ann", 7, 0), ("bob", 2, 0)]
    told_too_low = using(spans, a={COST: 1}, b=call, c={**call, COST: 2})
    assert as_text(told_too_low, "agent_id", "cost", "unexplained_cost", prices=prices) == [("ann", None, 1), ("bob", 5, 0)]
    sum_of_agent = using(spans, a={MODEL: "m", INPUT: 10}, b={**call, COST: 2})
    assert as_text(sum_of_agent, "agent_id", "cost", "n_unpriced", prices=prices) == [("ann", 7, 0), ("bob", 2, 0)]


@pytest.mark.laws
@given(frames_with_figures(), st.sampled_from(["agent_id", "location_id", "id", "model", "start_time"]))
def test_all_groups_add_up_to_the_same_totals(spans, by):
    prices = {"m": {"input": 1, "output": 2}}
    texts = ["price_source", "unpriced_models"]
    totals = usage(spans, by="trace_id", prices=prices).set_index("trace_id").drop(columns=texts)
    grouped = usage(spans, by=by, prices=prices).drop(columns=[by, *texts]).groupby("trace_id", observed=True).sum(min_count=1)
    grouped = grouped.reindex(totals.index)  # a trace without figures has no model
    pd.testing.assert_frame_equal(grouped.fillna(0), totals.fillna(0), check_dtype=False)


def test_models_need_a_frame():
    with pytest.raises(BadSpan, match=r"^Spans must be a DataFrame, not NoneType\. load_spans\(\) returns one\.$"):
        usage(None, by="model")


def test_a_number_of_tokens_that_does_not_fit_is_refused():
    half = {"gen_ai.usage.input_tokens": 2**62, "gen_ai.usage.output_tokens": 2**62}
    run = spans_of("ann 0 9 desk", "ann 1 2 desk", parents={"b": "a"})
    repeated = with_data(run, a=half, b={"gen_ai.usage.input_tokens": 1, "gen_ai.usage.output_tokens": 1})
    with pytest.raises(BadSpan, match=r"^A sum over the spans does not fit into a 64-bit integer"):
        usage(repeated)


def used(start, **tokens):
    return {"attributes": {f"gen_ai.usage.{name}": count for name, count in tokens.items()}}


def test_the_picture_over_time_adds_up_each_call_at_its_end():
    spans = spans_of("ann 0 10 desk", "bob 5 20 desk", "ann 20 30 desk")
    spans = with_data(spans, a=used(0, input_tokens=100, output_tokens=5), b=used(0, input_tokens=50))
    ax = plot_usage(spans)
    tops = {}
    for area in ax.collections:
        path = area.get_paths()[0].vertices
        tops[area.get_label()] = [path[path[:, 0] == x, 1].max() for x in (5, 10, 20, 30) if (path[:, 0] == x).any()]
    assert tops["output"][-1] == 155
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["input 150", "output 5"]


def width_of_the_total(ax):
    """The highest level, and the points over which it is drawn."""
    ax.figure.canvas.draw()
    boxes = [patch.get_window_extent() for patch in ax.patches if isinstance(patch, Rectangle) and patch.get_height()]
    top = ax.transData.inverted().transform((0, max(box.y1 for box in boxes)))[1]
    assert max(box.x1 for box in boxes) <= ax.figure.bbox.x1
    return round(top), min(box.width for box in boxes) * 72 / ax.figure.dpi


@pytest.mark.parametrize("size", [(11, 3), (3.3, 2.6)])
@pytest.mark.parametrize(
    "rows", [["ann 0 10 desk", "bob 5 20 lab"], ["ann 0 20 desk", "bob 5 20 lab"], ["ann 3 3 desk", "bob 3 3 lab"]]
)
def test_what_ends_with_the_trace_is_visible_and_the_total_is_labelled(rows, size):
    spans = with_data(spans_of(*rows), a=used(0, input_tokens=100), b=used(0, input_tokens=860, output_tokens=40))
    ax = plot_usage(spans, ax=plt.subplots(figsize=size, layout="constrained")[1])
    total, points = width_of_the_total(ax)
    assert total == 1_000
    assert points > 12
    assert [text.get_text() for text in ax.legend_.get_texts()] == ["input 960", "output 40"]
    assert "1,000" in [text.get_text() for text in ax.texts]
    one = plot_usage(spans.iloc[:1])
    assert width_of_the_total(one)[0] == 100
    assert width_of_the_total(one)[1] > 12


def test_many_calls_are_drawn_up_to_their_total():
    spans = spans_of(*(f"ann {n} {n + 1} desk" for n in range(20_000)))
    ax = plot_usage(spans.assign(**{INPUT: 5}))
    assert width_of_the_total(ax)[0] == 100_000
    assert sum(len(area.get_paths()[0].vertices) for area in ax.collections) < 40_000


def test_the_picture_by_group_has_the_largest_first():
    spans = spans_of("ann 0 10 desk", "bob 5 20 desk", "eve 20 30 desk")
    spans = with_data(spans, a=used(0, input_tokens=100, output_tokens=5), b=used(0, input_tokens=900))
    ax = plot_usage(spans, by="agent_id")
    assert [label.get_text() for label in ax.get_yticklabels()] == ["bob", "ann"]
    assert [bar.get_width() for bar in ax.patches if bar.get_width()] == [900, 100, 5]
    assert [text.get_text() for text in ax.texts if text.get_text()] == ["900", "105"]


def test_the_picture_says_what_its_tokens_do_not_include():
    spans = spans_of("ann 0 9 desk", "bob 1 3 model:m", "bob 4 6 model:m", "eve 7 8 model:m", parents={"b": "a", "c": "a"})
    tokens = {"a": used(0, input_tokens=200), "b": used(0, input_tokens=300, output_tokens="many")}
    spans = with_data(spans, **tokens, d={**used(0, input_tokens=70), "estimated": ["usage"]})
    for by in (None, "agent_id"):
        ax = plot_usage(spans, by=by, ax=plt.subplots(figsize=(16, 3))[1])
        ax.figure.canvas.draw()
        assert (
            "2 model calls without a token count · 200 tokens not counted: lower than the sum of the calls · "
            "70 tokens not counted: estimated · 1 span with an invalid count"
        ) in [text.get_text() for text in ax.texts]


def test_the_picture_by_group_says_what_its_costs_do_not_include():
    spans = spans_of("ann 0 9 model:m", "bob 1 3 model:m", "eve 4 6 model:m")
    cost = "gen_ai.usage.cost"
    spans = using(spans, a={INPUT: 100, cost: 0.5}, b={INPUT: 40}, c={cost: 2})
    ax = plot_usage(spans, by="agent_id")
    ax.figure.canvas.draw()
    texts = [text.get_text() for text in ax.texts]
    assert "1 call without a cost · a cost of 2.00 without tokens not drawn" in texts
    assert "100 · 0.50" in texts
    without = plot_usage(spans.iloc[1:2], by="agent_id")
    without.figure.canvas.draw()
    assert not any("cost" in text.get_text() for text in without.texts)


def test_cached_tokens_of_a_sum_are_part_of_the_input():
    spans = spans_of("ann 0 9 desk", "bob 1 3 model:m", parents={"b": "a"})
    tokens = {INPUT: 300, "gen_ai.usage.output_tokens": 5}
    spans = using(spans, a={**tokens, CACHED: 100}, b=tokens)
    assert [text.get_text() for text in plot_usage(spans).get_legend().get_texts()] == [
        "cached input 100",
        "input 200",
        "output 5",
    ]


def test_excess_groups_are_merged_and_a_trace_without_tokens_has_a_note():
    spans = spans_of(*(f"agent{n:02} {n} {n + 1} desk" for n in range(60)))
    spans = with_data(spans, **{span: used(0, input_tokens=10) for span in spans["id"]})
    ax = plot_usage(spans, by="agent_id")
    assert sum(bar.get_width() for bar in ax.patches) == 600
    assert ax.get_yticks().size <= 40
    assert plot_usage(spans_of("ann 0 1 desk")).get_label() == "No span has a token count."
