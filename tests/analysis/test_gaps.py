import pytest
from conftest import spans_of, with_data
from hypothesis import given
from hypothesis import strategies as st
from waiting import nodes_of, states_of, waiting_frames, work_of

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


def test_a_wait_for_a_person_is_a_separate_gap_with_the_person_as_cause():
    spans = spans_of("ann 0 10 desk", "ann 12 20 desk", "ann 25 30 desk", "bob 14 16 lab")
    spans = with_data(spans, b={"waits_for": "Eve"}, d={"waits_for": "user"})
    assert as_text(spans) == ["10 12 a c nan", "12 20 a c Eve, user", "20 25 a c nan"]


def test_a_trace_may_begin_and_end_with_a_wait():
    spans = with_data(spans_of("ann 0 5 desk", "ann 5 6 desk", "ann 6 9 desk"), a={"waits_for": "user"}, c={"waits_for": True})
    assert as_text(spans) == ["0 5 nan b user", "6 9 b nan user"]
    assert as_text(with_data(spans_of("ann 0 5 desk"), a={"waits_for": "user"})) == ["0 5 nan nan user"]


def brute_force(spans, min_us):
    """Gaps by checking every microsecond."""
    states, nodes, expected = states_of(spans), nodes_of(spans), []
    for trace in sorted(spans["trace_id"].unique()):
        mine = [node for node in nodes if node.trace == trace]
        at = {time: set() for time in range(min(node.start for node in mine), max(node.end for node in mine))}
        for (of, span, time), state in states.items():
            if of == trace:
                at[time].add((state, span))
        kinds = {time: kind_of(found) for time, found in at.items()}
        for start in (time for time, kind in kinds.items() if kind != "work" and kinds.get(time - 1) != kind):
            end = next(time for time in range(start, 99) if kinds.get(time) != kinds[start])
            if end - start >= min_us:
                waits = [span for time in range(start, end) for state, span in at[time] if state == "person"]
                cause = persons(waits, mine, states, start, end) if waits else trigger_at(mine, end)
                expected.append((trace, start, end, end - start, *around(spans, trace, start, end), cause))
    return expected


def kind_of(found):
    """What happens in a moment: "work", "person" or "idle"."""
    states = {state for state, _ in found}
    return next((kind for kind in ("work", "person") if kind in states), "idle")


def persons(waits, nodes, states, start, end):
    """The persons in the order in which their waits, as pieces, begin."""
    begun = []
    for node in nodes:
        if node.id in waits:
            times = [time for time in node.own_times() if states[node.trace, node.id, time] == "person"]
            firsts = [time for time in times if time - 1 not in times]
            begun += [(max(f for f in firsts if f <= time), node.mark) for time in times if start <= time < end]
    return ", ".join(dict.fromkeys(name for _, name in sorted(begun)))


def trigger_at(nodes, time):
    """The trigger of the first span with one that starts at a time."""
    texts = [node for node in nodes if node.start == time and isinstance(node.data.get("trigger"), str)]
    return min(texts, key=lambda node: (node.end, node.agent, node.id)).data["trigger"] if texts else None


def around(spans, trace, start, end):
    """The last work to end before a gap, and the first to start after it."""
    work = [row for row in work_of(spans).itertuples() if row.trace_id == trace]
    before = [(r.end_time, r.start_time, r.agent_id, r.id) for r in work if r.end_time <= start]
    after = [(r.start_time, r.end_time, r.agent_id, r.id) for r in work if r.start_time >= end]
    return max(before)[3] if before else None, min(after)[3] if after else None


@pytest.mark.laws
@given(waiting_frames(), st.integers(0, 3))
def test_it_equals_brute_force(spans, min_us):
    table = gaps(spans, min_us=min_us)
    rows = [tuple(None if value != value else value for value in row) for row in zip(*(table[c] for c in table), strict=True)]
    assert rows == brute_force(spans, min_us)


@pytest.mark.laws
@given(waiting_frames())
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
