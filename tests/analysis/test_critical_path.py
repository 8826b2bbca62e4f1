from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from conftest import spans_of, with_data
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.colors import to_hex
from matplotlib.text import Text
from pictures import collisions
from waiting import callees_of, nodes_of, oracle, state_at, waiting_frames

from tokenvis import BadSpan, critical_path, palette, plot_critical_path, self_spans, summary
from tokenvis.plot.artists.critical_paths.labels import StepLabels

EVIDENCE = st.sets(st.sampled_from(["link", "parent", "location"]))


def as_text(spans, **options):
    """Rows as text: "span state follows start end"."""
    table = critical_path(spans, **options)
    columns = [table[column] for column in ("id", "state", "follows", "start", "end")]
    return [" ".join("-" if value != value else str(value) for value in row) for row in zip(*columns, strict=True)]


def test_an_agents_earlier_work_precedes_a_start_but_does_not_explain_a_gap():
    spans = spans_of("ann 0 4 desk", "bob 0 5 desk", "ann 6 9 lab")
    assert as_text(spans) == ["a work - 0 4", "- unexplained - 4 6", "c work agent 6 9"]


def test_a_link_takes_precedence_and_counts_up_to_the_start():
    spans = spans_of("ann 0 8 desk", "bob 1 4 lab", "bob 5 20 lab")
    assert as_text(with_data(spans, c={"links": ["a"]})) == ["a work - 0 5", "c work link 5 20"]
    alone = as_text(with_data(spans, c={"links": ["a"]}), evidence="parent")
    assert alone == ["- unexplained - 0 1", "b work - 1 4", "- unexplained - 4 5", "c work agent 5 20"]


def test_the_link_that_ended_last_counts():
    spans = with_data(spans_of("ann 0 5 desk", "eve 0 7 desk", "bob 9 12 lab"), c={"links": ["a", "b"]})
    assert as_text(spans) == ["b work - 0 7", "- agent - 7 9", "c work link 9 12"]
    both_run = with_data(spans_of("ann 0 8 desk", "eve 2 6 desk", "bob 5 12 lab"), c={"links": ["a", "b"]})
    assert as_text(both_run) == ["- unexplained - 0 2", "b work - 2 5", "c work link 5 12"]


def test_a_link_to_a_caller_that_starts_at_the_same_time_continues_the_path():
    spans = spans_of("eve 0 4 hall", "ann 6 20 desk", "bob 6 20 lab")
    assert as_text(with_data(spans, b={"links": ["a"]}, c={"links": ["b"]}))[-2:] == ["- agent - 4 6", "c work link 6 20"]
    round_about = with_data(spans, b={"links": ["c"]}, c={"links": ["b"]})
    assert as_text(round_about) == ["- unexplained - 0 6", "c work link 6 20"]
    itself = with_data(spans, c={"links": ["c"]})
    assert as_text(itself) == ["- unexplained - 0 6", "c work - 6 20"]


def test_a_call_follows_the_model_call_that_asked_for_it():
    spans = spans_of("ann 0 8 model", "ann 1 4 lab", "ann 5 20 tool")
    assert as_text(with_data(spans, c={"requested_by": "a"})) == ["a work - 0 5", "c work request 5 20"]
    alone = as_text(with_data(spans, c={"requested_by": "a"}), evidence="parent")
    assert alone == ["- unexplained - 0 1", "b work - 1 4", "- unexplained - 4 5", "c work agent 5 20"]
    later = spans_of("ann 0 4 model", "ann 3 9 lab", "ann 6 20 tool")
    assert as_text(with_data(later, c={"requested_by": "a"})) == ["a work - 0 4", "- unexplained - 4 6", "c work request 6 20"]
    itself = with_data(spans_of("ann 0 4 model"), a={"requested_by": ["a", "a"]})
    assert as_text(itself) == ["a work - 0 4"]


