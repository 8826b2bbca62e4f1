import pandas as pd
import pytest
from branching import fanouts_of
from conftest import spans_of, with_data
from hostile import hostile_trace
from hypothesis import given
from hypothesis import strategies as st
from instances import instance_frames
from waiting import oracle

from tokenvis import BadSpan, fanouts, self_spans

MEASURES = [
    "start",
    "end",
    "elapsed_us",
    "sum_us",
    "union_us",
    "longest_us",
    "share_overlapped",
    "peak",
    "speedup",
    "max_speedup",
]


def rows(table, *columns):
    """Rows as text, with these columns; a missing value is "-"."""
    return [" ".join(text_of(value) for value in row) for row in table[list(columns)].itertuples(index=False)]


def text_of(value):
    """A value as text: a list without brackets, a float with two digits, "-" for a missing value."""
    if isinstance(value, list):
        return "+".join(map(str, value))
    if pd.isna(value):
        return "-"
    return f"{value:.2f}" if isinstance(value, float) else str(value)


def who(spans):
    """The fan-outs as text: caller, the span, the evidence, the branches, the verdict."""
    return rows(fanouts(spans), "agent_id", "id", "evidence", "branch_ids", "verdict")


def delegations(*times):
    """A lead delegates to w0, w1, ..., each in a call of its own: spans b and c, d and e, ..."""
    calls = [row for number, time in enumerate(times) for row in (f"lead {time} call", f"w{number} {time} work")]
    ids = [chr(ord("b") + number) for number in range(len(calls))]
    parents = {name: "a" if number % 2 == 0 else ids[number - 1] for number, name in enumerate(ids)}
    return spans_of(f"lead 0 {max(int(time.split()[1]) for time in times) + 1} desk", *calls, parents=parents)


def test_serial_delegations():
    table = fanouts(delegations("1 11", "11 21"))
    assert rows(table, "id", "location_id", "evidence", "n_branches") == ["a desk parent 2"]
    assert rows(table, *MEASURES) == ["1 21 20 20 20 10 0.00 1 1.00 2.00"]
    assert rows(table, "last_branch", "last_agent", "last_by_us", "verdict", "branch_ids") == ["d w1 10 serial b+d"]


def test_parallel_delegations():
    table = fanouts(delegations("1 11", "1 11"))
    assert rows(table, *MEASURES) == ["1 11 10 20 10 10 1.00 2 2.00 2.00"]
    assert rows(table, "last_branch", "last_agent", "last_by_us", "verdict") == ["d w1 0 parallel"]


def test_delegations_that_overlap_in_part():
    table = fanouts(delegations("0 6", "2 10", "9 19"))
    assert rows(table, *MEASURES) == ["0 19 19 24 19 10 0.36 2 1.26 2.40"]
    assert rows(table, "last_branch", "last_agent", "last_by_us", "verdict") == ["f w2 9 partly"]


@pytest.mark.parametrize(
    ("overlap", "verdict"), [(4, "serial"), (5, "partly"), (80, "partly"), (81, "parallel"), (100, "parallel"), (0, "serial")]
)
def test_the_verdict_is_given_by_the_share_of_overlap(overlap, verdict):
    assert fanouts(delegations("0 100", f"{100 - overlap} {200 - overlap}"))["verdict"].tolist() == [verdict]


def test_the_time_between_branches_counts_as_elapsed():
    spans = spans_of("ann 0 9 desk", "bob 1 3 lab", "eve 7 9 lab", parents=dict.fromkeys("bc", "a"))
    spans = with_data(spans, a={"waits_for": "user"})
    assert rows(fanouts(spans), "elapsed_us", "sum_us", "share_overlapped", "speedup") == ["8 4 0.00 0.50"]


def test_ratios_of_nothing_are_missing():
    spans = spans_of("ann 0 9 desk", "bob 3 3 lab", "eve 3 3 lab", parents=dict.fromkeys("bc", "a"))
    assert rows(fanouts(spans), *MEASURES, "verdict") == ["3 3 0 0 0 0 - 0 - - -"]
    longer = spans.assign(end_time=[9, 3, 5])
    assert rows(fanouts(longer), *MEASURES, "verdict") == ["3 5 2 2 2 2 - 1 1.00 1.00 -"]


def test_equal_names_are_told_apart():
    spans = spans_of("ann 0 9 desk", "bob 1 8 lab", "bob 2 8 lab", "bob 3 8 lab", parents=dict.fromkeys("bcd", "a"))
    assert who(spans) == ["ann a parent b+c+d parallel"]
    one_after_another = spans.assign(start_time=[0, 1, 3, 5], end_time=[9, 3, 5, 7])
    assert who(one_after_another) == []
    assert who(with_data(one_after_another, b={"kind": "agent"})) == ["ann a parent b+c+d serial"]


# Laws


def tuples(table):
    """A table as tuples; missing values are None, and lists are tuples."""
    return [
        tuple(tuple(value) if isinstance(value, list) else None if pd.isna(value) else value for value in row)
        for row in table.itertuples(index=False)
    ]


