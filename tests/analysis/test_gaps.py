import json

import pytest
from conftest import spans_frames, spans_of, with_data
from hypothesis import given
from hypothesis import strategies as st

from tokenvis import BadOption, BadSpan, gaps, summary


def as_text(spans, **options):
    """Gaps as text: "start end before after cause"."""
    table = gaps(spans, **options)
    columns = ("start", "end", "span_before", "span_after", "cause")
    return [" ".join(map(str, row)) for row in zip(*(table[column] for column in columns), strict=True)]


def test_a_gap_is_between_the_last_end_and_the_next_start():
    spans = spans_of("ann 0 10 desk", "bob 5 8 desk", "ann 15 20 desk", "bob 20 25 desk", "eve 40 41 lab")
    assert as_text(spans) == ["10 15 a c nan", "25 40 d e nan"]
    assert as_text(spans, min_us=6) == ["25 40 d e nan"]
    assert as_text(spans, min_us=5) == as_text(spans)


def test_an_instant_ends_no_gap_but_may_be_next_to_one():
    spans = spans_of("eve 0 0 lab", "ann 2 10 desk", "bob 10 10 desk", "bob 12 12 desk", "ann 15 20 desk")
    assert as_text(spans) == ["0 2 a b nan", "10 15 c e nan"]


def test_ties_go_to_the_latest_start_before_and_the_earliest_end_after():
    spans = spans_of("ann 0 10 desk", "bob 5 10 desk", "ann 15 20 desk", "bob 15 18 desk")
    assert as_text(spans) == ["10 15 b d nan"]


def test_the_cause_is_the_trigger_of_the_work_after_it():
    spans = spans_of("ann 0 10 desk", "ann 15 20 desk", "bob 15 18 desk", "ann 25 28 desk", "ann 30 31 desk")
    spans = with_data(spans, b={"trigger": "user"}, d={"trigger": 7}, e={"label": "user"})
    assert as_text(spans) == ["10 15 a c user", "20 25 b d nan", "28 30 d e nan"]


def brute_force(spans, min_us):
    """Gaps by checking every microsecond."""
    expected = []
    for trace, rows in spans.groupby("trace_id", observed=True):
        spans_of_trace = [
            (s, e, agent, name, json.loads(data).get("trigger") if isinstance(data, str) else None)
            for s, e, agent, name, data in zip(
                *(rows[c] for c in ("start_time", "end_time", "agent_id", "id", "data")), strict=True
            )
        ]
        idle = list(range(min(s for s, *_ in spans_of_trace), max(e for _, e, *_ in spans_of_trace)))
        idle = [t for t in idle if not any(s <= t < e for s, e, *_ in spans_of_trace)]
        for start in (t for t in idle if t - 1 not in idle):
            end = next(t for t in range(start, 99) if t not in idle)
            before = max((e, s, agent, name) for s, e, agent, name, _ in spans_of_trace if e <= start)[3]
            after = min((s, e, agent, name) for s, e, agent, name, _ in spans_of_trace if s >= end)[3]
            as_text = sorted((e, agent, n, why) for s, e, agent, n, why in spans_of_trace if s == end and isinstance(why, str))
            if end - start >= min_us:
                expected.append((trace, start, end, end - start, before, after, as_text[0][3] if as_text else None))
    return expected


@pytest.mark.laws
@given(spans_frames(data=True), st.integers(0, 3))
def test_it_equals_brute_force(spans, min_us):
    table = gaps(spans, min_us=min_us)
    rows = [tuple(None if value != value else value for value in row) for row in zip(*(table[c] for c in table), strict=True)]
    assert rows == brute_force(spans, min_us)


@pytest.mark.laws
@given(spans_frames(parents=True))
def test_gaps_and_active_time_add_up_to_the_wall_time(spans):
    size = summary(spans).set_index("trace_id")
    idle = gaps(spans).groupby("trace_id", observed=True)["gap_us"].sum()
    assert ((size["wall_us"] - size["active_us"]) == idle.reindex(size.index, fill_value=0)).all()


@pytest.mark.parametrize("min_us", [-1, 0.5, True, "1s"])
def test_an_invalid_shortest_gap_is_refused(min_us):
    with pytest.raises(BadOption, match=r"^min_us=.* is not a non-negative integer of µs\.$"):
        gaps(spans_of("ann 0 1 desk"), min_us=min_us)


def test_a_gap_that_does_not_fit_is_refused():
    far = spans_of("ann 0 1 desk", "bob 2 3 desk").assign(start_time=[-(2**62) - 1, 2**62], end_time=[-(2**62) - 1, 2**62])
    with pytest.raises(BadSpan, match=r"does not fit into a 64-bit integer\.$"):
        gaps(far)
