import io
from dataclasses import replace

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from conftest import spans_frames, spans_of, with_data
from hypothesis import given
from matplotlib.backend_bases import MouseEvent
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from waiting import waiting_frames

from tokenvis import palette, plot_timeline
from tokenvis.layout.lanes import place_spans
from tokenvis.layout.raster import rasterize
from tokenvis.layout.segments import segments_of
from tokenvis.layout.time_map import time_map
from tokenvis.plot.artists import bars as bars_module
from tokenvis.plot.artists.bars import MAX_BARS, MIN_PIXEL_ALPHA, Bars, BarWaits, Raster
from tokenvis.plot.artists.color_scales import color_scale
from tokenvis.plot.artists.notes import Note
from tokenvis.plot.artists.states import state_color
from tokenvis.plot.artists.style import LIGHT
from tokenvis.spans.columns import times_of
from tokenvis.tree.states import states_of


def bars_of(spans, **options):
    scale = color_scale(spans["agent_id"], None, LIGHT)
    return Bars(*times_of(spans), place_spans(spans, **options), scale.code, scale.colors, time_map(spans, gaps="keep"))


def axes_of(low, high, n_pixels=100):
    """Axes of this width in pixels that show this interval."""
    ax = Figure(figsize=(n_pixels / 100, 1), dpi=100).add_axes((0, 0, 1, 1))
    ax.set(xlim=(low, high), ylim=(4, 0))
    return ax


def rasters(ax):
    return [artist for artist in ax.get_children() if isinstance(artist, Raster)]


def note(ax):
    ax.figure.canvas.draw()
    return next(artist for artist in ax.get_children() if isinstance(artist, Note)).get_text()


def many(count, step=10):
    """Many spans of one agent at one location."""
    times = np.arange(count) * step
    return pd.DataFrame(
        {
            "id": [f"{n:x}" for n in range(count)],
            "trace_id": "t",
            "agent_id": "ann",
            "location_id": "desk",
            "start_time": times,
            "end_time": times + step // 2,
        }
    )


def test_few_spans_are_rectangles_and_many_are_a_raster():
    few, more = (plot_timeline(many(count), ax=plt.subplots(figsize=(90, 2), dpi=100)[1]) for count in (MAX_BARS, MAX_BARS + 1))
    assert [len(c.get_paths()) for c in few.collections if c.get_label() == "spans"] == [MAX_BARS]
    assert (rasters(few), note(few)) == ([], "")
    assert [c for c in more.collections if c.get_label() == "spans"] == []
    [raster] = rasters(more)
    assert raster.rows.tolist() == list(range(MAX_BARS + 1))


def test_the_note_shows_how_many_spans_are_drawn_one_by_one():
    ax = plot_timeline(many(MAX_BARS * 2), ax=plt.subplots(figsize=(8, 2), dpi=100)[1])
    assert note(ax) == f"0 of {MAX_BARS * 2:,} spans drawn as bars"
    deep = pd.concat([many(600), many(600, 20).assign(id=[f"long {n}" for n in range(600)])], ignore_index=True)
    folded = plot_timeline(deep, ax=plt.subplots(figsize=(3, 2), dpi=100)[1])
    assert note(folded) == "0 of 1,200 spans drawn as bars"  # less than a pixel each


def test_a_layout_counts_spans_without_a_raster_of_each_size(monkeypatch):
    calls = []
    monkeypatch.setattr(bars_module, "rasterize", lambda *a, **options: calls.append(0) or rasterize(*a, **options))
    ax = plot_timeline(many(MAX_BARS * 2), ax=plt.subplots(figsize=(8, 2), layout="constrained")[1])
    ax.figure.savefig(io.BytesIO())
    assert len(calls) == 1


@pytest.mark.laws
@given(spans_frames(n_traces=1))
def test_raster_and_rectangles_agree(spans):
    bars = bars_of(spans)
    drawn = np.flatnonzero(bars.is_rectangle())
    ax = axes_of(-1, 15, n_pixels=64)
    raster = Raster(ax, bars, np.arange(len(spans)))
    found = raster.grid()
    covered = np.zeros_like(found.busy)
    edges = np.linspace(-1, 15, 65)
    for rectangle, row in zip(bars_module.rectangles(bars, drawn).get_paths(), bars.placement.row[drawn], strict=True):
        x0, x1 = rectangle.vertices[:, 0].min(), rectangle.vertices[:, 0].max()
        covered[row] += np.clip(np.minimum(edges[1:], x1) - np.maximum(edges[:-1], x0), 0, None) / np.diff(edges)
    assert np.allclose(found.busy, covered, atol=1e-12)
    assert found.busy.max(initial=0) <= 1 + 1e-12  # spans of a lane never overlap


