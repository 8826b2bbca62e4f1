import pandas as pd
import pytest
from conftest import spans_of, with_data
from hypothesis import given
from hypothesis import strategies as st

from tokenvis import diagnose
from tokenvis.tree.clocks import clock_offsets, hosts_of
from tokenvis.tree.relations import relations_of


def on_hosts(spans, hosts, **data):
    """Spans with a letter for the host of each, in the order of their ids."""
    ids = [chr(97 + number) for number in range(len(hosts))]
    fields = {one: {"attributes": {"host.name": host}, **data.get(one, {})} for one, host in zip(ids, hosts, strict=True)}
    return with_data(spans, **fields)


def offsets_in(spans):
    """As text: "host reference ids lowest highest estimate"."""
    return [
        f"{one.host} {one.reference} {''.join(sorted(spans['id'].iloc[one.rows]))} {one.lowest} {one.highest} {one.estimate()}"
        for one in clock_offsets(spans, relations_of(spans))
    ]


@pytest.mark.parametrize(
    ("rows", "hosts", "parents", "offsets"),
    [
        (["a 10 20 x", "b 3 7 x"], "AB", {"b": "a"}, ["B A b 7 13 10"]),
        (["a 10 20 x", "b 18 22 x"], "AB", {"b": "a"}, ["B A b -8 -2 -5"]),
        (["a 10 20 x", "b 12 18 x"], "AB", {"b": "a"}, []),
        (["a 10 20 x", "b 3 7 x"], "AA", {"b": "a"}, []),
        (["a 10 20 x", "b 3 7 x"], "AB", {}, []),
        (["a 10 20 x", "b 3 7 x", "c 12 14 x"], "ABB", {"b": "a", "c": "a"}, ["B A b 7 6 None"]),
        (["a 10 20 x", "b 3 7 x", "c 4 8 x"], "ABB", {"b": "a", "c": "a"}, ["B A bc 7 12 9"]),
        (["a 10 20 x", "b 5 25 x"], "AB", {"b": "a"}, ["B A b 5 None 5"]),  # longer than its parent: only its start counts
    ],
)
def test_the_offset_that_removes_all_contradictions(rows, hosts, parents, offsets):
    assert offsets_in(on_hosts(spans_of(*rows, parents=parents), hosts)) == offsets


def test_a_detached_child_may_end_after_its_parent():
    late, early = (spans_of("a 10 20 x", f"b {start} 22 x", parents={"b": "a"}) for start in (18, 3))
    for mark in ({"detached": True}, {"span_kind": "consumer"}):
        assert offsets_in(on_hosts(late, "AB", b=mark)) == []
        assert offsets_in(on_hosts(early, "AB", b=mark)) == ["B A b 7 None 7"]


def test_the_host_of_a_span():
    spans = spans_of("a 0 1 x", "a 0 1 x", "a 0 1 x", "a 0 1 x", "a 0 1 x")
    data = {
        "a": {"attributes": {"host.name": "h", "service.name": "s"}},
        "b": {"attributes": {"service.instance.id": "i", "service.name": "s"}},
        "c": {"service.name": "s"},
        "d": {"attributes": {"host.name": 5, "service.name": ""}},
    }
    host, names = hosts_of(with_data(spans, **data))
    assert ([names[code] if code >= 0 else None for code in host], hosts_of(spans)[1]) == (["h", "i", "s", None, None], [])


def test_diagnose_tells_the_offset_of_each_trace():
    one = on_hosts(spans_of("a 10 20 x", "b 3 7 x", parents={"b": "a"}), "AB")
    table = diagnose(pd.concat([one, one.assign(trace_id="u")])).query("kind == 'clock offset'")
    assert table[["n_spans", "time_us"]].to_numpy().tolist() == [[1, 10], [1, 10]]
    assert table["meaning"].iloc[0] == (
        "The clocks of two hosts contradict each other: a span on one runs outside its parent on the other. Add at least 7 "
        "and at most 13 µs to the times of 'B', to fit 'A': ingest(..., clock_offsets={'B': 10})."
    )
    torn = spans_of("a 10 20 x", "b 3 7 x", "c 12 14 x", parents={"b": "a", "c": "a"})
    [finding] = diagnose(on_hosts(torn, "ABB")).query("kind == 'clock offset'").to_dict("records")
    assert finding["time_us"] is None
    assert finding["meaning"].endswith("No offset between 'B' and 'A' fits all: a clock was set, or spans are detached.")


@pytest.mark.laws
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 5), st.sampled_from("AB"), st.integers(0, 7)), max_size=7))
def test_the_interval_is_that_of_brute_force(rows):
    rows = [(0, 9, "A", 0), *rows]
    parents = {chr(97 + n): chr(97 + row[3] % n) for n, row in enumerate(rows) if n}
    spans = spans_of(*(f"a {start} {start + lasts} x" for start, lasts, *_ in rows), parents=parents)
    spans = on_hosts(spans, [row[2] for row in rows])
    found = list(clock_offsets(spans, relations_of(spans)))

    def fits(offset, host):
        for n, (start, lasts, own, above) in enumerate(rows[1:], start=1):
            parent_start, parent_lasts, other, _ = rows[above % n]
            start += offset * (own == host)
            parent_start += offset * (other == host)
            is_late = lasts <= parent_lasts and start + lasts > parent_start + parent_lasts
            if own != other and (start < parent_start or is_late):
                return False
        return True

    assert bool(found) == (not fits(0, "B"))
    for one in found:
        inside = [offset for offset in range(-40, 41) if fits(offset, one.host)]
        lowest, highest = -40 if one.lowest is None else one.lowest, 40 if one.highest is None else one.highest
        assert inside == list(range(lowest, highest + 1))
