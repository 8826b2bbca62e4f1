from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenvis.errors import BadOption
from tokenvis.runs.rules import COMPARISONS, DURATIONS, METRICS, UNITS_OF_TIME, Amount, Limit, MetricRule, parse_rule

RULES = {  # what is written: the rule, and how it is written shortest
    "cost > 1.2x": (MetricRule("cost", ">", Limit(Decimal("1.2"), "x")), "cost > 1.2x"),
    " cost>1.20 x ": (MetricRule("cost", ">", Limit(Decimal("1.2"), "x")), "cost > 1.2x"),
    "time >= +10%": (MetricRule("time", ">=", Limit(Decimal(10), "%", "+")), "time >= +10%"),
    "time < - 10 %": (MetricRule("time", "<", Limit(Decimal(10), "%", "-")), "time < -10%"),
    "work > +30s": (MetricRule("work", ">", Limit(Decimal(30), "s", "+")), "work > +30s"),
    "waiting > 90 min": (MetricRule("waiting", ">", Limit(Decimal(90), "min")), "waiting > 90min"),
    "waiting > 2m": (MetricRule("waiting", ">", Limit(Decimal(2), "min")), "waiting > 2min"),
    "time <= 250ms": (MetricRule("time", "<=", Limit(Decimal(250), "ms")), "time <= 250ms"),
    "time > 250 µs": (MetricRule("time", ">", Limit(Decimal(250), "us")), "time > 250us"),
    "tokens > 1,000,000": (MetricRule("tokens", ">", Limit(Decimal(1_000_000))), "tokens > 1000000"),
    "cost > 0.05": (MetricRule("cost", ">", Limit(Decimal("0.05"))), "cost > 0.05"),
    "errors > +0": (MetricRule("errors", ">", Limit(Decimal(0), "", "+")), "errors > +0"),
    "retries of Ann > 2": (MetricRule("retries", ">", Limit(Decimal(2)), "Ann"), "retries of Ann > 2"),
    "spans of model:gpt-4.1 < 9": (MetricRule("spans", "<", Limit(Decimal(9)), "model:gpt-4.1"), "spans of model:gpt-4.1 < 9"),
    "work of agent Ann > 1h": (MetricRule("work", ">", Limit(Decimal(1), "h"), "Ann", "agent"), "work of agent Ann > 1h"),
    "work of location'a b'>1h": (
        MetricRule("work", ">", Limit(Decimal(1), "h"), "a b", "location"),
        'work of location "a b" > 1h',
    ),
    r'errors of "a \"b\"\u0020>" > 0': (MetricRule("errors", ">", Limit(Decimal(0)), 'a "b" >'), r'errors of "a \"b\" >" > 0'),
    "errors of agent > 0": (MetricRule("errors", ">", Limit(Decimal(0)), "agent"), 'errors of "agent" > 0'),
    "errors of agent location > 0": (
        MetricRule("errors", ">", Limit(Decimal(0)), "location", "agent"),
        "errors of agent location > 0",
    ),
}


@pytest.mark.parametrize("text", RULES)
def test_a_rule_is_read_and_written(text):
    rule, shortest = RULES[text]
    assert parse_rule(text) == rule
    assert str(rule) == shortest
    assert parse_rule(shortest) == rule


NO_METRIC = "is none of the metrics time, work, waiting, tokens, cost, errors, retries, spans"
MISTAKES = {
    "": f"its end {NO_METRIC}",
    "speed > 3": f"'speed > 3', from character 1, {NO_METRIC}",
    "cost": "its end is none of the comparisons >, >=, < and <=",
    "cost = 3": "'= 3', from character 6, is none of the comparisons >, >=, < and <=",
    "work of Data Writer > 1s": (
        "'Writer > 1s', from character 14, is none of the comparisons >, >=, < and <=. A name with spaces is in quotes"
    ),
    "cost >> 1.2x": "'> 1.2x', from character 7, is no limit: it needs a number, of at most 18 characters",
    "cost > $3": "'$3', from character 8, is no limit: it needs a number, of at most 18 characters",
    "cost > 1234567890123456789": (
        "'1234567890123456789', from character 8, is no limit: it needs a number, of at most 18 characters"
    ),
    "cost > 10%": ("'10%', from character 8, has no sign; +10% is that much more than the baseline, -10% that much less"),
    "cost > -101%": "'-101%', from character 8, is less than nothing",
    "cost > +1.2x": "'+1.2x', from character 8, has a sign, but `x` is times the baseline; leave the sign out",
    "time > 30": "'30', from character 8, needs a unit of time: us, ms, s, min, h, d",
    "time > +5 ns": "'+5 ns', from character 8, needs a unit of time: us, ms, s, min, h, d",
    "tokens > 5s": "'5s', from character 10, has a unit, but tokens has none",
    "tokens > 1,00": "',00', from character 11, comes after the end of the rule",
    "errors > 0, cost > 3": "', cost > 3', from character 11, comes after the end of the rule",
    "errors of > 0": "'> 0', from character 11, is no name of an agent or location",
    'errors of "ann > 0': "'\"ann > 0', from character 11, is no name of an agent or location",
    r'errors of "\q" > 0': r"""'"\\q" > 0', from character 11, is no text as in JSON""",
}


@pytest.mark.parametrize("text", MISTAKES)
def test_a_mistake_is_shown_with_its_place(text):
    with pytest.raises(BadOption) as error:
        parse_rule(text)
    assert str(error.value) == (
        f"{text!r} is not a rule: {MISTAKES[text]}. "
        "Rules are like cost > 1.2x, time > +10%, waiting of Reviewer > 5min, errors > 0."
    )