def test_calls_of_one_message_that_run_one_after_the_other_are_all_on_the_path():
    spans = spans_of("ann 0 4 model", "ann 4 10 tool", "ann 10 15 tool", "ann 10 12 tool", "ann 15 16 model")
    spans = with_data(spans, **{call: {"requested_by": "a"} for call in "bcd"})
    path = ["a work - 0 4", "b work request 4 10", "c work request 10 15", "e work agent 15 16"]
    assert as_text(spans) == path
    delegating = spans_of(
        "ann 0 30 agent", "ann 1 4 model", "ann 5 10 tool", "ann 11 20 tool", parents=dict.fromkeys("bcd", "a")
    )
    asked = with_data(delegating, c={"requested_by": "b"}, d={"requested_by": "b"})
    assert as_text(asked) == as_text(delegating)  # the parent works from 4 to 5 and from 10 to 11
    streaming = spans_of("ann 0 30 agent", "ann 1 9 model", "ann 5 20 tool", "bob 2 5 lab", parents=dict.fromkeys("bcd", "a"))
    streaming = with_data(streaming, c={"requested_by": "b"})
    assert as_text(streaming)[:3] == ["a work - 0 1", "b work parent 1 5", "c work request 5 20"]


def test_a_parent_waits_for_its_children_of_any_agent():
    spans = spans_of("ann 0 20 desk", "bob 2 6 lab", "eve 3 12 lab", "zoe 13 18 lab", parents=dict.fromkeys("bcd", "a"))
    expected = ["a work - 0 2", "a agent span 2 3", "c work parent 3 12", "a work child 12 13"]
    assert as_text(spans) == [*expected, "d work parent 13 18", "a work child 18 20"]


def test_contiguous_children_leave_the_parent_no_part():
    spans = spans_of("ann 0 9 desk", "bob 2 5 lab", "bob 5 9 lab", parents={"b": "a", "c": "a"})
    assert as_text(spans) == ["a work - 0 2", "b work parent 2 5", "c work agent 5 9"]
    assert as_text(spans.assign(agent_id=["ann", "bob", "eve"]))[-1] == "c work parent 5 9"


def test_nobody_waits_for_a_detached_child():
    spans = spans_of("ann 0 20 desk", "bob 2 9 lab", parents={"b": "a"})
    assert as_text(with_data(spans, b={"detached": True})) == ["a work - 0 20"]
    late = spans_of("ann 0 9 desk", "bob 2 20 lab", parents={"b": "a"})
    assert as_text(late) == ["a work - 0 2", "b work parent 2 20"]


def test_a_part_is_cut_where_a_callee_runs_that_is_not_on_the_path():
    spans = spans_of("ann 0 9 desk", "bob 2 12 lab", "eve 5 20 hall", parents={"b": "a"})
    spans = with_data(spans, b={"detached": False}, c={"links": ["a"]})
    assert as_text(spans) == ["a work - 0 2", "a agent span 2 5", "c work link 5 20"]


def test_a_part_belongs_to_the_innermost_span_of_its_agent():
    spans = spans_of("ann 0 18 desk", "ann 1 12 shelf", "ann 3 4 attic", "bob 10 20 lab", parents={"b": "a", "c": "b"})
    expected = ["a work - 0 1", "b work parent 1 3", "c work parent 3 4", "b work child 4 10"]
    assert as_text(with_data(spans, d={"links": ["a"]})) == [*expected, "d work link 10 20"]
    siblings = spans_of("ann 0 18 desk", "ann 1 5 shelf", "ann 4 8 attic", "bob 7 20 lab", parents={"b": "a", "c": "a"})
    siblings = with_data(siblings, d={"links": ["a"]}, b={"detached": True}, c={"detached": True})
    assert as_text(siblings)[:3] == ["a work - 0 1", "b work parent 1 4", "c work agent 4 7"]


