import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import waiting
from conftest import spans_of, with_data
from hypothesis import given
from hypothesis import strategies as st
from instances import Expected, instance_frames, is_call
from pandas.testing import assert_series_equal
from pictures import collisions
from waiting import oracle

import tokenvis as tv
from tokenvis import BadSpan, agent_tree
from tokenvis.plot.artists.notes import Note
from tokenvis.plot.artists.row_texts import RowTexts
from tokenvis.tree.instances import instances_of
from tokenvis.tree.relations import relations_of

SUMS = ["n_spans", "n_errors", "busy_us", "wait_us", "input_tokens", "output_tokens", "cost"]


def rows(table, *columns):
    """Some columns of a table as tuples; missing values are None."""
    return [tuple(None if pd.isna(value) else value for value in row) for row in table[list(columns)].itertuples(index=False)]


def used(tokens, cost):
    """Data of a call with these input tokens and this cost."""
    return {"attributes": {"gen_ai.usage.input_tokens": tokens, "gen_ai.usage.cost": cost}}


def test_each_row_has_its_own_measures_and_those_of_its_subtree():
    spans = spans_of(
        "lead 0 90 desk", "ann 10 40 lab", "bob 15 25 lab", "ann 50 60 lab", parents={"b": "a", "c": "b", "d": "a"}
    )
    table = agent_tree(with_data(spans, d=used(5, 0.5), c={"status": "error", **used(7, 0.25)}))
    assert rows(table, "path", "depth", "agent_id", "id", "started_by", "caller", "evidence", "start", "end", "outcome") == [
        ("lead", 0, "lead", "a", None, None, None, 0, 90, "ok"),
        ("lead / ann", 1, "ann", "b", "lead", "a", "parent", 10, 60, "ok"),
        ("lead / ann / bob", 2, "bob", "c", "ann", "b", "parent", 15, 25, "error"),
    ]
    assert rows(table, *SUMS) == [
        (1, 0, 40, 50, None, None, None),
        (2, 0, 30, 10, 5, None, 0.5),
        (1, 1, 10, 0, 7, None, 0.25),
    ]
    assert rows(table, *(f"subtree_{name}" for name in SUMS)) == [
        (4, 1, 80, 60, 12, None, 0.75),
        (3, 1, 40, 10, 12, None, 0.75),
        (1, 1, 10, 0, 7, None, 0.25),
    ]


def test_siblings_come_in_the_order_of_start_end_agent_and_are_numbered():
    starts = "eve 5 9 lab", "bob 3 9 lab", "ann 3 9 lab", "bob 3 8 lab", "bob 40 50 lab", "lead 30 31 desk"
    spans = spans_of("lead 0 90 desk", *starts, parents=dict.fromkeys("bcdefg", "a"))
    assert rows(agent_tree(spans), "path", "start") == [
        ("lead", 0),
        ("lead / bob", 3),
        ("lead / ann", 3),
        ("lead / bob #2", 3),
        ("lead / eve", 5),
        ("lead / bob #3", 40),
    ]


def test_an_agent_may_be_started_by_a_link_and_each_trace_has_its_own_roots():
    spans = spans_of("ann 0 9 desk t", "bob 10 20 lab t", "ann 5 9 desk s")
    table = agent_tree(with_data(spans, b={"links": ["a", "c"]}))
    assert rows(table, "trace_id", "path", "caller", "evidence") == [
        ("s", "ann", None, None),
        ("t", "ann", None, None),
        ("t", "ann / bob", "a", "link"),
    ]


def outcome_of(caller="desk", **payloads):
    """The outcome of bob, whom span a of lead starts with b, c and d; d, of bob, is below c."""
    spans = spans_of(
        f"lead 0 90 {caller}", "bob 1 9 lab", "bob 10 20 lab", "bob 12 20 lab", parents={"b": "a", "c": "a", "d": "c"}
    )
    [outcome] = agent_tree(with_data(spans, **payloads))["outcome"].tolist()[1:]
    return outcome


