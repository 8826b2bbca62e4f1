import json

import pytest

from tokenvis.conventions.prompts import prompt_of

USER = {"role": "user", "content": "Plan a trip"}


@pytest.mark.parametrize(
    "value",
    [
        "Plan a trip",
        " Plan a trip\n",
        [USER],
        [
            {"role": "system", "content": "You help"},
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": "Hi"},
            USER,
        ],
        {"messages": [USER]},
        {"messages": [{"type": "human", "content": "Plan a trip"}]},
        {"new_message": {"role": "user", "parts": [{"text": "Plan a trip"}]}},
        [{"role": "user", "parts": [{"type": "text", "content": "Plan a trip"}]}],
        [{"role": "user", "content": [{"type": "text", "text": "Plan a trip"}]}],
        {"inputs": {"question": "Plan a trip"}},
        ["Plan a trip"],
    ],
)
def test_a_prompt_of_any_shape(value):
    assert prompt_of({"input.value": value}, {}) == "Plan a trip"
    assert prompt_of({}, {"input": json.dumps(value) if not isinstance(value, str) else value}) == "Plan a trip"


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        " ",
        5,
        [],
        {},
        "<REDACTED>",
        "{x",
        "[",
        {"n": 5},
        [{"role": "system", "content": "You help"}],
        [[[[[[[[["x"]]]]]]]]],
    ],
)
def test_no_prompt(value):
    assert prompt_of({"input.value": value}, {}) is None


def test_the_prompt_of_the_user_comes_before_the_arguments_of_a_function():
    assert prompt_of({"input.value": "args", "user_prompt": "go"}, {}) == "go"