@pytest.mark.parametrize(
    ("text", "holding", "not_holding"),
    [  # pairs of a value and a baseline
        ("cost > 1.2x", [(1.21, 1.0), (0.01, 0.0)], [(1.2, 1.0), (0.0, 0.0), (1.0, 2.0)]),
        ("cost >= 1.2x", [(1.2, 1.0), (0.6, 0.5)], [(1.19, 1.0), (0.0, 0.0)]),
        ("cost > 0.3", [(0.31, 0.0)], [(0.1 + 0.2, 0.0)]),
        ("time > +10%", [(12, 10), (34, 30)], [(11, 10), (33, 30), (0, 0)]),
        ("time < -10%", [(8, 10), (0, 10)], [(9, 10), (0, 0)]),
        ("time > +1.5ms", [(1501, 0), (2001, 500)], [(1500, 0), (2000, 500)]),
        ("errors > +0", [(1, 0), (3, 2)], [(0, 0), (2, 2), (1, 2)]),
        ("errors > 0", [(1, 1)], [(0, 1)]),
        ("tokens <= 1,000", [(1000, 0)], [(1001, 0)]),
        ("spans < -2", [(7, 10)], [(8, 10)]),
    ],
)
def test_whether_a_rule_holds(text, holding, not_holding):
    rule = parse_rule(text)
    assert [pair for pair in holding if rule.holds(*map(Amount, pair)) is not True] == []
    assert [pair for pair in not_holding if rule.holds(*map(Amount, pair)) is not False] == []


def test_what_is_not_known_decides_no_rule():
    known, unknown = Amount(5), Amount(None)
    assert parse_rule("tokens > 3").holds(unknown) is None
    assert parse_rule("tokens > 3").holds(known, unknown) is True
    assert [parse_rule("tokens > 2x").holds(*pair) for pair in [(unknown, known), (known, unknown), (known, None)]] == [
        None
    ] * 3


@pytest.mark.parametrize(
    ("text", "value", "baseline", "answer"),
    [  # a plus: at least this
        ("tokens > 1.2x", "13+", "10", True),
        ("tokens > 1.2x", "12+", "10", None),
        ("tokens > 1.2x", "12", "10+", False),
        ("tokens > 1.2x", "13", "10+", None),
        ("tokens > 1.2x", "13+", "10+", None),
        ("tokens > 1.2x", "0+", "0", None),
        ("tokens < 0.5x", "4", "10+", True),
        ("tokens < 0.5x", "5+", "10", False),
        ("tokens < 0.5x", "4+", "10", None),
        ("tokens > 100", "101+", "0+", True),
        ("tokens <= 100", "101+", "0+", False),
    ],
)
def test_a_lower_bound_decides_a_rule_if_all_values_above_do(text, value, baseline, answer):
    amounts = [Amount(int(text.rstrip("+")), text.endswith("+")) for text in (value, baseline)]
    assert parse_rule(text).holds(*amounts) is answer


def test_a_name_is_of_an_agent_or_of_a_location():
    agents, locations = ["ann", "lab"], ["desk", "lab"]
    assert parse_rule("work of ann > 1s").kind_of_name(agents, locations) == "agent"
    assert parse_rule("work of desk > 1s").kind_of_name(agents, locations) == "location"
    assert parse_rule("work of location lab > 1s").kind_of_name(agents, locations) == "location"
    messages = {
        "work of lab > 1s": "'work of lab > 1s': 'lab' is an agent and a location. Write 'of agent' or 'of location'.",
        "work of anna > 1s": "'work of anna > 1s': there is no agent or location 'anna'. There is: 'ann'.",
        "work of agent desk > 1s": "'work of agent desk > 1s': there is no agent 'desk'. There is: 'ann', 'lab'.",
    }
    for text, message in messages.items():
        with pytest.raises(BadOption) as error:
            parse_rule(text).kind_of_name(agents, locations)
        assert str(error.value) == message


NUMBERS = st.decimals(0, 10**9, places=3)
LIMITS = st.one_of(
    st.builds(Limit, NUMBERS, st.just("x")),
    st.builds(Limit, st.decimals(0, 100, places=2), st.just("%"), st.sampled_from("+-")),
    st.builds(Limit, NUMBERS, st.just(""), st.sampled_from(["", "+", "-"])),
    st.builds(Limit, NUMBERS, st.sampled_from(list(UNITS_OF_TIME)), st.sampled_from(["", "+", "-"])),
)


@st.composite
def rules(draw: st.DrawFn) -> MetricRule:
    limit = draw(LIMITS)
    metrics = METRICS if limit.unit in ("x", "%") else DURATIONS if limit.unit else METRICS[len(DURATIONS) :]
    words = st.sampled_from(["ann", "agent", "location", "of", "a b", "x>1", "it's", '"', "", "\\", "5s", "µ", "\n", "\ud800"])
    name = draw(st.none() | words | st.text())
    kind = None if name is None else draw(st.sampled_from([None, "agent", "location"]))
    return MetricRule(draw(st.sampled_from(metrics)), draw(st.sampled_from(list(COMPARISONS))), limit, name, kind)


@pytest.mark.laws
@given(rules())
def test_a_rule_that_is_written_is_read_as_the_same_rule(rule):
    assert parse_rule(str(rule)) == rule


@pytest.mark.laws
@given(rules(), st.integers(0, 50), st.integers(0, 50), st.booleans(), st.booleans())
def test_a_bound_decides_what_the_values_above_it_agree_on(rule, value, baseline, at_least, baseline_at_least):
    answer = rule.holds(Amount(value, at_least), Amount(baseline, baseline_at_least))
    for more in (0, 1, 60, 10**15) if at_least else (0,):
        for more_baseline in (0, 1, 60, 10**15) if baseline_at_least else (0,):
            exact = rule.holds(Amount(value + more), Amount(baseline + more_baseline))
            assert answer in (None, exact)
