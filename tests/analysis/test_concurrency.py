import io

import matplotlib.pyplot as plt
import numpy as np
import pytest
from conftest import spans_of, with_data
from hypothesis import given
from waiting import waiting_frames, work_of

from tokenvis import BadOption, concurrency, palette, plot_concurrency
from tokenvis.plot.artists.colors import OTHERS_COLOR


def as_text(spans, **options):
    """The steps as text: "time running"."""
    table = concurrency(spans, **options)
    return [f"{time} {running}" for time, running in zip(table["time"], table["running"], strict=True)]


def test_each_change_is_a_row_and_the_last_is_0():
    spans = spans_of("ann 0 10 desk", "bob 5 20 lab", "ann 10 15 desk", "eve 25 30 desk")
    assert as_text(spans) == ["0 1", "5 2", "15 1", "20 0", "25 1", "30 0"]


def test_instants_are_not_counted_unless_there_is_nothing_else():
    assert as_text(spans_of("ann 0 2 desk", "bob 1 1 desk")) == ["0 1", "2 0"]
    assert as_text(spans_of("bob 7 7 desk", "ann 5 5 desk")) == ["5 0"]


def test_each_group_has_its_own_steps_in_order_of_time():
    table = concurrency(spans_of("bob 0 5 desk", "ann 2 8 desk", "eve 3 3 desk"), by="agent_id")
    assert list(zip(table["time"], table["agent_id"], table["running"], strict=True)) == [
        (0, "bob", 1),
        (2, "ann", 1),
        (3, "eve", 0),
        (5, "bob", 0),
        (8, "ann", 0),
    ]
    assert table.columns.tolist() == ["trace_id", "time", "agent_id", "running"]


def test_a_parent_does_not_work_while_its_child_does():
    assert as_text(spans_of("ann 0 9 desk", "ann 3 5 lab", parents={"b": "a"})) == ["0 1", "9 0"]
    assert as_text(spans_of("ann 0 9 desk", "bob 3 5 lab", parents={"b": "a"})) == ["0 1", "9 0"]
    detached = with_data(spans_of("ann 0 9 desk", "bob 3 5 lab", parents={"b": "a"}), b={"detached": True})
    assert as_text(detached) == ["0 1", "3 2", "5 1", "9 0"]


def test_a_trace_without_work_has_one_row():
    assert as_text(with_data(spans_of("ann 2 9 desk"), a={"waits_for": "user"})) == ["2 0"]


def brute_force(spans, work):
    """Steps from counting at every microsecond."""
    at = [sum(work["start_time"].le(t) & work["end_time"].gt(t)) for t in range(-1, 15)]
    changes = [(t, at[t + 1]) for t in range(14) if at[t + 1] != at[t]]
    return changes or [(int(spans["start_time"].min()), 0)]


@pytest.mark.laws
@given(waiting_frames())
def test_it_equals_the_number_of_spans_that_work_at_every_moment(spans):
    work = work_of(spans)
    for by in (["trace_id"], ["trace_id", "agent_id"]):
        table = concurrency(spans, by=by)
        assert table.equals(table.sort_values(["trace_id", "time", *by], ignore_index=True))
        groups = dict(list(spans.groupby(by, observed=True)))
        assert table[by].drop_duplicates().shape[0] == len(groups)
        for key, rows in table.groupby(by, observed=True):
            mine = work[(work[by] == list(key)).all(axis=1)]
            assert list(zip(rows["time"], rows["running"], strict=True)) == brute_force(groups[key], mine)


def test_a_column_of_the_result_cannot_be_a_group():
    with pytest.raises(BadOption, match=r"^by='running' is also a column of the result\. Rename it in the spans first\.$"):
        concurrency(spans_of("ann 0 1 desk").assign(running=1), by="running")


def areas(ax):
    """Each area as its steps: colour, and (x, low, high) from left to right."""
    found = []
    for area in ax.collections:
        if area.get_label() == "running":
            path = area.get_paths()[0].vertices
            places = np.unique(path[:, 0])
            heights = [(path[path[:, 0] == x, 1].min(), path[path[:, 0] == x, 1].max()) for x in places]
            found.append((area.get_facecolor()[0], list(zip(places, heights, strict=True))))
    return found