def test_a_serial_delegation_is_the_work_of_those_who_are_delegated_to():
    rows = "lead 0 22 agent", "lead 1 11 call", "w0 1 11 model", "lead 11 21 call", "w1 11 21 model"
    serial = spans_of(*rows, parents={"b": "a", "c": "b", "d": "a", "e": "d"})
    assert as_text(serial) == ["a work - 0 1", "c work parent 1 11", "e work parent 11 21", "a work child 21 22"]


def test_a_mark_makes_a_part_a_wait_for_a_person_or_an_agent():
    spans = spans_of("ann 0 9 desk", "ann 2 6 desk", "bob 1 2 lab", parents={"b": "a"})
    asks = with_data(spans, b={"waits_for": "user"}, c={"waits_for": "user"})
    assert as_text(asks) == ["a work - 0 2", "b person parent 2 6", "a work child 6 9"]
    assert as_text(with_data(spans, b={"waits_for": "bob"}))[1] == "b agent parent 2 6"


def test_a_person_who_starts_the_work_explains_the_gap_before_it():
    spans = spans_of("ann 0 3 desk", "ann 5 9 desk", "bob 5 8 lab", parents={"c": "b"})
    for starter in ("b", "c"):
        started = with_data(spans, **{starter: {"trigger": "user"}})
        assert as_text(started) == ["a work - 0 3", "- person - 3 5", "c work parent 5 8", "b work child 8 9"]
    assert as_text(with_data(spans, b={"trigger": "timer"}))[1] == "- unexplained - 3 5"
    first = with_data(spans_of("eve 0 1 hall", "ann 5 9 desk"), b={"trigger": "user"})
    assert as_text(first) == ["- person - 0 5", "b work - 5 9"]


def test_a_child_outside_its_parent_waits_for_it_or_ignores_it():
    late = spans_of("ann 0 4 desk", "bob 6 9 lab", parents={"b": "a"})
    assert as_text(late) == ["a work - 0 4", "- agent - 4 6", "b work parent 6 9"]
    early = spans_of("bob 0 4 lab", "ann 1 2 lab", "bob 5 9 desk", parents={"a": "c"})
    assert as_text(early) == ["a work - 0 4", "- unexplained - 4 5", "c work agent 5 9"]
    before = spans_of("eve 0 5 lab", "bob 5 9 desk", parents={"a": "b"})
    assert as_text(before) == ["- unexplained - 0 5", "b work - 5 9"]


def test_a_child_that_its_parent_waits_for_may_end_after_it():
    spans = spans_of("ann 0 4 desk", "bob 2 6 lab", "bob 7 9 lab", parents={"b": "a", "c": "a"})
    spans = with_data(spans, a={"estimated": ["end_time"]})
    assert as_text(spans) == ["a work - 0 2", "b work parent 2 6", "- agent - 6 7", "c work parent 7 9"]


def test_a_span_without_a_part_has_no_row():
    spans = spans_of("ann 0 3 desk", "bob 5 9 lab", "bob 5 12 lab", parents={"c": "b"})
    assert as_text(with_data(spans, b={"links": ["a"]})) == ["a work - 0 3", "- agent - 3 5", "c work parent 5 12"]


def test_an_unexplained_start_comes_after_a_gap_since_the_start_of_the_trace():
    assert as_text(spans_of("ann 0 3 desk", "bob 5 9 lab")) == ["- unexplained - 0 5", "b work - 5 9"]
    same_place = spans_of("ann 0 3 desk", "bob 5 9 desk")
    assert as_text(same_place, evidence="location") == ["a work - 0 3", "- agent - 3 5", "b work location 5 9"]


def test_a_gap_has_no_span():
    row = critical_path(spans_of("ann 0 3 desk", "bob 5 9 lab")).iloc[0]
    assert row[["id", "agent_id", "location_id", "follows"]].isna().all()
    assert row[["trace_id", "part_us"]].tolist() == ["t", 5]


