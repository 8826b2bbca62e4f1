import pytest

from tokenvis.conventions.opentelemetry import hex_id, kind_of, normalise_attributes, status_of

INPUT, OUTPUT = "gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"


@pytest.mark.parametrize(
    ("attributes", "normalised"),
    [
        ({"llm.model_name": "opus", "llm.provider": "x"}, {"gen_ai.request.model": "opus", "gen_ai.provider.name": "x"}),
        ({"llm.token_count.prompt": 5, "llm.token_count.completion": "7"}, {INPUT: 5, OUTPUT: 7}),
        ({"session.id": "s"}, {"session.id": "s", "gen_ai.conversation.id": "s"}),
        ({"operation.cost": "0.5", INPUT: 1}, {INPUT: 1, "gen_ai.usage.cost": 0.5}),
        ({"my.own": [1]}, {"my.own": [1]}),
    ],
)
def test_attributes_under_one_name(attributes, normalised):
    assert normalise_attributes(attributes) == []
    assert attributes == normalised


def test_of_several_aliases_the_same_one_always_wins_and_the_order_is_the_same():
    attributes = {"llm.token_count.completion": 7, "llm.system": "openai", "llm.provider": "azure", "mine": 1, INPUT: 5}
    normalise_attributes(attributes)
    assert list(attributes.items()) == [
        ("mine", 1),
        ("gen_ai.provider.name", "azure"),
        (INPUT, 5),
        (OUTPUT, 7),
    ]


@pytest.mark.parametrize(
    ("attributes", "source_kind", "kind"),
    [
        ({"gen_ai.operation.name": "chat"}, "", "model"),
        ({"gen_ai.operation.name": "execute_tool"}, "internal", "tool"),
        ({"openinference.span.kind": "LLM"}, "", "model"),
        ({"mlflow.spanType": "CHAT_MODEL"}, "", "model"),
        ({"mlflow.spanType": "UNKNOWN"}, "", None),
        ({"gen_ai.operation.name": "summarize"}, "", "summarize"),
        ({}, "GENERATION", "model"),
        ({}, "INTERNAL", None),
        ({}, "server", "server"),
        ({"gen_ai.tool.name": "x"}, "", "tool"),
        ({"gen_ai.operation.name": ["chat"]}, "", None),
    ],
)
def test_the_kind_of_work(attributes, source_kind, kind):
    assert kind_of(attributes, source_kind) == kind


@pytest.mark.parametrize(
    ("value", "id_"),
    [
        ("EEE19B7EC3C1B174", "eee19b7ec3c1b174"),
        ("7uGbfsPBsXQ=", "eee19b7ec3c1b174"),
        (0xEEE19B7EC3C1B174, "eee19b7ec3c1b174"),
        ("0xeee19b7ec3c1b174", "eee19b7ec3c1b174"),
        ("0x1", "0000000000000001"),
        (1, "0000000000000001"),
    ],
)
def test_an_id_in_any_form(value, id_):
    assert hex_id(value, 16) == id_


@pytest.mark.parametrize("value", ["", "xyz", None, -1, 2**64, 1.5, [], "0" * 17, "0x"])
def test_a_value_that_is_not_an_id(value):
    with pytest.raises(ValueError, match=r" is not an id of 16 hex digits$"):
        hex_id(value, 16)


def test_a_status_in_any_form():
    statuses = ["STATUS_CODE_OK", "StatusCode.ERROR", "ok", "ERROR", 1, 2, 0, None, "UNSET", {}]
    assert [status_of(status) for status in statuses] == ["ok", "error", "ok", "error", "ok", "error", None, None, None, None]
