import pandas as pd
import pytest
from conftest import spans_frames, spans_of, with_data
from hypothesis import given
from waiting import waiting_frames

from tokenvis import diagnose, gaps, occupancy, summary
from tokenvis.findings.doubts import MEANING_OF_DOUBT

TOKENS = "gen_ai.usage.input_tokens"
calls = spans_of("ann 0 9 desk", "ann 0 1 model:m", "ann 1 2 model:m", parents={"b": "a", "c": "a"})


def as_text(spans):
    """Doubts as text: "kind n time ids", without "unconnected"."""
    table = diagnose(spans).query("about == 'data' and kind != 'unconnected'")
    columns = ("kind", "n_spans", "time_us", "span_ids")
    rows = zip(*(table[column] for column in columns), strict=True)
    return [f"{kind} {n} {'-' if time is pd.NA else time} {''.join(ids)}" for kind, n, time, ids in rows]


def test_no_doubts():
    assert as_text(spans_of("ann 0 10 desk", "bob 5 12 desk", "ann 10 12 lab")) == []


@pytest.mark.parametrize(
    ("doubt", "spans"),
    [
        (
            "lost 12 23 bdc",
            with_data(
                spans_of("ann 0 9 desk", *(f"tokenvis {times} tokenvis.lost" for times in ("2 9", "20 30", "5 15"))),
                **{span: {"status": "error", "n_lost": n_lost} for span, n_lost in (("b", 4), ("c", 7), ("d", 1))},
            ),
        ),
        ("duplicate id 2 - aa", spans_of("ann 0 9 desk", "bob 0 9 desk").assign(id="a")),
        ("self-overlap 3 7 acb", spans_of("ann 0 9 desk", "ann 5 8 lab", "ann 3 7 lab", "ann 9 10 desk")),
        ("unknown parent 1 - b", spans_of("ann 0 9 desk", "bob 0 9 desk", parents={"b": "gone"})),
        ("unknown link 1 - b", with_data(spans_of("ann 0 9 desk", "bob 0 9 desk"), b={"links": ["a", "gone", "away"]})),
        (
            "unknown link 2 - bc",
            with_data(spans_of(*["ann 0 0 desk"] * 3), b={"requested_by": ["a", "x"]}, c={"requested_by": 7}),
        ),
        ("cycle 2 - ab", spans_of("ann 0 9 desk", "bob 0 9 desk", parents={"a": "b", "b": "a"})),
        (
            "outside parent 2 8 cb",
            spans_of("ann 5 9 desk", "bob 8 12 lab", "bob 0 7 lab", parents={"b": "a", "c": "a"}).assign(detached=True),
        ),
        ("assumed wait 1 6 a", spans_of("ann 0 9 desk", "bob 1 4 a", "eve 3 7 a", parents={"b": "a", "c": "a"})),
        (
            "ignored parent 1 - c",
            with_data(spans_of("ann 0 9 desk", "ann 0 0 desk", "ann 9 12 desk", parents={"b": "a"}), c={"parent_id": "a"}),
        ),
        (
            "unknown wait 1 - b",
            with_data(spans_of("ann 0 9 desk", "ann 9 10 desk"), a={"waits_for": "user"}, b={"waits_for": "Eve"}),
        ),
        ("invalid usage 1 - a", with_data(spans_of("ann 0 9 desk"), a={"attributes": {TOKENS: "many"}})),
        ("silent call 1 - b", with_data(calls, a={"attributes": {TOKENS: 5}}, c={"status": "error"})),
        (
            "unexplained usage 1 - a",
            with_data(
                calls, a={"attributes": {TOKENS: 5}}, b={"attributes": {TOKENS: 9}}, c={"attributes": {"gen_ai.usage.cost": 1}}
            ),
        ),
        (
            "surplus usage 1 - a",
            with_data(calls, a={"attributes": {TOKENS: 9}}, b={"attributes": {TOKENS: 5}}, c={"attributes": {TOKENS: 3}}),
        ),
        ("open 1 - a", with_data(spans_of("ann 0 9 desk"), a={"status": "open"})),
        ("disputed 1 - a", with_data(spans_of("ann 0 9 desk"), a={"disputed": True})),
        (
            "estimated 1 - b",
            with_data(spans_of("ann 0 9 desk", "bob 0 9 lab"), a={"estimated": []}, b={"estimated": ["end_time"]}),
        ),
        ("orphan 1 - d", with_data(spans_of("ann 0 5 a", "bob 0 5 a", "eve 0 4 a", "eve 0 0 a"), b={"links": ["a"]})),
        (
            "orphan 1 - c",
            spans_of("ann 0 5 a", "bob 1 4 a", "eve 0 5 a", parents={"b": "a"}).assign(detached=[None, None, False]),
        ),
        ("idle 2 11 bc", spans_of("ann 0 2 desk", "ann 3 5 desk", "bob 15 17 desk")),
    ],
)
def test_a_doubt(doubt, spans):
    assert as_text(spans) == [doubt]
    table = diagnose(spans)
    assert table["meaning"].tolist() == [MEANING_OF_DOUBT[kind] for kind in table["kind"]]


