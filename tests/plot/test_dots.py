import io

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from conftest import full_except, spans_frames, spans_of, with_data
from hypothesis import given
from hypothesis import strategies as st
from made_runs import failed, made_runs, renamed, slower
from matplotlib.figure import Figure
from pictures import HOSTILE, collisions

import tokenvis as tv
from tokenvis import BadOption
from tokenvis.plot.artists.notes import Note
from tokenvis.plot.artists.row_texts import RowTexts
from tokenvis.plot.comparisons.swarms import BASELINE, NOT_IN_RUN, OUTLYING, DotNames, Swarms
from tokenvis.runs.measures import MEASURES

SECOND = 1_000_000


def seconds(spans):
    return spans.assign(start_time=spans["start_time"] * SECOND, end_time=spans["end_time"] * SECOND)


THREE = seconds(
    spans_of("ann 0 5 desk t", "bob 0 9 lab t", "ann 0 6 desk u", "bob 0 3 lab u", "ann 0 7 desk v", "eve 0 1 lab v")
)


def artist_in(ax, kind):
    return next((artist for artist in ax.get_children() if isinstance(artist, kind)), None)


def dots_in(ax):
    """The dots of each row from the top: run and amount, and "*" for an outlying, "-" for an absent, "=" for the baseline."""
    dots = artist_in(ax, Swarms).dots
    signs = {OUTLYING: "*", NOT_IN_RUN: "-", BASELINE: "="}
    found = {}
    for row, run, x, look in sorted(
        zip(dots.row.tolist(), dots.run.tolist(), dots.x.tolist(), dots.look.tolist(), strict=True)
    ):
        found.setdefault(row, []).append(f"{run}: {x / SECOND:g}{signs.get(look, '')}")
    return list(found.values())


def names_in(ax):
    ax.figure.draw_without_rendering()
    return [text.get_text() for text in ax.get_yticklabels()]


def note_of(ax):
    return next(text for text in ax.texts if isinstance(text, Note)).messages()


