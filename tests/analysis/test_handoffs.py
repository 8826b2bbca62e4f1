import json

import pytest
from conftest import spans_frames, spans_of, with_data
from hypothesis import given
from hypothesis import strategies as st

from tokenvis import BadOption, BadSpan, handoffs, plot_handoffs, self_spans


def as_text(spans, **options):
    """Handoffs as text: "from_span to_span evidence left arrived gap"."""
    table = handoffs(spans, **options)
    columns = ("from_span", "to_span", "evidence", "left", "arrived", "gap_us")
    return [" ".join(map(str, row)) for row in zip(*(table[column] for column in columns), strict=True)]


def test_a_link_to_another_agents_span_is_a_handoff_and_may_overlap_it():
    spans = spans_of("ann 0 10 desk", "bob 15 20 lab", "eve 8 30 lab", "ann 30 31 desk")
    spans = with_data(spans, b={"links": ["a"]}, c={"links": ["a", "a"]}, d={"links": ["a", "unknown"]})
    assert as_text(spans) == ["a c link 10 8 -2", "a b link 10 15 5"]
    table = handoffs(spans)
    assert table[["from_agent", "to_agent"]].to_numpy().tolist() == [["ann", "eve"], ["ann", "bob"]]
    assert table[["from_location", "to_location"]].to_numpy().tolist() == [["desk", "lab"], ["desk", "lab"]]


def test_work_is_delegated_to_a_child_and_returns_to_the_parents_agent():
    spans = spans_of("ann 0 20 desk", "bob 3 8 lab", "eve 10 12 lab", "ann 25 30 desk", parents={"b": "a", "c": "a"})
    assert as_text(spans) == ["a b delegate 0 3 3", "a c delegate 8 10 2", "b d return 8 25 17", "c d return 12 25 13"]


def test_work_returns_to_the_end_of_the_parent_if_its_agent_starts_nothing_more():
    spans = spans_of("ann 0 20 desk", "bob 3 8 lab", "ann 5 6 desk", parents={"b": "a"})
    assert as_text(spans) == ["a b delegate 0 3 3", "b a return 8 20 12"]


def test_children_with_no_start_of_the_parents_agent_between_are_one_delegation():
    spans = spans_of("ann 0 20 desk", "bob 3 8 lab", "bob 9 15 lab", "bob 10 11 lab", parents={"b": "a", "c": "a", "d": "a"})
    assert as_text(spans) == ["a b delegate 0 3 3", "c a return 15 20 5"]
    between = spans_of("ann 0 20 desk", "bob 3 8 lab", "ann 9 9 desk", "bob 9 15 lab", parents={"b": "a", "d": "a"})
    assert as_text(between) == ["a b delegate 0 3 3", "a d delegate 8 9 1", "b c return 8 9 1", "d a return 15 20 5"]
    at_once = spans_of("ann 0 20 desk", "bob 3 8 lab", "ann 8 8 desk", "bob 8 15 lab", parents={"b": "a", "d": "a"})
    assert as_text(at_once) == ["a b delegate 0 3 3", "a d delegate 8 8 0", "b c return 8 8 0", "d a return 15 20 5"]


def test_an_instant_does_not_end_before_itself():
    spans = spans_of("ann 0 20 desk", "bob 3 3 lab", "eve 7 7 lab", parents={"b": "a", "c": "a"})
    assert as_text(spans)[:2] == ["a b delegate 0 3 3", "a c delegate 3 7 4"]


def test_a_pair_of_spans_has_its_strongest_evidence():
    spans = with_data(spans_of("ann 0 20 desk", "bob 3 8 lab", parents={"b": "a"}), b={"links": ["a"]})
    assert as_text(spans) == ["a b link 20 3 -17", "b a return 8 20 12"]


