import copy
import inspect
import io
import json
import pickle
import subprocess
import sys
from functools import cache
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import pytest
from conftest import full_except, seeded_spans, spans_frames, spans_of, with_data
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure
from pictures import FIGURES, HOSTILE, PICTURES, collisions
from waiting import waiting_frames

import tokenvis as tv
from tokenvis import BadOption, BadSpan, MissingColumn
from tokenvis.spans.columns import YEAR_2000, empty_spans
from tokenvis.spans.losses import LOST_LOCATION

OVER_TIME = ("timeline", "concurrency", "critical path", "agent tree", "usage")


every_picture = pytest.mark.parametrize("picture", PICTURES)
every_figure = pytest.mark.parametrize("figure", FIGURES)


SECOND = 1_000_000


def seconds(spans):
    return spans.assign(start_time=spans["start_time"] * SECOND, end_time=spans["end_time"] * SECOND)


def workflow():
    return seeded_spans("multi-agent-workflow")


@cache
def drawn(figure):
    """A figure of the workflow, for tests that only look at it."""
    return FIGURES[figure](workflow())


def test_every_picture_is_tested_here():
    names = {name.removeprefix("plot_").replace("_", " ") for name in tv.__all__ if name.startswith("plot_")}
    assert names - set(FIGURES) == set(), "add each public picture to PICTURES in tests/pictures.py"
    assert set(FIGURES) - set(PICTURES) == {"overview"}


@pytest.mark.parametrize("picture", full_except(PICTURES, "timeline", "storyline", "critical path", "compare", "waits"))
@pytest.mark.parametrize("width", [3.5, *(pytest.param(width, marks=pytest.mark.full) for width in (7.2, 11))])
def test_no_text_overlaps_another_or_leaves_the_figure(picture, width):
    figure, ax = plt.subplots(figsize=(width, max(width * 0.5, 2.8)), layout="constrained")
    PICTURES[picture](workflow(), ax=ax)
    assert collisions(figure) == []


@pytest.mark.parametrize("figure", full_except(FIGURES, "timeline", "storyline", "critical path", "waits", "overview"))
def test_no_text_overlaps_another_in_a_new_figure(figure):
    assert collisions(drawn(figure)) == []


def crowd():
    """Many agents and locations, with long names of different lengths."""
    teams, names = ("research", "writing", "a review of all that was written in this year"), "abcdefghijkl"
    return spans_of(
        *(
            f"{names[n % 12]}-of-{teams[n % 3].replace(' ', '-')}-{n % 12} {n} {n + 3 + n % 7} {'x' * (n % 9 * 3)}-{n % 30}"
            for n in range(240)
        )
    )


@pytest.mark.parametrize("picture", full_except(PICTURES, "occupancy", "compare"))
@pytest.mark.parametrize("size", full_except([(3.3, 2.6), (5, 3), (7, 4)], (3.3, 2.6)))
def test_names_that_are_left_out_make_no_overlap(picture, size):
    figure, ax = plt.subplots(figsize=size, layout="constrained")
    PICTURES[picture](seconds(crowd()), ax=ax)
    assert collisions(figure) == []


@every_picture
def test_axes_are_used_and_returned_and_nothing_global_changes(picture):
    before = dict(mpl.rcParams)
    spans = workflow()
    kept = spans.copy(deep=True)
    _, ax = plt.subplots()
    assert PICTURES[picture](spans, ax=ax) is ax
    assert plt.get_fignums() == [1]
    assert dict(mpl.rcParams) == before
    assert spans.equals(kept)


@every_picture
def test_each_picture_is_described_in_a_sentence(picture):
    sentence = drawn(picture).axes[0].get_label()
    assert sentence.endswith(".")
    assert "multi-agent-workflow" in sentence
    assert "\n" not in sentence


LITTLE = {
    "empty": [],
    "one span": ["ann 0 9 desk"],
    "one instant": ["ann 3 3 desk"],
    "instants": ["ann 3 3 desk", "bob 3 3 lab", "ann 5 5 lab"],
    "one agent": ["ann 0 9 desk", "ann 9 12 lab", "ann 4 6 desk"],
    "the ends of time": [f"ann {-(2**61)} {2**61} desk", "bob 0 1 lab"],
}