def test_the_outcome_is_that_of_the_last_span_that_was_started_from_outside():
    error, is_open, cancelled = {"status": "error"}, {"status": "open"}, {"cancelled": True}
    assert outcome_of() == "ok"
    assert outcome_of(b=error) == outcome_of(d=error) == "ok"  # recovered from
    assert outcome_of(c=error) == "error"
    assert outcome_of(c=cancelled) == outcome_of(c={"status": "cancelled"}) == "cancelled"
    assert outcome_of(b=is_open) == outcome_of(b=is_open, c=error) == "open"
    assert outcome_of(d=is_open) == "ok"


def test_an_agent_whose_call_failed_has_failed_unless_the_call_started_others_too():
    error = {"status": "error"}
    assert outcome_of("tool:Task", a=error) == "error"
    assert outcome_of("desk", a=error) == "ok"
    spans = spans_of("lead 0 90 tool:Task", "ann 1 9 lab", "bob 1 9 lab", parents={"b": "a", "c": "a"})
    assert agent_tree(with_data(spans, a=error))["outcome"].tolist() == ["error", "ok", "ok"]


def test_loss_markers_are_no_agents():
    spans = spans_of("ann 0 9 desk", "bob 1 5 tokenvis.lost")
    assert agent_tree(spans)["path"].tolist() == ["ann"]


HOSTILE = ["a", "b", "a #2", "a / b", "/", "a /", "/ a", " ", "", "<b>$\\frac{", "x" * 10_000, "two\nlines"]


@st.composite
def hostile_frames(draw):
    """Frames whose names look like paths or numbers of siblings."""
    spans = draw(instance_frames())
    names = draw(st.lists(st.sampled_from(HOSTILE), min_size=3, max_size=3, unique=True))
    return spans.assign(agent_id=spans["agent_id"].astype("str").map(dict(zip(["ann", "bob", "eve"], names, strict=True))))


@pytest.mark.laws
@given(hostile_frames())
def test_paths_are_different_in_a_trace_and_those_of_other_traces_do_not_matter(spans):
    table = agent_tree(spans)
    assert not table.duplicated(["trace_id", "path"]).any()
    for trace, part in table.groupby("trace_id", observed=True):
        assert agent_tree(spans[spans["trace_id"] == trace])["path"].tolist() == part["path"].tolist()


def test_paths_that_would_be_equal_are_numbered():
    names = ["a", "b", "a / b"]
    spans = spans_of("0 0 90 desk", "1 1 9 lab", "2 2 9 lab", parents={"b": "a"})
    spans["agent_id"] = names
    assert agent_tree(spans)["path"].tolist() == ["a", "a / b", "a / b #2"]
    spans = spans_of("0 0 90 desk", "1 1 9 lab", "1 1 9 lab", "2 2 9 lab", parents=dict.fromkeys("bcd", "a"))
    spans["agent_id"] = ["lead", "a", "a", "a #2"]
    assert agent_tree(spans)["path"].tolist() == ["lead", "lead / a", "lead / a #2", "lead / a #2 #2"]


def chain(length):
    """A trace in which two agents start each other."""
    number = np.arange(length)
    names = {"id": number.astype(str), "trace_id": "t", "agent_id": np.where(number % 2, "bob", "ann"), "location_id": "desk"}
    times = {"start_time": number, "end_time": 3 * length - number}
    return pd.DataFrame({**names, **times, "parent_id": pd.Series(number - 1).astype("str").where(number > 0)})


def test_a_chain_of_ten_thousand_agents():
    length = 10_000
    table = agent_tree(chain(length))
    assert table["depth"].tolist() == list(range(length))
    assert table["subtree_n_spans"].tolist() == list(range(length, 0, -1))
    assert table["path"].is_unique
    assert table["path"].str.len().max() < 100
    assert table["path"][15] == "ann" + " / bob / ann" * 7 + " / bob"
    assert table["path"][20] == "ann / … 8 …" + " / bob / ann" * 6


