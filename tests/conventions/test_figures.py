from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenvis.conventions.figures import FIGURE_NAMES, FIGURE_PARTS, KEY_OF, OBJECTS, normalise_figures

INPUT, OUTPUT, COST = "gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens", "gen_ai.usage.cost"
CACHED, CREATED = "gen_ai.usage.cache_read.input_tokens", "gen_ai.usage.cache_creation.input_tokens"
REASONING = "gen_ai.usage.reasoning.output_tokens"
TOTAL, PROMPT = "gen_ai.usage.total_tokens", "gen_ai.usage.prompt_tokens"


def figures(attributes):
    """The attributes under OpenTelemetry's names, without the given names that stay as they are."""
    named = dict(attributes)
    normalise_figures(named)
    return {key: value for key, value in named.items() if key in FIGURE_NAMES}


@pytest.mark.parametrize("name", KEY_OF)
def test_every_name_of_a_figure_becomes_one(name):
    attributes = {"mine": 1, name: "7"}
    normalise_figures(attributes)
    assert attributes == {"mine": 1, KEY_OF[name]: 7}


def test_a_name_belongs_to_one_figure():
    assert len(KEY_OF) == sum(map(len, FIGURE_NAMES.values()))
    assert all(names[0] == key for key, names in FIGURE_NAMES.items())


def test_cached_tokens_that_nobody_knew_made_a_call_too_dear():
    attributes = {
        "gen_ai.usage.input_tokens": 1_000,
        "gen_ai.usage.cache_read_tokens": 900,
        "gen_ai.usage.cache_write_tokens": 50,
    }
    assert figures(attributes) == {INPUT: 1_000, CACHED: 900, CREATED: 50}


@pytest.mark.parametrize(
    ("attributes", "left"),
    [
        ({PROMPT: 5.0, INPUT: 5}, {INPUT: 5}),  # Strands writes both
        ({PROMPT: 5, INPUT: 6}, {INPUT: 6, PROMPT: 5}),  # today's name counts, the other stays
        ({"llm.token_count.prompt": 7, PROMPT: 5}, {INPUT: 5, "llm.token_count.prompt": 7}),
        ({PROMPT: "n/a", "llm.token_count.prompt": 5}, {INPUT: 5, PROMPT: "n/a"}),  # a number goes before a text
        ({INPUT: "many", PROMPT: 5}, {INPUT: 5}),
        ({INPUT: None, PROMPT: 5}, {INPUT: 5}),
        ({"gen_ai.usage.cost": 0.5, "llm.cost.total": 0.25}, {COST: 0.5, "llm.cost.total": 0.25}),
        ({INPUT: 0, PROMPT: 5}, {INPUT: 5}),  # 0 is written for what is not counted
        ({PROMPT: 0, "llm.token_count.prompt": 5}, {INPUT: 5, PROMPT: 0}),
        ({INPUT: 0, PROMPT: 0}, {INPUT: 0}),
        ({INPUT: 0, PROMPT: "n/a"}, {INPUT: 0, PROMPT: "n/a"}),
    ],
)
def test_of_several_names_the_first_number_counts_and_another_value_stays(attributes, left):
    normalise_figures(attributes)
    assert attributes == left


@pytest.mark.parametrize("value", ["many", True, 1.5, [5], {"a": 5}, "1e400"])
def test_a_value_that_is_not_a_number_stays(value):
    attributes = {PROMPT: value, "gen_ai.usage.completion_tokens": "7"}
    normalise_figures(attributes)
    assert attributes == {INPUT: value, OUTPUT: 7}


@pytest.mark.parametrize("value", [None, "", " ", float("nan")])
def test_a_value_that_says_nothing_is_left_out(value):
    assert figures({INPUT: value, OUTPUT: 7}) == {OUTPUT: 7}


