import json

import pytest
from conftest import spans_frames, spans_of, with_data
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.colors import to_hex

from tokenvis import BadSpan, critical_path, palette, plot_critical_path, summary


def as_text(spans, **options):
    """Steps as text: "span follows start end wait"."""
    table = critical_path(spans, **options)
    columns = ("id", "follows", "start", "end", "wait_us")
    rows = zip(*(table[column] for column in columns), strict=True)
    return [" ".join("-" if value != value else str(value) for value in row) for row in rows]


def test_an_agents_earlier_work_explains_a_start():
    assert as_text(spans_of("ann 0 4 desk", "bob 0 5 desk", "ann 6 9 lab")) == ["a - 0 4 0", "c agent 6 9 2"]


def test_a_link_takes_precedence_and_counts_up_to_the_start():
    spans = spans_of("ann 0 8 desk", "bob 1 4 lab", "bob 5 20 lab")
    assert as_text(with_data(spans, c={"links": ["a"]})) == ["a - 0 5 0", "c link 5 20 0"]
    alone = as_text(with_data(spans, c={"links": ["a"]}), evidence="parent")
    assert alone == ["- unexplained 1 1 1", "b - 1 4 0", "c agent 5 20 1"]


def test_the_link_that_ended_last_counts():
    spans = with_data(spans_of("ann 0 5 desk", "eve 0 7 desk", "bob 9 12 lab"), c={"links": ["a", "b"]})
    assert as_text(spans) == ["b - 0 7 0", "c link 9 12 2"]
    both_run = with_data(spans_of("ann 0 8 desk", "eve 2 6 desk", "bob 5 12 lab"), c={"links": ["a", "b"]})
    assert as_text(both_run)[1:] == ["b - 2 5 0", "c link 5 12 0"]


def test_a_parent_waits_for_its_children_of_any_agent():
    spans = spans_of("ann 0 20 desk", "bob 2 6 lab", "eve 3 12 lab", "bob 13 18 lab", parents={"b": "a", "c": "a", "d": "a"})
    assert as_text(spans) == ["a - 0 3 0", "c parent 3 12 0", "a child 12 13 0", "d parent 13 18 0", "a child 18 20 0"]


def test_contiguous_children_leave_the_parent_no_part():
    spans = spans_of("ann 0 9 desk", "bob 2 5 lab", "bob 5 9 lab", parents={"b": "a", "c": "a"})
    assert as_text(spans) == ["a - 0 2 0", "b parent 2 5 0", "c agent 5 9 0"]
    assert as_text(spans.assign(agent_id=["ann", "bob", "eve"]))[-1] == "c parent 5 9 0"


def test_a_child_outside_its_parent_waits_for_it_or_ignores_it():
    late = spans_of("ann 0 4 desk", "bob 6 9 lab", parents={"b": "a"})
    assert as_text(late) == ["a - 0 4 0", "b parent 6 9 2"]
    early = spans_of("bob 0 4 lab", "ann 1 2 lab", "bob 5 9 desk", parents={"a": "c"})
    assert as_text(early) == ["a - 0 4 0", "c agent 5 9 1"]
    before = spans_of("eve 0 5 lab", "bob 5 9 desk", parents={"a": "b"})
    assert as_text(before) == ["- unexplained 5 5 5", "b - 5 9 0"]


def test_a_span_that_starts_with_its_parent_follows_it():
    spans = spans_of("ann 0 3 desk", "bob 5 9 lab", "bob 5 12 lab", parents={"c": "b"})
    assert as_text(with_data(spans, b={"links": ["a"]})) == ["a - 0 3 0", "b link 5 5 2", "c parent 5 12 0"]


def test_an_unexplained_start_waits_since_the_start_of_the_trace():
    assert as_text(spans_of("ann 0 3 desk", "bob 5 9 lab")) == ["- unexplained 5 5 5", "b - 5 9 0"]
    assert as_text(spans_of("ann 0 3 desk", "bob 5 9 desk"), evidence="location") == ["a - 0 3 0", "b location 5 9 2"]