def test_pieces_and_repeated_ids_are_refused():
    spans = spans_of("ann 0 90 desk", "bob 1 9 lab", "ann 2 3 lab", parents={"b": "a", "c": "a"})
    message = r"^The spans are pieces of self_spans\(\), which lack the times of callees\. Pass the uncut spans\.$"
    with pytest.raises(BadSpan, match=message):
        agent_tree(tv.self_spans(spans))
    with pytest.raises(BadSpan, match=r"^Span 'b' is in several rows of trace 't'\."):
        agent_tree(pd.concat([spans, spans.iloc[1:2]]))


def walk(expected, number=None, path="", depth=0):
    """The instances below one in depth-first order: (trace, number, path, depth)."""
    count = {}
    below = [other for other, caller in enumerate(expected.caller) if number_of(expected, caller) == number]
    for other in sorted(below, key=lambda other: key_of(expected.members[other])):
        name = expected.members[other][0].agent
        count[depth and name, expected.members[other][0].trace] = nth = (
            count.get((depth and name, expected.members[other][0].trace), 0) + 1
        )
        own = f"{path}{name}" if nth == 1 or not depth else f"{path}{name} #{nth}"
        yield other, own, depth
        yield from walk(expected, other, f"{own} / ", depth + 1)


def number_of(expected, caller):
    return None if caller is None else expected.number_of(caller)


def key_of(members):
    first = members[0]
    return first.trace, min(node.start for node in members), max(node.end for node in members), first.agent, first.id


def expected_outcome(expected, number):
    """How an instance ended, by the rules."""
    members, caller = expected.members[number], expected.caller[number]
    tops = [node for node in members if node.parent is None or node.parent not in members]
    last = [node.data for node in tops if node.end == max(other.end for other in tops)]
    alone = caller is not None and sum(other is caller for other in expected.caller) == 1
    if any(node.data.get("status") == "open" for node in tops):
        return "open"
    call_failed = alone and is_call(caller) and caller.data.get("status") == "error"
    return "error" if call_failed or any(data.get("status") == "error" for data in last) else "ok"


@pytest.mark.laws
@oracle
@given(instance_frames())
def test_rows_are_those_of_a_walk_over_the_instances(spans):
    table = agent_tree(spans)
    expected = Expected(waiting.nodes_of(spans))
    found = rows(table, "trace_id", "id", "path", "depth", "caller", "evidence", "start", "end", "outcome", "n_spans")
    answer = []
    for number, path, depth in walk(expected):
        members, caller = expected.members[number], expected.caller[number]
        trace, start, end, _, first = key_of(members)
        caller_id = None if caller is None else caller.id
        evidence, outcome = expected.evidence[number], expected_outcome(expected, number)
        answer.append((trace, first, path, depth, caller_id, evidence, start, end, outcome, len(members)))
    assert found == answer


@pytest.mark.laws
@oracle
@given(instance_frames())
def test_measures_are_those_of_other_questions_for_the_same_spans(spans):
    table = agent_tree(spans)
    found = instances_of(spans, relations_of(spans))
    by_instance = spans.assign(instance=pd.Series(found.first, dtype="int64")[found.of_row].to_numpy())
    of_row = {(row.trace_id, row.id): number for number, row in enumerate(table.itertuples())}
    first = [of_row[key] for key in zip(spans["trace_id"].iloc[found.first], spans["id"].iloc[found.first], strict=True)]
    row_of_first = dict(zip(found.first.tolist(), first, strict=True))
    sizes = tv.summary(by_instance, by="instance")
    usages = tv.usage(by_instance, by="instance")
    for question, columns in ((sizes, ["n_spans", "n_errors", "busy_us"]), (usages, ["input_tokens", "output_tokens", "cost"])):
        theirs = question.set_index(question["instance"].map(row_of_first))[columns].sort_index()
        for column in columns:
            ours = table[column].loc[theirs.index]
            assert_series_equal(ours, theirs[column], check_names=False, check_index=False)
    pieces = tv.self_spans(spans)
    waited = pieces[pieces["state"] != "work"]
    assert table["wait_us"].sum() == (waited["end_time"] - waited["start_time"]).sum()


