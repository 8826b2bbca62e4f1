import pandas as pd
import pytest
from conftest import spans_of, with_data
from hypothesis import given
from hypothesis import strategies as st
from waiting import nodes_of, waiting_frames, work_of

from tokenvis import BadOption, BadSpan, rollup


def test_busy_time_is_clipped_to_buckets_and_starts_are_counted_in_theirs():
    table = rollup(spans_of("ann 3 20 desk", "bob 15 25 lab"), 10)
    assert table["time"].tolist() == [3, 13, 23]
    assert table["busy_us"].tolist() == [10, 15, 2]
    assert table["n_started"].tolist() == [1, 1, 0]
    assert table["running"].tolist() == [1.0, 1.5, 0.2]


def test_the_last_bucket_contains_the_last_microsecond_or_instant():
    assert len(rollup(spans_of("ann 0 10 desk"), 5)) == 2
    assert len(rollup(spans_of("ann 0 10 desk", "ann 10 10 desk"), 5)) == 3


def test_values_are_added_up_where_the_span_starts():
    spans = spans_of("ann 0 4 desk", "ann 5 6 desk", "ann 21 22 desk", "bob 0 1 desk")
    spans = with_data(spans, a={"n": 3}, b={"n": 4, "attributes": {"x": 0.5}}, c={"n": 5})
    table = rollup(spans, 10, by="agent_id", values=["n", "x"])
    assert table["n"].fillna(-1).tolist() == [7, -1, 0, -1, 5, -1]
    assert table["x"].fillna(-1).tolist() == [0.5, -1, 0.0, -1, 0.0, -1]
    assert table.dtypes[["n", "x"]].astype(str).tolist() == ["Int64", "Float64"]


@pytest.mark.parametrize("every", [1_000_000, "1s", "1000ms", "P0DT0H0M1S"])
def test_a_length_of_time_is_a_number_of_microseconds_or_a_text(every):
    spans = spans_of("ann 0 2500000 desk")
    assert rollup(spans, every)["busy_us"].tolist() == [1_000_000, 1_000_000, 500_000]


@pytest.mark.parametrize("every", [0, -5, 1.5, True, None, "1ns", "0s", "soon", 2**63])
def test_an_invalid_bucket_length_is_refused(every):
    with pytest.raises(
        BadOption, match=r"^every=.* is not a bucket length: a positive integer number of µs, or a text such as "
    ):
        rollup(spans_of("ann 0 1 desk"), every)


def test_a_table_with_too_many_rows_is_refused():
    message = r"^every=1 would make 20,000,000 rows; the limit is 10,000,000\. Use longer buckets\.$"
    with pytest.raises(BadOption, match=message):
        rollup(spans_of("ann 0 10000000 desk", "bob 0 1 desk"), 1, by="agent_id")


def test_values_that_are_not_numbers_are_refused():
    spans = with_data(spans_of("ann 0 4 desk"), a={"label": "x"})
    with pytest.raises(BadSpan, match=r"^label of span 'a' of trace 't' is 'x', not a 64-bit number\.$"):
        rollup(spans, 1, values="label")
    for values in ("busy_us", "trace_id"):
        with pytest.raises(BadOption, match=rf"^values=\['{values}'\] has the name of a column of the result\.$"):
            rollup(spans, 1, values=values)
    far = spans.assign(start_time=-(2**62) - 1, end_time=2**62)
    with pytest.raises(BadSpan, match=r"^The time from -?\d+ to \d+ does not fit into a 64-bit integer\.$"):
        rollup(far, 2**60)
    many = spans_of("ann 0 1 desk", "bob 0 1 desk", "eve 0 1 desk").assign(start_time=0, end_time=2**62)
    with pytest.raises(BadSpan, match=r"^A sum over the spans does not fit into a 64-bit integer"):
        rollup(many, 2**62)
    with pytest.raises(BadSpan, match=r"^The busy time of a bucket does not fit into a 64-bit integer\.$"):
        rollup(pd.concat([*[spans.assign(start_time=2**61 - 1, end_time=2**62 + 1)] * 4, spans]), 2**61)


@pytest.mark.laws
@given(waiting_frames(), st.integers(1, 6))
def test_it_equals_brute_force(spans, every):
    key = "gen_ai.usage.input_tokens"
    table = rollup(spans, every, by="agent_id", values=key)
    pieces, tokens = work_of(spans), counted_tokens(spans, key)
    expected = []
    for trace, rows in spans.groupby("trace_id", observed=True):
        first = rows["start_time"].min()
        last = max(max(end - 1, start) for start, end in zip(rows["start_time"], rows["end_time"], strict=True))
        for time in range(first, last + 1, every):
            for agent in sorted(rows["agent_id"].unique()):
                mine = pieces[(pieces["trace_id"] == trace) & (pieces["agent_id"] == agent)]
                inside = mine["end_time"].clip(time, time + every) - mine["start_time"].clip(time, time + every)
                of_agent = rows[rows["agent_id"] == agent]
                starts = of_agent[of_agent["start_time"].between(time, time + every - 1)]
                known = any((trace, span) in tokens for span in of_agent["id"])
                total = sum(tokens.get((trace, span), 0) for span in starts["id"]) if known else None
                expected.append((trace, time, agent, inside.sum(), len(starts), inside.sum() / every, total))
    columns = ["trace_id", "time", "agent_id", "busy_us", "n_started", "running", key]
    assert table.columns.tolist() == columns
    found = list(zip(*(table[column] for column in columns), strict=True))
    assert [tuple(None if value is pd.NA else value for value in row) for row in found] == expected


def counted_tokens(spans, key):
    """What counts of a figure for each span that has one: nothing if a span below has one too. No span is a silent call."""

    def figure(node):
        attributes = node.data.get("attributes", {})
        return attributes.get(key) if any(attributes.values()) else None

    def is_above_figures(node):
        return any(figure(child) is not None or is_above_figures(child) for child in node.children)

    found = {(node.trace, node.id): figure(node) for node in nodes_of(spans) if figure(node) is not None}
    return found | {
        (node.trace, node.id): 0 for node in nodes_of(spans) if (node.trace, node.id) in found and is_above_figures(node)
    }