def test_a_location_is_evidence_only_on_request_and_without_stronger_evidence():
    spans = spans_of("ann 0 10 desk", "bob 12 20 desk", "bob 20 22 desk", "eve 30 31 desk", "ann 40 41 lab")
    assert as_text(spans) == []
    assert as_text(spans, evidence="location") == ["a b location 10 12 2", "c d location 22 30 8"]
    assert as_text(spans, evidence="location", within_us=2) == ["a b location 10 12 2"]
    linked = with_data(spans, b={"links": ["e"]})
    assert as_text(linked, evidence=["link", "location"]) == ["e b link 41 12 -29", "c d location 22 30 8"]


def test_at_a_location_agents_are_where_their_innermost_span_is():
    spans = spans_of("ann 0 10 desk", "ann 2 8 lab", "bob 4 6 desk", parents={"b": "a"})
    assert as_text(spans, evidence="location") == ["a c location 2 4 2", "c a location 6 8 2"]


def brute_force(spans, evidence, within):
    """All handoffs, from the definitions, with loops."""
    rows = [row._replace(data=json.loads(row.data) if isinstance(row.data, str) else {}) for row in spans.itertuples()]
    pieces = stays(spans)
    found = []  # trace, strength, arrived, left, from, to
    for row in rows:
        mine = {other.id: other for other in rows if other.trace_id == row.trace_id}
        sources = [mine[name] for name in row.data.get("links", []) if name in mine and "link" in evidence]
        others = [source for source in sources if source.agent_id != row.agent_id]
        found += [(row.trace_id, 0, row.start_time, source.end_time, source.id, row.id) for source in others]
    for trace in {row.trace_id for row in rows} if "parent" in evidence else ():
        mine = {row.id: row for row in rows if row.trace_id == trace}
        parents = {name: mine.get(row.parent_id) for name, row in mine.items() if not circular(row, mine)}
        for source, agent in {
            (p.id, mine[name].agent_id) for name, p in parents.items() if p and p.agent_id != mine[name].agent_id
        }:
            parent = mine[source]
            children = [mine[name] for name, above in parents.items() if above is parent]
            starts = sorted((o.start_time, o.end_time, o.id) for o in mine.values() if o.agent_id == parent.agent_id)
            work = []  # pieces, each a list of children
            for child in sorted((c for c in children if c.agent_id == agent), key=lambda c: (c.start_time, c.end_time, c.id)):
                reach = max((c.end_time for piece in work for c in piece), default=None)
                if reach is None or any(reach <= time <= child.start_time for time, *_ in starts):
                    work.append([])
                work[-1].append(child)
            for piece in work:
                first, last = piece[0], max(piece, key=ending)
                ends = [o.end_time for o in children if o.id != first.id and o.end_time <= first.start_time]
                found.append((trace, 1, first.start_time, max([parent.start_time, *ends]), source, first.id))
                time, _, target = next((s for s in starts if s[0] >= last.end_time), (parent.end_time, None, source))
                found.append((trace, 2, time, last.end_time, last.id, target))
    explained = {(trace, target) for trace, *_, target in found}
    for piece in pieces if "location" in evidence else ():
        here = [o for o in pieces if (o.trace_id, o.location_id) == (piece.trace_id, piece.location_id)]
        before = [o for o in here if o.end_time <= piece.start_time and ending(o) < ending(piece)]
        last = max(before, key=ending, default=piece)
        near = within is None or piece.start_time - last.end_time <= within
        if last.agent_id != piece.agent_id and near and (piece.trace_id, piece.id) not in explained:
            found.append((piece.trace_id, 3, piece.start_time, last.end_time, last.id, piece.id))
    best = {}
    for trace, strength, arrived, left, source, target in sorted(found):
        best.setdefault((trace, source, target), (strength, left, arrived))
    return sorted((*key, *value) for key, value in best.items())


def stays(spans):
    """The pieces of spans at a location: a span that waits is still there."""
    merged = []
    for piece in self_spans(spans).sort_values(["trace_id", "id", "piece"]).itertuples():
        last = merged[-1] if merged else piece
        if (last.trace_id, last.id, last.end_time) == (piece.trace_id, piece.id, piece.start_time) and merged:
            merged[-1] = last._replace(end_time=piece.end_time)
        else:
            merged.append(piece)
    return merged