@pytest.mark.laws
@oracle
@given(instance_frames())
def test_a_subtree_is_the_row_and_the_subtrees_of_its_children(spans):
    table = agent_tree(spans)
    parent = []
    for row, (trace, depth) in enumerate(rows(table, "trace_id", "depth")):
        above = [other for other in range(row) if table["trace_id"][other] == trace and table["depth"][other] == depth - 1]
        parent.append(above[-1] if depth else -1)
    for name in SUMS:
        below = table[f"subtree_{name}"].groupby(pd.Series(parent, dtype="int64")).sum(min_count=1)
        children = below.reindex(range(len(table))).astype(table[f"subtree_{name}"].dtype.name.capitalize())
        both = pd.concat([table[name].astype(children.dtype), children], axis=1)
        total = both.sum(axis=1, min_count=1)
        assert_series_equal(table[f"subtree_{name}"].astype(total.dtype), total, check_names=False)
    roots = table[table["depth"] == 0].groupby("trace_id", observed=True)
    whole = tv.usage(spans, by="trace_id").set_index("trace_id")
    for name in ("input_tokens", "output_tokens", "cost"):
        total = roots[f"subtree_{name}"].sum(min_count=1).reindex(whole.index)
        assert_series_equal(total.astype(whole[name].dtype), whole[name], check_names=False)


SECOND = 1_000_000
TEAM = ("lead 0 90 desk", "ann 10 30 lab", "ann 20 50 lab", "bob 60 70 lab", "eve 80 80 hall")


def team(**payloads):
    """A lead that starts two agents of one name at once, then bob; eve is a root."""
    spans = with_data(spans_of(*TEAM, parents=dict.fromkeys("bcd", "a")), **payloads)
    return spans.assign(start_time=spans["start_time"] * SECOND, end_time=spans["end_time"] * SECOND)


def side_texts(ax):
    """The texts beside the Axes, a list for each column."""
    ax.figure.canvas.draw()  # gives the Axes their final size
    renderer = ax.figure.canvas.get_renderer()
    columns = [artist for artist in ax.get_children() if isinstance(artist, RowTexts)]
    return [[text.get_text() for text in column.texts(renderer)] for column in columns]


def collection(ax, label):
    [found] = [artist for artist in ax.collections if artist.get_label() == label]
    return found


def test_the_picture_has_a_row_for_each_instance_with_its_numbers():
    ax = tv.plot_agent_tree(team(b=used(1_500, 0.5), c=used(20_000, 0.001), d=used(5, 0)))
    assert side_texts(ax) == [
        ["lead", "ann", "ann #2", "bob", "eve"],
        ["tokens", "1,500", "20k", "5"],
        ["of 21.5k"],
        ["cost", "0.50", "0.001"],
        ["of 0.50"],
    ]
    assert ax.get_title(loc="right") == "5 instances of 4 agents · 2 levels · 1m 30s"
    assert ax.get_label() == "Agent tree of t: 5 instances of 4 agents, 2 levels, 1m 30s."
    left = next(artist.offsets.tolist() for artist in ax.get_children() if isinstance(artist, RowTexts))
    assert left[1] == left[2] == left[3] > left[0] == left[4]


def seconds_of(bars):
    """Bars as (row, start, end), in seconds."""
    boxes = [path.get_extents() for path in bars.get_paths()]
    return sorted((int(box.y0), round(box.x0 / SECOND), round(box.x1 / SECOND)) for box in boxes)


def test_bars_are_the_work_of_rows_and_waits_have_their_own_look():
    ax = tv.plot_agent_tree(team())
    of_lead = [(0, 0, 10), (0, 10, 50), (0, 50, 60), (0, 60, 70), (0, 70, 90)]
    assert seconds_of(collection(ax, "spans")) == [*of_lead, (1, 10, 30), (2, 20, 50), (3, 60, 70)]
    assert seconds_of(collection(ax, "waits for an agent")) == [(0, 10, 50), (0, 60, 70)]
    names = [text.get_text() for text in ax.get_legend().get_texts()]
    assert names == ["works", "waits for an agent", "instant"]