def test_instants_never_form_a_cycle():
    spans = spans_of("ann 5 5 desk", "ann 5 5 desk", "bob 5 5 desk", "ann 5 9 desk")
    assert as_text(spans) == ["a work - 5 5", "b work agent 5 5", "d work agent 5 9"]
    round_about = with_data(spans, a={"links": ["c"]}, c={"links": ["a"]}, d={"links": ["c"]})
    assert as_text(round_about) == ["b work - 5 5", "a work agent 5 5", "c work link 5 5", "d work link 5 9"]
    assert as_text(round_about, evidence=["link", "location"])[0] == "b work - 5 5"


def test_ties_go_to_the_latest_start_then_to_the_last_name():
    assert as_text(spans_of("ann 0 9 desk", "bob 3 9 desk", "eve 3 9 desk")) == ["- unexplained - 0 3", "c work - 3 9"]
    spans = spans_of("ann 0 4 desk", "ann 2 4 desk", "ann 2 4 lab", "ann 5 6 desk")
    assert as_text(spans)[1:] == ["c work - 2 4", "- unexplained - 4 5", "d work agent 5 6"]


def test_a_log_of_steps_that_nothing_links_is_unexplained_where_another_agent_runs():
    spans = spans_of("browser 0 15 init", "use_tools 16 17 solver", "generate 18 188 solver", "browser 190 191 scorer")
    assert as_text(spans) == ["a work - 0 15", "- unexplained - 15 190", "d work agent 190 191"]
    assert "waiting" not in plot_critical_path(spans).get_label()


@st.composite
def linked_frames(draw):
    """Frames with parents, marks, and links and requests in ``data`` or in a column."""
    spans = draw(waiting_frames())
    ids = st.lists(st.sampled_from([*spans["id"], "unknown"]), min_size=1, max_size=2) if len(spans) else st.nothing()
    for name, one_in in (("links", 3), ("requested_by", 2)):
        named = [draw(ids) if draw(st.integers(1, one_in)) == 1 else None for _ in range(len(spans))]
        spans = spans.assign(**{name: pd.Series(named, index=spans.index, dtype="object")})
    return spans


def brute_force(spans, evidence):
    """The paths by the rules in docs/questions.md: (trace, id, state, follows, start, end), microsecond by microsecond."""
    nodes = nodes_of(spans)
    rows = {(row.trace_id, row.id): row for row in spans.itertuples()}
    for node in nodes:
        for key, name in (("sources", "links"), ("asked_by", "requested_by")):
            named = (getattr(rows[node.trace, node.id], name) or node.data.get(name, [])) if "link" in evidence else []
            ids = [named] if isinstance(named, str) else named
            setattr(node, key, [other for other in nodes if other.trace == node.trace and other.id in ids])
        node.asked_by = [other for other in node.asked_by if other is not node]
    rows = []
    for trace in sorted({node.trace for node in nodes}):
        steps = traced_back([node for node in nodes if node.trace == trace], evidence)
        for node, start, end, value in steps:
            if node is None:
                rows.append((trace, None, value, None, start, end))
            else:
                rows += [(trace, *row) for row in cut(node, start, end, value, nodes)]
    return rows


def ending(node):
    """The order in which spans end."""
    return node.end, node.start, node.agent, node.id


def traced_back(nodes, evidence):
    """The parts of spans, (node, start, end, follows), and the gaps, (None, start, end, state), in order of time."""
    node, steps, passed = max(nodes, key=ending), [], set()
    limit, follows = node.end, None
    while node is not None:
        children = waited_for(node, limit, evidence)
        ended = min(limit, max([node.end, *(child.end for child in children)]))
        if ended < limit:
            steps.append(gap(ended, limit, follows, passed))
        if children:
            child = max(children, key=ending)
            if child.end < ended:
                steps.append((node, child.end, ended, "child"))
            node, limit = child, child.end
            continue
        passed = {other for other in passed if other.start == node.start} | {node}
        before, follows = preceding(node, nodes, evidence, passed)
        if node.start < ended or node.start == node.end:
            steps.append((node, node.start, ended, follows))
        node, limit = before, node.start
    first = min(other.start for other in nodes)
    if first < limit:
        steps.append(gap(first, limit, None, passed))
    return steps[::-1]