def test_a_child_that_ends_later_is_assumed_to_run_in_the_background():
    spans = spans_of("ann 0 9 desk", "bob 3 12 a", "ann 4 13 desk", parents={"b": "a", "c": "a"})
    assert as_text(spans)[-2:] == ["outside parent 2 7 bc", "assumed background 1 6 b"]
    assert as_text(spans.assign(detached=[None, True, None]))[-1:] == ["outside parent 2 7 bc"]


def test_agents_that_nothing_connects():
    spans = spans_of("ann 0 9 desk t", "bob 0 9 desk t", "ann 0 9 desk u")
    assert diagnose(spans)[["trace_id", "kind", "span_ids"]].to_numpy().tolist() == [["t", "unconnected", ["a", "b"]]]
    assert diagnose(spans_of("ann 0 9 desk", "bob 0 9 desk", parents={"b": "a"}))["kind"].tolist() == ["assumed wait"]
    assert diagnose(with_data(spans, b={"links": ["a"]})).empty


def test_doubts_are_ordered_by_trace_and_kind():
    spans = spans_of("ann 0 2 desk u", "ann 1 3 desk u", "ann 9 9 desk u", "ann 0 2 desk t", "ann 1 3 desk t")
    table = diagnose(with_data(spans, c={"status": "open"}))
    assert table[["trace_id", "kind"]].to_numpy().tolist() == [
        ["t", "self-overlap"],
        ["u", "self-overlap"],
        ["u", "open"],
        ["u", "idle"],
    ]
    assert table.explode("span_ids")["span_ids"].tolist() == ["d", "e", "a", "b", "c", "b", "c"]


def test_losses_come_first_and_hide_no_other_doubt():
    spans = spans_of("ann 0 2 desk", "tokenvis 0 30 tokenvis.lost", "ann 25 27 desk", "tokenvis 0 0 tokenvis.lost u")
    spans = with_data(spans, b={"n_lost": 5}, c={"status": "open"})
    assert as_text(spans) == ["lost 5 30 b", "open 1 - c", "idle 2 23 ac", "lost 1 0 d"]
    assert "unconnected" not in diagnose(spans)["kind"].tolist()  # because a loss marker is not an agent


def test_a_trace_that_only_waits_for_an_unrecorded_agent_is_idle():
    spans = with_data(spans_of("ann 0 9 desk"), a={"waits_for": "bob", "waits_for_kind": "agent"})
    assert as_text(spans) == ["unknown wait 1 - a", "idle 1 9 a"]


def test_duplicate_ids_hide_no_other_doubt():
    spans = spans_of("ann 0 9 desk", "bob 0 9 desk", "eve 0 9 desk", parents={"c": "gone"}).assign(id=["a", "a", "c"])
    assert as_text(spans) == ["duplicate id 2 - aa", "unknown parent 1 - c"]


@pytest.mark.laws
@given(waiting_frames())
def test_times_agree_with_the_questions(spans):
    table = diagnose(spans).set_index(["trace_id", "kind"])
    places = spans.assign(location_id="anywhere")
    twice = occupancy(places).assign(more=lambda rows: rows["busy_us"] - rows["active_us"]).groupby("trace_id")["more"].sum()
    for trace, row in summary(spans).set_index("trace_id").iterrows():
        assert (table["time_us"].get((trace, "self-overlap"), 0)) == twice.get(trace, 0)
        idle = row["idle_us"]
        assert table["time_us"].get((trace, "idle"), 0) == (idle if 2 * idle > row["wall_us"] else 0)


@pytest.mark.laws
@given(spans_frames(parents=True))
def test_the_spans_of_idle_traces_are_next_to_the_longest_gap(spans):
    table = diagnose(spans).query("kind == 'idle'").set_index("trace_id")["span_ids"]
    for trace, ids in table.items():
        of_trace = gaps(spans[spans["trace_id"] == trace])
        longest = of_trace.loc[of_trace["gap_us"].idxmax()]
        assert {longest["span_before"], longest["span_after"]} <= set(ids)
