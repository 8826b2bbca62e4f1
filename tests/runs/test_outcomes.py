from conftest import spans_of, with_data

from tokenvis.runs.outcomes import outcomes_of


def test_the_time_cost_tokens_and_errors_of_each_run():
    call = {"attributes": {"gen_ai.request.model": "m", "gen_ai.usage.input_tokens": 7, "gen_ai.usage.output_tokens": 1}}
    spans = spans_of("ann 0 10 desk a", "bob 10 14 lab a", "ann 20 30 desk b", "ann 40 41 desk c")
    spans = with_data(spans, b={"status": "error", **call}, c=call, d={"kind": "model"})
    table = outcomes_of(spans, prices={"m": {"input": 1e6, "output": 2e6}})
    assert table["trace_id"].tolist() == ["a", "b", "c"]
    assert table[["wall_us", "n_errors", "n_silent", "n_unpriced"]].to_numpy().tolist() == [
        [14, 1, 0, 0],
        [10, 0, 0, 0],
        [1, 0, 1, 1],
    ]
    assert table["tokens"].tolist()[:2] == [8, 8]
    assert table["cost"].tolist()[:2] == [9, 9]
    assert table[["tokens", "cost"]].iloc[2].isna().all()
    assert outcomes_of(spans)["cost"].isna().all()
    assert len(outcomes_of(spans.iloc[:0])) == 0