def waited_for(node, limit, evidence):
    """The children that may have ended last, up to a limit."""
    children = node.children if "parent" in evidence else []
    return [c for c in children if not c.detached() and c.start < c.end and node.start < c.end <= limit]


def gap(start, end, follows, starters):
    """A gap before some spans that start at its end."""
    by_person = any(node.data.get("trigger") == "user" for node in starters)
    state = "person" if by_person else "agent" if follows in ("link", "parent", "location") else "unexplained"
    return None, start, end, state


def preceding(node, nodes, evidence, passed):
    """The predecessor of a span, and the evidence for it."""
    time = node.start
    earlier = [other for other in nodes if other.start < time or (other.start == time and other not in passed)]
    links = [other for other in node.sources if other in earlier]
    if links:
        return max(links, key=lambda other: (min(other.end, time), *ending(other)[1:])), "link"
    has_parent = "parent" in evidence and node.parent in earlier
    requests = [other for other in node.asked_by if other in earlier]
    requests += [other for other in earlier if other.end <= time and set(other.asked_by) & set(requests)]
    asked = max(requests, key=lambda other: (min(other.end, time), *ending(other)[1:]), default=None)
    if asked is not None and (asked.end >= time or not has_parent):
        return asked, "request"
    if has_parent:
        siblings = waited_for(node.parent, time, evidence)
        last = max(siblings, key=ending, default=None)
        continues = last is not None and last.end == time and last.agent == node.agent
        return node.parent, "agent" if continues else "parent"
    for kind, name in (("agent", "agent"), ("location", "location")):
        same = [other for other in earlier if other.end <= time and getattr(other, name) == getattr(node, name)]
        if same and kind in ("agent", *evidence):
            return max(same, key=ending), kind
    return None, None


def cut(node, start, end, follows, nodes):
    """The rows of a part of a span: (id, state, follows, start, end)."""
    if start == end:
        return [(node.id, state_at(node, start, [], nodes), follows, start, end)]
    rows = []
    for time in range(start, end):
        inner = innermost(node, time)
        state = state_at(inner, time, callees_of(inner, nodes), nodes)
        if rows and rows[-1][:2] == [inner, state]:
            rows[-1][4] = time + 1
            continue
        rows.append([inner, state, change(rows[-1][0], inner) if rows else follows, time, time + 1])
    return [(inner.id, *values) for inner, *values in rows]


def innermost(node, time):
    """The descendant of the same agent that runs at a time, or the span itself."""
    running = [child for child in node.children if child.agent == node.agent and child.start <= time < child.end]
    if not running:
        return node
    return innermost(min(running, key=lambda child: (-child.end, child.start, child.id)), time)


def change(before, after):
    """Why a span follows another span of the same part."""
    if before is after:
        return "span"
    return "parent" if before in ancestors(after) else "child" if after in ancestors(before) else "agent"


def ancestors(node):
    """The spans above a span."""
    above = []
    while node.parent is not None:
        node = node.parent
        above.append(node)
    return above


def plain_rows(table):
    """The rows of an answer, as those of the oracle."""
    columns = [table[column] for column in ("trace_id", "id", "state", "follows", "start", "end")]
    return [tuple(None if value != value else value for value in row) for row in zip(*columns, strict=True)]


@pytest.mark.laws
@oracle
@given(linked_frames(), EVIDENCE)
def test_it_equals_the_rules(spans, evidence):
    table = critical_path(spans, evidence=evidence)
    assert plain_rows(table) == brute_force(spans, evidence)
    assert (table["part_us"] == table["end"] - table["start"]).all()