@pytest.mark.parametrize(
    ("attributes", "counts"),
    [
        ({"gen_ai.usage.input_cost": 0.25, "gen_ai.usage.output_cost": "0.5"}, {COST: 0.75}),
        ({"gen_ai.usage.prompt_cost": 0.25, "gen_ai.usage.completion_cost": 0.5}, {COST: 0.75}),
        ({"llm.cost.prompt": 0.25}, {COST: 0.25}),
        ({"llm.cost.completion": 0.25}, {COST: 0.25}),
        ({"llm.cost.prompt": 0.25, "llm.cost.completion": "?"}, {COST: "?"}),  # not a part of the cost as the whole
        ({"llm.cost.prompt": 0.25, "llm.cost.completion": 0.5, "llm.cost.total": 1}, {COST: 1.0}),
        ({"gen_ai.usage.text.input_tokens": 5, "gen_ai.usage.image.input_tokens": 7}, {INPUT: 12}),
        ({"gen_ai.usage.cost.input": 0.25, "gen_ai.usage.cost.output": 0.5}, {COST: 0.75}),
        ({"gen_ai.usage.cost.input": 0.25, COST: 0}, {COST: 0.25}),
        ({"gen_ai.usage.cost.input": 0, COST: 0}, {COST: 0.0}),
        ({"gen_ai.usage.cost.input": "?", COST: 0}, {COST: 0.0}),
        ({"gen_ai.usage.text.input_tokens": 5, INPUT: 9}, {INPUT: 9}),
        ({"gen_ai.usage.cache_creation_5m.input_tokens": 5, "gen_ai.usage.cache_creation_1h.input_tokens": 2}, {CREATED: 7}),
    ],
)
def test_parts_are_added_up_where_the_whole_is_missing(attributes, counts):
    assert figures(attributes) == counts


@pytest.mark.parametrize(
    ("attributes", "counts"),
    [
        ({"mlflow.chat.tokenUsage": '{"input_tokens": 5, "output_tokens": 7}'}, {INPUT: 5, OUTPUT: 7}),
        ({"mlflow.llm.cost": {"input_cost": 0.25, "output_cost": 0.5, "total_cost": 0.75}}, {COST: 0.75}),
        ({"langsmith.usage_metadata": '{"input_tokens": 9, "input_token_details": {"cache_read": 8}}'}, {INPUT: 9, CACHED: 8}),
        ({"langfuse.observation.usage_details": '{"input": 5, "input_cached_tokens": 40}'}, {INPUT: 45, CACHED: 40}),
        ({"langfuse.observation.cost_details": '{"input": 0.25, "output": 0.5}'}, {COST: 0.75}),
        ({"mlflow.chat.tokenUsage": {"input_tokens": 5}, INPUT: 6}, {INPUT: 6}),
        ({"mlflow.chat.tokenUsage": {"input_tokens": 5}, INPUT: 0}, {INPUT: 5}),
        ({COST: {"input": 0.25, "output": 0.5, "total": 0.75}}, {COST: 0.75}),
        ({COST: '{"input": 0.25, "output": 0.5, "total": 0}'}, {COST: 0.75}),
        ({"llm.usage.cost": {"total": 0.5}}, {COST: 0.5}),
        ({COST: {"amount": 5}}, {COST: {"amount": 5}}),  # who knows what that is
        ({COST: {"total": "n/a"}}, {COST: {"total": "n/a"}}),
        ({"mlflow.chat.tokenUsage": {"input_tokens": "many"}}, {INPUT: "many"}),
        ({"mlflow.chat.tokenUsage": '{"input_tok'}, {}),
    ],
)
def test_objects_of_figures(attributes, counts):
    assert figures(attributes) == counts
    assert figures(attributes | {"mine": 1}) == counts


ANTHROPIC = {"gen_ai.system": "anthropic"}
AI_SDK = {"ai.usage.inputTokenDetails.cacheReadTokens": 4}


@pytest.mark.parametrize(
    ("attributes", "tokens"),
    [
        ({INPUT: 10, CACHED: 4}, 10),  # as the convention says
        ({INPUT: 10, CACHED: 40, CREATED: 2}, 52),  # cannot be included
        ({INPUT: 40, CACHED: 40}, 40),
        ({INPUT: 10, OUTPUT: 3, CACHED: 4, TOTAL: 17}, 14),  # Bedrock: the total counts them beside the input
        ({INPUT: 10, OUTPUT: 3, CACHED: 4, TOTAL: 13}, 10),
        ({INPUT: 10, OUTPUT: 3, CACHED: 4, TOTAL: 16}, 10),
        ({INPUT: 10, CACHED: 4, TOTAL: 14}, 10),  # the rest may be the output
        ({INPUT: 10, "ai.usage.inputTokenDetails.noCacheTokens": 10, **AI_SDK}, 14),
        ({INPUT: 10, "ai.usage.inputTokenDetails.noCacheTokens": 6, **AI_SDK}, 10),
        ({INPUT: 10, CACHED: 4, **ANTHROPIC}, 10),  # OpenLLMetry adds them
        ({INPUT: 10, CACHED: 4, "gen_ai.client.token.usage": 13, **ANTHROPIC}, 14),  # OpenLIT does not
        ({INPUT: 10, CACHED: 4, "gen_ai.client.token.usage": 13, "gen_ai.system": "openai"}, 10),
        ({INPUT: 10, CACHED: 4, "span.type": "llm", **ANTHROPIC}, 10),
    ],
)
def test_input_tokens_include_cached_tokens(attributes, tokens):
    assert figures(attributes)[INPUT] == tokens