@st.composite
def fanning_frames(draw):
    """Frames in which most spans have a few parents, and some are linked, asked for by one of two, marked or detached."""
    names, count = "abcdefghijklmn", draw(st.integers(3, 14))
    agents = st.sampled_from(draw(st.sampled_from([["ann"], ["ann", "ann", "bob", "eve"]])))
    places, lengths = st.sampled_from(["desk", "desk", "model:m", "tool:t"]), st.integers(0, 8)
    lengths = draw(st.sampled_from([lengths, lengths, st.sampled_from([1, 2, 20, 40])]))
    rows = [f"{draw(agents)} {start} {start + draw(lengths)} {draw(places)}" for start in draw(starts(count))]
    common = draw(st.sampled_from(["a", "acd"]))  # of the first spans as children, most others are children of these
    parents = {
        name: draw(st.sampled_from([*common * 2, *names[:4]] if at > 3 else "a")) for at, name in enumerate(names[:count])
    }
    parents.pop("a")
    ids, askers = st.sampled_from(names[:count]), st.sampled_from("ab")
    keys = {
        "links": st.lists(ids, max_size=2),
        "requested_by": askers | st.lists(askers, max_size=2),
        "kind": st.just("agent"),
        "detached": st.booleans(),
        "waits_for": st.just("user"),
    }
    often = draw(st.sampled_from([[], ["links"], ["requested_by"]]))
    required = {key: keys.pop(key) for key in often}
    payload = st.fixed_dictionaries(required, optional=keys if draw(st.booleans()) else None)
    marked = [name for name in names[:count] if draw(st.booleans())]
    return with_data(spans_of(*rows, parents=parents), **{name: draw(payload) for name in marked})


def starts(count):
    """Start times, the first 0."""
    return st.lists(st.integers(0, 16), min_size=count - 1, max_size=count - 1).map(lambda times: [0, *times])


@pytest.mark.laws
@oracle
@given(fanning_frames() | instance_frames())
def test_it_equals_brute_force(spans):
    assert tuples(fanouts(spans)) == fanouts_of(spans)


@pytest.mark.laws
@given(fanning_frames())
def test_the_measures_fit_together(spans):
    table = fanouts(spans)
    assert (table["n_branches"] == table["branch_ids"].map(len)).all()
    assert (table["n_branches"] > 1).all()
    assert ((table["longest_us"] <= table["union_us"]) & (table["union_us"] <= table["sum_us"])).all()
    assert (table["union_us"] <= table["elapsed_us"]).all()
    assert (table["peak"] <= table["n_branches"]).all()
    assert ((table["speedup"] <= table["max_speedup"]) | table["max_speedup"].isna()).all()
    assert table["share_overlapped"].dropna().between(0, 1).all()
    assert (table["verdict"].isna() == (table["sum_us"] == table["longest_us"])).all()
    assert not table.explode("branch_ids").duplicated(["trace_id", "evidence", "branch_ids"]).any()


# Errors and limits


def test_a_loss_marker_is_no_branch():
    spans = spans_of("ann 0 9 desk", "bob 1 3 lab", "tokenvis 1 3 tokenvis.lost", parents=dict.fromkeys("bc", "a"))
    assert who(spans) == []


def test_integers_as_ids_stay_integers():
    spans = spans_of("ann 0 9 desk", "bob 1 3 lab", "eve 2 4 lab").assign(id=[2**60, 2**60 + 1, 3])
    table = fanouts(spans.assign(parent_id=pd.array([None, 2**60, 2**60], dtype="Int64")))
    assert table["id"].dtype == table["last_branch"].dtype == "int64"
    assert rows(table, "id", "last_branch", "branch_ids") == [f"{2**60} 3 {2**60 + 1}+3"]


def test_names_may_contain_any_character():
    spans = hostile_trace()
    callers = spans["id"].iloc[0]
    table = fanouts(spans.assign(parent_id=[None, *[callers] * (len(spans) - 1)], data=None))
    assert len(table) > 0
    assert set(table["branch_ids"].explode()) <= set(spans["id"])
    assert set(table["last_agent"]) <= set(spans["agent_id"])


def test_ids_may_repeat_across_traces():
    one = delegations("1 11", "11 21")
    both = pd.concat([one, one.assign(trace_id="u")], ignore_index=True)
    assert who(both) == ["lead a parent b+d serial"] * 2


def test_deeply_nested_fan_outs_take_no_longer_than_flat_ones():
    count = 3_000
    names = [f"n{number:05}" for number in range(2 * count)]
    parents = {name: names[2 * (number // 2) - 2] for number, name in enumerate(names) if number > 1}
    spans = spans_of(*(f"agent{number % 7} {number // 2} 9999 desk" for number in range(2 * count)))
    table = fanouts(spans.assign(id=names, parent_id=pd.Series(names).map(parents)))
    assert table["n_branches"].tolist() == [2] * (count - 1)


def test_a_span_in_several_rows_is_refused():
    spans = spans_of("ann 0 9 desk", "bob 1 3 lab", "eve 2 4 lab", parents=dict.fromkeys("bc", "a")).assign(id=["a", "b", "b"])
    message = r"^Span 'b' is in several rows of trace 't'\. Pass each span once, uncut: not the pieces of self_spans\(\)\.$"
    with pytest.raises(BadSpan, match=message):
        fanouts(spans)


def test_pieces_are_refused():
    message = r"^The spans are pieces of self_spans\(\), which are not whole branches\. Pass the uncut spans\.$"
    with pytest.raises(BadSpan, match=message):
        fanouts(self_spans(delegations("1 11", "11 21")))


def test_times_that_do_not_fit_are_refused():
    far = spans_of("ann 0 1 desk", "bob 0 1 lab", "eve 0 1 lab", parents=dict.fromkeys("bc", "a"))
    far = far.assign(start_time=-(2**62) - 1, end_time=2**62)
    with pytest.raises(BadSpan, match=r"^The time from -\d+ to \d+ does not fit into a 64-bit integer\.$"):
        fanouts(far)
