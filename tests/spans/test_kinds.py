import pandas as pd
from conftest import spans_of, spans_with, with_data

from tokenvis.spans.kinds import KINDS_OF_WORK, kinds_of


def kinds(spans):
    """The kind of work of each span, by name."""
    return [KINDS_OF_WORK[code] for code in kinds_of(spans)]


def test_the_prefix_of_the_location_decides():
    spans = spans_of("ann 0 1 model:m", "ann 1 2 tool:Bash", "ann 2 3 desk", "ann 3 4 tools:x", "ann 4 5 model:")
    assert kinds(spans) == ["model", "tool", "other", "other", "model"]


def test_kind_in_data_decides_at_other_locations():
    spans = spans_with({"kind": "model"}, {"kind": "embedding"}, {"kind": "tool"}, {"kind": "checkpoint"}, None, {"kind": [1]})
    assert kinds(spans) == ["model", "model", "tool", "other", "other", "other"]
    assert kinds(spans_with({"attributes": {"kind": "model"}}, {"label": "kind"})) == ["other", "other"]


def test_kind_may_be_a_column_and_names_may_be_texts():
    spans = spans_of("ann 0 1 desk", "ann 1 2 desk", "ann 2 3 tool:x").assign(kind=["tool", None, "model"])
    assert kinds(spans) == kinds(spans.astype({"location_id": "str"})) == ["tool", "other", "tool"]


def test_locations_may_be_numbers():
    assert kinds(spans_of("ann 0 1 desk", "ann 1 2 desk").assign(location_id=[7, 12])) == ["other", "other"]


def test_payloads_are_parsed_only_where_the_location_does_not_decide():
    spans = spans_of("ann 0 1 tool:x", "ann 1 2 desk").assign(data=['{"kind": broken', '{"kind": "tool"}'])
    assert kinds(spans) == ["tool", "tool"]


def test_hostile_kinds_and_an_empty_frame():
    names = ["$\\frac{", "<script>", "a\nb", "\N{PILE OF POO}", "x" * 10_000, "Tool"]
    spans = spans_with(*({"kind": name} for name in names))
    assert kinds(spans) == ["other"] * len(names)
    assert kinds(spans.iloc[:0]) == []
    assert kinds(with_data(spans_of("ann 0 1 desk"), a={"kind": True}).drop(columns="data")) == ["other"]
    assert kinds_of(pd.concat([spans, spans])).dtype == "int8"