@pytest.mark.laws
@given(linked_frames(), EVIDENCE)
def test_rows_are_contiguous_and_add_up_to_the_wall_time(spans, evidence):
    table = critical_path(spans, evidence=evidence)
    walls = summary(spans).set_index("trace_id")["wall_us"].to_dict()
    assert table.groupby("trace_id", observed=True)["part_us"].sum().to_dict() == walls
    for trace, rows in table.groupby("trace_id", observed=True):
        times = spans[spans["trace_id"] == trace]
        assert [*rows["start"], times["end_time"].max()] == [times["start_time"].min(), *rows["end"]]


@pytest.mark.laws
@given(linked_frames(), EVIDENCE)
def test_a_row_has_the_state_that_its_span_has_in_self_spans(spans, evidence):
    own = self_spans(spans)
    states = {
        (row.trace_id, row.id, time): row.state for row in own.itertuples() for time in range(row.start_time, row.end_time)
    }
    for row in critical_path(spans, evidence=evidence).dropna(subset="id").itertuples():
        assert {states[row.trace_id, row.id, time] for time in range(row.start, row.end)} <= {row.state}


@pytest.mark.laws
@given(linked_frames(), EVIDENCE)
def test_new_names_of_agents_change_only_names(spans, evidence):
    names = {"ann": "bob 2", "bob": "eve 2", "eve": "zoe"}  # in the same order
    marks = {"bob": "eve 2", "eve": "zoe", "Ann": "Ann"}
    renamed = spans.assign(
        agent_id=spans["agent_id"].astype("str").map(names),
        data=spans["data"].replace({f'"waits_for": "{old}"': f'"waits_for": "{new}"' for old, new in marks.items()}, regex=True)
        if "data" in spans
        else None,
    )
    assert plain_rows(critical_path(renamed, evidence=evidence)) == plain_rows(critical_path(spans, evidence=evidence))


def test_pieces_and_ids_in_several_rows_are_refused_if_a_parent_needs_them():
    spans = spans_of("ann 0 9 desk", "ann 2 5 desk", parents={"b": "a"})
    message = r"^Span 'a' is in several rows of trace 't'\. Pass each span once, uncut: not the pieces of self_spans\(\)\.$"
    for repeated in (self_spans(spans), pd.concat([spans, spans[:1]])):
        with pytest.raises(BadSpan, match=message):
            critical_path(repeated)
    pieces = self_spans(with_data(spans, a={"waits_for": "user"}).drop(columns="parent_id"))
    assert as_text(pieces) == ["a person - 0 9"]


def test_a_trace_that_does_not_fit_is_refused():
    far = spans_of("ann 0 1 desk", "bob 2 3 desk").assign(start_time=[-(2**62) - 1, 2**62], end_time=[-(2**62), 2**62 + 1])
    with pytest.raises(BadSpan, match=r"^The time from -\d+ to \d+ does not fit into a 64-bit integer\.$"):
        critical_path(far)


def collections(ax, label):
    """The collections of a picture with this label."""
    return [collection for collection in ax.collections if collection.get_label() == label]


def stretches(collection):
    """The left and right end of each rectangle of a collection."""
    return [(path.vertices[:, 0].min(), path.vertices[:, 0].max()) for path in collection.get_paths()]


def legend_of(ax):
    """The title and the texts of the legend."""
    return [text.get_text() for text in (ax.get_legend().get_title(), *ax.get_legend().get_texts())]


def labels_of(ax):
    """The labels of steps, as they are drawn."""
    ax.figure.draw_without_rendering()
    [labels] = [artist for artist in ax.get_children() if isinstance(artist, StepLabels)]
    return labels.texts(ax.figure.canvas.get_renderer())


def label_texts(ax):
    """The texts of the labels of steps."""
    return sorted(text.get_text() for text in labels_of(ax))


