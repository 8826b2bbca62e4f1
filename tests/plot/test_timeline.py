import io
import json

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from conftest import full_except, spans_frames, spans_of, with_data
from hypothesis import given
from matplotlib.collections import PathCollection, PolyCollection
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from pictures import HOSTILE, collisions
from waiting import waiting_frames

from tokenvis import BadOption, BadSpan, MissingColumn, moves, pack_lanes, palette, plot_timeline, self_spans, theme
from tokenvis.layout.lanes import BAND_GAP
from tokenvis.plot.artists.bars import BAR_HEIGHT_SHARE
from tokenvis.plot.artists.colors import OTHERS_COLOR
from tokenvis.plot.artists.notes import Note
from tokenvis.plot.artists.states import state_color
from tokenvis.plot.artists.style import DARK, LIGHT
from tokenvis.plot.artists.text import BarLabels, FoldLabels

SECOND = 1_000_000


def seconds(spans):
    return spans.assign(start_time=spans["start_time"] * SECOND, end_time=spans["end_time"] * SECOND)


def drawn_bars(ax):
    """Bars as they are drawn: (x0, x1, middle, colour)."""
    bars = next(c for c in ax.collections if c.get_label() == "spans")
    corners = [path.vertices for path in bars.get_paths()]
    colors = [to_hex(color) for color in bars.get_facecolor()]
    return [
        (v[:, 0].min(), v[:, 0].max(), (v[:4, 1].min() + v[:4, 1].max()) / 2, c) for v, c in zip(corners, colors, strict=True)
    ]


def drawn_waits(ax, state):
    """Waits as they are drawn: (x0, x1, middle, colour)."""
    found = [c for c in ax.collections if c.get_label() == f"waits for {'an agent' if state == 'agent' else 'a person'}"]
    corners = [path.vertices for c in found for path in c.get_paths()]
    colors = [to_hex(color) for c in found for color in c.get_facecolor()]
    return [
        (v[:, 0].min(), v[:, 0].max(), (v[:4, 1].min() + v[:4, 1].max()) / 2, c) for v, c in zip(corners, colors, strict=True)
    ]


def marks(ax, label):
    """Positions of the markers of that kind."""
    found = [c for c in ax.collections if c.get_label() == label]
    return [tuple(place) for c in found for place in np.asarray(c.get_offsets()).tolist()]


def drawn_moves(ax):
    """Ends of the curves of moves: (x0, y0, x1, y1)."""
    curves = [path.vertices for c in ax.collections if c.get_label() == "moves" and not c.too_many() for path in c.get_paths()]
    return [(*v[0].tolist(), *v[-1].tolist()) for v in curves]


def labels(ax):
    """The labels of all bars, whether they fit or not."""
    [drawn] = [artist for artist in ax.get_children() if isinstance(artist, BarLabels)]
    low, high = ax.get_xlim()
    return [label + suffix for label, suffix in drawn.bars(low, high, 0)[["label", "suffix"]].itertuples(index=False)]


def folds(ax):
    """The labels of the folded gaps as they are drawn now."""
    return [
        text.get_text()
        for artist in ax.get_children()
        if isinstance(artist, FoldLabels)
        for text in artist.texts(ax.figure.canvas.get_renderer())
    ]


def note(ax):
    """The note of the picture."""
    [found] = [artist for artist in ax.get_children() if isinstance(artist, Note)]
    return found.get_text()


def test_a_bar_is_where_and_when_its_span_is_in_the_colour_of_its_agent():
    ax = plot_timeline(spans_of("ann 0 10 desk", "bob 5 20 desk", "ann 12 30 lab"))
    colors = palette(["ann", "bob"])
    assert drawn_bars(ax) == [
        (0, 10, 0.5, colors["ann"]),
        (5, 20, 1.5, colors["bob"]),
        (12, 30, 2.5 + BAND_GAP, colors["ann"]),
    ]
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["desk", "lab"]
    assert ax.get_yticks().tolist() == [1.0, 2.5 + BAND_GAP]


