from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from files import problem_texts, reading_of
from hypothesis import given
from hypothesis import strategies as st

from tokenvis.conventions.span import SpanRead
from tokenvis.ingestion import assembly
from tokenvis.ingestion.assembly import Assembly

OPEN = '{"agent_from":"trace","end_from":"trace","status":"open"}'


def span(id_, start=0, end=5, agent=None, parent=None, *, trace="t", service=None, line=1, **data):
    return SpanRead(trace, id_, start, end, agent, "desk", "work", data, parent, service, line)


def gathered(*spans, names=(), path="gathered"):
    """The frame of some spans, and the assembly."""
    whole = Assembly(Path(path))
    whole.begin(reading_of(f"{path}.jsonl", ""))
    for one in spans:
        whole.add(one)
    frames = list(whole.frames(dict(names)))
    return pd.concat(frames) if frames else pd.DataFrame({"id": [], "agent_id": []}), whole


def agents(*spans, **options):
    frame, whole = gathered(*spans, **options)
    return dict(zip(frame["id"], frame["agent_id"], strict=True)), {k: v for k, v in whole.counts.items() if v}


def test_an_agent_is_its_own_else_the_nearest_ancestors_else_the_service_else_the_trace():
    assert agents(
        span("a", parent="b"),
        span("b", parent="c", agent="Bob"),
        span("c", agent="Ann"),
        span("d", parent="c"),
        span("e", service="shop"),
        span("f", trace="u"),
        span("g", trace="v", parent="unknown"),
        names={"t": "talk", "u": "umbrella"},
    ) == (
        {"a": "Bob", "b": "Bob", "c": "Ann", "d": "Ann", "e": "shop", "f": "umbrella", "g": "v"},
        {"own": 2, "source": 2, "ancestor": 2, "service": 1, "trace": 2},
    )


def test_a_span_without_an_end_ends_where_its_trace_was_last_seen():
    frame, whole = gathered(span("a", 0, None), span("b", 3, 9), span("c", 20, None), span("d", 50, 60, trace="u"))
    assert frame["end_time"].tolist() == [20, 9, 20, 60]
    assert whole.counts["open"] == 2
    assert frame["data"].fillna("").tolist() == [OPEN, *['{"agent_from":"trace"}', OPEN, '{"agent_from":"trace"}']]


def test_of_several_spans_with_one_id_the_last_is_kept():
    frame, whole = gathered(
        span("a", 0, 5, line=1), span("b", line=2), span("a", 0, 5, line=3), span("c", x=1, line=4), span("c", x=2, line=5)
    )
    assert frame["id"].tolist() == ["b", "a", "c"]
    assert whole.counts["identical"] == 1
    assert problem_texts(whole.readings[0]) == [
        "gathered.jsonl, line 4: span 'c' occurs again with other content; the last is kept.",
    ]


def test_spans_with_one_id_are_compared_across_batches(monkeypatch):
    monkeypatch.setattr(assembly, "SPANS_PER_BATCH", 2)
    same = [span("a", x="é" * 1_000, line=line) for line in range(1, 6)]
    others = [span("b", line=6), span("b", x=1, line=7), span("c", 0, 5, line=8), span("c", 0, 6, line=9), span("b", line=10)]
    frame, whole = gathered(*same, *others)
    assert frame["id"].tolist() == ["a", "c", "b"]
    assert [problem.line for problem in whole.readings[0].problems] == [7, 8]


def test_spans_above_themselves_have_no_parent():
    frame, whole = gathered(span("a", parent="b"), span("b", parent="a", line=2), span("c", parent="a"), names={"t": "talk"})
    assert set(frame["agent_id"]) == {"talk"}
    assert problem_texts(whole.readings[0]) == [
        "gathered.jsonl, line 1: span 'a' is its own ancestor; its parent is dropped.",
        "gathered.jsonl, line 2: span 'b' is its own ancestor; its parent is dropped.",
    ]


def test_what_the_database_could_not_hold_is_refused():
    whole = Assembly(Path("gathered"))
    whole.begin(reading_of("x.jsonl", ""))
    with pytest.raises(ValueError, match=r"^it ends 3 µs before it starts$"):
        whole.add(span("a", 5, 2))
    with pytest.raises(TypeError, match=r"^a name is of type int$"):
        whole.add(span(5))
    for start, end, wrong in [
        (2**63, None, str(2**63)),
        (0, 2**63, str(2**63)),
        (-(2**63) - 1, 5, str(-(2**63) - 1)),
        (0, True, "True"),
    ]:
        with pytest.raises(ValueError, match=rf"^{wrong} is not a 64-bit integer of microseconds$"):
            whole.add(span("c", start, end))
    for too_long in (span("x" * 1_048_577), span("c", agent="é" * 1_048_577), span("c", trace="x" * 1_048_577)):
        with pytest.raises(ValueError, match=r"^a name has 1,048,577 characters, more than 1,048,576$"):
            whole.add(too_long)
    whole.add(span("b"))
    assert [frame["id"].tolist() for frame in whole.frames({})] == [["b"]]


def test_nothing_is_gathered():
    assert gathered()[0].empty


def keyed(id_, agent, key, start=0, end=5, parent=None, *, trace="t"):
    return SpanRead(trace, id_, start, end, agent, "desk", "work", {}, parent, agent_key=key)


def names(*spans):
    return agents(*spans)[0]


