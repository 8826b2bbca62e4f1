import json

import numpy as np
import pytest
from conftest import spans_frames, spans_of, with_data
from hypothesis import given
from hypothesis import strategies as st

from tokenvis import BadOption, BadSpan
from tokenvis.tree.relations import cyclic, evidence_of, have_ancestor, have_descendant, relations_of, requests_in


def linked(spans, **links):
    """The spans with links: ids of spans that each one follows."""
    return with_data(spans, **{span: {"links": named} for span, named in links.items()})


def parent_rows(spans):
    """The row of each span's parent, or -1."""
    return relations_of(spans, links=False).parents()


def link_rows(spans):
    """Links as pairs of rows."""
    return relations_of(spans, parents=False).links()


def test_a_parent_is_looked_up_in_its_own_trace():
    spans = spans_of("ann 0 9 desk t", "bob 1 3 desk t", "ann 0 9 desk u", parents={"b": "a", "c": "a"})
    assert dict(zip(spans["id"], parent_rows(spans).tolist(), strict=True)) == {
        "a": -1,
        "c": -1,
        "b": spans["id"].tolist().index("a"),
    }


def test_integer_ids_match_when_missing_parents_made_them_floats():
    spans = spans_of("ann 0 9 desk", "bob 1 3 desk", "eve 2 3 desk").assign(id=[1, 2, 3], parent_id=[np.nan, 1, 2])
    assert spans["parent_id"].dtype == float
    assert parent_rows(spans).tolist() == [-1, 0, 1]


def test_two_traces_may_use_the_same_id():
    spans = spans_of("ann 0 9 desk t", "bob 1 3 desk t", "ann 0 8 desk u", "bob 1 2 desk u", parents={"b": "a", "d": "a"})
    spans = spans.assign(id=spans["id"].replace({"c": "a", "d": "b"}))
    rows = list(zip(spans["trace_id"], spans["id"], strict=True))
    assert [rows[row] if row >= 0 else None for row in parent_rows(spans)] == [
        (trace, "a") if name == "b" else None for trace, name in rows
    ]


def test_a_duplicate_id_in_a_trace_is_refused_where_it_matters():
    spans = spans_of("ann 0 9 desk", "bob 1 3 desk", "eve 2 3 desk", parents={"c": "a"})
    twice = spans.assign(id=["a", "a", "c"])
    message = r"^Span 'a' is in several rows of trace 't'\. Pass each span once, uncut: not the pieces of self_spans\(\)\.$"
    with pytest.raises(BadSpan, match=message):
        parent_rows(twice)
    with pytest.raises(BadSpan, match=message):
        link_rows(linked(twice, c=["a"]))
    assert parent_rows(twice.assign(parent_id=None)).tolist() == [-1, -1, -1]


def test_links_are_distinct_pairs_of_rows_without_unknown_ids():
    spans = linked(spans_of("ann 0 9 desk", "bob 1 3 desk", "eve 4 5 lab"), c=["b", "a", "b", "unknown", 7], b="a")
    assert list(zip(*(rows.tolist() for rows in link_rows(spans)), strict=True)) == [(0, 1), (0, 2), (1, 2)]
    assert [len(rows) for rows in link_rows(spans.drop(columns="data"))] == [0, 0]
    assert [len(rows) for rows in link_rows(linked(spans, c=["unknown"]))] == [0, 0]


def asked(spans, **requests):
    """The spans with ``requested_by``: the id of the model call that asked for each one, or several ids."""
    return with_data(spans, **{span: {"requested_by": named} for span, named in requests.items()})


def request_rows(spans):
    """Requests as pairs of rows: (the call, the model call that asked for it)."""
    return list(zip(*(rows.tolist() for rows in requests_in(spans)), strict=True))


