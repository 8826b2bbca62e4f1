from conftest import spans_of

from tokenvis.runs.baseline import distinct_run_names


def test_a_name_that_several_runs_have_is_no_name():
    spans = spans_of(*(f"ann 0 1 desk {trace}" for trace in "tuvw"))
    assert distinct_run_names(spans.assign(trace_name=["monday", "monday", " ", "tuesday"])) == ["t", "u", "v", "tuesday"]
    assert distinct_run_names(spans) == ["t", "u", "v", "w"]


def test_a_name_that_is_the_id_of_another_run_is_no_name():
    spans = spans_of(*(f"ann 0 1 desk {trace}" for trace in "tuv"))
    assert distinct_run_names(spans.assign(trace_name=["u", "monday", "monday"])) == ["t", "u", "v"]
    assert distinct_run_names(spans.assign(trace_name=["t", "u", "tuesday"])) == ["t", "u", "tuesday"]