def test_the_picture_has_the_steps_in_full_colour_over_pale_spans():
    spans = spans_of("ann 0 10 desk", "bob 3 9 desk", "eve 12 20 lab")
    spans = with_data(spans, c={"links": ["a"]})
    ax = plot_critical_path(spans)
    pale, full = collections(ax, "spans")
    assert (len(pale.get_paths()), stretches(full)) == (3, [(0, 10), (12, 20)])
    colors = palette(["ann", "bob", "eve"])
    assert [to_hex(color) for color in full.get_facecolor()] == [colors["ann"], colors["eve"]]
    assert not {to_hex(color) for color in pale.get_facecolor()} & set(colors.values())
    [joints] = collections(ax, "follows")
    [joint] = joints.get_segments()
    assert joint[:, 0].tolist() == [10, 10]
    assert legend_of(ax) == ["shares of 18 µs; 2 µs idle", "ann 56%", "eve 44%", "waits for an agent (idle)"]


def test_the_picture_shows_waits_and_gaps_in_the_looks_of_their_states():
    spans = spans_of("ann 0 9 desk", "bob 2 12 lab", "eve 5 20 hall", "eve 24 26 hall", "eve 30 40 hall", parents={"b": "a"})
    data = {"b": {"detached": False}, "c": {"links": ["a"]}, "e": {"trigger": "user"}}
    ax = plot_critical_path(with_data(spans, **data))
    shown = {name: stretches(collections(ax, name)[0]) for name in ("waits for an agent", "waits for a person", "unexplained")}
    assert shown == {"waits for an agent": [(2, 5)], "waits for a person": [(26, 30)], "unexplained": [(20, 24)]}
    names = ["eve 85%", "ann 6%", "waits for an agent 9%", "waits for a person (idle)", "unexplained (idle)"]
    assert legend_of(ax) == ["shares of 32 µs; 8 µs idle", *names]
    assert ax.get_label() == (
        "Critical path of t: 5 steps in 32 µs, work for 91% of it (eve 85%, ann 6%), waiting for an agent for 9% of it; "
        "idle for another 8 µs."
    )


def test_the_picture_has_a_narrow_bar_for_the_gap_at_the_start():
    ax = plot_critical_path(spans_of("ann 0 2 desk", "bob 5 9 lab"))
    [gap], [_, full] = collections(ax, "unexplained"), collections(ax, "spans")
    assert stretches(gap) == [(0, 5)]
    heights = [np.ptp(collection.get_paths()[0].vertices[:, 1]) for collection in (gap, full)]
    assert heights[0] < heights[1] / 2
    assert collections(ax, "follows")[0].get_segments() == []


def test_gaps_that_are_too_narrow_in_the_view_are_not_drawn():
    ax = plot_critical_path(spans_of("ann 0 1 desk", "ann 2 500 desk", "ann 600 10000 desk"))
    [gaps] = collections(ax, "unexplained")
    ax.figure.canvas.draw()
    assert stretches(gaps) == [(500, 600)]
    ax.set_xlim(0, 100)
    ax.figure.canvas.draw()
    assert stretches(gaps) == [(1, 2), (500, 600)]


def test_too_many_connectors_are_omitted_and_reported():
    spans = spans_of(*(f"ann {n} {n + 1} {'desk' if n % 2 else 'lab'}" for n in range(300)))
    ax = plot_critical_path(spans)
    ax.figure.canvas.draw()
    assert "lines between steps not drawn" in [text.get_text() for text in ax.texts]


def test_the_picture_lists_eight_shares_that_add_up_to_100_percent():
    spans = spans_of(*(f"agent-{n:02} {100 * n} {100 * n + 100 - n} desk" for n in range(12)))
    spans = with_data(spans, **{name: {"links": [before]} for before, name in pairwise("abcdefghijkl")})
    title, *entries = legend_of(plot_critical_path(spans, gaps="keep"))
    assert title == "shares of 1.13 ms; 55 µs idle"
    assert entries[0] == "agent-00 9%"
    assert entries[7:] == ["5 others 40%", "waits for an agent (idle)"]
    assert sum(int(entry.split()[-1].removesuffix("%")) for entry in entries[:8]) == 100
    small = plt.subplots(figsize=(3.3, 2.6))[1]
    assert len(legend_of(plot_critical_path(spans, ax=small))) == 6
    assert "9 others 73%" in legend_of(small)