@every_picture
@pytest.mark.parametrize("name", full_except(LITTLE, "empty", "the ends of time"))
def test_little_and_extreme_traces_draw(picture, name):
    rows = LITTLE[name]
    spans = spans_of(*rows) if rows else empty_spans()
    ax = PICTURES[picture](spans)
    ax.figure.savefig(io.BytesIO())
    assert rows or ax.get_label() in ("There are no spans.", "Before: There are no spans. After: There are no spans.")


@every_picture
def test_a_picture_of_a_frame_that_is_empty_after_a_filter_says_so(picture):
    spans = spans_of("ann 0 1 desk", "bob 0 1 desk")
    message = PICTURES[picture](spans[spans["agent_id"] == "eve"]).get_label()
    assert "No span is left of trace 't': the frame is empty after a filter." in message


@every_picture
def test_a_picture_whose_spans_were_all_lost_says_so(picture):
    spans = with_data(spans_of(f"ann 0 1 {LOST_LOCATION}"), a={"n_lost": 3})
    assert "3 spans were lost while recording." in PICTURES[picture](spans).get_label()


@pytest.mark.parametrize("picture", full_except(PICTURES, "timeline"))
def test_two_hundred_agents_draw_and_nothing_is_cut_off(picture):
    spans = seconds(spans_of(*(f"agent-{n:03} {n} {n + 5} place-{n % 150:03}" for n in range(200))))
    ax = PICTURES[picture](spans)
    assert collisions(ax.figure) == []
    low, high = sorted(ax.get_ylim())
    offsets = [place for c in ax.collections for path in c.get_paths() for place in path.vertices[:, 1]]
    assert not offsets or (low <= min(offsets) + 1 and max(offsets) <= high + 1)
    assert max(ax.figure.get_size_inches()) <= 20


@pytest.mark.parametrize("figure", full_except(FIGURES, "timeline", "storyline", "critical path", "waits", "overview"))
@pytest.mark.parametrize("form", ["png", *(pytest.param(form, marks=pytest.mark.full) for form in ("svg", "pdf"))])
def test_hostile_names_draw_as_text(figure, form):
    spans = seconds(spans_of(*(f"ann {n} {n + 9} desk" for n in range(len(HOSTILE)))))
    spans["agent_id"], spans["location_id"] = HOSTILE, HOSTILE[::-1]
    spans["trace_id"] = "$\\alpha{ <b>\n" + "y" * 1000
    used = {"gen_ai.usage.input_tokens": 10}
    links = [[], *([span] for span in spans["id"][:-1])]
    spans["data"] = [json.dumps({"label": n, "links": to, "attributes": used}) for n, to in zip(HOSTILE, links, strict=True)]
    file = io.BytesIO()
    FIGURES[figure](spans).savefig(file, format=form)
    assert file.tell() > 1_000
    assert b"<script>alert" not in file.getvalue()


@pytest.mark.parametrize("form", ["svg", "pdf"])
def test_text_is_text_in_files_for_papers(form):
    figure, ax = plt.subplots(figsize=(3.5, 2.5), layout="constrained")
    tv.plot_timeline(workflow(), ax=ax)
    file = io.BytesIO()
    figure.savefig(file, format=form, metadata=None)
    content = file.getvalue()
    assert (b"Deploy Zone" in content) if form == "svg" else (b"/Type42" in content or b"/CIDFontType2" in content)
    sizes = {text.get_fontsize() for text in (*ax.get_xticklabels(), *ax.get_yticklabels(), *ax.get_legend().get_texts())}
    assert sizes <= {7.0, 7.5}


@pytest.mark.parametrize("picture", full_except(PICTURES, "timeline", "storyline", "colocation", "usage"))
def test_a_dark_figure_has_a_dark_picture(picture):
    spans = spans_of("lead 0 9 desk", "ann 2 8 lab", parents={"b": "a"}) if picture == "waits" else workflow()
    with plt.rc_context(tv.theme("dark")):
        dark = PICTURES[picture](spans)
        assert dark.figure.get_facecolor() == mpl.colors.to_rgba("#16191f")
    light = PICTURES[picture](spans)
    assert light._left_title.get_color() != dark._left_title.get_color()
    with plt.style.context("dark_background"):
        ax = plt.subplots()[1]
    assert PICTURES[picture](spans, ax=ax)._left_title.get_color() == dark._left_title.get_color()