def test_a_move_is_a_curve_between_the_bands():
    ax = plot_timeline(spans_of("ann 0 10 desk", "ann 15 20 lab"))
    assert drawn_moves(ax) == [(10, 0.5, 15, 1.5 + BAND_GAP)]
    assert drawn_moves(plot_timeline(spans_of("ann 0 10 desk", "ann 15 20 lab"), by="agent_id")) == []


def test_of_a_long_move_only_the_ends_are_drawn_and_the_legend_says_so():
    spans = spans_of("ann 0 100 desk", "ann 101 150 lab", "ann 180 200 desk", "bob 0 1 desk")
    ax = plot_timeline(spans)
    [moves_drawn] = [c for c in ax.collections if c.get_label() == "moves"]
    assert moves_drawn.is_long().tolist() == [False, True]
    [stub] = moves_drawn.stubs([1])
    assert (stub.vertices[0].tolist(), stub.vertices[-1].tolist()) == (
        [150, moves_drawn.ends[2][1]],
        [180, moves_drawn.ends[3][1]],
    )
    assert np.abs(np.diff(stub.vertices[:, 0])[[0, 2]]).max() < 3
    assert [text.get_text() for text in ax.get_legend().get_texts()][-1] == "ends of a long move"
    ax.set_xlim(140, 2_000)  # seen from afar, it is short
    assert not moves_drawn.is_long().any()


def test_one_agent_only_has_the_colours_of_its_locations():
    spans = spans_of("ann 0 10 desk", "ann 10 20 lab")
    ax = plot_timeline(spans)
    assert [bar[3] for bar in drawn_bars(ax)] == [*palette(["desk", "lab"]).values()]
    assert ax.get_legend() is None  # the bands have the names
    assert [bar[3] for bar in drawn_bars(plot_timeline(spans, hue="agent_id"))] == [palette(["ann"])["ann"]] * 2
    both = spans_of("ann 0 10 desk", "ann 10 20 lab", "bob 0 1 lab")
    assert [bar[3] for bar in drawn_bars(plot_timeline(both[both["agent_id"] == "ann"]))] == [
        palette(["ann", "bob"])["ann"]
    ] * 2


def test_of_many_agents_those_with_the_most_work_have_colours():
    spans = spans_of(*(f"agent-{n} {n * 10} {n * 10 + (9 if n in (3, 14, 20) else 1)} desk" for n in range(1, 31)))
    ax = plot_timeline(spans)
    names = [text.get_text() for text in ax.get_legend().get_texts()]
    assert len(names) == 13
    assert {"agent-3", "agent-14", "agent-20"} < set(names)
    assert names[:3] == ["agent-1", "agent-3", "agent-10"]  # of equal ones, the first by name; in natural order
    assert names[-1] == "18 others"


def test_markers_that_would_cover_others_are_left_out_and_counted():
    spans = spans_of(*(f"ann {n} {n} desk" for n in range(300)), "ann 0 3000 lab")
    ax = plot_timeline(spans, ax=plt.subplots(figsize=(6, 2), layout="constrained")[1])
    ax.figure.canvas.draw()
    [diamonds] = [c for c in ax.collections if c.get_label() == "instant"]
    places = ax.transData.transform(np.asarray(diamonds.get_offsets()))[diamonds.shown()]
    assert 2 < len(places) < 100
    assert np.diff(np.sort(places[:, 0])).min() >= diamonds.get_sizes()[0] ** 0.5 * ax.figure.dpi / 72
    assert f"{300 - len(places)} instants not marked" in note(ax)
    ax.set_xlim(0, 10)
    assert len(diamonds.shown()) > len(places)


def test_a_move_has_the_colour_of_its_agent_where_agents_have_colours():
    spans = spans_of("bob 0 1 desk", "ann 0 10 desk", "ann 15 20 lab")
    for hue, color in {"agent_id": palette(["ann", "bob"])["ann"], "location_id": LIGHT.muted}.items():
        [lines] = [c for c in plot_timeline(spans, hue=hue).collections if c.get_label() == "moves"]
        assert [to_hex(edge) for edge in lines.get_edgecolor()] == [color]