def test_an_unexplained_step_has_no_span():
    row = critical_path(spans_of("ann 0 3 desk", "bob 5 9 lab")).iloc[0]
    assert row[["id", "agent_id", "location_id"]].isna().all()
    assert row["trace_id"] == "t"


def test_instants_never_form_a_cycle():
    spans = spans_of("ann 5 5 desk", "ann 5 5 desk", "bob 5 5 desk", "ann 5 9 desk")
    assert as_text(spans) == ["a - 5 5 0", "b agent 5 5 0", "d agent 5 9 0"]
    round_about = with_data(spans, a={"links": ["c"]}, c={"links": ["a"]}, d={"links": ["c"]})
    assert as_text(round_about) == ["a - 5 5 0", "c link 5 5 0", "d link 5 9 0"]
    assert as_text(round_about, evidence=["link", "location"])[0] == "a - 5 5 0"


def test_ties_go_to_the_latest_start_then_to_the_last_name():
    assert as_text(spans_of("ann 0 9 desk", "bob 3 9 desk", "eve 3 9 desk")) == ["- unexplained 3 3 3", "c - 3 9 0"]
    spans = spans_of("ann 0 4 desk", "ann 2 4 desk", "ann 2 4 lab", "ann 5 6 desk")
    assert as_text(spans) == ["- unexplained 2 2 2", "c - 2 4 0", "d agent 5 6 1"]


def brute_force(spans, evidence):
    """The paths by the definitions, searching all spans at each step."""
    paths = []
    for trace, of_trace in spans.groupby("trace_id", observed=True):
        rows = {
            row.id: row._replace(data=json.loads(row.data) if isinstance(row.data, str) else {})
            for row in of_trace.itertuples()
        }
        parents = {name: rows.get(row.parent_id) for name, row in rows.items()} if "parent" in evidence else dict.fromkeys(rows)
        parents = {name: parent for name, parent in parents.items() if not circular(name, parents)}
        origin, step = min(row.start_time for row in rows.values()), max(rows.values(), key=ending)
        time, seen, path = step.end_time, None, []
        while step is not None:
            start = step.start_time
            children = [
                c
                for c in rows.values()
                if parents.get(c.id) is step and start < c.end_time <= time and c.start_time < c.end_time
            ]
            if children:
                child = max(children, key=ending)
                path += [(step.id, "child", child.end_time, time, 0)] if child.end_time < time else []
                step, time = child, child.end_time
                continue
            seen = step if start == step.end_time else seen
            earlier = [r for r in rows.values() if came_before(r, start, seen)]
            parent = parents.get(step.id)
            parent = [parent] if parent and (parent in earlier or parent.start_time == start < parent.end_time) else []
            candidates = [
                ("link", [r for r in earlier if r.id in step.data.get("links", []) and "link" in evidence]),
                ("parent", parent),
            ]
            for kind, column in (("agent", "agent_id"), ("location", "location_id")):
                same = [r for r in earlier if r.end_time <= start and getattr(r, column) == getattr(step, column)]
                candidates.append((kind, same if kind in ("agent", *evidence) else []))
            kind, found = next(((kind, found) for kind, found in candidates if found), (None, []))
            if kind == "parent":
                siblings = [c for c in rows.values() if parents.get(c.id) is parent[0] and c.start_time < c.end_time <= start]
                last = max((c for c in siblings if c.end_time > parent[0].start_time), key=ending, default=None)
                if last is not None and last.end_time == start and last.agent_id == step.agent_id:
                    kind = "agent"
            before = max(found, key=lambda r: (min(r.end_time, start), *ending(r)[1:]), default=None)
            ended = min(before.end_time, start) if before else start
            path.append((step.id, kind, start, time, start - ended))
            step, time = before, ended
        if start > origin:
            path.append((None, "unexplained", start, start, start - origin))
        paths += [(trace, *row) for row in reversed(path)]
    return paths


