import json
from collections import defaultdict

import pandas as pd
import pytest
from conftest import spans_of, with_data
from hypothesis import given
from test_calls import frames_of_calls

from tokenvis import diagnose, self_spans

CALL, OTHER, COST = {"label": "look", "input": "x"}, {"label": "look", "input": "y"}, "gen_ai.usage.cost"
PLACE = ["trace_id", "agent_id", "location_id"]
TOLD = "The time is that of all but the first, and something may have changed between them."


def repeated(spans):
    """The rows about repeated calls."""
    return diagnose(spans).query("kind == 'repeated call'").to_dict("records")


def test_three_equal_calls_are_repeated():
    rows = "ann 0 2 lab", "ann 2 3 desk", "ann 3 5 lab", "bob 4 6 lab", "ann 8 11 lab"
    spans = with_data(spans_of(*rows), **dict.fromkeys("acde", CALL))
    [row] = repeated(spans)
    assert (row["about"], row["n_spans"], row["time_us"], row["span_ids"]) == ("behaviour", 3, 5, ["a", "c", "e"])
    assert row["meaning"] == f"'ann' made the same call at 'lab' 3 times with the same arguments. {TOLD}"
    assert pd.isna(row["cost"])


@pytest.mark.parametrize(
    "data",
    [
        {"a": CALL, "b": CALL},
        {"a": CALL, "b": CALL, "c": OTHER},
        {"a": CALL, "b": CALL, "c": {"label": "look"}},  # its arguments are not known
        {"a": CALL, "b": CALL, "c": {**CALL, "label": "see"}},
        {"a": CALL, "b": CALL, "c": {**CALL, "status": "error"}},
        {"a": CALL, "b": CALL, "c": {**CALL, "waits_for": "user"}},
        {one: {"label": "look"} for one in "abc"},
    ],
)
def test_calls_that_are_not_repeated(data):
    assert repeated(with_data(spans_of("ann 0 2 lab", "ann 3 5 lab", "ann 6 7 lab"), **data)) == []


def test_attempts_that_failed_are_retries_and_what_worked_counts():
    spans = spans_of(*(f"ann {time} {time + 1} lab" for time in range(0, 12, 2)))
    failed = {**CALL, "status": "error"}
    spans = with_data(spans, **dict.fromkeys("bdf", CALL), **dict.fromkeys("ace", failed))
    table = diagnose(spans).query("about == 'behaviour'")
    assert table[["kind", "n_spans", "time_us"]].to_numpy().tolist() == [["retry", 3, 6], ["repeated call", 3, 2]]


def test_a_call_within_the_same_call_does_not_count():
    rows = [f"ann {start} {start + 3} lab" for start in (0, 10, 20, 30)]
    inner = [f"ann {start + 1} {start + 2} lab" for start in (0, 10, 20, 30)]
    parents = {"e": "a", "f": "b", "g": "c", "h": "d"}
    spans = with_data(spans_of(*rows, *inner, parents=parents), **dict.fromkeys("abcdefgh", CALL))
    [row] = repeated(spans)
    assert (row["span_ids"], row["time_us"]) == (["a", "b", "c", "d"], 9)
    assert repeated(spans[spans["id"].isin([*"abef"])]) == []


def test_several_calls_at_one_place():
    rows = [f"ann {time} {time + 1} lab" for time in range(0, 14, 2)]
    [row] = repeated(with_data(spans_of(*rows), **dict.fromkeys("abcd", CALL), **dict.fromkeys("efg", OTHER)))
    told = "'ann' made 2 calls at 'lab' again and again with the same arguments, 7 times in all, and one of them 4 times."
    assert (row["meaning"], row["n_spans"], row["time_us"]) == (f"{told} {TOLD}", 7, 5)


def test_the_cost_is_that_of_the_repetitions():
    spans = spans_of("ann 0 2 model:m", "ann 2 3 model:m", "ann 3 5 model:m")
    calls = {one: {**CALL, "attributes": {COST: cost}} for one, cost in (("a", 1), ("b", 2), ("c", 4))}
    [row] = repeated(with_data(spans, **calls))
    assert row["cost"] == 6


def test_pieces_of_a_span_are_one_call():
    spans = spans_of("ann 0 9 lab", "ann 2 4 desk", "ann 5 7 desk", parents={"b": "a", "c": "a"})
    assert repeated(self_spans(with_data(spans, a=CALL))) == []


@pytest.mark.laws
@given(frames_of_calls())
def test_repeated_calls_are_those_of_the_oracle(spans):
    spans = spans.assign(data=None, parent_id=None, location_id="desk")
    calls = defaultdict(list)
    for row in spans.sort_values(["start_time", "end_time", "id"]).to_dict("records"):
        if row["status"] != "error" and not pd.isna(row["input"]):
            calls[(*(row[name] for name in PLACE), str(row["label"]), row["input"])].append(row)
    expected = defaultdict(lambda: (set(), set()))
    for call, of_call in calls.items():
        if len(of_call) >= 3:
            ids, times = expected[call[:3]]
            ids |= {row["id"] for row in of_call}
            times |= {time for row in of_call[1:] for time in range(row["start_time"], row["end_time"])}
    found = {json.dumps([row["trace_id"], sorted(row["span_ids"]), row["time_us"]]) for row in repeated(spans)}
    assert found == {json.dumps([place[0], sorted(ids), len(times)]) for place, (ids, times) in expected.items()}