def test_the_picture_has_the_steps_of_the_table_and_marks_the_first_peak():
    spans = spans_of("ann 0 10 desk", "bob 5 20 desk", "eve 12 14 lab")
    ax = plot_concurrency(spans)
    [(_, steps)] = areas(ax)
    assert [x for x, _ in steps] == concurrency(spans)["time"].tolist()
    assert max(high for _, (_, high) in steps) == 2
    [peak] = [c for c in ax.collections if c.get_label() == "peak"]
    assert peak.get_offsets().tolist() == [[5, 2]]
    assert [text.get_text() for text in ax.texts if "peak" in text.get_text()] == ["peak 2"]


def test_groups_are_stacked_in_their_colours():
    ax = plot_concurrency(spans_of("ann 0 10 desk", "bob 5 20 desk"), by="agent_id")
    (first, ann), (second, bob) = areas(ax)
    assert [plt.matplotlib.colors.to_hex(color) for color in (first, second)] == list(palette(["ann", "bob"]).values())
    assert dict(ann)[5] == (0, 1)
    assert dict(bob)[5] == (0, 2) or dict(bob)[5] == (1, 2)
    assert dict(bob)[20] == (0, 1) or dict(bob)[20] == (0, 0)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["ann", "bob"]


def steps_in(ax, label):
    """The lowest and the highest level of a step function with a band, at each inner edge."""
    [area] = [c for c in ax.collections if c.get_label() == label]
    path = area.get_paths()[0].vertices
    return [(path[path[:, 0] == x, 1].min(), path[path[:, 0] == x, 1].max()) for x in np.unique(path[:, 0])[1:-1]]


def total_of(ax, label):
    """The levels of the line of the total."""
    [line] = [patch for patch in ax.patches if patch.get_label() == label]
    return line.get_data()


def many_steps(n_bobs=300):
    """Ann works half of the time; Bob works for a moment now and then, as one of 30 names."""
    ann = [f"ann {n * 10} {n * 10 + 5} desk" for n in range(10 * n_bobs)]
    return spans_of(*(f"bob{n % 30:02} {n * 100} {n * 100 + 6} lab" for n in range(n_bobs)), *ann)


def test_more_steps_than_the_picture_shows_are_means_with_a_band():
    figure, ax = plt.subplots(figsize=(4, 2), dpi=100)
    plot_concurrency(many_steps(), ax=ax)
    figure.canvas.draw()
    mean, edges, _ = total_of(ax, "mean")
    assert len(edges) < 100
    assert 0.5 < mean[:-1].min() <= mean[:-1].max() < 0.6
    assert set(steps_in(ax, "minimum to maximum")) == {(0, 2)}
    [peak] = [c for c in ax.collections if c.get_label() == "peak"]
    assert peak.get_offsets().tolist() == [[0, 2]]
    width = f"{max(np.diff(edges)):.3g} µs"
    assert [text.get_text() for text in ax.texts if text.get_text()] == [
        f"mean of every {width}, band: minimum to maximum",
        "peak 2",
    ]


def test_few_steps_are_exact_and_the_narrowest_has_a_line():
    ax = plot_concurrency(spans_of("ann 0 1000000 desk", "bob 400000 400001 desk"))
    levels, edges, _ = total_of(ax, "total")
    assert levels.tolist() == [1, 2, 1]
    assert edges.tolist() == [0, 400_000, 400_001, 1_000_000]
    assert not [text.get_text() for text in ax.texts if "mean" in text.get_text()]


@pytest.mark.parametrize(("width", "label"), [(4, "mean"), (40, "total")])
def test_the_areas_of_all_groups_add_up_to_the_total_and_others_are_one(width, label):
    ax = plot_concurrency(many_steps(40), by="agent_id", ax=plt.subplots(figsize=(width, 8), dpi=72)[1])
    levels, edges, _ = total_of(ax, label)
    shown = areas(ax)
    tops = [high for _, (_, high) in shown[-1][1]]
    assert np.allclose(tops[1:-1], np.maximum(levels[1:], levels[:-1]))
    greys = [color for color, _ in shown if plt.matplotlib.colors.to_hex(color) == OTHERS_COLOR]
    assert len(greys) == 1
    assert ax.get_legend().get_texts()[-1].get_text() == "19 others"


