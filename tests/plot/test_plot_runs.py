import io

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from conftest import full_except, spans_frames, spans_of, with_data
from hypothesis import given
from hypothesis import strategies as st
from made_runs import failed, made_runs, renamed, slower
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from pictures import HOSTILE, collisions

import tokenvis as tv
from tokenvis import BadOption, MissingColumn
from tokenvis.layout.run_rows import RUN_ORDERS
from tokenvis.plot.artists.bars import Raster
from tokenvis.plot.artists.markers import Markers
from tokenvis.plot.artists.notes import Note
from tokenvis.plot.artists.run_labels import RunLabels
from tokenvis.spans.columns import empty_spans

SECOND = 1_000_000


def seconds(spans):
    return spans.assign(start_time=spans["start_time"] * SECOND, end_time=spans["end_time"] * SECOND)


def runs_of(lengths, agent="ann"):
    """A run of one span for each length in seconds, named by a letter."""
    return seconds(spans_of(*(f"{agent} 0 {length} desk {chr(ord('a') + n)}" for n, length in enumerate(lengths))))


def labels_in(ax):
    return next(artist for artist in ax.get_children() if isinstance(artist, RunLabels))


def names_in(ax):
    """The names of the rows from the top."""
    return labels_in(ax).rows.names


def note_of(ax):
    return next(text for text in ax.texts if isinstance(text, Note)).messages()