def test_a_pixel_has_the_colour_that_runs_longest_and_the_busy_share_as_opacity():
    spans = spans_of("ann 0 10 desk", "bob 10 14 desk", "ann 14 15 desk", "bob 20 20 desk")
    ax = axes_of(0, 40, n_pixels=8)
    raster = Raster(ax, bars_of(spans), np.arange(4))
    [line, nothing] = raster.row_colors(raster.grid())
    ann, bob = (np.round(np.array(to_rgba(palette(["ann", "bob"])[name])) * 255) for name in ("ann", "bob"))
    assert line[:, :3].tolist()[:3] == [ann[:3].tolist(), ann[:3].tolist(), bob[:3].tolist()]
    assert line[:, 3].tolist() == [255, 255, 255, 0, 255, 0, 0, 0]  # the instant is a tick
    assert not nothing.any()
    half = Raster(ax, bars_of(spans_of("ann 0 2 desk")), np.arange(1))
    assert half.row_colors(half.grid())[0, 0, 3] == round(255 * (MIN_PIXEL_ALPHA + (1 - MIN_PIXEL_ALPHA) * 0.4))


def test_a_row_is_where_its_bars_are():
    bars = bars_of(spans_of("ann 0 10 desk", "bob 0 10 desk", "eve 0 10 lab"))
    ax = axes_of(0, 10)
    ax.set_ylim(bars.placement.height, 0)
    lines = Raster(ax, bars, np.arange(3)).row_of_pixels(340)
    middles = ((bars.placement.rows["top"] + bars.placement.rows["height"] / 2) * 100).astype(int)
    assert lines[middles].tolist() == [0, 1, 2]
    assert lines[[1, 100, 200, 220]].tolist() == [-1] * 4
    ax.set_ylim(0, bars.placement.height)  # turned over
    assert Raster(ax, bars, np.arange(3)).row_of_pixels(340)[339 - middles].tolist() == [0, 1, 2]


def test_no_row_is_lost_if_rows_are_finer_than_pixels():
    spans = spans_of(*(f"ann 0 9 room-{n}" for n in range(40)))
    bars = bars_of(spans)
    ax = axes_of(0, 9)
    ax.set_ylim(bars.placement.height, 0)
    assert len(set(Raster(ax, bars, np.arange(40)).row_of_pixels(60)) - {-1}) == 40


def test_the_image_is_where_the_bars_are():
    figure = plt.figure(figsize=(1, 1), dpi=100)
    ax = figure.add_axes((0, 0, 1, 1), xlim=(0, 10), ylim=(4, 0))
    ax.set_axis_off()
    ax.add_artist(Raster(ax, bars_of(spans_of("ann 0 5 desk")), np.arange(1)))
    figure.canvas.draw()
    pixels = np.asarray(figure.canvas.buffer_rgba())
    taken = (pixels[:, :, :3] != 255).any(axis=2)
    assert np.flatnonzero(taken.any(axis=0)).tolist() == list(range(50))
    assert np.flatnonzero(taken.any(axis=1)).tolist() == list(range(3, 22))  # the middle 78% of the lane


def test_zooming_in_computes_a_new_raster():
    ax = plot_timeline(many(MAX_BARS * 2), ax=plt.subplots(figsize=(8, 2), dpi=100)[1])
    [raster] = rasters(ax)
    ax.set_xlim(0, 200)
    ax.figure.canvas.draw()
    assert note(ax) == ""
    assert set(np.unique(np.round(raster.grid().busy, 6))) >= {0.0, 1.0}


def test_later_changes_of_the_frame_do_not_change_the_picture():
    spans = many(MAX_BARS * 2)
    ax = plot_timeline(spans, ax=plt.subplots(figsize=(8, 2), dpi=100)[1])
    [raster] = rasters(ax)
    spans.loc[:, "end_time"] = 10**9
    spans.iloc[:, 4] = 0
    assert raster.grid().busy.max() == pytest.approx(0.5, abs=0.2)


@pytest.mark.parametrize("form", ["svg", "pdf"])
def test_a_hundred_thousand_spans_take_less_than_a_megabyte(form):
    file = io.BytesIO()
    figure, ax = plt.subplots(figsize=(7.2, 3), layout="constrained")
    plot_timeline(many(100_000), ax=ax)
    with mpl.rc_context({"svg.fonttype": "none", "pdf.fonttype": 42}):
        figure.savefig(file, format=form, dpi=300)
    assert 5_000 < file.tell() < 1_000_000


