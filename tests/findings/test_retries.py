import pandas as pd
import pytest
from conftest import spans_of, with_data
from hypothesis import given
from test_calls import frames_of_calls, oracle
from waiting import presence_of

from tokenvis import diagnose

FAILED, TRIED, COST = {"label": "try", "status": "error"}, {"label": "try"}, "gen_ai.usage.cost"
PLACE = ["agent_id", "location_id"]
TOLD = "The time is that of these attempts, and of the pause until the agent does anything else."
BY_LABEL = "of them only the label is known to be the same, not the arguments."


def retry_rows(spans, **options):
    """The rows about retries."""
    return diagnose(spans, **options).query("kind == 'retry'").to_dict("records")


def retried(spans):
    """Retries as text: "agent location n time ids"."""
    agents = spans.set_index("id")[PLACE].astype(str)
    return [
        f"{' '.join(agents.loc[row['span_ids'][0]])} {row['n_spans']} {row['time_us']} {''.join(row['span_ids'])}"
        for row in retry_rows(spans)
    ]


@pytest.mark.parametrize(
    ("rows", "data", "expected"),
    [
        (["ann 0 5 lab", "ann 8 9 lab"], {"a": FAILED, "b": TRIED}, ["ann lab 1 8 a"]),
        (["ann 0 5 lab", "ann 5 6 lab", "ann 9 10 lab"], {"a": FAILED, "b": FAILED, "c": TRIED}, ["ann lab 2 9 ab"]),
        (["ann 0 5 lab", "bob 5 7 lab", "ann 8 9 lab"], {"a": FAILED, "c": TRIED}, ["ann lab 1 8 a"]),  # another agent
        (["ann 0 5 lab", "ann 6 7 desk", "ann 9 10 lab"], {"a": FAILED, "c": TRIED}, ["ann lab 1 6 a"]),  # until it works
        (["ann 0 5 lab", "ann 3 7 desk", "ann 9 10 lab"], {"a": FAILED, "c": TRIED}, ["ann lab 1 5 a"]),  # it works meanwhile
        (["ann 0 5 lab", "ann 0 5 lab", "ann 8 9 lab"], {"a": FAILED, "b": FAILED, "c": TRIED}, ["ann lab 2 8 ab"]),
        (["ann 0 0 lab", "ann 0 0 lab"], {"a": FAILED, "b": TRIED}, ["ann lab 1 0 a"]),
        (["ann 0 5 lab", "ann 8 9 lab"], {"a": FAILED, "b": {"label": "other"}}, []),
        (
            ["ann 0 5 lab", "ann 1 2 desk", "ann 6 9 lab", "ann 7 8 desk"],
            {"a": FAILED, "b": FAILED, "c": TRIED, "d": TRIED},
            ["ann lab 1 6 a", "ann desk 1 1 b"],
        ),
    ],
)
def test_the_time_of_failed_attempts_and_of_the_pause_after_them(rows, data, expected):
    assert retried(with_data(spans_of(*rows), **data)) == expected


def test_the_span_around_both_attempts_is_no_other_work():
    spans = spans_of("ann 0 20 desk", "ann 1 5 lab", "ann 8 9 lab", parents={"b": "a", "c": "a"})
    spans = with_data(spans, b=FAILED, c=TRIED)
    assert retried(spans) == ["ann lab 1 7 b"]
    assert retried(spans.assign(parent_id=None)) == ["ann lab 1 4 b"]  # nothing shows that it is around them
    at_once = pd.concat([spans, spans_of("ann 0 7 attic").assign(id="x", parent_id=None)])
    assert retried(at_once) == ["ann lab 1 4 b"]


def test_what_is_said_about_a_place():
    spans = spans_of("ann 0 5 lab", "ann 6 7 lab", "ann 8 9 lab")
    known = {"input": 1}
    [row] = retry_rows(with_data(spans, a={**FAILED, **known}, b={**FAILED, **known}, c={**TRIED, **known}))
    assert row["meaning"] == f"'ann' tried 2 failed attempts at 'lab' again, and 1 of these failed again. {TOLD}"
    assert (row["about"], row["n_spans"], row["time_us"], row["span_ids"]) == ("behaviour", 2, 8, ["a", "b"])
    assert pd.isna(row["cost"])
    [row] = retry_rows(with_data(spans, a=FAILED, b=TRIED))
    assert (
        row["meaning"] == f"'ann' tried 1 failed attempt at 'lab' again, and 0 of these failed again. {TOLD} For 1 {BY_LABEL}"
    )


def test_the_cost_is_that_of_the_attempts_and_of_all_below():
    parents = {"b": "a", "c": "a", "d": "c", "e": "a"}
    spans = spans_of("ann 0 20 desk", "bob 1 5 agent", "bob 6 9 agent", "bob 7 8 model:m", "bob 10 12 agent", parents=parents)
    costs = {one: {"attributes": {COST: cost}} for one, cost in (("b", 2), ("d", 3), ("e", 4))}
    [row] = retry_rows(with_data(spans, b={**FAILED, **costs["b"]}, c=FAILED, d=costs["d"], e={**TRIED, **costs["e"]}))
    assert (row["cost"], row["time_us"], row["span_ids"]) == (5, 9, ["b", "c"])
    call = {"attributes": {"gen_ai.request.model": "m", "gen_ai.usage.input_tokens": 2_000_000}}
    spans = with_data(spans, b=FAILED, c=FAILED, d=call, e=TRIED)
    [row] = retry_rows(spans)
    assert pd.isna(row["cost"])
    [row] = retry_rows(spans, prices={"m": {"input": 3, "output": 15}})
    assert row["cost"] == 6


def lost_time(spans, failed, again):
    """The microseconds that an attempt loses."""
    rows, attempt = spans.set_index("id"), spans.set_index("id").loc[failed]
    of_trace = spans[spans["trace_id"] == attempt["trace_id"]]
    starts = of_trace[of_trace["agent_id"] == attempt["agent_id"]]["start_time"]
    pieces, end = presence_of(of_trace), attempt["end_time"]
    others = pieces[(pieces["agent_id"] == attempt["agent_id"]) & (pieces["id"] != attempt["parent_id"])]
    is_idle = not ((others["start_time"] <= end) & (others["end_time"] > end)).any()
    following = min(rows.loc[again, "start_time"], starts[starts >= end].min())
    return set(range(attempt["start_time"], following if is_idle else end))


@pytest.mark.laws
@given(frames_of_calls())
def test_the_time_lost_is_that_of_the_oracle(spans):
    lost = {}
    for failed, again in map(str.split, sorted(oracle(spans))):
        ids, times = lost.setdefault(tuple(spans.set_index("id").loc[failed, ["trace_id", *PLACE]]), (set(), set()))
        ids.add(failed)
        times |= lost_time(spans, failed, again)
    found = [(row["trace_id"], frozenset(row["span_ids"]), row["time_us"]) for row in retry_rows(spans)]
    assert len(found) == len(lost)
    assert set(found) == {(trace, frozenset(ids), len(times)) for (trace, *_), (ids, times) in lost.items()}
