import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenvis.conventions.rules import rule_function
from tokenvis.conventions.span import SpanRead, assign_by_rules
from tokenvis.conventions.waits import ASKING_TOOLS, default_wait
from tokenvis.errors import BadOption


@pytest.mark.parametrize(
    ("location", "data", "waits_for"),
    [
        *((f"tool:{tool}", {}, "user") for tool in sorted(ASKING_TOOLS)),
        ("tool:Bash", {}, None),
        ("tool:AskUserQuestions", {}, None),
        ("tool:askuserquestion", {}, None),
        ("tool:mcp__tracker__ask_user", {}, None),
        ("AskUserQuestion", {}, None),
        ("model:human", {}, None),
        ("span", {"label": "claude_code.tool.blocked_on_user"}, "user"),
        ("span", {"label": "blocked_on_user"}, "user"),
        ("tool:Bash", {"label": "claude_code.tool.blocked_on_user", "attributes": {"source": "user_temporary"}}, "user"),
        ("tool:Bash", {"label": "claude_code.tool.blocked_on_user", "attributes": {"source": "config"}}, None),
        ("tool:Bash", {"attributes": {"span.type": "tool.blocked_on_user", "source": "hook"}}, None),
        ("tool:Bash", {"label": "claude_code.tool.blocked_on_user", "attributes": {"source": ["hook"]}}, "user"),
        ("span", {"label": "not_blocked_on_user"}, None),
        ("span", {"label": "blocked_on_user.done"}, None),
        ("span", {"label": 5}, None),
        ("span", {"attributes": {"span.type": "tool.blocked_on_user"}}, "user"),
        ("span", {"attributes": {"span.type": "tool.execution"}}, None),
        ("span", {"attributes": {"mcp.method.name": "elicitation/create"}}, "user"),
        ("span", {"attributes": {"mcp.method.name": "tools/call"}}, None),
        ("span", {"attributes": "blocked_on_user"}, None),
        ("span", {}, None),
    ],
)
def test_whom_a_span_waits_for(location, data, waits_for):
    assert default_wait(location, data) == waits_for


def read_span(location="tool:AskUserQuestion", **data):
    return SpanRead("t", "t/1", 0, 5, "ann", location, "ask", data)


def waits_by(rule=None, span=None, **more):
    span = span or read_span()
    assign_by_rules(span, more.get("agent"), more.get("location"), rule_function("waits_for", rule))
    return span.data.get("waits_for")


@pytest.mark.parametrize("written", ["eve", "", None, False, True, 5])
def test_what_the_source_has_written_is_kept(written):
    assert waits_by(span=read_span(waits_for=written)) is written


def test_a_rule_names_whom_a_span_waits_for():
    assert waits_by("reviewer", read_span("desk", attributes={"reviewer": "eve"})) == "eve"
    assert waits_by(lambda span: "eve" if span["location_id"] == "desk" else None, read_span("desk")) == "eve"
    assert waits_by(lambda span: "bob", read_span(waits_for="eve")) == "bob"


@pytest.mark.parametrize("rule", [lambda span: None, "reviewer"], ids=["a function that returns None", "a missing attribute"])
def test_a_rule_that_finds_none_keeps_the_default(rule):
    assert waits_by(rule) == "user"
    assert waits_by(rule, read_span("desk")) is None
    assert waits_by(rule, read_span(waits_for="eve")) == "eve"
    assert waits_by(rule, read_span(waits_for=None)) is None


@pytest.mark.parametrize("blank", ["", " \n"])
def test_a_function_can_say_that_a_span_does_not_wait(blank):
    read = [
        read_span("desk"),
        read_span("desk", waits_for="eve", waits_for_kind="agent"),
        read_span(),
        read_span(waits_for="eve"),
    ]
    for span in read:
        waits_by(lambda span: blank, span)
    assert [span.data for span in read] == [{}, {}, {"waits_for": None}, {"waits_for": None}]
    for span in read:  # as read from an export
        waits_by(None, span)
    assert [span.data for span in read] == [{}, {}, {"waits_for": None}, {"waits_for": None}]


@pytest.mark.parametrize("value", [True, "true", "TRUE", 1, 1.0])
def test_an_attribute_that_is_true_names_the_user(value):
    assert waits_by("is_asking", read_span("desk", is_asking=value)) == "user"


@pytest.mark.parametrize("value", [False, "false", "FALSE", 0, 0.0, "", " \n", [True], {"a": 1}])
def test_an_attribute_that_names_no_one_says_that_the_span_does_not_wait(value):
    assert waits_by("is_asking", read_span("desk", waits_for="eve", is_asking=value)) is None
    assert waits_by("is_asking", read_span(is_asking=value)) is None


def test_an_attribute_may_be_another_integer():
    assert waits_by("reviewer", read_span("desk", reviewer=7)) == "7"


def test_the_kind_of_a_name_is_removed_with_the_name():
    for rule, kind in (("bob", None), ("eve", "agent"), (None, "agent")):
        span = read_span(waits_for="eve", waits_for_kind="agent")
        waits_by(lambda span, rule=rule: rule, span)
        assert span.data.get("waits_for_kind") == kind


def test_the_location_rule_does_not_hide_the_tool():
    span = read_span()
    assert waits_by(span=span, location=lambda span: "hall") == "user"
    assert span.location == "hall"
    assert waits_by(span=read_span("desk"), location=lambda span: "tool:ask_user") == "user"


def test_a_rule_that_is_none_of_these():
    with pytest.raises(BadOption, match=r"^waits_for=5 is neither the name of an attribute nor a function of the span\.$"):
        rule_function("waits_for", 5)
    with pytest.raises(BadOption, match=r"^waits_for= returned 5 for span 't/1'\. It must return a string or None\.$"):
        waits_by(lambda span: 5)


def test_after_an_error_of_a_rule_the_span_is_unchanged():
    span = read_span()
    with pytest.raises(ZeroDivisionError):
        assign_by_rules(span, lambda span: "bob", None, lambda span: 1 / 0)
    assert span == read_span()


@pytest.mark.laws
@given(st.text(max_size=20), st.sampled_from([None, "x", "a.blocked_on_user"]))
def test_only_exact_names_wait(name, label):
    data = {} if label is None else {"label": label}
    is_marked = label == "a.blocked_on_user"
    assert (default_wait(f"tool:{name}", data) == "user") == (name in ASKING_TOOLS or is_marked)
    assert (default_wait(f"model:{name}", data) == "user") == is_marked