def test_the_mouse_never_hits_the_raster():
    ax = plot_timeline(many(MAX_BARS * 2), ax=plt.subplots(figsize=(8, 2), dpi=100)[1])
    event = MouseEvent("motion_notify_event", ax.figure.canvas, *ax.transAxes.transform((0.5, 0.5)))
    assert [artist.contains(event) for artist in rasters(ax)] == [(False, {})]


def test_too_many_markers_are_ticks():
    spans = many(600)
    failed = with_data(spans, **{span: {"status": "error"} for span in spans["id"]})
    ax = plot_timeline(failed, ax=plt.subplots(figsize=(20, 2), dpi=100)[1])
    [ticks] = rasters(ax)
    assert (len(ticks.rows), ticks.bars.colors) == (600, [LIGHT.error])
    assert [c for c in ax.collections if c.get_label() == "error"] == []
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["error"]
    still_open = with_data(spans, **{span: {"status": "open"} for span in spans["id"]})
    assert note(plot_timeline(still_open, ax=plt.subplots(figsize=(20, 2), dpi=100)[1])) == "600 open ends not marked"
    instants = spans.assign(end_time=spans["start_time"])
    [raster] = rasters(plot_timeline(instants, ax=plt.subplots(figsize=(20, 2), dpi=100)[1]))
    assert (raster.grid().color >= 0).sum() == 600


def test_waits_are_told_apart_in_the_raster():
    spans = spans_of("ann 0 40 desk", "bob 20 30 lab", "eve 30 40 desk", parents={"b": "a"})
    states = states_of(with_data(spans, c={"waits_for": True}))
    waits = BarWaits(segments_of(spans, states), LIGHT)
    bars = replace(bars_of(spans), waits=waits)
    ax = axes_of(0, 40, n_pixels=40)
    raster = Raster(ax, bars, np.arange(3))
    image = raster.row_colors(raster.grid())
    colors = palette(["ann", "bob", "eve"])
    for row, pixel, color, state in (
        (0, 10, "ann", "work"),
        (0, 25, "ann", "agent"),
        (1, 35, "eve", "person"),
        (2, 25, "bob", "work"),
    ):
        assert to_rgba(tuple(image[row, pixel] / 255))[:3] == pytest.approx(
            to_rgba(state_color(colors[color], state, LIGHT))[:3], abs=0.01
        )
    assert raster.messages() == []
    assert raster.grid().busy.max() == 1
    textured = raster.wide_states(raster.grid(), 1.0)
    assert [np.flatnonzero(line).tolist() for line in textured[:3]] == [list(range(20, 30)), list(range(30, 40)), []]


def test_the_raster_of_waits_has_textures_and_narrow_waits_have_none():
    figure = plt.figure(figsize=(1, 1), dpi=100)
    ax = figure.add_axes((0, 0, 1, 1), xlim=(0, 100), ylim=(1, 0))
    ax.set_axis_off()
    spans = spans_of("ann 0 100 desk", "bob 10 60 lab", "bob 80 83 lab", parents={"b": "a", "c": "a"})
    spans = with_data(
        spans_of("ann 0 100 desk", "bob 10 60 lab", "ann 70 71 hall", "bob 80 83 lab", parents=dict.fromkeys("bcd", "a"))
    )
    waits = BarWaits(segments_of(spans, states_of(spans)), LIGHT)
    bars = replace(bars_of(spans), waits=waits)
    ax.add_artist(Raster(ax, bars, np.array([0])))
    figure.canvas.draw()
    pixels = np.asarray(figure.canvas.buffer_rgba())[:, :, :3]
    n_colors = [len(np.unique(pixels[20:80, low:high].reshape(-1, 3), axis=0)) for low, high in ((0, 10), (15, 55), (81, 82))]
    assert n_colors == [1, 2, 1]


@pytest.mark.laws
@given(waiting_frames())
def test_the_raster_adds_up_the_same_time_with_and_without_waits(spans):
    spans = spans[spans["trace_id"] == "t"]
    waits = BarWaits(segments_of(spans, states_of(spans)), LIGHT)
    bars = bars_of(spans)
    plain, told_apart = (Raster(axes_of(-1, 31, 64), one, np.arange(len(spans))) for one in (bars, replace(bars, waits=waits)))
    assert np.allclose(plain.grid().busy, told_apart.grid().busy)
    assert plain.messages() == told_apart.messages()