def test_too_many_moves_are_left_out_and_counted():
    spans = spans_of(*(f"ann {n} {n + 1} {'desk' if n % 2 else 'lab'}" for n in range(600)))
    ax = plot_timeline(spans)
    assert drawn_moves(ax) == []
    ax.figure.canvas.draw()
    assert note(ax) == "599 moves not drawn"
    ax.set_xlim(0, 50)
    ax.figure.canvas.draw()
    assert (note(ax), len(drawn_moves(ax))) == ("", 599)


def test_instants_errors_and_open_spans_have_markers():
    spans = spans_of("ann 0 10 desk", "bob 4 4 desk", "eve 12 20 desk")
    spans["data"] = ['{"status": "error"}', None, '{"status": "open"}']
    ax = plot_timeline(spans)
    assert marks(ax, "instant") == [(4, 1.5)]
    assert marks(ax, "open") == [(20, 0.5)]
    [border] = [c for c in ax.collections if c.get_label() == "error" and isinstance(c, PolyCollection)]
    assert (len(border.get_paths()), to_hex(border.get_edgecolor()[0])) == (1, LIGHT.error)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["ann", "bob", "eve", "instant", "error", "still open"]


def test_spans_that_were_lost_are_a_hatched_stretch_and_no_band():
    spans = spans_of("ann 0 10 desk", "tokenvis 5 15 tokenvis.lost", "zoe 12 20 desk")
    spans["data"] = [None, '{"status": "error", "n_lost": 1234}', None]
    ax = plot_timeline(spans)
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["desk"]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["ann", "zoe", "spans lost"]
    assert [bar[:2] for bar in drawn_bars(ax)] == [(0, 10), (12, 20)]
    assert (marks(ax, "error"), ax.get_title(loc="right")) == ([], "2 spans · 2 agents · 1 location · 20 µs")
    [stretch] = [c for c in ax.collections if c.get_label() == "lost"]
    assert [(path.vertices[:, 0].min(), path.vertices[:, 0].max()) for path in stretch.get_paths()] == [(5, 15)]
    ax.figure.canvas.draw()
    assert note(ax) == "1,234 spans were lost while recording"
    assert drawn_bars(ax)[1][3] == palette(["ann", "tokenvis", "zoe"])["zoe"]  # as where the mark is a span, in the explorer


def test_labels_come_from_data_then_from_the_agent():
    spans = seconds(spans_of("ann 0 10 desk", "bob 10 30 desk"))
    spans["data"] = [json.dumps({"label": "Plan"}), None]
    assert labels(plot_timeline(spans)) == ["Plan · 10 s", "bob · 20 s"]
    assert labels(plot_timeline(spans, by="agent_id")) == ["Plan · 10 s", "desk · 20 s"]


def test_the_title_shows_the_counts():
    ax = plot_timeline(seconds(spans_of("ann 0 10 desk trace-1", "bob 5 90 desk trace-1")))
    assert (ax.get_title(loc="left"), ax.get_title(loc="right")) == ("trace-1", "2 spans · 2 agents · 1 location · 1m 30s")
    ax = plot_timeline(spans_of("ann 0 1 desk"), time_unit="step")
    assert (ax.get_title(loc="right"), ax.get_xlabel()) == ("1 span · 1 agent · 1 location · 1 step", "step")


def test_a_narrow_picture_has_a_short_title():
    name = "a-trace-with-a-rather-long-name"
    titles = []
    for width in (12, 4, 2):
        ax = plot_timeline(spans_of(f"ann 0 1 desk {name}"), ax=plt.subplots(figsize=(width, 2))[1])
        ax.figure.canvas.draw()
        titles.append((ax.get_title(loc="left"), ax.get_title(loc="right")))
        box = ax._left_title.get_window_extent(ax.figure.canvas.get_renderer())
        assert 0 <= box.x0 < box.x1 <= ax.bbox.x1
    assert titles[0] == (name, "1 span · 1 agent · 1 location · 1 µs")
    assert titles[1] == (name, "")
    assert titles[2][0].endswith("…")