def legend_of(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_a_row_is_an_agent_and_a_dot_a_run():
    ax = tv.plot_compare(THREE)
    assert names_in(ax) == ["bob", "ann", "eve"]
    assert dots_in(ax) == [["0: 9=", "1: 3", "2: 0-"], ["0: 5=", "1: 6", "2: 7"], ["0: 0=", "1: 0-", "2: 1*"]]
    assert artist_in(ax, RowTexts).row_texts == ["−7.5 s", "+1.5 s", "+500 ms"]
    assert legend_of(ax) == ["run", "not in the run", "outlying run", "baseline: t", "median of the others"]
    assert (ax.get_title(loc="left"), ax.get_title(loc="right")) == ("3 runs", "busy time by agent · against t")
    assert ax.get_xlabel() == "busy time"
    assert ax.get_label() == (
        "Busy time by agent in 3 runs, against t: the median changed most for bob, −7.5 s; outlying: v (eve)."
    )
    medians = next(collection for collection in ax.collections if collection.get_label() == "medians")
    assert [segment[0][0] / SECOND for segment in medians.get_segments()] == [1.5, 6.5, 0.5]


def test_several_frames_and_a_named_baseline():
    frames = [frame for _, frame in THREE.groupby("trace_id", observed=True)]
    assert dots_in(tv.plot_compare(*frames)) == dots_in(tv.plot_compare(THREE))
    ax = tv.plot_compare(*frames[:2], baseline="u")
    assert dots_in(ax) == [["0: 9", "1: 3="], ["0: 5", "1: 6="]]
    assert artist_in(ax, RowTexts).row_texts == ["+6 s", "−1 s"]
    assert ax.get_title(loc="right") == "busy time by agent · against u"
    assert "Timelines" in tv.plot_compare(*frames[:2]).get_label()


def test_against_the_median_there_are_no_changes():
    ax = tv.plot_compare(THREE, baseline="median")
    assert artist_in(ax, RowTexts) is None
    assert ax.get_title(loc="right").endswith("against the median")
    assert ax.get_label() == "Busy time by agent in 3 runs, against the median; outlying: v (eve)."


def test_other_columns_and_measures():
    ax = tv.plot_compare(THREE, by=["agent_id", "location_id"], measure="n_spans")
    assert names_in(ax) == ["bob · lab", "eve · lab", "ann · desk"]
    assert ax.get_title(loc="right") == "spans by agent and location · against t"
    whole = tv.plot_compare(THREE, by="trace_id", measure="wall_us")
    assert (names_in(whole), whole.get_title(loc="right")) == (["whole run"], "wall time · against t")
    share = tv.plot_compare(THREE, measure="share_path")
    share.figure.draw_without_rendering()
    assert "100%" in [text.get_text() for text in share.get_xticklabels()]


@pytest.mark.parametrize("measure", full_except(MEASURES, "cost"))
def test_every_measure_draws(measure):
    spans = with_data(THREE, a={"attributes": {"gen_ai.usage.cost": 2, "gen_ai.usage.input_tokens": 4}})
    tv.plot_compare(spans, measure=measure).figure.savefig(io.BytesIO())


def test_rows_of_which_nothing_is_known_are_told():
    spans = with_data(THREE, a={"attributes": {"gen_ai.usage.cost": 2}}, c={"attributes": {"gen_ai.usage.cost": 3}})
    ax = tv.plot_compare(spans, measure="cost")
    assert (names_in(ax), note_of(ax)) == (["ann"], ["2 rows of unknown cost not drawn"])
    assert tv.plot_compare(THREE, measure="cost").get_label() == "The cost of no run is known."


def test_calls_without_a_count_are_told():
    spans = spans_of("ann 0 5 model:m t", "ann 0 5 model:m u", "ann 6 7 model:m u")
    used = {"attributes": {"gen_ai.usage.input_tokens": 4}}
    spans = with_data(spans, a=used, b=used)
    assert "1 call without a token count" in note_of(tv.plot_compare(spans, measure="tokens"))


def test_a_renamed_agent_is_in_one_row():
    spans = made_runs(6, faults=[renamed("tester", "checker", [3, 4])])
    ax = tv.plot_compare(spans, match="role")
    assert sorted(names_in(ax)) == ["lead", "researcher", "reviewer", "tester", "writer"]
    assert note_of(ax) == ["1 agent matched by what it does, in 2 runs"]
    by_both = tv.plot_compare(spans, match="role", by=["agent_id", "location_id"])
    assert note_of(by_both) == note_of(ax)
    assert ax.get_label().endswith("1 agent matched by what it does, in 2 runs.")
    assert len(names_in(tv.plot_compare(spans))) == 6


def test_outlying_runs_have_names_the_most_distant_first():
    spans = made_runs(40, faults=[slower("tester", "tool:tests", 9, [4, 20]), failed("writer", "tool:edit", [7])])
    ax = tv.plot_compare(spans, baseline="median")
    assert names_in(ax)[0] == "tester"
    names = artist_in(ax, DotNames)
    assert sorted(names.names[:2]) == ["run-004", "run-020"]
    shown = [text.get_text() for text in names.texts(ax.figure.canvas.get_renderer())]
    assert {"run-004", "run-020"} <= set(shown)
    errors = tv.plot_compare(spans, measure="n_errors")
    assert "outlying: run-007 (writer)." in errors.get_label()


def test_a_run_is_outlying_among_all_runs_and_not_among_those_beside_the_baseline():
    runs = spans_of(*(f"ann 0 {length} desk {run}" for run, length in zip("tuvw", (100, 5, 6, 9), strict=True)))
    assert dots_in(tv.plot_compare(seconds(runs))) == [["0: 100=", "1: 5", "2: 6", "3: 9"]]
    assert dots_in(tv.plot_compare(seconds(runs), baseline="median")) == [["0: 100*", "1: 5", "2: 6", "3: 9"]]
    assert tv.plot_compare(seconds(runs)).get_label().endswith("outlying: t (ann).")


def test_two_runs_with_prices_are_drawn_as_many_are():
    spans = with_data(spans_of("ann 0 5 model:m t", "ann 0 4 model:m u"), a={"attributes": {"gen_ai.usage.input_tokens": 4}})
    sides = [spans[spans["trace_id"] == run] for run in "tu"]
    prices = {"m": {"input": 1, "output": 2}}
    assert tv.plot_compare(*sides, prices=prices).get_title(loc="right") == "busy time by agent · against t"
    with pytest.raises(BadOption, match=r"^prices=3 is neither a mapping"):
        tv.plot_compare(*sides, prices=3)


def test_one_run_is_told_as_such():
    ax = tv.plot_compare(THREE[THREE["trace_id"] == "t"])
    assert (ax.get_title(loc="left"), ax.get_title(loc="right")) == ("t", "busy time by agent")
    assert ax.get_label() == "Busy time by agent in t."
    assert legend_of(ax) == ["baseline: t"]


def test_of_many_rows_those_with_the_largest_changes_are_drawn():
    rows = [f"agent-{n:02} 0 {5 + n * run} desk {run}" for n in range(50) for run in range(3)]
    ax = tv.plot_compare(seconds(spans_of(*rows)))
    assert len(names_in(ax)) == 40
    assert names_in(ax)[0] == "agent-49"
    assert note_of(ax) == ["40 of 50 rows drawn, those with the largest changes"]
    to_median = tv.plot_compare(seconds(spans_of(*rows)), baseline="median")
    assert note_of(to_median) == ["40 of 50 rows drawn, those with the most distant runs"]
    one = tv.plot_compare(seconds(spans_of(*(f"agent-{n:02} 0 {5 + n} desk" for n in range(50)))))
    assert (names_in(one)[0], note_of(one)) == ("agent-49", ["40 of 50 rows drawn, those with the largest amounts"])
    figure, small = plt.subplots(figsize=(3.3, 2.6), layout="constrained")
    tv.plot_compare(seconds(spans_of(*rows)), ax=small)
    assert 3 <= len(names_in(small)) < 15
    assert collisions(figure) == []


@pytest.mark.parametrize("n_runs", full_except([1, 3, 12, 60, 200], 12))
@pytest.mark.parametrize("size", full_except([(3.3, 2.6), (7, 4), (11, 8)], (3.3, 2.6)))
def test_no_text_overlaps_another_or_leaves_the_figure(n_runs, size):
    figure, ax = plt.subplots(figsize=size, layout="constrained")
    faults = [slower("tester", "tool:tests", 9, range(n_runs // 10 + 1))]
    tv.plot_compare(made_runs(n_runs, n_rounds=2, faults=faults), ax=ax)
    assert collisions(figure) == []


def test_hostile_names_draw_as_text():
    spans = pd.concat([spans_of("ann 0 9 desk").assign(trace_id=name, agent_id=name) for name in HOSTILE])
    ax = tv.plot_compare(spans.reset_index(drop=True))
    file = io.BytesIO()
    ax.figure.savefig(file, format="svg")
    assert b"<script>alert" not in file.getvalue()
    assert collisions(ax.figure) == []


def test_lost_spans_and_empty_frames_are_told():
    spans = with_data(spans_of("ann 0 5 desk t", "ann 0 1 tokenvis.lost t", "ann 0 4 desk u"), b={"n_lost": 3})
    ax = tv.plot_compare(spans)
    assert note_of(ax) == ["3 spans lost while recording"]
    assert ax.get_label().endswith("3 spans lost while recording.")
    assert tv.plot_compare(spans.iloc[:0]).get_label() == "No span is left of 2 traces: the frame is empty after a filter."


def test_a_measure_that_there_is_not_is_refused():
    with pytest.raises(BadOption, match=r"^measure='length' is not one of 'n_spans', 'wall_us', 'busy_us', "):
        tv.plot_compare(THREE, measure="length")
    with pytest.raises(
        BadOption, match=r"^compare\(\) needs a frame of spans: two runs, one frame with all runs, or several\.$"
    ):
        tv.plot_compare()
    with pytest.raises(BadOption, match=r"^gaps='hide' is not one of 'fold', 'keep'\.$"):
        tv.plot_compare(THREE, gaps="hide")


@pytest.mark.laws
@given(spans_frames(parents=True, data=True, n_traces=3), st.sampled_from(list(MEASURES)), st.sampled_from([None, "median"]))
def test_any_runs_can_be_drawn_with_a_dot_for_each_amount(spans, measure, baseline):
    before = spans.copy(deep=True)
    ax = tv.plot_compare(spans, measure=measure, baseline=baseline, ax=Figure(figsize=(8, 3)).subplots())
    ax.figure.savefig(io.BytesIO())
    assert spans.equals(before)
    swarms = artist_in(ax, Swarms)
    if swarms is not None:
        table = tv.compare(spans, by="agent_id", baseline=baseline)
        known = table[measure].notna() & (table["n_spans"] > 0)
        shown = table["agent_id"].isin(table["agent_id"][known])
        amounts = table[measure][shown].dropna().astype(float)
        assert np.allclose(sorted(swarms.dots.x), sorted(amounts))
