import matplotlib.pyplot as plt
import numpy as np
import pytest
from conftest import spans_of, with_data
from hypothesis import given
from waiting import waiting_frames, work_of

from tokenvis import BadOption, concurrency, palette, plot_concurrency


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


def test_more_steps_than_pixels_are_means_with_their_maximum():
    spans = spans_of(*(f"ann {n * 10} {n * 10 + 5} desk" for n in range(3_000)))
    figure, ax = plt.subplots(figsize=(4, 2), dpi=100)
    plot_concurrency(spans, ax=ax)
    figure.canvas.draw()
    [line] = ax.lines
    assert set(line.get_ydata()) == {1.0}
    [(_, steps)] = areas(ax)
    inner = [high for _, (_, high) in steps[1:-2]]
    assert 0.4 < min(inner) <= max(inner) < 0.6
    assert "area: mean per pixel, line: maximum" in [text.get_text() for text in ax.texts]