def test_agents_of_one_name_that_run_at_once_are_told_apart_by_their_ids():
    researchers = [keyed("c", "Ann", "r-2", 3), keyed("b", "Ann", "r-1", 1), keyed("a", "Ann", "r-0", 1)]
    chats = [
        span("d", parent="a"),
        span("e", agent="Ann", parent="b"),
        span("f", agent="Bob", parent="c"),
        span("g", parent="f"),
    ]
    told = {"a": "Ann", "b": "Ann 2", "c": "Ann 3", "d": "Ann", "e": "Ann 2", "f": "Bob", "g": "Bob"}
    assert names(*researchers, *chats) == told
    assert names(*chats, *reversed(researchers)) == told


def test_a_new_id_at_each_run_does_not_make_a_new_agent():
    assert names(keyed("a", "Ann", "r-0", 0, 5), keyed("b", "Ann", "r-1", 5, 9)) == {"a": "Ann", "b": "Ann"}
    assert names(keyed("a", "Ann", "r-0"), keyed("b", "Ann", "r-1", trace="u")) == {"a": "Ann", "b": "Ann"}
    assert names(keyed("a", "Ann", "r"), keyed("b", "Bob", "r"), keyed("c", "Ann", "r")) == {"a": "Ann", "b": "Bob", "c": "Ann"}


def test_the_name_of_a_namesake_is_not_taken_yet():
    spans = [keyed("a", "Ann", "r-0"), keyed("b", "Ann", "r-1"), span("c", agent="Ann 2"), keyed("d", "Ann 2", "r-1", 2)]
    assert names(*spans, keyed("e", "Ann 2", "r-2")) == {"a": "Ann", "b": "Ann 3", "c": "Ann 2", "d": "Ann 2 2", "e": "Ann 2"}


def test_open_spans_and_earlier_versions_of_a_span_tell_agents_apart_as_they_are_kept():
    assert names(keyed("a", "Ann", "r-0", 0, None), keyed("b", "Ann", "r-1", 3, 9)) == {"a": "Ann", "b": "Ann 2"}
    earlier, later = keyed("a", "Ann", "r-0", 0, 9), keyed("a", "Ann", "r-0", 0, 3)
    assert names(earlier, keyed("b", "Ann", "r-1", 3, 9), later) == {"b": "Ann", "a": "Ann"}


@pytest.mark.laws
@given(
    st.lists(
        st.tuples(
            st.sampled_from("tu"),
            st.sampled_from(["Ann", "Ann 2"]),
            st.sampled_from("abc"),
            st.integers(0, 9),
            st.integers(0, 5),
        ),
        min_size=1,
        max_size=8,
    ),
    st.randoms(use_true_random=False),
)
def test_ids_that_run_at_the_same_time_are_different_agents_in_any_order_of_reading(tmp_path_factory, rows, random):
    spans = [keyed(str(number), *row[1:4], row[3] + row[4], trace=row[0]) for number, row in enumerate(rows)]
    path = str(tmp_path_factory.mktemp("law") / "spool")
    told = agents(*spans, path=path)[0]
    for one in spans:
        alike = [other for other in spans if (other.trace_id, other.agent) == (one.trace_id, one.agent)]
        at_once = [
            (a.id, b.id)
            for a in alike
            for b in alike
            if a.agent_key != b.agent_key and max(a.start, b.start) < min(a.end, b.end)
        ]
        assert all(told[a] != told[b] for a, b in at_once)
        assert at_once or {told[other.id] for other in alike} == {one.agent}
        assert len({told[other.id] for other in alike if other.agent_key == one.agent_key}) == 1
    random.shuffle(spans)
    assert agents(*spans, path=path)[0] == told


def brute_force(spans):
    """Agents by walking up, span by span."""
    by_id = {one.id: one for one in spans}
    found = {}
    for one in by_id.values():
        seen, above = set(), one
        while above is not None and above.agent is None and above.id not in seen:
            seen.add(above.id)
            above = by_id.get(above.parent)
        own = above.agent if above is not None and above.agent else None
        found[one.id] = own or one.fallback_agent or one.trace_id
    return found


IDS = st.sampled_from("abcdefgh")


@pytest.mark.laws
@given(
    st.lists(
        st.tuples(IDS, st.none() | st.sampled_from(["Ann", "Bob"]), st.none() | IDS, st.none() | st.just("shop")), max_size=12
    ),
    st.integers(1, 5),
)
def test_agents_are_those_found_by_walking_up(tmp_path_factory, rows, batch):
    path = tmp_path_factory.mktemp("law") / "gathered"
    spans = [span(id_, agent=agent, parent=parent, service=service) for id_, agent, parent, service in rows]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(assembly, "SPANS_PER_BATCH", batch)
        found, counts = agents(*spans, path=path)
    assert found == brute_force(spans)
    assert counts.get("identical", 0) <= len(spans) - len(found)


def test_a_batch_of_long_names_is_short(monkeypatch):
    monkeypatch.setattr(assembly, "CHARACTERS_PER_BATCH", 1_000)
    whole = Assembly(Path("gathered"))
    whole.begin(reading_of("x.jsonl", ""))
    for number in range(6):
        whole.add(span(str(number), agent="a" * 400))
    assert [len(frame) for frame in whole.frames({})] == [3, 3]


def test_many_batches_are_one_table(monkeypatch):
    monkeypatch.setattr(assembly, "SPANS_PER_BATCH", 7)
    frame, _ = gathered(*(span(f"{n}", n, n + 1, agent="Ann" if n == 0 else None, parent="0") for n in range(50)))
    assert frame["id"].tolist() == [f"{n}" for n in range(50)]
    assert frame["start_time"].to_numpy().tolist() == np.arange(50).tolist()
    assert set(frame["agent_id"]) == {"Ann"}
