import numpy as np
import pandas as pd
import pytest
from conftest import spans_of, with_data
from hypothesis import given
from hypothesis import strategies as st

from tokenvis import diagnose, self_spans
from tokenvis.findings.stalls import medians_of_groups

USUAL = [10, 11, 12, 9, 10, 12, 8, 11]
TOLD = "The time is the excess. Slow work and a wait that is not recorded look the same."


def lasting(*durations, location="lab", agent="ann"):
    """Spans of these durations, one after the other."""
    start = np.cumsum([0, *durations])
    return spans_of(*(f"{agent} {begin} {begin + length} {location}" for begin, length in zip(start, durations, strict=False)))


def stalled(spans):
    """The rows about stalls."""
    return diagnose(spans).query("kind == 'stall'").to_dict("records")


def test_a_span_that_lasts_far_longer_than_is_usual():
    [row] = stalled(lasting(*USUAL, 100))
    assert row["meaning"] == f"'ann' worked at 'lab' for 100 µs without a child, where 11 µs is usual. {TOLD}"
    assert (row["about"], row["n_spans"], row["time_us"], row["span_ids"]) == ("behaviour", 1, 89, ["i"])
    assert pd.isna(row["cost"])
    [row] = stalled(lasting(*USUAL, 100, *USUAL, 200))
    assert row["meaning"] == f"'ann' worked at 'lab' twice for at least 100 µs without a child, where 11 µs is usual. {TOLD}"
    assert (row["n_spans"], row["time_us"], row["span_ids"]) == (2, 89 + 189, ["i", "r"])


@pytest.mark.parametrize(
    "durations",
    [
        [*USUAL[:7], 100],  # only seven to compare with
        [*USUAL, 33],  # not more than three times the median
        [1, 2, 4, 8, 16, 32, 64, 128, 250],  # they differ by factors
        [*USUAL, *[100] * 3],  # more than a quarter of them
        [*USUAL, *[0] * 9, 30],  # instants are not compared
        [],
    ],
)
def test_what_is_usual(durations):
    assert stalled(lasting(*durations)) == []


def test_equal_durations_have_no_spread():
    assert [row["time_us"] for row in stalled(lasting(*[10] * 8, 31))] == [21]
    assert stalled(lasting(*[10] * 8, 30)) == []


def test_locations_and_traces_are_compared_with_themselves():
    elsewhere = lasting(100, location="attic").assign(id="x")
    spans = pd.concat([lasting(*USUAL), elsewhere, lasting(100).assign(id="y", trace_id="u")])
    assert stalled(spans) == []
    assert [row["span_ids"] for row in stalled(spans.assign(trace_id="t"))] == [["y"]]
    by_bob = pd.concat([lasting(*USUAL), lasting(100, agent="bob").assign(id="x")])
    assert [row["meaning"][:27] for row in stalled(by_bob)] == ["'bob' worked at 'lab' for 1"]


def test_less_than_a_hundredth_of_the_work_of_an_agent_is_nothing():
    spans = lasting(*USUAL, 100)
    long = lasting(9_000, location="attic").assign(id="x")
    assert stalled(pd.concat([spans, long])) == []
    assert len(stalled(pd.concat([spans, long.assign(agent_id="bob")]))) == 1


@pytest.mark.parametrize(
    "data", [{"waits_for": "user"}, {"status": "open"}, {"estimated": ["start_time"]}, {"estimated": "end_time"}]
)
def test_waits_and_uncertain_times_are_no_stalls(data):
    assert stalled(with_data(lasting(*USUAL, 100), i=data)) == []


def test_only_the_time_without_a_child_is_compared():
    rows = [f"ann {100 * n} {100 * n + 60} agent" for n in range(9)]
    children = [f"ann {100 * n + 5} {100 * n + 55} tool:x" for n in range(8)]
    parents = {chr(106 + n): chr(97 + n) for n in range(8)}
    [row] = stalled(spans_of(*rows, *children, parents=parents))
    assert (row["span_ids"], row["time_us"]) == (["i"], 55)  # without its child, the last of them worked alone
    others = [f"bob {100 * n + 5} {100 * n + 55} tool:x" for n in range(8)]
    [row] = stalled(spans_of(*rows, *others, parents=parents))
    assert (row["span_ids"], row["time_us"]) == (["i"], 55)


def test_pieces_have_the_same_stalls():
    spans = spans_of(*(f"ann {100 * n} {100 * n + 12} desk" for n in range(12)), parents={})
    spans = pd.concat([spans, spans_of("ann 9000 9900 desk", "ann 9100 9101 lab", parents={"b": "a"}).assign(id=["x", "y"])])
    spans.loc[spans["id"] == "y", "parent_id"] = "x"
    [row], [of_pieces] = stalled(spans), stalled(self_spans(spans))
    assert (row["n_spans"], row["time_us"], row["span_ids"]) == (1, 899 - 2 * 12, ["x"])
    assert row == of_pieces


def test_the_median_is_the_higher_of_two_middle_values():
    assert medians_of_groups(np.array([0, 1, 0, 1, 1]), np.array([7, 5, 4, 1, 9]), 2).tolist() == [7, 5]


@pytest.mark.laws
@given(st.lists(st.tuples(st.sampled_from(["lab", "attic"]), st.integers(0, 5) | st.integers(0, 99)), max_size=26))
def test_stalls_are_those_of_the_oracle(calls):
    rows = [f"ann {200 * n} {200 * n + length} {place}" for n, (place, length) in enumerate(calls)]
    spans, work, expected = spans_of(*rows), sum(length for _, length in calls), {}
    for place in ("lab", "attic"):
        found = {chr(97 + n): length for n, (at, length) in enumerate(calls) if at == place and length}
        middle = sorted(found.values())[len(found) // 2] if found else 0
        factors = {one: np.log2(length / middle) for one, length in found.items()}
        spread = sorted(map(abs, factors.values()))[len(found) // 2] if found else 0
        far = [one for one, factor in factors.items() if found[one] > 3 * middle and factor > 3.5 * 1.4826 * spread]
        long = [one for one in far if found[one] - middle >= 0.01 * work]
        if len(found) > 8 and long and 4 * len(far) <= len(found):
            expected[place] = (long, sum(found[one] - middle for one in long))
    names = spans.set_index("id")["location_id"]
    assert {names[row["span_ids"][0]]: (row["span_ids"], row["time_us"]) for row in stalled(spans)} == expected