@pytest.mark.parametrize("legend", [True, False])
def test_the_note_of_a_small_picture_is_inside_the_figure(legend):
    figure, ax = plt.subplots(figsize=(3.3, 2.6), layout="constrained")
    plot_concurrency(many_steps(), by="agent_id", legend=legend, ax=ax)
    figure.savefig(io.BytesIO(), dpi=200)
    [note] = [text for text in ax.texts if text.get_text().startswith("mean of every")]
    assert note.get_window_extent().y0 >= 0


def waits_below(ax, state):
    """The lowest level of the area of spans that wait at each x."""
    [area] = [c for c in ax.collections if c.get_label() == f"waits for {state}"]
    path = area.get_paths()[0].vertices
    return {x: path[path[:, 0] == x, 1].min() for x in np.unique(path[:, 0])}


def test_spans_that_wait_are_below_0_and_work_is_above():
    spans = spans_of("ann 0 10 desk", "bob 2 8 lab", "eve 4 6 hall", parents={"b": "a", "c": "b"})
    spans = with_data(spans, c={"waits_for": "user"})
    ax = plot_concurrency(spans, gaps="keep")
    assert [waits_below(ax, "an agent")[x] for x in (2, 4, 6, 8)] == [-1, -2, -2, -1]
    assert waits_below(ax, "a person")[4] == -3
    low, high = ax.get_ylim()
    assert low < -3 < 1 < high
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["works", "waits for an agent", "waits for a person"]
    assert ax.get_title(loc="right") == "spans working at once; waiting below 0"
    assert ax.get_label().startswith("Spans working at once in t over time; the maximum is 1.")
    assert ax.get_label().endswith(" Below 0 are the spans that wait: at most 2 for an agent and 1 for a person.")
    ax.figure.canvas.draw()
    assert not [label.get_text() for label in ax.get_yticklabels() if not label.get_text().isdigit()]
    by_agent = plot_concurrency(spans, by="agent_id", gaps="keep")
    assert by_agent.get_title(loc="right") == "spans working at once, by agent; waiting below 0"
    assert [text.get_text() for text in by_agent.get_legend().get_texts()][-3:] == [
        "works",
        "waits for an agent",
        "waits for a person",
    ]


def test_a_wait_of_any_width_has_a_line():
    ax = plot_concurrency(spans_of("ann 0 1000000 desk", "bob 400000 400001 lab", parents={"b": "a"}), gaps="keep")
    levels, edges, _ = total_of(ax, "waits")
    assert levels.tolist() == [0, -1, 0]
    assert edges.tolist() == [0, 400_000, 400_001, 1_000_000]


def test_a_trace_in_which_nothing_works_has_a_note():
    waits = with_data(spans_of("ann 0 9 desk"), a={"waits_for": "user"})
    for spans in (spans_of("ann 3 3 desk", "bob 5 5 lab"), waits):
        note = "no span works for any time: instants are not counted"
        ax = plot_concurrency(spans)
        ax.figure.canvas.draw()
        assert note in [text.get_text() for text in ax.texts]


def test_more_waits_than_pixels_are_means():
    rows = [row for n in range(3_000) for row in (f"ann {n * 10} {n * 10 + 8} desk", f"bob {n * 10 + 2} {n * 10 + 6} lab")]
    spans = spans_of(*rows).sort_values(["start_time"])
    spans["id"] = [f"{n}" for n in range(len(spans))]
    spans["parent_id"] = [None if n % 2 == 0 else f"{n - 1}" for n in range(len(spans))]
    figure, ax = plt.subplots(figsize=(4, 2), dpi=100)
    plot_concurrency(spans, ax=ax)
    levels = list(waits_below(ax, "an agent").values())[1:-2]
    assert -0.5 < min(levels) <= max(levels) < -0.3


def test_an_agent_that_only_waits_is_last_in_the_legend():
    spans = spans_of("a-root 0 10 flow", "bob 0 10 lab", parents={"b": "a"})
    names = [text.get_text() for text in plot_concurrency(spans, by="agent_id").get_legend().get_texts()]
    assert names == ["bob", "a-root", "works", "waits for an agent"]