@pytest.mark.parametrize("picture", OVER_TIME)
def test_pictures_over_time_refuse_several_traces(picture):
    with pytest.raises(BadSpan, match=r"^A picture over time shows one trace, but these spans belong to 2: 't', 'u'\."):
        PICTURES[picture](spans_of("ann 0 1 desk t", "ann 0 1 desk u"))


@pytest.mark.parametrize("picture", ["occupancy", "colocation", "transitions", "handoffs"])
def test_matrices_add_up_several_traces(picture):
    both = spans_of(
        "ann 0 9 desk t", "bob 2 12 desk t", "ann 12 15 lab t", "ann 0 9 desk u", "bob 1 9 desk u", "bob 9 12 lab u"
    )
    both["data"] = [json.dumps({"links": [span]}) for span in ("z", "a", "b", "z", "d", "z")]
    ax = PICTURES[picture](both)
    assert ax.get_title(loc="left") == "2 traces"


@every_picture
def test_an_ax_that_is_not_an_axes_is_refused(picture):
    with pytest.raises(
        BadOption, match=r"^ax='ndarray' is not a matplotlib Axes\. plt\.subplots\(\) returns one, or an array of them\.$"
    ):
        PICTURES[picture](spans_of("ann 0 1 desk"), ax=plt.subplots(1, 2)[1])
    with pytest.raises(MissingColumn, match=r"^The spans have no column 'end_time'\."):
        PICTURES[picture](spans_of("ann 0 1 desk").drop(columns="end_time"))


@pytest.mark.parametrize("picture", OVER_TIME)
def test_every_picture_over_time_has_the_same_time_map(picture):
    spans = seconds(spans_of("ann 0 60 desk", "bob 10 20 lab", "ann 3660 3720 desk"))
    spans["data"] = [json.dumps({"attributes": {"gen_ai.usage.input_tokens": 10}})] * 3
    ax, timeline = PICTURES[picture](spans), tv.plot_timeline(spans)
    assert ax.get_xlabel() == "elapsed time, idle gaps folded"
    assert ax.get_xlim() == timeline.get_xlim()
    assert PICTURES[picture](spans.iloc[::-1]).get_xlim() == ax.get_xlim()


@pytest.mark.parametrize("picture", OVER_TIME)
def test_every_picture_over_time_folds_long_waits(picture):
    spans = seconds(spans_of("ann 0 60 desk", "ann 60 3660 tool:ask", "bob 3660 3720 desk"))
    used = {"attributes": {"gen_ai.usage.input_tokens": 10}}
    spans = with_data(spans, a=used, b={"waits_for": "user"}, c=used)
    ax = PICTURES[picture](spans)
    assert ax.get_xlabel() == "elapsed time, gaps without work folded"
    assert ax.get_xlim() == tv.plot_timeline(spans).get_xlim()


@pytest.mark.parametrize("figure", full_except(FIGURES, "timeline", "storyline", "critical path", "waits", "overview"))
def test_traces_with_waits_draw_without_overlaps(figure):
    spans = seconds(
        spans_of("flow 0 900 flow", "ann 0 900 desk", "bob 5 30 lab", "eve 40 800 lab", parents=dict.fromkeys("bcd", "a"))
    )
    spans = with_data(spans, c={"attributes": {"gen_ai.usage.input_tokens": 10}}, d={"waits_for": "$\\frac{ <b>"})
    assert collisions(FIGURES[figure](spans)) == []


