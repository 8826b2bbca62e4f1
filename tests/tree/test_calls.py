from itertools import product

import numpy as np
import pytest
from conftest import spans_frames, spans_of, with_data
from hypothesis import given
from hypothesis import strategies as st

from tokenvis import self_spans
from tokenvis.spans.columns import in_frame_order
from tokenvis.tree.calls import calls_of, failures_of, retries_of
from tokenvis.tree.relations import relations_of

FAILED = {"label": "try", "status": "error"}


def retries(spans):
    """The failed attempts and the next ones, as texts: "failed again"."""
    found, ids = retries_of(spans, relations_of(spans), calls_of(spans)), spans["id"].tolist()
    return [f"{ids[failed]} {ids[again]}" for failed, again in zip(found.failed.tolist(), found.again.tolist(), strict=True)]


def failures(spans):
    """The ids of the failures."""
    return spans["id"].iloc[failures_of(spans, relations_of(spans), calls_of(spans))].tolist()


def test_calls_are_told_apart_by_trace_agent_location_and_label():
    rows = "ann 0 1 desk", "ann 1 2 desk", "ann 2 3 lab", "bob 3 4 desk", "ann 4 5 desk", "ann 5 6 desk u", "ann 6 7 desk"
    given_data = {"label": "x", "arguments": [1]}
    spans = with_data(spans_of(*rows), **dict.fromkeys("abcdf", given_data), e={"label": 7, "arguments": [2]}, g={"label": " "})
    calls = calls_of(spans)
    assert calls.key.tolist()[:2] == [calls.key[0]] * 2
    assert len(set(calls.key.tolist())) == 6
    assert calls.label.tolist() == [0, 0, 0, 0, 1, 0, -1]
    assert calls.arguments.tolist() == [0, 0, 0, 0, 1, 0, -1]
    assert not calls.failed.any()


@pytest.mark.parametrize(
    ("rows", "data", "expected"),
    [
        (["ann 0 2 lab", "ann 2 3 lab"], {"a": FAILED, "b": {"label": "try"}}, ["a b"]),
        (["ann 0 2 lab", "ann 2 3 lab", "ann 9 9 lab"], {"a": FAILED, "b": FAILED, "c": {"label": "try"}}, ["a b", "b c"]),
        (["ann 0 2 lab", "ann 2 4 desk", "ann 5 6 lab"], {"a": FAILED, "b": {}, "c": {"label": "try"}}, ["a c"]),
        (["ann 0 2 lab", "ann 1 3 lab"], {"a": FAILED, "b": {"label": "try"}}, []),  # it started before the other had failed
        (["ann 0 2 lab", "ann 2 3 lab"], {"a": FAILED, "b": {"label": "other"}}, []),
        (["ann 0 2 lab", "bob 2 3 lab"], {"a": FAILED, "b": {"label": "try"}}, []),
        (["ann 0 2 lab", "ann 2 3 lab"], {"a": {"status": "error"}, "b": {}}, []),  # nothing shows that they are the same
        (["ann 0 2 lab", "ann 2 3 lab"], {"a": {"status": "error", "input": 1}, "b": {"input": 1}}, ["a b"]),
        (["ann 0 2 lab", "ann 2 3 lab"], {"a": {"status": "error", "input": 1}, "b": {}}, []),
        (["ann 0 2 lab", "ann 2 3 lab"], {"a": {**FAILED, "input": 1}, "b": {"label": "try", "input": 2}}, []),
        (["ann 0 2 lab", "ann 2 3 lab"], {"a": {**FAILED, "input": 1}, "b": {"label": "try"}}, ["a b"]),
        (["ann 0 2 lab", "ann 2 3 lab"], {"a": FAILED, "b": {"label": "try", "input": 2}}, ["a b"]),
        (
            ["ann 0 2 lab", "ann 2 3 lab", "ann 3 4 lab"],
            {"a": {**FAILED, "input": 1}, "b": {"label": "try", "input": 2}, "c": {"label": "try", "input": 1}},
            ["a c"],
        ),
        (["ann 2 2 lab", "ann 2 2 lab", "ann 2 2 lab"], {"a": {}, "b": FAILED, "c": {"label": "try"}}, ["b c"]),
    ],
)
def test_the_next_of_the_same_calls_is_the_retry(rows, data, expected):
    assert retries(with_data(spans_of(*rows), **data)) == expected