@pytest.mark.parametrize(
    ("attributes", "tokens"),
    [
        ({OUTPUT: 10, REASONING: 4}, 10),
        ({INPUT: 5, OUTPUT: 10, REASONING: 4, TOTAL: 19}, 14),  # Gemini
        ({INPUT: 5, OUTPUT: 10, REASONING: 4, TOTAL: 15}, 10),
        ({OUTPUT: 50, "gen_ai.usage.experimental.reasoning_tokens": 10}, 60),  # Google ADK
    ],
)
def test_output_tokens_include_reasoning_tokens(attributes, tokens):
    assert figures(attributes)[OUTPUT] == tokens


@pytest.mark.parametrize(
    ("cached", "reasoning", "total", "counts"),
    [
        (4, 2, 10 + 3 + 4, (14, 3)),
        (4, 2, 10 + 3 + 2, (10, 5)),
        (4, 2, 10 + 3 + 4 + 2, (14, 5)),
        (4, 4, 10 + 3 + 4, (10, 3)),  # it may be either of them
        (4, 4, 10 + 3 + 4 + 4, (14, 7)),
    ],
)
def test_a_total_shows_what_is_counted_apart(cached, reasoning, total, counts):
    told = figures({INPUT: 10, OUTPUT: 3, CACHED: cached, REASONING: reasoning, TOTAL: total})
    assert (told[INPUT], told[OUTPUT]) == counts


def claude_code(**more):
    return {"span.type": "llm_request", "input_tokens": 2, "output_tokens": 333, "cache_read_tokens": 40, **more}


def test_the_bare_names_of_claude_code():
    assert figures(claude_code(cache_creation_tokens=6)) == {INPUT: 48, OUTPUT: 333, CACHED: 40, CREATED: 6}
    assert figures(claude_code(input_tokens=100)) == {INPUT: 100, OUTPUT: 333, CACHED: 40}
    assert figures(claude_code(input_tokens=100, **ANTHROPIC)) == {INPUT: 140, OUTPUT: 333, CACHED: 40}
    assert figures(claude_code(**{"span.type": "tool"})) == {}


@pytest.mark.parametrize(
    ("attributes", "estimated"),
    [
        ({INPUT: 5, OUTPUT: 7, COST: 0.5}, []),
        ({INPUT: 5, OUTPUT: 7, COST: 0.5, "langwatch.tokens.estimated": True}, [INPUT, OUTPUT]),
        ({"gen_ai.usage.prompt_tokens": 5, "gen_ai.usage.estimated": "true"}, [INPUT]),
        ({INPUT: 5, "gen_ai.usage.estimated": False}, []),
        ({INPUT: 5, "gen_ai.usage.estimated_cost_usd": 0.5}, [COST]),
        ({COST: 0.5, "gen_ai.usage.estimated_cost_usd": 0.5}, []),
        ({COST: 0.5, "gen_ai.usage.estimated_cost_usd": 0.25}, []),
    ],
)
def test_estimated_figures(attributes, estimated):
    assert normalise_figures(attributes) == estimated


names = st.sampled_from(
    [*KEY_OF, *(name for groups in FIGURE_PARTS.values() for group in groups for name in group), "mine", *OBJECTS]
)
values = st.one_of(
    st.none(), st.booleans(), st.integers(0, 9), st.floats(), st.text(max_size=2), st.lists(st.integers(), max_size=1)
)


@pytest.mark.laws
@given(st.dictionaries(names, values, max_size=8), st.randoms(use_true_random=False))
def test_no_value_is_lost_and_the_order_of_attributes_does_not_matter(attributes, random: Random):
    shuffled = list(attributes.items())
    random.shuffle(shuffled)
    named, again = dict(attributes), dict(shuffled)
    assert normalise_figures(named) == normalise_figures(again)
    assert {key: repr(value) for key, value in named.items()} == {key: repr(value) for key, value in again.items()}
    told = {name for name, value in attributes.items() if str(value).strip() not in ("None", "nan", "")}
    assert {KEY_OF.get(name, name) for name in told} <= named.keys()