def test_a_line_leads_from_the_caller_to_the_start():
    spans = spans_of("lead 0 9 desk", "ann 5 30 lab", "bob 12 20 lab", parents={"b": "a"})
    ax = tv.plot_agent_tree(with_data(spans, c={"links": ["a"]}))
    assert [segment.tolist() for segment in collection(ax, "starts").get_segments()] == [[[5, 0.5], [5, 0.5], [5, 1.5]]]
    [link] = collection(ax, "links").get_segments()
    assert link.tolist() == [[9, 0.5], [12, 0.5], [12, 2.5]]
    assert "started by a link" in [text.get_text() for text in ax.get_legend().get_texts()]


def test_outcomes_have_markers_and_the_name_of_a_failed_agent_is_red():
    ax = tv.plot_agent_tree(team(b={"status": "error"}, c={"status": "open"}, d={"cancelled": True}))
    markers = {kind: collection(ax, kind).get_offsets()[0, 0] / SECOND for kind in ("error", "open", "cancelled", "instant")}
    assert markers == {"error": 30, "open": 50, "cancelled": 70, "instant": 80}
    names = next(artist for artist in ax.get_children() if isinstance(artist, RowTexts))
    assert names.colors[1] != names.colors[0] == names.colors[2]
    assert "1 failed" in ax.get_title(loc="right")


def test_of_more_than_200_rows_the_picture_says_how_many_it_shows():
    spans = spans_of("lead 0 900 desk", *(f"w{n:03} {n} {n + n % 7 + 1} lab" for n in range(260)))
    spans["parent_id"] = np.where(spans["agent_id"] == "lead", None, "a")
    ax = tv.plot_agent_tree(spans)
    assert side_texts(ax)[0][0] == "lead (+61)"
    assert len(side_texts(ax)[0]) == 200
    assert ax.get_label().endswith("200 of 261 rows drawn, the busiest.")
    [note] = [artist for artist in ax.get_children() if isinstance(artist, Note)]
    assert note.messages() == ["200 of 261 rows drawn, the busiest"]


@pytest.mark.parametrize(("width", "n_columns"), [(3.5, 2), (7.2, 3), (11, 5)])
def test_totals_then_columns_that_do_not_fit_are_left_out(width, n_columns):
    spans = team(b=used(123_456, 12_345.67), c=used(20_000, 1_000), d=used(5, 0))
    ax = tv.plot_agent_tree(spans, ax=plt.subplots(figsize=(width, 3), layout="constrained")[1])
    assert len(side_texts(ax)) == n_columns
    assert collisions(ax.figure) == []


def test_small_axes_have_as_many_rows_as_have_names_that_can_be_read():
    spans = spans_of("lead 0 900 desk", *(f"w{n:03} {n} {n + n % 7 + 1} lab" for n in range(60)))
    spans["parent_id"] = np.where(spans["agent_id"] == "lead", None, "a")
    ax = tv.plot_agent_tree(spans, ax=plt.subplots(figsize=(3.3, 2.6), layout="constrained")[1])
    ax.figure.canvas.draw()
    names, *_ = side_texts(ax)
    n_shown = len(names)
    assert 8 < n_shown < 25
    assert names[0] == f"lead (+{61 - n_shown})"
    [note] = [artist for artist in ax.get_children() if isinstance(artist, Note)]
    assert note.get_text() == f"{n_shown} of 61 rows drawn, the busiest"
    assert collisions(ax.figure) == []


def test_long_names_of_a_level_stay_different():
    spans = spans_of("lead 0 90 desk", *(f"search_the_documents_of_team_{n}_for_answers {n} {n + 5} lab" for n in range(6)))
    spans["parent_id"] = np.where(spans["agent_id"] == "lead", None, "a")
    ax = tv.plot_agent_tree(spans, ax=plt.subplots(figsize=(3.3, 2.6), layout="constrained")[1])
    names, *_ = side_texts(ax)
    assert len(set(names)) == len(names) == 7
    assert all("…" in name for name in names[1:])