def test_requests_are_distinct_pairs_of_rows_without_unknown_ids():
    spans = spans_of("ann 0 9 model", "ann 1 3 tool", "ann 4 5 tool", "ann 6 7 tool")
    mixed = asked(spans, b="a", c=["b", "a", "b", "unknown"], d="d")
    assert request_rows(mixed) == [(1, 0), (2, 0), (2, 1)]
    assert list(zip(*(rows.tolist() for rows in requests_in(mixed, relations_of(mixed))), strict=True)) == request_rows(mixed)
    assert request_rows(spans.assign(requested_by=["x", None, ["a"], np.array(["a", "b"])])) == [(2, 0), (3, 0), (3, 1)]
    assert request_rows(spans.assign(id=[1, 2, 3, 4], requested_by=[np.nan, 1, None, 3])) == [(1, 0), (3, 2)]
    for odd in (7, 7.5, True, "", [], {}, {"id": "a"}, [["a"]], [None, {"a": []}], "a\n" * 5_000, "$\\frac{ <b>"):
        assert request_rows(asked(spans, b=odd)) == []
    assert request_rows(spans) == request_rows(spans[:0]) == []


def test_requests_and_links_are_separate():
    spans = with_data(spans_of("ann 0 9 model", "ann 1 3 tool", "bob 4 5 lab"), b={"requested_by": "a"}, c={"links": ["b"]})
    relations = relations_of(spans)
    assert [rows.tolist() for rows in relations.links()] == [[1], [2]]
    assert [rows.tolist() for rows in relations.requests()] == [[0], [1]]
    assert [len(rows) for rows in relations_of(spans, links=False).requests()] == [0, 0]
    assert [rows.tolist() for rows in relations_of(spans, requests=False).links()] == [[1], [2]]
    twice = spans.assign(id=["a", "a", "c"])
    with pytest.raises(BadSpan, match=r"^Span 'a' is in several rows of trace 't'\. Pass each span once"):
        requests_in(twice)


@pytest.mark.laws
@given(spans_frames(data=True))
def test_requests_equal_the_ids_in_data(spans):
    rows = [(row.trace_id, row.id, json.loads(row.data) if isinstance(row.data, str) else {}) for row in spans.itertuples()]
    expected = []
    for trace, span, data in rows:
        named = data.get("requested_by", [])
        named = set(named) if isinstance(named, list) else {named}
        expected += [(span, other) for other_trace, other, _ in rows if other_trace == trace and other in named - {span}]
    ids = spans["id"].tolist()
    assert sorted((ids[call], ids[asked_by]) for call, asked_by in request_rows(spans)) == sorted(expected)


@pytest.mark.laws
@given(spans_frames(parents=True))
def test_parents_have_no_cycles(spans):
    named = relations_of(spans)
    assert not cyclic(named.identity, named.parent).any()
    assert ((named.parent < len(set(named.identity.tolist()))) & (named.parent >= -1)).all()


@pytest.mark.laws
@given(st.lists(st.integers(-1, 8), max_size=9), st.data())
def test_marks_spread_up_and_down(parents, data):
    parent = np.array([min(above, row - 1) for row, above in enumerate(parents)], dtype=np.int64)
    marked = np.array(data.draw(st.lists(st.booleans(), min_size=len(parent), max_size=len(parent))), dtype=bool)

    def ancestors(row):
        while parent[row] >= 0:
            row = parent[row]
            yield row

    assert have_ancestor(parent, marked).tolist() == [any(marked[a] for a in ancestors(row)) for row in range(len(parent))]
    assert have_descendant(parent, marked).tolist() == [
        any(marked[other] and row in ancestors(other) for other in range(len(parent))) for row in range(len(parent))
    ]


def test_evidence_is_one_or_several_of_the_choices():
    assert evidence_of("link") == {"link"}
    assert evidence_of(["parent", "location"]) == {"parent", "location"}
    with pytest.raises(BadOption, match=r"^evidence='rumour' is not one of 'link', 'parent', 'location'\.$"):
        evidence_of(("link", "rumour"))