def test_a_retry_is_below_the_same_parent():
    spans = with_data(spans_of("ann 0 9 desk", "ann 1 2 lab", "ann 3 4 lab", parents={"b": "a", "c": "a"}), b=FAILED, c=FAILED)
    assert retries(spans) == ["b c"]
    assert retries(spans.assign(parent_id=[None, "a", None])) == []


def test_an_agent_that_failed_and_was_called_again():
    rows = "ann 0 99 desk", "bob 1 9 agent", "bob 2 5 lab", "bob 10 19 agent", "bob 11 15 lab"
    spans = spans_of(*rows, parents={"b": "a", "c": "b", "d": "a", "e": "d"})
    spans = with_data(spans, b=FAILED, c=FAILED, d={"label": "try"}, e={"label": "try"})
    assert retries(spans) == ["b d"]  # the call below has another parent
    assert failures(spans) == ["c"]


def test_failures_are_counted_where_they_began():
    spans = spans_of(*["ann 0 9 desk"] * 5, parents={"b": "a", "c": "b", "d": "a"})
    assert failures(with_data(spans, a=FAILED, c=FAILED, d={"label": "try"}, e=FAILED)) == ["c", "e"]
    assert failures(spans) == []


def test_pieces_of_a_span_are_one_attempt():
    spans = spans_of("ann 0 9 desk", "ann 2 4 lab", "ann 12 15 desk", parents={"b": "a"})
    pieces = self_spans(with_data(spans, a=FAILED, c=FAILED))
    assert pieces["id"].tolist() == ["a", "b", "a", "c"]
    assert retries(pieces) == ["a c"]
    assert failures(pieces) == ["a", "c"]
    assert retries(pieces.drop(columns="parent_id")) == ["a c"]
    assert failures(pieces.drop(columns="parent_id")) == ["a", "c"]


def test_no_spans():
    calls = calls_of(spans_of())
    assert [len(column) for column in (calls.key, calls.label, calls.arguments, calls.failed)] == [0] * 4
    assert retries(spans_of()) == failures(spans_of()) == []


def same_call(failed, other):
    """Whether nothing shows that two spans are different calls, and something shows that they are the same."""
    if any(failed[column] != other[column] for column in ("trace_id", "agent_id", "location_id", "parent", "label")):
        return False
    if failed["input"] is None or other["input"] is None:
        return failed["label"] is not None
    return failed["input"] == other["input"]


def oracle(spans):
    """The retries by loops over all pairs of rows."""
    spans = in_frame_order(spans).astype(object)
    rows = spans.where(spans.notna(), None).to_dict("records")
    ids = {(row["trace_id"], row["id"]) for row in rows}
    parents = {row["id"]: row["parent_id"] if (row["trace_id"], row["parent_id"]) in ids else None for row in rows}

    def is_cyclic(span):
        ancestor = parents[span]
        for _ in range(len(rows)):
            if ancestor == span:
                return True
            ancestor = parents.get(ancestor)
        return False

    for row in rows:
        row["parent"] = None if is_cyclic(row["id"]) else parents[row["id"]]
    found = {}
    for (first, failed), (second, other) in product(enumerate(rows), repeat=2):
        is_later = first < second and other["start_time"] >= failed["end_time"]
        if failed["status"] == "error" and is_later and same_call(failed, other):
            found.setdefault(failed["id"], other["id"])
    return {f"{span} {again}" for span, again in found.items()}


@st.composite
def frames_of_calls(draw):
    """Frames in which many calls fail, are tried again, and have arguments."""
    spans = draw(spans_frames(parents=True))
    spans = spans.assign(agent_id="ann") if draw(st.booleans()) else spans
    columns = {"status": ["ok", "error", "error", None], "label": [None, "x", "y"], "input": [None, "1", "2"]}
    return spans.assign(
        **{
            name: np.array([draw(st.sampled_from(values)) for _ in range(len(spans))], dtype=object)
            for name, values in columns.items()
        }
    )


@pytest.mark.laws
@given(frames_of_calls())
def test_retries_are_those_of_the_oracle(spans):
    assert set(retries(spans)) == oracle(spans)