def test_given_axes_get_the_theme():
    given = plot_timeline(spans_of("ann 0 9 desk"), ax=plt.subplots(figsize=(11, 3))[1])
    own = plot_timeline(spans_of("ann 0 9 desk"))
    for ax in (given, own):
        assert {side: spine.get_visible() for side, spine in ax.spines.items()} == {
            "left": False,
            "right": False,
            "top": False,
            "bottom": True,
        }
    for part in ("get_xticklabels", "get_yticklabels", "get_xgridlines"):
        one, other = getattr(given, part)()[0], getattr(own, part)()[0]
        assert one.get_color() == other.get_color()
    for ax in (given, own):
        assert all(line.get_visible() for line in ax.get_xgridlines())
        assert not any(line.get_visible() for line in ax.get_ygridlines())
    assert given.get_xticklabels()[0].get_fontsize() == own.get_xticklabels()[0].get_fontsize()


def test_a_frame_without_spans_has_a_message():
    ax = plot_timeline(spans_of("ann 0 1 desk").iloc[:0])
    assert [text.get_text() for text in ax.texts] == ["No span is left of trace 't': the frame is empty after a filter."]


def test_folded_gaps_are_marked_with_their_duration():
    spans = seconds(spans_of("ann 0 60 desk", "ann 3660 3720 desk"))
    ax = plot_timeline(spans)
    assert folds(ax) == ["1h"]
    assert ax.get_xlabel() == "elapsed time, idle gaps folded"
    assert plot_timeline(spans, gaps="keep").get_xlabel() == "elapsed time"


def test_folded_steps_are_steps():
    ax = plot_timeline(spans_of("ann 0 3 desk", "ann 500 503 lab"), time_unit="step")
    assert folds(ax) == ["497 steps"]


def test_hostile_names_draw_on_given_axes():
    spans = spans_of("ann 0 9 desk", "bob 3 5 lab").assign(agent_id="$\\frac{", location_id="$x^", trace_id="$\\alpha{")
    figure, ax = plt.subplots()
    plot_timeline(spans, ax=ax)
    figure.savefig(io.BytesIO())
    assert ax.get_yticklabels()[0].get_text() == "$x^"


def test_the_longest_possible_span_has_its_duration():
    ax = plot_timeline(spans_of(f"ann {-(2**63)} {2**63 - 1} desk"))
    assert labels(ax) == ["ann · 213,503,982d 8h"]


def test_clock_time_has_a_zone():
    start = 1_782_036_000 * SECOND
    spans = spans_of(f"ann {start} {start + 60 * SECOND} desk")
    assert plot_timeline(spans, time="clock", tz="Asia/Tokyo").get_xlabel() == "time (Asia/Tokyo)"
    with pytest.raises(
        BadOption,
        match=r"^time='clock' needs times in µs since 1970, in the year 2000 or later\. The times of these spans are not\.$",
    ):
        plot_timeline(spans_of("ann 0 1 desk"), time="clock")
    with pytest.raises(BadOption, match=r"^tz='Mars/Olympus' is not a time zone\. Use for example 'UTC' or 'Europe/Berlin'\.$"):
        plot_timeline(spans, time="clock", tz="Mars/Olympus")


def test_a_colour_stays_when_the_frame_is_filtered():
    spans = spans_of("ann 0 10 desk", "bob 5 20 desk")
    ax = plot_timeline(spans[spans["agent_id"] == "bob"])
    assert drawn_bars(ax)[0][3] == palette(["ann", "bob"])["bob"]