def ending(row):
    """The order in which spans end."""
    return row.end_time, row.start_time, row.agent_id, row.id


def circular(row, rows):
    """Whether a span is its own ancestor."""
    above = rows.get(row.parent_id)
    for _ in rows:
        if above is None or above.id == row.id:
            break
        above = rows.get(above.parent_id)
    return above is not None and above.id == row.id


KINDS = ["link", "delegate", "return", "location"]


@pytest.mark.laws
@given(
    spans_frames(parents=True, data=True),
    st.sets(st.sampled_from(["link", "parent", "location"])),
    st.sampled_from([None, 0, 2]),
)
def test_they_equal_the_definitions(spans, evidence, within):
    table = handoffs(spans, evidence=evidence, within_us=within)
    columns = [table[c] for c in ("trace_id", "from_span", "to_span", "evidence", "left", "arrived")]
    rows = [(trace, a, b, KINDS.index(kind), left, arrived) for trace, a, b, kind, left, arrived in zip(*columns, strict=True)]
    assert sorted(rows) == brute_force(spans, evidence, within)
    place = {(row.trace_id, row.id): (row.start_time, row.end_time, row.agent_id, row.id) for row in spans.itertuples()}
    order = [(trace, arrived, place[trace, a], place[trace, b]) for trace, a, b, _, _, arrived in rows]
    assert order == sorted(order)
    assert (table["gap_us"] == table["arrived"] - table["left"]).all()


@pytest.mark.parametrize("within", [-1, 1.5, True, "1s"])
def test_an_invalid_longest_gap_is_refused(within):
    with pytest.raises(BadOption, match=r"^within_us=.* is neither None nor a non-negative integer of µs\.$"):
        handoffs(spans_of("ann 0 1 desk"), evidence="location", within_us=within)


def test_a_gap_that_does_not_fit_is_refused():
    far = spans_of("ann 0 1 desk", "bob 2 3 desk").assign(start_time=[-(2**62) - 1, 2**62], end_time=[-(2**62) - 1, 2**62])
    for options in ({"evidence": "location"}, {"evidence": "location", "within_us": 5}, {}):
        with pytest.raises(BadSpan, match=r"does not fit into a 64-bit integer\.$"):
            handoffs(with_data(far, b={"links": ["a"]}), **options)


def cell_texts(ax):
    """The two lines of each cell."""
    [labels] = [artist for artist in ax.get_children() if hasattr(artist, "cells")]
    return labels.cells[["first", "second"]].to_numpy().tolist()


def test_the_picture_counts_handoffs_and_shows_their_median_gap():
    spans = spans_of("ann 0 2 desk", "bob 5 6 desk", "bob 7 9 desk", "bob 12 14 desk")
    spans = with_data(spans, b={"links": ["a"]}, c={"links": ["a"]}, d={"links": ["a"]})
    ax = plot_handoffs(spans)
    [mesh] = [c for c in ax.collections if c.get_label() == "cells"]
    assert mesh.get_array().tolist() == [[3]]
    assert cell_texts(ax) == [["3", "5 µs after"]]
    assert ax.get_title(loc="right") == "handoffs, and the median gap"
    assert plot_handoffs(spans_of("ann 0 10 desk")).get_label() == "No handoffs."


def test_the_picture_tells_a_negative_gap_as_a_time_before():
    spans = spans_of("ann 0 120 desk", "bob 8 20 desk", "ann 20 30 desk", "eve 35 40 desk")
    spans = spans.assign(start_time=spans["start_time"] * 1_000_000, end_time=spans["end_time"] * 1_000_000)
    ax = plot_handoffs(with_data(spans, b={"links": ["a"]}, c={"links": ["b"]}, d={"links": ["a", "c"]}))
    assert cell_texts(ax) == [["1", "1m 52s before"], ["2", "1m 25s before"], ["1", "at once"]]
    early = with_data(spans_of("ann 0 9 desk", "bob 6 20 desk"), b={"links": ["a"]})
    assert cell_texts(plot_handoffs(early, time_unit="step")) == [["1", "3 steps before"]]