@pytest.mark.parametrize("picture", OVER_TIME)
def test_no_axis_has_an_offset_or_the_year_1970(picture):
    spans = spans_of(f"ann {YEAR_2000 * 2} {YEAR_2000 * 2 + 90 * SECOND} desk", f"bob {YEAR_2000 * 2} {YEAR_2000 * 2 + 7} lab")
    spans["data"] = [json.dumps({"attributes": {"gen_ai.usage.input_tokens": 10}})] * 2
    ax = PICTURES[picture](spans)
    ax.figure.canvas.draw()
    ticks = [text.get_text() for text in ax.get_xticklabels()]
    assert ticks[0] == "0"
    assert not [text for text in ticks if "1970" in text or "e" in text]
    assert ax.xaxis.get_offset_text().get_text() == ""


@pytest.mark.laws
@given(spans_frames(n_traces=1, parents=True), st.sampled_from(list(PICTURES)))
def test_any_trace_can_be_drawn(spans, picture):
    before = spans.copy(deep=True)
    PICTURES[picture](spans, ax=Figure(figsize=(8, 3)).subplots())
    assert spans.equals(before)


@pytest.mark.laws
@given(waiting_frames(), st.sampled_from(list(PICTURES)))
def test_any_trace_with_waits_can_be_drawn(spans, picture):
    spans = spans[spans["trace_id"] == "t"]
    before = spans.copy(deep=True)
    ax = PICTURES[picture](spans, ax=Figure(figsize=(8, 3)).subplots())
    ax.figure.savefig(io.BytesIO())
    assert spans.equals(before)


@pytest.mark.parametrize("picture", full_except(PICTURES, "timeline", "concurrency", "critical_path"))
@pytest.mark.parametrize("waits_for", ["user", *HOSTILE[:2]])
def test_a_trace_that_only_waits_draws(picture, waits_for):
    ax = PICTURES[picture](with_data(spans_of("ann 0 9 desk"), a={"waits_for": waits_for}))
    ax.figure.savefig(io.BytesIO())


@every_figure
def test_a_figure_can_be_pickled(figure):
    assert pickle.loads(pickle.dumps(drawn(figure))).axes[0].get_label() == drawn(figure).axes[0].get_label()


def png_in_two_sizes(figure: Figure) -> list[bytes]:
    """A figure as PNG, also after it was resized."""
    pictures = []
    for width, height in (tuple(figure.get_size_inches()), (6, 4)):
        figure.set_size_inches(width, height)
        figure.savefig(written := io.BytesIO())
        pictures.append(written.getvalue())
    return pictures


DRAW_AGAIN = f"""
import io, pickle, sys
from matplotlib.figure import Figure
import matplotlib
matplotlib.use("agg")
{inspect.getsource(png_in_two_sizes)}
with open("figures", "rb") as file:
    pictures = {{name: png_in_two_sizes(figure) for name, figure in pickle.load(file).items()}}
with open("pictures", "wb") as file:
    pickle.dump(pictures, file)
"""


@pytest.mark.full
def test_a_pickled_figure_draws_the_same_picture_in_another_process():
    figures = {name: draw(workflow()) for name, draw in FIGURES.items()}
    Path("figures").write_bytes(pickle.dumps(figures))
    subprocess.run([sys.executable, "-c", DRAW_AGAIN], check=True)
    again = pickle.loads(Path("pictures").read_bytes())
    assert [name for name, figure in figures.items() if png_in_two_sizes(figure) != again[name]] == []


@pytest.mark.full
def test_a_copied_figure_draws_the_same_picture():
    original = FIGURES["timeline"](workflow())
    assert png_in_two_sizes(copy.deepcopy(original)) == png_in_two_sizes(original)


def test_a_trace_without_work_names_none_that_works_most():
    spans = spans_of("ann 5 5 desk", "bob 5 5 lab")
    path = tv.plot_critical_path(spans)
    assert path.get_title(loc="right") == "critical path"
    told = {ax.get_gid(): ax.get_label() for ax in tv.plot_overview(spans).axes}
    assert told["agents"] == "Agents of t, and where their time went: none works for any time."
    assert told["locations"] == "Locations of t, and the work of each agent there: there is none."


def test_two_equal_traces_have_no_largest_change():
    spans = spans_of("ann 0 5 desk", "bob 5 9 lab")
    label = tv.plot_compare(spans, spans.assign(trace_id="u")).get_label()
    assert label.endswith("9 µs after; no agent is busy for more or less time.")