def test_a_palette_is_a_mapping_or_a_list():
    spans = spans_of("bob 0 10 desk", "ann 5 20 desk")
    assert [bar[3] for bar in drawn_bars(plot_timeline(spans, palette={"ann": "#ff0000", "bob": "#00ff00"}))] == [
        "#00ff00",
        "#ff0000",
    ]
    assert [bar[3] for bar in drawn_bars(plot_timeline(spans, palette=["#ff0000", "#00ff00"]))] == ["#00ff00", "#ff0000"]
    partly = plot_timeline(spans, palette={"ann": "#ff0000"})
    assert [text.get_text() for text in partly.get_legend().get_texts()] == ["ann", "1 other"]
    assert [bar[3] for bar in drawn_bars(partly)] == [OTHERS_COLOR, "#ff0000"]
    with pytest.raises(BadOption, match=r"^palette='tab10' is neither a mapping from name to colour nor a list of colours\.$"):
        plot_timeline(spans, palette="tab10")
    with pytest.raises(BadOption, match=r"^palette has no colour for 'bob'\. Add one for each name\.$"):
        plot_timeline(spans, palette=["#ff0000"])
    with pytest.raises(BadOption, match=r"^palette has values that are not colours: 'blood'\. Use for example '#3b6fb6'\.$"):
        plot_timeline(spans, palette=["#ff0000", "blood"])
    counted = spans.assign(attempt=[1, 2])
    assert [bar[3] for bar in drawn_bars(plot_timeline(counted, hue="attempt", palette={1: "red", 2: "blue"}))] == [
        "#ff0000",
        "#0000ff",
    ]


def test_bands_and_colours_are_any_column():
    spans = spans_of("ann 0 10 desk", "bob 5 20 lab").assign(phase=["plan", None])
    ax = plot_timeline(spans, by="phase", hue="location_id", order=["plan"])
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["plan", "none"]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["desk", "lab"]
    ax = plot_timeline(spans, hue="phase")
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["plan", "none"]


def test_the_axes_given_are_used_and_nothing_global_changes():
    before = dict(mpl.rcParams)
    _, ax = plt.subplots()
    assert plot_timeline(spans_of("ann 0 10 desk"), ax=ax, legend=False) is ax
    assert ax.get_legend() is None
    assert len(plt.get_fignums()) == 1
    assert dict(mpl.rcParams) == before


def test_several_traces_are_refused():
    one = (
        r"^A picture over time shows one trace, but these spans belong to 2: 't', 'u'\. Select one: spans\[spans\['trace_id'\]"
    )
    with pytest.raises(BadSpan, match=one):
        plot_timeline(spans_of("ann 0 1 desk t", "ann 0 1 desk u"))


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"time": "wall"}, r"^time='wall' is not one of 'elapsed', 'clock'\.$"),
        ({"time_unit": "s"}, r"^time_unit='s' is not one of 'auto', 'step'\.$"),
        ({"gaps": "hide"}, r"^gaps='hide' is not one of 'fold', 'keep'\.$"),
    ],
)
def test_an_invalid_choice_is_refused(option, message):
    with pytest.raises(BadOption, match=message):
        plot_timeline(spans_of("ann 0 1 desk"), **option)


def test_a_missing_column_is_named():
    with pytest.raises(MissingColumn, match=r"^The spans have no column 'phase'\. They have: "):
        plot_timeline(spans_of("ann 0 1 desk"), hue="phase")


@pytest.mark.parametrize("form", full_except(["png", "svg", "pdf"], "svg"))
def test_hostile_names_draw_as_text(form):
    spans = seconds(spans_of(*(f"ann {n} {n + 9} desk" for n in range(len(HOSTILE)))))
    spans["agent_id"] = spans["location_id"] = HOSTILE
    spans["data"] = [json.dumps({"label": name}) for name in HOSTILE]
    file = io.BytesIO()
    ax = plot_timeline(spans)
    assert len(ax.get_legend().get_texts()) == len(HOSTILE)
    ax.figure.savefig(file, format=form)
    assert file.tell() > 1_000
    assert b"<script>alert" not in file.getvalue()