def legend_of(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def boxes_in(ax, label="spans"):
    """The bars of a collection: row, left and right end in seconds."""
    found = []
    for collection in ax.collections:
        if collection.get_label() == label:
            for path in collection.get_paths():
                (x0, y0), (x1, y1) = path.vertices.min(axis=0), path.vertices.max(axis=0)
                found.append((int((y0 + y1) / 2), round(x0 / SECOND, 6), round(x1 / SECOND, 6)))
    return sorted(found)


def test_each_run_is_a_strip_as_long_as_its_wall_time_the_longest_first():
    ax = tv.plot_runs(runs_of([3, 9, 5]))
    assert names_in(ax) == ["b", "c", "a"]
    assert boxes_in(ax) == [(0, 0, 9), (1, 0, 5), (2, 0, 3)]
    assert labels_in(ax).rows.numbers == ["9 s", "5 s", "3 s"]
    assert (ax.get_title(loc="left"), ax.get_title(loc="right")) == ("3 runs", "median 5 s · longest first")
    assert ax.get_label() == "3 runs, longest first: from 3 s to 9 s, median 5 s; none slow; none failed."
    median = next(line for line in ax.lines if line.get_label() == "median")
    assert median.get_xdata()[0] == 5 * SECOND
    assert legend_of(ax) == ["ann", "median 5 s"]


def test_a_strip_has_the_colours_of_the_agents_on_the_path_and_waits_are_paler():
    spans = seconds(spans_of("ann 0 4 desk", "bob 3 8 lab", "ann 8 12 ask", "ann 12 14 desk", "eve 1 2 attic"))
    spans = with_data(spans, b={"links": ["a"]}, c={"waits_for": "user", "links": ["b"]})
    ax = tv.plot_runs(spans)
    assert boxes_in(ax) == [(0, 0, 3), (0, 3, 8), (0, 8, 12), (0, 12, 14)]
    assert boxes_in(ax, "waits for a person") == [(0, 8, 12)]
    assert legend_of(ax) == ["ann", "bob", "works", "waits for a person"]  # eve is not on the path
    colors = tv.palette(["ann", "bob", "eve"])
    assert [legend_color(ax, name) for name in ("ann", "bob")] == [colors["ann"], colors["bob"]]


def legend_color(ax, name):
    return to_hex(ax.get_legend().legend_handles[legend_of(ax).index(name)].get_facecolor())


def test_idle_time_is_empty_with_a_dashed_border():
    ax = tv.plot_runs(seconds(spans_of("ann 0 4 desk", "ann 9 12 desk")), gaps="keep")
    assert boxes_in(ax) == [(0, 0, 4), (0, 9, 12)]
    assert boxes_in(ax, "unexplained") == [(0, 4, 9)]
    assert legend_of(ax) == ["ann", "idle"]


@pytest.mark.parametrize(
    ("order", "names", "numbers", "title"),
    [
        ("time", "b c a", ["9 s", "5 s", "3 s"], "longest first"),
        ("cost", "a b c", ["2.00", "0.50", "–"], "highest cost first"),
        ("tokens", "c a b", ["70", "5", "–"], "most tokens first"),
        ("errors", "b a c", ["1", "0", "0"], "most errors first"),
        ("start", "c b a", ["5 s", "9 s", "3 s"], "earliest first"),
        ("name", "a b c", ["3 s", "9 s", "5 s"], "by name"),
    ],
)
def test_the_order_and_the_figures_beside_the_names(order, names, numbers, title):
    spans = seconds(spans_of("x 20 23 desk a", "x 10 19 desk b", "x 0 5 desk c"))
    used = {"a": {"cost": 2, "input_tokens": 5}, "b": {"cost": 0.5}, "c": {"input_tokens": 70}}
    used = {run: {"attributes": {f"gen_ai.usage.{name}": value for name, value in used[run].items()}} for run in used}
    spans = with_data(spans, c=used["c"], b=used["b"] | {"status": "error"}, a=used["a"])
    ax = tv.plot_runs(spans, order=order)
    assert (" ".join(names_in(ax)), labels_in(ax).rows.numbers) == (names, numbers)
    assert ax.get_title(loc="right").endswith(title)
    unknown = {"cost": ["1 run without a cost, last"], "tokens": ["1 run without tokens, last"]}
    assert note_of(ax) == unknown.get(order, [])


@pytest.mark.parametrize(
    ("order", "numbers", "notes"),
    [
        ("cost", ["≥ 2.00", "0.50", "–"], ["1 run without a cost, last", "2 calls without a cost"]),
        ("tokens", ["≥ 70", "5", "–"], ["1 run without tokens, last", "2 calls without a token count"]),
    ],
)
def test_a_sum_that_lacks_calls_is_told_as_a_lower_bound(order, numbers, notes):
    spans = spans_of("ann 0 5 model:m a", "ann 5 6 model:m a", "ann 6 7 model:m a", "ann 0 5 model:m b", "ann 0 5 model:m c")
    used = {"a": {"cost": 2, "input_tokens": 70}, "d": {"cost": 0.5, "input_tokens": 5}}
    used = {span: {"attributes": {f"gen_ai.usage.{name}": value for name, value in used[span].items()}} for span in used}
    ax = tv.plot_runs(with_data(spans, **used), order=order)
    assert (names_in(ax), labels_in(ax).rows.numbers, note_of(ax)) == (["a", "b", "c"], numbers, notes)
    assert ax.get_label().endswith(" ".join(f"{note}." for note in notes))


def test_slow_and_failed_runs_have_signs_that_the_legend_explains():
    spans = made_runs(12, faults=[slower("tester", "tool:tests", 9, [4]), failed("writer", "tool:edit", [7])])
    ax = tv.plot_runs(spans)
    signs = labels_in(ax).signs
    assert [names_in(ax)[row] for row in np.flatnonzero(signs["slow"])] == ["run-004"]
    assert [names_in(ax)[row] for row in np.flatnonzero(signs["failed"])] == ["run-007"]
    assert legend_of(ax)[-3:-1] == ["slow", "failed, and where"]
    assert "1 slow: run-004; 1 failed: run-007." in ax.get_label()
    crosses = next(artist for artist in ax.get_children() if isinstance(artist, Markers))
    places = tv.critical_path(spans).query("trace_id == 'run-007' and location_id == 'tool:edit'")["end"]
    elapsed = places - spans[spans["trace_id"] == "run-007"]["start_time"].min()
    assert np.asarray(crosses.get_offsets())[:, 0].tolist() == elapsed.tolist()
    assert set(np.asarray(crosses.get_offsets())[:, 1]) == {names_in(ax).index("run-007") + 0.5}


def test_a_failure_off_the_path_is_not_on_the_strip():
    spans = with_data(spans_of("ann 0 9 desk", "bob 0 3 lab"), b={"status": "error"})
    ax = tv.plot_runs(spans)
    assert not [artist for artist in ax.get_children() if isinstance(artist, Markers)]
    assert legend_of(ax) == ["ann", "failed"]
    assert ax.get_label() == "Where the time of t went: 9 µs; 1 error."
    assert (ax.get_title(loc="left"), ax.get_title(loc="right")) == ("t", "9 µs · failed")


def test_a_renamed_agent_keeps_its_colour_and_a_note_says_so():
    spans = made_runs(6, faults=[renamed("tester", "checker", [3, 4])])
    ax = tv.plot_runs(spans)
    assert legend_of(ax)[:5] == ["lead", "researcher", "reviewer", "tester", "writer"]
    assert note_of(ax) == ["1 agent matched by what it does, in 2 runs"]
    by_name = tv.plot_runs(spans, match="agent_id")
    assert "checker" in legend_of(by_name)
    mapped = tv.plot_runs(spans, match={"checker": "tester"})
    assert (legend_of(mapped), note_of(mapped)) == (legend_of(ax), [])


def test_colours_of_another_column():
    ax = tv.plot_runs(made_runs(3), hue="location_id")
    assert legend_of(ax)[:5] == ["desk", "model:large", "model:small", "tool:edit", "tool:search"]
    numbered = made_runs(3)
    numbered["cost"] = np.arange(len(numbered)) * 1.0
    assert "0 to 20" in legend_of(tv.plot_runs(numbered, hue="cost"))


def test_of_many_agents_those_with_most_time_in_the_strips_have_colours():
    spans = seconds(spans_of(*(f"agent-{n:02} 0 {n + 1} desk {n}" for n in range(15))))
    ax = tv.plot_runs(spans, match="agent_id")
    assert legend_of(ax)[:13] == [f"agent-{n:02}" for n in range(3, 15)] + ["3 others"]


def test_one_long_wait_of_one_run_is_folded_if_nothing_works_in_any():
    spans = seconds(spans_of("ann 0 60 desk a", "ann 3600 3660 desk a", "bob 0 90 desk b"))
    ax = tv.plot_runs(spans)
    assert ax.get_xlabel() == "elapsed time, idle gaps folded"
    assert boxes_in(tv.plot_runs(spans, gaps="keep"))[:2] == [(0, 0, 60), (0, 3600, 3660)]
    assert ax.get_xlim()[1] < 200 * SECOND


def test_many_runs_are_one_raster_of_touching_rows():
    ax = tv.plot_runs(made_runs(150, n_rounds=1))
    raster = next(artist for artist in ax.get_children() if isinstance(artist, Raster))
    ax.figure.savefig(io.BytesIO())
    row = raster.row_of_pixels(round(ax.bbox.height))
    assert row.tolist() == sorted(row)
    assert set(row) == set(range(150))
    assert [note for note in note_of(ax) if "names" not in note] == ["strips drawn as time per pixel"]
    assert len(ax.collections) == 0


@pytest.mark.full
def test_of_more_than_500_runs_slow_and_failed_ones_are_drawn_and_a_note_says_how_many():
    spans = made_runs(
        520, n_rounds=1, noise=0.01, faults=[slower("lead", "model:large", 5, [3]), failed("lead", "model:large", [510])]
    )
    ax = tv.plot_runs(spans, order="name")
    assert len(names_in(ax)) == 500
    assert {"run-003", "run-510", "run-000", "run-519"} <= set(names_in(ax))
    assert note_of(ax)[0] == "500 of 520 runs drawn, those that are slow or failed before others"
    assert ax.get_label().startswith("520 runs, by name: ")


def test_of_too_many_failed_runs_as_many_as_fit_are_drawn():
    spans = runs_of(range(1, 27))
    spans = with_data(spans, **{span: {"status": "error"} for span in spans["id"].iloc[:20]})
    ax = plt.subplots(figsize=(3.3, 0.8))[1]
    tv.plot_runs(spans, ax=ax)
    assert len(names_in(ax)) == 10
    assert set(names_in(ax)) <= set("abcdefghijklmnopqrst")
    assert note_of(ax)[0] == "10 of 26 runs drawn, those that are slow or failed before others"


def test_on_small_axes_as_many_runs_are_drawn_as_pixels_can_show():
    figure, ax = plt.subplots(figsize=(3.3, 2.6), layout="constrained")
    tv.plot_runs(made_runs(200, n_rounds=1, faults=[slower("lead", "model:large", 9, [3])]), ax=ax)
    n_drawn = len(names_in(ax))
    assert 60 < n_drawn < 200
    assert note_of(ax)[0] == f"{n_drawn} of 200 runs drawn, those that are slow or failed before others"
    assert "run-003" in names_in(ax)
    assert collisions(figure) == []


@pytest.mark.parametrize("n_runs", full_except([1, 3, 12, 60, 200], 12))
@pytest.mark.parametrize("size", full_except([(3.3, 2.6), (7, 4), (11, 8)], (3.3, 2.6)))
def test_no_text_overlaps_another_or_leaves_the_figure(n_runs, size):
    figure, ax = plt.subplots(figsize=size, layout="constrained")
    faults = [slower("tester", "tool:tests", 9, range(n_runs // 10)), failed("writer", "tool:edit", [n_runs // 2])]
    tv.plot_runs(made_runs(n_runs, n_rounds=2, faults=faults), order="cost", ax=ax)
    assert collisions(figure) == []


def test_hostile_names_of_runs_and_agents_draw_as_text():
    spans = pd.concat([spans_of("ann 0 9 desk").assign(trace_id=name, agent_id=name, trace_name=name) for name in HOSTILE])
    ax = tv.plot_runs(spans.reset_index(drop=True))
    file = io.BytesIO()
    ax.figure.savefig(file, format="svg")
    assert b"<script>alert" not in file.getvalue()
    assert collisions(ax.figure) == []


def test_two_runs_are_neither_slow_nor_do_they_hide_their_median():
    ax = tv.plot_runs(runs_of([2, 20]))
    assert ax.get_label() == "2 runs, longest first: from 2 s to 20 s, median 11 s; none slow; none failed."


def test_lost_spans_are_told():
    spans = with_data(spans_of("ann 0 5 desk t", "ann 0 1 tokenvis.lost t", "ann 0 4 desk u"), b={"n_lost": 3})
    ax = tv.plot_runs(spans)
    assert note_of(ax) == ["3 spans were lost while recording"]
    assert ax.get_label().endswith("3 spans were lost while recording.")


def test_no_spans():
    assert tv.plot_runs(empty_spans()).get_label() == "There are no spans."


def test_options_that_do_not_fit_are_refused():
    spans = runs_of([3])
    choices = "'time', 'cost', 'tokens', 'errors', 'start', 'name'"
    with pytest.raises(BadOption, match=rf"^order='length' is not one of {choices}\.$"):
        tv.plot_runs(spans, order="length")
    with pytest.raises(MissingColumn, match=r"^The spans have no column 'model'\."):
        tv.plot_runs(spans, hue="model")
    with pytest.raises(BadOption, match=r"^match=3 is neither a column name"):
        tv.plot_runs(spans, match=3)
    with pytest.raises(BadOption, match=r"^match=3 is neither a column name"):
        tv.plot_runs(spans, hue="location_id", match=3)
    with pytest.raises(BadOption, match=r"^prices=3 is neither a mapping"):
        tv.plot_runs(spans, prices=3)


@pytest.mark.laws
@given(spans_frames(parents=True, data=True, n_traces=3), st.sampled_from(RUN_ORDERS))
def test_any_runs_can_be_drawn_each_once_and_as_long_as_it_took(spans, order):
    before = spans.copy(deep=True)
    ax = tv.plot_runs(spans, order=order, gaps="keep", ax=Figure(figsize=(8, 3)).subplots())
    ax.figure.savefig(io.BytesIO())
    assert spans.equals(before)
    summary = tv.summary(spans)
    if len(spans):
        assert sorted(names_in(ax)) == sorted(summary["trace_id"])
        ends = dict.fromkeys(range(len(summary)), 0.0)
        for label in ("spans", "unexplained"):
            for row, _, end in boxes_in(ax, label):
                ends[row] = max(ends[row], round(end * SECOND))
        walls = dict(zip(summary["trace_id"], summary["wall_us"], strict=True))
        assert [ends[row] for row in range(len(summary))] == [walls[name] for name in names_in(ax)]
