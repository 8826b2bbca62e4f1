import pandas as pd
import pytest
from conftest import spans_of, with_data
from exports import any_spans
from hypothesis import given

from tokenvis import BadSpan, export, usage
from tokenvis.fleet.sources.folder import FolderSource
from tokenvis.fleet.writing.promoted import promoted_columns

TOKENS = "gen_ai.usage.input_tokens"


def columns_of(spans):
    return {name: values.to_pylist() for name, values in promoted_columns(spans).items()}


def test_the_texts_are_those_of_data():
    spans = with_data(
        spans_of("ann 0 10 desk", "bob 5 5 lab", "eve 6 7 lab"),
        a={"kind": "tool", "status": "error"},
        b={"kind": 5, "status": "\ud83d", "attributes": {"gen_ai.request.model": "m", "gen_ai.response.model": "m-2"}},
    )
    columns = columns_of(spans)
    assert columns["kind"] == ["tool", None, None]
    assert columns["status"] == ["error", "\ufffd", None]
    assert columns["model"] == [None, "m-2", None]


def test_a_parent_that_repeats_tokens_has_none():
    spans = with_data(
        spans_of("ann 0 10 agent", "ann 1 2 model:m", "ann 3 4 model:m", "bob 5 6 model:m u"),
        a={"attributes": {TOKENS: 30, "gen_ai.usage.cost": 0.5}},
        b={"attributes": {TOKENS: 10}},
        c={"attributes": {TOKENS: 20, "gen_ai.usage.output_tokens": 0}},
    ).assign(parent_id=[None, "a", "a", None])
    columns = columns_of(spans)
    assert columns["input_tokens"] == [None, 10, 20, None]
    assert columns["output_tokens"] == [None, None, 0, None]
    assert columns["cost"] == [0.5, None, None, None]


def test_no_spans_have_no_values():
    assert set(map(len, columns_of(spans_of()).values())) == {0}


@pytest.mark.laws
@given(spans=any_spans())
def test_sums_of_the_columns_are_those_of_usage(spans, tmp_path_factory):
    folder = tmp_path_factory.mktemp("law") / "spans"
    try:
        export(spans, folder, format="fleet")
    except BadSpan:
        return
    [file] = folder.iterdir()
    table = pd.read_parquet(file)
    source = FolderSource(folder)
    loaded = source.table_of(source.traces()["id"]).to_pandas()
    expected = usage(loaded, by="trace_id").set_index("trace_id")
    assert table["input_tokens"].sum() == expected["input_tokens"].sum()