@pytest.mark.laws
@given(spans_frames(n_traces=1, parents=True))
def test_the_picture_shows_the_tables(spans):
    before = spans.copy(deep=True)
    ax = plot_timeline(spans, gaps="keep", ax=Figure(figsize=(12, 4)).subplots())
    ax.figure.canvas.draw()
    if len(spans):
        solid = spans[spans["end_time"] > spans["start_time"]]
        bars = drawn_bars(ax) if len(solid) else []
        first = spans["start_time"].min()
        elapsed = zip(solid["start_time"] - first, solid["end_time"] - first, strict=True)
        assert sorted(bar[:2] for bar in bars) == sorted(elapsed)
        assert len(marks(ax, "instant")) == len(spans) - len(solid)
        assert len({bar[2] for bar in bars}) <= len(pack_lanes(spans)[["band", "lane"]].drop_duplicates())
        assert len(drawn_moves(ax)) == len(moves(spans))
        assert [c for c in ax.collections if isinstance(c, PathCollection)]
    assert spans.equals(before)


def test_no_two_texts_overlap_and_none_leaves_the_figure():
    spans = seconds(spans_of(*(f"agent{n % 3} {n} {n + 2} place-{n % 5}" for n in range(24))))
    ax = plot_timeline(spans)
    ax.figure.canvas.draw()
    renderer = ax.figure.canvas.get_renderer()
    [drawn] = [artist for artist in ax.get_children() if isinstance(artist, BarLabels)]
    texts = [*drawn.texts(renderer), *ax.get_xticklabels(), *ax.get_yticklabels(), *ax.get_legend().get_texts()]
    boxes = [text.get_window_extent(renderer) for text in texts if text.get_text()]
    width, height = ax.figure.canvas.get_width_height()
    assert len(boxes) > 30
    assert all(0 <= box.x0 and box.x1 <= width and 0 <= box.y0 and box.y1 <= height for box in boxes)
    assert not [(one, two) for n, one in enumerate(boxes) for two in boxes[:n] if one.overlaps(two)]


def test_bars_are_one_collection_for_any_number():
    few, many = (plot_timeline(spans_of(*(f"ann {n} {n + 1} desk" for n in range(count)))) for count in (3, 300))
    assert len(few.collections) == len(many.collections)
    assert BAR_HEIGHT_SHARE < 1


WAITING = ("ann 0 10 desk", "bob 2 8 lab", "bob 4 6 tool:ask")  # ann waits for bob, bob for a person


def waiting():
    return with_data(seconds(spans_of(*WAITING, parents={"b": "a", "c": "b"})), c={"waits_for": "user"})


@pytest.mark.parametrize(("look", "colors"), [("light", LIGHT), ("dark", DARK)])
def test_waits_are_parts_of_bars_in_the_look_of_their_state(look, colors):
    with plt.rc_context(theme(look)):
        ax = plot_timeline(waiting(), gaps="keep")
    ann, bob = palette(["ann", "bob"]).values()
    assert [bar[:2] for bar in drawn_bars(ax)] == [(0, 10 * SECOND), (2 * SECOND, 8 * SECOND), (4 * SECOND, 6 * SECOND)]
    assert drawn_waits(ax, "agent") == [(2 * SECOND, 8 * SECOND, 0.5, state_color(ann, "agent", colors))]
    assert drawn_waits(ax, "person") == [(4 * SECOND, 6 * SECOND, 2.5 + 2 * BAND_GAP, state_color(bob, "person", colors))]
    legend = [text.get_text() for text in ax.get_legend().get_texts()]
    assert legend == ["ann", "bob", "works", "waits for an agent", "waits for a person"]
    assert ax.get_label().endswith(
        ": 3 spans · 2 agents · 3 locations · 10 s. The paler parts of bars are waits for an agent and for a person."
    )