def ending(row):
    """The order in which spans end."""
    return row.end_time, row.start_time, row.agent_id, row.id


def came_before(row, time, seen):
    """Whether a span ran before a time, or was an instant then, before the last instant of the path."""
    if row.start_time == row.end_time == time:
        return seen is None or seen.end_time > time or ending(row) < ending(seen)
    return row.start_time < time


def circular(name, parents):
    """Whether a span is its own ancestor."""
    above = parents[name]
    for _ in parents:
        if above is None or above.id == name:
            break
        above = parents[above.id]
    return above is not None and above.id == name


@pytest.mark.laws
@given(spans_frames(parents=True, data=True), st.sets(st.sampled_from(["link", "parent", "location"])))
def test_it_equals_the_definitions(spans, evidence):
    table = critical_path(spans, evidence=evidence)
    columns = [table[c] for c in ("trace_id", "id", "follows", "start", "end", "wait_us")]
    rows = [tuple(None if value != value else value for value in row) for row in zip(*columns, strict=True)]
    assert rows == brute_force(spans, evidence)
    assert (table["part_us"] == table["end"] - table["start"]).all()


@pytest.mark.laws
@given(spans_frames(parents=True, data=True), st.sets(st.sampled_from(["link", "parent", "location"])))
def test_parts_and_waits_add_up_to_the_wall_time(spans, evidence):
    table = critical_path(spans, evidence=evidence)
    added = table.groupby("trace_id", observed=True)[["part_us", "wait_us"]].sum().sum(axis=1)
    assert added.to_dict() == summary(spans).set_index("trace_id")["wall_us"].to_dict()
    assert (table["wait_us"] >= 0).all()


def test_a_trace_that_does_not_fit_is_refused():
    far = spans_of("ann 0 1 desk", "bob 2 3 desk").assign(start_time=[-(2**62) - 1, 2**62], end_time=[-(2**62), 2**62 + 1])
    with pytest.raises(BadSpan, match=r"^The time from -\d+ to \d+ does not fit into a 64-bit integer\.$"):
        critical_path(far)


def test_the_picture_has_the_steps_in_full_colour_over_pale_spans():
    spans = spans_of("ann 0 10 desk", "bob 3 9 desk", "eve 12 20 lab")
    spans = with_data(spans, c={"links": ["a"]})
    ax = plot_critical_path(spans)
    pale, full = [c for c in ax.collections if c.get_label() == "spans"]
    assert (len(pale.get_paths()), len(full.get_paths())) == (3, 2)
    ends = [(path.vertices[:, 0].min(), path.vertices[:, 0].max()) for path in full.get_paths()]
    assert ends == list(critical_path(spans)[["start", "end"]].itertuples(index=False, name=None))
    colors = palette(["ann", "bob", "eve"])
    assert [to_hex(color) for color in full.get_facecolor()] == [colors["ann"], colors["eve"]]
    assert not {to_hex(color) for color in pale.get_facecolor()} & set(colors.values())
    [joints] = [c for c in ax.collections if c.get_label() == "follows"]
    [joint] = joints.get_segments()
    assert joint[:, 0].tolist() == [10, 12]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["50% ann", "40% eve", "10% waiting"]


def test_the_picture_shows_an_unexplained_wait_from_the_start():
    ax = plot_critical_path(spans_of("ann 0 2 desk", "bob 5 9 lab"))
    [joints] = [c for c in ax.collections if c.get_label() == "follows"]
    assert [segment[:, 0].tolist() for segment in joints.get_segments()] == [[0, 5]]


def test_too_many_connectors_are_omitted_and_reported():
    spans = spans_of(*(f"ann {n} {n + 1} {'desk' if n % 2 else 'lab'}" for n in range(300)))
    ax = plot_critical_path(spans)
    ax.figure.canvas.draw()
    assert "lines between steps not drawn" in [text.get_text() for text in ax.texts]
