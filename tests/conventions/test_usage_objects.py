import pytest

from tokenvis.conventions.usage_objects import cost_figures, langfuse_figures

KEYS = ("input_tokens", "cache_read.input_tokens", "output_tokens", "reasoning.output_tokens", "cache_creation.input_tokens")


@pytest.mark.parametrize(
    ("usage", "counts"),
    [
        ({"input": 5, "output": 7, "total": 12}, (5, None, 7, None, None)),
        ({"input": 5, "output": 7, "prompt_details.cache_read": 3, "total": 12}, (5, 3, 7, None, None)),
        (
            {"input": 5, "input_cached_tokens": 40, "output": 7, "output_reasoning": 3, "total": 55},
            (45, 40, 10, 3, None),
        ),
        ({"input": 5, "cache_read_input_tokens": 40, "output": 7}, (45, 40, 7, None, None)),
        ({"input": 5, "input_cache_creation": 1, "input_cache_creation_5m": 2}, (8, None, None, None, 3)),
        ({"promptTokens": 5, "completionTokens": 7, "totalTokens": 12}, (5, None, 7, None, None)),
        ({"input": 5, "output": 7, "inputCost": 1, "outputCost": 2, "total": 12}, (5, None, 7, None, None)),
        ({"input": "many", "output": "7"}, ("many", None, 7, None, None)),
        ({"input": None, "output": 7}, (None, None, 7, None, None)),
        ({}, (None, None, None, None, None)),
    ],
)
def test_langfuses_tokens_are_counted_once(usage, counts):
    assert tuple(langfuse_figures(usage).get(f"gen_ai.usage.{key}") for key in KEYS) == counts


def test_a_total_goes_with_details_that_are_on_no_side():
    assert langfuse_figures({"input": 50, "cache_read": 40, "output": 7, "total": 97})["gen_ai.usage.total_tokens"] == 97
    assert "gen_ai.usage.total_tokens" not in langfuse_figures({"input": 50, "input_cached": 40, "total": 90})


@pytest.mark.parametrize(
    ("costs", "cost"),
    [
        ({"total": 0.5, "input": 9}, 0.5),
        ({"total_cost": 0.5, "input_cost": 9}, 0.5),
        ({"input": 0.25, "output": "0.5", "note": "x"}, 0.75),
        ({"total": "n/a"}, "n/a"),
        ({"total": 0, "input": 0.25, "output": 0.5}, 0.75),
        ({"total": 0, "total_cost": 0.5, "input": 9}, 0.5),
        ({"total": 0, "input": 0, "output": 0}, 0),
        ({"total": 0}, 0),
        ({}, None),
    ],
)
def test_a_cost_is_the_total_or_the_sum_of_its_parts(costs, cost):
    assert cost_figures(costs).get("gen_ai.usage.cost") == cost