def test_a_trace_without_waits_is_described_and_listed_as_before():
    ax = plot_timeline(seconds(spans_of(*WAITING)))
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["ann", "bob", "ends of a long move"]
    assert ax.get_label() == "Timeline of t, a band for each location: 3 spans · 2 agents · 3 locations · 10 s."
    assert {c.get_label() for c in ax.collections} == {"spans", "moves"}


def test_a_label_is_in_the_widest_part_of_its_bar():
    spans = seconds(spans_of("ann 0 20 desk", "bob 4 18 lab", "eve 4 5 lab", parents={"b": "a"}))
    ax = plot_timeline(spans)
    [drawn] = [artist for artist in ax.get_children() if isinstance(artist, BarLabels)]
    table = drawn.bars(0, 20 * SECOND, 0).set_index("label")
    pale = state_color(palette(["ann"])["ann"], "agent", LIGHT)
    assert table.loc["ann", ["x0", "x1", "background", "color"]].tolist() == [4 * SECOND, 18 * SECOND, pale, LIGHT.text]
    assert table.loc["bob", ["x0", "x1", "background"]].tolist() == [4 * SECOND, 18 * SECOND, ""]
    in_view = drawn.bars(0, 5 * SECOND, 0).set_index("label")
    assert in_view.loc["ann", ["x0", "x1", "background"]].tolist() == [0, 4 * SECOND, ""]


def test_a_long_wait_for_a_person_is_folded_like_a_gap():
    spans = seconds(spans_of("ann 0 920 desk", "ann 6 906 tool:ask", "bob 907 917 lab", parents={"b": "a", "c": "a"}))
    spans = with_data(spans, b={"waits_for": True})
    ax = plot_timeline(spans)
    assert folds(ax) == ["15m"]
    assert ax.get_xlabel() == "elapsed time, gaps without work folded"
    [(x0, x1, *_)] = drawn_waits(ax, "person")
    low, high = ax.get_xlim()
    assert 0 < (x1 - x0) / (high - low) < 0.05


def test_agents_that_only_wait_are_last():
    spans = seconds(spans_of("a-root 0 10 flow", "lead 0 10 desk", "ann 2 8 lab", parents={"b": "a", "c": "b"}))
    ax = plot_timeline(spans, by="agent_id")
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["lead", "ann", "a-root"]
    names = [text.get_text() for text in plot_timeline(spans).get_legend().get_texts()]
    assert names == ["ann", "lead", "a-root", "works", "waits for an agent"]
    ordered = plot_timeline(spans, by="agent_id", order=["a-root"])
    assert [tick.get_text() for tick in ordered.get_yticklabels()] == ["a-root", "lead", "ann"]


@pytest.mark.laws
@given(waiting_frames())
def test_the_picture_shows_every_wait(spans):
    spans = spans[spans["trace_id"] == "t"]
    ax = plot_timeline(spans, gaps="keep", ax=Figure(figsize=(12, 4)).subplots())
    ax.figure.canvas.draw()
    pieces = self_spans(spans)
    pieces = pieces[pieces["end_time"] > pieces["start_time"]]
    for state in ("agent", "person"):
        own = pieces[pieces["state"] == state]
        drawn = [bar[:2] for bar in drawn_waits(ax, state)]
        first = spans["start_time"].min()
        assert sorted(drawn) == sorted(zip(own["start_time"] - first, own["end_time"] - first, strict=True))


def test_a_narrow_picture_has_the_whole_names_of_states():
    ax = plot_timeline(waiting(), ax=plt.subplots(figsize=(3.5, 2.5), layout="constrained")[1])
    names = [text.get_text() for text in ax.get_legend().get_texts()]
    assert names == ["ann", "bob", "works", "waits for an agent", "waits for a person"]
    assert collisions(ax.figure) == []


def test_pieces_of_a_span_are_counted_as_one_span():
    spans = spans_of("ann 0 10 desk", "bob 3 9 lab", parents={"b": "a"})
    assert len(self_spans(spans)) == 4
    assert plot_timeline(self_spans(spans)).get_title(loc="right") == plot_timeline(spans).get_title(loc="right")