def test_a_share_below_one_percent_is_not_0_and_the_rest_is_not_100():
    spans = with_data(spans_of("ann 0 999 desk", "bob 999 1000 desk"), b={"links": ["a"]})
    ax = plot_critical_path(spans)
    assert legend_of(ax) == ["shares of 1 ms", "ann >99%", "bob <1%"]
    assert "work for 100% of it (ann more than 99%, bob less than 1%)." in ax.get_label()


def test_a_gap_of_hours_is_not_in_the_shares():
    hour = 3_600_000_000
    spans = spans_of("ann 0 60 desk", "bob 60 100 desk", f"bob {8 * hour} {8 * hour + 100} desk")
    ax = plot_critical_path(with_data(spans, b={"links": ["a"]}, c={"trigger": "user"}))
    assert legend_of(ax) == ["shares of 200 µs; 8h idle", "bob 70%", "ann 30%", "waits for a person (idle)"]
    assert ax.get_title(loc="right") == "critical path: 200 µs work, 8h idle"


def test_the_shares_may_be_those_of_another_column():
    spans = with_data(spans_of("ann 0 6 desk", "bob 6 10 lab", "eve 10 14 desk"), b={"links": ["a"]}, c={"links": ["b"]})
    ax = plot_critical_path(spans, by="agent_id", hue="location_id")
    assert legend_of(ax)[1:] == ["desk 71%", "lab 29%"]
    assert [to_hex(patch.get_facecolor()) for patch in ax.get_legend().get_patches()] == list(palette(["desk", "lab"]).values())
    missing = legend_of(plot_critical_path(spans.assign(phase=["x", None, None]), hue="phase"))
    assert missing[1:] == ["none 57%", "x 43%"]


def test_the_longest_steps_have_agent_label_and_duration_in_place():
    spans = spans_of("ann 0 500 desk", "bob 500 1000 lab", "bob 1000 1004 hall")
    spans = with_data(spans, a={"label": "write"}, b={"links": ["a"], "label": "bob"}, c={"links": ["b"]})
    assert label_texts(plot_critical_path(spans)) == ["ann · write · 500 µs", "bob · 4 µs ▸", "bob · 500 µs"]
    alone = with_data(spans_of("ann 0 500 desk", "ann 500 900 lab"), a={"label": "write"})
    assert label_texts(plot_critical_path(alone)) == ["ann · 400 µs", "write · 500 µs"]


def test_labels_of_steps_never_overlap_bars_or_each_other():
    """Each label outside its bar is clear of all bars of the path, in a wide and in a small figure, and when zoomed in."""
    spans = spans_of(*(f"agent-{n % 5} {60 * n} {60 * n + 9 + 7 * (n % 8)} room-{n % 3}" for n in range(7)))
    spans = with_data(spans, **{second: {"links": [first]} for first, second in pairwise(spans["id"])})
    for size, view in (((11, 3), None), ((3.3, 2.6), None), ((3.3, 2.6), (50, 250))):
        ax = plot_critical_path(spans, ax=plt.subplots(figsize=size, layout="constrained")[1])
        ax.set_xlim(*(view or ax.get_xlim()))
        labels = labels_of(ax)
        assert labels
        assert collisions(ax.figure) == []
        _, path = collections(ax, "spans")
        bars = [path.get_extents(ax.transData) for path in path.get_paths()]
        renderer = ax.figure.canvas.get_renderer()
        for label in labels:
            box = Text.get_window_extent(label, renderer)
            outside = "▸" in label.get_text() or "◂" in label.get_text()
            covered = [
                bar
                for bar in bars
                if bar.x0 < box.x1 - 1 and bar.x1 > box.x0 + 1 and bar.y0 < box.y1 - 1 and bar.y1 > box.y0 + 1
            ]
            assert len(covered) == (0 if outside else 1)
