import re

import numpy as np
import pytest
from conftest import spans_of, with_data

from tokenvis import BadSpan
from tokenvis.runs.steps.run_steps import depths_at_start, run_steps_of

BY = ["agent_id", "location_id", "label"]


def order_of_ids(spans):
    """The ids of the steps of a run, in order."""
    return run_steps_of(spans, spans.iloc[:0], BY, "agent_id").spans["id"].tolist()


def test_steps_that_start_at_once_are_in_order_of_their_nesting():
    spans = spans_of(
        "ann 0 9 desk", "bob 0 5 lab", "ann 0 5 desk", "eve 0 7 hall", "ann 1 2 desk", parents={"b": "a", "c": "b"}
    )
    assert order_of_ids(spans) == ["d", "a", "b", "c", "e"]
    assert depths_at_start(np.array([-1, 0, 1, 1]), np.array([0, 0, 0, 4])).tolist() == [0, 1, 2, 0]


def test_steps_at_the_same_time_are_in_order_of_names_label_and_arguments_before_ids():
    spans = with_data(
        spans_of("bob 0 5 lab", "ann 0 5 lab", "ann 0 5 desk", "ann 0 5 lab", "ann 0 5 lab"),
        b={"label": "z"},
        d={"label": "y", "input": "2"},
        e={"label": "y", "input": "1"},
    )
    assert order_of_ids(spans) == ["c", "d", "e", "b", "a"]
    renamed = spans.assign(id=spans["id"].map(dict(zip("abcde", "edcba", strict=True))))
    steps = run_steps_of(spans, renamed.iloc[::-1].assign(trace_id="u"), BY, "agent_id")
    assert steps.spans["id"].tolist()[steps.n_first :] == ["c", "b", "a", "d", "e"]
    assert steps.key[:5].tolist() == steps.key[5:].tolist()
    assert steps.arguments[:5].tolist() == steps.arguments[5:].tolist()


def test_parents_are_rows_of_the_steps():
    spans = spans_of("ann 5 9 desk", "ann 6 7 lab", parents={"b": "a", "a": "unknown"})
    steps = run_steps_of(spans, spans, BY, "agent_id")
    assert steps.parent.tolist() == [-1, 0, -1, 2]
    integers = spans.assign(id=[7, 8], parent_id=[None, 7.0], trace_id="u")
    assert run_steps_of(spans, integers, BY, "agent_id").parent.tolist() == [-1, 0, -1, 2]


def test_an_error_names_the_span_and_the_side_if_both_are_one_trace():
    spans = spans_of("ann 0 1 desk", "ann 1 2 desk").assign(data=['{"label": 1}', '{"label"'])
    for other, name in (("t", "t (b)"), ("u", "u")):
        with pytest.raises(BadSpan, match=rf"^data of span 'b' of trace '{re.escape(name)}' is not a JSON object: "):
            run_steps_of(spans.iloc[:1], spans.assign(trace_id=other), BY, "agent_id")
