import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenvis.conventions.rules import default_location, distinct_names, location_of


@pytest.mark.parametrize(
    ("given", "location"),
    [
        ({"tool": "Bash"}, "tool:Bash"),
        ({"tool": "Bash", "model": "opus"}, "tool:Bash"),
        ({"model": "opus"}, "model:opus"),
        ({"tool": "", "model": "opus"}, "model:opus"),
        ({"model": ""}, "model:unknown"),
        ({}, "model:unknown"),
    ],
)
def test_a_location_is_the_tool_else_the_model(given, location):
    assert location_of(**given) == location


@pytest.mark.parametrize(
    ("name", "location"),
    [
        ("execute_tool search", "tool:search"),
        ("tool: 'get weather'", "tool:get weather"),
        ("running tool: search", "tool:search"),
        ("search the web", "tool:search the web"),
        ("execute_tool", "tool:execute_tool"),
    ],
)
def test_a_tool_call_without_the_name_of_its_tool_is_at_the_tool_in_its_name(name, location):
    assert default_location({}, "tool", name) == location
    assert default_location({"gen_ai.tool.name": "ask"}, "tool", name) == "tool:ask"


def test_a_repeated_name_gets_a_number():
    assert distinct_names(["a", "b", "a", "a"]) == ["a", "b", "a 2", "a 3"]


def test_a_number_in_use_is_skipped():
    assert distinct_names(["a 2", "a", "a", "a"]) == ["a 2", "a", "a 3", "a 4"]
    assert distinct_names(["a", "a", "a 2"]) == ["a", "a 2", "a 2 2"]


def test_no_names_are_no_names():
    assert distinct_names([]) == []


@pytest.mark.laws
@given(st.lists(st.sampled_from(["", "a", "a 2", "a 3", "a 2 2", "b"]), max_size=12))
def test_names_are_distinct_and_start_with_the_given_names(names):
    distinct = distinct_names(names)
    assert len(set(distinct)) == len(distinct) == len(names)
    assert all(new.startswith(name) for new, name in zip(distinct, names, strict=True))
    assert distinct[:1] == names[:1]
    assert distinct == distinct_names(iter(names))
    for end in range(len(names)):
        assert distinct_names(names[:end]) == distinct[:end]
